//! Where a line's stock comes from: an ordered list of warehouses, by priority, then split.

use values::{Quantity, Sku, WarehouseId};

use crate::book::{Book, Cause, MovementKind};

/// What a line holds in one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Promised, still on hand.
    pub reserved: Quantity,
    /// Gone from on hand.
    pub shipped: Quantity,
    /// Of it, what left with a shipment of our own: no status of the shop brings that back, only what the shop gives back.
    pub sent: Quantity,
}

impl Hold {
    /// Nothing yet.
    pub(crate) const fn empty(warehouse: WarehouseId) -> Self {
        Self { warehouse, reserved: Quantity::ZERO, shipped: Quantity::ZERO, sent: Quantity::ZERO }
    }
}

/// The warehouses a shop sells from, best first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    first: WarehouseId,
    others: Vec<WarehouseId>,
}

impl Routing {
    /// `None` without a warehouse. A warehouse named twice counts once.
    pub fn new(warehouses: impl IntoIterator<Item = WarehouseId>) -> Option<Self> {
        let mut warehouses = warehouses.into_iter();
        let first = warehouses.next()?;
        let mut others = Vec::new();
        for warehouse in warehouses {
            if warehouse != first && !others.contains(&warehouse) {
                others.push(warehouse);
            }
        }
        Some(Self { first, others })
    }

    /// The warehouse that answers for what none covers.
    pub const fn first(&self) -> WarehouseId {
        self.first
    }

    /// All, best first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = WarehouseId> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// What a line's holds should come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// How much is held in all.
    pub(crate) held: Quantity,
    /// Whether what is held has left the warehouse; `None` leaves each unit where it is.
    pub(crate) shipped: Option<bool>,
}

/// Moves `holds` to `target`, posting the movements of `sku`.
pub(crate) fn rearrange(
    holds: &mut Vec<Hold>,
    target: Target,
    sku: &Sku,
    routing: &Routing,
    book: &mut Book,
    cause: Cause,
) {
    let held: Quantity = holds.iter().map(|hold| hold.reserved + hold.shipped).sum();
    if target.held < held {
        give_back(holds, held - target.held, sku, routing, book, cause);
    }
    match target.shipped {
        Some(true) => ship_reserved(holds, sku, book, cause),
        Some(false) => take_back_shipped(holds, sku, book, cause),
        None => {}
    }
    if target.held > held {
        let ships = target.shipped == Some(true);
        allocate(holds, target.held - held, ships, sku, routing, book, cause);
    }
    holds.retain(|hold| !hold.reserved.is_zero() || !hold.shipped.is_zero());
}

/// Records as shipped what left before anything was counted: no movement, but a later return is one.
pub(crate) fn supersede(holds: &mut Vec<Hold>, quantity: Quantity, routing: &Routing) {
    if quantity.is_positive() {
        hold_in(holds, routing.first()).shipped += quantity;
    }
}

fn allocate(
    holds: &mut Vec<Hold>,
    quantity: Quantity,
    ships: bool,
    sku: &Sku,
    routing: &Routing,
    book: &mut Book,
    cause: Cause,
) {
    let mut left = quantity;
    let mut take = |warehouse: WarehouseId, amount: Quantity, book: &mut Book| {
        let hold = hold_in(holds, warehouse);
        if ships {
            hold.shipped += amount;
            book.post(sku, warehouse, MovementKind::Ship, -amount, Quantity::ZERO, cause);
        } else {
            hold.reserved += amount;
            book.post(sku, warehouse, MovementKind::Reserve, Quantity::ZERO, amount, cause);
        }
    };
    for warehouse in routing.iter() {
        let covered = book.balance(sku, warehouse).available().or_zero().min(left);
        if covered.is_positive() {
            take(warehouse, covered, book);
            left -= covered;
        }
    }
    // A shop's sale is a fact: what no warehouse covers is short in the first one.
    if left.is_positive() {
        take(routing.first(), left, book);
    }
}

