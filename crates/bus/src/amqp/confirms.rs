//! Publishing over one channel with many messages in flight, and who is told what about each.
//!
//! One task submits everything, so that messages keep their order, and one task hears every answer. That matters for
//! messages that no queue took: the broker returns them before it confirms them, but the library gives a returned message
//! to whichever confirm it happens to look at next, perhaps another's. So the answers that came together are looked at
//! together, and a returned message is known by its own id.

use std::collections::{BTreeMap, HashSet};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, Connection, Event};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::declare::{BY_NAME, declare};
use super::error::BrokerError;
use super::linger::Lingering;
use super::link::{ENDED, Link};
use super::trouble::chain;
use super::wire;
use crate::publish::{CONFIRM_TIMEOUT, PublishError};
use crate::topology::Topology;

/// How often to look whether a confirm is overdue.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// When a queue is gone, everything is declared again, but not more often than this.
const DECLARE_EVERY: Duration = Duration::from_secs(1);
/// How long declaring again may take.
const DECLARE_WITHIN: Duration = Duration::from_secs(10);
/// Submissions taken up in one go before answers are looked at.
const SUBMISSIONS_TOGETHER: usize = 64;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) queue: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

/// Answers of one submission, in the order of its messages.
pub(super) type Answers = Vec<Result<(), PublishError>>;

/// Messages to be published in this order.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) messages: Vec<Outgoing>,
    pub(super) answer: oneshot::Sender<Answers>,
    /// Their share of what may be in flight.
    pub(super) room: OwnedSemaphorePermit,
}

impl Submission {
    /// Answers that the broker was not even asked.
    pub(super) fn decline(self, why: &str) {
        let declined = PublishError::Unavailable { why: why.to_owned() };
        let answers = vec![Err(declined); self.messages.len()];
        // Whoever asked may be gone.
        self.answer.send(answers).ok();
    }
}

/// Why publishing over a connection came to its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// As wanted.
    Stopped,
    /// The connection or its channel is gone.
    Lost(String),
}

/// Which message of which submission an answer is for.
#[derive(Debug, Clone, Copy)]
struct Ticket {
    batch: u64,
    index: usize,
    id: Uuid,
}

/// What the broker said about a message.
#[derive(Debug)]
struct Answer {
    ticket: Ticket,
    /// Whether it was taken; an error if the channel is gone.
    taken: Result<bool, String>,
    /// The id of a message, this or another, that no queue took.
    returned: Option<Uuid>,
}

#[derive(Debug)]
struct Batch {
    answers: Answers,
    /// Messages without an answer.
    open: usize,
    since: Instant,
    answer: oneshot::Sender<Answers>,
    _room: OwnedSemaphorePermit,
}

