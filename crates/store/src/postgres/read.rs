//! Readers on PostgreSQL: stock, orders, movements, and why a number is what it is.

use std::collections::BTreeMap;

use values::{OrderId, ProductId, ShopId, Sku, StockId};

use super::parameters::{all, maybe, one, page, rows, with};
use super::{Postgres, WriteTx, egress};
use crate::error::Error;
use crate::inventory::{OrderRow, Posted, StockRow};
use crate::report::{Explanation, Openings, PAGE_ROWS_MAX, SkuStock};
use crate::rows::lines::{LineColumns, line_columns};
use crate::rows::read::{
    HoldColumns, MovementColumns, SkuColumns, SumColumns, movement_sum, open_hold, openings, posted,
    sku_stocks,
};
use crate::rows::{OrderColumns, StockColumns, id, order_row, stock_columns, stock_id, unsigned};

const SKU_PAGE: &str = "
SELECT id, sku, movement_count, counted_at, balances FROM inventory.skus WHERE sku > $1 ORDER BY sku LIMIT $2";

const SKUS: &str = "
SELECT id, sku, movement_count, counted_at, balances FROM inventory.skus WHERE sku = ANY ($1) ORDER BY sku";

const STOCKS_OF_SKUS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory.stocks AS s JOIN inventory.skus AS k ON k.id = s.sku_id
     WHERE s.sku_id = ANY ($1) AND NOT s.removed ORDER BY s.shop, s.holder"
);

const STOCK_PAGE: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory.stocks AS s LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
     WHERE s.shop = $1 AND s.holder > $2 ORDER BY s.holder LIMIT $3"
);

const OPENINGS: &str = "
SELECT opening, count(*) FROM inventory.stocks
 WHERE shop = $1 AND NOT removed AND opening <> 0 GROUP BY opening";

const PARENTS: &str = "
SELECT s.shop, s.holder, s.parent
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
  JOIN inventory.stocks AS s ON s.shop = w.shop AND s.holder = w.holder WHERE s.parent IS NOT NULL";

const ORDER: &str = "
SELECT shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
       reread, expired, expires_at, unconfirmed_since, predates
  FROM inventory.orders WHERE shop = $1 AND order_id = $2";

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
  FROM inventory.lines AS l LEFT JOIN inventory.skus AS k ON k.id = l.sku_id
 WHERE l.shop = $1 AND l.order_id = $2 ORDER BY l.position"
);

const OPEN_ORDERS: &str = "
SELECT order_id FROM inventory.orders WHERE open AND shop = $1 AND order_id > $2 ORDER BY order_id LIMIT $3";

const MOVEMENTS: &str = "
SELECT m.number, m.warehouse, m.kind, m.on_hand_delta, m.reserved_delta, m.on_hand, m.reserved, m.shop, m.order_id,
       m.line, m.at, m.actor, m.reason, m.operation, m.trace, m.tag_set,
       (SELECT t.tags FROM inventory.tag_sets AS t WHERE t.id = m.tag_set) AS tags
  FROM inventory.movements AS m
 WHERE m.sku_id = (SELECT id FROM inventory.skus WHERE sku = $1) AND m.number > $2
 ORDER BY m.number LIMIT $3";

const SUMS: &str = "
SELECT warehouse, kind, count(*), sum(on_hand_delta)::bigint, sum(reserved_delta)::bigint
  FROM inventory.movements WHERE sku_id = $1 GROUP BY warehouse, kind ORDER BY warehouse, kind COLLATE \"C\"";

const HOLDS: &str = "
SELECT l.shop, l.order_id, o.status, l.line, l.holds
  FROM inventory.lines AS l JOIN inventory.orders AS o ON o.shop = l.shop AND o.order_id = l.order_id
 WHERE l.sku_id = $1 AND l.reserved <> 0 ORDER BY l.shop, l.order_id, l.position LIMIT $2";

const HOLD_COUNT: &str = "SELECT count(*) FROM inventory.lines WHERE sku_id = $1 AND reserved <> 0";

impl Postgres {
    pub(crate) async fn stock_page(&self, after: Option<&Sku>, limit: u32) -> Result<Vec<SkuStock>, Error> {
        let mut tx = self.snapshot().await?;
        let parameters = with(after.map_or("", Sku::as_str)).and(page(limit));
        let skus: Vec<SkuColumns> = all(&mut *tx, "list stock", SKU_PAGE, parameters).await?;
        with_stocks(&mut tx, skus).await
    }

    pub(crate) async fn stock_of(&self, skus: &[Sku]) -> Result<Vec<SkuStock>, Error> {
        let mut tx = self.snapshot().await?;
        let skus = sku_rows(&mut tx, skus).await?;
        with_stocks(&mut tx, skus).await
    }

