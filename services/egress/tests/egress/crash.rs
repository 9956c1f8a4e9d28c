//! Processes that die between journal, call and answer.

use std::time::Duration;

use process::Tasks;
use store::PushRow;
use testkit::fake_shop::{FakeShop, Fault, FaultKind};
use values::{HolderId, StockId};

use crate::world::{Level, World, fake_shop, product, shows, units};

/// The lease of who died, what clocks may differ, and time for a busy machine.
const TAKEN_OVER_WITHIN: Duration = Duration::from_mins(1);
const DRAIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn what_waits_is_pushed_by_the_next_process() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let (holder, level) = in_agreement(&fake, &mut world).await;
    world.stop().await;
    let lower = level.then(6);
    world.publish(std::slice::from_ref(&lower)).await;
    world.start();
    world.at_rest(&lower).await;
    assert_eq!((shows(&fake, holder), fake.counts().calls_total()), (Some(6), 1));
    world.stop().await;
}

#[tokio::test]
async fn a_level_that_was_taken_in_but_not_pushed_is_pushed_by_the_next_process() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    world.stop().await;
    world.settings.flush_window = Duration::from_mins(1);
    world.start();
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 6);
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is taken in", async || world.row(level.stock).await.due_at.is_some()).await;
    world.kill().await;
    world.pass_deadline();
    world.start();
    world.at_rest(&level).await;
    assert_eq!((shows(&fake, holder), fake.counts().calls_total()), (Some(6), 1));
    world.stop().await;
}

#[tokio::test]
async fn a_crash_between_journal_and_call_is_found_by_reading() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let (holder, level) = in_agreement(&fake, &mut world).await;
    world.stop().await;
    // As if it had journaled a push for a level and died before the call.
    begin_as_another(&world, level.stock, 7).await;

    world.start();
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    assert_eq!(fake.counts().calls_total(), 0);
    world.pass_deadline();
    world.at_rest(&Level { revision: 2, ..level.clone() }).await;
    assert_eq!(shows(&fake, holder), Some(7));
    let counts = fake.counts();
    assert_eq!(
        (counts.calls_of("GET products"), counts.calls_of("POST products/batch")),
        (1, 1),
        "{counts:?}"
    );
    world.stop().await;
}

/// A holder of the shop before this one was frozen, woke up after its time, and died: its push must not be waited for for
/// ever.
#[tokio::test]
async fn what_a_former_holder_journaled_late_is_read_back() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let (holder, level) = in_agreement(&fake, &mut world).await;
    // The lane runs, and somebody else journals.
    begin_as_another(&world, level.stock, 7).await;
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    assert_eq!(fake.counts().calls_total(), 0);
    world.pass_deadline();
    world.at_rest(&Level { revision: 2, ..level.clone() }).await;
    assert_eq!(shows(&fake, holder), Some(7));
    world.stop().await;
}

/// The connection broke while a push was journaled: the lane was told that nothing was stored, and made no call. It was stored.
#[tokio::test]
async fn what_a_lane_journaled_without_knowing_is_read_back() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let (holder, level) = in_agreement(&fake, &mut world).await;
    let other = world.level(level.stock.shop, product(&fake, 10), 10, 7);
    fake.fault(Fault::next("POST products/batch", FaultKind::Slow(Duration::from_millis(300))));
    world.publish(std::slice::from_ref(&other)).await;
    world
        .until("the lane's name is known", async || world.row(other.stock).await.intent_owner.is_some())
        .await;
    let lane = world.row(other.stock).await.intent_owner.unwrap();
    begin_as(&lane, &world, level.stock, 7).await;
    world.at_rest(&other).await;
    assert!(world.row(level.stock).await.push.intent.is_some(), "its call may be under way");
    world.pass_deadline();
    world.pass_deadline();
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    world.pass_deadline();
    world.at_rest(&Level { revision: 2, ..level.clone() }).await;
    assert_eq!(shows(&fake, holder), Some(7));
    assert_eq!(fake.counts().calls_of("POST products/batch"), 2);
    world.stop().await;
}

/// The lane of this process lost its shop while the shop answered, and another took what it had journaled for doubtful.
#[tokio::test]
async fn an_answer_for_what_another_has_taken_over_is_not_stored() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 7);
    let slow = Duration::from_millis(500);
    fake.fault(Fault::next("POST products/batch", FaultKind::Slow(slow)));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("the call is made", async || fake.counts().faults == 1).await;
    let mut tx = world.store.begin_egress().await.unwrap();
    let mut rows: Vec<PushRow> = tx.load(&[level.stock]).await.unwrap();
    rows[0].push.uncertain();
    rows[0].intent_owner = None;
    tx.save(&rows).await.unwrap();
    tx.commit().await.unwrap();
    let doubted = world.row(level.stock).await;
    // Ends with what it has under way.
    world.stop().await;
    assert_eq!(shows(&fake, holder), Some(7), "the shop has answered");
    assert_eq!(world.row(level.stock).await.push, doubted.push, "still in doubt, to be read back");
}

