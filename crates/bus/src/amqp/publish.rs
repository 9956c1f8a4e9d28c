//! Publishing for the handle: which queue, and by which way, straight to the broker or through the spool.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use proto::Envelope;
use spool::{PAYLOAD_BYTES_MAX, SpoolError};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::confirms::{Answers, Outgoing, Submission};
use super::declare::short;
use super::fallback::Fallback;
use super::{Amqp, IN_FLIGHT_BYTES_MAX, Shared, wire};
use crate::publish::{CONFIRM_TIMEOUT, PublishError};
use crate::topology::QueueName;

/// Bytes that a message is counted with at least, so that many small ones are bounded too.
const MESSAGE_BYTES_MIN: usize = 1 << 10;
/// Bytes submitted together; a larger submission is made in parts, which follow each other without waiting.
const SUBMISSION_BYTES_MAX: usize = IN_FLIGHT_BYTES_MAX / 8;

impl Amqp {
    pub(crate) async fn publish(&self, envelopes: &[Envelope]) -> Vec<Result<(), PublishError>> {
        // Replaced below, when the message is answered.
        let mut answers = vec![Err(PublishError::Unconfirmed); envelopes.len()];
        let mut direct = Vec::new();
        let mut spooled: BTreeMap<QueueName, Vec<usize>> = BTreeMap::new();
        let mut messages = Vec::with_capacity(envelopes.len());
        for (position, envelope) in envelopes.iter().enumerate() {
            match self.shared.route(envelope) {
                Ok(name) if self.shared.fallback.as_ref().is_some_and(|spool| spool.is_used(name)) => {
                    spooled.entry(name).or_default().push(position);
                }
                Ok(name) => match outgoing(name, envelope) {
                    Ok(message) => {
                        direct.push((position, name));
                        messages.push(message);
                    }
                    Err(refused) => set(&mut answers, position, Err(refused)),
                },
                Err(refused) => set(&mut answers, position, Err(refused)),
            }
        }
        // What is bound for the spool need not wait for the broker.
        let waiting = async {
            match &self.shared.fallback {
                Some(fallback) => store(fallback, envelopes, spooled, None).await,
                None => Vec::new(),
            }
        };
        let (confirmed, stored) = tokio::join!(self.shared.submit(messages), waiting);
        for (position, answer) in stored {
            set(&mut answers, position, answer);
        }
        let mut failed: BTreeMap<QueueName, Vec<usize>> = BTreeMap::new();
        let mut why = None;
        for ((position, name), answer) in direct.into_iter().zip(confirmed) {
            // Behind one that failed nothing of the queue may stay where it is: it would pass the other.
            if self.shared.fallback.is_some() && (answer.is_err() || failed.contains_key(&name)) {
                failed.entry(name).or_default().push(position);
            }
            if let Err(error) = &answer {
                why.get_or_insert_with(|| error.clone());
            }
            set(&mut answers, position, answer);
        }
        if let Some(fallback) = self.shared.fallback.as_ref().filter(|_| !failed.is_empty()) {
            for (position, answer) in Box::pin(store(fallback, envelopes, failed, why.as_ref())).await {
                set(&mut answers, position, answer);
            }
        }
        answers
    }
}

impl Shared {
    /// The queue of a message.
    fn route(&self, envelope: &Envelope) -> Result<QueueName, PublishError> {
        let properties = &envelope.properties;
        let unroutable = |_| PublishError::Unroutable { message_type: properties.message_type.clone() };
        let kind = properties.kind().map_err(unroutable)?;
        let bytes = wire::bytes(envelope);
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(PublishError::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
        }
        Ok(self.topology.route(kind, properties.shard_key))
    }

