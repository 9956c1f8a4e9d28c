//! The fake shop: a pure, deterministic model of WooCommerce that writes in the same small steps.
//!
//! Nothing here does I/O or reads a clock: every call that needs the time takes `now`, the shop's own clock, and
//! dates are kept with the one-second resolution WooCommerce has.
//!
//! How it is used:
//!
//! 1. [`Shop::new`], [`Shop::add_product`], [`Shop::add_variation`], [`Shop::create_webhook`] set it up.
//! 2. Somebody acts: a buyer, an admin, an integration. Each act is a [`Change`]. [`Shop::run`] does it at once;
//!    [`Shop::begin`] and [`Shop::step`] do it in the order in which WooCommerce writes to its database, so that
//!    reads and webhook payloads made between two steps see what they would see there. Several [`Writing`]s may be
//!    under way together; a dropped one is a PHP process that died (it leaves what is written, sends nothing).
//! 3. Readers read: [`Shop::list_orders`], [`Shop::order`], [`Shop::list_products`], [`Shop::variations`] …
//! 4. [`Shop::run_queue`] is WP-Cron: it builds the payloads of what is due *then*; [`Shop::answered`] tells the
//!    shop what the receiver said.
//!
//! The order of steps, as WooCommerce has it:
//!
//! * **New order**: row without lines → lines → totals → status row → per line: stock, then `_reduced_stock` → the
//!   order saved again (its date moves a second time).
//! * **Status**: status and date → per line: stock, then `_reduced_stock` → the order saved again, only if stock
//!   was handled.
//! * **Refund with restock**: refund → per line: stock, then `_reduced_stock` and `_restock_refunded_items` → order
//!   row and date.
//! * **Edit of a line**: quantity → stock → `_reduced_stock` → order row and date.
//! * **`inventory_delta` and absolute writes**: the quantity is read in one step and written in the next; nothing is
//!   written if what is wanted is what was read.
//! * Webhook deliveries are put into the queue by the *last* step (the end of the PHP request), in the order in which
//!   their events happened; see [`ShopOptions::queue_at_once`].

mod catalogue;
mod change;
mod orders;
mod plan;
mod reading;
mod stock;
#[cfg(test)]
mod tests;
mod views;
mod webhooks;
mod writing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use values::{HolderId, LineId, OrderId, ProductId, Timestamp, VariationId};

pub use catalogue::{Backorders, Kind, NewProduct, NewVariation, ProductEdit, ProductStatus, StockStatus};
pub use change::{Change, NewLine, NewOrder, Outcome, Refusal};
pub use orders::{CreatedVia, RefundId, Status};
pub use reading::{OrderBy, OrderFilter, Page, ProductFilter, StatusFilter};
pub use views::{LineView, Manage, OrderView, ProductView, RefundLineView, RefundView, skus_agree};
pub use webhooks::{Delivery, Payload, Topic, Webhook, WebhookId, WebhookStatus};
pub use writing::{Progress, Writing};

/// How this shop differs from a new WooCommerce.
#[derive(Debug, Clone, Default)]
pub struct ShopOptions {
    /// Orders in `wp_posts`, as in shops that were never migrated: trashing an order also fires `product.deleted`
    /// with the order's id, and a status put on a trashed order fires `order.updated`.
    pub orders_in_posts: bool,
    /// Deliveries are queued when the event happens, not at the end of the request. Harsher than WooCommerce: a
    /// queue run between two steps then always sees half-written payloads.
    pub queue_at_once: bool,
}

/// One shop: products, orders, webhooks, and the queue of deliveries.
#[derive(Debug, Clone)]
pub struct Shop {
    options: ShopOptions,
    next_id: i64,
    next_line: i64,
    next_webhook: i64,
    products: BTreeMap<HolderId, catalogue::Product>,
    orders: BTreeMap<OrderId, orders::Order>,
    /// The orders by the date by which WooCommerce lists them, so that a poll costs what it returns.
    orders_by_date: BTreeSet<(Timestamp, OrderId)>,
    /// Units held by checkouts under way.
    reserved: BTreeMap<HolderId, i64>,
    webhooks: BTreeMap<WebhookId, Webhook>,
    queue: VecDeque<webhooks::Due>,
    queued: BTreeSet<webhooks::Due>,
}

impl Shop {
    /// A shop with nothing in it.
    pub fn new(options: ShopOptions) -> Self {
        Self {
            options,
            next_id: 1,
            next_line: 1,
            next_webhook: 1,
            products: BTreeMap::new(),
            orders: BTreeMap::new(),
            orders_by_date: BTreeSet::new(),
            reserved: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
        }
    }

    /// The next order, product, refund or page will have this id, unless that is already past.
    pub fn skip_ids_to(&mut self, next_id: i64) {
        self.next_id = self.next_id.max(next_id);
    }

    /// The next order line will have this id, unless that is already past.
    pub fn skip_lines_to(&mut self, next_line: i64) {
        self.next_line = self.next_line.max(next_line);
    }

    /// Orders, products, variations and refunds are numbered from one sequence.
    fn take_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn take_line(&mut self) -> LineId {
        let line = self.next_line;
        self.next_line += 1;
        LineId::new(line).expect("lines are numbered from 1")
    }
}

/// What WooCommerce keeps of a time: whole seconds.
fn to_second(now: Timestamp) -> Timestamp {
    Timestamp::from_seconds(now.seconds())
}

fn product_id(holder: HolderId) -> ProductId {
    ProductId::new(holder.get()).expect("a holder's id is positive")
}

fn variation_id(holder: HolderId) -> VariationId {
    VariationId::new(holder.get()).expect("a holder's id is positive")
}
