//! What the transport gives up by itself: inventory keeps it, and trusts nothing its shop shows meanwhile.

use std::sync::Arc;

use bus::{Bus, DELIVERY_LIMIT, Delivery, Disposition, Handler, Limits, Pause};
use inventory::{DeadOutcome, Parts, Settings};
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::Tasks;
use proto::{LevelChanged, Wanted};
use spool::Record;
use tokio_util::sync::CancellationToken;
use values::{ShopId, StockId};

use crate::world::{World, connected, read, seen, sells, shown, stock_id, units, until};

/// Whether the proof of that number was trusted.
async fn is_quiet(world: &World, stock: StockId, number: u64) -> bool {
    let numbered =
        |level: &LevelChanged| level.settle.as_ref().is_some_and(|settle| settle.number.get() == number);
    world.level(stock, &format!("proof {number} is told"), numbered).await.settle.unwrap().quiet
}

fn limits(messages_max: usize) -> Limits {
    Limits { messages_max, bytes_max: 1 << 20, wait_max: std::time::Duration::ZERO }
}

/// Lets the transport deliver what is first in the queue until it may not be delivered once more.
async fn wear_out(world: &World) {
    struct Failing(u32, CancellationToken);
    impl Handler for Failing {
        async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
            self.0 += 1;
            if self.0 > DELIVERY_LIMIT {
                self.1.cancel();
            }
            Ok(vec![Disposition::RetryAfter(std::time::Duration::ZERO); batch.len()])
        }
    }
    let stop = CancellationToken::new();
    world.bus.consume(world.facts(), limits(1), &mut Failing(0, stop.clone()), &stop).await.unwrap();
}

async fn garbage(world: &World, key: u64) {
    let queue = world.spool.queue(&world.facts().to_string()).await.unwrap();
    queue.append_all(vec![Record { key, payload: "no envelope".into() }]).await.unwrap();
}

fn key(shop: ShopId) -> u64 {
    shop.get().unsigned_abs()
}

/// The settle stands right behind the order, and is not trusted without it.
#[tokio::test]
async fn a_message_beyond_the_delivery_limit_makes_its_shop_incomplete() {
    let mut world = World::idle().await;
    let (shop, other) = (world.shop("shop").await.id, world.shop("other").await.id);
    world.publish([seen(shop, 1, read(1, 100), "processing", 0, &[(1, 3, Some(3))])]).await;
    wear_out(&world).await;
    world.publish([sells(shop, 1, "A"), sells(other, 1, "A"), connected(shop, None)]).await;
    world.publish([shown(shop, 1, 7, 2, 5_000), shown(other, 1, 7, 2, 5_000)]).await;
    world.start();
    assert!(!is_quiet(&world, stock_id(shop, 1), 2).await, "an order of the shop is missing");
    assert!(is_quiet(&world, stock_id(other, 1), 2).await, "the other shop is whole");

    let dead = world.store.dead_messages(0, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    let message = &dead[0].message;
    assert_eq!((message.shop, message.kind.as_str()), (Some(shop), "order.observed.v1"));
    assert!(message.reason.starts_with("delivery-limit"), "{}", message.reason);
    assert_eq!(message.attempts, DELIVERY_LIMIT + 1);
    let depth = world.bus.depth(world.facts()).await.unwrap();
    assert_eq!(depth.dead, 0, "one place keeps it");

    assert_eq!(world.inventory().replay_dead(dead[0].id).await.unwrap(), DeadOutcome::Done);
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(3)));
    world.tell([shown(shop, 1, 7, 3, 6_000)]).await;
    assert!(is_quiet(&world, stock_id(shop, 1), 3).await);
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_message_at_all_is_its_shops_or_everybodys() {
    let world = World::running().await;
    let (shop, other) = (world.shop("shop").await.id, world.shop("other").await.id);
    world.tell([sells(shop, 1, "A"), sells(other, 1, "A"), connected(shop, None)]).await;
    garbage(&world, key(shop)).await;
    world.tell([shown(shop, 1, 0, 1, 500), shown(other, 1, 0, 1, 500)]).await;
    assert!(!is_quiet(&world, stock_id(shop, 1), 1).await);
    assert!(is_quiet(&world, stock_id(other, 1), 1).await);
    let dead = world.store.dead_messages(0, 10).await.unwrap();
    assert_eq!(
        (dead.len(), dead[0].message.shop, dead[0].message.kind.as_str()),
        (1, Some(shop), "unreadable")
    );
    let still = world.inventory().replay_dead(dead[0].id).await.unwrap();
    assert!(matches!(still, DeadOutcome::Still { .. }), "{still:?}");
    assert_eq!(world.inventory().discard_dead(dead[0].id).await.unwrap(), DeadOutcome::Done);
    world.asked("every order is read", |asked| asked.shop == shop && asked.what == Wanted::OrderAudit).await;
    world.tell([shown(shop, 1, 0, 2, 600)]).await;
    assert!(is_quiet(&world, stock_id(shop, 1), 2).await);

    garbage(&world, 0).await;
    world.tell([shown(shop, 1, 0, 3, 700), shown(other, 1, 0, 3, 700)]).await;
    for stock in [stock_id(shop, 1), stock_id(other, 1)] {
        assert!(!is_quiet(&world, stock, 3).await, "it may have been an order of {stock}");
    }
    let dead = world.store.dead_messages(0, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].message.shop), (1, None));
    assert_eq!(world.inventory().discard_dead(dead[0].id).await.unwrap(), DeadOutcome::Done);
    world
        .asked("of the other shop too", |asked| asked.shop == other && asked.what == Wanted::OrderAudit)
        .await;
    world.tell([shown(other, 1, 0, 4, 800)]).await;
    assert!(is_quiet(&world, stock_id(other, 1), 4).await);
    world.check().await;
    world.stop().await;
}

