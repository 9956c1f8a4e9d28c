//! Opening the file, and the handle that leads to its queues.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::{OpenError, SpoolError};
use crate::queue::Queue;
use crate::sql;
use crate::writer::{Answer, COMMIT_COMMANDS_MAX, Command, Writer};

/// Size cap of a spool, in bytes, unless told otherwise: a day of 20 orders a second at 2 kB.
pub const SPOOL_BYTES_MAX: u64 = 4 << 30;
/// Largest record, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;
/// Bytes handed to the writer and not yet on disk; more appends wait for their turn.
pub const IN_FLIGHT_BYTES_MAX: usize = 32 << 20;
/// Longest name of a queue, in characters.
pub const QUEUE_NAME_CHARS_MAX: usize = 100;
/// Most queues of one spool.
pub const QUEUES_MAX: i64 = 1_000;

/// A spool with less room left than its cap divided by this counts as full: large appends are refused already.
const ROOM_DIVISOR: u64 = 16;

/// Large pages: a commit of many records then touches few of them. Measured best of 4 to 64 KiB.
const PAGE_BYTES: u32 = 32 << 10;
/// The log is copied back into the file after this many pages: 32 MiB.
const CHECKPOINT_PAGES: &str = "1000";
/// How long a statement waits for a lock held by somebody looking into the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers: the consumers and whoever asks for depths.
const READERS_MAX: u32 = 2;
/// Segments that the reading thread fetches ahead of the consumer; each may hold a mebibyte.
const READ_AHEAD_SEGMENTS: usize = 4;
/// Statements kept prepared: each queue has a few.
const STATEMENTS_MAX: usize = 500;

/// How to open a spool.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database file; its folder must exist.
    pub path: PathBuf,
    /// Appends are refused beyond this size, in bytes.
    pub bytes_max: u64,
    /// Tells the time, for the age of records only.
    pub clock: fn() -> SystemTime,
}

impl Options {
    /// The usual, at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), bytes_max: SPOOL_BYTES_MAX, clock: SystemTime::now }
    }
}

/// What writer and handles both see.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) abandoned: OnceLock<Arc<sqlx::Error>>,
    pub(crate) bytes: AtomicU64,
    /// The last thing to be written found no room on the disk.
    pub(crate) disk_full: AtomicBool,
    pub(crate) bytes_max: u64,
    pub(crate) clock: fn() -> SystemTime,
    /// Keeps other processes out as long as writer or handles are there.
    _lock: File,
}

impl Health {
    /// What a failed statement means for the caller; anything but a full disk ends the use of the file.
    pub(crate) fn judge(&self, error: sqlx::Error) -> SpoolError {
        const SQLITE_FULL: i32 = 13;
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
        if code.is_some_and(|code| code & 0xff == SQLITE_FULL) {
            self.disk_full.store(true, Ordering::Relaxed);
            return SpoolError::DiskFull;
        }
        let cause = Arc::clone(self.abandoned.get_or_init(|| Arc::new(error)));
        SpoolError::Abandoned { cause }
    }

