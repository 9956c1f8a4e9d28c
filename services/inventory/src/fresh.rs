//! Levels that were committed a moment ago, for the relay: it need not look up again what the batch had in its hands. All of
//! them are in the outbox too, so nothing is lost with this.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Unpublished;
use values::StockId;

/// Levels kept; what finds no place is found in the outbox.
const LEVELS_MAX: usize = 2_000;

/// Levels to be published, the newest of each stock.
#[derive(Debug, Default)]
pub(crate) struct Fresh(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    levels: BTreeMap<StockId, Unpublished>,
    /// There is more in the outbox, or there may be.
    more: bool,
}

impl Fresh {
    /// These were committed, in this order.
    pub(crate) fn add(&self, levels: Vec<Unpublished>) {
        let mut state = self.lock();
        for level in levels {
            let is_known = state.levels.contains_key(&level.stock.id);
            if is_known || state.levels.len() < LEVELS_MAX {
                state.levels.insert(level.stock.id, level);
            } else {
                state.more = true;
            }
        }
    }

    /// The outbox is to be looked at.
    pub(crate) fn look(&self) {
        self.lock().more = true;
    }

    /// Takes up to `max` levels out; whether some are left.
    pub(crate) fn take(&self, max: usize) -> (Vec<Unpublished>, bool) {
        let mut state = self.lock();
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some((_, level)) = state.levels.pop_first() else { break };
            taken.push(level);
        }
        (taken, !state.levels.is_empty())
    }

    /// Whether the outbox is to be looked at; not any more from here on. What is kept here is found there.
    pub(crate) fn take_look(&self) -> bool {
        let mut state = self.lock();
        let look = std::mem::take(&mut state.more);
        if look {
            state.levels.clear();
        }
        look
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
