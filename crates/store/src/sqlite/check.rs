//! Checks the ledger against itself on SQLite, in one snapshot and in chunks, so that memory stays bounded.

use super::{Sqlite, WriteTx};
use crate::check::Broken;
use crate::error::{Error, failed};
use crate::findings::{Findings, ROWS_CHUNK, ROWS_MAX, SKUS_CHUNK};
use crate::rows::lines::line_columns;
use crate::rows::{OrderColumns, StockColumns, stock_columns};

const LAST_SKU: &str = "
SELECT max(coalesce((SELECT max(id) FROM inventory_skus), 0),
           coalesce((SELECT max(sku_id) FROM inventory_movements), 0))";

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

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
  FROM inventory_lines AS l LEFT JOIN inventory_skus AS k ON k.id = l.sku_id
 WHERE (l.shop, l.order_id) > (?1, ?2) AND (l.shop, l.order_id) <= (?3, ?4)
 ORDER BY l.shop, l.order_id, l.position"
);

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

impl Sqlite {
    pub(crate) async fn check(&self) -> Result<Vec<Broken>, Error> {
        let findings = Findings::new(self.shops(None).await?);
        let mut check = Check { tx: self.snapshot().await?, findings };
        check.skus().await?;
        check.orders().await?;
        check.stocks().await?;
        Ok(check.findings.end())
    }
}

struct Check {
    tx: WriteTx,
    findings: Findings,
}

impl Check {
    async fn skus(&mut self) -> Result<(), Error> {
        let last: i64 =
            sqlx::query_scalar(LAST_SKU).fetch_one(&mut *self.tx).await.map_err(failed("count SKUs"))?;
        let mut from = 0;
        while from < last && !self.findings.is_full() {
            let to = from.saturating_add(SKUS_CHUNK);
            let balances = self.chunk(BALANCES, from, to).await?;
            self.findings.balances(balances)?;
            let reserved = self.chunk(RESERVED, from, to).await?;
            self.findings.reserved(reserved)?;
            let chains = self.chunk(CHAINS, from, to).await?;
            self.findings.chains(chains)?;
            let numbers = self.chunk(NUMBERS, from, to).await?;
            self.findings.numbers(numbers)?;
            let skus = self.chunk(SKUS, from, to).await?;
            let stocks: Vec<StockColumns> = self.chunk(STOCKS_OF_SKUS, from, to).await?;
            self.findings.levels(skus, &stocks)?;
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
            .bind(ROWS_MAX)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("check SKUs"))
    }

    async fn orders(&mut self) -> Result<(), Error> {
        let mut after = (0, 0);
        loop {
            let orders: Vec<OrderColumns> = self.page(ORDERS, after).await?;
            let Some(to) = orders.last().map(|row| (row.0, row.1)) else {
                return Ok(());
            };
            let lines = self.between(LINES, after, to).await?;
            self.findings.orders(orders, lines)?;
            let wrong = self.between(ORDER_SUMS, after, to).await?;
            self.findings.order_sums(wrong)?;
            after = to;
        }
    }

    /// Orders or stocks from after a key.
    async fn page<T>(&mut self, statement: &'static str, after: (i64, i64)) -> Result<Vec<T>, Error>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
    {
        sqlx::query_as(statement)
            .bind(after.0)
            .bind(after.1)
            .bind(ROWS_CHUNK)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("check orders and stocks"))
    }

    async fn between<T>(
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

    async fn stocks(&mut self) -> Result<(), Error> {
        let mut after = Some((0, 0));
        while let Some(key) = after.filter(|_| !self.findings.is_full()) {
            let rows: Vec<StockColumns> = self.page(STOCKS, key).await?;
            after = self.findings.stocks(&rows)?;
        }
        let ahead = sqlx::query_as(AHEAD)
            .bind(ROWS_MAX)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("check what was published"))?;
        self.findings.ahead(ahead)
    }
}
