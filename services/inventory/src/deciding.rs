//! What people decide about differences in shops that were left as they were set: in one transaction the ledger, what is no
//! longer kept out of the shop, and who decided it.

use std::fmt::Write as _;
use std::sync::Arc;

use ledger::{Operation, OperationOutcome};
use sha2::{Digest, Sha256};
use store::{
    Decision, DecisionRow, InventoryTx, KeyState, OperationKey, OperationRecord, StockRow, Warehouse,
    WarehouseKind,
};
use values::{Quantity, StockId, Timestamp, WarehouseId};

use crate::operations::Requester;
use crate::work::{Occasion, Scope, Work, changed};

/// A decision that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRequest {
    /// Who asks.
    pub requester: Requester,
    /// The caller's own key: the same request sent again has no further effect.
    pub key: String,
    /// About which stock.
    pub stock: StockId,
    /// What becomes of what it is kept from showing.
    pub decision: Decision,
    /// Where the ledger takes it over; nothing: in the only warehouse that the shop sells from.
    pub warehouse: Option<WarehouseId>,
    /// Why, for people.
    pub reason: Option<String>,
}

/// What a decision came to. Only if it was done now was anything done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecisionOutcome {
    /// It is so from now on; its number among those of the stock.
    Done(u32),
    /// The same was decided under this key before.
    Repeated(u32),
    /// Something else was done under this key before.
    Conflict,
    /// There is no such stock, or it holds no SKU.
    Unknown,
    /// What the shop shows has not been compared with proof since it was mapped.
    Unproven,
    /// The ledger is being asked to take an edit over.
    Adopting,
    /// Nothing is kept out of the shop or left in it.
    Nothing,
    /// The shop sells from several warehouses, or not from the one that was named.
    WhichWarehouse,
    /// The warehouse follows an ERP.
    MirroredWarehouse,
    /// The ledger has less than it would have to give up.
    InsufficientAvailable {
        /// What is available.
        available: Quantity,
    },
}

/// Decides within `tx`; to be committed only if it was done. `is_open`: there are differences that nobody decided on yet.
pub(crate) async fn decide(
    tx: &mut InventoryTx,
    request: &DecisionRequest,
    warehouses: &[Warehouse],
    is_open: bool,
    now: Timestamp,
) -> Result<DecisionOutcome, store::Error> {
    let key = OperationKey { actor: request.requester.actor.clone(), key: request.key.clone() };
    let digest = digest(request);
    match tx.operation_keys(&[(key.clone(), digest)]).await?.pop() {
        None | Some(KeyState::New) => {}
        // The first is one that was certainly made.
        Some(KeyState::Same(number)) => return Ok(DecisionOutcome::Repeated(number.parse().unwrap_or(1))),
        Some(KeyState::Conflict) => return Ok(DecisionOutcome::Conflict),
    }
    let mut work = Work::load(tx, Scope { stocks: [request.stock].into(), ..Scope::default() }).await?;
    let row = work.stocks.get(&request.stock).filter(|row| !row.removed && row.sku.is_some());
    let Some(row) = row.cloned() else { return Ok(DecisionOutcome::Unknown) };
    // Egress may find more in this moment: no more is let go than was withheld, whichever comes first.
    let push = tx.pushes(&[request.stock]).await?.pop();
    let base = push.as_ref().and_then(|push| push.push.base).filter(|base| base.epoch == row.epoch);
    let (Some(push), Some(base)) = (&push, base) else { return Ok(DecisionOutcome::Unproven) };
    if base.adopting.is_some() {
        return Ok(DecisionOutcome::Adopting);
    }
    let withheld = base.withheld_after(row.released);
    let is_left = request.decision == Decision::Leave;
    if withheld.is_zero() && !(is_left && is_open) {
        return Ok(DecisionOutcome::Nothing);
    }
    let occasion = Occasion {
        now,
        trace: request.requester.traceparent.as_deref().map(Arc::from),
        actor: Some(request.requester.actor.as_str().into()),
        reason: Some(reason(&work, request)),
        operation: Some(request.key.as_str().into()),
    };
    let warehouse = match request.decision {
        Decision::Adopt => match adopt(&mut work, &row, request.warehouse, withheld, warehouses, &occasion) {
            Ok(warehouse) => Some(warehouse),
            Err(refused) => return Ok(refused),
        },
        Decision::Correct | Decision::Leave => None,
    };
    if let Some(row) = work.stocks.get_mut(&request.stock).filter(|_| !is_left) {
        row.released += withheld;
        changed(row, &occasion);
    }
    let decided = DecisionRow {
        stock: request.stock,
        number: 0,
        upto: push.push.settled,
        decision: request.decision,
        quantity: withheld,
        warehouse,
        actor: request.requester.actor.clone(),
        reason: request.reason.clone(),
        at: now,
    };
    let number = tx.add_decision(&decided).await?;
    let record = OperationRecord { key, digest, outcome: number.to_string(), at: now };
    work.save(tx, &[record], now).await?;
    Ok(DecisionOutcome::Done(number))
}

