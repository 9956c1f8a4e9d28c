//! Which line of the order a line of a snapshot is, and what it is resolved to.

use super::*;

fn shirts(id: i64, quantity: i64) -> OrderLine {
    line(id, product(SHIRT), quantity).took(quantity)
}

fn mugs(id: i64, quantity: i64) -> OrderLine {
    line(id, product(MUG), quantity).took(quantity)
}

#[test]
fn lines_come_and_go() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4)]);
    desk.fact("processing", vec![shirts(1, 4), mugs(2, 3)]);
    assert_eq!(desk.held(), [(4, 0), (3, 0)]);
    desk.fact("processing", vec![mugs(2, 3)]);
    assert_eq!((desk.held(), desk.available("shirt"), desk.available("mug")), (vec![(3, 0)], 10, 7));
    assert_eq!((desk.stock_of(SHIRT), desk.stock_of(MUG)), ((0, 0), (3, 0)));
    desk.fact("completed", vec![mugs(2, 3)]);
    desk.posted();
    desk.fact("completed", vec![]);
    assert_eq!(desk.posted(), [(MovementKind::Return, 3, 0)], "a line that left and was removed came back");
}

#[test]
fn a_removed_line_that_was_not_taken_is_kept_until_confirmed() {
    let mut desk = Desk::new();
    desk.fact("pending", vec![line(1, product(SHIRT), 4), line(2, product(MUG), 1)]);
    desk.hint("pending", vec![line(2, product(MUG), 1)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(4, 0), (1, 0)], (0, 4)));
    desk.read(desk.date, 30, "pending", vec![line(2, product(MUG), 1)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(1, 0)], (0, 0)));
}

#[test]
fn a_removed_line_that_comes_back_is_the_same_line() {
    let mut desk = Desk::new();
    let both = || vec![line(1, product(SHIRT), 4), line(2, product(MUG), 1)];
    desk.fact("pending", both());
    desk.hint("pending", vec![line(2, product(MUG), 1)]);
    desk.hint("pending", both());
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(4, 0), (1, 0)], 6));
}

#[test]
fn another_product_on_a_line_id_is_another_line() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4)]);
    desk.fact("processing", vec![mugs(1, 4)]);
    assert_eq!((desk.held(), desk.available("shirt"), desk.available("mug")), (vec![(4, 0)], 10, 6));
    assert_eq!((desk.stock_of(SHIRT), desk.stock_of(MUG)), ((0, 0), (4, 0)));
    // Unconfirmed, and not taken: both are held, and there and back is no third line.
    let pending = |id| vec![line(1, product(id), 2)];
    let mut desk = Desk::new();
    desk.fact("pending", pending(SHIRT));
    desk.hint("pending", pending(MUG));
    assert_eq!(desk.held(), [(2, 0), (2, 0)]);
    desk.hint("pending", pending(SHIRT));
    assert_eq!(desk.held(), [(2, 0), (2, 0)]);
    desk.read(desk.date, 30, "pending", pending(SHIRT));
    assert_eq!((desk.held(), desk.available("shirt"), desk.available("mug")), (vec![(2, 0)], 8, 10));
}

#[test]
fn a_deleted_product_keeps_its_line() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4)]);
    desk.posted();
    let verdict = desk.read(desk.date, 50, "processing", vec![shirts(1, 4).deleted()]);
    assert!(!verdict.parked);
    assert_eq!((desk.held(), desk.posted(), desk.stock_of(SHIRT)), (vec![(4, 0)], vec![], (4, 0)));
    desk.fact("cancelled", vec![line(1, product(SHIRT), 4).deleted()]);
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(0, 0)], 10));
}

#[test]
fn another_product_on_the_line_of_a_deleted_one_is_another_line() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4)]);
    desk.fact("processing", vec![shirts(1, 4).deleted()]);
    desk.fact("processing", vec![mugs(1, 4)]);
    assert_eq!((desk.held(), desk.available("shirt"), desk.available("mug")), (vec![(4, 0)], 10, 6));
}

