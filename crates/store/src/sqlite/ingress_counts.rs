//! When shops are compared by themselves, and the counts of days, on SQLite.

use values::{ShopId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::reconcile::{DayCount, HubCount, Schedule, Scheduled};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::reconcile::{CountColumns, day_count, scheduled, status_counts};
use crate::rows::{json, quantity, signed, thousandths, unsigned};

const SAVE_COUNT: &str = "
INSERT INTO ingress_counts
       (shop, day, at, shop_orders, hub_orders, shop_stocks, shop_sum, hub_stocks, hub_expected, hub_level)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (shop, day) DO UPDATE SET
       at = excluded.at, shop_orders = excluded.shop_orders, hub_orders = excluded.hub_orders,
       shop_stocks = coalesce(excluded.shop_stocks, shop_stocks),
       shop_sum = coalesce(excluded.shop_sum, shop_sum), hub_stocks = excluded.hub_stocks,
       hub_expected = excluded.hub_expected, hub_level = excluded.hub_level";

/// A base of another epoch proves nothing.
const HUB_STOCKS: &str = "
SELECT count(*), coalesce(sum((e.base ->> 1) - s.taken_total), 0), coalesce(sum(s.level), 0)
  FROM inventory_stocks AS s
  LEFT JOIN egress_stocks AS e ON e.shop = s.shop AND e.holder = s.holder AND e.base ->> 0 = s.epoch
 WHERE s.shop = ?1 AND s.removed = 0 AND s.sku_id IS NOT NULL";

impl Sqlite {
    pub(crate) async fn schedule(&self, shop: ShopId) -> Result<Option<Scheduled>, Error> {
        let row: Option<(String, i64, Option<i64>)> =
            sqlx::query_as("SELECT reconcile, since, last_at FROM ingress_schedules WHERE shop = ?1")
                .bind(shop.get())
                .fetch_optional(&self.readers)
                .await
                .map_err(failed("look when a shop is compared"))?;
        row.map(scheduled).transpose()
    }

    pub(crate) async fn set_schedule(
        &self,
        shop: ShopId,
        schedule: Option<Schedule>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        let set = match schedule {
            None => sqlx::query("DELETE FROM ingress_schedules WHERE shop = ?1").bind(shop.get()),
            Some(schedule) => sqlx::query(
                "INSERT INTO ingress_schedules (shop, reconcile, since) VALUES (?1, ?2, ?3)
                     ON CONFLICT (shop) DO UPDATE SET reconcile = excluded.reconcile, since = excluded.since
                  WHERE reconcile <> excluded.reconcile",
            )
            .bind(shop.get())
            .bind(schedule.to_string())
            .bind(now.micros()),
        };
        set.execute(&mut *tx).await.map_err(failed("set when a shop is compared"))?;
        commit(tx).await
    }

    pub(crate) async fn note_scheduled(&self, shop: ShopId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE ingress_schedules SET last_at = ?2 WHERE shop = ?1")
            .bind(shop.get())
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note when a shop was compared"))?;
        commit(tx).await
    }

    pub(crate) async fn hub_count(&self, shop: ShopId) -> Result<HubCount, Error> {
        let doing = "count what is known of a shop";
        let mut tx = self.snapshot().await?;
        let orders: Vec<(String, i64)> = sqlx::query_as(
            "SELECT status, count(*) FROM inventory_orders WHERE shop = ?1 AND gone = 0 AND digest IS NOT NULL
              GROUP BY status",
        )
        .bind(shop.get())
        .fetch_all(&mut *tx)
        .await
        .map_err(failed(doing))?;
        let (stocks, expected, level): (i64, i64, i64) =
            sqlx::query_as(HUB_STOCKS).bind(shop.get()).fetch_one(&mut *tx).await.map_err(failed(doing))?;
        let orders = status_counts(orders)?;
        let (expected, level) = (quantity(expected), quantity(level));
        Ok(HubCount { orders, stocks: unsigned("count", stocks)?, expected, level })
    }

    pub(crate) async fn save_count(&self, count: &DayCount) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(SAVE_COUNT)
            .bind(count.shop.get())
            .bind(count.day)
            .bind(count.at.micros())
            .bind(json(&count.shop_orders))
            .bind(json(&count.hub.orders))
            .bind(count.shop_stocks.map(|all| signed(all.stocks)))
            .bind(thousandths(count.shop_stocks.map(|all| all.sum)))
            .bind(signed(count.hub.stocks))
            .bind(count.hub.expected.thousandths())
            .bind(count.hub.level.thousandths())
            .execute(&mut *tx)
            .await
            .map_err(failed("keep the counts of a day"))?;
        commit(tx).await
    }

    pub(crate) async fn day_counts(
        &self,
        shop: ShopId,
        since: i64,
        limit: u32,
    ) -> Result<Vec<DayCount>, Error> {
        let rows: Vec<CountColumns> = sqlx::query_as(
            "SELECT day, at, shop_orders, hub_orders, shop_stocks, shop_sum, hub_stocks, hub_expected, hub_level
               FROM ingress_counts WHERE shop = ?1 AND day >= ?2 ORDER BY day DESC LIMIT ?3",
        )
        .bind(shop.get())
        .bind(since)
        .bind(limit.min(PAGE_ROWS_MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(failed("list the counts of days"))?;
        rows.into_iter().map(|row| day_count(shop, row)).collect()
    }

    pub(crate) async fn prune_counts(&self, before: i64, limit: u32) -> Result<u64, Error> {
        let mut tx = self.write().await?;
        let pruned = sqlx::query(
            "DELETE FROM ingress_counts WHERE (shop, day) IN
                    (SELECT shop, day FROM ingress_counts WHERE day < ?1 LIMIT ?2)",
        )
        .bind(before)
        .bind(limit)
        .execute(&mut *tx)
        .await
        .map_err(failed("forget old counts"))?;
        commit(tx).await?;
        Ok(pruned.rows_affected())
    }
}
