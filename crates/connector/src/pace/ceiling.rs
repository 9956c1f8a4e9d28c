//! The ceiling that somebody configured: so many calls in any minute and never more, whatever the system would bear.

use std::time::{Duration, Instant};

/// Calls owed at most. No reply is made of more: a page of stocks with each parent asked for itself.
const OWED_MAX: u32 = 200;

/// A configured ceiling: calls at once, and how long until one more may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Calls at once at the most; 1 or more.
    pub burst: u32,
    /// Until one more may follow a burst; not zero.
    pub period: Duration,
}

/// What is left below a ceiling. With none, always enough.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    ceiling: Option<Ceiling>,
    /// When all that was taken is paid for.
    paid_at: Option<Instant>,
}

impl Allowance {
    pub(super) fn new(ceiling: Option<Ceiling>) -> Self {
        Self { ceiling, paid_at: None }
    }

    /// When one more call may start, if not now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        let ceiling = self.ceiling?;
        let ahead = ceiling.period.saturating_mul(ceiling.burst.saturating_sub(1));
        // The next is allowed as soon as no more than a burst less one is unpaid.
        let left = self.paid_at?.saturating_duration_since(now).saturating_sub(ahead);
        (!left.is_zero()).then(|| now + left)
    }

    /// One call is made.
    pub(super) fn take(&mut self, now: Instant) {
        let Some(ceiling) = self.ceiling else { return };
        self.paid_at = Some(self.paid_at.map_or(now, |at| at.max(now)) + ceiling.period);
    }

    /// The call taken last was not made.
    pub(super) fn give_back(&mut self) {
        let Some(ceiling) = self.ceiling else { return };
        self.paid_at = self.paid_at.and_then(|at| at.checked_sub(ceiling.period));
    }

    /// Calls were made that nobody asked for; those that follow wait for them.
    pub(super) fn owe(&mut self, now: Instant, calls: u32) {
        let Some(ceiling) = self.ceiling else { return };
        let most = now + ceiling.period.saturating_mul(OWED_MAX.saturating_add(ceiling.burst));
        let paid_at = self.paid_at.map_or(now, |at| at.max(now));
        let owed = ceiling.period.saturating_mul(calls.min(OWED_MAX));
        self.paid_at = Some((paid_at + owed).min(most.max(paid_at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_owed_is_paid_first_and_has_a_bound() {
        let now = Instant::now();
        let mut left = Allowance::new(Some(Ceiling { burst: 2, period: SECOND }));
        left.take(now);
        assert_eq!(left.wait(now), None);
        left.owe(now, 3);
        assert_eq!(left.wait(now), Some(now + 3 * SECOND));
        left.owe(now, u32::MAX);
        left.owe(now, u32::MAX);
        assert_eq!(left.wait(now), Some(now + SECOND * (OWED_MAX + 1)));
    }

    #[test]
    fn a_call_that_was_not_made_costs_nothing() {
        let now = Instant::now();
        let mut left = Allowance::new(Some(Ceiling { burst: 1, period: SECOND }));
        left.take(now);
        assert_eq!(left.wait(now), Some(now + SECOND));
        left.give_back();
        assert_eq!(left.wait(now), None);
    }
}
