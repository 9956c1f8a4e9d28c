//! What needs somebody's attention, and totals, as rows.

use ledger::Balance;
use values::LineFault;

use super::{id, listing, quantity, sku, some_id, stock_id, timestamp, unsigned};
use crate::error::Error;
use crate::report::{
    Orphan, OrphanCause, ParkedCause, ParkedLine, UnmappedCause, UnmappedStock, Waiting, WarehouseTotal,
};

/// Shop, order, line, product, variation, holder, quantity, fault.
pub(crate) type ParkedColumns = (i64, i64, i64, Option<i64>, Option<i64>, Option<i64>, i64, Option<String>);

pub(crate) fn parked_line(row: ParkedColumns) -> Result<ParkedLine, Error> {
    let (shop, order, line, product, variation, holder, ordered, fault) = row;
    let sold = product.map(|product| listing(product, variation.unwrap_or(0))).transpose()?;
    Ok(ParkedLine {
        shop: id("shop", shop)?,
        order: id("order", order)?,
        line: id("line", line)?,
        listing: sold,
        stock: some_id("stock", holder)?,
        quantity: quantity(ordered),
        cause: match (fault, product) {
            (Some(fault), _) => ParkedCause::Faulty(LineFault::of_word(&fault)),
            (None, Some(_)) => ParkedCause::NoSku,
            (None, None) => ParkedCause::NoProduct,
        },
    })
}

/// Shop, order, status, whether the shop is removed, reserved.
pub(crate) type OrphanColumns = (i64, i64, String, bool, i64);

pub(crate) fn orphan(row: OrphanColumns) -> Result<Orphan, Error> {
    let (shop, order, status, removed, reserved) = row;
    let cause = if removed { OrphanCause::ShopRemoved } else { OrphanCause::Gone };
    let (shop, order) = (id("shop", shop)?, id("order", order)?);
    Ok(Orphan { shop, order, status, reserved: quantity(reserved), cause })
}

/// Shop, holder, name, code, and the holder that has the SKU of this code.
pub(crate) type UnmappedColumns = (i64, i64, Option<String>, Option<String>, Option<i64>);

pub(crate) fn unmapped_stock(row: UnmappedColumns) -> Result<UnmappedStock, Error> {
    let (shop, holder, name, code, by) = row;
    let cause = match (code, by) {
        (Some(code), Some(by)) => UnmappedCause::SkuTaken { sku: sku(&code)?, by: id("stock", by)? },
        _ => UnmappedCause::NoSku,
    };
    Ok(UnmappedStock { stock: stock_id(shop, holder)?, name: name.unwrap_or_default(), cause })
}

/// Warehouse, SKUs, on hand, reserved.
pub(crate) type TotalColumns = (i64, i64, i64, i64);

pub(crate) fn warehouse_total(row: TotalColumns) -> Result<WarehouseTotal, Error> {
    let (warehouse, count, on_hand, reserved) = row;
    Ok(WarehouseTotal {
        warehouse: id("warehouse", warehouse)?,
        sku_count: unsigned("count", count)?,
        balance: Balance { on_hand: quantity(on_hand), reserved: quantity(reserved) },
    })
}

/// Outbox and since when, re-reads, parked, orphaned, dead, to recompute, approvals.
pub(crate) type WaitingColumns = (i64, Option<i64>, i64, i64, i64, i64, i64, i64);

pub(crate) fn waiting(row: WaitingColumns) -> Result<Waiting, Error> {
    Ok(Waiting {
        outbox_count: unsigned("count", row.0)?,
        outbox_oldest: row.1.map(timestamp),
        reread_count: unsigned("count", row.2)?,
        parked_count: unsigned("count", row.3)?,
        orphaned_count: unsigned("count", row.4)?,
        dead_count: unsigned("count", row.5)?,
        recompute_count: unsigned("count", row.6)?,
        approval_count: unsigned("count", row.7)?,
    })
}
