//! What people and programs do to a shop, and how it refuses.

use std::sync::Arc;
use std::time::Duration;

use values::{HolderId, LineId, OrderId, ProductId, Sku, VariationId};

use super::{CreatedVia, NewProduct, NewVariation, ProductEdit, RefundId, Status};

/// One request or one act in the admin. Quantities are whole units, money is in cents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An order made in one go: by REST, by an admin, or by the classic checkout.
    CreateOrder(NewOrder),
    /// A customer opens the block checkout: a draft appears, `order.updated` fires, `order.created` does not.
    OpenCheckout(NewOrder),
    /// The customer of a draft orders. It becomes `status` by way of pending; `order.updated` fires before
    /// `order.created`.
    Checkout {
        /// The draft.
        order: OrderId,
        /// Usually processing (cash on delivery, paid) or on-hold (bank transfer).
        status: Status,
        /// `cod`, `bacs` …
        payment_method: Arc<str>,
    },
    /// A status by REST or in the admin. On a trashed order it is the REST PUT that makes it live again without any
    /// `order.*` delivery.
    SetStatus {
        /// The order.
        order: OrderId,
        /// Any but trash and checkout-draft.
        status: Status,
    },
    /// REST `set_paid` on an order that exists: processing, or completed for `cod`.
    PaymentComplete(OrderId),
    /// Another quantity on a line; stock is adjusted at once in on-hold, processing and completed.
    EditLine {
        /// The order.
        order: OrderId,
        /// Its line.
        line: LineId,
        /// At least 1.
        quantity: i64,
    },
    /// One more line.
    AddLine {
        /// The order.
        order: OrderId,
        /// What is added.
        line: NewLine,
    },
    /// A line less; what it had taken goes back.
    RemoveLine {
        /// The order.
        order: OrderId,
        /// Its line.
        line: LineId,
    },
    /// A refund of lines. Refunding all that remains makes the order refunded.
    Refund {
        /// The order.
        order: OrderId,
        /// Line and quantity.
        lines: Vec<(LineId, i64)>,
        /// Cents; `None`: what those quantities cost.
        amount: Option<i64>,
        /// Whether the units go back into stock (REST: `api_restock`, true unless said otherwise).
        restock: bool,
    },
    /// A refund of money only: nothing is restocked whatever was asked.
    RefundAmount {
        /// The order.
        order: OrderId,
        /// Cents; `None`: all that remains.
        amount: Option<i64>,
    },
    /// A refund deleted: no delivery, no new date, stock stays where it is.
    DeleteRefund {
        /// The order.
        order: OrderId,
        /// Its refund.
        refund: RefundId,
    },
    /// To the trash: stock is not given back.
    Trash(OrderId),
    /// Restored in the admin.
    Untrash(OrderId),
    /// Deleted for good, from anywhere: no delivery, stock is not given back.
    DeleteForever(OrderId),
    /// Saved in the admin without a change.
    TouchOrder(OrderId),
    /// Drafts of more than a day are deleted, without deliveries.
    CleanUpDrafts,
    /// Unpaid orders of the storefront not modified for `hold` become cancelled.
    CancelUnpaid {
        /// WooCommerce's "hold stock" setting.
        hold: Duration,
    },
    /// An absolute quantity, by REST or in the admin. Silently without effect where stock is not managed.
    SetStock {
        /// Product or variation.
        holder: HolderId,
        /// May be negative.
        quantity: i64,
    },
    /// An absolute quantity by SQL or an import plugin: no delivery, no new date.
    SetStockSilently {
        /// Product or variation.
        holder: HolderId,
        /// May be negative.
        quantity: i64,
    },
    /// REST `inventory_delta`: read in one step, read + delta written in the next.
    DeltaStock {
        /// Product or variation.
        holder: HolderId,
        /// Units.
        delta: i64,
    },
    /// Another SKU; all orders' lines show it from then on.
    RenameSku {
        /// Product or variation.
        holder: HolderId,
        /// `None`: no SKU.
        sku: Option<Sku>,
    },
    /// Stock management on or off. Off forgets the quantity. A variation with it off follows its parent if that
    /// manages stock (`"parent"`).
    SetManageStock {
        /// Product or variation.
        holder: HolderId,
        /// On or off.
        manage: bool,
    },
    /// Anything a product PUT can change, in one request.
    SaveProduct {
        /// Product or variation.
        holder: HolderId,
        /// What changes.
        edit: ProductEdit,
    },
    /// A new simple or variable product.
    CreateProduct(NewProduct),
    /// A new variation.
    CreateVariation {
        /// The variable product.
        parent: ProductId,
        /// What it is.
        variation: NewVariation,
    },
    /// A product or variation to the trash; it keeps its SKU.
    TrashProduct(HolderId),
    /// And back.
    UntrashProduct(HolderId),
    /// A product (with its variations) or variation deleted for good, without deliveries.
    DeleteProduct(HolderId),
    /// A page or coupon trashed: fires `product.deleted` with an id that is no product's.
    TrashPage,
}

