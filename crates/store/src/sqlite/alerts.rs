//! Alerts and notices on SQLite.

use std::time::Duration;

use values::{ShopId, Timestamp};

use super::{Sqlite, WriteTx, commit};
use crate::alerts::{ALERTS_AT_WORK_MAX, Alert, AlertChanges, AlertFilter, AlertKind, Channel, Notice};
use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::alerts::{
    AlertColumns, NoticeColumns, alert, alert_columns, alert_count, notice, notice_failure, saved_alert,
    saved_notice, saved_notice_alerts,
};
use crate::rows::{json, micros};

const TAKE_TURN: &str = "
INSERT INTO inventory_alert_turns AS t (one_row, owner, until) VALUES (1, ?1, ?3)
    ON CONFLICT (one_row) DO UPDATE SET owner = excluded.owner, until = excluded.until
       WHERE t.owner = excluded.owner OR t.until <= ?2";

const HAS_TURN: &str = "SELECT owner FROM inventory_alert_turns WHERE owner = ?1 AND until > ?2";

const END_TURN: &str = "DELETE FROM inventory_alert_turns WHERE owner = ?1";

const AT_WORK: &str = concat!(
    "SELECT ",
    alert_columns!(),
    " FROM inventory_alerts WHERE id IN
       (SELECT id FROM inventory_alerts WHERE resolved_at IS NULL
         UNION SELECT id FROM inventory_alerts WHERE news IS NOT NULL
         UNION SELECT id FROM (SELECT id FROM inventory_alerts WHERE resolved_at > ?1 ORDER BY id DESC LIMIT ?2) AS ended)"
);

const ADD: &str = "
INSERT INTO inventory_alerts
       (kind, shop, subject, sku, what, first_seen, last_seen, count, raised_at, missing_since, resolved_at, news, news_at,
        told)
SELECT value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8,
       value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14
  FROM jsonb_each(?1) WHERE value ->> 0 = 0
    ON CONFLICT (kind, shop, subject) WHERE resolved_at IS NULL DO NOTHING";

/// What begins again has to be taken note of again.
const CHANGE: &str = "
UPDATE inventory_alerts AS a
   SET sku = w.value ->> 4, what = w.value ->> 5, first_seen = w.value ->> 6, last_seen = w.value ->> 7,
       acknowledged_at = CASE WHEN a.count = w.value ->> 8 THEN a.acknowledged_at END,
       acknowledged_by = CASE WHEN a.count = w.value ->> 8 THEN a.acknowledged_by END,
       count = w.value ->> 8, raised_at = w.value ->> 9, missing_since = w.value ->> 10,
       resolved_at = w.value ->> 11, news = w.value ->> 12, news_at = w.value ->> 13, told = w.value ->> 14
  FROM jsonb_each(?1) AS w
 WHERE a.id = w.value ->> 0";

const DROP: &str = "DELETE FROM inventory_alerts WHERE id IN (SELECT value FROM jsonb_each(?1))";

const ADD_NOTICES: &str = "
INSERT INTO inventory_notices (id, channel, body, made_at, due_at, attempts, failure)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 0, '' FROM jsonb_each(?1)";

const PAGE: &str = concat!(
    "SELECT ",
    alert_columns!(),
    " FROM inventory_alerts
       WHERE raised_at IS NOT NULL AND (?1 = 0 OR shop = ?1) AND (?2 OR resolved_at IS NULL) AND id < ?3
       ORDER BY id DESC LIMIT ?4"
);

const ACKNOWLEDGE: &str = concat!(
    "UPDATE inventory_alerts SET acknowledged_at = ?2, acknowledged_by = ?3
      WHERE id = ?1 AND raised_at IS NOT NULL RETURNING ",
    alert_columns!()
);

const COUNTS: &str = "
SELECT kind, count(*) FROM inventory_alerts WHERE resolved_at IS NULL AND raised_at IS NOT NULL GROUP BY kind";

const ADD_NOTICE_ALERTS: &str = "
INSERT INTO inventory_notice_alerts (channel, alert, notice)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?1)";

const DUE: &str = "
SELECT n.id, n.channel, n.body, n.made_at, n.attempts FROM inventory_notices AS n
 WHERE n.channel = ?1 AND n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= ?2
   AND NOT EXISTS (SELECT 1 FROM inventory_notice_alerts AS w CROSS JOIN inventory_notice_alerts AS older
                    WHERE w.notice = n.id AND older.channel = w.channel AND older.alert = w.alert
                      AND older.notice < w.notice)
 ORDER BY n.due_at, n.id LIMIT ?3";

/// Nothing waits for it any more.
const NOBODY_WAITS: &str = "DELETE FROM inventory_notice_alerts WHERE notice = ?1";

const SENT: &str =
    "UPDATE inventory_notices SET sent_at = ?2, attempts = attempts + 1, failure = '' WHERE id = ?1";

const FAILED: &str = "
UPDATE inventory_notices
   SET attempts = attempts + 1, failure = ?2, due_at = coalesce(?3, due_at),
       given_up_at = CASE WHEN ?3 IS NULL THEN ?4 END
 WHERE id = ?1";

