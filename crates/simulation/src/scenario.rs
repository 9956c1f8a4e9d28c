//! The named situations that the rules were made for, each with the bugs it must notice.

mod drift;

use std::time::Duration;

use ledger::Operation;
use values::{HolderId, ProductId, Quantity, Sku};

use crate::bug::Bug;
use crate::inventory::warehouse;
use crate::world::{Fate, Options, Report, World, variation_listing};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, NewVariation, Status};

/// One situation.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// Bugs that make it fail.
    pub caught: &'static [Bug],
    /// The most pushes it may need; `None`: as many as it takes.
    pub pushes_max: Option<u64>,
    script: fn(&mut World),
    options: fn() -> Options,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Scenario {
    /// Runs it, with a rule broken or without.
    pub fn run(&self, seed: u64, bug: Option<Bug>, trace: bool) -> Report {
        let mut world = World::new(seed, Options { bug, trace, ..(self.options)() });
        (self.script)(&mut world);
        world.finish();
        let pushes = world.report.push_count;
        if self.pushes_max.is_some_and(|most| pushes > most) {
            world.fail(format!("{pushes} pushes where at most {:?} are needed", self.pushes_max));
        }
        world.report
    }
}

/// Nothing may be offered that is not there, beyond the seconds a push takes.
fn strict() -> Options {
    Options { lag: Duration::from_secs(10), ..Options::default() }
}

/// Deliveries never arrive: reads alone.
fn reads_only() -> Options {
    Options { webhooks: false, ..Options::default() }
}

/// Neither deliveries nor polls until the dust settles: what the script hands over is all that is known.
fn by_hand() -> Options {
    Options { webhooks: false, polls: false, ..Options::default() }
}

fn by_hand_strict() -> Options {
    Options { lag: Duration::from_secs(10), ..by_hand() }
}

fn reads_only_strict() -> Options {
    Options { lag: Duration::from_secs(10), ..reads_only() }
}

