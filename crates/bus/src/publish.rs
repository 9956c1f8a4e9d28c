//! Publishing: an answer for every message, and no answer but a durable one is success.

use std::time::Duration;

use proto::Envelope;

use crate::amqp::Amqp;
use crate::local::Local;

/// How long to wait for a confirm.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// The message is not known to be durable in its queue.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    /// No queue takes it. Publishing it again is of no use.
    #[error("no queue takes messages of type {message_type:?}")]
    Unroutable {
        /// Its type name.
        message_type: String,
    },
    /// It is larger than the transport takes. Publishing it again is of no use.
    #[error("a message of {bytes} bytes is refused, at most {max} are taken")]
    TooLarge {
        /// Its size with properties.
        bytes: usize,
        /// The largest.
        max: usize,
    },
    /// The transport is full. It was not stored; publish it again later.
    #[error("the transport is full; the message was not stored")]
    Full(#[source] spool::SpoolError),
    /// No answer came in time. It may be stored or not: publish it again under the same id.
    #[error("no confirm within {} s; publish it again under the same id", CONFIRM_TIMEOUT.as_secs())]
    Unconfirmed,
    /// No queue took it, though it should be there: it was deleted. It is made again; publish the message again later.
    #[error("its queue is gone at the broker; it is made again, publish the message again")]
    Returned,
    /// The broker did not take it: the queue is full. Publish it again later.
    #[error("the broker refused the message: its queue is full")]
    Refused,
    /// The broker takes nothing now. Publish it again later.
    #[error("the broker cannot be used: {why}")]
    Unavailable {
        /// Why not.
        why: String,
    },
    /// The transport is out of order until the process restarts.
    #[error("the transport failed; the message may be stored or not")]
    Failed(#[source] spool::SpoolError),
}

/// Publishes messages. Clones share the transport.
#[derive(Debug, Clone)]
pub struct Publisher {
    transport: Transport,
}

#[derive(Debug, Clone)]
enum Transport {
    Local(Local),
    Amqp(Amqp),
}

impl Publisher {
    pub(crate) fn local(local: Local) -> Self {
        Self { transport: Transport::Local(local) }
    }

    pub(crate) fn amqp(amqp: Amqp) -> Self {
        Self { transport: Transport::Amqp(amqp) }
    }

    /// Publishes messages; answers for each, in the same order, whether it is confirmed and routed. Messages of one
    /// shard key keep their order, unless one of them fails: then publish it and all after it again.
    pub async fn publish(&self, envelopes: &[Envelope]) -> Vec<Result<(), PublishError>> {
        match &self.transport {
            Transport::Local(local) => local.publish(envelopes).await,
            Transport::Amqp(amqp) => amqp.publish(envelopes).await,
        }
    }
}
