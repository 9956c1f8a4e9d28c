//! The database that the service is tested on: PostgreSQL.

use std::path::PathBuf;

use store::{PostgresOptions, SecretKey, Store};
use testkit::servers::postgres::{self, Postgres, Session};

/// A copy of a database that was migrated.
pub(crate) struct Database {
    database: postgres::Database,
}

impl Database {
    pub(crate) async fn fresh() -> Self {
        let migrate = |url: String| async move {
            store::migrate_postgres(&PostgresOptions::new(url.into())).await.unwrap();
        };
        Self { database: Postgres::shared().database(&migrations(), migrate).await }
    }

    pub(crate) async fn open(&self) -> Store {
        let options = PostgresOptions::new(self.database.url().into());
        Store::open_postgres(&options, SecretKey::from_bytes([7; 32])).await.unwrap()
    }

    /// A connection for statements by hand.
    pub(crate) fn session(&self) -> Session {
        self.database.session().unwrap()
    }

    /// How many wait for a lock.
    pub(crate) fn waiting(&self) -> usize {
        let sql = "SELECT pid FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.database.run(sql).len()
    }

    /// Ends the connections that wait for a lock, as an operator or a shutdown does; how many there were.
    pub(crate) fn end_those_that_wait(&self) -> usize {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.database.run(sql).len()
    }

    /// How often the server had to end a transaction because others waited for it as it did for them.
    pub(crate) fn deadlocks(&self) -> u64 {
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        self.database.run(sql)[0].parse().unwrap()
    }
}

/// The text of all migrations.
fn migrations() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/store/migrations/postgres");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}
