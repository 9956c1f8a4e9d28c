//! Another number of shards.

use std::collections::BTreeSet;

use onhand_bus::{Bus, BusError, Delivery, Disposition, Flow, Handler, Limits, Pause, QueueName, Topology};
use serde_json::Value;
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{Arrived, LIMITS, PATIENCE, Process, confirmed, order, shared, take_until, until};

const SHOPS: i64 = 12;
const LAST: i64 = 150;

/// Gives up the first message, then holds another.
struct Undertaker {
    stop: CancellationToken,
}

impl Handler for Undertaker {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        self.stop.cancel();
        Ok(vec![Disposition::DeadLetter { reason: "given-up: for the test".to_owned() }; batch.len()])
    }
}

async fn kill_first(bus: &Bus, queue: QueueName) {
    let stop = CancellationToken::new();
    let mut undertaker = Undertaker { stop: stop.clone() };
    let limits = Limits { messages_max: 1, ..LIMITS };
    timeout(PATIENCE, bus.consume(queue, limits, &mut undertaker, &stop)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_move_to_another_number_of_shards_in_their_order() {
    let (broker, vhost) = shared().await;
    let before = Process::plain(&vhost.url(), Topology::new(3, 1, 1).unwrap()).await;
    // Shop 99 dies first, so that its letter has to move too.
    confirmed(&before.bus, &[order(99, 1)]).await;
    let of_99 = order(99, 1).properties.shard_key.shard(3);
    let dying = before.bus.topology().queues(Flow::InventoryOrders).nth(usize::from(of_99)).unwrap();
    kill_first(&before.bus, dying).await;
    for number in 1..=LAST {
        let some: Vec<_> = (1..=SHOPS).map(|shop| order(shop, number)).collect();
        confirmed(&before.bus, &some).await;
    }
    let after = Process::plain(&vhost.url(), Topology::new(2, 1, 1).unwrap()).await;
    let stranded = after.bus.stranded().await.unwrap();
    let names: Vec<String> = (0..3).map(|index| format!("inventory.orders.v1.3.{index}")).collect();
    assert_eq!(stranded, names);
    // While somebody consumes, what he has at hand would be lost.
    let stop = CancellationToken::new();
    let mut idle = Idle;
    let refused = tokio::select! {
        ended = before.bus.consume(dying, LIMITS, &mut idle, &stop) => panic!("{ended:?}"),
        refused = async {
            until("it has messages at hand", async || {
                before.bus.depth(dying).await.unwrap().oldest.is_some()
            })
            .await;
            after.bus.reshard().await
        } => refused,
    };
    assert!(matches!(refused, Err(BusError::InUse(_))), "{refused:?}");
    before.end().await;
    assert_eq!(after.bus.stranded().await.unwrap(), names, "nothing was touched");
    refuses_while_the_present_are_consumed(&after.bus, &broker, &vhost).await;
    assert_eq!(after.bus.stranded().await.unwrap(), names, "nothing was touched");
    // Interrupted, it goes on where it was.
    tokio::select! {
        whole = after.bus.reshard() => panic!("it was faster than the look at it: {whole:?}"),
        () = until("one queue is gone", async || {
            let queues = broker.api("GET", &format!("queues/{}", vhost.name), Value::Null).await;
            let there = queues.as_array().unwrap().iter().filter_map(|queue| queue["name"].as_str());
            there.filter(|name| names.iter().any(|old| old == name)).count() < names.len()
        }) => {}
    }
    // With its process, as it would be: the library does not say when the broker has heard of a channel that is only dropped.
    after.end().await;
    let after = Process::plain(&vhost.url(), Topology::new(2, 1, 1).unwrap()).await;
    after.bus.reshard().await.unwrap();
    assert_eq!(after.bus.stranded().await.unwrap(), Vec::<String>::new());
    assert_eq!(after.bus.reshard().await.unwrap(), 0, "there is nothing left to do");
    let mut arrived = Arrived::default();
    let mut letters = 0;
    for queue in after.bus.topology().queues(Flow::InventoryOrders) {
        let index = usize::from(queue.to_string().ends_with(".1"));
        let shops =
            (1..=SHOPS).filter(|shop| usize::from(order(*shop, 1).properties.shard_key.shard(2)) == index);
        let shops = shops.count();
        assert!(shops > 0);
        letters += after.bus.depth(queue).await.unwrap().dead;
        arrived.0.extend(take_until(&after.bus, queue, shops, LAST).await.0);
    }
    arrived.check(usize::try_from(SHOPS).unwrap(), LAST);
    let of_99 = order(99, 1).properties.shard_key.shard(2);
    let there = after.bus.topology().queues(Flow::InventoryOrders).nth(usize::from(of_99)).unwrap();
    // What was being moved when it was interrupted may be there twice, as anything that is published may; it is one message.
    let found = after.bus.dead_letters(there, None, 10).await.unwrap();
    assert_eq!(u64::try_from(found.len()).unwrap(), letters, "none is anywhere else");
    let messages: BTreeSet<_> =
        found.iter().map(|letter| letter.envelope.as_ref().unwrap().properties.message_id).collect();
    assert_eq!(messages.len(), 1);
    assert!(found.iter().all(|letter| letter.reason == "given-up: for the test"), "{found:?}");
    after.end().await;
}

/// A service of the number that is there now runs: what is moved would come behind what is new.
async fn refuses_while_the_present_are_consumed(bus: &Bus, broker: &RabbitMq, vhost: &Vhost) {
    let ours = bus.topology().queues(Flow::InventoryOrders).next().unwrap();
    let (mut idle, stop) = (Idle, CancellationToken::new());
    let refused = tokio::select! {
        ended = bus.consume(ours, LIMITS, &mut idle, &stop) => panic!("{ended:?}"),
        refused = async {
            until("it is consumed", async || {
                let queue = broker.api("GET", &format!("queues/{}/{ours}", vhost.name), Value::Null).await;
                queue["consumers"].as_u64().is_some_and(|consumers| consumers > 0)
            })
            .await;
            bus.reshard().await
        } => refused,
    };
    assert!(matches!(refused, Err(BusError::InUse(queue)) if queue == ours), "{refused:?}");
}

struct Idle;

impl Handler for Idle {
    async fn handle(&mut self, _batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        std::future::pending().await
    }
}
