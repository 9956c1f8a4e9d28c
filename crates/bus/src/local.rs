//! The transport within one process: every queue is a queue of a spool, and a commit of the spool is the confirm.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::join_all;
use proto::{Envelope, ShardKey};
use spool::{Claimed, DeadId, Limit, Outcome, PAYLOAD_BYTES_MAX, Queue, Record, Seq, Spool, SpoolError};
use tokio::time::{sleep, timeout};

use crate::bus::{BusError, DeadLetter, DeadLetterId, Depth};
use crate::consume::Limits;
use crate::delivery::{DELIVERY_LIMIT, Delivery, Disposition, REASON_CHARS_MAX, together_max};
use crate::publish::{CONFIRM_TIMEOUT, PublishError};
use crate::topology::{Flow, QueueName, Topology};

/// Records moved together when the number of shards changes.
const MOVED_TOGETHER: usize = 1_000;
/// Dead letters thrown away at a time.
const DEAD_TOGETHER: u32 = 1_000;
/// A consumer looks by itself after this time, should a wake-up ever be missed.
const FALLBACK_POLL: Duration = Duration::from_secs(1);

/// The local transport.
#[derive(Debug, Clone)]
pub struct Local {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    topology: Topology,
    spool: Spool,
    queues: BTreeMap<QueueName, Queue>,
}

impl Local {
    pub(crate) async fn new(spool: &Spool, topology: Topology) -> Result<Self, BusError> {
        let mut queues = BTreeMap::new();
        for name in Flow::ALL.into_iter().flat_map(|flow| topology.queues(flow)) {
            let queue = spool.queue(&name.to_string()).await.map_err(BusError::Spool)?;
            queues.insert(name, queue);
        }
        Ok(Self { shared: Arc::new(Shared { topology, spool: spool.clone(), queues }) })
    }

    pub(crate) fn topology(&self) -> Topology {
        self.shared.topology
    }

    fn queue(&self, name: QueueName) -> Result<&Queue, BusError> {
        self.shared.queues.get(&name).ok_or(BusError::UnknownQueue(name))
    }