    pub(crate) async fn stocks_of_shop(
        &self,
        shop: ShopId,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<StockRow>, Error> {
        let holder = after.map_or(0, |stock| stock.holder.get());
        let parameters = with(shop.get()).and(holder).and(page(limit));
        let found: Vec<StockColumns> =
            all(&self.pool, "list a shop's stocks", STOCK_PAGE, parameters).await?;
        found.iter().map(StockColumns::row).collect()
    }

    pub(crate) async fn openings(&self, shop: ShopId) -> Result<Openings, Error> {
        openings(all(&self.pool, "count the openings of a shop", OPENINGS, with(shop.get())).await?)
    }

    /// The parents of those stocks that are variations'.
    pub(crate) async fn stock_parents(
        &self,
        stocks: &[StockId],
    ) -> Result<BTreeMap<StockId, ProductId>, Error> {
        let keys: Vec<_> = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
        let found: Vec<(i64, i64, i64)> =
            all(&self.pool, "look up the parents of stocks", PARENTS, rows(&keys)).await?;
        found
            .into_iter()
            .map(|(shop, holder, parent)| Ok((stock_id(shop, holder)?, id("product", parent)?)))
            .collect()
    }

    pub(crate) async fn order(&self, shop: ShopId, order: OrderId) -> Result<Option<OrderRow>, Error> {
        let mut tx = self.snapshot().await?;
        let key = || with(shop.get()).and(order.get());
        let row: Option<OrderColumns> = maybe(&mut *tx, "read an order", ORDER, key()).await?;
        let Some(mut found) = row.map(order_row).transpose()? else {
            return Ok(None);
        };
        let lines: Vec<LineColumns> = all(&mut *tx, "read an order's lines", LINES, key()).await?;
        found.order.lines = lines.iter().map(LineColumns::line).collect::<Result<_, _>>()?;
        Ok(Some(found))
    }

    pub(crate) async fn open_orders(
        &self,
        shop: ShopId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        let parameters = with(shop.get()).and(after.map_or(0, OrderId::get)).and(page(limit));
        let found: Vec<(i64,)> = all(&self.pool, "list open orders", OPEN_ORDERS, parameters).await?;
        found.into_iter().map(|(order,)| id("order", order)).collect()
    }

    pub(crate) async fn movements(&self, of: &Sku, after: u64, limit: u32) -> Result<Vec<Posted>, Error> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let parameters = with(of.as_str()).and(after).and(page(limit));
        let found: Vec<MovementColumns> = all(&self.pool, "list movements", MOVEMENTS, parameters).await?;
        found.into_iter().map(|row| posted(of, row)).collect()
    }

    pub(crate) async fn explain(&self, of: &Sku) -> Result<Option<Explanation>, Error> {
        let mut tx = self.snapshot().await?;
        let skus = sku_rows(&mut tx, std::slice::from_ref(of)).await?;
        let Some(sku_id) = skus.first().map(|row| row.0) else {
            return Ok(None);
        };
        let sums: Vec<SumColumns> = all(&mut *tx, "sum movements", SUMS, with(sku_id)).await?;
        let sums = sums.into_iter().map(movement_sum).collect::<Result<_, _>>()?;
        let parameters = with(sku_id).and(page(PAGE_ROWS_MAX));
        let held: Vec<HoldColumns> = all(&mut *tx, "list open holds", HOLDS, parameters).await?;
        let held = held.into_iter().map(open_hold).collect::<Result<_, _>>()?;
        let (hold_count,) = one(&mut *tx, "count open holds", HOLD_COUNT, with(sku_id)).await?;
        let hold_count = unsigned("count", hold_count)?;
        let Some(stock) = with_stocks(&mut tx, skus).await?.pop() else {
            return Ok(None);
        };
        let stocks: Vec<StockId> = stock.stocks.iter().map(|row| row.id).collect();
        let pushes = egress::pushes_in(&mut tx, &stocks).await?;
        Ok(Some(Explanation { stock, sums, holds: held, hold_count, pushes }))
    }
}

async fn sku_rows(tx: &mut WriteTx, skus: &[Sku]) -> Result<Vec<SkuColumns>, Error> {
    let codes: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    all(&mut **tx, "read SKUs", SKUS, with(codes)).await
}

async fn with_stocks(tx: &mut WriteTx, skus: Vec<SkuColumns>) -> Result<Vec<SkuStock>, Error> {
    let ids: Vec<i64> = skus.iter().map(|row| row.0).collect();
    let stocks: Vec<StockColumns> =
        all(&mut **tx, "read the stocks of SKUs", STOCKS_OF_SKUS, with(ids)).await?;
    sku_stocks(skus, &stocks)
}
