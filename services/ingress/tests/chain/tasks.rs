//! Connecting a shop, and the other long jobs.

use proto::{Message, Source};
use serde_json::Value;
use store::{ShopState, TaskKind, TaskState};
use testkit::fake_shop::{FakeShopOptions, Fault, FaultKind, RetryAfter};
use testkit::shop::{Change, NewProduct, ProductStatus, Status};

use crate::world::{World, buy, fake, product};

#[tokio::test]
async fn connecting_reads_the_catalogue_then_the_orders_and_says_what_cannot_be_mapped() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 50);
    let nameless = NewProduct { sku: None, ..NewProduct::simple(None, 5) };
    let unmanaged = NewProduct::unmanaged("U".parse().ok());
    let draft = NewProduct { status: ProductStatus::Draft, ..NewProduct::simple("D".parse().ok(), 5) };
    for new in [nameless, unmanaged, draft] {
        fake.with_model(|model, now| model.add_product(new, now));
    }
    let open = buy(&fake, item, 1).await;
    let closed = buy(&fake, item, 2).await;
    fake.act(Change::SetStatus { order: closed, status: Status::Completed }).await.unwrap();
    let trashed = buy(&fake, item, 3).await;
    fake.act(Change::Trash(trashed)).await.unwrap();
    let (shop, _) = world.add(&fake, FakeShopOptions::SECRET).await;
    let task = world.run_task(shop, TaskKind::Connect).await;
    assert_eq!(task.progress.state, TaskState::Done, "{task:?}");
    let report: Value = serde_json::from_str(&task.progress.report).unwrap();
    assert_eq!(report["listings"], 4, "{report}");
    for kind in ["missing_sku", "unmanaged", "not_published"] {
        assert_eq!(report["problem_counts"][kind], 1, "{kind}: {report}");
    }
    assert!(report["orders"].as_u64() >= Some(3), "{report}");
    let seen = world
        .until("the baseline is taken", async || {
            let seen = world.taken();
            let has = |order| seen.iter().any(|message| matches!(message, Message::OrderObserved(read) if read.order == order && matches!(read.source, Source::Read { baseline: true, .. })));
            [open, closed, trashed].into_iter().all(has).then_some(seen)
        })
        .await;
    let place = |wanted: fn(&Message) -> bool| (seen.iter().position(wanted), seen.iter().rposition(wanted));
    let (_, listings_end) = place(|message| matches!(message, Message::ListingObserved(_)));
    let (connected, _) = place(|message| matches!(message, Message::ShopConnected(_)));
    let (orders, _) = place(|message| matches!(message, Message::OrderObserved(_)));
    assert!(listings_end < connected && connected < orders, "{listings_end:?} {connected:?} {orders:?}");
    let shops = world.store.shops(Some(&[shop])).await.unwrap();
    assert_eq!((shops[0].state, shops[0].baseline_last), (ShopState::Active, Some(trashed)));
    // In service, it can be read again as a whole.
    let sync = world.run_task(shop, TaskKind::Sync).await;
    assert_eq!(sync.progress.state, TaskState::Done, "{sync:?}");
}

#[tokio::test]
async fn a_shop_that_cannot_be_read_says_why_and_can_be_tried_again() {
    let (world, fake) = (World::start().await, fake().await);
    product(&fake, "A", 50);
    let (shop, _) = world.add(&fake, "cs_wrong").await;
    let task = world.run_task(shop, TaskKind::Connect).await;
    assert_eq!(task.progress.state, TaskState::Failed);
    let report: Value = serde_json::from_str(&task.progress.report).unwrap();
    assert_eq!(report["findings"][0]["code"], "signature_invalid", "{report}");
    assert!(report["failure"].as_str().is_some_and(|why| why.contains("secret")), "{report}");
    let reading = world.store.reading(shop).await.unwrap().unwrap();
    assert!(reading.failing_since.is_some() && reading.refused && reading.polled_at.is_none(), "{reading:?}");
    assert_eq!(world.store.shops(Some(&[shop])).await.unwrap()[0].state, ShopState::Connecting);
    let right = crate::world::secrets(FakeShopOptions::SECRET, crate::world::SECRET);
    world.store.set_shop_secrets(shop, &right).await.unwrap();
    let test = world.run_task(shop, TaskKind::Test).await;
    assert_eq!(test.progress.state, TaskState::Done, "{test:?}");
    let sync = world.run_task(shop, TaskKind::Sync).await;
    assert_eq!(sync.progress.state, TaskState::Done, "{sync:?}");
    world
        .until("the shop is in service", async || {
            let shops = world.store.shops(Some(&[shop])).await.unwrap();
            (shops[0].state == ShopState::Active).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_test_does_not_wait_until_a_shop_that_is_left_alone_is_called_again() {
    let (world, fake) = (World::start().await, fake().await);
    product(&fake, "A", 50);
    let shop = world.connect(&fake).await;
    fake.fault(Fault::next("", FaultKind::TooMany(RetryAfter::Seconds(3_600))));
    world.store.add_task(shop, TaskKind::Sync, process::clock::now()).await.unwrap();
    world
        .until("the shop is left alone", async || {
            let reading = world.store.reading(shop).await.unwrap().unwrap();
            reading.resting_until.map(|_| ())
        })
        .await;
    let test = world.run_task(shop, TaskKind::Test).await;
    assert_eq!(test.progress.state, TaskState::Done, "{test:?}");
    let reading = world.store.reading(shop).await.unwrap().unwrap();
    assert!(reading.resting_until.is_some(), "everything else waits: {reading:?}");
}

#[tokio::test]
async fn a_removed_shop_is_left_alone() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 50);
    let shop = world.connect(&fake).await;
    let order = buy(&fake, item, 1).await;
    world.read_of(order).await;
    world.store.remove_shop(shop, store::OpenOrders::Keep, process::clock::now()).await.unwrap();
    world
        .until("its reader ends", async || {
            (world.counted("onhand_ingress_readers_running") == 0).then_some(())
        })
        .await;
    let calls = fake.counts().calls_total();
    let again = buy(&fake, item, 1).await;
    assert!(world.orders().iter().all(|seen| seen.order != again));
    assert!(fake.counts().calls_total() <= calls + 1, "at most the call that was under way");
}
