//! What readers are told: stock, orders, and why a number is what it is.

use ledger::{Hold, MovementKind, SkuBook};
use values::{
    HolderId, LineFault, LineId, ListingId, ListingKind, OrderId, Quantity, ShopId, Sku, StockId, Timestamp,
    WarehouseId,
};

use crate::egress::PushRow;
use crate::inventory::StockRow;

/// Most rows a page of any reader has.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// All of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuStock {
    /// The SKU.
    pub sku: Sku,
    /// Its balances.
    pub book: SkuBook,
    /// Where shops sell it.
    pub stocks: Vec<StockRow>,
}

/// What an open order line holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHold {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// Its status.
    pub status: String,
    /// The line.
    pub line: LineId,
    /// What it holds, by warehouse.
    pub holds: Vec<Hold>,
}

/// Sum of a SKU's movements of one kind in one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MovementSum {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// The kind.
    pub kind: MovementKind,
    /// How many.
    pub count: u64,
    /// What they changed on hand by.
    pub on_hand: Quantity,
    /// What they changed reserved by.
    pub reserved: Quantity,
}

/// All that makes a SKU's numbers what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The SKU with its balances and where shops sell it.
    pub stock: SkuStock,
    /// Its movements, summed.
    pub sums: Vec<MovementSum>,
    /// Open orders that hold it, at most a page.
    pub holds: Vec<OpenHold>,
    /// How many lines hold it in all.
    pub hold_count: u64,
    /// What egress knows of its stocks: what they were told and showed.
    pub pushes: Vec<PushRow>,
}

/// The place of a movement among all: by SKU, in the order in which these were heard of, then by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MovementPlace {
    pub(crate) sku_id: i64,
    pub(crate) number: u64,
}

/// Why a line is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParkedCause {
    /// It cannot be read.
    Faulty(LineFault),
    /// Nobody knows which SKU it is.
    NoSku,
    /// It names no product: that was deleted before the order was seen, or never was one.
    NoProduct,
}

/// A line that is not counted, and waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedLine {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// The line.
    pub line: LineId,
    /// What was sold.
    pub listing: Option<ListingId>,
    /// Where the shop keeps its quantity.
    pub stock: Option<HolderId>,
    /// How much was sold; nothing if that cannot be read.
    pub quantity: Quantity,
    /// Why it waits.
    pub cause: ParkedCause,
}

/// Why nobody ends what an order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrphanCause {
    /// Its shop no longer knows it.
    Gone,
    /// Its shop is out of service.
    ShopRemoved,
}

/// An order that holds something although its shop no longer knows it, or is out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// Its last status.
    pub status: String,
    /// What it reserves in all.
    pub reserved: Quantity,
    /// Why.
    pub cause: OrphanCause,
}

/// What became of the stocks of a shop that was to open its SKUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Openings {
    /// Stocks not proven yet, whose SKU has no stock yet.
    pub awaited_count: u64,
    /// Stocks that opened their SKU.
    pub opened_count: u64,
    /// Stocks whose SKU had stock already.
    pub left_alone_count: u64,
}

/// Why a stock has no SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnmappedCause {
    /// It has no code, or one that cannot be a SKU.
    NoSku,
    /// Another stock of the shop has the SKU.
    SkuTaken {
        /// The SKU.
        sku: Sku,
        /// The one that has it.
        by: HolderId,
    },
}

/// A stock of a shop without a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmappedStock {
    /// Which.
    pub stock: StockId,
    /// Name of its listing.
    pub name: String,
    /// Why.
    pub cause: UnmappedCause,
}

/// The word of shops for what is in the trash.
pub const STATUS_TRASH: &str = "trash";
/// Our word for what is not there any more.
pub const STATUS_GONE: &str = "gone";

/// Where something else than orders said what there is of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stocked {
    /// In a warehouse that the shop sells from.
    Here,
    /// Only where the shop does not sell from.
    Elsewhere,
    /// Nowhere.
    Nowhere,
}

/// One entry of a shop's catalogue, and how it stands with the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingRow {
    /// What the shop sells.
    pub listing: ListingId,
    /// Where it keeps the quantity; `None`: it keeps none.
    pub holder: Option<HolderId>,
    /// Its code in the shop.
    pub code: Option<Sku>,
    /// Its name, for people.
    pub name: String,
    /// The shop's own word for its state.
    pub status: String,
    /// What kind of thing it is; `None` if it was not read since that is kept.
    pub kind: Option<ListingKind>,
    /// The SKU that a person said it is.
    pub mapped: Option<Sku>,
    /// The SKU that its stock is mapped to.
    pub sku: Option<Sku>,
    /// The stock of the shop that has the SKU it is said to be, or that its code is.
    pub owner: Option<HolderId>,
    /// Where there is or was stock of its SKU.
    pub stocked: Stocked,
    /// Another SKU that is written like its own, case and blanks aside.
    pub like: Option<Sku>,
    /// Its SKU was found by its name.
    pub named_alike: bool,
    /// It has variations.
    pub is_parent: bool,
    /// How many of its variations sell from its stock.
    pub shared_by: u64,
}

impl ListingRow {
    /// It keeps its quantity itself.
    pub fn keeps_own(&self) -> bool {
        self.holder == Some(self.own_holder())
    }

    /// Where its quantity is kept if it keeps its own.
    pub fn own_holder(&self) -> HolderId {
        self.listing.variation.map_or_else(|| self.listing.product.into(), HolderId::from)
    }

    /// It keeps no quantity, and could: it is sold as it is, a warehouse of the shop has stock of its SKU, and no other stock of
    /// the shop is that SKU.
    pub fn can_be_managed(&self) -> bool {
        let sold_as_it_is = match self.kind {
            Some(ListingKind::Simple | ListingKind::Variation) => true,
            Some(ListingKind::Parent | ListingKind::Other) => false,
            None => !self.is_parent,
        };
        self.holder.is_none()
            && sold_as_it_is
            && self.is_there()
            && self.stocked == Stocked::Here
            && self.owner.is_none()
    }

    /// It is neither in the trash nor gone.
    pub fn is_there(&self) -> bool {
        self.status != STATUS_TRASH && self.status != STATUS_GONE
    }

    /// The SKU that it counts as.
    pub fn counts_as(&self) -> Option<&Sku> {
        self.sku.as_ref().or(self.mapped.as_ref()).or(self.code.as_ref())
    }
}

/// What waits, for health and metrics. Each is counted in an index of what waits, never over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Levels not published yet.
    pub outbox_count: u64,
    /// Since when the oldest waits.
    pub outbox_oldest: Option<Timestamp>,
    /// Orders to be read again.
    pub reread_count: u64,
    /// Lines that are not counted and wait for somebody.
    pub parked_count: u64,
    /// Orders that hold something although their shop no longer knows them, or is out of service.
    pub orphaned_count: u64,
    /// Messages given up.
    pub dead_count: u64,
    /// SKUs to recompute after a change of the registry.
    pub recompute_count: u64,
    /// Approvals not decided.
    pub approval_count: u64,
}
