//! Readers on SQLite: stock, orders, movements, and why a number is what it is.

use std::collections::{BTreeMap, BTreeSet};

use values::{OrderId, ProductId, ShopId, Sku, StockId};

use super::Sqlite;
use crate::error::{Error, failed};
use crate::inventory::{OrderRow, Posted, StockRow};
use crate::report::{Explanation, Openings, PAGE_ROWS_MAX, SkuStock};
use crate::rows::lines::{LineColumns, line_columns};
use crate::rows::read::{
    HoldColumns, MovementColumns, SkuColumns, SumColumns, movement_sum, open_hold, openings, posted,
    sku_stocks,
};
use crate::rows::{OrderColumns, StockColumns, id, json, order_row, stock_columns, stock_id, unsigned};

const SKU_PAGE: &str = "
SELECT id, sku, movement_count, counted_at, balances FROM inventory_skus WHERE sku > ?1 ORDER BY sku LIMIT ?2";

const SKUS: &str = "
SELECT k.id, k.sku, k.movement_count, k.counted_at, k.balances
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_skus AS k ON k.sku = w.value ORDER BY k.sku";

const STOCKS_OF_SKUS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN inventory_stocks AS s ON s.sku_id = w.value AND s.removed = 0
      CROSS JOIN inventory_skus AS k ON k.id = s.sku_id ORDER BY s.shop, s.holder"
);

const STOCK_PAGE: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory_stocks AS s LEFT JOIN inventory_skus AS k ON k.id = s.sku_id
     WHERE s.shop = ?1 AND s.holder > ?2 ORDER BY s.holder LIMIT ?3"
);

const ORDER: &str = "
SELECT shop, order_id, modified_at, digest, origin, last_read, confirmed, older_at, older_digest, status, gone,
       reread, expired, expires_at, unconfirmed_since, predates
  FROM inventory_orders WHERE shop = ?1 AND order_id = ?2";

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
  FROM inventory_lines AS l LEFT JOIN inventory_skus AS k ON k.id = l.sku_id
 WHERE l.shop = ?1 AND l.order_id = ?2 ORDER BY l.position"
);

const OPEN_ORDERS: &str = "
SELECT order_id FROM inventory_orders WHERE open = 1 AND shop = ?1 AND order_id > ?2 ORDER BY order_id LIMIT ?3";

const MOVEMENTS: &str = "
SELECT m.number, m.warehouse, m.kind, m.on_hand_delta, m.reserved_delta, m.on_hand, m.reserved, m.shop, m.order_id,
       m.line, m.at, m.actor, m.reason, m.operation, m.trace, m.tag_set,
       (SELECT t.tags FROM registry_tag_sets AS t WHERE t.id = m.tag_set) AS tags
  FROM inventory_movements AS m
 WHERE m.sku_id = (SELECT id FROM inventory_skus WHERE sku = ?1) AND m.number > ?2
 ORDER BY m.number LIMIT ?3";

const SUMS: &str = "
SELECT warehouse, kind, count(*), sum(on_hand_delta), sum(reserved_delta)
  FROM inventory_movements WHERE sku_id = ?1 GROUP BY warehouse, kind ORDER BY warehouse, kind";

const HOLDS: &str = "
SELECT l.shop, l.order_id, o.status, l.line, l.holds
  FROM inventory_lines AS l JOIN inventory_orders AS o ON o.shop = l.shop AND o.order_id = l.order_id
 WHERE l.sku_id = ?1 AND l.reserved <> 0 ORDER BY l.shop, l.order_id, l.position LIMIT ?2";

