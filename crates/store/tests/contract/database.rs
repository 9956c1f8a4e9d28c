//! The databases the contract runs on.

use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};
use store::{SecretKey, SqliteOptions, Store};

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
