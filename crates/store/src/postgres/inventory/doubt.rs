//! What a settle and an opening ask: which orders are in doubt, and what is held without having been taken.

use std::collections::{BTreeMap, BTreeSet};

use values::{OrderId, Quantity, ShopId, Sku, StockId, Timestamp};

use super::super::parameters::{all, rows, with};
use super::PgInventoryTx;
use crate::error::Error;
use crate::rows::{effects, id, quantity, stock_id, stocks_in_doubt};

/// An order of which no line is known yet may be on any stock, as may a line without one, unless its shop is known to keep
/// no quantity for what it sold.
const DOUBTFUL: &str = "
SELECT DISTINCT o.shop, l.holder
  FROM inventory.orders AS o LEFT JOIN inventory.lines AS l ON l.shop = o.shop AND l.order_id = o.order_id
 WHERE o.doubtful AND o.shop = ANY ($1)
   AND (l.holder IS NOT NULL OR l.product IS NULL
        OR NOT EXISTS (SELECT 1 FROM inventory.listings AS r
                        WHERE r.shop = l.shop AND r.product = l.product AND r.variation = l.variation
                          AND r.holder IS NULL))";

const NOT_TAKEN: &str = "
SELECT l.shop, l.holder, sum(l.not_taken)::bigint
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
  JOIN inventory.lines AS l ON l.shop = w.shop AND l.holder = w.holder AND l.not_taken <> 0
 GROUP BY l.shop, l.holder";

const ORDERS_NOT_TAKEN: &str = "
SELECT DISTINCT order_id FROM inventory.lines
 WHERE not_taken <> 0 AND shop = $1 AND order_id > $2 ORDER BY order_id LIMIT $3";

const EFFECTS: &str = "
SELECT w.place - 1, sum(m.on_hand_delta - m.reserved_delta)::bigint
  FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS w (shop, sku, place)
  JOIN inventory.skus AS k ON k.sku = w.sku
  JOIN inventory.movements AS m ON m.sku_id = k.id AND m.shop = w.shop
 GROUP BY w.place";

const UNCONFIRMED: &str = "
SELECT order_id FROM inventory.orders
 WHERE doubtful AND shop = $1 AND unconfirmed_since < $2 ORDER BY order_id LIMIT $3";

impl PgInventoryTx {
    pub(crate) async fn doubtful_stocks(&mut self, stocks: &[StockId]) -> Result<BTreeSet<StockId>, Error> {
        let shops: BTreeSet<i64> = stocks.iter().map(|stock| stock.shop.get()).collect();
        let shops: Vec<i64> = shops.into_iter().collect();
        let found = all(&mut *self.tx, "look for doubtful orders", DOUBTFUL, with(shops)).await?;
        Ok(stocks_in_doubt(stocks, found))
    }

    pub(crate) async fn held_not_taken(
        &mut self,
        stocks: &[StockId],
    ) -> Result<BTreeMap<StockId, Quantity>, Error> {
        let wanted: BTreeSet<_> = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let doing = "sum what is held and not taken";
        let found: Vec<(i64, i64, i64)> = all(&mut *self.tx, doing, NOT_TAKEN, rows(&wanted)).await?;
        found.into_iter().map(|(shop, holder, sum)| Ok((stock_id(shop, holder)?, quantity(sum)))).collect()
    }

    pub(crate) async fn orders_not_taken(
        &mut self,
        shop: ShopId,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        let parameters = with(shop.get()).and(after.map_or(0, OrderId::get)).and(i64::from(limit));
        let doing = "look for orders whose shop has yet to take something";
        let found: Vec<(i64,)> = all(&mut *self.tx, doing, ORDERS_NOT_TAKEN, parameters).await?;
        found.into_iter().map(|(order,)| id("order", order)).collect()
    }

    pub(crate) async fn order_effects(&mut self, wanted: &[(ShopId, Sku)]) -> Result<Vec<Quantity>, Error> {
        let keys: Vec<_> = wanted.iter().map(|(shop, sku)| (shop.get(), sku.as_str())).collect();
        let found = all(&mut *self.tx, "sum what orders did", EFFECTS, rows(&keys)).await?;
        Ok(effects(wanted.len(), found))
    }

    pub(crate) async fn unconfirmed_orders(
        &mut self,
        shop: ShopId,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<OrderId>, Error> {
        let parameters = with(shop.get()).and(before.micros()).and(i64::from(limit));
        let found: Vec<(i64,)> =
            all(&mut *self.tx, "look for unconfirmed orders", UNCONFIRMED, parameters).await?;
        found.into_iter().map(|(order,)| id("order", order)).collect()
    }
}
