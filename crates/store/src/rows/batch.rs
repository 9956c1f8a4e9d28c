//! What a batch of inventory writes, as rows: orders, lines, movements, SKUs, stocks and what goes with them.

use ledger::{Cause, Line, SkuBook};
use serde::Serialize;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use values::{HolderId, LineFault, OrderId, Quantity, ShopId, Sku};

use super::columns::{Columns, add_columns};
use super::{
    adoption_text, balances_text, hex, holds_text, listing_key, micros, opening_number, origin_word,
    settled_text, signed, thousandths,
};
use crate::inventory::{Incomplete, OperationRecord, OrderRow, Posted, StockRow};

/// An order's own columns: shop, order, modified at, digest, origin, last read, confirmed, older at, older digest, status,
/// gone, reread, expired, expires at, open, unconfirmed since, predates. A tuple that can be written has 16 at most.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "a row, column by column")]
pub(crate) struct SavedOrder<'a>(
    pub(crate) i64,
    pub(crate) i64,
    Option<i64>,
    Option<String>,
    Option<&'static str>,
    Option<i64>,
    bool,
    Option<i64>,
    Option<String>,
    &'a str,
    bool,
    bool,
    bool,
    Option<i64>,
    bool,
    Option<i64>,
    bool,
);

impl<'a> Columns<'a> for SavedOrder<'a> {
    fn add(rows: &[Self], arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        add_columns!(rows, arguments, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
        Ok(())
    }
}

pub(crate) fn saved_order(row: &OrderRow) -> SavedOrder<'_> {
    let order = &row.order;
    let applied = order.applied;
    let older = applied.and_then(|applied| applied.older);
    let reserved: Quantity = order.lines.iter().map(Line::reserved).sum();
    SavedOrder(
        row.shop.get(),
        order.id.get(),
        applied.map(|applied| applied.modified_at.micros()),
        applied.map(|applied| hex(&applied.digest.to_bytes())),
        applied.map(|applied| origin_word(applied.origin)),
        applied.map(|applied| signed(applied.last_read.get())),
        applied.is_some_and(|applied| applied.confirmed),
        older.map(|(at, _)| at.micros()),
        older.map(|(_, digest)| hex(&digest.to_bytes())),
        order.status.as_str(),
        order.gone,
        order.reread,
        order.expired,
        micros(row.expires_at),
        !reserved.is_zero(),
        micros(row.unconfirmed_since),
        order.predates,
    )
}

/// Shop, order, position, line, product, variation, holder, SKU id, quantity, taken, restocked, ever taken, removed,
/// reserved, not taken, holds, unmanaged, fault, code.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SavedLine<'a>(
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<i64>,
    i64,
    bool,
    bool,
    i64,
    i64,
    String,
    bool,
    Option<&'static str>,
    Option<&'a str>,
);

impl<'a> Columns<'a> for SavedLine<'a> {
    fn add(rows: &[Self], arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        add_columns!(rows, arguments, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18);
        Ok(())
    }
}

pub(crate) fn saved_line(
    shop: ShopId,
    order: OrderId,
    position: i64,
    line: &Line,
    sku_id: Option<i64>,
) -> SavedLine<'_> {
    let listing = line.listing.map(listing_key);
    SavedLine(
        shop.get(),
        order.get(),
        position,
        line.id.get(),
        listing.map(|(product, _)| product),
        listing.map(|(_, variation)| variation),
        line.stock.map(HolderId::get),
        sku_id,
        line.quantity.thousandths(),
        thousandths(line.taken),
        line.restocked.thousandths(),
        line.ever_taken,
        line.removed,
        line.reserved().thousandths(),
        (line.held() - line.taken_or_zero()).or_zero().thousandths(),
        holds_text(&line.holds),
        line.unmanaged,
        line.fault.map(LineFault::as_str),
        line.code.as_ref().map(Sku::as_str),
    )
}

/// SKU id, number, warehouse, kind, on-hand delta, reserved delta, on hand, reserved, shop, order, line, at, actor, reason,
/// operation, trace, tags.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SavedMovement<'a>(
    pub(crate) i64,
    pub(crate) i64,
    i64,
    &'static str,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<&'a str>,
    Option<&'a str>,
    Option<&'a str>,
    Option<String>,
    Option<i64>,
);

