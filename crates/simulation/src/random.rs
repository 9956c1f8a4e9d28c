//! Random runs: everything at once, decided by a seed.

use std::time::Duration;

use ledger::Operation;
use push::DriftPolicy;
use values::{HolderId, LineId, Quantity, Sku};

use crate::inventory::warehouse;
use crate::world::{Options, Report, World};
use testkit::shop::{Change, CreatedVia, NewLine, NewOrder, OrderView, Status};

/// How long buyers and faults go on.
const ACTIVE: Duration = Duration::from_mins(40);
const SKUS: [&str; 4] = ["A", "B", "C", "D"];

/// Runs one seed: one to three shops on one warehouse, buyers, refunds, edits, receipts and faults for forty minutes, then
/// quiet until everything must agree.
pub fn run_seed(seed: u64, trace: bool) -> Report {
    let mut dice = crate::dice::Dice::new(seed ^ 0x5eed);
    let rough = dice.chance(70);
    let faults = |dice: &mut crate::dice::Dice, most| if rough { dice.below(most) } else { 0 };
    let options = Options {
        lost: faults(&mut dice, 40),
        doubled: faults(&mut dice, 30),
        late: faults(&mut dice, 30),
        unanswered: faults(&mut dice, 15),
        refused: faults(&mut dice, 15),
        crashes: faults(&mut dice, 6),
        poll_fails: faults(&mut dice, 20),
        webhooks: !dice.chance(20),
        // The trash is read every ten minutes; lowerings may be doubtful several times in a row, and polls may fail.
        lag: Duration::from_mins(if rough { 40 } else { 15 }),
        trace,
        ..Options::default()
    };
    let mut world = World::new(seed, options);
    let shops = 1 + usize::try_from(dice.below(3)).unwrap_or(0);
    let stocks = set_up(&mut world, shops, &mut dice);
    let acts = 20 + dice.below(60);
    for _ in 0..acts {
        let after = dice.millis(0, i64::try_from(ACTIVE.as_millis()).unwrap_or(0));
        let shop = usize::try_from(dice.below(u64::try_from(shops).unwrap_or(1))).unwrap_or(0);
        let stocks = stocks.get(shop).cloned().unwrap_or_default();
        world.plan_script(after, move |world| act(world, shop, &stocks));
    }
    if dice.chance(10) {
        let after = dice.millis(0, 1_800_000);
        world.options.lag = Duration::from_mins(75);
        world.plan_script(after, |world| world.move_clock(0, -3_600));
    }
    world.run_for(ACTIVE);
    world.finish();
    world.report
}

fn set_up(world: &mut World, shops: usize, dice: &mut crate::dice::Dice) -> Vec<Vec<HolderId>> {
    let mut stocks = Vec::new();
    for index in 0..shops {
        let buffer = if dice.chance(30) { dice.between(0, 3) } else { 0 };
        let shop = world.add_shop(buffer);
        let mut own = Vec::new();
        for sku in SKUS {
            let holder = world.add_product(shop, sku, dice.between(0, 30));
            own.push(holder);
            if index == 0 {
                world.supply_from(shop, holder, sku);
            }
            // Some orders are older than the connection.
            if index == 0 && dice.chance(40) {
                let status = *dice
                    .pick(&[Status::Processing, Status::Completed, Status::Pending])
                    .unwrap_or(&Status::Pending);
                world.act_at_once(shop, buy(holder, dice.between(1, 3), status));
            }
        }
        stocks.push(own);
    }
    world.edits_are_known = false;
    for shop in 0..shops {
        world.connect(shop, shop == 0);
        let policies = [DriftPolicy::Correct, DriftPolicy::Withhold, DriftPolicy::Adopt];
        let policy = *dice.pick(&policies).unwrap_or(&DriftPolicy::Correct);
        world.inventory.shops[shop].policy = policy;
    }
    stocks
}

fn buy(holder: HolderId, quantity: i64, status: Status) -> Change {
    let product = values::ProductId::new(holder.get()).expect("a holder's id is positive");
    Change::CreateOrder(NewOrder::by_rest(status, vec![NewLine::of(product, quantity)]))
}