/// Gives back what is not shipped before what is, and where stock is short before where it is not.
fn give_back(
    holds: &mut [Hold],
    quantity: Quantity,
    sku: &Sku,
    routing: &Routing,
    book: &mut Book,
    cause: Cause,
) {
    let mut left = quantity;
    for warehouse in routing.iter() {
        let short = (-book.balance(sku, warehouse).available()).or_zero();
        left -= release_in(holds, warehouse, short.min(left), sku, book, cause);
    }
    // Then the reverse of how it was allocated; warehouses no longer routed to come first of all.
    let mut order: Vec<WarehouseId> = holds
        .iter()
        .map(|hold| hold.warehouse)
        .filter(|held| !routing.iter().any(|known| known == *held))
        .collect();
    order.extend(routing.iter().rev());
    for warehouse in &order {
        left -= release_in(holds, *warehouse, left, sku, book, cause);
    }
    for warehouse in &order {
        left -= return_in(holds, *warehouse, left, sku, book, cause);
    }
    assert!(left.is_zero(), "a line cannot give back more than it holds");
}

fn release_in(
    holds: &mut [Hold],
    warehouse: WarehouseId,
    most: Quantity,
    sku: &Sku,
    book: &mut Book,
    cause: Cause,
) -> Quantity {
    let Some(hold) = holds.iter_mut().find(|hold| hold.warehouse == warehouse) else {
        return Quantity::ZERO;
    };
    let released = hold.reserved.min(most);
    if released.is_positive() {
        hold.reserved -= released;
        book.post(sku, warehouse, MovementKind::Release, Quantity::ZERO, -released, cause);
    }
    released
}

fn return_in(
    holds: &mut [Hold],
    warehouse: WarehouseId,
    most: Quantity,
    sku: &Sku,
    book: &mut Book,
    cause: Cause,
) -> Quantity {
    let Some(hold) = holds.iter_mut().find(|hold| hold.warehouse == warehouse) else {
        return Quantity::ZERO;
    };
    let returned = hold.shipped.min(most);
    if returned.is_positive() {
        hold.shipped -= returned;
        hold.sent = hold.sent.min(hold.shipped);
        book.post(sku, warehouse, MovementKind::Return, returned, Quantity::ZERO, cause);
    }
    returned
}

fn ship_reserved(holds: &mut [Hold], sku: &Sku, book: &mut Book, cause: Cause) {
    for hold in holds.iter_mut().filter(|hold| hold.reserved.is_positive()) {
        let shipped = hold.reserved;
        hold.shipped += shipped;
        hold.reserved = Quantity::ZERO;
        book.post(sku, hold.warehouse, MovementKind::Ship, -shipped, -shipped, cause);
    }
}

/// Sends `quantity` of what is reserved off, from the warehouses in the order in which it was reserved there.
pub(crate) fn send(holds: &mut [Hold], quantity: Quantity, sku: &Sku, book: &mut Book, cause: Cause) {
    let mut left = quantity;
    for hold in holds.iter_mut() {
        let sent = hold.reserved.min(left);
        if sent.is_positive() {
            hold.reserved -= sent;
            hold.shipped += sent;
            hold.sent += sent;
            left -= sent;
            book.post(sku, hold.warehouse, MovementKind::Ship, -sent, -sent, cause);
        }
    }
    assert!(left.is_zero(), "a line cannot send more than it reserves");
}

/// A completed order went back to being packed: its units are on hand again, still promised. What we sent ourselves is not:
/// the shop's status does not know of parcels.
fn take_back_shipped(holds: &mut [Hold], sku: &Sku, book: &mut Book, cause: Cause) {
    for hold in holds.iter_mut().filter(|hold| hold.shipped > hold.sent) {
        let returned = hold.shipped - hold.sent;
        hold.reserved += returned;
        hold.shipped = hold.sent;
        book.post(sku, hold.warehouse, MovementKind::Return, returned, returned, cause);
    }
}

fn hold_in(holds: &mut Vec<Hold>, warehouse: WarehouseId) -> &mut Hold {
    let index = holds.iter().position(|hold| hold.warehouse == warehouse).unwrap_or_else(|| {
        holds.push(Hold::empty(warehouse));
        holds.len().saturating_sub(1)
    });
    holds.get_mut(index).expect("the index was just found or made")
}

#[cfg(test)]
mod tests;
