//! Which stock of a shop has which SKU: decided in memory on what is stored, alike for every backend.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use values::{Epoch, HolderId, ListingId, ProductId, Quantity, Revision, ShopId, Sku, Step, StockId};

use crate::error::Error;
use crate::inventory::{ListingOutcome, ListingSeen, MapOutcome, StockOpening, StockRow};
use crate::rows::{id, listing, listing_key, signed, sku};

/// A listing as it is stored: its holder, SKU text, name, status and the read that showed it.
type Known = (Option<i64>, Option<String>, String, String, i64);

/// Shop, product, variation, then what is [`Known`].
pub(crate) type ListingColumns = (i64, i64, i64, Option<i64>, Option<String>, String, String, i64);

/// Shop, holder, SKU, parent, step, epoch, revision, removed.
pub(crate) type MappingColumns = (i64, i64, Option<String>, Option<i64>, i64, i64, i64, bool);

/// Stocks as shop and holder.
pub(crate) type StockKeys = Vec<(i64, i64)>;

/// What is known of the catalogue, and what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    listings: BTreeMap<(ShopId, ListingId), Known>,
    stocks: BTreeMap<StockId, StockRow>,
    /// Epoch and revision of stocks as they were loaded.
    loaded: BTreeMap<StockId, (Epoch, Revision)>,
    owners: BTreeMap<(ShopId, Sku), HolderId>,
    changed_listings: BTreeSet<(ShopId, ListingId)>,
    changed_stocks: BTreeSet<StockId>,
    removed_stocks: BTreeSet<StockId>,
    /// Stocks whose lines may now be resolved.
    resolvable: BTreeSet<StockId>,
    /// Listings that turned out to have no quantity: lines of them wait for nobody.
    unmanaged: BTreeSet<(ShopId, ListingId)>,
    marked: BTreeSet<Sku>,
    /// SKUs that stocks had before.
    left: BTreeSet<Sku>,
    /// Shops with a listing that is kept elsewhere than before.
    moved: BTreeSet<ShopId>,
}

/// The listings seen, as shop, product and variation; each once.
pub(crate) fn listing_keys(seen: &[ListingSeen]) -> Vec<(i64, i64, i64)> {
    let keys: BTreeSet<_> = seen
        .iter()
        .map(|seen| {
            let (product, variation) = listing_key(seen.listing);
            (seen.shop.get(), product, variation)
        })
        .collect();
    keys.into_iter().collect()
}

/// Every stock the listings seen may have to do with; each once.
pub(crate) fn stock_keys(seen: &[ListingSeen]) -> StockKeys {
    let keys: BTreeSet<_> = seen
        .iter()
        .flat_map(|seen| [Some(own_holder(seen.listing)), seen.holder].map(|holder| (seen.shop, holder)))
        .filter_map(|(shop, holder)| Some((shop.get(), holder?.get())))
        .collect();
    keys.into_iter().collect()
}

/// The SKUs seen, each once a shop.
pub(crate) fn owner_keys(seen: &[ListingSeen]) -> Vec<(i64, &str)> {
    let keys: BTreeSet<_> =
        seen.iter().filter_map(|seen| Some((seen.shop.get(), seen.sku.as_ref()?.as_str()))).collect();
    keys.into_iter().collect()
}

/// Where a listing's quantity is kept if it keeps its own.
fn own_holder(listing: ListingId) -> HolderId {
    listing.variation.map_or_else(|| listing.product.into(), HolderId::from)
}

impl Mapping {
    pub(crate) fn know_listing(&mut self, row: ListingColumns) -> Result<(), Error> {
        let (shop, product, variation, holder, code, name, status, number) = row;
        let key = (id("shop", shop)?, listing(product, variation)?);
        self.listings.insert(key, (holder, code, name, status, number));
        Ok(())
    }

    pub(crate) fn know_stock(&mut self, row: StockRow) {
        self.loaded.insert(row.id, (row.epoch, row.revision));
        self.stocks.insert(row.id, row);
    }

    /// Shop, SKU, and the holder that has it.
    pub(crate) fn know_owner(&mut self, row: (i64, String, i64)) -> Result<(), Error> {
        let (shop, code, holder) = row;
        self.owners.insert((id("shop", shop)?, sku(&code)?), id("stock", holder)?);
        Ok(())
    }

