//! The database that the service is tested on: SQLite.

use store::{SecretKey, SqliteOptions, Store};
use tempfile::TempDir;

/// A file in a folder of its own.
pub(crate) struct Database {
    folder: TempDir,
}

impl Database {
    #[expect(clippy::unused_async, reason = "another takes a while")]
    pub(crate) async fn fresh() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn open(&self) -> Store {
        let options = SqliteOptions::new(self.folder.path().join("onhand.db"));
        Store::open_sqlite(&options, SecretKey::from_bytes([7; 32])).await.unwrap()
    }

    /// How often transactions waited for each other: with one writer they cannot.
    #[expect(clippy::unused_self, reason = "another asks its server")]
    pub(crate) const fn deadlocks(&self) -> u64 {
        0
    }
}
