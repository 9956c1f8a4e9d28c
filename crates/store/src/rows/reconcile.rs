//! Runs and daily counts, as rows.

use std::collections::BTreeMap;

use values::{HolderId, Quantity, ReadNumber, ShopId};

use super::{id, json, quantity, sku, some_id, thousandths, timestamp, unsigned};
use crate::error::Error;
use crate::reconcile::{
    AGREED, Answer, Comparison, DayCount, HubCount, RUN_FAILURE_CHARS_MAX, Run, RunAnswer, RunCause, RunJob,
    RunLeft, RunRead, RunState, RunStock, RunTotal, RunVerdict, Schedule, Scheduled, StockSum,
};

/// The columns of [`RunColumns`].
macro_rules! run_columns {
    () => {
        "id, shop, dry_run, cause, chosen, state, deadline, reads, calls, totals, failure, created_at, started_at, \
         ended_at"
    };
}
pub(crate) use run_columns;

pub(crate) type RunColumns =
    (i64, i64, bool, String, bool, String, i64, i64, i64, String, String, i64, Option<i64>, Option<i64>);

pub(crate) fn run_row(row: RunColumns) -> Result<Run, Error> {
    let (
        number,
        shop,
        dry_run,
        cause,
        chosen,
        state,
        deadline,
        reads,
        calls,
        totals,
        failure,
        created,
        started,
        ended,
    ) = row;
    Ok(Run {
        id: number,
        shop: id("shop id", shop)?,
        dry_run,
        cause: RunCause::from_word(&cause).ok_or_else(|| Error::damaged("cause of a run", cause))?,
        chosen,
        state: RunState::from_word(&state).ok_or_else(|| Error::damaged("state of a run", state))?,
        deadline: timestamp(deadline),
        reads: unsigned("count", reads)?,
        calls: unsigned("count", calls)?,
        totals: totals_of(&totals)?,
        failure,
        created_at: timestamp(created),
        started_at: started.map(timestamp),
        ended_at: ended.map(timestamp),
    })
}

fn totals_of(text: &str) -> Result<Vec<RunTotal>, Error> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String, u64)> =
        serde_json::from_str(text).map_err(|_| Error::damaged("totals of a run", text))?;
    Ok(rows.into_iter().map(|(class, action, stocks)| RunTotal { class, action, stocks }).collect())
}

/// Class, action, stocks.
pub(crate) type TotalColumns = (String, String, i64);

pub(crate) fn totals_text(rows: &[TotalColumns]) -> String {
    json(rows)
}

pub(crate) fn total(row: TotalColumns) -> Result<RunTotal, Error> {
    let (class, action, stocks) = row;
    Ok(RunTotal { class, action, stocks: unsigned("count", stocks)? })
}

pub(crate) fn failure_kept(failure: &str) -> String {
    failure.chars().take(RUN_FAILURE_CHARS_MAX).collect()
}

/// The columns of [`RunStockColumns`].
macro_rules! run_stock_columns {
    () => {
        "holder, parent, sku, tries, number, shown, class, action, expected, difference"
    };
}
pub(crate) use run_stock_columns;