/// All of them.
#[expect(clippy::too_many_lines, reason = "a table, one row each")]
pub fn scenarios() -> Vec<Scenario> {
    let scenario =
        |name, caught, pushes_max, options, script| Scenario { name, caught, pushes_max, script, options };
    let mut all = vec![
        scenario("mid-write cancel", &[Bug::TrustHalfWritten], None, strict, mid_write_cancel),
        scenario("mid-write sale", &[Bug::ForgetUntaken], Some(0), strict, mid_write_sale),
        scenario("same second, newest last", &[Bug::DropUnordered], None, by_hand, same_second_in_order),
        scenario("same second, newest first", &[Bug::WebhooksAreFacts], None, by_hand, same_second_reversed),
        scenario(
            "body replayed 30 days later",
            &[Bug::TrustHalfWritten],
            None,
            Options::default,
            replayed_body,
        ),
        scenario("shop clock back 1 h", &[Bug::CursorNeverBack], None, reads_only, clock_back),
        scenario(
            "late body from before the clock went back",
            &[Bug::NeverConfirm],
            None,
            reads_only,
            late_body,
        ),
        scenario("modified in the second of a poll", &[Bug::NoOverlap], None, reads_only, second_of_a_poll),
        scenario(
            "sale unseen during a push",
            &[Bug::AbsoluteWrite],
            None,
            reads_only_strict,
            sale_unseen_during_push,
        ),
        scenario(
            "sale inside the push",
            &[Bug::IgnoreSaleInsidePush],
            None,
            Options::default,
            sale_inside_push,
        ),
        scenario("lost reply, applied", &[Bug::RepeatUncertain], None, strict, lost_reply_applied),
        scenario(
            "lost reply, not applied",
            &[Bug::ForgetUncertain],
            None,
            Options::default,
            lost_reply_not_applied,
        ),
        scenario("crash between intent and call", &[Bug::TrustIntents], None, strict, crash_before_call),
        scenario("crash after the call", &[Bug::ForgetIntents], None, strict, crash_after_call),
        scenario(
            "first contact during sales",
            &[Bug::BaseAtFirstSight],
            None,
            Options::default,
            first_contact,
        ),
        scenario("pending, then paid", &[Bug::ForgetUntaken], Some(0), strict, pending_then_paid),
        scenario("refund with restock", &[Bug::TakenFromStatus], None, strict, refund_with_restock),
        scenario("refund without restock", &[Bug::RefundReleases], Some(0), strict, refund_without_restock),
        scenario("trash", &[Bug::TrashReleases], Some(0), strict, trash),
        scenario("edit up and down", &[Bug::OncePerStatus], Some(0), strict, edit_up_and_down),
        scenario("stock managed at the parent", &[Bug::StockPerVariation], None, strict, parent_managed),
        scenario("parked, mapped later", &[Bug::ForgetParked], None, strict, parked_then_mapped),
        scenario("remapped", &[Bug::RemapOldLines], None, Options::default, remapped),
        scenario("renamed SKU", &[Bug::SkuByText], None, strict, renamed),
        scenario("deleted without an event", &[Bug::GoneReleases], Some(0), strict, deleted),
        scenario(
            "old order cancelled after connecting",
            &[Bug::AdoptDrift],
            None,
            strict,
            old_order_cancelled,
        ),
        scenario(
            "old order touched after connecting",
            &[Bug::ForgetPast],
            Some(0),
            strict,
            old_order_touched,
        ),
        scenario("two shops on one warehouse", &[Bug::TellOnlySeller], None, Options::default, two_shops),
        scenario("echo before its order", &[Bug::AdoptShown], Some(0), strict, echo_before_order),
        scenario("admin edit during an unseen sale", &[Bug::NeverSettle], None, reads_only, admin_edit),
        scenario(
            "stocktake with paid, unpacked orders",
            &[Bug::CountIsAvailable],
            Some(0),
            strict,
            stocktake,
        ),
        scenario("receipt after a shortfall", &[Bug::PushReceipts], None, strict, receipt_after_shortfall),
        scenario("sale around a settle", &[Bug::SettleAnytime], Some(0), by_hand_strict, sale_around_settle),
    ];
    all.extend(drift::scenarios());
    all
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes.saturating_mul(60))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn product(holder: HolderId) -> ProductId {
    ProductId::new(holder.get()).expect("a holder's id is positive")
}

fn order(status: Status, holder: HolderId, quantity: i64) -> Change {
    Change::CreateOrder(NewOrder::by_rest(status, vec![NewLine::of(product(holder), quantity)]))
}

fn receive(world: &mut World, sku: &str, units: i64) {
    let sku: Sku = sku.parse().expect("a SKU");
    let quantity = Quantity::from_units(units);
    world.operate(&Operation::Receive { sku, warehouse: warehouse(), quantity });
}

/// One shop that shows 10 of A, connected and settled.
fn one_shop(world: &mut World) -> HolderId {
    world.add_shop(0);
    let holder = world.add_product(0, "A", 10);
    world.supply_from(0, holder, "A");
    world.connect(0, true);
    world.run_for(minutes(5));
    holder
}

/// A second one on the same warehouse, with a right number to begin with.
fn second_shop(world: &mut World, shown: i64) -> HolderId {
    let shop = world.add_shop(0);
    let holder = world.add_product(shop, "A", shown);
    world.connect(shop, false);
    world.run_for(minutes(5));
    holder
}

fn mid_write_cancel(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 5));
    world.run_for(minutes(10));
    let id = world.last_order(0);
    world.act_slowly(0, Change::SetStatus { order: id, status: Status::Cancelled }, (8_000, 8_000));
    world.run_for(seconds(2));
    world.hint(0, id);
    world.run_for(minutes(10));
}

fn mid_write_sale(world: &mut World) {
    let a = one_shop(world);
    world.act_slowly(0, order(Status::Processing, a, 2), (4_000, 4_000));
    world.run_for(seconds(14));
    world.hint(0, world.last_order(0));
    world.run_for(minutes(10));
}

