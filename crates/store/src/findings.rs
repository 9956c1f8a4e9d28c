//! What a check finds: judges rows as they come, in chunks, alike for every backend.

use std::collections::{BTreeMap, HashMap};

use ledger::{Book, Listed, Order, StatusMap, level};
use values::{Quantity, ShopId, StockId};

use crate::check::{BROKEN_MAX, Broken};
use crate::error::Error;
use crate::registry::{Shop, ShopState};
use crate::rows::lines::LineColumns;
use crate::rows::read::SkuColumns;
use crate::rows::{OrderColumns, StockColumns, id, order_row, quantity, sku, sku_book, stock_id, unsigned};

/// SKUs checked at a time.
pub(crate) const SKUS_CHUNK: i64 = 2_000;
/// Orders and stocks read at a time.
pub(crate) const ROWS_CHUNK: u32 = 2_000;
/// Most broken rows that one statement answers.
#[expect(clippy::as_conversions, clippy::cast_possible_wrap, reason = "a thousand")]
pub(crate) const ROWS_MAX: i64 = BROKEN_MAX as i64;

/// What lines say of a stock: taken, and yet to be taken.
type LineSums = HashMap<StockId, (Quantity, Quantity)>;

/// What was found so far.
pub(crate) struct Findings {
    shops: BTreeMap<ShopId, Shop>,
    sums: LineSums,
    broken: Vec<Broken>,
}

