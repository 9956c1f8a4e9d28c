//! Turns what a shop showed of a stock into proof, and opens SKUs with the first proof that can be trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::{Operation, OperationOutcome};
use proto::StockShown;
use store::{Incomplete, InventoryTx, Settled, StockOpening, StockRow};
use values::{Quantity, ShopId, StockId, Timestamp};

use crate::batch::{Summary, Traced};
use crate::compare;
use crate::work::{Occasion, Work, changed};

/// Who opens SKUs.
const OPENING_ACTOR: &str = "onhand";
const OPENING_REASON: &str = "what the shop showed when it was connected";

/// What `work` knows of orders has to be stored: what is in doubt is asked of the database.
pub(crate) async fn apply(
    tx: &mut InventoryTx,
    work: &mut Work,
    shown: &[Traced<'_, StockShown>],
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let (compared, shown): (Vec<_>, Vec<_>) = shown.iter().partition(|shown| shown.what.dry_run);
    let ids: Vec<StockId> = shown.iter().chain(&compared).map(|shown| id(shown.what)).collect();
    complete(tx, &shown).await?;
    let shops: BTreeSet<ShopId> = ids.iter().map(|stock| stock.shop).collect();
    let incomplete = tx.incomplete_shops(&shops.into_iter().collect::<Vec<_>>()).await?;
    let doubtful = tx.doubtful_stocks(&ids).await?;
    let is_quiet = |row: &StockRow, what: &StockShown| {
        let complete = !incomplete.contains(&what.shop) && !doubtful.contains(&row.id);
        complete && is_quiet(row, what.asked.shop, what.asked.hub)
    };
    if !compared.is_empty() {
        let compared: Vec<&StockShown> = compared.iter().map(|shown| shown.what).collect();
        compare::apply(tx, work, &compared, is_quiet).await?;
    }
    let mut opened: BTreeMap<StockId, (Quantity, Occasion)> = BTreeMap::new();
    for Traced { what, trace } in &shown {
        let occasion = Occasion { trace: trace.context.clone(), ..occasion.clone() };
        let Some(row) = work.stocks.get_mut(&id(what)) else { continue };
        // Told twice, it would be joined with what was learnt since.
        if row.settle.is_some_and(|settle| settle.number >= what.number) {
            continue;
        }
        let quiet = is_quiet(row, what);
        row.settle = Some(Settled {
            number: what.number,
            shown: what.shown,
            asked: what.asked,
            answered: what.answered,
            dated: what.modified_at,
            taken_total: row.taken_total,
            quiet,
        });
        changed(row, &occasion);
        summary.proof(quiet);
        let opens = quiet && row.opening == StockOpening::Awaited && row.sku.is_some();
        if let Some(shown) = what.shown.filter(|_| opens) {
            opened.insert(row.id, (shown, occasion));
        }
    }
    open(tx, work, opened, summary).await
}

/// Whether no order touched the stock around the moment it was read: `t1` by the shop's clock, `read_at` by the hub's.
fn is_quiet(row: &StockRow, t1: Timestamp, read_at: Timestamp) -> bool {
    let Some(date) = row.last_order_date else { return true };
    // Dated after the read, yet known well before it: the shop's clock was set back in between.
    let set_back = date > t1 + ledger::CONFIRM_MARGIN
        && row.last_applied_at.is_some_and(|at| at + ledger::CONFIRM_MARGIN < read_at);
    date < t1 - ledger::CONFIRM_MARGIN || set_back
}

/// A webhook of an unknown order came before all orders were read up to a later moment: whatever it was about was read.
async fn complete(tx: &mut InventoryTx, shown: &[&Traced<'_, StockShown>]) -> Result<(), store::Error> {
    let mut asked: BTreeMap<ShopId, Timestamp> = BTreeMap::new();
    for Traced { what, .. } in shown {
        let first = asked.entry(what.shop).or_insert(what.asked.hub);
        *first = (*first).min(what.asked.hub);
    }
    let shops: Vec<ShopId> = asked.keys().copied().collect();
    let mut marks: Vec<Incomplete> = tx.incomplete_marks(&shops).await?;
    marks.retain(|mark| mark.order.is_none() && asked.get(&mark.shop).is_some_and(|asked| mark.at < *asked));
    tx.clear_marks(&marks).await
}

/// The SKU starts from what the shop showed, less what its orders are yet to take, less what they did to the ledger. One
/// that has stock of its own by now is left alone: its level wins, and the shop is told the difference.
async fn open(
    tx: &mut InventoryTx,
    work: &mut Work,
    opened: BTreeMap<StockId, (Quantity, Occasion)>,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    if opened.is_empty() {
        return Ok(());
    }
    let ids: Vec<StockId> = opened.keys().copied().collect();
    let untaken = tx.held_not_taken(&ids).await?;
    let wanted: Vec<_> = ids.iter().filter_map(|id| Some((*id, work.stocks.get(id)?.sku.clone()?))).collect();
    let keys: Vec<_> = wanted.iter().map(|(stock, sku)| (stock.shop, sku.clone())).collect();
    let effects = tx.order_effects(&keys).await?;
    for ((stock, sku), effect) in wanted.into_iter().zip(effects) {
        let Some((shown, occasion)) = opened.get(&stock) else { continue };
        let Some(shop) = work.shops.get(&stock.shop) else { continue };
        let warehouse = shop.settings.routing.first();
        let untaken = untaken.get(&stock).copied().unwrap_or_default();
        let quantity = *shown - untaken - effect;
        let occasion = Occasion {
            actor: Some(Arc::from(OPENING_ACTOR)),
            reason: Some(Arc::from(OPENING_REASON)),
            ..occasion.clone()
        };
        let shared = work.shared_warehouses(&sku, stock.shop);
        let outcome = work.operate(&Operation::Opening { sku, warehouse, shared, quantity }, &occasion);
        let (opening, count) = match outcome {
            OperationOutcome::AlreadyOpened => (StockOpening::LeftAlone, &mut summary.left_alone_count),
            _ => (StockOpening::Opened, &mut summary.opened_count),
        };
        *count += 1;
        if let Some(row) = work.stocks.get_mut(&stock) {
            row.opening = opening;
        }
    }
    Ok(())
}

pub(crate) fn id(shown: &StockShown) -> StockId {
    StockId { shop: shown.shop, holder: shown.holder }
}
