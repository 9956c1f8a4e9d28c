//! How a shop is called: when it asks to be left alone, when it is away, and what that costs the others.

use std::time::{Duration, Instant};

use onhand_egress::Settings;
use testkit::fake_shop::{Fault, FaultKind, RetryAfter};

use crate::world::{PATIENT, World, fake_shop, product, shows};

/// Pushes into a 429 and gives back how long it took until the push arrived.
async fn stays_away(asked: RetryAfter) -> Duration {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    fake.fault(Fault::next("POST products/batch", FaultKind::TooMany(asked)));
    let level = world.level(shop, holder, 10, 8);
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is refused", async || fake.counts().faults == 1).await;
    let refused = Instant::now();
    world
        .until("the lane is paused", async || {
            let lane = world.store.lane(shop).await.unwrap();
            lane.is_some_and(|lane| lane.breaker == "paused" && lane.cause.as_deref() == Some("rate_limited"))
        })
        .await;
    world.until("a call is made", async || fake.counts().calls_total() > 1).await;
    let waited = refused.elapsed();
    world.at_rest(&level).await;
    assert_eq!(shows(&fake, holder), Some(8));
    assert_eq!(fake.counts().calls_total(), 2, "refused for certain: nothing is in doubt");
    world.stop().await;
    waited
}

#[tokio::test]
async fn retry_after_seconds_is_honoured() {
    let waited = stays_away(RetryAfter::Seconds(1)).await;
    assert!(waited >= Duration::from_millis(950), "{waited:?}");
}

#[tokio::test]
async fn retry_after_a_date_is_honoured() {
    let waited = stays_away(RetryAfter::Date(Duration::from_secs(3))).await;
    // Dates are whole seconds.
    assert!(waited >= Duration::from_millis(1_900), "{waited:?}");
}

#[tokio::test]
async fn what_a_shop_asked_for_holds_over_a_restart() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    fake.fault(Fault::next("POST products/batch", FaultKind::TooMany(RetryAfter::Seconds(2))));
    let level = world.level(shop, holder, 10, 8);
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is refused", async || fake.counts().faults == 1).await;
    let refused = Instant::now();
    world
        .until("the lane is paused", async || {
            world.store.lane(shop).await.unwrap().is_some_and(|lane| lane.until.is_some())
        })
        .await;
    world.stop().await;
    world.start();
    world.until("it is pushed", async || shows(&fake, holder) == Some(8)).await;
    assert!(refused.elapsed() >= Duration::from_millis(1_900), "{:?}", refused.elapsed());
    world.stop().await;
}

#[tokio::test]
async fn shops_that_are_dead_or_silent_hold_no_other_up() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let silent = fake_shop().await;
    silent.fault(Fault::many("", 1_000, FaultKind::HangBefore));
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (dead, hanging) = (world.shop_at(&format!("http://{nobody}")).await, world.shop(&silent).await);
    let alive = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let lost = [world.level(dead, holder, 10, 5), world.level(hanging, holder, 10, 5)];
    world.publish(&lost).await;
    world
        .until("the dead shop's breaker opens", async || {
            world.store.lane(dead).await.unwrap().is_some_and(|lane| lane.breaker == "open")
        })
        .await;
    world.until("the other shop is silent", async || silent.counts().faults > 0).await;
    let mut level = world.level(alive, holder, 10, 9);
    for quantity in [9, 8, 7, 6] {
        level = level.then(quantity);
        world.publish(std::slice::from_ref(&level)).await;
        world.at_rest(&level).await;
        assert_eq!(shows(&fake, holder), Some(quantity));
    }
    let lane = world.store.lane(dead).await.unwrap().unwrap();
    assert_eq!(lane.cause.as_deref(), Some("connect"));
    let row = world.row(lost[0].stock).await;
    assert!(row.push.doubtful_until.is_none(), "what was never sent is not in doubt");
    world.kill().await;
}

#[tokio::test]
async fn a_shop_that_comes_back_is_probed_before_it_is_written_to() {
    let settings = Settings { flush_window: Duration::ZERO, ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let holders: Vec<_> = (0..4).map(|_| product(&fake, 10)).collect();
    fake.fault(Fault::many("POST products/batch", 3, FaultKind::CutBefore));
    for holder in &holders[..3] {
        let level = world.level(shop, *holder, 10, 8);
        world.publish(std::slice::from_ref(&level)).await;
        world
            .until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some())
            .await;
    }
    let last = world.level(shop, holders[3], 10, 8);
    world.publish(std::slice::from_ref(&last)).await;
    world.at_rest(&last).await;
    assert_eq!(shows(&fake, holders[3]), Some(8));
    let counts = fake.counts();
    assert_eq!(
        (counts.calls_of("POST products/batch"), counts.calls_of("GET products")),
        (4, 1),
        "{counts:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_refused_key_waits_for_a_person() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let mut secrets = world.store.shop_secrets(shop).await.unwrap().unwrap();
    let right = secrets.consumer_key.clone();
    secrets.consumer_key = "ck_9999999999999999999999999999999999999999".into();
    world.store.set_shop_secrets(shop, &secrets).await.unwrap();
    let level = world.level(shop, holder, 10, 8);
    world.publish(std::slice::from_ref(&level)).await;
    world
        .until("the cause is visible", async || {
            let lane = world.store.lane(shop).await.unwrap();
            lane.is_some_and(|lane| lane.breaker == "refused" && lane.cause.as_deref() == Some("key_unknown"))
        })
        .await;
    secrets.consumer_key = right;
    world.store.set_shop_secrets(shop, &secrets).await.unwrap();
    world.at_rest(&level).await;
    assert_eq!(shows(&fake, holder), Some(8));
    world.stop().await;
}
