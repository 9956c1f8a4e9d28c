//! A snapshot: the whole of an order as its shop showed it once.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};
use values::{LineFault, LineId, ListingId, OrderId, Quantity, ReadNumber, Sku, Timestamp};

/// How a snapshot came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Pushed by the shop in a webhook: a hint, possibly old, repeated or half written.
    Webhook,
    /// Read by us: a fact.
    Read {
        /// Number of the read, from the shop's one reader.
        number: ReadNumber,
        /// The shop's own time when it answered.
        read_at: Timestamp,
        /// Read when the shop was connected: what was final by then has left before anything was counted.
        baseline: bool,
    },
}

/// One line of an order as the shop shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// The shop's id of the line.
    pub id: LineId,
    /// What was sold; `None` once the product is deleted.
    pub listing: Option<ListingId>,
    /// The code the product has *now*, not when it was sold.
    pub sku: Option<Sku>,
    /// How much was ordered.
    pub quantity: Quantity,
    /// What the shop itself has removed from its stock for this line; `None` if the line says nothing of it.
    pub taken: Option<Quantity>,
    /// What refunds have given back.
    pub restocked: Quantity,
    /// It cannot be counted, and why.
    pub fault: Option<LineFault>,
}

/// The whole of an order, once. `None` in `order` means it was gone (deleted for good) when read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The shop's id of the order.
    pub order: OrderId,
    /// How it came to us.
    pub seen: Seen,
    /// When the shop says it last changed, to the second; `None` when it is gone.
    pub modified_at: Option<Timestamp>,
    /// The shop's status word; empty when the order is gone.
    pub status: String,
    /// Its lines.
    pub lines: Vec<OrderLine>,
}

impl Snapshot {
    /// A read that found no such order.
    pub fn gone(order: OrderId, number: ReadNumber, read_at: Timestamp) -> Self {
        let seen = Seen::Read { number, read_at, baseline: false };
        Self { order, seen, modified_at: None, status: String::new(), lines: Vec::new() }
    }

    /// Digest of what matters: status, lines and what was taken. The SKU is left out: it is the product's present one.
    pub fn digest(&self) -> Digest {
        let mut hasher = SipHasher24::new();
        hasher.write(self.status.as_bytes());
        hasher.write_u8(0xff);
        for line in &self.lines {
            let listing = line.listing;
            hasher.write_i64(line.id.get());
            hasher.write_i64(listing.map_or(0, |listing| listing.product.get()));
            hasher
                .write_i64(listing.and_then(|listing| listing.variation).map_or(0, values::VariationId::get));
            hasher.write_i64(line.quantity.thousandths());
            hasher.write_u8(u8::from(line.taken.is_some()));
            hasher.write_i64(line.taken.unwrap_or_default().thousandths());
            hasher.write_i64(line.restocked.thousandths());
            // Nothing for the others, whose digests are kept from before there were faults.
            if let Some(fault) = line.fault {
                hasher.write(fault.as_str().as_bytes());
            }
        }
        Digest(hasher.finish128().into())
    }
}

/// Fingerprint of a snapshot's content; equal content has equal digests on every machine and in every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl Digest {
    /// From storage.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// For storage.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}
