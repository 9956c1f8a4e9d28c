//! What `check` may find broken.

use std::fmt;

use values::{OrderId, Quantity, ShopId, Sku, StockId, WarehouseId};

/// Most broken rows one check reports; it stops there.
pub const BROKEN_MAX: usize = 1_000;

/// A row that contradicts the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// A balance is not the sum of its movements.
    Balance {
        /// The SKU.
        sku: Sku,
        /// The warehouse.
        warehouse: WarehouseId,
        /// What is stored: on hand, reserved.
        stored: (Quantity, Quantity),
        /// What the movements come to.
        folded: (Quantity, Quantity),
    },
    /// A movement's resulting balance does not follow from the one before.
    Chain {
        /// The SKU.
        sku: Sku,
        /// The movement.
        number: u64,
    },
    /// A SKU's movements are not numbered 1, 2, 3… to its count.
    Numbering {
        /// The SKU.
        sku: Sku,
        /// What it counts.
        counted: u64,
        /// How many there are.
        found: u64,
        /// The highest number.
        last: u64,
    },
    /// What is reserved is not what open lines hold.
    Reserved {
        /// The SKU.
        sku: Sku,
        /// The warehouse.
        warehouse: WarehouseId,
        /// What is stored.
        stored: Quantity,
        /// What lines hold.
        held: Quantity,
    },
    /// A line's or order's own sum of what it reserves is wrong.
    OrderSum {
        /// The shop.
        shop: ShopId,
        /// The order.
        order: OrderId,
    },
    /// What a shop has taken from a stock is not what its lines say.
    Taken {
        /// The stock.
        stock: StockId,
        /// What is stored.
        stored: Quantity,
        /// What lines say.
        summed: Quantity,
    },
    /// What a shop has yet to take from a stock is not what its lines say.
    Untaken {
        /// The stock.
        stock: StockId,
        /// What is stored.
        stored: Quantity,
        /// What lines say.
        summed: Quantity,
    },
    /// A level is not what the balances come to.
    Level {
        /// The stock.
        stock: StockId,
        /// What is stored.
        stored: Quantity,
        /// What it should be.
        computed: Quantity,
    },
    /// Something newer was published than there is.
    Ahead {
        /// The stock.
        stock: StockId,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balance { sku, warehouse, stored, folded } => write!(
                f,
                "balance of {sku} in warehouse {warehouse} is {} on hand, {} reserved; its movements come to {} and {}",
                stored.0, stored.1, folded.0, folded.1
            ),
            Self::Chain { sku, number } => {
                write!(f, "movement {number} of {sku} does not follow from the one before")
            }
            Self::Numbering { sku, counted, found, last } => {
                write!(f, "{sku} counts {counted} movements; there are {found}, the last is number {last}")
            }
            Self::Reserved { sku, warehouse, stored, held } => {
                write!(f, "{stored} of {sku} are reserved in warehouse {warehouse}; open lines hold {held}")
            }
            Self::OrderSum { shop, order } => {
                write!(f, "order {order} of shop {shop} does not add up what its lines reserve")
            }
            Self::Taken { stock, stored, summed } => {
                write!(f, "stock {stock} counts {stored} taken; its lines say {summed}")
            }
            Self::Untaken { stock, stored, summed } => {
                write!(f, "stock {stock} counts {stored} yet to be taken; its lines say {summed}")
            }
            Self::Level { stock, stored, computed } => {
                write!(f, "level of stock {stock} is {stored}; it should be {computed}")
            }
            Self::Ahead { stock } => {
                write!(f, "a newer level of stock {stock} was published than there is")
            }
        }
    }
}
