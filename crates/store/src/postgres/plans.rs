//! Plans of statements, which each connection keeps.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Every statement that works on many rows is given their keys, and looks each up in an index: from some hundred keys on the
/// server takes reading the whole table for the quicker way, which it is not for tables that are used all the time. To plan a
/// statement takes longer than to run it for a few rows, so its plan is kept.
pub(super) const PLANS: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("enable_bitmapscan", "off")];
/// A plan that was made while a table was almost empty reads all of it. So every so many times that connections are taken from
/// the pool, the one that is taken forgets its plans.
const KEPT_FOR: u32 = 31;
/// But no sooner after another has: to make them all anew takes a few milliseconds, as long as to run them for ten orders.
const FORGOTTEN_EVERY: Duration = Duration::from_millis(500);

/// When plans were forgotten in a pool of connections, and how often one was taken since.
#[derive(Debug, Default)]
pub(super) struct Plans(Mutex<(Option<Instant>, u32)>);

impl Plans {
    /// A connection is taken: whether it is to forget its plans. The first one that is taken when it is time has to, not one
    /// of a fixed place in the row: at a steady rate that would be the same one for ever.
    pub(super) fn are_to_be_forgotten(&self, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (forgotten, taken) = &mut *state;
        *taken = taken.saturating_add(1);
        let is_time = forgotten.is_none_or(|at| now.saturating_duration_since(at) >= FORGOTTEN_EVERY);
        if !is_time || *taken < KEPT_FOR {
            return false;
        }
        *state = (Some(now), 0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_forgotten_every_so_often_and_never_twice_in_half_a_second() {
        let (plans, began) = (Plans::default(), Instant::now());
        let forgotten = |times: u32, now: Instant| {
            (0..times * KEPT_FOR).filter(|_| plans.are_to_be_forgotten(now)).count()
        };
        assert_eq!(forgotten(100, began), 1, "however often connections are taken");
        assert_eq!(forgotten(100, began + FORGOTTEN_EVERY / 2), 0);
        assert_eq!(forgotten(100, began + FORGOTTEN_EVERY), 1);
        let mut now = began + FORGOTTEN_EVERY;
        let mut rarely = 0;
        for _ in 0..3 * KEPT_FOR {
            now += FORGOTTEN_EVERY;
            rarely += usize::from(plans.are_to_be_forgotten(now));
        }
        assert_eq!(rarely, 3, "connections that are seldom taken keep theirs longer");
    }
}
