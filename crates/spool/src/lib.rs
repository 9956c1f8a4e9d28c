//! A durable local FIFO: what is appended survives a crash, and is given out in order until it is settled.
//!
//! It is the safety net of ingress while the broker is away, and the transport of the standalone process. One file
//! holds any number of named queues. [`open`] gives a [`Spool`] and a [`Writer`]; the caller spawns [`Writer::run`],
//! the only task that writes. [`Queue::append`] returns when the record is on disk: the writer gathers what many
//! callers append meanwhile and commits it at once, so that one `fsync` serves them all.
//!
//! A queue has one [`Consumer`] at a time. [`Consumer::claim`] gives the oldest records that are not settled;
//! giving them out is itself recorded, so that a crash while they were out raises their attempt count.
//! What cannot be handled is kept as a dead record with its reason, to be replayed or discarded.
//!
//! Records are packed: what one commit appends to one queue is one row, a segment. That is what keeps appending near
//! the speed of the disk; each record has its own checksum nevertheless, and a damaged one is put with the dead
//! while its neighbours go on.
//!
//! An I/O error ends the use of the file ([`SpoolError::Abandoned`]): after a failed `fsync` nobody knows what is on
//! the disk, and trying again would only seem to work.
#![warn(missing_docs)]

mod consumer;
mod dead;
mod error;
mod group;
mod queue;
mod segment;
mod spool;
mod sql;
mod writer;

pub use consumer::{Claimed, Consumer, Limit, Outcome};
pub use dead::{Dead, DeadId};
pub use error::{OpenError, SpoolError};
pub use queue::{Depth, Queue, Record, Seq};
pub use spool::{
    IN_FLIGHT_BYTES_MAX, Options, PAYLOAD_BYTES_MAX, QUEUE_NAME_CHARS_MAX, QUEUES_MAX, SPOOL_BYTES_MAX,
    Spool, open,
};
pub use writer::{COMMIT_COMMANDS_MAX, Writer};
