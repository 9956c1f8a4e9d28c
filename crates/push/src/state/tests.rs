//! The rules of a push, one each.

use std::time::Duration;

use values::{Epoch, Quantity, ReadNumber, Revision, Step, Timestamp};

use super::*;
use crate::drift::{Drift, DriftClass, DriftPolicy};
use crate::settle::{Distrust, Settle, Settled};

fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn both(seconds: i64) -> Moment {
    Moment { shop: at(seconds), hub: at(seconds) }
}

fn target(revision: u64, level: i64, untaken: i64, taken: i64) -> Target {
    Target {
        epoch: Epoch::new(1),
        revision: Revision::new(revision),
        level: units(level),
        untaken: units(untaken),
        taken_total: units(taken),
        step: Step::ONE,
        released: Quantity::ZERO,
    }
}

fn settle(number: u64, shown: i64, t1: i64, taken: i64) -> Settle {
    Settle {
        number: ReadNumber::new(number),
        epoch: Epoch::new(1),
        shown: units(shown),
        asked: both(t1),
        answered: both(t1),
        taken_total: units(taken),
        quiet: true,
        dated: None,
        policy: DriftPolicy::Correct,
    }
}

/// A trusted settle that found such a difference.
fn drift(class: DriftClass, action: DriftAction, expected: i64, shown: i64) -> Settled {
    Settled::Trusted(Some(Drift { class, action, expected: units(expected), shown: units(shown) }))
}

/// A stock proven to show 10 at second 0 with nothing taken.
fn settled() -> StockPush {
    let mut stock = StockPush::default();
    assert!(stock.retarget(target(1, 10, 0, 0)));
    assert_eq!(stock.next(at(0)), Next::Settle);
    assert_eq!(stock.settle(&settle(1, 10, 0, 0)), Settled::Trusted(None));
    stock
}

fn next_with(level: i64, untaken: i64, taken: i64) -> Next {
    let mut stock = settled();
    stock.retarget(target(2, level, untaken, taken));
    stock.next(at(1))
}

#[test]
fn difference_to_what_the_shop_shows() {
    for (level, untaken, taken, wanted) in [
        (10, 0, 0, Next::Nothing),
        (7, 0, 0, Next::Push(units(-3))),
        (12, 0, 0, Next::Push(units(2))),
        // Its own sale: reserved, then taken. It is never told of its own order.
        (8, 2, 0, Next::Nothing),
        (8, 0, 2, Next::Nothing),
        // Oversold: down to nothing, and never up while below.
        (-3, 0, 0, Next::Push(units(-10))),
        (-3, 0, 12, Next::Nothing),
        (0, 0, 12, Next::Push(units(2))),
    ] {
        assert_eq!(next_with(level, untaken, taken), wanted, "level {level} untaken {untaken} taken {taken}");
    }
}

#[test]
fn older_levels_are_ignored() {
    let mut stock = settled();
    assert!(!stock.retarget(target(1, 3, 0, 0)));
    assert_eq!(stock.next(at(1)), Next::Nothing);
}

#[test]
fn another_epoch_makes_the_base_unknown() {
    let mut stock = settled();
    stock.retarget(Target { epoch: Epoch::new(2), ..target(1, 10, 0, 0) });
    assert_eq!(stock.next(at(1)), Next::Settle);
    assert_eq!(stock.settle(&settle(2, 10, 9, 0)), Settled::Untrusted(Distrust::OtherEpoch));
}

#[test]
fn a_certain_push_moves_the_base() {
    let mut stock = settled();
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(1));
    assert_eq!(stock.next(at(1)), Next::Wait(at(61)));
    stock.succeeded(at(2), Duration::from_secs(1));
    assert_eq!(stock.next(at(2)), Next::Nothing);
    assert_eq!(stock.expected(), Some(units(7)));
}

#[test]
fn a_refused_push_is_made_again() {
    let mut stock = settled();
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(1));
    stock.refused();
    assert_eq!(stock.next(at(2)), Next::Push(units(-3)));
}

/// A lowering by three whose reply was lost, and the read afterwards.
fn doubtful_lowering(shown: i64) -> StockPush {
    let mut stock = settled();
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(1));
    stock.uncertain();
    assert_eq!(stock.next(at(60)), Next::Wait(at(61)));
    assert_eq!(stock.next(at(61)), Next::ReadBack);
    stock.read_back(units(shown), stock.expected().unwrap(), at(61));
    stock
}