    pub(crate) async fn publish(&self, envelopes: &[Envelope]) -> Vec<Result<(), PublishError>> {
        let mut answers = Vec::with_capacity(envelopes.len());
        let mut routed: BTreeMap<QueueName, (Vec<usize>, Vec<Record>)> = BTreeMap::new();
        for (position, envelope) in envelopes.iter().enumerate() {
            match self.route(envelope) {
                Ok((name, record)) => {
                    let (positions, records) = routed.entry(name).or_default();
                    positions.push(position);
                    records.push(record);
                    // Replaced below, when the append is answered.
                    answers.push(Err(PublishError::Unconfirmed));
                }
                Err(refused) => answers.push(Err(refused)),
            }
        }
        let appends = routed.into_iter().map(async |(name, (positions, records))| {
            let queue = self.shared.queues.get(&name).expect("every queue of the topology was made");
            (positions, timeout(CONFIRM_TIMEOUT, queue.append_all(records)).await)
        });
        for (positions, appended) in join_all(appends).await {
            let answer = match appended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error @ (SpoolError::Full { .. } | SpoolError::DiskFull))) => {
                    Err(PublishError::Full(error))
                }
                Ok(Err(error)) => Err(PublishError::Failed(error)),
                Err(_elapsed) => Err(PublishError::Unconfirmed),
            };
            for position in positions {
                if let Some(waiting) = answers.get_mut(position) {
                    waiting.clone_from(&answer);
                }
            }
        }
        answers
    }

    fn route(&self, envelope: &Envelope) -> Result<(QueueName, Record), PublishError> {
        let properties = &envelope.properties;
        let unroutable = |_| PublishError::Unroutable { message_type: properties.message_type.clone() };
        let kind = properties.kind().map_err(unroutable)?;
        let payload = Bytes::from(envelope.to_bytes());
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(PublishError::TooLarge { bytes: payload.len(), max: PAYLOAD_BYTES_MAX });
        }
        let name = self.shared.topology.route(kind, properties.shard_key);
        Ok((name, Record { key: properties.shard_key.get(), payload }))
    }

    pub(crate) async fn incoming(&self, name: QueueName) -> Result<Incoming, BusError> {
        let consumer = self.queue(name)?.consumer().await.map_err(BusError::Spool)?;
        Ok(Incoming { consumer, out: Vec::new(), buried_told: 0 })
    }

    pub(crate) async fn depth(&self, name: QueueName) -> Result<Depth, BusError> {
        let queue = self.queue(name)?;
        let depth = queue.depth().await.map_err(BusError::Spool)?;
        let dead = queue.dead_count().await.map_err(BusError::Spool)?;
        Ok(Depth { messages: depth.records, oldest: depth.oldest, dead })
    }

    pub(crate) async fn probe(&self) -> Result<(), BusError> {
        self.shared.spool.probe().await.map_err(BusError::Spool)
    }

    pub(crate) async fn dead_letters(
        &self,
        name: QueueName,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let after = after.map(|id| DeadId::new(id.get()));
        let dead = self.queue(name)?.dead(after, limit).await.map_err(BusError::Spool)?;
        let letter = |dead: spool::Dead| DeadLetter {
            id: DeadLetterId::new(dead.id.get()),
            // Ids begin anew if somebody puts the file aside.
            identity: format!("{name}/{}/{}", dead.id.get(), micros(dead.died_at)),
            // Of a segment whose index is damaged nothing is known, least of all whose records it held.
            shard_key: Some(dead.key).filter(|key| *key != 0).map(ShardKey::new),
            payload: dead.payload.clone(),
            envelope: Envelope::from_bytes(&dead.payload).ok(),
            delivery_count: dead.attempts,
            reason: dead.reason,
            published_at: dead.appended_at,
            died_at: dead.died_at,
        };
        Ok(dead.into_iter().map(letter).collect())
    }

    pub(crate) async fn replay(&self, name: QueueName, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        self.queue(name)?.replay(dead_ids(ids)).await.map_err(BusError::Spool)
    }

    pub(crate) async fn discard(&self, name: QueueName, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        self.queue(name)?.discard(dead_ids(ids)).await.map_err(BusError::Spool)
    }

    pub(crate) async fn stranded(&self) -> Result<Vec<String>, BusError> {
        let mut stranded = Vec::new();
        for (_, queue) in self.others().await? {
            if queue.depth().await.map_err(BusError::Spool)?.records > 0 {
                stranded.push(queue.name().to_owned());
            }
        }
        Ok(stranded)
    }

    /// Queues of other numbers of shards, with what they are for.
    async fn others(&self) -> Result<Vec<(Flow, Queue)>, BusError> {
        let ours: Vec<&str> = self.shared.queues.values().map(Queue::name).collect();
        let mut others = Vec::new();
        for name in self.shared.spool.queues().await.map_err(BusError::Spool)? {
            let flow = Flow::ALL.into_iter().find(|flow| flow.owns(&name));
            if let Some(flow) = flow.filter(|_| !ours.contains(&name.as_str())) {
                others.push((flow, self.shared.spool.queue(&name).await.map_err(BusError::Spool)?));
            }
        }
        Ok(others)
    }

    pub(crate) async fn reshard(&self) -> Result<u64, BusError> {
        let mut moved = 0;
        for (flow, queue) in self.others().await? {
            moved += self.empty(flow, &queue).await.map_err(BusError::Spool)?;
        }
        Ok(moved)
    }

    pub(crate) async fn purge(&self) -> Result<u64, BusError> {
        let others = self.others().await?;
        let mut purged = 0;
        for queue in self.shared.queues.values().chain(others.iter().map(|(_, queue)| queue)) {
            purged += purge(queue).await.map_err(BusError::Spool)?;
        }
        Ok(purged)
    }

    /// Moves everything of a queue to where it belongs now. Its dead letters stay under its name.
    async fn empty(&self, flow: Flow, queue: &Queue) -> Result<u64, SpoolError> {
        let limit = Limit { records: MOVED_TOGETHER, bytes: PAYLOAD_BYTES_MAX, together: |_| usize::MAX };
        let mut moved = 0;
        let mut consumer = queue.consumer().await?;
        while consumer.backlog() > 0 {
            let mut records: BTreeMap<QueueName, Vec<Record>> = BTreeMap::new();
            let mut settled = Vec::new();
            for Claimed { seq, key, payload, .. } in consumer.claim(limit).await? {
                let name = self.shared.topology.queue(flow, ShardKey::new(key));
                records.entry(name).or_default().push(Record { key, payload });
                settled.push((seq, Outcome::Ack));
                moved += 1;
            }
            for (name, records) in records {
                let to = self.shared.queues.get(&name).expect("every queue of the topology was made");
                to.append_all(records).await?;
            }
            consumer.settle(settled).await?;
            consumer.flush().await?;
        }
        consumer.release().await?;
        Ok(moved)
    }
}

