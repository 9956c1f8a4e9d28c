//! What each status does to stock, alone and after another.

use super::*;

/// What the shop shows of a line of 5 shirts: status, taken, given back by refunds.
type Step = (&'static str, Option<i64>, i64);

fn shirts(taken: Option<i64>, restocked: i64) -> OrderLine {
    let shown = line(1, product(SHIRT), 5).restocked(restocked);
    match taken {
        Some(taken) => shown.took(taken),
        None => shown,
    }
}

/// Applies each step as a confirmed read, and then again as a late webhook; `expected` is what is reserved and shipped.
fn check(what: &str, steps: &[Step], expected: (i64, i64)) {
    let mut desk = Desk::new();
    for (status, taken, restocked) in steps {
        desk.fact(status, vec![shirts(*taken, *restocked)]);
        let before = desk.order.clone();
        let repeated = desk.webhook(desk.date, status, vec![shirts(*taken, *restocked)]);
        assert_eq!(repeated.decision, Decision::Duplicate, "{what}");
        assert_eq!(desk.order, before, "{what}");
    }
    assert_eq!(desk.held(), [expected], "{what}: reserved and shipped");
    let (reserved, shipped) = expected;
    assert_eq!(desk.on_hand("shirt"), ON_HAND.saturating_sub(shipped), "{what}: on hand");
    assert_eq!(
        desk.available("shirt"),
        ON_HAND.saturating_sub(shipped).saturating_sub(reserved),
        "{what}: available"
    );
}

#[test]
fn each_status_alone() {
    for (status, taken, restocked, expected) in [
        ("pending", None, 0, (5, 0)),
        ("pending", Some(5), 0, (5, 0)),
        ("on-hold", Some(5), 0, (5, 0)),
        ("processing", Some(5), 0, (5, 0)),
        // What the shop took counts, even where it is not what was ordered.
        ("processing", Some(3), 2, (3, 0)),
        ("processing", Some(3), 0, (3, 0)),
        ("processing", Some(0), 0, (0, 0)),
        // A shop that took nothing sold them all the same.
        ("processing", None, 0, (5, 0)),
        ("processing", None, 2, (3, 0)),
        ("processing", None, 7, (0, 0)),
        ("completed", Some(5), 0, (0, 5)),
        ("completed", None, 1, (0, 4)),
        ("cancelled", None, 0, (0, 0)),
        ("cancelled", Some(5), 0, (0, 0)),
        ("checkout-draft", None, 0, (0, 0)),
        ("refunded", Some(5), 0, (5, 0)),
        ("refunded", None, 5, (0, 0)),
        ("failed", Some(5), 0, (5, 0)),
        ("failed", None, 0, (0, 0)),
        ("trash", Some(5), 0, (5, 0)),
        ("trash", None, 0, (0, 0)),
        ("a-plugins-own", Some(5), 0, (5, 0)),
        ("a-plugins-own", None, 0, (0, 0)),
    ] {
        check(&format!("{status} {taken:?}"), &[(status, taken, restocked)], expected);
    }
}

#[test]
fn one_status_after_another() {
    let taken = Some(5);
    for (what, steps, expected) in [
        ("paid", &[("pending", None, 0), ("processing", taken, 0)][..], (5, 0)),
        ("shipped", &[("processing", taken, 0), ("completed", taken, 0)], (0, 5)),
        ("back to packing", &[("completed", taken, 0), ("processing", taken, 0)], (5, 0)),
        ("cancelled before it left", &[("processing", taken, 0), ("cancelled", None, 0)], (0, 0)),
        ("cancelled after it left: a return", &[("completed", taken, 0), ("cancelled", None, 0)], (0, 0)),
        ("uncancelled", &[("cancelled", None, 0), ("processing", taken, 0)], (5, 0)),
        ("unpaid again: the shop gave back", &[("on-hold", taken, 0), ("pending", None, 0)], (5, 0)),
        ("refund without restock", &[("processing", taken, 0), ("refunded", taken, 0)], (5, 0)),
        ("refund of what left without restock", &[("completed", taken, 0), ("refunded", taken, 0)], (0, 5)),
        ("refund of what left with restock", &[("completed", taken, 0), ("refunded", Some(0), 5)], (0, 0)),
        (
            "refund without restock, then cancelled",
            &[("processing", taken, 0), ("refunded", taken, 0), ("cancelled", None, 0)],
            (0, 0),
        ),
        ("2 of 5 refunded and restocked", &[("processing", taken, 0), ("processing", Some(3), 2)], (3, 0)),
        (
            "2 of 5 refunded and restocked, then cancelled",
            &[("processing", taken, 0), ("processing", Some(3), 2), ("cancelled", None, 2)],
            (0, 0),
        ),
        ("2 of 5 restocked after it left", &[("completed", taken, 0), ("completed", Some(3), 2)], (0, 3)),
        ("the trash keeps", &[("processing", taken, 0), ("trash", taken, 0)], (5, 0)),
        ("the trash keeps what left", &[("completed", taken, 0), ("trash", taken, 0)], (0, 5)),
        (
            "restored from the trash",
            &[("processing", taken, 0), ("trash", taken, 0), ("processing", taken, 0)],
            (5, 0),
        ),
        ("an unknown status keeps", &[("processing", taken, 0), ("at-the-tailor", taken, 0)], (5, 0)),
        ("failed after the shop gave back", &[("on-hold", taken, 0), ("failed", Some(0), 0)], (0, 0)),
        ("failed and never taken: unchanged", &[("pending", None, 0), ("failed", None, 0)], (5, 0)),
        ("a draft that was ordered", &[("checkout-draft", None, 0), ("processing", taken, 0)], (5, 0)),
    ] {
        check(what, steps, expected);
    }
}

#[test]
fn a_shop_may_have_its_own_map() {
    let mut desk = Desk::new();
    desk.terms.statuses = StatusMap::default().with("packed", StatusRule::Deduct);
    desk.fact("packed", vec![shirts(Some(5), 0)]);
    assert_eq!(desk.held(), [(0, 5)]);
}

#[test]
fn the_movements_of_a_sale_and_of_its_cancel() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(Some(5), 0)]);
    assert_eq!(desk.posted(), [(MovementKind::Reserve, 0, 5)]);
    desk.fact("completed", vec![shirts(Some(5), 0)]);
    assert_eq!(desk.posted(), [(MovementKind::Ship, -5, -5)]);
    desk.fact("processing", vec![shirts(Some(5), 0)]);
    assert_eq!(desk.posted(), [(MovementKind::Return, 5, 5)]);
    desk.fact("cancelled", vec![shirts(None, 0)]);
    assert_eq!(desk.posted(), [(MovementKind::Release, 0, -5)]);
    // First seen when it had left already.
    desk.fact("completed", vec![shirts(Some(5), 0)]);
    assert_eq!(desk.posted(), [(MovementKind::Ship, -5, 0)]);
    desk.fact("cancelled", vec![shirts(None, 0)]);
    assert_eq!(desk.posted(), [(MovementKind::Return, 5, 0)]);
}

