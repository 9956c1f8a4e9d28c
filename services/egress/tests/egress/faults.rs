//! Shops that fail: what arrived arrives once, what did not arrives in the end.

use std::time::Duration;

use onhand_egress::Settings;
use testkit::fake_shop::{Fault, FaultKind, RetryAfter};
use testkit::shop::Change;

use crate::world::{IMPATIENT, Level, PATIENT, World, act, fake_shop, product, shows, units, variations};

/// One push with the fault in its way, and what the shop shows when all is over.
async fn through(fault: FaultKind) {
    let timeouts =
        if matches!(fault, FaultKind::HangBefore | FaultKind::HangAfter) { IMPATIENT } else { PATIENT };
    let (fake, mut world) = (fake_shop().await, World::with(Settings::for_testing(), timeouts).await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 8);
    fake.fault(Fault::next("POST products/batch", fault.clone()));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    assert_eq!(fake.counts().calls_of("POST products/batch"), 1, "{fault:?}");
    // A newer level changes nothing as long as it is in doubt.
    let lower = level.then(5);
    world.publish(std::slice::from_ref(&lower)).await;
    world
        .until("it is known", async || world.row(level.stock).await.push.target.unwrap().level == units(5))
        .await;
    assert_eq!(fake.counts().calls_of("POST products/batch"), 1, "{fault:?}");
    world.pass_deadline();
    world.at_rest(&lower).await;
    assert_eq!(shows(&fake, holder), Some(5), "{fault:?}");
    assert_eq!(fake.counts().calls_of("GET products"), 1, "{fault:?}: read back once");
    world.until("a settle is asked for", async || world.wanted() == [holder]).await;
    let first = world.notes(level.stock).await.attempts[0].clone();
    assert_eq!(first.delta, units(-2));
    world.stop().await;
}

#[tokio::test]
async fn a_push_without_an_answer_is_never_made_twice() {
    for fault in [
        FaultKind::ErrorAfter,
        FaultKind::Status(500),
        FaultKind::Unavailable(RetryAfter::Unsaid),
        FaultKind::CutBefore,
        FaultKind::CutAfter,
        FaultKind::Html,
        FaultKind::TruncatedJson,
        FaultKind::HangBefore,
        FaultKind::HangAfter,
    ] {
        through(fault).await;
    }
}

#[tokio::test]
async fn a_stock_in_doubt_is_read_back_before_a_settle_is_asked_for() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let (holder, other) = (product(&fake, 10), product(&fake, 10));
    let level = world.level(shop, holder, 10, 8);
    fake.fault(Fault::next("POST products/batch", FaultKind::CutAfter));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    let date = fake.now();
    let sold = Level { order_dates: Some((date, date)), taken: 1, ..level.then(7) };
    world.publish(std::slice::from_ref(&sold)).await;
    world.until("a settle is wished for", async || world.notes(level.stock).await.wish.is_some()).await;
    // Another that is wished for later is asked for.
    let unproven = Level { settle: None, ..world.level(shop, other, 10, 4) };
    world.publish(std::slice::from_ref(&unproven)).await;
    world.until("that one is asked for", async || !world.wanted().is_empty()).await;
    assert_eq!(world.wanted(), [other]);
    world.pass_deadline();
    world.until("it is asked for too", async || world.wanted() == [other, holder]).await;
    assert_eq!(fake.counts().calls_of("GET products"), 1, "it was read back");
    world.stop().await;
}

#[tokio::test]
async fn a_deleted_product_blocks_only_itself() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let (gone, stays) = (product(&fake, 10), product(&fake, 10));
    act(&fake, Change::DeleteProduct(gone));
    let levels = [world.level(shop, gone, 10, 4), world.level(shop, stays, 10, 4)];
    world.publish(&levels).await;
    world.at_rest(&levels[0]).await;
    world.at_rest(&levels[1]).await;
    world.stop().await;
    assert_eq!(shows(&fake, stays), Some(4));
    let blocked = world.store.blocked_stocks(None, 9).await.unwrap();
    assert_eq!(blocked.len(), 1);
    assert_eq!((blocked[0].id.holder, blocked[0].blocked.as_deref()), (gone, Some("unknown")));
    assert_eq!(fake.counts().calls_total(), 1);
}

