//! Comparing whole shops with the ledger: asked for here, done by ingress, followed and listed here.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process::clock;
use serde::{Deserialize, Serialize};
use store::{
    AGREED, NewRun, RUN_CHOSEN_MAX, Run, RunAdded, RunCause, RunState, RunStock, Schedule, Shop, ShopState,
};
use utoipa::ToSchema;
use values::{HolderId, ShopId, Sku};

use super::extract::{Body, Path, Query};
use super::names::{self, Shops};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::wire::{Amount, Time};
use super::{Served, Shared, stock};
use crate::error::patiently_once;

/// Time that a comparison is given when nothing is said, in seconds. 100,000 stocks at a call a second take half of it.
const TIMEOUT_SECONDS_DEFAULT: u64 = 3_600;
const TIMEOUT_SECONDS_MIN: u64 = 60;
const TIMEOUT_SECONDS_MAX: u64 = 24 * 3_600;
/// The word for no schedule.
const OFF: &str = "off";

/// How a shop is to be compared.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Reconcile)]
pub(super) struct Asked {
    /// Compare and change nothing, in the shop, in the ledger or in what is known of the shop.
    #[serde(default)]
    dry_run: bool,
    /// Only these, at most 1000; every stock if left out.
    #[schema(example = json!(["TEE-RED-M"]))]
    skus: Option<Vec<String>>,
    /// What is not decided after so many seconds is left unsettled: 60 to 86400, 3600 if left out.
    #[schema(example = 3600)]
    timeout_seconds: Option<u64>,
}

/// A comparison of a shop with the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub(super) struct RunBody {
    /// Its number.
    #[schema(example = 1)]
    id: i64,
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// It changes nothing.
    dry_run: bool,
    /// `asked` or `scheduled`.
    #[schema(example = "asked")]
    cause: &'static str,
    /// Only stocks that were named are compared.
    chosen: bool,
    /// `waiting`, `running`, `done` or `failed`.
    #[schema(example = "done")]
    state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// Reads of stocks, each of at most 100.
    reads: u64,
    /// Calls to the shop that those took.
    calls: u64,
    /// Stocks that were decided on.
    decided: u64,
    /// Stocks that were not yet; 0 once it ended.
    left: u64,
    /// Of those decided, the ones that show what they should.
    agreed: u64,
    /// Of those decided, the ones that did not, whatever was done about it.
    drifted: u64,
    /// Of those decided, the ones that nothing could be proven of in time.
    unsettled: u64,
    /// All that were decided on, by class and action.
    totals: Vec<Total>,
    /// When it was asked for.
    created_at: Time,
    /// When reading began.
    started_at: Option<Time>,
    /// When it ended.
    ended_at: Option<Time>,
    /// What is not decided by then is left unsettled.
    deadline: Time,
}

/// How many stocks of a class.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReconciliationTotal)]
struct Total {
    /// The class.
    #[schema(example = "edit_up")]
    class: String,
    /// What was done; in a dry run what would have been.
    #[schema(example = "corrected")]
    action: String,
    /// How many.
    #[schema(example = 3)]
    stocks: u64,
}

/// What a comparison found of a stock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReconciledStock)]
pub(super) struct StockBody {
    /// What it holds.
    #[schema(example = "TEE-RED-M")]
    sku: Option<String>,
    /// The product.
    #[schema(example = 17)]
    product: i64,
    /// The variation, if that keeps the quantity.
    variation: Option<i64>,
    /// What it should have shown, if that is known.
    expected: Option<Amount>,
    /// What it showed.
    shown: Option<Amount>,
    /// How much more it showed.
    difference: Option<Amount>,
    /// What it is; `null` while that is open.
    #[schema(example = "edit_up")]
    class: Option<String>,
    /// What was done about it; in a dry run what would have been.
    #[schema(example = "corrected")]
    action: Option<String>,
    /// How often it was read.
    #[schema(example = 1)]
    tries: u32,
}

impl RunBody {
    fn new(run: Run, shops: &Shops, left: u64) -> Self {
        let count = |wanted: fn(&str) -> bool| {
            run.totals.iter().filter(|total| wanted(&total.class)).map(|total| total.stocks).sum()
        };
        Self {
            id: run.id,
            shop: shops.name(run.shop),
            dry_run: run.dry_run,
            cause: run.cause.as_str(),
            chosen: run.chosen,
            state: run.state.as_str(),
            failure: Some(run.failure).filter(|failure| !failure.is_empty()),
            reads: run.reads,
            calls: run.calls,
            decided: count(|_| true),
            left,
            agreed: count(|class| class == AGREED),
            drifted: count(is_drift),
            unsettled: count(|class| class == "unsettled"),
            totals: run
                .totals
                .into_iter()
                .map(|total| Total { class: total.class, action: total.action, stocks: total.stocks })
                .collect(),
            created_at: run.created_at.into(),
            started_at: run.started_at.map(Into::into),
            ended_at: run.ended_at.map(Into::into),
            deadline: run.deadline.into(),
        }
    }
}

