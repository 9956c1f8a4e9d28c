//! Dead letters at the broker: a queue beside each queue, which nobody consumes but a pass now and then.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::{AMQPValue, DeliveryTag, FieldTable};
use lapin::{BasicProperties, Channel};
use proto::Envelope;
use tokio::time::{Instant, sleep};

use super::batch::{Content, Held};
use super::confirms::Outgoing;
use super::declare::{dead, short};
use super::publish::outgoing_owned;
use super::trouble::{Trouble, Use, chain};
use super::{Amqp, count, wire, within};
use crate::bus::{BusError, DeadLetter, DeadLetterId};
use crate::delivery::{Custody, Delivery, REASON_CHARS_MAX};
use crate::publish::PublishError;
use crate::topology::QueueName;

/// Letters offered together. One may have as many bytes as a message.
const LETTERS_TOGETHER: usize = 8;
/// Most letters of a queue that are looked at; what is behind them is seen when they are gone.
const LETTERS_MAX: u64 = 10_000;
/// Most letters of a queue that are remembered as left.
const LEFT_MAX: usize = 10_000;
/// How long it may take until what was looked at and put back can be seen again.
const BACK_WITHIN: Duration = Duration::from_secs(5);
const BACK_LOOK: Duration = Duration::from_millis(5);

/// Why it is here.
const REASON: &str = "onhand-reason";
/// How often it was delivered.
const ATTEMPTS: &str = "onhand-attempts";
/// When it came here, in microseconds; also its id.
const DIED: &str = "onhand-died-micros";
/// Headers with which a letter is a letter.
const OF_LETTERS: [&str; 3] = [REASON, ATTEMPTS, DIED];
/// The broker's own about what it gave up by itself.
const BROKER_DEATHS: &str = "x-death";
const BROKER_REASON: &str = "x-first-death-reason";
const BROKER_HEADERS: &str = "x-";

/// The last id given by this process: no two are the same.
static LAST_DEATH: AtomicI64 = AtomicI64::new(0);

/// A letter, as it is shown and as it is published.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) shown: DeadLetter,
    properties: BasicProperties,
    body: Vec<u8>,
    /// If it came out of the queue of the dead.
    tag: Option<DeliveryTag>,
}

/// The letters of one queue, for its consumer.
#[derive(Debug)]
pub(super) struct Letters<'a> {
    amqp: &'a Amqp,
    queue: QueueName,
    /// Those that were left to the transport, at most [`LEFT_MAX`]: they are offered once, and then to the next consumer.
    left: HashSet<String>,
    looked: Option<Instant>,
    trouble: Trouble,
}

impl<'a> Letters<'a> {
    pub(super) fn new(amqp: &'a Amqp, queue: QueueName) -> Self {
        let trouble = Trouble::of_queue(&amqp.shared.options, queue);
        Self { amqp, queue, left: HashSet::new(), looked: None, trouble }
    }

    pub(super) fn since_looked(&self) -> Duration {
        self.looked.map_or(Duration::MAX, |looked| looked.elapsed())
    }

    /// Whether the dead could be looked at. That there is no connection is said once, and not for each queue.
    pub(super) fn tell(&self, error: Option<&BusError>) {
        match error {
            None => self.trouble.is_over(Use::Consuming),
            Some(error) if self.amqp.shared.consumes() => {
                self.trouble.is(Use::Consuming, &format!("its dead letters: {}", chain(error)));
            }
            Some(_) => {}
        }
    }

    /// A message that its handler gave up.
    pub(super) fn of_delivery(delivery: &Delivery, reason: &str) -> Letter {
        let Delivery { envelope, delivery_count } = delivery;
        // It came with such properties, so they fit.
        let properties = wire::properties(&envelope.properties).unwrap_or_default();
        Letter::now(properties, envelope.body.clone(), *delivery_count, reason)
    }

    /// A message that is not to be delivered.
    pub(super) fn of_held(held: Held) -> Letter {
        let count = held.count;
        match held.content {
            Content::Message(envelope) => {
                let properties = wire::properties(&envelope.properties).unwrap_or_default();
                let reason = format!("delivery-limit: delivered {count} times");
                Letter::now(properties, envelope.body, count, &reason)
            }
            Content::Unreadable { properties, body, why } => {
                Letter::now(*properties, body, count, &format!("unreadable-envelope: {why}"))
            }
        }
    }

    /// Puts a letter with the dead; there when it returns.
    pub(super) async fn bury(&mut self, letter: &Letter) -> Result<(), PublishError> {
        let message = letter.clone().into_dead(self.queue);
        self.amqp.shared.submit(vec![message]).await.pop().unwrap_or(Err(PublishError::Unconfirmed))?;
        remember(&mut self.left, &letter.shown.identity);
        Ok(())
    }

