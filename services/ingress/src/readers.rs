//! One reader for each shop of the registry: started when a shop appears, stopped when it goes, started again if it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process::health::Pulse;
use store::{Shop, ShopState};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use values::{ShopId, Timestamp};

use crate::observe::Observe;
use crate::reader::Reader;
use crate::{Connect, Shared};

/// How long tasks that have ended can be asked for.
const TASKS_KEPT: Duration = Duration::from_hours(24 * 7);
/// Tasks forgotten at once.
const PRUNED_MAX: u32 = 500;
/// How often old tasks are looked for.
const PRUNE_PERIOD: Duration = Duration::from_hours(1);

/// For people who ask whether the process is ready.
const NOT_LOOKED_AFTER: &str = "cannot read which shops there are; the log says why";

/// Wakes readers when there is something to do for them.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// As many as there are shops.
    readers: Mutex<BTreeMap<ShopId, Arc<Notify>>>,
}

impl Wakes {
    fn of(&self, shop: ShopId) -> Arc<Notify> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(readers.entry(shop).or_default())
    }

    /// A shop that is not read yet finds its work when it is.
    pub(crate) fn wake(&self, shop: ShopId) {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = readers.get(&shop) {
            notify.notify_one();
        }
    }

    fn forget(&self, shop: ShopId) {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(&shop);
    }
}

#[derive(Debug)]
struct Running {
    shop: watch::Sender<Shop>,
    stop: CancellationToken,
    task: Id,
}

/// The readers of this process.
#[derive(Debug)]
pub(crate) struct Readers<C> {
    shared: Arc<Shared<C>>,
    running: BTreeMap<ShopId, Running>,
    tasks: JoinSet<()>,
    pruned_at: Option<Timestamp>,
    pulse: Pulse,
}

impl<C: Connect> Readers<C> {
    pub(crate) fn new(shared: Arc<Shared<C>>, pulse: Pulse) -> Self {
        Self { shared, running: BTreeMap::new(), tasks: JoinSet::new(), pruned_at: None, pulse }
    }

    /// Until `stop`; then waits for every reader to end.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.look(&stop).await {
                Ok(()) => self.pulse.good(),
                Err(error) => {
                    Observe::store_failed("look for shops to read", &error);
                    self.pulse.failed(NOT_LOOKED_AFTER);
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.shared.settings.look_period) => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
        while self.tasks.join_next().await.is_some() {}
        self.shared.observe.readers(0);
    }

    async fn look(&mut self, stop: &CancellationToken) -> Result<(), store::Error> {
        let shops = self.shared.store.shops(None).await?;
        let mut there = BTreeSet::new();
        for shop in shops.into_iter().filter(|shop| shop.state != ShopState::Removed) {
            there.insert(shop.id);
            match self.running.get(&shop.id) {
                Some(running) => {
                    running.shop.send_if_modified(|known| {
                        let differs = *known != shop;
                        *known = shop;
                        differs
                    });
                }
                None => self.begin(shop, stop),
            }
        }
        for (_, gone) in self.running.extract_if(.., |shop, _| !there.contains(shop)) {
            gone.stop.cancel();
        }
        self.shared.observe.readers(self.running.len());
        let now = (self.shared.clock)();
        for shop in self.shared.store.shops_to_read(now).await? {
            self.shared.wakes.wake(shop);
        }
        if self.pruned_at.is_none_or(|pruned_at| now.since(pruned_at) >= PRUNE_PERIOD) {
            self.shared.store.prune_tasks(now - TASKS_KEPT, PRUNED_MAX).await?;
            self.pruned_at = Some(now);
        }
        Ok(())
    }

    fn begin(&mut self, shop: Shop, stop: &CancellationToken) {
        let (id, stop) = (shop.id, stop.child_token());
        let (sender, receiver) = watch::channel(shop);
        let reader = Reader::new(Arc::clone(&self.shared), receiver, self.shared.wakes.of(id), stop.clone());
        let task = self.tasks.spawn(reader.run()).id();
        self.running.insert(id, Running { shop: sender, stop, task });
    }

    /// A reader ends when its shop goes; one that ends otherwise is begun again at the next look.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        let shop = self.running.iter().find(|(_, running)| running.task == task).map(|(shop, _)| *shop);
        if let Err(error) = ended {
            Observe::reader_ended(shop, &error);
        }
        if let Some(shop) = shop {
            self.running.remove(&shop);
            self.shared.wakes.forget(shop);
        }
    }
}
