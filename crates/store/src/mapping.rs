//! Which stock of a shop has which SKU: decided in memory on what is stored, alike for every backend.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use values::{
    Epoch, HolderId, ListingId, ProductId, Quantity, ReadNumber, Revision, ShopId, Sku, Step, StockId,
    VariationId,
};

use crate::error::Error;
use crate::inventory::{ListingOutcome, ListingSeen, MapOutcome, StockOpening, StockRow};
use crate::rows::{id, listing, listing_key, signed, sku};

mod likeness;
mod table;

pub(crate) use likeness::{Like, Named, Sold};
use likeness::{Likeness, alike};
pub(crate) use table::table_keys;

/// A listing as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    holder: Option<i64>,
    code: Option<String>,
    name: String,
    status: String,
    /// The read that showed it.
    number: i64,
    kind: Option<String>,
    /// The SKU that a person said it is.
    mapped: Option<String>,
}

/// Shop, product, variation, then what is [`Known`].
pub(crate) type ListingColumns =
    (i64, i64, i64, Option<i64>, Option<String>, String, String, i64, Option<String>, Option<String>);

/// Shop, holder, SKU, parent, step, epoch, revision, removed.
pub(crate) type MappingColumns = (i64, i64, Option<String>, Option<i64>, i64, i64, i64, bool);

/// Stocks as shop and holder.
pub(crate) type StockKeys = Vec<(i64, i64)>;

/// What is known of the catalogue, and what becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    listings: BTreeMap<(ShopId, ListingId), Known>,
    stocks: BTreeMap<StockId, StockRow>,
    /// Stocks as they were loaded.
    loaded: BTreeMap<StockId, StockRow>,
    pub(crate) likeness: Likeness,
    owners: BTreeMap<(ShopId, Sku), HolderId>,
    changed_listings: BTreeSet<(ShopId, ListingId)>,
    changed_stocks: BTreeSet<StockId>,
    removed_stocks: BTreeSet<StockId>,
    /// Stocks whose lines may now be resolved.
    resolvable: BTreeSet<StockId>,
    /// Listings without a quantity that are another SKU now, or turned out to have none: lines of them wait for nobody.
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

/// Where a listing's quantity is kept if it keeps its own.
fn own_holder(listing: ListingId) -> HolderId {
    listing.variation.map_or_else(|| listing.product.into(), HolderId::from)
}

impl Mapping {
    pub(crate) fn know_listing(&mut self, row: ListingColumns) -> Result<(), Error> {
        let (shop, product, variation, holder, code, name, status, number, kind, mapped) = row;
        let key = (id("shop", shop)?, listing(product, variation)?);
        self.listings.insert(key, Known { holder, code, name, status, number, kind, mapped });
        Ok(())
    }

    /// The listing that keeps its quantity in a stock that is known, as shop, product and variation.
    pub(crate) fn own_listing_of(&self, stock: StockId) -> Option<(i64, i64, i64)> {
        let (product, variation) = listing_key(own_listing(self.stocks.get(&stock)?));
        Some((stock.shop.get(), product, variation))
    }

    pub(crate) fn know_stock(&mut self, row: StockRow) {
        self.loaded.insert(row.id, row.clone());
        self.stocks.insert(row.id, row);
    }

    /// Shop, SKU, and the holder that has it.
    pub(crate) fn know_owner(&mut self, row: (i64, String, i64)) -> Result<(), Error> {
        let (shop, code, holder) = row;
        self.owners.insert((id("shop", shop)?, sku(&code)?), id("stock", holder)?);
        Ok(())
    }

    /// The SKUs that may be decided on: who has them must be known.
    pub(crate) fn candidates(&self, seen: &[ListingSeen]) -> Result<BTreeSet<(i64, String)>, Error> {
        let codes = seen.iter().filter_map(|seen| Some((seen.shop.get(), seen.sku.as_ref()?.to_string())));
        let mut wanted: BTreeSet<(i64, String)> = codes.collect();
        for ((shop, _), known) in &self.listings {
            wanted.extend(known.mapped.clone().map(|mapped| (shop.get(), mapped)));
        }
        wanted.extend(self.likeness.skus().map(|(shop, sku)| (shop.get(), sku.to_string())));
        // What was stored as a SKU must be one.
        wanted.iter().try_for_each(|(_, code)| sku(code).map(drop))?;
        Ok(wanted)
    }

    /// The stocks that have the SKU which is another listing's very code: whether they keep it is to be decided on what they are.
    pub(crate) fn rivals(&self, seen: &[ListingSeen]) -> StockKeys {
        let rival = |seen: &ListingSeen| {
            let own = own_holder(seen.listing);
            let by = self.owners.get(&(seen.shop, seen.sku.clone()?)).filter(|by| **by != own)?;
            (seen.holder == Some(own)).then_some((seen.shop.get(), by.get()))
        };
        let rivals: BTreeSet<_> = seen.iter().filter_map(rival).collect();
        rivals.into_iter().collect()
    }

