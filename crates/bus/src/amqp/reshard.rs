//! Moving messages out of queues of another number of shards, or throwing all of them away. Done while nothing else runs: the count is part of the
//! queue's name so that no shop ever takes two paths at once.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use proto::ShardKey;
use tokio::time::{Instant, sleep, timeout};

use super::confirms::Outgoing;
use super::declare::{dead, short};
use super::error::BrokerError;
use super::link::{close, open};
use super::{Amqp, count, wire, within};
use crate::bus::BusError;
use crate::topology::{Flow, QueueName, SHARDS_MAX};

/// Queues asked about at the same time.
const ASKED_TOGETHER: usize = 16;
/// Messages moved together.
const MOVED_TOGETHER: u16 = 500;
/// How long the broker may take to deliver what it says is there.
const DELIVERED_WITHIN: Duration = Duration::from_secs(30);
/// How long a queue may still seem to be consumed, and how often to look.
const UNUSED_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How the broker calls the queue that is meant: the one of the living or the one of the dead.
type Named = fn(QueueName) -> ShortString;

impl Amqp {
    pub(crate) async fn stranded(&self) -> Result<Vec<String>, BusError> {
        let mut stranded = Vec::new();
        for name in self.others().await? {
            if self.is_there(short(name)).await? {
                let channel = self.shared.channel().await?;
                if count(&channel, short(name)).await? > 0 {
                    stranded.push(name.to_string());
                }
            }
        }
        Ok(stranded)
    }

    pub(crate) async fn reshard(&self) -> Result<u64, BusError> {
        let others = self.others().await?;
        let channel = self.shared.channel().await?;
        let mut waiting = 0;
        for name in &others {
            if self.is_there(short(*name)).await? {
                waiting += unused(&channel, *name, &short(*name)).await?;
            }
        }
        if waiting > 0 {
            // What is moved would come behind what was published since: a shown stock before the orders that it proves.
            for name in self.ours() {
                unused(&channel, name, &short(name)).await?;
            }
        }
        let mut moved = 0;
        // The first queue of each number is what it is found by again, should this be interrupted: so it goes last.
        for name in others.into_iter().rev() {
            // The living first: a letter that is replayed later stands behind them anyway.
            moved += self.empty(name, short).await?;
            moved += self.empty(name, dead).await?;
        }
        Ok(moved)
    }

    pub(crate) async fn purge(&self) -> Result<u64, BusError> {
        let others = self.others().await?;
        let all: Vec<QueueName> = self.ours().chain(others.iter().copied()).collect();
        let channel = self.shared.channel().await?;
        let mut there = Vec::new();
        for name in all {
            for queue in [short(name), dead(name)] {
                if self.is_there(queue.clone()).await? {
                    unused(&channel, name, &queue).await?;
                    there.push((name, queue));
                }
            }
        }
        let mut purged = 0;
        // As above, the first of each number goes last.
        for (name, queue) in there.into_iter().rev() {
            purged +=
                u64::from(within(channel.queue_purge(queue.clone(), QueuePurgeOptions::default())).await?);
            if others.contains(&name) {
                within(channel.queue_delete(queue, QueueDeleteOptions::default())).await?;
            }
        }
        Ok(purged)
    }

    fn ours(&self) -> impl Iterator<Item = QueueName> {
        let topology = self.topology();
        Flow::ALL.into_iter().flat_map(move |flow| topology.queues(flow))
    }

    /// The queues of other numbers of shards that are there. A broker does not list its queues to its clients, so each
    /// number is asked for by its first queue.
    async fn others(&self) -> Result<Vec<QueueName>, BusError> {
        // Over a connection of its own: asking for what is not there uses a channel up, and the library never lets the
        // number of such a channel be used again.
        let opened = open(&self.shared.options, self.topology(), "look").await;
        let connection = opened.map_err(BusError::Broker)?;
        let counts = |flow| (1..=SHARDS_MAX).map(move |count| (flow, count));
        let others = Flow::ALL.into_iter().flat_map(counts);
        let others = others.filter(|(flow, count)| self.topology().shards(*flow) != *count);
        let found = stream::iter(others)
            .map(async |(flow, count)| {
                let channel = within(connection.create_channel()).await?;
                let there = is_there(channel, short(QueueName::of(flow, count, 0))).await?;
                Ok::<_, BusError>(there.then_some((flow, count)))
            })
            .buffered(ASKED_TOGETHER)
            .try_collect::<Vec<_>>()
            .await?;
        close(&connection).await;
        let queues = |(flow, count)| (0..count).map(move |index| QueueName::of(flow, count, index));
        let mut there = Vec::new();
        for name in found.into_iter().flatten().flat_map(queues) {
            // Some may be gone already, if this was interrupted before.
            if self.is_there(short(name)).await? || self.is_there(dead(name)).await? {
                there.push(name);
            }
        }
        Ok(there)
    }

