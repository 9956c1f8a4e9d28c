//! What a batch of inventory loads and saves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::{Book, Listings, Movement, Order, Resolved};
use values::{
    Epoch, HolderId, ListingId, ListingKind, Moment, OrderId, ProductId, Quantity, ReadNumber, Revision,
    ShopId, Sku, Step, StockId, Timestamp,
};

use crate::error::Error;
use crate::tags::TagSet;

/// One order of one shop, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: Order,
    /// When its pending reservation expires.
    pub expires_at: Option<Timestamp>,
    /// Since when a read has yet to confirm it, by the hub's clock.
    pub unconfirmed_since: Option<Timestamp>,
}

impl OrderRow {
    /// An order nothing is known of yet.
    pub const fn unknown(shop: ShopId, order: OrderId) -> Self {
        Self { shop, order: Order::unknown(order), expires_at: None, unconfirmed_since: None }
    }
}

/// Who moved stock, when and why: stored with each movement of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posting {
    /// By the hub's clock.
    pub at: Timestamp,
    /// Who, for operations; `None` is the shop whose order it was.
    pub actor: Option<Arc<str>>,
    /// Why, for corrections.
    pub reason: Option<Arc<str>>,
    /// The operation's idempotency key.
    pub operation: Option<Arc<str>>,
    /// Trace id of the message or request.
    pub trace: Option<[u8; 16]>,
    /// What the shop was tagged with then, if it was the order of one.
    pub tags: Option<Arc<TagSet>>,
}

/// A movement as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The movement.
    pub movement: Movement,
    /// Who, when and why.
    pub posting: Posting,
}

/// What a shop showed of a stock at a settle, with what was known of its orders then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Number of the read.
    pub number: ReadNumber,
    /// What the shop showed; `None`: it does not keep a quantity there.
    pub shown: Option<Quantity>,
    /// It was not read before this.
    pub asked: Moment,
    /// It was not read after this.
    pub answered: Moment,
    /// The shop's own date of the product that it is of, if it told.
    pub dated: Option<Timestamp>,
    /// What the shop had taken by then.
    pub taken_total: Quantity,
    /// No order could have been missed; only then is it trusted.
    pub quiet: bool,
}

/// What became of an edit in a shop that the ledger was asked to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The read that found it.
    pub number: ReadNumber,
    /// Why it was not taken over, as a code; `None`: it was.
    pub refused: Option<String>,
}

/// Whether what a stock shows becomes stock of its SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StockOpening {
    /// Not asked for.
    #[default]
    None,
    /// Its first trusted proof is to open its SKU.
    Awaited,
    /// It has opened its SKU.
    Opened,
    /// Its SKU had stock already, which is left as it is.
    LeftAlone,
}

impl StockOpening {
    pub(crate) const ALL: [Self; 4] = [Self::None, Self::Awaited, Self::Opened, Self::LeftAlone];
}

/// One stock of a shop: its mapping and its level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    /// Which.
    pub id: StockId,
    /// The SKU it is mapped to. Changed by mapping only, never by [`Changes`].
    pub sku: Option<Sku>,
    /// The product, if the holder is a variation. Not changed by [`Changes`].
    pub parent: Option<ProductId>,
    /// The smallest amount it can show. Not changed by [`Changes`].
    pub step: Step,
    /// Kept back; `None`: the shop's. Not changed by [`Changes`].
    pub buffer: Option<Quantity>,
    /// No longer ours: nothing is pushed to it. Not changed by [`Changes`].
    pub removed: bool,
    /// What it should show.
    pub level: Quantity,
    /// What the shop's own orders have yet to take from it.
    pub untaken: Quantity,
    /// All that the shop's orders have taken from it.
    pub taken_total: Quantity,
    /// Newest shop date of an order applied on it.
    pub last_order_date: Option<Timestamp>,
    /// When an order was applied on it last, by the hub's clock.
    pub last_applied_at: Option<Timestamp>,
    /// Shop dates of orders applied on it, first and last: of this batch when saved, `None` when loaded; the outbox gathers
    /// them until they are published.
    pub order_dates: Option<(Timestamp, Timestamp)>,
    /// Trace context of the latest change: of this batch when saved, `None` when loaded, that which waits in the outbox
    /// when published.
    pub trace: Option<Arc<str>>,
    /// Whether what it shows opens its SKU.
    pub opening: StockOpening,
    /// Revisions compare within an epoch only.
    pub epoch: Epoch,
    /// Grows with every change. A row saved with another (epoch, revision) is to be published.
    pub revision: Revision,
    /// The proof that came last.
    pub settle: Option<Settled>,
    /// The edit in the shop that was decided on last.
    pub adoption: Option<Adoption>,
    /// All that people have let go, over all time, of what was kept out of the shop; below zero: of what was left in it.
    pub released: Quantity,
}

