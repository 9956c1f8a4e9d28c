//! Checks the ledger against itself on PostgreSQL, in one snapshot and in chunks, so that memory stays bounded.

use super::parameters::{all, none, one, with};
use super::registry::SHOPS;
use super::{Postgres, WriteTx};
use crate::check::Broken;
use crate::error::Error;
use crate::findings::{Findings, ROWS_CHUNK, ROWS_MAX, SKUS_CHUNK};
use crate::rows::lines::line_columns;
use crate::rows::registry::{ShopColumns, shop};
use crate::rows::{OrderColumns, StockColumns, stock_columns};

const LAST_SKU: &str = "
SELECT greatest(coalesce((SELECT max(id) FROM inventory.skus), 0),
                coalesce((SELECT max(sku_id) FROM inventory.movements), 0))";

const BALANCES: &str = "
SELECT (SELECT k.sku FROM inventory.skus AS k WHERE k.id = b.sku_id), warehouse, sum(on_hand)::bigint,
       sum(reserved)::bigint, sum(folded_on_hand)::bigint, sum(folded_reserved)::bigint
  FROM (SELECT k.id AS sku_id, (j.value ->> 0)::bigint AS warehouse, (j.value ->> 1)::bigint AS on_hand, (j.value ->> 2)::bigint AS reserved,
               0::bigint AS folded_on_hand, 0::bigint AS folded_reserved
          FROM inventory.skus AS k, json_array_elements(k.balances::json) AS j (value) WHERE k.id > $1 AND k.id <= $2
        UNION ALL
        SELECT sku_id, warehouse, 0, 0, on_hand_delta, reserved_delta
          FROM inventory.movements WHERE sku_id > $1 AND sku_id <= $2) AS b
 GROUP BY sku_id, warehouse
HAVING sum(on_hand) <> sum(folded_on_hand) OR sum(reserved) <> sum(folded_reserved)
 LIMIT $3";

const CHAINS: &str = "
SELECT k.sku, c.number
  FROM (SELECT sku_id, number, on_hand, reserved, on_hand_delta, reserved_delta,
               lag(on_hand, 1, 0::bigint) OVER w AS on_hand_before, lag(reserved, 1, 0::bigint) OVER w AS reserved_before
          FROM inventory.movements WHERE sku_id > $1 AND sku_id <= $2
        WINDOW w AS (PARTITION BY sku_id, warehouse ORDER BY number)) AS c
  JOIN inventory.skus AS k ON k.id = c.sku_id
 WHERE on_hand <> on_hand_before + on_hand_delta OR reserved <> reserved_before + reserved_delta
 ORDER BY c.sku_id, c.number
 LIMIT $3";

const NUMBERS: &str = "
SELECT k.sku, k.movement_count, count(m.number), coalesce(max(m.number), 0)
  FROM inventory.skus AS k LEFT JOIN inventory.movements AS m ON m.sku_id = k.id
 WHERE k.id > $1 AND k.id <= $2
 GROUP BY k.id
HAVING count(m.number) <> k.movement_count OR coalesce(max(m.number), 0) <> k.movement_count
    OR coalesce(min(m.number), 1) <> 1
 LIMIT $3";

const RESERVED: &str = "
SELECT (SELECT k.sku FROM inventory.skus AS k WHERE k.id = b.sku_id), warehouse, sum(reserved)::bigint,
       sum(held)::bigint
  FROM (SELECT k.id AS sku_id, (j.value ->> 0)::bigint AS warehouse, (j.value ->> 2)::bigint AS reserved, 0::bigint AS held
          FROM inventory.skus AS k, json_array_elements(k.balances::json) AS j (value) WHERE k.id > $1 AND k.id <= $2
        UNION ALL
        SELECT l.sku_id, (j.value ->> 0)::bigint, 0, (j.value ->> 1)::bigint
          FROM inventory.lines AS l, json_array_elements(l.holds::json) AS j (value)
         WHERE l.reserved <> 0 AND l.sku_id > $1 AND l.sku_id <= $2) AS b
 GROUP BY sku_id, warehouse
HAVING sum(reserved) <> sum(held)
 LIMIT $3";

const SKUS: &str = "
SELECT id, sku, movement_count, counted_at, balances
  FROM inventory.skus AS k WHERE id > $1 AND id <= $2 AND NOT EXISTS (SELECT 1 FROM inventory.recompute_skus AS m WHERE m.sku_id = k.id)";

const STOCKS_OF_SKUS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory.stocks AS s JOIN inventory.skus AS k ON k.id = s.sku_id
     WHERE s.sku_id > $1 AND s.sku_id <= $2 AND NOT s.removed"
);

