//! The messages themselves. All are states, none is a difference: any of them may come twice.

use values::{
    Epoch, HolderId, LineFault, LineId, ListingId, ListingKind, Moment, OrderId, ProductId, Quantity,
    ReadNumber, Revision, ShopId, Sku, Step, StockId, Timestamp, WarehouseId,
};

use crate::kind::{Kind, ShardKey};
use crate::text::{NameText, NoteText, StatusText, Word};

/// Most lines of one order. A longer one is [`OrderUnreadable`]: no shop is known to have sold such an order.
pub const ORDER_LINES_MAX: usize = 1_000;
/// Most rows of one read of an ERP.
pub const ERP_ROWS_MAX: usize = 100_000;
/// Most orders or stocks asked for in one message: one call of WooCommerce reads 100.
pub const READ_IDS_MAX: usize = 100;

/// Most levels of one message. What stands in the way of one of them keeps all of them waiting, so they are not too many.
pub const LEVELS_MAX: usize = 100;

/// Any message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the message of that name")]
pub enum Message {
    OrderObserved(OrderObserved),
    OrderUnreadable(OrderUnreadable),
    ShopConnected(ShopConnected),
    StockShown(StockShown),
    StockEdited(StockEdited),
    ListingObserved(ListingObserved),
    ErpStockObserved(ErpStockObserved),
    LevelChanged(LevelChanged),
    LevelsChanged(LevelsChanged),
    ReadWanted(ReadWanted),
    ShipmentMade(ShipmentMade),
}

impl Message {
    /// Which message it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::OrderObserved(_) => Kind::OrderObserved,
            Self::OrderUnreadable(_) => Kind::OrderUnreadable,
            Self::ShopConnected(_) => Kind::ShopConnected,
            Self::StockShown(_) => Kind::StockShown,
            Self::StockEdited(_) => Kind::StockEdited,
            Self::ListingObserved(_) => Kind::ListingObserved,
            Self::ErpStockObserved(_) => Kind::ErpStockObserved,
            Self::LevelChanged(_) => Kind::LevelChanged,
            Self::LevelsChanged(_) => Kind::LevelsChanged,
            Self::ReadWanted(_) => Kind::ReadWanted,
            Self::ShipmentMade(_) => Kind::ShipmentMade,
        }
    }

    /// What it keeps its order with.
    pub fn shard_key(&self) -> ShardKey {
        match self {
            Self::OrderObserved(message) => message.shop.into(),
            Self::OrderUnreadable(message) => message.shop.into(),
            Self::ShopConnected(message) => message.shop.into(),
            Self::StockShown(message) => message.shop.into(),
            Self::StockEdited(message) => message.stock.shop.into(),
            Self::ListingObserved(message) => message.shop.into(),
            Self::ErpStockObserved(message) => message.warehouse.into(),
            Self::LevelChanged(message) => message.stock.shop.into(),
            Self::LevelsChanged(message) => message.shop.into(),
            Self::ReadWanted(message) => message.shop.into(),
            Self::ShipmentMade(message) => message.shop.into(),
        }
    }
}

macro_rules! into_message {
    ($($name:ident),*) => {$(
        impl From<$name> for Message {
            fn from(message: $name) -> Self {
                Self::$name(message)
            }
        }
    )*};
}
into_message!(
    OrderObserved,
    OrderUnreadable,
    ShopConnected,
    StockShown,
    StockEdited,
    ListingObserved,
    ErpStockObserved,
    LevelChanged,
    LevelsChanged,
    ReadWanted,
    ShipmentMade
);

/// The whole of an order, as its shop told or showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderObserved {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// How it was learnt.
    pub source: Source,
    /// The order's own date of change, of 1 s resolution; `None` when the order is gone.
    pub modified_at: Option<Timestamp>,
    /// What it looked like.
    pub state: OrderState,
}

