//! What people decided about differences between what shops showed and what they should have.

use std::fmt;

use values::{Quantity, ReadNumber, StockId, Timestamp, WarehouseId};

use crate::egress::DriftRow;
use crate::registry::words;

/// Most decisions remembered of a stock; the oldest goes first.
pub const DECISIONS_KEPT: u32 = 20;
/// Longest reason that is kept of a decision, in characters.
pub const DECISION_REASON_CHARS_MAX: usize = 200;

/// What becomes of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The ledger is right: the shop is told the difference.
    Correct,
    /// The shop is right: the ledger takes it over as one adjustment.
    Adopt,
    /// It stays as it is.
    Leave,
}

words!(Decision { Correct = "correct", Adopt = "adopt", Leave = "leave" });

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionRow {
    /// About which stock.
    pub stock: StockId,
    /// Its number among those of the stock, from 1; 0 before it is kept.
    pub number: u32,
    /// It is about all differences that were found by this read or by one before it.
    pub upto: ReadNumber,
    /// What becomes of them.
    pub decision: Decision,
    /// What was kept out of the shop then; below zero: left in it.
    pub quantity: Quantity,
    /// Where the ledger took it over.
    pub warehouse: Option<WarehouseId>,
    /// Who decided.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl DecisionRow {
    /// The first of these that is about the difference; they may be of several stocks.
    pub fn about<'a>(decisions: &'a [Self], drift: &DriftRow) -> Option<&'a Self> {
        let about = |row: &&Self| row.stock == drift.stock && row.upto >= drift.number;
        decisions.iter().filter(about).min_by_key(|row| row.number)
    }
}
