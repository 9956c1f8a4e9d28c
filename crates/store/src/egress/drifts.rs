//! Differences that comparisons found, as they are kept for people and for reports.

use std::collections::BTreeMap;

use push::{Drift, DriftAction, DriftClass};
use values::{Quantity, ReadNumber, ShopId, Sku, StockId, Timestamp};

use super::{Backend, EgressTx};
use crate::error::Error;

/// Most differences remembered of a stock; the oldest goes first.
pub const DRIFTS_KEPT: u32 = 20;

/// A difference between what a shop showed and what it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftRow {
    /// Of which stock.
    pub stock: StockId,
    /// Number of the read that found it.
    pub number: ReadNumber,
    /// When it was found.
    pub at: Timestamp,
    /// Whose it is.
    pub class: DriftClass,
    /// What the shop should have shown; `None`: that was not known.
    pub expected: Option<Quantity>,
    /// What it showed; `None`: it keeps no quantity there.
    pub shown: Option<Quantity>,
    /// What is done about it.
    pub action: DriftAction,
    /// Why an edit was not taken over by the ledger, as a code.
    pub why: Option<String>,
    /// What the stock held.
    pub sku: Option<Sku>,
}

impl DriftRow {
    /// One that a trusted comparison found.
    pub fn found(stock: StockId, sku: Option<Sku>, number: ReadNumber, drift: &Drift, at: Timestamp) -> Self {
        Self {
            stock,
            number,
            at,
            class: drift.class,
            expected: Some(drift.expected),
            shown: Some(drift.shown),
            action: drift.action,
            why: None,
            sku,
        }
    }

    /// How much more it showed than it should have, if both are known.
    pub fn difference(&self) -> Option<Quantity> {
        self.shown.zip(self.expected).map(|(shown, expected)| shown - expected)
    }

    /// Its place in lists.
    pub const fn key(&self) -> DriftKey {
        DriftKey { at: self.at, stock: self.stock, number: self.number }
    }
}

/// The place of a difference in lists, which begin with the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DriftKey {
    /// When it was found.
    pub at: Timestamp,
    /// Of which stock.
    pub stock: StockId,
    /// The read that found it.
    pub number: ReadNumber,
}

/// What became of an edit that the ledger was asked to take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftDecided {
    /// Of which stock.
    pub stock: StockId,
    /// The read that found it.
    pub number: ReadNumber,
    /// What is done about it.
    pub action: DriftAction,
    /// Why it was not taken over, as a code.
    pub why: Option<String>,
}

impl EgressTx {
    /// Keeps these differences, in the order they were found: of those of one stock and read the last. Forgets the oldest of
    /// their stocks if there are too many.
    pub async fn save_drifts(&mut self, drifts: &[DriftRow]) -> Result<(), Error> {
        if drifts.is_empty() {
            return Ok(());
        }
        let last: BTreeMap<(StockId, ReadNumber), &DriftRow> =
            drifts.iter().map(|drift| ((drift.stock, drift.number), drift)).collect();
        let sorted: Vec<&DriftRow> = last.into_values().collect();
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.save_drifts(&sorted).await,
            Backend::Postgres(tx) => tx.save_drifts(&sorted).await,
        }
    }

    /// Notes what became of edits. Those that were forgotten since are left out.
    pub async fn decide_drifts(&mut self, decided: &[DriftDecided]) -> Result<(), Error> {
        if decided.is_empty() {
            return Ok(());
        }
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.decide_drifts(decided).await,
            Backend::Postgres(tx) => tx.decide_drifts(decided).await,
        }
    }

    /// Calls the edits that these reads found an edit of many at once, if each found at least `many`.
    pub async fn mark_bulk_edits(&mut self, reads: &[(ShopId, ReadNumber)], many: u32) -> Result<(), Error> {
        if reads.is_empty() {
            return Ok(());
        }
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.mark_bulk_edits(reads, many).await,
            Backend::Postgres(tx) => tx.mark_bulk_edits(reads, many).await,
        }
    }
}
