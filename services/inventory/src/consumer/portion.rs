//! How much of a batch one transaction takes: as many messages as it applies in a time that others bear to wait for what
//! it locks. With fifty shops for each SKU a message costs twenty times what it costs with one.

use std::time::Duration;

/// What a consumer begins with, in messages.
const FIRST: usize = 1_000;
/// Below this a transaction is mostly round trips. What fewer took says more about the occasion than about them.
const LEAST: usize = 100;

/// Grows while transactions are short, to twice what one took at most, and shrinks at once if one is not.
#[derive(Debug)]
pub(super) struct Portion {
    messages: usize,
    aim: Duration,
}

impl Portion {
    /// A transaction is to take some `aim`.
    pub(super) const fn new(aim: Duration) -> Self {
        Self { messages: FIRST, aim }
    }

    /// How many of `left` messages are to come next: they make equal transactions, each half as long again at most.
    pub(super) fn of(&self, left: usize) -> usize {
        let transactions = (left + self.messages / 2) / self.messages;
        left.div_ceil(transactions.max(1))
    }

    /// A transaction of `count` messages took that long.
    pub(super) fn took(&mut self, count: usize, elapsed: Duration) {
        let is_long = elapsed > self.aim;
        if count >= self.messages || (is_long && count >= LEAST) {
            let fits = micros(self.aim).saturating_mul(count) / micros(elapsed).max(1);
            self.messages = fits.min(2 * count).max(LEAST);
        }
    }
}

fn micros(time: Duration) -> usize {
    usize::try_from(time.as_micros()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FIRST, LEAST, Portion};

    const AIM: Duration = Duration::from_millis(500);

    fn after(took: &[(usize, u64)]) -> usize {
        let mut portion = Portion::new(AIM);
        for (count, millis) in took {
            portion.took(*count, Duration::from_millis(*millis));
        }
        portion.messages
    }

    #[test]
    fn what_is_left_is_shared_out_evenly() {
        let portion = Portion::new(AIM);
        assert_eq!(portion.messages, 1_000);
        assert_eq!([1, 999, 1_000, 1_499].map(|left| portion.of(left)), [1, 999, 1_000, 1_499], "at once");
        assert_eq!([1_500, 2_001, 2_500, 4_000].map(|left| portion.of(left)), [750, 1_001, 834, 1_000]);
    }

    #[test]
    fn it_grows_as_far_as_the_aim_allows() {
        assert_eq!(after(&[]), FIRST);
        assert_eq!(after(&[(1_000, 100)]), 2_000, "twofold at most");
        assert_eq!(after(&[(1_000, 100), (2_000, 200), (4_000, 400)]), 5_000);
        assert_eq!(after(&[(1_000, 0)]), 2_000);
    }

    #[test]
    fn it_shrinks_at_once() {
        assert_eq!(after(&[(1_000, 2_000)]), 250);
        assert_eq!(after(&[(1_000, 60_000)]), LEAST);
        assert_eq!(after(&[(500, 1_000)]), 250, "although there was room for more");
    }

    #[test]
    fn what_is_not_full_does_not_make_it_grow() {
        assert_eq!(after(&[(999, 1)]), FIRST);
        assert_eq!(after(&[(LEAST - 1, 60_000)]), FIRST, "nor do a few that were slow make it shrink");
    }
}
