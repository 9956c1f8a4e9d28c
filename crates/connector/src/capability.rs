//! What a system may be able to do: one small trait each, so that a connector has only those that are true of it.

use std::future::Future;
use std::time::Duration;

use values::{HolderId, OrderId, ProductId, Quantity, Timestamp};

use crate::diagnosis::Diagnosis;
use crate::error::CallError;
use crate::facts::{ListingFact, OrderFact, StockFact, StockRef};

/// What was read, with the times a reader reasons about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply<T> {
    /// What was read.
    pub value: T,
    /// The `Date` of the first reply, by the shop's clock, whole seconds: when the shop had *finished* answering.
    pub shop_time: Timestamp,
    /// How long it took, by our clock, from before the first request until the last reply was read.
    pub took: Duration,
    /// How many calls it took, for a call budget.
    pub calls: u32,
}

impl<T> Reply<T> {
    /// The shop's time at which the question was asked, at the earliest: what was read is at least as new as this.
    pub fn asked_at(&self) -> Timestamp {
        self.shop_time - self.took
    }

    /// The same reply with another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { value: change(self.value), shop_time: self.shop_time, took: self.took, calls: self.calls }
    }
}

/// Something the shop sent that could not be understood. The rest of the page can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// Its number, if that much could be read.
    pub id: Option<i64>,
    /// What is wrong with it. No content: it may be personal.
    pub reason: String,
}

/// Which orders are asked for: shops leave the trash out of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderSet {
    /// All but the trash.
    Live,
    /// Those that wait for payment or for the parcel.
    Open,
    /// The trash.
    Trash,
}

/// Where a read of changed orders goes on.
///
/// It follows the orders' dates, not page numbers, so orders that change while it reads cannot push others off a page:
/// each page starts again at the second in which the page before ended. Orders of that second come twice, which is
/// harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrdersCursor {
    /// Which orders.
    pub set: OrderSet,
    /// Only those changed after this, by the shop's clock; the second itself is *not* included.
    pub after: Timestamp,
    /// Counts from 1; above 1 only while more orders than a page holds were changed in one second.
    pub page: u32,
}

impl OrdersCursor {
    /// All orders changed at `since` or later.
    pub fn since(set: OrderSet, since: Timestamp) -> Self {
        Self { set, after: Timestamp::from_seconds(since.seconds().saturating_sub(1)), page: 1 }
    }
}

/// Orders that changed, oldest change first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrdersPage {
    /// The orders.
    pub orders: Vec<OrderFact>,
    /// Those that could not be understood.
    pub unusable: Vec<Unusable>,
    /// How many the shop says there are from here on, for a progress bar.
    pub total: Option<u64>,
    /// Where to go on; `None` at the end.
    pub next: Option<OrdersCursor>,
}

/// Orders asked for by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrdersById {
    /// Those there are, the trash among them.
    pub orders: Vec<OrderFact>,
    /// Those the shop says it does not have.
    pub gone: Vec<OrderId>,
    /// Those that could not be understood.
    pub unusable: Vec<Unusable>,
}

/// Reads orders.
pub trait ReadOrders {
    /// Most orders that [`ReadOrders::orders_by_id`] takes at once.
    const ORDERS_BY_ID_MAX: usize;

    /// One page of the orders changed since the cursor.
    fn orders_changed(
        &self,
        cursor: OrdersCursor,
    ) -> impl Future<Output = Result<Reply<OrdersPage>, CallError>> + Send;

    /// Orders by number; each is found, gone or unusable.
    fn orders_by_id(
        &self,
        orders: &[OrderId],
    ) -> impl Future<Output = Result<Reply<OrdersById>, CallError>> + Send;

    /// How many orders of a status there are; `None`: the system does not know the status, or does not count.
    fn order_count(&self, status: &str)
    -> impl Future<Output = Result<Reply<Option<u64>>, CallError>> + Send;

    /// The highest number an order has, those in the trash among them; `None`: there is no order.
    fn newest_order(&self) -> impl Future<Output = Result<Reply<Option<OrderId>>, CallError>> + Send;
}

/// The stocks asked for, in the order asked.
pub type StocksRead = Vec<StockFact>;

/// Reads what stocks show.
pub trait ReadStocks {
    /// Most stocks that [`ReadStocks::stocks`] takes at once.
    const STOCKS_MAX: usize;

    /// What each of these stocks shows.
    fn stocks(
        &self,
        stocks: &[StockRef],
    ) -> impl Future<Output = Result<Reply<StocksRead>, CallError>> + Send;
}

/// A part of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CataloguePage<C> {
    /// The listings.
    pub listings: Vec<ListingFact>,
    /// Those that could not be understood.
    pub unusable: Vec<Unusable>,
    /// How many the shop says there are in this stretch, for a progress bar.
    pub total: Option<u64>,
    /// Where to go on; `None` at the end.
    pub next: Option<C>,
}

/// Reads the whole catalogue. A listing that is added or removed meanwhile may be missed; the next read has it.
pub trait ReadCatalogue {
    /// Where a read of the catalogue goes on; the default is its start.
    type Cursor: Default + Clone + Send + Sync;

    /// The part of the catalogue at the cursor.
    fn catalogue(
        &self,
        cursor: Self::Cursor,
    ) -> impl Future<Output = Result<Reply<CataloguePage<Self::Cursor>>, CallError>> + Send;
}

/// One change of one stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockChange {
    /// The product or variation that keeps the quantity.
    pub holder: HolderId,
    /// By how much; whole units only where the shop counts in units.
    pub delta: Quantity,
}

