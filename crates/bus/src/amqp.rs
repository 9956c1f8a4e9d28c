//! The transport over a broker that speaks AMQP 0-9-1, which is RabbitMQ: every queue is a quorum queue with a single
//! active consumer.
//!
//! [`open`] gives the handle and the [`Supervisor`], which the caller spawns: it holds the connections, one to publish
//! and one to consume, and brings the spool to the broker.

mod batch;
mod confirms;
mod consume;
mod declare;
mod drain;
mod error;
mod fallback;
mod incoming;
mod letters;
mod linger;
mod link;
mod options;
mod publish;
mod reshard;
mod supervisor;
mod trouble;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::TryFutureExt as _;
use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;

use confirms::Submission;
pub(crate) use consume::{keep, run};
use declare::{dead, declare_all, short};
pub use error::BrokerError;
use fallback::Fallback;
use link::Link;
pub use options::{AmqpOptions, AmqpUrlError};
pub use supervisor::Supervisor;
use trouble::Trouble;

use crate::bus::{BusError, Depth};
use crate::topology::{Flow, QueueName, Topology};

/// Bytes handed over and not yet confirmed; who publishes more waits for its turn.
const IN_FLIGHT_BYTES_MAX: usize = 32 << 20;
/// Submissions that wait to be taken up.
const SUBMISSIONS_MAX: usize = 1_024;
/// How long the broker may take to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The AMQP transport.
#[derive(Debug, Clone)]
pub struct Amqp {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    topology: Topology,
    options: AmqpOptions,
    submissions: mpsc::Sender<Submission>,
    /// One permit a byte of what may be in flight.
    room: Arc<Semaphore>,
    link: watch::Receiver<Link>,
    consuming: watch::Receiver<Option<Arc<Connection>>>,
    fallback: Option<Fallback>,
    trouble: Trouble,
    hands: BTreeMap<QueueName, Hand>,
}

/// What the consumer of this process has of a queue: the broker does not count that as waiting, and does not tell how old
/// anything is.
#[derive(Debug, Default)]
struct Hand {
    messages: AtomicU64,
    /// When the oldest of them was made, in microseconds; only of use if there are any.
    oldest: AtomicI64,
}

/// Connects, if the broker is there, and finds what waits in the spool.
pub(crate) async fn open(
    options: AmqpOptions,
    topology: Topology,
    spool: Option<&spool::Spool>,
) -> Result<(Amqp, Supervisor), BusError> {
    let fallback = match spool {
        Some(spool) => Some(Fallback::open(spool, topology).await?),
        None => None,
    };
    let (submissions, submitted) = mpsc::channel(SUBMISSIONS_MAX);
    let names = Flow::ALL.into_iter().flat_map(|flow| topology.queues(flow));
    let hands = names.map(|name| (name, Hand::default())).collect();
    let trouble = Trouble::of_connections(&options);
    let (ends, link, consuming) = supervisor::Ends::open(&options, topology, &trouble, submitted).await?;
    let room = Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX));
    let shared = Shared { topology, options, submissions, room, link, consuming, fallback, trouble, hands };
    let amqp = Amqp { shared: Arc::new(shared) };
    Ok((amqp.clone(), Supervisor::new(amqp.shared, ends)))
}

impl Amqp {
    pub(crate) fn topology(&self) -> Topology {
        self.shared.topology
    }

    fn hand(&self, name: QueueName) -> Result<&Hand, BusError> {
        self.shared.hands.get(&name).ok_or(BusError::UnknownQueue(name))
    }

    pub(crate) async fn depth(&self, name: QueueName) -> Result<Depth, BusError> {
        let hand = self.hand(name)?;
        let (ready, dead) = match self.shared.counts(name).await {
            Err(BusError::Broker(error)) if error.is_not_found() => {
                self.shared.make_again(name).await?;
                self.shared.counts(name).await?
            }
            counts => counts?,
        };
        let at_hand = hand.messages.load(Ordering::Acquire);
        let oldest = (at_hand > 0).then(|| self.shared.age(hand.oldest.load(Ordering::Acquire)));
        Ok(Depth { messages: ready + at_hand, oldest, dead })
    }

    pub(crate) async fn probe(&self) -> Result<(), BusError> {
        match &self.shared.fallback {
            Some(fallback) => fallback.probe().await,
            None => self.reachable(),
        }
    }

    pub(crate) fn reachable(&self) -> Result<(), BusError> {
        match self.shared.link.borrow().why_not() {
            None => Ok(()),
            Some(why) => Err(BusError::Unavailable { why }),
        }
    }

    pub(crate) fn unsent(&self) -> u64 {
        self.shared.fallback.as_ref().map_or(0, Fallback::waiting)
    }
}

impl Shared {
    /// Waits until the broker takes messages.
    async fn until_up(&self) {
        let mut link = self.link.clone();
        if link.wait_for(|link| *link == Link::Up).await.is_err() {
            // The supervisor is gone, and with it whoever would wait here.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the broker takes none.
    async fn until_not_up(&self) {
        let mut link = self.link.clone();
        // Without a supervisor it takes none either.
        drop(link.wait_for(|link| *link != Link::Up).await);
    }

    /// Whether there is a connection to consume with.
    fn consumes(&self) -> bool {
        self.consuming.borrow().as_ref().is_some_and(|connection| connection.status().connected())
    }

    /// A channel to ask or to consume with, if there is a connection.
    async fn channel(&self) -> Result<Channel, BusError> {
        within(self.connection()?.create_channel()).await
    }

    fn connection(&self) -> Result<Arc<Connection>, BusError> {
        self.consuming.borrow().clone().ok_or_else(|| {
            let why = self.link.borrow().why_not();
            let why = why.unwrap_or_else(|| "there is no connection to consume with yet".to_owned());
            BusError::Unavailable { why }
        })
    }

    /// Messages of a queue that nobody has at hand, and those of it that were given up.
    async fn counts(&self, name: QueueName) -> Result<(u64, u64), BusError> {
        let channel = self.channel().await?;
        Ok((count(&channel, short(name)).await?, count(&channel, dead(name)).await?))
    }

    /// Makes a queue, and the one of its dead, that somebody deleted at the broker.
    async fn make_again(&self, name: QueueName) -> Result<(), BusError> {
        let connection = self.connection()?;
        let declared = declare_all(&connection, [name]).map_err(|BrokerError(error)| error);
        within(declared).await?;
        // docs/operations.md says what is to be done about what was in it.
        tracing::warn!(queue = %name, "the queue was deleted at the broker, with what was in it; it is made again");
        Ok(())
    }

    fn age(&self, micros: i64) -> Duration {
        let now = (self.options.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let made = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        now.saturating_sub(made)
    }
}

async fn count(channel: &Channel, name: ShortString) -> Result<u64, BusError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = within(channel.queue_declare(name, passive, FieldTable::default())).await?;
    Ok(u64::from(queue.message_count()))
}

/// The broker's answer, unless it does not come.
async fn within<T>(answer: impl Future<Output = lapin::Result<T>>) -> Result<T, BusError> {
    match timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer.map_err(|error| BusError::Broker(BrokerError(error))),
        Err(_elapsed) => Err(BusError::Unavailable { why: "it does not answer".to_owned() }),
    }
}
