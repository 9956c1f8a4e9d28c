//! Tests of level: buffer, step and the sign.

use super::*;
use values::WarehouseId;

use crate::book::{Balance, SkuBook};

fn warehouse(id: i64) -> WarehouseId {
    WarehouseId::new(id).unwrap()
}

/// The level, in thousandths, of warehouses with so much available, with a buffer and a step, all in thousandths.
fn check(available: &[i64], buffer: i64, step: i64, expected: i64) {
    let sku: Sku = "shirt".parse().unwrap();
    let mut stored = SkuBook::default();
    for (id, thousandths) in (1..).zip(available) {
        let reserved = Quantity::from_units(3);
        let on_hand = Quantity::from_thousandths(*thousandths) + reserved;
        stored.balances.insert(warehouse(id), Balance { on_hand, reserved });
    }
    let mut book = Book::default();
    book.load(sku.clone(), stored);
    let routing = Routing::new([warehouse(1), warehouse(2)]).unwrap();
    let listed = Listed {
        buffer: Quantity::from_thousandths(buffer),
        step: Step::new(Quantity::from_thousandths(step)).unwrap(),
    };
    let level = level(&book, &sku, &routing, listed);
    assert_eq!(level.thousandths(), expected, "{available:?} less {buffer} by {step}");
}

#[test]
fn the_sum_over_the_warehouses_routed_to() {
    check(&[], 0, 1_000, 0);
    check(&[5_000], 0, 1_000, 5_000);
    check(&[5_000, 2_000], 0, 1_000, 7_000);
    check(&[5_000, -2_000], 0, 1_000, 3_000);
    check(&[5_000, 2_000, 100_000], 0, 1_000, 7_000);
}

#[test]
fn the_buffer_is_kept_back_of_what_there_is() {
    check(&[5_000], 2_000, 1_000, 3_000);
    check(&[2_000], 2_000, 1_000, 0);
    check(&[1_000], 2_000, 1_000, 0);
    check(&[0], 2_000, 1_000, 0);
    check(&[-3_000], 2_000, 1_000, -3_000);
}

#[test]
fn never_more_than_there_is_in_steps() {
    check(&[5_900], 0, 1_000, 5_000);
    check(&[900], 0, 1_000, 0);
    check(&[-100], 0, 1_000, -1_000);
    check(&[5_900], 0, 250, 5_750);
    check(&[5_000], 500, 1_000, 4_000);
    check(&[7_000], 0, 3_000, 6_000);
}