/// Somebody does something.
fn act(world: &mut World, shop: usize, stocks: &[HolderId]) {
    let slow = world.dice.chance(20);
    let gap = if slow { (200, 4_000) } else { (1, 60) };
    let Some(&holder) = world.dice.pick(stocks) else { return };
    let opened = world.inventory.shops.get(shop).is_some_and(|terms| !terms.opening.contains(&holder));
    let change = match world.dice.below(20) {
        0..=8 => sale(world, holder, stocks),
        9..=15 => match later(world, shop) {
            Some(change) => change,
            None => return,
        },
        16 | 17 => return operate(world),
        // What a person writes before the opening is what the SKU opens with; that is not an edit.
        18 if opened && world.dice.chance(30) => {
            Change::SetStock { holder, quantity: world.dice.between(0, 30) }
        }
        18 if opened && world.dice.chance(30) => {
            Change::SetStockSilently { holder, quantity: world.dice.between(0, 30) }
        }
        _ => return world.settle_now(shop),
    };
    world.act_slowly(shop, change, gap);
}

fn sale(world: &mut World, holder: HolderId, stocks: &[HolderId]) -> Change {
    let statuses =
        [Status::Processing, Status::Processing, Status::OnHold, Status::Pending, Status::Completed];
    let status = *world.dice.pick(&statuses).unwrap_or(&Status::Processing);
    let mut lines = Vec::new();
    for holder in [Some(holder), world.dice.pick(stocks).copied().filter(|_| world.dice.chance(40))]
        .into_iter()
        .flatten()
    {
        if let Some(product) = values::ProductId::new(holder.get()) {
            lines.push(NewLine::of(product, world.dice.between(1, 4)));
        }
    }
    let created_via = if world.dice.chance(70) { CreatedVia::Checkout } else { CreatedVia::RestApi };
    Change::CreateOrder(NewOrder { created_via, ..NewOrder::by_rest(status, lines) })
}

/// Something happens to an order that was made before.
fn later(world: &mut World, shop: usize) -> Option<Change> {
    let placed = world.shops.get(shop)?.placed.clone();
    let order = *world.dice.pick(&placed)?;
    // Two requests that write one order at once leave it in a state nobody meant.
    if world.is_being_written(shop, order) {
        return None;
    }
    let view = world.shops.get(shop)?.model.order(order)?;
    let line = world.dice.pick(&view.lines)?.clone();
    Some(match world.dice.below(12) {
        0..=2 => Change::SetStatus { order, status: Status::Cancelled },
        3..=5 => Change::SetStatus { order, status: Status::Completed },
        6 => Change::SetStatus { order, status: Status::Processing },
        7 => refund(world, &view, line.id),
        8 => Change::EditLine { order, line: line.id, quantity: world.dice.between(1, 5) },
        9 => Change::TouchOrder(order),
        10 => Change::Trash(order),
        // A body from before the clock went back may come after the deletion; nobody can know then.
        _ if !world.clock_moved && settled_long_ago(world, shop, &view) => Change::DeleteForever(order),
        _ => Change::SetStatus { order, status: Status::OnHold },
    })
}

fn refund(world: &mut World, view: &OrderView, line: LineId) -> Change {
    let restock = world.dice.chance(60);
    if world.dice.chance(20) {
        return Change::RefundAmount { order: view.id, amount: None };
    }
    let quantity = world.dice.between(1, 2);
    Change::Refund { order: view.id, lines: vec![(line, quantity)], amount: None, restock }
}

/// What is deleted before anybody could read its last state is not knowable; here it is only deleted once it was read.
fn settled_long_ago(world: &World, shop: usize, view: &OrderView) -> bool {
    let known = world.inventory.orders.get(&(shop, view.id));
    let taken: i64 = view.lines.iter().filter_map(|line| line.reduced).sum();
    let same = known.is_some_and(|order| {
        order.lines.iter().map(ledger::Line::taken_or_zero).sum::<Quantity>() == Quantity::from_units(taken)
            && order.status == view.status.as_str()
            && order
                .applied
                .is_some_and(|applied| applied.confirmed && applied.modified_at == view.date_modified)
    });
    same && world.shop_now(shop).since(view.date_modified) > Duration::from_mins(5)
}

fn operate(world: &mut World) {
    let Some(sku) = world.dice.pick(&SKUS).and_then(|text| text.parse::<Sku>().ok()) else { return };
    let opened = world.inventory.book.counted_at(&sku).is_some();
    let warehouse = warehouse();
    let operation = if world.dice.chance(60) || !opened {
        if !opened {
            return;
        }
        Operation::Receive { sku, warehouse, quantity: Quantity::from_units(world.dice.between(1, 8)) }
    } else {
        Operation::Adjust { sku, warehouse, delta: Quantity::from_units(-world.dice.between(1, 3)) }
    };
    world.operate(&operation);
}
