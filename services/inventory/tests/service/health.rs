//! Whether it keeps up: what `/readyz` is told.

use crate::world::{World, age_spools, connected, until};

/// Longer than facts may wait.
const LONG_SECONDS: u64 = 301;

fn why_not(world: &World, name: &str) -> Option<String> {
    let checks = world.health.report().checks;
    checks.into_iter().find(|check| check.name == name).unwrap_or_else(|| panic!("no {name}")).why_not
}

#[tokio::test]
async fn it_is_ready_once_every_part_has_reported() {
    let mut world = World::idle().await;
    world.start();
    for name in ["inventory.orders", "inventory.relay"] {
        assert_eq!(why_not(&world, name).as_deref(), Some("has not reported yet"), "{name}");
    }
    until("all is ready", async || world.health.report().ready.then_some(())).await;
    world.stop().await;
}

#[tokio::test]
async fn without_a_database_facts_and_changes_wait_and_it_is_not_ready() {
    let mut world = World::idle().await;
    let shop = world.shop("north").await.id;
    world.store.close().await;
    world.start();
    until("the relay is not ready", async || {
        why_not(&world, "inventory.relay").filter(|why| why.starts_with("cannot publish"))
    })
    .await;
    until("there is nothing to keep up with", async || {
        why_not(&world, "inventory.orders").is_none().then_some(())
    })
    .await;
    world.publish([connected(shop, None)]).await;
    age_spools(LONG_SECONDS);
    until("the consumer is behind", async || {
        why_not(&world, "inventory.orders").filter(|why| why.starts_with("is behind: 1 messages wait"))
    })
    .await;
    world.stop().await;
}
