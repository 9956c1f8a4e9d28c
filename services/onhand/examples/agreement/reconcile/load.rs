//! What goes on in the shop while it is compared: orders, and how long onhand takes to answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testkit::fake_shop::FakeShop;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::goods::{Goods, Kind};
use crate::running::Onhand;

/// Between two orders of one good; another good each time.
const ORDER_EVERY: Duration = Duration::from_millis(200);
/// Each of the busy goods sells once in this time, so that it is never quiet for the half minute that a proof takes.
const BUSY_EVERY: Duration = Duration::from_secs(10);
/// Busy goods in an order.
const BUSY_TOGETHER: usize = 10;
/// Between two questions to onhand, each asked when it is due.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A part of all answers, in hundredths.
const MOST: usize = 99;

/// Sells one unit of each of the goods that nothing is done to, one after the other, and all the time the busy ones, until
/// told to stop. Gives the orders that were made.
pub(crate) async fn sell(shop: &FakeShop, goods: &mut Goods, over: &AtomicBool) -> anyhow::Result<usize> {
    let numbers = |wanted: Option<Kind>| -> Vec<usize> {
        (0..goods.0.len())
            .filter(|number| goods.0.get(*number).is_some_and(|good| good.kind == wanted))
            .collect()
    };
    let (quiet, busy) = (numbers(None), numbers(Some(Kind::Busy)));
    let (mut quiet, mut orders) = (quiet.into_iter().cycle(), 0);
    let mut ticks = interval(ORDER_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut busy_at = Instant::now();
    while !over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let mut bought: Vec<Vec<usize>> = vec![quiet.next().into_iter().collect()];
        if busy_at <= Instant::now() {
            busy_at += BUSY_EVERY;
            bought.extend(busy.chunks(BUSY_TOGETHER).map(<[usize]>::to_vec));
        }
        for numbers in bought {
            buy(shop, goods, &numbers).await?;
            orders += 1;
        }
    }
    Ok(orders)
}

async fn buy(shop: &FakeShop, goods: &mut Goods, numbers: &[usize]) -> anyhow::Result<()> {
    let mut lines: Vec<NewLine> = Vec::with_capacity(numbers.len());
    for number in numbers {
        if let Some(good) = goods.0.get_mut(*number) {
            good.sold += 1;
            lines.push(good.line());
        }
    }
    shop.act(Change::CreateOrder(NewOrder::by_rest(Status::Processing, lines))).await?;
    Ok(())
}

/// Asks onhand something a shop's people ask, again and again until told to stop; how long each answer took from when it was
/// due.
pub(crate) async fn ask(onhand: &Onhand, sku: &str, over: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    let mut due = Instant::now();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep_until(due).await;
        onhand.explain(sku).await?;
        took.push(due.elapsed());
        due += ASK_EVERY;
    }
    Ok(took)
}

/// 99 of a hundred are not longer than this, in milliseconds.
pub(crate) fn most(mut took: Vec<Duration>) -> f64 {
    took.sort_unstable();
    let index = (took.len() * MOST / 100).min(took.len().saturating_sub(1));
    took.get(index).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
}
