//! How long it is from one poll to the next: sooner where webhooks are in doubt, later where a shop bears few calls.

use std::time::Duration;

/// A shop whose webhooks are in doubt is polled so many times as often.
const DOUBTED_FASTER: u32 = 4;
/// But not more often than this, unless it is always polled so.
const DOUBTED_PERIOD_MIN: Duration = Duration::from_secs(10);
/// Of so many calls that a shop bears, no more than one is a poll of the same kind: the others are for reading again,
/// proving, and the catalogue.
const CALLS_FOR_ONE_POLL: u32 = 10;

/// What the shop is set to, whether its webhooks are in doubt, and the least time between two calls to it.
pub(super) fn of_polls(set: Duration, doubted: bool, between_calls: Duration) -> Duration {
    let wanted = if doubted { (set / DOUBTED_FASTER).max(DOUBTED_PERIOD_MIN.min(set)) } else { set };
    wanted.max(between_calls.saturating_mul(CALLS_FOR_ONE_POLL))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubt_makes_it_sooner_and_few_calls_make_it_later() {
        for (set, doubted, between, expected) in [
            (60, false, 0, 60),
            (60, true, 0, 15),
            (20, true, 0, 10),
            (5, true, 0, 5),
            (60, false, 6, 60),
            (60, false, 20, 200),
            (60, true, 2, 20),
            (600, true, 0, 150),
        ] {
            let period = of_polls(SECOND * set, doubted, SECOND * between);
            assert_eq!(period, SECOND * expected, "{set} {doubted} {between}");
        }
        assert_eq!(of_polls(SECOND, false, Duration::MAX), Duration::MAX);
    }
}
