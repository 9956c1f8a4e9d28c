//! What happens to an order after it was made: paid, shipped, cancelled, edited, refunded, thrown away.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use testkit::shop::{Change, LineView, OrderView, Status};

use super::{Changeable, Open, Tally, count, keep, lock};
use crate::demo::DemoError;
use crate::demo::dice::Dice;
use crate::demo::world::World;

/// Of a hundred refunds, how many put back more units than the line has left, and at most so many more.
const BEYOND_PERCENT: usize = 5;
const BEYOND_UNITS_MAX: i64 = 2;

/// Changes one of a shop's recent orders. Nobody else changes it meanwhile: it is off the list until it is done.
pub(super) async fn change(
    world: Arc<World>,
    shop: usize,
    mut dice: Dice,
    open: Open,
    tally: Arc<Tally>,
) -> Result<(), DemoError> {
    let (Some(at), Some(orders)) = (world.shops.get(shop), open.get(shop)) else { return Ok(()) };
    let taken = {
        let mut orders = lock(orders);
        let index = dice.below(orders.len());
        orders.remove(index)
    };
    let Some(Changeable { order }) = taken else { return Ok(()) };
    let view = |world: &World| {
        world.shops.get(shop).and_then(|shop| shop.fake.with_model(|model, _| model.order(order)))
    };
    let Some(before) = view(&world) else { return Ok(()) };
    if let Some((change, counter)) = choose(&before, &tally, &mut dice) {
        let beyond = is_beyond(&before, &change);
        // A shop may refuse, as when there is no money left to refund; then nothing happened.
        if at.fake.act(change).await.is_ok() {
            count(counter);
            if beyond {
                count(&tally.refunded_beyond);
            }
        }
    }
    if view(&world).is_some_and(|after| may_be_changed(after.status)) {
        keep(&open, shop, Changeable { order });
    }
    Ok(())
}

fn may_be_changed(status: Status) -> bool {
    matches!(status, Status::Pending | Status::OnHold | Status::Processing | Status::Completed)
}

fn choose<'a>(order: &OrderView, tally: &'a Tally, dice: &mut Dice) -> Option<(Change, &'a AtomicU64)> {
    let id = order.id;
    let status = |status| Change::SetStatus { order: id, status };
    let chance = dice.below(100);
    match order.status {
        Status::Pending if chance < 70 => Some((Change::PaymentComplete(id), &tally.paid)),
        Status::Pending => Some((status(Status::Cancelled), &tally.cancelled)),
        Status::OnHold if chance < 60 => Some((status(Status::Processing), &tally.paid)),
        Status::OnHold if chance < 85 => Some((status(Status::Cancelled), &tally.cancelled)),
        Status::Processing if chance < 40 => Some((status(Status::Completed), &tally.completed)),
        Status::Processing if chance < 55 => Some((status(Status::Cancelled), &tally.cancelled)),
        Status::Processing if chance < 80 => Some((refund(order, dice)?, &tally.refunded)),
        Status::Processing if chance < 85 => Some((Change::Trash(id), &tally.trashed)),
        Status::Completed if chance < 40 => Some((refund(order, dice)?, &tally.refunded)),
        Status::OnHold | Status::Processing => Some((edit(order, dice)?, &tally.edited)),
        _ => None,
    }
}

/// Some units of one line, back on the shelf or not. Now and then more than the line has left, for no money: a shop does
/// not ask whether so many were ever sold.
fn refund(order: &OrderView, dice: &mut Dice) -> Option<Change> {
    let line = dice.pick(&order.lines)?;
    let left = line.quantity - refunded(order, line);
    if dice.chance(BEYOND_PERCENT) {
        let lines = vec![(line.id, left.max(0) + dice.units(1, BEYOND_UNITS_MAX))];
        return Some(Change::Refund { order: order.id, lines, amount: Some(0), restock: true });
    }
    if left < 1 {
        return None;
    }
    let lines = vec![(line.id, dice.units(1, left))];
    Some(Change::Refund { order: order.id, lines, amount: None, restock: dice.chance(60) })
}

/// Whether it puts back more of a line than the shop took for it.
fn is_beyond(order: &OrderView, change: &Change) -> bool {
    let Change::Refund { lines, restock: true, .. } = change else { return false };
    let taken = |line| order.lines.iter().find(|other| other.id == line).and_then(|line| line.reduced);
    lines.iter().any(|(line, units)| taken(*line).is_some_and(|taken| taken != 0 && *units > taken))
}

/// Another quantity of one line; not less than was refunded of it.
fn edit(order: &OrderView, dice: &mut Dice) -> Option<Change> {
    let line = dice.pick(&order.lines)?;
    let least = refunded(order, line).max(1);
    let quantity = dice.units(least, line.quantity.max(least) + 1);
    Some(Change::EditLine { order: order.id, line: line.id, quantity })
}

fn refunded(order: &OrderView, line: &LineView) -> i64 {
    let parts = order.refunds.iter().flat_map(|refund| &refund.lines);
    parts.filter(|part| part.refunded == line.id).map(|part| part.quantity).sum()
}
