//! Lines without a SKU, what becomes of them once they have one, and what was final before stock was counted.

use super::*;

fn lamps(quantity: i64) -> OrderLine {
    line(1, product(LAMP), quantity).took(quantity)
}

fn map_lamp(desk: &mut Desk) {
    desk.registry.map(product(LAMP), Some(LAMP), "lamp");
}

fn count(desk: &mut Desk, code: &str, counted: i64) {
    let (sku, warehouse) = (sku(code), warehouse(1));
    desk.operate(&Operation::Count { sku, warehouse, counted: units(counted) });
}

#[test]
fn a_parked_line_is_held_from_nothing_once_it_is_mapped() {
    for (status, expected) in [
        ("pending", (3, 0)),
        ("processing", (3, 0)),
        // Newer than the last count.
        ("completed", (0, 3)),
        ("refunded", (3, 0)),
        ("cancelled", (0, 0)),
    ] {
        let mut desk = Desk::new();
        assert!(desk.fact(status, vec![lamps(3)]).parked);
        assert_eq!((desk.held(), desk.posted()), (vec![(0, 0)], vec![]));
        map_lamp(&mut desk);
        desk.resolve();
        assert_eq!(desk.held(), [expected], "{status}");
        assert_eq!(desk.stock_of(LAMP), (3, 0), "{status}");
        assert_eq!(desk.available("lamp"), 10_i64.saturating_sub(expected.0).saturating_sub(expected.1));
        desk.posted();
        desk.resolve();
        assert_eq!(desk.posted(), [], "{status}: resolved twice");
    }
}

#[test]
fn what_was_final_before_the_count_is_superseded() {
    for (status, expected, available_after_cancel) in [
        // Not final: still in the shelf, and counted.
        ("processing", (3, 0), 10),
        ("completed", (0, 3), 13),
        ("refunded", (0, 3), 13),
    ] {
        let mut desk = Desk::new();
        desk.fact(status, vec![lamps(3)]);
        count(&mut desk, "lamp", 10);
        map_lamp(&mut desk);
        desk.posted();
        desk.resolve();
        assert_eq!(desk.held(), [expected], "{status}");
        assert_eq!(desk.on_hand("lamp"), 10, "{status}");
        if expected.1 > 0 {
            assert_eq!(desk.posted(), [], "{status}: without a movement");
        }
        desk.fact("cancelled", vec![line(1, product(LAMP), 3)]);
        assert_eq!((desk.held(), desk.available("lamp")), (vec![(0, 0)], available_after_cancel), "{status}");
    }
}

/// The snapshot that finds the SKU mapped may come before the registry's change was worked off.
#[test]
fn a_line_resolved_by_its_next_snapshot_is_superseded_all_the_same() {
    let mut desk = Desk::new();
    desk.hint("completed", vec![lamps(3)]);
    let date = desk.date;
    desk.date = date.saturating_add(600);
    count(&mut desk, "lamp", 10);
    map_lamp(&mut desk);
    desk.posted();
    desk.read(date.saturating_add(1), 700, "completed", vec![lamps(3)]);
    assert_eq!((desk.held(), desk.on_hand("lamp"), desk.posted()), (vec![(0, 3)], 10, vec![]));
}

#[test]
fn a_line_resolved_by_a_snapshot_newer_than_the_count_is_held() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![lamps(3)]);
    map_lamp(&mut desk);
    desk.fact("completed", vec![lamps(3)]);
    assert_eq!((desk.held(), desk.on_hand("lamp")), (vec![(0, 3)], 7));
}

#[test]
fn resolving_leaves_other_lines_alone() {
    let mut desk = Desk::new();
    desk.fact("completed", vec![lamps(3), line(2, product(SHIRT), 4).took(4)]);
    count(&mut desk, "lamp", 10);
    count(&mut desk, "shirt", 6);
    desk.posted();
    map_lamp(&mut desk);
    desk.resolve();
    assert_eq!((desk.held(), desk.posted()), (vec![(0, 3), (0, 4)], vec![]));
}

#[test]
fn resolving_before_a_snapshot_is_confirmed_gives_nothing_back() {
    let mut desk = Desk::new();
    let shirts = || line(2, product(SHIRT), 4);
    desk.fact("pending", vec![lamps(3), shirts()]);
    desk.hint("cancelled", vec![line(1, product(LAMP), 3), shirts()]);
    map_lamp(&mut desk);
    desk.resolve();
    assert_eq!(desk.held(), [(0, 0), (4, 0)]);
}

#[test]
fn baseline_orders() {
    for (what, date, status, expected, on_hand) in [
        ("open", COUNTED_AT - 1, "processing", (4, 0), 10),
        ("final before the count", COUNTED_AT, "completed", (0, 4), 10),
        ("final since the count", COUNTED_AT + 1, "completed", (0, 4), 6),
        ("refunded without restock", COUNTED_AT, "refunded", (0, 4), 10),
        ("cancelled", COUNTED_AT, "cancelled", (0, 0), 10),
    ] {
        let mut desk = Desk::new();
        desk.baseline(date, status, vec![line(1, product(SHIRT), 4).took(4)]);
        assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![expected], on_hand), "{what}");
        assert_eq!(desk.stock_of(SHIRT), (4, 0), "{what}: what the shop took counts");
    }
}

