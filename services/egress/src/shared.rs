//! What all parts of egress share: the database, the bus, the clock, and how lanes are woken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bus::Bus;
use connector_woocommerce::Client;
use process::health::Health;
use store::{SeenPush, Shop, ShopSecrets, Store};
use tokio::sync::{Notify, watch};
use values::{ShopId, Timestamp};

use crate::observe::Observe;
use crate::settings::Settings;

/// Reads the hub's clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Makes the client of a shop.
pub type Connect = Arc<dyn Fn(&Shop, &ShopSecrets) -> Result<Client, ConnectError> + Send + Sync>;

/// A shop cannot be called at all until somebody changes its address or keys. Names neither.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Its address is none.
    #[error("the shop's address cannot be used; change it")]
    Address(#[source] connector_woocommerce::ShopUrlError),
    /// The client refuses it.
    #[error("the shop cannot be called as it is set up")]
    Client(#[source] connector_woocommerce::ClientError),
}

/// What egress is made of.
pub struct Parts {
    /// The database.
    pub store: Arc<Store>,
    /// The transport.
    pub bus: Bus,
    /// How to call shops: [`crate::woocommerce`], unless a test wants shorter times.
    pub connect: Connect,
    /// [`process::clock::now`], unless a test moves the time.
    pub clock: Clock,
    /// Names this process among the replicas. The same name after a restart has its shards back at once, so two processes
    /// that run at the same time must not share one.
    pub member: String,
    /// Where it says whether it keeps up.
    pub health: Health,
    /// What can be set.
    pub settings: Settings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The same, for all tasks.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) bus: Bus,
    pub(crate) connect: Connect,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) observe: Observe,
    pub(crate) wakes: Wakes,
    pub(crate) reports: Reports,
    /// The shops in service; `None` before the first look.
    pub(crate) roster: watch::Sender<Option<Roster>>,
}

/// The shops in service.
pub(crate) type Roster = Arc<BTreeMap<ShopId, Shop>>;

impl Shared {
    pub(crate) fn new(parts: Parts, observe: Observe) -> Self {
        let Parts { store, bus, connect, clock, settings, health: _, member: _ } = parts;
        let roster = watch::Sender::new(None);
        Self {
            store,
            bus,
            connect,
            clock,
            settings,
            observe,
            wakes: Wakes::default(),
            reports: Reports::default(),
            roster,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Wakes lanes by shop. One entry for each shop that was ever woken or run.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    by_shop: Mutex<BTreeMap<ShopId, Arc<Wake>>>,
}

impl Wakes {
    /// What the lane of the shop waits on.
    pub(crate) fn of(&self, shop: ShopId) -> Arc<Wake> {
        let mut by_shop = self.by_shop.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_shop.entry(shop).or_default())
    }

    /// Stocks of the shop have changed; the first of them is due at `due`. A lane that knows it need not ask the database
    /// before.
    pub(crate) fn wake(&self, shop: ShopId, due: Timestamp) {
        self.of(shop).wake(News { due: Some(due), stocks: Vec::new() });
    }

    /// These stocks of the shop are due at some time, or were, and so they are stored: their lane need not ask the database for
    /// them. Where there never was a lane there is nobody to remember them.
    pub(crate) fn tell(&self, shop: ShopId, stocks: Vec<SeenPush>) {
        let lane = self.by_shop.lock().unwrap_or_else(PoisonError::into_inner).get(&shop).cloned();
        if let Some(lane) = lane {
            lane.wake(News { due: None, stocks });
        }
    }
}

/// What a lane was told since it asked last.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// When the first stock is due that the database is to be asked for.
    pub(crate) due: Option<Timestamp>,
    /// Stocks that are due at some time, or were, as they were stored, the older ones first; at most [`TOLD_STOCKS_MAX`].
    pub(crate) stocks: Vec<SeenPush>,
}

/// Stocks that a lane is told of; if there are more, it asks the database.
pub(crate) const TOLD_STOCKS_MAX: usize = 200;

/// What a lane waits on, and what it was woken for.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    notify: Notify,
    news: Mutex<News>,
}

impl Wake {
    fn wake(&self, more: News) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.due_at(more.due);
        news.stocks.extend(more.stocks);
        if news.stocks.len() > TOLD_STOCKS_MAX {
            let first = news.stocks.drain(..).filter_map(|seen| seen.row.due_at).min();
            news.due_at(first);
        }
        drop(news);
        self.notify.notify_one();
    }

    /// Until it is woken; at once if it was since the last time.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// What it was told since this was asked last.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl News {
    fn due_at(&mut self, due: Option<Timestamp>) {
        self.due = self.due.into_iter().chain(due).min();
    }
}

/// Shops that are to be told of shipments which were taken in a moment ago, so that no lane asks the database in vain.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    shops: Mutex<BTreeSet<ShopId>>,
}

impl Reports {
    /// Something was taken in for the shop.
    pub(crate) fn add(&self, shop: ShopId) {
        self.shops.lock().unwrap_or_else(PoisonError::into_inner).insert(shop);
    }

    /// Whether there was, since this was asked last.
    pub(crate) fn take(&self, shop: ShopId) -> bool {
        self.shops.lock().unwrap_or_else(PoisonError::into_inner).remove(&shop)
    }
}
