//! Comparing with proof: a stock read at a quiet moment, once every order up to it is known.

use values::{Epoch, Moment, Quantity, ReadNumber};

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
}

/// A difference between what was shown and what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// We pushed since the last settle, so it may be ours: it is corrected. How much more the shop showed than expected.
    Ours(Quantity),
    /// Somebody else raised it by so much: it is lowered again.
    RaisedElsewhere(Quantity),
    /// Somebody else lowered it by so much: those units are withheld.
    LoweredElsewhere(Quantity),
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
        let difference = known.map_or(Quantity::ZERO, |base| proven - base.quantity);
        let mut withheld = known.map_or(Quantity::ZERO, |base| base.withheld);
        let drift = if difference.is_zero() {
            None
        } else if self.pushed_since_settle {
            Some(Drift::Ours(difference))
        } else if difference.is_positive() {
            // A person who puts units back first undoes what a person took out.
            withheld = (withheld - difference).or_zero();
            Some(Drift::RaisedElsewhere(difference))
        } else {
            withheld += difference.abs();
            Some(Drift::LoweredElsewhere(difference.abs()))
        };
        self.base = Some(Base { epoch: settle.epoch, quantity: proven, slack: Quantity::ZERO, withheld });
        self.log.retain(|push| push.is_after(settle.answered));
        self.log_floor = None;
        self.pushed_since_settle = !self.log.is_empty();
        self.settled = settle.number;
        Settled::Trusted(drift)
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
        let in_flight =
            self.log.iter().any(|push| !push.is_before(settle.asked) && !push.is_after(settle.answered));
        let forgotten = self.log_floor.is_some_and(|floor| floor >= settle.asked.hub);
        (self.intent.is_some() || self.doubtful_until.is_some() || in_flight || forgotten)
            .then_some(Distrust::PushInFlight)
    }
}
