//! The registry of one shop: which listing is sold from which stock, and which SKU that stock is.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Listings, Resolved};
use values::{HolderId, ListingId, Sku};

use testkit::shop::{Kind, Manage, ProductView};

/// What the catalogue of a shop said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    /// Listing to stock; `None`: not managed.
    pub(crate) listings: BTreeMap<ListingId, Option<HolderId>>,
    /// Listing to SKU where the shop keeps no stock of it.
    unmanaged: BTreeMap<ListingId, Sku>,
    /// Stock to SKU.
    pub(crate) skus: BTreeMap<HolderId, Sku>,
    /// SKUs the hub keeps stock of.
    pub(crate) known: BTreeSet<Sku>,
}

impl Registry {
    /// Takes over one product or variation as the catalogue shows it; a stock that has its SKU keeps it.
    pub(crate) fn observe(&mut self, view: &ProductView, stock_per_variation: bool) -> Option<HolderId> {
        if view.kind == Kind::Variable && !view.variations.is_empty() {
            // The parent itself is not sold, but may keep the stock of its variations.
            if view.manage == Manage::Yes {
                self.map(view.id, view.sku.clone());
            }
            return None;
        }
        let listing = listing_of(view)?;
        let holder = match view.manage {
            Manage::Yes => Some(view.id),
            Manage::Parent if stock_per_variation => Some(view.id),
            Manage::Parent => view.parent.map(HolderId::from),
            Manage::No => None,
        };
        let fresh = !self.listings.contains_key(&listing);
        self.listings.insert(listing, holder);
        match holder {
            Some(holder) if view.manage == Manage::Yes || stock_per_variation => {
                self.map(holder, view.sku.clone());
            }
            Some(_) => {}
            None => {
                if let Some(sku) = &view.sku {
                    self.unmanaged.entry(listing).or_insert_with(|| sku.clone());
                    self.known.insert(sku.clone());
                }
            }
        }
        holder.filter(|_| fresh)
    }

    /// Maps a stock that has no SKU yet.
    fn map(&mut self, holder: HolderId, sku: Option<Sku>) {
        if let Some(sku) = sku
            && !self.skus.contains_key(&holder)
            && !self.skus.values().any(|other| *other == sku)
        {
            self.known.insert(sku.clone());
            self.skus.insert(holder, sku);
        }
    }

    /// Maps a stock to another SKU, as an operator does.
    pub(crate) fn remap(&mut self, holder: HolderId, sku: Sku) {
        self.known.insert(sku.clone());
        self.skus.insert(holder, sku);
    }
}

impl Listings for Registry {
    fn resolve(&self, listing: ListingId) -> Option<Resolved> {
        let stock = *self.listings.get(&listing)?;
        let sku = match stock {
            Some(holder) => self.skus.get(&holder).cloned(),
            None => self.unmanaged.get(&listing).cloned(),
        };
        Some(Resolved { stock, sku })
    }

    fn knows(&self, sku: &Sku) -> bool {
        self.known.contains(sku)
    }
}

fn listing_of(view: &ProductView) -> Option<ListingId> {
    match view.parent {
        Some(product) => Some(ListingId { product, variation: values::VariationId::new(view.id.get()) }),
        None => values::ProductId::new(view.id.get()).map(|product| ListingId { product, variation: None }),
    }
}