#[test]
fn a_doubtful_lowering_that_arrived_is_not_repeated() {
    assert_eq!(doubtful_lowering(7).next(at(62)), Next::Nothing);
}

#[test]
fn a_doubtful_lowering_that_is_missing_is_sent_again() {
    assert_eq!(doubtful_lowering(10).next(at(62)), Next::Push(units(-3)));
}

#[test]
fn an_unseen_sale_hides_no_more_than_itself() {
    // The lowering is missing, and the shop sold one that nobody knows of yet: two are proven missing.
    assert_eq!(doubtful_lowering(9).next(at(62)), Next::Push(units(-2)));
}

#[test]
fn a_raise_waits_for_doubtful_lowerings() {
    let mut stock = doubtful_lowering(7);
    // Slack of 3 is left: the shop may show 10 for all we know, so only what is beyond that is raised.
    stock.retarget(target(3, 9, 0, 0));
    assert_eq!(stock.next(at(62)), Next::Nothing);
    stock.retarget(target(4, 12, 0, 0));
    assert_eq!(stock.next(at(62)), Next::Push(units(2)));
    // A settle proves where it stands.
    assert_eq!(stock.settle(&settle(2, 7, 70, 0)), Settled::Trusted(None));
    assert_eq!(stock.next(at(71)), Next::Push(units(5)));
}

#[test]
fn a_doubtful_raise_is_never_repeated_without_proof() {
    let mut stock = settled();
    stock.retarget(target(2, 14, 0, 0));
    stock.begin(units(4), at(1));
    stock.uncertain();
    stock.read_back(units(10), stock.expected().unwrap(), at(61));
    assert_eq!(stock.next(at(62)), Next::Nothing, "shown may be low because of sales nobody knows of");
    assert_eq!(
        stock.settle(&settle(2, 10, 70, 0)),
        drift(DriftClass::DoubtfulCall, DriftAction::Corrected, 14, 10)
    );
    assert_eq!(stock.next(at(71)), Next::Push(units(4)));
}

#[test]
fn what_a_settle_is_not_trusted_for() {
    let mut stock = settled();
    assert_eq!(stock.settle(&settle(1, 5, 5, 0)), Settled::Untrusted(Distrust::Old));
    let loud = Settle { quiet: false, ..settle(2, 5, 5, 0) };
    assert_eq!(stock.settle(&loud), Settled::Untrusted(Distrust::NotQuiet));
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(1));
    assert_eq!(stock.settle(&settle(2, 10, 1, 0)), Settled::Untrusted(Distrust::PushInFlight));
    stock.succeeded(at(3), Duration::from_secs(1));
    assert_eq!(stock.settle(&settle(2, 7, 3, 0)), Settled::Untrusted(Distrust::PushInFlight));
    // Read before the push began: the push counts on top of what was shown.
    assert_eq!(stock.settle(&settle(2, 10, 0, 0)), Settled::Trusted(None));
    assert_eq!(stock.expected(), Some(units(7)));
}

#[test]
fn a_push_during_the_read_proves_nothing() {
    let mut stock = settled();
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(105));
    stock.succeeded(at(106), Duration::from_secs(1));
    let slow = Settle { asked: both(100), answered: both(110), ..settle(2, 10, 0, 0) };
    assert_eq!(stock.settle(&slow), Settled::Untrusted(Distrust::PushInFlight));
}

#[test]
fn drift_without_a_push_of_ours_is_somebody_elses() {
    let mut stock = settled();
    assert_eq!(
        stock.settle(&settle(2, 13, 10, 0)),
        drift(DriftClass::EditUp, DriftAction::Corrected, 10, 13)
    );
    assert_eq!(stock.next(at(11)), Next::Push(units(-3)));

    let mut stock = settled();
    assert_eq!(stock.settle(&settle(2, 6, 10, 0)), drift(DriftClass::EditDown, DriftAction::Withheld, 10, 6));
    assert_eq!(stock.next(at(11)), Next::Nothing, "what a person took out stays out");
    stock.retarget(target(2, 12, 0, 0));
    assert_eq!(stock.next(at(11)), Next::Push(units(2)), "but a receipt reaches the shop");
}

#[test]
fn a_sale_in_the_second_of_a_push_asks_for_a_settle() {
    let mut stock = settled();
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(100));
    stock.succeeded(at(101), Duration::from_secs(1));
    assert!(stock.sale_inside_push(at(100), at(100)));
    assert!(!stock.sale_inside_push(at(90), at(90)));
    assert!(!stock.sale_inside_push(at(110), at(110)));
    assert!(stock.sale_inside_push(at(90), at(110)), "several sales, told of together");
}

