//! What one transaction carries: the appends, settlements and claims of many callers.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use crate::dead::{self, Burial};
use crate::error::SpoolError;
use crate::queue::{QueueState, Record};
use crate::segment;
use crate::writer::Answer;

/// A segment is closed at this size, so that a consumer never has to load much more at once. In bytes.
const SEGMENT_BYTES_MAX: usize = 1 << 20;

/// What a consumer settled, worked out by it against what it has loaded.
#[derive(Debug, Default)]
pub(crate) struct Settlement {
    /// Ranges of segments that are wholly settled: first number, and the number after the last.
    pub(crate) settled_segments: Vec<(i64, i64)>,
    /// Segments settled in part, with one bit a record.
    pub(crate) partial: Vec<(i64, Vec<u8>)>,
    /// Wholly settled segments that were partly settled before.
    pub(crate) partial_over: Vec<i64>,
    /// Records to be given out again, with how often they were.
    pub(crate) attempts: Vec<(i64, u32)>,
    /// Settled records that had attempts.
    pub(crate) attempts_over: Vec<i64>,
    pub(crate) burials: Vec<Burial>,
    /// Records up to here are settled without having been given out, because they are damaged.
    pub(crate) touched_to: i64,
    /// Number of records settled.
    pub(crate) records: u64,
}

#[derive(Debug)]
struct Append {
    queue: Arc<QueueState>,
    segments: Vec<Vec<(u64, Bytes)>>,
    last_segment_bytes: usize,
    records: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Group {
    appends: Vec<Append>,
    settlements: Vec<(Arc<QueueState>, Settlement)>,
    claims: Vec<(Arc<QueueState>, i64)>,
    answers: Vec<Answer<()>>,
    /// Bytes it adds.
    pub(crate) bytes: u64,
}

impl Group {
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    /// Nothing but one segment for one queue.
    pub(crate) fn is_one_statement(&self) -> bool {
        let one_segment = matches!(self.appends.as_slice(), [append] if append.segments.len() == 1);
        one_segment && self.settlements.is_empty() && self.claims.is_empty()
    }

    pub(crate) fn append(
        &mut self,
        queue: Arc<QueueState>,
        records: Vec<Record>,
        bytes: u64,
        answer: Answer<()>,
    ) {
        let at = self.appends.iter().position(|append| append.queue.number == queue.number);
        let append = if let Some(at) = at {
            self.appends.get_mut(at).expect("just found")
        } else {
            self.appends.push(Append { queue, segments: Vec::new(), last_segment_bytes: 0, records: 0 });
            self.appends.last_mut().expect("just pushed")
        };
        for record in records {
            append.add(record);
        }
        self.bytes += bytes;
        self.answers.push(answer);
    }

    pub(crate) fn settle(&mut self, queue: Arc<QueueState>, settlement: Settlement, answer: Answer<()>) {
        self.settlements.push((queue, settlement));
        self.answers.push(answer);
    }

    pub(crate) fn claim(&mut self, queue: Arc<QueueState>, to: i64, answer: Answer<()>) {
        self.claims.push((queue, to));
        self.answers.push(answer);
    }

