//! What any service gives up is seen, handed back and thrown away in one place, over processes of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::{AmqpOptions, Bus, Delivery, Disposition, Flow, Handler, Limits, Pause, Topology};
use process::{Stage, Tasks};
use serde_json::Value;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio_util::sync::CancellationToken;
use values::HolderId;

use crate::deployment::{Deployment, Form, Process, Servers, Service};
use crate::harness::{PATIENCE, PROOF_PATIENCE, until};
use crate::world::{UNITS_START, World, comes_right, connected, hasty_bench, sku};

/// The product that is bought.
const BOUGHT: usize = 4;
const REASON: &str = "given-up: by a test";

/// An egress that gives every level up.
struct GivesUp;

impl Handler for GivesUp {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        Ok(vec![Disposition::DeadLetter { reason: REASON.to_owned() }; batch.len()])
    }
}

async fn buy(world: &World) {
    let order = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(world.products[0][BOUGHT], 5)]);
    world.shops[0].act(Change::CreateOrder(order)).await.unwrap();
}

/// Messages that were given up and are of that shop.
async fn parked(world: &World, shop: &str) -> Vec<Value> {
    let listed = world.bench.run(&["parked", "list", "--json"]).await.json();
    let messages = listed["messages"].as_array().unwrap();
    messages.iter().filter(|message| message["shop"] == shop).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_that_egress_gave_up_are_handed_back_to_it() {
    let mut bench = hasty_bench();
    let (form, servers) = (Form::Distributed { replicas: 1 }, Servers::shared().await);
    let mut deployment = Deployment::start(&mut bench, form, Some(servers)).await;
    let world = connected(bench, &deployment.webhooks()).await;
    let shards = world.bench.setting("ONHAND_SHARDS").unwrap().parse().unwrap();
    deployment.terminate(&world.bench, Process { service: Service::Egress, replica: 0 }).await;

    // In its place one that gives up all it is given.
    let tasks = Tasks::new();
    let options =
        AmqpOptions::new(&world.bench.setting("ONHAND_BROKER_URL").unwrap().into(), "test").unwrap();
    let topology = Topology::uniform(shards).unwrap();
    let (bus, supervisor) = Bus::amqp(options, topology, None).await.unwrap();
    tasks.spawn_in(Stage::Relay, "broker", supervisor.run(tasks.stopping(Stage::Relay)));
    for queue in topology.queues(Flow::EgressLevels) {
        let (bus, stop) = (bus.clone(), tasks.stopping(Stage::Intake));
        tasks.spawn_in(Stage::Intake, "gives up", async move { give_up(&bus, queue, &stop).await });
    }
    buy(&world).await;
    let kept = until("inventory keeps the level", PROOF_PATIENCE, async || {
        let kept = parked(&world, "shop-1").await;
        (!kept.is_empty()).then_some(kept)
    });
    let kept = kept.await;
    assert_eq!(tasks.drain(PATIENCE).await.len(), 0);
    for message in &kept {
        assert_eq!((&message["kind"], &message["reason"]), (&"level.changed.v1".into(), &REASON.into()));
        assert!(message["queue"].as_str().unwrap().starts_with("egress.levels.v1.4."), "{message}");
        assert_eq!(message["leaves_incomplete"], false);
    }
    let holder = HolderId::from(world.products[1][BOUGHT]);
    let shown = || world.shops[1].with_model(|model, _| model.stock(holder));
    assert_eq!(shown(), Some(UNITS_START), "nobody told the other shop");

    deployment.begin_all(&world.bench).await;
    for message in parked(&world, "shop-0").await.iter().chain(&kept) {
        let id = message["id"].to_string();
        world.bench.run(&["parked", "show", &id]).await.good();
        world.bench.run(&["parked", "replay", &id]).await.good();
    }
    comes_right(&world, &BTreeMap::new()).await;
    assert_eq!(shown(), Some(UNITS_START - 5), "{}", sku(BOUGHT));
    assert_eq!(parked(&world, "shop-1").await, Vec::<Value>::new(), "what was handed back is gone");
    deployment.stop(&world.bench).await;
}

async fn give_up(bus: &Bus, queue: bus::QueueName, stop: &CancellationToken) {
    let limits = Limits { messages_max: 100, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };
    bus.consume(queue, limits, &mut GivesUp, stop).await.unwrap();
}