#[test]
fn a_clock_that_was_set_back_proves_nothing() {
    let mut stock = settled();
    stock.retarget(target(2, 7, 0, 0));
    stock.begin(units(-3), at(5_000));
    stock.succeeded(at(5_000), Duration::from_secs(1));
    // Read after the push, says the hub; long before, says the shop.
    let set_back = {
        let moment = Moment { shop: at(1_500), hub: at(5_100) };
        Settle { asked: moment, answered: moment, ..settle(2, 7, 0, 0) }
    };
    assert_eq!(stock.settle(&set_back), Settled::Untrusted(Distrust::PushInFlight));
    let skewed = {
        let moment = Moment { shop: at(5_100), hub: at(4_500) };
        Settle { asked: moment, answered: moment, ..settle(3, 7, 0, 0) }
    };
    assert_eq!(stock.settle(&skewed), Settled::Untrusted(Distrust::PushInFlight));
    let agreed = settle(4, 7, 5_100, 0);
    assert_eq!(stock.settle(&agreed), Settled::Trusted(None));
}

#[test]
fn the_log_is_bounded() {
    let mut stock = settled();
    let mut second = 100;
    for revision in 2..100 {
        let level = if revision % 2 == 0 { 9 } else { 10 };
        stock.retarget(target(revision, level, 0, 0));
        let Next::Push(delta) = stock.next(at(second)) else { panic!("a push was due") };
        stock.begin(delta, at(second));
        stock.succeeded(at(second), Duration::from_millis(100));
        second += 10;
    }
    assert_eq!(stock.log.len(), PUSH_LOG_MAX);
    assert_eq!(stock.settle(&settle(2, 10, 50, 0)), Settled::Untrusted(Distrust::PushInFlight));
    assert_eq!(stock.settle(&settle(3, 10, second, 0)), Settled::Trusted(None));
    assert!(stock.log.is_empty());
}

#[test]
fn the_date_of_the_product_tells_an_import_from_an_edit() {
    let dated = |number, shown, second| Settle { dated: Some(at(second)), ..settle(number, shown, 10, 0) };
    let mut stock = settled();
    stock.settle(&dated(2, 10, 5));
    assert_eq!(stock.settle(&dated(3, 12, 5)), drift(DriftClass::BulkEdit, DriftAction::Corrected, 10, 12));
    assert_eq!(stock.settle(&dated(4, 13, 8)), drift(DriftClass::EditUp, DriftAction::Corrected, 12, 13));
    // A shop that tells no date once is not forgotten: what it told before is compared with what it tells next.
    stock.settle(&settle(5, 13, 10, 0));
    assert_eq!(stock.settle(&dated(6, 12, 8)), drift(DriftClass::BulkEdit, DriftAction::Withheld, 13, 12));
}

#[test]
fn what_people_set_stays_if_the_shop_wants_that() {
    let withhold =
        |number, shown, taken| Settle { policy: DriftPolicy::Withhold, ..settle(number, shown, 10, taken) };
    let mut stock = settled();
    assert_eq!(stock.settle(&withhold(2, 13, 0)), drift(DriftClass::EditUp, DriftAction::Withheld, 10, 13));
    assert_eq!((stock.goal(), stock.next(at(11))), (Some(units(13)), Next::Nothing));
    // The shop sells twelve of its thirteen, of which the hub had ten: short of two, and it shows what is left there.
    stock.retarget(target(2, -2, 0, 12));
    assert_eq!((stock.expected(), stock.next(at(11))), (Some(units(1)), Next::Nothing));
    // Five come in: two were owed.
    stock.retarget(target(3, 3, 0, 12));
    assert_eq!(stock.next(at(11)), Next::Push(units(5)));
    // Wanting the ledger to be right again, the shop is lowered to it.
    let correct = settle(3, 1, 10, 12);
    assert_eq!(stock.settle(&correct), Settled::Trusted(None));
    assert_eq!((stock.goal(), stock.next(at(11))), (Some(units(3)), Next::Push(units(2))));
}

