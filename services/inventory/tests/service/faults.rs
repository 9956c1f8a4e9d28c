//! Crashes, repeats, poison: nothing is lost, nothing is applied twice, nobody suffers from his neighbour.

use std::sync::Arc;

use bus::{Bus, Flow, Topology};
use inventory::{DeadOutcome, Parts, Settings};
use ledger::{Book, SkuBook};
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::Tasks;
use proto::{Envelope, Message, Source, Wanted};
use store::{Changes, StockRow};
use values::{ShopId, StockId, Timestamp};

use crate::world::{World, connected, order_id, read, seal, seen, sells, shown, sku, stock_id, units, until};

/// What must not change when a message comes again.
async fn state(world: &World, shop: ShopId) -> (Vec<String>, Vec<u64>, Vec<StockRow>) {
    let mut orders = Vec::new();
    for id in 1..=20 {
        orders.push(format!("{:?}", world.store.order(shop, order_id(id)).await.unwrap()));
    }
    let mut counts = Vec::new();
    for code in ["A", "B"] {
        let stock = world.store.stock_of(&[sku(code)]).await.unwrap();
        counts.extend(stock.iter().map(|stock| stock.book.movement_count));
    }
    let mut stocks = world.store.stocks_of_shop(shop, None, 100).await.unwrap();
    // Told again means published again, and no more.
    for row in &mut stocks {
        row.revision = values::Revision::ZERO;
        row.last_applied_at = None;
    }
    (orders, counts, stocks)
}

fn orders(shop: ShopId) -> Vec<Message> {
    let status = |order: i64| if order % 3 == 0 { "completed" } else { "processing" };
    (1..=20)
        .flat_map(|order| {
            let lines = [(1, 1, Some(1)), (2, 2, Some(2))];
            [
                seen(shop, order, Source::Webhook, status(order), order, &lines),
                seen(shop, order, read(1, 10_000), status(order), order, &lines),
            ]
        })
        .collect()
}

/// The process dies after its commit and before its ack: the spool as it was then is delivered once more.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "test code")]
async fn killed_between_commit_and_ack_nothing_is_applied_twice() {
    let mut world = World::idle().await;
    let shop = world.shop("shop").await.id;
    world.publish([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None)]).await;
    world.publish(orders(shop)).await;
    let copy = world.copy_spool();
    world.start();
    world.applied().await;
    let applied = state(&world, shop).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(-6), units(14)));
    assert!(world.tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());

    let (spool, writer) = spool::open(spool::Options::at(copy.path().join("spool.db"))).await.unwrap();
    let writing = tokio::spawn(async move { writer.run().await.unwrap() });
    let bus = Bus::local(&spool, Topology::uniform(1).unwrap()).await.unwrap();
    let queue = bus.topology().queues(Flow::InventoryOrders).next().unwrap();
    assert_eq!(bus.depth(queue).await.unwrap().messages, 43, "all is delivered again");
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
    until("all is acknowledged again", async || {
        (bus.depth(queue).await.unwrap().messages == 0).then_some(())
    })
    .await;
    assert_eq!(state(&world, shop).await, applied);
    assert!(metrics.render().contains("onhand_inventory_movements_total 0"), "{}", metrics.render());
    assert!(tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());
    writing.abort();
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn a_batch_is_one_transaction() {
    let mut world = World::idle().await;
    let shop = world.shop("shop").await.id;
    world.publish([sells(shop, 1, "A"), sells(shop, 2, "B")]).await;
    world.publish(orders(shop)).await;
    world.start();
    world.applied().await;
    until("one batch was counted", async || {
        world.metrics.render().contains("onhand_inventory_batch_messages_count 1\n").then_some(())
    })
    .await;
    world.check().await;
    world.stop().await;
}

/// Makes the database say that nothing of the SKU is reserved, whatever its lines hold.
pub(crate) async fn forget_reserved(world: &World, code: &str) -> SkuBook {
    let mut tx = world.store.begin_inventory().await.unwrap();
    let before = tx.load_books(&[sku(code)]).await.unwrap().sku(&sku(code)).cloned().unwrap();
    let mut forged = before.clone();
    for balance in forged.balances.values_mut() {
        balance.reserved = units(0);
    }
    let mut book = Book::default();
    book.load(sku(code), forged);
    tx.save(&Changes { book: Some(&book), ..Changes::default() }).await.unwrap();
    tx.commit().await.unwrap();
    before
}

