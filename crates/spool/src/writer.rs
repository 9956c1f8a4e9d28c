//! The one task that writes: gathers commands while the disk is busy, and commits them together.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::yield_now;

use crate::dead::{self, DeadId};
use crate::error::SpoolError;
use crate::group::{Group, Settlement, answer_with, set_attempts};
use crate::queue::{QueueState, Record};
use crate::segment;
use crate::spool::{Health, QUEUE_NAME_CHARS_MAX, QUEUES_MAX};
use crate::sql::{self, QueueSql};

/// Most commands that one transaction carries, and most that wait for the writer.
pub const COMMIT_COMMANDS_MAX: usize = 4_096;

/// How often all other tasks get their turn before a commit: those that were ready, then those that they, or what came over
/// the network meanwhile, made ready.
const ROUNDS_OF_OTHERS: usize = 2;

/// The size of the file is asked for after this many bytes of appends; until then it is reckoned.
const MEASURE_EVERY_BYTES: u64 = 8 << 20;

pub(crate) type Answer<T> = oneshot::Sender<Result<T, SpoolError>>;

/// What a new consumer finds.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Partly settled segments, one bit a record.
    pub(crate) partial: BTreeMap<i64, Vec<u8>>,
    /// How often records were given out.
    pub(crate) attempts: BTreeMap<i64, u32>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Append {
        queue: Arc<QueueState>,
        records: Vec<Record>,
        _permit: OwnedSemaphorePermit,
        answer: Answer<()>,
    },
    Settle {
        queue: Arc<QueueState>,
        settlement: Settlement,
        answer: Answer<()>,
    },
    /// Records up to `to` are about to be given out.
    Claim {
        queue: Arc<QueueState>,
        to: i64,
        answer: Answer<()>,
    },
    OpenQueue {
        name: String,
        answer: Answer<Arc<QueueState>>,
    },
    /// A consumer begins: what the one before had out and did not settle counts as an attempt.
    Recover {
        queue: Arc<QueueState>,
        answer: Answer<Recovered>,
    },
    Replay {
        queue: Arc<QueueState>,
        ids: Vec<DeadId>,
        answer: Answer<u64>,
    },
    Discard {
        queue: Arc<QueueState>,
        ids: Vec<DeadId>,
        answer: Answer<u64>,
    },
}

/// The writing side of a spool. The caller spawns [`Writer::run`].
#[derive(Debug)]
pub struct Writer {
    connection: SqliteConnection,
    commands: mpsc::Receiver<Command>,
    health: Arc<Health>,
    queues: HashMap<String, Arc<QueueState>>,
    /// Bytes appended since the size of the file was asked for.
    unmeasured: u64,
}

impl Writer {
    pub(crate) fn new(
        connection: SqliteConnection,
        commands: mpsc::Receiver<Command>,
        health: Arc<Health>,
    ) -> Self {
        Self { connection, commands, health, queues: HashMap::new(), unmeasured: 0 }
    }

    /// Writes until the last handle of the spool is gone, or until the file has to be given up.
    pub async fn run(mut self) -> Result<(), SpoolError> {
        let mut commands = Vec::with_capacity(COMMIT_COMMANDS_MAX);
        loop {
            if self.commands.recv_many(&mut commands, COMMIT_COMMANDS_MAX).await == 0 {
                let closed = self.connection.close().await;
                return closed.map_err(|error| self.health.judge(error));
            }
            self.let_others_come(&mut commands).await;
            let mut permits = Vec::new();
            let mut group = Group::default();
            for command in commands.drain(..) {
                match command {
                    Command::Append { queue, records, _permit: permit, answer } => {
                        permits.push(permit);
                        admit(&self.health, &mut group, queue, records, answer);
                    }
                    Command::Settle { queue, settlement, answer } => group.settle(queue, settlement, answer),
                    Command::Claim { queue, to, answer } => group.claim(queue, to, answer),
                    rare => {
                        self.commit(mem::take(&mut group)).await;
                        self.alone(rare).await;
                    }
                }
            }
            self.commit(group).await;
            // Waiting callers get a closed channel or a dropped answer, and find the cause in `health`.
            self.health.check()?;
        }
    }

    /// Whoever can run by now may have something to write, too: that is a commit less. Nobody is waited for.
    async fn let_others_come(&mut self, commands: &mut Vec<Command>) {
        for _ in 0..ROUNDS_OF_OTHERS {
            yield_now().await;
        }
        while commands.len() < COMMIT_COMMANDS_MAX
            && let Ok(command) = self.commands.try_recv()
        {
            commands.push(command);
        }
    }

