//! Why the work of a process on its shards came to an end by itself.

use std::error::Error;

/// The work on a shard ended although nobody told it to: a defect, or something the process cannot go on with.
#[derive(Debug, thiserror::Error)]
pub enum EndedEarly<E: Error + 'static> {
    /// It failed.
    #[error("the work on shard {shard} of {service} failed")]
    Failed {
        /// The service.
        service: &'static str,
        /// Which.
        shard: u16,
        /// Why.
        #[source]
        source: E,
    },
    /// It returned as if it had been told to stop.
    #[error("the work on shard {shard} of {service} ended by itself")]
    Returned {
        /// The service.
        service: &'static str,
        /// Which.
        shard: u16,
    },
    /// It panicked.
    #[error("the work on shard {shard} of {service} panicked")]
    Panicked {
        /// The service.
        service: &'static str,
        /// Which.
        shard: u16,
        /// What it said.
        #[source]
        source: tokio::task::JoinError,
    },
}
