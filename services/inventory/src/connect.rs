//! A shop is read for the first time: where its orders begin is noted, and it is in service.

use proto::ShopConnected;
use store::InventoryTx;

use crate::batch::Traced;

pub(crate) async fn apply(
    tx: &mut InventoryTx,
    connected: &[Traced<'_, ShopConnected>],
) -> Result<(), store::Error> {
    for Traced { what, .. } in connected {
        tx.set_baseline(what.shop, what.baseline_last).await?;
        tx.activate_shop(what.shop).await?;
    }
    Ok(())
}
