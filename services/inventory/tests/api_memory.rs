//! A large import takes little memory: in a process of its own, so that nothing else is counted.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

extern crate onhand_inventory as inventory;

#[path = "service/database.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest of it")]
mod database;
#[path = "api/server.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest of it")]
mod server;
#[path = "service/world.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest of it")]
mod world;

use std::fmt::Write;

use reqwest::Method;

use server::Api;
use world::units;

const LINES: usize = 100_000;
/// What the most memory the process ever held may grow by, in KiB: the database's caches, the file on its way, and what
/// finds lines said twice.
const GROWTH_MAX_KIB: u64 = 64 * 1024;

#[tokio::test]
async fn a_large_file_is_imported_in_little_memory() {
    let api = Api::new().await;
    let mut file = String::from("sku;warehouse;quantity\n");
    for line in 0..LINES {
        writeln!(file, "SKU-{line:07};main;{}", line % 100 + 1).unwrap();
    }
    let before = peak_kib();
    let request = api.request(Method::POST, "/imports?mode=receive").header("Idempotency-Key", "large");
    let report = api.send(request.body(file)).await.good(200);
    assert_eq!(*report.get("changed").unwrap(), LINES);
    let grown = peak_kib() - before;
    assert!(grown < GROWTH_MAX_KIB, "it grew by {grown} KiB");
    assert_eq!(api.world.balance("SKU-0099999").await.on_hand, units(100));
    api.end().await;
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}
