//! Tests of version: one table for each rule of which snapshot wins.

use super::*;
use values::{LineId, OrderId, Quantity, ReadNumber, Timestamp};

use crate::snapshot::OrderLine;

/// Date of what was applied, in seconds.
const APPLIED: i64 = 1_000;
/// Number of the last read.
const LAST_READ: u64 = 7;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

const fn read(number: u64, read_at: i64) -> Seen {
    Seen::Read { number: ReadNumber::new(number), read_at: Timestamp::from_seconds(read_at), baseline: false }
}

fn snapshot(seen: Seen, date: Option<i64>, status: &str) -> Snapshot {
    Snapshot {
        order: OrderId::new(1).unwrap(),
        seen,
        modified_at: date.map(at),
        status: status.to_owned(),
        lines: Vec::new(),
    }
}

fn digest(status: &str) -> Digest {
    snapshot(Seen::Webhook, Some(0), status).digest()
}

/// An order whose applied content is `"as applied"`.
fn known(origin: Origin, confirmed: bool) -> Order {
    let applied = Applied {
        modified_at: at(APPLIED),
        digest: digest("as applied"),
        origin,
        last_read: ReadNumber::new(LAST_READ),
        confirmed,
        older: None,
    };
    Order { applied: Some(applied), ..Order::unknown(OrderId::new(1).unwrap()) }
}

fn check(order: &Order, seen: Seen, date: i64, content: &str, expected: Decision) {
    let snapshot = snapshot(seen, Some(date), content);
    let decision = decide(order, &snapshot, snapshot.digest());
    assert_eq!(decision, expected, "{content} of {date}, {seen:?}, on {:?}", order.applied);
}

const CONFIRMED: Decision = Decision::Apply { confirmed: true };
const UNCONFIRMED: Decision = Decision::Apply { confirmed: false };

#[test]
fn the_first_snapshot_is_applied() {
    let unknown = Order::unknown(OrderId::new(1).unwrap());
    check(&unknown, Seen::Webhook, APPLIED, "any", UNCONFIRMED);
    check(&unknown, read(1, APPLIED), APPLIED, "any", UNCONFIRMED);
    check(&unknown, read(1, APPLIED + 29), APPLIED, "any", UNCONFIRMED);
    check(&unknown, read(1, APPLIED + 30), APPLIED, "any", CONFIRMED);
}

/// Rule 1.
#[test]
fn between_reads_the_higher_number_wins_whatever_the_dates() {
    let order = known(Origin::Read, true);
    for (number, date, content, expected) in [
        (8, APPLIED + 5, "another", UNCONFIRMED),
        (8, APPLIED, "another", UNCONFIRMED),
        (8, APPLIED - 3_600, "another", CONFIRMED),
        (8, APPLIED - 3_600, "as applied", CONFIRMED),
        (8, APPLIED, "as applied", Decision::Duplicate),
        (7, APPLIED, "as applied", Decision::Older),
        (7, APPLIED + 5, "another", Decision::Older),
        (6, APPLIED + 5, "another", Decision::Older),
    ] {
        check(&order, read(number, APPLIED + 10), date, content, expected);
    }
}

/// Rule 2.
#[test]
fn a_webhook_applies_only_if_its_date_is_newer() {
    for origin in [Origin::Read, Origin::Webhook] {
        let order = known(origin, true);
        for (date, content, expected) in [
            (APPLIED + 1, "another", UNCONFIRMED),
            // What is known to be whole is whole under a later date as well.
            (APPLIED + 1, "as applied", CONFIRMED),
            (APPLIED, "as applied", Decision::Duplicate),
            (APPLIED, "another", Decision::Reread),
            (APPLIED - 1, "another", Decision::Reread),
            (APPLIED - 1, "as applied", Decision::Reread),
        ] {
            check(&order, Seen::Webhook, date, content, expected);
        }
    }
    check(&known(Origin::Webhook, false), Seen::Webhook, APPLIED + 1, "as applied", UNCONFIRMED);
}

/// Rule 3.
#[test]
fn a_read_wins_over_a_webhook_unless_its_date_is_older() {
    let order = known(Origin::Webhook, false);
    for (date, content, expected) in [
        (APPLIED + 1, "another", UNCONFIRMED),
        (APPLIED, "another", UNCONFIRMED),
        (APPLIED - 1, "another", Decision::Reread),
        (APPLIED - 1, "as applied", Decision::Reread),
    ] {
        check(&order, read(8, APPLIED + 10), date, content, expected);
    }
    check(&order, read(7, APPLIED + 10), APPLIED + 1, "another", Decision::Older);
}

/// Rule 3: the shop's clock went back, or what was pushed was never written.
#[test]
fn an_older_date_wins_when_it_is_read_again() {
    let mut order = known(Origin::Webhook, false);
    order.applied.as_mut().unwrap().older = Some((at(APPLIED - 1), digest("another")));
    for (date, content, expected) in [
        (APPLIED - 1, "another", CONFIRMED),
        (APPLIED - 1, "yet another", Decision::Reread),
        (APPLIED - 2, "another", Decision::Reread),
    ] {
        check(&order, read(9, APPLIED + 60), date, content, expected);
    }
    check(&order, Seen::Webhook, APPLIED - 1, "another", Decision::Reread);
}

