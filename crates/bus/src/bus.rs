//! The bus itself: one handle to publish, to consume and to look into queues, over one of several transports.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proto::{Envelope, ShardKey};
use tokio_util::sync::CancellationToken;

use crate::amqp::{self, Amqp, AmqpOptions, BrokerError, Supervisor};
use crate::consume::{self, ConsumeError, Handler, Limits};
use crate::keep::{self, Keeper};
use crate::local::Local;
use crate::publish::Publisher;
use crate::topology::{Flow, QueueName, Topology};

/// The bus could not be looked into or changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// The queue is none of this topology.
    #[error("there is no queue {0}; was the number of shards changed?")]
    UnknownQueue(QueueName),
    /// The local transport failed.
    #[error("the local transport failed")]
    Spool(#[source] spool::SpoolError),
    /// The broker cannot be reached, or takes nothing, now.
    #[error("the broker cannot be used: {why}")]
    Unavailable {
        /// Why not.
        why: String,
    },
    /// The broker refused.
    #[error("the broker refused")]
    Broker(#[source] BrokerError),
    /// Somebody consumes it.
    #[error("queue {0} is being consumed; stop the services first")]
    InUse(QueueName),
    /// The broker has a queue or an exchange of our name that is made differently.
    #[error(
        "what the broker has by a name of ours is made differently: delete it there once it is empty, or use another virtual host"
    )]
    Mismatch(#[source] BrokerError),
}

/// A flow does not keep up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LagError {
    /// It cannot be looked into.
    #[error("cannot be looked into")]
    Bus(#[source] BusError),
    /// Its oldest message has waited for too long.
    #[error("is behind: {messages} messages wait, the oldest since {} s, longer than {} s", oldest.as_secs(), max.as_secs())]
    Behind {
        /// Messages that wait.
        messages: u64,
        /// Age of the oldest.
        oldest: Duration,
        /// The bound.
        max: Duration,
    },
}

/// How much waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are not settled.
    pub messages: u64,
    /// Age of the oldest of them, as far as the transport knows: a broker does not tell, so it is the oldest of those that
    /// a consumer of this process has at hand.
    pub oldest: Option<Duration>,
    /// Dead letters.
    pub dead: u64,
}

/// Identity of a dead letter within its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(i64);

impl DeadLetterId {
    /// From a list shown before.
    pub const fn new(raw: i64) -> Self {
        Self(raw)
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A message that could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its identity.
    pub id: DeadLetterId,
    /// The same each time this letter is handed over, and no other letter's, not even in another life of the transport.
    pub identity: String,
    /// The message; `None` if not even its envelope can be read.
    pub envelope: Option<Envelope>,
    /// What it was routed by; `None` if the transport does not know that either.
    pub shard_key: Option<ShardKey>,
    /// The bytes as they are.
    pub payload: Bytes,
    /// How often it was delivered before.
    pub delivery_count: u32,
    /// Why it is here.
    pub reason: String,
    /// When it was published.
    pub published_at: SystemTime,
    /// When it came here.
    pub died_at: SystemTime,
}

/// The transport. Clones share it.
#[derive(Debug, Clone)]
pub enum Bus {
    /// Within one process, over a spool.
    Local(Local),
    /// Over a broker.
    Amqp(Amqp),
}

impl Bus {
    /// A bus over `spool`, with every queue of `topology` made. The spool's writer has to be running.
    pub async fn local(spool: &spool::Spool, topology: Topology) -> Result<Self, BusError> {
        Ok(Self::Local(Local::new(spool, topology).await?))
    }

    /// A bus over a broker, and the task that keeps it going. With a spool, what the broker does not take goes there, which
    /// is as good as a confirm, and from there to the broker in its order; the spool's writer has to be running. It is no
    /// error that the broker is away; that it refuses is one.
    pub async fn amqp(
        options: AmqpOptions,
        topology: Topology,
        spool: Option<&spool::Spool>,
    ) -> Result<(Self, Supervisor), BusError> {
        let (amqp, supervisor) = amqp::open(options, topology, spool).await?;
        Ok((Self::Amqp(amqp), supervisor))
    }

    /// Its queues.
    pub fn topology(&self) -> Topology {
        match self {
            Self::Local(local) => local.topology(),
            Self::Amqp(amqp) => amqp.topology(),
        }
    }

    /// To publish with.
    pub fn publisher(&self) -> Publisher {
        match self {
            Self::Local(local) => Publisher::local(local.clone()),
            Self::Amqp(amqp) => Publisher::amqp(amqp.clone()),
        }
    }