/// How an order was learnt: reads are facts, webhooks are hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The shop called us.
    Webhook,
    /// We called the shop.
    Read {
        /// Number of the read; a higher one is later.
        number: ReadNumber,
        /// Shop time of the reply, from its `Date`.
        read_at: Timestamp,
        /// Read to know where the shop starts from, before anything is pushed to it.
        baseline: bool,
    },
}

/// What an order looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// It is there, perhaps in the trash.
    Present {
        /// The shop's own word.
        status: StatusText,
        /// Every line, at most [`ORDER_LINES_MAX`].
        lines: Vec<OrderLine>,
    },
    /// The shop does not have it any more.
    Gone,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// The shop's id of the line.
    pub line: LineId,
    /// What was sold; `None` when the product was deleted.
    pub listing: Option<ListingId>,
    /// The product's code as of now: it follows later changes of the product.
    pub sku: Option<Sku>,
    /// How much was ordered.
    pub quantity: Quantity,
    /// What the shop says it took from its own stock; `None` when it says nothing.
    pub taken: Option<Quantity>,
    /// What refunds put back.
    pub restocked: Quantity,
    /// It cannot be counted, and why; what cannot be read of it is nothing then.
    pub fault: Option<LineFault>,
}

/// An authentic webhook that could not be used and was answered 2xx: the shop's picture is incomplete until a re-read
/// of the order, or an audit when even the order is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderUnreadable {
    /// The shop.
    pub shop: ShopId,
    /// The order, if that much could be read.
    pub order: Option<OrderId>,
    /// Why, as a code.
    pub reason: Word,
}

/// A shop is read for the first time: what is numbered up to here and not in the baseline that follows was closed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShopConnected {
    /// The shop.
    pub shop: ShopId,
    /// Highest number of an order there was; `None`: there was none.
    pub baseline_last: Option<OrderId>,
    /// Number of the read.
    pub number: ReadNumber,
}

/// A stock as its shop showed it, published after every order the shop had changed by then: the proof of a settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockShown {
    /// The shop.
    pub shop: ShopId,
    /// The stock.
    pub holder: HolderId,
    /// What it showed; `None`: the shop does not manage it.
    pub shown: Option<Quantity>,
    /// Number of the read.
    pub number: ReadNumber,
    /// It was not read before this.
    pub asked: Moment,
    /// It was not read after this.
    pub answered: Moment,
    /// Orders changed up to here, by shop time, went out before this message.
    pub orders_read_to: Timestamp,
    /// When the shop saved the product last, by its own clock, if it says so.
    pub modified_at: Option<Timestamp>,
    /// It is only to be compared, not to be taken over.
    pub dry_run: bool,
}

/// Somebody changed a stock in the shop, and the ledger is asked to take it over. A level answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockEdited {
    /// The stock.
    pub stock: StockId,
    /// Of the level that it was compared with.
    pub epoch: Epoch,
    /// The read that found it: with the stock, the name of this edit.
    pub number: ReadNumber,
    /// How much more the stock shows than it should.
    pub difference: Quantity,
}

/// One entry of a shop's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingObserved {
    /// The shop.
    pub shop: ShopId,
    /// What it sells.
    pub listing: ListingId,
    /// Where it keeps the quantity; `None`: it does not manage it.
    pub holder: Option<HolderId>,
    /// Its code.
    pub sku: Option<Sku>,
    /// Its name, for people.
    pub name: NameText,
    /// The shop's own word for its state.
    pub status: StatusText,
    /// What kind of thing it is; `None` if that is not known, as of a product that is gone.
    pub kind: Option<ListingKind>,
    /// Number of the read.
    pub number: ReadNumber,
}

/// One read of a mirrored warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErpStockObserved {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Number of the read.
    pub read: ReadNumber,
    /// Nothing was cut off; only then does it mean anything.
    pub complete: bool,
    /// At most [`ERP_ROWS_MAX`]. A SKU not among them is unknown, not zero.
    pub rows: Vec<ErpRow>,
}

