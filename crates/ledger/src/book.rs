//! Balances and the movements they are the fold of.

use std::collections::{BTreeMap, BTreeSet};

use values::{LineId, OrderId, Quantity, ShopId, Sku, Timestamp, WarehouseId};

/// What a warehouse has of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Physically present and sellable, promised or not. Negative when more was shipped than was ever counted in.
    pub on_hand: Quantity,
    /// Promised, not yet shipped. Never negative.
    pub reserved: Quantity,
}

impl Balance {
    /// What may still be sold; negative when more is promised than there is.
    pub fn available(self) -> Quantity {
        self.on_hand - self.reserved
    }
}

/// Kind of a movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MovementKind {
    /// Stock a shop or warehouse had when it was connected.
    Opening,
    /// Goods came in.
    Receipt,
    /// A correction with a reason.
    Adjustment,
    /// Promised to an order line.
    Reserve,
    /// No longer promised.
    Release,
    /// Left the warehouse.
    Ship,
    /// Came back.
    Return,
    /// To or from another warehouse.
    Transfer,
    /// A stocktake set on hand to what was counted.
    Count,
    /// Set to what the owning ERP says.
    Mirror,
}

impl MovementKind {
    /// Every kind, for storage and documentation.
    pub const ALL: [Self; 10] = [
        Self::Opening,
        Self::Receipt,
        Self::Adjustment,
        Self::Reserve,
        Self::Release,
        Self::Ship,
        Self::Return,
        Self::Transfer,
        Self::Count,
        Self::Mirror,
    ];

    /// Its word in storage, API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Receipt => "receipt",
            Self::Adjustment => "adjustment",
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Ship => "ship",
            Self::Return => "return",
            Self::Transfer => "transfer",
            Self::Count => "count",
            Self::Mirror => "mirror",
        }
    }
}

/// What made a movement happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A line of an order of a shop.
    Order {
        /// The shop.
        shop: ShopId,
        /// The order.
        order: OrderId,
        /// The line.
        line: LineId,
    },
    /// An operation through our own API; its key and actor are stored beside.
    Operation,
}

/// One immutable entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The SKU.
    pub sku: Sku,
    /// Its number among the SKU's movements: 1, 2, 3… without gaps.
    pub number: u64,
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// The kind.
    pub kind: MovementKind,
    /// Change of on hand.
    pub on_hand_delta: Quantity,
    /// Change of reserved.
    pub reserved_delta: Quantity,
    /// The balance after it.
    pub after: Balance,
    /// What made it happen.
    pub cause: Cause,
}

/// All of one SKU: the unit of locking, since a level sums several warehouses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkuBook {
    /// By warehouse; a missing one is zero.
    pub balances: BTreeMap<WarehouseId, Balance>,
    /// Warehouses in which something else than orders ever said what is there.
    pub stocked: BTreeSet<WarehouseId>,
    /// Number of the last movement; 0 before the first.
    pub movement_count: u64,
    /// When stock was last counted or first opened, by the hub's clock.
    pub counted_at: Option<Timestamp>,
}

/// The working set of a batch: the SKUs it touches, and the movements it made.
#[derive(Debug, Clone, Default)]
pub struct Book {
    skus: BTreeMap<Sku, SkuBook>,
    movements: Vec<Movement>,
}

impl Book {
    /// Puts a SKU into the working set as it is stored. Checks on load what [`Book::post`] checks on apply.
    pub fn load(&mut self, sku: Sku, book: SkuBook) {
        assert!(
            book.balances.values().all(|balance| !balance.reserved.is_negative()),
            "stored reserved of {sku} is negative"
        );
        self.skus.insert(sku, book);
    }

    /// The SKU's book; `None` if it is not in the working set.
    pub fn sku(&self, sku: &Sku) -> Option<&SkuBook> {
        self.skus.get(sku)
    }

    /// All SKUs of the working set.
    pub fn skus(&self) -> impl Iterator<Item = (&Sku, &SkuBook)> {
        self.skus.iter()
    }

    /// The balance of a SKU in a warehouse; zero if there never was any.
    pub fn balance(&self, sku: &Sku, warehouse: WarehouseId) -> Balance {
        self.skus.get(sku).and_then(|book| book.balances.get(&warehouse)).copied().unwrap_or_default()
    }

    /// Sum of available over some warehouses.
    pub fn available(&self, sku: &Sku, warehouses: impl IntoIterator<Item = WarehouseId>) -> Quantity {
        warehouses.into_iter().map(|warehouse| self.balance(sku, warehouse).available()).sum()
    }

    /// When the SKU was last counted.
    pub fn counted_at(&self, sku: &Sku) -> Option<Timestamp> {
        self.skus.get(sku).and_then(|book| book.counted_at)
    }

    /// Whether something else than orders ever said what one of the warehouses has of the SKU.
    pub fn is_stocked(&self, sku: &Sku, warehouses: &BTreeSet<WarehouseId>) -> bool {
        self.skus.get(sku).is_some_and(|book| !book.stocked.is_disjoint(warehouses))
    }

    /// The movements made since the last call, oldest first.
    pub fn take_movements(&mut self) -> Vec<Movement> {
        std::mem::take(&mut self.movements)
    }

    /// The movements not yet taken.
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    pub(crate) fn set_stocked(&mut self, sku: &Sku, warehouse: WarehouseId) {
        self.skus.entry(sku.clone()).or_default().stocked.insert(warehouse);
    }

    pub(crate) fn set_counted_at(&mut self, sku: &Sku, at: Timestamp) {
        self.skus.entry(sku.clone()).or_default().counted_at = Some(at);
    }

    /// Appends a movement and moves the balance. A movement that changes nothing is not posted.
    pub(crate) fn post(
        &mut self,
        sku: &Sku,
        warehouse: WarehouseId,
        kind: MovementKind,
        on_hand_delta: Quantity,
        reserved_delta: Quantity,
        cause: Cause,
    ) {
        if on_hand_delta.is_zero() && reserved_delta.is_zero() {
            return;
        }
        let book = self.skus.entry(sku.clone()).or_default();
        let balance = book.balances.entry(warehouse).or_default();
        let before = *balance;
        balance.on_hand += on_hand_delta;
        balance.reserved += reserved_delta;
        assert!(
            !balance.reserved.is_negative(),
            "reserved of {sku} in warehouse {warehouse} would be negative"
        );
        assert!(
            balance.on_hand - before.on_hand == on_hand_delta
                && balance.reserved - before.reserved == reserved_delta,
            "the balance of {sku} in warehouse {warehouse} left the range of 64 bits"
        );
        book.movement_count = book.movement_count.checked_add(1).expect("2^64 movements do not happen");
        self.movements.push(Movement {
            sku: sku.clone(),
            number: book.movement_count,
            warehouse,
            kind,
            on_hand_delta,
            reserved_delta,
            after: *balance,
            cause,
        });
    }
}

#[cfg(test)]
mod tests;
