//! What is pushed, in how many calls, and what is not.

use std::time::Duration;

use onhand_egress::Settings;
use store::Told;
use testkit::fake_shop::{FakeShop, Fault, FaultKind};
use testkit::shop::{Change, NewLine, NewOrder, Status};
use values::{HolderId, ProductId, ShopId, StockId};

use crate::world::{Level, PATIENT, World, act, fake_shop, product, shows, units, variations};

#[tokio::test]
async fn a_difference_is_pushed_once() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 7);
    world.publish(std::slice::from_ref(&level)).await;
    let row = world.at_rest(&level).await;
    assert_eq!(shows(&fake, holder), Some(7));
    assert_eq!(row.push.base.unwrap().quantity, units(7));
    // The same level again, and a newer one that says the same, cost nothing.
    let again = level.then(7);
    world.publish(&[level.clone(), again.clone()]).await;
    world.at_rest(&again).await;
    world.stop().await;
    let counts = fake.counts();
    assert_eq!((counts.calls_total(), counts.stock_writes_without_effect), (1, 0), "{counts:?}");
    let told = world.row(level.stock).await.told.unwrap();
    assert_eq!((told.delta, told.answer.as_str()), (units(-3), "applied"));
    assert_eq!(world.notes(level.stock).await.attempts, [told]);
}

#[tokio::test]
async fn a_shop_s_own_sale_costs_no_call() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 10);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    // Held but not taken yet, then taken: the shop lowers its own stock.
    let held = Level { untaken: 3, ..level.then(7) };
    world.publish(std::slice::from_ref(&held)).await;
    world.at_rest(&held).await;
    let line = NewLine::of(ProductId::new(holder.get()).unwrap(), 3);
    act(&fake, Change::CreateOrder(NewOrder::by_rest(Status::Processing, vec![line])));
    let taken = Level { taken: 3, untaken: 0, ..held.then(7) };
    world.publish(std::slice::from_ref(&taken)).await;
    world.at_rest(&taken).await;
    world.stop().await;
    assert_eq!(shows(&fake, holder), Some(7));
    assert_eq!(fake.counts().calls_total(), 0);
}

#[tokio::test]
async fn batches_are_as_few_as_can_be() {
    let (fake, mut world) = (fake_shop().await, World::stopped(Settings::for_testing(), PATIENT).await);
    let shop = world.shop(&fake).await;
    let products: Vec<HolderId> = (0..250).map(|_| product(&fake, 10)).collect();
    let (few_parent, few) = variations(&fake, 3, 10);
    let (many_parent, many) = variations(&fake, 120, 10);
    let mut levels: Vec<Level> = Vec::new();
    for (parent, holders) in [(None, &products), (Some(few_parent), &few), (Some(many_parent), &many)] {
        for holder in holders {
            levels.push(Level { parent, ..world.level(shop, *holder, 10, 4) });
        }
    }
    // The order in which levels come has nothing to do with how they are carried.
    levels.sort_by_key(|level| level.stock.holder.get() * 7_919 % 1_000);
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
    assert_eq!(counts.calls_of("POST products/batch"), 3, "250 products");
    assert_eq!(counts.calls_total(), 3 + 1 + 2, "{counts:?}");
    assert_eq!((counts.batch_items, counts.stock_writes_without_effect), (373, 0));
}

#[tokio::test]
async fn the_newest_level_wins() {
    let settings = Settings { flush_window: Duration::from_mins(1), ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let first = world.level(shop, holder, 10, 9);
    let (second, third) = (first.then(8), first.then(8).then(3));
    for level in [first.clone(), second.clone(), third.clone(), second] {
        world.publish(&[level]).await;
    }
    world.known(&third).await;
    world.pass_deadline();
    world.at_rest(&third).await;
    world.stop().await;
    assert_eq!(shows(&fake, holder), Some(3));
    assert_eq!(fake.counts().calls_total(), 1);
}

#[tokio::test]
async fn a_removed_stock_is_left_alone() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 10);
    let removed = Level { removed: true, ..level.then(0) };
    let late = Level { removed: false, ..level.clone() };
    world.publish(&[level, removed.clone(), late]).await;
    world.at_rest(&removed).await;
    world.stop().await;
    let row = world.row(removed.stock).await;
    assert!(row.removed && row.due_at.is_none() && row.push.base.is_none(), "{row:?}");
    assert_eq!((shows(&fake, holder), fake.counts().calls_total()), (Some(10), 0));
    assert_eq!(world.wanted(), []);
}

#[tokio::test]
async fn nothing_is_raised_while_the_level_is_below_zero() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 5);
    let level = world.level(shop, holder, -2, -4);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    world.stop().await;
    assert_eq!((shows(&fake, holder), fake.counts().calls_total()), (Some(5), 0));
}

#[tokio::test]
async fn more_than_a_page_still_takes_the_fewest_calls() {
    let (fake, mut world) = (fake_shop().await, World::stopped(Settings::for_testing(), PATIENT).await);
    let shop = world.shop(&fake).await;
    let mut levels: Vec<Level> = Vec::new();
    // 60 parents of 7 variations, 3 of 130, and 333 products: pages end inside of each.
    for size in std::iter::repeat_n(7, 60).chain([130, 130, 130]) {
        let (parent, holders) = variations(&fake, size, 10);
        for holder in holders {
            levels.push(Level { parent: Some(parent), ..world.level(shop, holder, 10, 4) });
        }
    }
    for _ in 0..333 {
        let holder = product(&fake, 10);
        levels.push(world.level(shop, holder, 10, 4));
    }
    world.publish(&levels).await;
    world.settings.flush_window = Duration::from_mins(1);
    world.start();
    for level in &levels {
        world.known(level).await;
    }
    world.pass_deadline();
    for level in &levels {
        world.at_rest(level).await;
    }
    world.stop().await;
    let counts = fake.counts();
    assert_eq!(counts.calls_total(), 60 + 3 * 2 + 4, "{:?}", counts.calls);
    assert_eq!((counts.stock_writes, counts.stock_writes_without_effect), (1_143, 0));
}