    /// Takes in what a catalogue shows.
    pub(crate) fn observe(&mut self, seen: &ListingSeen) -> ListingOutcome {
        let key = (seen.shop, seen.listing);
        let shown: Known = (
            seen.holder.map(HolderId::get),
            seen.sku.as_ref().map(|sku| sku.as_str().to_owned()),
            seen.name.clone(),
            seen.status.clone(),
            signed(seen.number.get()),
        );
        let before = self.listings.get(&key);
        if before.is_some_and(|before| before.4 > shown.4) {
            return ListingOutcome::Older;
        }
        let holder_changed = before.is_none_or(|before| before.0 != shown.0);
        if holder_changed {
            self.moved.insert(seen.shop);
        }
        let same = before.is_some_and(|before| {
            (&before.0, &before.1, &before.2, &before.3) == (&shown.0, &shown.1, &shown.2, &shown.3)
        });
        if before != Some(&shown) {
            self.listings.insert(key, shown);
            self.changed_listings.insert(key);
        }
        let own = StockId { shop: seen.shop, holder: own_holder(seen.listing) };
        if let Some(holder) = seen.holder {
            let stock = StockId { shop: seen.shop, holder };
            self.ensure_stock(stock);
            if holder_changed {
                self.resolvable.insert(stock);
            }
        } else if holder_changed {
            self.unmanaged.insert(key);
        }
        let outcome = if seen.holder == Some(own.holder) {
            self.keep_own(seen, own)
        } else {
            self.leave_own(own);
            ListingOutcome::Seen
        };
        if outcome == ListingOutcome::Seen && same { ListingOutcome::Unchanged } else { outcome }
    }

    fn ensure_stock(&mut self, stock: StockId) {
        if let Entry::Vacant(unknown) = self.stocks.entry(stock) {
            unknown.insert(new_stock(stock));
            self.changed_stocks.insert(stock);
        }
    }

    /// The listing keeps its own quantity.
    fn keep_own(&mut self, seen: &ListingSeen, own: StockId) -> ListingOutcome {
        let parent = seen.listing.variation.map(|_| seen.listing.product);
        let stock = self.stocks.get_mut(&own).expect("it was just made sure of");
        if stock.parent != parent {
            stock.parent = parent;
            self.changed_stocks.insert(own);
        }
        let mapped = stock.sku.clone();
        if stock.removed {
            stock.removed = false;
            self.changed_stocks.insert(own);
            stock.sku = None;
            return match seen.sku.as_ref().or(mapped.as_ref()) {
                Some(sku) => self.take_sku(own, sku),
                None => ListingOutcome::Seen,
            };
        }
        match (mapped, &seen.sku) {
            (None, Some(sku)) => self.take_sku(own, sku),
            (Some(mapped), Some(sku)) if mapped != *sku => ListingOutcome::Renamed { mapped },
            _ => ListingOutcome::Seen,
        }
    }

    /// The listing keeps no quantity of its own any more.
    fn leave_own(&mut self, own: StockId) {
        let Some(stock) = self.stocks.get_mut(&own).filter(|stock| !stock.removed && stock.sku.is_some())
        else {
            return;
        };
        stock.removed = true;
        stock.revision = stock.revision.next();
        if let Some(sku) = &stock.sku {
            self.owners.remove(&(own.shop, sku.clone()));
            self.left.insert(sku.clone());
        }
        self.changed_stocks.insert(own);
        self.removed_stocks.insert(own);
    }

    fn take_sku(&mut self, stock: StockId, sku: &Sku) -> ListingOutcome {
        if let Some(by) = self.owners.get(&(stock.shop, sku.clone())) {
            return ListingOutcome::SkuTaken { by: *by };
        }
        self.assign(stock, sku);
        ListingOutcome::Mapped
    }

    fn assign(&mut self, stock: StockId, sku: &Sku) {
        self.owners.insert((stock.shop, sku.clone()), stock.holder);
        if let Some(row) = self.stocks.get_mut(&stock) {
            self.left.extend(row.sku.replace(sku.clone()));
            // What it was told and what was proven before belongs to another mapping.
            row.epoch = row.epoch.next();
        }
        self.changed_stocks.insert(stock);
        self.resolvable.insert(stock);
        self.marked.insert(sku.clone());
    }

    /// Maps a stock by hand.
    pub(crate) fn map(&mut self, stock: StockId, sku: &Sku) -> MapOutcome {
        let Some(row) = self.stocks.get_mut(&stock) else {
            return MapOutcome::UnknownStock;
        };
        if row.sku.as_ref() == Some(sku) && !row.removed {
            return MapOutcome::Unchanged;
        }
        if let Some(by) = self.owners.get(&(stock.shop, sku.clone())).filter(|by| **by != stock.holder) {
            return MapOutcome::SkuTaken { by: *by };
        }
        row.removed = false;
        let before = row.sku.clone();
        self.assign(stock, sku);
        MapOutcome::Mapped { before }
    }