    async fn is_there(&self, name: ShortString) -> Result<bool, BusError> {
        is_there(self.shared.channel().await?, name).await
    }

    /// Moves everything from one queue to where it belongs now, and deletes the queue.
    async fn empty(&self, from: QueueName, named: Named) -> Result<u64, BusError> {
        let name = named(from);
        if !self.is_there(name.clone()).await? {
            return Ok(0);
        }
        let channel = self.shared.channel().await?;
        let mut moved = 0;
        loop {
            let there = unused(&channel, from, &name).await?;
            if there == 0 {
                within(channel.queue_delete(name, QueueDeleteOptions::default())).await?;
                return Ok(moved);
            }
            moved += self.move_all(from, named, there).await?;
        }
    }

    /// Moves as many messages over a channel of its own: what it did not settle is back when that is closed.
    async fn move_all(&self, from: QueueName, named: Named, there: u32) -> Result<u64, BusError> {
        let channel = self.shared.channel().await?;
        within(channel.basic_qos(MOVED_TOGETHER, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(named(from), "".into(), options, FieldTable::default());
        let mut deliveries = within(consuming).await?;
        let mut left = there;
        while left > 0 {
            let together = left.min(u32::from(MOVED_TOGETHER));
            let (mut messages, mut last) = (Vec::new(), 0);
            for _ in 0..together {
                let Ok(Some(delivery)) = timeout(DELIVERED_WITHIN, deliveries.next()).await else {
                    return Err(BusError::Unavailable {
                        why: format!("{from} does not deliver what it holds"),
                    });
                };
                let delivery = delivery.map_err(|error| BusError::Broker(BrokerError(error)))?;
                last = delivery.delivery_tag;
                messages.push(self.addressed(from, named, delivery.properties, delivery.data));
            }
            for answer in self.shared.submit(messages).await {
                answer.map_err(|error| BusError::Unavailable { why: error.to_string() })?;
            }
            within(channel.basic_ack(last, BasicAckOptions { multiple: true })).await?;
            left -= together;
        }
        within(channel.close(lapin::protocol::constants::REPLY_SUCCESS, "done".into())).await?;
        Ok(u64::from(there))
    }

    /// The message, for the queue of its key among the present ones.
    fn addressed(
        &self,
        from: QueueName,
        named: Named,
        properties: BasicProperties,
        body: Vec<u8>,
    ) -> Outgoing {
        // One that says no key has no order to keep, either.
        let key = wire::shard_key(&properties).unwrap_or(ShardKey::new(0));
        let to = self.topology().queue(from.flow(), key);
        Outgoing { queue: named(to), properties, body }
    }
}

/// Asks over a channel that is not used for anything else.
async fn is_there(channel: Channel, name: ShortString) -> Result<bool, BusError> {
    match count(&channel, name).await {
        Ok(_) => Ok(true),
        Err(BusError::Broker(error)) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The messages of a queue that nobody consumes: what a consumer has at hand is not counted, and would be lost with the
/// queue. One that has just gone may still be there for a moment, our own for one.
async fn unused(channel: &Channel, from: QueueName, name: &ShortString) -> Result<u32, BusError> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let deadline = Instant::now() + UNUSED_WITHIN;
    loop {
        let asked = channel.queue_declare(name.clone(), passive, FieldTable::default());
        let queue = within(asked).await?;
        if queue.consumer_count() == 0 {
            return Ok(queue.message_count());
        }
        if Instant::now() > deadline {
            return Err(BusError::InUse(from));
        }
        sleep(LOOK_EVERY).await;
    }
}
