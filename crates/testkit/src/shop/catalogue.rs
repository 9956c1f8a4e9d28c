//! The products of a shop and how they are saved.

use std::sync::Arc;

use values::{HolderId, ProductId, Sku, Timestamp, VariationId};

use super::{Refusal, Shop, Topic, Writing, product_id, to_second, variation_id};

/// What a row of the catalogue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sold as it is.
    Simple,
    /// Sold by its variations.
    Variable,
    /// One of a variable product.
    Variation,
}

impl Kind {
    /// As in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Variable => "variable",
            Self::Variation => "variation",
        }
    }
}

/// Whether a product is on show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductStatus {
    /// On sale.
    Publish,
    /// Not yet.
    Draft,
    /// In the trash: keeps id, SKU and stock.
    Trash,
}

impl ProductStatus {
    /// As in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Draft => "draft",
            Self::Trash => "trash",
        }
    }
}

/// What the storefront shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockStatus {
    /// Can be bought.
    InStock,
    /// Cannot.
    OutOfStock,
    /// Can, with a wait.
    OnBackorder,
}

impl StockStatus {
    /// As in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InStock => "instock",
            Self::OutOfStock => "outofstock",
            Self::OnBackorder => "onbackorder",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::InStock, Self::OutOfStock, Self::OnBackorder]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// Whether more is sold than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backorders {
    /// Never by the storefront.
    #[default]
    No,
    /// Always.
    Yes,
}

/// A product to be made. `stock: None` means that its stock is not managed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProduct {
    /// Simple or variable.
    pub kind: Kind,
    /// Its SKU, if it has one.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: Arc<str>,
    /// Units; `None`: not managed.
    pub stock: Option<i64>,
    /// Price of a unit.
    pub price_cents: i64,
    /// Whether the storefront sells more than there is.
    pub backorders: Backorders,
    /// On show or not.
    pub status: ProductStatus,
}

impl NewProduct {
    /// A simple product with managed stock.
    pub fn simple(sku: Option<Sku>, stock: i64) -> Self {
        let name = sku.as_ref().map_or("product", Sku::as_str).into();
        Self {
            kind: Kind::Simple,
            sku,
            name,
            stock: Some(stock),
            price_cents: 1_000,
            backorders: Backorders::No,
            status: ProductStatus::Publish,
        }
    }

    /// A simple product whose stock is not managed.
    pub fn unmanaged(sku: Option<Sku>) -> Self {
        Self { stock: None, ..Self::simple(sku, 0) }
    }

    /// A variable product; `stock: Some` keeps one stock for all variations that do not manage their own.
    pub fn variable(sku: Option<Sku>, stock: Option<i64>) -> Self {
        Self { kind: Kind::Variable, stock, ..Self::simple(sku, 0) }
    }
}

/// A variation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVariation {
    /// Its SKU, if it has one of its own.
    pub sku: Option<Sku>,
    /// Value of its one attribute, as in the capture: `s`, `m`, `red`.
    pub option: Arc<str>,
    /// Units; `None`: not managed here, so at the parent if that manages stock.
    pub stock: Option<i64>,
    /// Price of a unit.
    pub price_cents: i64,
}

impl NewVariation {
    /// A variation with stock of its own.
    pub fn with_stock(sku: Option<Sku>, stock: i64) -> Self {
        let option = sku.as_ref().map_or("option", Sku::as_str).into();
        Self { sku, option, stock: Some(stock), price_cents: 1_000 }
    }

    /// A variation whose stock, if any, is at the parent.
    pub fn at_parent(sku: Option<Sku>) -> Self {
        Self { stock: None, ..Self::with_stock(sku, 0) }
    }
}

/// What one product PUT changes; `None` leaves as is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductEdit {
    /// An absolute quantity.
    pub stock: Option<i64>,
    /// `inventory_delta`; not looked at if `stock` is given.
    pub delta: Option<i64>,
    /// Stock management; off forgets the quantity.
    pub manage: Option<bool>,
    /// Another SKU, or none.
    pub sku: Option<Option<Sku>>,
    /// Another name.
    pub name: Option<Arc<str>>,
    /// What the storefront shows; not looked at where stock is managed.
    pub stock_status: Option<StockStatus>,
    /// On show or not.
    pub status: Option<ProductStatus>,
    /// Price of a unit.
    pub price_cents: Option<i64>,
    /// Whether the storefront sells more than there is.
    pub backorders: Option<Backorders>,
}

#[derive(Debug, Clone)]
pub(super) struct Product {
    pub(super) id: HolderId,
    pub(super) parent: Option<ProductId>,
    pub(super) kind: Kind,
    pub(super) sku: Option<Sku>,
    pub(super) name: Arc<str>,
    /// A variation's one option.
    pub(super) option: Option<Arc<str>>,
    /// Its own management; a variation without may follow its parent.
    pub(super) manage: bool,
    pub(super) stock: Option<i64>,
    /// Shown where stock is not managed.
    pub(super) stock_status: StockStatus,
    pub(super) backorders: Backorders,
    pub(super) status: ProductStatus,
    pub(super) price_cents: i64,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) variations: Vec<VariationId>,
}

impl Shop {
    /// Puts a product on the shelf while setting a shop up: no delivery.
    pub fn add_product(&mut self, product: NewProduct, now: Timestamp) -> ProductId {
        product_id(self.insert_product(product, now))
    }

    /// Puts a variation on the shelf while setting a shop up: no delivery.
    pub fn add_variation(
        &mut self,
        parent: ProductId,
        variation: NewVariation,
        now: Timestamp,
    ) -> VariationId {
        variation_id(self.insert_variation(parent, variation, now))
    }

