//! Whether it keeps up: what `/readyz` is told.

use testkit::fake_shop::{Fault, FaultKind};

use crate::world::{World, fake};

#[tokio::test]
async fn a_shop_that_is_down_leaves_it_ready() {
    let (world, fake) = (World::start().await, fake().await);
    let shop = world.connect(&fake).await;
    fake.fault(Fault::many("GET orders", 10_000, FaultKind::Status(500)));
    let failing = async || world.store.reading(shop).await.unwrap()?.failing_since;
    world.until("the shop is down", failing).await;
    world.until("it is ready", async || world.health.report().ready.then_some(())).await;
    let names: Vec<_> = world.health.report().checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["ingress.readers", "ingress.reads"]);
}

#[tokio::test]
async fn a_database_that_is_away_makes_it_not_ready() {
    let world = World::start().await;
    let readers = || world.health.report().checks.swap_remove(0);
    world.store.close().await;
    let why = async || readers().why_not.filter(|why| why.starts_with("cannot read which shops there are"));
    world.until("it is not ready", why).await;
}
