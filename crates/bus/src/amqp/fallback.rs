//! Where messages go that the broker does not take now: into a spool, and from there to the broker, in their order.
//!
//! There is one path for each queue at a time. While anything of a queue is in the spool, everything further of that
//! queue goes there too, so that nothing of a shard key overtakes what was published before it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use proto::Envelope;
use spool::{Claimed, Consumer, Limit, Outcome, Queue, Record, Seq, Spool, SpoolError};
use tokio::sync::{Notify, OnceCell};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::link::Waits;
use crate::bus::BusError;
use crate::topology::{Flow, QueueName, Topology};

/// What the queues of the spool are called that hold messages for the queue of this name.
const PREFIX: &str = "out.";
/// Most records published at a time from a queue of the spool.
const DRAIN_RECORDS_MAX: usize = 4_096;
/// Bytes after which no further record is added.
const DRAIN_BYTES_MAX: usize = 8 << 20;
/// Waits after the broker did not take what was in the spool.
const DRAIN_AGAIN_MIN: Duration = Duration::from_millis(200);
const DRAIN_AGAIN_MAX: Duration = Duration::from_secs(30);

const LIMIT: Limit = Limit { records: DRAIN_RECORDS_MAX, bytes: DRAIN_BYTES_MAX, together: |_| usize::MAX };

/// The way of one queue through the spool.
#[derive(Debug, Default)]
struct Path {
    /// Messages on their way into the spool.
    entering: AtomicU64,
    queue: OnceCell<Queue>,
    /// Something was put there.
    filled: Notify,
}

impl Path {
    fn waiting(&self) -> u64 {
        self.entering.load(Ordering::Acquire) + self.queue.get().map_or(0, Queue::waiting)
    }
}

/// The spool beside a broker.
#[derive(Debug)]
pub(super) struct Fallback {
    spool: Spool,
    paths: BTreeMap<QueueName, Path>,
    /// Queues of the spool for queues of another number of shards: they go first, and nothing passes them.
    left: Vec<Queue>,
}

impl Fallback {
    /// Finds what an earlier process left in the spool.
    pub(super) async fn open(spool: &Spool, topology: Topology) -> Result<Self, BusError> {
        let names = Flow::ALL.into_iter().flat_map(|flow| topology.queues(flow));
        let paths: BTreeMap<QueueName, Path> = names.map(|name| (name, Path::default())).collect();
        let by_name: BTreeMap<String, &Path> =
            paths.iter().map(|(name, path)| (format!("{PREFIX}{name}"), path)).collect();
        let mut left = Vec::new();
        for name in spool.queues().await.map_err(BusError::Spool)? {
            if !name.starts_with(PREFIX) {
                continue;
            }
            let queue = spool.queue(&name).await.map_err(BusError::Spool)?;
            match by_name.get(&name) {
                Some(path) => {
                    path.queue.set(queue).ok();
                    path.filled.notify_one();
                }
                None => left.push(queue),
            }
        }
        drop(by_name);
        Ok(Self { spool: spool.clone(), paths, left })
    }

    /// Messages that wait in the spool.
    pub(super) fn waiting(&self) -> u64 {
        self.left_waiting() + self.paths.values().map(Path::waiting).sum::<u64>()
    }

    fn left_waiting(&self) -> u64 {
        self.left.iter().map(Queue::waiting).sum()
    }

    pub(super) async fn probe(&self) -> Result<(), BusError> {
        self.spool.probe().await.map_err(BusError::Spool)
    }

    /// Whether messages for that queue have to go through the spool.
    pub(super) fn is_used(&self, name: QueueName) -> bool {
        self.paths.get(&name).is_some_and(|path| path.waiting() > 0) || self.left_waiting() > 0
    }

    /// Stores messages, in this order; on disk when it returns.
    pub(super) async fn store(&self, name: QueueName, messages: &[&Envelope]) -> Result<(), SpoolError> {
        let path = self.paths.get(&name).expect("there is a path for every queue of the topology");
        let _entering = Entering::count(path, messages.len());
        let queue = path.queue.get_or_try_init(|| self.open_queue(name)).await?;
        let record = |envelope: &&Envelope| Record {
            key: envelope.properties.shard_key.get(),
            payload: Bytes::from(envelope.to_bytes()),
        };
        queue.append_all(messages.iter().map(record).collect()).await
    }