pub(crate) type RunStockColumns = (
    i64,
    Option<i64>,
    Option<String>,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

pub(crate) fn run_stock(row: RunStockColumns) -> Result<RunStock, Error> {
    let (holder, parent, code, tries, number, shown, class, action, expected, difference) = row;
    Ok(RunStock {
        holder: id("stock", holder)?,
        parent: some_id("product", parent)?,
        sku: code.as_deref().map(sku).transpose()?,
        tries: count32(tries)?,
        number: number.map(|number| unsigned("read number", number).map(ReadNumber::new)).transpose()?,
        shown: shown.map(quantity),
        class,
        action,
        expected: expected.map(quantity),
        difference: difference.map(quantity),
    })
}

fn count32(raw: i64) -> Result<u32, Error> {
    u32::try_from(raw).map_err(|_| Error::damaged("count", raw))
}

/// Holder, parent.
pub(crate) fn run_job(row: (i64, Option<i64>)) -> Result<RunJob, Error> {
    Ok(RunJob { holder: id("stock", row.0)?, parent: some_id("product", row.1)? })
}

/// Holder, shown, class.
pub(crate) fn read_rows(reads: &[RunRead]) -> Vec<(i64, Option<i64>, Option<&'static str>)> {
    let mut rows: Vec<_> =
        reads.iter().map(|read| (read.holder.get(), thousandths(read.shown), read.class)).collect();
    rows.sort_unstable();
    rows
}

/// Holder, tries, shown, whether it was looked at, whether that proved anything, class, action, difference, whether it is
/// removed.
pub(crate) type AnswerColumns =
    (i64, i64, Option<i64>, bool, bool, Option<String>, Option<String>, Option<i64>, bool);

pub(crate) fn answer(row: AnswerColumns) -> Result<RunAnswer, Error> {
    let (holder, tries, shown, seen, proven, class, action, difference, removed) = row;
    let answer = if removed {
        Answer::Removed
    } else if proven {
        Answer::Proven {
            class: class.unwrap_or_else(|| AGREED.to_owned()),
            action: action.unwrap_or_else(|| "none".to_owned()),
            difference: difference.map_or(Quantity::ZERO, quantity),
        }
    } else if seen {
        Answer::NotProven
    } else {
        Answer::Overdue
    };
    Ok(RunAnswer { holder: id("stock", holder)?, tries: count32(tries)?, shown: shown.map(quantity), answer })
}

/// Holder, state, due at, class, action, expected, difference.
pub(crate) type VerdictColumns<'a> =
    (i64, &'static str, i64, Option<&'a str>, Option<&'a str>, Option<i64>, Option<i64>);

pub(crate) fn verdict_rows(verdicts: &[RunVerdict]) -> Vec<VerdictColumns<'_>> {
    let row = |verdict: &RunVerdict| -> (HolderId, &'static str, i64) {
        match verdict {
            RunVerdict::Judged { holder, .. } => (*holder, "judged", 0),
            RunVerdict::Again { holder, due_at } => (*holder, "open", due_at.micros()),
        }
    };
    let mut rows: Vec<VerdictColumns<'_>> = verdicts
        .iter()
        .map(|verdict| {
            let (holder, state, due_at) = row(verdict);
            match verdict {
                RunVerdict::Judged { class, action, expected, difference, .. } => (
                    holder.get(),
                    state,
                    due_at,
                    Some(class.as_str()),
                    Some(action.as_str()),
                    thousandths(*expected),
                    thousandths(*difference),
                ),
                RunVerdict::Again { .. } => (holder.get(), state, due_at, None, None, None, None),
            }
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// Shop, holder, number, class, action, difference.
pub(crate) type ComparisonColumns = (i64, i64, i64, Option<&'static str>, &'static str, i64);

pub(crate) fn comparison_rows(found: &[Comparison]) -> Vec<ComparisonColumns> {
    let mut rows: Vec<_> = found
        .iter()
        .map(|found| {
            let (shop, holder) = (found.stock.shop.get(), found.stock.holder.get());
            let number = super::signed(found.number.get());
            (shop, holder, number, found.class, found.action, found.difference.thousandths())
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// Reconcile, since, last at.
pub(crate) fn scheduled(row: (String, i64, Option<i64>)) -> Result<Scheduled, Error> {
    let (text, since, last_at) = row;
    let schedule: Schedule = text.parse().map_err(|_| Error::damaged("schedule", text))?;
    Ok(Scheduled { schedule, since: timestamp(since), last_at: last_at.map(timestamp) })
}

/// Day, at, shop's orders, hub's orders, shop's stocks and sum, hub's stocks, expected and level.
pub(crate) type CountColumns = (i64, i64, String, String, Option<i64>, Option<i64>, i64, i64, i64);

pub(crate) fn day_count(shop: ShopId, row: CountColumns) -> Result<DayCount, Error> {
    let (day, at, shop_orders, hub_orders, stocks, sum, hub_stocks, expected, level) = row;
    let shop_stocks = match (stocks, sum) {
        (Some(stocks), Some(sum)) => {
            Some(StockSum { stocks: unsigned("count", stocks)?, sum: quantity(sum) })
        }
        _ => None,
    };
    Ok(DayCount {
        shop,
        day,
        at: timestamp(at),
        shop_orders: by_status(&shop_orders)?,
        shop_stocks,
        hub: HubCount {
            orders: by_status(&hub_orders)?,
            stocks: unsigned("count", hub_stocks)?,
            expected: quantity(expected),
            level: quantity(level),
        },
    })
}

fn by_status(text: &str) -> Result<BTreeMap<String, u64>, Error> {
    serde_json::from_str(text).map_err(|_| Error::damaged("orders by status", text))
}

/// Status and how many.
pub(crate) fn status_counts(rows: Vec<(String, i64)>) -> Result<BTreeMap<String, u64>, Error> {
    rows.into_iter().map(|(status, count)| Ok((status, unsigned("count", count)?))).collect()
}

/// State, whether variations, how many.
pub(crate) fn run_left(rows: Vec<(String, bool, i64)>) -> Result<RunLeft, Error> {
    let mut left = RunLeft::default();
    for (state, variations, count) in rows {
        let count = unsigned("count", count)?;
        match (state.as_str(), variations) {
            ("open", false) => left.products = count,
            ("open", true) => left.variations = count,
            _ => left.read += count,
        }
    }
    Ok(left)
}