pub(crate) async fn restore(world: &World, code: &str, stored: SkuBook) {
    let mut tx = world.store.begin_inventory().await.unwrap();
    tx.load_books(&[sku(code)]).await.unwrap();
    let mut book = Book::default();
    book.load(sku(code), stored);
    tx.save(&Changes { book: Some(&book), ..Changes::default() }).await.unwrap();
    tx.commit().await.unwrap();
}

async fn last_proof(world: &World, stock: StockId, number: u64) -> bool {
    let level = world.level(stock, "the proof is told", |level| {
        level.settle.as_ref().is_some_and(|settle| settle.number.get() == number)
    });
    level.await.settle.unwrap().quiet
}

/// One message would break a rule of the ledger: it alone is set aside, and until somebody has seen to it nothing its shop
/// shows is trusted.
#[tokio::test(flavor = "multi_thread")]
async fn poison_is_isolated() {
    let world = World::running().await;
    let (shop, other) = (world.shop("shop").await.id, world.shop("other").await.id);
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "B"), sells(other, 1, "A"), sells(other, 3, "C")]).await;
    world
        .tell([
            seen(shop, 1, read(1, 100), "processing", 0, &[(1, 1, Some(1))]),
            seen(shop, 2, read(1, 100), "processing", 0, &[(2, 4, Some(4))]),
        ])
        .await;
    let stored = forget_reserved(&world, "B").await;
    let neighbours =
        (10..30).map(|order| seen(shop, order, read(2, 300), "processing", 200, &[(1, 1, Some(1))]));
    let poison = seen(shop, 2, read(2, 300), "cancelled", 200, &[(2, 4, None)]);
    let theirs =
        (10..30).map(|order| seen(other, order, read(2, 300), "processing", 200, &[(3, 1, Some(1))]));
    world.tell(neighbours.chain([poison]).chain(theirs)).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(21)));
    assert_eq!(world.on_hand_and_reserved("C").await, (units(0), units(20)));
    let dead = world.store.dead_messages(0, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].message.shop, Some(shop));
    assert!(dead[0].message.reason.starts_with("broken-rule: reserved of B"), "{}", dead[0].message.reason);

    world.tell([shown(shop, 1, 0, 1, 9_000), shown(other, 3, 0, 1, 9_000)]).await;
    assert!(!last_proof(&world, stock_id(shop, 1), 1).await, "an order of the shop is missing");
    assert!(last_proof(&world, stock_id(other, 3), 1).await, "the other shop is whole");

    let still = world.inventory().replay_dead(dead[0].id).await.unwrap();
    assert!(matches!(still, DeadOutcome::Still { .. }), "{still:?}");
    assert_eq!(world.store.dead_messages(0, 10).await.unwrap(), dead);
    restore(&world, "B", stored).await;
    assert_eq!(world.inventory().replay_dead(dead[0].id).await.unwrap(), DeadOutcome::Done);
    assert_eq!(world.inventory().replay_dead(dead[0].id).await.unwrap(), DeadOutcome::Unknown);
    assert_eq!(world.on_hand_and_reserved("B").await, (units(0), units(0)));
    world.tell([shown(shop, 1, 0, 2, 9_000)]).await;
    assert!(last_proof(&world, stock_id(shop, 1), 2).await);
    world.check().await;
    world.stop().await;
}

