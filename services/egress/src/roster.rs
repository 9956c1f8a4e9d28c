//! Which shops are in service: looked up once for all lanes of the process, and told to those who keep them.

use std::sync::Arc;
use std::time::Duration;

use process::health::Pulse;
use store::{Error, REPORTS_KEPT, ShopState};
use tokio_util::sync::CancellationToken;
use values::Timestamp;

use crate::shared::Shared;

/// Between looks for what shops were told long ago.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);
/// Rows that are forgotten in one transaction.
const PRUNE_CHUNK: u32 = 500;
/// Transactions of one look; the rest is forgotten an hour later. Lanes wait for the look.
const PRUNE_CHUNKS_MAX: u32 = 100;
/// For people who ask whether the process is ready.
const NOT_LOOKED_AFTER: &str = "cannot read which shops there are; the log says why";

/// Looks again and again, until `stop`.
pub(crate) async fn run(shared: Arc<Shared>, mut pulse: Pulse, stop: CancellationToken) {
    let mut pruned_at = None;
    while !stop.is_cancelled() {
        match look(&shared, &mut pruned_at).await {
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

async fn look(shared: &Shared, pruned_at: &mut Option<Timestamp>) -> Result<(), Error> {
    shared.observe.counts(shared.store.push_counts().await?);
    let shops = shared.store.shops(None).await?;
    let active = shops.into_iter().filter(|shop| shop.state == ShopState::Active);
    let active = active.map(|shop| (shop.id, shop)).collect();
    // Also when nothing changed: a lane that ended by a defect starts again now.
    shared.roster.send_replace(Some(Arc::new(active)));
    let now = shared.now();
    if pruned_at.is_none_or(|pruned_at| now.since(pruned_at) >= PRUNE_PERIOD) {
        for _ in 0..PRUNE_CHUNKS_MAX {
            if shared.store.prune_reports(now - REPORTS_KEPT, PRUNE_CHUNK).await? < u64::from(PRUNE_CHUNK) {
                break;
            }
        }
        *pruned_at = Some(now);
    }
    Ok(())
}
