//! Singles out what makes a call fail: after a failure fewer are asked for at once, until it is one alone. That one is set aside
//! for a while, so that it keeps no other from being read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use connector::CallError;
use process::backoff::Backoff;

/// Most things that are set aside; one more, and the one that is due first is tried again sooner.
const ASIDE_MAX: usize = 100;
/// What is set aside rests so many times as long as a shop that fails, at the longest.
const REST_GROWTH_MAX: u32 = 60;

/// What was set aside.
#[derive(Debug, Clone, Copy)]
struct Aside {
    until: Instant,
    failures: u32,
}

/// Things that are read by their numbers, many in one call.
#[derive(Debug)]
pub(super) struct Singling<T> {
    together_max: usize,
    together: usize,
    rest: Backoff,
    aside: BTreeMap<T, Aside>,
}

impl<T: Copy + Ord> Singling<T> {
    /// `together_max`: what one call can ask for. `retry`: the waits after failed calls.
    pub(super) fn new(together_max: usize, retry: Backoff) -> Self {
        let rest = Backoff { first: retry.max, max: retry.max.saturating_mul(REST_GROWTH_MAX) };
        Self { together_max, together: together_max, rest, aside: BTreeMap::new() }
    }

    /// How many are to be looked up, so that there is a call's worth beside those that are set aside.
    pub(super) fn lookup(&self) -> usize {
        self.together_max + self.aside.len()
    }

    /// How many to ask for in one call.
    pub(super) fn together(&self) -> usize {
        self.together
    }

    /// Whether it is not set aside now.
    pub(super) fn may_be_read(&self, id: T, now: Instant) -> bool {
        self.aside.get(&id).is_none_or(|aside| aside.until <= now)
    }

    /// When the first of those that are set aside is to be tried again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.aside.values().map(|aside| aside.until).min()
    }

    /// Nobody wants those any more that are due again and were not found.
    pub(super) fn found(&mut self, is_wanted: impl Fn(T) -> bool, now: Instant) {
        self.aside.retain(|id, aside| aside.until > now || is_wanted(*id));
    }

    /// A call for these was answered.
    pub(super) fn succeeded(&mut self, ids: &[T]) {
        for id in ids {
            self.aside.remove(id);
        }
        self.together = self.together.saturating_mul(2).min(self.together_max);
    }

    /// A call for these failed: for how long the one that it was for is set aside, if it was for one.
    pub(super) fn failed(&mut self, ids: &[T], error: &CallError, now: Instant) -> Option<Duration> {
        if !may_be_its_doing(error) {
            return None;
        }
        let [id] = ids else {
            self.together = ids.len().div_ceil(2).max(1);
            return None;
        };
        let failures = self.aside.get(id).map_or(0, |aside| aside.failures).saturating_add(1);
        let rest = self.rest.ceiling(failures);
        self.aside.insert(*id, Aside { until: now + rest, failures });
        if self.aside.len() > ASIDE_MAX {
            let first = self.aside.iter().min_by_key(|(_, aside)| aside.until).map(|(id, _)| *id);
            first.and_then(|first| self.aside.remove(&first));
        }
        Some(rest)
    }
}

/// The shop was reached and let us in, and could not answer what it was asked. Anything else is so whatever is asked.
fn may_be_its_doing(error: &CallError) -> bool {
    match error {
        CallError::Unavailable { .. }
        | CallError::Uncertain { .. }
        | CallError::BadReply { .. }
        | CallError::Refused { .. } => true,
        CallError::NotSent { .. }
        | CallError::Auth(_)
        | CallError::Redirected { .. }
        | CallError::RateLimited { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use connector::NotSentCause;

    use super::*;

    const RETRY: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_mins(1) };

    fn failure() -> CallError {
        CallError::Unavailable { status: 500, retry_after: None }
    }

    /// Reads all of `wanted` from a shop that fails whenever `poison` is asked for; how many calls that took.
    fn read_all(singling: &mut Singling<u32>, wanted: &[u32], poison: &[u32], now: Instant) -> usize {
        let mut left = wanted.to_vec();
        for calls in 0..1_000 {
            let due: Vec<u32> = left
                .iter()
                .copied()
                .filter(|id| singling.may_be_read(*id, now))
                .take(singling.together())
                .collect();
            if due.is_empty() {
                assert!(left.iter().all(|id| poison.contains(id)), "not read: {left:?}");
                return calls;
            }
            if due.iter().any(|id| poison.contains(id)) {
                singling.failed(&due, &failure(), now);
            } else {
                singling.succeeded(&due);
                left.retain(|id| !due.contains(id));
            }
        }
        panic!("it does not end")
    }

    #[test]
    fn all_others_are_read_and_what_fails_is_tried_again_more_and_more_rarely() {
        let (mut singling, mut now) = (Singling::new(100, RETRY), Instant::now());
        let wanted: Vec<u32> = (1..=100).collect();
        let calls = read_all(&mut singling, &wanted, &[1, 77], now);
        assert!(calls < 40, "{calls}");
        assert_eq!(singling.lookup(), 102);
        assert!(!singling.may_be_read(1, now) && !singling.may_be_read(77, now));
        let mut last = Duration::ZERO;
        for _ in 0..10 {
            now = singling.again_at().unwrap();
            let due = [1, 77].into_iter().find(|id| singling.may_be_read(*id, now)).unwrap();
            let rest = singling.failed(&[due], &failure(), now).unwrap();
            assert!(rest >= last && rest <= Duration::from_hours(1), "{rest:?}");
            last = rest;
        }
        assert_eq!(last, Duration::from_mins(32));
        singling.succeeded(&[1]);
        assert!(singling.may_be_read(1, now));
    }

    #[test]
    fn a_shop_that_is_away_is_nobodys_doing() {
        let (mut singling, now) = (Singling::new(100, RETRY), Instant::now());
        for error in [
            CallError::NotSent { cause: NotSentCause::Connect, source: None },
            CallError::RateLimited { retry_after: None },
        ] {
            assert_eq!(singling.failed(&[1], &error, now), None);
            assert_eq!(singling.failed(&[1, 2], &error, now), None);
        }
        assert_eq!((singling.together(), singling.again_at()), (100, None));
    }

    #[test]
    fn what_is_set_aside_has_a_bound_and_is_forgotten_with_its_wish() {
        let (mut singling, now) = (Singling::new(100, RETRY), Instant::now());
        for id in 0..1_000_u32 {
            singling.failed(&[id], &failure(), now + Duration::from_millis(u64::from(id)));
        }
        assert_eq!(singling.lookup(), 100 + ASIDE_MAX);
        let later = singling.again_at().unwrap();
        singling.found(|_| false, later);
        assert_eq!(singling.lookup(), 100 + ASIDE_MAX - 1, "the others are not due yet");
        assert!(singling.again_at().unwrap() > later);
    }
}