    /// The listings that keep their quantities in these stocks, as shop, product and variation.
    pub(crate) fn own_listings_of(&self, stocks: &[(i64, i64)]) -> Result<Vec<(i64, i64, i64)>, Error> {
        let mut found = Vec::with_capacity(stocks.len());
        for (shop, holder) in stocks {
            found.extend(
                self.own_listing_of(StockId { shop: id("shop", *shop)?, holder: id("stock", *holder)? }),
            );
        }
        Ok(found)
    }

    /// The codes of listings: who has them as SKUs must be known of those that may make way.
    pub(crate) fn codes_of(&self, listings: &[(i64, i64, i64)]) -> Result<Vec<(i64, String)>, Error> {
        let mut codes = Vec::with_capacity(listings.len());
        for (shop, product, variation) in listings {
            let known = self.listings.get(&(id("shop", *shop)?, listing(*product, *variation)?));
            codes.extend(known.and_then(|known| known.code.clone()).map(|code| (*shop, code)));
        }
        Ok(codes)
    }

    /// Takes in what a catalogue shows. All of it is looked at before anything is decided, so that the order in which listings
    /// with like codes come does not matter.
    pub(crate) fn observe_all(&mut self, seen: &[ListingSeen]) -> Vec<ListingOutcome> {
        for seen in seen {
            let is_own = seen.holder == Some(own_holder(seen.listing));
            let is_older =
                self.listings.get(&(seen.shop, seen.listing)).is_some_and(|before| is_before(seen, before));
            if is_own && !is_older {
                self.likeness.note(seen);
            }
        }
        seen.iter().map(|seen| self.observe(seen)).collect()
    }

