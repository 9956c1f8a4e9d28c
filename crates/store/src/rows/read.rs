//! What readers show, as rows: SKUs with their stocks, movements, holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Balance, Cause, Movement, MovementKind};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use values::Sku;

use super::lines::LineColumns;
use super::registry::tag_set;
use super::{
    OrderColumns, StockColumns, bytes16, holds, id, opening, order_row, quantity, signed, sku, sku_book,
    timestamp, unsigned,
};
use crate::error::Error;
use crate::inventory::{OrderRow, Posted, Posting, StockOpening, StockRow};
use crate::report::{MovementPlace, MovementSum, OpenHold, Openings, SkuStock};

/// Id, SKU, number of its last movement, counted at, balances.
pub(crate) type SkuColumns = (i64, String, i64, Option<i64>, String);

/// The SKUs, each with those of the stocks that are mapped to it.
pub(crate) fn sku_stocks(skus: Vec<SkuColumns>, stocks: &[StockColumns]) -> Result<Vec<SkuStock>, Error> {
    let mut by_sku: BTreeMap<i64, Vec<StockRow>> = BTreeMap::new();
    for columns in stocks {
        if let Some(sku_id) = columns.sku_id {
            by_sku.entry(sku_id).or_default().push(columns.row()?);
        }
    }
    skus.into_iter()
        .map(|(sku_id, code, count, counted_at, balances)| {
            Ok(SkuStock {
                sku: sku(&code)?,
                book: sku_book(count, counted_at, &balances)?,
                stocks: by_sku.remove(&sku_id).unwrap_or_default(),
            })
        })
        .collect()
}

/// Of how many stocks each state there is.
pub(crate) fn openings(rows: Vec<(i64, i64)>) -> Result<Openings, Error> {
    let mut openings = Openings::default();
    for (number, count) in rows {
        let place = match opening(number)? {
            StockOpening::None => continue,
            StockOpening::Awaited => &mut openings.awaited_count,
            StockOpening::Opened => &mut openings.opened_count,
            StockOpening::LeftAlone => &mut openings.left_alone_count,
        };
        *place = unsigned("count", count)?;
    }
    Ok(openings)
}

/// A movement, with its tags and their number.
pub(crate) struct MovementColumns {
    first: FirstMovementColumns,
    tag_set: Option<i64>,
    tags: Option<String>,
}

impl<'r, R: Row> FromRow<'r, R> for MovementColumns
where
    usize: ColumnIndex<R>,
    for<'n> &'n str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            first: FromRow::from_row(row)?,
            tag_set: row.try_get("tag_set")?,
            tags: row.try_get("tags")?,
        })
    }
}

/// Number, warehouse, kind, deltas, balance after, cause, at, actor, reason, operation, trace.
type FirstMovementColumns = (
    i64,
    i64,
    String,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
);

pub(crate) fn posted(of: &Sku, row: MovementColumns) -> Result<Posted, Error> {
    let (
        number,
        warehouse,
        kind,
        on_hand_delta,
        reserved_delta,
        on_hand,
        reserved,
        shop,
        order,
        line,
        at,
        actor,
        reason,
        operation,
        trace,
    ) = row.first;
    let tags = row.tag_set.zip(row.tags).map(|(id, text)| tag_set(id, &text)).transpose()?;
    let cause = match (shop, order, line) {
        (Some(shop), Some(order), Some(line)) => {
            Cause::Order { shop: id("shop", shop)?, order: id("order", order)?, line: id("line", line)? }
        }
        _ => Cause::Operation,
    };
    Ok(Posted {
        movement: Movement {
            sku: of.clone(),
            number: unsigned("movement number", number)?,
            warehouse: id("warehouse", warehouse)?,
            kind: movement_kind(&kind)?,
            on_hand_delta: quantity(on_hand_delta),
            reserved_delta: quantity(reserved_delta),
            after: Balance { on_hand: quantity(on_hand), reserved: quantity(reserved) },
            cause,
        },
        posting: Posting {
            at: timestamp(at),
            actor: actor.map(Into::into),
            reason: reason.map(Into::into),
            operation: operation.map(Into::into),
            trace: trace.map(|trace| bytes16("trace id", &trace)).transpose()?,
            tags: tags.map(Arc::new),
        },
    })
}

/// A movement with its SKU, and its place among all.
pub(crate) struct PlacedColumns {
    movement: MovementColumns,
    sku_id: i64,
    sku: String,
}

impl<'r, R: Row> FromRow<'r, R> for PlacedColumns
where
    MovementColumns: FromRow<'r, R>,
    for<'n> &'n str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            movement: FromRow::from_row(row)?,
            sku_id: row.try_get("of_sku")?,
            sku: row.try_get("sku_text")?,
        })
    }
}

pub(crate) fn placed(row: PlacedColumns) -> Result<(MovementPlace, Posted), Error> {
    let posted = posted(&sku(&row.sku)?, row.movement)?;
    Ok((MovementPlace { sku_id: row.sku_id, number: posted.movement.number }, posted))
}

/// SKU, number.
pub(crate) fn place_columns(after: Option<MovementPlace>) -> (i64, i64) {
    after.map_or((0, 0), |place| (place.sku_id, signed(place.number)))
}

/// The orders, each with its lines; both in the order of their keys.
pub(crate) fn with_lines(orders: Vec<OrderColumns>, lines: &[LineColumns]) -> Result<Vec<OrderRow>, Error> {
    let mut lines = lines.iter().peekable();
    let mut found = Vec::with_capacity(orders.len());
    for columns in orders {
        let key = (columns.0, columns.1);
        let mut row = order_row(columns)?;
        while let Some(line) = lines.next_if(|line| (line.shop, line.order) == key) {
            row.order.lines.push(line.line()?);
        }
        found.push(row);
    }
    Ok(found)
}

fn movement_kind(word: &str) -> Result<MovementKind, Error> {
    MovementKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| Error::damaged("kind of movement", word))
}

/// Warehouse, kind, count, on-hand delta, reserved delta.
pub(crate) type SumColumns = (i64, String, i64, i64, i64);

pub(crate) fn movement_sum(row: SumColumns) -> Result<MovementSum, Error> {
    let (warehouse, kind, count, on_hand, reserved) = row;
    Ok(MovementSum {
        warehouse: id("warehouse", warehouse)?,
        kind: movement_kind(&kind)?,
        count: unsigned("count", count)?,
        on_hand: quantity(on_hand),
        reserved: quantity(reserved),
    })
}

/// Shop, order, status, line, holds.
pub(crate) type HoldColumns = (i64, i64, String, i64, String);

pub(crate) fn open_hold(row: HoldColumns) -> Result<OpenHold, Error> {
    let (shop, order, status, line, held) = row;
    Ok(OpenHold {
        shop: id("shop", shop)?,
        order: id("order", order)?,
        status,
        line: id("line", line)?,
        holds: holds(&held)?,
    })
}
