//! What is known and under way for one stock, and what to do next.

use std::time::Duration;

use values::{Epoch, Moment, Quantity, ReadNumber, Timestamp};

use crate::drift::{Adopting, DriftAction};
use crate::target::Target;

/// How long a call may still take effect after it was sent: PHP may be writing although nobody waits for the answer.
pub const CALL_DEADLINE: Duration = Duration::from_mins(1);

/// Pushes remembered since the last trusted settle. Older ones are forgotten, and a settle from before them is not trusted.
pub const PUSH_LOG_MAX: usize = 32;

/// The shop's `Date` has a resolution of one second.
const DATE_RESOLUTION: Duration = Duration::from_secs(1);

/// What the shop would show had it sold nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Epoch of the levels it was proven with.
    pub epoch: Epoch,
    /// The quantity.
    pub quantity: Quantity,
    /// Lowerings that may not have arrived.
    pub slack: Quantity,
    /// Units a person took out of the shop: kept out, whatever the level. Below zero: units a person put in, left there. Less of
    /// it is so by now if some were let go since: [`Base::withheld_after`].
    pub withheld: Quantity,
    /// [`Target::released`] as of then.
    pub released: Quantity,
    /// The shop's own date of the product when it was proven.
    pub dated: Option<Timestamp>,
    /// A push since then was never answered.
    pub doubted: bool,
    /// An edit that the ledger is asked to take over.
    pub adopting: Option<Adopting>,
}

impl Base {
    /// One that was just proven.
    pub const fn proven(epoch: Epoch, quantity: Quantity) -> Self {
        Self {
            epoch,
            quantity,
            slack: Quantity::ZERO,
            withheld: Quantity::ZERO,
            released: Quantity::ZERO,
            dated: None,
            doubted: false,
            adopting: None,
        }
    }

    /// What is still withheld once so much was let go over all time. No more is let go than is withheld, whatever was found
    /// in the shop between the decision and now.
    pub fn withheld_after(&self, released: Quantity) -> Quantity {
        let left = self.withheld - (released - self.released);
        if self.withheld.is_negative() {
            left.min(Quantity::ZERO).max(self.withheld)
        } else {
            left.or_zero().min(self.withheld)
        }
    }

    /// What the shop does not show of its level, as it was set by hand. An edit that nobody decided on stays.
    fn kept_out(&self, target: &Target) -> Quantity {
        let withheld = self.withheld_after(target.released);
        withheld - self.adopting.map_or(Quantity::ZERO, |adopting| adopting.difference)
    }
}

/// A push that was journaled and may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// The difference sent.
    pub delta: Quantity,
    /// When it was journaled, by the hub's clock.
    pub started_at: Timestamp,
}

impl PushRecord {
    /// Whether it had taken effect by then.
    pub(crate) fn is_before(&self, moment: Moment) -> bool {
        self.ended.is_some_and(|ended| ended < moment.shop) && self.hub_ended < moment.hub
    }

    /// Whether it had certainly not begun to take effect by then.
    pub(crate) fn is_after(&self, moment: Moment) -> bool {
        self.ended.is_some()
            && self.started.is_some_and(|started| started > moment.shop)
            && self.hub_started > moment.hub
    }
}

impl Intent {
    /// After this it no longer takes effect.
    pub fn deadline(&self) -> Timestamp {
        self.started_at + CALL_DEADLINE
    }
}

/// A push that was sent, by two clocks: a settle is only trusted if both agree on what came first, so that neither a shop's
/// clock that is set back nor a skew between our own services can prove something false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushRecord {
    /// By the shop's clock: it did not take effect before this; `None` if that is not known.
    pub started: Option<Timestamp>,
    /// By the shop's clock: it did not take effect after this; `None` while that is not known: the push is doubtful.
    pub ended: Option<Timestamp>,
    /// By the hub's clock: when it was journaled.
    pub hub_started: Timestamp,
    /// By the hub's clock: when it was answered, or could no longer take effect.
    pub hub_ended: Timestamp,
    /// The difference sent.
    pub delta: Quantity,
}

