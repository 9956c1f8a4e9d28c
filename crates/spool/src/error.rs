//! What can go wrong, told apart by what the caller has to do.

use std::path::PathBuf;
use std::sync::Arc;

/// The spool could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another part of this one, has it.
    #[error("{path} is in use by another process; stop that one first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("cannot make the lock file {path}; check that its folder exists and may be written to")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The database file cannot be opened, or is none.
    #[error(
        "cannot open the spool {path}; if it is damaged put it aside: `onhand restored` does that for `onhand up`; of `onhand serve ingress` \
         move it away by hand, then `onhand shop sync NAME` reads what it held"
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// What `SQLite` said.
        #[source]
        source: sqlx::Error,
    },
    /// A file of a newer build.
    #[error("the spool {path} has layout {found}, this build knows {known}; start the build that wrote it")]
    Layout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
        /// Ours.
        known: i64,
    },
}

/// An operation on an open spool failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpoolError {
    /// The size cap is reached. Nothing was appended; it works again when consumers have caught up.
    #[error("the spool holds {bytes} bytes of at most {max}; nothing was appended")]
    Full {
        /// What it holds.
        bytes: u64,
        /// What it may hold.
        max: u64,
    },
    /// The disk has no room. Nothing was changed; it works again when there is room.
    #[error("the disk of the spool is full; nothing was changed")]
    DiskFull,
    /// A record too large to be one.
    #[error("a record of {bytes} bytes is refused, at most {max} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest.
        max: usize,
    },
    /// The queue's name cannot be one, or there are too many queues.
    #[error("{name:?} cannot be a queue: at most {chars} characters, at most {queues} queues")]
    QueueRefused {
        /// The name.
        name: String,
        /// Most characters.
        chars: usize,
        /// Most queues.
        queues: i64,
    },
    /// The queue has a consumer already.
    #[error("queue {0} has a consumer already; there can be one at a time")]
    Consumed(String),
    /// Reading or writing the file failed. The file is used no more by this process: restart to recover it.
    #[error("the spool was given up after an I/O error; restart to recover what it holds")]
    Abandoned {
        /// The error that ended its use.
        #[source]
        cause: Arc<sqlx::Error>,
    },
    /// The writer is not running.
    #[error("the spool's writer has ended; nothing more is stored by this process")]
    Closed,
}