const STOCKS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory.stocks AS s LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
     WHERE (s.shop, s.holder) > ($1, $2) ORDER BY s.shop, s.holder LIMIT $3"
);

const ORDERS: &str = "
SELECT shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
       reread, expired, expires_at, unconfirmed_since, predates
  FROM inventory.orders WHERE (shop, order_id) > ($1, $2) ORDER BY shop, order_id LIMIT $3";

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
  FROM inventory.lines AS l LEFT JOIN inventory.skus AS k ON k.id = l.sku_id
 WHERE (l.shop, l.order_id) > ($1, $2) AND (l.shop, l.order_id) <= ($3, $4)
 ORDER BY l.shop, l.order_id, l.position"
);

const ORDER_SUMS: &str = "
SELECT o.shop, o.order_id
  FROM inventory.orders AS o
 WHERE (o.shop, o.order_id) > ($1, $2) AND (o.shop, o.order_id) <= ($3, $4)
   AND (o.open <> EXISTS (SELECT 1 FROM inventory.lines AS l
                           WHERE l.shop = o.shop AND l.order_id = o.order_id AND l.reserved <> 0)
        OR EXISTS (SELECT 1 FROM inventory.lines AS l
                    WHERE l.shop = o.shop AND l.order_id = o.order_id
                      AND l.reserved <> (SELECT coalesce(sum((j.value ->> 1)::bigint), 0) FROM json_array_elements(l.holds::json) AS j (value))))";

const AHEAD: &str = "
SELECT s.shop, s.holder FROM egress.stocks AS e JOIN inventory.stocks AS s ON s.shop = e.shop AND s.holder = e.holder
 WHERE ((e.target::json ->> 0)::bigint, (e.target::json ->> 1)::bigint) > (s.epoch, s.revision) LIMIT $1";

impl Postgres {
    pub(crate) async fn check(&self) -> Result<Vec<Broken>, Error> {
        let mut tx = self.snapshot().await?;
        let shops: Vec<ShopColumns> = all(&mut *tx, "list shops", SHOPS, with(None::<Vec<i64>>)).await?;
        let shops = shops.into_iter().map(shop).collect::<Result<_, _>>()?;
        let mut check = Check { tx, findings: Findings::new(shops) };
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
        let (last,): (i64,) = one(&mut *self.tx, "count SKUs", LAST_SKU, none()).await?;
        let mut from = 0;
        while from < last && !self.findings.is_full() {
            let to = from.saturating_add(SKUS_CHUNK);
            let chunk = || with(from).and(to).and(ROWS_MAX);
            let (tx, doing) = (&mut *self.tx, "check SKUs");
            self.findings.balances(all(&mut *tx, doing, BALANCES, chunk()).await?)?;
            self.findings.reserved(all(&mut *tx, doing, RESERVED, chunk()).await?)?;
            self.findings.chains(all(&mut *tx, doing, CHAINS, chunk()).await?)?;
            self.findings.numbers(all(&mut *tx, doing, NUMBERS, chunk()).await?)?;
            let skus = all(&mut *tx, doing, SKUS, with(from).and(to)).await?;
            let stocks: Vec<StockColumns> = all(&mut *tx, doing, STOCKS_OF_SKUS, with(from).and(to)).await?;
            self.findings.levels(skus, &stocks)?;
            from = to;
        }
        Ok(())
    }

    async fn orders(&mut self) -> Result<(), Error> {
        let mut after = (0, 0);
        loop {
            let (tx, doing) = (&mut *self.tx, "check orders");
            let parameters = with(after.0).and(after.1).and(i64::from(ROWS_CHUNK));
            let orders: Vec<OrderColumns> = all(&mut *tx, doing, ORDERS, parameters).await?;
            let Some(to) = orders.last().map(|row| (row.0, row.1)) else {
                return Ok(());
            };
            let between = || with(after.0).and(after.1).and(to.0).and(to.1);
            let lines = all(&mut *tx, doing, LINES, between()).await?;
            self.findings.orders(orders, lines)?;
            self.findings.order_sums(all(&mut *tx, doing, ORDER_SUMS, between()).await?)?;
            after = to;
        }
    }

    async fn stocks(&mut self) -> Result<(), Error> {
        let mut after = Some((0, 0));
        while let Some((shop, holder)) = after.filter(|_| !self.findings.is_full()) {
            let parameters = with(shop).and(holder).and(i64::from(ROWS_CHUNK));
            let rows: Vec<StockColumns> = all(&mut *self.tx, "check stocks", STOCKS, parameters).await?;
            after = self.findings.stocks(&rows)?;
        }
        let doing = "check what was published";
        self.findings.ahead(all(&mut *self.tx, doing, AHEAD, with(ROWS_MAX)).await?)
    }
}
