//! The contract on PostgreSQL: many writers, one schema for each owner, row locks taken in one order.
//!
//! Transactions are READ COMMITTED: each statement sees what is committed when it begins. What is decided on is locked, and
//! locks are taken in one order: shops (their mapping), orders, SKUs, stocks, then what waits (outbox, settles, wishes,
//! marks); of each kind sorted by key. A row that is not there yet cannot be locked, so it is inserted first. What only waits
//! to be worked off is never waited for: `SKIP LOCKED`. Why it is so: docs/adr/0013.

mod alerts;
mod catalogue;
mod check;
mod combine;
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
mod listing_memory;
mod lists;
mod locks;
mod marks;
mod outbox;
mod parameters;
mod plans;
mod read;
mod registry;
mod returning;
mod schema;
mod secrets;
mod shards;
mod shipments;
mod tokens;
mod trouble;
mod upkeep;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Postgres as Driver, Transaction};

use crate::error::{COMMIT, Error, failed};
use crate::secret::SecretKey;

pub(crate) use egress::PgEgressTx;
use egress::seen::PushMemory;
pub(crate) use inventory::PgInventoryTx;
use listing_memory::ListingMemory;
use plans::{PLANS, Plans};
pub use schema::migrate_postgres;

/// Connections of one process. Each is a process of the server: `max_connections` there is shared by all replicas.
const CONNECTIONS_MAX: u32 = 16;
/// How long a call waits for a connection before it is told that the database is busy.
const ACQUIRE_WAIT_MAX: Duration = Duration::from_secs(10);
/// A connection that nobody used for this long is closed.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// A connection is closed after this, used or not: its server process forgets what it gathered, and a name that leads to
/// another server by now is looked up again.
const LIFETIME_MAX: Duration = Duration::from_mins(30);
/// A connection that was idle for this long is tried before it is used: the server may have gone meanwhile.
const TRIED_AFTER: Duration = Duration::from_secs(5);
/// Longest that the server works on one statement, in milliseconds.
const STATEMENT_MS_MAX: &str = "30000";
/// Longest that a statement waits for one lock, in milliseconds. Batches are short.
const LOCK_WAIT_MS_MAX: &str = "5000";
/// Longest that a transaction may wait for its process, in milliseconds: locks of one that hangs are given back.
const IDLE_IN_TRANSACTION_MS_MAX: &str = "60000";
/// Prepared statements kept for each connection; more than there are.
const STATEMENTS_MAX: usize = 256;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    url: SecretString,
    connections_max: u32,
}

impl PostgresOptions {
    /// The database at this address: `postgres://user:password@host:port/database?sslmode=…`.
    pub fn new(url: SecretString) -> Self {
        Self { url, connections_max: CONNECTIONS_MAX }
    }

    /// At most this many connections; at least one.
    #[must_use]
    pub fn connections_max(mut self, connections: u32) -> Self {
        self.connections_max = connections.max(1);
        self
    }

    fn connect(&self) -> Result<PgConnectOptions, Error> {
        let options = PgConnectOptions::from_str(self.url.expose_secret())
            .map_err(failed("read the address of the database"))?;
        Ok(options.application_name("onhand").statement_cache_capacity(STATEMENTS_MAX).options([
            // Every name is written with its schema.
            ("search_path", "pg_catalog"),
            // Compiling takes longer than any of these statements.
            ("jit", "off"),
        ]))
    }

    fn connect_bounded(&self) -> Result<PgConnectOptions, Error> {
        Ok(self.connect()?.options(PLANS).options([
            ("statement_timeout", STATEMENT_MS_MAX),
            ("lock_timeout", LOCK_WAIT_MS_MAX),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_MS_MAX),
        ]))
    }
}

/// An open PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    key: Arc<SecretKey>,
    listings: Arc<ListingMemory>,
    pushes: Arc<PushMemory>,
}

pub(crate) type WriteTx = Transaction<'static, Driver>;

impl Postgres {
    /// Opens a database whose schema is what this program knows.
    pub(crate) async fn open(options: &PostgresOptions, key: SecretKey) -> Result<Self, Error> {
        let connect = options.connect_bounded()?;
        // Not through the pool: that would try until its time is up, and not say why.
        let mut first = connect.connect().await.map_err(failed("open the database"))?;
        schema::check(&mut first).await?;
        first.close().await.map_err(failed("open the database"))?;
        let plans = Plans::default();
        let pool = PgPoolOptions::new()
            .max_connections(options.connections_max)
            .acquire_timeout(ACQUIRE_WAIT_MAX)
            .idle_timeout(IDLE_MAX)
            .max_lifetime(LIFETIME_MAX)
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                let forgets = plans.are_to_be_forgotten(Instant::now());
                Box::pin(async move {
                    if forgets {
                        sqlx::raw_sql("DISCARD PLANS").execute(connection).await?;
                    } else if known.idle_for >= TRIED_AFTER {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        let (listings, pushes) = (Arc::new(ListingMemory::new()), Arc::new(PushMemory::new()));
        Ok(Self { pool, key: Arc::new(key), listings, pushes })
    }

    /// Starts a transaction that writes.
    pub(crate) async fn write(&self) -> Result<WriteTx, Error> {
        self.begin("start to write", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await
    }

    /// Starts a transaction that sees one committed state throughout.
    pub(crate) async fn snapshot(&self) -> Result<WriteTx, Error> {
        self.begin("start to read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    /// It is begun to the end, whether anybody still waits for it or not: a connection whose `BEGIN` was given up goes back
    /// to the pool in a transaction that nobody knows of, and what others write over it is never committed (sqlx 0.9.0,
    /// <https://github.com/launchbadge/sqlx/issues/4393>). One that nobody waited for is rolled back.
    async fn begin(&self, doing: &'static str, statement: &'static str) -> Result<WriteTx, Error> {
        let pool = self.pool.clone();
        #[expect(clippy::disallowed_methods, reason = "it is waited for, and ends by itself if it is not")]
        let begun = tokio::spawn(async move { pool.begin_with(statement).await });
        match begun.await {
            Ok(begun) => begun.map_err(failed(doing)),
            Err(ended) => Err(Error::Busy { doing, source: Box::new(ended) }),
        }
    }

    /// A server that only reads (a standby) is of no use: whether it writes is asked as well.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("SELECT id FROM inventory.shops LIMIT 1")
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("read the database"))?;
        tx.rollback().await.map_err(failed("end what was not written"))
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

pub(crate) async fn commit(tx: WriteTx) -> Result<(), Error> {
    tx.commit().await.map_err(failed(COMMIT))
}
