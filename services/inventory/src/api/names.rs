//! Names of shops and warehouses, as people write and read them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use store::{Shop, ShopState, Store, Warehouse, WarehouseKind};
use values::{ShopId, WarehouseId};

use super::problem::Problem;

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 63;

/// A shop's name is part of addresses.
pub(super) fn check_shop_name(name: &str) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = name.len() <= NAME_CHARS_MAX && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if fits && name.chars().all(plain) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{name:?} cannot name a shop: 1 to {NAME_CHARS_MAX} of A-Z a-z 0-9 - _ . are wanted, first a letter or digit"
    )))
}

/// A name for people: of a warehouse or a token. `what` it names goes into the refusal.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    let count = name.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&count) && name.trim() == name && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{name:?} cannot name a {what}: 1 to {NAME_CHARS_MAX} characters are wanted, none of them a control \
         character, no blanks around"
    )))
}

/// The shop of this name that is in service or connecting.
pub(super) async fn shop(store: &Store, name: &str) -> Result<Shop, Problem> {
    let shops = store.shops(None).await?;
    shops
        .into_iter()
        .find(|shop| shop.name == name && shop.state != ShopState::Removed)
        .ok_or_else(|| Problem::not_found(format_args!("shop {name:?}")))
}

/// Shops of this name, removed ones too: the one in service first, then the latest.
pub(super) async fn shops_ever(store: &Store, name: &str) -> Result<Vec<Shop>, Problem> {
    let mut shops = store.shops(None).await?;
    shops.retain(|shop| shop.name == name);
    if shops.is_empty() {
        return Err(Problem::not_found(format_args!("shop {name:?}")));
    }
    shops.sort_unstable_by_key(|shop| (shop.state == ShopState::Removed, Reverse(shop.id)));
    Ok(shops)
}

/// Warehouses by name and id.
#[derive(Debug)]
pub(super) struct Warehouses {
    by_name: BTreeMap<String, (WarehouseId, WarehouseKind)>,
    by_id: BTreeMap<WarehouseId, String>,
}

impl Warehouses {
    pub(super) async fn load(store: &Store) -> Result<Self, Problem> {
        Ok(Self::new(store.warehouses().await?))
    }

    fn new(warehouses: Vec<Warehouse>) -> Self {
        let by_id = warehouses.iter().map(|warehouse| (warehouse.id, warehouse.name.clone())).collect();
        let by_name = warehouses
            .into_iter()
            .map(|warehouse| (warehouse.name, (warehouse.id, warehouse.kind)))
            .collect();
        Self { by_name, by_id }
    }

    /// Its name; the number of one that is not there, which only a damaged row could name.
    pub(super) fn name(&self, id: WarehouseId) -> String {
        self.by_id.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    /// The warehouse of this name.
    pub(super) fn find(&self, name: &str) -> Result<WarehouseId, String> {
        let found = self.by_name.get(name).map(|(id, _)| *id);
        found.ok_or_else(|| format!("there is no warehouse {name:?}"))
    }

    /// The warehouse of this name, if its stock is ours to move.
    pub(super) fn find_owned(&self, name: &str) -> Result<WarehouseId, String> {
        match self.by_name.get(name) {
            Some((id, WarehouseKind::HubOwned)) => Ok(*id),
            Some((_, WarehouseKind::Mirrored)) => {
                Err(format!("warehouse {name:?} follows an ERP; change its stock there"))
            }
            None => Err(format!("there is no warehouse {name:?}")),
        }
    }
}

/// Shops by id, the removed ones too.
#[derive(Debug)]
pub(super) struct Shops {
    by_id: BTreeMap<ShopId, Shop>,
}

impl Shops {
    /// Those of the ids.
    pub(super) async fn load(store: &Store, ids: impl IntoIterator<Item = ShopId>) -> Result<Self, Problem> {
        Ok(Self::load_stored(store, ids).await?)
    }

    /// The same, for who has begun to answer.
    pub(super) async fn load_stored(
        store: &Store,
        ids: impl IntoIterator<Item = ShopId>,
    ) -> Result<Self, store::Error> {
        let mut ids: Vec<ShopId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let shops = if ids.is_empty() { Vec::new() } else { store.shops(Some(&ids)).await? };
        Ok(Self { by_id: shops.into_iter().map(|shop| (shop.id, shop)).collect() })
    }

    /// Its name; the number of one that is not there, which only a damaged row could name.
    pub(super) fn name(&self, id: ShopId) -> String {
        self.by_id.get(&id).map_or_else(|| id.to_string(), |shop| shop.name.clone())
    }

    pub(super) fn get(&self, id: ShopId) -> Option<&Shop> {
        self.by_id.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "Berlin-2", "0", "shop.example.com", "a_b"] {
            assert!(check_shop_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ż", &"x".repeat(64)] {
            assert!(check_shop_name(bad).is_err(), "{bad}");
        }
        for good in ["Главный склад", "a", &"ż".repeat(63)] {
            assert!(check_name("warehouse", good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a\n", &"x".repeat(64)] {
            assert!(check_name("warehouse", bad).is_err(), "{bad}");
        }
    }
}