/// Rule 4.
#[test]
fn a_read_long_enough_after_the_date_confirms() {
    for origin in [Origin::Read, Origin::Webhook] {
        for (read_at, confirmed, expected) in [
            (APPLIED + 29, false, Decision::Duplicate),
            (APPLIED + 30, false, Decision::Confirm),
            (APPLIED + 29, true, Decision::Duplicate),
            (APPLIED + 30, true, Decision::Duplicate),
        ] {
            check(&known(origin, confirmed), read(8, read_at), APPLIED, "as applied", expected);
        }
        check(&known(origin, false), read(8, APPLIED + 30), APPLIED, "another", CONFIRMED);
        check(&known(origin, true), read(8, APPLIED + 29), APPLIED, "another", UNCONFIRMED);
    }
}

/// Rule 5.
#[test]
fn an_order_that_is_not_there() {
    let unknown = Order::unknown(OrderId::new(1).unwrap());
    let order = known(Origin::Webhook, false);
    for (order, seen, expected) in [
        (&order, Seen::Webhook, Decision::Reread),
        (&order, read(8, APPLIED), CONFIRMED),
        (&order, read(7, APPLIED), Decision::Older),
        (&unknown, Seen::Webhook, Decision::Reread),
        (&unknown, read(8, APPLIED), Decision::Duplicate),
    ] {
        let gone = snapshot(seen, None, "");
        assert_eq!(decide(order, &gone, gone.digest()), expected, "{seen:?}");
    }
}

#[test]
fn an_order_that_is_there_again() {
    let order = Order { gone: true, ..known(Origin::Read, true) };
    for (seen, date, content, expected) in [
        (read(8, APPLIED + 90), APPLIED, "as applied", CONFIRMED),
        (read(8, APPLIED + 9), APPLIED, "as applied", UNCONFIRMED),
        (read(8, APPLIED + 90), APPLIED - 9, "another", CONFIRMED),
        (read(7, APPLIED + 90), APPLIED, "as applied", Decision::Older),
        (Seen::Webhook, APPLIED, "as applied", Decision::Reread),
        (Seen::Webhook, APPLIED + 9, "another", Decision::Reread),
    ] {
        check(&order, seen, date, content, expected);
    }
}

#[test]
fn the_digest_is_of_status_lines_and_what_was_taken() {
    let line = |id, quantity, taken: Option<i64>, restocked| OrderLine {
        id: LineId::new(id).unwrap(),
        listing: None,
        sku: None,
        quantity: Quantity::from_units(quantity),
        taken: taken.map(Quantity::from_units),
        restocked: Quantity::from_units(restocked),
        fault: None,
    };
    let of = |status, lines| Snapshot { lines, ..snapshot(Seen::Webhook, Some(1), status) }.digest();
    let plain = of("processing", vec![line(1, 5, Some(5), 0)]);
    for other in [
        of("completed", vec![line(1, 5, Some(5), 0)]),
        of("processing", vec![]),
        of("processing", vec![line(2, 5, Some(5), 0)]),
        of("processing", vec![line(1, 4, Some(5), 0)]),
        of("processing", vec![line(1, 5, Some(4), 0)]),
        of("processing", vec![line(1, 5, None, 0)]),
        of("processing", vec![line(1, 5, Some(5), 1)]),
        of("processing", vec![line(1, 5, Some(5), 0), line(2, 5, Some(5), 0)]),
    ] {
        assert_ne!(plain, other);
    }
    assert_ne!(of("processing", vec![line(1, 5, None, 0)]), of("processing", vec![line(1, 5, Some(0), 0)]));
    let faulty = OrderLine { fault: Some(values::LineFault::TooFine), ..line(1, 5, Some(5), 0) };
    assert_ne!(plain, of("processing", vec![faulty]));
    let coded = OrderLine { sku: Some("shirt".parse().unwrap()), ..line(1, 5, Some(5), 0) };
    assert_eq!(plain, of("processing", vec![coded]), "the code is the product's present one");
    let later = Snapshot {
        modified_at: Some(at(2)),
        lines: vec![line(1, 5, Some(5), 0)],
        ..snapshot(read(1, 9), Some(1), "processing")
    };
    assert_eq!(plain, later.digest(), "neither the date nor the way it came");
    assert_eq!(Digest::from_bytes(plain.to_bytes()), plain);
}

/// Stored digests outlive versions of the program.
#[test]
fn the_digest_is_the_same_on_every_machine() {
    let bytes = digest("processing").to_bytes();
    assert_eq!(bytes, DIGEST_OF_PROCESSING, "{bytes:?}");
}

const DIGEST_OF_PROCESSING: [u8; 16] =
    [23, 36, 129, 86, 213, 182, 185, 254, 129, 214, 135, 39, 57, 119, 151, 32];