    /// Begins to look through the dead; `None` if there are none to be offered.
    pub(super) async fn pass(&mut self) -> Result<Option<Pass>, BusError> {
        self.looked = Some(Instant::now());
        let pass = Pass::begin(self.amqp, self.queue).await?;
        if pass.unseen == 0 {
            // Somebody else has taken them.
            self.left.clear();
        }
        let known = u64::try_from(self.left.len()).unwrap_or(u64::MAX);
        Ok((pass.unseen > known).then_some(pass))
    }

    /// The next few that were not offered yet.
    pub(super) async fn some(&self, pass: &mut Pass) -> Result<Vec<Letter>, BusError> {
        let mut letters = Vec::new();
        while letters.len() < LETTERS_TOGETHER {
            let Some(letter) = pass.next().await? else { break };
            if !self.left.contains(&letter.shown.identity) {
                letters.push(letter);
            }
        }
        Ok(letters)
    }

    /// Removes what was taken, and remembers what was left.
    pub(super) async fn settle(
        &mut self,
        pass: &mut Pass,
        letters: &[Letter],
        custody: &[Custody],
    ) -> Result<(), BusError> {
        for (letter, custody) in letters.iter().zip(custody) {
            match custody {
                Custody::Taken => pass.remove(letter.tag).await?,
                Custody::Left => remember(&mut self.left, &letter.shown.identity),
            }
        }
        Ok(())
    }
}

/// It is offered no more. When too many are to be remembered all are forgotten: who is offered one again knows it by its
/// identity.
fn remember(left: &mut HashSet<String>, identity: &str) {
    if left.len() >= LEFT_MAX {
        left.clear();
    }
    left.insert(identity.to_owned());
}

impl Letter {
    /// One that dies now.
    pub(super) fn now(properties: BasicProperties, body: Vec<u8>, count: u32, reason: &str) -> Self {
        let now = micros_now();
        let died = LAST_DEATH.fetch_max(now, Ordering::AcqRel);
        let died = if died < now { now } else { LAST_DEATH.fetch_add(1, Ordering::AcqRel) + 1 };
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let mut headers = properties.headers().clone().unwrap_or_default();
        headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
        headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(i64::from(count)));
        headers.insert(DIED.into(), AMQPValue::LongLongInt(died));
        Self::read(properties.with_headers(headers), body, None)
    }

    /// As its headers say, ours or those of the broker.
    fn read(properties: BasicProperties, body: Vec<u8>, tag: Option<DeliveryTag>) -> Self {
        let envelope =
            wire::check(&properties).ok().map(|properties| Envelope { properties, body: body.clone() });
        let reason = wire::header_text(&properties, REASON).or_else(|| {
            let reason = wire::header_text(&properties, BROKER_REASON)?.replace('_', "-");
            Some(format!("{reason}: given up by the broker"))
        });
        let attempts = wire::number(&properties, ATTEMPTS);
        let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok());
        let died = wire::number(&properties, DIED).or_else(|| broker_died(&properties)).unwrap_or(0);
        let published = envelope.as_ref().map_or(died, |envelope| envelope.properties.timestamp.micros());
        let identity = properties.message_id().as_ref().map_or_else(|| died.to_string(), ToString::to_string);
        let shown = DeadLetter {
            id: DeadLetterId::new(died),
            identity,
            shard_key: wire::shard_key(&properties),
            payload: Bytes::from(envelope.as_ref().map_or_else(|| body.clone(), Envelope::to_bytes)),
            envelope,
            delivery_count: attempts.unwrap_or_else(|| wire::delivery_count(&properties)),
            reason: reason.unwrap_or_else(|| "unknown: it came here by no way of ours".to_owned()),
            published_at: time(published),
            died_at: time(died),
        };
        Self { shown, properties, body, tag }
    }

    /// To be put with the dead of that queue.
    pub(super) fn into_dead(self, of: QueueName) -> Outgoing {
        Outgoing { queue: dead(of), properties: self.properties, body: self.body }
    }

    /// As it was before it died.
    fn revived(self, queue: QueueName) -> Result<Outgoing, PublishError> {
        if let Some(envelope) = self.shown.envelope {
            return outgoing_owned(queue, envelope);
        }
        let headers = self.properties.headers().iter().flat_map(FieldTable::inner);
        let kept = headers.filter(|(name, _)| {
            !(OF_LETTERS.contains(&name.as_str()) || name.as_str().starts_with(BROKER_HEADERS))
        });
        let kept = kept.fold(FieldTable::default(), |mut kept, (name, value)| {
            kept.insert(name.clone(), value.clone());
            kept
        });
        let properties = self.properties.with_headers(kept);
        Ok(Outgoing { queue: short(queue), properties, body: self.body })
    }
}

