//! What a person asks for meets others: the connection that it goes over is ended, a batch is at work, somebody else changes the same.

use std::fmt::Debug;

use inventory::DeadOutcome;
use proto::{Message, Source};
use store::{Changed, Changes, NewDead, OpenOrders, Opening, ShopAdded, ShopRemoved};
use values::{ShopId, Timestamp};

use crate::world::{World, connected, seal, seen, sells, stock_id, units, until};

/// Has it meet a lock and lose its connection there; what it comes to once nobody has the lock any more.
fn interrupted<T: Debug, E: Debug>(
    world: &World,
    lock: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = T> {
    at_a_lock(world, lock, || world.database.end_those_that_wait(), asked)
}

/// Waits while a batch has something of a shop in its hands, and comes to its end afterwards.
fn after_a_batch<T: Debug, E: Debug>(
    world: &World,
    asked: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = T> {
    at_a_lock(world, "SELECT * FROM inventory.shops FOR KEY SHARE", || world.database.waiting(), asked)
}

/// The lock is let go once `met` has counted somebody who waits for it.
async fn at_a_lock<T: Debug, E: Debug>(
    world: &World,
    lock: &str,
    met: impl Fn() -> usize,
    asked: impl Future<Output = Result<T, E>>,
) -> T {
    let mut other = world.database.session();
    other.run("BEGIN").unwrap();
    other.run(lock).unwrap();
    let lets_go = async {
        until("it waits", async || {
            // What is asked for is driven by the same task.
            tokio::task::yield_now().await;
            (met() > 0).then_some(())
        })
        .await;
        other.run("ROLLBACK").unwrap();
    };
    tokio::join!(asked, lets_go).0.unwrap()
}

async fn letter(world: &World, shop: ShopId, message: &Message) -> i64 {
    let dead = NewDead {
        identity: None,
        queue: None,
        shop: Some(shop),
        leaves_incomplete: true,
        trace: None,
        kind: "order.observed.v1".to_owned(),
        payload: seal(message).to_bytes(),
        reason: "test".to_owned(),
        attempts: 3,
        at: Timestamp::default(),
    };
    let mut tx = world.store.begin_inventory().await.unwrap();
    tx.save(&Changes { dead: &[dead], ..Changes::default() }).await.unwrap();
    tx.commit().await.unwrap();
    world.store.dead_messages(0, 10).await.unwrap().last().unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_ask_for_outlives_a_connection() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let sale = seen(shop, 1, Source::Webhook, "processing", 0, &[(1, 3, Some(3))]);
    let a_letter = "SELECT * FROM inventory.dead FOR UPDATE";
    let a_shop = "SELECT * FROM inventory.shops FOR UPDATE";

    let number = letter(&world, shop, &sale).await;
    let replaying = Box::pin(world.inventory().replay_dead(number));
    let replayed = interrupted(&world, a_letter, replaying).await;
    assert_eq!(replayed, DeadOutcome::Done);
    assert_eq!(world.store.movements(&"A".parse().unwrap(), 0, 10).await.unwrap().len(), 1, "once");

    let number = letter(&world, shop, &sale).await;
    let discarded = interrupted(&world, a_letter, world.inventory().discard_dead(number)).await;
    assert_eq!(discarded, DeadOutcome::Done);
    assert_eq!(world.store.dead_messages(0, 10).await.unwrap(), []);

    let removed = interrupted(&world, a_shop, world.inventory().remove_shop(shop, OpenOrders::Keep)).await;
    assert!(matches!(removed, ShopRemoved::Removed(_)), "{removed:?}");

    let others_write = "LOCK TABLE inventory.shops IN ROW EXCLUSIVE MODE";
    let new = world.new_shop("new", Opening::Take);
    let added = interrupted(&world, others_write, world.inventory().add_shop(new)).await;
    assert!(matches!(added, ShopAdded::Added { returned: false, .. }), "{added:?}");
    world.check().await;
    world.stop().await;
}

/// What is applied for a shop goes by what the shop is until it is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_shop_changes_and_goes_once_what_is_applied_for_it_is_done() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let mut settings = world.settings();
    settings.buffer = units(3);
    let inventory = world.inventory();
    let changed = after_a_batch(&world, inventory.change_shop(shop, &settings)).await;
    assert_eq!(changed, Changed::Done);
    let removed = after_a_batch(&world, inventory.remove_shop(shop, OpenOrders::Keep)).await;
    assert!(matches!(removed, ShopRemoved::Removed(_)), "{removed:?}");
    world.stop().await;
}

/// Whoever changes a part of it keeps what others changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_what_was_before_is_refused_once_it_is_something_else() {
    let world = World::running().await;
    let shop = world.shop("shop").await;
    let (mut first, mut second) = (shop.settings.clone(), shop.settings.clone());
    first.buffer = units(3);
    second.private_allowed = !second.private_allowed;
    let inventory = world.inventory();
    let changed = inventory.change_shop_from(shop.id, &shop.settings, &first).await.unwrap();
    assert_eq!(changed, Some(Changed::Done));
    assert_eq!(inventory.change_shop_from(shop.id, &shop.settings, &second).await.unwrap(), None);
    let now = world.store.shops(Some(&[shop.id])).await.unwrap().remove(0).settings;
    assert_eq!(now, first);
    world.stop().await;
}

/// A row that cannot be read is in nobody else's way.
#[tokio::test(flavor = "multi_thread")]
async fn a_sku_that_cannot_be_read_keeps_no_other_from_its_new_level() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None)]).await;
    world.receive("A", 9).await;
    world.receive("B", 9).await;
    let mut session = world.database.session();
    let stored = session.run("SELECT balances FROM inventory.skus WHERE sku = 'A'").unwrap().remove(0);
    session.run("UPDATE inventory.skus SET balances = 'nonsense' WHERE sku = 'A'").unwrap();
    let mut settings = world.settings();
    settings.buffer = units(4);
    assert_eq!(world.inventory().change_shop(shop, &settings).await.unwrap(), Changed::Done);
    world.level(stock_id(shop, 2), "B is told", |level| level.level == units(5)).await;
    session.run(&format!("UPDATE inventory.skus SET balances = '{stored}' WHERE sku = 'A'")).unwrap();
    world.level(stock_id(shop, 1), "A follows once it is mended", |level| level.level == units(5)).await;
    world.check().await;
    world.stop().await;
}

/// Nor is a stock in the way of levels that wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_stock_that_cannot_be_read_keeps_no_other_level_from_being_published() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None)]).await;
    let mut session = world.database.session();
    let all_but = async |count| {
        let what = format!("{count} levels wait");
        until(&what, async || (world.store.waiting().await.unwrap().outbox_count == count).then_some(()))
            .await;
    };
    all_but(0).await;
    session.run("UPDATE inventory.stocks SET adoption = 'nonsense' WHERE holder = 1").unwrap();
    assert_eq!(world.inventory().republish(shop).await.unwrap(), 2);
    all_but(1).await;
    assert_eq!(world.inventory().republish(shop).await.unwrap(), 1, "it waits already");
    all_but(1).await;
    let page = world.metrics.render();
    assert!(
        page.contains(r#"onhand_inventory_failures_total{work="publish"} 1"#),
        "found twice, told once: {page}"
    );
    session.run("UPDATE inventory.stocks SET adoption = NULL WHERE holder = 1").unwrap();
    all_but(0).await;
    world.stop().await;
}
