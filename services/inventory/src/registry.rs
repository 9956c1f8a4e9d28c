//! Changes of a shop that its orders and stocks have to follow.

use store::{Changed, InventoryTx, ShopSettings};
use values::{OrderId, ShopId, Timestamp};

use crate::work::{Occasion, Scope, Work};

/// Orders looked at together.
const CHUNK: u32 = 500;

/// Changes the shop, if its settings are what they were when that was decided; `None` if not. What its orders have yet to take
/// follows at once, levels follow by their marks.
pub(crate) async fn change_shop(
    tx: &mut InventoryTx,
    shop: ShopId,
    expected: Option<&ShopSettings>,
    settings: &ShopSettings,
    now: Timestamp,
) -> Result<Option<Changed>, store::Error> {
    // What is applied meanwhile would go by the settings of before, and not be found below.
    tx.lock_out_shops(&[shop]).await?;
    let Some(before) = tx.load_shops(&[shop]).await?.pop() else { return Ok(Some(Changed::Unknown)) };
    if expected.is_some_and(|expected| before.settings != *expected) {
        return Ok(None);
    }
    let changed = tx.change_shop(shop, settings).await?;
    if changed != Changed::Done || before.settings.statuses == settings.statuses {
        return Ok(Some(changed));
    }
    let occasion = Occasion { now, ..Occasion::default() };
    // All before the first is loaded: their SKUs are locked in one go, in their order.
    let mut orders: Vec<OrderId> = Vec::new();
    loop {
        let some = tx.orders_not_taken(shop, orders.last().copied(), CHUNK).await?;
        if some.is_empty() {
            break;
        }
        orders.extend(some);
    }
    if !orders.is_empty() {
        let keys = orders.iter().map(|order| (shop, *order)).collect();
        let mut work = Work::load(tx, Scope { orders: keys, ..Scope::default() }).await?;
        for order in orders {
            work.retake((shop, order), &before.settings.statuses, &occasion);
        }
        work.save(tx, &[], now).await?;
    }
    Ok(Some(Changed::Done))
}
