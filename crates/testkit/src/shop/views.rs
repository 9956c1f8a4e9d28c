//! What readers and receivers see of a shop.

use std::sync::Arc;

use values::{HolderId, LineId, OrderId, ProductId, Sku, Timestamp, VariationId};

use super::catalogue::Product;
use super::orders::{Line, Order, Refund};
use super::{Backorders, CreatedVia, Kind, ProductStatus, RefundId, Shop, Status, StockStatus, variation_id};

/// An order as REST and webhooks show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    /// Number.
    pub id: OrderId,
    /// Status.
    pub status: Status,
    /// Second in which it was made.
    pub date_created: Timestamp,
    /// Second in which its row was last written.
    pub date_modified: Timestamp,
    /// Who made it.
    pub created_via: CreatedVia,
    /// `cod`, `bacs`, or empty.
    pub payment_method: Arc<str>,
    /// When it was paid.
    pub date_paid: Option<Timestamp>,
    /// Its lines; none for the moment in which only its row is written.
    pub lines: Vec<LineView>,
    /// Newest first.
    pub refunds: Vec<RefundView>,
    /// Cents.
    pub total_cents: i64,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineView {
    /// Number, unique in the shop.
    pub id: LineId,
    /// The product; `None` (REST: 0) once it is deleted.
    pub product: Option<ProductId>,
    /// The variation; `None` (REST: 0) if there is none or it is deleted.
    pub variation: Option<VariationId>,
    /// Live from the product: `None` without a SKU, and once the product is deleted.
    pub sku: Option<Sku>,
    /// As it was when ordered.
    pub name: Arc<str>,
    /// The variation's option, as it is now.
    pub option: Option<Arc<str>>,
    /// Units ordered.
    pub quantity: i64,
    /// `_reduced_stock`: units taken from stock now.
    pub reduced: Option<i64>,
    /// `_restock_refunded_items`: units given back by refunds.
    pub restocked: Option<i64>,
    /// Cents.
    pub total_cents: i64,
}

/// A refund of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundView {
    /// Number.
    pub id: RefundId,
    /// Why.
    pub reason: &'static str,
    /// Cents, positive.
    pub amount_cents: i64,
    /// Second in which it was made.
    pub date_created: Timestamp,
    /// What it refunds; not shown in the order itself. Whether units were restocked is not said.
    pub lines: Vec<RefundLineView>,
}

/// A line of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundLineView {
    /// Number of the refund's own line.
    pub id: LineId,
    /// The order's line.
    pub refunded: LineId,
    /// Units, positive (REST shows them negative).
    pub quantity: i64,
}

/// Where a product's stock is managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manage {
    /// Nowhere.
    No,
    /// At itself.
    Yes,
    /// At its parent (REST: the string `"parent"`).
    Parent,
}

/// A product or variation as REST and webhooks show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductView {
    /// Number of the product or variation.
    pub id: HolderId,
    /// Of a variation, its product.
    pub parent: Option<ProductId>,
    /// Simple, variable, variation.
    pub kind: Kind,
    /// Its SKU, if it has one.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: Arc<str>,
    /// A variation's option.
    pub option: Option<Arc<str>>,
    /// Where its stock is managed.
    pub manage: Manage,
    /// The quantity shown: its own or its parent's.
    pub stock: Option<i64>,
    /// What the storefront shows.
    pub stock_status: StockStatus,
    /// Whether the storefront sells more than there is.
    pub backorders: Backorders,
    /// On show, draft, trash.
    pub status: ProductStatus,
    /// Cents.
    pub price_cents: i64,
    /// Second in which it was made.
    pub date_created: Timestamp,
    /// Second in which it was last saved.
    pub date_modified: Timestamp,
    /// Of a variable product.
    pub variations: Vec<VariationId>,
}

/// Whether WooCommerce takes two SKUs for the same: it compares without regard to case.
pub fn skus_agree(one: &str, other: &str) -> bool {
    one == other || one.to_lowercase() == other.to_lowercase()
}

