//! Comparing with proof: a stock read at a quiet moment, once every order up to it is known.

use values::{Epoch, Moment, Quantity, ReadNumber, Timestamp};

use crate::drift::{self, Adopting, Drift, DriftAction, DriftPolicy, Evidence};
use crate::state::{Base, PushRecord, StockPush};

/// What a shop showed, and what was known of it: sent by inventory once all orders up to then were applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// Number of the read: a higher one was read later.
    pub number: ReadNumber,
    /// Epoch of the level it belongs to.
    pub epoch: Epoch,
    /// What the stock showed.
    pub shown: Quantity,
    /// The stock was not read before this.
    pub asked: Moment,
    /// The stock was not read after this.
    pub answered: Moment,
    /// What the shop's orders had taken by then.
    pub taken_total: Quantity,
    /// No order touched the stock from a margin before it was asked on, and none is missing.
    pub quiet: bool,
    /// The shop's own date of the product that it is of, if it told.
    pub dated: Option<Timestamp>,
    /// What the shop wants done about a difference.
    pub policy: DriftPolicy,
}

/// Why a settle proves nothing this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distrust {
    /// Not newer than the one trusted last.
    Old,
    /// Read under other levels than the present ones.
    OtherEpoch,
    /// Orders touched the stock around the read, or some may be missing.
    NotQuiet,
    /// A push may have taken effect while it was read, or may yet do so.
    PushInFlight,
    /// The ledger has not said yet what became of an edit that it was asked to take over.
    Adopting,
}

/// What a settle came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The base is proven; the drift found, if any.
    Trusted(Option<Drift>),
    /// Nothing was learned: settle again.
    Untrusted(Distrust),
}

impl StockPush {
    /// Compares with proof, and takes over what was proven.
    pub fn settle(&mut self, settle: &Settle) -> Settled {
        if let Some(distrust) = self.distrust(settle) {
            return Settled::Untrusted(distrust);
        }
        let since: Quantity = self.since(settle).map(|push| push.delta).sum();
        let proven = settle.shown + settle.taken_total + since;
        let known = self.comparable_base();
        let drift = known.and_then(|base| self.drift(settle, base, proven - base.quantity));
        let released = self.target.map_or(Quantity::ZERO, |target| target.released);
        let before = known.map_or(Quantity::ZERO, |base| base.withheld_after(released));
        let (mut withheld, mut adopting) = (before, None);
        if let Some(drift) = drift {
            (_, withheld) = drift::decide(settle.policy, drift.class, drift.difference(), before);
            adopting = (drift.action == DriftAction::Adopting).then(|| Adopting {
                number: settle.number,
                difference: drift.difference() - (before - withheld),
                ask_at: settle.answered.hub,
            });
        }
        if settle.policy == DriftPolicy::Correct {
            // What was left in the shop beyond its level is lowered again once the shop wants that.
            withheld = withheld.or_zero();
        }
        self.base = Some(Base {
            withheld,
            released,
            dated: settle.dated.or(known.and_then(|base| base.dated)),
            adopting,
            ..Base::proven(settle.epoch, proven)
        });
        self.log.retain(|push| push.is_after(settle.answered));
        self.log_floor = None;
        self.pushed_since_settle = !self.log.is_empty();
        self.settled = settle.number;
        Settled::Trusted(drift)
    }

    fn drift(&self, settle: &Settle, base: Base, difference: Quantity) -> Option<Drift> {
        if difference.is_zero() {
            return None;
        }
        let evidence = Evidence {
            difference,
            pushed: self.pushed_since_settle,
            doubted: base.doubted,
            dates: (base.dated, settle.dated),
        };
        let class = evidence.class();
        let withheld = base.withheld_after(self.target?.released);
        let (action, _) = drift::decide(settle.policy, class, difference, withheld);
        Some(Drift { class, action, expected: settle.shown - difference, shown: settle.shown })
    }

    /// The pushes that took effect after the stock was read.
    fn since(&self, settle: &Settle) -> impl Iterator<Item = &PushRecord> {
        self.log.iter().filter(|push| push.is_after(settle.answered))
    }

    fn distrust(&self, settle: &Settle) -> Option<Distrust> {
        if settle.number <= self.settled {
            return Some(Distrust::Old);
        }
        if self.target.is_none_or(|target| target.epoch != settle.epoch) {
            return Some(Distrust::OtherEpoch);
        }
        if !settle.quiet {
            return Some(Distrust::NotQuiet);
        }
        if self.adopting().is_some() {
            return Some(Distrust::Adopting);
        }
        let in_flight =
            self.log.iter().any(|push| !push.is_before(settle.asked) && !push.is_after(settle.answered));
        let forgotten = self.log_floor.is_some_and(|floor| floor >= settle.asked.hub);
        (self.intent.is_some() || self.doubtful_until.is_some() || in_flight || forgotten)
            .then_some(Distrust::PushInFlight)
    }
}
