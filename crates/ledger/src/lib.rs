//! The truth about stock, as pure rules: which snapshot of an order wins, what it changes, and what every number adds up to.
//!
//! # Invariants
//!
//! * No I/O, clock, randomness, float, async or wire format: the same calls give the same answers.
//! * Movements are only ever appended. Every balance is the fold of its movements, checked as they are posted.
//! * Applying a snapshot twice, or one the version rule calls older, changes nothing.
//! * Reserved is never negative, and is the sum of what open order lines hold.
//! * An operation of our own never takes more than is available; a sale of a shop is a fact and always allocated in full.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm
)]
#![warn(missing_docs)]

mod allocation;
mod apply;
mod book;
mod level;
mod operation;
mod order;
mod shipment;
mod snapshot;
mod status;
mod version;

pub use allocation::{Hold, Routing};
pub use apply::{
    Applying, Listings, Reread, Resolved, StockChange, Verdict, apply, disown, expire, release_orphan,
    resolve_lines,
};
pub use book::{Balance, Book, Cause, Movement, MovementKind, SkuBook};
pub use level::{Listed, level};
pub use operation::{Operation, OperationOutcome, operate};
pub use order::{Applied, Line, Order, Origin};
pub use shipment::{NotShipped, NotShippedCause, Parcel, Sent, ShipOutcome, ship};
pub use snapshot::{Digest, OrderLine, Seen, Snapshot};
pub use status::{StatusMap, StatusRule};
pub use version::{CONFIRM_MARGIN, Decision, decide};
