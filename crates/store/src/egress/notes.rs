//! What egress notes of a stock beside the state of its pushes: how it is reached, when it is to be proven, and what
//! people want to know of it.

use values::{ProductId, ReadNumber, StockId, Timestamp};

use super::{Backend, EgressTx, PushRow, Told};
use crate::error::Error;

/// Most attempts remembered of a stock.
pub const ATTEMPTS_KEPT: usize = 5;

/// Most traces remembered of a stock. What comes later before a push is made is not linked to it.
pub const TRACES_KEPT: usize = 8;

/// A settle that egress wishes for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettleWish {
    /// Why, as a code.
    pub why: String,
    /// When it is to be asked for, or asked for again.
    pub due_at: Timestamp,
    /// Answers in a row that proved nothing.
    pub tries: u32,
    /// It was asked for and is not answered yet.
    pub asked: bool,
}

/// What is noted of one stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushNotes {
    /// Which.
    pub id: StockId,
    /// The product, if the holder is a variation: such a stock is reached only through it.
    pub parent: Option<ProductId>,
    /// Since when the shop shows something else than it should.
    pub wanted_since: Option<Timestamp>,
    /// The settle that is wished for.
    pub wish: Option<SettleWish>,
    /// Number of the proof that was looked at last, trusted or not.
    pub proof_seen: ReadNumber,
    /// Refusals and useless answers in a row.
    pub refusals: u32,
    /// Until then the push that was refused is not tried again.
    pub held_until: Option<Timestamp>,
    /// The last pushes, oldest first; at most [`ATTEMPTS_KEPT`].
    pub attempts: Vec<Told>,
    /// Places in the traces of what made a push necessary, the first before the others, until the shop shows what it
    /// should; at most [`TRACES_KEPT`].
    pub traces: Vec<String>,
}

impl PushNotes {
    /// A stock nothing is noted of yet.
    pub const fn unknown(id: StockId) -> Self {
        Self {
            id,
            parent: None,
            wanted_since: None,
            wish: None,
            proof_seen: ReadNumber::ZERO,
            refusals: 0,
            held_until: None,
            attempts: Vec::new(),
            traces: Vec::new(),
        }
    }

    /// Remembers an attempt, and forgets the oldest if there are too many.
    pub fn remember(&mut self, attempt: Told) {
        self.attempts.push(attempt);
        if self.attempts.len() > ATTEMPTS_KEPT {
            self.attempts.remove(0);
        }
    }

    /// Remembers a trace that the next push belongs to, unless there are enough.
    pub fn caused_by(&mut self, traceparent: &str) {
        if self.traces.len() < TRACES_KEPT {
            self.traces.push(traceparent.to_owned());
        }
    }
}

/// A stock that is due, and what is needed to put it into a call with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueStock {
    /// Which.
    pub id: StockId,
    /// The product, if the holder is a variation.
    pub parent: Option<ProductId>,
    /// Since when it is due, or when it will be.
    pub at: Timestamp,
}

/// How many stocks are in a state that somebody should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PushCounts {
    /// A settle is wished for.
    pub unsettled: u64,
    /// It is not known whether the last push arrived.
    pub doubtful: u64,
    /// Nothing can be pushed.
    pub blocked: u64,
}

impl EgressTx {
    /// What is noted of the stocks, in the order asked for.
    pub async fn load_notes(&mut self, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.load_notes(stocks).await,
            Backend::Postgres(tx) => tx.load_notes(stocks).await,
        }
    }

    /// Writes what changed of the stocks, and these notes.
    pub async fn save_all(&mut self, rows: &[PushRow], notes: &[PushNotes]) -> Result<(), Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => {
                tx.save(rows).await?;
                tx.save_notes(notes).await
            }
            Backend::Postgres(tx) => tx.save_all(rows, notes).await,
        }
    }

    /// Writes these notes.
    pub async fn save_notes(&mut self, notes: &[PushNotes]) -> Result<(), Error> {
        match &mut self.backend {
            Backend::Sqlite(tx) => tx.save_notes(notes).await,
            Backend::Postgres(tx) => tx.save_notes(notes).await,
        }
    }
}
