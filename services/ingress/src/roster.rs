//! Which shops are to be read: looked up once for all readers of the process, and told to those who keep them. Also wakes
//! readers that have something to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use process::health::Pulse;
use store::{RunState, Shop, ShopState};
use tokio_util::sync::CancellationToken;
use values::{ShopId, Timestamp};

use crate::Shared;
use crate::observe::Observe;

/// How long tasks that have ended can be asked for.
const TASKS_KEPT: Duration = Duration::from_hours(24 * 7);
/// How long what comparisons of whole shops found can be asked for.
const RUNS_KEPT: Duration = Duration::from_hours(24 * 90);
/// How many days counts can be asked for: two years and a bit, to compare a month with the same one before.
const COUNTS_KEPT_DAYS: i64 = 800;
const DAY_SECONDS: i64 = 86_400;
/// Why a comparison failed whose time was up long ago.
const NOBODY_READ_IT: &str = "its time was up and nobody read the shop";
/// Tasks forgotten at once.
const PRUNED_MAX: u32 = 500;
/// Transactions of one look in which old comparisons are forgotten; the rest goes with the next one.
const PRUNED_TIMES_MAX: u32 = 100;
/// How often old tasks are looked for.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);

/// For people who ask whether the process is ready.
const NOT_LOOKED_AFTER: &str = "cannot read which shops there are; the log says why";

/// The shops to read.
pub(crate) type Roster = Arc<BTreeMap<ShopId, Shop>>;

/// Looks again and again, until `stop`.
pub(crate) async fn run<C>(shared: Arc<Shared<C>>, mut pulse: Pulse, stop: CancellationToken) {
    let mut pruned_at = None;
    let mut kept_at = None;
    while !stop.is_cancelled() {
        let looked = match look(&shared, &mut pruned_at).await {
            Ok(()) => keep(&shared, &mut kept_at).await,
            failed => failed,
        };
        shared.away.store(matches!(looked, Err(store::Error::Busy { .. })), Ordering::Relaxed);
        match looked {
            Ok(()) => pulse.good(),
            Err(error) => {
                Observe::store_failed("look for shops to read", &error);
                pulse.failed(NOT_LOOKED_AFTER);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(shared.settings.look_period) => {}
        }
    }
}

/// Keeps the shops whose webhooks are taken, for a time in which the database is away.
async fn keep<C>(shared: &Shared<C>, kept_at: &mut Option<Instant>) -> Result<(), store::Error> {
    let is_due = kept_at.is_none_or(|at: Instant| at.elapsed() >= shared.settings.snapshot_period);
    let Some(snapshot) = shared.snapshot.as_ref().filter(|_| is_due) else { return Ok(()) };
    let doors = shared.store.webhook_doors().await?;
    let snapshot = Arc::clone(snapshot);
    // It is sealed and synced to disk: not on a thread that others wait for.
    match tokio::task::spawn_blocking(move || snapshot.keep(doors)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => Observe::snapshot_failed("write", &error),
        Err(error) => Observe::snapshot_failed("write", &error),
    }
    *kept_at = Some(Instant::now());
    Ok(())
}

async fn look<C>(shared: &Shared<C>, pruned_at: &mut Option<Timestamp>) -> Result<(), store::Error> {
    let shops = shared.store.shops(None).await?;
    let there = shops.into_iter().filter(|shop| shop.state != ShopState::Removed);
    let there = there.map(|shop| (shop.id, shop)).collect();
    // Also when nothing changed: a reader that broke is begun again now.
    shared.roster.send_replace(Some(Arc::new(there)));
    let now = (shared.clock)();
    for shop in shared.store.shops_to_read(now).await? {
        shared.wakes.wake(shop);
    }
    if pruned_at.is_none_or(|pruned_at| now.since(pruned_at) >= PRUNE_PERIOD) {
        shared.store.prune_tasks(now - TASKS_KEPT, PRUNED_MAX).await?;
        for _ in 0..PRUNED_TIMES_MAX {
            if shared.store.prune_runs(now - RUNS_KEPT, PRUNED_MAX).await? < u64::from(PRUNED_MAX) {
                break;
            }
        }
        shared.store.prune_counts(now.seconds() / DAY_SECONDS - COUNTS_KEPT_DAYS, PRUNED_MAX).await?;
        for run in shared.store.overdue_runs(now - PRUNE_PERIOD, PRUNED_MAX).await? {
            shared.store.end_run(run, RunState::Failed, NOBODY_READ_IT, now).await?;
        }
        *pruned_at = Some(now);
    }
    Ok(())
}
