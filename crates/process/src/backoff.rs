//! How long to wait before trying again: exponential, bounded, with full jitter.
//!
//! Full jitter spreads the tries of many waiters over the whole period, so that they do not come back together and
//! knock over what has just recovered.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Doubling more often than this reaches any sensible bound, and cannot overflow.
const DOUBLINGS_MAX: u32 = 20;

/// The bounds of a retry's waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the second try; doubles with each further try.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 for the first), for `random` spread evenly over all of u64.
    /// Pure, so that a simulation decides the jitter.
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let ceiling = self.ceiling(failures);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        let drawn = u128::from(micros) * u128::from(random) / u128::from(u64::MAX);
        Duration::from_micros(u64::try_from(drawn).unwrap_or(micros))
    }

    /// The longest wait after `failures` failures in a row.
    pub fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }
}

/// A number for [`Backoff::delay`]; good enough to spread waits, not for secrets.
pub fn random() -> u64 {
    // Each RandomState has keys of its own.
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

    #[test]
    fn the_ceiling_doubles_up_to_its_bound() {
        for (failures, expected_ms) in
            [(0, 100), (1, 100), (2, 200), (3, 400), (6, 3_200), (7, 5_000), (u32::MAX, 5_000)]
        {
            assert_eq!(BACKOFF.ceiling(failures), Duration::from_millis(expected_ms), "{failures}");
        }
    }

    #[test]
    fn the_delay_spreads_from_nothing_to_the_ceiling() {
        assert_eq!(BACKOFF.delay(2, 0), Duration::ZERO);
        assert_eq!(BACKOFF.delay(2, u64::MAX / 2), Duration::from_micros(99_999));
        assert_eq!(BACKOFF.delay(2, u64::MAX), Duration::from_millis(200));
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!((random(), random()), (random(), random()));
    }
}
