//! Orders a shop no longer knows: they keep what they hold until somebody decides, and may come back.

use super::*;

fn shirts() -> Vec<OrderLine> {
    vec![line(1, product(SHIRT), 4).took(4)]
}

#[test]
fn an_order_that_is_gone_keeps_what_it_holds_and_is_orphaned() {
    let mut desk = Desk::new();
    desk.fact("processing", shirts());
    desk.posted();
    let verdict = desk.not_found();
    assert_eq!(verdict.decision, Decision::Apply { confirmed: true });
    assert_eq!((desk.held(), desk.posted(), desk.stock_of(SHIRT)), (vec![(4, 0)], vec![], (4, 0)));
    assert!(desk.order.is_orphaned());
    desk.release_orphan();
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(0, 0)], 10));
    assert!(!desk.order.is_orphaned());
    assert_eq!(desk.stock_of(SHIRT), (4, 0), "the shop never gave them back");
}

#[test]
fn only_what_is_gone_can_be_released() {
    let mut desk = Desk::new();
    desk.fact("processing", shirts());
    desk.release_orphan();
    assert_eq!(desk.held(), [(4, 0)]);
}

/// Its shop was removed and is added again: the order is read as it is, and held again though nothing of it has changed.
#[test]
fn an_order_of_a_removed_shop_is_let_go_and_held_again_once_it_is_read() {
    let mut desk = Desk::new();
    desk.fact("pending", vec![line(1, product(SHIRT), 4)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(4, 0)], (0, 4)));
    desk.with(|order, applying, _| disown(order, applying));
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(4, 0)], (0, 0)), "it takes nothing more");
    desk.release_orphan();
    assert_eq!((desk.held(), desk.available("shirt")), (vec![(0, 0)], 10));
    desk.read(desk.date, 90, "pending", vec![line(1, product(SHIRT), 4)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(4, 0)], (0, 4)));
}

#[test]
fn what_has_left_is_no_orphan() {
    let mut desk = Desk::new();
    desk.fact("completed", shirts());
    desk.not_found();
    assert!(!desk.order.is_orphaned());
    desk.release_orphan();
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 4)], 6));
}

#[test]
fn a_shop_takes_nothing_more_for_an_order_that_is_gone() {
    let mut desk = Desk::new();
    desk.fact("pending", vec![line(1, product(SHIRT), 4)]);
    assert_eq!(desk.stock_of(SHIRT), (0, 4));
    desk.not_found();
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(4, 0)], (0, 0)));
}

#[test]
fn an_order_never_known_and_not_there_is_nothing() {
    let mut desk = Desk::new();
    let before = desk.order.clone();
    assert_eq!(desk.not_found().decision, Decision::Duplicate);
    assert_eq!(desk.order, before);
}

#[test]
fn a_gone_order_that_a_read_shows_again_lives_again() {
    for released in [false, true] {
        let mut desk = Desk::new();
        desk.fact("processing", shirts());
        desk.not_found();
        if released {
            desk.release_orphan();
        }
        desk.read(desk.date, 90, "processing", shirts());
        assert!(!desk.order.gone);
        assert_eq!((desk.held(), desk.available("shirt")), (vec![(4, 0)], 6), "released: {released}");
    }
}

#[test]
fn what_was_half_written_before_it_was_gone_is_not_whole_when_it_is_back() {
    let mut desk = Desk::new();
    desk.fact("processing", shirts());
    desk.hint("cancelled", shirts());
    desk.not_found();
    desk.read(desk.date, 5, "cancelled", shirts());
    assert_eq!(desk.held(), [(4, 0)]);
    assert!(!desk.order.applied.unwrap().confirmed);
}

/// A webhook delivered late cannot bring back an order that a read has not found: only a read can.
#[test]
fn a_webhook_of_a_gone_order_is_a_reason_to_read() {
    let mut desk = Desk::new();
    desk.fact("processing", shirts());
    desk.not_found();
    let held = desk.held();
    assert_eq!(desk.hint("completed", shirts()).decision, Decision::Reread);
    assert_eq!(desk.webhook(FIRST_DATE, "processing", shirts()).decision, Decision::Reread);
    assert!(desk.order.gone && desk.order.reread);
    assert_eq!(desk.held(), held);
    desk.not_found();
    assert!(desk.order.gone && !desk.order.reread);
}

#[test]
fn a_webhook_that_says_gone_is_a_hint() {
    let mut desk = Desk::new();
    desk.fact("processing", shirts());
    let verdict = desk.show(Seen::Webhook, None, "", Vec::new());
    assert_eq!((verdict.decision, verdict.reread), (Decision::Reread, Some(Reread::Unordered)));
    assert!(desk.order.reread && !desk.order.gone);
}

#[test]
fn a_released_orphan_is_not_held_again_by_a_change_of_the_registry() {
    let mut desk = Desk::new();
    let lamps = line(2, product(LAMP), 2).took(2);
    desk.fact("processing", [shirts(), vec![lamps]].concat());
    desk.not_found();
    desk.release_orphan();
    desk.registry.map(product(LAMP), Some(LAMP), "lamp");
    desk.resolve();
    assert_eq!(desk.held(), [(0, 0), (0, 0)]);
    assert_eq!(desk.stock_of(LAMP), (2, 0), "what the shop took counts all the same");
}

#[test]
fn a_removed_line_that_is_let_go_leaves_nothing_behind() {
    let two = || vec![line(1, product(SHIRT), 4), line(2, product(MUG), 1)];
    let one = || vec![line(2, product(MUG), 1)];
    for gone in [false, true] {
        let mut desk = Desk::new();
        desk.fact("pending", two());
        desk.hint("pending", one());
        if gone {
            desk.not_found();
            desk.release_orphan();
        } else {
            desk.expire();
        }
        let before = desk.order.clone();
        desk.show(
            Seen::Read { number: ReadNumber::ZERO, read_at: at(0), baseline: false },
            Some(0),
            "",
            two(),
        );
        assert_eq!(desk.order, before, "an older read changes nothing");
        assert_eq!(desk.held(), [(0, 0)]);
    }
}
