//! A backup that is restored after the shops have sold on: nothing is pushed twice, and every shop comes right.

use std::collections::BTreeMap;
use std::path::Path;

use testkit::shop::{Change, NewLine, NewOrder, Status};

use crate::deployment::{Deployment, Form};
use crate::harness::{PROOF_PATIENCE, until};
use crate::world::{SKUS, World, comes_right, hasty_bench, nothing_lost_or_doubled, sku};

/// What a backup consists of.
const BACKUP: [&str; 2] = ["onhand.db", "secret.key"];
const PUSH: &str = "POST products/batch";

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_catches_up_and_pushes_nothing_twice() {
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), Form::Standalone, None).await;
    deployment.stop(&world.bench).await;
    let listen = deployment.api()[0].strip_prefix("http://").unwrap().to_owned();
    let (data, backup) = (world.bench.data_dir(), world.bench.path("backup"));
    let nothing_received = BTreeMap::new();
    let up = world.bench.up(&listen).await;
    let running = world.bench.run(&["restored"]).await;
    assert_eq!(running.code, Some(1), "{}", running.err);
    assert!(running.err.contains("another onhand uses the data directory"), "{}", running.err);
    sell(&world, 4).await;
    comes_right(&world, &nothing_received).await;
    assert_eq!(up.terminate().await, Some(0), "{}", world.bench.log());
    copy(&data, &backup);

    let up = world.bench.up(&listen).await;
    sell(&world, 9).await;
    comes_right(&world, &nothing_received).await;
    assert_eq!(up.terminate().await, Some(0), "{}", world.bench.log());

    for name in ["onhand.db", "onhand.db-wal", "onhand.db-shm"] {
        // The log may be gone with the last connection.
        std::fs::remove_file(data.join(name)).ok();
    }
    let without = world.bench.run(&["restored"]).await;
    assert_eq!(without.code, Some(66), "{}", without.err);
    assert!(without.err.contains("onhand.db; copy"), "{}", without.err);
    copy(&backup, &data);
    let restored = world.bench.run(&["restored", "--json"]).await.json();
    let stocks =
        1 + world.shops.len() * SKUS + world.extras.keys().filter(|(_, name)| !name.is_empty()).count();
    assert_eq!((&restored["shops"], &restored["stocks"]), (&3.into(), &stocks.into()), "{restored}");
    // The spool is of the life that is lost, and must not be believed.
    let aside = restored["spool_aside"].as_str().unwrap();
    assert!(Path::new(aside).join("spool.db").exists() && !data.join("spool.db").exists(), "{aside}");

    for shop in &world.shops {
        shop.take_counts();
    }
    let up = world.bench.up(&listen).await;
    for number in 0..SKUS {
        until("every stock is proven", PROOF_PATIENCE, async || {
            let explained = world.bench.run(&["explain", &sku(number), "--json"]).await.json();
            let shops = explained["shops"].as_array().unwrap();
            shops.iter().all(|shop| !shop["shows"].is_null()).then_some(())
        })
        .await;
    }
    comes_right(&world, &nothing_received).await;
    for shop in &world.shops {
        assert_eq!(shop.take_counts().calls_of(PUSH), 0, "it showed what it should: {}", world.bench.log());
    }
    // What is sold from now on is carried to the other shop again.
    sell(&world, 1).await;
    comes_right(&world, &nothing_received).await;
    assert!(world.shops.iter().all(|shop| shop.take_counts().calls_of(PUSH) > 0));
    assert_eq!(world.bench.run(&["check"]).await.good(), "the ledger is sound\n");
    assert_eq!(up.terminate().await, Some(0), "{}", world.bench.log());
    nothing_lost_or_doubled(&world).await;
}

/// So many of every second SKU in each shop, in one order each.
async fn sell(world: &World, quantity: i64) {
    for (shop, products) in world.shops.iter().zip(&world.products) {
        let lines = products.iter().step_by(2).map(|product| NewLine::of(*product, quantity)).collect();
        shop.act(Change::CreateOrder(NewOrder::by_checkout(Status::Processing, lines))).await.unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in BACKUP {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}
