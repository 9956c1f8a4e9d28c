//! What the transport gives up by itself: inventory keeps it, and trusts nothing its shop shows meanwhile.

use std::sync::Arc;

use bus::{Bus, DELIVERY_LIMIT, Delivery, Disposition, Flow, Handler, Limits, Pause, QueueName};
use inventory::{DeadOutcome, Parts, Settings};
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::Tasks;
use proto::{LevelChanged, Message, Wanted};
use spool::Record;
use store::DeadMessage;
use tokio_util::sync::CancellationToken;
use values::{ShopId, StockId};

use crate::world::{World, connected, read, seal, seen, sells, shown, stock_id, units, until};

/// Whether the proof of that number was trusted.
async fn is_quiet(world: &World, stock: StockId, number: u64) -> bool {
    let numbered =
        |level: &LevelChanged| level.settle.as_ref().is_some_and(|settle| settle.number.get() == number);
    world.level(stock, &format!("proof {number} is told"), numbered).await.settle.unwrap().quiet
}

fn limits(messages_max: usize) -> Limits {
    Limits { messages_max, bytes_max: 1 << 20, wait_max: std::time::Duration::ZERO, ahead_max: 0 }
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
    garbage_in(world, world.facts(), key).await;
}

async fn garbage_in(world: &World, queue: QueueName, key: u64) {
    let queue = world.spool.queue(&queue.to_string()).await.unwrap();
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
    assert_eq!(
        (message.queue.as_deref(), message.leaves_incomplete),
        (Some("inventory.orders.v1.1.0"), true)
    );
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
        channels: notices::Channels::default(),
    };
    inventory::start(parts, &tasks, &metrics);
    until("both are taken again", async || (bus.depth(world.facts()).await.unwrap().dead == 0).then_some(()))
        .await;
    assert_eq!(world.store.dead_messages(0, 10).await.unwrap(), kept);
    assert!(tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());
    writing.abort();
    world.stop().await;
}

/// What is kept, once it is of all these kinds.
async fn kept_of(world: &World, kinds: &[&str]) -> Vec<DeadMessage> {
    until("all kinds are kept", async || {
        let kept = world.store.dead_messages(0, 100).await.unwrap();
        let has = |kind: &&str| kept.iter().any(|dead| dead.message.kind == **kind);
        kinds.iter().all(has).then_some(kept)
    })
    .await
}

fn is_level_of(dead: &DeadMessage, stock: StockId) -> bool {
    let envelope = proto::Envelope::from_bytes(&dead.message.payload);
    let message = envelope.ok().and_then(|envelope| envelope.open().ok());
    matches!(message, Some(Message::LevelChanged(level)) if level.stock == stock)
}

/// Nothing of that is a fact: stocks are believed all the same.
#[tokio::test]
async fn what_other_services_give_up_is_kept_handed_back_and_thrown_away() {
    let world = World::running().await;
    let (shop, other) = (world.shop("shop").await.id, world.shop("other").await.id);
    world.others_give_up(true);
    world.tell([sells(shop, 1, "A"), sells(other, 1, "A"), connected(shop, None)]).await;
    let mut sale = seal(&seen(shop, 1, read(1, 100), "processing", 0, &[(1, 3, Some(3))]));
    sale.properties.traceparent = Some("00-0102030405060708090a0b0c0d0e0f10-00f067aa0ba902b7-01".to_owned());
    world.publish_sealed(&[sale]).await;
    world.applied().await;
    let levels = world.bus.topology().queues(Flow::EgressLevels).next().unwrap();
    garbage_in(&world, levels, key(shop)).await;
    let kept = until("the level of the sale is kept", async || {
        let kept = kept_of(&world, &["level.changed.v1", "read.wanted.v1", "unreadable"]).await;
        kept.iter().any(|dead| dead.message.trace.is_some()).then_some(kept)
    })
    .await;
    for dead in &kept {
        let message = &dead.message;
        let flow =
            if message.kind.starts_with("read") { "ingress.reads.v1.1.0" } else { "egress.levels.v1.1.0" };
        assert_eq!((message.queue.as_deref(), message.leaves_incomplete), (Some(flow), false), "{message:?}");
    }
    let traced = kept.iter().rfind(|dead| is_level_of(dead, stock_id(other, 1))).unwrap();
    assert_eq!(traced.message.trace.unwrap()[..2], [1, 2]);

    world.others_give_up(false);
    world.tell([shown(shop, 1, 7, 2, 5_000)]).await;
    assert!(is_quiet(&world, stock_id(shop, 1), 2).await, "no fact is missing");
    let levels_of_other = || {
        let told = world.told_envelopes().into_iter().filter_map(|told| told.open().ok());
        told.filter(|told| matches!(told, Message::LevelChanged(level) if level.stock == stock_id(other, 1)))
            .count()
    };
    assert_eq!(levels_of_other(), 0, "nobody sends it again by himself");
    assert_eq!(world.inventory().republish(other).await.unwrap(), 1);
    until("it is published again", async || (levels_of_other() == 1).then_some(())).await;
    assert_eq!(world.inventory().replay_dead(traced.id).await.unwrap(), DeadOutcome::Done);
    until("egress has the old one again", async || (levels_of_other() == 2).then_some(())).await;
    let level = world.level(stock_id(other, 1), "the sale is told", |_| true).await;
    assert_eq!(level.level, units(-3));
    assert_eq!(world.inventory().replay_dead(traced.id).await.unwrap(), DeadOutcome::Unknown);
    for dead in kept.iter().filter(|dead| dead.id != traced.id) {
        assert_eq!(world.inventory().discard_dead(dead.id).await.unwrap(), DeadOutcome::Done);
    }
    // A question about a stock may be given up late.
    until("nothing is left", async || {
        let left = world.store.dead_messages(0, 100).await.unwrap();
        for dead in &left {
            world.inventory().discard_dead(dead.id).await.unwrap();
        }
        left.is_empty().then_some(())
    })
    .await;
    assert!(!world.told_envelopes().iter().any(|told| {
        matches!(told.open(), Ok(Message::ReadWanted(asked)) if asked.what == Wanted::OrderAudit)
    }));
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_handed_back_stays() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.others_give_up(true);
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let kept = kept_of(&world, &["level.changed.v1"]).await;
    let level = kept.iter().find(|dead| is_level_of(dead, stock_id(shop, 1))).unwrap();
    world.break_spool();
    let still = world.inventory().replay_dead(level.id).await.unwrap();
    assert!(
        matches!(&still, DeadOutcome::Still { reason } if reason.starts_with("not-published")),
        "{still:?}"
    );
    assert!(world.store.dead_messages(0, 100).await.unwrap().contains(level));
}
