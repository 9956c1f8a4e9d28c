//! Checks the ledger against itself on SQLite, in one snapshot and in chunks, so that memory stays bounded.

use std::collections::{BTreeMap, HashMap};

use ledger::{Book, Listed, Order, StatusMap, level};
use values::{Quantity, ShopId, StockId};

use super::{Sqlite, WriteTx};
use crate::check::{BROKEN_MAX, Broken};
use crate::error::{Error, failed};
use crate::registry::{Shop, ShopState};
use crate::rows::{
    LineColumns, OrderColumns, StockColumns, id, line, order_row, quantity, sku, sku_book, stock_columns,
    unsigned,
};

/// SKUs checked at a time.
const SKUS_CHUNK: i64 = 2_000;
/// Orders and stocks read at a time.
const ROWS_CHUNK: u32 = 2_000;

const BALANCES: &str = "
SELECT (SELECT sku FROM inventory_skus WHERE id = sku_id), warehouse, sum(on_hand), sum(reserved),
       sum(folded_on_hand), sum(folded_reserved)
  FROM (SELECT k.id AS sku_id, j.value ->> 0 AS warehouse, j.value ->> 1 AS on_hand, j.value ->> 2 AS reserved,
               0 AS folded_on_hand, 0 AS folded_reserved
          FROM inventory_skus AS k, jsonb_each(k.balances) AS j WHERE k.id > ?1 AND k.id <= ?2
        UNION ALL
        SELECT sku_id, warehouse, 0, 0, on_hand_delta, reserved_delta
          FROM inventory_movements WHERE sku_id > ?1 AND sku_id <= ?2)
 GROUP BY sku_id, warehouse
HAVING sum(on_hand) <> sum(folded_on_hand) OR sum(reserved) <> sum(folded_reserved)
 LIMIT ?3";

const CHAINS: &str = "
SELECT k.sku, c.number
  FROM (SELECT sku_id, number, on_hand, reserved, on_hand_delta, reserved_delta,
               lag(on_hand, 1, 0) OVER w AS on_hand_before, lag(reserved, 1, 0) OVER w AS reserved_before
          FROM inventory_movements WHERE sku_id > ?1 AND sku_id <= ?2
        WINDOW w AS (PARTITION BY sku_id, warehouse ORDER BY number)) AS c
  JOIN inventory_skus AS k ON k.id = c.sku_id
 WHERE on_hand <> on_hand_before + on_hand_delta OR reserved <> reserved_before + reserved_delta
 LIMIT ?3";

const NUMBERS: &str = "
SELECT k.sku, k.movement_count, count(m.number), coalesce(max(m.number), 0)
  FROM inventory_skus AS k LEFT JOIN inventory_movements AS m ON m.sku_id = k.id
 WHERE k.id > ?1 AND k.id <= ?2
 GROUP BY k.id
HAVING count(m.number) <> k.movement_count OR coalesce(max(m.number), 0) <> k.movement_count
    OR coalesce(min(m.number), 1) <> 1
 LIMIT ?3";

const RESERVED: &str = "
SELECT (SELECT sku FROM inventory_skus WHERE id = sku_id), warehouse, sum(reserved), sum(held)
  FROM (SELECT k.id AS sku_id, j.value ->> 0 AS warehouse, j.value ->> 2 AS reserved, 0 AS held
          FROM inventory_skus AS k, jsonb_each(k.balances) AS j WHERE k.id > ?1 AND k.id <= ?2
        UNION ALL
        SELECT l.sku_id, j.value ->> 0, 0, j.value ->> 1
          FROM inventory_lines AS l, jsonb_each(l.holds) AS j
         WHERE l.reserved <> 0 AND l.sku_id > ?1 AND l.sku_id <= ?2)
 GROUP BY sku_id, warehouse
HAVING sum(reserved) <> sum(held)
 LIMIT ?3";

const SKUS: &str = "
SELECT id, sku, movement_count, counted_at, balances
  FROM inventory_skus WHERE id > ?1 AND id <= ?2 AND id NOT IN (SELECT sku_id FROM inventory_recompute_skus)";

const STOCKS_OF_SKUS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory_stocks AS s JOIN inventory_skus AS k ON k.id = s.sku_id
     WHERE s.sku_id > ?1 AND s.sku_id <= ?2 AND s.removed = 0"
);

const STOCKS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory_stocks AS s LEFT JOIN inventory_skus AS k ON k.id = s.sku_id
     WHERE (s.shop, s.holder) > (?1, ?2) ORDER BY s.shop, s.holder LIMIT ?3"
);

const ORDERS: &str = "
SELECT shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
       reread, expired, expires_at, unconfirmed_since, predates
  FROM inventory_orders WHERE (shop, order_id) > (?1, ?2) ORDER BY shop, order_id LIMIT ?3";

