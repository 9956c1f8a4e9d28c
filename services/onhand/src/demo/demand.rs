//! How much buyers will want, so that there are goods enough for them at any pace, though not for ever.
//!
//! Shelves are filled with what is expected to be sold, a little more of one good and a little less of another, and
//! what comes in later keeps up with what is sold: best sellers run low now and then. Each shop keeps back a buffer,
//! as the README advises: what the best seller sells while a sale in one shop is not yet known in the others.

use std::time::Duration;

use super::Plan;
use super::buyers::{RECEIPT_PERCENT, UNITS_A_LINE_MAX, UNITS_AN_ORDER};

/// How long a shop may go on selling what was sold in another: until it is heard of (a poll of the demo, should the
/// webhook be lost), has waited for others to join the call, and was pushed.
pub(super) const LAG: Duration = Duration::from_secs(5);
/// No more than what is sold in this time lies on the shelves at the start; the rest comes in.
const STOCKED_MAX: Duration = Duration::from_mins(1);
/// Of what is expected to be sold from the shelves, how many hundredths lie there at the start.
const STOCKED_PERCENT: (i64, i64) = (60, 130);
/// Units of each good in each warehouse at least.
const UNITS_LEAST: (i64, i64) = (4, 10);
/// Of a hundred units sold, how many come in at least, however full the shelves were.
const RECEIVED_PERCENT_MIN: i64 = 20;

/// What buyers are expected to want.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    orders_per_second: u32,
    goods: u32,
    lasts: Duration,
}

impl Demand {
    pub(super) fn of(plan: &Plan) -> Self {
        Self { orders_per_second: plan.orders_per_second, goods: plan.skus, lasts: plan.lasts }
    }

    /// Units of a good that all shops together sell in a time, rounded up. Carts prefer the first goods: the lower of
    /// two numbers is taken, so the good after `before` others is hit 2 × (goods − before) − 1 times in goods².
    fn units(self, before: usize, time: Duration) -> i64 {
        let goods = u128::from(self.goods);
        let before = u128::try_from(before).unwrap_or(goods).min(goods - 1);
        let hits = 2 * (goods - before) - 1;
        let all = u128::from(self.orders_per_second) * u128::from(UNITS_AN_ORDER) * time.as_millis();
        i64::try_from((all * hits).div_ceil(goods * goods * MILLIS)).unwrap_or(i64::MAX)
    }

    /// What the best seller sells within the lag, and one line of a cart more: with as much kept back in each shop, no two
    /// sell the same last units.
    pub(super) fn sold_unheard(self) -> i64 {
        self.units(0, LAG) + UNITS_A_LINE_MAX
    }

    /// Bounds of what lies in each of `warehouses` at the start, beside what shops keep back.
    pub(super) fn stocked(self, before: usize, warehouses: usize) -> (i64, i64) {
        let sold = self.units(before, self.lasts.min(STOCKED_MAX));
        let parts = 100 * i64::try_from(warehouses).unwrap_or(1).max(1);
        let share = |least: i64, percent: i64| least + sold.saturating_mul(percent) / parts;
        (share(UNITS_LEAST.0, STOCKED_PERCENT.0), share(UNITS_LEAST.1, STOCKED_PERCENT.1))
    }

    /// Bounds of what one receipt brings.
    pub(super) fn received(self) -> (i64, i64) {
        let (all, stocked) = (self.lasts.as_millis(), self.lasts.min(STOCKED_MAX).as_millis());
        let from_shelves =
            (100 - RECEIVED_PERCENT_MIN) * i64::try_from(100 * stocked / all.max(1)).unwrap_or(100);
        let percent = 100 - from_shelves / 100;
        // Of so many orders one is followed by a receipt, of some good as often as that good is bought.
        let receipts = i64::try_from(RECEIPT_PERCENT).unwrap_or(100);
        let mean = i64::from(UNITS_AN_ORDER) * percent / receipts;
        (1, (2 * mean - 1).max(1))
    }
}

const MILLIS: u128 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(orders_per_second: u32, goods: u32, seconds: u64) -> Demand {
        Demand { orders_per_second, goods, lasts: Duration::from_secs(seconds) }
    }

    #[test]
    fn what_is_sold_of_all_goods_is_what_is_ordered() {
        let demand = demand(100, 200, 60);
        let all: i64 = (0..200).map(|before| demand.units(before, demand.lasts)).sum();
        // Each is rounded up.
        assert!((24_000..24_200).contains(&all), "{all}");
        assert_eq!((demand.units(0, demand.lasts), demand.units(199, demand.lasts)), (240, 1));
    }

    #[test]
    fn the_buffer_is_what_the_best_seller_sells_within_the_lag() {
        for (orders_per_second, goods, units) in
            [(25, 200, 8), (100, 200, 23), (50, 1_000, 5), (1_000, 1, 20_003)]
        {
            assert_eq!(
                demand(orders_per_second, goods, 60).sold_unheard(),
                units,
                "{orders_per_second} {goods}"
            );
        }
    }

    #[test]
    fn what_is_stocked_and_received_keeps_up_with_what_is_sold() {
        for seconds in [5, 60, 600, 86_400] {
            let demand = demand(100, 200, seconds);
            let mean = |(least, most): (i64, i64)| i64::midpoint(least, most);
            let stocked: i64 = (0..200).map(|before| 2 * mean(demand.stocked(before, 2))).sum();
            let orders = i64::try_from(100 * seconds).unwrap();
            let received = orders * 4 / 100 * mean(demand.received());
            let sold = orders * i64::from(UNITS_AN_ORDER);
            let (least, most) = (sold * 95 / 100, sold * 120 / 100 + 200 * 2 * 7);
            assert!(
                (least..most).contains(&(stocked + received)),
                "{seconds}: {stocked} + {received} of {sold}"
            );
        }
    }
}
