//! Which message it is, by the name that goes over the wire, and which shard it belongs to.

use std::fmt;

use values::{ShopId, WarehouseId};

use crate::error::DecodeError;

/// Longest type name accepted, in characters.
pub const TYPE_NAME_CHARS_MAX: usize = 100;

const VERSION: u32 = 1;

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `order.observed.v1`
    OrderObserved,
    /// `order.unreadable.v1`
    OrderUnreadable,
    /// `shop.connected.v1`
    ShopConnected,
    /// `stock.shown.v1`
    StockShown,
    /// `stock.edited.v1`
    StockEdited,
    /// `listing.observed.v1`
    ListingObserved,
    /// `erp-stock.observed.v1`
    ErpStockObserved,
    /// `level.changed.v1`
    LevelChanged,
    /// `levels.changed.v1`
    LevelsChanged,
    /// `read.wanted.v1`
    ReadWanted,
    /// `shipment.made.v1`
    ShipmentMade,
}

impl Kind {
    /// Every message there is.
    pub const ALL: [Self; 11] = [
        Self::OrderObserved,
        Self::OrderUnreadable,
        Self::ShopConnected,
        Self::StockShown,
        Self::StockEdited,
        Self::ListingObserved,
        Self::ErpStockObserved,
        Self::LevelChanged,
        Self::LevelsChanged,
        Self::ReadWanted,
        Self::ShipmentMade,
    ];

    /// Type name and routing key: noun, verb, version.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::OrderObserved => "order.observed.v1",
            Self::OrderUnreadable => "order.unreadable.v1",
            Self::ShopConnected => "shop.connected.v1",
            Self::StockShown => "stock.shown.v1",
            Self::StockEdited => "stock.edited.v1",
            Self::ListingObserved => "listing.observed.v1",
            Self::ErpStockObserved => "erp-stock.observed.v1",
            Self::LevelChanged => "level.changed.v1",
            Self::LevelsChanged => "levels.changed.v1",
            Self::ReadWanted => "read.wanted.v1",
            Self::ShipmentMade => "shipment.made.v1",
        }
    }

    /// The message of that type name; tells a newer version of a known one from a name never heard of.
    pub fn parse(type_name: &str) -> Result<Self, DecodeError> {
        let unknown = || DecodeError::UnknownType(type_name.chars().take(TYPE_NAME_CHARS_MAX).collect());
        let (name, version) = type_name.rsplit_once(".v").ok_or_else(unknown)?;
        let version: u32 = version.parse().map_err(|_| unknown())?;
        let named = |kind: &Self| kind.name() == name;
        let kind = Self::ALL.into_iter().find(named).ok_or_else(unknown)?;
        match version {
            VERSION => Ok(kind),
            0 => Err(unknown()),
            version => Err(DecodeError::FutureVersion { name: kind.name(), version }),
        }
    }

    fn name(self) -> &'static str {
        let name = self.type_name();
        name.strip_suffix(".v1").expect("every type name is of version 1")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.type_name())
    }
}

/// What keeps its order on the way: all messages of one shop, or of one mirrored warehouse, take one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardKey(u64);

/// Keeps the keys of warehouses apart from those of shops, which are below 2⁶³.
const WAREHOUSE_BIT: u64 = 1 << 63;

impl ShardKey {
    /// From storage or wire.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The number itself, for storage and wire.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The shard of `count`, from 0. It depends on nothing but the key and the count, in every version and on every
    /// machine: `SplitMix64`'s finaliser over the key, then the remainder. No shards count as one.
    pub const fn shard(self, count: u16) -> u16 {
        let mut mixed = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            reason = "a remainder of a u16 fits one"
        )]
        let shard = (mixed % if count == 0 { 1 } else { count as u64 }) as u16;
        shard
    }
}

/// One of the shards that keys are divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    pub index: u16,
    /// Of how many.
    pub count: u16,
}

impl Shard {
    /// Whether the key falls into it.
    pub fn has(self, key: impl Into<ShardKey>) -> bool {
        key.into().shard(self.count) == self.index
    }
}

impl From<ShopId> for ShardKey {
    fn from(shop: ShopId) -> Self {
        Self(shop.get().unsigned_abs())
    }
}

impl From<WarehouseId> for ShardKey {
    fn from(warehouse: WarehouseId) -> Self {
        Self(warehouse.get().unsigned_abs() | WAREHOUSE_BIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.type_name()).unwrap(), kind);
        }
    }

    #[test]
    fn newer_versions_are_told_from_strangers() {
        assert!(matches!(
            Kind::parse("order.observed.v2"),
            Err(DecodeError::FutureVersion { name: "order.observed", version: 2 })
        ));
        for stranger in
            ["", "order.observed", "order.observed.v0", "order.observed.vx", "order.vanished.v1", "v1"]
        {
            assert!(matches!(Kind::parse(stranger), Err(DecodeError::UnknownType(_))), "{stranger}");
        }
    }

    #[test]
    fn shards_are_stable_and_even() {
        let shard = |shop: i64, count| ShardKey::from(ShopId::new(shop).unwrap()).shard(count);
        assert_eq!([1, 2, 3, 4, 5, 6].map(|shop| shard(shop, 8)), [1, 6, 5, 2, 2, 0]);
        assert_eq!(shard(1, 0), 0);
        let mut counts = [0_u32; 8];
        for shop in 1..=8_000 {
            counts[usize::from(shard(shop, 8))] += 1;
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }
}
