//! Changes of a shop that its orders and stocks have to follow.

use store::{Changed, InventoryTx, ShopSettings};
use values::{OrderId, ShopId, Timestamp};

use crate::work::{Occasion, Scope, Work};

/// Orders looked at together.
const CHUNK: u32 = 500;

/// Changes the shop; what its orders have yet to take follows at once, levels follow by their marks.
pub(crate) async fn change_shop(
    tx: &mut InventoryTx,
    shop: ShopId,
    settings: &ShopSettings,
    now: Timestamp,
) -> Result<Changed, store::Error> {
    let before = tx.load_shops(&[shop]).await?.pop();
    let changed = tx.change_shop(shop, settings).await?;
    let Some(before) = before.filter(|_| changed == Changed::Done) else { return Ok(changed) };
    if before.settings.statuses == settings.statuses {
        return Ok(changed);
    }
    let occasion = Occasion { now, ..Occasion::default() };
    let mut after: Option<OrderId> = None;
    loop {
        let orders = tx.orders_not_taken(shop, after, CHUNK).await?;
        let Some(last) = orders.last() else { return Ok(changed) };
        after = Some(*last);
        let keys = orders.iter().map(|order| (shop, *order)).collect();
        let mut work = Work::load(tx, Scope { orders: keys, ..Scope::default() }).await?;
        for order in orders {
            work.retake((shop, order), &before.settings.statuses, &occasion);
        }
        work.save(tx, &[], now).await?;
    }
}
