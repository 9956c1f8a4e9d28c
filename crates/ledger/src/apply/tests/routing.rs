//! Which warehouses an order's units come from and go back to.

use super::*;

/// Holds of the first line: warehouse, reserved, shipped.
fn holds(desk: &Desk) -> Vec<(i64, i64, i64)> {
    let in_units = |quantity: Quantity| quantity.whole_units().unwrap();
    desk.order
        .lines
        .iter()
        .take(1)
        .flat_map(|line| &line.holds)
        .map(|Hold { warehouse, reserved, shipped, .. }| {
            (warehouse.get(), in_units(*reserved), in_units(*shipped))
        })
        .collect()
}

fn desk(on_hand: &[(i64, i64)], routing: &[i64]) -> Desk {
    let mut desk = Desk::new();
    desk.stock("shirt", on_hand);
    desk.terms.routing = route(routing);
    desk
}

fn route(warehouses: &[i64]) -> Routing {
    Routing::new(warehouses.iter().copied().map(warehouse)).unwrap()
}

fn sold(quantity: i64) -> Vec<OrderLine> {
    vec![line(1, product(SHIRT), quantity).took(quantity)]
}

#[test]
fn by_priority_then_split_then_short_in_the_first() {
    for (on_hand, quantity, expected) in [
        (&[(1, 5), (2, 5)][..], 4, vec![(1, 4, 0)]),
        (&[(1, 5), (2, 5)], 8, vec![(1, 5, 0), (2, 3, 0)]),
        (&[(1, 0), (2, 5)], 4, vec![(2, 4, 0)]),
        (&[(1, 1), (2, 2)], 5, vec![(1, 3, 0), (2, 2, 0)]),
        (&[(1, 0), (2, 0)], 2, vec![(1, 2, 0)]),
        // What another order is short of is not there to give.
        (&[(1, -3), (2, 5)], 4, vec![(2, 4, 0)]),
    ] {
        let mut desk = desk(on_hand, &[1, 2]);
        desk.fact("processing", sold(quantity));
        assert_eq!(holds(&desk), expected, "{quantity} of {on_hand:?}");
    }
}

#[test]
fn an_order_ships_from_where_it_is_held() {
    let mut desk = desk(&[(1, 5), (2, 5)], &[1, 2]);
    desk.fact("processing", sold(8));
    desk.fact("completed", sold(8));
    assert_eq!(holds(&desk), [(1, 0, 5), (2, 0, 3)]);
    desk.fact("completed", sold(9));
    assert_eq!(holds(&desk), [(1, 0, 5), (2, 0, 4)]);
    desk.fact("processing", sold(9));
    assert_eq!(holds(&desk), [(1, 5, 0), (2, 4, 0)]);
}

#[test]
fn gives_back_first_where_stock_is_short_and_then_in_reverse() {
    // 3 short in the first.
    let mut short = desk(&[(1, 2), (2, 3)], &[1, 2]);
    short.fact("processing", sold(8));
    assert_eq!(holds(&short), [(1, 5, 0), (2, 3, 0)]);
    short.fact("processing", sold(6));
    assert_eq!(holds(&short), [(1, 3, 0), (2, 3, 0)], "the shortage is served first");
    short.fact("processing", sold(4));
    assert_eq!(holds(&short), [(1, 2, 0), (2, 2, 0)], "then the last that was drawn on");

    let mut covered = desk(&[(1, 5), (2, 5)], &[1, 2]);
    covered.fact("processing", sold(8));
    covered.fact("processing", sold(6));
    assert_eq!(holds(&covered), [(1, 5, 0), (2, 1, 0)]);
}

#[test]
fn returns_go_where_they_came_from() {
    let mut desk = desk(&[(1, 5), (2, 5)], &[1, 2]);
    desk.fact("completed", sold(8));
    desk.fact("completed", sold(4));
    assert_eq!(holds(&desk), [(1, 0, 4)]);
    assert_eq!(desk.available("shirt"), 6);
}

#[test]
fn a_change_of_routing_leaves_holds_where_they_are() {
    let mut desk = desk(&[(1, 5), (2, 5), (3, 5)], &[1, 2]);
    desk.fact("processing", sold(8));
    desk.terms.routing = route(&[3, 2]);
    desk.posted();
    desk.fact("on-hold", sold(8));
    assert_eq!((holds(&desk), desk.posted()), (vec![(1, 5, 0), (2, 3, 0)], vec![]));
    desk.fact("processing", sold(9));
    assert_eq!(holds(&desk), [(1, 5, 0), (2, 3, 0), (3, 1, 0)]);
    // Warehouses the shop no longer sells from are let go first.
    desk.fact("processing", sold(3));
    assert_eq!(holds(&desk), [(2, 2, 0), (3, 1, 0)]);
    desk.fact("cancelled", vec![line(1, product(SHIRT), 3)]);
    assert_eq!((holds(&desk), desk.available("shirt")), (vec![], 15));
}

#[test]
fn lines_that_give_back_go_first() {
    let mut desk = desk(&[(1, 4), (2, 9)], &[1, 2]);
    desk.fact("processing", vec![line(1, product(SHIRT), 0).took(0), line(2, product(SHIRT), 4).took(4)]);
    desk.fact("processing", vec![line(1, product(SHIRT), 4).took(4), line(2, product(SHIRT), 0).took(0)]);
    assert_eq!(holds(&desk), [(1, 4, 0)], "what the second line freed covers the first");
}

#[test]
fn a_sale_beyond_all_stock_is_a_shortfall_that_a_receipt_serves() {
    let mut desk = desk(&[(1, 2)], &[1]);
    desk.fact("processing", sold(5));
    assert_eq!(desk.available("shirt"), -3);
    desk.operate(&Operation::Receive { sku: sku("shirt"), warehouse: warehouse(1), quantity: units(4) });
    assert_eq!((holds(&desk), desk.available("shirt")), (vec![(1, 5, 0)], 1));
}
