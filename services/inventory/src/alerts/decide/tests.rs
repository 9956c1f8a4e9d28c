//! Courses of time: what is told of them, and how often.

use super::*;

const SETTINGS: AlertSettings = AlertSettings {
    period: Duration::from_secs(15),
    patience: Duration::from_mins(5),
    clear: Duration::from_mins(2),
    digest: Duration::ZERO,
    remind: Duration::from_hours(24),
    retry: process::backoff::Backoff { first: Duration::ZERO, max: Duration::ZERO },
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000_000 + seconds)
}

fn key(kind: AlertKind) -> AlertKey {
    AlertKey { kind, shop: None, subject: String::new() }
}

fn found(kinds: &[AlertKind], now: Timestamp) -> Found {
    let finding = Finding { sku: None, what: "It is so.".to_owned(), since: now, size: 1 };
    let findings = kinds.iter().map(|kind| (key(*kind), finding.clone())).collect();
    Found { findings, partial: BTreeSet::new() }
}

/// What is stored, with who is told at once.
#[derive(Default)]
struct Kept {
    alerts: Vec<Alert>,
    told: Vec<(i64, News)>,
    writes: usize,
}

impl Kept {
    fn round(&mut self, seconds: i64, found: Found) {
        let now = at(seconds);
        let lately = |alert: &Alert| alert.resolved_at.is_none_or(|ended| ended > now - RETURNS_WITHIN);
        let (known, old) = std::mem::take(&mut self.alerts).into_iter().partition(lately);
        let decided = decide(known, found, now, &SETTINGS);
        self.writes += decided.changed.len() + decided.dropped.len();
        self.alerts = old;
        self.alerts.extend(decided.unchanged);
        for mut alert in decided.changed {
            if let Some((news, _)) = alert.news.take() {
                self.told.push((seconds, news));
                alert.told = Some((now, alert.size));
            }
            if alert.id == 0 {
                alert.id = seconds + 1;
            }
            self.alerts.push(alert);
        }
    }

    /// Found at these seconds, looked at every 15 s until `end`.
    fn course(&mut self, kind: AlertKind, end: i64, is_so: impl Fn(i64) -> bool) {
        for seconds in (0..=end).step_by(15) {
            let kinds: &[AlertKind] = if is_so(seconds) { &[kind] } else { &[] };
            self.round(seconds, found(kinds, at(seconds)));
        }
    }
}

#[test]
fn what_is_so_is_told_once_and_what_is_over_too() {
    let mut kept = Kept::default();
    kept.course(AlertKind::Shortfall, 3_600, |seconds| seconds < 1_800);
    assert_eq!(kept.told, [(0, News::Raised), (1_920, News::Resolved)]);
    // Once each five minutes that it is still so, and when it is missing first and last.
    assert!(kept.writes <= 1 + 6 + 2, "{}", kept.writes);
}

#[test]
fn what_passes_by_itself_is_not_told() {
    let mut kept = Kept::default();
    kept.course(AlertKind::ShopUnreachable, 3_600, |seconds| seconds < 285);
    assert_eq!((kept.told.as_slice(), kept.alerts.len()), (&[][..], 0));
    kept.course(AlertKind::ShopUnreachable, 3_600, |seconds| seconds < 600);
    assert_eq!(kept.told, [(300, News::Raised), (720, News::Resolved)]);
}

/// The source knows for how long it has been so, whoever looked.
#[test]
fn what_has_lasted_before_anybody_looked_is_told_at_once() {
    let mut kept = Kept::default();
    kept.round(0, found(&[AlertKind::ShopUnreachable], at(-300)));
    assert_eq!(kept.told, [(0, News::Raised)]);
    assert_eq!(kept.alerts[0].first_seen, at(-300));
    // A clock that was set back makes nothing older than now.
    let mut kept = Kept::default();
    kept.round(0, found(&[AlertKind::Shortfall], at(900)));
    assert_eq!(kept.alerts[0].first_seen, at(0));
}

