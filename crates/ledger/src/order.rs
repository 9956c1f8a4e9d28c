//! What the ledger remembers of an order: the version applied, and per line what the shop took and what we hold.

use values::{HolderId, LineFault, LineId, ListingId, OrderId, Quantity, ReadNumber, Sku, Timestamp};

use crate::allocation::Hold;
use crate::snapshot::Digest;
use crate::status::StatusRule;

/// How the applied snapshot came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A webhook body.
    Webhook,
    /// A read, or a webhook body that a read has since shown again.
    Read,
}

/// Version of the snapshot that was applied last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The shop's date of it.
    pub modified_at: Timestamp,
    /// Its content.
    pub digest: Digest,
    /// How it came.
    pub origin: Origin,
    /// Highest number of a read of this order that was considered.
    pub last_read: ReadNumber,
    /// A read at least the margin after its date has shown the same: it is not half written.
    pub confirmed: bool,
    /// An older date that one read has shown; if the next shows it again, the shop's clock went back and it wins.
    pub older: Option<(Timestamp, Digest)>,
}

/// One order of one shop.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about an order, each of which can be true alone"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The shop's id.
    pub id: OrderId,
    /// What was applied last; `None` before the first.
    pub applied: Option<Applied>,
    /// The status applied last.
    pub status: String,
    /// A read found no such order any more: it keeps what it holds until somebody decides.
    pub gone: bool,
    /// Its state could not be ordered against what is known: it is to be read again.
    pub reread: bool,
    /// Its pending reservation has expired; it holds no more than the shop took until the status changes.
    pub expired: bool,
    /// It is older than the connection and was not in the baseline: what it took while closed left before anything was counted.
    pub predates: bool,
    /// Its lines, and lines that were removed but still hold something.
    pub lines: Vec<Line>,
}

impl Order {
    /// An order nothing is known of yet.
    pub const fn unknown(id: OrderId) -> Self {
        Self {
            id,
            applied: None,
            status: String::new(),
            gone: false,
            reread: false,
            expired: false,
            predates: false,
            lines: Vec::new(),
        }
    }

    /// Whether it holds something although its shop no longer knows it.
    pub fn is_orphaned(&self) -> bool {
        self.gone && self.lines.iter().any(|line| line.reserved().is_positive())
    }
}

/// One line of an order, kept as long as the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The shop's id of the line.
    pub id: LineId,
    /// What was sold; kept when the product is deleted later.
    pub listing: Option<ListingId>,
    /// The stock of the shop it was sold from, resolved once.
    pub stock: Option<HolderId>,
    /// The SKU, resolved once; a line without one is *parked*, unless its product is unmanaged.
    pub sku: Option<Sku>,
    /// The code it was last shown with, while its listing was never seen: a SKU of this code may become known.
    pub code: Option<Sku>,
    /// Ordered quantity of the last snapshot.
    pub quantity: Quantity,
    /// What the shop has taken, as the last snapshot reports it.
    pub taken: Option<Quantity>,
    /// What refunds gave back, as the last snapshot reports it.
    pub restocked: Quantity,
    /// Whether the shop ever took any of it.
    pub ever_taken: bool,
    /// No longer part of the order; kept until it holds nothing.
    pub removed: bool,
    /// It was sold while its shop kept no quantity of the product, nor the hub: there was nothing to hold. Should the product
    /// be managed later, it holds what the shop takes for it.
    pub unmanaged: bool,
    /// It cannot be counted, and why: it keeps what it holds.
    pub fault: Option<LineFault>,
    /// What the hub has allocated, by warehouse.
    pub holds: Vec<Hold>,
}

impl Line {
    /// Allocated and not shipped.
    pub fn reserved(&self) -> Quantity {
        self.holds.iter().map(|hold| hold.reserved).sum()
    }

    /// Allocated and shipped.
    pub fn shipped(&self) -> Quantity {
        self.holds.iter().map(|hold| hold.shipped).sum()
    }

    /// Of what is shipped, what left with shipments of our own.
    pub fn sent(&self) -> Quantity {
        self.holds.iter().map(|hold| hold.sent).sum()
    }

    /// All that is allocated.
    pub fn held(&self) -> Quantity {
        self.reserved() + self.shipped()
    }

    /// Whether it waits for somebody: it cannot be read, or nobody knows which SKU it is.
    pub fn is_parked(&self) -> bool {
        !self.removed && (self.fault.is_some() || self.sku.is_none() && !self.unmanaged)
    }

    /// What the shop has taken; nothing if the line says nothing of it.
    pub fn taken_or_zero(&self) -> Quantity {
        self.taken.unwrap_or_default()
    }

    /// What the shop has yet to take: only while the order is pending or its snapshot unconfirmed. A confirmed line that
    /// the shop has not taken by then never will be (an unmanaged product, an order made without touching stock).
    pub fn untaken(&self, rule: StatusRule, confirmed: bool) -> Quantity {
        if confirmed && rule != StatusRule::ReservePending {
            return Quantity::ZERO;
        }
        let taken = match self.fault {
            // What a till took back is nothing that the shop has yet to take.
            Some(_) => self.taken_or_zero().or_zero(),
            None => self.taken_or_zero(),
        };
        (self.held() - taken).or_zero()
    }
}
