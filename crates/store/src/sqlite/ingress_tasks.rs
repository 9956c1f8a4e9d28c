//! Tasks and readings of shops on SQLite.

use values::{ShopId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::reading::{OPEN_TASKS_MAX, Reading, Task, TaskKind, TaskProgress};
use crate::rows::ingress::{
    ReadingColumns, TaskColumns, calls_text, failure_text, poll_millis, reading, report_texts, task,
    task_columns,
};
use crate::rows::{id, micros, signed};

/// What waits already is not asked for twice.
const ADD_TASK: &str = "
INSERT INTO ingress_tasks (shop, kind, state, done, total, phase, report, created_at, updated_at)
SELECT ?1, ?2, 'waiting', 0, NULL, '', '', ?3, ?3
 WHERE NOT EXISTS (SELECT 1 FROM ingress_tasks WHERE shop = ?1 AND kind = ?2 AND state = 'waiting')";

const WAITING_TASKS: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM ingress_tasks WHERE shop = ?1 AND state IN ('waiting', 'running') ORDER BY id LIMIT ?2"
);

const TASK: &str = concat!("SELECT ", task_columns!(), " FROM ingress_tasks WHERE id = ?1");

const REPORT_TASK: &str = "
UPDATE ingress_tasks SET state = ?2, done = ?3, total = ?4, phase = ?5, report = ?6, updated_at = ?7 WHERE id = ?1";

const PRUNE_TASKS: &str = "
DELETE FROM ingress_tasks WHERE id IN
       (SELECT id FROM ingress_tasks WHERE state IN ('done', 'failed') AND updated_at < ?1 LIMIT ?2)";

const SHOPS_TO_READ: &str = "
SELECT DISTINCT shop FROM ingress_settles WHERE due_at <= ?1
 UNION SELECT DISTINCT shop FROM ingress_rereads
 UNION SELECT DISTINCT shop FROM ingress_listing_rereads
 UNION SELECT DISTINCT shop FROM ingress_tasks WHERE state IN ('waiting', 'running')
 UNION SELECT shop FROM ingress_reconciliations WHERE state IN ('waiting', 'running')";

const SAVE_READING: &str = "
INSERT INTO ingress_readings
       (shop, polled_at, failing_since, failure, failed_at, breaker, resting_until, audited_at, catalogued_at,
        calls, poll_ms, refused)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    ON CONFLICT (shop) DO UPDATE SET
       polled_at = excluded.polled_at, failing_since = excluded.failing_since, failure = excluded.failure,
       failed_at = excluded.failed_at, breaker = excluded.breaker, resting_until = excluded.resting_until,
       audited_at = excluded.audited_at, catalogued_at = excluded.catalogued_at,
       calls = excluded.calls, poll_ms = excluded.poll_ms, refused = excluded.refused";

const NOTE_BLIND: &str = "
INSERT INTO ingress_readings (shop, failure, breaker, blind_at) VALUES (?1, '', 'closed', ?2)
    ON CONFLICT (shop) DO UPDATE SET blind_at = excluded.blind_at";

impl Sqlite {
    pub(crate) async fn add_task(&self, shop: ShopId, kind: TaskKind, now: Timestamp) -> Result<i64, Error> {
        let mut tx = self.write().await?;
        sqlx::query(ADD_TASK)
            .bind(shop.get())
            .bind(kind.as_str())
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("add a task"))?;
        let id = sqlx::query_scalar(
            "SELECT max(id) FROM ingress_tasks WHERE shop = ?1 AND kind = ?2 AND state = 'waiting'",
        )
        .bind(shop.get())
        .bind(kind.as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed("add a task"))?;
        commit(tx).await?;
        Ok(id)
    }

    pub(crate) async fn waiting_tasks(&self, shop: ShopId) -> Result<Vec<Task>, Error> {
        let rows: Vec<TaskColumns> = sqlx::query_as(WAITING_TASKS)
            .bind(shop.get())
            .bind(OPEN_TASKS_MAX)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for tasks"))?;
        rows.into_iter().map(task).collect()
    }

    pub(crate) async fn task(&self, id: i64) -> Result<Option<Task>, Error> {
        let row: Option<TaskColumns> = sqlx::query_as(TASK)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read a task"))?;
        row.map(task).transpose()
    }

    pub(crate) async fn report_task(
        &self,
        id: i64,
        progress: &TaskProgress,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (phase, report) = report_texts(progress);
        let mut tx = self.write().await?;
        sqlx::query(REPORT_TASK)
            .bind(id)
            .bind(progress.state.as_str())
            .bind(signed(progress.done))
            .bind(progress.total.map(signed))
            .bind(phase)
            .bind(report)
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("report on a task"))?;
        commit(tx).await
    }

    pub(crate) async fn prune_tasks(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.write().await?;
        let pruned = sqlx::query(PRUNE_TASKS)
            .bind(before.micros())
            .bind(limit)
            .execute(&mut *tx)
            .await
            .map_err(failed("forget old tasks"))?;
        commit(tx).await?;
        Ok(pruned.rows_affected())
    }

    pub(crate) async fn shops_to_read(&self, now: Timestamp) -> Result<Vec<ShopId>, Error> {
        let shops: Vec<i64> = sqlx::query_scalar(SHOPS_TO_READ)
            .bind(now.micros())
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for shops to read"))?;
        shops.into_iter().map(|shop| id("shop id", shop)).collect()
    }

    pub(crate) async fn save_reading(&self, reading: &Reading) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(SAVE_READING)
            .bind(reading.shop.get())
            .bind(micros(reading.polled_at))
            .bind(micros(reading.failing_since))
            .bind(failure_text(reading))
            .bind(micros(reading.failed_at))
            .bind(reading.breaker.as_str())
            .bind(micros(reading.resting_until))
            .bind(micros(reading.audited_at))
            .bind(micros(reading.catalogued_at))
            .bind(calls_text(reading))
            .bind(poll_millis(reading))
            .bind(reading.refused)
            .execute(&mut *tx)
            .await
            .map_err(failed("note how a shop is read"))?;
        commit(tx).await
    }

    pub(crate) async fn note_blind(&self, shop: ShopId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(NOTE_BLIND)
            .bind(shop.get())
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("note that a shop's webhooks are blind"))?;
        commit(tx).await
    }

    pub(crate) async fn reading(&self, shop: ShopId) -> Result<Option<Reading>, Error> {
        let row: Option<ReadingColumns> = sqlx::query_as(
            "SELECT polled_at, failing_since, failure, failed_at, breaker, resting_until, blind_at, pinged_at,
                    audited_at, catalogued_at, calls, poll_ms, refused FROM ingress_readings WHERE shop = ?1",
        )
        .bind(shop.get())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("look how a shop is read"))?;
        row.map(|row| reading(shop, row)).transpose()
    }
}
