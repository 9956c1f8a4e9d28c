//! When shops are compared by themselves, and the counts of days, on PostgreSQL.

use values::{ShopId, Timestamp};

use super::parameters::{all, maybe, one, page, run, with};
use super::{Postgres, commit};
use crate::error::Error;
use crate::reconcile::{DayCount, HubCount, Schedule, Scheduled};
use crate::rows::reconcile::{CountColumns, day_count, scheduled, status_counts};
use crate::rows::{json, quantity, signed, thousandths, unsigned};

const SCHEDULE: &str = "SELECT reconcile, since, last_at FROM ingress.schedules WHERE shop = $1";

const SET_SCHEDULE: &str = "
INSERT INTO ingress.schedules AS s (shop, reconcile, since) VALUES ($1, $2, $3)
    ON CONFLICT (shop) DO UPDATE SET reconcile = excluded.reconcile, since = excluded.since
 WHERE s.reconcile <> excluded.reconcile";

const HUB_ORDERS: &str = "
SELECT status, count(*) FROM inventory.orders WHERE shop = $1 AND NOT gone AND digest IS NOT NULL GROUP BY status";

/// A base of another epoch proves nothing.
const HUB_STOCKS: &str = "
SELECT count(*), coalesce(sum((e.base::jsonb ->> 1)::bigint - s.taken_total), 0)::bigint,
       coalesce(sum(s.level), 0)::bigint
  FROM inventory.stocks AS s
  LEFT JOIN egress.stocks AS e
    ON e.shop = s.shop AND e.holder = s.holder AND (e.base::jsonb ->> 0)::bigint = s.epoch
 WHERE s.shop = $1 AND NOT s.removed AND s.sku_id IS NOT NULL";

const SAVE_COUNT: &str = "
INSERT INTO ingress.counts AS c
       (shop, day, at, shop_orders, hub_orders, shop_stocks, shop_sum, hub_stocks, hub_expected, hub_level)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (shop, day) DO UPDATE SET
       at = excluded.at, shop_orders = excluded.shop_orders, hub_orders = excluded.hub_orders,
       shop_stocks = coalesce(excluded.shop_stocks, c.shop_stocks),
       shop_sum = coalesce(excluded.shop_sum, c.shop_sum), hub_stocks = excluded.hub_stocks,
       hub_expected = excluded.hub_expected, hub_level = excluded.hub_level";

const DAY_COUNTS: &str = "
SELECT day, at, shop_orders, hub_orders, shop_stocks, shop_sum, hub_stocks, hub_expected, hub_level
  FROM ingress.counts WHERE shop = $1 AND day >= $2 ORDER BY day DESC LIMIT $3";

const PRUNE: &str = "
DELETE FROM ingress.counts WHERE (shop, day) IN (SELECT shop, day FROM ingress.counts WHERE day < $1 LIMIT $2)";

impl Postgres {
    pub(crate) async fn schedule(&self, shop: ShopId) -> Result<Option<Scheduled>, Error> {
        let row: Option<(String, i64, Option<i64>)> =
            maybe(&self.pool, "look when a shop is compared", SCHEDULE, with(shop.get())).await?;
        row.map(scheduled).transpose()
    }

    pub(crate) async fn set_schedule(
        &self,
        shop: ShopId,
        schedule: Option<Schedule>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let doing = "set when a shop is compared";
        let Some(schedule) = schedule else {
            let forget = "DELETE FROM ingress.schedules WHERE shop = $1";
            run(&self.pool, doing, forget, with(shop.get())).await?;
            return Ok(());
        };
        let parameters = with(shop.get()).and(schedule.to_string()).and(now.micros());
        run(&self.pool, doing, SET_SCHEDULE, parameters).await?;
        Ok(())
    }

    pub(crate) async fn note_scheduled(&self, shop: ShopId, now: Timestamp) -> Result<(), Error> {
        let noted = "UPDATE ingress.schedules SET last_at = $2 WHERE shop = $1";
        let parameters = with(shop.get()).and(now.micros());
        run(&self.pool, "note when a shop was compared", noted, parameters).await?;
        Ok(())
    }

    pub(crate) async fn hub_count(&self, shop: ShopId) -> Result<HubCount, Error> {
        let doing = "count what is known of a shop";
        let mut tx = self.snapshot().await?;
        let orders: Vec<(String, i64)> = all(&mut *tx, doing, HUB_ORDERS, with(shop.get())).await?;
        let (stocks, expected, level): (i64, i64, i64) =
            one(&mut *tx, doing, HUB_STOCKS, with(shop.get())).await?;
        commit(tx).await?;
        Ok(HubCount {
            orders: status_counts(orders)?,
            stocks: unsigned("count", stocks)?,
            expected: quantity(expected),
            level: quantity(level),
        })
    }

    pub(crate) async fn save_count(&self, count: &DayCount) -> Result<(), Error> {
        let parameters = with(count.shop.get())
            .and(count.day)
            .and(count.at.micros())
            .and(json(&count.shop_orders))
            .and(json(&count.hub.orders))
            .and(count.shop_stocks.map(|all| signed(all.stocks)))
            .and(thousandths(count.shop_stocks.map(|all| all.sum)))
            .and(signed(count.hub.stocks))
            .and(count.hub.expected.thousandths())
            .and(count.hub.level.thousandths());
        run(&self.pool, "keep the counts of a day", SAVE_COUNT, parameters).await?;
        Ok(())
    }

    pub(crate) async fn day_counts(
        &self,
        shop: ShopId,
        since: i64,
        limit: u32,
    ) -> Result<Vec<DayCount>, Error> {
        let parameters = with(shop.get()).and(since).and(page(limit));
        let rows: Vec<CountColumns> =
            all(&self.pool, "list the counts of days", DAY_COUNTS, parameters).await?;
        rows.into_iter().map(|row| day_count(shop, row)).collect()
    }

    pub(crate) async fn prune_counts(&self, before: i64, limit: u32) -> Result<u64, Error> {
        let parameters = with(before).and(i64::from(limit));
        run(&self.pool, "forget old counts", PRUNE, parameters).await
    }
}
