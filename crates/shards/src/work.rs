//! What a process does for the shards that it holds: one task for each, told to stop, and cut off when its time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::EndedEarly;

/// A shard that this process holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// Which, from 0.
    pub index: u16,
    /// Higher than that of every holder before.
    pub fence: u64,
    /// Cancelled when the work on it is to end: soon after, for it is cut off when the lease ends.
    pub stop: CancellationToken,
}

/// Runs `work`, which ends soon after `stop` is cancelled, and cancels that once `other` is.
pub async fn until_either<T>(
    stop: &CancellationToken,
    other: &CancellationToken,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = other.cancelled() => stop.cancel(),
    }
    work.await
}

/// The work on one shard.
#[derive(Debug)]
struct Running {
    fence: u64,
    stop: CancellationToken,
    /// The lease ends then.
    until: Instant,
    task: Id,
    abort: AbortHandle,
    /// It was cut off and is about to end.
    cut: bool,
}

/// All that runs.
#[derive(Debug)]
pub(crate) struct Works<E> {
    service: &'static str,
    tasks: JoinSet<Result<(), E>>,
    running: BTreeMap<u16, Running>,
    /// Work is told to stop when so much of its lease is left.
    stop_before: Duration,
    /// And is cut off when so much is.
    cut_before: Duration,
}

impl<E: std::error::Error + Send + 'static> Works<E> {
    pub(crate) fn new(service: &'static str, stop_before: Duration, cut_before: Duration) -> Self {
        Self { service, tasks: JoinSet::new(), running: BTreeMap::new(), stop_before, cut_before }
    }

    /// The fence of what runs on the shard, if something does.
    pub(crate) fn fence(&self, index: u16) -> Option<u64> {
        self.running.get(&index).map(|running| running.fence)
    }

    pub(crate) fn start<F>(&mut self, held: Held, until: Instant, work: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let Held { index, fence, stop } = held;
        let abort = self.tasks.spawn(work);
        self.running.insert(index, Running { fence, stop, until, task: abort.id(), abort, cut: false });
    }

    /// The lease was renewed. Work that was told to stop is not told otherwise.
    pub(crate) fn renewed(&mut self, index: u16, until: Instant) {
        if let Some(running) = self.running.get_mut(&index) {
            running.until = running.until.max(until);
        }
    }

    pub(crate) fn stop(&self, index: u16) {
        if let Some(running) = self.running.get(&index) {
            running.stop.cancel();
        }
    }

    pub(crate) fn stop_all(&self) {
        self.running.values().for_each(|running| running.stop.cancel());
    }

    /// Work that is told to stop because its lease was not renewed in time.
    pub(crate) fn stop_overdue(&mut self, now: Instant) -> Vec<u16> {
        let mut told = Vec::new();
        for (index, running) in &mut self.running {
            if running.until <= now + self.cut_before {
                running.abort.abort();
                running.cut = true;
            } else if running.until <= now + self.stop_before && !running.stop.is_cancelled() {
                running.stop.cancel();
                told.push(*index);
            }
        }
        told
    }

    /// When something is to be told to stop or cut off next, if no lease is renewed.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadline = |running: &Running| {
            let before = if running.stop.is_cancelled() { self.cut_before } else { self.stop_before };
            running.until.checked_sub(before).unwrap_or(running.until)
        };
        self.running.values().filter(|running| !running.cut).map(deadline).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Waits for the next work to end; `None`: nothing runs. The shard is free to be given back.
    pub(crate) async fn ended(&mut self) -> Option<(u16, Result<(), EndedEarly<E>>)> {
        let ended = self.tasks.join_next_with_id().await?;
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let index = *self.running.iter().find(|(_, running)| running.task == task)?.0;
        let running = self.running.remove(&index)?;
        Some((index, self.judge(index, &running.stop, ended.map(|(_, result)| result))))
    }

    /// Whether it ended as it should.
    fn judge(
        &self,
        shard: u16,
        stop: &CancellationToken,
        ended: Result<Result<(), E>, JoinError>,
    ) -> Result<(), EndedEarly<E>> {
        let service = self.service;
        match ended {
            Ok(Err(source)) => Err(EndedEarly::Failed { service, shard, source }),
            Ok(Ok(())) if !stop.is_cancelled() => Err(EndedEarly::Returned { service, shard }),
            Ok(Ok(())) => Ok(()),
            // Cut off: what it left undone its successor finds.
            Err(error) if error.is_cancelled() => Ok(()),
            Err(source) => Err(EndedEarly::Panicked { service, shard, source }),
        }
    }
}