    fn observe(&mut self, seen: &ListingSeen) -> ListingOutcome {
        let key = (seen.shop, seen.listing);
        let before = self.listings.get(&key);
        let shown = Known {
            holder: seen.holder.map(HolderId::get),
            code: seen.sku.as_ref().map(|sku| sku.as_str().to_owned()),
            name: seen.name.clone(),
            status: seen.status.clone(),
            number: signed(seen.number.get()),
            kind: seen.kind.map(|kind| kind.as_str().to_owned()).or_else(|| before?.kind.clone()),
            mapped: before.and_then(|before| before.mapped.clone()),
        };
        let same = before.is_some_and(|before| shows_the_same(before, &shown));
        if before.is_some_and(|before| is_before(seen, before)) {
            return if seen.number == ReadNumber::ZERO && !same {
                ListingOutcome::Hinted
            } else {
                ListingOutcome::Older
            };
        }
        let holder_changed = before.is_none_or(|before| before.holder != shown.holder);
        if holder_changed {
            self.moved.insert(seen.shop);
        }
        let explicit = shown.mapped.as_deref().and_then(|mapped| mapped.parse::<Sku>().ok());
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
            self.keep_own(seen, own, explicit, holder_changed)
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

    /// The listing keeps its own quantity, again or still. A person's word comes first, then its code, then what is like it.
    fn keep_own(
        &mut self,
        seen: &ListingSeen,
        own: StockId,
        explicit: Option<Sku>,
        is_back: bool,
    ) -> ListingOutcome {
        let parent = seen.listing.variation.map(|_| seen.listing.product);
        let said = explicit.is_some();
        let code = seen.sku.as_ref().filter(|_| !said);
        let wanted = explicit.or_else(|| self.likeness.meant(seen));
        let stock = self.stocks.get_mut(&own).expect("it was just made sure of");
        if stock.parent != parent {
            stock.parent = parent;
            self.changed_stocks.insert(own);
        }
        let mapped = stock.sku.clone();
        if stock.removed {
            let Some(sku) = wanted.or_else(|| mapped.filter(|_| is_back)) else {
                return ListingOutcome::Seen;
            };
            stock.removed = false;
            self.changed_stocks.insert(own);
            stock.sku = None;
            return self.take_sku(own, &sku, code);
        }
        match (mapped, wanted) {
            (None, Some(sku)) => self.take_sku(own, &sku, code),
            (Some(mapped), Some(sku)) if mapped != sku && said => self.take_sku(own, &sku, code),
            (Some(mapped), Some(_)) if !said => match &seen.sku {
                Some(code) if !alike(code.as_str(), mapped.as_str()) => ListingOutcome::Renamed { mapped },
                _ => ListingOutcome::Seen,
            },
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

    /// `code`: what the shop calls it, if that decides.
    fn take_sku(&mut self, stock: StockId, sku: &Sku, code: Option<&Sku>) -> ListingOutcome {
        let Some(by) = self.owners.get(&(stock.shop, sku.clone())).copied() else {
            self.assign(stock, sku);
            return ListingOutcome::Mapped;
        };
        if code == Some(sku) && self.makes_way(StockId { shop: stock.shop, holder: by }, sku) {
            self.assign(stock, sku);
            return ListingOutcome::Displaced { other: by };
        }
        ListingOutcome::SkuTaken { by }
    }

    /// A stock whose listing has a SKU only because its code is like it gives it up. It is its own code from then on, or nothing
    /// if another is that.
    fn makes_way(&mut self, stock: StockId, sku: &Sku) -> bool {
        let Some(row) = self.stocks.get(&stock) else { return false };
        let known = self.listings.get(&(stock.shop, own_listing(row))).filter(|known| known.mapped.is_none());
        let code = known.and_then(|known| known.code.as_deref()?.parse::<Sku>().ok());
        let Some(code) = code.filter(|code| code != sku && alike(code.as_str(), sku.as_str())) else {
            return false;
        };
        if self.owners.contains_key(&(stock.shop, code.clone())) {
            self.leave_own(stock);
        } else {
            self.assign(stock, &code);
        }
        true
    }

    fn assign(&mut self, stock: StockId, sku: &Sku) {
        if let Some(row) = self.stocks.get_mut(&stock) {
            let before = row.sku.replace(sku.clone());
            if let Some(before) = before.as_ref()
                && self.owners.get(&(stock.shop, before.clone())) == Some(&stock.holder)
            {
                self.owners.remove(&(stock.shop, before.clone()));
            }
            self.left.extend(before);
            // What it was told and what was proven before belongs to another mapping.
            row.epoch = row.epoch.next();
        }
        self.owners.insert((stock.shop, sku.clone()), stock.holder);
        self.changed_stocks.insert(stock);
        self.resolvable.insert(stock);
        self.marked.insert(sku.clone());
    }

    /// Maps a stock by hand.
    pub(crate) fn map(&mut self, stock: StockId, sku: &Sku) -> MapOutcome {
        let Some(row) = self.stocks.get_mut(&stock) else {
            return MapOutcome::UnknownStock;
        };
        let is_so = row.sku.as_ref() == Some(sku) && !row.removed;
        if let Some(by) = self.owners.get(&(stock.shop, sku.clone())).filter(|by| **by != stock.holder) {
            return MapOutcome::SkuTaken { by: *by };
        }
        let key = (stock.shop, own_listing(row));
        row.removed = false;
        let before = row.sku.clone();
        if let Some(known) = self.listings.get_mut(&key)
            && known.mapped.as_deref() != Some(sku.as_str())
        {
            known.mapped = Some(sku.to_string());
            self.changed_listings.insert(key);
        }
        if is_so {
            return MapOutcome::Unchanged;
        }
        self.assign(stock, sku);
        MapOutcome::Mapped { before }
    }

    pub(crate) fn listing_columns(&self) -> Vec<ListingColumns> {
        self.changed_listings
            .iter()
            .filter_map(|key| Some((key, self.listings.get(key)?.clone())))
            .map(|((shop, listing), known)| {
                let (product, variation) = listing_key(*listing);
                let Known { holder, code, name, status, number, kind, mapped } = known;
                (shop.get(), product, variation, holder, code, name, status, number, kind, mapped)
            })
            .collect()
    }

    /// The stocks that changed, in three goes, so that another can have in the same transaction what one gives up: those that
    /// have another SKU now give up the one they had, then come those that are removed, then the others.
    pub(crate) fn mapping_columns(&self) -> [Vec<MappingColumns>; 3] {
        let changed = || self.changed_stocks.iter().filter_map(|stock| self.stocks.get(stock));
        let gives_up = |row: &&StockRow| {
            self.loaded.get(&row.id).filter(|loaded| {
                let had = loaded.sku.is_some() && !loaded.removed;
                had && !row.removed && loaded.sku != row.sku
            })
        };
        let given_up = changed()
            .filter_map(|row| gives_up(&row))
            .map(|row| mapping_columns(&without_sku(row)))
            .collect();
        let (removed, kept): (Vec<_>, Vec<_>) = changed().partition(|row| row.removed);
        let [removed, kept] =
            [removed, kept].map(|rows: Vec<&StockRow>| rows.into_iter().map(mapping_columns).collect());
        [given_up, removed, kept]
    }

    /// The same, with what epoch and revision have grown by instead of what they are.
    pub(crate) fn mapping_growth(&self) -> [Vec<MappingColumns>; 3] {
        let loaded: BTreeMap<(i64, i64), (i64, i64)> = self
            .loaded
            .values()
            .map(|row| {
                let stock = (row.id.shop.get(), row.id.holder.get());
                (stock, (signed(row.epoch.get()), signed(row.revision.get())))
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

/// A later read was seen before.
fn is_before(seen: &ListingSeen, known: &Known) -> bool {
    known.number > signed(seen.number.get())
}

/// What a person sees of it is the same.
fn shows_the_same(one: &Known, other: &Known) -> bool {
    (&one.holder, &one.code, &one.name, &one.status)
        == (&other.holder, &other.code, &other.name, &other.status)
}

fn without_sku(row: &StockRow) -> StockRow {
    StockRow { sku: None, ..row.clone() }
}

/// The listing that keeps its quantity in this stock of its own.
fn own_listing(row: &StockRow) -> ListingId {
    let product =
        |raw: i64| ProductId::new(raw).expect("the id of a stock is that of a product or variation");
    let variation =
        |raw: i64| VariationId::new(raw).expect("the id of a stock is that of a product or variation");
    let holder = row.id.holder.get();
    match row.parent {
        Some(parent) => ListingId { product: parent, variation: Some(variation(holder)) },
        None => ListingId { product: product(holder), variation: None },
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
        released: Quantity::ZERO,
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
