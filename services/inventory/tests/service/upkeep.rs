//! What happens without a message.

use std::time::Duration;

use proto::{Message, Source, Wanted};
use store::{Orphaned, ShopSettings};

use crate::faults::{forget_reserved, restore};
use crate::world::{World, connected, gone, order_id, read, seen, sells, stock_id, units, until};

/// An unpaid order keeps its units for a while; a paid one for good.
#[tokio::test]
async fn a_pending_reservation_expires() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let settings = ShopSettings { pending_hold: Duration::from_millis(1), ..world.settings() };
    world.inventory().change_shop(shop, &settings).await.unwrap();
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    world
        .tell([
            seen(shop, 1, read(1, 200), "pending", 100, &[(1, 2, None)]),
            seen(shop, 2, read(1, 200), "on-hold", 100, &[(1, 3, Some(3))]),
        ])
        .await;
    world
        .level(stock_id(shop, 1), "the unpaid one is let go", |level| {
            level.level == units(-3) && level.untaken == units(0)
        })
        .await;
    let row = world.store.order(shop, order_id(1)).await.unwrap().unwrap();
    assert!(row.order.expired && row.expires_at.is_none());
    // Paid after all: it counts again.
    world.tell([seen(shop, 1, read(2, 400), "processing", 300, &[(1, 2, Some(2))])]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(5)));
    world.check().await;
    world.stop().await;
}

/// One order cannot be let go, for the ledger would break; the others are.
#[tokio::test]
async fn a_broken_order_keeps_no_other_from_expiring() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let settings = ShopSettings { pending_hold: Duration::from_secs(1), ..world.settings() };
    world.inventory().change_shop(shop, &settings).await.unwrap();
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None)]).await;
    world
        .tell([
            seen(shop, 1, read(1, 200), "pending", 100, &[(2, 4, None)]),
            seen(shop, 2, read(1, 200), "pending", 100, &[(1, 2, None)]),
        ])
        .await;
    let stored = forget_reserved(&world, "B").await;
    world.level(stock_id(shop, 1), "the sound one is let go", |level| level.level == units(0)).await;
    until("the whole one has expired", async || {
        let row = world.store.order(shop, order_id(2)).await.unwrap().unwrap();
        row.order.expired.then_some(())
    })
    .await;
    let row = world.store.order(shop, order_id(1)).await.unwrap().unwrap();
    assert!(!row.order.expired && row.expires_at.is_some());
    restore(&world, "B", stored).await;
    until("the other follows once it is mended", async || {
        let row = world.store.order(shop, order_id(1)).await.unwrap().unwrap();
        row.order.expired.then_some(())
    })
    .await;
    world.check().await;
    world.stop().await;
}

/// What polls should have confirmed long ago is read by its number, again and again until it is.
#[tokio::test]
async fn an_order_no_read_confirms_is_asked_for() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let order = |source| seen(shop, 1, source, "processing", 100, &[(1, 2, Some(2))]);
    world.tell([order(Source::Webhook)]).await;
    let asked = || {
        let what = Wanted::Orders(vec![order_id(1)]);
        world
            .all_told()
            .iter()
            .filter(|told| matches!(told, Message::ReadWanted(asked) if asked.what == what))
            .count()
    };
    until("it is asked for twice", async || (asked() >= 2).then_some(())).await;
    world.tell([order(read(1, 200))]).await;
    let row = world.store.order(shop, order_id(1)).await.unwrap().unwrap();
    assert_eq!(row.unconfirmed_since, None);
    world.stop().await;
}

/// An order that its shop deleted for good keeps what it holds, unless its shop is to let go; told later, it does so too.
#[tokio::test]
async fn what_an_orphan_holds_is_kept_or_let_go() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let order = |order| seen(shop, order, read(1, 200), "processing", 100, &[(1, 2, Some(2))]);
    world.tell([order(1), order(2), order(3), gone(shop, 1, read(2, 300))]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(6)));
    assert_eq!(world.store.waiting().await.unwrap().orphaned_count, 1);

    let settings = ShopSettings { orphaned: Orphaned::Release, ..world.settings() };
    world.inventory().change_shop(shop, &settings).await.unwrap();
    let reserved = async |expected| {
        until("what the orphan held is let go", async || {
            (world.on_hand_and_reserved("A").await == (units(0), units(expected))).then_some(())
        })
        .await;
    };
    reserved(4).await;
    let stock = stock_id(shop, 1);
    world.level(stock, "it is offered again", |level| level.level == units(-4)).await;
    assert_eq!(world.stock(stock).await.taken_total, units(6), "the shop gave nothing back");
    world.tell([gone(shop, 2, read(3, 400))]).await;
    reserved(2).await;
    assert_eq!(world.store.waiting().await.unwrap().orphaned_count, 0);
    // It is there after all.
    world.tell([seen(shop, 2, read(4, 600), "processing", 100, &[(1, 2, Some(2))])]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(4)));
    world.check().await;
    world.stop().await;
}
