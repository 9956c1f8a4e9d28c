//! Keeps a lane running for each shop in service whose shard is held, each in a task of its own, so that a dead shop costs
//! the others nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::Shard;
use store::{Error, Shop};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use values::{ShopId, StockId};

use crate::lane::{INTENTS_PAGE, Lane, doubt};
use crate::shared::{Roster, Shared};
use crate::stock::Stock;

/// One lane that runs.
struct Running {
    task: Id,
    shop: Shop,
    /// Its name in the journal.
    owner: String,
    stop: CancellationToken,
}

/// The lanes of one shard.
struct Lanes {
    shared: Arc<Shared>,
    shard: Shard,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    running: BTreeMap<ShopId, Running>,
}

/// Runs the lanes of a shard until `stop`; then waits for what they have under way.
pub(crate) async fn run(shared: Arc<Shared>, shard: Shard, stop: CancellationToken) {
    let mut shops = shared.roster.subscribe();
    shops.mark_changed();
    let (tasks, running) = (JoinSet::new(), BTreeMap::new());
    let mut lanes = Lanes { shared, shard, stop: stop.clone(), tasks, running };
    let period = lanes.shared.settings.strays_period;
    let mut look_for_strays = Instant::now() + period;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            Ok(()) = shops.changed() => {
                let roster = shops.borrow_and_update().clone();
                if let Some(roster) = roster {
                    lanes.refresh(&roster);
                }
            }
            Some(ended) = lanes.tasks.join_next_with_id() => lanes.reap(ended),
            () = tokio::time::sleep_until(look_for_strays) => {
                if let Err(error) = lanes.adopt_strays().await {
                    lanes.shared.observe.database_failed("look for pushes of others", &error);
                }
                look_for_strays = Instant::now() + period;
            }
        }
    }
    while lanes.tasks.join_next().await.is_some() {}
}

impl Lanes {
    /// Starts lanes of shops in service, and stops those of shops that are not, or are set up otherwise by now.
    fn refresh(&mut self, roster: &Roster) {
        for (id, lane) in &self.running {
            let as_it_was = roster.get(id).is_some_and(|shop| same_lane(shop, &lane.shop));
            if !as_it_was {
                lane.stop.cancel();
            }
        }
        // A lane of a changed shop starts when the one before has ended: there is never a second one.
        let shard = self.shard;
        for (id, shop) in roster.iter().filter(|(id, _)| shard.has(**id)) {
            if self.running.contains_key(id) {
                continue;
            }
            let stop = self.stop.child_token();
            let lane = Lane::new(Arc::clone(&self.shared), shop.clone(), stop.clone());
            let owner = lane.owner().to_owned();
            let task = self.tasks.spawn(lane.run()).id();
            self.running.insert(*id, Running { task, shop: shop.clone(), owner, stop });
        }
    }

    /// A lane finds at its start what those before it left open. A holder of the shard before this one that was frozen, and
    /// woke up after its time, may have journaled something since: that is in doubt as well, or it would be waited for for
    /// ever should that process die. So is what a lane of ours journaled while its connection broke: it was told that nothing
    /// was stored, and made no call.
    async fn adopt_strays(&self) -> Result<(), Error> {
        let (now, mut after) = (self.shared.now(), None);
        loop {
            let open = self.shared.store.open_intents(after, INTENTS_PAGE).await?;
            let Some(last) = open.last() else { return Ok(()) };
            after = Some(last.id);
            let mut strays: BTreeMap<ShopId, Vec<StockId>> = BTreeMap::new();
            for row in &open {
                let lane = self.running.get(&row.id.shop);
                if lane.is_some_and(|lane| Stock::is_stray(row, &lane.owner, now)) {
                    strays.entry(row.id.shop).or_default().push(row.id);
                }
            }
            for (shop, stocks) in strays {
                let Some(lane) = self.running.get(&shop) else { continue };
                let count = doubt(&self.shared, &lane.owner, &stocks).await?;
                if count > 0 {
                    self.shared.observe.recovered(shop, count);
                    self.shared.wakes.wake(shop, self.shared.now());
                }
            }
        }
    }

    /// A lane has ended: told to, or by a defect.
    fn reap(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (task, cause) = match ended {
            Ok((task, ())) => (task, "it returned".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        let shop = self.running.iter().find(|(_, lane)| lane.task == task).map(|(shop, _)| *shop);
        let told =
            shop.and_then(|shop| self.running.remove(&shop)).is_some_and(|lane| lane.stop.is_cancelled());
        if !told {
            self.shared.observe.lane_restarted(shop, &cause);
        }
    }
}

/// Whether a lane need not be started anew for what changed.
fn same_lane(one: &Shop, other: &Shop) -> bool {
    one.settings.url == other.settings.url
        && one.settings.private_allowed == other.settings.private_allowed
        && one.settings.sign_in == other.settings.sign_in
        && one.connector == other.connector
}
