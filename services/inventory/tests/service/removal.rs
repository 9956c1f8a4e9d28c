//! Shops that are removed, and those that come back: what their orders hold is held once.

use inventory::{Released, Requester};
use ledger::{MovementKind, StatusMap, StatusRule};
use process::tasks::Tasks;
use proto::{Message, Source};
use store::{
    NewShop, OpenOrders, Opening, OrphanCause, Shop, ShopAdded, ShopRemoved, ShopSettings, StillHeld,
};
use values::{ReadNumber, ShopId};

use crate::world::{World, at, connected, order_id, read, seen, sells, sku, stock_id, units, until};

/// A shop in service with 20 of A, two open orders of 3 and 2 pieces (which the shop has not taken), and one that has left.
async fn sold(world: &World) -> ShopId {
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    world.receive("A", 20).await;
    let orders = [(1, "processing", 3, Some(3)), (2, "processing", 2, None), (3, "completed", 4, Some(4))];
    let told = orders.map(|(order, status, count, taken)| {
        seen(shop, order, read(1, 200), status, 100, &[(1, count, taken)])
    });
    world.tell(told).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(16), units(5)));
    shop
}

async fn remove(world: &World, shop: ShopId, orders: OpenOrders) {
    let removed = world.inventory().remove_shop(shop, orders).await.unwrap();
    assert_eq!(removed, ShopRemoved::Removed(StillHeld { order_count: 2, reserved: units(5) }));
}

/// Added once more, with other settings.
async fn add_again(world: &World) -> Shop {
    let new = world.new_shop("again", Opening::Take);
    let settings = ShopSettings {
        url: "https://shop.example".to_owned(),
        buffer: units(1),
        statuses: StatusMap::default().with("processing", StatusRule::ReservePending),
        ..new.settings
    };
    match world.inventory().add_shop(NewShop { settings, ..new }).await.unwrap() {
        ShopAdded::Added { shop, returned: true, .. } => shop,
        other => panic!("{other:?}"),
    }
}

/// What the baseline shows of an order; of order 2 the shop has taken nothing.
fn baseline(shop: ShopId, order: i64, status: &str, modified: i64, count: i64) -> Message {
    let source = Source::Read { number: ReadNumber::new(10), read_at: at(90_000), baseline: true };
    seen(shop, order, source, status, modified, &[(1, count, Some(count).filter(|_| order != 2))])
}

#[tokio::test]
async fn a_shop_that_comes_back_holds_nothing_twice() {
    let world = World::running().await;
    let shop = sold(&world).await;
    remove(&world, shop, OpenOrders::Keep).await;
    world.level(stock_id(shop, 1), "the removal is told", |level| level.removed).await;
    let orphans = world.store.orphaned(None, 10).await.unwrap();
    let told: Vec<_> = orphans.iter().map(|row| (row.order, row.reserved, row.cause)).collect();
    let cause = OrphanCause::ShopRemoved;
    assert_eq!(told, [(order_id(1), units(3), cause), (order_id(2), units(2), cause)]);
    assert_eq!(world.store.waiting().await.unwrap().orphaned_count, 2);

    let back = add_again(&world).await;
    assert_eq!((back.id, back.settings.buffer), (shop, units(1)));
    assert_eq!(world.store.orphaned(None, 10).await.unwrap(), [], "its shop is in service");
    world.check().await;
    // Meanwhile 1 has left, 4 was sold, and 5 was sold and has left.
    world.tell([sells(shop, 1, "A"), connected(shop, Some(5))]).await;
    world
        .tell([
            baseline(shop, 1, "completed", 50_000, 3),
            baseline(shop, 2, "processing", 100, 2),
            baseline(shop, 3, "completed", 100, 4),
            baseline(shop, 4, "processing", 60_000, 6),
            baseline(shop, 5, "completed", 4_000_000_000 - crate::world::LONG_AGO, 1),
        ])
        .await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(12), units(8)));
    let level =
        world.level(stock_id(shop, 1), "it is told again", |level| !level.removed && level.level == units(3));
    assert_eq!(level.await.untaken, units(2), "what its statuses mean is another thing now");
    assert_eq!(world.store.openings(shop).await.unwrap().left_alone_count, 1, "A has stock already");
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_let_go_is_held_again_when_its_shop_comes_back() {
    let world = World::running().await;
    let shop = sold(&world).await;
    let pending = seen(shop, 4, read(2, 200), "pending", 100, &[(1, 1, None)]);
    world.tell([pending]).await;
    let removed = world.inventory().remove_shop(shop, OpenOrders::Release).await.unwrap();
    assert_eq!(removed, ShopRemoved::Removed(StillHeld { order_count: 3, reserved: units(6) }));
    assert_eq!(world.on_hand_and_reserved("A").await, (units(16), units(0)));
    assert_eq!(world.store.orphaned(None, 10).await.unwrap(), []);
    let movements = world.store.movements(&sku("A"), 0, 100).await.unwrap();
    let last = movements.last().unwrap();
    assert_eq!(last.movement.kind, MovementKind::Release);
    assert_eq!(last.posting.reason.as_deref(), Some("its shop was removed"));
    world.check().await;

    add_again(&world).await;
    world.tell([sells(shop, 1, "A"), connected(shop, Some(3))]).await;
    let told = [(1, "processing", 3), (2, "processing", 2), (3, "completed", 4)];
    world.tell(told.map(|(order, status, count)| baseline(shop, order, status, 100, count))).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(16), units(5)), "as they were");
    world.check().await;
    world.stop().await;
}

/// The process died between the removal and its end.
#[tokio::test]
async fn letting_go_goes_on_after_a_crash() {
    let mut world = World::running().await;
    let shop = sold(&world).await;
    assert!(world.tasks.drain(std::time::Duration::from_secs(10)).await.is_empty());
    world.store.remove_shop(shop, OpenOrders::Release, at(0)).await.unwrap();
    assert_eq!(world.store.orphaned(None, 10).await.unwrap().len(), 2);
    world.tasks = Tasks::new();
    world.start();
    until("all is let go", async || {
        (world.on_hand_and_reserved("A").await == (units(16), units(0))).then_some(())
    })
    .await;
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn what_a_removed_shop_kept_is_let_go_by_a_person() {
    let world = World::running().await;
    let shop = sold(&world).await;
    let clerk = Requester { actor: "clerk".to_owned(), traceparent: None };
    let release = async |order| world.inventory().release(shop, order_id(order), &clerk).await.unwrap();
    assert_eq!(release(1).await, Released::NotOrphaned);
    remove(&world, shop, OpenOrders::Keep).await;
    assert_eq!(release(1).await, Released::Released(units(3)));
    assert_eq!(world.on_hand_and_reserved("A").await, (units(16), units(2)));
    assert_eq!(world.store.orphaned(None, 10).await.unwrap().len(), 1);
    world.check().await;
    world.stop().await;
}
