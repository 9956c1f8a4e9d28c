//! The long-running parts of a process: named, watched while they run, stopped in order, reported when overdue.
//!
//! Every task is meant to run until it is told to stop. One that ends earlier, by returning, failing or panicking,
//! ends the process with its name in the log: a process that has lost a part must not look healthy.

mod end;
mod signal;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use end::{
    EXIT_CODE_OVERDUE, EXIT_CODE_STOPPED, EXIT_CODE_TASK_ENDED, EarlyEnd, End, Exit, TaskResult, error_chain,
};
pub use signal::shutdown_signal;

use crate::health::Health;

/// When a task is stopped. The stages stop one after another, each after the tasks of the one before have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Brings new work in: consumers, readers.
    Intake,
    /// Answers requests: listeners. It goes on while the intake stops, and for [`Drain::grace`] at least.
    Serve,
    /// Does what was taken in.
    Work,
    /// Sends out what the work left behind: relays, flushes.
    Relay,
}

/// The times of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// From the moment the process is not ready any more, requests are answered for so long: who sends them may learn of it
    /// in the meantime and send them elsewhere.
    pub grace: Duration,
    /// How long it may take besides.
    pub deadline: Duration,
}

impl From<Duration> for Drain {
    /// Nobody is waited for who has yet to learn of it.
    fn from(deadline: Duration) -> Self {
        Self { grace: Duration::ZERO, deadline }
    }
}

/// A set of named tasks. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stages: [StageTasks; 4],
    running: Mutex<Running>,
    /// The first early end; `ended` is cancelled when it is set.
    first: Mutex<Option<EarlyEnd>>,
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct StageTasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug, Default)]
struct Running {
    next: u64,
    tasks: BTreeMap<u64, (String, Option<AbortHandle>)>,
}

impl Stage {
    const ALL: [Self; 4] = [Self::Intake, Self::Serve, Self::Work, Self::Relay];