/// One SKU of a mirrored warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErpRow {
    /// The SKU.
    pub sku: Sku,
    /// What the ERP says is there.
    pub quantity: Quantity,
    /// What of it the ERP has promised.
    pub reserve: Quantity,
}

/// What a stock of a shop should show: always the whole state, so that the newest (epoch, revision) is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelChanged {
    /// The stock.
    pub stock: StockId,
    /// Revisions compare within an epoch only.
    pub epoch: Epoch,
    /// Grows with every change.
    pub revision: Revision,
    /// What the stock holds.
    pub sku: Sku,
    /// What is left to sell; negative is a shortfall.
    pub level: Quantity,
    /// Of this shop's own lines, what it has yet to take from its stock.
    pub untaken: Quantity,
    /// What the shop has taken from this stock for its orders, over all time.
    pub taken_total: Quantity,
    /// Finest quantity the shop's stock can show.
    pub step: Step,
    /// Oldest and newest date, by shop time, of the orders applied to this stock since the revision published before.
    pub order_dates: Option<(Timestamp, Timestamp)>,
    /// The proof that came last, if this answers one.
    pub settle: Option<Settled>,
    /// The stock is no longer ours: push nothing more.
    pub removed: bool,
    /// The product above, when the stock is a variation's: WooCommerce reaches it only through that.
    pub parent: Option<ProductId>,
    /// The edit in the shop that was decided on last.
    pub adoption: Option<Adoption>,
    /// All that people have let go, over all time, of what was kept out of the shop; below zero: of what was left in it.
    pub released: Quantity,
}

/// What several stocks of one shop should show: what changed together is one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelsChanged {
    /// The shop.
    pub shop: ShopId,
    /// At least one and at most [`LEVELS_MAX`], all of the shop.
    pub levels: Vec<TracedLevel>,
}

/// One level among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLevel {
    /// The level.
    pub level: LevelChanged,
    /// Its own W3C trace context, if there is one.
    pub traceparent: Option<String>,
}

/// What a shop showed, with what inventory knew of its orders at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Number of the read.
    pub number: ReadNumber,
    /// What the shop showed; `None`: it does not manage the stock.
    pub shown: Option<Quantity>,
    /// It was not read before this.
    pub asked: Moment,
    /// It was not read after this.
    pub answered: Moment,
    /// What the shop had taken by then.
    pub taken_total: Quantity,
    /// No order could have been missed; only then is it trusted.
    pub quiet: bool,
    /// When the shop saved the product last, by its own clock, if it says so.
    pub modified_at: Option<Timestamp>,
}

/// What became of an edit in the shop that the ledger was asked to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The read that found it.
    pub number: ReadNumber,
    /// Why it was not taken over, as a code; `None`: it was.
    pub refused: Option<Word>,
}

/// Asks ingress to read a shop again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadWanted {
    /// The shop.
    pub shop: ShopId,
    /// What of it.
    pub what: Wanted,
}

/// What to read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These orders, at most [`READ_IDS_MAX`].
    Orders(Vec<OrderId>),
    /// These stocks, with proof; at most [`READ_IDS_MAX`].
    Stocks(Vec<HolderId>),
    /// Every open order.
    OrderAudit,
    /// The whole catalogue.
    Catalogue,
    /// The products or variations with these ids, at most [`READ_IDS_MAX`].
    Listings(Vec<HolderId>),
}

/// What a shop is to be told of a shipment: always the whole of it, so that the newest revision is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipmentMade {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// Counts the shipments of the order from 1.
    pub number: u32,
    /// Grows with every time the shop is to be told.
    pub revision: Revision,
    /// The status the order is to have; `None`: it is left alone.
    pub status: Option<StatusText>,
    /// A note to the customer; `None`: there is none.
    pub note: Option<NoteText>,
}
