//! Moving stock: up to a thousand operations at once, all of them or none.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use ledger::Operation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use values::{Quantity, Sku};

use super::Shared;
use super::auth::Caller;
use super::extract::Body;
use super::keys::Key;
use super::names::Warehouses;
use super::problem::{Kind, Problem, Reason};
use super::wire::Time;
use crate::{
    OPERATIONS_MAX, Operated, OperationRequest, OperationRow, Receipt, Refusal, RefusalCause, Settled,
};

/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Says that the answer is that of an earlier request with the same key.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OperationKind)]
enum KindWord {
    /// Goods came in: adds `quantity` to on hand.
    Receive,
    /// A correction: changes on hand by `quantity`, which may be negative. Needs a `reason`.
    Adjust,
    /// Moves `quantity` from `warehouse` to `to`.
    Transfer,
    /// A stocktake: sets on hand to `quantity`, promised or not.
    Count,
}

/// One operation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Operation)]
struct Row {
    /// What to do.
    kind: KindWord,
    /// The SKU; one never heard of is made.
    #[schema(example = "TEE-RED-M")]
    sku: String,
    /// The warehouse; of a transfer, where it is taken from.
    #[schema(example = "main")]
    warehouse: String,
    /// Of a transfer, where it goes.
    #[serde(default)]
    to: Option<String>,
    /// How much.
    #[schema(example = "12", pattern = r"^-?[0-9]{1,10}(\.[0-9]{1,3})?$")]
    quantity: String,
    /// Why, for people; at most 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// Operations, done in their order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"operations": [
    {"kind": "receive", "sku": "TEE-RED-M", "warehouse": "main", "quantity": "12"},
    {"kind": "adjust", "sku": "TEE-RED-L", "warehouse": "main", "quantity": "-1", "reason": "torn"}]}))]
pub(super) struct Operations {
    /// 1 to 1000 of them.
    operations: Vec<Row>,
}

/// What operations came to; the same however often they are sent under their key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Operated)]
struct Answer {
    /// When they were done.
    at: Time,
    /// How many.
    #[schema(example = 2)]
    operation_count: usize,
    /// What they left behind, of each SKU in each warehouse they were about; what is there now is in `GET /stock`.
    balances: Vec<Left>,
}

/// What operations left behind of a SKU in a warehouse.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BalanceLeft)]
struct Left {
    /// The SKU.
    #[schema(example = "TEE-RED-M")]
    sku: String,
    /// What the warehouse had of it then.
    #[serde(flatten)]
    balance: super::stock::Balance,
}

impl Answer {
    fn new(receipt: &Receipt, operation_count: usize, warehouses: &Warehouses) -> Self {
        let left = |settled: &Settled| Left {
            sku: settled.sku.to_string(),
            balance: super::stock::Balance::new(warehouses.name(settled.warehouse), settled.balance),
        };
        Self { at: receipt.at.into(), operation_count, balances: receipt.balances.iter().map(left).collect() }
    }
}

/// Move stock
///
/// All operations are done in one transaction, or none is and each row that stands in the way is named with its reason.
/// The same request under the same `Idempotency-Key` is done once, and answered alike with `Idempotency-Replayed: true`;
/// keys are remembered for at least an hour, by default for 30 days.
#[utoipa::path(post, path = "/operations", tag = "stock", operation_id = "operate", request_body = Operations,
    params(("Idempotency-Key" = String, Header, description = "Your own name for this request, at most 200 characters")),
    responses((status = 200, body = Answer)))]
