//! Lines that are not counted, or not yet: those that cannot be read, of products nobody manages, with codes that become
//! known.

use super::*;
use values::LineFault;

/// A product whose stock nobody keeps, neither its shop nor the hub.
const GIFT: i64 = 60;

fn gifts(quantity: i64) -> OrderLine {
    line(1, product(GIFT), quantity)
}

fn shirts(quantity: i64) -> OrderLine {
    line(2, product(SHIRT), quantity)
}

/// As a till says that goods came back: nothing can be read of how many.
fn unreadable(line: OrderLine) -> OrderLine {
    OrderLine { quantity: Quantity::ZERO, fault: Some(LineFault::Negative), ..line }
}

fn first(desk: &Desk) -> &Line {
    desk.order.lines.first().expect("it has one")
}

fn desk_with_gifts() -> Desk {
    let mut desk = Desk::new();
    desk.registry.listings.insert(product(GIFT), Resolved::default());
    desk.stock("gift", &[(1, ON_HAND)]);
    desk
}

#[test]
fn a_line_that_cannot_be_read_waits_alone() {
    let mut desk = Desk::new();
    let mugs = || unreadable(line(1, product(MUG), 0));
    for (status, expected) in [
        ("pending", (4, 0)),
        ("processing", (4, 0)),
        ("completed", (0, 4)),
        ("refunded", (0, 4)),
        ("cancelled", (0, 0)),
    ] {
        let took = if status == "cancelled" { shirts(4) } else { shirts(4).took(4) };
        assert!(desk.fact(status, vec![mugs(), took]).parked, "{status}");
        assert_eq!(desk.held(), [(0, 0), expected], "{status}");
        assert_eq!((desk.available("mug"), desk.stock_of(MUG)), (ON_HAND, (0, 0)), "{status}");
    }
}

#[test]
fn what_a_till_took_back_is_known_as_what_the_shop_has() {
    let mut desk = Desk::new();
    desk.hint("completed", vec![unreadable(line(1, product(MUG), 0)).took(-1)]);
    assert_eq!((desk.held(), desk.stock_of(MUG)), (vec![(0, 0)], (-1, 0)));
    desk.fact("completed", vec![unreadable(line(1, product(MUG), 0)).took(-1)]);
    assert_eq!((desk.held(), desk.stock_of(MUG)), (vec![(0, 0)], (-1, 0)));
}

#[test]
fn a_line_that_can_no_longer_be_read_keeps_what_it_holds() {
    for (status, expected) in
        [("processing", (4, 0)), ("completed", (0, 4)), ("trash", (4, 0)), ("cancelled", (0, 0))]
    {
        let mut desk = Desk::new();
        desk.fact("processing", vec![shirts(4).took(4)]);
        desk.fact(status, vec![unreadable(shirts(4))]);
        assert_eq!(desk.held(), [expected], "{status}");
        assert_eq!(first(&desk).quantity, units(4), "what was known of it stays");
    }
}

#[test]
fn a_line_that_can_be_read_at_last_is_applied() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![unreadable(shirts(4))]);
    assert!(!desk.fact("processing", vec![shirts(4).took(4)]).parked);
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(4, 0)], 6));

    // It had left before its SKU was counted.
    let mut desk = Desk::new();
    desk.date = COUNTED_AT - 600;
    desk.fact("completed", vec![unreadable(shirts(4))]);
    desk.fact("completed", vec![shirts(4).took(4)]);
    assert_eq!((desk.held(), desk.posted()), (vec![(0, 4)], vec![]));
}

#[test]
fn a_product_nobody_manages_holds_nothing_and_waits_for_nobody() {
    for status in ["pending", "processing", "completed", "refunded", "cancelled", "trash"] {
        let mut desk = desk_with_gifts();
        assert!(!desk.fact(status, vec![gifts(3), shirts(2).took(2)]).parked, "{status}");
        assert!(first(&desk).unmanaged, "{status}");
        assert_eq!(desk.held().first(), Some(&(0, 0)), "{status}");
    }
}

#[test]
fn once_a_product_is_managed_its_lines_hold_what_the_shop_takes() {
    let mut desk = desk_with_gifts();
    desk.fact("on-hold", vec![gifts(3)]);
    desk.registry.map(product(GIFT), Some(GIFT), "gift");
    desk.resolve();
    assert_eq!((desk.held(), desk.stock_of(GIFT)), (vec![(0, 0)], (0, 0)), "the shop never took it");
    desk.fact("completed", vec![gifts(3)]);
    assert_eq!((desk.held(), desk.on_hand("gift")), (vec![(0, 0)], ON_HAND));

    let mut desk = desk_with_gifts();
    desk.fact("on-hold", vec![gifts(3)]);
    desk.registry.map(product(GIFT), Some(GIFT), "gift");
    desk.resolve();
    // Saved in the admin, where the shop takes what it had not taken.
    desk.fact("processing", vec![gifts(3).took(3)]);
    assert_eq!((desk.held(), desk.stock_of(GIFT)), (vec![(3, 0)], (3, 0)));
    desk.fact("cancelled", vec![gifts(3)]);
    assert_eq!((desk.held(), desk.available("gift")), (vec![(0, 0)], ON_HAND));
    desk.fact("processing", vec![gifts(3)]);
    assert_eq!(desk.held(), [(3, 0)], "it is a line like any other by now");
}

#[test]
fn what_the_shop_took_of_a_product_it_no_longer_manages_waits_for_its_sku() {
    let mut desk = desk_with_gifts();
    assert!(desk.fact("processing", vec![gifts(3).took(3)]).parked);
    assert!(!first(&desk).unmanaged);
    desk.registry.map(product(GIFT), Some(GIFT), "gift");
    desk.resolve();
    assert_eq!((desk.held(), desk.stock_of(GIFT)), (vec![(3, 0)], (3, 0)));
}

/// The order came before the catalogue.
#[test]
fn a_line_is_unmanaged_once_its_catalogue_says_so() {
    let mut desk = Desk::new();
    assert!(desk.fact("processing", vec![gifts(3)]).parked);
    desk.registry.listings.insert(product(GIFT), Resolved::default());
    desk.resolve();
    assert!(first(&desk).unmanaged && !first(&desk).is_parked());
}

#[test]
fn a_code_that_becomes_known_finds_the_lines_that_were_shown_with_it() {
    let mut desk = Desk::new();
    let gifts = || gifts(3).coded("gift").took(3);
    assert!(desk.fact("processing", vec![gifts()]).parked);
    assert_eq!(first(&desk).code, Some(sku("gift")));
    desk.resolve();
    assert_eq!(desk.held(), [(0, 0)]);
    desk.stock("gift", &[(1, ON_HAND)]);
    desk.registry.skus.insert(sku("gift"));
    desk.resolve();
    assert_eq!((desk.held(), desk.available("gift")), (vec![(3, 0)], 7));
    assert_eq!(first(&desk).code, None);

    // Once its listing is known, that says what it is.
    let mut desk = Desk::new();
    desk.fact("processing", vec![gifts()]);
    desk.registry.listings.insert(product(GIFT), Resolved { stock: Some(holder(GIFT)), sku: None });
    desk.registry.skus.insert(sku("gift"));
    desk.resolve();
    assert_eq!((desk.held(), desk.stock_of(GIFT)), (vec![(0, 0)], (3, 0)));
    assert_eq!(first(&desk).code, None);
}
