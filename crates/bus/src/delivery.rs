//! A message handed to a handler, and what the handler may decide about it.

use std::time::Duration;

use proto::Envelope;

/// A message that was delivered this often before is delivered with [`FEW`] at most: a process that ended twice with many at
/// hand has not to go through them one by one, unless it ends once more.
pub const FEW_FROM: u32 = 2;
/// Those few, itself among them.
pub const FEW: usize = 32;
/// A message that was delivered this often before is delivered alone, so that no neighbour suffers from it.
pub const ALONE_FROM: u32 = 3;
/// A message that was delivered more often than this before is dead-lettered instead of being delivered once more:
/// quorum queues of `RabbitMQ` count the same way.
pub const DELIVERY_LIMIT: u32 = 100;
/// Longest reason kept with a dead letter, in characters.
pub const REASON_CHARS_MAX: usize = 300;

/// Most messages that one which was delivered so often before is delivered with, itself among them.
pub(crate) const fn together_max(delivery_count: u32) -> usize {
    match delivery_count {
        ..FEW_FROM => usize::MAX,
        FEW_FROM..ALONE_FROM => FEW,
        ALONE_FROM.. => 1,
    }
}

/// One message, delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message, still sealed.
    pub envelope: Envelope,
    /// How often it was delivered before without being settled.
    pub delivery_count: u32,
}

impl Delivery {
    /// Its effects may be there already.
    pub const fn redelivered(&self) -> bool {
        self.delivery_count > 0
    }
}

/// What is to become of a delivered message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It is handled, durably: forget it.
    Ack,
    /// It could not be handled. It is delivered again after this time, which counts; the shard waits with it.
    RetryAfter(Duration),
    /// It can never be handled: keep it aside.
    DeadLetter {
        /// Why, for the operator; starts with a code. No personal data.
        reason: String,
    },
}

/// Who keeps a dead letter from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// The handler has it, durably: the transport forgets it.
    Taken,
    /// The transport, for an operator to see to.
    Left,
}

/// The handler cannot work now, through no fault of the messages: its database is away. The same batch is handed to
/// it again after this time, which does not count as a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause(pub Duration);
