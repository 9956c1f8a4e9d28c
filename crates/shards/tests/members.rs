//! Members that share shards over a real database: whoever holds a shard works on it, and never two at once.

#![expect(clippy::unwrap_used, reason = "in a test a failed assumption is a failed test")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onhand_shards::{EndedEarly, Held, Member, run};
use store::{SecretKey, SqliteOptions, Store};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SHARDS: u16 = 4;
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Long enough for a busy machine to renew in time, short enough to wait for its end.
const LASTS: Duration = Duration::from_secs(3);

/// A database, and who works on which shard.
struct World {
    _directory: TempDir,
    store: Arc<Store>,
    floor: Arc<Floor>,
    members: JoinSet<Result<(), EndedEarly<Broken>>>,
}

/// What is worked on. A shard that is begun while another works on it is noted.
#[derive(Default)]
struct Floor {
    busy: Mutex<BTreeSet<(u16, String)>>,
    met: AtomicBool,
    /// Each work with when it ended.
    ended: Mutex<Vec<(u16, Instant)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is broken")]
struct Broken;

/// Stands on the floor until it is dropped.
struct Standing {
    floor: Arc<Floor>,
    index: u16,
    name: String,
}

impl Standing {
    fn on(floor: &Arc<Floor>, index: u16, name: &str) -> Self {
        let mut busy = floor.busy.lock().unwrap();
        if busy.iter().any(|(other, _)| *other == index) {
            floor.met.store(true, Ordering::Relaxed);
        }
        busy.insert((index, name.to_owned()));
        drop(busy);
        Self { floor: Arc::clone(floor), index, name: name.to_owned() }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.floor.busy.lock().unwrap().remove(&(self.index, self.name.clone()));
        self.floor.ended.lock().unwrap().push((self.index, Instant::now()));
    }
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = SecretKey::load_or_create(&directory.path().join("key")).unwrap();
        let options = SqliteOptions::new(directory.path().join("db"));
        let store = Arc::new(Store::open_sqlite(&options, key).await.unwrap());
        Self { _directory: directory, store, floor: Arc::default(), members: JoinSet::new() }
    }

    fn member(&self, name: &str, lasts: Duration) -> Member {
        Member {
            store: Arc::clone(&self.store),
            service: "inventory",
            shard_count: SHARDS,
            name: name.to_owned(),
            lasts,
            clock: process::clock::now,
        }
    }

