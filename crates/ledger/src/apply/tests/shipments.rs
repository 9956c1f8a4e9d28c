//! Shipments of our own between the shop's snapshots: what was sent leaves once, and no status brings it back.

use super::*;

use MovementKind::{Release, Reserve, Return, Ship};

/// A line of 5 shirts of which the shop has taken so many.
fn shirts(taken: i64) -> Vec<OrderLine> {
    vec![line(1, product(SHIRT), taken).took(taken)]
}

/// A paid order of 5 shirts of which 2 were sent.
fn partly_sent() -> Desk {
    let mut desk = Desk::new();
    desk.fact("processing", shirts(5));
    assert!(matches!(desk.ship(&[(1, 2)]), ShipOutcome::Shipped { complete: false, .. }));
    assert_eq!(desk.held(), [(3, 2)]);
    assert_eq!(desk.posted(), [(Reserve, 0, 5), (Ship, -2, -2)]);
    assert_eq!((desk.on_hand("shirt"), desk.available("shirt")), (8, 5));
    assert_eq!(desk.stock_of(SHIRT), (5, 0), "the shop is told nothing of it");
    desk
}

#[test]
fn what_was_sent_leaves_once_whatever_the_shop_says_next() {
    for (what, status, taken, held, posted) in [
        ("still packing there", "processing", 5, (3, 2), vec![]),
        ("the rest", "completed", 5, (0, 5), vec![(Ship, -3, -3)]),
        ("put on hold", "on-hold", 5, (3, 2), vec![]),
        ("to the trash", "trash", 5, (3, 2), vec![]),
        ("refunded without the goods", "refunded", 5, (3, 2), vec![]),
        ("3 refunded and put back: what had not left", "processing", 2, (0, 2), vec![(Release, 0, -3)]),
        ("4 put back: one of those sent", "processing", 1, (0, 1), vec![(Release, 0, -3), (Return, 1, 0)]),
        ("2 more ordered", "processing", 7, (5, 2), vec![(Reserve, 0, 2)]),
    ] {
        let mut desk = partly_sent();
        desk.fact(status, shirts(taken));
        assert_eq!(desk.held(), [held], "{what}");
        assert_eq!(desk.posted(), posted, "{what}");
        let late = desk.webhook(desk.date, status, shirts(taken));
        assert_eq!((late.decision, desk.posted()), (Decision::Duplicate, vec![]), "{what}");
    }
}

#[test]
fn a_cancelled_order_gives_back_what_was_sent_as_a_return() {
    let mut desk = partly_sent();
    let cancelled = || vec![line(1, product(SHIRT), 5)];
    desk.fact("cancelled", cancelled());
    assert_eq!(desk.held(), [(0, 0)]);
    assert_eq!(desk.posted(), [(Release, 0, -3), (Return, 2, 0)]);
    // Uncancelled, all of it is to be sent once more.
    desk.fact("processing", shirts(5));
    assert_eq!(desk.held(), [(5, 0)]);
    desk.posted();
    assert!(matches!(desk.ship(&[]), ShipOutcome::Shipped { complete: true, .. }));
    desk.fact("processing", shirts(5));
    assert_eq!((desk.held(), desk.posted()), (vec![(0, 5)], vec![(Ship, -5, -5)]));
}

#[test]
fn a_shop_that_completes_and_goes_back_takes_back_only_its_own_part() {
    let mut desk = partly_sent();
    desk.fact("completed", shirts(5));
    desk.posted();
    desk.fact("processing", shirts(5));
    assert_eq!((desk.held(), desk.posted()), (vec![(3, 2)], vec![(Return, 3, 3)]));
}

#[test]
fn what_was_sent_before_it_was_paid_stays_sent_when_the_reservation_expires() {
    let mut desk = Desk::new();
    let unpaid = || vec![line(1, product(SHIRT), 5)];
    desk.fact("pending", unpaid());
    desk.ship(&[(1, 2)]);
    desk.expire();
    assert_eq!(desk.held(), [(0, 2)]);
    desk.fact("pending", unpaid());
    assert_eq!(desk.held(), [(0, 2)]);
    desk.fact("on-hold", shirts(5));
    assert_eq!(desk.held(), [(3, 2)]);
}

#[test]
fn a_line_that_waits_for_its_sku_is_not_sent_and_keeps_the_order_from_being_complete() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![line(1, product(SHIRT), 5).took(5), line(2, product(LAMP), 1).took(1)]);
    let refused = desk.ship(&[(1, 5), (2, 1)]);
    let ShipOutcome::Refused(refused) = refused else { unreachable!("{refused:?}") };
    let causes: Vec<_> = refused.iter().map(|refused| (refused.index, refused.cause)).collect();
    assert_eq!(causes, [(1, NotShippedCause::Parked)]);
    assert_eq!(desk.held(), [(5, 0), (0, 0)], "all or nothing");
    assert!(matches!(desk.ship(&[]), ShipOutcome::Shipped { complete: false, .. }));
    desk.registry.map(product(LAMP), Some(LAMP), "lamp");
    desk.resolve();
    assert_eq!(desk.held(), [(0, 5), (1, 0)]);
    assert!(matches!(desk.ship(&[]), ShipOutcome::Shipped { complete: true, .. }));
    assert_eq!(desk.ship(&[]), ShipOutcome::NothingLeft);
}

#[test]
fn what_is_not_reserved_is_refused_in_words() {
    let mut desk = Desk::new();
    let unmanaged = ListingId { product: ProductId::new(77).unwrap(), variation: None };
    desk.registry.listings.insert(unmanaged, Resolved::default());
    let lines = vec![line(1, product(SHIRT), 5).took(5), line(2, unmanaged, 1)];
    desk.fact("processing", lines.clone());
    let left = |left| NotShippedCause::Reserved { left: units(left) };
    for (asked, expected) in [
        (&[(1, 6)][..], vec![(0, left(5))]),
        (&[(1, 0)], vec![(0, NotShippedCause::BadQuantity)]),
        (&[(9, 1)], vec![(0, NotShippedCause::Unknown)]),
        (&[(2, 1)], vec![(0, NotShippedCause::Unmanaged)]),
        // One line named twice is one line.
        (&[(1, 3), (1, 3)], vec![(1, left(2))]),
    ] {
        let refused = desk.ship(asked);
        let ShipOutcome::Refused(refused) = refused else { unreachable!("{asked:?}: {refused:?}") };
        let causes: Vec<_> = refused.iter().map(|refused| (refused.index, refused.cause)).collect();
        assert_eq!(causes, expected, "{asked:?}");
    }
    // Nobody has to send what nobody keeps stock of.
    assert!(matches!(desk.ship(&[(1, 3), (1, 2)]), ShipOutcome::Shipped { complete: true, .. }));
    desk.hint("cancelled", lines);
    assert_eq!(desk.ship(&[]), ShipOutcome::NotOpen);
}

#[test]
fn it_leaves_from_where_it_is_held() {
    let mut desk = Desk::new();
    desk.stock("shirt", &[(1, 5), (2, 5)]);
    desk.terms.routing = Routing::new([warehouse(1), warehouse(2)]).unwrap();
    desk.fact("processing", shirts(8));
    desk.posted();
    desk.ship(&[(1, 6)]);
    assert_eq!(desk.posted(), [(Ship, -5, -5), (Ship, -1, -1)]);
    desk.fact("processing", shirts(8));
    assert_eq!((desk.held(), desk.posted()), (vec![(2, 6)], vec![]));
}
