//! What has to be done without a message: reservations expire, orders nobody confirmed are read again, what a registry
//! change left behind is worked off, old operation keys are forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use process::clock;
use store::{InventoryTx, Orphaned, ShopState, Wanted, Wish};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use values::{OrderId, ShopId, Sku};

use crate::batch::Summary;
use crate::catalogue;
use crate::error::{Error, guarded};
use crate::handle::Shared;
use crate::work::{Occasion, Scope, Work};

/// Rows worked off in one transaction.
const CHUNK: u32 = 500;
/// Between looks for operation keys to forget.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);

const RECOMPUTING: &str = "recomputing levels";
/// What is done with orders that nobody else ends.
pub(crate) const LETTING_GO: &str =
    "letting go what orders hold whose shop was removed or no longer knows them";
const LETTING_GO_ACTOR: &str = "onhand";
const REASON_REMOVED: &str = "its shop was removed";
const REASON_GONE: &str = "its shop no longer knows it";

pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut upkeep = Upkeep { shared, due: [Instant::now(); 3] };
    while !stop.is_cancelled() {
        upkeep.round().await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = upkeep.shared.wake_upkeep.notified() => {}
            () = sleep(upkeep.shared.settings.pace.poll) => {}
        }
    }
}

struct Upkeep {
    shared: Arc<Shared>,
    due: [Instant; 3],
}

