//! Settles under way: stocks were read, and wait until every order of that time can be read too.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use connector::{Shown, StockRef};
use proto::StockShown;
use store::SettleJob;
use values::{Moment, ReadNumber, ShopId, StockId, Timestamp};

/// Most batches that wait; each has at most as many stocks as one read takes. As many as the reads that a shop is called for in
/// the time that a proof waits, as the settings are at first (280 a minute, 32 s): fewer would be what a large shop waits for.
pub(crate) const BATCHES_MAX: usize = 160;
/// While there is no room, one read of orders serves so many of them.
const PROVEN_TOGETHER: usize = BATCHES_MAX / 4;

/// What stocks were read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Jobs that were due.
    Settle,
    /// A comparison of the whole shop, which keeps its own account.
    Run {
        /// It is to change nothing.
        dry_run: bool,
    },
}

/// One read of stocks.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) number: ReadNumber,
    /// The stocks were not read before this.
    pub(crate) asked: Moment,
    /// Nor after this.
    pub(crate) answered: Moment,
    /// What each showed, and when the shop saved its product last.
    pub(crate) stocks: Vec<(SettleJob, Shown, Option<Timestamp>)>,
    /// Orders may be read for it from then on.
    pub(crate) ready_at: Instant,
    pub(crate) purpose: Purpose,
}

impl Batch {
    /// Whether an order read of that shop time can prove it: a clock that went back in between cannot.
    pub(crate) fn is_proven_by(&self, date: Timestamp) -> bool {
        date >= self.asked.shop
    }

    /// What the stocks showed. Those that show nonsense prove nothing and are left out.
    pub(crate) fn shown(&self, shop: ShopId, orders_read_to: Timestamp) -> Vec<StockShown> {
        let message = |(job, shown, modified_at): &(SettleJob, Shown, Option<Timestamp>)| {
            let shown = match shown {
                Shown::Quantity(quantity) => Some(*quantity),
                Shown::Unmanaged | Shown::AtParent | Shown::Gone => None,
                Shown::Unusable => return None,
            };
            Some(StockShown {
                shop,
                holder: job.want.stock.holder,
                shown,
                number: self.number,
                asked: self.asked,
                answered: self.answered,
                orders_read_to,
                modified_at: *modified_at,
                dry_run: self.purpose == Purpose::Run { dry_run: true },
            })
        };
        self.stocks.iter().filter_map(message).collect()
    }

    /// The jobs that are done with it, and those of stocks that showed nonsense.
    pub(crate) fn jobs(&self) -> (Vec<SettleJob>, Vec<SettleJob>) {
        let (mut done, mut unusable) = (Vec::new(), Vec::new());
        for (job, shown, _) in &self.stocks {
            if *shown == Shown::Unusable { &mut unusable } else { &mut done }.push(job.clone());
        }
        (done, unusable)
    }

    /// The catalogue says something else than the shop does: it is to be read again.
    pub(crate) fn contradicts_catalogue(&self) -> bool {
        let takes_over = self.purpose != Purpose::Run { dry_run: true };
        let contradicts = |shown: &Shown| matches!(shown, Shown::Unmanaged | Shown::AtParent | Shown::Gone);
        takes_over && self.stocks.iter().any(|(_, shown, _)| contradicts(shown))
    }
}

/// The batches that wait, the oldest first, and what is to be read next.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    batches: VecDeque<Batch>,
    held: BTreeSet<StockId>,
    due: VecDeque<(SettleJob, StockRef)>,
}

impl Settling {
    pub(crate) fn has_room(&self) -> bool {
        self.batches.len() < BATCHES_MAX
    }

    /// How many stocks wait.
    pub(crate) fn stocks(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn add(&mut self, batch: Batch) {
        if batch.purpose == Purpose::Settle {
            self.held.extend(batch.stocks.iter().map(|(job, ..)| job.want.stock));
        }
        self.batches.push_back(batch);
    }

    /// When orders are to be read for those that wait: once the oldest is ready, but `gathers` later while more are being
    /// read or there is no room for more, so that one read of orders serves many.
    pub(crate) fn proof_due(&self, reading: bool, gathers: Duration) -> Option<Instant> {
        let oldest = self.batches.front()?.ready_at;
        Some(match self.batches.get(PROVEN_TOGETHER) {
            Some(batch) if !self.has_room() => batch.ready_at.min(oldest + gathers),
            _ if reading => oldest + gathers,
            _ => oldest,
        })
    }

    /// Nothing is known to be due.
    pub(crate) fn needs_due(&self) -> bool {
        self.due.is_empty()
    }

    /// What is due, but for what was read already and waits.
    pub(crate) fn set_due(&mut self, due: impl Iterator<Item = (SettleJob, StockRef)>) {
        self.due = due.filter(|(job, _)| !self.held.contains(&job.want.stock)).collect();
    }

    /// What is due, as much as one read takes, the oldest first. Products and variations are different calls.
    pub(crate) fn take_due(&mut self, together: usize) -> Vec<(SettleJob, StockRef)> {
        let Some(variations) = self.due.front().map(|(_, stock)| stock.parent.is_some()) else {
            return Vec::new();
        };
        let (mut taken, mut left) = (Vec::with_capacity(together), VecDeque::new());
        for due in std::mem::take(&mut self.due) {
            let fits = taken.len() < together && due.1.parent.is_some() == variations;
            if fits { taken.push(due) } else { left.push_back(due) }
        }
        self.due = left;
        taken
    }

    /// Those that are ready; hand them to [`Settling::forget`] when they are done with.
    pub(crate) fn ready(&self, now: Instant) -> Vec<Batch> {
        self.batches.iter().take_while(|batch| batch.ready_at <= now).cloned().collect()
    }

    pub(crate) fn forget(&mut self, count: usize) {
        // Some of it may have sold since it was found due.
        self.due.clear();
        for batch in self.batches.drain(..count.min(self.batches.len())) {
            let stocks = batch.stocks.iter().filter(|_| batch.purpose == Purpose::Settle);
            for (job, ..) in stocks {
                self.held.remove(&job.want.stock);
            }
        }
    }
}

/// A moment and the one before it, by both clocks, from what a reply says about time. A `Date` has whole seconds and is
/// that of the first of `calls` replies, so the end is taken late enough for all of them.
pub(crate) fn moments(
    shop_time: Timestamp,
    took: Duration,
    calls: u32,
    hub_now: Timestamp,
) -> (Moment, Moment) {
    const SECOND: Duration = Duration::from_secs(1);
    let later = if calls > 1 { took } else { Duration::ZERO };
    (
        Moment { shop: shop_time - took, hub: hub_now - took },
        Moment { shop: shop_time + SECOND + later, hub: hub_now },
    )
}

#[cfg(test)]
mod tests {
    use store::SettleWanted;
    use values::{HolderId, ProductId, Quantity};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn shop() -> ShopId {
        ShopId::new(1).unwrap()
    }