/// The shop is right: what it was kept from showing is not there; what was left in it is.
fn adopt(
    work: &mut Work,
    row: &StockRow,
    wanted: Option<WarehouseId>,
    withheld: Quantity,
    warehouses: &[Warehouse],
    occasion: &Occasion,
) -> Result<WarehouseId, DecisionOutcome> {
    let (Some(shop), Some(sku)) = (work.shops.get(&row.id.shop), row.sku.clone()) else {
        return Err(DecisionOutcome::Unknown);
    };
    let sources: Vec<WarehouseId> = shop.settings.routing.iter().collect();
    let warehouse = match (wanted, sources.as_slice()) {
        (Some(wanted), sources) => sources.contains(&wanted).then_some(wanted),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    let warehouse = warehouse.ok_or(DecisionOutcome::WhichWarehouse)?;
    let is_mirrored = |known: &Warehouse| known.id == warehouse && known.kind == WarehouseKind::Mirrored;
    if warehouses.iter().any(is_mirrored) {
        return Err(DecisionOutcome::MirroredWarehouse);
    }
    match work.operate(&Operation::Adjust { sku, warehouse, delta: Quantity::ZERO - withheld }, occasion) {
        OperationOutcome::Applied => Ok(warehouse),
        OperationOutcome::InsufficientAvailable { available } => {
            Err(DecisionOutcome::InsufficientAvailable { available })
        }
        // None of these is an adjustment of something.
        OperationOutcome::BadQuantity | OperationOutcome::SameWarehouse | OperationOutcome::AlreadyOpened => {
            Err(DecisionOutcome::Nothing)
        }
    }
}

/// What the movement says.
fn reason(work: &Work, request: &DecisionRequest) -> Arc<str> {
    let shop = work.shops.get(&request.stock.shop).map_or("", |shop| shop.name.as_str());
    match &request.reason {
        Some(reason) => reason.as_str().into(),
        None => format!("as it was set in the shop {shop}").into(),
    }
}

/// Fingerprint of what is asked; it is stored, so it must not change between versions.
fn digest(request: &DecisionRequest) -> [u8; 16] {
    let reason = request.reason.as_deref().unwrap_or_default();
    let warehouse = request.warehouse.map_or(0, WarehouseId::get);
    let (decision, stock) = (request.decision.as_str(), request.stock);
    let mut text = String::new();
    write!(text, "decide {decision} {stock} {warehouse} {} {reason}", request.reason.is_some())
        .expect("writing to a string cannot fail");
    let hash = Sha256::digest(text.as_bytes());
    let mut digest = [0; 16];
    digest.iter_mut().zip(hash.iter()).for_each(|(to, from)| *to = *from);
    digest
}
