//! People who change a stock in the shop, under each policy.

use std::time::Duration;

use push::DriftPolicy;
use testkit::shop::{Change, Status};
use values::HolderId;

use super::{Scenario, minutes, one_shop, order, receive, second_shop, strict};
use crate::bug::Bug;
use crate::world::{Options, World};

/// Longer than the time between two routine settles.
const UNTIL_SETTLED: Duration = Duration::from_hours(7);

/// Everything that is told is told twice.
fn doubled() -> Options {
    Options { doubled: 100, ..Options::default() }
}

pub(super) fn scenarios() -> [Scenario; 5] {
    let scenario =
        |name, caught, pushes_max, options, script| Scenario { name, caught, pushes_max, script, options };
    [
        scenario("edit kept out and kept in", &[Bug::PushAgainstEdits], Some(1), strict, edit_kept),
        scenario(
            "edit and import adopted during sales",
            &[Bug::AdoptEachTime, Bug::PushAgainstEdits],
            Some(0),
            doubled,
            edit_adopted,
        ),
        scenario("edit where two shops show the same", &[Bug::AdoptAnyway], None, strict, edit_refused),
        scenario("edit put back under another policy", &[Bug::KeepEdits], None, strict, policy_changed),
        scenario(
            "edit of a product that is mapped anew",
            &[Bug::LeaveEditsOpen],
            Some(1),
            strict,
            edit_outdated,
        ),
    ]
}

fn set_policy(world: &mut World, shop: usize, policy: DriftPolicy) {
    world.inventory.shops[shop].policy = policy;
}

/// A person sets it, by hand or by an import; what the truth is then, if the ledger is to follow.
fn set(world: &mut World, holder: HolderId, quantity: i64, by_hand: bool, ledger_follows: bool) {
    let shown = shows(world, holder);
    if ledger_follows {
        world.oracle.supply(&"A".parse().expect("a SKU"), quantity - shown);
    }
    world.act_at_once(
        0,
        if by_hand {
            Change::SetStock { holder, quantity }
        } else {
            Change::SetStockSilently { holder, quantity }
        },
    );
    world.shops[0].disturbed.insert(holder);
}

fn shows(world: &World, holder: HolderId) -> i64 {
    world.shops[0].model.product(holder).and_then(|product| product.stock).unwrap_or(0)
}

fn expect_shown(world: &mut World, holder: HolderId, quantity: i64) {
    let shown = shows(world, holder);
    if shown != quantity {
        world.fail(format!("it shows {shown}, a person would expect {quantity}"));
    }
    world.expect_settled(0);
}

fn edit_kept(world: &mut World) {
    let a = one_shop(world);
    set_policy(world, 0, DriftPolicy::Withhold);
    set(world, a, 20, true, false);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 18);
    set(world, a, 5, true, false);
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 5);
    // What comes in comes on top.
    receive(world, "A", 3);
    world.run_for(minutes(10));
    expect_shown(world, a, 8);
}

fn edit_adopted(world: &mut World) {
    let a = one_shop(world);
    set_policy(world, 0, DriftPolicy::Adopt);
    world.act(0, order(Status::Processing, a, 2));
    world.run_for(Duration::from_secs(1));
    set(world, a, 20, true, true);
    world.act(0, order(Status::Processing, a, 3));
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 17);
    world.act(0, order(Status::Completed, a, 1));
    world.run_for(Duration::from_secs(1));
    set(world, a, 4, false, true);
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 4);
}

fn edit_refused(world: &mut World) {
    let a = one_shop(world);
    let b = second_shop(world, 10);
    world.settle_now(0);
    world.run_for(minutes(3));
    for shop in [0, 1] {
        set_policy(world, shop, DriftPolicy::Adopt);
    }
    // Somebody counts four and says so in both shops.
    set(world, a, 14, true, false);
    world.act(1, Change::SetStock { holder: b, quantity: 14 });
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 10);
    world.expect_settled(1);
}

fn edit_outdated(world: &mut World) {
    let a = one_shop(world);
    set_policy(world, 0, DriftPolicy::Adopt);
    set(world, a, 14, true, false);
    world.settle_now(0);
    let end = world.now + minutes(10);
    while world.now < end && world.shops[0].egress.edits(end + UNTIL_SETTLED).is_empty() {
        world.run_for(Duration::from_millis(20));
    }
    // Before the ledger is asked, or has answered.
    world.remap(0, a, "A");
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 10);
}

fn policy_changed(world: &mut World) {
    let a = one_shop(world);
    set_policy(world, 0, DriftPolicy::Alert);
    set(world, a, 14, true, false);
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 14);
    set_policy(world, 0, DriftPolicy::Correct);
    world.run_for(UNTIL_SETTLED);
    expect_shown(world, a, 10);
}
