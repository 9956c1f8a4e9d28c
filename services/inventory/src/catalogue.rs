//! Takes in what the catalogues of shops show: new stocks are mapped and wait for proof, parked lines find their SKU.

use std::collections::BTreeSet;

use proto::ListingObserved;
use store::{
    InventoryTx, ListingOutcome, ListingSeen, MapOutcome, Opening, StockOpening, StockRow, Store, TableEntry,
    TableOutcome, Wanted, Wish,
};
use values::{HolderId, ShopId, Sku, StockId};

use crate::batch::{Summary, Traced};
use crate::error::guarded;
use crate::work::{Occasion, Scope, Work};

/// Orders looked at again in one transaction; the rest is left to the upkeep.
const RESOLVED_MAX: u32 = 500;
/// Most entries of a table that are taken in at once: they are one transaction.
pub const MAPPINGS_MAX: usize = 20_000;

pub(crate) async fn apply(
    tx: &mut InventoryTx,
    observed: &[Traced<'_, ListingObserved>],
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let seen: Vec<ListingSeen> = observed.iter().map(|observed| seen(observed.what)).collect();
    let outcomes = tx.observe_listings(&seen, occasion.now).await?;
    let (mut mapped, mut displaced, mut hinted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (seen, outcome) in seen.iter().zip(&outcomes) {
        summary.listing(seen, outcome);
        if let (ListingOutcome::Mapped | ListingOutcome::Displaced { .. }, Some(holder)) =
            (outcome, seen.holder)
        {
            mapped.insert(StockId { shop: seen.shop, holder });
        }
        if let ListingOutcome::Displaced { other } = outcome {
            displaced.insert(StockId { shop: seen.shop, holder: *other });
        }
        if *outcome == ListingOutcome::Hinted {
            let id = seen.listing.variation.map_or_else(|| seen.listing.product.into(), HolderId::from);
            hinted.insert(Wish { shop: seen.shop, what: Wanted::Listing(id) });
        }
    }
    if !hinted.is_empty() {
        let wishes: Vec<Wish> = hinted.into_iter().collect();
        tx.wish(&wishes, occasion.now).await?;
        summary.wished = true;
    }
    begin(tx, &mapped, &displaced, occasion, summary).await
}

/// Maps a stock by hand. Lines that waited for it are resolved afterwards ([`resolve`]).
pub(crate) async fn map(
    tx: &mut InventoryTx,
    stock: StockId,
    sku: &Sku,
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<MapOutcome, store::Error> {
    let outcome = tx.map_stock(stock, sku, occasion.now).await?;
    if let MapOutcome::Mapped { before } = &outcome {
        begin(tx, &BTreeSet::from([stock]), &BTreeSet::new(), occasion, summary).await?;
        if let Some(before) = before.clone() {
            relevel(tx, [before].into(), occasion, summary).await?;
        }
    }
    Ok(outcome)
}

/// Takes in what a person says that listings are; what each came to. If one is refused, nothing was done.
pub(crate) async fn map_table(
    tx: &mut InventoryTx,
    shop: ShopId,
    entries: &[TableEntry],
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<Vec<TableOutcome>, store::Error> {
    let outcomes = tx.map_listings(shop, entries, occasion.now).await?;
    if outcomes.iter().any(TableOutcome::is_refused) {
        return Ok(outcomes);
    }
    let (mut mapped, mut left) = (BTreeSet::new(), BTreeSet::new());
    for outcome in &outcomes {
        if let TableOutcome::Changed { stock, before, now } = outcome {
            mapped.extend(stock.map(|holder| StockId { shop, holder }));
            left.extend(before.clone().filter(|before| now.as_ref() != Some(before)));
        }
    }
    begin(tx, &mapped, &BTreeSet::new(), occasion, summary).await?;
    if !left.is_empty() {
        relevel(tx, left, occasion, summary).await?;
    }
    Ok(outcomes)
}

/// Stocks that were just mapped: nothing told or proven before counts for them. Those that were displaced nobody decided on: what
/// such a stock shows has opened one SKU already, perhaps, and is not to open a second.
async fn begin(
    tx: &mut InventoryTx,
    mapped: &BTreeSet<StockId>,
    displaced: &BTreeSet<StockId>,
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    if mapped.is_empty() {
        return Ok(());
    }
    let ids: Vec<StockId> = mapped.union(displaced).copied().collect();
    let rows: Vec<StockRow> = tx.load_stocks(&ids, &[]).await?;
    let rows: Vec<StockRow> = rows.into_iter().filter(|row| !row.removed).collect();
    let skus: BTreeSet<Sku> = rows.iter().filter_map(|row| row.sku.clone()).collect();
    let stocks: BTreeSet<StockId> = rows.iter().map(|row| row.id).collect();
    let scope = Scope { stocks: stocks.clone(), skus: skus.clone(), ..Scope::default() };
    let mut work = Work::load(tx, scope).await?;
    for stock in &stocks {
        let sku = work.stocks.get(stock).and_then(|row| row.sku.as_ref());
        let has_stock =
            sku.is_some_and(|sku| work.book.is_stocked(sku, &work.shared_warehouses(sku, stock.shop)));
        let (Some(row), Some(shop)) = (work.stocks.get_mut(stock), work.shops.get(&stock.shop)) else {
            continue;
        };
        row.opening = match shop.opening {
            Opening::None => StockOpening::None,
            Opening::Take if has_stock => StockOpening::LeftAlone,
            Opening::Take if displaced.contains(stock) && row.opening == StockOpening::Opened => {
                StockOpening::LeftAlone
            }
            Opening::Take => StockOpening::Awaited,
        };
        work.unprove(stock.shop, [stock.holder], occasion);
    }
    for sku in &skus {
        work.touch(sku, occasion);
    }
    let saved = work.save(tx, &[], occasion.now).await?;
    summary.saved(saved);
    Ok(())
}

/// Computes the levels of SKUs again.
pub(crate) async fn relevel(
    tx: &mut InventoryTx,
    skus: BTreeSet<Sku>,
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let mut work = Work::load(tx, Scope { skus: skus.clone(), ..Scope::default() }).await?;
    for sku in &skus {
        work.touch(sku, occasion);
    }
    let saved = work.save(tx, &[], occasion.now).await?;
    summary.saved(saved);
    Ok(())
}

/// Resolves lines whose listing was mapped since, in a transaction of its own, since orders are locked before SKUs; how many
/// orders were looked at.
pub(crate) async fn resolve(
    tx: &mut InventoryTx,
    limit: u32,
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<usize, store::Error> {
    let keys = tx.take_resolvable(limit).await?;
    if keys.is_empty() {
        return Ok(0);
    }
    let mut work =
        Work::load(tx, Scope { orders: keys.iter().copied().collect(), ..Scope::default() }).await?;
    for key in &keys {
        work.resolve(*key, occasion);
    }
    let saved = work.save(tx, &[], occasion.now).await?;
    summary.saved(saved);
    Ok(keys.len())
}

/// Resolves what was mapped just now. What of it is too much, or fails, is the upkeep's, which says so.
pub(crate) async fn resolve_some(store: &Store, occasion: &Occasion, summary: &mut Summary) {
    let committed = summary.unpublished.len();
    let resolved = guarded(async {
        let mut tx = store.begin_inventory().await?;
        resolve(&mut tx, RESOLVED_MAX, occasion, summary).await?;
        tx.commit().await
    });
    if resolved.await.is_err() {
        // What was not committed must not be published.
        summary.unpublished.truncate(committed);
    }
}

fn seen(observed: &ListingObserved) -> ListingSeen {
    ListingSeen {
        shop: observed.shop,
        listing: observed.listing,
        holder: observed.holder,
        sku: observed.sku.clone(),
        name: observed.name.as_str().to_owned(),
        status: observed.status.as_str().to_owned(),
        kind: observed.kind,
        number: observed.number,
    }
}