#[test]
fn nothing_is_put_right_if_a_person_is_to_decide() {
    let mut stock = settled();
    stock.retarget(target(2, 14, 0, 0));
    stock.begin(units(4), at(1));
    stock.succeeded(at(2), Duration::from_secs(1));
    let alert = Settle { policy: DriftPolicy::Alert, ..settle(2, 12, 70, 0) };
    assert_eq!(stock.settle(&alert), drift(DriftClass::LostUpdate, DriftAction::Alerted, 14, 12));
    assert_eq!(stock.next(at(71)), Next::Nothing);
    stock.retarget(target(3, 15, 0, 0));
    assert_eq!(stock.next(at(71)), Next::Push(units(1)), "later changes reach the shop");
}

/// A stock at 10 that somebody set to `shown`, of a shop whose edits are adopted.
fn edited(shown: i64) -> StockPush {
    let mut stock = settled();
    let adopt = Settle { policy: DriftPolicy::Adopt, ..settle(2, shown, 10, 0) };
    assert!(
        matches!(stock.settle(&adopt), Settled::Trusted(Some(drift)) if drift.action == DriftAction::Adopting)
    );
    stock
}

#[test]
fn an_edit_stays_until_the_ledger_has_decided_on_it() {
    let mut stock = edited(13);
    assert_eq!(stock.adopting().map(|adopting| adopting.difference), Some(units(3)));
    assert_eq!(stock.next(at(11)), Next::Nothing);
    stock.retarget(target(2, 9, 0, 0));
    assert_eq!(stock.next(at(11)), Next::Push(units(-1)), "what else happens reaches the shop");
    stock.retarget(target(3, 10, 0, 0));
    let next = Settle { policy: DriftPolicy::Adopt, ..settle(3, 14, 20, 0) };
    assert_eq!(stock.settle(&next), Settled::Untrusted(Distrust::Adopting), "one edit at a time");
    // The level that tells that it was adopted has it.
    stock.retarget(target(4, 13, 0, 0));
    assert_eq!(stock.adopted(ReadNumber::new(1), true), None, "that was another");
    assert_eq!(stock.adopted(ReadNumber::new(2), true), Some(DriftAction::Adopted));
    assert_eq!(stock.adopted(ReadNumber::new(2), true), None, "told twice");
    assert_eq!((stock.goal(), stock.next(at(21))), (Some(units(13)), Next::Nothing));
}

#[test]
fn an_edit_that_the_ledger_refuses_is_corrected() {
    let mut stock = edited(13);
    assert_eq!(stock.adopted(ReadNumber::new(2), false), Some(DriftAction::Corrected));
    assert_eq!(stock.next(at(21)), Next::Push(units(-3)));
    let mut stock = edited(6);
    assert_eq!(stock.adopted(ReadNumber::new(2), false), Some(DriftAction::Withheld));
    assert_eq!((stock.goal(), stock.next(at(21))), (Some(units(6)), Next::Nothing));
}

#[test]
fn an_edit_of_another_epoch_is_not_adopted() {
    let mut stock = edited(13);
    stock.retarget(Target { epoch: Epoch::new(2), ..target(1, 10, 0, 0) });
    assert_eq!((stock.adopting(), stock.next(at(11))), (None, Next::Settle));
    assert_eq!(stock.adopted(ReadNumber::new(2), true), None);
    assert_eq!(stock.outdated_adoption().map(|adopting| adopting.number), Some(ReadNumber::new(2)));
    assert_eq!(stock.outdated_adoption(), None, "it is given up once");
}

/// What may become of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Succeeds,
    Refused,
    Uncertain,
}

/// Whatever became of pushes in whatever order: a difference is an edit exactly if no push may have arrived since the last
/// proof, and a doubtful call only if one of those was never answered.
#[test]
fn what_certainly_did_not_arrive_makes_no_difference_ours() {
    const ENDS: [End; 3] = [End::Succeeds, End::Refused, End::Uncertain];
    const PUSHES_MAX: u32 = 6;
    for pushes in 0..=PUSHES_MAX {
        for case in 0..3_usize.pow(pushes) {
            let ends: Vec<End> = (0..pushes).map(|place| ENDS[case / 3_usize.pow(place) % 3]).collect();
            let (mut stock, mut second, mut revision) = (settled(), 1, 2);
            for end in &ends {
                stock.retarget(target(revision, 10 + i64::try_from(revision).unwrap(), 0, 0));
                stock.begin(units(1), at(second));
                match end {
                    End::Succeeds => stock.succeeded(at(second + 2), Duration::from_secs(1)),
                    End::Refused => stock.refused(),
                    End::Uncertain => {
                        stock.uncertain();
                        let expected = stock.expected().unwrap();
                        stock.read_back(expected, expected, at(second + 70));
                    }
                }
                assert_eq!(stock.pushed_since_settle, !stock.log.is_empty(), "{ends:?}");
                (second, revision) = (second + 100, revision + 1);
            }
            let expected = stock.expected().unwrap();
            let shown = expected.thousandths() / 1_000 + 3;
            let Settled::Trusted(Some(found)) = stock.settle(&settle(2, shown, second, 0)) else {
                panic!("nothing was found: {ends:?}");
            };
            let class = if ends.contains(&End::Uncertain) {
                DriftClass::DoubtfulCall
            } else if ends.contains(&End::Succeeds) {
                DriftClass::LostUpdate
            } else {
                DriftClass::EditUp
            };
            assert_eq!(found.class, class, "{ends:?}");
        }
    }
}

