//! What egress keeps: the state of each stock's pushes, and how each shop takes them.

mod drifts;
mod notes;
mod seen;

use push::StockPush;
use values::{Quantity, ShopId, Sku, StockId, Timestamp};

use crate::error::Error;
use crate::ingress::SettleWanted;
use crate::postgres::PgEgressTx;
use crate::sqlite::SqliteEgressTx;

pub use drifts::{DRIFTS_KEPT, DriftDecided, DriftKey, DriftRow};
pub use notes::{ATTEMPTS_KEPT, DueStock, PushCounts, PushNotes, SettleWish, TRACES_KEPT};
pub use seen::SeenPush;
pub(crate) use seen::{ANY_VERSION, save_seen};

/// The last push of a stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// When it was begun.
    pub at: Timestamp,
    /// The difference that was sent.
    pub delta: Quantity,
    /// What came of it, as a code.
    pub answer: String,
}

/// One stock of one shop, as egress knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRow {
    /// Which.
    pub id: StockId,
    /// What it holds; `None` before inventory said.
    pub sku: Option<Sku>,
    /// The rules' own state.
    pub push: StockPush,
    /// Who makes the call of the intent.
    pub intent_owner: Option<String>,
    /// When it is to be looked at next; `None`: when something changes.
    pub due_at: Option<Timestamp>,
    /// Why nothing can be pushed, as a code.
    pub blocked: Option<String>,
    /// The last push.
    pub told: Option<Told>,
    /// No longer ours: nothing is pushed to it.
    pub removed: bool,
}

impl PushRow {
    /// A stock nothing is known of yet.
    pub fn unknown(id: StockId) -> Self {
        Self {
            id,
            sku: None,
            push: StockPush::default(),
            intent_owner: None,
            due_at: None,
            blocked: None,
            told: None,
            removed: false,
        }
    }
}

/// How a shop takes pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopLane {
    /// The shop.
    pub shop: ShopId,
    /// State of its breaker, as a code.
    pub breaker: String,
    /// Why, if it is not closed.
    pub cause: Option<String>,
    /// Until when nothing is tried.
    pub until: Option<Timestamp>,
    /// Its pace.
    pub calls_per_minute: u32,
    /// When it was so.
    pub at: Timestamp,
}

/// Work that is due for one shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueShop {
    /// The shop.
    pub shop: ShopId,
    /// Since when the oldest is due.
    pub oldest: Timestamp,
    /// How many stocks are due.
    pub count: u64,
}

/// A transaction of egress: load, decide with the rules of `push`, save, commit. Intents are committed before the call is
/// made; its result, the new base and what is due then are saved by another transaction, from rows loaded anew.
#[derive(Debug)]
pub struct EgressTx {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Box<SqliteEgressTx>),
    Postgres(Box<PgEgressTx>),
}

impl EgressTx {
    pub(crate) fn sqlite(tx: SqliteEgressTx) -> Self {
        Self { backend: Backend::Sqlite(Box::new(tx)) }
    }

    pub(crate) fn postgres(tx: PgEgressTx) -> Self {
        Self { backend: Backend::Postgres(Box::new(tx)) }
    }

    /// The stocks, in the order asked for; one never seen is an unknown one.
    pub async fn load(&mut self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.load(stocks).await,
            Backend::Postgres(tx) => tx.load(stocks).await,
        }
    }

    /// Writes the stocks that are not as they were loaded.
    pub async fn save(&mut self, rows: &[PushRow]) -> Result<(), Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.save(rows).await,
            Backend::Postgres(tx) => tx.save(rows).await,
        }
    }

    /// Asks for settles in the same transaction.
    pub async fn want_settles(&mut self, wants: &[SettleWanted]) -> Result<(), Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.want_settles(wants).await,
            Backend::Postgres(tx) => tx.want_settles(wants).await,
        }
    }

    /// Makes everything saved durable.
    pub async fn commit(self) -> Result<(), Error> {
        match self.backend {
            Backend::Sqlite(tx) => tx.commit().await,
            Backend::Postgres(tx) => tx.commit().await,
        }
    }
}
