//! A line of an order as it is read.

use ledger::Line;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use values::LineFault;

use super::{holds, id, listing, quantity, sku, some_id};
use crate::error::Error;

/// What [`LineColumns`] are, of `l` with the SKU `k`.
macro_rules! line_columns {
    () => {
        "l.shop, l.order_id, l.line, l.product, l.variation, l.holder, l.sku_id, k.sku, l.quantity, l.taken, \
         l.restocked, l.ever_taken, l.removed, l.holds, l.unmanaged, l.fault, l.code"
    };
}
pub(crate) use line_columns;

/// The columns of a line.
#[derive(Debug)]
pub(crate) struct LineColumns {
    pub(crate) shop: i64,
    pub(crate) order: i64,
    line: i64,
    product: Option<i64>,
    variation: Option<i64>,
    holder: Option<i64>,
    pub(crate) sku_id: Option<i64>,
    sku: Option<String>,
    quantity: i64,
    taken: Option<i64>,
    restocked: i64,
    ever_taken: bool,
    removed: bool,
    holds: String,
    unmanaged: bool,
    fault: Option<String>,
    code: Option<String>,
}

impl<'r, R: Row> FromRow<'r, R> for LineColumns
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            shop: row.try_get(0)?,
            order: row.try_get(1)?,
            line: row.try_get(2)?,
            product: row.try_get(3)?,
            variation: row.try_get(4)?,
            holder: row.try_get(5)?,
            sku_id: row.try_get(6)?,
            sku: row.try_get(7)?,
            quantity: row.try_get(8)?,
            taken: row.try_get(9)?,
            restocked: row.try_get(10)?,
            ever_taken: row.try_get(11)?,
            removed: row.try_get(12)?,
            holds: row.try_get(13)?,
            unmanaged: row.try_get(14)?,
            fault: row.try_get(15)?,
            code: row.try_get(16)?,
        })
    }
}

impl LineColumns {
    pub(crate) fn line(&self) -> Result<Line, Error> {
        let sold = self.product.map(|product| listing(product, self.variation.unwrap_or(0)));
        Ok(Line {
            id: id("line", self.line)?,
            listing: sold.transpose()?,
            stock: some_id("stock", self.holder)?,
            sku: self.sku.as_deref().map(sku).transpose()?,
            code: self.code.as_deref().map(sku).transpose()?,
            quantity: quantity(self.quantity),
            taken: self.taken.map(quantity),
            restocked: quantity(self.restocked),
            ever_taken: self.ever_taken,
            removed: self.removed,
            unmanaged: self.unmanaged,
            fault: self.fault.as_deref().map(LineFault::of_word),
            holds: holds(&self.holds)?,
        })
    }
}
