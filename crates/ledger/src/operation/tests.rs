//! Tests of operation: a row for each outcome, and what each does to the balances.

use super::*;
use crate::book::{Balance, SkuBook};

use OperationOutcome::{AlreadyOpened, Applied, BadQuantity, InsufficientAvailable, SameWarehouse};

fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

fn sku() -> Sku {
    "shirt".parse().unwrap()
}

fn warehouse(id: i64) -> WarehouseId {
    WarehouseId::new(id).unwrap()
}

/// In the first warehouse 10 are on hand and 4 of them reserved; in the second nothing is; in the third 2 are short.
fn book() -> Book {
    let balances = [(1, 10, 4), (3, 0, 2)].into_iter().map(|(id, on_hand, reserved)| {
        (warehouse(id), Balance { on_hand: units(on_hand), reserved: units(reserved) })
    });
    let mut book = Book::default();
    book.load(sku(), SkuBook { balances: balances.collect(), movement_count: 41, ..SkuBook::default() });
    book
}

fn opening(id: i64, quantity: i64) -> Operation {
    let shared = [1, 2, 3].map(warehouse).into();
    Operation::Opening { sku: sku(), warehouse: warehouse(id), shared, quantity: units(quantity) }
}

fn receive(id: i64, quantity: i64) -> Operation {
    Operation::Receive { sku: sku(), warehouse: warehouse(id), quantity: units(quantity) }
}

fn adjust(id: i64, delta: i64) -> Operation {
    Operation::Adjust { sku: sku(), warehouse: warehouse(id), delta: units(delta) }
}

fn transfer(from: i64, to: i64, quantity: i64) -> Operation {
    let quantity = units(quantity);
    Operation::Transfer { sku: sku(), from: warehouse(from), to: warehouse(to), quantity }
}

fn count(id: i64, counted: i64) -> Operation {
    Operation::Count { sku: sku(), warehouse: warehouse(id), counted: units(counted) }
}

/// `expected` are the movements: kind, warehouse, Δ on hand.
fn check(operation: &Operation, outcome: OperationOutcome, expected: &[(MovementKind, i64, i64)]) {
    let mut book = book();
    let before = book.sku(&sku()).cloned();
    assert_eq!(operate(operation, Timestamp::from_seconds(5), &mut book), outcome, "{operation:?}");
    let posted: Vec<_> = book
        .movements()
        .iter()
        .map(|movement| {
            assert_eq!((movement.cause, movement.reserved_delta), (Cause::Operation, Quantity::ZERO));
            (movement.kind, movement.warehouse.get(), movement.on_hand_delta.whole_units().unwrap())
        })
        .collect();
    assert_eq!(posted, expected, "{operation:?}");
    if outcome != Applied {
        assert_eq!(book.sku(&sku()).cloned(), before, "{operation:?} was refused whole");
    }
}

#[test]
fn each_outcome_of_each_operation() {
    use MovementKind::{Adjustment, Count, Opening, Receipt, Transfer};
    let insufficient = |available| InsufficientAvailable { available: units(available) };

    check(&opening(1, 7), Applied, &[(Opening, 1, 7)]);
    check(&opening(2, -7), Applied, &[(Opening, 2, -7)]);
    check(&opening(2, 0), Applied, &[]);

    check(&receive(1, 3), Applied, &[(Receipt, 1, 3)]);
    check(&receive(2, 3), Applied, &[(Receipt, 2, 3)]);
    check(&receive(1, 0), BadQuantity, &[]);
    check(&receive(1, -3), BadQuantity, &[]);

    check(&adjust(1, 3), Applied, &[(Adjustment, 1, 3)]);
    check(&adjust(1, -6), Applied, &[(Adjustment, 1, -6)]);
    check(&adjust(1, 0), BadQuantity, &[]);
    check(&adjust(1, -7), insufficient(6), &[]);
    check(&adjust(2, -1), insufficient(0), &[]);
    check(&adjust(3, -1), insufficient(-2), &[]);
    check(&adjust(3, 1), Applied, &[(Adjustment, 3, 1)]);

    check(&transfer(1, 2, 6), Applied, &[(Transfer, 1, -6), (Transfer, 2, 6)]);
    check(&transfer(1, 3, 1), Applied, &[(Transfer, 1, -1), (Transfer, 3, 1)]);
    check(&transfer(1, 2, 7), insufficient(6), &[]);
    check(&transfer(3, 1, 1), insufficient(-2), &[]);
    check(&transfer(1, 1, 2), SameWarehouse, &[]);

    // A stocktake counts what is promised as well.
    check(&count(1, 12), Applied, &[(Count, 1, 2)]);
    check(&count(1, 3), Applied, &[(Count, 1, -7)]);
    check(&count(1, 0), Applied, &[(Count, 1, -10)]);
    check(&count(1, 10), Applied, &[]);
    check(&count(1, -1), BadQuantity, &[]);
}

