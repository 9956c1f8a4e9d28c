//! Why more was sold than there was, or why it was not.

use std::collections::BTreeSet;

use store::{PAGE_ROWS_MAX, PushRow};
use values::{Sku, StockId};

use super::buyers::Tally;
use super::demand::{Demand, LAG};
use super::oracle::Truth;
use super::world::World;
use super::{DemoError, Plan};

/// Units sold beyond what there was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Oversold {
    pub(super) units: i64,
    /// Of those, units of goods about which a call to a shop got no answer: for a minute the shop is told nothing more.
    pub(super) unanswered: i64,
}

impl Oversold {
    /// To be looked at when the buyers have just gone: what got no answer is forgotten once it is proven.
    pub(super) async fn of(world: &World, tally: &Tally) -> Result<Self, DemoError> {
        let truth = Truth::of(world, &tally.received());
        let short: BTreeSet<&Sku> =
            truth.available.iter().filter(|(_, available)| **available < 0).map(|(sku, _)| sku).collect();
        let mut unanswered: BTreeSet<&Sku> = BTreeSet::new();
        for shop in &world.shops {
            let goods = shop.goods.iter().zip(&world.skus).filter(|(_, sku)| short.contains(sku));
            let (stocks, skus): (Vec<StockId>, Vec<&Sku>) =
                goods.map(|(good, sku)| (StockId { shop: shop.id, holder: good.holder() }, sku)).unzip();
            let page = usize::try_from(PAGE_ROWS_MAX).unwrap_or(usize::MAX);
            for (stocks, skus) in stocks.chunks(page).zip(skus.chunks(page)) {
                for row in world.hub.store.pushes(stocks).await?.iter().filter(|row| was_unanswered(row)) {
                    let place = stocks.iter().position(|stock| *stock == row.id);
                    unanswered.extend(place.and_then(|place| skus.get(place).copied()));
                }
            }
        }
        let beyond = |sku: &Sku| truth.available.get(sku).map_or(0, |available| (-available).max(0));
        Ok(Self { units: truth.oversold(), unanswered: unanswered.into_iter().map(beyond).sum() })
    }

    /// In one sentence.
    pub(super) fn because(self, plan: &Plan) -> String {
        let (kept_back, unheard) = (plan.buffer, Demand::of(plan).sold_unheard());
        let window = format!("up to {unheard} units of the best seller are sold in the {} s", LAG.as_secs());
        let window = format!("{window} until every shop knows of a sale");
        match (self.units, kept_back >= unheard) {
            (0, true) => format!("{window}, and each shop kept {kept_back} of each good back"),
            (0, false) => {
                format!("no two shops sold the same last units, though only {kept_back} were kept back")
            }
            (_, false) => format!("{window}, and only {kept_back} were kept back"),
            (units, true) => format!(
                "each shop kept {kept_back} of each good back, which covers {} s, but {} units are of goods for which \
                 some push got no answer, so that a shop was told nothing for a minute, and {} of goods that sold \
                 faster or were told later",
                LAG.as_secs(),
                self.unanswered,
                units - self.unanswered
            ),
        }
    }
}

/// When a push of an answer that was lost began, by the shop's clock, is never known.
fn was_unanswered(row: &PushRow) -> bool {
    row.push.doubtful_until.is_some() || row.push.log.iter().any(|push| push.started.is_none())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_outcome_has_its_sentence() {
        let plan = |buffer| Plan {
            lasts: Duration::from_mins(1),
            orders_per_second: 100,
            skus: 200,
            shops: 2,
            seed: 1,
            webhooks: true,
            buffer,
        };
        for (units, unanswered, buffer, words) in [
            (0, 0, 23, "until every shop knows of a sale, and each shop kept 23"),
            (0, 0, 0, "though only 0 were kept back"),
            (40, 0, 2, "and only 2 were kept back"),
            (40, 30, 23, "30 units are of goods for which some push got no answer"),
            (40, 30, 23, "and 10 of goods that sold faster"),
        ] {
            let told = Oversold { units, unanswered }.because(&plan(buffer));
            assert!(told.contains(words), "{told}");
        }
    }
}
