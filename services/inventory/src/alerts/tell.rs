//! What people are told: many alerts in one notice, and each of them once.

use std::collections::BTreeMap;
use std::time::Duration;

use notices::{Digest, TOLD_MAX, Told};
use store::{Alert, Channel, NewNotice, News, Notice, Shop, Store};
use values::{ShopId, Sku, Timestamp};

/// What is to be sent, and of which alerts there is no news any more.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) alerts: Vec<Alert>,
    pub(super) notices: Vec<NewNotice>,
}

/// Gathers news until the oldest is `window` old, or there is enough for a notice. `known` are alerts as they are stored.
pub(super) async fn tell(
    store: &Store,
    known: Vec<Alert>,
    channels: &[Channel],
    window: Duration,
    now: Timestamp,
) -> Result<Telling, store::Error> {
    let open = known.iter().filter(|alert| alert.raised_at.is_some() && alert.resolved_at.is_none()).count();
    let mut news: Vec<(News, Timestamp, Alert)> = known
        .into_iter()
        .filter_map(|alert| alert.news.map(|(news, at)| (news, at, Alert { news: None, ..alert })))
        .collect();
    let Some(oldest) = news.iter().map(|(_, at, _)| *at).min() else { return Ok(Telling::default()) };
    if now.since(oldest) < window && news.len() < TOLD_MAX {
        return Ok(Telling::default());
    }
    // What matters most comes first, should some have to be left out.
    news.sort_by_key(|(news, _, alert)| (*news, std::cmp::Reverse(alert.key.kind.severity()), alert.id));
    let names = Names::load(store, news.iter().map(|(_, _, alert)| alert)).await?;
    let mut digest = Digest {
        test: false,
        left_out: news.len().saturating_sub(TOLD_MAX),
        open,
        ..Digest::test(String::new(), text_of(now))
    };
    for (news, _, alert) in news.iter().take(TOLD_MAX) {
        let told = told(alert, &names);
        match news {
            News::Raised => digest.raised.push(told),
            News::Still => digest.still.push(told),
            News::Resolved => digest.resolved.push(told),
        }
    }
    let ids: Vec<i64> = news.iter().take(TOLD_MAX).map(|(_, _, alert)| alert.id).collect();
    let notices = channels.iter().map(|channel| notice(*channel, &digest, &ids, now)).collect();
    let alerts = news.into_iter().map(|(_, _, alert)| Alert { told: Some((now, alert.size)), ..alert });
    Ok(Telling { alerts: alerts.collect(), notices })
}

/// One for each way, each with an id of its own.
fn notice(channel: Channel, digest: &Digest, alerts: &[i64], now: Timestamp) -> NewNotice {
    let id = uuid::Uuid::now_v7().to_string();
    let body = Digest { id: id.clone(), ..digest.clone() }.to_json();
    NewNotice { notice: Notice { id, channel, body, made_at: now, attempts: 0 }, alerts: alerts.to_vec() }
}

/// In RFC 3339.
pub(super) fn text_of(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros()).unwrap_or_default().to_string()
}

struct Names(BTreeMap<ShopId, Shop>);

impl Names {
    async fn load(store: &Store, alerts: impl Iterator<Item = &Alert>) -> Result<Self, store::Error> {
        let mut ids: Vec<ShopId> = alerts.filter_map(|alert| alert.key.shop).collect();
        ids.sort_unstable();
        ids.dedup();
        let shops = if ids.is_empty() { Vec::new() } else { store.shops(Some(&ids)).await? };
        Ok(Self(shops.into_iter().map(|shop| (shop.id, shop)).collect()))
    }

    fn of(&self, id: ShopId) -> String {
        self.0.get(&id).map_or_else(|| id.to_string(), |shop| shop.name.clone())
    }
}

fn told(alert: &Alert, names: &Names) -> Told {
    let key = &alert.key;
    Told {
        id: alert.id,
        kind: key.kind.as_str().to_owned(),
        severity: key.kind.severity().as_str().to_owned(),
        shop: key.shop.map(|shop| names.of(shop)),
        subject: Some(key.subject.clone()).filter(|subject| !subject.is_empty()),
        sku: alert.sku.as_ref().map(Sku::to_string),
        what: alert.what.clone(),
        first_seen: text_of(alert.first_seen),
        resolved_at: alert.resolved_at.map(text_of),
        count: alert.count,
    }
}
