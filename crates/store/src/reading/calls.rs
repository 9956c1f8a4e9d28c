//! What reading a shop costs it: calls by what they read, in this hour and in the one before.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use values::Timestamp;

/// They are counted by the hour, of the hub's clock.
const HOUR: Duration = Duration::from_hours(1);
/// Most kinds of calls that are counted apart; others are not counted.
const KINDS_MAX: usize = 32;

/// Calls of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallsOfKind {
    /// In this hour, so far.
    pub this_hour: u64,
    /// In the hour before.
    pub hour_before: u64,
}

/// Calls that were made to read a shop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallsMade {
    /// Hours since 1970 when this hour began.
    hour: i64,
    /// By what they read, as a code.
    kinds: BTreeMap<String, CallsOfKind>,
}

impl CallsMade {
    /// So many more were made.
    pub fn add(&mut self, kind: &str, calls: u32, now: Timestamp) {
        self.roll(now);
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(kind) {
            let of_kind = self.kinds.entry(kind.to_owned()).or_default();
            of_kind.this_hour = of_kind.this_hour.saturating_add(u64::from(calls));
        }
    }

    /// As of now, by what they read; kinds without a call are left out.
    pub fn at(mut self, now: Timestamp) -> BTreeMap<String, CallsOfKind> {
        self.roll(now);
        self.kinds
    }

    fn roll(&mut self, now: Timestamp) {
        let hour = now.seconds().div_euclid(i64::try_from(HOUR.as_secs()).unwrap_or(i64::MAX));
        if hour == self.hour {
            return;
        }
        // A clock that was set back begins anew too.
        let is_next = hour == self.hour.saturating_add(1);
        for of_kind in self.kinds.values_mut() {
            let hour_before = if is_next { of_kind.this_hour } else { 0 };
            *of_kind = CallsOfKind { this_hour: 0, hour_before };
        }
        self.kinds.retain(|_, of_kind| of_kind.hour_before > 0);
        self.hour = hour;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(made: &CallsMade, now: i64) -> Vec<(String, u64, u64)> {
        let at = made.clone().at(Timestamp::from_seconds(now));
        at.into_iter().map(|(kind, calls)| (kind, calls.this_hour, calls.hour_before)).collect()
    }

    #[test]
    fn an_hour_follows_the_other() {
        let mut made = CallsMade::default();
        made.add("orders", 2, Timestamp::from_seconds(3_600));
        made.add("stocks", 1, Timestamp::from_seconds(7_199));
        assert_eq!(counts(&made, 7_199), [("orders".to_owned(), 2, 0), ("stocks".to_owned(), 1, 0)]);
        made.add("orders", 1, Timestamp::from_seconds(7_200));
        assert_eq!(counts(&made, 7_200), [("orders".to_owned(), 1, 2), ("stocks".to_owned(), 0, 1)]);
        assert_eq!(counts(&made, 10_800), [("orders".to_owned(), 0, 1)]);
        assert_eq!(counts(&made, 14_400), [], "nothing in this hour nor in the one before");
        assert_eq!(counts(&made, 0), [], "set back");
    }
}