/// What to do for a stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the shop shows what it should, or nothing is known of what it should show.
    Nothing,
    /// Send this difference.
    Push(Quantity),
    /// The base is unknown: settle first.
    Settle,
    /// A push is under way or doubtful: wait until then.
    Wait(Timestamp),
    /// The doubtful push can no longer take effect: read what the shop shows.
    ReadBack,
}

/// One stock of one shop, as egress knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StockPush {
    /// What it should come to; `None` before inventory said.
    pub target: Option<Target>,
    /// What it would show had it sold nothing; `None` until a settle proved it.
    pub base: Option<Base>,
    /// The push that is under way.
    pub intent: Option<Intent>,
    /// Until then a doubtful push may still take effect.
    pub doubtful_until: Option<Timestamp>,
    /// Pushes since the last trusted settle, oldest first; at most [`PUSH_LOG_MAX`].
    pub log: Vec<PushRecord>,
    /// End, by the hub's clock, of the newest push that was dropped from the log.
    pub log_floor: Option<Timestamp>,
    /// A push was begun since the last trusted settle: a difference may be ours.
    pub pushed_since_settle: bool,
    /// Number of the last settle that was trusted.
    pub settled: ReadNumber,
}

impl StockPush {
    /// Takes a newer target; `false` if the one known is as new.
    pub fn retarget(&mut self, target: Target) -> bool {
        let newer = self.target.is_none_or(|known| target.is_newer_than(&known));
        if newer {
            self.target = Some(target);
        }
        newer
    }

    /// What the shop shows if every order is known; `None` while the base is unknown.
    pub fn expected(&self) -> Option<Quantity> {
        let target = self.target?;
        Some(self.comparable_base()?.quantity - target.taken_total)
    }

    /// What it is to show until the shop's own orders are taken; `None` before the base is known.
    pub fn goal(&self) -> Option<Quantity> {
        let target = self.target?;
        Some(target.goal(self.comparable_base()?.kept_out(&target)))
    }

    /// What people took out of the shop and is kept out of it; below zero: what they put in and is left there.
    pub fn withheld(&self) -> Option<Quantity> {
        Some(self.comparable_base()?.withheld_after(self.target?.released))
    }

    /// The edit that the ledger is asked to take over, if it has not answered.
    pub fn adopting(&self) -> Option<Adopting> {
        self.comparable_base()?.adopting
    }

    /// The ledger was asked; it is asked again at `again_at` unless it answers.
    pub fn asked_to_adopt(&mut self, again_at: Timestamp) {
        if let Some(adopting) = self.base.as_mut().and_then(|base| base.adopting.as_mut()) {
            adopting.ask_at = again_at;
        }
    }

    /// The ledger has decided on an edit, and the target is what it came to: what it did not take over is treated as if the
    /// shop wanted its ledger to be right. Gives back what is done about it; `None` if it was not asked, or answered before.
    pub fn adopted(&mut self, number: ReadNumber, taken_over: bool) -> Option<DriftAction> {
        let target = self.target?;
        let base = self.base.as_mut().filter(|base| base.epoch == target.epoch)?;
        base.withheld = base.withheld_after(target.released);
        base.released = target.released;
        let adopting = base.adopting.take_if(|adopting| adopting.number <= number)?;
        if taken_over {
            return Some(DriftAction::Adopted);
        }
        if adopting.difference.is_negative() {
            base.withheld += adopting.difference.abs();
            return Some(DriftAction::Withheld);
        }
        base.withheld = (base.withheld - adopting.difference).or_zero();
        Some(DriftAction::Corrected)
    }

    /// Gives up an edit that was found under other levels than the present ones: the ledger no longer answers for it.
    pub fn outdated_adoption(&mut self) -> Option<Adopting> {
        let epoch = self.target?.epoch;
        self.base.as_mut().filter(|base| base.epoch != epoch)?.adopting.take()
    }

    /// What to do at `now`, by the hub's clock.
    pub fn next(&self, now: Timestamp) -> Next {
        let Some(target) = self.target else {
            return Next::Nothing;
        };
        if let Some(intent) = self.intent {
            return Next::Wait(intent.deadline());
        }
        if let Some(until) = self.doubtful_until {
            return if now < until { Next::Wait(until) } else { Next::ReadBack };
        }
        let Some(base) = self.comparable_base() else {
            return Next::Settle;
        };
        let expected = base.quantity - target.taken_total;
        let goal = target.goal(base.kept_out(&target));
        let delta = if goal < expected {
            goal - expected
        } else if goal > expected + base.slack && !target.level.is_negative() {
            goal - expected - base.slack
        } else {
            return Next::Nothing;
        };
        // Raises are rounded down and lowerings away from zero: never more to sell than there is.
        let delta = delta.floor_to(target.step);
        if delta.is_zero() { Next::Nothing } else { Next::Push(delta) }
    }