impl Upkeep {
    async fn round(&mut self) {
        let shared = Arc::clone(&self.shared);
        report(&shared, RECOMPUTING, recompute(&shared)).await;
        report(&shared, "resolving parked lines", resolve(&shared)).await;
        if self.is_due(0, shared.settings.pace.expiry) {
            report(&shared, "letting reservations expire", expire(&shared)).await;
            report(&shared, LETTING_GO, let_go(&shared)).await;
        }
        if self.is_due(1, shared.settings.pace.sweep) {
            report(&shared, "asking for orders nobody confirmed", sweep(&shared)).await;
            shared.hint_rereads();
            shared.hint_resolve();
        }
        if self.is_due(2, PRUNE_PERIOD) {
            report(&shared, "forgetting operation keys", prune(&shared)).await;
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

/// Neither an error nor a broken rule ends the upkeep: it is tried again, and the log says so each time.
pub(crate) async fn report(
    shared: &Shared,
    what: &'static str,
    work: impl Future<Output = Result<(), store::Error>>,
) {
    if let Err(error) = guarded(work).await {
        shared.observer.upkeep_failed(what, &error);
    }
}

fn occasion() -> Occasion {
    Occasion { now: clock::now(), ..Occasion::default() }
}

/// Works off marked SKUs, chunk by chunk. If a chunk fails each of it is done alone, so that a broken one keeps no other from it.
pub(crate) async fn recompute(shared: &Shared) -> Result<(), store::Error> {
    while shared.store.waiting().await?.recompute_count > 0 {
        let mut skus = Vec::new();
        match guarded(Box::pin(recompute_chunk(shared, &mut skus))).await {
            // Another replica has them all.
            Ok(()) if skus.is_empty() => return Ok(()),
            Ok(()) => continue,
            Err(Error::Store(error)) if skus.is_empty() || error.class() == store::Class::Retry => {
                return Err(error);
            }
            Err(_broken) => {}
        }
        let mut one_was_done = false;
        for sku in &skus {
            match guarded(Box::pin(recompute_one(shared, sku))).await {
                Ok(is_done) => one_was_done |= is_done,
                Err(Error::Store(error)) if error.class() == store::Class::Retry => return Err(error),
                Err(error) => shared.observer.upkeep_failed(RECOMPUTING, &error),
            }
        }
        // The broken ones would be found again at once, the next look is soon enough.
        if !one_was_done {
            return Ok(());
        }
    }
    Ok(())
}

/// `skus` are those that it is about, whatever becomes of them.
async fn recompute_chunk(shared: &Shared, skus: &mut Vec<Sku>) -> Result<(), store::Error> {
    let mut tx = shared.store.begin_inventory().await?;
    *skus = tx.take_recompute(CHUNK).await?;
    if skus.is_empty() {
        return Ok(());
    }
    relevel(shared, tx, skus.iter().cloned().collect()).await
}

/// `false` if somebody else has it by now.
async fn recompute_one(shared: &Shared, sku: &Sku) -> Result<bool, store::Error> {
    let mut tx = shared.store.begin_inventory().await?;
    if !tx.take_recompute_of(sku).await? {
        return Ok(false);
    }
    relevel(shared, tx, [sku.clone()].into()).await?;
    Ok(true)
}

async fn relevel(shared: &Shared, mut tx: InventoryTx, skus: BTreeSet<Sku>) -> Result<(), store::Error> {
    let mut summary = Summary::default();
    catalogue::relevel(&mut tx, skus, &occasion(), &mut summary).await?;
    tx.commit().await?;
    shared.committed(&mut summary);
    Ok(())
}

/// Resolves the lines of orders whose listing was mapped.
pub(crate) async fn resolve(shared: &Shared) -> Result<(), store::Error> {
    // Taken before the work, so that what is mapped meanwhile is seen.
    while shared.take_resolve_hint() {
        let outcome = resolve_chunk(shared).await;
        if !matches!(outcome, Ok(0)) {
            shared.hint_resolve();
        }
        outcome?;
    }
    Ok(())
}

async fn resolve_chunk(shared: &Shared) -> Result<usize, store::Error> {
    let mut tx = shared.store.begin_inventory().await?;
    let mut summary = Summary::default();
    let count = catalogue::resolve(&mut tx, CHUNK, &occasion(), &mut summary).await?;
    tx.commit().await?;
    shared.committed(&mut summary);
    Ok(count)
}

/// Lets expired reservations go.
pub(crate) async fn expire(shared: &Shared) -> Result<(), store::Error> {
    loop {
        let keys = {
            let mut tx = shared.store.begin_inventory().await?;
            tx.expired_orders(clock::now(), CHUNK).await?
        };
        let what = "letting a reservation expire";
        if keys.is_empty() || !each_if_not_all(shared, what, &keys, expire_together).await {
            return Ok(());
        }
    }
}

/// Lets go what orders hold whose shop was removed and let them go, or lets those go that it no longer knows.
pub(crate) async fn let_go(shared: &Shared) -> Result<(), store::Error> {
    loop {
        let keys = {
            let mut tx = shared.store.begin_inventory().await?;
            tx.orders_to_release(CHUNK).await?
        };
        if keys.is_empty() || !each_if_not_all(shared, LETTING_GO, &keys, let_go_together).await {
            return Ok(());
        }
    }
}

/// Does something for all orders of a chunk. If that fails it is done for each alone, so that a broken one keeps no other
/// from it, and the answer is `false`: the broken ones would be found again at once, the next look is soon enough.
async fn each_if_not_all(
    shared: &Shared,
    what: &'static str,
    keys: &[(ShopId, OrderId)],
    work: impl AsyncFn(&Shared, &[(ShopId, OrderId)]) -> Result<(), store::Error>,
) -> bool {
    if guarded(Box::pin(work(shared, keys))).await.is_ok() {
        return true;
    }
    for key in keys {
        report(shared, what, Box::pin(work(shared, std::slice::from_ref(key)))).await;
    }
    false
}

async fn expire_together(shared: &Shared, keys: &[(ShopId, OrderId)]) -> Result<(), store::Error> {
    let occasion = occasion();
    let mut tx = shared.store.begin_inventory().await?;
    let mut work = Work::load(&mut tx, of(keys)).await?;
    for key in keys {
        // What is known of an order may have changed since it was found.
        if work.orders.get(key).is_some_and(|row| row.expires_at.is_some_and(|at| at <= occasion.now)) {
            work.expire(*key, &occasion);
        }
    }
    save(shared, tx, work, &occasion).await
}

async fn let_go_together(shared: &Shared, keys: &[(ShopId, OrderId)]) -> Result<(), store::Error> {
    let occasion = Occasion { actor: Some(LETTING_GO_ACTOR.into()), ..occasion() };
    let mut tx = shared.store.begin_inventory().await?;
    let mut work = Work::load(&mut tx, of(keys)).await?;
    for key in keys {
        // Its shop may be in service again since it was found, or know it again.
        let Some(shop) = work.shops.get(&key.0) else { continue };
        let is_gone = work.orders.get(key).is_some_and(|row| row.order.gone);
        let reason = match (shop.state, shop.settings.orphaned) {
            (ShopState::Removed, _) => REASON_REMOVED,
            (ShopState::Active | ShopState::Connecting, Orphaned::Release) if is_gone => REASON_GONE,
            (ShopState::Active | ShopState::Connecting, _) => continue,
        };
        work.release(*key, &Occasion { reason: Some(reason.into()), ..occasion.clone() });
    }
    save(shared, tx, work, &occasion).await
}

fn of(keys: &[(ShopId, OrderId)]) -> Scope {
    Scope { orders: keys.iter().copied().collect(), ..Scope::default() }
}

async fn save(
    shared: &Shared,
    mut tx: InventoryTx,
    work: Work,
    occasion: &Occasion,
) -> Result<(), store::Error> {
    let mut summary = Summary::default();
    summary.saved(work.save(&mut tx, &[], occasion.now).await?);
    tx.commit().await?;
    shared.committed(&mut summary);
    Ok(())
}

/// Asks for the orders that no read has confirmed in time.
pub(crate) async fn sweep(shared: &Shared) -> Result<(), store::Error> {
    let mut after: Option<(ShopId, OrderId)> = None;
    loop {
        let now = clock::now();
        let mut tx = shared.store.begin_inventory().await?;
        let keys = tx.overdue_orders(now - shared.settings.pace.confirm_within, after, CHUNK).await?;
        let Some(last) = keys.last() else { return Ok(()) };
        after = Some(*last);
        let wishes: Vec<Wish> =
            keys.iter().map(|(shop, order)| Wish { shop: *shop, what: Wanted::Order(*order) }).collect();
        tx.wish(&wishes, now).await?;
        tx.commit().await?;
        shared.wake_relay();
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
