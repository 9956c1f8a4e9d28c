//! The consumer loop: the only place that acknowledges, and only what the handler said it may.

use std::future::Future;
use std::time::Duration;

use spool::SpoolError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::bus::{BusError, DeadLetter, DeadLetterId};
use crate::delivery::{Custody, Delivery, Disposition, Pause};
use crate::keep::{Keeper, OfHandler};
use crate::local::{Incoming, Local};
use crate::topology::QueueName;

/// Longest time a shard waits with a message to be retried, and longest pause; well below the 30 minutes after
/// which `RabbitMQ` takes unacknowledged messages back.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// Dead letters offered together. One may have as many bytes as a message.
const LETTERS_TOGETHER: u32 = 8;

/// How long to wait before using a queue again whose disk was full.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Decides about messages. It may be given a message again that it has handled: its effects must be idempotent.
pub trait Handler: Send {
    /// Handles a batch and says for each message, in the same order, what is to become of it; or that it cannot work
    /// now. Effects must be durable before this says [`Disposition::Ack`].
    fn handle(&mut self, batch: &[Delivery]) -> impl Future<Output = Result<Vec<Disposition>, Pause>> + Send;

    /// Takes dead letters over, to keep them in a place of its own, and says for each, in the same order, whether it has it
    /// now; or that it cannot work now. What it takes must be durable before this returns; a letter whose removal was cut
    /// off is offered again, with the same identity. Those left are offered once more to the next consumer. A transport
    /// whose dead letters are a queue of their own consumes that beside this one, and acknowledges what was taken.
    ///
    /// Not said otherwise, all are left to the transport.
    fn take_over(
        &mut self,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Vec<Custody>, Pause>> + Send {
        std::future::ready(Ok(vec![Custody::Left; letters.len()]))
    }
}

/// How much a handler is given at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most messages of a batch; at least one is given.
    pub messages_max: usize,
    /// Bytes after which no further message is added.
    pub bytes_max: usize,
    /// Longest wait for a batch to fill once there is a message; zero: take what is there.
    pub wait_max: Duration,
    /// Messages that a broker sends on while a batch is handled, so that the next one is there when it is done. They count as
    /// delivered if the process dies, and then come before what was sent back: nothing ahead (zero) for who does that. A
    /// transport within the process sends nothing ahead.
    pub ahead_max: usize,
}

/// The consumer ended.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The queue could not be opened: it does not exist, or is consumed already.
    #[error("queue {queue} cannot be consumed")]
    Open {
        /// The queue.
        queue: QueueName,
        /// Why not.
        #[source]
        source: BusError,
    },
    /// The transport failed.
    #[error(
        "queue {queue} failed while it was consumed; what was not settled is delivered again after a restart"
    )]
    Failed {
        /// The queue.
        queue: QueueName,
        /// Why.
        #[source]
        source: SpoolError,
    },
    /// Dead letters could not be looked at or removed.
    #[error("the dead letters of queue {queue} cannot be handed over")]
    Letters {
        /// The queue.
        queue: QueueName,
        /// Why not.
        #[source]
        source: BusError,
    },
    /// A bug of the handler; nothing of the batch was settled.
    #[error("the handler of {queue} decided about {decided} of {delivered} messages")]
    Undecided {
        /// The queue.
        queue: QueueName,
        /// Messages of the batch.
        delivered: usize,
        /// Decisions it gave.
        decided: usize,
    },
}

pub(crate) async fn run<H: Handler>(
    local: &Local,
    queue: QueueName,
    limits: Limits,
    handler: &mut H,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    let limits = Limits { messages_max: limits.messages_max.max(1), ..limits };
    while !stop.is_cancelled() {
        let mut incoming = match local.incoming(queue).await {
            Ok(incoming) => incoming,
            Err(BusError::Spool(SpoolError::DiskFull)) => {
                wait(REOPEN_AFTER, stop).await;
                continue;
            }
            Err(source) => return Err(ConsumeError::Open { queue, source }),
        };
        let ended = batches((local, &mut incoming), queue, &limits, handler, stop).await;
        let ended = match ended {
            Ok(()) => incoming.release().await.map_err(|source| ConsumeError::Failed { queue, source }),
            failed => failed,
        };
        match ended {
            Err(
                ConsumeError::Failed { source: SpoolError::DiskFull, .. }
                | ConsumeError::Letters { source: BusError::Spool(SpoolError::DiskFull), .. },
            ) => wait(REOPEN_AFTER, stop).await,
            ended => return ended,
        }
    }
    Ok(())
}