#[tokio::test]
async fn a_stock_that_is_not_managed_is_blocked_until_a_new_epoch() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    act(&fake, Change::SetManageStock { holder, manage: false });
    let level = world.level(shop, holder, 10, 4);
    world.publish(std::slice::from_ref(&level)).await;
    let row = world.at_rest(&level).await;
    assert_eq!(row.blocked.as_deref(), Some("unmanaged"));
    let newer = level.then(3);
    world.publish(std::slice::from_ref(&newer)).await;
    world.at_rest(&newer).await;
    assert_eq!(fake.counts().calls_total(), 1, "a blocked stock costs no calls");
    act(&fake, Change::SetManageStock { holder, manage: true });
    act(&fake, Change::SetStock { holder, quantity: 20 });
    let mapped = Level { epoch: 2, revision: 1, settle: Some(world.proof(20, 0)), ..newer };
    world.publish(std::slice::from_ref(&mapped)).await;
    let row = world.at_rest(&mapped).await;
    assert_eq!((row.blocked, shows(&fake, holder)), (None, Some(3)));
    world.stop().await;
}

#[tokio::test]
async fn a_proof_that_shows_nothing_blocks_and_one_that_shows_something_unblocks() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let mut level = world.level(shop, holder, 10, 10);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    level = level.then(6);
    level.settle = Some(proto::Settled { shown: None, ..world.proof(0, 0) });
    world.publish(std::slice::from_ref(&level)).await;
    let row = world.at_rest(&level).await;
    assert_eq!((row.blocked.as_deref(), row.push.base), (Some("unmanaged"), None));
    level = level.then(6);
    level.settle = Some(world.proof(10, 0));
    world.publish(std::slice::from_ref(&level)).await;
    let row = world.at_rest(&level).await;
    assert_eq!((row.blocked, shows(&fake, holder)), (None, Some(6)));
    world.stop().await;
}

#[tokio::test]
async fn a_shop_that_takes_smaller_batches_gets_them() {
    let (fake, mut world) = (fake_shop().await, World::stopped(Settings::for_testing(), PATIENT).await);
    let shop = world.shop(&fake).await;
    let levels: Vec<Level> =
        (0..100).map(|_| product(&fake, 10)).map(|holder| world.level(shop, holder, 10, 4)).collect();
    fake.fault(Fault::many("POST products/batch", 2, FaultKind::Status(413)));
    world.publish(&levels).await;
    world.settings.flush_window = Duration::from_mins(1);
    world.start();
    for level in &levels {
        world.known(level).await;
    }
    world.pass_deadline();
    for level in &levels {
        world.at_rest(level).await;
        assert_eq!(shows(&fake, level.stock.holder), Some(4));
    }
    world.stop().await;
    let counts = fake.counts();
    // 100, then 50 (perhaps two at once), then 25 each.
    assert!((5..=8).contains(&counts.calls_total()), "{counts:?}");
    assert_eq!(counts.stock_writes, 100, "nothing was done twice");
}

#[tokio::test]
async fn a_refused_batch_is_tried_again_later() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    fake.fault(Fault::many("POST products/batch", 2, FaultKind::Status(400)));
    let level = world.level(shop, holder, 10, 4);
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is pushed", async || shows(&fake, holder) == Some(4)).await;
    world.at_rest(&level).await;
    let answers: Vec<String> =
        world.notes(level.stock).await.attempts.into_iter().map(|attempt| attempt.answer).collect();
    assert_eq!(answers, ["refused", "refused", "applied"]);
    world.stop().await;
}

#[tokio::test]
async fn variations_of_a_deleted_product_are_blocked() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let (parent, holders) = variations(&fake, 2, 10);
    act(&fake, Change::DeleteProduct(parent.into()));
    let mut levels = Vec::new();
    for holder in holders {
        levels.push(Level { parent: Some(parent), ..world.level(shop, holder, 10, 4) });
    }
    world.publish(&levels).await;
    for level in &levels {
        assert_eq!(world.at_rest(level).await.blocked.as_deref(), Some("unknown"));
    }
    world.stop().await;
}
