//! What has to be done without a message: reservations expire, orders nobody confirmed are read again, what a registry
//! change left behind is worked off, old operation keys are forgotten.

use std::sync::Arc;
use std::time::Duration;

use process::clock;
use store::{Wanted, Wish};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use values::{OrderId, ShopId};

use crate::batch::Summary;
use crate::catalogue;
use crate::handle::Shared;
use crate::work::{Occasion, Scope, Work};

/// Rows worked off in one transaction.
const CHUNK: u32 = 500;
/// How long at most something waits that nobody woke the upkeep for.
const FALLBACK_POLL: Duration = Duration::from_secs(10);
/// Between looks at what expires.
const EXPIRY_PERIOD: Duration = Duration::from_secs(10);
/// Between looks for orders that no read has confirmed.
const SWEEP_PERIOD: Duration = Duration::from_secs(60);
/// Two polls confirm an order; what they have not by then they never will.
pub(crate) const CONFIRM_WITHIN: Duration = Duration::from_mins(3);
/// Between looks for orders that are still to be read again.
const REREAD_PERIOD: Duration = Duration::from_secs(30);
/// Between looks for operation keys to forget.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);

pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut upkeep = Upkeep { shared, due: [Instant::now(); 4] };
    while !stop.is_cancelled() {
        upkeep.round().await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = upkeep.shared.wake_upkeep.notified() => {}
            () = sleep(FALLBACK_POLL) => {}
        }
    }
}

struct Upkeep {
    shared: Arc<Shared>,
    due: [Instant; 4],
}

impl Upkeep {
    async fn round(&mut self) {
        let shared = Arc::clone(&self.shared);
        report(&shared, "recomputing levels", recompute(&shared).await);
        report(&shared, "resolving parked lines", resolve(&shared).await);
        if self.is_due(0, EXPIRY_PERIOD) {
            report(&shared, "letting reservations expire", expire(&shared).await);
        }
        if self.is_due(1, SWEEP_PERIOD) {
            report(&shared, "asking for orders nobody confirmed", sweep(&shared).await);
        }
        if self.is_due(2, REREAD_PERIOD) {
            shared.hint_rereads();
        }
        if self.is_due(3, PRUNE_PERIOD) {
            report(&shared, "forgetting operation keys", prune(&shared).await);
        }
        match shared.store.waiting().await {
            Ok(waiting) => shared.observer.waiting(&waiting, clock::now()),
            Err(error) => shared.observer.upkeep_failed("counting what waits", &error),
        }
    }

    fn is_due(&mut self, slot: usize, period: Duration) -> bool {
        let now = Instant::now();
        match self.due.get_mut(slot) {
            Some(due) if *due <= now => {
                *due = now + period;
                true
            }
            _ => false,
        }
    }
}

fn report(shared: &Shared, what: &'static str, outcome: Result<(), store::Error>) {
    if let Err(error) = outcome {
        shared.observer.upkeep_failed(what, &error);
    }
}

fn occasion() -> Occasion {
    Occasion { now: clock::now(), ..Occasion::default() }
}

/// Works off marked SKUs, chunk by chunk.
pub(crate) async fn recompute(shared: &Shared) -> Result<(), store::Error> {
    while shared.store.waiting().await?.recompute_count > 0 {
        let mut tx = shared.store.begin_inventory().await?;
        let mut summary = Summary::default();
        let skus = tx.take_recompute(CHUNK).await?;
        catalogue::relevel(&mut tx, skus.into_iter().collect(), &occasion(), &mut summary).await?;
        tx.commit().await?;
        shared.committed(&summary);
    }
    Ok(())
}

/// Resolves the lines of orders whose listing was mapped.
pub(crate) async fn resolve(shared: &Shared) -> Result<(), store::Error> {
    while shared.take_resolve_hint() {
        let mut tx = shared.store.begin_inventory().await?;
        let mut summary = Summary::default();
        let count = catalogue::resolve(&mut tx, CHUNK, &occasion(), &mut summary).await?;
        tx.commit().await?;
        if count > 0 {
            shared.hint_resolve();
        }
        shared.committed(&summary);
    }
    Ok(())
}

/// Lets expired reservations go.
pub(crate) async fn expire(shared: &Shared) -> Result<(), store::Error> {
    loop {
        let occasion = occasion();
        let mut tx = shared.store.begin_inventory().await?;
        let keys = tx.expired_orders(occasion.now, CHUNK).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let scope = Scope { orders: keys.iter().copied().collect(), ..Scope::default() };
        let mut work = Work::load(&mut tx, scope).await?;
        for key in &keys {
            work.expire(*key, &occasion);
        }
        let mut summary = Summary::default();
        summary.saved(work.save(&mut tx, &[], occasion.now).await?);
        tx.commit().await?;
        shared.committed(&summary);
    }
}

/// Asks for the orders that no read has confirmed in time.
pub(crate) async fn sweep(shared: &Shared) -> Result<(), store::Error> {
    let mut after: Option<(ShopId, OrderId)> = None;
    loop {
        let now = clock::now();
        let mut tx = shared.store.begin_inventory().await?;
        let keys = tx.overdue_orders(now - CONFIRM_WITHIN, after, CHUNK).await?;
        let Some(last) = keys.last() else { return Ok(()) };
        after = Some(*last);
        let wishes: Vec<Wish> =
            keys.iter().map(|(shop, order)| Wish { shop: *shop, what: Wanted::Order(*order) }).collect();
        tx.wish(&wishes, now).await?;
        tx.commit().await?;
        shared.wake_relay.notify_one();
    }
}

async fn prune(shared: &Shared) -> Result<(), store::Error> {
    let before = clock::now() - shared.settings.operation_keys_kept;
    loop {
        let mut tx = shared.store.begin_inventory().await?;
        let count = tx.prune_operations(before, CHUNK).await?;
        tx.commit().await?;
        if count < u64::from(CHUNK) {
            return Ok(());
        }
    }
}
