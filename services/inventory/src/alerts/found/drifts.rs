//! Differences that somebody should know of: edits in shops, stocks that cannot be compared, and what is left to a person. Those
//! that are our own doing and were put right are nobody's concern.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::{Alert, AlertKind, DriftRow, PAGE_ROWS_MAX, Store};
use values::{ShopId, StockId, Timestamp};

use super::STOCKS_PER_SHOP_MAX;

/// How long after a difference was found its alert is open, unless another is found.
const TOLD_FOR: Duration = Duration::from_hours(24);
/// Most differences that are looked at; of each shop one more than have an alert, so that more are noticed.
const DRIFTS_MAX: u32 = 5_000;

/// The newest of each stock that has an alert.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    pub(super) stocks: BTreeMap<StockId, DriftRow>,
    /// Shops that have more.
    pub(super) more: BTreeSet<ShopId>,
    /// There are shops that were not looked at.
    pub(super) partial: bool,
}

pub(super) async fn look(store: &Store, known: &[Alert], now: Timestamp) -> Result<Drifts, store::Error> {
    let of_shop_max = u32::try_from(STOCKS_PER_SHOP_MAX).unwrap_or(u32::MAX).saturating_add(1);
    let newest = store.drifts_to_tell(now - TOLD_FOR, of_shop_max, DRIFTS_MAX).await?;
    let full = u32::try_from(newest.len()).is_ok_and(|count| count >= DRIFTS_MAX);
    let mut drifts = Drifts { partial: full, ..Drifts::default() };
    let mut of_shop: BTreeMap<ShopId, Vec<DriftRow>> = BTreeMap::new();
    for row in newest {
        of_shop.entry(row.stock.shop).or_default().push(row);
    }
    for (shop, mut rows) in of_shop {
        if rows.len() > STOCKS_PER_SHOP_MAX {
            drifts.more.insert(shop);
            rows.sort_by_key(|row| (std::cmp::Reverse(row.at), row.stock));
            rows.truncate(STOCKS_PER_SHOP_MAX);
        }
        drifts.stocks.extend(rows.into_iter().map(|row| (row.stock, row)));
    }
    // What has an alert keeps it, however many newer ones there are.
    let open = known.iter().filter_map(drifted_stock);
    let unseen: Vec<StockId> = open.filter(|stock| !drifts.stocks.contains_key(stock)).collect();
    for chunk in unseen.chunks(usize::try_from(PAGE_ROWS_MAX).unwrap_or(usize::MAX)) {
        let rows = store.drifts_to_tell_of(chunk, now - TOLD_FOR).await?;
        drifts.stocks.extend(rows.into_iter().map(|row| (row.stock, row)));
    }
    Ok(drifts)
}

/// The stock that an open alert is about.
fn drifted_stock(alert: &Alert) -> Option<StockId> {
    let is_open = alert.resolved_at.is_none() && alert.key.kind == AlertKind::Drift;
    let holder = alert.key.subject.parse().ok().filter(|_| is_open)?;
    Some(StockId { shop: alert.key.shop?, holder })
}