#[test]
fn a_baseline_order_cancelled_later_is_a_return() {
    for status in ["completed", "refunded"] {
        let mut desk = Desk::new();
        desk.baseline(COUNTED_AT, status, vec![line(1, product(SHIRT), 4).took(4)]);
        assert_eq!(desk.posted(), []);
        desk.fact("cancelled", vec![line(1, product(SHIRT), 4)]);
        assert_eq!(desk.posted(), [(MovementKind::Return, 4, 0)], "{status}");
        assert_eq!(desk.on_hand("shirt"), 14);
    }
}

#[test]
fn a_baseline_of_a_sku_never_counted_is_superseded_and_opened() {
    let mut desk = Desk::new();
    desk.book.load(sku("shirt"), SkuBook::default());
    desk.baseline(9_000, "completed", vec![line(1, product(SHIRT), 4).took(4)]);
    assert_eq!((desk.held(), desk.on_hand("shirt"), desk.posted()), (vec![(0, 4)], 0, vec![]));
    let (sku, warehouse) = (sku("shirt"), warehouse(1));
    desk.operate(&Operation::Opening { sku, warehouse, shared: [warehouse].into(), quantity: units(7) });
    assert_eq!(desk.available("shirt"), 7);
}

#[test]
fn a_known_order_read_again_as_baseline_is_not_superseded() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![line(1, product(SHIRT), 4).took(4)]);
    desk.baseline(COUNTED_AT, "completed", vec![line(1, product(SHIRT), 4).took(4)]);
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 4)], 6));
}

#[test]
fn a_stocktake_while_units_are_promised_oversells_nothing() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![line(1, product(SHIRT), 4).took(4)]);
    count(&mut desk, "shirt", 9);
    assert_eq!(desk.available("shirt"), 5);
    desk.fact("completed", vec![line(1, product(SHIRT), 4).took(4)]);
    assert_eq!((desk.on_hand("shirt"), desk.available("shirt")), (5, 5));
}

/// An order closed before the baseline's window that is touched later: what it took is missing from the shop's stock already.
#[test]
fn an_order_older_than_the_connection_and_not_in_its_baseline() {
    let sold = || vec![line(1, product(SHIRT), 4).took(4)];
    for (baseline_last, predates, on_hand) in
        [(Some(ORDER + 1), true, 10), (Some(ORDER), true, 10), (Some(ORDER - 1), false, 6), (None, false, 6)]
    {
        let mut desk = Desk::new();
        desk.terms.baseline_last = baseline_last.and_then(OrderId::new);
        let verdict = desk.fact("completed", sold());
        assert_eq!((verdict.predates, desk.on_hand("shirt")), (predates, on_hand), "{baseline_last:?}");
        assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(0, 4)], (4, 0)), "{baseline_last:?}");
        assert!(!desk.fact("completed", sold()).predates, "it is known by now");
        desk.posted();
        desk.fact("cancelled", vec![line(1, product(SHIRT), 4)]);
        assert_eq!(desk.posted(), [(MovementKind::Return, 4, 0)], "{baseline_last:?}");
    }
    let mut desk = Desk::new();
    desk.terms.baseline_last = OrderId::new(ORDER);
    assert!(!desk.baseline(9_000, "processing", sold()).predates, "the baseline itself is no surprise");
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(4, 0)], 6));
}

/// A desk whose shop was connected after the order was made, without finding it open.
fn connected_later() -> Desk {
    let mut desk = Desk::new();
    desk.terms.baseline_last = OrderId::new(ORDER);
    desk
}

#[test]
fn a_closed_order_older_than_the_connection_moves_nothing() {
    for lines in [
        vec![line(1, product(SHIRT), 3).took(3)],
        // The shop keeps no stock of it, and still it left long ago.
        vec![line(1, product(POSTER), 3)],
    ] {
        let mut desk = connected_later();
        assert!(desk.fact("completed", lines.clone()).predates);
        assert_eq!((desk.held(), desk.posted()), (vec![(0, 3)], vec![]));
        assert!(!desk.fact("completed", lines).predates, "known by now");
        assert_eq!(desk.posted(), []);
    }
}

#[test]
fn an_open_order_older_than_the_connection_is_held_like_a_new_one() {
    let mut desk = connected_later();
    assert!(desk.fact("processing", vec![line(1, product(SHIRT), 3).took(3)]).predates);
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(3, 0)], 7));
}

#[test]
fn a_parked_line_of_an_order_older_than_the_connection_moves_nothing_when_mapped() {
    let mut desk = connected_later();
    desk.fact("completed", vec![lamps(3)]);
    map_lamp(&mut desk);
    desk.resolve();
    assert_eq!((desk.held(), desk.posted()), (vec![(0, 3)], vec![]));
}

#[test]
fn a_deleted_variation_keeps_its_line() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![line(1, variation(TEA, 41), 3).took(3)]);
    desk.posted();
    desk.fact("processing", vec![line(1, product(TEA), 3).took(3)]);
    assert_eq!((desk.held(), desk.posted()), (vec![(3, 0)], vec![]));
}
