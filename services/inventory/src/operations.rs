//! Operations of people and their programs: all of a request or nothing, once for each key.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use ledger::{Balance, Operation, OperationOutcome};
use sha2::{Digest, Sha256};
use store::{InventoryTx, KeyState, OperationKey, OperationRecord, Warehouse, WarehouseKind};
use values::{Quantity, Sku, Timestamp, WarehouseId};

use crate::work::{Occasion, Scope, Work};

/// Most operations of one request.
pub const OPERATIONS_MAX: usize = 1_000;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requester {
    /// Who, as the movements tell it.
    pub actor: String,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
}

/// Operations to be done together, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRequest {
    /// Who asks.
    pub requester: Requester,
    /// The caller's own key: the same request sent again has no further effect.
    pub key: String,
    /// What is to be done, at most [`OPERATIONS_MAX`].
    pub rows: Vec<OperationRow>,
    /// Only say what it would come to.
    pub dry_run: bool,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// What is to be done.
    pub operation: Operation,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What a request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operated {
    /// Done now; for a dry run, it would be.
    Applied(Receipt),
    /// The same was done under this key before, and this was the answer; nothing was done now.
    Repeated(Receipt),
    /// Something else was done under this key before.
    Conflict,
    /// More than [`OPERATIONS_MAX`] operations, or none.
    BadCount,
    /// Nothing was done, because of these.
    Refused(Vec<Refusal>),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// When.
    pub at: Timestamp,
    /// The balances it left behind, of every SKU and warehouse it touched.
    pub balances: Vec<Settled>,
}

/// A balance after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The SKU.
    pub sku: Sku,
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// What is there now.
    pub balance: Balance,
}

/// One operation that cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Which, counted from 0.
    pub index: usize,
    /// Why not.
    pub cause: RefusalCause,
}

/// Why an operation cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCause {
    /// The quantity must be more than nothing (for a count: not less; for an adjustment: not nothing).
    BadQuantity,
    /// A transfer needs two warehouses.
    SameWarehouse,
    /// An opening of a SKU that has stock already.
    AlreadyOpened,
    /// It would take more than is available.
    InsufficientAvailable {
        /// What is available.
        available: Quantity,
    },
    /// There is no such warehouse.
    UnknownWarehouse(WarehouseId),
    /// The warehouse follows an ERP.
    MirroredWarehouse(WarehouseId),
}

/// Does the request within `tx`; to be committed only if it was applied and is no dry run.
pub(crate) async fn operate(
    tx: &mut InventoryTx,
    request: &OperationRequest,
    warehouses: &[Warehouse],
    now: Timestamp,
) -> Result<Operated, store::Error> {
    if request.rows.is_empty() || request.rows.len() > OPERATIONS_MAX {
        return Ok(Operated::BadCount);
    }
    let key = OperationKey { actor: request.requester.actor.clone(), key: request.key.clone() };
    let digest = digest(&request.rows);
    match tx.operation_keys(&[(key.clone(), digest)]).await?.pop() {
        None | Some(KeyState::New) => {}
        Some(KeyState::Same(outcome)) => return Ok(Operated::Repeated(Receipt::from_stored(&outcome))),
        Some(KeyState::Conflict) => return Ok(Operated::Conflict),
    }
    let skus: BTreeSet<Sku> = request.rows.iter().map(|row| row.operation.sku().clone()).collect();
    let mut work = Work::load(tx, Scope { skus, ..Scope::default() }).await?;
    let mut refusals = Vec::new();
    let mut touched = BTreeSet::new();
    let shared_key: Arc<str> = request.key.as_str().into();
    let actor: Arc<str> = request.requester.actor.as_str().into();
    let trace = request.requester.traceparent.as_deref().map(Arc::from);
    for (index, row) in request.rows.iter().enumerate() {
        if let Some(cause) = misplaced(&row.operation, warehouses) {
            refusals.push(Refusal { index, cause });
            continue;
        }
        let occasion = Occasion {
            now,
            trace: trace.clone(),
            actor: Some(Arc::clone(&actor)),
            reason: row.reason.as_deref().map(Arc::from),
            operation: Some(Arc::clone(&shared_key)),
        };
        match refusal(work.operate(&row.operation, &occasion)) {
            Some(cause) => refusals.push(Refusal { index, cause }),
            None => touched.extend(
                warehouses_of(&row.operation).map(|warehouse| (row.operation.sku().clone(), warehouse)),
            ),
        }
    }
    if !refusals.is_empty() {
        return Ok(Operated::Refused(refusals));
    }
    let balances = touched
        .into_iter()
        .map(|(sku, warehouse)| Settled { balance: work.book.balance(&sku, warehouse), sku, warehouse })
        .collect();
    let receipt = Receipt { at: now, balances };
    if !request.dry_run {
        let record = OperationRecord { key, digest, outcome: receipt.to_stored(), at: now };
        work.save(tx, &[record], now).await?;
    }
    Ok(Operated::Applied(receipt))
}

