//! Shipments of our own: what an order's lines reserve leaves the warehouse, whatever its shop has heard of it.
//!
//! A shop's later snapshots say nothing of parcels. What was sent stays sent whatever status they show; only what the shop
//! gives back (a cancelled order, a restocked refund, a smaller quantity) comes back, as a return.

use std::collections::BTreeMap;

use values::{LineId, Quantity, Sku};

use crate::allocation::send;
use crate::apply::Applying;
use crate::book::{Book, Cause};
use crate::order::{Line, Order};

/// What is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parcel<'a> {
    /// All that the order reserves.
    Rest,
    /// So much of these lines.
    Lines(&'a [(LineId, Quantity)]),
}

/// What left of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The line.
    pub line: LineId,
    /// What it is.
    pub sku: Sku,
    /// How much.
    pub quantity: Quantity,
}

/// Why something of a shipment cannot leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotShipped {
    /// Which of the lines asked for, counted from 0.
    pub index: usize,
    /// The line.
    pub line: LineId,
    /// Why.
    pub cause: NotShippedCause,
}

/// Why a line cannot be shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShippedCause {
    /// The order has no such line, or no more.
    Unknown,
    /// Nobody knows which SKU it is, or it cannot be read.
    Parked,
    /// Nobody keeps stock of it.
    Unmanaged,
    /// Not more than nothing.
    BadQuantity,
    /// Less is reserved for it.
    Reserved {
        /// How much is, after what was asked for before it.
        left: Quantity,
    },
}

/// What a shipment came to. Only if it left was anything done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShipOutcome {
    /// It left.
    Shipped {
        /// What, by line.
        sent: Vec<Sent>,
        /// Nothing of the order is left to be shipped, and no line of it waits to be understood.
        complete: bool,
    },
    /// The order reserves nothing.
    NothingLeft,
    /// The order is cancelled in its shop, or is none yet.
    NotOpen,
    /// These stand in the way; nothing left.
    Refused(Vec<NotShipped>),
}

/// Ships what is reserved: on hand and reserved fall together, so no level changes. All of the parcel or nothing of it.
pub fn ship(order: &mut Order, parcel: Parcel<'_>, applying: Applying<'_>, book: &mut Book) -> ShipOutcome {
    if applying.statuses.holds_nothing(&order.status) {
        return ShipOutcome::NotOpen;
    }
    let wanted = match parcel {
        Parcel::Rest => rest(order),
        Parcel::Lines(lines) => match chosen(order, lines) {
            Ok(wanted) => wanted,
            Err(refused) => return ShipOutcome::Refused(refused),
        },
    };
    if wanted.is_empty() {
        return ShipOutcome::NothingLeft;
    }
    let mut sent = Vec::with_capacity(wanted.len());
    for (index, line) in order.lines.iter_mut().enumerate() {
        let (Some(quantity), Some(sku)) = (wanted.get(&index).copied(), line.sku.clone()) else { continue };
        let cause = Cause::Order { shop: applying.shop, order: order.id, line: line.id };
        send(&mut line.holds, quantity, &sku, book, cause);
        sent.push(Sent { line: line.id, sku, quantity });
    }
    ShipOutcome::Shipped { sent, complete: is_complete(order) }
}

/// By position in the order.
type Wanted = BTreeMap<usize, Quantity>;

fn rest(order: &Order) -> Wanted {
    let lines = order.lines.iter().enumerate().filter(|(_, line)| !line.removed);
    lines.map(|(index, line)| (index, line.reserved())).filter(|(_, rest)| rest.is_positive()).collect()
}

fn chosen(order: &Order, lines: &[(LineId, Quantity)]) -> Result<Wanted, Vec<NotShipped>> {
    let mut wanted = Wanted::new();
    let mut refused = Vec::new();
    for (index, (line, quantity)) in lines.iter().enumerate() {
        match choose(order, *line, *quantity, &wanted) {
            Ok(position) => *wanted.entry(position).or_default() += *quantity,
            Err(cause) => refused.push(NotShipped { index, line: *line, cause }),
        }
    }
    if refused.is_empty() { Ok(wanted) } else { Err(refused) }
}

fn choose(order: &Order, id: LineId, quantity: Quantity, before: &Wanted) -> Result<usize, NotShippedCause> {
    let mut lines = order.lines.iter().enumerate();
    let (position, line) =
        lines.find(|(_, line)| line.id == id && !line.removed).ok_or(NotShippedCause::Unknown)?;
    if !quantity.is_positive() {
        return Err(NotShippedCause::BadQuantity);
    }
    let left = line.reserved() - before.get(&position).copied().unwrap_or_default();
    if quantity <= left {
        return Ok(position);
    }
    Err(if line.reserved().is_positive() {
        NotShippedCause::Reserved { left }
    } else if line.is_parked() {
        NotShippedCause::Parked
    } else if line.unmanaged {
        NotShippedCause::Unmanaged
    } else {
        NotShippedCause::Reserved { left }
    })
}

fn is_complete(order: &Order) -> bool {
    let waits = |line: &Line| line.is_parked() || line.reserved().is_positive();
    !order.lines.iter().any(|line| !line.removed && waits(line))
}
