//! Alerts and notices, as rows.

use values::ShopId;

use super::columns::Columns;
use super::egress::lane;
use super::ingress::{condition, reading};
use super::{id, micros, sku, some_id, timestamp, unsigned};
use crate::alerts::{
    ALERT_CHARS_MAX, Alert, AlertKey, AlertKind, Channel, NOTICE_FAILURE_CHARS_MAX, News, Notice, ShopWaiting,
};
use crate::egress::ShopLane;
use crate::error::Error;
use crate::reading::Reading;
use crate::webhooks::Condition;

/// The columns of [`AlertColumns`].
macro_rules! alert_columns {
    () => {
        "id, kind, shop, subject, sku, what, first_seen, last_seen, count, raised_at, missing_since, resolved_at, news, \
         news_at, acknowledged_at, acknowledged_by"
    };
}
pub(crate) use alert_columns;

pub(crate) type AlertColumns = (
    i64,
    String,
    i64,
    String,
    Option<String>,
    String,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
);

pub(crate) fn alert(row: AlertColumns) -> Result<Alert, Error> {
    let (
        number,
        kind,
        shop,
        subject,
        code,
        what,
        first_seen,
        last_seen,
        count,
        raised,
        missing,
        resolved,
        ..,
    ) = row;
    let (news, news_at, acknowledged_at, acknowledged_by) = (row.12, row.13, row.14, row.15);
    let news = match (news, news_at) {
        (Some(word), Some(at)) => {
            let news = News::from_word(&word).ok_or_else(|| Error::damaged("news of an alert", word))?;
            Some((news, timestamp(at)))
        }
        _ => None,
    };
    Ok(Alert {
        id: number,
        key: AlertKey {
            kind: AlertKind::from_word(&kind).ok_or_else(|| Error::damaged("alert", kind))?,
            shop: some_shop(shop)?,
            subject,
        },
        sku: code.as_deref().map(sku).transpose()?,
        what,
        first_seen: timestamp(first_seen),
        last_seen: timestamp(last_seen),
        count: u32::try_from(count).map_err(|_| Error::damaged("count", count))?,
        raised_at: raised.map(timestamp),
        missing_since: missing.map(timestamp),
        resolved_at: resolved.map(timestamp),
        news,
        acknowledged: acknowledged_by.zip(acknowledged_at.map(timestamp)),
    })
}

/// Id, kind, shop, subject, SKU, text, first seen, last seen, count, raised at, missing since, resolved at, news, news at.
pub(crate) fn saved_alert(alert: &Alert) -> impl Columns<'_> + use<'_> {
    let what: String = alert.what.chars().take(ALERT_CHARS_MAX).collect();
    (
        alert.id,
        alert.key.kind.as_str(),
        alert.key.shop.map_or(0, ShopId::get),
        alert.key.subject.as_str(),
        alert.sku.as_ref().map(values::Sku::as_str),
        what,
        alert.first_seen.micros(),
        alert.last_seen.micros(),
        i64::from(alert.count),
        micros(alert.raised_at),
        micros(alert.missing_since),
        micros(alert.resolved_at),
        alert.news.map(|(news, _)| news.as_str()),
        alert.news.map(|(_, at)| at.micros()),
    )
}

/// Kind, how many.
pub(crate) fn alert_count(row: (String, i64)) -> Result<(AlertKind, u64), Error> {
    let (kind, count) = row;
    let kind = AlertKind::from_word(&kind).ok_or_else(|| Error::damaged("alert", kind))?;
    Ok((kind, unsigned("count", count)?))
}

/// Id, channel, body, made at, due at.
pub(crate) fn saved_notice(notice: &Notice) -> impl Columns<'_> + use<'_> {
    let made_at = notice.made_at.micros();
    (notice.id.as_str(), notice.channel.as_str(), notice.body.as_str(), made_at, made_at)
}

/// Id, channel, body, made at, attempts.
pub(crate) type NoticeColumns = (String, String, String, i64, i64);

pub(crate) fn notice(row: NoticeColumns) -> Result<Notice, Error> {
    let (id, channel, body, made_at, attempts) = row;
    Ok(Notice {
        id,
        channel: Channel::from_word(&channel).ok_or_else(|| Error::damaged("channel", channel))?,
        body,
        made_at: timestamp(made_at),
        attempts: u32::try_from(attempts).map_err(|_| Error::damaged("count", attempts))?,
    })
}

/// Why a notice could not be sent, as it is kept.
pub(crate) fn notice_failure(why: &str) -> String {
    why.chars().take(NOTICE_FAILURE_CHARS_MAX).collect()
}

/// Kind, shop, how many, the first.
pub(crate) type WaitingColumns = (String, Option<i64>, i64, i64);

pub(crate) fn shop_waiting(row: WaitingColumns) -> Result<ShopWaiting, Error> {
    let (kind, shop, count, first) = row;
    Ok(ShopWaiting {
        kind: AlertKind::from_word(&kind).ok_or_else(|| Error::damaged("alert", kind))?,
        shop: some_id("shop", shop)?,
        count: unsigned("count", count)?,
        first,
    })
}

/// Shop, kind, what, since, seen at, cleared at.
pub(crate) type ConditionOfShop = (i64, String, String, i64, i64, Option<i64>);

pub(crate) fn condition_of_shop(row: ConditionOfShop) -> Result<Condition, Error> {
    let (shop, kind, what, since, seen, cleared) = row;
    condition(id("shop", shop)?, (kind, what, since, seen, cleared))
}

/// Shop, breaker, cause, until, calls per minute, at.
pub(crate) type LaneOfShop = (i64, String, Option<String>, Option<i64>, i64, i64);

pub(crate) fn lane_of_shop(row: LaneOfShop) -> Result<ShopLane, Error> {
    let (shop, breaker, cause, until, calls, at) = row;
    lane(id("shop", shop)?, (breaker, cause, until, calls, at))
}

/// The shop, and what is stored of its reading.
pub(crate) type ReadingOfShop = (
    i64,
    Option<i64>,
    Option<i64>,
    String,
    Option<i64>,
    String,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    String,
    Option<i64>,
);

pub(crate) fn reading_of_shop(row: ReadingOfShop) -> Result<Reading, Error> {
    let (
        shop,
        polled,
        failing,
        failure,
        failed,
        breaker,
        resting,
        blind,
        pinged,
        audited,
        catalogued,
        calls,
        poll,
    ) = row;
    let columns =
        (polled, failing, failure, failed, breaker, resting, blind, pinged, audited, catalogued, calls, poll);
    reading(id("shop", shop)?, columns)
}

/// 0 stands for none in keys.
fn some_shop(shop: i64) -> Result<Option<ShopId>, Error> {
    if shop == 0 { Ok(None) } else { id("shop", shop).map(Some) }
}