/// The key of an operation: each actor has its own keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationKey {
    /// Whose key it is.
    pub actor: String,
    /// The key.
    pub key: String,
}

/// A finished operation, remembered by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRecord {
    /// Its key.
    pub key: OperationKey,
    /// Fingerprint of what was asked.
    pub digest: [u8; 16],
    /// What was answered, as the caller wrote it.
    pub outcome: String,
    /// When.
    pub at: Timestamp,
}

/// What is known of an operation's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// It is new.
    New,
    /// The same was asked before and answered with this.
    Same(String),
    /// Something else was asked with this key.
    Conflict,
}

/// Why a shop's picture is incomplete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incomplete {
    /// The shop.
    pub shop: ShopId,
    /// The order, if that much is known.
    pub order: Option<OrderId>,
    /// Why, as a code.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// Something that a shop is to be read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wish {
    /// The shop.
    pub shop: ShopId,
    /// What of it.
    pub what: Wanted,
}

/// What is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wanted {
    /// This order.
    Order(OrderId),
    /// This stock, with proof.
    Stock(HolderId),
    /// Every open order.
    Audit,
    /// The whole catalogue.
    Catalogue,
    /// The product or variation with this id, as an entry of the catalogue.
    Listing(HolderId),
}

/// A message that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDead {
    /// It is kept once for each: the message's, or that which the transport gave what cannot be read. `None`: always.
    pub identity: Option<String>,
    /// The queue it was given up in; `None`: one of facts, from before this was kept.
    pub queue: Option<String>,
    /// The shop it is about, if that much is known.
    pub shop: Option<ShopId>,
    /// While it is there its shop's picture is incomplete: it may have been about an order. Every shop's, if it is not known
    /// whose it is.
    pub leaves_incomplete: bool,
    /// Its type.
    pub kind: String,
    /// The trace it belongs to.
    pub trace: Option<[u8; 16]>,
    /// The message as it came.
    pub payload: Vec<u8>,
    /// Why, as a code.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub at: Timestamp,
}

/// A message that waits for somebody to replay or discard it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadMessage {
    /// Its number.
    pub id: i64,
    /// What it is.
    pub message: NewDead,
}

/// Something that waits for a person's consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its number.
    pub id: i64,
    /// What kind, as a code.
    pub kind: String,
    /// For people.
    pub summary: String,
    /// What is done when it is approved, as the caller wrote it.
    pub payload: Vec<u8>,
    /// Since when it waits.
    pub at: Timestamp,
    /// Who decided, what and when.
    pub decided: Option<Decided>,
}

/// What somebody decided on an [`Approval`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Who.
    pub actor: String,
    /// Yes or no.
    pub approved: bool,
    /// When.
    pub at: Timestamp,
}

/// All that one batch writes. What is the same as it was loaded is not written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Changes<'a> {
    /// Orders with all their lines.
    pub orders: &'a [OrderRow],
    /// The SKUs; those without a movement and without a count are left alone.
    pub book: Option<&'a Book>,
    /// What was posted to them.
    pub movements: &'a [Posted],
    /// Levels. Those with another (epoch, revision) go to the outbox.
    pub stocks: &'a [StockRow],
    /// Operations that were done.
    pub operations: &'a [OperationRecord],
    /// What makes shops incomplete.
    pub incomplete: &'a [Incomplete],
    /// Messages that are given up.
    pub dead: &'a [NewDead],
    /// Now, by the hub's clock: the age of what is to be published or read again counts from it.
    pub now: Timestamp,
}

/// The registry's knowledge of the listings a batch touches.
#[derive(Debug, Clone, Default)]
pub struct ListingBook {
    pub(crate) listings: BTreeMap<(ShopId, ListingId), Resolved>,
    pub(crate) skus: BTreeSet<Sku>,
    /// Those of the stocks that were asked for.
    pub(crate) stock_skus: BTreeSet<Sku>,
}

impl ListingBook {
    /// The listings of one shop, as the ledger asks for them.
    pub const fn of(&self, shop: ShopId) -> ShopListings<'_> {
        ShopListings { book: self, shop }
    }

    /// Every SKU a listing leads to, that was asked for by its text and is known, or that a stock asked for has.
    pub fn skus(&self) -> impl Iterator<Item = &Sku> {
        let listed = self.listings.values().filter_map(|resolved| resolved.sku.as_ref());
        listed.chain(&self.skus).chain(&self.stock_skus)
    }

    /// Every stock a listing leads to.
    pub fn stocks(&self) -> impl Iterator<Item = StockId> + '_ {
        self.listings
            .iter()
            .filter_map(|((shop, _), resolved)| Some(StockId { shop: *shop, holder: resolved.stock? }))
    }
}

