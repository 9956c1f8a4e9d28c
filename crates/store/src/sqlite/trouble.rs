//! What alerts are made of, on SQLite: each is looked up in an index of what is wrong, and bounded.

use values::{Sku, StockId};

use super::Sqlite;
use crate::alerts::ShopWaiting;
use crate::egress::{PushRow, ShopLane};
use crate::error::{Error, failed};
use crate::reading::Reading;
use crate::report::PAGE_ROWS_MAX;
use crate::rows::alerts::{
    ConditionOfShop, LaneOfShop, ReadingOfShop, WaitingColumns, condition_of_shop, lane_of_shop,
    reading_of_shop, shop_waiting,
};
use crate::rows::egress::{PushColumns, push_columns, push_row};
use crate::rows::sku;
use crate::webhooks::Condition;

const CONDITIONS: &str = "
SELECT shop, kind, what, since, seen_at, cleared_at FROM ingress_conditions
 WHERE cleared_at IS NULL ORDER BY shop, kind LIMIT ?1";

const READINGS: &str = "
SELECT polled_at, failing_since, failure, failed_at, breaker, resting_until, blind_at, pinged_at, audited_at,
       catalogued_at, calls, poll_ms, refused, shop
  FROM ingress_readings WHERE failing_since IS NOT NULL OR blind_at IS NOT NULL ORDER BY shop LIMIT ?1";

const LANES: &str = "
SELECT shop, breaker, cause, until, calls_per_minute, at FROM egress_shops
 WHERE breaker <> 'closed' ORDER BY shop LIMIT ?1";

const BLOCKED: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress_stocks AS e WHERE e.blocked IS NOT NULL AND (e.shop, e.holder) > (?1, ?2)
     ORDER BY e.shop, e.holder LIMIT ?3"
);

const SHORT: &str = "
SELECT k.sku FROM inventory_shortfalls AS s CROSS JOIN inventory_skus AS k ON k.id = s.sku_id
 ORDER BY s.sku_id LIMIT ?1";

const WAITING: &str = "
SELECT 'parked_lines', shop, count(*), min(order_id)
  FROM (SELECT shop, order_id FROM inventory_lines
         WHERE removed = 0 AND (fault IS NOT NULL OR sku_id IS NULL AND unmanaged = 0) LIMIT ?1) GROUP BY shop
 UNION ALL
SELECT 'dead_messages', shop, count(*), min(id) FROM (SELECT shop, id FROM inventory_dead LIMIT ?1) GROUP BY shop
 UNION ALL
SELECT 'orphaned_orders', shop, count(*), min(order_id)
  FROM (SELECT shop, order_id FROM inventory_orders
         WHERE gone = 1 AND open = 1 AND shop NOT IN (SELECT id FROM registry_shops WHERE state = 'removed')
         LIMIT ?1) GROUP BY shop
 UNION ALL
SELECT 'orphaned_orders', shop, count(*), min(order_id)
  FROM (SELECT o.shop, o.order_id
          FROM registry_shops AS s CROSS JOIN inventory_orders AS o ON o.shop = s.id AND o.open = 1
         WHERE s.state = 'removed' LIMIT ?1) GROUP BY shop
 UNION ALL
SELECT 'shipments_given_up', shop, count(*), min(order_id)
  FROM (SELECT shop, order_id FROM egress_reports WHERE status_state = 'given_up' OR note_state = 'given_up' LIMIT ?1)
 GROUP BY shop";

impl Sqlite {
    pub(crate) async fn conditions_open(&self, limit: u32) -> Result<Vec<Condition>, Error> {
        let rows: Vec<ConditionOfShop> = sqlx::query_as(CONDITIONS)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look what is wrong with shops"))?;
        rows.into_iter().map(condition_of_shop).collect()
    }

    pub(crate) async fn readings_in_trouble(&self, limit: u32) -> Result<Vec<Reading>, Error> {
        let rows: Vec<ReadingOfShop> = sqlx::query_as(READINGS)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look which shops are read badly"))?;
        rows.into_iter().map(reading_of_shop).collect()
    }

    pub(crate) async fn lanes_closed(&self, limit: u32) -> Result<Vec<ShopLane>, Error> {
        let rows: Vec<LaneOfShop> = sqlx::query_as(LANES)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look which shops take no pushes"))?;
        rows.into_iter().map(lane_of_shop).collect()
    }

    pub(crate) async fn blocked_stocks(
        &self,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        let rows: Vec<PushColumns> = sqlx::query_as(BLOCKED)
            .bind(shop)
            .bind(holder)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look which stocks are blocked"))?;
        rows.into_iter().map(push_row).collect()
    }

    pub(crate) async fn short_skus(&self, limit: u32) -> Result<Vec<Sku>, Error> {
        let rows: Vec<String> = sqlx::query_scalar(SHORT)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look of what there is too little"))?;
        rows.iter().map(|code| sku(code)).collect()
    }

    pub(crate) async fn waiting_by_shop(&self, rows_max: u32) -> Result<Vec<ShopWaiting>, Error> {
        let rows: Vec<WaitingColumns> = sqlx::query_as(WAITING)
            .bind(rows_max)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("count what waits by shop"))?;
        rows.into_iter().map(shop_waiting).collect()
    }
}
