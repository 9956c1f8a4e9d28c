//! One reader for each shop of the registry whose shard is held: started when a shop appears, stopped when it goes, started
//! again if it breaks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use proto::Shard;
use store::Shop;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use values::ShopId;

use crate::observe::Observe;
use crate::reader::Reader;
use crate::roster::Roster;
use crate::{Connect, Shared};

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

/// The readers of one shard.
#[derive(Debug)]
pub(crate) struct Readers<C> {
    shared: Arc<Shared<C>>,
    shard: Shard,
    running: BTreeMap<ShopId, Running>,
    tasks: JoinSet<()>,
}

impl<C: Connect> Readers<C> {
    pub(crate) fn new(shared: Arc<Shared<C>>, shard: Shard) -> Self {
        Self { shared, shard, running: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Until `stop`; then waits for every reader to end.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut shops = self.shared.roster.subscribe();
        shops.mark_changed();
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = shops.changed() => {
                    let roster = shops.borrow_and_update().clone();
                    if let Some(roster) = roster {
                        self.refresh(&roster, &stop);
                    }
                }
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }

    fn refresh(&mut self, roster: &Roster, stop: &CancellationToken) {
        let shard = self.shard;
        for (id, shop) in roster.iter().filter(|(id, _)| shard.has(**id)) {
            match self.running.get(id) {
                Some(running) => {
                    running.shop.send_if_modified(|known| {
                        let differs = known != shop;
                        known.clone_from(shop);
                        differs
                    });
                }
                None => self.begin(shop.clone(), stop),
            }
        }
        for (id, running) in &self.running {
            if !roster.contains_key(id) {
                running.stop.cancel();
            }
        }
    }

    fn begin(&mut self, shop: Shop, stop: &CancellationToken) {
        let (id, stop) = (shop.id, stop.child_token());
        let (sender, receiver) = watch::channel(shop);
        let reader = Reader::new(Arc::clone(&self.shared), receiver, self.shared.wakes.of(id), stop.clone());
        let task = self.tasks.spawn(reader.run()).id();
        self.running.insert(id, Running { shop: sender, stop, task });
        self.shared.observe.readers(1);
    }

    /// A reader ends when its shop goes; one that ends otherwise is begun again at the next look.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(error) => error.id(),
        };
        let shop = self.running.iter().find(|(_, running)| running.task == task).map(|(shop, _)| *shop);
        self.shared.observe.readers(-1);
        if let Err(error) = ended {
            Observe::reader_ended(shop, &error);
        }
        if let Some(shop) = shop {
            self.running.remove(&shop);
            self.shared.wakes.forget(shop);
        }
    }
}
