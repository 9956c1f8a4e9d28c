//! What ingress keeps: who reads a shop, how far it has read, and which stocks are to be settled.

use std::fmt;

use values::{ReadNumber, StockId, Timestamp};

use crate::registry::words;

/// What a cursor follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CursorKind {
    /// Changed orders.
    Orders,
    /// Orders in the trash.
    Trash,
    /// The orders there were when the shop was connected.
    Baseline,
    /// The catalogue.
    Catalogue,
}

words!(CursorKind { Orders = "orders", Trash = "trash", Baseline = "baseline", Catalogue = "catalogue" });

/// How far a shop was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// By the shop's clock.
    pub shop_time: Timestamp,
    /// By the hub's clock, at the same moment.
    pub hub_time: Timestamp,
    /// The next page, while pages are counted.
    pub page: u32,
}

/// The right to read a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Higher than that of every reader before.
    pub fence: u64,
    /// It ends then.
    pub until: Timestamp,
}

/// What a call of a reader came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced<T> {
    /// Done.
    Done(T),
    /// Another reads the shop now: stop.
    Stale,
}

/// Numbers of reads, handed out to one reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadNumbers {
    /// The first; those that follow it are the reader's too.
    pub first: ReadNumber,
    /// How many.
    pub count: u32,
}

/// A stock that is to be settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleWanted {
    /// Which.
    pub stock: StockId,
    /// Why, as a code.
    pub why: String,
    /// Not before.
    pub due_at: Timestamp,
}

/// Which settles that are due are left for later: an order touched the stock so short a time ago that nothing could be
/// proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleHold {
    /// Those of stocks whose newest order is dated, by the shop's clock, at this or later,
    pub dated_from: Timestamp,
    /// and at this or before,
    pub dated_to: Timestamp,
    /// unless they have been due, by the hub's clock, since this or before: nothing is left for ever.
    pub due_since: Timestamp,
}

/// A settle that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleJob {
    /// Which stock, why and since when.
    pub want: SettleWanted,
    /// How often it was asked for; hand it back when it is done.
    pub wanted: u64,
}
