//! Facts as an external system reports them, already parsed into values; what they mean is the ledger's business.

use values::{
    HolderId, LineFault, LineId, ListingId, ListingKind, OrderId, ProductId, Quantity, Sku, Timestamp,
};

/// A whole order as the shop showed it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFact {
    /// The shop's number of the order.
    pub order: OrderId,
    /// When the shop last changed it, by the shop's clock; whole seconds for WooCommerce.
    pub modified_at: Timestamp,
    /// The shop's own status word, without a prefix.
    pub status: String,
    /// All its lines, in the shop's order.
    pub lines: Vec<LineFact>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFact {
    /// The shop's number of the line.
    pub line: LineId,
    /// What was sold; `None` once the product is deleted.
    pub listing: Option<ListingId>,
    /// The code the listing has *now*: shops do not keep the one it was sold under.
    pub sku: Option<Sku>,
    /// How many were ordered; never negative, and nothing if that cannot be read.
    pub quantity: Quantity,
    /// How many the shop itself has removed from its stock for this line, below nothing if refunds put back more; `None` if it
    /// says nothing.
    pub taken: Option<Quantity>,
    /// How many refunds have put back into the shop's stock.
    pub restocked: Quantity,
    /// It cannot be counted, and why; the rest of its order can.
    pub fault: Option<LineFault>,
}

/// A listing as the shop showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingFact {
    /// Its product, and variation if it is one.
    pub listing: ListingId,
    /// What kind of thing it is.
    pub kind: ListingKind,
    /// Where its quantity is kept: itself, its parent, or `None` if the shop keeps no quantity for it.
    pub holder: Option<HolderId>,
    /// Its code.
    pub sku: Option<Sku>,
    /// Its name, for people.
    pub name: String,
    /// The shop's own status word, as `publish`, `draft`, `trash`.
    pub status: String,
    /// The quantity shown, of the holder.
    pub shown: Option<Quantity>,
}

/// Which stock of a shop is meant. Some shops reach a variation only through its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StockRef {
    /// The product or variation that keeps the quantity.
    pub holder: HolderId,
    /// The parent, if the holder is a variation.
    pub parent: Option<ProductId>,
}

/// What a shop shows for one stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A quantity, perhaps negative.
    Quantity(Quantity),
    /// The shop does not keep a quantity here.
    Unmanaged,
    /// The quantity is kept at the parent.
    AtParent,
    /// The shop says there is no such product: deleted, in the trash, or under another parent.
    Gone,
    /// What the shop shows cannot be a quantity.
    Unusable,
}

/// One stock as the shop showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockFact {
    /// Which stock was asked for.
    pub stock: StockRef,
    /// What the shop shows for it.
    pub shown: Shown,
    /// When the shop saved its product last, by its own clock, if it says so. An import or SQL does not save it.
    pub modified_at: Option<Timestamp>,
}
