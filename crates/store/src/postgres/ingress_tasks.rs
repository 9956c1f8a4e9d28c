//! Tasks and readings of shops on PostgreSQL.

use values::{ShopId, Timestamp};

use super::parameters::{all, maybe, run, with};
use super::{Postgres, commit};
use crate::error::Error;
use crate::reading::{OPEN_TASKS_MAX, Reading, Task, TaskKind, TaskProgress};
use crate::rows::ingress::{
    ReadingColumns, TaskColumns, calls_text, failure_text, poll_millis, reading, report_texts, task,
    task_columns,
};
use crate::rows::{id, micros, signed};

/// Two who ask for a task of the same shop do so one after the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('task of ' || $1, 0))";

/// What waits already is not asked for twice.
const ADD_TASK: &str = "
INSERT INTO ingress.tasks (shop, kind, state, done, total, phase, report, created_at, updated_at)
SELECT $1, $2, 'waiting', 0, NULL, '', '', $3, $3
 WHERE NOT EXISTS (SELECT 1 FROM ingress.tasks WHERE shop = $1 AND kind = $2 AND state = 'waiting')
RETURNING id";

const WAITING_TASK: &str = "
SELECT id FROM ingress.tasks WHERE shop = $1 AND kind = $2 AND state = 'waiting' ORDER BY id DESC LIMIT 1";

const BEGUN: &str = "the same was begun at this moment";

const WAITING_TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM ingress.tasks WHERE shop = $1 AND state IN ('waiting', 'running') ORDER BY id LIMIT $2"
);

const TASK: &str = concat!("SELECT ", task_columns!(), " FROM ingress.tasks WHERE id = $1");

const REPORT_TASK: &str = "
UPDATE ingress.tasks SET state = $2, done = $3, total = $4, phase = $5, report = $6, updated_at = $7 WHERE id = $1";

const PRUNE_TASKS: &str = "
DELETE FROM ingress.tasks WHERE id IN
       (SELECT id FROM ingress.tasks WHERE state IN ('done', 'failed') AND updated_at < $1
         ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)";

const SHOPS_TO_READ: &str = "
SELECT shop FROM ingress.settles WHERE due_at <= $1
 UNION SELECT shop FROM ingress.rereads
 UNION SELECT shop FROM ingress.listing_rereads
 UNION SELECT shop FROM ingress.tasks WHERE state IN ('waiting', 'running')
 UNION SELECT shop FROM ingress.reconciliations WHERE state IN ('waiting', 'running')
 ORDER BY shop";

const SAVE_READING: &str = "
INSERT INTO ingress.readings
       (shop, polled_at, failing_since, failure, failed_at, breaker, resting_until, audited_at, catalogued_at,
        calls, poll_ms, refused)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    ON CONFLICT (shop) DO UPDATE SET
       polled_at = excluded.polled_at, failing_since = excluded.failing_since, failure = excluded.failure,
       failed_at = excluded.failed_at, breaker = excluded.breaker, resting_until = excluded.resting_until,
       audited_at = excluded.audited_at, catalogued_at = excluded.catalogued_at,
       calls = excluded.calls, poll_ms = excluded.poll_ms, refused = excluded.refused";

const NOTE_BLIND: &str = "
INSERT INTO ingress.readings (shop, failure, breaker, blind_at) VALUES ($1, '', 'closed', $2)
    ON CONFLICT (shop) DO UPDATE SET blind_at = excluded.blind_at";

const READING: &str = "
SELECT polled_at, failing_since, failure, failed_at, breaker, resting_until, blind_at, pinged_at, audited_at,
       catalogued_at, calls, poll_ms, refused FROM ingress.readings WHERE shop = $1";

impl Postgres {
    pub(crate) async fn add_task(&self, shop: ShopId, kind: TaskKind, now: Timestamp) -> Result<i64, Error> {
        let doing = "add a task";
        let mut tx = self.write().await?;
        run(&mut *tx, doing, LOCK, with(shop.get())).await?;
        let parameters = with(shop.get()).and(kind.as_str()).and(now.micros());
        let added: Option<(i64,)> = maybe(&mut *tx, doing, ADD_TASK, parameters).await?;
        let task = if let Some((added,)) = added {
            added
        } else {
            // It waited a moment ago. If it has been begun since, it may be past what somebody wants done now.
            let waiting = maybe(&mut *tx, doing, WAITING_TASK, with(shop.get()).and(kind.as_str())).await?;
            let (waiting,): (i64,) = waiting.ok_or(Error::Busy { doing, source: BEGUN.into() })?;
            waiting
        };
        commit(tx).await?;
        Ok(task)
    }

    pub(crate) async fn waiting_tasks(&self, shop: ShopId) -> Result<Vec<Task>, Error> {
        let parameters = with(shop.get()).and(i64::from(OPEN_TASKS_MAX));
        let rows: Vec<TaskColumns> = all(&self.pool, "look for tasks", WAITING_TASKS, parameters).await?;
        rows.into_iter().map(task).collect()
    }

    pub(crate) async fn task(&self, id: i64) -> Result<Option<Task>, Error> {
        let row: Option<TaskColumns> = maybe(&self.pool, "read a task", TASK, with(id)).await?;
        row.map(task).transpose()
    }

    pub(crate) async fn report_task(
        &self,
        id: i64,
        progress: &TaskProgress,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (phase, report) = report_texts(progress);
        let parameters = with(id)
            .and(progress.state.as_str())
            .and(signed(progress.done))
            .and(progress.total.map(signed))
            .and(phase)
            .and(report)
            .and(now.micros());
        run(&self.pool, "report on a task", REPORT_TASK, parameters).await?;
        Ok(())
    }

    pub(crate) async fn prune_tasks(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let parameters = with(before.micros()).and(i64::from(limit));
        run(&self.pool, "forget old tasks", PRUNE_TASKS, parameters).await
    }

    pub(crate) async fn shops_to_read(&self, now: Timestamp) -> Result<Vec<ShopId>, Error> {
        let shops: Vec<(i64,)> =
            all(&self.pool, "look for shops to read", SHOPS_TO_READ, with(now.micros())).await?;
        shops.into_iter().map(|(shop,)| id("shop id", shop)).collect()
    }

    pub(crate) async fn save_reading(&self, reading: &Reading) -> Result<(), Error> {
        let parameters = with(reading.shop.get())
            .and(micros(reading.polled_at))
            .and(micros(reading.failing_since))
            .and(failure_text(reading))
            .and(micros(reading.failed_at))
            .and(reading.breaker.as_str())
            .and(micros(reading.resting_until))
            .and(micros(reading.audited_at))
            .and(micros(reading.catalogued_at))
            .and(calls_text(reading))
            .and(poll_millis(reading))
            .and(reading.refused);
        run(&self.pool, "note how a shop is read", SAVE_READING, parameters).await?;
        Ok(())
    }

    pub(crate) async fn note_blind(&self, shop: ShopId, now: Timestamp) -> Result<(), Error> {
        let parameters = with(shop.get()).and(now.micros());
        run(&self.pool, "note that a shop's webhooks are blind", NOTE_BLIND, parameters).await?;
        Ok(())
    }

    pub(crate) async fn reading(&self, shop: ShopId) -> Result<Option<Reading>, Error> {
        let row: Option<ReadingColumns> =
            maybe(&self.pool, "look how a shop is read", READING, with(shop.get())).await?;
        row.map(|row| reading(shop, row)).transpose()
    }
}