/// An order that is paid and edited within one second, and what two webhooks said of it.
fn same_second(world: &mut World, newest_first: bool) {
    let a = one_shop(world);
    second_shop(world, 10);
    world.act_at_once(0, order(Status::Pending, a, 4));
    world.poll_any(0);
    world.run_for(minutes(2));
    let id = world.last_order(0);
    let line = world.shops[0].model.order(id).and_then(|order| order.lines.first().map(|line| line.id));
    let Some(line) = line else { return };
    world.act_at_once(0, Change::SetStatus { order: id, status: Status::Processing });
    let older = world.body(0, id).expect("it is there");
    world.act_at_once(0, Change::EditLine { order: id, line, quantity: 7 });
    let newer = world.body(0, id).expect("it is there");
    for body in if newest_first { [newer, older] } else { [older, newer] } {
        world.replay(0, body);
        world.run_for(seconds(1));
    }
    world.run_for(minutes(15));
}

fn same_second_in_order(world: &mut World) {
    same_second(world, false);
}

fn same_second_reversed(world: &mut World) {
    same_second(world, true);
}

fn replayed_body(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(10));
    let id = world.last_order(0);
    let body = world.body(0, id).expect("it is there");
    world.act(0, Change::SetStatus { order: id, status: Status::Cancelled });
    world.run_for(Duration::from_hours(30 * 24));
    world.replay(0, body);
    world.run_for(minutes(10));
}

fn clock_back(world: &mut World) {
    let a = one_shop(world);
    second_shop(world, 10);
    world.act(0, order(Status::Processing, a, 1));
    world.run_for(minutes(5));
    world.move_clock(0, -3_600);
    world.act(0, order(Status::Processing, a, 4));
    let first = world.last_order(0);
    world.run_for(minutes(15));
    world.act(0, Change::SetStatus { order: first, status: Status::Cancelled });
    world.run_for(minutes(15));
}

/// The shop's clock is set back; a body from before arrives after a read of what happened since, and is dated later.
fn late_body(world: &mut World) {
    let a = one_shop(world);
    second_shop(world, 10);
    world.act(0, order(Status::Processing, a, 3));
    world.run_for(minutes(5));
    let id = world.last_order(0);
    let Some(body) = world.body(0, id) else { return };
    world.move_clock(0, -3_600);
    world.act(0, Change::SetStatus { order: id, status: Status::Completed });
    world.run_for(minutes(5));
    world.replay(0, body);
    world.run_for(minutes(15));
}

fn second_of_a_poll(world: &mut World) {
    let a = one_shop(world);
    second_shop(world, 10);
    world.poll_any(0);
    world.act_at_once(0, order(Status::Processing, a, 3));
    world.run_for(minutes(20));
}

fn sale_unseen_during_push(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(seconds(2));
    receive(world, "A", 3);
    world.run_for(minutes(10));
}

fn sale_inside_push(world: &mut World) {
    let a = one_shop(world);
    world.shops[0].push_gap = (5_000, 5_000);
    receive(world, "A", 3);
    world.run_for(seconds(5));
    world.act_at_once(0, order(Status::Processing, a, 2));
    world.run_for(minutes(20));
    world.expect_settled(0);
}

fn lost_reply_applied(world: &mut World) {
    one_shop(world);
    world.shops[0].forced_fates.push(Fate::LostAfter);
    receive(world, "A", 3);
    world.run_for(minutes(20));
}

fn lost_reply_not_applied(world: &mut World) {
    let a = one_shop(world);
    second_shop(world, 10);
    world.shops[1].forced_fates.push(Fate::LostBefore);
    world.act(0, order(Status::Processing, a, 3));
    world.run_for(minutes(20));
}

fn crash_before_call(world: &mut World) {
    one_shop(world);
    world.shops[0].forced_fates.push(Fate::CrashBefore);
    receive(world, "A", 3);
    world.run_for(minutes(20));
    world.expect_settled(0);
}

fn crash_after_call(world: &mut World) {
    one_shop(world);
    world.shops[0].forced_fates.push(Fate::CrashAfter);
    receive(world, "A", 3);
    world.run_for(minutes(20));
    world.expect_settled(0);
}

