//! Another number of shards while messages wait: none is lost, none is counted twice, and their order is kept.

use std::collections::BTreeMap;

use testkit::shop::{Change, NewLine, NewOrder, Status};
use values::OrderId;

use crate::deployment::{Deployment, Form, Servers, Service};
use crate::harness::{PROOF_PATIENCE, until};
use crate::world::{SKUS, World, all_is_sound, comes_right, hasty_bench, nothing_lost_or_doubled};

/// Bought while something does not run; each is a message at least.
const ORDERS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_while_the_number_of_shards_changes_is_not_lost() {
    let (form, servers) = (Form::Distributed { replicas: 1 }, Servers::shared().await);
    let (mut deployment, mut world) = Deployment::with_world(hasty_bench(), form, Some(servers)).await;
    let servers = deployment.servers.clone().unwrap();

    deployment.terminate_all(&world.bench, Service::Egress).await;
    let first = buy(&world).await;
    waits(&servers, "egress.levels").await;
    deployment.terminate_all(&world.bench, Service::Inventory).await;
    let second = buy(&world).await;
    // Of the same orders again: what says more may not come before what says less.
    for (shop, order) in first.into_iter().chain(second).step_by(2) {
        let cancel = Change::SetStatus { order, status: Status::Cancelled };
        world.shops[shop].act(cancel).await.unwrap();
    }
    waits(&servers, "inventory.orders").await;
    deployment.terminate_all(&world.bench, Service::Ingress).await;

    world.bench.set("ONHAND_SHARDS", "7");
    let migrated = world.bench.run(&["migrate", "--json"]).await.json();
    assert_eq!((&migrated["shards"], &migrated["shards_before"]), (&7.into(), &4.into()), "{migrated}");
    let moved = usize::try_from(migrated["messages_moved"].as_u64().unwrap()).unwrap();
    assert!(moved >= 2 * ORDERS, "what waited was moved: {migrated}");
    assert_eq!(servers.queues(".v1.4.").await, Vec::<String>::new(), "what was emptied is gone");
    let again = world.bench.run(&["migrate", "--json"]).await.json();
    assert_eq!(again["messages_moved"], 0, "{again}");

    deployment.begin_all(&world.bench).await;
    comes_right(&world, &BTreeMap::new()).await;
    all_is_sound(&world.bench).await;
    deployment.stop(&world.bench).await;
    nothing_lost_or_doubled(&world).await;
}

async fn buy(world: &World) -> Vec<(usize, OrderId)> {
    let mut made = Vec::new();
    for number in 0..ORDERS {
        let shop = number % world.shops.len();
        let line = NewLine::of(world.products[shop][number % SKUS], 1);
        let order = NewOrder::by_checkout(Status::Processing, vec![line]);
        let outcome = world.shops[shop].act(Change::CreateOrder(order)).await.unwrap();
        made.push((shop, outcome.order.unwrap()));
    }
    made
}

/// Until a message for each order lies in queues of this name.
async fn waits(servers: &Servers, queues: &str) {
    let orders = u64::try_from(ORDERS).unwrap();
    until(&format!("{queues} wait"), PROOF_PATIENCE, async || {
        (servers.waiting(queues).await >= orders).then_some(())
    })
    .await;
}
