//! Where a poll begins: the position in the shop's time that is never past what was read, not even when the shop's clock
//! is set back.

use std::time::Duration;

use values::Timestamp;

/// How far back each poll asks again: what may have been half written at the last one (30 s, the margin after which a
/// read confirms an order), and the second that the shop's filter leaves out.
pub(crate) const OVERLAP: Duration = Duration::from_secs(31);

/// Everything modified up to here was read and published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// By the shop's clock.
    pub(crate) shop_time: Timestamp,
    /// The same moment by the hub's.
    pub(crate) hub_time: Timestamp,
}

impl Position {
    /// From where the next poll asks.
    pub(crate) fn since(self) -> Timestamp {
        self.shop_time - OVERLAP
    }

    /// What the shop's clock says by now, at least.
    pub(crate) fn shop_now(self, hub_now: Timestamp) -> Timestamp {
        self.shop_time + hub_now.since(self.hub_time)
    }

    /// Where to go on if the shop's clock went back since: what was modified since the last poll is dated before the
    /// old position then. `None`: it did not.
    pub(crate) fn set_back(self, date: Timestamp, hub_now: Timestamp) -> Option<Self> {
        (date < self.shop_time)
            .then(|| Self { shop_time: date - hub_now.since(self.hub_time), hub_time: self.hub_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_clock_set_back_takes_the_position_with_it() {
        let position = Position { shop_time: at(10_000), hub_time: at(500) };
        assert_eq!(position.since(), at(9_969));
        assert_eq!(position.set_back(at(10_000), at(560)), None);
        assert_eq!(position.set_back(at(10_060), at(560)), None);
        // An hour back, a minute after the last poll: all of that minute is asked for.
        let back = position.set_back(at(6_460), at(560)).unwrap();
        assert_eq!(back.shop_time, at(6_400));
        assert_eq!(back.set_back(at(6_460), at(560)), None, "once is enough");
    }

    #[test]
    fn the_shops_time_goes_on_with_the_hubs() {
        let position = Position { shop_time: at(10_000), hub_time: at(500) };
        assert_eq!(position.shop_now(at(560)), at(10_060));
        assert_eq!(position.shop_now(at(400)), at(10_000), "but not back");
    }

    #[test]
    fn a_hub_clock_set_back_too_breaks_nothing() {
        let position = Position { shop_time: at(10_000), hub_time: at(500) };
        assert_eq!(position.set_back(at(9_000), at(100)).unwrap().shop_time, at(9_000));
    }
}