    async fn commit(&mut self, group: Group) {
        if group.is_empty() {
            return;
        }
        match self.write(&group).await {
            Ok(()) => {
                self.health.disk_full.store(false, Ordering::Relaxed);
                group.committed();
            }
            Err(error) => group.failed(&self.failed(error).await),
        }
    }

    async fn write(&mut self, group: &Group) -> Result<(), sqlx::Error> {
        let now = self.health.now();
        if group.is_one_statement() && self.unmeasured + group.bytes < MEASURE_EVERY_BYTES {
            // A statement outside a transaction is one: three calls to the database are saved.
            group.write(&mut self.connection, now).await?;
            self.unmeasured += group.bytes;
            self.health.bytes.fetch_add(group.bytes, Ordering::Relaxed);
            return Ok(());
        }
        self.begin().await?;
        group.write(&mut self.connection, now).await?;
        self.end().await
    }

    async fn begin(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn end(&mut self) -> Result<(), sqlx::Error> {
        let bytes = sql::bytes_used(&mut self.connection).await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.health.bytes.store(u64::try_from(bytes).unwrap_or(0), Ordering::Relaxed);
        self.health.disk_full.store(false, Ordering::Relaxed);
        self.unmeasured = 0;
        Ok(())
    }

    /// Undoes what the failed transaction left. `SQLite` may have done so already, then this changes nothing.
    async fn failed(&mut self, error: sqlx::Error) -> SpoolError {
        let verdict = self.health.judge(error);
        drop(sqlx::query("ROLLBACK").execute(&mut self.connection).await);
        verdict
    }

    /// Rare commands get a transaction of their own.
    async fn alone(&mut self, command: Command) {
        match command {
            Command::OpenQueue { name, answer } => {
                let state = self.open_queue(name).await;
                answer_with(answer, state);
            }
            Command::Recover { queue, answer } => {
                let recovered = self.recover(&queue).await;
                let recovered = self.judged(recovered).await;
                answer_with(answer, recovered);
            }
            Command::Replay { queue, ids, answer } => {
                let replayed = self.replay(&queue, &ids).await;
                let replayed = self.judged(replayed).await;
                answer_with(answer, replayed);
            }
            Command::Discard { queue, ids, answer } => {
                let discarded = self.discard(&queue, &ids).await;
                let discarded = self.judged(discarded).await;
                answer_with(answer, discarded);
            }
            Command::Append { .. } | Command::Settle { .. } | Command::Claim { .. } => {
                unreachable!("these are grouped")
            }
        }
    }

    async fn judged<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, SpoolError> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(self.failed(error).await),
        }
    }

    async fn open_queue(&mut self, name: String) -> Result<Arc<QueueState>, SpoolError> {
        if let Some(state) = self.queues.get(&name) {
            return Ok(Arc::clone(state));
        }
        let known = self.create_queue(&name).await;
        let Some((number, touched_to)) = self.judged(known).await? else {
            return Err(SpoolError::QueueRefused { name, chars: QUEUE_NAME_CHARS_MAX, queues: QUEUES_MAX });
        };
        let sql = QueueSql::new(number);
        let measured = self.measure(number, &sql, touched_to).await;
        let (end, waiting) = self.judged(measured).await?;
        let state = Arc::new(QueueState {
            number,
            name: name.clone(),
            sql,
            appended: Notify::new(),
            end: AtomicI64::new(end),
            waiting: AtomicU64::new(waiting),
            consumed: AtomicBool::new(false),
        });
        self.queues.insert(name, Arc::clone(&state));
        Ok(state)
    }

    /// Number and `touched_to`; `None` if the name cannot be one or there are too many queues.
    async fn create_queue(&mut self, name: &str) -> Result<Option<(i64, i64)>, sqlx::Error> {
        if name.is_empty() || name.chars().count() > QUEUE_NAME_CHARS_MAX {
            return Ok(None);
        }
        self.begin().await?;
        sqlx::query(
            "INSERT INTO queue (name, claimed_to, touched_to) SELECT ?1, 0, 0
             WHERE NOT EXISTS (SELECT 1 FROM queue WHERE name = ?1) AND (SELECT count(*) FROM queue) < ?2",
        )
        .bind(name)
        .bind(QUEUES_MAX)
        .execute(&mut self.connection)
        .await?;
        let row: Option<(i64, i64)> = sqlx::query_as("SELECT number, touched_to FROM queue WHERE name = ?1")
            .bind(name)
            .fetch_optional(&mut self.connection)
            .await?;
        if let Some((number, _)) = row {
            sqlx::query(QueueSql::new(number).create()).execute(&mut self.connection).await?;
        }
        self.end().await?;
        Ok(row)
    }

    /// The number the next record gets, and how many wait. Rows are counted one by one only up to `touched_to`:
    /// beyond it the numbers have no gaps.
    async fn measure(
        &mut self,
        number: i64,
        sql: &QueueSql,
        touched_to: i64,
    ) -> Result<(i64, u64), sqlx::Error> {
        let end: Option<i64> = sqlx::query_scalar(sql.end()).fetch_optional(&mut self.connection).await?;
        let end = end.unwrap_or(1).max(touched_to + 1);
        let claimed: Vec<(i64, i64)> =
            sqlx::query_as(sql.claimed()).bind(touched_to).fetch_all(&mut self.connection).await?;
        let after: Option<i64> = sqlx::query_scalar(sql.first_after())
            .bind(touched_to)
            .fetch_optional(&mut self.connection)
            .await?;
        let partial = self.partial(number).await?;
        let done: u32 = partial.values().flatten().map(|byte| byte.count_ones()).sum();
        let waiting =
            claimed.iter().map(|(_, records)| records).sum::<i64>() + after.map_or(0, |first| end - first);
        Ok((end, u64::try_from(waiting - i64::from(done)).unwrap_or(0)))
    }

    async fn partial(&mut self, queue: i64) -> Result<BTreeMap<i64, Vec<u8>>, sqlx::Error> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as("SELECT segment, done FROM partial WHERE queue = ?1")
            .bind(queue)
            .fetch_all(&mut self.connection)
            .await?;
        Ok(rows.into_iter().collect())
    }

    async fn recover(&mut self, queue: &QueueState) -> Result<Recovered, sqlx::Error> {
        self.begin().await?;
        let claimed_to: i64 = sqlx::query_scalar("SELECT claimed_to FROM queue WHERE number = ?1")
            .bind(queue.number)
            .fetch_one(&mut self.connection)
            .await?;
        let partial = self.partial(queue.number).await?;
        let attempts: Vec<(i64, u32)> = sqlx::query_as("SELECT seq, count FROM attempt WHERE queue = ?1")
            .bind(queue.number)
            .fetch_all(&mut self.connection)
            .await?;
        let mut attempts: BTreeMap<i64, u32> = attempts.into_iter().collect();
        let claimed: Vec<(i64, i64)> =
            sqlx::query_as(queue.sql.claimed()).bind(claimed_to).fetch_all(&mut self.connection).await?;
        for (first, records) in claimed {
            let done = partial.get(&first);
            for seq in first..(first + records).min(claimed_to + 1) {
                if done.is_some_and(|done| bit(done, seq - first)) {
                    continue;
                }
                let count = attempts.entry(seq).or_default();
                *count = count.saturating_add(1);
                set_attempts(&mut self.connection, queue.number, seq, *count).await?;
            }
        }
        sqlx::query("UPDATE queue SET claimed_to = 0 WHERE number = ?1")
            .bind(queue.number)
            .execute(&mut self.connection)
            .await?;
        self.end().await?;
        Ok(Recovered { partial, attempts })
    }

    async fn replay(&mut self, queue: &Arc<QueueState>, ids: &[DeadId]) -> Result<u64, sqlx::Error> {
        self.begin().await?;
        let start = queue.end.load(Ordering::Relaxed);
        let end = dead::replay(&mut self.connection, queue, self.health.now(), ids, start).await?;
        self.end().await?;
        let replayed = end.abs_diff(start);
        queue.waiting.fetch_add(replayed, Ordering::Relaxed);
        queue.end.store(end, Ordering::Release);
        queue.appended.notify_one();
        Ok(replayed)
    }

    async fn discard(&mut self, queue: &QueueState, ids: &[DeadId]) -> Result<u64, sqlx::Error> {
        self.begin().await?;
        let discarded = dead::discard(&mut self.connection, queue.number, ids).await?;
        self.end().await?;
        Ok(discarded)
    }
}

/// Takes an append into the group, or refuses it because the spool would grow beyond its cap.
fn admit(
    health: &Health,
    group: &mut Group,
    queue: Arc<QueueState>,
    records: Vec<Record>,
    answer: Answer<()>,
) {
    let payload = records.iter().map(|record| record.payload.len()).sum();
    let bytes = u64::try_from(segment::packed_bytes(records.len(), payload)).unwrap_or(u64::MAX);
    let held = health.bytes.load(Ordering::Relaxed);
    if held.saturating_add(group.bytes).saturating_add(bytes) > health.bytes_max {
        answer_with(answer, Err(SpoolError::Full { bytes: held, max: health.bytes_max }));
    } else {
        group.append(queue, records, bytes, answer);
    }
}

/// Whether the record at `index` is marked.
pub(crate) fn bit(marks: &[u8], index: i64) -> bool {
    let byte = usize::try_from(index / 8).ok().and_then(|byte| marks.get(byte));
    byte.is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

#[cfg(test)]
mod tests;
