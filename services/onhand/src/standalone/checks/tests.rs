//! That what the process opened is told to be away when it is.

use std::time::Duration;

use bus::Topology;
use process::health::CheckReport;
use spool::Spool;
use store::{SecretKey, SqliteOptions};
use tempfile::TempDir;
use tokio::time::{interval, timeout};

use super::*;

/// Longer than some looks.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Room of the spool: a few messages.
const BYTES_MAX: u64 = 1 << 20;

struct World {
    _folder: TempDir,
    store: Arc<Store>,
    spool: Spool,
    health: Health,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("onhand.db"));
    let store = Arc::new(Store::open_sqlite(&options, SecretKey::from_bytes([7; 32])).await.unwrap());
    let options =
        spool::Options { bytes_max: BYTES_MAX, ..spool::Options::at(folder.path().join("spool.db")) };
    let (spool, writer) = spool::open(options).await.unwrap();
    let tasks = Tasks::new();
    tasks.spawn_in(Stage::Relay, "spool writer", writer.run());
    let bus = Bus::local(&spool, Topology::uniform(1).unwrap()).await.unwrap();
    let health = Health::new();
    spawn(&store, &bus, &tasks, &health);
    World { _folder: folder, store, spool, health }
}

impl World {
    async fn until(&self, what: &str, holds: impl Fn(&[CheckReport]) -> bool) {
        let mut looks = interval(LOOK_EVERY);
        let waited = timeout(PATIENCE, async {
            while !holds(&self.health.report().checks) {
                looks.tick().await;
            }
        });
        assert!(waited.await.is_ok(), "not in time: {what}: {:?}", self.health.report());
    }
}

fn says(checks: &[CheckReport], name: &str, text: &str) -> bool {
    let of_name = checks.iter().find(|check| check.name == name).expect("it is registered");
    of_name.why_not.as_deref().is_some_and(|why| why.contains(text))
}

fn all_ready(checks: &[CheckReport]) -> bool {
    checks.iter().all(|check| check.why_not.is_none())
}

#[tokio::test]
async fn a_closed_database_is_not_ready() {
    let world = world().await;
    for name in ["database", "spool"] {
        assert!(says(&world.health.report().checks, name, "has not reported yet"), "{name}");
    }
    world.until("ready", all_ready).await;
    world.store.close().await;
    world.until("not ready", |checks| says(checks, "database", "cannot be used")).await;
    assert!(!says(&world.health.report().checks, "spool", ""), "the spool is well");
}

#[tokio::test]
async fn a_full_spool_is_not_ready_and_says_what_to_do() {
    let world = world().await;
    world.until("ready", all_ready).await;
    let queue = world.spool.queue("filler").await.unwrap();
    while queue.append(1, vec![0; 50_000]).await.is_ok() {}
    world.until("not ready", |checks| says(checks, "spool", "find out why inventory or egress")).await;
    assert!(!says(&world.health.report().checks, "database", ""), "the database is well");
}
