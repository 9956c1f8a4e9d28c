//! Taking one queue of the spool to the broker: its messages in their order, and what cannot be published to the dead
//! letters of their queue, where an operator looks.

use std::time::Duration;

use proto::{Envelope, ShardKey};
use spool::{Claimed, Consumer, Dead, Limit, Outcome, Queue, Seq, SpoolError};
use tokio::time::sleep;
use uuid::Uuid;

use super::confirms::Answers;
use super::fallback::PREFIX;
use super::letters::Letter;
use super::link::Waits;
use super::trouble::chain;
use super::{Shared, wire};
use crate::publish::PublishError;
use crate::topology::{Flow, QueueName};

/// Most records published at a time from a queue of the spool.
const DRAIN_RECORDS_MAX: usize = 4_096;
/// Bytes after which no further record is added.
const DRAIN_BYTES_MAX: usize = 8 << 20;
/// Waits after the broker did not take what was in the spool.
const DRAIN_AGAIN_MIN: Duration = Duration::from_millis(200);
const DRAIN_AGAIN_MAX: Duration = Duration::from_secs(30);
/// Dead records published together. One may have as many bytes as a commit of the spool.
const DEAD_TOGETHER: u32 = 8;

const LIMIT: Limit = Limit { records: DRAIN_RECORDS_MAX, bytes: DRAIN_BYTES_MAX, together: |_| usize::MAX };

/// Takes one queue of the spool to the broker.
pub(super) struct Drain<'a> {
    shared: &'a Shared,
    queue: &'a Queue,
    /// Where it leads; `None` if it was made for another number of shards.
    name: Option<QueueName>,
    consumer: Option<Consumer>,
    /// How many records this consumer had put with the dead when there were none there any more; `None` before the first look,
    /// for an earlier process may have left some.
    no_dead_at: Option<u64>,
    waits: Waits,
    /// The last cause that was logged.
    said: Option<String>,
}

/// Why a batch is not wholly with the broker.
enum Stuck {
    Spool(SpoolError),
    Broker(PublishError),
}

impl From<SpoolError> for Stuck {
    fn from(error: SpoolError) -> Self {
        Self::Spool(error)
    }
}

impl<'a> Drain<'a> {
    pub(super) fn of(shared: &'a Shared, queue: &'a Queue, name: Option<QueueName>) -> Self {
        let waits = Waits::new(DRAIN_AGAIN_MIN, DRAIN_AGAIN_MAX);
        Self { shared, queue, name, consumer: None, no_dead_at: None, waits, said: None }
    }

    /// Until the queue is empty.
    pub(super) async fn run(&mut self) {
        while self.queue.waiting() > 0 || self.may_have_dead() {
            self.shared.until_up().await;
            match self.batch().await {
                Ok(()) => {
                    self.waits.worked();
                    self.said = None;
                }
                Err(stuck) => {
                    self.say(&stuck);
                    if matches!(stuck, Stuck::Spool(_)) {
                        // After an error it is of no more use.
                        (self.consumer, self.no_dead_at) = (None, None);
                    }
                    sleep(self.waits.next()).await;
                }
            }
        }
    }

    fn may_have_dead(&self) -> bool {
        self.no_dead_at.is_none() || self.no_dead_at != self.consumer.as_ref().map(Consumer::buried)
    }

    /// Each cause once, until something goes well. That there is no connection is said by who keeps it.
    fn say(&mut self, stuck: &Stuck) {
        let why = match stuck {
            Stuck::Spool(error) => chain(error),
            Stuck::Broker(PublishError::Unavailable { .. } | PublishError::Unconfirmed) => return,
            Stuck::Broker(error) => chain(error),
        };
        if self.said.as_ref() != Some(&why) {
            tracing::warn!(
                queue = self.queue.name(),
                "what is in the spool cannot be brought to the broker: {why}"
            );
            self.said = Some(why);
        }
    }

    async fn batch(&mut self) -> Result<(), Stuck> {
        let consumer = match &mut self.consumer {
            Some(consumer) => consumer,
            empty => empty.insert(self.queue.consumer().await?),
        };
        let claimed = consumer.claim(LIMIT).await?;
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
        settled.extend(seqs.into_iter().take(confirmed).map(|seq: Seq| (seq, Outcome::Ack)));
        // What follows goes to the broker directly once the spool knows that these are gone.
        consumer.settle(settled).await?;
        consumer.flush().await?;
        let buried = consumer.buried();
        refused(answers)?;
        if self.no_dead_at != Some(buried) {
            self.hand_over_dead().await?;
            self.no_dead_at = Some(buried);
        }
        Ok(())
    }

    /// Makes dead letters of what the spool has put with its dead. A letter that is handed over twice, because the process
    /// ended in between, has the same identity both times.
    async fn hand_over_dead(&self) -> Result<(), Stuck> {
        loop {
            let dead = self.queue.dead(None, DEAD_TOGETHER).await?;
            if dead.is_empty() {
                return Ok(());
            }
            let letters = dead.iter().map(|dead| letter(dead).into_dead(self.destination(dead)));
            let answers = self.shared.submit(letters.collect()).await;
            let taken = answers.iter().take_while(|answer| answer.is_ok()).count();
            let taken: Vec<&Dead> = dead.iter().take(taken).collect();
            for Dead { key, attempts, reason, .. } in &taken {
                tracing::error!(
                    queue = self.queue.name(),
                    key,
                    attempts,
                    reason,
                    "a message in the spool cannot be published and is with the dead letters now"
                );
            }
            self.queue.discard(taken.iter().map(|dead| dead.id).collect()).await?;
            refused(answers)?;
        }
    }

    /// The queue it was meant for. Where that is none any more it is the one that its key leads to now.
    fn destination(&self, dead: &Dead) -> QueueName {
        self.name.unwrap_or_else(|| {
            let name = self.queue.name().strip_prefix(PREFIX).unwrap_or_default();
            let flow = Flow::ALL.into_iter().find(|flow| flow.owns(name));
            // What an older version called a queue is of no flow of ours; somebody has to see its letters.
            self.shared.topology.queue(flow.unwrap_or(Flow::InventoryOrders), ShardKey::new(dead.key))
        })
    }
}

/// The first that was not taken.
fn refused(answers: Answers) -> Result<(), Stuck> {
    answers.into_iter().collect::<Result<Vec<()>, _>>().map(drop).map_err(Stuck::Broker)
}

/// A record that the spool has given up, as a letter.
fn letter(dead: &Dead) -> Letter {
    let envelope = Envelope::from_bytes(&dead.payload).ok();
    let message =
        envelope.and_then(|envelope| Some((wire::properties(&envelope.properties)?, envelope.body)));
    let (properties, body) = message.unwrap_or_else(|| {
        let died = dead.died_at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let died = u64::try_from(died.as_micros()).unwrap_or(0);
        let id = Uuid::from_u64_pair(died, dead.id.get().cast_unsigned());
        // Of a whole segment that is damaged no key is known.
        let key = (dead.key != 0).then(|| ShardKey::new(dead.key));
        (wire::unreadable(id, key), dead.payload.to_vec())
    });
    Letter::now(properties, body, dead.attempts, &dead.reason)
}
