//! Deliberate bugs: each breaks one rule of the design, and one named scenario must notice.

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bug {
    /// Snapshots count as whole at once: stock is given back while the shop is still writing.
    TrustHalfWritten,
    /// What the shop's own orders have yet to take is pushed as well.
    ForgetUntaken,
    /// A webhook body is as good as a read: the last to arrive wins.
    WebhooksAreFacts,
    /// A webhook body with an older or equal date is thrown away instead of read again.
    DropUnordered,
    /// The cursor of the poll never goes back, even when the shop's clock does.
    CursorNeverBack,
    /// The goal is written as an absolute quantity.
    AbsoluteWrite,
    /// A push without an answer is made again.
    RepeatUncertain,
    /// A push without an answer is taken as done, and that is that.
    ForgetUncertain,
    /// A journaled push that was under way in a crash is taken as never made.
    ForgetIntents,
    /// A journaled push that was under way in a crash is taken as done for certain.
    TrustIntents,
    /// The base is what the shop shows at first sight.
    BaseAtFirstSight,
    /// What an order's status says was taken is counted, not what its lines say.
    TakenFromStatus,
    /// A refund gives stock back whatever the shop did.
    RefundReleases,
    /// The trash gives stock back.
    TrashReleases,
    /// A status that was seen is not applied again: edits are missed.
    OncePerStatus,
    /// A variation keeps a stock of its own, even where its parent does.
    StockPerVariation,
    /// Lines without a SKU are not looked at again.
    ForgetParked,
    /// A new mapping moves lines that were resolved before.
    RemapOldLines,
    /// A line's SKU is whatever its product is called now.
    SkuByText,
    /// An order that is gone holds nothing.
    GoneReleases,
    /// Units that a shop shows too many of are taken for goods received.
    AdoptDrift,
    /// An order from before the connection is taken for a new one.
    ForgetPast,
    /// Stocks are never compared again.
    NeverSettle,
    /// Only the shop that sold is told.
    TellOnlySeller,
    /// What a product webhook shows is taken as the base.
    AdoptShown,
    /// A stocktake counts what is available, not what is there.
    CountIsAvailable,
    /// Goods received are pushed as they are, whatever is owed.
    PushReceipts,
    /// Settles are trusted at any moment, whatever orders or pushes are about.
    SettleAnytime,
    /// A sale inside a push is not looked for.
    IgnoreSaleInsidePush,
    /// What no poll confirms is not read again by its id.
    NeverConfirm,
    /// Orders modified in the second of the last poll are not asked for again.
    NoOverlap,
    /// What people set in a shop is pushed against, whatever the shop wants.
    PushAgainstEdits,
    /// An edit is taken over each time it is told.
    AdoptEachTime,
    /// An edit is taken over where it may be told twice.
    AdoptAnyway,
    /// What was left in a shop stays there, whatever it wants later.
    KeepEdits,
    /// An edit that was compared with what holds no more waits for the ledger for good.
    LeaveEditsOpen,
}
