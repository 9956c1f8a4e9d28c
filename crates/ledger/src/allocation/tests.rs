//! Tests of allocation: where units come from and go back to, and the movements that say so.

use super::*;
use crate::book::{Balance, SkuBook};

use MovementKind::{Release, Reserve, Return, Ship};

type Posted = (MovementKind, i64, i64, i64);

fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

fn warehouse(id: i64) -> WarehouseId {
    WarehouseId::new(id).unwrap()
}

fn in_units(quantity: Quantity) -> i64 {
    quantity.whole_units().unwrap()
}

/// A line with `holds` (warehouse, reserved, shipped) in front of warehouses 1 and 2, whose balances (on hand, reserved) are
/// given, is to hold so much.
struct Case<'a> {
    balances: [(i64, i64); 2],
    holds: &'a [(i64, i64, i64)],
    target: (i64, Option<bool>),
}

fn check(case: &Case<'_>, expected: &[(i64, i64, i64)], posted: &[Posted]) {
    let sku: Sku = "shirt".parse().unwrap();
    let mut stored = SkuBook::default();
    for (id, (on_hand, reserved)) in (1..).zip(case.balances) {
        stored.balances.insert(warehouse(id), Balance { on_hand: units(on_hand), reserved: units(reserved) });
    }
    stored.balances.insert(warehouse(9), Balance { on_hand: units(9), reserved: units(9) });
    let mut book = Book::default();
    book.load(sku.clone(), stored);
    let routing = Routing::new([warehouse(1), warehouse(2)]).unwrap();
    let mut holds: Vec<Hold> = case
        .holds
        .iter()
        .map(|(id, reserved, shipped)| Hold {
            warehouse: warehouse(*id),
            reserved: units(*reserved),
            shipped: units(*shipped),
            sent: units(0),
        })
        .collect();
    let target = Target { held: units(case.target.0), shipped: case.target.1 };
    rearrange(&mut holds, target, &sku, &routing, &mut book, Cause::Operation);
    let holds: Vec<_> = holds
        .iter()
        .map(|hold| (hold.warehouse.get(), in_units(hold.reserved), in_units(hold.shipped)))
        .collect();
    assert_eq!(holds, expected);
    let movements: Vec<Posted> = book
        .movements()
        .iter()
        .map(|movement| {
            let (on_hand, reserved) = (movement.on_hand_delta, movement.reserved_delta);
            (movement.kind, movement.warehouse.get(), in_units(on_hand), in_units(reserved))
        })
        .collect();
    assert_eq!(movements, posted);
}

#[test]
fn takes_what_is_available_by_priority() {
    let case = |balances, target| Case { balances, holds: &[], target };
    check(&case([(5, 2), (5, 0)], (3, None)), &[(1, 3, 0)], &[(Reserve, 1, 0, 3)]);
    check(
        &case([(5, 2), (5, 0)], (9, Some(false))),
        &[(1, 4, 0), (2, 5, 0)],
        &[(Reserve, 1, 0, 3), (Reserve, 2, 0, 5), (Reserve, 1, 0, 1)],
    );
    check(&case([(2, 5), (5, 0)], (3, Some(true))), &[(2, 0, 3)], &[(Ship, 2, -3, 0)]);
    check(&case([(0, 0), (0, 0)], (3, Some(true))), &[(1, 0, 3)], &[(Ship, 1, -3, 0)]);
    check(&case([(5, 0), (5, 0)], (0, Some(false))), &[], &[]);
}

#[test]
fn gives_back_the_unshipped_first_and_where_it_is_short() {
    let case = |balances, holds, target| Case { balances, holds, target };
    let holds = &[(1, 3, 1), (2, 3, 1)];
    check(&case([(5, 3), (5, 3)], holds, (6, None)), &[(1, 3, 1), (2, 1, 1)], &[(Release, 2, 0, -2)]);
    check(
        &case([(2, 3), (5, 3)], holds, (6, None)),
        &[(1, 2, 1), (2, 2, 1)],
        &[(Release, 1, 0, -1), (Release, 2, 0, -1)],
    );
    check(
        &case([(5, 3), (5, 3)], holds, (1, None)),
        &[(1, 0, 1)],
        &[(Release, 2, 0, -3), (Release, 1, 0, -3), (Return, 2, 1, 0)],
    );
    // A warehouse that is no longer routed to is let go before others.
    check(
        &case([(5, 3), (5, 3)], &[(1, 3, 0), (9, 2, 0)], (2, None)),
        &[(1, 2, 0)],
        &[(Release, 9, 0, -2), (Release, 1, 0, -1)],
    );
}

#[test]
fn leaves_and_comes_back() {
    let case = |holds, target| Case { balances: [(5, 3), (5, 3)], holds, target };
    let split = &[(1, 3, 0), (2, 1, 0)];
    check(&case(split, (4, Some(true))), &[(1, 0, 3), (2, 0, 1)], &[(Ship, 1, -3, -3), (Ship, 2, -1, -1)]);
    check(&case(split, (4, None)), &[(1, 3, 0), (2, 1, 0)], &[]);
    check(&case(&[(1, 0, 3)], (3, Some(false))), &[(1, 3, 0)], &[(Return, 1, 3, 3)]);
    check(&case(&[(1, 0, 3)], (3, None)), &[(1, 0, 3)], &[]);
    // Less of it, and the rest leaves.
    check(
        &case(split, (2, Some(true))),
        &[(1, 0, 2)],
        &[(Release, 2, 0, -1), (Release, 1, 0, -1), (Ship, 1, -2, -2)],
    );
}

#[test]
fn routes() {
    assert_eq!(Routing::new([]), None);
    let routing = Routing::new([2, 1, 2, 3, 1].map(warehouse)).unwrap();
    assert_eq!(routing.first(), warehouse(2));
    assert_eq!(routing.iter().collect::<Vec<_>>(), [2, 1, 3].map(warehouse));
}