    /// Journals a push; to be stored before the call is made.
    pub fn begin(&mut self, delta: Quantity, now: Timestamp) -> Intent {
        assert!(self.intent.is_none() && self.doubtful_until.is_none(), "one push per stock in flight");
        assert!(self.comparable_base().is_some(), "nothing is pushed on an unproven base");
        let intent = Intent { delta, started_at: now };
        self.intent = Some(intent);
        self.pushed_since_settle = true;
        intent
    }

    /// The shop did it: answered at `date` by its own clock, after `took`.
    pub fn succeeded(&mut self, date: Timestamp, took: Duration) {
        if let Some(intent) = self.intent.take() {
            self.shift_base(intent.delta);
            self.remember(PushRecord {
                started: Some(date - took - DATE_RESOLUTION),
                ended: Some(date + DATE_RESOLUTION),
                hub_started: intent.started_at,
                hub_ended: intent.started_at + took + DATE_RESOLUTION,
                delta: intent.delta,
            });
        }
    }

    /// The shop certainly did not do it: as far as it goes, nothing was pushed.
    pub fn refused(&mut self) {
        self.intent = None;
        self.pushed_since_settle = !self.log.is_empty();
    }

    /// Nobody knows whether the shop did it: it is taken as done, and read back once it can no longer take effect.
    pub fn uncertain(&mut self) {
        if let Some(intent) = self.intent.take() {
            self.shift_base(intent.delta);
            if let Some(base) = self.base.as_mut() {
                base.doubted = true;
                if intent.delta.is_negative() {
                    base.slack += intent.delta.abs();
                }
            }
            self.doubtful_until = Some(intent.deadline());
            self.remember(PushRecord {
                started: None,
                ended: None,
                hub_started: intent.started_at,
                hub_ended: intent.deadline(),
                delta: intent.delta,
            });
        }
    }

    /// The stock was read after a doubtful push could no longer take effect. `expected` is what [`StockPush::expected`] said
    /// when the read was sent; `date` is the shop's own time of the answer.
    pub fn read_back(&mut self, shown: Quantity, expected: Quantity, date: Timestamp) {
        if self.doubtful_until.take().is_none() {
            return;
        }
        for record in &mut self.log {
            if record.ended.is_none() {
                record.ended = Some(date);
            }
        }
        if let Some(base) = self.base.as_mut() {
            // More than expected, with a lowering in doubt: that much of it is missing, and the ordinary rule sends it again.
            let missing = (shown - expected).or_zero().min(base.slack);
            base.quantity += missing;
            base.slack -= missing;
        }
    }

    /// Whether a sale dated from `first` to `last` by the shop's clock may have fallen inside a push: the shop then lost
    /// its own reduction, and only a settle can tell.
    pub fn sale_inside_push(&self, first: Timestamp, last: Timestamp) -> bool {
        let inside = |push: &PushRecord| {
            push.started.is_none_or(|started| started <= last + DATE_RESOLUTION)
                && push.ended.is_none_or(|ended| first <= ended + DATE_RESOLUTION)
        };
        self.intent.is_some() || self.log.iter().any(inside)
    }

    pub(crate) fn comparable_base(&self) -> Option<Base> {
        let target = self.target?;
        self.base.filter(|base| base.epoch == target.epoch)
    }

    fn shift_base(&mut self, delta: Quantity) {
        if let Some(base) = self.base.as_mut() {
            base.quantity += delta;
        }
    }

    fn remember(&mut self, record: PushRecord) {
        self.log.push(record);
        if self.log.len() > PUSH_LOG_MAX {
            let dropped = self.log.remove(0);
            self.log_floor = self.log_floor.max(Some(dropped.hub_ended));
        }
    }
}

#[cfg(test)]
mod tests;
