//! Operations of people: all or nothing, once for each key, never more than there is.

use inventory::{Operated, OperationRequest, OperationRow, Refusal, RefusalCause, Released, Requester};
use ledger::{MovementKind, Operation};
use store::WarehouseKind;
use values::WarehouseId;

use crate::world::{World, connected, gone, order_id, read, seen, sells, sku, stock_id, units};

const TRACE: &str = "00-0102030405060708090a0b0c0d0e0f10-00f067aa0ba902b7-01";

fn request(key: &str, operations: Vec<Operation>) -> OperationRequest {
    let row = |operation| OperationRow { operation, reason: Some("delivery note 7".to_owned()) };
    OperationRequest {
        requester: Requester { actor: "clerk".to_owned(), traceparent: Some(TRACE.to_owned()) },
        key: key.to_owned(),
        rows: operations.into_iter().map(row).collect(),
        dry_run: false,
    }
}

fn receive(code: &str, warehouse: WarehouseId, quantity: i64) -> Operation {
    Operation::Receive { sku: sku(code), warehouse, quantity: units(quantity) }
}

fn adjust(code: &str, warehouse: WarehouseId, delta: i64) -> Operation {
    Operation::Adjust { sku: sku(code), warehouse, delta: units(delta) }
}

#[tokio::test]
async fn the_same_request_is_done_once() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A")]).await;
    let (inventory, main) = (world.inventory(), world.warehouse);
    let wanted = request("k1", vec![receive("A", main, 5), receive("B", main, 7)]);
    let dry = OperationRequest { dry_run: true, ..wanted.clone() };
    assert!(matches!(inventory.operate(&dry).await.unwrap(), Operated::Applied(_)));
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(0)));
    let Operated::Applied(receipt) = inventory.operate(&wanted).await.unwrap() else { panic!("it is done") };
    assert_eq!(receipt.balances.len(), 2);
    let later = request("k2", vec![receive("A", main, 1), adjust("A", main, -1)]);
    assert!(matches!(inventory.operate(&later).await.unwrap(), Operated::Applied(_)));
    assert_eq!(inventory.operate(&wanted).await.unwrap(), Operated::Repeated(receipt), "as it was then");
    assert_eq!(world.on_hand_and_reserved("A").await, (units(5), units(0)));
    let other = request("k1", vec![receive("A", main, 6)]);
    assert_eq!(inventory.operate(&other).await.unwrap(), Operated::Conflict);
    let somebody = Requester { actor: "other".to_owned(), traceparent: None };
    let theirs = OperationRequest { requester: somebody, ..other };
    assert!(
        matches!(inventory.operate(&theirs).await.unwrap(), Operated::Applied(_)),
        "keys are the actor's own"
    );
    world.level(stock_id(shop, 1), "the shop hears of it", |level| level.level == units(11)).await;

    let movements = world.store.movements(&sku("A"), 0, 10).await.unwrap();
    let posting = &movements[0].posting;
    assert_eq!(
        (posting.actor.as_deref(), posting.reason.as_deref(), posting.operation.as_deref()),
        (Some("clerk"), Some("delivery note 7"), Some("k1"))
    );
    assert_eq!(posting.trace.map(|trace| trace[15]), Some(16));
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn one_refusal_refuses_all() {
    let world = World::running().await;
    let (inventory, main) = (world.inventory(), world.warehouse);
    let mirrored = inventory.add_warehouse("erp", WarehouseKind::Mirrored).await.unwrap();
    let store::WarehouseAdded::Added(mirrored) = mirrored else { panic!("the name is free") };
    let nowhere = WarehouseId::new(99).unwrap();
    world.receive("A", 5).await;
    let wanted = request(
        "k1",
        vec![
            receive("A", main, 1),
            adjust("A", main, -7),
            adjust("A", main, 0),
            receive("A", nowhere, 1),
            Operation::Transfer { sku: sku("A"), from: main, to: main, quantity: units(1) },
            receive("A", mirrored.id, 1),
        ],
    );
    let refusal = |index, cause| Refusal { index, cause };
    let expected = vec![
        refusal(1, RefusalCause::InsufficientAvailable { available: units(6) }),
        refusal(2, RefusalCause::BadQuantity),
        refusal(3, RefusalCause::UnknownWarehouse(nowhere)),
        refusal(4, RefusalCause::SameWarehouse),
        refusal(5, RefusalCause::MirroredWarehouse(mirrored.id)),
    ];
    assert_eq!(inventory.operate(&wanted).await.unwrap(), Operated::Refused(expected));
    assert_eq!(world.on_hand_and_reserved("A").await, (units(5), units(0)));
    let smaller = request("k1", vec![receive("A", main, 1)]);
    assert!(
        matches!(inventory.operate(&smaller).await.unwrap(), Operated::Applied(_)),
        "a refusal keeps no key"
    );
    assert_eq!(inventory.operate(&request("k2", Vec::new())).await.unwrap(), Operated::BadCount);
    let many = vec![receive("A", main, 1); inventory::OPERATIONS_MAX + 1];
    assert_eq!(inventory.operate(&request("k3", many)).await.unwrap(), Operated::BadCount);
    world.check().await;
    world.stop().await;
}

