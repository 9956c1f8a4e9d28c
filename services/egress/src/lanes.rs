//! Keeps a lane running for each shop in service, each in a task of its own, so that a dead shop costs the others
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use process::health::Pulse;
use store::{Error, Shop, ShopState};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use values::ShopId;

use crate::lane::Lane;
use crate::shared::Shared;

/// For people who ask whether the process is ready.
const NOT_LOOKED_AFTER: &str = "cannot read which shops there are; the log says why";

/// One lane that runs.
struct Running {
    task: Id,
    shop: Shop,
    stop: CancellationToken,
}

/// Runs lanes until `stop`; then waits for what they have under way.
pub(crate) async fn run(shared: Arc<Shared>, mut pulse: Pulse, stop: CancellationToken) {
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut lanes: BTreeMap<ShopId, Running> = BTreeMap::new();
    while !stop.is_cancelled() {
        match refresh(&shared, &stop, &mut tasks, &mut lanes).await {
            Ok(()) => pulse.good(),
            Err(error) => {
                shared.observe.database_failed("look for shops", &error);
                pulse.failed(NOT_LOOKED_AFTER);
            }
        }
        let look_again = tokio::time::sleep(shared.settings.registry_period);
        tokio::pin!(look_again);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut look_again => break,
                Some(ended) = tasks.join_next_with_id() => reap(&shared, &mut lanes, ended),
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Starts lanes of shops in service, and stops those of shops that are not, or are set up otherwise by now.
async fn refresh(
    shared: &Arc<Shared>,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
    lanes: &mut BTreeMap<ShopId, Running>,
) -> Result<(), Error> {
    shared.observe.counts(shared.store.push_counts().await?);
    let shops = shared.store.shops(None).await?;
    let mut active: BTreeMap<ShopId, Shop> = shops
        .into_iter()
        .filter(|shop| shop.state == ShopState::Active)
        .map(|shop| (shop.id, shop))
        .collect();
    for (id, lane) in lanes.iter() {
        let as_it_was = active.remove(id).is_some_and(|shop| same_lane(&shop, &lane.shop));
        if !as_it_was {
            lane.stop.cancel();
        }
    }
    // A lane of a changed shop starts when the one before has ended: there is never a second one.
    for (id, shop) in active.into_iter().filter(|(id, _)| !lanes.contains_key(id)).collect::<Vec<_>>() {
        let stop = stop.child_token();
        let lane = Lane::new(Arc::clone(shared), shop.clone(), stop.clone());
        let task = tasks.spawn(lane.run()).id();
        lanes.insert(id, Running { task, shop, stop });
    }
    Ok(())
}

/// Whether a lane need not be started anew for what changed.
fn same_lane(one: &Shop, other: &Shop) -> bool {
    one.settings.url == other.settings.url
        && one.settings.private_allowed == other.settings.private_allowed
        && one.settings.sign_in == other.settings.sign_in
        && one.connector == other.connector
}

/// A lane has ended: told to, or by a defect.
fn reap(shared: &Shared, lanes: &mut BTreeMap<ShopId, Running>, ended: Result<(Id, ()), JoinError>) {
    let (task, cause) = match ended {
        Ok((task, ())) => (task, "it returned".to_owned()),
        Err(error) => (error.id(), error.to_string()),
    };
    let shop = lanes.iter().find(|(_, lane)| lane.task == task).map(|(shop, _)| *shop);
    let told = shop.and_then(|shop| lanes.remove(&shop)).is_some_and(|lane| lane.stop.is_cancelled());
    if !told {
        shared.observe.lane_restarted(shop, &cause);
    }
}