#[test]
fn a_gap_shorter_than_its_time_is_none() {
    let mut kept = Kept::default();
    kept.course(AlertKind::StockBlocked, 3_600, |seconds| seconds % 120 == 0);
    assert_eq!(kept.told, [(0, News::Raised)]);
}

#[test]
fn who_flaps_all_day_is_told_of_a_few_times() {
    let mut kept = Kept::default();
    // So for two minutes, not so for three.
    kept.course(AlertKind::StockBlocked, 86_400, |seconds| seconds % 300 < 120);
    assert!(kept.told.len() <= 5, "{:?}", kept.told);
    assert_eq!(kept.alerts.len(), 1, "it is one alert all the time");
    // So for a minute each twenty: it has to stay away for longer and longer.
    let mut kept = Kept::default();
    kept.course(AlertKind::StockBlocked, 86_400, |seconds| seconds % 1_200 < 60);
    assert!(kept.told.len() <= 11, "{:?}", kept.told);
}

#[test]
fn what_comes_back_much_later_is_another() {
    let mut kept = Kept::default();
    kept.course(AlertKind::Shortfall, 7_200, |seconds| !(60..=3_600).contains(&seconds));
    assert_eq!(kept.told.len(), 3, "{:?}", kept.told);
    assert_eq!(kept.alerts.iter().map(|alert| alert.count).collect::<Vec<_>>(), [1, 1]);
}

/// Told late, all of it is as if it had not been.
#[test]
fn nobody_is_told_of_the_end_of_what_he_was_not_told_of() {
    let now = at(0);
    let first = decide(Vec::new(), found(&[AlertKind::Shortfall], now), now, &SETTINGS);
    let alert = Alert { id: 1, ..first.changed[0].clone() };
    assert_eq!(alert.news, Some((News::Raised, now)));
    let missing = decide(vec![alert], Found::default(), at(15), &SETTINGS);
    let ended = decide(missing.changed, Found::default(), at(200), &SETTINGS).changed;
    assert_eq!((ended[0].resolved_at, ended[0].news), (Some(at(200)), None));
    // And the other way round.
    let untold = Alert { news: Some((News::Resolved, at(200))), ..ended[0].clone() };
    let back = decide(vec![untold], found(&[AlertKind::Shortfall], at(300)), at(300), &SETTINGS);
    assert_eq!((back.changed[0].count, back.changed[0].news, back.changed[0].id), (2, None, 1));
}

#[test]
fn what_was_not_looked_at_is_not_over() {
    let now = at(0);
    let first = decide(Vec::new(), found(&[AlertKind::StockBlocked], now), now, &SETTINGS);
    let alert = Alert { id: 1, news: None, ..first.changed[0].clone() };
    let partial = Found { partial: [AlertKind::StockBlocked].into(), ..Found::default() };
    let decided = decide(vec![alert.clone()], partial, at(9_000), &SETTINGS);
    assert_eq!((decided.unchanged, decided.changed.len()), (vec![alert], 0));
}

