//! Operations through our own API. Unlike a shop's sale, which is a fact, they are refused where there is too little.

use std::collections::BTreeSet;

use values::{Quantity, Sku, Timestamp, WarehouseId};

use crate::book::{Book, Cause, MovementKind};

/// One operation on the stock of a SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Stock found when a shop was connected: what the shop showed once every order was known, and what its own orders
    /// hold of it. (What other shops' orders hold was never in what this shop showed.) Refused if the goods may be in the
    /// ledger already: several shops show the same shelf, and what was received is not on it twice.
    Opening {
        /// The SKU.
        sku: Sku,
        /// The warehouse.
        warehouse: WarehouseId,
        /// Warehouses whose stock this shop, or a shop it shares one with, shows: what is known of one of them may be the
        /// same goods.
        shared: BTreeSet<WarehouseId>,
        /// Change of on hand: shown + what the shop has taken for orders that the ledger holds.
        quantity: Quantity,
    },
    /// Goods came in.
    Receive {
        /// The SKU.
        sku: Sku,
        /// The warehouse.
        warehouse: WarehouseId,
        /// How much, more than nothing.
        quantity: Quantity,
    },
    /// A correction; its reason is stored beside.
    Adjust {
        /// The SKU.
        sku: Sku,
        /// The warehouse.
        warehouse: WarehouseId,
        /// Change of on hand; not nothing.
        delta: Quantity,
    },
    /// From one warehouse to another.
    Transfer {
        /// The SKU.
        sku: Sku,
        /// Where it is.
        from: WarehouseId,
        /// Where it goes.
        to: WarehouseId,
        /// How much, more than nothing.
        quantity: Quantity,
    },
    /// A stocktake: on hand is what was counted, promised or not.
    Count {
        /// The SKU.
        sku: Sku,
        /// The warehouse.
        warehouse: WarehouseId,
        /// What was counted; not negative.
        counted: Quantity,
    },
}

impl Operation {
    /// The SKU it is about.
    pub const fn sku(&self) -> &Sku {
        match self {
            Self::Opening { sku, .. }
            | Self::Receive { sku, .. }
            | Self::Adjust { sku, .. }
            | Self::Transfer { sku, .. }
            | Self::Count { sku, .. } => sku,
        }
    }
}

/// What an operation came to, in order of precedence: malformed ones are refused before their stock is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationOutcome {
    /// Done; a count that found what was expected is done without a movement.
    Applied,
    /// The quantity must be more than nothing (for a count: not less; for an adjustment: not nothing).
    BadQuantity,
    /// A transfer needs two warehouses.
    SameWarehouse,
    /// The SKU was received, counted, adjusted, moved to or opened in one of the shared warehouses before; an opening would
    /// count it twice.
    AlreadyOpened,
    /// It would take more than is available; nothing was done.
    InsufficientAvailable {
        /// What is available.
        available: Quantity,
    },
}

/// Does `operation`, at `now` by the hub's clock, or refuses it whole.
pub fn operate(operation: &Operation, now: Timestamp, book: &mut Book) -> OperationOutcome {
    if let Some(refusal) = refusal(operation, book) {
        return refusal;
    }
    let cause = Cause::Operation;
    match operation {
        Operation::Opening { sku, warehouse, quantity, .. } => {
            book.post(sku, *warehouse, MovementKind::Opening, *quantity, Quantity::ZERO, cause);
            book.set_stocked(sku, *warehouse);
            book.set_counted_at(sku, now);
        }
        Operation::Receive { sku, warehouse, quantity } => {
            book.post(sku, *warehouse, MovementKind::Receipt, *quantity, Quantity::ZERO, cause);
            open_if_first(sku, *warehouse, now, book);
        }
        Operation::Adjust { sku, warehouse, delta } => {
            book.post(sku, *warehouse, MovementKind::Adjustment, *delta, Quantity::ZERO, cause);
            open_if_first(sku, *warehouse, now, book);
        }
        Operation::Transfer { sku, from, to, quantity } => {
            book.post(sku, *from, MovementKind::Transfer, -*quantity, Quantity::ZERO, cause);
            book.post(sku, *to, MovementKind::Transfer, *quantity, Quantity::ZERO, cause);
            book.set_stocked(sku, *from);
            book.set_stocked(sku, *to);
        }
        Operation::Count { sku, warehouse, counted } => {
            let delta = *counted - book.balance(sku, *warehouse).on_hand;
            book.post(sku, *warehouse, MovementKind::Count, delta, Quantity::ZERO, cause);
            book.set_stocked(sku, *warehouse);
            book.set_counted_at(sku, now);
        }
    }
    OperationOutcome::Applied
}

/// The first stock a SKU ever has opens it as a count would: orders that were final before are not its business.
fn open_if_first(sku: &Sku, warehouse: WarehouseId, now: Timestamp, book: &mut Book) {
    book.set_stocked(sku, warehouse);
    if book.counted_at(sku).is_none() {
        book.set_counted_at(sku, now);
    }
}

fn refusal(operation: &Operation, book: &Book) -> Option<OperationOutcome> {
    let takes = |sku: &Sku, warehouse: WarehouseId, quantity: Quantity| {
        let available = book.balance(sku, warehouse).available();
        (quantity > available.or_zero()).then_some(OperationOutcome::InsufficientAvailable { available })
    };
    match operation {
        Operation::Opening { sku, warehouse, shared, .. } => {
            let stocked = book.is_stocked(sku, shared) || book.is_stocked(sku, &BTreeSet::from([*warehouse]));
            stocked.then_some(OperationOutcome::AlreadyOpened)
        }
        Operation::Receive { quantity, .. } => {
            (!quantity.is_positive()).then_some(OperationOutcome::BadQuantity)
        }
        Operation::Adjust { delta, .. } if delta.is_zero() => Some(OperationOutcome::BadQuantity),
        Operation::Adjust { sku, warehouse, delta } => {
            if delta.is_negative() {
                takes(sku, *warehouse, -*delta)
            } else {
                None
            }
        }
        Operation::Transfer { quantity, .. } if !quantity.is_positive() => {
            Some(OperationOutcome::BadQuantity)
        }
        Operation::Transfer { from, to, .. } if from == to => Some(OperationOutcome::SameWarehouse),
        Operation::Transfer { sku, from, quantity, .. } => takes(sku, *from, *quantity),
        Operation::Count { counted, .. } => counted.is_negative().then_some(OperationOutcome::BadQuantity),
    }
}

#[cfg(test)]
mod tests;
