//! What ingress keeps for people to see and to ask for: long jobs with their reports, and how the reading of a shop goes.

mod calls;

use std::fmt;
use std::time::Duration;

use values::{HolderId, ListingId, OrderId, ShopId, Sku, Timestamp};

use crate::registry::words;

pub use calls::{CallsMade, CallsOfKind};

/// Longest report of a task, in bytes.
pub const TASK_REPORT_BYTES_MAX: usize = 64 << 10;
/// Longest word for what a task is doing, in characters.
pub const TASK_PHASE_CHARS_MAX: usize = 40;
/// Longest text of a failure, in characters.
pub const FAILURE_CHARS_MAX: usize = 300;
/// Most unfinished tasks a shop is given to work on at once; there is at most one waiting of each kind.
pub const OPEN_TASKS_MAX: u32 = 16;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskKind {
    /// Reads a new shop: catalogue, orders there are, stocks.
    Connect,
    /// Tries the connection.
    Test,
    /// Reads everything again that may have been missed.
    Sync,
    /// Reads the whole catalogue.
    Catalogue,
    /// Reads every open order.
    Audit,
    /// Switches stock management on for what has stock in the ledger.
    ManageStock,
    /// Deletes our webhooks in a shop that is about to be removed.
    Unhook,
}

words!(TaskKind {
    Connect = "connect",
    Test = "test",
    Sync = "sync",
    Catalogue = "catalogue",
    Audit = "audit",
    ManageStock = "manage_stock",
    Unhook = "unhook"
});

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Nobody works on it.
    Waiting,
    /// It is being worked on, or was when the process ended: then it is begun again.
    Running,
    /// It came to its end.
    Done,
    /// It cannot be done; the report says why.
    Failed,
}

words!(TaskState { Waiting = "waiting", Running = "running", Done = "done", Failed = "failed" });

/// A long job of a shop's reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: i64,
    /// The shop.
    pub shop: ShopId,
    /// What it does.
    pub kind: TaskKind,
    /// How far it has come.
    pub progress: TaskProgress,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last reported on.
    pub updated_at: Timestamp,
}

/// What is reported of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProgress {
    /// How far it has come.
    pub state: TaskState,
    /// Things done in this phase.
    pub done: u64,
    /// How many there are, if that is known.
    pub total: Option<u64>,
    /// What it is doing, in a word; at most [`TASK_PHASE_CHARS_MAX`] characters.
    pub phase: String,
    /// JSON; empty until it ends; at most [`TASK_REPORT_BYTES_MAX`].
    pub report: String,
}

/// An order that is to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reread {
    /// The order.
    pub order: OrderId,
    /// How often it was asked for; hand it back when it is done.
    pub wanted: u64,
}

/// A product or variation that is to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingReread {
    /// The id that was named: of a product or of a variation, or of something else altogether.
    pub id: HolderId,
    /// How often it was asked for; hand it back when it is done.
    pub wanted: u64,
    /// What it is, as the catalogue was read; `None`: nothing of the catalogue.
    pub known: Option<KnownListing>,
}

/// An entry of the catalogue as it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownListing {
    /// What the shop sells.
    pub listing: ListingId,
    /// Its code.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: String,
}

/// Whether calls to a shop are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerWord {
    /// They are.
    Closed,
    /// They are not, for a while.
    Open,
    /// One is, to find out.
    HalfOpen,
}

words!(BreakerWord { Closed = "closed", Open = "open", HalfOpen = "half_open" });

/// How the reading of a shop goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The shop.
    pub shop: ShopId,
    /// When changed orders were last read to the end.
    pub polled_at: Option<Timestamp>,
    /// Since when every call fails; `None`: the last one went well.
    pub failing_since: Option<Timestamp>,
    /// The last failure in plain words, empty if there was none; at most [`FAILURE_CHARS_MAX`] characters are kept.
    pub failure: String,
    /// When that was.
    pub failed_at: Option<Timestamp>,
    /// The shop answered then, and did not let us in: a person has to act.
    pub refused: bool,
    /// Whether calls are let through.
    pub breaker: BreakerWord,
    /// No call before this.
    pub resting_until: Option<Timestamp>,
    /// When a webhook last said that its owner may no longer see orders. Kept by [`crate::Store::note_blind`] alone.
    pub blind_at: Option<Timestamp>,
    /// When the shop last tried whether somebody listens to its webhooks. Kept by [`crate::Store::note_ping`] alone.
    pub pinged_at: Option<Timestamp>,
    /// When every open order was last read.
    pub audited_at: Option<Timestamp>,
    /// When the catalogue was last read to the end.
    pub catalogued_at: Option<Timestamp>,
    /// From one poll of orders to the next, as it is now: sooner than it is set to while webhooks are in doubt, later while
    /// the shop bears few calls.
    pub poll_period: Option<Duration>,
    /// What reading it costs.
    pub calls: CallsMade,
}

impl Reading {
    /// Nothing was read yet.
    pub fn none(shop: ShopId) -> Self {
        Self {
            shop,
            polled_at: None,
            failing_since: None,
            failure: String::new(),
            failed_at: None,
            refused: false,
            breaker: BreakerWord::Closed,
            resting_until: None,
            blind_at: None,
            pinged_at: None,
            audited_at: None,
            catalogued_at: None,
            poll_period: None,
            calls: CallsMade::default(),
        }
    }
}