impl Shop {
    /// One order, trashed or not.
    pub fn order(&self, id: OrderId) -> Option<OrderView> {
        self.orders.get(&id).map(|order| self.view_order(order))
    }

    /// One product or variation, trashed or not.
    pub fn product(&self, id: HolderId) -> Option<ProductView> {
        self.products.get(&id).map(|row| self.view_product(row))
    }

    pub(super) fn view_order(&self, order: &Order) -> OrderView {
        OrderView {
            id: order.id,
            status: order.status,
            date_created: order.created,
            date_modified: order.modified,
            created_via: order.created_via,
            payment_method: order.payment_method.clone(),
            date_paid: order.paid,
            lines: order.lines.iter().map(|line| self.view_line(line)).collect(),
            refunds: order.refunds.iter().rev().map(view_refund).collect(),
            total_cents: order.total_cents(),
        }
    }

    fn view_line(&self, line: &Line) -> LineView {
        let product = self.line_product(line).and_then(|id| self.products.get(&id));
        LineView {
            id: line.id,
            product: self.shown_product(line),
            variation: self.shown_variation(line),
            sku: product.and_then(|row| row.sku.clone()),
            name: line.name.clone(),
            option: product.and_then(|row| row.option.clone()),
            quantity: line.quantity,
            reduced: line.reduced,
            restocked: line.restocked,
            total_cents: line.total_cents,
        }
    }

    pub(super) fn view_product(&self, row: &Product) -> ProductView {
        let keeper = self.stock_holder(row.id).and_then(|id| self.products.get(&id));
        let manage = match keeper {
            Some(keeper) if keeper.id == row.id => Manage::Yes,
            Some(_) => Manage::Parent,
            None => Manage::No,
        };
        ProductView {
            id: row.id,
            parent: row.parent,
            kind: row.kind,
            sku: row.sku.clone(),
            name: row.name.clone(),
            option: row.option.clone(),
            manage,
            stock: keeper.and_then(|keeper| keeper.stock),
            stock_status: self.stock_status(row, keeper),
            backorders: row.backorders,
            status: row.status,
            price_cents: row.price_cents,
            date_created: row.created,
            date_modified: row.modified,
            variations: row.variations.clone(),
        }
    }

    /// Managed: by the quantity. A variable product that is not: by its variations. Else what was set.
    fn stock_status(&self, row: &Product, keeper: Option<&Product>) -> StockStatus {
        if let Some(keeper) = keeper {
            return match (keeper.stock.unwrap_or(0) > 0, keeper.backorders) {
                (true, _) => StockStatus::InStock,
                (false, Backorders::Yes) => StockStatus::OnBackorder,
                (false, Backorders::No) => StockStatus::OutOfStock,
            };
        }
        if row.variations.is_empty() {
            return row.stock_status;
        }
        let in_stock =
            row.variations.iter().filter_map(|id| self.products.get(&(*id).into())).any(|variation| {
                if variation.manage {
                    variation.stock.unwrap_or(0) > 0
                } else {
                    variation.stock_status == StockStatus::InStock
                }
            });
        if in_stock { StockStatus::InStock } else { StockStatus::OutOfStock }
    }

    /// All variations of a product, newest first; empty if there is no such product.
    pub fn variations(&self, parent: ProductId) -> Vec<ProductView> {
        let Some(row) = self.products.get(&parent.into()) else {
            return Vec::new();
        };
        let rows = row.variations.iter().rev().filter_map(|id| self.products.get(&(*id).into()));
        rows.map(|row| self.view_product(row)).collect()
    }

    /// Whether `variation` is one of `parent`'s.
    pub fn is_variation_of(&self, variation: HolderId, parent: ProductId) -> bool {
        self.products.get(&parent.into()).is_some_and(|row| row.variations.contains(&variation_id(variation)))
    }
}

fn view_refund(refund: &Refund) -> RefundView {
    RefundView {
        id: refund.id,
        reason: refund.reason,
        amount_cents: refund.amount_cents,
        date_created: refund.created,
        lines: refund
            .lines
            .iter()
            .map(|&(id, refunded, quantity)| RefundLineView { id, refunded, quantity })
            .collect(),
    }
}