    async fn open_queue(&self, name: QueueName) -> Result<Queue, SpoolError> {
        self.spool.queue(&format!("{PREFIX}{name}")).await
    }

    /// Publishes what is in the spool whenever the broker takes it, until `stop`.
    pub(super) async fn drain(&self, shared: &Shared, stop: &CancellationToken) {
        let draining = async {
            join_all(self.left.iter().map(async |queue| Drain::of(shared, queue).run().await)).await;
            join_all(self.paths.values().map(|path| drain_path(shared, path))).await;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = draining => {}
        }
    }
}

async fn drain_path(shared: &Shared, path: &Path) {
    let mut drain = None;
    loop {
        path.filled.notified().await;
        if let Some(queue) = path.queue.get() {
            drain.get_or_insert_with(|| Drain::of(shared, queue)).run().await;
        }
    }
}

/// Messages counted from before they are stored until after: between the two the spool does not know of them, and who
/// publishes next must not pass them.
struct Entering<'a> {
    path: &'a Path,
    count: u64,
}

impl<'a> Entering<'a> {
    fn count(path: &'a Path, count: usize) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        path.entering.fetch_add(count, Ordering::AcqRel);
        Self { path, count }
    }
}

impl Drop for Entering<'_> {
    fn drop(&mut self) {
        self.path.entering.fetch_sub(self.count, Ordering::AcqRel);
        self.path.filled.notify_one();
    }
}

/// Takes one queue of the spool to the broker.
struct Drain<'a> {
    shared: &'a Shared,
    queue: &'a Queue,
    consumer: Option<Consumer>,
    waits: Waits,
}

/// Why a batch is not wholly with the broker.
enum Stuck {
    Spool,
    Broker,
}

impl<'a> Drain<'a> {
    fn of(shared: &'a Shared, queue: &'a Queue) -> Self {
        Self { shared, queue, consumer: None, waits: Waits::new(DRAIN_AGAIN_MIN, DRAIN_AGAIN_MAX) }
    }

    /// Until the queue is empty.
    async fn run(&mut self) {
        while self.queue.waiting() > 0 {
            self.shared.until_up().await;
            match self.batch().await {
                Ok(()) => self.waits.worked(),
                Err(stuck) => {
                    if matches!(stuck, Stuck::Spool) {
                        // After an error it is of no more use.
                        self.consumer = None;
                    }
                    sleep(self.waits.next()).await;
                }
            }
        }
    }

    async fn batch(&mut self) -> Result<(), Stuck> {
        let consumer = match &mut self.consumer {
            Some(consumer) => consumer,
            empty => {
                let consumer = self.queue.consumer().await.map_err(|_error| Stuck::Spool)?;
                empty.insert(consumer)
            }
        };
        let claimed = consumer.claim(LIMIT).await.map_err(|_error| Stuck::Spool)?;
        let mut settled = Vec::with_capacity(claimed.len());
        let (mut seqs, mut messages) = (Vec::with_capacity(claimed.len()), Vec::with_capacity(claimed.len()));
        for Claimed { seq, payload, .. } in claimed {
            match self.shared.outgoing_of(&payload) {
                Ok(message) => {
                    seqs.push(seq);
                    messages.push(message);
                }
                Err(reason) => settled.push((seq, Outcome::Dead { reason })),
            }
        }
        let answers = self.shared.submit(messages).await;
        let confirmed = answers.iter().take_while(|answer| answer.is_ok()).count();
        let all = confirmed == seqs.len();
        settled.extend(seqs.into_iter().take(confirmed).map(|seq: Seq| (seq, Outcome::Ack)));
        // What follows goes to the broker directly once the spool knows that these are gone.
        consumer.settle(settled).await.map_err(|_error| Stuck::Spool)?;
        consumer.flush().await.map_err(|_error| Stuck::Spool)?;
        if all { Ok(()) } else { Err(Stuck::Broker) }
    }
}