/// An order to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Status it ends in, before `set_paid`.
    pub status: Status,
    /// What is bought.
    pub lines: Vec<NewLine>,
    /// Who made it. Orders of the storefront are checked against stock, others are not.
    pub created_via: CreatedVia,
    /// `cod`, `bacs`, or empty.
    pub payment_method: Arc<str>,
    /// REST `set_paid`: processing afterwards, completed for `cod`.
    pub set_paid: bool,
}

impl NewOrder {
    /// An order as an integration makes it by REST.
    pub fn by_rest(status: Status, lines: Vec<NewLine>) -> Self {
        Self {
            status,
            lines,
            created_via: CreatedVia::RestApi,
            payment_method: "cod".into(),
            set_paid: false,
        }
    }

    /// An order of the classic checkout.
    pub fn by_checkout(status: Status, lines: Vec<NewLine>) -> Self {
        Self { created_via: CreatedVia::Checkout, ..Self::by_rest(status, lines) }
    }
}

/// A line to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// The product; a variation's id works too, as in WooCommerce.
    pub product: ProductId,
    /// Its variation, if it has them.
    pub variation: Option<VariationId>,
    /// Units.
    pub quantity: i64,
    /// Cents; `None`: the product's price times quantity.
    pub total: Option<i64>,
}

impl NewLine {
    /// `quantity` of a simple product.
    pub fn of(product: ProductId, quantity: i64) -> Self {
        Self { product, variation: None, quantity, total: None }
    }

    /// `quantity` of a variation.
    pub fn of_variation(product: ProductId, variation: VariationId, quantity: i64) -> Self {
        Self { product, variation: Some(variation), quantity, total: None }
    }
}

/// What a change made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The order made or changed.
    pub order: Option<OrderId>,
    /// The refund made.
    pub refund: Option<RefundId>,
    /// The product or variation made or changed.
    pub product: Option<HolderId>,
    /// Of a write to a product's quantity: what it was when written, what it is after.
    pub stock: Option<(i64, i64)>,
}

/// Why a shop does not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such order.
    #[error("there is no order {0}")]
    UnknownOrder(OrderId),
    /// The order has no such line.
    #[error("order {0} has no line {1}")]
    UnknownLine(OrderId, LineId),
    /// The order has no such refund.
    #[error("order {0} has no refund {1}")]
    UnknownRefund(OrderId, i64),
    /// No such product.
    #[error("there is no product {0}")]
    UnknownProduct(HolderId),
    /// The status cannot be set, or the act does not fit it.
    #[error("order {0} cannot do that while it is {1}")]
    WrongStatus(OrderId, Status),
    /// Another product or variation has the SKU.
    #[error("SKU {sku} belongs to product {owner}")]
    DuplicateSku {
        /// The SKU asked for.
        sku: Sku,
        /// Whose it is.
        owner: HolderId,
        /// It is in the trash: WooCommerce answers differently then.
        trashed: bool,
    },
    /// More than remains to be refunded, or nothing.
    #[error("order {0} has {1} cents left to refund")]
    InvalidRefundAmount(OrderId, i64),
    /// The storefront has not that many.
    #[error("product {0} has not enough stock")]
    NotEnoughStock(HolderId),
    /// The variation is not that product's.
    #[error("product {0} has no variation {1}")]
    WrongParent(ProductId, VariationId),
}
