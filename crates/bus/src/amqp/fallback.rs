//! Where messages go that the broker does not take now: into a spool, and from there to the broker, in their order.
//!
//! There is one path for each queue at a time. While anything of a queue is in the spool, everything further of that
//! queue goes there too, so that nothing of a shard key overtakes what was published before it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use proto::Envelope;
use spool::{Queue, Record, Spool, SpoolError};
use tokio::sync::{Notify, OnceCell};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::drain::Drain;
use super::trouble::chain;
use crate::bus::BusError;
use crate::publish::PublishError;
use crate::topology::{Flow, QueueName, Topology};

/// What the queues of the spool are called that hold messages for the queue of this name.
pub(super) const PREFIX: &str = "out.";

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
    /// It was said that messages are kept here, and not yet that all of them are with the broker.
    told: AtomicBool,
    /// All of them are.
    emptied: Notify,
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
        let (told, emptied) = (AtomicBool::new(false), Notify::new());
        let fallback = Self { spool: spool.clone(), paths, left, told, emptied };
        let waiting = fallback.waiting();
        if waiting > 0 {
            fallback.told.store(true, Ordering::Release);
            tracing::info!(waiting, "messages of an earlier run wait in the spool for the broker");
        }
        Ok(fallback)
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

    /// Stores messages, in this order; on disk when it returns. `why` is why the broker does not have them.
    pub(super) async fn store(
        &self,
        name: QueueName,
        messages: &[&Envelope],
        why: Option<&PublishError>,
    ) -> Result<(), SpoolError> {
        let path = self.paths.get(&name).expect("there is a path for every queue of the topology");
        let _entering = Entering::count(path, messages.len());
        // Once they are counted: the spool is not empty before they are through it.
        self.tell(name, why);
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

    fn tell(&self, name: QueueName, why: Option<&PublishError>) {
        // Looked at first: every webhook comes by here while the broker is away.
        if !self.told.load(Ordering::Acquire) && !self.told.swap(true, Ordering::AcqRel) {
            let why = why.map_or_else(|| "others wait there".to_owned(), |error| chain(error));
            tracing::warn!(queue = %name, "messages are kept in the spool from now on: {why}");
        }
    }

    /// What was in one queue of the spool is with the broker.
    fn one_is_empty(&self) {
        if self.waiting() == 0 {
            self.emptied.notify_one();
            if self.told.swap(false, Ordering::AcqRel) {
                tracing::info!("the spool is empty: the broker has every message");
            }
        }
    }

    /// Publishes what is in the spool whenever the broker takes it, until `stop`. What waits then is published still, as long
    /// as the broker takes it and for no longer than [`AmqpOptions::emptying_for`](super::AmqpOptions::emptying_for).
    pub(super) async fn drain(&self, shared: &Shared, stop: &CancellationToken) {
        let mut draining = pin!(async {
            join_all(self.left.iter().map(async |queue| {
                Drain::of(shared, queue, None).run().await;
                self.one_is_empty();
            }))
            .await;
            join_all(self.paths.iter().map(|(name, path)| self.drain_path(shared, *name, path))).await;
        });
        tokio::select! {
            () = stop.cancelled() => {}
            _never = &mut draining => {}
        }
        tokio::select! {
            biased;
            () = self.until_empty() => return,
            _never = &mut draining => {}
            () = shared.until_not_up() => {}
            () = sleep(shared.options.emptying_max) => {}
        }
        let waiting = self.waiting();
        tracing::warn!(
            waiting,
            "messages stay in the spool: they go to the broker when the process runs again"
        );
    }

    async fn drain_path(&self, shared: &Shared, name: QueueName, path: &Path) {
        let mut drain = None;
        loop {
            path.filled.notified().await;
            if let Some(queue) = path.queue.get() {
                drain.get_or_insert_with(|| Drain::of(shared, queue, Some(name))).run().await;
            }
            self.one_is_empty();
        }
    }

    async fn until_empty(&self) {
        while self.waiting() > 0 {
            self.emptied.notified().await;
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
