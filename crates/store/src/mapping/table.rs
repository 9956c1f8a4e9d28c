//! The table of a shop: what a person says that its listings are, before anything that is read from the shop.

use values::{HolderId, ListingId, ReadNumber, ShopId, Sku, StockId};

use super::{Known, Mapping, own_holder};
use crate::inventory::{ListingSeen, TableEntry, TableOutcome};
use crate::rows::listing_key;

/// The listings of entries, each once, as shop, product and variation.
pub(crate) fn table_keys(shop: ShopId, entries: &[TableEntry]) -> Vec<(i64, i64, i64)> {
    let mut keys: Vec<_> = entries
        .iter()
        .map(|entry| {
            let (product, variation) = listing_key(entry.listing);
            (shop.get(), product, variation)
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl Mapping {
    /// The listings that are known, as the shop showed them last.
    pub(crate) fn known_listings(&self) -> Vec<ListingSeen> {
        self.listings.iter().map(|(key, known)| as_seen(*key, known)).collect()
    }

    /// Takes entries in: what each came to. If one is refused, nothing of it may be saved.
    pub(crate) fn apply_table(&mut self, shop: ShopId, entries: &[TableEntry]) -> Vec<TableOutcome> {
        // What gets another SKU gives up the one it has first, so that two can change places.
        for entry in entries {
            self.give_up(shop, entry);
        }
        entries.iter().map(|entry| self.apply_entry(shop, entry)).collect()
    }

    fn own_stock(&self, shop: ShopId, listing: ListingId) -> Option<StockId> {
        let known = self.listings.get(&(shop, listing))?;
        let own = own_holder(listing);
        (known.holder == Some(own.get())).then_some(StockId { shop, holder: own })
    }

    fn give_up(&mut self, shop: ShopId, entry: &TableEntry) {
        let Some(stock) = self.own_stock(shop, entry.listing) else { return };
        let Some(row) = self.stocks.get(&stock) else { return };
        if let Some(has) = row.sku.clone().filter(|has| !row.removed && entry.sku.as_ref() != Some(has))
            && self.owners.get(&(shop, has.clone())) == Some(&stock.holder)
        {
            self.owners.remove(&(shop, has));
        }
    }

    fn apply_entry(&mut self, shop: ShopId, entry: &TableEntry) -> TableOutcome {
        let key = (shop, entry.listing);
        let Some(known) = self.listings.get(&key) else { return TableOutcome::UnknownListing };
        let own = own_holder(entry.listing);
        match known.holder.and_then(HolderId::new) {
            Some(holder) if holder != own => self.apply_to_shared(shop, holder, entry),
            Some(_) => self.apply_to_stock(StockId { shop, holder: own }, entry),
            None => self.apply_to_unmanaged(shop, entry),
        }
    }

    /// Its quantity is kept at its product, which says what it is.
    fn apply_to_shared(&mut self, shop: ShopId, holder: HolderId, entry: &TableEntry) -> TableOutcome {
        let stock = self.stocks.get(&StockId { shop, holder });
        let has = stock.filter(|stock| !stock.removed).and_then(|stock| stock.sku.as_ref());
        if entry.sku.is_none() || entry.sku.as_ref() == has {
            TableOutcome::Unchanged
        } else {
            TableOutcome::SharesStock { holder }
        }
    }

    fn apply_to_unmanaged(&mut self, shop: ShopId, entry: &TableEntry) -> TableOutcome {
        let key = (shop, entry.listing);
        let known = self.listings.get(&key).filter(|known| known.mapped.is_none() && !entry.is_kept);
        if known.is_some_and(|known| known.code.as_deref() == entry.sku.as_ref().map(Sku::as_str)) {
            return TableOutcome::Unchanged;
        }
        let before = self.note_mapped(key, entry.sku.as_ref());
        if before == entry.sku {
            return TableOutcome::Unchanged;
        }
        self.unmanaged.insert(key);
        self.marked.extend(entry.sku.clone());
        TableOutcome::Changed { stock: None, before, now: entry.sku.clone() }
    }

    fn apply_to_stock(&mut self, stock: StockId, entry: &TableEntry) -> TableOutcome {
        let key = (stock.shop, entry.listing);
        let row = self.stocks.get(&stock);
        let before = row.filter(|row| !row.removed).and_then(|row| row.sku.clone());
        let wanted =
            entry.sku.clone().or_else(|| self.likeness.meant(&as_seen(key, self.listings.get(&key)?)));
        if let Some(sku) = &wanted
            && let Some(by) = self.owners.get(&(stock.shop, sku.clone())).filter(|by| **by != stock.holder)
        {
            // Nobody asked for that SKU where an entry is only taken away.
            if entry.sku.is_some() {
                return TableOutcome::SkuTaken { by: *by };
            }
            return self.take_away(stock, key, before);
        }
        if !entry.is_kept && before.is_some() && before == entry.sku && self.says_nothing(key) {
            self.owners.extend(before.map(|sku| ((stock.shop, sku), stock.holder)));
            return TableOutcome::Unchanged;
        }
        let noted = self.note_mapped(key, entry.sku.as_ref());
        match wanted {
            Some(sku) if before.as_ref() == Some(&sku) => {
                self.owners.insert((stock.shop, sku), stock.holder);
                if noted == entry.sku {
                    TableOutcome::Unchanged
                } else {
                    TableOutcome::Changed { stock: None, before: before.clone(), now: before }
                }
            }
            Some(sku) => {
                self.ensure_stock(stock);
                if let Some(row) = self.stocks.get_mut(&stock) {
                    row.removed = false;
                }
                self.assign(stock, &sku);
                TableOutcome::Changed { stock: Some(stock.holder), before, now: Some(sku) }
            }
            None => self.take_away(stock, key, before),
        }
    }

    /// Nobody knows which SKU it is any more: nothing is told to it.
    fn take_away(&mut self, stock: StockId, key: (ShopId, ListingId), before: Option<Sku>) -> TableOutcome {
        let noted = self.note_mapped(key, None);
        self.leave_own(stock);
        if noted.is_none() && before.is_none() {
            return TableOutcome::Unchanged;
        }
        TableOutcome::Changed { stock: None, before, now: None }
    }

    fn says_nothing(&self, key: (ShopId, ListingId)) -> bool {
        self.listings.get(&key).is_none_or(|known| known.mapped.is_none())
    }

    /// Writes down what a person says of a listing; what was said before.
    fn note_mapped(&mut self, key: (ShopId, ListingId), sku: Option<&Sku>) -> Option<Sku> {
        let known = self.listings.get_mut(&key)?;
        let text = sku.map(ToString::to_string);
        if known.mapped == text {
            return sku.cloned();
        }
        self.changed_listings.insert(key);
        std::mem::replace(&mut known.mapped, text).and_then(|before| before.parse().ok())
    }
}

/// A listing as it is stored.
fn as_seen((shop, listing): (ShopId, ListingId), known: &Known) -> ListingSeen {
    ListingSeen {
        shop,
        listing,
        holder: known.holder.and_then(HolderId::new),
        sku: known.code.as_deref().and_then(|code| code.parse().ok()),
        name: known.name.clone(),
        status: known.status.clone(),
        kind: None,
        number: ReadNumber::ZERO,
    }
}
