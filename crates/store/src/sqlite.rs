//! The contract on SQLite: one file, one writer connection, a bounded pool of readers that see committed state.

mod alerts;
mod catalogue;
mod check;
mod decisions;
mod egress;
mod egress_reports;
mod epoch;
mod exports;
mod grants;
mod ingress;
mod ingress_counts;
mod ingress_listings;
mod ingress_reconcile;
mod ingress_rereads;
mod ingress_tasks;
mod ingress_webhooks;
mod inventory;
mod lists;
mod outbox;
mod read;
mod registry;
mod returning;
mod secrets;
mod shards;
mod shipments;
mod tokens;
mod trouble;
mod upkeep;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, SqlSafeStr, Transaction};

use crate::error::{COMMIT, Error, failed};
use crate::secret::SecretKey;

pub(crate) use egress::SqliteEgressTx;
pub(crate) use inventory::SqliteInventoryTx;

/// Connections that read. Each may hold its cache, so few.
const READERS_MAX: u32 = 4;
/// How long a call waits for the writer, or for a reader, before it is told that the database is busy.
const ACQUIRE_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long SQLite itself waits for another process, as a backup, to let go of the file.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);
/// Pages of 4 KiB that the log may grow to before they are moved to the file. A batch rewrites much the same pages as the
/// one before it, so a long log saves most of that moving: 64 MiB.
const CHECKPOINT_PAGES: u32 = 16_384;
/// The log is cut back to this after it was moved, in bytes.
const LOG_BYTES_KEPT: u32 = 64 << 20;
/// Cache of the writer, in KiB: SKUs and stocks of 100,000 SKUs fit.
const WRITER_CACHE_KIB: i32 = 32 * 1024;
/// Cache of each reader, in KiB.
const READER_CACHE_KIB: i32 = 4 * 1024;
/// Prepared statements kept for each connection; more than there are.
const STATEMENTS_MAX: usize = 256;
/// Rows a connection's thread may be ahead of who reads them. With few, the two wait for each other all the time.
const ROWS_BUFFERED: usize = 4_096;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    path: PathBuf,
    readers_max: u32,
    writer_cache_kib: i32,
}

impl SqliteOptions {
    /// The database in the file at `path`, made if it is not there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers_max: READERS_MAX, writer_cache_kib: WRITER_CACHE_KIB }
    }

    /// At most this many connections read; at least one does.
    #[must_use]
    pub fn readers_max(mut self, readers: u32) -> Self {
        self.readers_max = readers.max(1);
        self
    }

    fn connect(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_WAIT_MAX)
            .statement_cache_capacity(STATEMENTS_MAX)
            .row_buffer_size(ROWS_BUFFERED)
            .pragma("trusted_schema", "OFF")
    }
}

/// An open SQLite database.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    key: Arc<SecretKey>,
}

pub(crate) type WriteTx = Transaction<'static, sqlx::Sqlite>;

impl Sqlite {
    pub(crate) async fn open(options: &SqliteOptions, key: SecretKey) -> Result<Self, Error> {
        let connect = options
            .connect()
            .create_if_missing(true)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("journal_size_limit", LOG_BYTES_KEPT.to_string())
            .pragma("cache_size", (-options.writer_cache_kib).to_string());
        // The one connection lives as long as the store: a new one would start with an empty cache.
        let writer = pool(1).connect_with(connect).await.map_err(failed("open the database"))?;
        migrations().run(&writer).await.map_err(|source| Error::Migration { source: Box::new(source) })?;
        let connect = options
            .connect()
            .read_only(true)
            .pragma("query_only", "ON")
            .pragma("cache_size", (-READER_CACHE_KIB).to_string());
        let readers = pool(options.readers_max)
            .connect_with(connect)
            .await
            .map_err(failed("open the database for reading"))?;
        Ok(Self { writer, readers, key: Arc::new(key) })
    }

