//! Differences that somebody should know of: edits in shops, stocks that cannot be compared, and what is left to a person. Those
//! that are our own doing and were put right are nobody's concern.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use push::{DriftAction, DriftClass};
use store::{Alert, AlertKind, DriftKey, DriftRow, PAGE_ROWS_MAX, Store};
use values::{ShopId, StockId, Timestamp};

use super::STOCKS_PER_SHOP_MAX;

/// How long after a difference was found its alert is open, unless another is found.
const TOLD_FOR: Duration = Duration::from_hours(24);
/// Pages of differences that are looked at.
const PAGES_MAX: usize = 5;

/// The newest of each stock that has an alert.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    pub(super) stocks: BTreeMap<StockId, DriftRow>,
    /// Shops that have more.
    pub(super) more: BTreeSet<ShopId>,
    /// There are older ones that were not looked at.
    pub(super) partial: bool,
}

pub(super) async fn look(store: &Store, known: &[Alert], now: Timestamp) -> Result<Drifts, store::Error> {
    let mut newest: BTreeMap<StockId, DriftRow> = BTreeMap::new();
    let mut after: Option<DriftKey> = None;
    let mut partial = true;
    for _ in 0..PAGES_MAX {
        let rows = store.drifts(None, now - TOLD_FOR, after, PAGE_ROWS_MAX).await?;
        let full = u32::try_from(rows.len()).is_ok_and(|count| count >= PAGE_ROWS_MAX);
        after = rows.last().map(DriftRow::key);
        for row in rows.into_iter().filter(concerns_people) {
            newest.entry(row.stock).or_insert(row);
        }
        if !full {
            partial = false;
            break;
        }
    }
    let mut drifts = Drifts { partial, ..Drifts::default() };
    let open: BTreeSet<StockId> = known.iter().filter_map(drifted_stock).collect();
    let mut counts: BTreeMap<ShopId, usize> = BTreeMap::new();
    for (stock, row) in newest {
        let count = counts.entry(stock.shop).or_default();
        *count += 1;
        if *count <= STOCKS_PER_SHOP_MAX || open.contains(&stock) {
            drifts.stocks.insert(stock, row);
        }
    }
    let many = counts.into_iter().filter(|(_, count)| *count > STOCKS_PER_SHOP_MAX);
    drifts.more.extend(many.map(|(shop, _)| shop));
    Ok(drifts)
}

fn concerns_people(row: &DriftRow) -> bool {
    match row.class {
        DriftClass::EditUp
        | DriftClass::EditDown
        | DriftClass::BulkEdit
        | DriftClass::Unmanaged
        | DriftClass::Unsettled => true,
        DriftClass::LostUpdate | DriftClass::DoubtfulCall => row.action == DriftAction::Alerted,
    }
}

/// The stock that an open alert is about.
fn drifted_stock(alert: &Alert) -> Option<StockId> {
    let is_open = alert.resolved_at.is_none() && alert.key.kind == AlertKind::Drift;
    let holder = alert.key.subject.parse().ok().filter(|_| is_open)?;
    Some(StockId { shop: alert.key.shop?, holder })
}