const LINES: &str = "
SELECT l.shop, l.order_id, l.line, l.product, l.variation, l.holder, l.sku_id, k.sku, l.quantity, l.taken,
       l.restocked, l.ever_taken, l.removed, l.holds
  FROM inventory_lines AS l LEFT JOIN inventory_skus AS k ON k.id = l.sku_id
 WHERE (l.shop, l.order_id) > (?1, ?2) AND (l.shop, l.order_id) <= (?3, ?4)
 ORDER BY l.shop, l.order_id, l.position";

const ORDER_SUMS: &str = "
SELECT o.shop, o.order_id
  FROM inventory_orders AS o
 WHERE (o.shop, o.order_id) > (?1, ?2) AND (o.shop, o.order_id) <= (?3, ?4)
   AND (o.open <> EXISTS (SELECT 1 FROM inventory_lines AS l
                           WHERE l.shop = o.shop AND l.order_id = o.order_id AND l.reserved <> 0)
        OR EXISTS (SELECT 1 FROM inventory_lines AS l
                    WHERE l.shop = o.shop AND l.order_id = o.order_id
                      AND l.reserved <> (SELECT coalesce(sum(j.value ->> 1), 0) FROM jsonb_each(l.holds) AS j)))";

const AHEAD: &str = "
SELECT s.shop, s.holder FROM egress_stocks AS e JOIN inventory_stocks AS s ON s.shop = e.shop AND s.holder = e.holder
 WHERE (e.target ->> 0, e.target ->> 1) > (s.epoch, s.revision) LIMIT ?1";

/// What lines say of a stock: taken, and yet to be taken.
type LineSums = HashMap<StockId, (Quantity, Quantity)>;

impl Sqlite {
    pub(crate) async fn check(&self) -> Result<Vec<Broken>, Error> {
        let shops: BTreeMap<ShopId, Shop> =
            self.shops(None).await?.into_iter().map(|shop| (shop.id, shop)).collect();
        let mut check = Check { tx: self.snapshot().await?, shops, broken: Vec::new() };
        check.skus().await?;
        let sums = check.orders().await?;
        check.stocks(sums).await?;
        check.broken.truncate(BROKEN_MAX);
        Ok(check.broken)
    }
}

struct Check {
    tx: WriteTx,
    shops: BTreeMap<ShopId, Shop>,
    broken: Vec<Broken>,
}

impl Check {
    fn is_full(&self) -> bool {
        self.broken.len() >= BROKEN_MAX
    }