    fn job(holder: i64) -> SettleJob {
        let stock = StockId { shop: shop(), holder: HolderId::new(holder).unwrap() };
        SettleJob { want: SettleWanted { stock, why: String::new(), due_at: at(0) }, wanted: 1 }
    }

    fn batch(ready_at: Instant, stocks: &[(i64, Shown)]) -> Batch {
        let (asked, answered) = moments(at(100), Duration::from_secs(2), 1, at(700));
        Batch {
            number: ReadNumber::new(4),
            asked,
            answered,
            stocks: stocks.iter().map(|(holder, shown)| (job(*holder), *shown, Some(at(*holder)))).collect(),
            ready_at,
            purpose: Purpose::Settle,
        }
    }

    #[test]
    fn batches_wait_their_time_and_keep_their_stocks() {
        let start = Instant::now();
        let later = start + Duration::from_secs(32);
        let mut settling = Settling::default();
        let ten = Shown::Quantity(Quantity::from_units(10));
        settling.add(batch(start, &[(1, ten), (2, ten)]));
        settling.add(batch(later, &[(3, ten)]));
        assert_eq!((settling.ready(start).len(), settling.ready(later).len()), (1, 2));
        let due = |settling: &mut Settling| {
            settling.set_due([due(2, None), due(3, None)].into_iter());
            holders(&settling.take_due(10))
        };
        assert_eq!((settling.stocks(), due(&mut settling)), (3, vec![]));
        settling.forget(1);
        assert_eq!((settling.stocks(), due(&mut settling)), (1, vec![2]));
    }

    fn due(holder: i64, parent: Option<i64>) -> (SettleJob, StockRef) {
        let job = job(holder);
        let holder = job.want.stock.holder;
        (job, StockRef { holder, parent: parent.and_then(ProductId::new) })
    }

    fn holders(due: &[(SettleJob, StockRef)]) -> Vec<i64> {
        due.iter().map(|(_, stock)| stock.holder.get()).collect()
    }

    #[test]
    fn products_and_variations_are_read_apart_and_in_few_calls() {
        let mut settling = Settling::default();
        let all = [due(1, None), due(2, Some(9)), due(3, None), due(4, Some(9)), due(5, None)];
        settling.set_due(all.into_iter());
        let calls = [(); 4].map(|()| holders(&settling.take_due(2)));
        assert_eq!(calls, [vec![1, 3], vec![2, 4], vec![5], vec![]]);
        assert!(settling.needs_due());
    }

    #[test]
    fn one_read_of_orders_serves_many_batches() {
        let (start, second, gathers) = (Instant::now(), Duration::from_secs(1), Duration::from_secs(16));
        let mut settling = Settling::default();
        assert_eq!(settling.proof_due(true, gathers), None);
        settling.add(batch(start, &[]));
        assert_eq!(settling.proof_due(false, gathers), Some(start));
        assert_eq!(settling.proof_due(true, gathers), Some(start + gathers));
        // Without room nothing more is read, so it is no use to wait for long.
        let together = second * u32::try_from(PROVEN_TOGETHER).unwrap();
        for _ in 1..=PROVEN_TOGETHER {
            settling.add(batch(start + Duration::from_millis(10), &[]));
        }
        while settling.has_room() {
            settling.add(batch(start + together, &[]));
        }
        for reading in [false, true] {
            assert_eq!(settling.proof_due(reading, gathers), Some(start + Duration::from_millis(10)));
        }
    }

    #[test]
    fn what_is_shown_and_what_is_nonsense() {
        let batch = batch(
            Instant::now(),
            &[(1, Shown::Quantity(Quantity::from_units(-3))), (2, Shown::AtParent), (3, Shown::Unusable)],
        );
        let shown: Vec<_> = batch
            .shown(shop(), at(130))
            .into_iter()
            .map(|message| (message.holder.get(), message.shown, message.modified_at))
            .collect();
        assert_eq!(shown, [(1, Some(Quantity::from_units(-3)), Some(at(1))), (2, None, Some(at(2)))]);
        let (done, unusable) = batch.jobs();
        assert_eq!((done.len(), unusable.len()), (2, 1));
        assert!(batch.contradicts_catalogue());
    }

    #[test]
    fn a_clock_that_went_back_proves_nothing() {
        let batch = batch(Instant::now(), &[]);
        assert_eq!(batch.asked, Moment { shop: at(98), hub: at(698) });
        assert_eq!(batch.answered, Moment { shop: at(101), hub: at(700) });
        assert!(batch.is_proven_by(at(98)));
        assert!(!batch.is_proven_by(at(97)));
    }
}