#[tokio::test]
async fn a_batch_is_not_sent_before_it_is_full_if_more_of_it_waits() {
    let (fake, mut world) = (fake_shop().await, World::stopped(Settings::for_testing(), PATIENT).await);
    let shop = world.shop(&fake).await;
    // A page holds 200: those that are only to be proven come first and fill most of it.
    let mut levels: Vec<Level> = Vec::new();
    for place in 0..240 {
        let holder = product(&fake, 10);
        let level = world.level(shop, holder, 10, 4);
        levels.push(if place < 140 { Level { settle: None, ..level } } else { level });
    }
    world.publish(&levels).await;
    world.settings.flush_window = Duration::from_mins(1);
    world.settings.settle_window = Duration::from_mins(1);
    world.start();
    for level in &levels {
        world.known(level).await;
    }
    world.pass_deadline();
    for level in &levels {
        world.at_rest(level).await;
    }
    world.until("all are asked for", async || world.wanted().len() == 140).await;
    world.stop().await;
    assert_eq!((fake.counts().calls_total(), fake.counts().stock_writes), (1, 100));
}

/// Somebody else writes to the stocks all the time, so that what was decided is often to be decided again.
#[tokio::test]
async fn what_somebody_changed_meanwhile_is_decided_again() {
    const ROUNDS: i64 = 15;
    // What is forgotten stays so.
    let settings = Settings { look_again: Duration::from_hours(1), ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let mut levels = in_agreement(&fake, &mut world, shop, 12, 100).await;
    let stocks: Vec<StockId> = levels.iter().map(|level| level.stock).collect();
    let meddling = async {
        loop {
            let mut tx = world.store.begin_egress().await.unwrap();
            let (rows, mut notes) = (tx.load(&stocks).await.unwrap(), tx.load_notes(&stocks).await.unwrap());
            for notes in &mut notes {
                let told = Told { at: world.now(), delta: units(0), answer: "nothing".to_owned() };
                notes.remember(told);
            }
            tx.save_all(&rows, &notes).await.unwrap();
            tx.commit().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let pushing = async {
        for round in 1..=ROUNDS {
            levels = levels.iter().map(|level| level.then(100 - round)).collect();
            world.publish_together(&levels).await;
            for level in &levels {
                world.at_rest(level).await;
            }
        }
    };
    tokio::select! {
        () = meddling => unreachable!("it does not end"),
        () = pushing => {}
    }
    for stock in &stocks {
        assert_eq!(shows(&fake, stock.holder), Some(100 - ROUNDS));
    }
    let counts = fake.counts();
    assert_eq!(counts.stock_writes, 12 * u64::try_from(ROUNDS).unwrap(), "each once: {counts:?}");
    world.stop().await;
}

/// More than a lane is told of, while it waits for its shop; it looks by itself no more.
#[tokio::test]
async fn what_a_lane_is_not_told_of_it_finds_in_as_few_calls() {
    let settings = Settings { look_again: Duration::from_hours(1), ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let mut levels = in_agreement(&fake, &mut world, shop, 330, 10).await;
    fake.take_counts();
    fake.fault(Fault::next("POST products/batch", FaultKind::Slow(Duration::from_millis(300))));
    fake.fault(Fault::next("POST products/batch", FaultKind::Slow(Duration::from_millis(300))));
    levels = levels.iter().map(|level| level.then(7)).collect();
    for together in levels.chunks(66) {
        world.publish_together(together).await;
    }
    for level in &levels {
        world.at_rest(level).await;
        assert_eq!(shows(&fake, level.stock.holder), Some(7));
    }
    let counts = fake.counts();
    assert_eq!(counts.stock_writes, 330, "{counts:?}");
    // Two may be on their way with what had come by then.
    assert!(counts.calls_total() <= 6, "{counts:?}");
    world.stop().await;
}

/// One stock was handed to the lane, of the other it was only told when it is due: it was never seen before.
#[tokio::test]
async fn what_only_the_database_knows_goes_along() {
    let window = Duration::from_secs(2);
    let settings =
        Settings { look_again: Duration::from_hours(1), flush_window: window, ..Settings::for_testing() };
    let (fake, mut world) = (fake_shop().await, World::with(settings, PATIENT).await);
    let shop = world.shop(&fake).await;
    let handed = in_agreement(&fake, &mut world, shop, 1, 10).await.remove(0).then(7);
    let holder = product(&fake, 10);
    let new = world.level(shop, holder, 10, 8);
    fake.take_counts();
    for level in [&handed, &new] {
        world.publish(std::slice::from_ref(level)).await;
        world.known(level).await;
    }
    for level in [&handed, &new] {
        world.at_rest(level).await;
    }
    assert_eq!((shows(&fake, handed.stock.holder), shows(&fake, holder)), (Some(7), Some(8)));
    assert_eq!(fake.counts().calls_total(), 1, "{:?}", fake.counts());
    world.stop().await;
}

/// So many stocks that show what they should, each its level, told together.
async fn in_agreement(
    fake: &FakeShop,
    world: &mut World,
    shop: ShopId,
    count: usize,
    units: i64,
) -> Vec<Level> {
    let mut levels = Vec::with_capacity(count);
    for _ in 0..count {
        levels.push(world.level(shop, product(fake, units), units, units));
    }
    for together in levels.chunks(100) {
        world.publish_together(together).await;
    }
    for level in &levels {
        world.at_rest(level).await;
    }
    levels
}