#[test]
fn of_several_that_ended_the_latest_comes_back() {
    let now = at(0);
    let first = decide(Vec::new(), found(&[AlertKind::Shortfall], now), now, &SETTINGS).changed.remove(0);
    let ended = |id, seconds| Alert { id, resolved_at: Some(at(seconds)), news: None, ..first.clone() };
    for known in [vec![ended(1, 10), ended(2, 20)], vec![ended(2, 20), ended(1, 10)]] {
        let decided = decide(known, found(&[AlertKind::Shortfall], at(60)), at(60), &SETTINGS);
        assert_eq!(decided.changed.iter().map(|alert| alert.id).collect::<Vec<_>>(), [2]);
        assert_eq!(decided.unchanged.iter().map(|alert| alert.id).collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn the_text_follows_what_is_the_case_without_being_told_again() {
    let mut kept = Kept::default();
    kept.round(0, found(&[AlertKind::DeadMessages], at(0)));
    let mut more = found(&[AlertKind::DeadMessages], at(15));
    more.findings.values_mut().for_each(|finding| finding.what = "There are two.".to_owned());
    kept.round(15, more);
    assert_eq!((kept.alerts[0].what.as_str(), kept.alerts[0].last_seen), ("There are two.", at(15)));
    assert_eq!(kept.told, [(0, News::Raised)]);
}

/// So many of it at each second, looked at every 15 s.
fn told_of_sizes(end: i64, size: impl Fn(i64) -> u64) -> Vec<(i64, News)> {
    let mut kept = Kept::default();
    for seconds in (0..=end).step_by(15) {
        let mut found = found(&[AlertKind::DeadMessages], at(seconds));
        found.findings.values_mut().for_each(|finding| finding.size = size(seconds));
        kept.round(seconds, found);
    }
    kept.told
}

#[test]
fn what_grows_is_told_again_and_not_with_each_one_more() {
    let raised = (0, News::Raised);
    assert_eq!(told_of_sizes(3_600, |seconds| if seconds < 60 { 10 } else { 19 }), [raised]);
    // Twice as much within a minute, and a hundred times as much later.
    let grown = told_of_sizes(7_200, |seconds| match seconds {
        ..60 => 10,
        60..3_600 => 20,
        _ => 2_000,
    });
    assert_eq!(grown, [raised, (900, News::Still), (3_600, News::Still)]);
    // One more each minute, all day: a few times.
    let slow = told_of_sizes(86_385, |seconds| u64::try_from(seconds / 60).unwrap() + 1);
    assert!((6..=9).contains(&slow.len()), "{slow:?}");
    // Most of it was mended, and it begins anew.
    let anew = told_of_sizes(7_200, |seconds| match seconds {
        ..900 => 100,
        900..3_600 => 1,
        _ => 2,
    });
    assert_eq!(anew, [raised, (3_600, News::Still)]);
}

#[test]
fn who_was_told_is_reminded_once_a_day_until_somebody_takes_note() {
    let day = 86_400;
    let mut kept = Kept::default();
    kept.course(AlertKind::Shortfall, 2 * day + 600, |_| true);
    assert_eq!(kept.told, [(0, News::Raised), (day, News::Still), (2 * day, News::Still)]);
    kept.alerts[0].acknowledged = Some(("boss".to_owned(), at(2 * day + 600)));
    for seconds in (2 * day + 615..=4 * day).step_by(15) {
        kept.round(seconds, found(&[AlertKind::Shortfall], at(seconds)));
    }
    assert_eq!(kept.told.len(), 3, "somebody looks after it");
    let mut kept = Kept::default();
    kept.course(AlertKind::WebhooksMended, 2 * day, |_| true);
    assert_eq!(kept.told, [(0, News::Raised)], "nothing is to be done about it");
    let never = AlertSettings { remind: Duration::ZERO, ..SETTINGS };
    let first = decide(Vec::new(), found(&[AlertKind::Shortfall], at(0)), at(0), &never).changed.remove(0);
    let told = Alert { id: 1, news: None, told: Some((at(0), 1)), ..first };
    let later = decide(vec![told], found(&[AlertKind::Shortfall], at(9 * day)), at(9 * day), &never);
    assert_eq!(later.changed[0].news, None);
}

/// A reminder that was not sent yet when it ended does not hide that it began.
#[test]
fn the_end_of_what_people_were_told_of_is_told_whatever_else_was_to_be() {
    let first = decide(Vec::new(), found(&[AlertKind::Shortfall], at(0)), at(0), &SETTINGS).changed.remove(0);
    let still = Some((News::Still, at(10)));
    let alert = Alert { id: 1, news: still, told: Some((at(0), 1)), ..first };
    let missing = decide(vec![alert], Found::default(), at(15), &SETTINGS);
    let ended = decide(missing.changed, Found::default(), at(200), &SETTINGS).changed;
    assert_eq!(ended[0].news, Some((News::Resolved, at(200))));
}