/// A receipt as it is remembered: when, and SKU, warehouse, on hand and reserved of each balance.
type Stored = (i64, Vec<(String, i64, i64, i64)>);

impl Receipt {
    fn to_stored(&self) -> String {
        let balances = self.balances.iter().map(|settled| {
            let Balance { on_hand, reserved } = settled.balance;
            let sku = settled.sku.as_str().to_owned();
            (sku, settled.warehouse.get(), on_hand.thousandths(), reserved.thousandths())
        });
        let stored: Stored = (self.at.micros(), balances.collect());
        serde_json::to_string(&stored).expect("numbers and text always serialise")
    }

    /// What is remembered of a request must not be done again, whatever can still be told of it.
    fn from_stored(text: &str) -> Self {
        // The first ones were a time alone.
        let time_alone = || (text.parse().unwrap_or_default(), Vec::new());
        let (at, balances) = serde_json::from_str::<Stored>(text).unwrap_or_else(|_| time_alone());
        let settled = |(sku, warehouse, on_hand, reserved): (String, i64, i64, i64)| {
            let balance = Balance {
                on_hand: Quantity::from_thousandths(on_hand),
                reserved: Quantity::from_thousandths(reserved),
            };
            Some(Settled { sku: sku.parse().ok()?, warehouse: WarehouseId::new(warehouse)?, balance })
        };
        Self { at: Timestamp::from_micros(at), balances: balances.into_iter().filter_map(settled).collect() }
    }
}

fn refusal(outcome: OperationOutcome) -> Option<RefusalCause> {
    match outcome {
        OperationOutcome::Applied => None,
        OperationOutcome::BadQuantity => Some(RefusalCause::BadQuantity),
        OperationOutcome::SameWarehouse => Some(RefusalCause::SameWarehouse),
        OperationOutcome::AlreadyOpened => Some(RefusalCause::AlreadyOpened),
        OperationOutcome::InsufficientAvailable { available } => {
            Some(RefusalCause::InsufficientAvailable { available })
        }
    }
}

fn misplaced(operation: &Operation, warehouses: &[Warehouse]) -> Option<RefusalCause> {
    warehouses_of(operation).find_map(|id| match warehouses.iter().find(|warehouse| warehouse.id == id) {
        None => Some(RefusalCause::UnknownWarehouse(id)),
        Some(warehouse) if warehouse.kind == WarehouseKind::Mirrored => {
            Some(RefusalCause::MirroredWarehouse(id))
        }
        Some(_) => None,
    })
}

fn warehouses_of(operation: &Operation) -> impl Iterator<Item = WarehouseId> + use<> {
    let (first, second) = match operation {
        Operation::Opening { warehouse, .. }
        | Operation::Receive { warehouse, .. }
        | Operation::Adjust { warehouse, .. }
        | Operation::Count { warehouse, .. } => (*warehouse, None),
        Operation::Transfer { from, to, .. } => (*from, Some(*to)),
    };
    std::iter::once(first).chain(second)
}

/// Fingerprint of what is asked; it is stored, so it must not change between versions.
fn digest(rows: &[OperationRow]) -> [u8; 16] {
    let mut text = String::new();
    for row in rows {
        let (kind, warehouse, other, quantity) = match &row.operation {
            Operation::Opening { warehouse, quantity, .. } => ("opening", warehouse, None, quantity),
            Operation::Receive { warehouse, quantity, .. } => ("receive", warehouse, None, quantity),
            Operation::Adjust { warehouse, delta, .. } => ("adjust", warehouse, None, delta),
            Operation::Transfer { from, to, quantity, .. } => ("transfer", from, Some(to), quantity),
            Operation::Count { warehouse, counted, .. } => ("count", warehouse, None, counted),
        };
        let other = other.map_or(0, |warehouse| warehouse.get());
        let reason = row.reason.as_deref();
        // Neither a SKU nor a reason can be mistaken for a separator: their lengths are told.
        let (sku, reason_text) = (row.operation.sku().as_str(), reason.unwrap_or_default());
        writeln!(
            text,
            "{kind} {} {other} {} {}:{sku} {}:{reason_text} {}",
            warehouse.get(),
            quantity.thousandths(),
            sku.len(),
            reason_text.len(),
            reason.is_some(),
        )
        .expect("writing to a string cannot fail");
    }
    let hash = Sha256::digest(text.as_bytes());
    let mut digest = [0; 16];
    digest.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    digest
}