impl Findings {
    pub(crate) fn new(shops: Vec<Shop>) -> Self {
        let shops = shops.into_iter().map(|shop| (shop.id, shop)).collect();
        Self { shops, sums: LineSums::new(), broken: Vec::new() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.broken.len() >= BROKEN_MAX
    }

    /// SKU, warehouse, on hand and reserved as they are stored, and as the movements come to.
    pub(crate) fn balances(&mut self, rows: Vec<(String, i64, i64, i64, i64, i64)>) -> Result<(), Error> {
        for (code, warehouse, on_hand, reserved, folded_on_hand, folded_reserved) in rows {
            self.broken.push(Broken::Balance {
                sku: sku(&code)?,
                warehouse: id("warehouse", warehouse)?,
                stored: (quantity(on_hand), quantity(reserved)),
                folded: (quantity(folded_on_hand), quantity(folded_reserved)),
            });
        }
        Ok(())
    }

    /// SKU, warehouse, reserved as it is stored, and as lines hold it.
    pub(crate) fn reserved(&mut self, rows: Vec<(String, i64, i64, i64)>) -> Result<(), Error> {
        for (code, warehouse, stored, held) in rows {
            self.broken.push(Broken::Reserved {
                sku: sku(&code)?,
                warehouse: id("warehouse", warehouse)?,
                stored: quantity(stored),
                held: quantity(held),
            });
        }
        Ok(())
    }

    /// SKU, number of a movement that does not follow from the one before.
    pub(crate) fn chains(&mut self, rows: Vec<(String, i64)>) -> Result<(), Error> {
        for (code, number) in rows {
            self.broken
                .push(Broken::Chain { sku: sku(&code)?, number: unsigned("movement number", number)? });
        }
        Ok(())
    }

    /// SKU, movements as they were counted, how many there are, number of the last.
    pub(crate) fn numbers(&mut self, rows: Vec<(String, i64, i64, i64)>) -> Result<(), Error> {
        for (code, counted, found, last) in rows {
            self.broken.push(Broken::Numbering {
                sku: sku(&code)?,
                counted: unsigned("count", counted)?,
                found: unsigned("count", found)?,
                last: unsigned("movement number", last)?,
            });
        }
        Ok(())
    }

    /// Without the SKUs that wait to be recomputed: their levels are known to be old.
    pub(crate) fn levels(&mut self, skus: Vec<SkuColumns>, stocks: &[StockColumns]) -> Result<(), Error> {
        let mut book = Book::default();
        for (_, code, count, counted_at, balances) in skus {
            // What cannot be loaded (reserved below zero) is reported as a balance that does not fold.
            if let Ok(loaded) = sku_book(count, counted_at, &balances) {
                book.load(sku(&code)?, loaded);
            }
        }
        for columns in stocks {
            let stock = columns.row()?;
            let Some(code) = stock.sku.as_ref().filter(|code| book.sku(code).is_some()) else {
                continue;
            };
            let Some(shop) = self.shops.get(&stock.id.shop).filter(|shop| shop.state != ShopState::Removed)
            else {
                continue;
            };
            let listed = Listed { buffer: stock.buffer.unwrap_or(shop.settings.buffer), step: stock.step };
            let computed = level(&book, code, &shop.settings.routing, listed);
            if computed != stock.level {
                self.broken.push(Broken::Level { stock: stock.id, stored: stock.level, computed });
            }
        }
        Ok(())
    }

    /// Adds up what the lines of these orders say of their stocks.
    pub(crate) fn orders(&mut self, orders: Vec<OrderColumns>, lines: Vec<LineColumns>) -> Result<(), Error> {
        let mut loaded = BTreeMap::new();
        for row in orders {
            let row = order_row(row)?;
            loaded.insert((row.shop, row.order.id), row.order);
        }
        for row in lines {
            if let Some(order) = loaded.get_mut(&(id("shop", row.shop)?, id("order", row.order)?)) {
                order.lines.push(row.line()?);
            }
        }
        for ((shop, _), order) in &loaded {
            self.add_lines(*shop, order);
        }
        Ok(())
    }

    /// As the ledger counts what an order means for its stocks.
    fn add_lines(&mut self, shop: ShopId, order: &Order) {
        let default = StatusMap::default();
        let statuses = self.shops.get(&shop).map_or(&default, |shop| &shop.settings.statuses);
        let rule = statuses.rule(&order.status);
        let confirmed = order.applied.is_none_or(|applied| applied.confirmed);
        for line in &order.lines {
            if let Some(holder) = line.stock {
                let (taken, untaken) = self.sums.entry(StockId { shop, holder }).or_default();
                *taken += line.taken_or_zero();
                if !order.gone {
                    *untaken += line.untaken(rule, confirmed);
                }
            }
        }
    }

    /// Orders whose own columns contradict their lines.
    pub(crate) fn order_sums(&mut self, rows: Vec<(i64, i64)>) -> Result<(), Error> {
        for (shop, order) in rows {
            self.broken.push(Broken::OrderSum { shop: id("shop", shop)?, order: id("order", order)? });
        }
        Ok(())
    }

    /// Stocks by key, after all orders; the last key, if there may be more.
    pub(crate) fn stocks(&mut self, rows: &[StockColumns]) -> Result<Option<(i64, i64)>, Error> {
        let mut last = None;
        for columns in rows {
            let row = columns.row()?;
            last = Some((row.id.shop.get(), row.id.holder.get()));
            let sums = self.sums.remove(&row.id).unwrap_or_default();
            self.compare_taken(row.id, (row.taken_total, row.untaken), sums);
        }
        Ok(last)
    }

    fn compare_taken(&mut self, stock: StockId, stored: (Quantity, Quantity), sums: (Quantity, Quantity)) {
        if stored.0 != sums.0 {
            self.broken.push(Broken::Taken { stock, stored: stored.0, summed: sums.0 });
        }
        if stored.1 != sums.1 {
            self.broken.push(Broken::Untaken { stock, stored: stored.1, summed: sums.1 });
        }
    }

    /// Stocks of which a level was published that there has not been yet.
    pub(crate) fn ahead(&mut self, rows: Vec<(i64, i64)>) -> Result<(), Error> {
        for (shop, holder) in rows {
            self.broken.push(Broken::Ahead { stock: stock_id(shop, holder)? });
        }
        Ok(())
    }

    /// All that was found, with the lines of stocks that have no row at all.
    pub(crate) fn end(mut self) -> Vec<Broken> {
        if !self.is_full() {
            for (stock, sums) in std::mem::take(&mut self.sums) {
                self.compare_taken(stock, Default::default(), sums);
            }
        }
        self.broken.truncate(BROKEN_MAX);
        self.broken
    }
}
