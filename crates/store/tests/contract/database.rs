//! The databases the contract runs on.

use std::path::PathBuf;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use store::{PostgresOptions, SecretKey, SqliteOptions, Store};
use testkit::servers::postgres;

/// A fresh database of one backend.
pub(crate) trait Database: Sized {
    /// Empty.
    async fn fresh() -> anyhow::Result<Self>;

    /// Opened with a key of this byte, repeated.
    async fn open_with(&self, key: u8) -> anyhow::Result<Store>;

    /// Opened.
    async fn open(&self) -> anyhow::Result<Store> {
        self.open_with(1).await
    }

    /// Does what no program should: to damage it on purpose, or to try what must be refused.
    async fn run(&self, sql: &'static str) -> anyhow::Result<()>;
}

/// A SQLite file in a directory of its own.
pub(crate) struct SqliteFile {
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Database for SqliteFile {
    async fn fresh() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        Ok(Self { path: directory.path().join("onhand.db"), _directory: directory })
    }

    async fn open_with(&self, key: u8) -> anyhow::Result<Store> {
        Ok(Store::open_sqlite(&SqliteOptions::new(&self.path), SecretKey::from_bytes([key; 32])).await?)
    }

    async fn run(&self, sql: &'static str) -> anyhow::Result<()> {
        let mut connection: SqliteConnection =
            SqliteConnectOptions::new().filename(&self.path).connect().await?;
        connection.execute(sql).await?;
        Ok(())
    }
}

/// A PostgreSQL database, copied from one that was migrated.
pub(crate) struct Postgres {
    database: postgres::Database,
}

impl Postgres {
    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::new(self.url().into())
    }

    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// The first column of every row that these statements answer.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        self.database.run(sql)
    }

    /// The same, with what the server says against it.
    pub(crate) fn try_ask(&self, sql: &str) -> std::io::Result<Vec<String>> {
        self.database.try_run(sql)
    }
}

impl Database for Postgres {
    async fn fresh() -> anyhow::Result<Self> {
        let migrate = |url: String| async move {
            store::migrate_postgres(&PostgresOptions::new(url.into())).await.unwrap();
        };
        Ok(Self { database: postgres::Postgres::shared().database(&migrations()?, migrate).await })
    }

    async fn open_with(&self, key: u8) -> anyhow::Result<Store> {
        Ok(Store::open_postgres(&self.options(), SecretKey::from_bytes([key; 32])).await?)
    }

    /// Statements are written for SQLite, whose tables have their schema's name before their own, and whose triggers have a
    /// name for themselves.
    async fn run(&self, sql: &'static str) -> anyhow::Result<()> {
        let names = [
            ("inventory_movements_stay;", "movements_stay ON inventory.movements;"),
            ("inventory_movements_are_kept;", "movements_are_kept ON inventory.movements;"),
            ("inventory_", "inventory."),
            ("egress_", "egress."),
        ];
        let sql = names.iter().fold(sql.to_owned(), |sql, (before, after)| sql.replace(before, after));
        // Not by a process that is waited for: what a dropped transaction leaves to be rolled back needs this thread.
        PgConnection::connect(&self.url()).await?.execute(AssertSqlSafe(sql)).await?;
        Ok(())
    }
}

/// The text of all migrations.
fn migrations() -> anyhow::Result<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files.iter().map(std::fs::read_to_string).collect::<std::io::Result<_>>()?)
}
