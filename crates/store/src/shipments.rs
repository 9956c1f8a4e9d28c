//! Shipments of our own, and what shops are told of them.

use std::fmt;
use std::time::Duration;

use values::{LineId, OrderId, Quantity, ShopId, Sku, Timestamp};

use crate::registry::words;

/// Longest text of why a shop could not be told of a shipment, in characters.
pub const REPORT_PROBLEM_CHARS_MAX: usize = 300;

/// A shipment: of an order, which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShipmentId {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// Counts the shipments of the order from 1.
    pub number: u32,
}

/// What left of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippedLine {
    /// The line.
    pub line: LineId,
    /// What it is.
    pub sku: Sku,
    /// How much.
    pub quantity: Quantity,
}

/// A shipment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipment {
    /// Which.
    pub id: ShipmentId,
    /// When.
    pub at: Timestamp,
    /// Who made it.
    pub actor: String,
    /// Who carries it.
    pub carrier: Option<String>,
    /// Its number there.
    pub tracking: Option<String>,
    /// Where it can be followed.
    pub tracking_url: Option<String>,
    /// What left.
    pub lines: Vec<ShippedLine>,
    /// Nothing of the order was left to be shipped after it.
    pub complete: bool,
    /// The status that the order is to have in its shop; `None`: it is left alone.
    pub status: Option<String>,
    /// A note to the customer; `None`: there is none.
    pub note: Option<String>,
    /// Grows with every time the shop is to be told; 0: there is nothing to tell.
    pub revision: u64,
    /// Trace context of the request.
    pub trace: Option<String>,
}

/// How far something that a shop is to be told has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportState {
    /// It will be tried, or tried again.
    Waiting,
    /// The shop has it.
    Done,
    /// It is not tried any more, until somebody asks for it.
    GivenUp,
}

words!(ReportState { Waiting = "waiting", Done = "done", GivenUp = "given_up" });

/// Something that a shop is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPart {
    /// The status's word, or the note's text.
    pub text: String,
    /// How far it has come.
    pub state: ReportState,
}

/// How long what a shop was told of a shipment is kept once it has all of it: nobody tells it again after that.
pub const REPORTS_KEPT: Duration = Duration::from_hours(24 * 180);

/// What a shop is told of a shipment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRow {
    /// Of which shipment.
    pub id: ShipmentId,
    /// As inventory published it: the newest wins.
    pub revision: u64,
    /// Grows with every change; a row is saved only over the one that was read.
    pub version: u64,
    /// The status the order is to have.
    pub status: Option<ReportPart>,
    /// The note to the customer.
    pub note: Option<ReportPart>,
    /// The shop's number of the note.
    pub note_id: Option<i64>,
    /// When the call began that writes the note, and who makes it: journaled before, and nothing once its answer is known.
    pub intent: Option<(Timestamp, String)>,
    /// Why it is not done, in plain words.
    pub problem: Option<String>,
    /// Tries in a row that came to nothing.
    pub tries: u32,
    /// Since when the shop is to be told.
    pub since: Timestamp,
    /// When it is tried next; `None`: nothing is left to do.
    pub due_at: Option<Timestamp>,
}

/// What a shop is to be told of a shipment, as inventory published it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportWanted {
    /// Of which shipment.
    pub id: ShipmentId,
    /// The newest wins.
    pub revision: u64,
    /// The status the order is to have.
    pub status: Option<String>,
    /// The note to the customer.
    pub note: Option<String>,
}

/// What a shop is told when something of its orders is shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipping {
    /// The status an order gets once all of it is shipped; `None`: it is left alone.
    pub shipped: Option<String>,
    /// The status an order gets once a part of it is; `None`: it is left alone.
    pub partly: Option<String>,
    /// Customers get a note with carrier and tracking number.
    pub note: bool,
}

impl Default for Shipping {
    fn default() -> Self {
        Self { shipped: Some("completed".to_owned()), partly: None, note: true }
    }
}