    /// What a record of the spool holds, to be published; or why that cannot be.
    pub(super) fn outgoing_of(&self, payload: &[u8]) -> Result<Outgoing, String> {
        let envelope =
            Envelope::from_bytes(payload).map_err(|error| format!("unreadable-envelope: {error}"))?;
        let name = self.route(&envelope).map_err(|error| format!("unroutable: {error}"))?;
        outgoing_owned(name, envelope).map_err(|error| format!("unroutable: {error}"))
    }

    /// Publishes these to the broker, in this order, and gives its answers.
    pub(super) async fn submit(&self, messages: Vec<Outgoing>) -> Answers {
        let mut answers = Vec::with_capacity(messages.len());
        let mut parts = Vec::new();
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let (mut part, mut bytes) = (Vec::new(), 0);
            while let Some(message) =
                messages.next_if(|next| part.is_empty() || bytes + weight(next) <= SUBMISSION_BYTES_MAX)
            {
                bytes += weight(&message);
                part.push(message);
            }
            parts.push((part.len(), self.hand_over(part, bytes).await));
        }
        for (count, answer) in parts {
            match answer.await {
                Ok(part) => answers.extend(part),
                // The supervisor has ended.
                Err(_gone) => {
                    let why = "the process stops".to_owned();
                    answers.extend(std::iter::repeat_n(Err(PublishError::Unavailable { why }), count));
                }
            }
        }
        answers
    }

    async fn hand_over(&self, messages: Vec<Outgoing>, bytes: usize) -> oneshot::Receiver<Answers> {
        let permits =
            u32::try_from(bytes.min(IN_FLIGHT_BYTES_MAX)).expect("the bound of bytes in flight fits");
        let room = Arc::clone(&self.room).acquire_many_owned(permits).await;
        let room = room.expect("the semaphore is never closed");
        let (answer, answered) = oneshot::channel();
        // Dropped unsent if the supervisor has ended; that is an answer, too.
        drop(self.submissions.send(Submission { messages, answer, room }).await);
        answered
    }
}

fn weight(message: &Outgoing) -> usize {
    message.body.len().max(MESSAGE_BYTES_MIN)
}

fn outgoing(name: QueueName, envelope: &Envelope) -> Result<Outgoing, PublishError> {
    let properties = wire::properties(&envelope.properties).ok_or_else(too_long)?;
    Ok(Outgoing { queue: short(name), properties, body: envelope.body.clone() })
}

pub(super) fn outgoing_owned(name: QueueName, envelope: Envelope) -> Result<Outgoing, PublishError> {
    let properties = wire::properties(&envelope.properties).ok_or_else(too_long)?;
    Ok(Outgoing { queue: short(name), properties, body: envelope.body })
}

/// A property that the protocol has no room for.
fn too_long() -> PublishError {
    let max = usize::from(u8::MAX);
    PublishError::TooLarge { bytes: max + 1, max }
}

fn set(answers: &mut [Result<(), PublishError>], position: usize, answer: Result<(), PublishError>) {
    if let Some(slot) = answers.get_mut(position) {
        *slot = answer;
    }
}

/// Puts messages into the spool, those of each queue together and in their order.
async fn store(
    fallback: &Fallback,
    envelopes: &[Envelope],
    by_queue: BTreeMap<QueueName, Vec<usize>>,
    why: Option<&PublishError>,
) -> Vec<(usize, Result<(), PublishError>)> {
    let stores = by_queue.into_iter().map(async |(name, positions)| {
        let messages: Vec<&Envelope> =
            positions.iter().filter_map(|position| envelopes.get(*position)).collect();
        let answer = match timeout(CONFIRM_TIMEOUT, fallback.store(name, &messages, why)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error @ (SpoolError::Full { .. } | SpoolError::DiskFull))) => {
                Err(PublishError::Full(error))
            }
            Ok(Err(error)) => Err(PublishError::Failed(error)),
            Err(_elapsed) => Err(PublishError::Unconfirmed),
        };
        positions.into_iter().map(|position| (position, answer.clone())).collect::<Vec<_>>()
    });
    join_all(stores).await.concat()
}
