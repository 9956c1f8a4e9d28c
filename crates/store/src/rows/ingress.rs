//! What ingress keeps, as rows: cursors, settles, tasks, readings.

use std::time::Duration;

use values::{ShopId, Timestamp};

use super::{id, listing, stock_id, timestamp, unsigned};
use crate::error::Error;
use crate::ingress::{Cursor, SettleJob, SettleWanted};
use crate::reading::{
    BreakerWord, CallsMade, FAILURE_CHARS_MAX, KnownListing, ListingReread, Reading, Reread,
    TASK_PHASE_CHARS_MAX, TASK_REPORT_BYTES_MAX, Task, TaskKind, TaskProgress, TaskState,
};
use crate::webhooks::{CONDITION_CHARS_MAX, Condition, ConditionKind, KeptWebhook};

/// Shop time, hub time, page.
pub(crate) fn cursor(row: (i64, i64, i64)) -> Result<Cursor, Error> {
    let (shop_time, hub_time, page) = row;
    Ok(Cursor {
        shop_time: timestamp(shop_time),
        hub_time: timestamp(hub_time),
        page: u32::try_from(page).map_err(|_| Error::damaged("page", page))?,
    })
}

/// Shop, holder, why, due at, wanted.
pub(crate) type SettleColumns = (i64, i64, String, i64, i64);

pub(crate) fn settle_job(row: SettleColumns) -> Result<SettleJob, Error> {
    let (shop, holder, why, due_at, wanted) = row;
    let want = SettleWanted { stock: stock_id(shop, holder)?, why, due_at: timestamp(due_at) };
    Ok(SettleJob { want, wanted: unsigned("count", wanted)? })
}

/// What asks for the settles, sorted.
pub(crate) fn settle_rows(wants: &[SettleWanted]) -> Vec<(i64, i64, &str, i64)> {
    let mut rows: Vec<_> = wants
        .iter()
        .map(|want| (want.stock.shop.get(), want.stock.holder.get(), want.why.as_str(), want.due_at.micros()))
        .collect();
    rows.sort_unstable();
    rows
}

/// Order, wanted.
/// Id, how often it was asked for, then product, variation, code and name of what is known.
pub(crate) type ListingRereadColumns = (i64, i64, Option<i64>, Option<i64>, Option<String>, Option<String>);

pub(crate) fn listing_reread(row: ListingRereadColumns) -> Result<ListingReread, Error> {
    let (number, wanted, product, variation, code, name) = row;
    let known = product.map(|product| {
        Ok(KnownListing {
            listing: listing(product, variation.unwrap_or(0))?,
            sku: code.and_then(|code| code.parse().ok()),
            name: name.unwrap_or_default(),
        })
    });
    Ok(ListingReread {
        id: id("product or variation", number)?,
        wanted: unsigned("count", wanted)?,
        known: known.transpose()?,
    })
}

pub(crate) fn reread(row: (i64, i64)) -> Result<Reread, Error> {
    let (order, wanted) = row;
    Ok(Reread { order: id("order id", order)?, wanted: unsigned("count", wanted)? })
}

/// The columns of [`TaskColumns`].
macro_rules! task_columns {
    () => {
        "id, shop, kind, state, done, total, phase, report, created_at, updated_at"
    };
}
pub(crate) use task_columns;

pub(crate) type TaskColumns = (i64, i64, String, String, i64, Option<i64>, String, String, i64, i64);

pub(crate) fn task(row: TaskColumns) -> Result<Task, Error> {
    let (number, shop, kind, state, done, total, phase, report, created_at, updated_at) = row;
    Ok(Task {
        id: number,
        shop: id("shop id", shop)?,
        kind: TaskKind::from_word(&kind).ok_or_else(|| Error::damaged("task kind", kind))?,
        progress: TaskProgress {
            state: TaskState::from_word(&state).ok_or_else(|| Error::damaged("task state", state))?,
            done: unsigned("count", done)?,
            total: total.map(|total| unsigned("count", total)).transpose()?,
            phase,
            report,
        },
        created_at: timestamp(created_at),
        updated_at: timestamp(updated_at),
    })
}

