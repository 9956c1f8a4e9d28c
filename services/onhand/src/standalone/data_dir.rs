//! The directory that is all onhand keeps: databases, spool, secret key, the administrator's token.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use process::private_file;
use store::{Scope, Store};
use values::Timestamp;

use super::StartError;
use crate::connection::ADMIN_TOKEN_FILE;

const SPOOL: &str = "spool.db";
/// The spool and what belongs to it.
const SPOOL_ENDINGS: [&str; 3] = ["", "-wal", "-shm"];
const LOCK_FILE: &str = "onhand.lock";
/// Name of the token made at the first start.
const ADMIN_TOKEN_NAME: &str = "admin";

/// An open data directory. Nobody else uses it while this is there.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Name of the database.
    pub(super) const DATABASE: &str = "onhand.db";
    /// Name of the key that opens the shops' secrets.
    pub(super) const SECRET_KEY: &str = "secret.key";

    /// Opens it, or makes it: readable by its owner alone.
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        let failed = |source| StartError::DataDir { path: path.to_owned(), source };
        private_directory().create(path).map_err(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join(LOCK_FILE));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StartError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(Self::DATABASE)
    }

    pub(super) fn spool(&self) -> PathBuf {
        self.path.join(SPOOL)
    }

    pub(super) fn secret_key(&self) -> PathBuf {
        self.path.join(Self::SECRET_KEY)
    }

    /// Moves the spool, if there is one, into a directory of its own, which it gives back.
    pub(super) fn put_spool_aside(&self, now: Timestamp) -> Result<Option<PathBuf>, StartError> {
        let files = SPOOL_ENDINGS.map(|ending| format!("{SPOOL}{ending}"));
        let there: Vec<&String> = files.iter().filter(|name| self.path.join(name).exists()).collect();
        if there.is_empty() {
            return Ok(None);
        }
        let aside = self.path.join(format!("spool-aside-{}", now.seconds()));
        let failed = |source| StartError::DataDir { path: aside.clone(), source };
        private_directory().create(&aside).map_err(failed)?;
        for name in there {
            std::fs::rename(self.path.join(name), aside.join(name)).map_err(failed)?;
        }
        Ok(Some(aside))
    }

    /// Sees to it that the administrator's token is there and known to the database; one that is not, as after a
    /// restored backup, is replaced.
    pub(super) async fn keep_admin_token(&self, store: &Store) -> Result<(), StartError> {
        let path = self.path.join(ADMIN_TOKEN_FILE);
        let failed = |source| StartError::AdminToken { path: path.clone(), source };
        let now = process::clock::now();
        match std::fs::read_to_string(&path) {
            Ok(text) if store.use_token(text.trim(), now).await?.is_some() => return Ok(()),
            Ok(_) => tracing::warn!("the administrator's token is unknown or revoked and is replaced"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let (_, token) = store.create_token(ADMIN_TOKEN_NAME, Scope::Admin, now).await?;
        private_file::write_secret(&path, &token).map_err(failed)
    }
}

fn private_directory() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_opened_once_and_private() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let open = DataDir::open(&path).unwrap();
        assert!(matches!(DataDir::open(&path), Err(StartError::InUse { .. })));
        drop(open);
        DataDir::open(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }
}
