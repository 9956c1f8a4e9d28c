//! Chance, decided by a seed.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A stream of chance; the same seed gives the same stream.
#[derive(Debug, Clone)]
pub(super) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number from 0 to `below` − 1; 0 if `below` is 0.
    pub(super) fn below(&mut self, below: usize) -> usize {
        let below = u64::try_from(below).unwrap_or(u64::MAX);
        usize::try_from(self.0.next_u64().checked_rem(below).unwrap_or(0)).unwrap_or(0)
    }

    /// As [`Dice::below`], low numbers more often: some goods sell better than others.
    pub(super) fn below_skewed(&mut self, below: usize) -> usize {
        let (one, other) = (self.below(below), self.below(below));
        one.min(other)
    }

    /// A number of units from `low` to `high`, both included.
    pub(super) fn units(&mut self, low: i64, high: i64) -> i64 {
        let span = usize::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.below(span)).unwrap_or(0)
    }

    /// Whether something with a chance of `percent` happens.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of some things.
    pub(super) fn pick<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len()))
    }

    /// As [`Dice::pick`], the first ones more often.
    pub(super) fn pick_skewed<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below_skewed(things.len()))
    }

    /// Another stream that this one decides.
    pub(super) fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }
}