    /// Starts a transaction that writes; there is one at a time.
    pub(crate) async fn write(&self) -> Result<WriteTx, Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed("start to write"))
    }

    /// Starts a transaction that sees one committed state throughout.
    pub(crate) async fn snapshot(&self) -> Result<WriteTx, Error> {
        self.readers.begin().await.map_err(failed("start to read"))
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT id FROM registry_shops LIMIT 1")
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read the database"))?;
        let tx = self.write().await?;
        tx.rollback().await.map_err(failed("end what was not written"))
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

pub(crate) async fn commit(tx: WriteTx) -> Result<(), Error> {
    tx.commit().await.map_err(failed(COMMIT))
}

fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_WAIT_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                if connection.is_in_transaction() {
                    // What was rolled back as it was dropped has been by then.
                    connection.ping().await?;
                }
                // SQLite has ended the transaction of a statement that met a full disk by itself, and sqlx 0.9.0 takes it for open for
                // ever: such a connection is of no use.
                Ok(!connection.is_in_transaction())
            })
        })
}

/// Never edit one that was released: add another.
fn migrations() -> Migrator {
    let migration = |version, description: &'static str, sql: &'static str| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "registry", include_str!("../migrations/sqlite/0001_registry.sql")),
        migration(2, "inventory", include_str!("../migrations/sqlite/0002_inventory.sql")),
        migration(3, "egress", include_str!("../migrations/sqlite/0003_egress.sql")),
        migration(4, "ingress", include_str!("../migrations/sqlite/0004_ingress.sql")),
        migration(5, "ingress tasks", include_str!("../migrations/sqlite/0005_ingress_tasks.sql")),
        migration(6, "wishes", include_str!("../migrations/sqlite/0006_wishes.sql")),
        migration(7, "egress_notes", include_str!("../migrations/sqlite/0007_egress_notes.sql")),
        migration(8, "sign in", include_str!("../migrations/sqlite/0008_sign_in.sql")),
        migration(9, "removed shops", include_str!("../migrations/sqlite/0009_removed_shops.sql")),
        migration(10, "dead identity", include_str!("../migrations/sqlite/0010_dead_identity.sql")),
        migration(11, "shards", include_str!("../migrations/sqlite/0011_shards.sql")),
        migration(12, "shard count", include_str!("../migrations/sqlite/0012_shard_count.sql")),
        migration(13, "push traces", include_str!("../migrations/sqlite/0013_push_traces.sql")),
        migration(14, "dead letters", include_str!("../migrations/sqlite/0014_dead_letters.sql")),
        migration(15, "waiting lines", include_str!("../migrations/sqlite/0015_waiting_lines.sql")),
        migration(16, "webhooks", include_str!("../migrations/sqlite/0016_webhooks.sql")),
        migration(17, "grants", include_str!("../migrations/sqlite/0017_grants.sql")),
        migration(18, "orphaned", include_str!("../migrations/sqlite/0018_orphaned.sql")),
        migration(19, "reading calls", include_str!("../migrations/sqlite/0019_reading_calls.sql")),
        migration(20, "drift", include_str!("../migrations/sqlite/0020_drift.sql")),
        migration(21, "alerts", include_str!("../migrations/sqlite/0021_alerts.sql")),
        migration(22, "shipments", include_str!("../migrations/sqlite/0022_shipments.sql")),
        migration(23, "mapping", include_str!("../migrations/sqlite/0023_mapping.sql")),
        migration(24, "reconcile", include_str!("../migrations/sqlite/0024_reconcile.sql")),
        migration(25, "telling", include_str!("../migrations/sqlite/0025_telling.sql")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As after a full disk: SQLite has ended the transaction by itself.
    #[tokio::test]
    async fn a_transaction_that_sqlite_ended_is_not_in_the_way_of_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("onhand.db"));
        let store = Sqlite::open(&options, SecretKey::from_bytes([7; 32])).await.unwrap();
        for commits in [true, false] {
            let mut tx = store.write().await.unwrap();
            sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
            if commits {
                commit(tx).await.unwrap_err();
            } else {
                drop(tx);
            }
            store.ping().await.unwrap();
        }
        // One that is dropped keeps its connection.
        let mut tx = store.write().await.unwrap();
        sqlx::query("CREATE TEMP TABLE here (id)").execute(&mut *tx).await.unwrap();
        commit(tx).await.unwrap();
        drop(store.write().await.unwrap());
        sqlx::query("SELECT * FROM here").fetch_all(&store.writer).await.unwrap();
    }
}
