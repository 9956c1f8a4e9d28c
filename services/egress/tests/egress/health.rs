//! Whether it keeps up: what `/readyz` is told.

use onhand_egress::Settings;
use process::health::Health;
use testkit::fake_shop::{Fault, FaultKind};

use crate::world::{PATIENT, World, fake_shop, product};

/// How the check of that name is.
fn why_not(world: &World, name: &str) -> Option<String> {
    let checks = world.health.report().checks;
    checks.into_iter().find(|check| check.name == name).expect("it is registered").why_not
}

#[tokio::test]
async fn it_is_ready_once_every_part_has_reported() {
    let mut world = World::stopped(Settings::for_testing(), PATIENT).await;
    world.start();
    for name in ["egress.lanes", "egress.levels"] {
        assert_eq!(why_not(&world, name).as_deref(), Some("has not reported yet"), "{name}");
    }
    world.until("it is ready", async || world.health.report().ready).await;
    world.stop().await;
    world.store.close().await;
    world.health = Health::new();
    world.start();
    let cannot = |why: String| why.starts_with("cannot read which shops there are");
    world.until("it is not", async || why_not(&world, "egress.lanes").is_some_and(cannot)).await;
    world.stop().await;
}

#[tokio::test]
async fn a_shop_that_is_down_leaves_it_ready() {
    let (fake, mut world) = (fake_shop().await, World::new().await);
    let shop = world.shop(&fake).await;
    fake.fault(Fault::many("POST products/batch", 10_000, FaultKind::Status(401)));
    let level = world.level(shop, product(&fake, 10), 10, 8);
    world.publish(std::slice::from_ref(&level)).await;
    let down = async || world.store.lane(shop).await.unwrap().is_some_and(|lane| lane.breaker != "closed");
    world.until("the shop is down", down).await;
    world.until("it is ready", async || world.health.report().ready).await;
    world.stop().await;
}