/// One look through the dead of a queue. What is neither removed nor put elsewhere goes back when it ends.
#[derive(Debug)]
pub(super) struct Pass {
    channel: Channel,
    queue: QueueName,
    /// How many are still to be looked at.
    unseen: u64,
    /// Those that go back.
    open: BTreeSet<DeliveryTag>,
    /// How many there were and were not removed.
    stay: u64,
}

impl Pass {
    async fn begin(amqp: &Amqp, queue: QueueName) -> Result<Self, BusError> {
        let channel = amqp.shared.channel().await?;
        let there = count(&channel, dead(queue)).await?;
        Ok(Self { channel, queue, unseen: there.min(LETTERS_MAX), open: BTreeSet::new(), stay: there })
    }

    async fn next(&mut self) -> Result<Option<Letter>, BusError> {
        if self.unseen == 0 {
            return Ok(None);
        }
        self.unseen -= 1;
        let got = within(self.channel.basic_get(dead(self.queue), BasicGetOptions::default())).await?;
        let Some(got) = got else { return Ok(None) };
        let delivery = got.delivery;
        self.open.insert(delivery.delivery_tag);
        Ok(Some(Letter::read(delivery.properties, delivery.data, Some(delivery.delivery_tag))))
    }

    async fn remove(&mut self, tag: Option<DeliveryTag>) -> Result<(), BusError> {
        if let Some(tag) = tag {
            within(self.channel.basic_ack(tag, BasicAckOptions::default())).await?;
            self.open.remove(&tag);
            self.stay = self.stay.saturating_sub(1);
        }
        Ok(())
    }

    /// Puts the others back, in their order, and sees to it that they are there for the next.
    pub(super) async fn end(self) -> Result<(), BusError> {
        if let Some(last) = self.open.last().copied() {
            let back = BasicNackOptions { multiple: true, requeue: true };
            within(self.channel.basic_nack(last, back)).await?;
            let deadline = Instant::now() + BACK_WITHIN;
            while count(&self.channel, dead(self.queue)).await? < self.stay && Instant::now() < deadline {
                sleep(BACK_LOOK).await;
            }
        }
        within(self.channel.close(lapin::protocol::constants::REPLY_SUCCESS, "done".into())).await
    }
}

impl Amqp {
    pub(crate) async fn dead_letters(
        &self,
        name: QueueName,
        after: Option<DeadLetterId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, BusError> {
        self.hand(name)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut pass = Pass::begin(self, name).await?;
        let mut letters = Vec::new();
        while letters.len() < limit
            && let Some(letter) = pass.next().await?
        {
            if after.is_none_or(|after| letter.shown.id > after) {
                letters.push(letter.shown);
            }
        }
        pass.end().await?;
        Ok(letters)
    }

    pub(crate) async fn replay(&self, name: QueueName, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        let publish = async |letter: Letter| {
            let Ok(message) = letter.revived(name) else { return false };
            matches!(self.shared.submit(vec![message]).await.as_slice(), [Ok(())])
        };
        self.dispose(name, ids, publish).await
    }

    pub(crate) async fn discard(&self, name: QueueName, ids: &[DeadLetterId]) -> Result<u64, BusError> {
        self.dispose(name, ids, async |_letter| true).await
    }

    /// Removes those of the letters for which `may` is true.
    async fn dispose(
        &self,
        name: QueueName,
        ids: &[DeadLetterId],
        may: impl AsyncFn(Letter) -> bool,
    ) -> Result<u64, BusError> {
        self.hand(name)?;
        let mut pass = Pass::begin(self, name).await?;
        let mut wanted: HashSet<DeadLetterId> = ids.iter().copied().collect();
        let mut done = 0;
        while !wanted.is_empty()
            && let Some(letter) = pass.next().await?
        {
            if wanted.remove(&letter.shown.id) {
                let tag = letter.tag;
                if may(letter).await {
                    pass.remove(tag).await?;
                    done += 1;
                }
            }
        }
        pass.end().await?;
        Ok(done)
    }
}

/// When the broker gave a message up; it says so in seconds.
fn broker_died(properties: &BasicProperties) -> Option<i64> {
    let deaths = properties.headers().as_ref()?.inner().get(BROKER_DEATHS)?;
    let AMQPValue::FieldArray(deaths) = deaths else { return None };
    let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else { return None };
    let seconds = wire::integer(latest.inner().get("time")?)?;
    // Letters of one second are told apart by what else is known of them.
    let id = wire::message_id(properties)?.as_u64_pair().1 % 1_000_000;
    Some(seconds.saturating_mul(1_000_000).saturating_add(i64::try_from(id).unwrap_or(0)))
}

fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn time(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_the_last_is_among_it() {
        let mut left = HashSet::new();
        for number in 0..=LEFT_MAX {
            remember(&mut left, &number.to_string());
            assert!(left.len() <= LEFT_MAX && left.contains(&number.to_string()));
        }
    }
}
