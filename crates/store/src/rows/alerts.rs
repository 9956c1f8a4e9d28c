//! Alerts and notices, as rows.

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use values::ShopId;

use super::columns::Columns;
use super::egress::lane;
use super::ingress::{ReadingColumns, condition, reading};
use super::{id, micros, sku, some_id, timestamp, unsigned};
use crate::alerts::{
    ALERT_CHARS_MAX, Alert, AlertKey, AlertKind, Channel, NOTICE_FAILURE_CHARS_MAX, NewNotice, News, Notice,
    ShopWaiting,
};
use crate::egress::ShopLane;
use crate::error::Error;
use crate::reading::Reading;
use crate::webhooks::Condition;

/// The columns of [`AlertColumns`].
macro_rules! alert_columns {
    () => {
        "id, kind, shop, subject, sku, what, first_seen, last_seen, count, raised_at, missing_since, resolved_at, news, \
         news_at, acknowledged_at, acknowledged_by, told"
    };
}
pub(crate) use alert_columns;

type FirstOfAlert = (
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

/// What is [`FirstOfAlert`], then how much there is of it and what was told of that.
pub(crate) struct AlertColumns {
    first: FirstOfAlert,
    told: Option<String>,
}

impl<'r, R: Row> FromRow<'r, R> for AlertColumns
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self { first: FromRow::from_row(row)?, told: row.try_get(16)? })
    }
}

/// How much there is of it, when people were told and how much there was then.
type ToldText = (u64, Option<(i64, u64)>);

fn told_text(alert: &Alert) -> String {
    let told: ToldText = (alert.size, alert.told.map(|(at, size)| (at.micros(), size)));
    serde_json::to_string(&told).expect("numbers always serialise")
}

fn told_of(text: Option<String>) -> Result<ToldText, Error> {
    let Some(text) = text else { return Ok((1, None)) };
    serde_json::from_str(&text).map_err(|_| Error::damaged("what was told of an alert", text))
}

/// Programs from before the word for it take it for the beginning.
const fn word_of(news: News) -> &'static str {
    match news {
        News::Raised | News::Still => News::Raised.as_str(),
        News::Resolved => News::Resolved.as_str(),
    }
}

pub(crate) fn alert(row: AlertColumns) -> Result<Alert, Error> {
    let (size, told) = told_of(row.told)?;
    let row = row.first;
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
            let news = if news == News::Raised && told.is_some() { News::Still } else { news };
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
        size,
        told: told.map(|(at, size)| (timestamp(at), size)),
        news,
        acknowledged: acknowledged_by.zip(acknowledged_at.map(timestamp)),
    })
}

/// Id, kind, shop, subject, SKU, text, first seen, last seen, count, raised at, missing since, resolved at, news, news at,
/// told.
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
        alert.news.map(|(news, _)| word_of(news)),
        alert.news.map(|(_, at)| at.micros()),
        told_text(alert),
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

/// Channel, alert, notice.
pub(crate) fn saved_notice_alerts(new: &NewNotice) -> impl Iterator<Item = (&str, i64, &str)> {
    let notice = &new.notice;
    new.alerts.iter().map(|alert| (notice.channel.as_str(), *alert, notice.id.as_str()))
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

/// What is stored of a reading, and the shop after it.
pub(crate) struct ReadingOfShop {
    columns: ReadingColumns,
    shop: i64,
}

impl<'r, R: Row> FromRow<'r, R> for ReadingOfShop
where
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self { columns: FromRow::from_row(row)?, shop: row.try_get(13)? })
    }
}

pub(crate) fn reading_of_shop(row: ReadingOfShop) -> Result<Reading, Error> {
    reading(id("shop", row.shop)?, row.columns)
}

/// 0 stands for none in keys.
fn some_shop(shop: i64) -> Result<Option<ShopId>, Error> {
    if shop == 0 { Ok(None) } else { id("shop", shop).map(Some) }
}
