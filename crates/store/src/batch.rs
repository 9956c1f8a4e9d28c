//! One batch of inventory: load, decide with the ledger's rules, save, commit.

use std::collections::{BTreeMap, BTreeSet};

use ledger::Book;
use values::{ListingId, OrderId, Quantity, ShopId, Sku, StockId, Timestamp};

use crate::decisions::DecisionRow;
use crate::egress::PushRow;
use crate::error::Error;
use crate::ingress::SettleWanted;
use crate::inventory::{
    Approval, Changes, DeadMessage, Decided, Incomplete, KeyState, ListingBook, ListingOutcome, ListingSeen,
    MapOutcome, OperationKey, OrderRow, StockRow, TableEntry, TableOutcome, Unpublished, Wish,
};
use crate::postgres::PgInventoryTx;
use crate::reconcile::Comparison;
use crate::registry::{Changed, Shop, ShopSettings, ShopState, Warehouse};
use crate::shipments::{Shipment, ShipmentId};
use crate::sqlite::SqliteInventoryTx;

/// A transaction of inventory. What is saved must have been loaded by the same transaction: only differences are written.
/// After an error it is to be dropped; dropped without [`InventoryTx::commit`] it leaves nothing.
#[derive(Debug)]
pub struct InventoryTx {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Box<SqliteInventoryTx>),
    Postgres(Box<PgInventoryTx>),
}

impl InventoryTx {
    pub(crate) fn sqlite(tx: SqliteInventoryTx) -> Self {
        Self { backend: Backend::Sqlite(Box::new(tx)) }
    }

    pub(crate) fn postgres(tx: PgInventoryTx) -> Self {
        Self { backend: Backend::Postgres(Box::new(tx)) }
    }

    /// Makes everything saved durable. The ack of a message comes after this.
    pub async fn commit(self) -> Result<(), Error> {
        match self.backend {
            Backend::Sqlite(tx) => tx.commit().await,
            Backend::Postgres(tx) => tx.commit().await,
        }
    }

    /// Nobody else changes these shops until the end: to be asked for before anything of them is loaded.
    pub async fn lock_shops(&mut self, shops: &[ShopId]) -> Result<(), Error> {
        match &mut self.backend {
            // Nobody else writes.
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(tx) => tx.lock_shops(shops).await,
        }
    }

    /// The same, and nothing is applied for them until the end either: this waits for whoever is at it.
    pub async fn lock_out_shops(&mut self, shops: &[ShopId]) -> Result<(), Error> {
        match &mut self.backend {
            // Nobody else writes.
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(tx) => tx.lock_out_shops(shops).await,
        }
    }

    /// The shops that there are, with their states; as after [`InventoryTx::keep_mapping`].
    pub async fn keep_shops(&mut self, shops: &[ShopId]) -> Result<Vec<(ShopId, ShopState)>, Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.shop_states(shops).await,
            Backend::Postgres(tx) => tx.keep_shops(shops).await,
        }
    }

    /// Nobody maps stocks of these shops until the end. Loading orders or listings of a shop does that too; who loads more
    /// than those asks for all shops first, so that locks are taken in their order.
    pub async fn keep_mapping(&mut self, shops: &[ShopId]) -> Result<(), Error> {
        match &mut self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(tx) => tx.keep_mapping(shops).await,
        }
    }
}

macro_rules! on_every_backend {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)*) => {
        impl InventoryTx {
            $($(#[$doc])*
            pub async fn $name(&mut self, $($argument: $kind),*) -> Result<$answer, Error> {
                match &mut self.backend {
                    Backend::Sqlite(tx) => tx.$name($($argument),*).await,
                    Backend::Postgres(tx) => tx.$name($($argument),*).await,
                }
            })*
        }
    };
}