pub(super) async fn operate(
    State(parts): State<Shared>,
    caller: Caller,
    key: Key,
    Body(body): Body<Operations>,
) -> Result<Response, Problem> {
    let key = key.required()?;
    let rows = body.operations;
    if !(1..=OPERATIONS_MAX).contains(&rows.len()) {
        return Err(Problem::invalid(format!(
            "operations must have 1 to {OPERATIONS_MAX} rows; it has {}",
            rows.len()
        )));
    }
    let warehouses = Warehouses::load(&parts.store).await?;
    let rows = checked(&rows, &warehouses)?;
    let operation_count = rows.len();
    let request = OperationRequest { requester: caller.requester(), key: key.clone(), rows, dry_run: false };
    let answer = |receipt: &Receipt| Json(Answer::new(receipt, operation_count, &warehouses));
    match parts.inventory.operate(&request).await? {
        Operated::Applied(receipt) => Ok(answer(&receipt).into_response()),
        Operated::Repeated(receipt) => {
            let mut response = answer(&receipt).into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Operated::Conflict => Err(key_reused(&key)),
        Operated::Refused(refusals) => Err(refused(&refusals)),
        Operated::BadCount => Err(Problem::internal("a counted request has a bad count")),
    }
}

pub(super) fn key_reused(key: &str) -> Problem {
    Problem::new(
        Kind::KeyReused,
        format!(
            "the key {key:?} was used for another request; nothing was done. Use a new key for a new request: \
             repeating this one is of no use"
        ),
    )
}

fn checked(rows: &[Row], warehouses: &Warehouses) -> Result<Vec<OperationRow>, Problem> {
    let (mut good, mut reasons) = (Vec::with_capacity(rows.len()), Vec::new());
    for (row, number) in rows.iter().zip(1..) {
        match operation_of(row, warehouses) {
            Ok(row) => good.push(row),
            Err(problem) => reasons.push(Reason { row: number, problem }),
        }
    }
    if reasons.is_empty() {
        return Ok(good);
    }
    let count = reasons.len();
    Err(Problem::rows(Kind::Invalid, batch_detail(&reasons, count), reasons, count))
}

/// Tells the first reasons in words, for those who look at nothing else.
fn batch_detail(reasons: &[Reason], count: usize) -> String {
    let told: Vec<String> =
        reasons.iter().take(3).map(|reason| format!("row {}: {}", reason.row, reason.problem)).collect();
    let more = if count > told.len() { "; …" } else { "" };
    format!("nothing was done; {}{more}", told.join("; "))
}

fn operation_of(row: &Row, warehouses: &Warehouses) -> Result<OperationRow, String> {
    let sku: Sku = row.sku.parse().map_err(|error| format!("{:?} is not a SKU: {error}", row.sku))?;
    let warehouse = warehouses.find_owned(&row.warehouse)?;
    let quantity: Quantity = row.quantity.parse().map_err(|error| format!("{error}"))?;
    let operation = match (row.kind, &row.to) {
        (KindWord::Transfer, Some(to)) => {
            Operation::Transfer { sku, from: warehouse, to: warehouses.find_owned(to)?, quantity }
        }
        (KindWord::Transfer, None) => {
            return Err("a transfer needs `to`, the warehouse it goes to".to_owned());
        }
        (_, Some(_)) => return Err("only a transfer has `to`".to_owned()),
        (KindWord::Receive, None) => Operation::Receive { sku, warehouse, quantity },
        (KindWord::Adjust, None) => Operation::Adjust { sku, warehouse, delta: quantity },
        (KindWord::Count, None) => Operation::Count { sku, warehouse, counted: quantity },
    };
    if let Some(problem) = bad_quantity(&operation) {
        return Err(problem.to_owned());
    }
    let reason = reason_text(row.reason.as_deref())?;
    if row.kind == KindWord::Adjust && reason.is_none() {
        return Err("an adjustment needs a reason".to_owned());
    }
    Ok(OperationRow { operation, reason })
}

/// Why, for people; `None` if nothing is said.
pub(super) fn reason_text(text: Option<&str>) -> Result<Option<String>, String> {
    let reason = text.map(str::trim).filter(|reason| !reason.is_empty());
    let fits =
        |reason: &str| reason.chars().count() <= REASON_CHARS_MAX && !reason.chars().any(char::is_control);
    if reason.is_none_or(fits) {
        return Ok(reason.map(str::to_owned));
    }
    Err(format!("reason must be one line of at most {REASON_CHARS_MAX} characters"))
}

/// What the ledger would refuse whatever there is.
pub(super) fn bad_quantity(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Receive { quantity, .. } | Operation::Transfer { quantity, .. }
            if !quantity.is_positive() =>
        {
            Some("quantity must be more than nothing")
        }
        Operation::Adjust { delta, .. } if delta.is_zero() => Some("quantity must not be nothing"),
        Operation::Count { counted, .. } if counted.is_negative() => {
            Some("what was counted cannot be negative")
        }
        Operation::Transfer { from, to, .. } if from == to => Some("a transfer needs two warehouses"),
        _ => None,
    }
}

fn refused(refusals: &[Refusal]) -> Problem {
    let reasons: Vec<Reason> = refusals
        .iter()
        .map(|refusal| Reason {
            row: u64::try_from(refusal.index).unwrap_or(u64::MAX).saturating_add(1),
            problem: reason_of(refusal.cause),
        })
        .collect();
    let count = reasons.len();
    let detail = format!("{}; it may be possible later, repeating is safe", batch_detail(&reasons, count));
    Problem::rows(Kind::InsufficientAvailable, detail, reasons, count)
}

pub(super) fn reason_of(cause: RefusalCause) -> String {
    match cause {
        RefusalCause::InsufficientAvailable { available } => {
            format!("only {} is available", available.or_zero())
        }
        RefusalCause::BadQuantity => "the quantity cannot be".to_owned(),
        RefusalCause::SameWarehouse => "a transfer needs two warehouses".to_owned(),
        RefusalCause::AlreadyOpened => "the SKU has stock already".to_owned(),
        RefusalCause::UnknownWarehouse(id) => format!("there is no warehouse {id}"),
        RefusalCause::MirroredWarehouse(id) => {
            format!("warehouse {id} follows an ERP; change its stock there")
        }
    }
}
