//! What is remembered of the versions seen, from one snapshot to the next.

use super::*;

const DATE: i64 = FIRST_DATE + 600;

fn shirts(quantity: i64) -> Vec<OrderLine> {
    vec![line(1, product(SHIRT), quantity).took(quantity)]
}

/// A desk whose order was pushed by a webhook, after a read of an older date.
fn pushed() -> Desk {
    let mut desk = Desk::new();
    desk.read(DATE - 60, 40, "processing", shirts(4));
    desk.webhook(DATE, "processing", shirts(6));
    desk
}

#[test]
fn an_older_date_must_be_read_twice_in_a_row() {
    let mut desk = pushed();
    assert_eq!(desk.read(DATE - 60, 70, "processing", shirts(4)).decision, Decision::Reread);
    assert!(desk.order.reread);
    let decision = desk.read(DATE - 60, 71, "processing", shirts(4)).decision;
    assert_eq!(decision, Decision::Apply { confirmed: true });
    assert_eq!((desk.held(), desk.order.reread), (vec![(4, 0)], false));

    let mut desk = pushed();
    desk.read(DATE - 60, 70, "processing", shirts(4));
    desk.read(DATE, 11, "processing", shirts(6));
    assert!(!desk.order.reread);
    desk.webhook(DATE + 1, "processing", shirts(7));
    assert_eq!(
        desk.read(DATE - 60, 73, "processing", shirts(4)).decision,
        Decision::Reread,
        "forgotten since"
    );
    assert_eq!(desk.held(), [(7, 0)]);
}

/// What the older date was read with is forgotten when a read shows what was pushed; so it is not by a webhook that repeats it.
#[test]
fn a_webhook_that_says_the_same_changes_nothing() {
    let mut desk = pushed();
    desk.read(DATE - 60, 70, "processing", shirts(4));
    let before = desk.order.clone();
    assert_eq!(desk.webhook(DATE, "processing", shirts(6)).decision, Decision::Duplicate);
    assert_eq!(desk.order, before);
}

#[test]
fn a_read_that_asked_for_another_still_counts_as_the_last() {
    let mut desk = pushed();
    let number = desk.next_read();
    desk.read(DATE - 60, 70, "processing", shirts(4));
    let seen = Seen::Read { number, read_at: at(DATE + 40), baseline: false };
    assert_eq!(desk.show(seen, Some(DATE + 1), "processing", shirts(9)).decision, Decision::Older);
    assert_eq!(desk.held(), [(6, 0)]);
}

#[test]
fn once_a_read_has_shown_it_a_pushed_body_is_a_fact() {
    let mut desk = pushed();
    desk.read(DATE, 1, "processing", shirts(6));
    let decision = desk.read(DATE - 60, 70, "processing", shirts(4)).decision;
    assert_eq!(decision, Decision::Apply { confirmed: true }, "read against read: the number counts");
    let mut desk = pushed();
    let read = desk.read(DATE, 1, "processing", shirts(6)).decision;
    assert_eq!((read, desk.read(DATE, 2, "processing", shirts(6)).decision), {
        (Decision::Duplicate, Decision::Duplicate)
    });
}

#[test]
fn only_a_read_answers_for_a_read_that_was_asked_for() {
    let mut desk = pushed();
    let asked = desk.webhook(DATE, "processing", shirts(5));
    assert_eq!(asked.reread, Some(Reread::Unordered));
    desk.webhook(DATE + 1, "processing", shirts(7));
    assert!(desk.order.reread, "a newer body may still be older than what is asked for");
    desk.read(DATE + 1, 1, "processing", shirts(7));
    assert!(!desk.order.reread);
}

#[test]
fn a_late_read_changes_nothing_at_all() {
    let mut desk = Desk::new();
    let late = desk.next_read();
    desk.fact("processing", shirts(4));
    let before = desk.order.clone();
    let seen = Seen::Read { number: late, read_at: at(DATE), baseline: false };
    let verdict = desk.show(seen, Some(DATE), "cancelled", shirts(0));
    assert_eq!((verdict.decision, verdict.stocks), (Decision::Older, vec![]));
    assert_eq!(desk.order, before);
}

#[test]
fn content_known_to_be_whole_stays_so_when_only_the_date_moves() {
    let mut desk = Desk::new();
    desk.fact("pending", vec![line(1, product(SHIRT), 4)]);
    let date = desk.next_date();
    desk.webhook(date, "pending", vec![line(1, product(SHIRT), 4)]);
    assert!(desk.order.applied.unwrap().confirmed);
    desk.read(date.saturating_add(9), 1, "pending", vec![line(1, product(SHIRT), 4)]);
    assert!(desk.order.applied.unwrap().confirmed);
    desk.hint("pending", vec![line(1, product(SHIRT), 5)]);
    assert!(!desk.order.applied.unwrap().confirmed);
}