fn released(revision: u64, level: i64, released: i64) -> Target {
    Target { released: units(released), ..target(revision, level, 0, 0) }
}

/// A stock of which a person changed what it shows, and which is left as it was set.
fn left_as_set(policy: DriftPolicy, shown: i64) -> StockPush {
    let mut stock = settled();
    let settle = Settle { policy, ..settle(2, shown, 100, 0) };
    assert!(matches!(stock.settle(&settle), Settled::Trusted(Some(_))));
    assert_eq!((stock.next(at(101)), stock.withheld()), (Next::Nothing, Some(units(10 - shown))));
    stock
}

#[test]
fn what_was_let_go_is_put_right_once() {
    for policy in [DriftPolicy::Withhold, DriftPolicy::Alert] {
        for (shown, kept) in [(7, 3), (14, -4)] {
            let mut stock = left_as_set(policy, shown);
            assert!(stock.retarget(released(2, 10, kept)));
            assert_eq!(stock.withheld(), Some(Quantity::ZERO));
            assert_eq!(stock.next(at(102)), Next::Push(units(kept)), "{policy:?} {shown}");
            stock.begin(units(kept), at(102));
            stock.succeeded(at(103), Duration::from_secs(1));
            assert_eq!(stock.next(at(104)), Next::Nothing);
            // Said again with each level, and after the next proof: it is done.
            assert!(stock.retarget(released(3, 9, kept)));
            assert_eq!(stock.next(at(104)), Next::Push(units(-1)));
            stock.retarget(released(4, 10, kept));
            let proof = Settle { policy, ..settle(3, 10, 200, 0) };
            assert_eq!(stock.settle(&proof), Settled::Trusted(None));
            assert_eq!((stock.next(at(201)), stock.withheld()), (Next::Nothing, Some(Quantity::ZERO)));
            // What is set after that is kept again.
            let again = Settle { policy, ..settle(4, 8, 300, 0) };
            assert!(matches!(stock.settle(&again), Settled::Trusted(Some(_))));
            assert_eq!((stock.next(at(301)), stock.withheld()), (Next::Nothing, Some(units(2))));
        }
    }
}

/// The ledger took it over in the same moment: the shop is told nothing.
#[test]
fn what_the_ledger_took_over_is_no_longer_kept() {
    let mut stock = left_as_set(DriftPolicy::Withhold, 7);
    assert!(stock.retarget(released(2, 7, 3)));
    assert_eq!((stock.next(at(102)), stock.withheld()), (Next::Nothing, Some(Quantity::ZERO)));
}

/// Somebody put the units back while somebody else let them go: no more is put in the shop than there is.
#[test]
fn no_more_is_let_go_than_is_withheld() {
    let mut stock = left_as_set(DriftPolicy::Withhold, 7);
    let back = Settle { policy: DriftPolicy::Withhold, ..settle(3, 10, 200, 0) };
    assert!(matches!(stock.settle(&back), Settled::Trusted(Some(_))));
    assert_eq!(stock.withheld(), Some(Quantity::ZERO));
    assert!(stock.retarget(released(2, 10, 3)));
    assert_eq!((stock.next(at(201)), stock.withheld()), (Next::Nothing, Some(Quantity::ZERO)));
    // And more than was known is left.
    let mut stock = left_as_set(DriftPolicy::Withhold, 7);
    let more = Settle { policy: DriftPolicy::Withhold, ..settle(3, 5, 200, 0) };
    assert!(matches!(stock.settle(&more), Settled::Trusted(Some(_))));
    assert!(stock.retarget(released(2, 10, 3)));
    assert_eq!((stock.withheld(), stock.next(at(201))), (Some(units(2)), Next::Push(units(3))));
}