/// The process died after it had kept the letters and before the transport had forgotten them.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "test code")]
async fn a_letter_is_kept_once() {
    struct Leaving(CancellationToken);
    impl Handler for Leaving {
        async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
            self.0.cancel();
            Ok(vec![Disposition::DeadLetter { reason: "given-up: by a test".to_owned() }; batch.len()])
        }
    }
    let mut world = World::idle().await;
    let shop = world.shop("shop").await.id;
    garbage(&world, key(shop)).await;
    world.publish([connected(shop, None)]).await;
    let stop = CancellationToken::new();
    world.bus.consume(world.facts(), limits(10), &mut Leaving(stop.clone()), &stop).await.unwrap();
    assert_eq!(world.bus.depth(world.facts()).await.unwrap().dead, 2);
    let copy = world.copy_spool();
    world.start();
    let kept = until("both are kept", async || {
        let kept = world.store.dead_messages(0, 10).await.unwrap();
        (kept.len() == 2).then_some(kept)
    })
    .await;
    assert!(world.tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());
    assert_eq!(world.bus.depth(world.facts()).await.unwrap().dead, 0);

    let (spool, writer) = spool::open(spool::Options::at(copy.path().join("spool.db"))).await.unwrap();
    let writing = tokio::spawn(async move { writer.run().await.unwrap() });
    let bus = Bus::local(&spool, world.bus.topology()).await.unwrap();
    assert_eq!(bus.depth(world.facts()).await.unwrap().dead, 2, "they are offered again");
    let (tasks, metrics) = (Tasks::new(), Metrics::new());
    let parts = Parts {
        store: Arc::clone(&world.store),
        bus: bus.clone(),
        member: "test".to_owned(),
        health: Health::new(),
        settings: Settings::for_testing(),
    };
    inventory::start(parts, &tasks, &metrics);
    until("both are taken again", async || (bus.depth(world.facts()).await.unwrap().dead == 0).then_some(()))
        .await;
    assert_eq!(world.store.dead_messages(0, 10).await.unwrap(), kept);
    assert!(tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());
    writing.abort();
    world.stop().await;
}