/// Whether it showed something else than it should have.
fn is_drift(class: &str) -> bool {
    !matches!(class, AGREED | "first_look" | "unsettled" | "unmapped" | "unmanaged" | "gone" | "unusable")
}

impl From<RunStock> for StockBody {
    fn from(row: RunStock) -> Self {
        let (product, variation) = match row.parent {
            Some(parent) => (parent.get(), Some(row.holder.get())),
            None => (row.holder.get(), None),
        };
        Self {
            sku: row.sku.map(|sku| sku.to_string()),
            product,
            variation,
            expected: row.expected.map(Into::into),
            shown: row.shown.map(Into::into),
            difference: row.difference.map(Into::into),
            class: row.class,
            action: row.action,
            tries: row.tries,
        }
    }
}

/// Compare a shop with the ledger
///
/// Every stock is read once, 100 in a call, and compared with what it should show once every order of that time is known.
/// One that orders or pushes touch meanwhile is read again, at most three times, and else left `unsettled`. What is found
/// is put right as the shop's policy says, by the same settle that finds it, so exactly once. With `dry_run` nothing
/// changes. A shop has one comparison at a time; asking once more for one of all its stocks answers the one under way.
#[utoipa::path(post, path = "/shops/{name}/reconcile", tag = "reconciliation", operation_id = "reconcile_shop",
    request_body = Asked, params(("name" = String, Path, description = "Name of the shop")),
    responses((status = 202, body = RunBody)))]
pub(super) async fn start(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Body(asked): Body<Asked>,
) -> Result<(StatusCode, Json<RunBody>), Problem> {
    let shop = names::shop(&parts.store, &name).await?;
    if shop.state != ShopState::Active {
        return Err(Problem::new(
            Kind::NotNow,
            format!("shop {name:?} is still being connected; its stocks are compared as part of that"),
        ));
    }
    let timeout = asked.timeout_seconds.unwrap_or(TIMEOUT_SECONDS_DEFAULT);
    if !(TIMEOUT_SECONDS_MIN..=TIMEOUT_SECONDS_MAX).contains(&timeout) {
        return Err(Problem::invalid(format!(
            "timeout_seconds must be from {TIMEOUT_SECONDS_MIN} to {TIMEOUT_SECONDS_MAX}"
        )));
    }
    let chosen = match &asked.skus {
        None => None,
        Some(skus) => Some(holders(&parts, &shop, skus).await?),
    };
    let now = clock::now();
    let new = NewRun {
        shop: shop.id,
        dry_run: asked.dry_run,
        cause: RunCause::Asked,
        deadline: now + Duration::from_secs(timeout),
        chosen,
    };
    let run = match patiently_once(|| parts.store.add_run(&new, now)).await? {
        RunAdded::Added(run) => run,
        RunAdded::UnderWay(run) => same(&parts, run, &new).await?,
    };
    Ok((StatusCode::ACCEPTED, Json(body(&parts, run).await?)))
}

/// The one under way, if it does what is asked for.
async fn same(parts: &Served, run: i64, new: &NewRun) -> Result<i64, Problem> {
    let open = parts.store.run(run).await?;
    let alike = |open: &Run| open.dry_run == new.dry_run && !open.chosen && new.chosen.is_none();
    if open.as_ref().is_some_and(alike) {
        return Ok(run);
    }
    Err(Problem::new(
        Kind::NotNow,
        format!("comparison {run} of the shop is under way, and it is another; ask again when it has ended"),
    ))
}

