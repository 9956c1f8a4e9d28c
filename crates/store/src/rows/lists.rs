//! What needs somebody's attention, and totals, as rows.

use std::collections::BTreeSet;

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use values::{LineFault, ListingKind, Sku, WarehouseId};

use super::{id, listing, quantity, sku, sku_book, some_id, stock_id, timestamp, unsigned};
use crate::error::Error;
use crate::report::{
    ListingRow, Orphan, OrphanCause, ParkedCause, ParkedLine, Stocked, UnmappedCause, UnmappedStock, Waiting,
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

/// Holder, code, name, status, kind, what a person said, mapped SKU with its name.
type FirstOfListing = (
    i64,
    i64,
    Option<i64>,
    Option<String>,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// What is [`FirstOfListing`], then who has the SKU, what there is of it, which other is written like it, whether there are
/// variations, how many share its stock, and which warehouses the shop sells from, as JSON.
#[derive(Debug)]
pub(crate) struct ListingRowColumns {
    first: FirstOfListing,
    owner: Option<i64>,
    balances: Option<String>,
    like: Option<String>,
    is_parent: bool,
    shared_by: i64,
    warehouses: String,
}

impl<'r, R: Row> FromRow<'r, R> for ListingRowColumns
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            first: FromRow::from_row(row)?,
            owner: row.try_get(10)?,
            balances: row.try_get(11)?,
            like: row.try_get(12)?,
            is_parent: row.try_get(13)?,
            shared_by: row.try_get(14)?,
            warehouses: row.try_get(15)?,
        })
    }
}

pub(crate) fn listing_row(row: ListingRowColumns) -> Result<ListingRow, Error> {
    let (product, variation, holder, code, name, status, kind, mapped, mapped_to, sku_name) = row.first;
    // A code that cannot be a SKU is none.
    let code: Option<Sku> = code.and_then(|code| code.parse().ok());
    let mapped = mapped.as_deref().map(sku).transpose()?;
    let mapped_to = mapped_to.as_deref().map(sku).transpose()?;
    let book = row.balances.map(|balances| sku_book(0, None, &balances)).transpose()?;
    let stocked = book.map_or(Ok(Stocked::Nowhere), |book| stocked(&book.stocked, &row.warehouses))?;
    let same_name = sku_name.is_some_and(|sku_name| sku_name.trim().eq_ignore_ascii_case(name.trim()));
    Ok(ListingRow {
        listing: listing(product, variation)?,
        holder: some_id("stock", holder)?,
        named_alike: same_name && code.is_none() && mapped.is_none(),
        code,
        name,
        status,
        kind: kind.as_deref().map(ListingKind::of_word),
        mapped,
        sku: mapped_to,
        owner: some_id("stock", row.owner)?,
        stocked,
        like: row.like.as_deref().map(sku).transpose()?,
        is_parent: row.is_parent,
        shared_by: unsigned("count", row.shared_by)?,
    })
}

fn stocked(there: &BTreeSet<WarehouseId>, warehouses: &str) -> Result<Stocked, Error> {
    let ids: Vec<i64> =
        serde_json::from_str(warehouses).map_err(|_| Error::damaged("list of warehouses", warehouses))?;
    for raw in ids {
        if there.contains(&id("warehouse", raw)?) {
            return Ok(Stocked::Here);
        }
    }
    Ok(if there.is_empty() { Stocked::Nowhere } else { Stocked::Elsewhere })
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
