//! Makes a restored backup fit to go on with: a new epoch, and nothing left of what happened after the backup.

use std::path::{Path, PathBuf};
use std::time::Duration;

use store::{EpochBegun, SecretKey, SqliteOptions, Store};

use super::StartError;
use super::data_dir::DataDir;

/// How far before its cursor a shop is read again. What was read before the backup may have lain in the spool, which is
/// in no backup; inventory is never that far behind.
pub(crate) const READ_AGAIN: Duration = Duration::from_hours(24);
/// How long a push that was made just before may still take effect; egress bears with a doubtful one as long.
pub(crate) const PUSH_IN_FLIGHT: Duration = Duration::from_mins(1);

/// What was done.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) begun: EpochBegun,
    /// Where the spool that was there is now.
    pub(crate) spool_aside: Option<PathBuf>,
}

/// Begins a new epoch in the data directory, which nobody else may use meanwhile. Can be repeated.
pub(crate) async fn restored(path: &Path) -> Result<Restored, StartError> {
    // Looked for first: opening makes what is not there.
    for wanted in [path.join(DataDir::DATABASE), path.join(DataDir::SECRET_KEY)] {
        if !wanted.is_file() {
            return Err(StartError::NoBackup { path: wanted });
        }
    }
    let directory = DataDir::open(path)?;
    let key = SecretKey::load_or_create(&directory.secret_key())?;
    let store = Store::open_sqlite(&SqliteOptions::new(directory.database()), key).await?;
    let now = process::clock::now();
    // Before the epoch: should this be cut off, it is done again, and no message of another life is ever believed.
    let aside = directory.put_spool_aside(now)?;
    let begun = store.begin_epoch(now, READ_AGAIN, PUSH_IN_FLIGHT).await?;
    store.close().await;
    Ok(Restored { begun, spool_aside: aside })
}