/// Changes that one call can carry: those of one parent's variations, or of products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockBatch {
    /// The parent, if the holders are variations.
    pub parent: Option<ProductId>,
    /// The changes; no holder twice.
    pub changes: Vec<StockChange>,
}

impl StockBatch {
    /// The fewest batches of at most `size_max` changes that carry all of these, in a stable order.
    pub fn plan(changes: &[(StockRef, Quantity)], size_max: usize) -> Vec<Self> {
        let mut by_parent = std::collections::BTreeMap::<Option<ProductId>, Vec<StockChange>>::new();
        for (stock, delta) in changes {
            let change = StockChange { holder: stock.holder, delta: *delta };
            by_parent.entry(stock.parent).or_default().push(change);
        }
        let mut batches = Vec::new();
        for (parent, changes) in by_parent {
            let batch = |changes: &[StockChange]| Self { parent, changes: changes.to_vec() };
            batches.extend(changes.chunks(size_max.max(1)).map(batch));
        }
        batches
    }
}

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// Certainly applied, once.
    Applied {
        /// What the stock showed right after it.
        shown: Quantity,
    },
    /// Certainly not applied.
    Refused {
        /// Whether trying again can help.
        kind: RefusalKind,
        /// Why.
        reason: RefusalReason,
    },
    /// It may have been applied. The rest of the reply could be understood.
    Uncertain,
}

/// Whether trying a refused change again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// Not before somebody changes the shop.
    Permanent,
    /// Perhaps.
    Temporary,
}

/// Why a change was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// The shop keeps no quantity there.
    Unmanaged,
    /// The quantity is kept at the parent.
    AtParent,
    /// There is no such product or variation.
    Unknown,
    /// It is a variation, and was asked for as a product, or under another parent.
    WrongParent,
    /// The change is not in the units the shop counts in.
    NotWhole,
    /// The key's user may not change this product.
    NotAllowed,
    /// Another cause.
    Other,
}

impl RefusalReason {
    /// A stable word for programs, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unmanaged => "unmanaged",
            Self::AtParent => "at_parent",
            Self::Unknown => "unknown",
            Self::WrongParent => "wrong_parent",
            Self::NotWhole => "not_whole",
            Self::NotAllowed => "not_allowed",
            Self::Other => "other",
        }
    }
}

/// The outcomes of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// One for each change, in the order of the batch.
    pub outcomes: Vec<ChangeOutcome>,
    /// The `Date` of the reply, by the shop's clock.
    pub shop_time: Option<Timestamp>,
    /// How long the call took, by our clock.
    pub took: Duration,
}

/// Changes stocks by differences.
pub trait ChangeStocks {
    /// Most changes a batch may hold.
    const CHANGES_MAX: usize;

    /// Makes one call. On an error [`CallError::effect`] tells whether *any* of the changes may have been applied.
    fn change_stocks(&self, batch: &StockBatch) -> impl Future<Output = Result<Changed, CallError>> + Send;
}

/// A note to the customer of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderNote {
    /// The shop's number of it.
    pub id: i64,
    /// What it says.
    pub text: String,
}

/// Tells a shop what became of its orders.
pub trait TellOrders {
    /// The order's status, in the shop's own word; `None`: there is no such order.
    fn order_status(&self, order: OrderId) -> impl Future<Output = Result<Option<String>, CallError>> + Send;

    /// Sets the order's status; the one it has now. Doing so twice is as doing it once.
    fn set_order_status(
        &self,
        order: OrderId,
        status: &str,
    ) -> impl Future<Output = Result<String, CallError>> + Send;

    /// The notes to the customer, in no particular order.
    fn customer_notes(
        &self,
        order: OrderId,
    ) -> impl Future<Output = Result<Vec<OrderNote>, CallError>> + Send;

    /// Writes a note to the customer, who is sent it; its number. Doing so twice writes two.
    fn add_customer_note(
        &self,
        order: OrderId,
        text: &str,
    ) -> impl Future<Output = Result<i64, CallError>> + Send;
}

/// Finds out why a connection does not work.
pub trait TestConnection {
    /// Tries everything that is needed, changing nothing.
    fn test(&self) -> impl Future<Output = Diagnosis> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_one_parent_and_a_bound() {
        let stock = |holder, parent: Option<i64>| StockRef {
            holder: HolderId::new(holder).unwrap(),
            parent: parent.and_then(ProductId::new),
        };
        let changes: Vec<_> = [(1, None), (5, Some(4)), (2, None), (3, None), (7, Some(6)), (8, Some(4))]
            .map(|(holder, parent)| (stock(holder, parent), Quantity::from_units(holder)))
            .to_vec();
        let planned: Vec<(Option<i64>, Vec<i64>)> = StockBatch::plan(&changes, 2)
            .into_iter()
            .map(|batch| {
                let holders = batch.changes.iter().map(|change| change.holder.get()).collect();
                (batch.parent.map(ProductId::get), holders)
            })
            .collect();
        assert_eq!(planned, [(None, vec![1, 2]), (None, vec![3]), (Some(4), vec![5, 8]), (Some(6), vec![7])]);
    }

    #[test]
    fn a_read_is_as_new_as_its_question() {
        let reply = Reply {
            value: (),
            shop_time: Timestamp::from_seconds(100),
            took: Duration::from_secs(3),
            calls: 1,
        };
        assert_eq!(reply.asked_at(), Timestamp::from_seconds(97));
    }

    #[test]
    fn a_cursor_includes_its_second() {
        let cursor = OrdersCursor::since(OrderSet::Live, Timestamp::from_micros(7_400_000));
        assert_eq!(cursor.after, Timestamp::from_seconds(6), "modified_after leaves the second itself out");
    }
}
