//! What waits in the outbox, as a row.

use std::collections::HashMap;

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{STOCK_COLUMN_COUNT, StockColumns, timestamp};
use crate::error::Error;
use crate::inventory::{Outbox, StockRow, Unpublished};

/// The columns of a stock, then since when it waits, the first and the last order date, and the trace.
#[derive(Debug)]
pub(crate) struct UnpublishedColumns {
    stock: StockColumns,
    since: i64,
    first: Option<i64>,
    last: Option<i64>,
    trace: Option<String>,
}

impl<'r, R: Row> FromRow<'r, R> for UnpublishedColumns
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            stock: StockColumns::from_row(row)?,
            since: row.try_get(STOCK_COLUMN_COUNT)?,
            first: row.try_get(STOCK_COLUMN_COUNT + 1)?,
            last: row.try_get(STOCK_COLUMN_COUNT + 2)?,
            trace: row.try_get(STOCK_COLUMN_COUNT + 3)?,
        })
    }
}

/// What waits of a stock: shop, holder, since when, the first and the last order date, and the trace.
pub(crate) type WaitingColumns = (i64, i64, i64, Option<i64>, Option<i64>, Option<String>);

/// The stocks that wait, as they were just saved.
pub(crate) fn as_they_wait(saved: &[StockRow], waiting: Vec<WaitingColumns>) -> Vec<Unpublished> {
    let saved: HashMap<_, _> =
        saved.iter().map(|row| ((row.id.shop.get(), row.id.holder.get()), row)).collect();
    let unpublished = |(shop, holder, since, first, last, trace): WaitingColumns| {
        let row = saved.get(&(shop, holder))?;
        let order_dates = first.map(timestamp).zip(last.map(timestamp));
        let stock = StockRow { order_dates, trace: trace.map(Into::into), ..StockRow::clone(row) };
        Some(Unpublished { stock, since: timestamp(since) })
    };
    waiting.into_iter().filter_map(unpublished).collect()
}

/// A page; only what has no key that can be read fails all of it.
pub(crate) fn outbox(rows: Vec<UnpublishedColumns>) -> Result<Outbox, Error> {
    let mut page = Outbox::default();
    for row in rows {
        let stock = row.stock.id()?;
        match unpublished(row) {
            Ok(level) => page.levels.push(level),
            Err(error) => page.damaged.push((stock, error)),
        }
    }
    Ok(page)
}

fn unpublished(row: UnpublishedColumns) -> Result<Unpublished, Error> {
    let order_dates = row.first.map(timestamp).zip(row.last.map(timestamp));
    let stock = StockRow { order_dates, trace: row.trace.map(Into::into), ..row.stock.row()? };
    Ok(Unpublished { stock, since: timestamp(row.since) })
}
