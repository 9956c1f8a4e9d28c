//! What a consumer has at hand: in the order in which it has to be given out, whatever the order in which it came.
//!
//! A message to be retried goes back to the broker, which counts and sends it again before all that it has, but after
//! what it had sent already. So nothing is given out until everything that went back is here again, in its old place.

use std::collections::{BTreeSet, VecDeque};

use lapin::BasicProperties;
use lapin::types::DeliveryTag;
use proto::Envelope;
use uuid::Uuid;

use super::wire;
use crate::consume::Limits;
use crate::delivery::{DELIVERY_LIMIT, together_max};

/// A message as it came.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) tag: DeliveryTag,
    /// How often it was delivered before.
    pub(super) count: u32,
    pub(super) content: Content,
}

/// What the message is.
#[derive(Debug)]
pub(super) enum Content {
    Message(Envelope),
    /// None of ours, or damaged.
    Unreadable {
        properties: Box<BasicProperties>,
        body: Vec<u8>,
        why: wire::Unreadable,
    },
}

impl Held {
    pub(super) fn new(tag: DeliveryTag, properties: BasicProperties, body: Vec<u8>) -> Self {
        let count = wire::delivery_count(&properties);
        let content = match wire::check(&properties) {
            Ok(properties) => Content::Message(Envelope { properties, body }),
            Err(why) => Content::Unreadable { properties: Box::new(properties), body, why },
        };
        Self { tag, count, content }
    }

    fn id(&self) -> Option<Uuid> {
        match &self.content {
            Content::Message(envelope) => Some(envelope.properties.message_id),
            Content::Unreadable { .. } => None,
        }
    }

    /// When it was made, in microseconds.
    pub(super) fn made(&self) -> i64 {
        match &self.content {
            Content::Message(envelope) => envelope.properties.timestamp.micros(),
            Content::Unreadable { .. } => i64::MAX,
        }
    }

    fn bytes(&self) -> usize {
        match &self.content {
            Content::Message(envelope) => wire::bytes(envelope),
            Content::Unreadable { body, .. } => body.len(),
        }
    }

    /// It is not to be delivered any more.
    fn is_letter(&self) -> bool {
        self.count > DELIVERY_LIMIT || matches!(self.content, Content::Unreadable { .. })
    }

    /// Most that it is given out with, itself among them.
    fn together_max(&self) -> usize {
        if self.is_letter() { 1 } else { together_max(self.count) }
    }
}

/// A message that went back and is to come again.
#[derive(Debug)]
struct Awaited {
    id: Uuid,
    count: u32,
    here: Option<Held>,
}

/// What is at hand and not given out.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    held: VecDeque<Held>,
    awaited: Vec<Awaited>,
    /// Everything that the broker waits for an answer about, given out or not.
    open: BTreeSet<DeliveryTag>,
}

impl Buffer {
    pub(super) fn arrived(&mut self, held: Held) {
        self.open.insert(held.tag);
        // Another copy of the same message has another count.
        let again = |awaited: &&mut Awaited| {
            awaited.here.is_none() && Some(awaited.id) == held.id() && held.count > awaited.count
        };
        match self.awaited.iter_mut().find(again) {
            Some(awaited) => awaited.here = Some(held),
            None => self.held.push_back(held),
        }
        if self.awaited.iter().all(|awaited| awaited.here.is_some()) {
            for again in self.awaited.drain(..).rev().filter_map(|awaited| awaited.here) {
                self.held.push_front(again);
            }
        }
    }

    /// That message was sent back.
    pub(super) fn sent_back(&mut self, tag: DeliveryTag, id: Uuid, count: u32) {
        self.open.remove(&tag);
        self.awaited.push(Awaited { id, count, here: None });
    }

    /// Nothing is missing that stood before the others.
    pub(super) fn is_whole(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Something can be given out.
    pub(super) fn is_ready(&self) -> bool {
        self.is_whole() && !self.held.is_empty()
    }

    /// The next one, if it is not to be delivered.
    pub(super) fn letter(&mut self) -> Option<Held> {
        self.held.pop_front_if(|held| held.is_letter())
    }

    /// Waiting would not make the next batch larger.
    pub(super) fn is_enough(&self, limits: &Limits) -> bool {
        let together = self.together(limits);
        let bytes: usize = self.held.iter().take(together).map(Held::bytes).sum();
        let most =
            self.held.iter().take(together).map(Held::together_max).fold(limits.messages_max, usize::min);
        together >= most || bytes >= limits.bytes_max || together < self.held.len()
    }

    /// The next batch; the first is always in it.
    pub(super) fn batch(&mut self, limits: &Limits) -> Vec<Held> {
        let together = self.together(limits);
        self.held.drain(..together).collect()
    }

    /// How many of the first may be given out together.
    fn together(&self, limits: &Limits) -> usize {
        let (mut bytes, mut count, mut most) = (0, 0, limits.messages_max);
        for held in &self.held {
            most = most.min(held.together_max());
            if count > 0 && (count >= most || bytes >= limits.bytes_max) {
                break;
            }
            bytes += held.bytes();
            count += 1;
        }
        count
    }

    /// Messages that the broker waits for an answer about.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The first that was not given out.
    pub(super) fn first(&self) -> Option<&Held> {
        self.held.front()
    }

    /// The acknowledgements for these messages, as few as can be: each says whether it stands for all before it too.
    pub(super) fn acks(&mut self, mut tags: Vec<DeliveryTag>) -> Vec<(DeliveryTag, bool)> {
        tags.sort_unstable();
        let settled: BTreeSet<DeliveryTag> = tags.iter().copied().collect();
        let before = self.open.iter().take_while(|tag| settled.contains(tag)).count();
        let together = self.open.iter().nth(before.wrapping_sub(1)).copied();
        let mut acks: Vec<(DeliveryTag, bool)> = together.iter().map(|tag| (*tag, true)).collect();
        acks.extend(tags.iter().filter(|tag| together.is_none_or(|to| **tag > to)).map(|tag| (*tag, false)));
        self.open.retain(|tag| !settled.contains(tag));
        acks
    }
}

#[cfg(test)]
mod tests;