    pub(crate) fn listing_columns(&self) -> Vec<ListingColumns> {
        self.changed_listings
            .iter()
            .filter_map(|key| Some((key, self.listings.get(key)?.clone())))
            .map(|((shop, listing), (holder, sku, name, status, number))| {
                let (product, variation) = listing_key(*listing);
                (shop.get(), product, variation, holder, sku, name, status, number)
            })
            .collect()
    }

    /// The stocks that changed: first those that give a SKU up, so that another can have it in the same go.
    pub(crate) fn mapping_columns(&self) -> [Vec<MappingColumns>; 2] {
        let (removed, kept): (Vec<_>, Vec<_>) = self
            .changed_stocks
            .iter()
            .filter_map(|stock| self.stocks.get(stock))
            .partition(|row| row.removed);
        [removed, kept].map(|rows| rows.into_iter().map(mapping_columns).collect())
    }

    /// The same, with what epoch and revision have grown by instead of what they are.
    pub(crate) fn mapping_growth(&self) -> [Vec<MappingColumns>; 2] {
        let loaded: BTreeMap<(i64, i64), (i64, i64)> = self
            .loaded
            .iter()
            .map(|(stock, (epoch, revision))| {
                ((stock.shop.get(), stock.holder.get()), (signed(epoch.get()), signed(revision.get())))
            })
            .collect();
        let mut columns = self.mapping_columns();
        for row in columns.iter_mut().flatten() {
            let (epoch, revision) = loaded.get(&(row.0, row.1)).copied().unwrap_or_default();
            row.5 -= epoch;
            row.6 -= revision;
        }
        columns
    }

    /// Shops in which a listing leads elsewhere than before, or may.
    pub(crate) fn remapped(&self) -> Vec<i64> {
        let changed = self.changed_stocks.iter().map(|stock| stock.shop);
        let shops: BTreeSet<i64> = changed.chain(self.moved.iter().copied()).map(ShopId::get).collect();
        shops.into_iter().collect()
    }

    /// The SKUs that stocks were mapped to: their levels are to be computed.
    pub(crate) fn marked(&self) -> Vec<&str> {
        self.marked.iter().map(Sku::as_str).collect()
    }

    /// The SKUs that stocks which changed have, or had before.
    pub(crate) fn touched(&self) -> Vec<&str> {
        let changed = self.changed_stocks.iter().filter_map(|stock| self.stocks.get(stock)?.sku.as_ref());
        let touched: BTreeSet<&str> = changed.chain(&self.left).map(Sku::as_str).collect();
        touched.into_iter().collect()
    }

    /// Stocks whose lines may now be resolved.
    pub(crate) fn resolvable(&self) -> StockKeys {
        self.resolvable.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect()
    }

    /// Listings that turned out to have no quantity, as shop, product and variation.
    pub(crate) fn unmanaged(&self) -> Vec<(i64, i64, i64)> {
        let key = |(shop, listing): &(ShopId, ListingId)| {
            let (product, variation) = listing_key(*listing);
            (shop.get(), product, variation)
        };
        self.unmanaged.iter().map(key).collect()
    }

    /// Stocks to be published as removed.
    pub(crate) fn removed(&self) -> impl Iterator<Item = (i64, i64)> {
        self.removed_stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get()))
    }
}

fn new_stock(stock: StockId) -> StockRow {
    StockRow {
        id: stock,
        sku: None,
        parent: None,
        step: Step::ONE,
        buffer: None,
        removed: false,
        level: Quantity::ZERO,
        untaken: Quantity::ZERO,
        taken_total: Quantity::ZERO,
        last_order_date: None,
        last_applied_at: None,
        order_dates: None,
        trace: None,
        opening: StockOpening::None,
        epoch: Epoch::ZERO,
        revision: Revision::ZERO,
        settle: None,
        adoption: None,
    }
}

fn mapping_columns(row: &StockRow) -> MappingColumns {
    (
        row.id.shop.get(),
        row.id.holder.get(),
        row.sku.as_ref().map(|sku| sku.as_str().to_owned()),
        row.parent.map(ProductId::get),
        row.step.quantity().thousandths(),
        signed(row.epoch.get()),
        signed(row.revision.get()),
        row.removed,
    )
}