const PRUNE: [&str; 2] = [
    "DELETE FROM inventory_alerts WHERE id IN
            (SELECT id FROM inventory_alerts WHERE resolved_at < ?1 AND news IS NULL LIMIT ?2)",
    "DELETE FROM inventory_notices WHERE id IN (SELECT id FROM inventory_notices WHERE made_at < ?1 LIMIT ?2)",
];

impl Sqlite {
    pub(crate) async fn take_alert_turn(
        &self,
        owner: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<bool, Error> {
        let mut tx = self.write().await?;
        let taken = sqlx::query(TAKE_TURN)
            .bind(owner)
            .bind(now.micros())
            .bind((now + lasts).micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("take the turn to look for alerts"))?;
        commit(tx).await?;
        Ok(taken.rows_affected() > 0)
    }

    pub(crate) async fn end_alert_turn(&self, owner: &str) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(END_TURN)
            .bind(owner)
            .execute(&mut *tx)
            .await
            .map_err(failed("end the turn to look for alerts"))?;
        commit(tx).await
    }

    pub(crate) async fn alerts_at_work(&self, resolved_since: Timestamp) -> Result<Vec<Alert>, Error> {
        let rows: Vec<AlertColumns> = sqlx::query_as(AT_WORK)
            .bind(resolved_since.micros())
            .bind(ALERTS_AT_WORK_MAX)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("read alerts"))?;
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
        let turn: Option<String> = sqlx::query_scalar(HAS_TURN)
            .bind(owner)
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed(doing))?;
        if turn.is_none() {
            return Ok(false);
        }
        let alerts = json(&changes.alerts.iter().map(saved_alert).collect::<Vec<_>>());
        let notices = json(&changes.notices.iter().map(|new| saved_notice(&new.notice)).collect::<Vec<_>>());
        let tells = json(&changes.notices.iter().flat_map(saved_notice_alerts).collect::<Vec<_>>());
        let (added, changed) = (alerts.clone(), alerts);
        let steps = [
            (DROP, json(changes.dropped)),
            (CHANGE, changed),
            (ADD, added),
            (ADD_NOTICES, notices),
            (ADD_NOTICE_ALERTS, tells),
        ];
        for (statement, rows) in steps {
            sqlx::query(statement).bind(rows).execute(&mut *tx).await.map_err(failed(doing))?;
        }
        commit(tx).await?;
        Ok(true)
    }

    pub(crate) async fn alerts_page(
        &self,
        filter: AlertFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Alert>, Error> {
        let rows: Vec<AlertColumns> = sqlx::query_as(PAGE)
            .bind(filter.shop.map_or(0, ShopId::get))
            .bind(filter.ended)
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list alerts"))?;
        rows.into_iter().map(alert).collect()
    }

    pub(crate) async fn acknowledge_alert(
        &self,
        id: i64,
        by: &str,
        now: Timestamp,
    ) -> Result<Option<Alert>, Error> {
        let mut tx = self.write().await?;
        let row: Option<AlertColumns> = sqlx::query_as(ACKNOWLEDGE)
            .bind(id)
            .bind(now.micros())
            .bind(by)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("acknowledge an alert"))?;
        commit(tx).await?;
        row.map(alert).transpose()
    }

    pub(crate) async fn alert_counts(&self) -> Result<Vec<(AlertKind, u64)>, Error> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(COUNTS).fetch_all(&self.readers).await.map_err(failed("count alerts"))?;
        rows.into_iter().map(alert_count).collect()
    }

    pub(crate) async fn notices_due(
        &self,
        channel: Channel,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Notice>, Error> {
        let rows: Vec<NoticeColumns> = sqlx::query_as(DUE)
            .bind(channel.as_str())
            .bind(now.micros())
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for notices to send"))?;
        rows.into_iter().map(notice).collect()
    }

    pub(crate) async fn notice_sent(&self, id: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(SENT)
            .bind(id)
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note that a notice was sent"))?;
        nobody_waits(&mut tx, id).await?;
        commit(tx).await
    }

    pub(crate) async fn notice_failed(
        &self,
        id: &str,
        why: &str,
        again_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(FAILED)
            .bind(id)
            .bind(notice_failure(why))
            .bind(micros(again_at))
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note that a notice was not sent"))?;
        if again_at.is_none() {
            nobody_waits(&mut tx, id).await?;
        }
        commit(tx).await
    }

    pub(crate) async fn prune_alerts(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.write().await?;
        let mut count = 0;
        for statement in PRUNE {
            let pruned = sqlx::query(statement).bind(before.micros()).bind(limit).execute(&mut *tx).await;
            count += pruned.map_err(failed("forget old alerts"))?.rows_affected();
        }
        commit(tx).await?;
        Ok(count)
    }
}

async fn nobody_waits(tx: &mut WriteTx, notice: &str) -> Result<(), Error> {
    let done = sqlx::query(NOBODY_WAITS).bind(notice).execute(&mut **tx).await;
    done.map_err(failed("forget what a notice tells of"))?;
    Ok(())
}
