//! What people set in a shop becomes one adjustment, where the shop wants that and nothing else could be meant.

use ledger::{MovementKind, Routing};
use proto::{Message, StockEdited};
use push::DriftPolicy;
use store::{Adoption, ShopSettings};
use values::{Epoch, Quantity, ReadNumber, ShopId, StockId, WarehouseId};

use crate::world::{World, connected, sells, shown, stock_id, units};

/// A shop that sells ten of A and wants such a policy.
async fn sells_ten(world: &World, policy: DriftPolicy) -> StockId {
    let shop = world.shop("shop").await.id;
    world.receive("A", 10).await;
    world.tell([sells(shop, 1, "A"), connected(shop, None), shown(shop, 1, 10, 1, 500)]).await;
    set(world, shop, ShopSettings { drift: policy, ..world.settings() }).await;
    stock_id(shop, 1)
}

async fn set(world: &World, shop: ShopId, settings: ShopSettings) {
    world.inventory().change_shop(shop, &settings).await.unwrap();
}

fn edited(stock: StockId, epoch: Epoch, number: u64, units: i64) -> Message {
    let (number, difference) = (ReadNumber::new(number), Quantity::from_units(units));
    Message::StockEdited(StockEdited { stock, epoch, number, difference })
}

/// Waits for the answer about an edit.
async fn answer(world: &World, stock: StockId, number: u64) -> Option<String> {
    let about = |level: &proto::LevelChanged| {
        level.adoption.as_ref().is_some_and(|adoption| adoption.number.get() == number)
    };
    let level = world.level(stock, &format!("edit {number} is decided on"), about).await;
    level.adoption.unwrap().refused.map(|refused| refused.as_str().to_owned())
}

async fn adjustments(world: &World) -> Vec<Quantity> {
    let movements = world.store.movements(&"A".parse().unwrap(), 0, 1_000).await.unwrap();
    let adjusted = movements.iter().filter(|posted| posted.movement.kind == MovementKind::Adjustment);
    adjusted.map(|posted| posted.movement.on_hand_delta).collect()
}

#[tokio::test]
async fn an_edit_is_one_adjustment_however_often_it_is_told() {
    let world = World::running().await;
    let stock = sells_ten(&world, DriftPolicy::Adopt).await;
    let epoch = world.stock(stock).await.epoch;
    let edit = |number, units| edited(stock, epoch, number, units);
    world.tell([edit(7, 3), edit(7, 3)]).await;
    assert_eq!(answer(&world, stock, 7).await, None);
    let row = world.stock(stock).await;
    assert_eq!(
        (row.level, row.adoption),
        (units(13), Some(Adoption { number: ReadNumber::new(7), refused: None }))
    );
    // Told again later, it is answered again; told after another, it is an old story.
    let told = world.stock(stock).await.revision;
    world.tell([edit(7, 3)]).await;
    world.level(stock, "it is told once more", |level| level.revision > told).await;
    world.tell([edit(9, -2), edit(7, 3)]).await;
    assert_eq!(answer(&world, stock, 9).await, None);
    assert_eq!(adjustments(&world).await, [units(3), units(-2)]);
    assert_eq!(world.stock(stock).await.level, units(11));
    let posted = world.store.movements(&"A".parse().unwrap(), 0, 1_000).await.unwrap();
    let posting = &posted.last().unwrap().posting;
    assert_eq!(posting.actor.as_deref(), Some("onhand"));
    assert_eq!(posting.reason.as_deref(), Some("set in the shop shop"));
    assert_eq!(posting.operation.as_deref(), Some(format!("edit/{stock}/9").as_str()));
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn an_edit_of_before_is_nothing() {
    let world = World::running().await;
    let stock = sells_ten(&world, DriftPolicy::Adopt).await;
    let epoch = world.stock(stock).await.epoch;
    world.tell([edited(stock, epoch.next(), 7, 3), edited(stock, epoch, 8, 1)]).await;
    assert_eq!(answer(&world, stock, 8).await, None);
    assert_eq!(adjustments(&world).await, [units(1)]);
    world.stop().await;
}

#[tokio::test]
async fn what_an_edit_is_not_taken_over_for() {
    let world = World::running().await;
    let stock = sells_ten(&world, DriftPolicy::Correct).await;
    let epoch = world.stock(stock).await.epoch;
    let second = WarehouseId::new(world.warehouse.get() + 1).unwrap();
    let added = world.inventory().add_warehouse("second", store::WarehouseKind::HubOwned).await.unwrap();
    assert!(matches!(added, store::WarehouseAdded::Added(warehouse) if warehouse.id == second));
    let adopt = || ShopSettings { drift: DriftPolicy::Adopt, ..world.settings() };
    let mirror = WarehouseId::new(second.get() + 1).unwrap();
    let added = world.inventory().add_warehouse("mirror", store::WarehouseKind::Mirrored).await.unwrap();
    assert!(matches!(added, store::WarehouseAdded::Added(warehouse) if warehouse.id == mirror));
    let routing = Routing::new([world.warehouse, second]).unwrap();
    let mirrored = Routing::new([mirror]).unwrap();
    let mut number = 10;
    for (settings, difference, why) in [
        (ShopSettings { drift: DriftPolicy::Withhold, ..adopt() }, 3, Some("policy")),
        (ShopSettings { buffer: units(1), ..adopt() }, 3, Some("buffer")),
        (ShopSettings { routing, ..adopt() }, 3, Some("several_warehouses")),
        (ShopSettings { routing: mirrored, ..adopt() }, 3, Some("mirrored_warehouse")),
        (adopt(), -11, Some("insufficient_available")),
        (adopt(), -10, None),
    ] {
        set(&world, stock.shop, settings).await;
        number += 1;
        world.tell([edited(stock, epoch, number, difference)]).await;
        assert_eq!(answer(&world, stock, number).await.as_deref(), why, "{difference}");
    }
    // Another shop shows the same goods: who changed both would have changed them twice.
    let other = world.shop("other").await.id;
    world.tell([sells(other, 1, "A")]).await;
    world.tell([edited(stock, epoch, 20, 3)]).await;
    assert_eq!(answer(&world, stock, 20).await.as_deref(), Some("shared_warehouse"));
    assert_eq!(adjustments(&world).await, [units(-10)]);
    world.check().await;
    world.stop().await;
}
