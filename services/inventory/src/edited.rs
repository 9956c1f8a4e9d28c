//! Takes over what people set in a shop, where the shop wants that and nothing else could be meant: one adjustment for each
//! edit, however often it is asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use ledger::{Operation, OperationOutcome};
use proto::StockEdited;
use push::DriftPolicy;
use store::{Adoption, InventoryTx, StockRow, WarehouseKind};
use values::{Quantity, Sku, WarehouseId};

use crate::batch::{Summary, Traced};
use crate::work::{Occasion, Work, changed};

/// Who adjusts.
const ACTOR: &str = "onhand";

/// Why an edit is not taken over, as codes.
mod why {
    pub(super) const POLICY: &str = "policy";
    pub(super) const UNMAPPED: &str = "unmapped";
    pub(super) const BUFFER: &str = "buffer";
    pub(super) const SEVERAL_WAREHOUSES: &str = "several_warehouses";
    pub(super) const MIRRORED_WAREHOUSE: &str = "mirrored_warehouse";
    pub(super) const SHARED_WAREHOUSE: &str = "shared_warehouse";
    pub(super) const INSUFFICIENT_AVAILABLE: &str = "insufficient_available";
}

pub(crate) async fn apply(
    tx: &mut InventoryTx,
    work: &mut Work,
    edited: &[Traced<'_, StockEdited>],
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let warehouses = tx.warehouses().await?.into_iter();
    let mirrored = warehouses.filter(|warehouse| warehouse.kind == WarehouseKind::Mirrored);
    let mirrored: BTreeSet<WarehouseId> = mirrored.map(|warehouse| warehouse.id).collect();
    for Traced { what, trace } in edited {
        let occasion = Occasion { trace: trace.context.clone(), ..occasion.clone() };
        let Some(row) = work.stocks.get_mut(&what.stock) else { continue };
        // Compared with what holds no more: who asked knows that by now.
        if row.epoch != what.epoch || row.removed {
            continue;
        }
        let decided = row.adoption.as_ref().map(|adoption| adoption.number);
        if decided >= Some(what.number) {
            if decided == Some(what.number) {
                // Asked again, so perhaps not heard.
                changed(row, &occasion);
            }
            continue;
        }
        let refused = match limits(work, what, &mirrored) {
            Ok((sku, warehouse)) => adjust(work, what, sku, warehouse, &occasion),
            Err(why) => Some(why),
        };
        *(if refused.is_none() { &mut summary.adopted_count } else { &mut summary.refused_count }) += 1;
        let Some(row) = work.stocks.get_mut(&what.stock) else { continue };
        row.adoption = Some(Adoption { number: what.number, refused: refused.map(str::to_owned) });
        changed(row, &occasion);
    }
    Ok(())
}

/// Where the one adjustment goes that the edit can only mean.
fn limits(
    work: &Work,
    edited: &StockEdited,
    mirrored: &BTreeSet<WarehouseId>,
) -> Result<(Sku, WarehouseId), &'static str> {
    let row = work.stocks.get(&edited.stock).ok_or(why::UNMAPPED)?;
    let shop = work.shops.get(&edited.stock.shop).ok_or(why::POLICY)?;
    if shop.settings.drift != DriftPolicy::Adopt {
        return Err(why::POLICY);
    }
    let sku = row.sku.clone().ok_or(why::UNMAPPED)?;
    if row.buffer.unwrap_or(shop.settings.buffer) != Quantity::ZERO {
        return Err(why::BUFFER);
    }
    let warehouse = shop.settings.routing.first();
    if shop.settings.routing.iter().count() > 1 {
        return Err(why::SEVERAL_WAREHOUSES);
    }
    if mirrored.contains(&warehouse) {
        return Err(why::MIRRORED_WAREHOUSE);
    }
    let shows_the_same =
        |other: &&StockRow| other.sku.as_ref() == Some(&sku) && !other.removed && other.id != edited.stock;
    let shared = work.stocks.values().filter(shows_the_same).any(|other| {
        let shop = work.shops.get(&other.id.shop);
        shop.is_some_and(|shop| shop.settings.routing.iter().any(|from| from == warehouse))
    });
    if shared { Err(why::SHARED_WAREHOUSE) } else { Ok((sku, warehouse)) }
}

fn adjust(
    work: &mut Work,
    edited: &StockEdited,
    sku: Sku,
    warehouse: WarehouseId,
    occasion: &Occasion,
) -> Option<&'static str> {
    let name = work.shops.get(&edited.stock.shop).map_or("", |shop| shop.name.as_str());
    let occasion = Occasion {
        actor: Some(ACTOR.into()),
        reason: Some(Arc::from(format!("set in the shop {name}"))),
        operation: Some(Arc::from(format!("edit/{}/{}", edited.stock, edited.number.get()))),
        ..occasion.clone()
    };
    match work.operate(&Operation::Adjust { sku, warehouse, delta: edited.difference }, &occasion) {
        // A difference that is none is none: there is nothing to adjust.
        OperationOutcome::Applied | OperationOutcome::BadQuantity => None,
        OperationOutcome::InsufficientAvailable { .. }
        | OperationOutcome::SameWarehouse
        | OperationOutcome::AlreadyOpened => Some(why::INSUFFICIENT_AVAILABLE),
    }
}