on_every_backend! {
    /// The shops as this transaction sees them.
    fn load_shops(wanted: &[ShopId]) -> Vec<Shop>;
    /// All warehouses.
    fn warehouses() -> Vec<Warehouse>;
    /// Changes a shop's settings; its SKUs are marked to recompute.
    fn change_shop(shop: ShopId, settings: &ShopSettings) -> Changed;
    /// Orders of a shop that hold what it has not taken, by id from after `after`.
    fn orders_not_taken(shop: ShopId, after: Option<OrderId>, limit: u32) -> Vec<OrderId>;
    /// The shop is in service; nothing if it was removed.
    fn activate_shop(shop: ShopId) -> Changed;
    /// Maps a stock to a SKU by hand; a SKU never heard of is made, its mark to recompute too.
    fn map_stock(stock: StockId, sku: &Sku, now: Timestamp) -> MapOutcome;
    /// Takes in what a person says that listings of a shop are, each listing once; what each came to. If one is refused
    /// nothing is written.
    fn map_listings(shop: ShopId, entries: &[TableEntry], now: Timestamp) -> Vec<TableOutcome>;
    /// Wants something to be read.
    fn wish(wishes: &[Wish], now: Timestamp) -> ();
    /// Orders of shops in service that no read has confirmed since `before`, by key from after `after`.
    fn overdue_orders(before: Timestamp, after: Option<(ShopId, OrderId)>, limit: u32) -> Vec<(ShopId, OrderId)>;
    /// What makes the pictures of these shops incomplete, dead messages aside.
    fn incomplete_marks(shops: &[ShopId]) -> Vec<Incomplete>;
    /// Takes exactly these marks away.
    fn clear_marks(marks: &[Incomplete]) -> ();
    /// Notes the highest number of an order when the shop was connected.
    fn set_baseline(shop: ShopId, last: Option<OrderId>) -> Changed;
    /// The orders, in the order of the keys; one never seen is an unknown one.
    fn load_orders(keys: &[(ShopId, OrderId)]) -> Vec<OrderRow>;
    /// What the registry knows of listings, which of the SKUs (texts of lines whose listing may be unknown) it knows, and which
    /// SKUs the stocks have.
    fn resolve_listings(listings: &[(ShopId, ListingId)], texts: &[Sku], stocks: &[StockId]) -> ListingBook;
    /// The books of the SKUs; one never seen is empty. All that a transaction may touch are to be asked for in one call, those
    /// of its stocks too.
    fn load_books(skus: &[Sku]) -> Book;
    /// The stocks named, and all stocks mapped to the SKUs; each once, in no particular order.
    fn load_stocks(stocks: &[StockId], skus: &[Sku]) -> Vec<StockRow>;
    /// What is known of operation keys with this content, in their order.
    fn operation_keys(keys: &[(OperationKey, [u8; 16])]) -> Vec<KeyState>;
    /// Those of the stocks on which some order is to be read again or has yet to be confirmed: what it took may be something
    /// else. A line without stock may be on any.
    fn doubtful_stocks(stocks: &[StockId]) -> BTreeSet<StockId>;
    /// What each of the stocks holds for orders without the shop having taken it; those with nothing are left out.
    fn held_not_taken(stocks: &[StockId]) -> BTreeMap<StockId, Quantity>;
    /// By how much the movements of a shop's orders have changed what is available of a SKU, in the order asked for.
    fn order_effects(wanted: &[(ShopId, Sku)]) -> Vec<Quantity>;
    /// Orders of a shop that no read has confirmed since `before`, by id.
    fn unconfirmed_orders(shop: ShopId, before: Timestamp, limit: u32) -> Vec<OrderId>;
    /// Those of the shops that have dead or unreadable messages (one of an unknown shop is any shop's), or lines that may be resolved and are not yet.
    fn incomplete_shops(shops: &[ShopId]) -> BTreeSet<ShopId>;
    /// Writes what has changed since it was loaded. The stocks that are to be published for it, each with all that is
    /// unpublished of it, so that who publishes them need not look them up again; they are found in the outbox as well.
    fn save(changes: &Changes<'_>) -> Vec<Unpublished>;
    /// Takes in entries of catalogues, maps their stocks; what each came to, in their order.
    fn observe_listings(seen: &[ListingSeen], now: Timestamp) -> Vec<ListingOutcome>;
    /// Takes marks of SKUs to recompute; levels of their stocks are to be saved by this transaction.
    fn take_recompute(limit: u32) -> Vec<Sku>;
    /// Takes the marks of one SKU; whether there were any.
    fn take_recompute_of(of: &Sku) -> bool;
    /// Takes orders with lines whose listing was mapped since; they are to be resolved and saved by this transaction.
    fn take_resolvable(limit: u32) -> Vec<(ShopId, OrderId)>;
    /// Orders whose pending reservation has expired; they stay until saved without an expiry.
    fn expired_orders(now: Timestamp, limit: u32) -> Vec<(ShopId, OrderId)>;
    /// Orders that hold something and are to let it go, of removed shops or of such as no longer know them; they stay until
    /// saved without.
    fn orders_to_release(limit: u32) -> Vec<(ShopId, OrderId)>;
    /// Orders to be read again that were not asked for since `asked_before`; they count as asked for at `now`.
    fn rereads_to_ask(now: Timestamp, asked_before: Timestamp, limit: u32) -> Vec<(ShopId, OrderId)>;
    /// The shop's picture is complete again, as far as the order goes; without an order, altogether.
    fn clear_incomplete(orders: &[(ShopId, Option<OrderId>)]) -> ();
    /// Asks for a person's consent; the approval's number.
    fn add_approval(kind: &str, summary: &str, payload: &[u8], now: Timestamp) -> i64;
    /// The approval, now decided; `None` if there is none or it was decided before.
    fn decide_approval(number: i64, decided: &Decided) -> Option<Approval>;
    /// Keeps a shipment under the next number of its order, which is loaded; its own number says nothing.
    fn add_shipment(new: &Shipment) -> ShipmentId;
    /// Those of the stocks that egress knows, as it has them now; nothing of them is locked.
    fn pushes(stocks: &[StockId]) -> Vec<PushRow>;
    /// Keeps what somebody decided about a stock that was loaded; its number among those of the stock. The oldest are forgotten
    /// if there are too many.
    fn add_decision(row: &DecisionRow) -> u32;
    /// Notes what comparisons without consequences came to.
    fn save_comparisons(found: &[Comparison]) -> ();
    /// Asks for settles in the same transaction (standalone; in one database).
    fn want_settles(wants: &[SettleWanted]) -> ();
    /// Takes a dead message out, to be replayed by this transaction or thrown away.
    fn take_dead(number: i64) -> Option<DeadMessage>;
    /// Forgets operation keys older than `before`; how many.
    fn prune_operations(before: Timestamp, limit: u32) -> u64;
}
