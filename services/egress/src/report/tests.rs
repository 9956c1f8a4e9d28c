//! Tests of the rules of reports: what each answer comes to.

use connector::{AuthProblem, NotSentCause, UncertainCause};
use ledger::{Routing, StatusMap, StatusRule};
use store::ShipmentId;
use values::{OrderId, ShopId, WarehouseId};

use super::*;

use ReportState::{Done, GivenUp, Waiting};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn row() -> ReportRow {
    let part = |text: &str| Some(ReportPart { text: text.to_owned(), state: Waiting });
    ReportRow {
        id: ShipmentId { shop: ShopId::new(1).unwrap(), order: OrderId::new(7).unwrap(), number: 1 },
        revision: 1,
        version: 1,
        status: part("completed"),
        note: part("Sent."),
        note_id: None,
        intent: None,
        problem: None,
        tries: 0,
        since: at(0),
        due_at: Some(at(0)),
    }
}

fn states(row: &ReportRow) -> [ReportState; 2] {
    [row.status.as_ref(), row.note.as_ref()].map(|part| part.unwrap().state)
}

#[test]
fn the_status_comes_first_and_then_the_note() {
    let (mut row, settings) = (row(), Settings::for_testing());
    assert_eq!(next(&row, at(1)), Next::Status);
    status_told(&mut row, StatusTold::Already, at(1), &settings);
    assert_eq!((next(&row, at(1)), states(&row)), (Next::Note, [Done, Waiting]));
    begin_note(&mut row, "lane", at(2));
    assert_eq!(next(&row, at(3)), Next::Wait(at(62)));
    note_written(&mut row, 41, at(3));
    assert_eq!((next(&row, at(3)), states(&row), row.due_at), (Next::Nothing, [Done, Done], None));
}

#[test]
fn a_note_without_an_answer_is_looked_for_once_it_can_no_longer_be_written() {
    let settings = Settings::for_testing();
    let timeout = CallError::Uncertain { cause: UncertainCause::Timeout, retry_after: None, source: None };
    let note = |id, text: &str| OrderNote { id, text: text.to_owned() };
    for (notes, found) in [
        (vec![], None),
        (vec![note(5, "Sent.")], None),
        (vec![note(6, "Sent!")], None),
        (vec![note(5, "Sent."), note(7, " Sent. ")], Some(7)),
    ] {
        let mut row = ReportRow { status: None, ..row() };
        begin_note(&mut row, "lane", at(2));
        failed(&mut row, Next::Note, &timeout, at(10), &settings);
        assert!(row.intent.is_some(), "it may have been written");
        assert_eq!(next(&row, at(61)), Next::Wait(at(62)));
        assert_eq!(next(&row, at(62)), Next::FindNote);
        // Number 5 is of another shipment that says the same.
        notes_read(&mut row, &notes, &[5], at(62));
        let after = if found.is_some() { Next::Nothing } else { Next::Note };
        assert_eq!((row.note_id, next(&row, at(62))), (found, after), "{notes:?}");
    }
}

#[test]
fn a_note_that_was_not_sent_is_in_no_doubt() {
    let mut row = ReportRow { status: None, ..row() };
    begin_note(&mut row, "lane", at(2));
    let error = CallError::NotSent { cause: NotSentCause::Connect, source: None };
    failed(&mut row, Next::Note, &error, at(3), &Settings::for_testing());
    assert_eq!((row.intent.clone(), row.tries), (None, 0));
    assert!(matches!(next(&row, at(3)), Next::Wait(_)));
    assert_eq!(next(&row, at(30)), Next::Note);
}

#[test]
fn what_only_people_can_change_is_given_up_with_its_reason() {
    let settings = Settings::for_testing();
    let refused = |status, code: &str| CallError::Refused { status, code: code.to_owned() };
    for (what, error, expected, due) in [
        (Next::Status, refused(404, "woocommerce_rest_shop_order_invalid_id"), [GivenUp, GivenUp], None),
        // There may be no such status, and the customer is told all the same.
        (Next::Status, refused(400, "rest_invalid_param"), [GivenUp, Waiting], Some(at(9))),
        (Next::Note, refused(400, "rest_invalid_param"), [Waiting, GivenUp], Some(at(9))),
    ] {
        let mut row = row();
        failed(&mut row, what, &error, at(9), &settings);
        assert_eq!((states(&row), row.due_at), (expected, due), "{error:?}");
        assert!(row.problem.is_some());
    }
    for told in [StatusTold::Gone, StatusTold::Ended("cancelled".to_owned())] {
        let mut row = row();
        status_told(&mut row, told, at(9), &settings);
        assert_eq!((states(&row), row.due_at), ([GivenUp, GivenUp], None));
    }
}

#[test]
fn failures_are_bounded_in_number_and_outages_in_time() {
    let settings = Settings::for_testing();
    let mut tried = row();
    let strange = CallError::Refused { status: 409, code: "busy".to_owned() };
    for _ in 1..TRIES_MAX {
        failed(&mut tried, Next::Status, &strange, at(9), &settings);
        assert_eq!(states(&tried), [Waiting, Waiting]);
    }
    failed(&mut tried, Next::Status, &strange, at(9), &settings);
    assert_eq!(states(&tried), [GivenUp, GivenUp]);

    let mut away = row();
    let refused = CallError::Auth(AuthProblem::KeyUnknown);
    for _ in 0..1_000 {
        failed(&mut away, Next::Status, &refused, at(9), &settings);
    }
    assert_eq!((states(&away), away.tries), ([Waiting, Waiting], 0));
    failed(&mut away, Next::Status, &refused, at(8 * 24 * 3_600), &settings);
    assert_eq!(states(&away), [GivenUp, GivenUp]);
}

#[test]
fn an_order_that_has_ended_is_left_alone() {
    let routing = Routing::new([WarehouseId::new(1).unwrap()]).unwrap();
    let shop = ShopSettings {
        statuses: StatusMap::default().with("returned", StatusRule::Release),
        ..ShopSettings::new("https://shop.example", routing)
    };
    for (status, ended) in [
        ("processing", false),
        ("on-hold", false),
        ("pending", false),
        ("packed", false),
        ("completed", false),
        ("cancelled", true),
        ("refunded", true),
        ("failed", true),
        ("trash", true),
        ("checkout-draft", true),
        ("returned", true),
    ] {
        assert_eq!(is_ended(status, &shop), ended, "{status}");
    }
}

#[test]
fn an_order_that_is_shipped_is_not_set_back_to_a_part_of_it() {
    let routing = Routing::new([WarehouseId::new(1).unwrap()]).unwrap();
    let mut shop = ShopSettings::new("https://shop.example", routing);
    shop.shipping.shipped = Some("completed".to_owned());
    for (status, wanted, further) in [
        ("completed", "partly-shipped", true),
        ("completed", "completed", false),
        ("partly-shipped", "completed", false),
        ("processing", "partly-shipped", false),
    ] {
        assert_eq!(is_further(status, wanted, &shop), further, "{status} {wanted}");
    }
}
