//! Stock from CSV files of any make: all lines are checked before the first is applied.
//!
//! A file is spilled to disk as it comes and read twice from there, so memory does not grow with it. Counts and receipts are
//! applied in transactions of a thousand lines, each under its own idempotency key: nothing can refuse a line once all are
//! checked, and an import that was cut off goes on where it was when it is sent again under the same key. Adjustments may
//! take more than is available, so a file of them is one transaction of at most a thousand lines.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

mod checked;
mod columns;
mod lines;
mod number;
mod progress;
mod spill;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use ledger::Operation;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};
use values::{Quantity, Sku, WarehouseId};

use super::auth::Caller;
use super::extract::Query;
use super::keys::Key;
use super::names::Warehouses;
use super::operations::{REPLAYED, key_reused, reason_of, reason_text};
use super::problem::{Kind, Problem, Reason};
use super::{Served, Shared};
use crate::error::patiently;
use crate::{OPERATIONS_MAX, Operated, OperationRequest, OperationRow};
use checked::Checked;
pub(super) use checked::refusal;
pub(super) use lines::inert;
use lines::{Line, Lines, Terms};
use progress::{Claim, Progress};

/// Imports under way at a time: each keeps a file and what it needs to find lines said twice.
const IMPORTS_MAX: usize = 2;

/// What the quantities of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportMode)]
pub(super) enum Mode {
    /// What is there: on hand is set to it. What is not in the file stays as it is.
    Count,
    /// What came in: it is added.
    Receive,
    /// Corrections: added, taken off if negative. At most 1000 lines.
    Adjust,
}

impl Mode {
    const fn word(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Receive => "receive",
            Self::Adjust => "adjust",
        }
    }
}

/// How to import.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ImportQuery {
    /// Only say what would be done and what is wrong.
    #[serde(default)]
    dry_run: bool,
    /// What the quantities are.
    mode: Mode,
    /// The warehouse of lines that name none.
    #[param(example = "main")]
    warehouse: Option<String>,
    /// Why, for adjustments; `import` if left out.
    reason: Option<String>,
}

/// What an import came to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ImportReport {
    /// What the quantities are.
    mode: Mode,
    /// Nothing was done.
    dry_run: bool,
    /// Lines with a SKU.
    #[schema(example = 120)]
    lines: u64,
    /// Lines that changed something, or would.
    #[schema(example = 118)]
    changed: u64,
    /// Lines that cannot be imported; only of a dry run.
    #[schema(example = 0)]
    refused: u64,
    /// What is wrong with them, the first thousand.
    problems: Vec<LineProblem>,
    /// Columns that were not looked at.
    ignored_columns: Vec<String>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct LineProblem {
    /// The line, as an editor counts.
    #[schema(example = 7)]
    pub(super) line: u64,
    /// What is wrong.
    #[schema(example = "\"abc\" is not a quantity: digits with at most one decimal point are wanted")]
    pub(super) problem: String,
}

/// What all imports share.
#[derive(Debug, Clone)]
pub(super) struct Imports(Arc<Semaphore>);

impl Default for Imports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(IMPORTS_MAX)))
    }
}

/// Import stock from CSV
///
/// The first line names the columns, in any order and in any case: `sku` (or `code`, `item`, `item_code`, `product_code`,
/// `article`, `article_number`, `artikelnummer`, `артикул`), `quantity` (or `qty`, `amount`, `stock`, `counted`, `on_hand`,
/// `menge`, `количество`), and, unless all lines are of one warehouse, `warehouse` (or `location`, `stock_location`,
/// `lager`, `склад`). A `name` (or `title`, `product_name`, `bezeichnung`, `название`) is kept with the SKU. Other columns are
/// ignored. Separated by `;`, `,` or tab; UTF-8 with or without a byte order mark; at
/// most 16 MiB and 250000 lines. Decimals have a point or a comma; thousands have no separator.
///
/// All lines are checked before any is applied. If one is wrong nothing is imported, and each wrong line is named in `rows`.
/// Needs an `Idempotency-Key`, except for a count, which may be repeated, and a dry run: sent again under its key, an import
/// that was cut off goes on where it was, and one that is done is answered with its report.
#[utoipa::path(post, path = "/imports", tag = "stock", operation_id = "import_stock",
    params(ImportQuery, ("Idempotency-Key" = Option<String>, Header, description = "Your own name for this import")),
    request_body(content = String, content_type = "text/csv", example = json!("sku;warehouse;quantity\nTEE-RED-M;main;12\n")),
    responses((status = 200, body = ImportReport)))]