    pub(crate) fn check(&self) -> Result<(), SpoolError> {
        match self.abandoned.get() {
            Some(cause) => Err(SpoolError::Abandoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    /// Microseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        let since = (self.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    commands: mpsc::Sender<Command>,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) reader: SqlitePool,
    pub(crate) health: Arc<Health>,
}

impl Shared {
    /// Hands a command to the writer and gives back where its answer will come.
    pub(crate) async fn send<T>(
        &self,
        command: impl FnOnce(Answer<T>) -> Command,
    ) -> Result<Pending<T>, SpoolError> {
        let (answer, pending) = oneshot::channel();
        let sent = self.commands.send(command(answer)).await;
        if sent.is_err() {
            self.health.check()?;
            return Err(SpoolError::Closed);
        }
        Ok(Pending(pending))
    }

    /// Hands a command to the writer and waits until it is on disk.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, SpoolError> {
        let pending = self.send(command).await?;
        pending.answer(&self.health).await
    }
}

/// An answer of the writer that is still to come.
#[derive(Debug)]
pub(crate) struct Pending<T>(oneshot::Receiver<Result<T, SpoolError>>);

impl<T> Pending<T> {
    pub(crate) async fn answer(self, health: &Health) -> Result<T, SpoolError> {
        match self.0.await {
            Ok(answer) => answer,
            Err(_ended) => {
                health.check()?;
                Err(SpoolError::Closed)
            }
        }
    }
}

/// An open spool. Clones share it; the writer ends when the last handle is gone.
#[derive(Debug, Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

impl Spool {
    /// The queue of that name, made if it is not there yet.
    pub async fn queue(&self, name: &str) -> Result<Queue, SpoolError> {
        let name = name.to_owned();
        let state = self.shared.ask(|answer| Command::OpenQueue { name, answer }).await?;
        Ok(Queue::new(Arc::clone(&self.shared), state))
    }

    /// Names of all queues that ever were.
    pub async fn queues(&self) -> Result<Vec<String>, SpoolError> {
        sqlx::query_scalar("SELECT name FROM queue ORDER BY name LIMIT ?1")
            .bind(QUEUES_MAX)
            .fetch_all(&self.shared.reader)
            .await
            .map_err(|error| self.shared.health.judge(error))
    }

    /// Bytes in use, of at most [`Spool::bytes_max`].
    pub fn bytes(&self) -> u64 {
        self.shared.health.bytes.load(Ordering::Relaxed)
    }

    /// The size cap, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.shared.health.bytes_max
    }

    /// An error once the file was given up.
    pub fn check(&self) -> Result<(), SpoolError> {
        self.shared.health.check()
    }

    /// Whether it can take records in and give them out now: it was not given up, its writer runs, there is room, and the
    /// file can be read.
    pub async fn probe(&self) -> Result<(), SpoolError> {
        let Shared { commands, reader, health, .. } = &*self.shared;
        health.check()?;
        if commands.is_closed() {
            return Err(SpoolError::Closed);
        }
        if health.disk_full.load(Ordering::Relaxed) {
            return Err(SpoolError::DiskFull);
        }
        let (bytes, max) = (self.bytes(), self.bytes_max());
        if max.saturating_sub(bytes) < max / ROOM_DIVISOR {
            return Err(SpoolError::Full { bytes, max });
        }
        let looked = sqlx::query("SELECT number FROM queue LIMIT 1").fetch_optional(reader).await;
        looked.map(drop).map_err(|error| health.judge(error))
    }
}

/// Opens the spool, making it if it is not there. Nothing is stored until [`Writer::run`] runs.
pub async fn open(options: Options) -> Result<(Spool, Writer), OpenError> {
    let lock = lock(&options.path)?;
    let database = |source| OpenError::Database { path: options.path.clone(), source };
    let connect = SqliteConnectOptions::new()
        .filename(&options.path)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS_MAX)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .disable_statement_logging();
    let mut connection = connect.clone().create_if_missing(true).connect().await.map_err(database)?;
    let found = sql::lay_out(&mut connection).await.map_err(database)?;
    if found != sql::LAYOUT {
        return Err(OpenError::Layout { path: options.path, found, known: sql::LAYOUT });
    }
    let bytes = sql::bytes_used(&mut connection).await.map_err(database)?;
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .test_before_acquire(false)
        .connect_lazy_with(connect.read_only(true).row_buffer_size(READ_AHEAD_SEGMENTS));
    let health = Arc::new(Health {
        abandoned: OnceLock::new(),
        bytes: AtomicU64::new(u64::try_from(bytes).unwrap_or(0)),
        disk_full: AtomicBool::new(false),
        bytes_max: options.bytes_max,
        clock: options.clock,
        _lock: lock,
    });
    let (sender, receiver) = mpsc::channel(COMMIT_COMMANDS_MAX);
    let shared = Shared {
        commands: sender,
        in_flight: Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX)),
        reader,
        health: Arc::clone(&health),
    };
    Ok((Spool { shared: Arc::new(shared) }, Writer::new(connection, receiver, health)))
}

fn lock(database: &Path) -> Result<File, OpenError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| OpenError::Lock { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(OpenError::Lock { path, source }),
    }
}