#[test]
fn a_removed_line_stays_where_it_is_until_confirmed() {
    let mut desk = Desk::new();
    desk.fact("completed", vec![line(1, product(SHIRT), 4), mugs(2, 1)]);
    desk.hint("processing", vec![mugs(2, 1)]);
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 4), (1, 0)], 6));
    desk.fact("processing", vec![mugs(2, 1)]);
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(1, 0)], 10));
}

#[test]
fn one_product_on_two_lines() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4), shirts(2, 3)]);
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(4, 0), (3, 0)], 3));
    assert_eq!(desk.stock_of(SHIRT), (7, 0));
    desk.fact("processing", vec![shirts(1, 4)]);
    assert_eq!((desk.held(), desk.available("shirt"), desk.stock_of(SHIRT)), (vec![(4, 0)], 6, (4, 0)));
}

#[test]
fn variations_share_the_stock_of_their_parent() {
    let mut desk = Desk::new();
    let verdict =
        desk.fact("processing", vec![line(1, variation(TEA, 41), 2).took(2), line(2, variation(TEA, 42), 3)]);
    assert_eq!(verdict.stocks.len(), 1, "one stock");
    assert_eq!((desk.held(), desk.available("tea")), (vec![(2, 0), (3, 0)], 5));
    assert_eq!(desk.stock_of(TEA), (2, 0));
    desk.fact("pending", vec![line(1, variation(TEA, 41), 2), line(2, variation(TEA, 42), 3)]);
    assert_eq!(desk.stock_of(TEA), (0, 5));
}

#[test]
fn a_stock_the_shop_does_not_keep_is_held_all_the_same() {
    let mut desk = Desk::new();
    let verdict = desk.fact("processing", vec![line(1, product(POSTER), 2)]);
    assert_eq!((desk.held(), desk.available("poster")), (vec![(2, 0)], 8));
    assert_eq!(verdict.stocks, []);
}

#[test]
fn a_renamed_code_changes_nothing() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4).coded("shirt")]);
    desk.posted();
    let renamed = desk.read(desk.date, 50, "processing", vec![shirts(1, 4).coded("mug")]);
    assert_eq!(renamed.decision, Decision::Duplicate, "the code is the product's present one");
    desk.fact("processing", vec![shirts(1, 5).coded("mug")]);
    assert_eq!((desk.held(), desk.available("shirt"), desk.available("mug")), (vec![(5, 0)], 5, 10));
}

#[test]
fn a_remapped_listing_is_for_new_lines_only() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(1, 4)]);
    desk.registry.map(product(SHIRT), Some(SHIRT), "mug");
    desk.fact("processing", vec![shirts(1, 4), shirts(2, 1)]);
    assert_eq!((desk.available("shirt"), desk.available("mug")), (6, 9));
}

#[test]
fn the_code_is_text_for_listings_never_seen() {
    for (what, code, expected) in [
        ("known", Some("lamp"), vec![(2, 0)]),
        ("unknown", Some("another"), vec![(0, 0)]),
        ("none", None, vec![(0, 0)]),
    ] {
        let mut desk = Desk::new();
        desk.registry.skus.insert(sku("lamp"));
        let lamps = line(1, product(LAMP), 2).took(2);
        let lamps = code.map_or(lamps.clone(), |code| lamps.coded(code));
        let verdict = desk.fact("processing", vec![lamps]);
        assert_eq!(desk.held(), expected, "{what}");
        assert_eq!(verdict.parked, expected == [(0, 0)], "{what}");
    }
    // A listing that was seen and is mapped to nothing is not guessed by its text.
    let mut desk = Desk::new();
    desk.registry.skus.insert(sku("lamp"));
    desk.registry.listings.insert(product(LAMP), Resolved { stock: Some(holder(LAMP)), sku: None });
    let verdict = desk.fact("processing", vec![line(1, product(LAMP), 2).took(2).coded("lamp")]);
    assert!(verdict.parked);
    assert_eq!(desk.stock_of(LAMP), (2, 0), "what the shop took counts, parked or not");
}
