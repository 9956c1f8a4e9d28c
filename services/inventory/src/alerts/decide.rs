//! When something that was found becomes an alert, and when that is over: pure, so that every course of time can be tried.
//!
//! What often passes by itself has to last before it is told. What is over has to stay away before that is told, and the
//! longer the more often it came back: who flaps all day is told of a few times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::{Alert, AlertKey, AlertKind, News, Severity};
use values::{Sku, Timestamp};

use super::settings::AlertSettings;

/// What comes back within so long after it ended is the same alert again.
pub(super) const RETURNS_WITHIN: Duration = Duration::from_mins(30);
/// The longest that something has to stay away, however often it came back.
const STAYS_AWAY_MAX: Duration = Duration::from_hours(1);
/// So many times what people were told of is told again.
const GROWN_TIMES: u64 = 2;
/// That there is more of something is told no sooner after they were told of it.
const GROWN_AFTER: Duration = Duration::from_mins(15);
/// That something is still so is written down this often.
const SEEN_EVERY: Duration = Duration::from_mins(5);

/// Something that is the case now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) sku: Option<Sku>,
    pub(super) what: String,
    /// Since when, as far as that is known.
    pub(super) since: Timestamp,
    /// How much there is of it, at least.
    pub(super) size: u64,
}

/// All that is the case now.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) findings: BTreeMap<AlertKey, Finding>,
    /// Kinds of which not everything was looked at: what was not found of them may be so all the same.
    pub(super) partial: BTreeSet<AlertKind>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// New, or not as they were.
    pub(super) changed: Vec<Alert>,
    /// That nobody was told of, and are not so any more.
    pub(super) dropped: Vec<i64>,
    /// As they were.
    pub(super) unchanged: Vec<Alert>,
}

/// How long something of a kind has to last before it is an alert.
fn patience(kind: AlertKind, settings: &AlertSettings) -> Duration {
    match kind {
        // A restart of the shop; a product that is mapped with the next read of the catalogue.
        AlertKind::ShopUnreachable | AlertKind::ParkedLines => settings.patience,
        _ => Duration::ZERO,
    }
}

/// Compares what is the case with what was known: open alerts, and those that ended lately.
pub(super) fn decide(
    known: Vec<Alert>,
    mut found: Found,
    now: Timestamp,
    settings: &AlertSettings,
) -> Decided {
    let mut decided = Decided::default();
    let mut ended: BTreeMap<AlertKey, Alert> = BTreeMap::new();
    for alert in known {
        if alert.resolved_at.is_none() {
            let after = match found.findings.remove(&alert.key) {
                Some(finding) => Some(still_so(&alert, finding, now, settings)),
                None if found.partial.contains(&alert.key.kind) => Some(alert.clone()),
                None => not_so(&alert, now, settings),
            };
            decided.sort(alert, after);
        } else if let Some(earlier) = ended.insert(alert.key.clone(), alert) {
            // Of several with one key the latest may come back.
            let latest = ended.get_mut(&earlier.key).expect("it was inserted");
            if latest.resolved_at < earlier.resolved_at {
                decided.unchanged.push(std::mem::replace(latest, earlier));
            } else {
                decided.unchanged.push(earlier);
            }
        }
    }
    for (key, finding) in found.findings {
        let lately = |alert: &Alert| alert.resolved_at.is_some_and(|at| now.since(at) < RETURNS_WITHIN);
        match ended.remove(&key) {
            Some(alert) if lately(&alert) => decided.changed.push(again(alert, finding, now)),
            other => {
                decided.unchanged.extend(other);
                decided.changed.push(new(key, finding, now, settings));
            }
        }
    }
    decided.unchanged.extend(ended.into_values());
    decided
}

impl Decided {
    fn sort(&mut self, before: Alert, after: Option<Alert>) {
        match after {
            None => self.dropped.push(before.id),
            Some(after) if after == before => self.unchanged.push(before),
            Some(after) => self.changed.push(after),
        }
    }
}

fn new(key: AlertKey, finding: Finding, now: Timestamp, settings: &AlertSettings) -> Alert {
    let Finding { sku, what, since, size } = finding;
    let mut alert = Alert {
        id: 0,
        key,
        sku,
        what,
        first_seen: since.min(now),
        last_seen: now,
        count: 1,
        raised_at: None,
        missing_since: None,
        resolved_at: None,
        size,
        told: None,
        news: None,
        acknowledged: None,
    };
    raise_in_time(&mut alert, now, settings);
    alert
}

fn still_so(before: &Alert, finding: Finding, now: Timestamp, settings: &AlertSettings) -> Alert {
    let Finding { sku, what, size, .. } = finding;
    let mut alert = Alert { sku, what, size, missing_since: None, ..before.clone() };
    raise_in_time(&mut alert, now, settings);
    tell_again(&mut alert, now, settings);
    if alert != *before || now.since(before.last_seen) >= SEEN_EVERY {
        alert.last_seen = now;
    }
    alert
}

/// It ended a short while ago, and is back. That it lasts need not be shown twice.
fn again(ended: Alert, finding: Finding, now: Timestamp) -> Alert {
    let Finding { sku, what, size, .. } = finding;
    // Who was not told of its end yet still takes it for open.
    let (told, news) = match ended.news {
        Some((News::Resolved, _)) => (ended.told, None),
        _ => (None, Some((News::Raised, now))),
    };
    Alert {
        sku,
        what,
        first_seen: now,
        last_seen: now,
        count: ended.count.saturating_add(1),
        raised_at: Some(now),
        missing_since: None,
        resolved_at: None,
        size,
        told,
        news,
        acknowledged: None,
        ..ended
    }
}

/// `None`: it was none yet.
fn not_so(before: &Alert, now: Timestamp, settings: &AlertSettings) -> Option<Alert> {
    before.raised_at?;
    let mut alert = before.clone();
    let since = *alert.missing_since.get_or_insert(now);
    if now.since(since) >= stays_away(alert.count, settings) {
        alert.resolved_at = Some(now);
        // Who was not told of its beginning need not be told of its end.
        alert.news = match alert.news {
            Some((News::Raised, _)) => None,
            _ => Some((News::Resolved, now)),
        };
    }
    Some(alert)
}

fn raise_in_time(alert: &mut Alert, now: Timestamp, settings: &AlertSettings) {
    if alert.raised_at.is_none() && now.since(alert.first_seen) >= patience(alert.key.kind, settings) {
        alert.raised_at = Some(now);
        alert.news = Some((News::Raised, now));
    }
}

/// There is much more of it than they were told, or they were told long ago and nobody took note of it.
fn tell_again(alert: &mut Alert, now: Timestamp, settings: &AlertSettings) {
    let Some((told_at, told_size)) = alert.told.filter(|_| alert.news.is_none()) else { return };
    let since = now.since(told_at);
    let has_grown = alert.size >= told_size.saturating_mul(GROWN_TIMES) && since >= GROWN_AFTER;
    let is_forgotten = !settings.remind.is_zero()
        && since >= settings.remind
        && alert.acknowledged.is_none()
        && alert.key.kind.severity() > Severity::Info;
    if has_grown || is_forgotten {
        alert.news = Some((News::Still, now));
    } else if alert.size <= told_size / GROWN_TIMES {
        // Most of it is gone: what comes now is new.
        alert.told = Some((told_at, alert.size.max(1)));
    }
}

fn stays_away(count: u32, settings: &AlertSettings) -> Duration {
    let doublings = count.saturating_sub(1).min(u32::BITS - 1);
    settings.clear.saturating_mul(1 << doublings).min(STAYS_AWAY_MAX)
}

#[cfg(test)]
mod tests;
