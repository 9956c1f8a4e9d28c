//! Tests of book: numbers, folds, and what may not be.

use super::*;

fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

fn sku(code: &str) -> Sku {
    code.parse().unwrap()
}

fn warehouse(id: i64) -> WarehouseId {
    WarehouseId::new(id).unwrap()
}

fn post(book: &mut Book, code: &str, id: i64, kind: MovementKind, on_hand: i64, reserved: i64) {
    book.post(&sku(code), warehouse(id), kind, units(on_hand), units(reserved), Cause::Operation);
}

#[test]
fn movements_are_numbered_per_sku_and_carry_the_balance() {
    let mut book = Book::default();
    book.load(sku("mug"), SkuBook { movement_count: 8, ..SkuBook::default() });
    post(&mut book, "shirt", 1, MovementKind::Receipt, 5, 0);
    post(&mut book, "mug", 1, MovementKind::Receipt, 1, 0);
    post(&mut book, "shirt", 2, MovementKind::Reserve, 0, 3);
    post(&mut book, "shirt", 1, MovementKind::Reserve, 0, 2);
    let seen: Vec<_> = book
        .take_movements()
        .into_iter()
        .map(|movement| {
            let Balance { on_hand, reserved } = movement.after;
            (movement.sku, movement.number, on_hand, reserved)
        })
        .collect();
    let expected = [("shirt", 1, 5, 0), ("mug", 9, 1, 0), ("shirt", 2, 0, 3), ("shirt", 3, 5, 2)];
    let expected = expected
        .map(|(code, number, on_hand, reserved)| (sku(code), number, units(on_hand), units(reserved)));
    assert_eq!(seen, expected);
    assert_eq!(book.movements(), []);
    assert_eq!(book.available(&sku("shirt"), [warehouse(1), warehouse(2), warehouse(3)]), Quantity::ZERO);
}

#[test]
fn a_movement_that_changes_nothing_is_none() {
    let mut book = Book::default();
    post(&mut book, "shirt", 1, MovementKind::Count, 0, 0);
    assert_eq!(book.movements(), []);
    assert_eq!(book.sku(&sku("shirt")), None);
}

fn panics(act: impl FnOnce() + std::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(act).is_err()
}

#[test]
fn what_would_break_an_invariant_stops_the_batch() {
    assert!(panics(|| post(&mut Book::default(), "shirt", 1, MovementKind::Release, 0, -1)));
    assert!(panics(|| {
        let balance = Balance { on_hand: units(1), reserved: units(-1) };
        let balances = [(warehouse(1), balance)].into();
        Book::default().load(sku("shirt"), SkuBook { balances, ..SkuBook::default() });
    }));
    assert!(panics(|| {
        let mut book = Book::default();
        post(&mut book, "shirt", 1, MovementKind::Receipt, i64::MAX, 0);
        post(&mut book, "shirt", 1, MovementKind::Receipt, 1, 0);
    }));
}

#[test]
fn on_hand_may_be_below_nothing() {
    let mut book = Book::default();
    post(&mut book, "shirt", 1, MovementKind::Ship, -2, 0);
    assert_eq!(book.balance(&sku("shirt"), warehouse(1)).available(), units(-2));
}

#[test]
fn every_kind_has_its_own_word() {
    let words: BTreeSet<_> = MovementKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), MovementKind::ALL.len());
}