    fn index(self) -> usize {
        match self {
            Self::Intake => 0,
            Self::Serve => 1,
            Self::Work => 2,
            Self::Relay => 3,
        }
    }
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` in the stage [`Stage::Work`].
    pub fn spawn<F>(&self, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future<Output: TaskResult> + Send + 'static,
    {
        self.spawn_in(Stage::Work, name, future);
    }

    /// Runs `future` until it ends. It must end soon after [`Tasks::stopping`] of its stage is cancelled, and not
    /// before.
    pub fn spawn_in<F>(&self, stage: Stage, name: impl Into<Cow<'static, str>>, future: F)
    where
        F: Future<Output: TaskResult> + Send + 'static,
    {
        let name = name.into().into_owned();
        let id = self.register(&name);
        let tasks = self.clone();
        let handle = self.inner.stages[stage.index()].tracker.spawn(async move {
            let end = match AssertUnwindSafe(future).catch_unwind().await {
                Ok(result) => result.into_end(),
                Err(payload) => End::Panicked(end::panic_text(payload.as_ref())),
            };
            tasks.note_end(stage, id, end);
        });
        // The task may have ended already; then there is nothing left to abort.
        if let Some((_, abort)) = lock(&self.inner.running).tasks.get_mut(&id) {
            *abort = Some(handle.abort_handle());
        }
    }

    /// Cancelled when the tasks of `stage` are to end.
    pub fn stopping(&self, stage: Stage) -> CancellationToken {
        self.inner.stages[stage.index()].stop.clone()
    }

    /// Names of the tasks that have not ended, in the order they were spawned.
    pub fn running(&self) -> Vec<String> {
        lock(&self.inner.running).tasks.values().map(|(name, _)| name.clone()).collect()
    }

    /// Waits until a task ends that was not told to.
    pub async fn early_end(&self) -> EarlyEnd {
        self.inner.ended.cancelled().await;
        lock(&self.inner.first).clone().expect("it is set before `ended` is cancelled")
    }

    /// The life of a process after its start: waits for a signal or an early end, then drains. `shutdown` is
    /// [`shutdown_signal`]; a second signal during the drain ends it at once.
    pub async fn run<S>(
        &self,
        mut shutdown: impl FnMut() -> S,
        health: &Health,
        drain: impl Into<Drain>,
    ) -> Exit
    where
        S: Future<Output = &'static str>,
    {
        let early = tokio::select! {
            signal = shutdown() => {
                tracing::info!(signal, "stopping: no new work is taken");
                None
            }
            early = self.early_end() => {
                tracing::error!(task = %early.task, "stopping: {early}");
                Some(early)
            }
        };
        health.stopping();
        let overdue = tokio::select! {
            overdue = self.drain(drain) => overdue,
            signal = shutdown() => {
                tracing::warn!(signal, "stopping at once: asked a second time");
                self.abort()
            }
        };
        if !overdue.is_empty() {
            tracing::error!(tasks = overdue.join(", "), "these tasks did not end in time and were cut off");
        }
        match (early, overdue.is_empty()) {
            (Some(early), _) => Exit::TaskEnded(early),
            (None, true) => Exit::Stopped,
            (None, false) => Exit::Overdue(overdue),
        }
    }

    /// Stops the stages in order and returns the names of the tasks that had not ended at the deadline; those are
    /// cut off. Each stage but the last may use half of the time that is left, so that one stuck task does not keep
    /// the later stages from flushing.
    pub async fn drain(&self, drain: impl Into<Drain>) -> Vec<String> {
        let Drain { grace, deadline } = drain.into();
        let serve_until = Instant::now() + grace;
        let end = serve_until + deadline;
        for stage in Stage::ALL {
            if stage == Stage::Serve {
                tokio::time::sleep_until(serve_until).await;
            }
            let tasks = &self.inner.stages[stage.index()];
            tasks.stop.cancel();
            tasks.tracker.close();
            let left = end.saturating_duration_since(Instant::now());
            let share = if stage == Stage::Relay { left } else { left / 2 };
            if tokio::time::timeout(share, tasks.tracker.wait()).await.is_err() {
                tracing::warn!(stage = ?stage, tasks = self.running().join(", "), "still running after its share of the drain");
            }
        }
        // Tasks of an earlier stage may have ended, or may yet end, within the time of the later ones.
        for stage in Stage::ALL {
            let wait = self.inner.stages[stage.index()].tracker.wait();
            if tokio::time::timeout_at(end, wait).await.is_err() {
                break;
            }
        }
        self.abort()
    }

    /// Cuts off whatever still runs and names it.
    fn abort(&self) -> Vec<String> {
        for stage in &self.inner.stages {
            stage.stop.cancel();
        }
        let left = std::mem::take(&mut lock(&self.inner.running).tasks);
        for (_, abort) in left.values() {
            if let Some(abort) = abort {
                abort.abort();
            }
        }
        left.into_values().map(|(name, _)| name).collect()
    }

    fn register(&self, name: &str) -> u64 {
        let mut running = lock(&self.inner.running);
        let id = running.next;
        running.next += 1;
        running.tasks.insert(id, (name.to_owned(), None));
        id
    }

    fn note_end(&self, stage: Stage, id: u64, end: End) {
        // None: it was cut off at the deadline and has been reported.
        let Some((task, _)) = lock(&self.inner.running).tasks.remove(&id) else {
            return;
        };
        if self.inner.stages[stage.index()].stop.is_cancelled() {
            if let End::Failed(_) | End::Panicked(_) = end {
                tracing::warn!(task = %task, "while stopping, {}", EarlyEnd { task: task.clone(), end });
            }
            return;
        }
        let mut first = lock(&self.inner.first);
        if first.is_none() {
            *first = Some(EarlyEnd { task, end });
            self.inner.ended.cancel();
        }
    }
}

/// The guarded data is consistent after each statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