    /// A member whose works stop when they are told to, after some more steps.
    fn begin(&mut self, name: &'static str, lasts: Duration) -> CancellationToken {
        let (stop, floor) = (CancellationToken::new(), Arc::clone(&self.floor));
        let work = move |held: Held| {
            let floor = Arc::clone(&floor);
            async move {
                let _standing = Standing::on(&floor, held.index, name);
                held.stop.cancelled().await;
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        };
        self.members.spawn(run(self.member(name, lasts), work, stop.clone()));
        stop
    }

    fn of(&self, name: &str) -> Vec<u16> {
        let busy = self.floor.busy.lock().unwrap();
        busy.iter().filter(|(_, who)| who == name).map(|(index, _)| *index).collect()
    }

    async fn until_count(&self, name: &str, count: usize) {
        let (started, mut look) = (Instant::now(), tokio::time::interval(LOOK_EVERY));
        while self.of(name).len() != count {
            assert!(started.elapsed() < PATIENCE, "{name} has {:?}, not {count}", self.of(name));
            look.tick().await;
        }
    }

    async fn next_end(&mut self) -> Result<(), EndedEarly<Broken>> {
        tokio::time::timeout(PATIENCE, self.members.join_next()).await.unwrap().unwrap().unwrap()
    }

    fn nobody_met(&self) {
        assert!(!self.floor.met.load(Ordering::Relaxed), "two worked on one shard");
    }
}

#[tokio::test]
async fn a_member_alone_works_on_everything_at_once_and_gives_it_back() {
    let mut world = World::new().await;
    let day = Duration::from_hours(24);
    let stop = world.begin("one", day);
    world.until_count("one", usize::from(SHARDS)).await;
    stop.cancel();
    world.next_end().await.unwrap();
    assert_eq!(world.of("one"), [0_u16; 0]);
    // Given back: nobody has to wait for the end of a lease that lasts a day.
    world.begin("two", day);
    world.until_count("two", usize::from(SHARDS)).await;
    world.nobody_met();
}

#[tokio::test]
async fn members_share_and_hand_over_one_after_the_other() {
    let mut world = World::new().await;
    let half = usize::from(SHARDS) / 2;
    let first = world.begin("one", LASTS);
    world.until_count("one", usize::from(SHARDS)).await;
    world.begin("two", LASTS);
    world.until_count("two", half).await;
    world.until_count("one", half).await;
    first.cancel();
    world.next_end().await.unwrap();
    world.until_count("two", usize::from(SHARDS)).await;
    world.nobody_met();
}

#[tokio::test]
async fn work_that_takes_longer_than_a_lease_to_end_is_not_cut_off() {
    let mut world = World::new().await;
    let (floor, stop, end) = (Arc::clone(&world.floor), CancellationToken::new(), CancellationToken::new());
    let ends = end.clone();
    let slow = move |held: Held| {
        let (standing, ends) = (Standing::on(&floor, held.index, "one"), ends.clone());
        async move {
            let _standing = standing;
            held.stop.cancelled().await;
            // One of them is under way for long.
            if held.index == 2 {
                ends.cancelled().await;
            }
            Ok::<(), Broken>(())
        }
    };
    world.members.spawn(run(world.member("one", LASTS), slow, stop.clone()));
    world.until_count("one", usize::from(SHARDS)).await;
    stop.cancel();
    world.until_count("one", 1).await;
    let stopped = Instant::now();
    world.begin("two", LASTS);
    world.until_count("two", usize::from(SHARDS) - 1).await;
    assert!(stopped.elapsed() < LASTS, "the others are another's at once: {:?}", stopped.elapsed());
    tokio::time::timeout_at(stopped + 2 * LASTS, world.members.join_next()).await.unwrap_err();
    assert_eq!(world.of("one"), [2]);
    end.cancel();
    world.next_end().await.unwrap();
    world.until_count("two", usize::from(SHARDS)).await;
    world.nobody_met();
}

#[tokio::test]
async fn who_cannot_renew_has_stopped_before_the_lease_ends() {
    let mut world = World::new().await;
    world.begin("one", LASTS);
    world.until_count("one", usize::from(SHARDS)).await;
    world.store.close().await;
    let closed = Instant::now();
    world.until_count("one", 0).await;
    let ended = world.floor.ended.lock().unwrap().clone();
    for (index, at) in ended {
        let after = at.saturating_duration_since(closed);
        assert!(after < LASTS, "shard {index} was worked on for {after:?} without a renewal");
    }
    assert!(world.members.try_join_next().is_none(), "it goes on asking");
}

#[tokio::test]
async fn what_does_not_stop_is_cut_off_before_the_lease_ends() {
    let mut world = World::new().await;
    let floor = Arc::clone(&world.floor);
    let deaf = move |held: Held| {
        let standing = Standing::on(&floor, held.index, "one");
        async move {
            let _standing = standing;
            std::future::pending::<Result<(), Broken>>().await
        }
    };
    world.members.spawn(run(world.member("one", LASTS), deaf, CancellationToken::new()));
    world.until_count("one", usize::from(SHARDS)).await;
    let (store, closed) = (Arc::clone(&world.store), Instant::now());
    store.close().await;
    world.until_count("one", 0).await;
    assert!(closed.elapsed() < LASTS + LASTS / 2, "{:?}", closed.elapsed());
    let ended = world.floor.ended.lock().unwrap().clone();
    assert!(ended.iter().all(|(_, at)| at.saturating_duration_since(closed) < LASTS), "{ended:?}");
}

#[tokio::test]
async fn work_that_ends_by_itself_ends_the_member() {
    let mut world = World::new().await;
    let (member, floor) = (world.member("one", LASTS), Arc::clone(&world.floor));
    let work = move |held: Held| {
        let standing = Standing::on(&floor, held.index, "one");
        async move {
            let _standing = standing;
            if held.index == 2 {
                return Err(Broken);
            }
            held.stop.cancelled().await;
            Ok(())
        }
    };
    world.members.spawn(run(member, work, CancellationToken::new()));
    let error = world.next_end().await.unwrap_err();
    assert!(matches!(error, EndedEarly::Failed { shard: 2, source: Broken, .. }), "{error}");
    assert_eq!(world.of("one"), [0_u16; 0], "the others were stopped");

    let returns = async |_: Held| Ok::<(), Infallible>(());
    let ended = run(world.member("two", LASTS), returns, CancellationToken::new()).await;
    assert!(matches!(ended, Err(EndedEarly::Returned { .. })), "{ended:?}");
}
