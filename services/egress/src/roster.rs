//! Which shops are in service: looked up once for all lanes of the process, and told to those who keep them.

use std::sync::Arc;

use process::health::Pulse;
use store::{Error, ShopState};
use tokio_util::sync::CancellationToken;

use crate::shared::Shared;

/// For people who ask whether the process is ready.
const NOT_LOOKED_AFTER: &str = "cannot read which shops there are; the log says why";

/// Looks again and again, until `stop`.
pub(crate) async fn run(shared: Arc<Shared>, mut pulse: Pulse, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match look(&shared).await {
            Ok(()) => pulse.good(),
            Err(error) => {
                shared.observe.database_failed("look for shops", &error);
                pulse.failed(NOT_LOOKED_AFTER);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(shared.settings.registry_period) => {}
        }
    }
}

async fn look(shared: &Shared) -> Result<(), Error> {
    shared.observe.counts(shared.store.push_counts().await?);
    let shops = shared.store.shops(None).await?;
    let active = shops.into_iter().filter(|shop| shop.state == ShopState::Active);
    let active = active.map(|shop| (shop.id, shop)).collect();
    // Also when nothing changed: a lane that ended by a defect starts again now.
    shared.roster.send_replace(Some(Arc::new(active)));
    Ok(())
}