fn first_contact(world: &mut World) {
    world.add_shop(0);
    let a = world.add_product(0, "A", 10);
    world.supply_from(0, a, "A");
    world.act_at_once(0, order(Status::Processing, a, 1));
    world.act_at_once(0, order(Status::Completed, a, 1));
    world.run_for(minutes(2));
    world.connect(0, true);
    world.run_for(seconds(1));
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(15));
    world.act(0, order(Status::Processing, a, 1));
}

fn pending_then_paid(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Pending, a, 2));
    world.run_for(minutes(10));
    world.act(0, Change::SetStatus { order: world.last_order(0), status: Status::Processing });
    world.run_for(minutes(10));
}

/// An order of five, refunded.
fn refunded(world: &mut World, quantity: i64, restock: bool) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 5));
    world.run_for(minutes(5));
    let id = world.last_order(0);
    let line = world.shops[0].model.order(id).and_then(|order| order.lines.first().map(|line| line.id));
    let lines = line.map(|line| (line, quantity)).into_iter().collect();
    world.act(0, Change::Refund { order: id, lines, amount: None, restock });
    world.run_for(minutes(10));
}

fn refund_with_restock(world: &mut World) {
    refunded(world, 2, true);
}

fn refund_without_restock(world: &mut World) {
    refunded(world, 5, false);
}

fn trash(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 3));
    world.run_for(minutes(5));
    let id = world.last_order(0);
    world.act(0, Change::Trash(id));
    world.run_for(minutes(30));
    world.act(0, Change::Untrash(id));
    world.run_for(minutes(10));
}

fn edit_up_and_down(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 4));
    world.run_for(minutes(5));
    let id = world.last_order(0);
    let line = world.shops[0].model.order(id).and_then(|order| order.lines.first().map(|line| line.id));
    let Some(line) = line else { return };
    for quantity in [6, 1] {
        world.act(0, Change::EditLine { order: id, line, quantity });
        world.run_for(minutes(5));
    }
    world.act(0, Change::AddLine { order: id, line: NewLine::of(product(a), 2) });
    world.run_for(minutes(5));
    world.act(0, Change::RemoveLine { order: id, line });
    world.run_for(minutes(5));
}

fn parent_managed(world: &mut World) {
    world.add_shop(0);
    let now = world.shop_now(0);
    let sku = |text: &str| text.parse::<Sku>().ok();
    let model = &mut world.shops[0].model;
    let parent = model.add_product(NewProduct::variable(sku("P"), Some(10)), now);
    let red = model.add_variation(parent, NewVariation::at_parent(sku("P-RED")), now);
    let blue = model.add_variation(parent, NewVariation::at_parent(sku("P-BLUE")), now);
    for variation in [red, blue] {
        world.oracle.map(0, Some(variation_listing(parent, variation)), parent.into(), sku("P"));
    }
    world.supply_from(0, parent.into(), "P");
    world.connect(0, true);
    world.run_for(minutes(5));
    for variation in [red, blue] {
        let lines = vec![NewLine::of_variation(parent, variation, 2)];
        world.act(0, Change::CreateOrder(NewOrder::by_rest(Status::Processing, lines)));
        world.run_for(minutes(3));
    }
    receive(world, "P", 1);
    world.run_for(minutes(5));
}

fn parked_then_mapped(world: &mut World) {
    one_shop(world);
    let b = world.add_product(0, "B", 10);
    world.supply_from(0, b, "B");
    world.act(0, order(Status::Processing, b, 2));
    world.run_for(minutes(10));
    world.read_catalogue(0);
    world.inventory.shops[0].opening.insert(b);
    world.run_for(minutes(10));
    world.act(0, Change::SetStatus { order: world.last_order(0), status: Status::Cancelled });
    world.run_for(minutes(10));
}

fn remapped(world: &mut World) {
    let a = one_shop(world);
    receive(world, "B", 5);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(5));
    world.remap(0, a, "B");
    world.run_for(minutes(10));
    world.act(0, order(Status::Processing, a, 1));
    world.run_for(minutes(5));
    let first = world.shops[0].placed.first().copied();
    let Some(first) = first else { return };
    world.act(0, Change::SetStatus { order: first, status: Status::Cancelled });
    world.run_for(minutes(10));
}