    /// Everything, inside the caller's transaction.
    pub(crate) async fn write(&self, connection: &mut SqliteConnection, now: i64) -> Result<(), sqlx::Error> {
        for append in &self.appends {
            let mut first = append.queue.end.load(Ordering::Relaxed);
            for records in &append.segments {
                insert_segment(connection, &append.queue, first, now, records).await?;
                first += count(records);
            }
        }
        for (queue, settlement) in &self.settlements {
            settlement.write(connection, queue, now).await?;
        }
        for (queue, to) in &self.claims {
            sqlx::query(
                "UPDATE queue SET claimed_to = ?2, touched_to = max(touched_to, ?2) WHERE number = ?1",
            )
            .bind(queue.number)
            .bind(to)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    /// It is on disk: consumers are woken and callers answered.
    pub(crate) fn committed(self) {
        for append in self.appends {
            let records = i64::try_from(append.records).expect("bounded by the size of a commit");
            append.queue.waiting.fetch_add(append.records, Ordering::Relaxed);
            append.queue.end.fetch_add(records, Ordering::Release);
            append.queue.appended.notify_one();
        }
        for (queue, settlement) in self.settlements {
            queue.settled(settlement.records);
        }
        for answer in self.answers {
            answer_with(answer, Ok(()));
        }
    }

    /// Nothing of it happened.
    pub(crate) fn failed(self, error: &SpoolError) {
        for answer in self.answers {
            answer_with(answer, Err(error.clone()));
        }
    }
}

/// Answers, or not: a caller that went away while it waited does not want to know.
pub(crate) fn answer_with<T>(answer: Answer<T>, result: Result<T, SpoolError>) {
    drop(answer.send(result));
}

impl Append {
    fn add(&mut self, record: Record) {
        let bytes = segment::packed_bytes(1, record.payload.len());
        let fits = self.last_segment_bytes + bytes <= SEGMENT_BYTES_MAX;
        self.records += 1;
        match self.segments.last_mut() {
            Some(segment) if fits => {
                self.last_segment_bytes += bytes;
                segment.push((record.key, record.payload));
            }
            _ => {
                self.last_segment_bytes = bytes;
                self.segments.push(vec![(record.key, record.payload)]);
            }
        }
    }
}

fn count(records: &[(u64, Bytes)]) -> i64 {
    i64::try_from(records.len()).expect("bounded by the size of a commit")
}

pub(crate) async fn insert_segment(
    connection: &mut SqliteConnection,
    queue: &QueueState,
    first: i64,
    now: i64,
    records: &[(u64, Bytes)],
) -> Result<(), sqlx::Error> {
    sqlx::query(queue.sql.append())
        .bind(first)
        .bind(count(records))
        .bind(now)
        .bind(segment::pack(records))
        .execute(connection)
        .await?;
    Ok(())
}

impl Settlement {
    async fn write(
        &self,
        connection: &mut SqliteConnection,
        queue: &QueueState,
        now: i64,
    ) -> Result<(), sqlx::Error> {
        for (first, end) in &self.settled_segments {
            sqlx::query(queue.sql.settle()).bind(first).bind(end).execute(&mut *connection).await?;
        }
        for (segment, done) in &self.partial {
            sqlx::query(
                "INSERT INTO partial (queue, segment, done) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET done = excluded.done",
            )
            .bind(queue.number)
            .bind(segment)
            .bind(done.as_slice())
            .execute(&mut *connection)
            .await?;
        }
        for segment in &self.partial_over {
            sqlx::query("DELETE FROM partial WHERE queue = ?1 AND segment = ?2")
                .bind(queue.number)
                .bind(segment)
                .execute(&mut *connection)
                .await?;
        }
        for (seq, count) in &self.attempts {
            set_attempts(connection, queue.number, *seq, *count).await?;
        }
        for seq in &self.attempts_over {
            sqlx::query("DELETE FROM attempt WHERE queue = ?1 AND seq = ?2")
                .bind(queue.number)
                .bind(seq)
                .execute(&mut *connection)
                .await?;
        }
        if self.touched_to > 0 {
            sqlx::query("UPDATE queue SET touched_to = max(touched_to, ?2) WHERE number = ?1")
                .bind(queue.number)
                .bind(self.touched_to)
                .execute(&mut *connection)
                .await?;
        }
        for burial in &self.burials {
            dead::bury(connection, queue.number, now, burial).await?;
        }
        Ok(())
    }

    /// Nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0 && self.attempts.is_empty()
    }

    /// Adds a wholly settled segment, joined to the one before if they are neighbours.
    pub(crate) fn settle_segment(&mut self, first: i64, end: i64) {
        match self.settled_segments.last_mut() {
            Some(range) if range.1 == first => range.1 = end,
            _ => self.settled_segments.push((first, end)),
        }
    }

    pub(crate) fn take(&mut self) -> Self {
        mem::take(self)
    }
}

pub(crate) async fn set_attempts(
    connection: &mut SqliteConnection,
    queue: i64,
    seq: i64,
    count: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO attempt (queue, seq, count) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET count = excluded.count",
    )
    .bind(queue)
    .bind(seq)
    .bind(count)
    .execute(connection)
    .await?;
    Ok(())
}
