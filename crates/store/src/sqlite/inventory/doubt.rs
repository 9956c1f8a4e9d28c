//! What a settle and an opening ask: which orders are in doubt, and what is held without having been taken.

use std::collections::{BTreeMap, BTreeSet};

use values::{OrderId, Quantity, ShopId, Sku, StockId, Timestamp};

use super::SqliteInventoryTx;
use crate::error::{Error, failed};
use crate::rows::{effects, id, json, quantity, stock_id, stocks_in_doubt};

/// An order of which no line is known yet may be on any stock, as may a line without one, unless its shop is known to keep
/// no quantity for what it sold.
const DOUBTFUL: &str = "
SELECT DISTINCT o.shop, l.holder
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_orders AS o ON o.shop = w.value AND o.doubtful = 1
  LEFT JOIN inventory_lines AS l ON l.shop = o.shop AND l.order_id = o.order_id
 WHERE l.holder IS NOT NULL OR l.product IS NULL
    OR NOT EXISTS (SELECT 1 FROM registry_listings AS r
                    WHERE r.shop = l.shop AND r.product = l.product AND r.variation = l.variation
                      AND r.holder IS NULL)";

const NOT_TAKEN: &str = "
SELECT l.shop, l.holder, sum(l.not_taken)
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_lines AS l
    ON l.shop = w.value ->> 0 AND l.holder = w.value ->> 1 AND l.not_taken <> 0
 GROUP BY l.shop, l.holder";

const ORDERS_NOT_TAKEN: &str = "
SELECT DISTINCT order_id FROM inventory_lines
 WHERE not_taken <> 0 AND shop = ?1 AND order_id > ?2 ORDER BY order_id LIMIT ?3";

const EFFECTS: &str = "
SELECT w.key, sum(m.on_hand_delta - m.reserved_delta)
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_skus AS k ON k.sku = w.value ->> 1
 CROSS JOIN inventory_movements AS m ON m.sku_id = k.id AND m.shop = w.value ->> 0
 GROUP BY w.key";

const UNCONFIRMED: &str = "
SELECT order_id FROM inventory_orders
 WHERE doubtful = 1 AND shop = ?1 AND unconfirmed_since < ?2 ORDER BY order_id LIMIT ?3";

impl SqliteInventoryTx {
    pub(crate) async fn doubtful_stocks(&mut self, stocks: &[StockId]) -> Result<BTreeSet<StockId>, Error> {
        let shops: BTreeSet<i64> = stocks.iter().map(|stock| stock.shop.get()).collect();
        let rows: Vec<(i64, Option<i64>)> = sqlx::query_as(DOUBTFUL)
            .bind(json(&shops))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look for doubtful orders"))?;
        Ok(stocks_in_doubt(stocks, rows))
    }

    pub(crate) async fn held_not_taken(
        &mut self,
        stocks: &[StockId],
    ) -> Result<BTreeMap<StockId, Quantity>, Error> {
        let rows: Vec<(i64, i64, i64)> = sqlx::query_as(NOT_TAKEN)
            .bind(json(&keys(stocks)))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("sum what is held and not taken"))?;
        rows.into_iter().map(|(shop, holder, sum)| Ok((stock_id(shop, holder)?, quantity(sum)))).collect()
    }

    pub(crate) async fn orders_not_taken(
        &mut self,
        shop: ShopId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar(ORDERS_NOT_TAKEN)
            .bind(shop.get())
            .bind(after.map_or(0, OrderId::get))
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look for orders whose shop has yet to take something"))?;
        rows.into_iter().map(|order| id("order", order)).collect()
    }

    pub(crate) async fn order_effects(&mut self, wanted: &[(ShopId, Sku)]) -> Result<Vec<Quantity>, Error> {
        let keys: Vec<_> = wanted.iter().map(|(shop, sku)| (shop.get(), sku.as_str())).collect();
        let rows: Vec<(i64, i64)> = sqlx::query_as(EFFECTS)
            .bind(json(&keys))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("sum what orders did"))?;
        Ok(effects(wanted.len(), rows))
    }

    pub(crate) async fn unconfirmed_orders(
        &mut self,
        shop: ShopId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        let rows: Vec<i64> = sqlx::query_scalar(UNCONFIRMED)
            .bind(shop.get())
            .bind(before.micros())
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look for unconfirmed orders"))?;
        rows.into_iter().map(|order| id("order", order)).collect()
    }
}

fn keys(stocks: &[StockId]) -> BTreeSet<(i64, i64)> {
    stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect()
}
