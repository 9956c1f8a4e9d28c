//! A backup that is restored after the shops have sold on: nothing is pushed twice, and every shop comes right.

use std::collections::BTreeMap;
use std::path::Path;

use testkit::servers::postgres::{Database, Postgres};
use testkit::shop::{Change, NewLine, NewOrder, Status};

use crate::deployment::{Deployment, Form, SHARDS, Servers, Service};
use crate::harness::{Bench, PROOF_PATIENCE, until};
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
    all_proven(&world).await;
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

/// A database of the distributed form, and what waits at its broker is of a life that is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_catches_up_and_believes_no_message_of_before() {
    let (form, servers) = (Form::Distributed { replicas: 1 }, Servers::shared().await);
    let (mut deployment, mut world) = Deployment::with_world(hasty_bench(), form, Some(servers)).await;
    let servers = deployment.servers.clone().unwrap();
    let nothing_received = BTreeMap::new();
    sell(&world, 4).await;
    comes_right(&world, &nothing_received).await;
    deployment.stop(&world.bench).await;
    let name = servers.database.url().rsplit('/').next().unwrap().to_owned();
    let backup = format!("{name}_backup");
    let elsewhere = another_database().await;
    elsewhere.run(&format!("CREATE DATABASE {backup} TEMPLATE {name}"));

    deployment.begin_all(&world.bench).await;
    sell(&world, 9).await;
    comes_right(&world, &nothing_received).await;
    deployment.terminate_all(&world.bench, Service::Inventory).await;
    sell(&world, 1).await;
    until("what was sold waits at the broker", PROOF_PATIENCE, async || {
        (servers.waiting("inventory.orders").await >= 2).then_some(())
    })
    .await;
    let running = world.bench.run(&["migrate", "--restored"]).await;
    assert_eq!(running.code, Some(1), "{}", running.err);
    assert!(running.err.contains("broker cannot be used"), "{}", running.err);
    deployment.stop(&world.bench).await;
    knows_of_no_other(&mut world.bench, &servers).await;
    elsewhere.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
    elsewhere.run(&format!("CREATE DATABASE {name} TEMPLATE {backup}"));

    let restored = world.bench.run(&["migrate", "--restored", "--json"]).await.json()["restored"].clone();
    let stocks =
        1 + world.shops.len() * SKUS + world.extras.keys().filter(|(_, name)| !name.is_empty()).count();
    assert_eq!((&restored["shops"], &restored["stocks"]), (&3.into(), &stocks.into()), "{restored}");
    assert!(restored["messages_thrown_away"].as_u64().unwrap() >= 2, "{restored}");
    assert_eq!(servers.queues(".v1.5.").await, Vec::<String>::new(), "nobody would ever look there");

    for shop in &world.shops {
        shop.take_counts();
    }
    deployment.begin_all(&world.bench).await;
    all_proven(&world).await;
    comes_right(&world, &nothing_received).await;
    // What was sold last had not come to the other shop yet, and is told it; of all else nothing is.
    sell(&world, 1).await;
    deployment.ends_well(&world, &nothing_received).await;
}

/// A new database at a broker where messages wait for another one.
async fn knows_of_no_other(bench: &mut Bench, servers: &Servers) {
    let new = another_database().await;
    bench.set("ONHAND_DATABASE_URL", &new.url());
    for shards in ["5", SHARDS] {
        bench.set("ONHAND_SHARDS", shards);
        let refused = bench.run(&["migrate"]).await;
        assert_eq!(refused.code, Some(1), "{}", refused.err);
        assert!(refused.err.contains("made for another one"), "{}", refused.err);
    }
    bench.set("ONHAND_DATABASE_URL", &servers.database.url());
    // The file has the token; one that is lost is made anew, and one that is of no use.
    let file = bench.path("another.token");
    for made in [true, false] {
        let done =
            bench.run(&["migrate", "--admin-token-file", file.to_str().unwrap(), "--json"]).await.json();
        assert_eq!(done["admin_token_made"], made, "{done}");
    }
    std::fs::write(&file, "of another database").unwrap();
    let done = bench.run(&["migrate", "--admin-token-file", file.to_str().unwrap(), "--json"]).await.json();
    assert_eq!(done["admin_token_made"], true, "{done}");
}

async fn all_proven(world: &World) {
    for number in 0..SKUS {
        until("every stock is proven", PROOF_PATIENCE, async || {
            let explained = world.bench.run(&["explain", &sku(number), "--json"]).await.json();
            let shops = explained["shops"].as_array().unwrap();
            shops.iter().all(|shop| !shop["shows"].is_null()).then_some(())
        })
        .await;
    }
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

/// An empty one on the server that all tests share.
async fn another_database() -> Database {
    let postgres = tokio::task::spawn_blocking(Postgres::shared).await.unwrap();
    postgres.database("nothing", |_| async {}).await
}