/// The stocks of the shop that hold these.
async fn holders(parts: &Served, shop: &Shop, skus: &[String]) -> Result<Vec<HolderId>, Problem> {
    let wanted: BTreeSet<Sku> = skus.iter().map(|text| stock::sku(text)).collect::<Result<_, _>>()?;
    if wanted.is_empty() || wanted.len() > RUN_CHOSEN_MAX {
        return Err(Problem::invalid(format!("skus must name 1 to {RUN_CHOSEN_MAX} SKUs")));
    }
    let wanted: Vec<Sku> = wanted.into_iter().collect();
    let rows = parts.store.stock_of(&wanted).await?;
    let sold = |sku: &Sku| {
        let row = rows.iter().find(|row| row.sku == *sku)?;
        let stock = row.stocks.iter().find(|stock| stock.id.shop == shop.id && !stock.removed)?;
        Some(stock.id.holder)
    };
    wanted
        .iter()
        .map(|sku| {
            sold(sku).ok_or_else(|| {
                Problem::invalid(format!("shop {:?} sells no SKU {:?}", shop.name, sku.as_str()))
            })
        })
        .collect()
}

async fn body(parts: &Served, run: i64) -> Result<RunBody, Problem> {
    let found = parts.store.run(run).await?;
    let found = found.ok_or_else(|| Problem::not_found(format_args!("comparison {run}")))?;
    let left = if matches!(found.state, RunState::Waiting | RunState::Running) {
        let left = parts.store.run_left(run).await?;
        left.products + left.variations + left.read
    } else {
        0
    };
    let shops = Shops::load(&parts.store, [found.shop]).await?;
    Ok(RunBody::new(found, &shops, left))
}

/// Read a comparison
#[utoipa::path(get, path = "/reconciliations/{id}", tag = "reconciliation", operation_id = "read_reconciliation",
    params(("id" = i64, Path, description = "Its number")), responses((status = 200, body = RunBody)))]
pub(super) async fn read(State(parts): State<Shared>, Path(id): Path<i64>) -> Result<Json<RunBody>, Problem> {
    Ok(Json(body(&parts, id).await?))
}

/// List what a comparison found
///
/// By product. Of a comparison of a whole shop that has ended, stocks that agreed are only counted.
#[utoipa::path(get, path = "/reconciliations/{id}/stocks", tag = "reconciliation",
    operation_id = "list_reconciled_stocks",
    params(("id" = i64, Path, description = "Number of the comparison"), PageQuery),
    responses((status = 200, body = Page<StockBody>)))]
pub(super) async fn stocks(
    State(parts): State<Shared>,
    Path(id): Path<i64>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<StockBody>>, Problem> {
    let asked = query.of("reconciled")?;
    let after = asked.after(|key| key.parse::<HolderId>().ok())?;
    if parts.store.run(id).await?.is_none() {
        return Err(Problem::not_found(format_args!("comparison {id}")));
    }
    let rows = parts.store.run_stocks(id, after, asked.limit).await?;
    Ok(Json(asked.page(rows, |row| row.holder.to_string(), StockBody::from)))
}

/// List the comparisons of a shop
///
/// The latest first; they are kept for 90 days.
#[utoipa::path(get, path = "/shops/{name}/reconciliations", tag = "reconciliation",
    operation_id = "list_reconciliations",
    params(("name" = String, Path, description = "Name of the shop"), PageQuery),
    responses((status = 200, body = Page<RunBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<RunBody>>, Problem> {
    let asked = query.of("reconciliations")?;
    let shop = names::shop(&parts.store, &name).await?;
    let before = asked.after(|key| key.parse::<i64>().ok())?;
    let runs = parts.store.runs(shop.id, before, asked.limit).await?;
    let shops = Shops::load(&parts.store, [shop.id]).await?;
    Ok(Json(asked.page(runs, |run| run.id.to_string(), |run| RunBody::new(run, &shops, 0))))
}

/// A schedule as people write it; `off` is none.
pub(super) fn schedule(text: &str) -> Result<Option<Schedule>, Problem> {
    if text == OFF {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| Problem::invalid(format!("reconcile is {text:?}: {error}")))
}

/// When a shop is compared by itself, as people write it.
pub(super) async fn schedule_text(parts: &Served, shop: ShopId) -> Result<String, Problem> {
    let scheduled = parts.store.schedule(shop).await?;
    Ok(scheduled.map_or_else(|| OFF.to_owned(), |scheduled| scheduled.schedule.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_compared_is_no_drift() {
        for class in [AGREED, "first_look", "unsettled", "unmapped", "unmanaged", "gone", "unusable"] {
            assert!(!is_drift(class), "{class}");
        }
        for class in ["lost_update", "edit_up", "edit_down", "bulk_edit", "doubtful_call"] {
            assert!(is_drift(class), "{class}");
        }
    }

    #[test]
    fn schedules_are_read() {
        assert_eq!(schedule("off").unwrap(), None);
        assert_eq!(schedule("every 6h").unwrap(), Some(Schedule::Every(6)));
        assert!(schedule("sometimes").is_err());
    }
}