/// What cannot be read, comes from a newer version, or from a shop nobody knows, is kept with its reason.
#[tokio::test]
async fn what_cannot_be_understood_is_set_aside() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let nobody = ShopId::new(999).unwrap();
    let good = seal(&sells(shop, 1, "A"));
    let garbled = Envelope { body: vec![0xff; 9], ..seal(&connected(shop, None)) };
    let stranger = seal(&connected(nobody, None));
    let mut newer = seal(&connected(shop, None));
    newer.properties.message_type = "shop.connected.v2".to_owned();
    // A bus does not route what it does not know; a newer one did.
    assert!(world.bus.publisher().publish(&[newer]).await[0].is_err());
    world.publish_sealed(&[garbled, stranger, good]).await;
    world.applied().await;
    let dead = world.store.dead_messages(0, 10).await.unwrap();
    let reasons: Vec<&str> = dead.iter().map(|dead| dead.message.reason.split(':').next().unwrap()).collect();
    assert_eq!(reasons, ["undecodable", "unknown-shop"]);
    assert!(world.store.stocks_of_shop(shop, None, 10).await.unwrap().iter().any(|row| row.sku.is_some()));

    assert_eq!(world.inventory().discard_dead(dead[0].id).await.unwrap(), DeadOutcome::Done);
    world
        .asked("an audit is asked for", |asked| asked.shop == shop && asked.what == Wanted::OrderAudit)
        .await;
    world.stop().await;
}

/// What was committed while nobody could publish it goes out later, the newest state once.
#[tokio::test]
async fn the_outbox_outlives_its_process() {
    let mut world = World::idle().await;
    let (shop, other) = (world.shop("shop").await.id, world.shop("other").await.id);
    let traced = "00-0102030405060708090a0b0c0d0e0f10-00f067aa0ba902b7-01";
    let mut sale = seal(&seen(shop, 1, read(1, 100), "processing", 0, &[(1, 3, Some(3))]));
    sale.properties.traceparent = Some(traced.to_owned());
    world.publish([sells(shop, 1, "A"), sells(other, 7, "A")]).await;
    world.publish_sealed(&[sale]).await;
    world.start();
    for stock in [stock_id(shop, 1), stock_id(other, 7)] {
        world.level(stock, "the sale is told", |level| level.level == units(-3)).await;
        let told = world.told_envelopes();
        let last = told.iter().rev().find(|envelope| {
            matches!(envelope.open().unwrap(), Message::LevelChanged(level) if level.stock == stock)
        });
        assert_eq!(last.unwrap().properties.traceparent.as_deref(), Some(traced), "{stock}");
    }
    let movements = world.store.movements(&sku("A"), 0, 10).await.unwrap();
    assert_eq!(movements[0].posting.trace.map(|trace| trace[0]), Some(1));
    until("nothing waits", async || (world.store.waiting().await.unwrap().outbox_count == 0).then_some(()))
        .await;

    // Removed while no relay runs.
    assert!(world.tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());
    world.store.remove_shop(other, store::OpenOrders::Keep, Timestamp::default()).await.unwrap();
    world.tasks = Tasks::new();
    world.start();
    world.level(stock_id(other, 7), "the removal is told", |level| level.removed).await;
    world.tell([seen(other, 5, read(9, 100), "processing", 0, &[(7, 1, Some(1))])]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(3)), "a removed shop sells nothing");
    world.check().await;
    world.stop().await;
}

/// Others wait for what it locks, so that one transaction is not to take all that has gathered.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_gathered_is_applied_in_several_transactions() {
    let mut world = World::idle().await;
    world.batch_messages_max = 2_000;
    let shop = world.shop("shop").await.id;
    world.publish([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None)]).await;
    let gathered = orders(shop).into_iter().cycle().take(1_500 - 3);
    world.publish(gathered).await;
    world.start();
    world.applied().await;
    let page = world.metrics.render();
    let counted = |name: &str| {
        let value =
            page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u32>().ok());
        value.unwrap_or_else(|| panic!("{name} is not in\n{page}"))
    };
    let transactions = counted("onhand_inventory_batch_messages_count");
    // More than two if they were slow.
    assert!(transactions >= 2, "{transactions}");
    assert_eq!(counted(r#"onhand_inventory_batch_messages_bucket{le="1000"}"#), transactions, "{page}");
    assert_eq!(counted("onhand_inventory_batch_messages_sum"), 1_500);
    assert_eq!(world.on_hand_and_reserved("A").await, (units(-6), units(14)));
    world.check().await;
    world.stop().await;
}