#[test]
fn what_is_taken_and_what_is_yet_to_be() {
    let mut desk = Desk::new();
    for (status, taken, expected) in [
        ("pending", None, (0, 5)),
        ("processing", Some(5), (5, 0)),
        ("pending", None, (0, 5)),
        // Confirmed and not taken: it never will be.
        ("processing", None, (0, 0)),
        ("completed", Some(5), (5, 0)),
        ("cancelled", None, (0, 0)),
    ] {
        desk.fact(status, vec![shirts(taken, 0)]);
        assert_eq!(desk.stock_of(SHIRT), expected, "{status}");
    }
    // Unconfirmed, the shop may be about to take it.
    desk.hint("processing", vec![shirts(None, 0)]);
    assert_eq!(desk.stock_of(SHIRT), (0, 5));
}

#[test]
fn a_pending_order_expires_once_and_is_reserved_anew_when_it_is_paid() {
    let mut desk = Desk::new();
    desk.fact("pending", vec![shirts(None, 0)]);
    desk.expire();
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(0, 0)], (0, 0)));
    desk.posted();
    desk.expire();
    assert_eq!(desk.posted(), [], "it expires once");
    // Still pending: an edit does not reserve again.
    desk.fact("pending", vec![line(1, product(SHIRT), 6)]);
    assert_eq!(desk.held(), [(0, 0)]);
    desk.fact("processing", vec![shirts(Some(5), 0)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(5, 0)], (5, 0)));
    desk.fact("pending", vec![shirts(None, 0)]);
    assert_eq!(desk.held(), [(5, 0)], "unpaid again, it has a new reservation");
}

#[test]
fn what_may_expire() {
    for (status, taken, expected) in [
        ("pending", None, (0, 0)),
        // What the shop has taken is not ours to let go.
        ("pending", Some(3), (3, 0)),
        ("on-hold", None, (5, 0)),
        ("processing", None, (5, 0)),
        ("completed", None, (0, 5)),
    ] {
        let mut desk = Desk::new();
        desk.fact(status, vec![shirts(taken, 0)]);
        desk.expire();
        assert_eq!(desk.held(), [expected], "{status}");
    }
}

#[test]
fn a_failed_order_that_was_never_taken_expires_and_stays_so() {
    for later in ["failed", "trash", "pending"] {
        let mut desk = Desk::new();
        desk.fact("pending", vec![shirts(None, 0)]);
        desk.fact("failed", vec![shirts(None, 0)]);
        assert_eq!(desk.held(), [(5, 0)]);
        desk.expire();
        assert_eq!(desk.held(), [(0, 0)]);
        desk.fact(later, vec![shirts(None, 0).restocked(1)]);
        assert_eq!(desk.held(), [(0, 0)], "{later}");
    }
}

#[test]
fn what_has_left_does_not_come_back_by_expiring() {
    let mut desk = Desk::new();
    desk.fact("completed", vec![shirts(None, 0)]);
    desk.fact("refunded", vec![shirts(None, 0)]);
    desk.expire();
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 5)], 5));
    desk.fact("trash", vec![shirts(None, 0)]);
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 5)], 5));
}

#[test]
fn an_expired_order_follows_the_shop_where_it_took_anything() {
    let mut desk = Desk::new();
    desk.fact("completed", vec![shirts(Some(5), 0)]);
    desk.fact("refunded", vec![shirts(Some(5), 0)]);
    desk.expire();
    assert_eq!(desk.held(), [(0, 5)]);
    desk.fact("refunded", vec![shirts(Some(2), 3)]);
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 2)], 8));
}