/// Batch after batch, until `stop`.
async fn batches<H: Handler>(
    (local, incoming): (&Local, &mut Incoming),
    queue: QueueName,
    limits: &Limits,
    handler: &mut H,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    let failed = |source| ConsumeError::Failed { queue, source };
    let mut letters = Letters::new(local, queue);
    // Some may be there from before.
    let mut given_up = true;
    loop {
        let batch = if given_up {
            Vec::new()
        } else {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                batch = incoming.batch(limits) => batch.map_err(failed)?,
            }
        };
        // What was given up stood before the batch, and what is behind it may mean something else without it.
        if incoming.take_buried() || given_up {
            incoming.flush().await.map_err(failed)?;
            if !letters.hand_over(&mut OfHandler(handler), stop).await? {
                return Ok(());
            }
            given_up = false;
        }
        if batch.is_empty() {
            continue;
        }
        let Some(dispositions) = decide(handler, &batch, stop).await else { return Ok(()) };
        if dispositions.len() != batch.len() {
            let (delivered, decided) = (batch.len(), dispositions.len());
            return Err(ConsumeError::Undecided { queue, delivered, decided });
        }
        let retry_after = dispositions.iter().filter_map(|disposition| match disposition {
            Disposition::RetryAfter(after) => Some(*after),
            Disposition::Ack | Disposition::DeadLetter { .. } => None,
        });
        let retry_after = retry_after.max();
        incoming.settle(dispositions).await.map_err(failed)?;
        given_up = incoming.take_buried();
        if let Some(after) = retry_after {
            incoming.flush().await.map_err(failed)?;
            wait(after, stop).await;
        }
    }
}

/// The dead letters of a queue on their way to who keeps them.
pub(crate) struct Letters<'a> {
    local: &'a Local,
    queue: QueueName,
    /// The last that was left to the transport: it is still there, so every new one has a higher id.
    left: Option<DeadLetterId>,
}

impl<'a> Letters<'a> {
    pub(crate) fn new(local: &'a Local, queue: QueueName) -> Self {
        Self { local, queue, left: None }
    }

    /// Offers all that were not offered yet; `false` if it was told to stop before that was done.
    pub(crate) async fn hand_over<K: Keeper>(
        &mut self,
        keeper: &mut K,
        stop: &CancellationToken,
    ) -> Result<bool, ConsumeError> {
        let queue = self.queue;
        let failed = |source| ConsumeError::Letters { queue, source };
        loop {
            let letters =
                self.local.dead_letters(queue, self.left, LETTERS_TOGETHER).await.map_err(failed)?;
            if letters.is_empty() {
                return Ok(true);
            }
            let custody = loop {
                match keeper.take_over(&letters).await {
                    Ok(custody) => break custody,
                    Err(Pause(after)) => wait(after, stop).await,
                }
                if stop.is_cancelled() {
                    return Ok(false);
                }
            };
            if custody.len() != letters.len() {
                let (delivered, decided) = (letters.len(), custody.len());
                return Err(ConsumeError::Undecided { queue, delivered, decided });
            }
            let mut taken = Vec::new();
            for (letter, custody) in letters.iter().zip(custody) {
                match custody {
                    Custody::Taken => taken.push(letter.id),
                    Custody::Left => self.left = Some(letter.id),
                }
            }
            // Fewer may have been there: an operator was faster.
            self.local.discard(queue, &taken).await.map_err(failed)?;
        }
    }
}

/// Asks the handler until it can work; `None` if it was told to stop before it could.
pub(crate) async fn decide<H: Handler>(
    handler: &mut H,
    batch: &[Delivery],
    stop: &CancellationToken,
) -> Option<Vec<Disposition>> {
    loop {
        match handler.handle(batch).await {
            Ok(dispositions) => return Some(dispositions),
            Err(Pause(after)) => wait(after, stop).await,
        }
        if stop.is_cancelled() {
            return None;
        }
    }
}

pub(crate) async fn wait(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(time.min(RETRY_AFTER_MAX)) => {}
    }
}
