//! Alerts and notices on PostgreSQL: the one row of whose turn it is, is locked by whoever writes what he found.

use std::time::Duration;

use values::{ShopId, Timestamp};

use super::parameters::{all, maybe, none, page, rows, run, with};
use super::{Postgres, commit};
use crate::alerts::{ALERTS_AT_WORK_MAX, Alert, AlertChanges, AlertFilter, AlertKind, Channel, Notice};
use crate::error::Error;
use crate::rows::alerts::{
    AlertColumns, NoticeColumns, alert, alert_columns, alert_count, notice, notice_failure, saved_alert,
    saved_notice, saved_notice_alerts,
};
use crate::rows::micros;

const TAKE_TURN: &str = "
INSERT INTO inventory.alert_turns AS t (owner, until) VALUES ($1, $3)
    ON CONFLICT (one_row) DO UPDATE SET owner = excluded.owner, until = excluded.until
       WHERE t.owner = excluded.owner OR t.until <= $2";

const HAS_TURN: &str = "SELECT owner FROM inventory.alert_turns WHERE owner = $1 AND until > $2 FOR UPDATE";

const END_TURN: &str = "DELETE FROM inventory.alert_turns WHERE owner = $1";

const AT_WORK: &str = concat!(
    "SELECT ",
    alert_columns!(),
    " FROM inventory.alerts WHERE id IN
       (SELECT id FROM inventory.alerts WHERE resolved_at IS NULL
         UNION SELECT id FROM inventory.alerts WHERE news IS NOT NULL
         UNION SELECT id FROM (SELECT id FROM inventory.alerts WHERE resolved_at > $1 ORDER BY id DESC LIMIT $2) AS ended)"
);

/// Rows of alerts as parameters.
macro_rules! saved_alerts {
    () => {
        "unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[],
                $15::text[])
           AS w (id, kind, shop, subject, sku, what, first_seen, last_seen, count, raised_at, missing_since, resolved_at,
                 news, news_at, told)"
    };
}

const ADD: &str = concat!(
    "INSERT INTO inventory.alerts
       (kind, shop, subject, sku, what, first_seen, last_seen, count, raised_at, missing_since, resolved_at, news, news_at,
        told)
SELECT w.kind, w.shop, w.subject, w.sku, w.what, w.first_seen, w.last_seen, w.count, w.raised_at, w.missing_since,
       w.resolved_at, w.news, w.news_at, w.told
  FROM ",
    saved_alerts!(),
    " WHERE w.id = 0
    ON CONFLICT (kind, shop, subject) WHERE resolved_at IS NULL DO NOTHING"
);

/// What begins again has to be taken note of again.
const CHANGE: &str = concat!(
    "UPDATE inventory.alerts AS a
   SET sku = w.sku, what = w.what, first_seen = w.first_seen, last_seen = w.last_seen,
       acknowledged_at = CASE WHEN a.count = w.count THEN a.acknowledged_at END,
       acknowledged_by = CASE WHEN a.count = w.count THEN a.acknowledged_by END,
       count = w.count, raised_at = w.raised_at, missing_since = w.missing_since, resolved_at = w.resolved_at,
       news = w.news, news_at = w.news_at, told = w.told
  FROM ",
    saved_alerts!(),
    " WHERE a.id = w.id"
);

const DROP: &str = "DELETE FROM inventory.alerts WHERE id = ANY ($1)";

const ADD_NOTICES: &str = "
INSERT INTO inventory.notices (id, channel, body, made_at, due_at, attempts, failure)
SELECT w.id, w.channel, w.body, w.made_at, w.due_at, 0, ''
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS w (id, channel, body, made_at, due_at)";

const PAGE: &str = concat!(
    "SELECT ",
    alert_columns!(),
    " FROM inventory.alerts
       WHERE raised_at IS NOT NULL AND ($1 = 0 OR shop = $1) AND ($2 OR resolved_at IS NULL) AND id < $3
       ORDER BY id DESC LIMIT $4"
);

const ACKNOWLEDGE: &str = concat!(
    "UPDATE inventory.alerts SET acknowledged_at = $2, acknowledged_by = $3
      WHERE id = $1 AND raised_at IS NOT NULL RETURNING ",
    alert_columns!()
);

const COUNTS: &str = "
SELECT kind, count(*) FROM inventory.alerts WHERE resolved_at IS NULL AND raised_at IS NOT NULL GROUP BY kind";

const ADD_NOTICE_ALERTS: &str = "
INSERT INTO inventory.notice_alerts (channel, alert, notice)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])";

const DUE: &str = "
SELECT n.id, n.channel, n.body, n.made_at, n.attempts FROM inventory.notices AS n
 WHERE n.channel = $1 AND n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= $2
   AND NOT EXISTS (SELECT 1 FROM inventory.notice_alerts AS w JOIN inventory.notice_alerts AS older
                       ON older.channel = w.channel AND older.alert = w.alert AND older.notice < w.notice
                    WHERE w.notice = n.id)
 ORDER BY n.due_at, n.id LIMIT $3";

/// Nothing waits for it any more.
const NOBODY_WAITS: &str = "DELETE FROM inventory.notice_alerts WHERE notice = $1";

const SENT: &str =
    "UPDATE inventory.notices SET sent_at = $2, attempts = attempts + 1, failure = '' WHERE id = $1";