/// A count is of what is there, promised or not: nothing is sold twice.
#[tokio::test]
async fn a_count_leaves_what_is_promised() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    world.tell([seen(shop, 1, read(1, 200), "processing", 100, &[(1, 3, Some(3))])]).await;
    let count = Operation::Count { sku: sku("A"), warehouse: world.warehouse, counted: units(10) };
    assert!(matches!(
        world.inventory().operate(&request("k", vec![count])).await.unwrap(),
        Operated::Applied(_)
    ));
    world.level(stock_id(shop, 1), "seven are left to sell", |level| level.level == units(7)).await;
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn an_orphan_is_let_go_by_a_person() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let inventory = world.inventory();
    let clerk = Requester { actor: "clerk".to_owned(), traceparent: None };
    assert_eq!(inventory.release(shop, order_id(1), &clerk).await.unwrap(), Released::Unknown);
    world.tell([seen(shop, 1, read(1, 200), "processing", 100, &[(1, 3, Some(3))])]).await;
    assert_eq!(inventory.release(shop, order_id(1), &clerk).await.unwrap(), Released::NotOrphaned);
    world.tell([gone(shop, 1, read(2, 300))]).await;
    assert_eq!(world.store.orphaned(None, 10).await.unwrap().len(), 1);
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(3)));
    assert_eq!(inventory.release(shop, order_id(1), &clerk).await.unwrap(), Released::Released(units(3)));
    assert_eq!(world.store.orphaned(None, 10).await.unwrap().len(), 0);
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(0)));
    let movements = world.store.movements(&sku("A"), 0, 10).await.unwrap();
    let last = movements.last().unwrap();
    assert_eq!((last.movement.kind, last.posting.actor.as_deref()), (MovementKind::Release, Some("clerk")));
    world.check().await;
    world.stop().await;
}

/// Everything that makes a number what it is.
#[tokio::test]
async fn a_number_can_be_explained() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    world.receive("A", 10).await;
    world.tell([seen(shop, 1, read(1, 200), "processing", 100, &[(1, 3, Some(3))])]).await;
    let explained = world.inventory().explain(&sku("A")).await.unwrap().unwrap();
    let kinds: Vec<_> = explained.sums.iter().map(|sum| (sum.kind, sum.on_hand, sum.reserved)).collect();
    assert_eq!(
        kinds,
        [(MovementKind::Receipt, units(10), units(0)), (MovementKind::Reserve, units(0), units(3))]
    );
    assert_eq!(explained.holds.iter().map(|hold| hold.order).collect::<Vec<_>>(), [order_id(1)]);
    assert_eq!(world.inventory().explain(&sku("NONE")).await.unwrap(), None);
    assert_eq!(world.inventory().check().await.unwrap(), []);
    world.stop().await;
}
