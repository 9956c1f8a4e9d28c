//! One queue being consumed: deliveries in, answers out.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{DeliveryTag, FieldTable};
use lapin::{Channel, Consumer};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::batch::{Buffer, Content, Held};
use super::declare::short;
use super::trouble::chain;
use super::{Amqp, Hand, within};
use crate::bus::BusError;
use crate::consume::Limits;
use crate::delivery::Delivery;
use crate::topology::QueueName;

/// How long a message that went back may take to come again. It is sent before any other.
const AGAIN_WITHIN: Duration = Duration::from_secs(30);
/// What it means if it does not.
const NOT_AGAIN: &str = "a message that was sent back does not come again";
/// What it means if nothing comes any more.
const CANCELLED: &str = "the broker delivers nothing more: the queue was deleted, or its channel has ended";
/// How often what comes while a batch is out is taken in.
const TAKE_IN_EVERY: Duration = Duration::from_millis(100);
/// How long an orderly goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The channel is gone, or behaves as if, for this reason. What was not settled is delivered again over another.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

impl From<lapin::Error> for Lost {
    fn from(error: lapin::Error) -> Self {
        Self(chain(&error))
    }
}

/// What comes next out of a queue.
#[derive(Debug)]
pub(super) enum Next {
    Batch(Vec<Delivery>),
    /// Not to be delivered.
    Letter(Held),
}

/// Messages coming out of one queue.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    hand: &'a Hand,
    channel: Channel,
    deliveries: Consumer,
    buffer: Buffer,
    /// Those of the batch that is out.
    out: Vec<DeliveryTag>,
    /// When the oldest of what is out was made.
    out_made: Option<i64>,
}

impl<'a> Incoming<'a> {
    /// Becomes a consumer of the queue; nothing comes while another is the active one.
    pub(super) async fn open(amqp: &'a Amqp, name: QueueName, limits: &Limits) -> Result<Self, BusError> {
        let hand = amqp.hand(name)?;
        let channel = amqp.shared.channel().await?;
        // No more: what is at hand when this process dies counts as delivered.
        let prefetch = limits.messages_max.saturating_add(limits.ahead_max);
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
        within(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let consuming = channel.basic_consume(
            short(name),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let deliveries = within(consuming).await?;
        let (buffer, out, out_made) = (Buffer::default(), Vec::new(), None);
        Ok(Self { hand, channel, deliveries, buffer, out, out_made })
    }

    /// Waits for messages: at least one, for more no longer than the limits say. What was given out before has to be
    /// settled.
    pub(super) async fn next(&mut self, limits: &Limits) -> Result<Next, Lost> {
        loop {
            self.take_what_is_here()?;
            if self.buffer.is_ready() {
                break;
            }
            if self.buffer.is_whole() {
                let delivery = self.deliveries.next().await;
                self.arrived(delivery)?;
            } else {
                let delivery = timeout(AGAIN_WITHIN, self.deliveries.next())
                    .await
                    .map_err(|_elapsed| Lost(NOT_AGAIN.to_owned()))?;
                self.arrived(delivery)?;
            }
        }
        if let Some(letter) = self.buffer.letter() {
            self.out_made = Some(letter.made());
            self.tell();
            return Ok(Next::Letter(letter));
        }
        let until = Instant::now() + limits.wait_max;
        while !limits.wait_max.is_zero() && !self.buffer.is_enough(limits) {
            let Ok(delivery) = timeout_at(until, self.deliveries.next()).await else { break };
            self.arrived(delivery)?;
        }
        let batch = self.buffer.batch(limits);
        self.out_made = batch.first().map(Held::made);
        self.out = batch.iter().map(|held| held.tag).collect();
        self.tell();
        let delivery = |held: Held| match held.content {
            Content::Message(envelope) => Some(Delivery { envelope, delivery_count: held.count }),
            // A letter is never part of a batch.
            Content::Unreadable { .. } => None,
        };
        Ok(Next::Batch(batch.into_iter().filter_map(delivery).collect()))
    }

    /// The tags of the batch that is out.
    pub(super) fn out(&mut self) -> Vec<DeliveryTag> {
        std::mem::take(&mut self.out)
    }

    /// Sends messages back, in this order: the broker counts that, and delivers them again before any other.
    pub(super) async fn send_back(&mut self, messages: &[(DeliveryTag, &Delivery)]) -> Result<(), Lost> {
        for (tag, delivery) in messages {
            // Never nack: newer brokers do not count it, and a message could fail for ever.
            let requeue = BasicRejectOptions { requeue: true };
            self.buffer.sent_back(*tag, delivery.envelope.properties.message_id, delivery.delivery_count);
            self.channel.basic_reject(*tag, requeue).await?;
        }
        Ok(())
    }

    /// Forgets messages.
    pub(super) async fn ack(&mut self, tags: Vec<DeliveryTag>) -> Result<(), Lost> {
        for (tag, multiple) in self.buffer.acks(tags) {
            self.channel.basic_ack(tag, BasicAckOptions { multiple }).await?;
        }
        self.out_made = None;
        self.tell();
        Ok(())
    }

    /// An orderly end. What is at hand goes back; the broker counts that as a delivery.
    pub(super) async fn close(self) {
        let goodbye = self.channel.close(lapin::protocol::constants::REPLY_SUCCESS, "done".into());
        timeout(CLOSE_WITHIN, goodbye).await.ok();
    }

    /// What comes while a batch is out is taken in now and then, so that whoever asks for the depth of the queue is told of it;
    /// each by itself would wake whoever handles the batch. Ends only with the channel.
    pub(super) async fn take_in(&mut self) {
        loop {
            sleep(TAKE_IN_EVERY).await;
            if self.take_what_is_here().is_err() {
                return;
            }
        }
    }

    fn take_what_is_here(&mut self) -> Result<(), Lost> {
        while let Some(delivery) = self.deliveries.next().now_or_never() {
            self.arrived(delivery)?;
        }
        Ok(())
    }

    fn arrived(&mut self, delivery: Option<lapin::Result<lapin::message::Delivery>>) -> Result<(), Lost> {
        let delivery = delivery.ok_or_else(|| Lost(CANCELLED.to_owned()))??;
        self.buffer.arrived(Held::new(delivery.delivery_tag, delivery.properties, delivery.data));
        self.tell();
        Ok(())
    }

    /// Tells those who ask for the depth of the queue.
    fn tell(&self) {
        let oldest = self.out_made.or_else(|| self.buffer.first().map(Held::made));
        self.hand.oldest.store(oldest.unwrap_or(i64::MAX), Ordering::Release);
        let open = u64::try_from(self.buffer.open()).unwrap_or(u64::MAX);
        self.hand.messages.store(open, Ordering::Release);
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        self.hand.messages.store(0, Ordering::Release);
    }
}
