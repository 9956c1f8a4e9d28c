//! Differences that comparisons found, as rows.

use push::{DriftAction, DriftClass};
use values::{Quantity, ReadNumber, ShopId};

use super::super::columns::Columns;
use super::super::{quantity, signed, sku, stock_id, thousandths, timestamp, unsigned};
use crate::egress::{DriftDecided, DriftKey, DriftRow};
use crate::error::Error;

/// The columns of [`DriftColumns`], of `d`.
macro_rules! drift_columns {
    () => {
        "d.shop, d.holder, d.number, d.at, d.class, d.expected, d.shown, d.action, d.why, d.sku"
    };
}
pub(crate) use drift_columns;

/// A difference that people should know of, of `d`: what others made, and what is left to people.
macro_rules! drift_to_tell {
    () => {
        "(d.class NOT IN ('lost_update', 'doubtful_call') OR d.action = 'alerted')"
    };
}
pub(crate) use drift_to_tell;

pub(crate) type DriftColumns =
    (i64, i64, i64, i64, String, Option<i64>, Option<i64>, String, Option<String>, Option<String>);

pub(crate) fn drift_row(row: DriftColumns) -> Result<DriftRow, Error> {
    let (shop, holder, number, at, class, expected, shown, action, why, code) = row;
    Ok(DriftRow {
        stock: stock_id(shop, holder)?,
        number: ReadNumber::new(unsigned("read number", number)?),
        at: timestamp(at),
        class: DriftClass::from_word(&class).ok_or_else(|| Error::damaged("class of a difference", class))?,
        expected: expected.map(quantity),
        shown: shown.map(quantity),
        action: DriftAction::from_word(&action)
            .ok_or_else(|| Error::damaged("action on a difference", action))?,
        why,
        sku: code.as_deref().map(sku).transpose()?,
    })
}

/// Shop, holder, number, at, class, expected, shown, difference, action, why, SKU.
pub(crate) fn columns_of(row: &DriftRow) -> impl Columns<'_> + use<'_> {
    (
        row.stock.shop.get(),
        row.stock.holder.get(),
        signed(row.number.get()),
        row.at.micros(),
        row.class.as_str(),
        thousandths(row.expected),
        thousandths(row.shown),
        row.difference().map(Quantity::thousandths),
        row.action.as_str(),
        row.why.as_deref(),
        row.sku.as_ref().map(values::Sku::as_str),
    )
}

/// Shop, holder, number, action, why.
pub(crate) fn columns_of_decided(decided: &DriftDecided) -> impl Columns<'_> + use<'_> {
    (
        decided.stock.shop.get(),
        decided.stock.holder.get(),
        signed(decided.number.get()),
        decided.action.as_str(),
        decided.why.as_deref(),
    )
}

/// Shop, number.
pub(crate) fn columns_of_read((shop, number): &(ShopId, ReadNumber)) -> (i64, i64) {
    (shop.get(), signed(number.get()))
}

/// Where a list goes on, as parameters: later than everything at the start.
pub(crate) fn place(after: Option<DriftKey>) -> (i64, i64, i64, i64) {
    after.map_or((i64::MAX, 0, 0, 0), |key| {
        (key.at.micros(), key.stock.shop.get(), key.stock.holder.get(), signed(key.number.get()))
    })
}