#[test]
fn malformed_comes_before_impossible() {
    check(&transfer(1, 1, 0), BadQuantity, &[]);
    check(&transfer(1, 1, 99), SameWarehouse, &[]);
    check(&transfer(1, 2, -99), BadQuantity, &[]);
}

/// Orders open nothing: what they did before is part of the difference that an opening is.
#[test]
fn a_sku_is_opened_once_and_only_if_nothing_else_gave_it_stock() {
    for first in [opening(1, 3), opening(1, 0), receive(1, 3), adjust(3, 3), count(2, 0), transfer(1, 2, 1)] {
        let mut book = book();
        assert_eq!(operate(&first, Timestamp::from_seconds(5), &mut book), Applied, "{first:?}");
        let before = book.sku(&sku()).cloned();
        for second in [opening(1, 7), opening(2, 7)] {
            assert_eq!(operate(&second, Timestamp::from_seconds(9), &mut book), AlreadyOpened, "{first:?}");
        }
        assert_eq!(book.sku(&sku()).cloned(), before, "after {first:?} an opening is refused whole");
    }
}

#[test]
fn goods_on_another_shelf_are_opened_too() {
    let mut book = book();
    assert_eq!(operate(&receive(1, 3), Timestamp::from_seconds(5), &mut book), Applied);
    let shared = [2, 3].map(warehouse).into();
    let elsewhere = Operation::Opening { sku: sku(), warehouse: warehouse(2), shared, quantity: units(7) };
    assert_eq!(operate(&elsewhere, Timestamp::from_seconds(6), &mut book), Applied);
    assert_eq!(book.balance(&sku(), warehouse(2)).on_hand, units(7));
}

#[test]
fn a_stocktake_keeps_what_is_promised() {
    for (counted, available) in [(12, 8), (4, 0), (3, -1)] {
        let mut book = book();
        operate(&count(1, counted), Timestamp::from_seconds(5), &mut book);
        let balance = book.balance(&sku(), warehouse(1));
        assert_eq!((balance.reserved, balance.available()), (units(4), units(available)), "{counted}");
    }
}

#[test]
fn what_counts_as_a_count() {
    let counted_after = |first: &Operation, second: Option<&Operation>| {
        let mut book = book();
        operate(first, Timestamp::from_seconds(5), &mut book);
        if let Some(second) = second {
            operate(second, Timestamp::from_seconds(9), &mut book);
        }
        book.counted_at(&sku()).map(Timestamp::seconds)
    };
    for (what, first, second, expected) in [
        ("a count", count(1, 3), None, Some(5)),
        ("a count that finds what was expected", count(1, 10), None, Some(5)),
        ("an opening", opening(1, 3), None, Some(5)),
        ("the first receipt", receive(1, 3), None, Some(5)),
        ("the first adjustment", adjust(1, 3), None, Some(5)),
        ("a transfer is none", transfer(1, 2, 1), None, None),
        ("what is refused is none", count(1, -1), None, None),
        ("a receipt after a count", count(1, 3), Some(receive(1, 1)), Some(5)),
        ("an adjustment after a count", count(1, 3), Some(adjust(2, 1)), Some(5)),
        ("a count after a receipt", receive(1, 1), Some(count(1, 3)), Some(9)),
    ] {
        assert_eq!(counted_after(&first, second.as_ref()), expected, "{what}");
    }
}