pub(super) async fn import(
    State(parts): State<Shared>,
    Extension(imports): Extension<Imports>,
    caller: Caller,
    key: Key,
    Query(query): Query<ImportQuery>,
    body: Body,
) -> Result<Response, Problem> {
    let _slot = imports.0.try_acquire_owned().map_err(|_| {
        Problem::new(Kind::Unavailable, "other imports are under way; nothing was done, repeating is safe")
    })?;
    let key = import_key(&query, key)?;
    let query =
        ImportQuery { reason: reason_text(query.reason.as_deref()).map_err(Problem::invalid)?, ..query };
    let terms = Arc::new(terms(&parts, &query).await?);
    let spilled = spill::spill(body, &query).await?;
    let checked = read(move || Checked::read(spilled.file, terms)).await??;
    if query.dry_run {
        return dry_run(&parts, &caller, &query, checked).await;
    }
    if checked.problem_count > 0 {
        return Err(checked.refusal());
    }
    let progress = Progress { store: &parts.store, actor: &caller.name, key: &key, digest: spilled.digest };
    match progress.claim().await? {
        Claim::Done(report) => {
            let report: ImportReport = serde_json::from_str(&report).map_err(Problem::internal)?;
            let mut response = Json(report).into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return Ok(response);
        }
        Claim::KeyReused => return Err(key_reused(&key)),
        Claim::ToDo => {}
    }
    let mut report = checked.report(&query);
    report.changed = apply(&parts, &caller, &query, &key, checked.lines).await?;
    progress.done(&serde_json::to_string(&report).map_err(Problem::internal)?).await?;
    Ok(Json(report).into_response())
}

fn import_key(query: &ImportQuery, key: Key) -> Result<String, Problem> {
    match key.0 {
        Some(key) => Ok(key),
        // Made up: a dry run does nothing, a count does the same again.
        None if query.dry_run || query.mode == Mode::Count => Ok(uuid::Uuid::new_v4().to_string()),
        None => key.required(),
    }
}

async fn terms(parts: &Served, query: &ImportQuery) -> Result<Terms, Problem> {
    let warehouses = Warehouses::load(&parts.store).await?;
    let default = query.warehouse.as_deref().map(|name| warehouses.find_owned(name)).transpose();
    Ok(Terms { default: default.map_err(Problem::invalid)?, mode: query.mode, warehouses })
}

/// Does what reads files where waiting for them holds nobody up.
async fn read<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)
}

async fn dry_run(
    parts: &Served,
    caller: &Caller,
    query: &ImportQuery,
    checked: Checked,
) -> Result<Response, Problem> {
    let mut report = checked.report(query);
    if report.refused == 0 {
        let mut lines = checked.lines;
        loop {
            let (rest, chunk) = read(move || chunk(lines)).await??;
            lines = rest;
            if chunk.is_empty() {
                break;
            }
            report.changed += changes(parts, query.mode, &chunk).await?;
            if query.mode == Mode::Adjust {
                let key = format!("import:dry-run:{}", uuid::Uuid::new_v4());
                match operate(parts, caller, query, &key, &chunk).await? {
                    Operated::Refused(refusals) => report.problems = refused(&chunk, &refusals),
                    Operated::Applied(_) | Operated::Repeated(_) => {}
                    Operated::Conflict | Operated::BadCount => return Err(unexpected()),
                }
                report.refused = u64::try_from(report.problems.len()).unwrap_or(u64::MAX);
            }
        }
    }
    Ok(Json(report).into_response())
}

