//! What a shop should show for a SKU.

use values::{Quantity, Sku, Step};

use crate::allocation::Routing;
use crate::book::Book;

/// How one shop sells one SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Units kept back from the shop.
    pub buffer: Quantity,
    /// The smallest amount its stock can show.
    pub step: Step,
}

/// The quantity a shop should show for `sku`: what is available in its warehouses, less the buffer; signed, so that a
/// shortage is not mistaken for an empty shelf.
pub fn level(book: &Book, sku: &Sku, routing: &Routing, listed: Listed) -> Quantity {
    let available = book.available(sku, routing.iter()).floor_to(listed.step);
    if available.is_positive() {
        (available - listed.buffer).or_zero().floor_to(listed.step)
    } else {
        available
    }
}

#[cfg(test)]
mod tests;
