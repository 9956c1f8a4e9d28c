//! Identities, each its own type, so that a product id can never be passed where an order id is meant.

use std::fmt;
use std::str::FromStr;

/// The text is not an identity: identities are whole numbers from 1 to 2⁶³ − 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: a whole number from 1 to {max} is wanted", max = i64::MAX)]
pub struct ParseIdError {
    kind: &'static str,
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// `None` unless `raw` is at least 1.
            pub const fn new(raw: i64) -> Option<Self> {
                if raw >= 1 { Some(Self(raw)) } else { None }
            }

            /// The number itself, for storage and wire.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse()
                    .ok()
                    .and_then(Self::new)
                    .ok_or_else(|| ParseIdError { kind: $kind, text: text.to_owned() })
            }
        }

        impl TryFrom<i64> for $name {
            type Error = ParseIdError;

            fn try_from(raw: i64) -> Result<Self, Self::Error> {
                Self::new(raw).ok_or_else(|| ParseIdError { kind: $kind, text: raw.to_string() })
            }
        }
    };
}

id!(
    /// One connected shop. Given by onhand's registry, never by the shop.
    ShopId, "shop id"
);
id!(
    /// One place where stock physically is. Given by onhand's registry.
    WarehouseId, "warehouse id"
);
id!(
    /// An order, as its shop numbers it; unique within the shop.
    OrderId, "order id"
);
id!(
    /// A line of an order, as its shop numbers it; unique within the shop.
    LineId, "line id"
);
id!(
    /// A product, as its shop numbers it.
    ProductId, "product id"
);
id!(
    /// A variation of a product, as its shop numbers it.
    VariationId, "variation id"
);
id!(
    /// The product or variation at which a shop keeps one quantity. WooCommerce numbers both from one sequence.
    HolderId, "stock id"
);

impl From<ProductId> for HolderId {
    fn from(product: ProductId) -> Self {
        Self(product.0)
    }
}

impl From<VariationId> for HolderId {
    fn from(variation: VariationId) -> Self {
        Self(variation.0)
    }
}

/// What a shop sells: a product, or one variation of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListingId {
    /// The product; for a variation its parent.
    pub product: ProductId,
    /// The variation, if the product has them and one was chosen.
    pub variation: Option<VariationId>,
}

impl fmt::Display for ListingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variation {
            Some(variation) => write!(f, "{}/{variation}", self.product),
            None => self.product.fmt(f),
        }
    }
}

/// One quantity that one shop keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StockId {
    /// The shop that keeps it.
    pub shop: ShopId,
    /// The product or variation it is kept at.
    pub holder: HolderId,
}

impl fmt::Display for StockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.shop, self.holder)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);

            /// From storage or wire.
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The number itself, for storage and wire.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after. It saturates: 2⁶⁴ steps do not happen.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// Number of a read of a shop, handed out by the shop's one reader: a higher one was read later.
    ReadNumber
);
counter!(
    /// Number of a level: only ever grows within an [`Epoch`].
    Revision
);
counter!(
    /// What came before is no longer comparable: a restore or a new mapping starts a new one.
    Epoch
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive() {
        assert_eq!(OrderId::new(0), None);
        assert_eq!(OrderId::new(-1), None);
        assert_eq!("7".parse::<OrderId>().map(OrderId::get), Ok(7));
        assert_eq!(
            "0".parse::<ShopId>().unwrap_err().to_string(),
            "\"0\" is not a shop id: a whole number from 1 to 9223372036854775807 is wanted"
        );
    }
}
