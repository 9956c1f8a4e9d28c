//! Dead letters on their way to whoever keeps them, who need not be the consumer of their queue.

use std::future::Future;
use std::time::Duration;

use spool::SpoolError;
use tokio_util::sync::CancellationToken;

use crate::bus::{BusError, DeadLetter};
use crate::consume::{ConsumeError, Handler, Letters, wait};
use crate::delivery::{Custody, Pause};
use crate::local::Local;
use crate::topology::QueueName;

/// How long at most a letter waits before it is offered to a keeper.
pub const KEEP_EVERY: Duration = Duration::from_secs(5);

/// Keeps dead letters of a queue that another consumes.
pub trait Keeper: Send {
    /// Takes dead letters over as a [`Handler::take_over`] does, but at some time after what stood behind them was handled.
    /// The consumer of the queue was offered them before, and left them.
    fn take_over(
        &mut self,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Vec<Custody>, Pause>> + Send;
}

/// A handler, as the keeper of the letters of its own queue.
pub(crate) struct OfHandler<'a, H>(pub(crate) &'a mut H);

impl<H: Handler> Keeper for OfHandler<'_, H> {
    fn take_over(
        &mut self,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Vec<Custody>, Pause>> + Send {
        self.0.take_over(letters)
    }
}

/// Over a spool.
pub(crate) async fn run<K: Keeper>(
    local: &Local,
    queue: QueueName,
    keeper: &mut K,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    let mut letters = Letters::new(local, queue);
    while !stop.is_cancelled() {
        match letters.hand_over(keeper, stop).await {
            // What was taken is offered again, once there is room to remove it.
            Ok(_) | Err(ConsumeError::Letters { source: BusError::Spool(SpoolError::DiskFull), .. }) => {}
            Err(error) => return Err(error),
        }
        wait(KEEP_EVERY, stop).await;
    }
    Ok(())
}
