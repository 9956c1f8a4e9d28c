//! The orders of a shop as rows, and the small writes that change them.

use std::fmt;
use std::sync::Arc;

use values::{LineId, OrderId, ProductId, Timestamp, VariationId};

use super::{NewLine, NewOrder, Shop, Topic, Writing, product_id, to_second, variation_id};

/// Status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Ordered, not paid.
    Pending,
    /// Waits for a payment; stock is taken.
    OnHold,
    /// Paid; stock is taken.
    Processing,
    /// Shipped; stock is taken.
    Completed,
    /// Given up; stock is given back.
    Cancelled,
    /// Money given back; stock stays as it is.
    Refunded,
    /// Payment failed; stock stays as it is.
    Failed,
    /// A block checkout somebody opened.
    CheckoutDraft,
    /// In the trash; stock stays as it is.
    Trash,
    /// One a plugin added (`ready-to-ship`); stock stays as it is.
    Custom,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::OnHold,
        Self::Processing,
        Self::Completed,
        Self::Cancelled,
        Self::Refunded,
        Self::Failed,
        Self::CheckoutDraft,
        Self::Trash,
        Self::Custom,
    ];

    /// As in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::OnHold => "on-hold",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
            Self::CheckoutDraft => "checkout-draft",
            Self::Trash => "trash",
            Self::Custom => "ready-to-ship",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Entering it takes stock that is not taken yet.
    pub const fn takes_stock(self) -> bool {
        matches!(self, Self::OnHold | Self::Processing | Self::Completed)
    }

    /// Entering it gives back what is taken.
    pub const fn gives_back(self) -> bool {
        matches!(self, Self::Pending | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who made an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreatedVia {
    /// An integration.
    RestApi,
    /// The classic checkout.
    Checkout,
    /// The block checkout.
    StoreApi,
    /// Somebody in the admin.
    Admin,
}

impl CreatedVia {
    /// As in REST.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RestApi => "rest-api",
            Self::Checkout => "checkout",
            Self::StoreApi => "store-api",
            Self::Admin => "admin",
        }
    }

    pub(super) const fn is_storefront(self) -> bool {
        matches!(self, Self::Checkout | Self::StoreApi)
    }
}

/// Number of a refund; of the same sequence as orders and products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefundId(pub i64);

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) id: LineId,
    pub(super) product: ProductId,
    pub(super) variation: Option<VariationId>,
    pub(super) name: Arc<str>,
    pub(super) quantity: i64,
    pub(super) total_cents: i64,
    /// `_reduced_stock`
    pub(super) reduced: Option<i64>,
    /// `_restock_refunded_items`
    pub(super) restocked: Option<i64>,
}

#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) id: RefundId,
    pub(super) reason: &'static str,
    pub(super) amount_cents: i64,
    pub(super) created: Timestamp,
    /// Id of the refund's own line, the order's line, units.
    pub(super) lines: Vec<(LineId, LineId, i64)>,
}

#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) status: Status,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) created_via: CreatedVia,
    pub(super) payment_method: Arc<str>,
    pub(super) paid: Option<Timestamp>,
    pub(super) lines: Vec<Line>,
    pub(super) refunds: Vec<Refund>,
    /// WooCommerce's own mark that stock was handled; it decides what a status change does.
    pub(super) stock_reduced: bool,
    pub(super) trashed_from: Status,
}

impl Order {
    pub(super) fn line(&self, id: LineId) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == id)
    }

    pub(super) fn line_mut(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id == id)
    }

    pub(super) fn total_cents(&self) -> i64 {
        self.lines.iter().map(|line| line.total_cents).sum()
    }

    /// What can still be refunded.
    pub(super) fn remaining_cents(&self) -> i64 {
        self.total_cents() - self.refunds.iter().map(|refund| refund.amount_cents).sum::<i64>()
    }
}

impl Shop {
    /// All orders' ids, whatever their status.
    pub fn order_ids(&self) -> impl Iterator<Item = OrderId> {
        self.orders.keys().copied()
    }

    /// The order's row appears; its lines follow in another statement.
    pub(super) fn insert_order(&mut self, new: &NewOrder, status: Status, now: Timestamp) -> OrderId {
        let id = OrderId::new(self.take_id()).expect("ids are numbered from 1");
        let order = Order {
            id,
            status,
            created: to_second(now),
            modified: to_second(now),
            created_via: new.created_via,
            payment_method: new.payment_method.clone(),
            paid: None,
            lines: Vec::new(),
            refunds: Vec::new(),
            stock_reduced: false,
            trashed_from: status,
        };
        self.orders_by_date.insert((order.modified, id));
        self.orders.insert(id, order);
        id
    }

    /// A line as WooCommerce stores it: a variation given as a product is split into parent and variation.
    pub(super) fn insert_line(&mut self, order: OrderId, new: &NewLine) -> Option<LineId> {
        if !self.orders.contains_key(&order) {
            return None;
        }
        let id = self.take_line();
        let holder = new.variation.map_or_else(|| new.product.into(), Into::into);
        let row = self.products.get(&holder);
        let parent = row.and_then(|row| row.parent);
        let line = Line {
            id,
            product: parent.unwrap_or(new.product),
            variation: if parent.is_some() { Some(variation_id(holder)) } else { new.variation },
            name: row.map_or_else(|| "".into(), |row| row.name.clone()),
            quantity: new.quantity,
            total_cents: new
                .total
                .unwrap_or_else(|| row.map_or(0, |row| row.price_cents).saturating_mul(new.quantity)),
            reduced: None,
            restocked: None,
        };
        self.orders.get_mut(&order)?.lines.push(line);
        Some(id)
    }

    /// The order's date moves; it is what lists are filtered by.
    pub(super) fn touch(&mut self, order: OrderId, now: Timestamp) {
        let Some(row) = self.orders.get_mut(&order) else {
            return;
        };
        self.orders_by_date.remove(&(row.modified, order));
        row.modified = to_second(now);
        self.orders_by_date.insert((row.modified, order));
    }

    /// The order's row is written and `order.updated` fires, unless this request is one that stays silent.
    pub(super) fn save_order(&mut self, writing: &mut Writing, order: OrderId, now: Timestamp) {
        if !self.orders.contains_key(&order) {
            return;
        }
        self.touch(order, now);
        if !writing.silent {
            self.emit(writing, Topic::OrderUpdated, order.get());
        }
    }

    pub(super) fn remove_order(&mut self, order: OrderId) {
        if let Some(row) = self.orders.remove(&order) {
            self.orders_by_date.remove(&(row.modified, order));
        }
    }

    pub(super) fn insert_refund(
        &mut self,
        order: OrderId,
        lines: &[(LineId, i64)],
        amount_cents: i64,
        reason: &'static str,
        now: Timestamp,
    ) -> Option<RefundId> {
        let id = RefundId(self.take_id());
        let lines = lines.iter().map(|(line, units)| (self.take_line(), *line, *units)).collect();
        let refund = Refund { id, reason, amount_cents, created: to_second(now), lines };
        self.orders.get_mut(&order)?.refunds.push(refund);
        Some(id)
    }

    /// What a line shows as its product: 0 once that is deleted.
    pub(super) fn shown_product(&self, line: &Line) -> Option<ProductId> {
        self.products.get(&line.product.into()).map(|row| product_id(row.id))
    }

    pub(super) fn shown_variation(&self, line: &Line) -> Option<VariationId> {
        line.variation.filter(|variation| self.products.contains_key(&(*variation).into()))
    }
}
