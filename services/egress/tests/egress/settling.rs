//! When stocks are to be compared with proof, and what the proof makes of them.

use std::time::Duration;

use onhand_egress::Settings;
use process::backoff::Backoff;
use proto::Settled;
use push::{DriftAction, DriftClass};
use testkit::fake_shop::{Fault, FaultKind};
use values::Timestamp;

use crate::world::{Level, PATIENT, World, fake_shop, product, shows, units};

#[tokio::test]
async fn nothing_is_pushed_before_the_base_is_proven() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let mut levels = Vec::new();
    for _ in 0..150 {
        let holder = product(&fake, 10);
        levels.push(Level { settle: None, ..world.level(shop, holder, 10, 4) });
    }
    world.publish(&levels).await;
    world.until("all are asked for", async || world.wanted().len() >= 150).await;
    let mut wanted = world.wanted();
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(wanted.len(), 150, "each once");
    assert_eq!(fake.counts().calls_total(), 0);
    // A newer level does not ask once more.
    let newer = levels[0].then(3);
    world.publish(std::slice::from_ref(&newer)).await;
    world.at_rest(&newer).await;
    let proven = Level { settle: Some(world.proof(10, 0)), ..newer.then(3) };
    world.publish(std::slice::from_ref(&proven)).await;
    world.until("it is pushed", async || shows(&fake, proven.stock.holder) == Some(3)).await;
    assert_eq!(world.wanted().len(), 150);
    assert_eq!(world.notes(proven.stock).await.wish, None);
    world.stop().await;
}

/// Longer than it takes a lane in tests to look whether something else is due.
const SLOW: Duration = Duration::from_millis(300);

