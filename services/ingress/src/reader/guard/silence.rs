//! Silence: orders that polls see change while no webhook tells of any. Deliveries may vanish without the shop noticing, as
//! behind a redirect, so the shop's own list of webhooks is no proof.

use std::collections::BTreeMap;
use std::time::Duration;

use values::{OrderId, Timestamp};

/// Most orders that wait for a word of them; more change nothing.
const WAITING_MAX: usize = 1_000;
/// So many orders must have changed unsaid. One may: taking an order out of the trash by REST, for example, is told by no
/// webhook.
const SILENT_ORDERS_MIN: usize = 2;

/// Orders that changed, and that no delivery came after. Times are the hub's.
#[derive(Debug)]
pub(super) struct Silence {
    /// When each changed.
    waiting: BTreeMap<OrderId, Timestamp>,
    /// Nobody listened before this.
    from: Timestamp,
}

impl Silence {
    pub(super) fn from(now: Timestamp) -> Self {
        Self { waiting: BTreeMap::new(), from: now }
    }

    /// A poll saw an order that was changed at `changed_at`.
    pub(super) fn saw(&mut self, order: OrderId, changed_at: Timestamp) {
        let is_news = changed_at >= self.from;
        if is_news && (self.waiting.len() < WAITING_MAX || self.waiting.contains_key(&order)) {
            // The first change counts: one that goes on changing must not put the alarm off.
            self.waiting.entry(order).or_insert(changed_at);
        }
    }

    /// Webhooks are there to tell of changes since `made_at`, and the last that came was noted at `delivered_at`, at most
    /// `noted_late` too early.
    pub(super) fn heard(
        &mut self,
        made_at: Option<Timestamp>,
        delivered_at: Option<Timestamp>,
        noted_late: Duration,
    ) {
        let told_to = delivered_at.map(|at| at + noted_late);
        self.waiting.retain(|_, changed_at| {
            made_at.is_none_or(|made_at| *changed_at > made_at)
                && told_to.is_none_or(|told_to| *changed_at > told_to)
        });
    }

    /// Whether some have waited for longer than `bound`, so that it is worth looking when a delivery last came.
    pub(super) fn is_suspect(&self, now: Timestamp, bound: Duration) -> bool {
        self.waiting.values().any(|changed_at| now.since(*changed_at) >= bound)
    }

    /// How many orders have waited for longer than `bound`, and since when; `None`: too few to be sure.
    pub(super) fn is_silent(&self, now: Timestamp, bound: Duration) -> Option<(usize, Timestamp)> {
        let late: Vec<Timestamp> =
            self.waiting.values().copied().filter(|changed_at| now.since(*changed_at) >= bound).collect();
        let first = late.iter().min().copied()?;
        (late.len() >= SILENT_ORDERS_MIN).then_some((late.len(), first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_mins(15);
    const MINUTE: Duration = Duration::from_mins(1);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_seconds(minutes * 60)
    }

    fn order(id: i64) -> OrderId {
        OrderId::new(id).unwrap()
    }

    #[test]
    fn orders_that_nobody_told_of_are_counted_after_the_bound() {
        let mut silence = Silence::from(at(100));
        silence.saw(order(1), at(99));
        assert!(!silence.is_suspect(at(200), BOUND), "it changed before anybody listened");
        silence.saw(order(2), at(101));
        silence.saw(order(2), at(110));
        silence.saw(order(3), at(103));
        assert!(!silence.is_suspect(at(115), BOUND));
        assert!(silence.is_suspect(at(116), BOUND));
        assert_eq!(silence.is_silent(at(116), BOUND), None, "one may change without a word");
        assert_eq!(silence.is_silent(at(118), BOUND), Some((2, at(101))));
    }

    #[test]
    fn any_delivery_after_them_ends_it() {
        let mut silence = Silence::from(at(100));
        silence.saw(order(2), at(101));
        silence.saw(order(3), at(103));
        silence.heard(None, Some(at(101)), MINUTE);
        assert_eq!(silence.is_silent(at(200), BOUND), None);
        silence.saw(order(4), at(104));
        assert!(silence.is_silent(at(200), BOUND).is_some());
        silence.heard(None, Some(at(103)), MINUTE);
        assert!(!silence.is_suspect(at(200), BOUND), "the last delivery may be noted a minute early");
    }

    #[test]
    fn what_changed_before_there_were_webhooks_is_nobodys_fault() {
        let mut silence = Silence::from(at(100));
        silence.saw(order(2), at(101));
        silence.saw(order(3), at(103));
        silence.heard(Some(at(103)), None, MINUTE);
        assert!(!silence.is_suspect(at(200), BOUND));
    }

    #[test]
    fn what_waits_has_a_bound() {
        let mut silence = Silence::from(at(0));
        for id in 1..5_000 {
            silence.saw(order(id), at(1));
        }
        assert_eq!(silence.is_silent(at(100), BOUND), Some((WAITING_MAX, at(1))));
    }
}
