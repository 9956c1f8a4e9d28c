//! What alerts are made of, on PostgreSQL: each is looked up in an index of what is wrong, and bounded.

use values::{Sku, StockId};

use super::Postgres;
use super::parameters::{all, page, with};
use crate::alerts::ShopWaiting;
use crate::egress::{PushRow, ShopLane};
use crate::error::Error;
use crate::reading::Reading;
use crate::rows::alerts::{
    ConditionOfShop, LaneOfShop, ReadingOfShop, WaitingColumns, condition_of_shop, lane_of_shop,
    reading_of_shop, shop_waiting,
};
use crate::rows::egress::{PushColumns, push_columns, push_row};
use crate::rows::sku;
use crate::webhooks::Condition;

const CONDITIONS: &str = "
SELECT shop, kind, what, since, seen_at, cleared_at FROM ingress.conditions
 WHERE cleared_at IS NULL ORDER BY shop, kind LIMIT $1";

const READINGS: &str = "
SELECT polled_at, failing_since, failure, failed_at, breaker, resting_until, blind_at, pinged_at, audited_at,
       catalogued_at, calls, poll_ms, refused, shop
  FROM ingress.readings WHERE failing_since IS NOT NULL OR blind_at IS NOT NULL ORDER BY shop LIMIT $1";

const LANES: &str = "
SELECT shop, breaker, cause, until, calls_per_minute, at FROM egress.shops
 WHERE breaker <> 'closed' ORDER BY shop LIMIT $1";

const BLOCKED: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress.stocks AS e WHERE e.blocked IS NOT NULL AND (e.shop, e.holder) > ($1, $2)
     ORDER BY e.shop, e.holder LIMIT $3"
);

const SHORT: &str = "
SELECT k.sku FROM inventory.shortfalls AS s JOIN inventory.skus AS k ON k.id = s.sku_id
 ORDER BY s.sku_id LIMIT $1";

const WAITING: &str = "
SELECT 'parked_lines', shop, count(*), min(order_id)
  FROM (SELECT shop, order_id FROM inventory.lines
         WHERE NOT removed AND (fault IS NOT NULL OR sku_id IS NULL AND NOT unmanaged) LIMIT $1) AS w GROUP BY shop
 UNION ALL
SELECT 'dead_messages', shop, count(*), min(id) FROM (SELECT shop, id FROM inventory.dead LIMIT $1) AS w GROUP BY shop
 UNION ALL
SELECT 'orphaned_orders', shop, count(*), min(order_id)
  FROM (SELECT shop, order_id FROM inventory.orders
         WHERE gone AND open AND shop NOT IN (SELECT id FROM inventory.shops WHERE state = 'removed')
         LIMIT $1) AS w GROUP BY shop
 UNION ALL
SELECT 'orphaned_orders', shop, count(*), min(order_id)
  FROM (SELECT o.shop, o.order_id
          FROM inventory.shops AS s JOIN inventory.orders AS o ON o.shop = s.id AND o.open
         WHERE s.state = 'removed' LIMIT $1) AS w GROUP BY shop
 UNION ALL
SELECT 'shipments_given_up', shop, count(*), min(order_id)
  FROM (SELECT shop, order_id FROM egress.reports WHERE status_state = 'given_up' OR note_state = 'given_up' LIMIT $1) AS w
 GROUP BY shop";

impl Postgres {
    pub(crate) async fn conditions_open(&self, limit: u32) -> Result<Vec<Condition>, Error> {
        let doing = "look what is wrong with shops";
        let rows: Vec<ConditionOfShop> = all(&self.pool, doing, CONDITIONS, with(i64::from(limit))).await?;
        rows.into_iter().map(condition_of_shop).collect()
    }

    pub(crate) async fn readings_in_trouble(&self, limit: u32) -> Result<Vec<Reading>, Error> {
        let doing = "look which shops are read badly";
        let rows: Vec<ReadingOfShop> = all(&self.pool, doing, READINGS, with(i64::from(limit))).await?;
        rows.into_iter().map(reading_of_shop).collect()
    }

    pub(crate) async fn lanes_closed(&self, limit: u32) -> Result<Vec<ShopLane>, Error> {
        let doing = "look which shops take no pushes";
        let rows: Vec<LaneOfShop> = all(&self.pool, doing, LANES, with(i64::from(limit))).await?;
        rows.into_iter().map(lane_of_shop).collect()
    }

    pub(crate) async fn blocked_stocks(
        &self,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        let parameters = with(shop).and(holder).and(page(limit));
        let rows: Vec<PushColumns> =
            all(&self.pool, "look which stocks are blocked", BLOCKED, parameters).await?;
        rows.into_iter().map(push_row).collect()
    }

    pub(crate) async fn short_skus(&self, limit: u32) -> Result<Vec<Sku>, Error> {
        let doing = "look of what there is too little";
        let rows: Vec<(String,)> = all(&self.pool, doing, SHORT, with(page(limit))).await?;
        rows.iter().map(|(code,)| sku(code)).collect()
    }

    pub(crate) async fn waiting_by_shop(&self, rows_max: u32) -> Result<Vec<ShopWaiting>, Error> {
        let doing = "count what waits by shop";
        let rows: Vec<WaitingColumns> = all(&self.pool, doing, WAITING, with(i64::from(rows_max))).await?;
        rows.into_iter().map(shop_waiting).collect()
    }
}
