//! A named queue: appending to it, and how much waits in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::consumer::Consumer;
use crate::dead::{self, Dead, DeadId};
use crate::error::SpoolError;
use crate::spool::{IN_FLIGHT_BYTES_MAX, PAYLOAD_BYTES_MAX, Shared};
use crate::sql::QueueSql;
use crate::writer::Command;

/// Number of a record in its queue, in the order of appending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub(crate) i64);

/// What is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Kept beside the payload for whoever looks at dead records; the spool orders by queue, not by key.
    pub key: u64,
    /// The bytes.
    pub payload: Bytes,
}

/// How much waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Records that are not settled, dead ones not counted.
    pub records: u64,
    /// Age of the oldest of them.
    pub oldest: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct QueueState {
    pub(crate) number: i64,
    pub(crate) name: String,
    pub(crate) sql: QueueSql,
    /// Wakes the consumer when something was appended.
    pub(crate) appended: Notify,
    /// Number the next record gets. Only the writer changes it, after the commit.
    pub(crate) end: AtomicI64,
    /// Records not settled.
    pub(crate) waiting: AtomicU64,
    /// There is a consumer.
    pub(crate) consumed: AtomicBool,
}

impl QueueState {
    /// Settled records are never more than waiting ones, so this cannot go below zero but by a bug; then it stays 0.
    pub(crate) fn settled(&self, count: u64) {
        let _was = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            Some(waiting.saturating_sub(count))
        });
    }
}

/// A named queue of a spool.
#[derive(Debug, Clone)]
pub struct Queue {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<QueueState>,
}

impl Queue {
    pub(crate) fn new(shared: Arc<Shared>, state: Arc<QueueState>) -> Self {
        Self { shared, state }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Records that are on disk and not settled, dead ones not counted.
    pub fn waiting(&self) -> u64 {
        self.state.waiting.load(Ordering::Relaxed)
    }

    /// Stores one record; on disk when it returns.
    pub async fn append(&self, key: u64, payload: impl Into<Bytes>) -> Result<(), SpoolError> {
        self.append_all(vec![Record { key, payload: payload.into() }]).await
    }

    /// Stores all of these, in this order, or none; on disk when it returns.
    pub async fn append_all(&self, records: Vec<Record>) -> Result<(), SpoolError> {
        self.shared.health.check()?;
        if records.is_empty() {
            return Ok(());
        }
        let largest = records.iter().map(|record| record.payload.len()).max().unwrap_or(0);
        if largest > PAYLOAD_BYTES_MAX {
            return Err(SpoolError::TooLarge { bytes: largest, max: PAYLOAD_BYTES_MAX });
        }
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        let permits =
            u32::try_from(bytes.min(IN_FLIGHT_BYTES_MAX)).expect("the bound of bytes in flight fits");
        let permit = Arc::clone(&self.shared.in_flight).acquire_many_owned(permits).await;
        let permit = permit.expect("the semaphore is never closed");
        let queue = Arc::clone(&self.state);
        self.shared.ask(|answer| Command::Append { queue, records, _permit: permit, answer }).await
    }

    /// How much waits, and since when.
    pub async fn depth(&self) -> Result<Depth, SpoolError> {
        let records = self.state.waiting.load(Ordering::Relaxed);
        let oldest: Option<i64> = sqlx::query_scalar(self.state.sql.oldest())
            .fetch_optional(&self.shared.reader)
            .await
            .map_err(|error| self.shared.health.judge(error))?;
        let now = self.shared.health.now();
        let age = |at| Duration::from_micros(u64::try_from(now - at).unwrap_or(0));
        Ok(Depth { records, oldest: oldest.map(age) })
    }

    /// Becomes the consumer; refused while there is one.
    pub async fn consumer(&self) -> Result<Consumer, SpoolError> {
        Consumer::open(self.clone()).await
    }

    /// Dead records after `after`, oldest first, at most `limit`.
    pub async fn dead(&self, after: Option<DeadId>, limit: u32) -> Result<Vec<Dead>, SpoolError> {
        dead::list(&self.shared, &self.state, after, limit).await
    }

    /// Number of dead records.
    pub async fn dead_count(&self) -> Result<u64, SpoolError> {
        dead::count(&self.shared, &self.state).await
    }

    /// Puts dead records back at the end of the queue as if they were new; gives back how many were there.
    pub async fn replay(&self, ids: Vec<DeadId>) -> Result<u64, SpoolError> {
        let queue = Arc::clone(&self.state);
        self.shared.ask(|answer| Command::Replay { queue, ids, answer }).await
    }

    /// Deletes dead records for good; gives back how many were there.
    pub async fn discard(&self, ids: Vec<DeadId>) -> Result<u64, SpoolError> {
        let queue = Arc::clone(&self.state);
        self.shared.ask(|answer| Command::Discard { queue, ids, answer }).await
    }
}

pub(crate) fn time(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
