//! What inventory says a stock should come to.

use values::{Epoch, Quantity, Revision, Step};

/// The newest level of one stock, as inventory published it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Versions of different epochs are not comparable, and a base of another epoch proves nothing.
    pub epoch: Epoch,
    /// Grows within the epoch.
    pub revision: Revision,
    /// What the shop should show; below zero when more is promised than there is.
    pub level: Quantity,
    /// What the shop's own orders have yet to take: not to be taken from it by us as well.
    pub untaken: Quantity,
    /// What all known orders of the shop have taken from this stock.
    pub taken_total: Quantity,
    /// The smallest amount the stock can show.
    pub step: Step,
    /// All that people have let go, over all time, of what was kept out of the shop; below zero: of what was left in it.
    pub released: Quantity,
}

impl Target {
    /// Whether it replaces `known`.
    pub fn is_newer_than(&self, known: &Self) -> bool {
        (self.epoch, self.revision) > (known.epoch, known.revision)
    }

    /// What the shop is to show until its own orders are taken, if so much of its level is kept out of it; below zero: so
    /// much is left in it beyond its level, of which the shop has sold what its level is short of.
    pub fn goal(&self, kept_out: Quantity) -> Quantity {
        ((self.level - kept_out).or_zero() + self.untaken).floor_to(self.step)
    }
}