fn renamed(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(5));
    world.act(0, Change::RenameSku { holder: a, sku: "A-NEW".parse().ok() });
    let id = world.last_order(0);
    world.act(0, Change::TouchOrder(id));
    world.run_for(minutes(5));
    world.act(0, order(Status::Processing, a, 1));
    world.act(0, Change::SetStatus { order: id, status: Status::Cancelled });
    world.run_for(minutes(5));
}

fn deleted(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(10));
    world.act(0, Change::DeleteForever(world.last_order(0)));
    world.run_for(minutes(10));
    world.audit(0);
    world.run_for(minutes(10));
}

/// A shop with an order of a hundred days ago, connected: it shows 10, after that order took 2.
fn with_old_order(world: &mut World, status: Status) -> Option<values::OrderId> {
    world.add_shop(0);
    let a = world.add_product(0, "A", 12);
    let then = world.now - Duration::from_hours(100 * 24);
    let old = world.shops[0].model.run(order(status, a, 2), then).ok().and_then(|made| made.order)?;
    // Its own deliveries are long gone.
    let now = world.shop_now(0);
    world.shops[0].model.run_queue(now, usize::MAX);
    world.oracle.set_prehistoric(0, old);
    world.oracle.supply(&"A".parse().expect("a SKU"), 10);
    world.connect(0, true);
    world.run_for(minutes(5));
    Some(old)
}

fn old_order_cancelled(world: &mut World) {
    let Some(old) = with_old_order(world, Status::Completed) else { return };
    world.shops[0].disturbed.extend(world.inventory.rows.keys().map(|(_, holder)| *holder));
    world.act(0, Change::SetStatus { order: old, status: Status::Cancelled });
    world.run_for(Duration::from_hours(7));
    world.expect_settled(0);
}

fn old_order_touched(world: &mut World) {
    let Some(old) = with_old_order(world, Status::Completed) else { return };
    world.act(0, Change::TouchOrder(old));
    world.run_for(minutes(15));
    world.expect_settled(0);
}

fn two_shops(world: &mut World) {
    let a = one_shop(world);
    let b = second_shop(world, 3);
    world.expect_settled(1);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(10));
    world.act(1, order(Status::Completed, b, 3));
    world.run_for(minutes(10));
    let id = world.last_order(1);
    world.act(1, Change::SetStatus { order: id, status: Status::Cancelled });
    world.run_for(minutes(10));
}

fn echo_before_order(world: &mut World) {
    let a = one_shop(world);
    // The order's own deliveries are lost; the product's arrives.
    let order_topics: Vec<_> = world.shops[0]
        .model
        .webhooks()
        .filter(|webhook| webhook.topic.resource() == "order")
        .map(|webhook| webhook.id)
        .collect();
    for id in order_topics {
        world.shops[0].model.delete_webhook(id);
    }
    world.options.polls = false;
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(5));
}

fn admin_edit(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 2));
    world.act(0, Change::SetStock { holder: a, quantity: 20 });
    world.run_for(Duration::from_hours(7));
    world.expect_settled(0);
    world.act(0, Change::SetStock { holder: a, quantity: 5 });
    world.act(0, order(Status::Processing, a, 1));
    world.run_for(Duration::from_hours(7));
    world.expect_settled(0);
}

fn stocktake(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(minutes(10));
    let sku: Sku = "A".parse().expect("a SKU");
    let counted = Quantity::from_units(world.oracle.on_hand(&sku, |_, _| false));
    world.operate(&Operation::Count { sku, warehouse: warehouse(), counted });
    world.run_for(minutes(10));
}

fn receipt_after_shortfall(world: &mut World) {
    let a = one_shop(world);
    world.act(0, order(Status::Processing, a, 13));
    world.run_for(minutes(5));
    receive(world, "A", 2);
    world.run_for(minutes(5));
    receive(world, "A", 5);
    world.run_for(minutes(5));
}

fn sale_around_settle(world: &mut World) {
    let a = one_shop(world);
    world.settle_now(0);
    world.run_for(seconds(3));
    world.act_at_once(0, order(Status::Processing, a, 2));
    world.run_for(minutes(10));
}
