//! Levels that were committed a moment ago, for the relay: it need not look up again what the batch had in its hands. All of
//! them are in the outbox too, so nothing is lost with this.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use store::Unpublished;
use values::StockId;

/// Levels kept, some 400 bytes each: those of a few full batches. What finds no place is found in the outbox.
const LEVELS_MAX: usize = 8_000;

/// Levels to be published, the newest of each stock.
#[derive(Debug)]
pub(crate) struct Fresh<Level = Unpublished>(Mutex<State<Level>>);

#[derive(Debug)]
struct State<Level> {
    levels: BTreeMap<StockId, Level>,
    /// There is more in the outbox, or there may be.
    more: bool,
}

impl<Level> Default for Fresh<Level> {
    fn default() -> Self {
        Self(Mutex::new(State { levels: BTreeMap::new(), more: false }))
    }
}

impl<Level> Fresh<Level> {
    /// These were committed, in this order.
    pub(crate) fn add(&self, levels: impl IntoIterator<Item = (StockId, Level)>) {
        let mut state = self.lock();
        for (stock, level) in levels {
            if state.levels.len() < LEVELS_MAX || state.levels.contains_key(&stock) {
                state.levels.insert(stock, level);
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
    pub(crate) fn take(&self, max: usize) -> (Vec<Level>, bool) {
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

    fn lock(&self) -> MutexGuard<'_, State<Level>> {
        // Nothing in here panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use values::{HolderId, ShopId, StockId};

    use super::{Fresh, LEVELS_MAX};

    fn stock(holder: i64) -> StockId {
        StockId { shop: ShopId::new(1).unwrap(), holder: HolderId::new(holder).unwrap() }
    }

    #[test]
    fn the_newest_of_each_stock_is_taken_once() {
        let fresh = Fresh::default();
        fresh.add([(stock(1), "old"), (stock(2), "other"), (stock(1), "new")]);
        assert_eq!(fresh.take(1), (vec!["new"], true));
        assert_eq!(fresh.take(9), (vec!["other"], false));
        assert_eq!(fresh.take(9), (vec![], false));
        assert!(!fresh.take_look(), "nothing else is anywhere");
    }

    #[test]
    fn what_finds_no_place_is_looked_for() {
        let fresh = Fresh::default();
        let holders = 1..=i64::try_from(LEVELS_MAX).unwrap();
        fresh.add(holders.map(|holder| (stock(holder), "kept")));
        fresh.add([(stock(1), "newer")]);
        assert!(!fresh.take_look(), "there was a place for all");
        fresh.add([(stock(i64::MAX), "too much")]);
        assert!(fresh.take_look());
        assert_eq!(fresh.take(9), (vec![], false), "all of it is found in the outbox");
        assert!(!fresh.take_look(), "once");
    }
}