/// Publishes what is submitted until `stop`, then waits for what is in flight, or until the connection is lost.
pub(super) async fn serve(
    connection: &Connection,
    topology: Topology,
    submissions: &mut mpsc::Receiver<Submission>,
    link: &watch::Sender<Link>,
    stop: &CancellationToken,
) -> Ended {
    let mut events = pin!(connection.events_listener());
    let channel = match channel(connection).await {
        Ok(channel) => channel,
        Err(error) => return Ended::Lost(chain(&error)),
    };
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Declared before what is in flight, and so answered after it when the connection ends.
    let mut lingering = Lingering::new();
    let (in_flight, batches, returned) = (FuturesUnordered::new(), BTreeMap::new(), HashSet::new());
    let mut confirms =
        Confirms { channel, in_flight, batches, returned, queue_is_gone: false, next: 0, send };
    let mut declared = Instant::now();
    link.send_replace(Link::Up);
    loop {
        let stopping = stop.is_cancelled();
        // What was in flight when the broker blocked us is answered, so that nothing is ahead of what waits then.
        for submission in lingering.due(!stopping && !confirms.batches.is_empty()) {
            confirms.submit(submission, link);
        }
        if stopping && confirms.batches.is_empty() {
            return Ended::Stopped;
        }
        let heard = tokio::select! {
            biased;
            event = events.next() => Heard::Event(event),
            Some(answer) = confirms.in_flight.next(), if !confirms.in_flight.is_empty() => Heard::Answer(answer),
            Some(submission) = submissions.recv(), if !stopping => Heard::Submission(submission),
            () = lingering.waited(), if !lingering.is_empty() => continue,
            _now = look.tick() => Heard::Tick,
            () = stop.cancelled(), if !stopping => continue,
        };
        let went_well = match heard {
            Heard::Event(event) => confirms.event(event, link),
            Heard::Answer(answer) => confirms.answers(answer),
            Heard::Submission(submission) => {
                lingering.push(submission);
                for _ in 1..SUBMISSIONS_TOGETHER {
                    let Ok(submission) = submissions.try_recv() else { break };
                    lingering.push(submission);
                }
                Ok(())
            }
            Heard::Tick => confirms.overdue(),
        };
        if let Err(why) = went_well {
            return Ended::Lost(why);
        }
        if confirms.queue_is_gone && declared.elapsed() > DECLARE_EVERY {
            declared = Instant::now();
            confirms.queue_is_gone = false;
            if let Err(why) = declare_again(connection, topology).await {
                return Ended::Lost(why);
            }
        }
    }
}

enum Heard {
    Event(Option<Event>),
    Answer(Answer),
    Submission(Submission),
    Tick,
}

async fn channel(connection: &Connection) -> Result<Channel, BrokerError> {
    let channel = connection.create_channel().await.map_err(BrokerError)?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(BrokerError)?;
    Ok(channel)
}

/// A queue was deleted under us; its messages are lost, but what comes now need not be.
async fn declare_again(connection: &Connection, topology: Topology) -> Result<(), String> {
    match timeout(DECLARE_WITHIN, declare(connection, topology)).await {
        Ok(declared) => declared.map_err(|error| chain(&error)),
        Err(_elapsed) => Err("a queue is gone and cannot be declared again".to_owned()),
    }
}

/// What is in flight on one channel.
struct Confirms<F, S> {
    channel: Channel,
    in_flight: FuturesUnordered<F>,
    batches: BTreeMap<u64, Batch>,
    /// Ids of messages that came back and were not matched with their confirm.
    returned: HashSet<Uuid>,
    queue_is_gone: bool,
    next: u64,
    send: S,
}