    pub(super) fn insert_product(&mut self, product: NewProduct, now: Timestamp) -> HolderId {
        let id = HolderId::new(self.take_id()).expect("ids are numbered from 1");
        let row = Product {
            id,
            parent: None,
            kind: product.kind,
            sku: product.sku,
            name: product.name,
            option: None,
            manage: product.stock.is_some(),
            stock: product.stock,
            stock_status: StockStatus::InStock,
            backorders: product.backorders,
            status: product.status,
            price_cents: product.price_cents,
            created: to_second(now),
            modified: to_second(now),
            variations: Vec::new(),
        };
        self.products.insert(id, row);
        id
    }

    pub(super) fn insert_variation(
        &mut self,
        parent: ProductId,
        variation: NewVariation,
        now: Timestamp,
    ) -> HolderId {
        let id = HolderId::new(self.take_id()).expect("ids are numbered from 1");
        let parent_name = match self.products.get_mut(&parent.into()) {
            Some(row) => {
                row.variations.push(variation_id(id));
                row.name.clone()
            }
            None => "".into(),
        };
        let row = Product {
            id,
            parent: Some(parent),
            kind: Kind::Variation,
            sku: variation.sku,
            name: format!("{parent_name} - {}", variation.option).into(),
            option: Some(variation.option),
            manage: variation.stock.is_some(),
            stock: variation.stock,
            stock_status: StockStatus::InStock,
            backorders: Backorders::No,
            status: ProductStatus::Publish,
            price_cents: variation.price_cents,
            created: to_second(now),
            modified: to_second(now),
            variations: Vec::new(),
        };
        self.products.insert(id, row);
        id
    }

    /// The first row, in the trash or not, that has this SKU and is not `but`.
    pub(super) fn owner_of(&self, sku: &Sku, but: Option<HolderId>) -> Option<&Product> {
        self.products.values().find(|row| {
            Some(row.id) != but
                && row.sku.as_ref().is_some_and(|other| super::skus_agree(other.as_str(), sku.as_str()))
        })
    }

    pub(super) fn check_sku(&self, sku: Option<&Sku>, but: Option<HolderId>) -> Result<(), Refusal> {
        match sku.and_then(|sku| self.owner_of(sku, but).map(|owner| (sku, owner))) {
            Some((sku, owner)) => Err(Refusal::DuplicateSku {
                sku: sku.clone(),
                owner: owner.id,
                trashed: owner.status == ProductStatus::Trash,
            }),
            None => Ok(()),
        }
    }

    /// Second half of a product PUT: `read` is the quantity the request found when it began.
    pub(super) fn write_product(
        &mut self,
        writing: &mut Writing,
        holder: HolderId,
        edit: ProductEdit,
        read: Option<i64>,
        now: Timestamp,
    ) {
        let Some(row) = self.products.get_mut(&holder) else {
            return;
        };
        if let Some(manage) = edit.manage {
            row.manage = manage;
            if !manage {
                row.stock = None;
            }
        }
        if row.manage {
            let wanted =
                edit.stock.or_else(|| edit.delta.map(|delta| read.unwrap_or(0).saturating_add(delta)));
            if let Some(wanted) = wanted {
                let before = row.stock.unwrap_or(0);
                // Only what differs from what the request read is written.
                if Some(wanted) != read {
                    row.stock = Some(wanted);
                }
                writing.outcome.stock = Some((before, row.stock.unwrap_or(0)));
            }
        } else if let Some(stock_status) = edit.stock_status {
            row.stock_status = stock_status;
        }
        if let Some(sku) = edit.sku {
            row.sku = sku;
        }
        if let Some(name) = edit.name {
            row.name = name;
        }
        row.status = edit.status.unwrap_or(row.status);
        row.price_cents = edit.price_cents.unwrap_or(row.price_cents);
        row.backorders = edit.backorders.unwrap_or(row.backorders);
        self.product_saved(writing, holder, now);
    }

    /// The dates of a product and its parent move and `product.updated` fires for the product alone.
    pub(super) fn product_saved(&mut self, writing: &mut Writing, holder: HolderId, now: Timestamp) {
        let Some(row) = self.products.get_mut(&holder) else {
            return;
        };
        row.modified = to_second(now);
        let parent = row.parent;
        if let Some(parent) = parent.and_then(|parent| self.products.get_mut(&parent.into())) {
            parent.modified = to_second(now);
        }
        self.emit(writing, Topic::ProductUpdated, holder.get());
    }

    pub(super) fn trash_product(&mut self, writing: &mut Writing, holder: HolderId, now: Timestamp) {
        let Some(row) = self.products.get_mut(&holder) else {
            return;
        };
        if row.status == ProductStatus::Trash {
            return;
        }
        row.status = ProductStatus::Trash;
        row.modified = to_second(now);
        self.emit(writing, Topic::ProductDeleted, holder.get());
    }

    pub(super) fn untrash_product(&mut self, writing: &mut Writing, holder: HolderId, now: Timestamp) {
        if let Some(row) = self.products.get_mut(&holder) {
            row.status = ProductStatus::Publish;
        }
        self.product_saved(writing, holder, now);
        self.emit(writing, Topic::ProductRestored, holder.get());
    }

    pub(super) fn delete_product(&mut self, holder: HolderId, now: Timestamp) {
        let Some(row) = self.products.remove(&holder) else {
            return;
        };
        for variation in row.variations {
            self.products.remove(&variation.into());
        }
        if let Some(parent) = row.parent.and_then(|parent| self.products.get_mut(&parent.into())) {
            parent.modified = to_second(now);
            parent.variations.retain(|variation| HolderId::from(*variation) != holder);
        }
    }
}