const FAILED: &str = "
UPDATE inventory.notices
   SET attempts = attempts + 1, failure = $2, due_at = coalesce($3, due_at),
       given_up_at = CASE WHEN $3 IS NULL THEN $4::bigint END
 WHERE id = $1";

const PRUNE: [&str; 2] = [
    "DELETE FROM inventory.alerts WHERE id IN
            (SELECT id FROM inventory.alerts WHERE resolved_at < $1 AND news IS NULL LIMIT $2)",
    "DELETE FROM inventory.notices WHERE id IN (SELECT id FROM inventory.notices WHERE made_at < $1 LIMIT $2)",
];

impl Postgres {
    pub(crate) async fn take_alert_turn(
        &self,
        owner: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<bool, Error> {
        let parameters = with(owner).and(now.micros()).and((now + lasts).micros());
        Ok(run(&self.pool, "take the turn to look for alerts", TAKE_TURN, parameters).await? > 0)
    }

    pub(crate) async fn end_alert_turn(&self, owner: &str) -> Result<(), Error> {
        run(&self.pool, "end the turn to look for alerts", END_TURN, with(owner)).await?;
        Ok(())
    }

    pub(crate) async fn alerts_at_work(&self, resolved_since: Timestamp) -> Result<Vec<Alert>, Error> {
        let parameters = with(resolved_since.micros()).and(i64::from(ALERTS_AT_WORK_MAX));
        let rows: Vec<AlertColumns> = all(&self.pool, "read alerts", AT_WORK, parameters).await?;
        rows.into_iter().map(alert).collect()
    }

    pub(crate) async fn save_alerts(
        &self,
        owner: &str,
        now: Timestamp,
        changes: &AlertChanges<'_>,
    ) -> Result<bool, Error> {
        let doing = "save alerts";
        let mut tx = self.write().await?;
        let turn: Option<(String,)> = maybe(&mut *tx, doing, HAS_TURN, with(owner).and(now.micros())).await?;
        if turn.is_none() {
            return Ok(false);
        }
        let alerts: Vec<_> = changes.alerts.iter().map(saved_alert).collect();
        let notices: Vec<_> = changes.notices.iter().map(|new| saved_notice(&new.notice)).collect();
        let tells: Vec<_> = changes.notices.iter().flat_map(saved_notice_alerts).collect();
        run(&mut *tx, doing, DROP, with(changes.dropped)).await?;
        run(&mut *tx, doing, CHANGE, rows(&alerts)).await?;
        run(&mut *tx, doing, ADD, rows(&alerts)).await?;
        run(&mut *tx, doing, ADD_NOTICES, rows(&notices)).await?;
        run(&mut *tx, doing, ADD_NOTICE_ALERTS, rows(&tells)).await?;
        commit(tx).await?;
        Ok(true)
    }

    pub(crate) async fn alerts_page(
        &self,
        filter: AlertFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Alert>, Error> {
        let parameters = with(filter.shop.map_or(0, ShopId::get))
            .and(filter.ended)
            .and(before.unwrap_or(i64::MAX))
            .and(page(limit));
        let rows: Vec<AlertColumns> = all(&self.pool, "list alerts", PAGE, parameters).await?;
        rows.into_iter().map(alert).collect()
    }

    pub(crate) async fn acknowledge_alert(
        &self,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<Alert>, Error> {
        let parameters = with(id).and(now.micros()).and(by);
        let row: Option<AlertColumns> =
            maybe(&self.pool, "acknowledge an alert", ACKNOWLEDGE, parameters).await?;
        row.map(alert).transpose()
    }

    pub(crate) async fn alert_counts(&self) -> Result<Vec<(AlertKind, u64)>, Error> {
        let rows: Vec<(String, i64)> = all(&self.pool, "count alerts", COUNTS, none()).await?;
        rows.into_iter().map(alert_count).collect()
    }

    pub(crate) async fn notices_due(
        &self,
        channel: Channel,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Notice>, Error> {
        let parameters = with(channel.as_str()).and(now.micros()).and(page(limit));
        let rows: Vec<NoticeColumns> = all(&self.pool, "look for notices to send", DUE, parameters).await?;
        rows.into_iter().map(notice).collect()
    }

    pub(crate) async fn notice_sent(&self, id: &str, now: Timestamp) -> Result<(), Error> {
        let doing = "note that a notice was sent";
        let mut tx = self.write().await?;
        run(&mut *tx, doing, SENT, with(id).and(now.micros())).await?;
        run(&mut *tx, doing, NOBODY_WAITS, with(id)).await?;
        commit(tx).await
    }

    pub(crate) async fn notice_failed(
        &self,
        id: &str,
        why: &str,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let parameters = with(id).and(notice_failure(why)).and(micros(again_at)).and(now.micros());
        let doing = "note that a notice was not sent";
        let mut tx = self.write().await?;
        run(&mut *tx, doing, FAILED, parameters).await?;
        if again_at.is_none() {
            run(&mut *tx, doing, NOBODY_WAITS, with(id)).await?;
        }
        commit(tx).await
    }

    pub(crate) async fn prune_alerts(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut count = 0;
        for statement in PRUNE {
            let parameters = with(before.micros()).and(page(limit));
            count += run(&self.pool, "forget old alerts", statement, parameters).await?;
        }
        Ok(count)
    }
}
