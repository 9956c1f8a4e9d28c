//! What a shop sells and what changes of it, with the fewest calls that carry it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use store::Shop;
use testkit::fake_shop::FakeShop;
use testkit::shop::{Change, NewProduct, NewVariation};
use values::{HolderId, ProductId};

/// Most stocks of one call.
const BATCH: usize = 100;
/// Of a hundred stocks, those that are variations.
const VARIATIONS_PERCENT: usize = 30;
/// Variations of each product that has them.
const VARIATIONS: usize = 8;
/// Of so many stocks, one sold something itself each round: that must cost no call.
const OWN_SALE_EVERY: usize = 3;
/// What every stock shows in the beginning.
const FIRST: i64 = 1_000_000;

/// One stock.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) holder: HolderId,
    pub(crate) parent: Option<ProductId>,
    /// What the shop is to show.
    pub(crate) shown: i64,
    /// What its own orders have taken.
    pub(crate) taken: i64,
    /// Of its newest level.
    pub(crate) revision: u64,
}

/// A shop and its stocks.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) shop: Shop,
    pub(crate) fake: FakeShop,
    pub(crate) lines: Vec<Line>,
}

/// Puts stocks into a fake shop.
pub(crate) fn fill(fake: &FakeShop, stocks: usize) -> Vec<Line> {
    fake.with_model(|model, now| {
        let mut lines = Vec::with_capacity(stocks);
        let line = |holder, parent| Line { holder, parent, shown: FIRST, taken: 0, revision: 0 };
        while lines.len() < stocks * VARIATIONS_PERCENT / 100 {
            let parent = model.add_product(NewProduct::variable(None, None), now);
            for _ in 0..VARIATIONS {
                let variation = NewVariation::with_stock(None, FIRST);
                lines.push(line(model.add_variation(parent, variation, now).into(), Some(parent)));
            }
        }
        while lines.len() < stocks {
            lines.push(line(model.add_product(NewProduct::simple(None, FIRST), now).into(), None));
        }
        lines
    })
}

impl Shelf {
    /// Changes every stock, some by a sale of the shop's own; gives back the fewest calls that the others need.
    pub(crate) fn change(&mut self, round: usize) -> usize {
        let mut pushed = BTreeSet::new();
        for (place, line) in self.lines.iter_mut().enumerate() {
            line.shown -= 1;
            if (place + round).is_multiple_of(OWN_SALE_EVERY) {
                line.taken += 1;
                let (holder, quantity) = (line.holder, line.shown);
                self.fake.with_model(|model, now| {
                    model.run(Change::SetStockSilently { holder, quantity }, now).ok()
                });
            } else {
                pushed.insert(place);
            }
        }
        self.calls_min(&pushed)
    }

    /// Lowers the stocks at these places by one.
    pub(crate) fn lower(&mut self, places: &BTreeSet<usize>) -> usize {
        for place in places {
            if let Some(line) = self.lines.get_mut(*place) {
                line.shown -= 1;
            }
        }
        self.calls_min(places)
    }

    /// A call carries stocks of one parent, or products.
    fn calls_min(&self, places: &BTreeSet<usize>) -> usize {
        let mut counts = BTreeMap::<Option<ProductId>, usize>::new();
        for line in places.iter().filter_map(|place| self.lines.get(*place)) {
            *counts.entry(line.parent).or_default() += 1;
        }
        counts.values().map(|count| count.div_ceil(BATCH)).sum()
    }

    /// Every stock shows what it is to show.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for line in &self.lines {
            let shown = self.fake.with_model(|model, _| model.stock(line.holder));
            ensure!(
                shown == Some(line.shown),
                "drift: stock {} shows {shown:?}, not {}",
                line.holder,
                line.shown
            );
        }
        Ok(())
    }
}
