//! How many calls a shop gets: one budget, of which reads have a share and pushes have the rest, so that services which
//! know nothing of each other stay within it together.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::{Group, Reader, Setting, Within};

const CALLS_PER_MINUTE: Setting<usize> = Setting::count(
    "ONHAND_SHOP_CALLS_PER_MINUTE_MAX",
    "Calls to one shop in a minute at most, reads and pushes together. A read or a push carries up to 100 orders or \
     stocks.",
    Within { default: 400, min: 10, max: 60_000 },
);
const READS_PERCENT: Setting<usize> = Setting::count(
    "ONHAND_SHOP_READS_PERCENT",
    "How many of a hundred of these calls are for reads; the others are for pushes.",
    Within { default: 70, min: 10, max: 90 },
);

/// This part of a minute's calls may be made at once.
const BURST_SHARE: u32 = 6;
const MINUTE: Duration = Duration::from_mins(1);

/// The calls one shop gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallBudget {
    /// For what ingress reads.
    pub reads: CallShare,
    /// For what egress pushes, and reads back of it.
    pub pushes: CallShare,
}

/// A part of the budget: calls in a minute. They may be made in bursts, but no minute ever sees more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallShare(NonZeroU32);

impl CallBudget {
    /// Its settings. Every service that calls shops is given the same.
    pub const GROUP: Group = Group {
        title: "Calls to shops",
        about: "For ingress and egress alike; give both the same.",
        settings: &[CALLS_PER_MINUTE.declaration(), READS_PERCENT.declaration()],
    };

    /// From the environment.
    pub fn from_source(reader: &mut Reader<'_>) -> Self {
        let number = |setting: usize| u32::try_from(setting).unwrap_or(u32::MAX);
        Self::new(number(reader.get(&CALLS_PER_MINUTE)), number(reader.get(&READS_PERCENT)))
    }

    /// Each gets at least one call, whatever is asked for.
    fn new(calls_per_minute: u32, reads_percent: u32) -> Self {
        let reads = u64::from(calls_per_minute) * u64::from(reads_percent) / 100;
        let reads = u32::try_from(reads).unwrap_or(u32::MAX);
        let pushes = calls_per_minute.saturating_sub(reads);
        Self { reads: CallShare::per_minute(reads), pushes: CallShare::per_minute(pushes) }
    }
}

impl CallShare {
    /// So many calls in a minute; at least one.
    pub const fn per_minute(calls: u32) -> Self {
        match NonZeroU32::new(calls) {
            Some(calls) => Self(calls),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// Most calls in any minute.
    pub const fn calls(self) -> u32 {
        self.0.get()
    }

    /// Most calls at once.
    pub fn burst(self) -> NonZeroU32 {
        NonZeroU32::new(self.calls() / BURST_SHARE).unwrap_or(NonZeroU32::MIN)
    }

    /// How long until one more may follow a burst. A burst and what follows it within a minute are all the calls.
    pub fn period(self) -> Duration {
        let following = self.calls().saturating_sub(self.burst().get()).max(1);
        (MINUTE / following).max(Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Source};

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<CallBudget, config::Problems> {
        let source = Source::from_pairs(pairs.iter().copied());
        config::read(&source, &[CallBudget::GROUP], CallBudget::from_source)
    }

    #[test]
    fn reads_and_pushes_share_one_number() {
        let shares = |budget: CallBudget| (budget.reads.calls(), budget.pushes.calls());
        assert_eq!(shares(read(&[]).unwrap()), (280, 120));
        let set = [("ONHAND_SHOP_CALLS_PER_MINUTE_MAX", "10"), ("ONHAND_SHOP_READS_PERCENT", "90")];
        assert_eq!(shares(read(&set).unwrap()), (9, 1));
        assert!(read(&[("ONHAND_SHOP_READS_PERCENT", "100")]).is_err());
        for calls in 10..1_000 {
            for percent in 10..=90 {
                let (reads, pushes) = shares(CallBudget::new(calls, percent));
                assert_eq!(reads + pushes, calls, "{percent} % of {calls}");
            }
        }
    }

    #[test]
    fn no_minute_sees_more_than_the_share() {
        for calls in (1..200).chain([1_000, 6_000, 60_000]) {
            let share = CallShare::per_minute(calls);
            // Just before a minute is over.
            let following = (MINUTE.as_nanos() - 1) / share.period().as_nanos();
            let most = u128::from(share.burst().get()) + following;
            assert!(most <= u128::from(calls), "{calls}: {most}");
        }
    }
}