/// Throws away what is in a queue, living and dead.
async fn purge(queue: &Queue) -> Result<u64, SpoolError> {
    let limit = Limit { records: MOVED_TOGETHER, bytes: PAYLOAD_BYTES_MAX, together: |_| usize::MAX };
    let mut purged = 0;
    let mut consumer = queue.consumer().await?;
    while consumer.backlog() > 0 {
        let claimed = consumer.claim(limit).await?;
        purged += u64::try_from(claimed.len()).unwrap_or(u64::MAX);
        consumer.settle(claimed.into_iter().map(|claimed| (claimed.seq, Outcome::Ack)).collect()).await?;
        consumer.flush().await?;
    }
    consumer.release().await?;
    loop {
        let dead = queue.dead(None, DEAD_TOGETHER).await?;
        if dead.is_empty() {
            return Ok(purged);
        }
        purged += queue.discard(dead.iter().map(|dead| dead.id).collect()).await?;
    }
}

fn micros(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

fn dead_ids(ids: &[DeadLetterId]) -> Vec<DeadId> {
    ids.iter().map(|id| DeadId::new(id.get())).collect()
}

/// Messages coming out of one queue.
#[derive(Debug)]
pub(crate) struct Incoming {
    consumer: spool::Consumer,
    /// The batch that is out, in the order of its deliveries.
    out: Vec<Seq>,
    /// How many were put with the dead when that was last asked.
    buried_told: u64,
}

impl Incoming {
    /// Waits for messages: at least one, for more no longer than the limits say. None: some were put with the dead.
    pub(crate) async fn batch(&mut self, limits: &Limits) -> Result<Vec<Delivery>, SpoolError> {
        let limit = Limit { records: limits.messages_max, bytes: limits.bytes_max, together: together_max };
        let enough = u64::try_from(limits.messages_max).unwrap_or(u64::MAX);
        loop {
            // The outcome does not matter: after the poll time the queue is looked into anyway.
            timeout(FALLBACK_POLL, self.consumer.backlog_of(1)).await.ok();
            if !limits.wait_max.is_zero() && self.consumer.backlog() > 0 {
                timeout(limits.wait_max, self.consumer.backlog_of(enough)).await.ok();
            }
            let claimed = self.consumer.claim(limit).await?;
            if claimed.is_empty() && self.consumer.backlog() > 0 {
                // Damaged records were set aside, or the counter is wrong; do not spin on it.
                sleep(Duration::from_millis(1)).await;
            }
            let deliveries = self.deliver(claimed).await?;
            if !deliveries.is_empty() || self.consumer.buried() != self.buried_told {
                return Ok(deliveries);
            }
        }
    }

    /// Whether messages were put with the dead since this was last asked.
    pub(crate) fn take_buried(&mut self) -> bool {
        let buried = self.consumer.buried();
        std::mem::replace(&mut self.buried_told, buried) != buried
    }

    /// Opens the envelopes, setting aside what cannot or may not be delivered.
    async fn deliver(&mut self, claimed: Vec<Claimed>) -> Result<Vec<Delivery>, SpoolError> {
        let mut deliveries = Vec::with_capacity(claimed.len());
        let mut dead = Vec::new();
        self.out.clear();
        for Claimed { seq, attempts, payload, .. } in claimed {
            if attempts > DELIVERY_LIMIT {
                dead.push((
                    seq,
                    Outcome::Dead { reason: format!("delivery-limit: delivered {attempts} times") },
                ));
                continue;
            }
            match Envelope::from_bytes(&payload) {
                Ok(envelope) => {
                    self.out.push(seq);
                    deliveries.push(Delivery { envelope, delivery_count: attempts });
                }
                Err(error) => {
                    dead.push((seq, Outcome::Dead { reason: format!("unreadable-envelope: {error}") }));
                }
            }
        }
        if !dead.is_empty() {
            self.consumer.settle(dead).await?;
        }
        Ok(deliveries)
    }

    /// Applies what the handler decided about the batch that is out. Durable when the next batch comes, or at the end.
    pub(crate) async fn settle(&mut self, dispositions: Vec<Disposition>) -> Result<(), SpoolError> {
        let outcome = |disposition| match disposition {
            Disposition::Ack => Outcome::Ack,
            Disposition::RetryAfter(_) => Outcome::Retry,
            Disposition::DeadLetter { reason } => {
                Outcome::Dead { reason: reason.chars().take(REASON_CHARS_MAX).collect() }
            }
        };
        let outcomes = self.out.drain(..).zip(dispositions.into_iter().map(outcome)).collect();
        self.consumer.settle(outcomes).await
    }

    /// Waits until what was settled is durable.
    pub(crate) async fn flush(&mut self) -> Result<(), SpoolError> {
        self.consumer.flush().await
    }

    /// An orderly end: what is out counts as not delivered.
    pub(crate) async fn release(self) -> Result<(), SpoolError> {
        self.consumer.release().await
    }
}