    /// Gives the messages of `queue` to `handler` until `stop`; then what was handed over is finished first. Dead letters are
    /// offered to it as well ([`Handler::take_over`]). There can be one consumer of a queue at a time.
    pub async fn consume<H: Handler>(
        &self,
        queue: QueueName,
        limits: Limits,
        handler: &mut H,
        stop: &CancellationToken,
    ) -> Result<(), ConsumeError> {
        match self {
            Self::Local(local) => consume::run(local, queue, limits, handler, stop).await,
            Self::Amqp(amqp) => amqp::run(amqp, queue, limits, handler, stop).await,
        }
    }

    /// Offers the dead letters of `queue` to `keeper` every now and then, until `stop`; another consumes the queue. Several
    /// may do so at once: a letter may then be offered to each of them, with the same identity. That the transport is away is
    /// no error.
    pub async fn keep_letters<K: Keeper>(
        &self,
        queue: QueueName,
        keeper: &mut K,
        stop: &CancellationToken,
    ) -> Result<(), ConsumeError> {
        match self {
            Self::Local(local) => keep::run(local, queue, keeper, stop).await,
            Self::Amqp(amqp) => amqp::keep(amqp, queue, keeper, stop).await,
        }
    }

    /// How much waits in `queue`.
    pub async fn depth(&self, queue: QueueName) -> Result<Depth, BusError> {
        match self {
            Self::Local(local) => local.depth(queue).await,
            Self::Amqp(amqp) => amqp.depth(queue).await,
        }
    }

    /// Whether messages can be published now, as far as can be seen without doing it. Beside a spool a broker that is away
    /// does not matter for that; see [`Bus::reachable`].
    pub async fn probe(&self) -> Result<(), BusError> {
        match self {
            Self::Local(local) => local.probe().await,
            Self::Amqp(amqp) => amqp.probe().await,
        }
    }

    /// Whether what carries the messages is there now.
    pub fn reachable(&self) -> Result<(), BusError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Amqp(amqp) => amqp.reachable(),
        }
    }

    /// Confirmed messages that are still in this process's spool instead of with the broker. A process that goes for good
    /// waits until there are none.
    pub fn unsent(&self) -> u64 {
        match self {
            Self::Local(_) => 0,
            Self::Amqp(amqp) => amqp.unsent(),
        }
    }

    /// An error if a message of `flow` has waited for longer than `max`.
    pub async fn keeps_up(&self, flow: Flow, max: Duration) -> Result<(), LagError> {
        for queue in self.topology().queues(flow) {
            let depth = self.depth(queue).await.map_err(LagError::Bus)?;
            let late = depth.oldest.filter(|oldest| depth.messages > 0 && *oldest > max);
            if let Some(oldest) = late {
                return Err(LagError::Behind { messages: depth.messages, oldest, max });
            }
        }
        Ok(())
    }

    /// Dead letters of `queue` after `after`, oldest first, at most `limit`.
    pub async fn dead_letters(
        &self,
        queue: QueueName,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, BusError> {
        match self {
            Self::Local(local) => local.dead_letters(queue, after, limit).await,
            Self::Amqp(amqp) => amqp.dead_letters(queue, after, limit).await,
        }
    }

    /// Puts dead letters back at the end of `queue` as if newly published; gives back how many were there.
    pub async fn replay(&self, queue: QueueName, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        match self {
            Self::Local(local) => local.replay(queue, ids).await,
            Self::Amqp(amqp) => amqp.replay(queue, ids).await,
        }
    }

    /// Deletes dead letters for good; gives back how many were there.
    pub async fn discard(&self, queue: QueueName, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        match self {
            Self::Local(local) => local.discard(queue, ids).await,
            Self::Amqp(amqp) => amqp.discard(queue, ids).await,
        }
    }

    /// Names of queues that are not of this topology and still hold messages: left by another number of shards, and
    /// consumed by nobody until that number is set again.
    pub async fn stranded(&self) -> Result<Vec<String>, BusError> {
        match self {
            Self::Local(local) => local.stranded().await,
            Self::Amqp(amqp) => amqp.stranded().await,
        }
    }

    /// Throws away every message in every queue, dead letters and those of other numbers of shards among them, and says how many:
    /// for a database that is not the one they were made for. Refused while any of the queues is consumed; what waits in the
    /// spools of publishers is not touched.
    pub async fn purge(&self) -> Result<u64, BusError> {
        match self {
            Self::Local(local) => local.purge().await,
            Self::Amqp(amqp) => amqp.purge().await,
        }
    }

    /// Moves what is in queues of another number of shards into the present ones, those of each shard key in their order,
    /// and removes the others; gives back how many messages it moved. Nothing may be published meanwhile: a
    /// shown stock could overtake the orders that it proves. Refused while any of the queues is consumed, if there is something
    /// to move.
    pub async fn reshard(&self) -> Result<u64, BusError> {
        match self {
            Self::Local(local) => local.reshard().await,
            Self::Amqp(amqp) => amqp.reshard().await,
        }
    }
}
