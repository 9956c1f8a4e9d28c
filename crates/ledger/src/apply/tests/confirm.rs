//! Snapshots that may be half written: until a read confirms one, no more is given back than the shop gave back.

use super::*;

fn shirts(quantity: i64) -> OrderLine {
    line(1, product(SHIRT), quantity)
}

/// From a confirmed state through one unconfirmed snapshot: what is held before and after its confirmation.
fn check(
    what: &str,
    known: (&str, OrderLine),
    hinted: (&str, OrderLine),
    confirmed: (&str, OrderLine),
    expected: (i64, i64),
) {
    let mut desk = Desk::new();
    let held = |desk: &Desk| desk.order.lines.iter().map(Line::held).sum::<Quantity>().whole_units().unwrap();
    desk.fact(known.0, vec![known.1]);
    desk.hint(hinted.0, vec![hinted.1]);
    assert!(!desk.order.applied.unwrap().confirmed, "{what}");
    assert_eq!(held(&desk), expected.0, "{what}: unconfirmed");
    desk.read(desk.date, 30, confirmed.0, vec![confirmed.1]);
    assert!(desk.order.applied.unwrap().confirmed, "{what}");
    assert_eq!(held(&desk), expected.1, "{what}: confirmed");
}

#[test]
fn a_half_written_cancel_gives_back_what_the_shop_gave_back() {
    let sold = ("processing", shirts(5).took(5));
    let cancelled = ("cancelled", shirts(5));
    check(
        "stock not yet given back",
        sold.clone(),
        ("cancelled", shirts(5).took(5)),
        cancelled.clone(),
        (5, 0),
    );
    check("half given back", sold.clone(), ("cancelled", shirts(5).took(2)), cancelled.clone(), (2, 0));
    check("whole", sold.clone(), cancelled.clone(), cancelled, (0, 0));
    check("never cleared", sold, ("cancelled", shirts(5).took(5)), ("cancelled", shirts(5).took(5)), (5, 0));
}

#[test]
fn what_the_shop_never_took_is_given_back_only_when_confirmed() {
    for (what, known, later) in [
        ("cancelled while pending", ("pending", shirts(5)), ("cancelled", shirts(5))),
        ("cancelled and not managed by the shop", ("processing", shirts(5)), ("cancelled", shirts(5))),
        ("all refunded, not managed", ("processing", shirts(5)), ("processing", shirts(5).restocked(5))),
        ("edited down to nothing", ("pending", shirts(5)), ("pending", shirts(0))),
    ] {
        check(what, known, later.clone(), later, (5, 0));
    }
}

#[test]
fn edits() {
    let sold = ("processing", shirts(4).took(4));
    let down = ("processing", shirts(1).took(1));
    let up = ("processing", shirts(6).took(6));
    check("down, not yet given back", sold.clone(), ("processing", shirts(1).took(4)), down.clone(), (4, 1));
    check("down", sold.clone(), down.clone(), down, (1, 1));
    check("up, not yet taken", sold.clone(), ("processing", shirts(6).took(4)), up.clone(), (4, 6));
    check("up", sold, up.clone(), up, (6, 6));
}

#[test]
fn a_half_written_sale_holds_at_once_and_the_shop_has_yet_to_take_it() {
    let mut desk = Desk::new();
    desk.hint("processing", vec![shirts(5)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(5, 0)], (0, 5)));
    desk.read(desk.date, 1, "processing", vec![shirts(5).took(5)]);
    assert_eq!((desk.held(), desk.stock_of(SHIRT)), (vec![(5, 0)], (5, 0)));
}

#[test]
fn a_confirm_alone_tells_what_is_no_longer_to_be_taken() {
    let mut desk = Desk::new();
    desk.hint("processing", vec![shirts(5)]);
    desk.posted();
    let verdict = desk.read(desk.date, 30, "processing", vec![shirts(5)]);
    assert_eq!(verdict.decision, Decision::Confirm);
    assert_eq!((desk.held(), desk.stock_of(SHIRT), desk.posted()), (vec![(5, 0)], (0, 0), vec![]));
    let order_date = None;
    let change = StockChange {
        holder: holder(SHIRT),
        taken_delta: Quantity::ZERO,
        untaken_delta: units(-5),
        order_date,
    };
    assert_eq!(verdict.stocks, [change]);
}

/// A half-written cancel may be the first that is seen of an order, or be seen after the whole one. Either way the shop is
/// about to put those units back itself.
#[test]
fn an_unconfirmed_cancel_holds_what_the_shop_still_keeps() {
    let mut desk = Desk::new();
    desk.hint("cancelled", vec![shirts(5).took(5)]);
    assert_eq!(desk.held(), [(5, 0)], "seen first");
    desk.read(desk.date, 30, "cancelled", vec![shirts(5)]);
    assert_eq!(desk.held(), [(0, 0)]);

    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(5).took(5)]);
    desk.hint("cancelled", vec![shirts(5)]);
    assert_eq!(desk.held(), [(0, 0)]);
    desk.read(desk.date, 1, "cancelled", vec![shirts(5).took(5)]);
    assert_eq!(desk.held(), [(5, 0)], "a read of the same second, made before");
    desk.read(desk.date, 30, "cancelled", vec![shirts(5)]);
    assert_eq!(desk.held(), [(0, 0)]);
}

/// A plugin may write anything into a line's meta data.
#[test]
fn a_negative_taken_is_no_quantity_to_hold() {
    for status in ["processing", "completed", "refunded", "pending", "cancelled"] {
        for confirmed in [false, true] {
            let mut desk = Desk::new();
            desk.fact("processing", vec![shirts(5).took(5)]);
            if confirmed {
                desk.fact(status, vec![shirts(5).took(-3)]);
            } else {
                desk.hint(status, vec![shirts(5).took(-3)]);
            }
            assert_eq!(desk.order.lines.iter().map(Line::held).sum::<Quantity>(), Quantity::ZERO, "{status}");
        }
    }
}

#[test]
fn on_hand_follows_an_unconfirmed_completion_at_once() {
    let mut desk = Desk::new();
    desk.fact("processing", vec![shirts(5).took(5)]);
    desk.hint("completed", vec![shirts(5).took(5)]);
    assert_eq!((desk.held(), desk.on_hand("shirt")), (vec![(0, 5)], 5));
}