/// A stock that shows 10, as its level says, so that nothing was pushed.
async fn in_agreement(fake: &FakeShop, world: &mut World) -> (HolderId, Level) {
    let shop = world.shop(fake).await;
    let holder = product(fake, 10);
    let level = world.level(shop, holder, 10, 10);
    world.publish(std::slice::from_ref(&level)).await;
    world.at_rest(&level).await;
    (holder, level)
}

/// Another than the lane that runs journals a push that lowers the stock to `level`.
async fn begin_as_another(world: &World, stock: StockId, level: i64) {
    begin_as("another", world, stock, level).await;
}

async fn begin_as(owner: &str, world: &World, stock: StockId, level: i64) {
    let mut tx = world.store.begin_egress().await.unwrap();
    let mut rows: Vec<PushRow> = tx.load(&[stock]).await.unwrap();
    let mut target = rows[0].push.target.unwrap();
    target.revision = target.revision.next();
    let delta = units(level) - target.level;
    target.level = units(level);
    assert!(rows[0].push.retarget(target));
    rows[0].push.begin(delta, world.now());
    rows[0].intent_owner = Some(owner.to_owned());
    rows[0].due_at = None;
    tx.save(&rows).await.unwrap();
    tx.commit().await.unwrap();
}

/// Kills egress while the shop does not answer; the shop has done it or not.
async fn killed_in(fault: FaultKind, shown_in_between: i64) {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 7);
    fake.fault(Fault::next("POST products/batch", fault));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("the call is made", async || fake.counts().faults == 1).await;
    world.until("the shop has done it", async || shows(&fake, holder) == Some(shown_in_between)).await;
    assert!(world.row(level.stock).await.push.intent.is_some(), "journaled before the call");
    world.kill().await;
    world.start();
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    world.pass_deadline();
    world.at_rest(&level).await;
    assert_eq!(shows(&fake, holder), Some(7));
    world.stop().await;
}

/// Two replicas: the one that pushes dies while the shop does not answer. The other waits until the leases have ended, and then
/// until the push can no longer take effect, before it looks what became of it.
async fn handed_over_in(fault: FaultKind, shown_in_between: i64, calls: (u64, u64)) {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 7);
    fake.fault(Fault::next("POST products/batch", fault));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("the call is made", async || fake.counts().faults == 1).await;
    world.until("the shop has done it", async || shows(&fake, holder) == Some(shown_in_between)).await;
    let other = Tasks::new();
    world.start_replica("other", &other);
    world.kill().await;
    let intent = world.row(level.stock).await.push.intent;
    assert!(intent.is_some(), "journaled before the call");

    let in_doubt = async || world.row(level.stock).await.push.doubtful_until.is_some();
    world.until_within(TAKEN_OVER_WITHIN, "the other has it in doubt", in_doubt).await;
    assert_eq!(fake.counts().calls_total(), 1, "nothing is asked before it cannot take effect any more");
    world.pass_deadline();
    world.at_rest(&level).await;
    assert_eq!(shows(&fake, holder), Some(7));
    let counts = fake.counts();
    assert_eq!(
        (counts.calls_of("GET products"), counts.calls_of("POST products/batch")),
        calls,
        "{counts:?}"
    );
    assert_eq!(other.drain(DRAIN).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_dead_replica_pushed_is_read_by_the_next_holder() {
    let ((), ()) = tokio::join!(
        handed_over_in(FaultKind::HangAfter, 7, (1, 1)),
        // The push is missing: proven so, it is made once more.
        handed_over_in(FaultKind::HangBefore, 10, (1, 2)),
    );
}

#[tokio::test]
async fn a_crash_before_the_effect_loses_nothing() {
    killed_in(FaultKind::HangBefore, 10).await;
}

#[tokio::test]
async fn a_crash_after_the_effect_doubles_nothing() {
    killed_in(FaultKind::HangAfter, 7).await;
}

#[tokio::test]
async fn a_stock_removed_in_doubt_is_read_when_it_comes_back() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    let holder = product(&fake, 10);
    let level = world.level(shop, holder, 10, 7);
    fake.fault(Fault::next("POST products/batch", FaultKind::CutAfter));
    world.publish(std::slice::from_ref(&level)).await;
    world.until("it is in doubt", async || world.row(level.stock).await.push.doubtful_until.is_some()).await;
    let removed = Level { removed: true, ..level.then(0) };
    world.publish(std::slice::from_ref(&removed)).await;
    world.until("it is removed", async || world.row(level.stock).await.removed).await;
    world.pass_deadline();
    let back = Level { epoch: 2, revision: 1, removed: false, settle: None, ..removed.then(5) };
    world.publish(std::slice::from_ref(&back)).await;
    world.until("it is read back", async || world.row(level.stock).await.push.doubtful_until.is_none()).await;
    world.until("a settle is asked for", async || world.wanted() == [holder]).await;
    // Proven after all that, it is pushed again.
    world.pass_deadline();
    let proven = Level { settle: Some(world.proof(7, 0)), ..back.then(5) };
    world.publish(std::slice::from_ref(&proven)).await;
    world.until("it is pushed", async || shows(&fake, holder) == Some(5)).await;
    world.stop().await;
}
