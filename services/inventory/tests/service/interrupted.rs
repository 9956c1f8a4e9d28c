//! What a person asked for while the connection that it went over was ended: it is tried again, and done once.

use std::fmt::Debug;

use inventory::DeadOutcome;
use proto::{Message, Source};
use store::{Changes, NewDead, OpenOrders, Opening, ShopAdded, ShopRemoved};
use values::{ShopId, Timestamp};

use crate::world::{World, connected, seal, seen, sells, until};

/// Has it meet a lock and lose its connection there; what it comes to once nobody has the lock any more.
async fn interrupted<T: Debug, E: Debug>(
    world: &World,
    lock: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> T {
    let mut other = world.database.session();
    other.run("BEGIN").unwrap();
    other.run(lock).unwrap();
    let lost = async {
        until("it waits", async || (world.database.end_those_that_wait() > 0).then_some(())).await;
        other.run("ROLLBACK").unwrap();
    };
    tokio::join!(asked, lost).0.unwrap()
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
    let replayed = interrupted(&world, a_letter, world.inventory().replay_dead(number)).await;
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
