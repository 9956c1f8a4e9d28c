//! Records that could not be handled: kept with the reason until somebody replays or discards them.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use crate::error::SpoolError;
use crate::group;
use crate::queue::{QueueState, time};
use crate::spool::Shared;

/// Identity of a dead record within its spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadId(i64);

impl DeadId {
    /// From a list shown before.
    pub const fn new(raw: i64) -> Self {
        Self(raw)
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A dead record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// Its identity.
    pub id: DeadId,
    /// The key it was appended with.
    pub key: u64,
    /// How often it had been given out without being settled.
    pub attempts: u32,
    /// Why it is here.
    pub reason: String,
    /// When it was appended.
    pub appended_at: SystemTime,
    /// When it came here.
    pub died_at: SystemTime,
    /// The bytes; of a damaged record what is left of them.
    pub payload: Bytes,
}

/// A record on its way here.
#[derive(Debug)]
pub(crate) struct Burial {
    pub(crate) key: u64,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
    pub(crate) appended_at: i64,
    pub(crate) payload: Bytes,
}

type Row = (i64, i64, u32, String, i64, i64, Vec<u8>);

pub(crate) async fn list(
    shared: &Shared,
    queue: &QueueState,
    after: Option<DeadId>,
    limit: u32,
) -> Result<Vec<Dead>, SpoolError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, key, attempts, reason, appended_at, died_at, payload
         FROM dead WHERE queue = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )
    .bind(queue.number)
    .bind(after.map_or(0, DeadId::get))
    .bind(limit)
    .fetch_all(&shared.reader)
    .await
    .map_err(|error| shared.health.judge(error))?;
    let dead = |(id, key, attempts, reason, appended_at, died_at, payload): Row| Dead {
        id: DeadId(id),
        key: key.cast_unsigned(),
        attempts,
        reason,
        appended_at: time(appended_at),
        died_at: time(died_at),
        payload: payload.into(),
    };
    Ok(rows.into_iter().map(dead).collect())
}

pub(crate) async fn count(shared: &Shared, queue: &QueueState) -> Result<u64, SpoolError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM dead WHERE queue = ?1")
        .bind(queue.number)
        .fetch_one(&shared.reader)
        .await
        .map_err(|error| shared.health.judge(error))?;
    Ok(count.unsigned_abs())
}

pub(crate) async fn bury(
    connection: &mut SqliteConnection,
    queue: i64,
    now: i64,
    burial: &Burial,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO dead (queue, key, attempts, reason, appended_at, died_at, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .bind(queue)
    .bind(burial.key.cast_signed())
    .bind(burial.attempts)
    .bind(burial.reason.as_str())
    .bind(burial.appended_at)
    .bind(now)
    .bind(burial.payload.as_ref())
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves dead records to the end of the queue. One by one: an operator does it, on few.
pub(crate) async fn replay(
    connection: &mut SqliteConnection,
    queue: &Arc<QueueState>,
    now: i64,
    ids: &[DeadId],
    mut end: i64,
) -> Result<i64, sqlx::Error> {
    for id in ids {
        let row: Option<(i64, Vec<u8>)> =
            sqlx::query_as("DELETE FROM dead WHERE id = ?1 AND queue = ?2 RETURNING key, payload")
                .bind(id.0)
                .bind(queue.number)
                .fetch_optional(&mut *connection)
                .await?;
        if let Some((key, payload)) = row {
            let records = [(key.cast_unsigned(), Bytes::from(payload))];
            group::insert_segment(connection, queue, end, now, &records).await?;
            end += 1;
        }
    }
    Ok(end)
}

pub(crate) async fn discard(
    connection: &mut SqliteConnection,
    queue: i64,
    ids: &[DeadId],
) -> Result<u64, sqlx::Error> {
    let mut discarded = 0;
    for id in ids {
        let result = sqlx::query("DELETE FROM dead WHERE id = ?1 AND queue = ?2")
            .bind(id.0)
            .bind(queue)
            .execute(&mut *connection)
            .await?;
        discarded += result.rows_affected();
    }
    Ok(discarded)
}
