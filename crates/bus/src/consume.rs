//! The consumer loop: the only place that acknowledges, and only what the handler said it may.

use std::future::Future;
use std::time::Duration;

use spool::SpoolError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::bus::BusError;
use crate::delivery::{Delivery, Disposition, Pause};
use crate::local::{Incoming, Local};
use crate::topology::QueueName;

/// Longest time a shard waits with a message to be retried, and longest pause; well below the 30 minutes after
/// which `RabbitMQ` takes unacknowledged messages back.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// How long to wait before using a queue again whose disk was full.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Decides about messages. It may be given a message again that it has handled: its effects must be idempotent.
pub trait Handler: Send {
    /// Handles a batch and says for each message, in the same order, what is to become of it; or that it cannot work
    /// now. Effects must be durable before this says [`Disposition::Ack`].
    fn handle(&mut self, batch: &[Delivery]) -> impl Future<Output = Result<Vec<Disposition>, Pause>> + Send;
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
        let ended = batches(&mut incoming, queue, &limits, handler, stop).await;
        let ended = match ended {
            Ok(()) => incoming.release().await.map_err(|source| ConsumeError::Failed { queue, source }),
            failed => failed,
        };
        match ended {
            Err(ConsumeError::Failed { source: SpoolError::DiskFull, .. }) => wait(REOPEN_AFTER, stop).await,
            ended => return ended,
        }
    }
    Ok(())
}

/// Batch after batch, until `stop`.
async fn batches<H: Handler>(
    incoming: &mut Incoming,
    queue: QueueName,
    limits: &Limits,
    handler: &mut H,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    let failed = |source| ConsumeError::Failed { queue, source };
    loop {
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            batch = incoming.batch(limits) => batch.map_err(failed)?,
        };
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
        if let Some(after) = retry_after {
            incoming.flush().await.map_err(failed)?;
            wait(after, stop).await;
        }
    }
}

/// Asks the handler until it can work; `None` if it was told to stop before it could.
async fn decide<H: Handler>(
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

async fn wait(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(time.min(RETRY_AFTER_MAX)) => {}
    }
}