/// Phase and report of a task as they are kept. Cut JSON is none: a report that is too long is its writer's mistake, and
/// left out.
pub(crate) fn report_texts(progress: &TaskProgress) -> (String, &str) {
    let phase = progress.phase.chars().take(TASK_PHASE_CHARS_MAX).collect();
    let report = if progress.report.len() <= TASK_REPORT_BYTES_MAX { progress.report.as_str() } else { "{}" };
    (phase, report)
}

/// Polled at, failing since, failure, failed at, breaker, resting until, blind at, pinged at, audited at, catalogued at, calls, poll period,
/// refused.
pub(crate) type ReadingColumns = (
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
    bool,
);

pub(crate) fn reading(shop: ShopId, row: ReadingColumns) -> Result<Reading, Error> {
    let (
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
        refused,
    ) = row;
    let at = |micros: Option<i64>| -> Option<Timestamp> { micros.map(timestamp) };
    Ok(Reading {
        shop,
        polled_at: at(polled),
        failing_since: at(failing),
        failure,
        failed_at: at(failed),
        refused,
        breaker: BreakerWord::from_word(&breaker).ok_or_else(|| Error::damaged("breaker state", breaker))?,
        resting_until: at(resting),
        blind_at: at(blind),
        pinged_at: at(pinged),
        audited_at: at(audited),
        catalogued_at: at(catalogued),
        poll_period: poll.map(|millis| unsigned("period", millis).map(Duration::from_millis)).transpose()?,
        calls: calls_made(&calls)?,
    })
}

fn calls_made(text: &str) -> Result<CallsMade, Error> {
    if text.is_empty() {
        return Ok(CallsMade::default());
    }
    serde_json::from_str(text).map_err(|_| Error::damaged("calls", text))
}

/// The calls of a reading as they are kept.
pub(crate) fn calls_text(reading: &Reading) -> String {
    serde_json::to_string(&reading.calls).expect("text and numbers always serialise")
}

/// The time between polls of a reading as it is kept.
pub(crate) fn poll_millis(reading: &Reading) -> Option<i64> {
    reading.poll_period.map(|period| i64::try_from(period.as_millis()).unwrap_or(i64::MAX))
}

/// The failure of a reading as it is kept.
pub(crate) fn failure_text(reading: &Reading) -> String {
    reading.failure.chars().take(FAILURE_CHARS_MAX).collect()
}

/// Topic, webhook, mark, made at, delivered at.
pub(crate) type WebhookColumns = (String, Option<i64>, Option<String>, Option<i64>, Option<i64>);

pub(crate) fn kept_webhook(row: WebhookColumns) -> KeptWebhook {
    let (topic, webhook, mark, made, delivered) = row;
    let at = |micros: Option<i64>| micros.map(timestamp);
    KeptWebhook { topic, webhook, mark, made_at: at(made), delivered_at: at(delivered) }
}

/// Kind, what, since, seen at, cleared at.
pub(crate) type ConditionColumns = (String, String, i64, i64, Option<i64>);

pub(crate) fn condition(shop: ShopId, row: ConditionColumns) -> Result<Condition, Error> {
    let (kind, what, since, seen, cleared) = row;
    Ok(Condition {
        shop,
        kind: ConditionKind::from_word(&kind).ok_or_else(|| Error::damaged("condition", kind))?,
        what,
        since: timestamp(since),
        seen_at: timestamp(seen),
        cleared_at: cleared.map(timestamp),
    })
}

/// The text of a condition as it is kept.
pub(crate) fn condition_text(what: &str) -> String {
    what.chars().take(CONDITION_CHARS_MAX).collect()
}
