//! Counts what there is in the shop and in onhand, once a day and after each reading of the catalogue.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use store::{DayCount, HubCount, StockSum};
use values::Timestamp;

use super::{ReadError, Reader};
use crate::Connect;

/// Most statuses that are counted, each by a call.
const STATUSES_MAX: usize = 40;
/// How long a count waits for stocks that are being compared, since what is not proven yet is not counted.
const PROOFS_PATIENCE: Duration = Duration::from_mins(10);
/// How long it waits for what was read last to arrive.
const ARRIVAL: Duration = Duration::from_secs(2);
const DAY_SECONDS: i64 = 86_400;

/// What is remembered between counts.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// The catalogue as this reader read it, if it was not counted since.
    pub(super) catalogue: Option<StockSum>,
    /// The day that was counted last, or was found to be counted.
    day: Option<i64>,
    /// Since when a count is due.
    due_since: Option<Instant>,
}

/// A count under way: a call for each status.
#[derive(Debug, Clone)]
pub(super) struct Count {
    day: i64,
    hub: HubCount,
    left: VecDeque<String>,
    shop_orders: BTreeMap<String, u64>,
}

impl<C: Connect> Reader<C> {
    /// Whether this day was not counted yet, or the catalogue was read since, as far as is known.
    pub(super) fn count_is_due(&mut self) -> bool {
        let is_counted = self.counting.day == Some(day_of(self.now()));
        if is_counted && self.counting.catalogue.is_none() {
            self.counting.due_since = None;
            return false;
        }
        let is_proving = self.looks.settles || self.settling.stocks() > 0;
        let wait = if is_proving { PROOFS_PATIENCE } else { ARRIVAL };
        self.counting.due_since.get_or_insert_with(Instant::now).elapsed() >= wait
    }

    /// Begins a count or asks for one more status; what is left of it.
    pub(super) async fn step_count(&mut self, count: Option<Count>) -> Result<Option<Count>, ReadError> {
        let Some(mut count) = count else { return self.begin_count().await };
        if let Some(status) = count.left.front() {
            let orders = self.order_count(status).await?.value;
            if let Some(status) = count.left.pop_front() {
                count.shop_orders.extend(orders.map(|orders| (status, orders)));
            }
        }
        if !count.left.is_empty() {
            return Ok(Some(count));
        }
        let Count { day, hub, shop_orders, .. } = count;
        let shop_stocks = self.counting.catalogue;
        let counted = DayCount { shop: self.id, day, at: self.now(), shop_orders, shop_stocks, hub };
        self.shared.store.save_count(&counted).await?;
        self.counting = Counting { day: Some(day), ..Counting::default() };
        Ok(None)
    }

    /// Nothing, if the day is counted and the catalogue was not read since.
    async fn begin_count(&mut self) -> Result<Option<Count>, ReadError> {
        let (store, day) = (&self.shared.store, day_of(self.now()));
        if self.counting.catalogue.is_none() && !store.day_counts(self.id, day, 1).await?.is_empty() {
            self.counting.day = Some(day);
            return Ok(None);
        }
        let hub = store.hub_count(self.id).await?;
        let shop = self.shop.borrow();
        let known = shop.settings.statuses.iter().map(|(status, _)| status);
        let known: BTreeSet<&str> = known.chain(hub.orders.keys().map(String::as_str)).collect();
        let left = known.into_iter().take(STATUSES_MAX).map(str::to_owned).collect();
        Ok(Some(Count { day, left, shop_orders: BTreeMap::new(), hub }))
    }
}

/// Days since 1970, UTC.
fn day_of(at: Timestamp) -> i64 {
    at.seconds().div_euclid(DAY_SECONDS)
}