impl Sqlite {
    pub(crate) async fn stock_page(&self, after: Option<&Sku>, limit: u32) -> Result<Vec<SkuStock>, Error> {
        let mut tx = self.snapshot().await?;
        let rows: Vec<SkuColumns> = sqlx::query_as(SKU_PAGE)
            .bind(after.map_or("", Sku::as_str))
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("list stock"))?;
        with_stocks(&mut tx, rows).await
    }

    pub(crate) async fn stock_of(&self, skus: &[Sku]) -> Result<Vec<SkuStock>, Error> {
        let mut tx = self.snapshot().await?;
        let rows = sku_rows(&mut tx, skus).await?;
        with_stocks(&mut tx, rows).await
    }

    pub(crate) async fn stocks_of_shop(
        &self,
        shop: ShopId,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<StockRow>, Error> {
        let rows: Vec<StockColumns> = sqlx::query_as(STOCK_PAGE)
            .bind(shop.get())
            .bind(after.map_or(0, |stock| stock.holder.get()))
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list a shop's stocks"))?;
        rows.iter().map(StockColumns::row).collect()
    }

    pub(crate) async fn openings(&self, shop: ShopId) -> Result<Openings, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT opening, count(*) FROM inventory_stocks
              WHERE shop = ?1 AND removed = 0 AND opening <> 0 GROUP BY opening",
        )
        .bind(shop.get())
        .fetch_all(&self.readers)
        .await
        .map_err(failed("count the openings of a shop"))?;
        openings(rows)
    }

    /// The parents of those stocks that are variations'.
    pub(crate) async fn stock_parents(
        &self,
        stocks: &[StockId],
    ) -> Result<BTreeMap<StockId, ProductId>, Error> {
        let keys: Vec<_> = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT s.shop, s.holder, s.parent FROM jsonb_each(?1) AS w CROSS JOIN inventory_stocks AS s
                 ON s.shop = w.value ->> 0 AND s.holder = w.value ->> 1 WHERE s.parent IS NOT NULL",
        )
        .bind(json(&keys))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("look up the parents of stocks"))?;
        rows.into_iter()
            .map(|(shop, holder, parent)| Ok((stock_id(shop, holder)?, id("product", parent)?)))
            .collect()
    }

    pub(crate) async fn order(&self, shop: ShopId, order: OrderId) -> Result<Option<OrderRow>, Error> {
        let mut tx = self.snapshot().await?;
        let row: Option<OrderColumns> = sqlx::query_as(ORDER)
            .bind(shop.get())
            .bind(order.get())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("read an order"))?;
        let Some(mut found) = row.map(order_row).transpose()? else {
            return Ok(None);
        };
        let lines: Vec<LineColumns> = sqlx::query_as(LINES)
            .bind(shop.get())
            .bind(order.get())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("read an order's lines"))?;
        found.order.lines = lines.iter().map(LineColumns::line).collect::<Result<_, _>>()?;
        Ok(Some(found))
    }

    pub(crate) async fn open_orders(
        &self,
        shop: ShopId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar(OPEN_ORDERS)
            .bind(shop.get())
            .bind(after.map_or(0, OrderId::get))
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list open orders"))?;
        rows.into_iter().map(|order| id("order", order)).collect()
    }

    pub(crate) async fn movements(&self, of: &Sku, after: u64, limit: u32) -> Result<Vec<Posted>, Error> {
        let rows: Vec<MovementColumns> = sqlx::query_as(MOVEMENTS)
            .bind(of.as_str())
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list movements"))?;
        rows.into_iter().map(|row| posted(of, row)).collect()
    }

    pub(crate) async fn explain(&self, of: &Sku) -> Result<Option<Explanation>, Error> {
        let mut tx = self.snapshot().await?;
        let rows = sku_rows(&mut tx, std::slice::from_ref(of)).await?;
        let Some(sku_id) = rows.first().map(|row| row.0) else {
            return Ok(None);
        };
        let sums: Vec<SumColumns> =
            sqlx::query_as(SUMS).bind(sku_id).fetch_all(&mut *tx).await.map_err(failed("sum movements"))?;
        let sums = sums.into_iter().map(movement_sum).collect::<Result<_, _>>()?;
        let held: Vec<HoldColumns> = sqlx::query_as(HOLDS)
            .bind(sku_id)
            .bind(PAGE_ROWS_MAX)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed("list open holds"))?;
        let held = held.into_iter().map(open_hold).collect::<Result<_, _>>()?;
        let hold_count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM inventory_lines WHERE sku_id = ?1 AND reserved <> 0")
                .bind(sku_id)
                .fetch_one(&mut *tx)
                .await
                .map_err(failed("count open holds"))?;
        let hold_count = unsigned("count", hold_count)?;
        let Some(stock) = with_stocks(&mut tx, rows).await?.pop() else {
            return Ok(None);
        };
        let stocks: Vec<StockId> = stock.stocks.iter().map(|row| row.id).collect();
        let pushes = super::egress::pushes_in(&mut tx, &stocks).await?;
        Ok(Some(Explanation { stock, sums, holds: held, hold_count, pushes }))
    }
}

async fn sku_rows(tx: &mut super::WriteTx, skus: &[Sku]) -> Result<Vec<SkuColumns>, Error> {
    let texts: BTreeSet<&str> = skus.iter().map(Sku::as_str).collect();
    sqlx::query_as(SKUS).bind(json(&texts)).fetch_all(&mut **tx).await.map_err(failed("read SKUs"))
}

async fn with_stocks(tx: &mut super::WriteTx, skus: Vec<SkuColumns>) -> Result<Vec<SkuStock>, Error> {
    let ids: Vec<i64> = skus.iter().map(|row| row.0).collect();
    let stocks: Vec<StockColumns> = sqlx::query_as(STOCKS_OF_SKUS)
        .bind(json(&ids))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed("read the stocks of SKUs"))?;
    sku_stocks(skus, &stocks)
}