/// What a lane knows of when something is due is right by itself, not because it looks again before anybody notices.
#[tokio::test]
async fn everything_is_done_in_time_by_a_lane_that_never_looks_again() {
    let settings = Settings { look_again: Duration::from_hours(1), ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let (holder, other) = (product(&fake, 10), product(&fake, 10));
    let level = world.level(shop, holder, 10, 8);
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is pushed", async || shows(&fake, holder) == Some(8)).await;
    // A stock without a base, while another is known: a settle is asked for, and what it proves is pushed.
    let unknown = Level { settle: None, ..world.level(shop, other, 10, 4) };
    world.publish(std::slice::from_ref(&unknown)).await;
    world.until("a settle is asked for", async || !world.wanted().is_empty()).await;
    let proven = Level { settle: Some(world.proof(10, 0)), ..unknown.then(4) };
    world.publish(std::slice::from_ref(&proven)).await;
    world.until("what was proven is pushed", async || shows(&fake, other) == Some(4)).await;
    // A refusal for a while: nobody tells the lane when it is over.
    fake.fault(Fault::next("POST products/batch", FaultKind::Status(400)));
    let newer = level.then(7);
    world.publish(std::slice::from_ref(&newer)).await;
    world.until("it is pushed in the end", async || shows(&fake, holder) == Some(7)).await;
    // A level that comes while the one before is told, for long enough that the lane has looked: it is due with the answer.
    fake.fault(Fault::next("POST products/batch", FaultKind::Slow(SLOW)));
    let before = fake.counts().calls_of("POST products/batch");
    let lower = newer.then(6);
    world.publish(std::slice::from_ref(&lower)).await;
    world.until("it is called", async || fake.counts().calls_of("POST products/batch") > before).await;
    let last = lower.then(5);
    world.publish(std::slice::from_ref(&last)).await;
    world.until("the last is told", async || shows(&fake, holder) == Some(5)).await;
    world.stop().await;
}

#[tokio::test]
async fn wishes_of_a_shop_go_together() {
    let settings = Settings { settle_window: Duration::from_mins(1), ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let holders: Vec<_> = (0..30).map(|_| product(&fake, 10)).collect();
    for holder in &holders {
        let level = Level { settle: None, ..world.level(shop, *holder, 10, 4) };
        world.publish(std::slice::from_ref(&level)).await;
        world.known(&level).await;
    }
    assert_eq!(world.wanted_messages(), 0);
    world.pass_deadline();
    world.until("all are asked for", async || world.wanted().len() == 30).await;
    assert_eq!(world.wanted_messages(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_settle_that_is_not_answered_is_asked_for_again() {
    let settings = Settings { settle_patience: Duration::from_mins(1), ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = Level { settle: None, ..world.level(shop, holder, 10, 4) };
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is asked for", async || world.wanted().len() == 1).await;
    world.pass_deadline();
    world.until("it is asked for again", async || world.wanted().len() == 2).await;
    world.stop().await;
}

#[tokio::test]
async fn a_sale_inside_a_push_asks_for_a_settle() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 8);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    assert_eq!(world.wanted(), []);
    let long_ago = fake.now() - Duration::from_hours(1);
    let before = Level { order_dates: Some((long_ago, long_ago)), ..level.then(8) };
    world.publish(std::slice::from_ref(&before)).await;
    world.at_rest(&before).await;
    let pushed_at = world.row(level.stock).await.push.log[0].ended.unwrap();
    let date = Timestamp::from_seconds(pushed_at.seconds());
    let inside = Level { order_dates: Some((date, date)), taken: 1, ..before.then(7) };
    world.publish(std::slice::from_ref(&inside)).await;
    world.until("a settle is asked for", async || world.wanted() == [holder]).await;
    assert_eq!(world.notes(level.stock).await.wish.unwrap().why, "sale_inside_push");
    world.stop().await;
}

#[tokio::test]
async fn what_proved_nothing_is_settled_again_ever_later() {
    let first = Duration::from_millis(20);
    let settings = Settings {
        settle_repeat: Backoff { first, max: Duration::from_mins(10) },
        ..Settings::for_testing()
    };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let mut level = world.level(shop, holder, 10, 4);
    for tries in 1..=6 {
        level = level.then(4);
        level.settle = Some(Settled { quiet: false, ..world.proof(10, 0) });
        world.publish(std::slice::from_ref(&level)).await;
        world.until("it is asked for", async || world.wanted().len() == tries).await;
        world
            .until("that is noted", async || {
                let wish = world.notes(level.stock).await.wish.unwrap();
                wish.asked && wish.tries == u32::try_from(tries).unwrap()
            })
            .await;
    }
    assert_eq!(fake.counts().calls_total(), 0);
    let kept = world.store.drifts_of(&[level.stock]).await.unwrap();
    let told: Vec<_> =
        kept.iter().map(|drift| (drift.class, drift.action, drift.expected, drift.shown)).collect();
    assert_eq!(told, [(DriftClass::Unsettled, DriftAction::None, None, Some(units(10)))], "told once");
    level = level.then(4);
    level.settle = Some(world.proof(10, 0));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is pushed", async || shows(&fake, holder) == Some(4)).await;
    world.until("nothing is wished for", async || world.notes(level.stock).await.wish.is_none()).await;
    world.stop().await;
}

#[tokio::test]
async fn drift_is_noted_and_looked_at_once_more() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 10);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    // Somebody took two out by hand: they stay out.
    testkit_edit(&fake, holder, 8);
    let found = Level { settle: Some(world.proof(8, 0)), ..level.then(10) };
    world.publish(std::slice::from_ref(&found)).await;
    let row = world.at_rest(&found).await;
    assert_eq!((row.push.base.unwrap().withheld, shows(&fake, holder)), (units(2), Some(8)));
    let drifts = world.store.drifts_of(&[level.stock]).await.unwrap();
    let drift = drifts.first().unwrap();
    assert_eq!((drift.class.as_str(), drift.difference(), drifts.len()), ("edit_down", Some(units(-2)), 1));
    world.until("it is looked at once more", async || world.wanted() == [holder]).await;
    // Somebody puts five in: they are taken out again, but for the two that were withheld.
    testkit_edit(&fake, holder, 13);
    let raised = Level { settle: Some(world.proof(13, 0)), ..found.then(10) };
    world.publish(std::slice::from_ref(&raised)).await;
    world.until("it is lowered", async || shows(&fake, holder) == Some(10)).await;
    let kept = world.store.drifts_of(&[level.stock]).await.unwrap();
    let found: Vec<_> =
        kept.iter().map(|drift| (drift.class, drift.action, drift.difference().unwrap())).collect();
    let (raised, lowered) = (DriftClass::EditUp, DriftClass::EditDown);
    let expected = [(raised, DriftAction::Corrected, units(5)), (lowered, DriftAction::Withheld, units(-2))];
    assert_eq!(found, expected);
    world.stop().await;
}

#[tokio::test]
async fn a_stock_that_is_no_longer_managed_is_told_once() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let level = world.level(shop, product(&fake, 10), 10, 10);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    let unmanaged = |world: &mut World, before: &Level| {
        let settle = Some(Settled { shown: None, ..world.proof(0, 0) });
        Level { settle, ..before.then(10) }
    };
    let gone = unmanaged(&mut world, &level);
    let still = unmanaged(&mut world, &gone);
    for level in [gone, still] {
        world.publish(std::slice::from_ref(&level)).await;
        world.known(&level).await;
    }
    let kept = world.store.drifts_of(&[level.stock]).await.unwrap();
    let told: Vec<_> = kept.iter().map(|drift| (drift.class, drift.expected, drift.shown)).collect();
    assert_eq!(told, [(DriftClass::Unmanaged, Some(units(10)), None)]);
    world.stop().await;
}

fn testkit_edit(fake: &testkit::fake_shop::FakeShop, holder: values::HolderId, quantity: i64) {
    crate::world::act(fake, testkit::shop::Change::SetStock { holder, quantity });
}

#[tokio::test]
async fn a_level_that_comes_again_settles_nothing_twice() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 7);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    // The old proof, before the push, comes with every later level.
    let later = level.then(7);
    world.publish(&[later.clone(), later.clone()]).await;
    let row = world.at_rest(&later).await;
    assert_eq!(row.push.base.unwrap().quantity, units(7));
    world.stop().await;
    assert_eq!((shows(&fake, holder), fake.counts().calls_total()), (Some(7), 1));
}
