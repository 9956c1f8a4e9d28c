//! A shop is compared as a whole: what differs is put right once, whatever dies meanwhile.

mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testkit::fake_shop::FakeShop;
use testkit::shop::Change;
use tokio::time::interval;
use values::HolderId;

use crate::deployment::{Deployment, Form};
use crate::harness::{PROOF_PATIENCE, Ran, until};
use crate::world::{UNITS_START, World, hasty_bench, sku};

/// What somebody raises in the first shop.
const RAISED: usize = 3;
/// What is no longer managed there.
const UNMANAGED: usize = 4;
/// What sells there all the time, and how long it is tried to compare it.
const BUSY: usize = 5;
const BUSY_TIMEOUT: &str = "60s";
const SALE_PERIOD: Duration = Duration::from_secs(3);
/// Told that something could not be decided.
const UNDECIDED: Option<i32> = Some(4);

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_in_a_comparison_goes_on_with_it() {
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), Form::Standalone, None).await;
    let writes = || world.shops[0].counts().stock_writes;
    let written = writes();
    set(&world.shops[0], holder(&world, RAISED), UNITS_START + 5).await;
    let begun = world.bench.run(&["reconcile", "shop-0", "--no-wait", "--json"]).await.json();
    let id = begun["id"].to_string();
    let read = async || {
        let run = world.bench.run(&["reconcile", "show", &id, "--json"]).await.json();
        (run["reads"].as_u64() > Some(0)).then_some(())
    };
    until("stocks are read", PROOF_PATIENCE, read).await;
    let [process] = deployment.processes()[..] else { panic!("there is one process") };
    deployment.kill(&world.bench, process).await;
    deployment.begin_all(&world.bench).await;
    let ended = async || {
        let run = world.bench.run(&["reconcile", "show", &id, "--json"]).await.json();
        (run["state"] == "done").then_some(run)
    };
    let run = until("the comparison ends", PROOF_PATIENCE, ended).await;
    assert_eq!((&run["drifted"], &run["unsettled"]), (&1.into(), &0.into()), "{run}");
    world.comes_to(RAISED, UNITS_START).await;
    assert_eq!(writes() - written, 1, "it is put right once");
    deployment.stop(&world.bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_compared_is_checked_and_can_be_named() {
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), Form::Standalone, None).await;
    let nobody = world.bench.run(&["reconcile", "shop-0", "--sku", "nobody"]).await;
    assert_eq!(nobody.code, Some(1), "{}", nobody.err);
    assert!(nobody.err.contains("sells no SKU"), "{}", nobody.err);
    let set = world.bench.run(&["shop", "set", "shop-0", "--reconcile", "sometimes"]).await;
    assert!(set.err.contains("daily@03:00"), "{}", set.err);
    world.bench.run(&["shop", "set", "shop-0", "--reconcile", "daily@03:00"]).await.good();
    let shop = world.bench.run(&["shop", "show", "shop-0", "--json"]).await.json();
    assert_eq!(shop["reconcile"], "daily@03:00");
    let named = world.bench.run(&["reconcile", "shop-0", "--sku", &sku(1), "--sku", &sku(2), "--json"]).await;
    let run = compared(&named, Some(0));
    assert_eq!((&run["decided"], &run["agreed"], &run["calls"]), (&2.into(), &2.into(), &1.into()), "{run}");
    assert_eq!(run["stocks"].as_array().map(Vec::len), Some(2), "what was named is shown: {run}");
    what_cannot_be_compared_is_told_as_that(&world).await;
    deployment.stop(&world.bench).await;
}

/// The shop no longer keeps a quantity of one, and the other sells all the time.
async fn what_cannot_be_compared_is_told_as_that(world: &World) {
    let written = world.shops[0].counts().stock_writes;
    let unmanaged = Change::SetManageStock { holder: holder(world, UNMANAGED), manage: false };
    world.shops[0].act(unmanaged).await.unwrap();
    let skus = [sku(UNMANAGED), sku(BUSY)];
    let command =
        ["reconcile", "shop-0", "--sku", &skus[0], "--sku", &skus[1], "--timeout", BUSY_TIMEOUT, "--json"];
    let selling = async {
        let mut ticks = interval(SALE_PERIOD);
        loop {
            ticks.tick().await;
            world.buy(0, BUSY).await;
        }
    };
    let ran = tokio::select! {
        ran = world.bench.run(&command) => ran,
        () = selling => unreachable!("it does not end"),
    };
    let run = compared(&ran, UNDECIDED);
    let classes: BTreeMap<&str, &str> = run["stocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["sku"].as_str().unwrap(), row["class"].as_str().unwrap()))
        .collect();
    assert_eq!(classes, [(&*skus[0], "unmanaged"), (&*skus[1], "unsettled")].into(), "{run}");
    assert_eq!(world.shops[0].counts().stock_writes, written, "nothing is written to them");
}

impl World {
    fn shown(&self, number: usize) -> i64 {
        let holder = holder(self, number);
        self.shops[0].with_model(|model, _| model.stock(holder)).unwrap()
    }

    async fn comes_to(&self, number: usize, units: i64) {
        let what = format!("{} shows {units}", sku(number));
        until(&what, PROOF_PATIENCE, async || (self.shown(number) == units).then_some(())).await;
    }
}

fn holder(world: &World, number: usize) -> HolderId {
    world.products[0][number].into()
}

async fn set(shop: &FakeShop, holder: HolderId, quantity: i64) {
    shop.act(Change::SetStock { holder, quantity }).await.unwrap();
}

/// The comparison that a command printed.
#[track_caller]
fn compared(ran: &Ran, code: Option<i32>) -> Value {
    assert_eq!(ran.code, code, "{} {}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}
