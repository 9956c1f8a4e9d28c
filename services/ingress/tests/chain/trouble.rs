//! Shops that fail in every way, and come back.

use std::time::Duration;

use proto::Wanted;
use store::{TaskKind, TaskState};
use testkit::fake_shop::{Fault, FaultKind, RetryAfter};
use values::OrderId;

use crate::world::{World, buy, fake, product};

#[tokio::test]
async fn whatever_the_shop_answers_its_orders_are_read_in_the_end() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 100);
    let shop = world.connect(&fake).await;
    // It asks for orders as well, and would meet what is meant for the poll.
    world.until("the day is counted", async || world.store.day_counts(shop, 0, 1).await.unwrap().pop()).await;
    let kinds = [
        FaultKind::Status(401),
        FaultKind::Status(500),
        FaultKind::TooMany(RetryAfter::Seconds(1)),
        FaultKind::Unavailable(RetryAfter::Unsaid),
        FaultKind::Html,
        FaultKind::TruncatedJson,
        FaultKind::CutBefore,
        FaultKind::CutAfter,
        FaultKind::Redirect("https://elsewhere.example/".to_owned()),
    ];
    for kind in kinds {
        let name = format!("{kind:?}");
        let refuses = matches!(kind, FaultKind::Status(401) | FaultKind::Redirect(_));
        let failed_before = world.store.reading(shop).await.unwrap().unwrap().failed_at;
        fake.fault(Fault::many("GET orders", 2, kind));
        let order = buy(&fake, item, 1).await;
        let reading = world
            .until(&name, async || {
                let reading = world.store.reading(shop).await.unwrap().unwrap();
                (reading.failed_at > failed_before).then_some(reading)
            })
            .await;
        assert!(!reading.failure.is_empty() && reading.refused == refuses, "{name}: {reading:?}");
        world.read_of(order).await;
        world
            .until("the shop is well again", async || {
                let reading = world.store.reading(shop).await.unwrap().unwrap();
                reading.failing_since.is_none().then_some(())
            })
            .await;
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_keeps_no_other_from_being_read() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 100);
    let shop = world.connect(&fake).await;
    // Only what is in no list is asked for by itself.
    fake.fault(Fault::many("GET orders/{id}", 10_000, FaultKind::Status(500)));
    let nobody = OrderId::new(999_999).unwrap();
    let order = buy(&fake, item, 1).await;
    world.read_of(order).await;
    world.want(shop, Wanted::Orders(vec![nobody])).await;
    world.until("the wish fails", async || (fake.counts().faults > 1).then_some(())).await;
    let polled = buy(&fake, item, 1).await;
    world.read_of(polled).await;
    world.forget_taken();
    // At once, so that it is not looked for before it is there.
    world.store.want_rereads(&[(shop, order)], process::clock::now()).await.unwrap();
    world
        .until("the other wish is done", async || {
            let left = world.store.rereads_due(shop, 9).await.unwrap();
            (left.iter().all(|reread| reread.order == nobody)).then_some(())
        })
        .await;
    assert_eq!(world.run_task(shop, TaskKind::Catalogue).await.progress.state, TaskState::Done);
    fake.clear_faults();
    world.until("it is gone", async || world.orders().into_iter().find(|seen| seen.order == nobody)).await;
}

#[tokio::test]
async fn a_shop_that_hangs_does_not_keep_the_process_from_stopping() {
    let (world, fake) = (World::start().await, fake().await);
    product(&fake, "A", 100);
    world.connect(&fake).await;
    fake.fault(Fault::many("GET orders", 1_000, FaultKind::HangBefore));
    world.until("a call hangs", async || (fake.counts().faults > 0).then_some(())).await;
    let begun = std::time::Instant::now();
    let _next = world.restart().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