/// Applies every line; how many changed something.
async fn apply(
    parts: &Served,
    caller: &Caller,
    query: &ImportQuery,
    key: &str,
    mut lines: Lines,
) -> Result<u64, Problem> {
    let mut changed = 0;
    for number in 1_u64.. {
        let (rest, chunk) = read(move || chunk(lines)).await??;
        lines = rest;
        if chunk.is_empty() {
            break;
        }
        let changes = changes(parts, query.mode, &chunk).await?;
        match operate(parts, caller, query, &format!("import:{key}:{number}"), &chunk).await? {
            Operated::Applied(_) => {
                changed += changes;
                name(parts, &chunk).await?;
            }
            // It was done before the import was cut off.
            Operated::Repeated(_) => name(parts, &chunk).await?,
            Operated::Conflict => return Err(key_reused(key)),
            Operated::Refused(refusals) => {
                let reasons = refused(&chunk, &refusals).into_iter();
                let reasons: Vec<Reason> =
                    reasons.map(|wrong| Reason { row: wrong.line, problem: wrong.problem }).collect();
                let count = reasons.len();
                return Err(refusal(Kind::InsufficientAvailable, reasons, count));
            }
            Operated::BadCount => return Err(unexpected()),
        }
    }
    Ok(changed)
}

/// Names go with the SKUs they were said of, the last one where several were.
async fn name(parts: &Served, chunk: &[Line]) -> Result<(), Problem> {
    let named = chunk.iter().filter_map(|line| Some((line.sku.clone(), line.name.clone()?)));
    let names: BTreeMap<Sku, String> = named.collect();
    if !names.is_empty() {
        let names: Vec<_> = names.into_iter().collect();
        patiently(|| parts.store.name_skus(&names)).await?;
    }
    Ok(())
}

fn unexpected() -> Problem {
    Problem::internal("a chunk of an import was refused for its size or key")
}

/// The next lines, as many as go into one transaction.
fn chunk(mut lines: Lines) -> Result<(Lines, Vec<Line>), Problem> {
    let mut chunk = Vec::new();
    while chunk.len() < OPERATIONS_MAX {
        match lines.next()? {
            Some(Ok(line)) => chunk.push(line),
            Some(Err(_)) => {
                return Err(Problem::internal("a line that was right is wrong when it is read again"));
            }
            None => break,
        }
    }
    Ok((lines, chunk))
}

async fn operate(
    parts: &Served,
    caller: &Caller,
    query: &ImportQuery,
    key: &str,
    chunk: &[Line],
) -> Result<Operated, Problem> {
    let reason = match query.mode {
        Mode::Adjust => Some(query.reason.clone().unwrap_or_else(|| "import".to_owned())),
        Mode::Count | Mode::Receive => query.reason.clone(),
    };
    let row = |line: &Line| OperationRow { operation: line.operation(query.mode), reason: reason.clone() };
    let request = OperationRequest {
        requester: caller.requester(),
        key: key.to_owned(),
        rows: chunk.iter().map(row).collect(),
        dry_run: query.dry_run,
    };
    Ok(parts.inventory.operate(&request).await?)
}

fn refused(chunk: &[Line], refusals: &[crate::Refusal]) -> Vec<LineProblem> {
    let problem = |refusal: &crate::Refusal| {
        let line = chunk.get(refusal.index)?;
        Some(LineProblem {
            line: line.number,
            problem: format!("{}: {}", line.sku, reason_of(refusal.cause)),
        })
    };
    refusals.iter().filter_map(problem).collect()
}

/// How many of the lines change something: a count may find what is there already.
async fn changes(parts: &Served, mode: Mode, chunk: &[Line]) -> Result<u64, Problem> {
    let count = |lines: usize| u64::try_from(lines).unwrap_or(u64::MAX);
    if mode != Mode::Count {
        return Ok(count(chunk.len()));
    }
    let skus: Vec<Sku> = chunk.iter().map(|line| line.sku.clone()).collect();
    let stock = parts.store.stock_of(&skus).await?;
    let known: HashMap<(&Sku, WarehouseId), Quantity> = stock
        .iter()
        .flat_map(|row| row.book.balances.iter().map(move |(id, balance)| ((&row.sku, *id), balance.on_hand)))
        .collect();
    let differs =
        |line: &&Line| known.get(&(&line.sku, line.warehouse)).copied().unwrap_or_default() != line.quantity;
    Ok(count(chunk.iter().filter(differs).count()))
}

impl Line {
    fn operation(&self, mode: Mode) -> Operation {
        let (sku, warehouse, quantity) = (self.sku.clone(), self.warehouse, self.quantity);
        match mode {
            Mode::Count => Operation::Count { sku, warehouse, counted: quantity },
            Mode::Receive => Operation::Receive { sku, warehouse, quantity },
            Mode::Adjust => Operation::Adjust { sku, warehouse, delta: quantity },
        }
    }
}
