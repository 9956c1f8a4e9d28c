//! What people decided about differences, as rows.

use values::WarehouseId;

use super::{quantity, signed, some_id, stock_id, timestamp, unsigned};
use crate::decisions::{DECISION_REASON_CHARS_MAX, Decision, DecisionRow};
use crate::error::Error;

/// The columns of [`DecisionColumns`], of `c`.
macro_rules! decision_columns {
    () => {
        "c.shop, c.holder, c.number, c.upto, c.decision, c.quantity, c.warehouse, c.actor, c.reason, c.at"
    };
}
pub(crate) use decision_columns;

pub(crate) type DecisionColumns = (i64, i64, i64, i64, String, i64, Option<i64>, String, Option<String>, i64);

pub(crate) fn decision(row: DecisionColumns) -> Result<DecisionRow, Error> {
    let (shop, holder, number, upto, decision, withheld, warehouse, actor, reason, at) = row;
    Ok(DecisionRow {
        stock: stock_id(shop, holder)?,
        number: decision_number(number)?,
        upto: values::ReadNumber::new(unsigned("read number", upto)?),
        decision: Decision::from_word(&decision).ok_or_else(|| Error::damaged("decision", decision))?,
        quantity: quantity(withheld),
        warehouse: some_id::<WarehouseId>("warehouse", warehouse)?,
        actor,
        reason,
        at: timestamp(at),
    })
}

pub(crate) fn decision_number(number: i64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::damaged("number of a decision", number))
}

/// Shop, holder, up to, decision, quantity, warehouse, actor, reason, at.
pub(crate) type NewDecision<'a> =
    (i64, i64, i64, &'static str, i64, Option<i64>, &'a str, Option<String>, i64);

pub(crate) fn new_decision(row: &DecisionRow) -> NewDecision<'_> {
    let reason = row.reason.as_ref().map(|text| text.chars().take(DECISION_REASON_CHARS_MAX).collect());
    (
        row.stock.shop.get(),
        row.stock.holder.get(),
        signed(row.upto.get()),
        row.decision.as_str(),
        row.quantity.thousandths(),
        row.warehouse.map(WarehouseId::get),
        row.actor.as_str(),
        reason,
        row.at.micros(),
    )
}
