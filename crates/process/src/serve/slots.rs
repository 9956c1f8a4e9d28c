//! Who may be served at a time, and who makes room when everybody wants to be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A connection is not asked to make room while it is younger: an honest client has sent its head by then.
pub(super) const HEAD_GRACE: Duration = Duration::from_millis(500);

/// How long to wait for a slot before the next connection is asked to make room.
const EVICTION_PAUSE: Duration = Duration::from_millis(20);

/// The slots of one listener.
#[derive(Debug)]
pub(super) struct Slots {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// In the order they were taken.
    holders: BTreeMap<u64, Arc<Holder>>,
}

/// What is known of the connection in a slot.
#[derive(Debug)]
pub(super) struct Holder {
    since: Instant,
    phase: AtomicU8,
    evicted: CancellationToken,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Has never sent a whole head.
    Fresh,
    /// A request is being served.
    Serving,
    /// Kept open between requests.
    Idle,
}

/// A place to be served in; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    pub(super) holder: Arc<Holder>,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new(slots_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(slots_max)), taken: Mutex::default() }
    }

    /// Waits for a slot; while there is none, asks one waiting connection after the other to make room.
    pub(super) async fn take(self: &Arc<Self>, mut on_eviction: impl FnMut()) -> Slot {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            if self.evict_one() {
                on_eviction();
            }
            let free = Arc::clone(&self.free).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(EVICTION_PAUSE, free).await {
                break permit.expect("the semaphore is never closed");
            }
        };
        let holder = Arc::new(Holder {
            since: Instant::now(),
            phase: AtomicU8::new(Phase::Fresh.number()),
            evicted: CancellationToken::new(),
        });
        let mut taken = self.lock();
        let id = taken.next;
        taken.next += 1;
        taken.holders.insert(id, Arc::clone(&holder));
        drop(taken);
        Slot { slots: Arc::clone(self), id, holder, _permit: permit }
    }

    /// Asks the connection that has been here longest without being served.
    fn evict_one(&self) -> bool {
        let taken = self.lock();
        let waiting = taken.holders.values().find(|holder| {
            holder.since.elapsed() >= HEAD_GRACE
                && holder.phase() != Phase::Serving
                && !holder.evicted.is_cancelled()
        });
        if let Some(holder) = waiting {
            holder.evicted.cancel();
        }
        waiting.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Each change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Fresh,
            1 => Phase::Serving,
            _ => Phase::Idle,
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase.number(), Ordering::Relaxed);
    }

    /// Waits until the connection is asked to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Phase {
    fn number(self) -> u8 {
        match self {
            Self::Fresh => 0,
            Self::Serving => 1,
            Self::Idle => 2,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.lock().holders.remove(&self.id);
    }
}
