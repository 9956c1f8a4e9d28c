//! What people do to an order of a shop, one row for each thing that WooCommerce does in its own way, and what has to come
//! of it.

use testkit::shop::Status;
use testkit::shop::Status::{Cancelled, Completed, Failed, OnHold, Pending, Processing, Refunded};

use self::Step::{
    AddLine, Buy, CancelUnpaid, CleanUpDrafts, Create, CreatePaid, CreateTwice, DeleteForever, DeleteProduct,
    DeleteRefund, Edit, Known, OpenCheckout, Order, Refund, RefundAmount, RemoveLine, Rename, Save, To,
    Together, Trash, TrashPage, Untrash,
};

/// Reserved, shipped, and taken by the shop, of the row's goods.
pub(crate) type Effect = (i64, i64, i64);

/// What is sold in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goods {
    /// A simple product.
    Simple,
    /// A variation with stock of its own.
    Variation,
    /// A variation whose stock is its parent's.
    AtParent,
    /// The parent of a variation, which has no stock, without the variation.
    ParentAlone,
    /// A product whose stock the shop does not manage.
    Unmanaged,
}

/// One thing that is done to the row's order. Its webhooks are sent before the next one is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// An order by REST.
    Create(Status, i64),
    /// The same with `set_paid`; its payment method makes it completed.
    CreatePaid(i64),
    /// An order of one product on two lines, of 1 and this many.
    CreateTwice(i64),
    /// An order of the classic checkout.
    Buy(Status, i64),
    /// A customer opens the block checkout.
    OpenCheckout(i64),
    /// And orders.
    Order(Status),
    To(Status),
    /// Another quantity on the first line.
    Edit(i64),
    /// One more line of the same goods.
    AddLine(i64),
    /// The first line goes.
    RemoveLine,
    /// So many of the first line, put back into stock or not.
    Refund(i64, bool),
    RefundAmount,
    DeleteRefund,
    /// Saved in the admin without a change.
    Save,
    Trash,
    Untrash,
    DeleteForever,
    /// Unpaid orders of the storefront are cancelled.
    CancelUnpaid,
    /// Drafts of more than a day are deleted: the day after.
    CleanUpDrafts,
    DeleteProduct,
    /// The product has another code.
    Rename,
    /// A page goes to the trash, of which the shop tells as of a product.
    TrashPage,
    /// All of these before any webhook is sent.
    Together(&'static [Self]),
    /// Nothing, until onhand knows the order.
    Known,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Situation {
    pub(crate) what: &'static str,
    pub(crate) goods: Goods,
    pub(crate) steps: &'static [Step],
    pub(crate) effect: Effect,
}

impl Situation {
    /// Whether it matters that the shop does not know the order any more: it holds something.
    pub(crate) const fn holds(&self) -> bool {
        self.effect.0 > 0
    }
}

const fn row(what: &'static str, steps: &'static [Step], effect: Effect) -> Situation {
    Situation { what, goods: Goods::Simple, steps, effect }
}

const fn of(goods: Goods, what: &'static str, steps: &'static [Step], effect: Effect) -> Situation {
    Situation { what, goods, steps, effect }
}

/// The table, in the order of what is known of WooCommerce.
pub(crate) const TABLE: &[Situation] = &[
    row("created pending", &[Create(Pending, 1)], (1, 0, 0)),
    row("created on-hold", &[Create(OnHold, 1)], (1, 0, 1)),
    row("created processing", &[Create(Processing, 1)], (1, 0, 1)),
    row("created completed", &[Create(Completed, 1)], (0, 1, 1)),
    row("created failed", &[Create(Failed, 1)], (0, 0, 0)),
    row("created cancelled", &[Create(Cancelled, 1)], (0, 0, 0)),
    row("created paid", &[CreatePaid(1)], (0, 1, 1)),
    row("pending, processing", &[Create(Pending, 2), To(Processing)], (2, 0, 2)),
    row("processing, completed", &[Create(Processing, 2), To(Completed)], (0, 2, 2)),
    row("on-hold, cancelled", &[Create(OnHold, 2), To(Cancelled)], (0, 0, 0)),
    row("processing, cancelled", &[Create(Processing, 2), To(Cancelled)], (0, 0, 0)),
    row("completed, cancelled", &[Create(Completed, 2), To(Cancelled)], (0, 0, 0)),
    row("on-hold, pending", &[Create(OnHold, 2), To(Pending)], (2, 0, 0)),
    row("on-hold, pending, failed", &[Create(OnHold, 2), To(Pending), To(Failed)], (0, 0, 0)),
    row("cancelled, processing", &[Create(Processing, 2), To(Cancelled), To(Processing)], (2, 0, 2)),
    row("block checkout, only opened", &[OpenCheckout(2)], (0, 0, 0)),
    row("block checkout, ordered", &[OpenCheckout(2), Order(Processing)], (2, 0, 2)),
    row("block checkout, abandoned", &[OpenCheckout(2), Known, CleanUpDrafts], (0, 0, 0)),
    row("classic checkout", &[Buy(Processing, 2)], (2, 0, 2)),
    row("unpaid, cancelled by the shop", &[Buy(Pending, 2), CancelUnpaid], (0, 0, 0)),
    row("refund with restock", &[Create(Processing, 3), Refund(1, true)], (2, 0, 2)),
    row("refund without restock", &[Create(Processing, 3), Refund(1, false)], (3, 0, 3)),
    row("refund of everything, restocked", &[Create(Processing, 3), Refund(3, true)], (0, 0, 0)),
    row("refund of everything, not restocked", &[Create(Processing, 2), Refund(2, false)], (2, 0, 2)),
    row("refund by amount only", &[Create(Processing, 2), RefundAmount], (2, 0, 2)),
    row("status refunded", &[Create(Processing, 2), To(Refunded)], (2, 0, 2)),
    row("sent, then refunded", &[Create(Completed, 2), Known, To(Refunded)], (0, 2, 2)),
    row("refund deleted", &[Create(Processing, 3), Refund(1, true), Known, DeleteRefund], (2, 0, 2)),
    row("refunded, cancelled", &[Create(Processing, 2), Refund(2, false), To(Cancelled)], (0, 0, 0)),
    row("partly refunded, cancelled", &[Create(Processing, 5), Refund(2, true), To(Cancelled)], (0, 0, 0)),
    row("more of it", &[Create(Processing, 4), Edit(6)], (6, 0, 6)),
    row("less of it", &[Create(Processing, 4), Edit(6), Edit(1)], (1, 0, 1)),
    row("a line added", &[Create(Processing, 4), AddLine(2)], (6, 0, 6)),
    row("a line removed", &[Create(Processing, 4), AddLine(2), RemoveLine], (2, 0, 2)),
    row("edited, cancelled", &[Create(Processing, 4), Edit(6), AddLine(1), To(Cancelled)], (0, 0, 0)),
    row("saved without a change", &[Create(Processing, 2), Save], (2, 0, 2)),
    row("trashed", &[Create(Processing, 2), Trash], (2, 0, 2)),
    row("restored", &[Create(Processing, 2), Trash, Untrash], (2, 0, 2)),
    row("alive out of the trash by REST", &[Create(Processing, 2), Trash, Known, To(Processing)], (2, 0, 2)),
    row("out of the trash, cancelled", &[Create(Processing, 2), Trash, Known, To(Cancelled)], (0, 0, 0)),
    row("trashed at once", &[Together(&[Create(Processing, 2), Trash])], (2, 0, 2)),
    row("deleted for good", &[Create(Processing, 2), Known, DeleteForever], (2, 0, 2)),
    row("deleted out of the trash", &[Create(Processing, 2), Trash, Known, DeleteForever], (2, 0, 2)),
    row("deleted before its webhooks were sent", &[Together(&[Create(Failed, 2), DeleteForever])], (0, 0, 0)),
    row("oversold", &[Create(Processing, 999)], (999, 0, 999)),
    row(
        "quicker than its webhooks",
        &[Together(&[Create(Pending, 2), To(OnHold), To(Processing), To(Completed)])],
        (0, 2, 2),
    ),
    row("product deleted", &[Create(Processing, 2), Known, DeleteProduct, To(Completed)], (0, 2, 2)),
    row("product renamed", &[Create(Processing, 2), Rename, To(Completed)], (0, 2, 2)),
    row("a page trashed", &[Create(Processing, 2), TrashPage], (2, 0, 2)),
    row("on two lines", &[CreateTwice(2)], (3, 0, 3)),
    of(Goods::Variation, "a variation", &[Create(Processing, 3), To(Completed)], (0, 3, 3)),
    of(Goods::AtParent, "a variation, stock at its parent", &[Create(Processing, 3)], (3, 0, 3)),
    of(Goods::ParentAlone, "a parent alone", &[Create(Processing, 1)], (0, 0, 0)),
    of(Goods::Unmanaged, "without stock", &[Create(Processing, 1), To(Completed)], (0, 0, 0)),
];
