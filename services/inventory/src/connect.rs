//! A shop is read for the first time: where its orders begin is noted, and it is in service.

use proto::ShopConnected;
use store::InventoryTx;
use values::ShopId;

use crate::batch::Traced;
use crate::work::Work;

pub(crate) async fn apply(
    tx: &mut InventoryTx,
    work: &mut Work,
    connected: &[Traced<'_, ShopConnected>],
) -> Result<(), store::Error> {
    for Traced { what, .. } in connected {
        tx.set_baseline(what.shop, what.baseline_last).await?;
        tx.activate_shop(what.shop).await?;
    }
    let shops: Vec<ShopId> = connected.iter().map(|connected| connected.what.shop).collect();
    work.reload_shops(tx, &shops).await
}