/// The listings of one shop among those loaded.
#[derive(Debug, Clone, Copy)]
pub struct ShopListings<'a> {
    book: &'a ListingBook,
    shop: ShopId,
}

impl Listings for ShopListings<'_> {
    fn resolve(&self, listing: ListingId) -> Option<Resolved> {
        self.book.listings.get(&(self.shop, listing)).cloned()
    }

    fn knows(&self, sku: &Sku) -> bool {
        self.book.skus.contains(sku)
    }
}

/// One entry of a shop's catalogue, as a read showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingSeen {
    /// The shop.
    pub shop: ShopId,
    /// What it sells.
    pub listing: ListingId,
    /// Where it keeps the quantity; `None`: it keeps none.
    pub holder: Option<HolderId>,
    /// Its code.
    pub sku: Option<Sku>,
    /// Its name, for people.
    pub name: String,
    /// The shop's own word for its state.
    pub status: String,
    /// What kind of thing it is, if that is known.
    pub kind: Option<ListingKind>,
    /// Number of the read; [`ReadNumber::ZERO`] is a hint.
    pub number: ReadNumber,
}

/// What an entry of a catalogue came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingOutcome {
    /// It shows what was known.
    Unchanged,
    /// It is known now, or what is known of it has changed; its stock's mapping is as before.
    Seen,
    /// Its stock is mapped to its SKU from now on.
    Mapped,
    /// The same, and another had that SKU only because its code is like it: that one is its own code from then on.
    Displaced {
        /// The one that had it.
        other: HolderId,
    },
    /// Another stock of the shop has the SKU; its orders still apply, its level is not pushed.
    SkuTaken {
        /// The one that has it.
        by: HolderId,
    },
    /// Its stock stays mapped to the SKU it had; the shop has renamed it.
    Renamed {
        /// The SKU it is mapped to.
        mapped: Sku,
    },
    /// A later read was seen before.
    Older,
    /// A hint shows something else than what was read: it is to be read again.
    Hinted,
}

/// What a person says that a listing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// What the shop sells.
    pub listing: ListingId,
    /// The SKU it is; `None`: nothing is said of it any more.
    pub sku: Option<Sku>,
    /// Written down also where it is found to be so without a table.
    pub is_kept: bool,
}

/// What an entry of the table of a shop came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableOutcome {
    /// It is so now.
    Changed {
        /// The stock that has another SKU from now on; `None`: none has.
        stock: Option<HolderId>,
        /// The SKU it was.
        before: Option<Sku>,
        /// The SKU it is; `None`: nobody knows.
        now: Option<Sku>,
    },
    /// It was so before.
    Unchanged,
    /// The shop is not known to sell this.
    UnknownListing,
    /// It shares the stock of its product, which is what is to be mapped.
    SharesStock {
        /// Where the quantity is kept.
        holder: HolderId,
    },
    /// Another stock of the shop has the SKU.
    SkuTaken {
        /// The one that has it.
        by: HolderId,
    },
}

impl TableOutcome {
    /// It stands in the way of all entries.
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::UnknownListing | Self::SharesStock { .. } | Self::SkuTaken { .. })
    }
}

/// What mapping a stock by hand came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapOutcome {
    /// It is mapped.
    Mapped {
        /// The SKU it had before.
        before: Option<Sku>,
    },
    /// It was already.
    Unchanged,
    /// The shop has no such stock.
    UnknownStock,
    /// Another stock of the shop has the SKU.
    SkuTaken {
        /// The one that has it.
        by: HolderId,
    },
}

/// A stock whose level is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublished {
    /// As it is now, whatever it was when it got here; its order dates are those of all that is unpublished.
    pub stock: StockRow,
    /// Since when something is unpublished.
    pub since: Timestamp,
}

/// A page of what is to be published.
#[derive(Debug, Default)]
pub struct Outbox {
    /// In the order of their keys.
    pub levels: Vec<Unpublished>,
    /// Stocks that wait as well, and whose rows cannot be read.
    pub damaged: Vec<(StockId, Error)>,
}

impl Outbox {
    /// After which the next page begins; `None` if there was nothing.
    pub fn last(&self) -> Option<StockId> {
        let levels = self.levels.last().map(|level| level.stock.id);
        levels.max(self.damaged.last().map(|(stock, _)| *stock))
    }
}

/// Which shops a relay serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShopFilter {
    /// Every shop.
    #[default]
    All,
    /// The shops whose id leaves this rest.
    Rest {
        /// Divisor; more than nothing.
        of: u32,
        /// Rest.
        rest: u32,
    },
}

impl ShopFilter {
    /// 0 for every shop.
    pub(crate) const fn divisor_and_rest(self) -> (u32, u32) {
        match self {
            Self::All => (0, 0),
            Self::Rest { of, rest } => (of, rest),
        }
    }
}