impl<F, S> Confirms<F, S>
where
    F: Future<Output = Answer>,
    S: Fn(Channel, Outgoing, Ticket) -> F,
{
    fn submit(&mut self, submission: Submission, link: &watch::Sender<Link>) {
        if let Some(why) = link.borrow().why_not() {
            submission.decline(&why);
            return;
        }
        let Submission { messages, answer, room } = submission;
        let batch = self.next;
        self.next += 1;
        let (open, since) = (messages.len(), Instant::now());
        let answers = vec![Err(PublishError::Unconfirmed); open];
        self.batches.insert(batch, Batch { answers, open, since, answer, _room: room });
        for (index, message) in messages.into_iter().enumerate() {
            let id = wire::message_id(&message.properties).unwrap_or_default();
            self.in_flight.push((self.send)(self.channel.clone(), message, Ticket { batch, index, id }));
        }
    }

    /// Every answer that came with this one.
    fn answers(&mut self, first: Answer) -> Result<(), String> {
        let mut answers = vec![first];
        self.gather(&mut answers);
        // The library resolves confirms that came in one frame one after another, under a lock. This waits for that lock:
        // what belongs together is here afterwards.
        drop(self.channel.wait_for_confirms().now_or_never());
        self.gather(&mut answers);
        self.returned.extend(answers.iter().filter_map(|answer| answer.returned));
        self.queue_is_gone |= !self.returned.is_empty();
        let mut lost = Ok(());
        for Answer { ticket, taken, .. } in answers {
            match taken {
                Ok(_) if self.returned.remove(&ticket.id) => {
                    self.answered(ticket, Err(PublishError::Returned));
                }
                Ok(true) => self.answered(ticket, Ok(())),
                Ok(false) => self.answered(ticket, Err(PublishError::Refused)),
                Err(why) => lost = Err(why),
            }
        }
        lost
    }

    fn answered(&mut self, ticket: Ticket, answer: Result<(), PublishError>) {
        // It may have been answered otherwise before.
        let Some(batch) = self.batches.get_mut(&ticket.batch) else { return };
        if let Some(slot) = batch.answers.get_mut(ticket.index) {
            *slot = answer;
        }
        batch.open = batch.open.saturating_sub(1);
        if batch.open == 0
            && let Some(batch) = self.batches.remove(&ticket.batch)
        {
            batch.answer.send(batch.answers).ok();
        }
    }

    /// Takes what is ready, until nothing is.
    fn gather(&mut self, answers: &mut Vec<Answer>) {
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            match Pin::new(&mut self.in_flight).poll_next(&mut context) {
                Poll::Ready(Some(answer)) => answers.push(answer),
                // It may give way though there is more.
                Poll::Pending if woken.0.swap(false, Ordering::AcqRel) => {}
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    fn event(&mut self, event: Option<Event>, link: &watch::Sender<Link>) -> Result<(), String> {
        match event {
            Some(Event::ConnectionBlocked(why)) => {
                // What is in flight may stay there for hours, and may still arrive then: as with every answer that
                // does not come, whoever publishes it again does so under the same id.
                for (_, batch) in std::mem::take(&mut self.batches) {
                    batch.answer.send(batch.answers).ok();
                }
                // The broker may say so again.
                if matches!(link.send_replace(Link::Blocked(why.clone())), Link::Up | Link::Away(_)) {
                    tracing::warn!("the broker takes no messages now: {why}");
                }
                Ok(())
            }
            Some(Event::ConnectionUnblocked) => {
                if matches!(link.send_replace(Link::Up), Link::Blocked(_)) {
                    tracing::info!("the broker takes messages again");
                }
                Ok(())
            }
            Some(Event::Error(error)) => Err(chain(&error)),
            None => Err(ENDED.to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// A confirm that does not come means that nobody knows the state of the channel.
    fn overdue(&self) -> Result<(), String> {
        let oldest = self.batches.first_key_value().map(|(_, batch)| batch.since.elapsed());
        match oldest.filter(|oldest| *oldest > CONFIRM_TIMEOUT) {
            Some(oldest) => Err(format!("no confirm for {} s", oldest.as_secs())),
            None => Ok(()),
        }
    }
}

impl<F, S> Drop for Confirms<F, S> {
    /// What is not known to be stored is answered so.
    fn drop(&mut self) {
        for (_, batch) in std::mem::take(&mut self.batches) {
            batch.answer.send(batch.answers).ok();
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

async fn send(channel: Channel, message: Outgoing, ticket: Ticket) -> Answer {
    let Outgoing { queue, properties, body } = message;
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let sent = channel.basic_publish(BY_NAME.into(), queue, options, &body, properties).await;
    // It is in the library's buffers now.
    drop(body);
    let confirmed = match sent {
        Ok(confirm) => confirm.await,
        Err(error) => Err(error),
    };
    let (taken, returned) = match confirmed {
        Ok(Confirmation::Ack(returned)) => (Ok(true), returned),
        Ok(Confirmation::Nack(returned)) => (Ok(false), returned),
        Ok(Confirmation::NotRequested) => (Err("the channel does not confirm".to_owned()), None),
        Err(error) => (Err(chain(&error)), None),
    };
    let returned = returned.map(|message| wire::message_id(&message.delivery.properties).unwrap_or_default());
    Answer { ticket, taken, returned }
}