impl<'a> Columns<'a> for SavedMovement<'a> {
    fn add(rows: &[Self], arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        add_columns!(rows, arguments, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
        Ok(())
    }
}

pub(crate) fn saved_movement(posted: &Posted, sku_id: i64) -> SavedMovement<'_> {
    let Posted { movement, posting } = posted;
    let (shop, order, line) = match movement.cause {
        Cause::Order { shop, order, line } => (Some(shop.get()), Some(order.get()), Some(line.get())),
        Cause::Operation => (None, None, None),
    };
    SavedMovement(
        sku_id,
        signed(movement.number),
        movement.warehouse.get(),
        movement.kind.as_str(),
        movement.on_hand_delta.thousandths(),
        movement.reserved_delta.thousandths(),
        movement.after.on_hand.thousandths(),
        movement.after.reserved.thousandths(),
        shop,
        order,
        line,
        posting.at.micros(),
        posting.actor.as_deref(),
        posting.reason.as_deref(),
        posting.operation.as_deref(),
        posting.trace.map(|trace| hex(&trace)),
        posting.tags.as_ref().map(|tags| tags.id),
    )
}

/// SKU id, number of its last movement, counted at, balances.
pub(crate) type SavedSku = (i64, i64, Option<i64>, String);

pub(crate) fn saved_sku(sku_id: i64, book: &SkuBook) -> SavedSku {
    (sku_id, signed(book.movement_count), micros(book.counted_at), balances_text(book))
}

/// Shop, holder, level, untaken, taken total, last order date, epoch, revision, last applied at, opening, settle,
/// date of the product, adoption, released.
pub(crate) type SavedStock = (
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    i64,
    i64,
    Option<i64>,
    i64,
    Option<String>,
    Option<i64>,
    Option<String>,
    i64,
);

pub(crate) fn saved_stock(row: &StockRow) -> SavedStock {
    (
        row.id.shop.get(),
        row.id.holder.get(),
        row.level.thousandths(),
        row.untaken.thousandths(),
        row.taken_total.thousandths(),
        micros(row.last_order_date),
        signed(row.epoch.get()),
        signed(row.revision.get()),
        micros(row.last_applied_at),
        opening_number(row.opening),
        row.settle.as_ref().map(settled_text),
        micros(row.settle.and_then(|settle| settle.dated)),
        row.adoption.as_ref().map(adoption_text),
        row.released.thousandths(),
    )
}

/// Shop, holder, epoch, revision, first and last order date, trace.
pub(crate) type ToPublish<'a> = (i64, i64, i64, i64, Option<i64>, Option<i64>, Option<&'a str>);

pub(crate) fn to_publish(row: &StockRow) -> ToPublish<'_> {
    let (first, last) = row.order_dates.unzip();
    (
        row.id.shop.get(),
        row.id.holder.get(),
        signed(row.epoch.get()),
        signed(row.revision.get()),
        micros(first),
        micros(last),
        row.trace.as_deref(),
    )
}

/// Actor, key, digest, outcome, at.
pub(crate) fn saved_operations(done: &[OperationRecord]) -> Vec<(&str, &str, String, &str, i64)> {
    let mut rows: Vec<_> = done
        .iter()
        .map(|done| {
            (&*done.key.actor, &*done.key.key, hex(&done.digest), done.outcome.as_str(), done.at.micros())
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// Shop, order, reason, at; each mark once.
pub(crate) fn saved_marks(marks: &[Incomplete]) -> Vec<(i64, i64, &str, i64)> {
    let mut rows: Vec<_> = marks.iter().map(mark_columns).collect();
    rows.sort_unstable();
    rows.dedup_by_key(|row| (row.0, row.1, row.2));
    rows
}

pub(crate) fn mark_columns(mark: &Incomplete) -> (i64, i64, &str, i64) {
    (mark.shop.get(), mark.order.map_or(0, OrderId::get), mark.reason.as_str(), mark.at.micros())
}