    async fn skus(&mut self) -> Result<(), Error> {
        let last: i64 = sqlx::query_scalar(
            "SELECT max(coalesce((SELECT max(id) FROM inventory_skus), 0),
                        coalesce((SELECT max(sku_id) FROM inventory_movements), 0))",
        )
        .fetch_one(&mut *self.tx)
        .await
        .map_err(failed("count SKUs"))?;
        let mut from = 0;
        while from < last && !self.is_full() {
            let to = from.saturating_add(SKUS_CHUNK);
            self.balances(from, to).await?;
            self.movements(from, to).await?;
            self.levels(from, to).await?;
            from = to;
        }
        Ok(())
    }

    async fn chunk<T>(&mut self, statement: &'static str, from: i64, to: i64) -> Result<Vec<T>, Error>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        sqlx::query_as(statement)
            .bind(from)
            .bind(to)
            .bind(i64::try_from(BROKEN_MAX).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("check SKUs"))
    }

    async fn balances(&mut self, from: i64, to: i64) -> Result<(), Error> {
        let rows: Vec<(String, i64, i64, i64, i64, i64)> = self.chunk(BALANCES, from, to).await?;
        for (code, warehouse, on_hand, reserved, folded_on_hand, folded_reserved) in rows {
            self.broken.push(Broken::Balance {
                sku: sku(&code)?,
                warehouse: id("warehouse", warehouse)?,
                stored: (quantity(on_hand), quantity(reserved)),
                folded: (quantity(folded_on_hand), quantity(folded_reserved)),
            });
        }
        let rows: Vec<(String, i64, i64, i64)> = self.chunk(RESERVED, from, to).await?;
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

    async fn movements(&mut self, from: i64, to: i64) -> Result<(), Error> {
        let rows: Vec<(String, i64)> = self.chunk(CHAINS, from, to).await?;
        for (code, number) in rows {
            self.broken
                .push(Broken::Chain { sku: sku(&code)?, number: unsigned("movement number", number)? });
        }
        let rows: Vec<(String, i64, i64, i64)> = self.chunk(NUMBERS, from, to).await?;
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

    /// SKUs that wait to be recomputed are left out: their levels are known to be old.
    async fn levels(&mut self, from: i64, to: i64) -> Result<(), Error> {
        let skus: Vec<(i64, String, i64, Option<i64>, String)> = self.chunk(SKUS, from, to).await?;
        let mut book = Book::default();
        for (_, code, count, counted_at, balances) in skus {
            // What cannot be loaded (reserved below zero) is reported as a balance that does not fold.
            if let Ok(loaded) = sku_book(count, counted_at, &balances) {
                book.load(sku(&code)?, loaded);
            }
        }
        let stocks: Vec<StockColumns> = self.chunk(STOCKS_OF_SKUS, from, to).await?;
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

    async fn orders(&mut self) -> Result<LineSums, Error> {
        let mut sums = LineSums::new();
        let mut after = (0, 0);
        loop {
            let orders: Vec<OrderColumns> = sqlx::query_as(ORDERS)
                .bind(after.0)
                .bind(after.1)
                .bind(ROWS_CHUNK)
                .fetch_all(&mut *self.tx)
                .await
                .map_err(failed("check orders"))?;
            let Some(to) = orders.last().map(|row| (row.0, row.1)) else {
                return Ok(sums);
            };
            let mut loaded = BTreeMap::new();
            for row in orders {
                let row = order_row(row)?;
                loaded.insert((row.shop, row.order.id), row.order);
            }
            let lines: Vec<LineColumns> = self.orders_chunk(LINES, after, to).await?;
            for row in lines {
                if let Some(order) = loaded.get_mut(&(id("shop", row.0)?, id("order", row.1)?)) {
                    order.lines.push(line(&row)?);
                }
            }
            for ((shop, _), order) in &loaded {
                self.add_lines(&mut sums, *shop, order);
            }
            let wrong: Vec<(i64, i64)> = self.orders_chunk(ORDER_SUMS, after, to).await?;
            for (shop, order) in wrong {
                self.broken.push(Broken::OrderSum { shop: id("shop", shop)?, order: id("order", order)? });
            }
            after = to;
        }
    }

    async fn orders_chunk<T>(
        &mut self,
        statement: &'static str,
        after: (i64, i64),
        to: (i64, i64),
    ) -> Result<Vec<T>, Error>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        sqlx::query_as(statement)
            .bind(after.0)
            .bind(after.1)
            .bind(to.0)
            .bind(to.1)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("check order lines"))
    }

    /// As the ledger counts what an order means for its stocks.
    fn add_lines(&self, sums: &mut LineSums, shop: ShopId, order: &Order) {
        let default = StatusMap::default();
        let statuses = self.shops.get(&shop).map_or(&default, |shop| &shop.settings.statuses);
        let rule = statuses.rule(&order.status);
        let confirmed = order.applied.is_none_or(|applied| applied.confirmed);
        for line in &order.lines {
            if let Some(holder) = line.stock {
                let (taken, untaken) = sums.entry(StockId { shop, holder }).or_default();
                *taken += line.taken_or_zero();
                if !order.gone {
                    *untaken += line.untaken(rule, confirmed);
                }
            }
        }
    }

    async fn stocks(&mut self, mut sums: LineSums) -> Result<(), Error> {
        let mut after = (0, 0);
        loop {
            let rows: Vec<StockColumns> = sqlx::query_as(STOCKS)
                .bind(after.0)
                .bind(after.1)
                .bind(ROWS_CHUNK)
                .fetch_all(&mut *self.tx)
                .await
                .map_err(failed("check stocks"))?;
            if rows.is_empty() || self.is_full() {
                break;
            }
            for columns in rows {
                let row = columns.row()?;
                after = (row.id.shop.get(), row.id.holder.get());
                let sums = sums.remove(&row.id).unwrap_or_default();
                self.compare_taken(row.id, (row.taken_total, row.untaken), sums);
            }
        }
        // Lines of a stock that has no row at all.
        for (stock, sums) in sums {
            self.compare_taken(stock, Default::default(), sums);
        }
        let ahead: Vec<(i64, i64)> = sqlx::query_as(AHEAD)
            .bind(i64::try_from(BROKEN_MAX).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("check what was published"))?;
        for (shop, holder) in ahead {
            self.broken.push(Broken::Ahead { stock: crate::rows::stock_id(shop, holder)? });
        }
        Ok(())
    }

    fn compare_taken(&mut self, stock: StockId, stored: (Quantity, Quantity), sums: (Quantity, Quantity)) {
        if stored.0 != sums.0 {
            self.broken.push(Broken::Taken { stock, stored: stored.0, summed: sums.0 });
        }
        if stored.1 != sums.1 {
            self.broken.push(Broken::Untaken { stock, stored: stored.1, summed: sums.1 });
        }
    }
}
