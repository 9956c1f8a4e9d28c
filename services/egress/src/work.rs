//! Some stocks: loaded, decided on in memory, written back as far as they changed.

use std::collections::BTreeMap;

use push::DriftClass;
use store::{DriftDecided, DriftRow, EgressTx, Error, PushNotes, SeenPush, Store};
use values::{ReadNumber, ShopId, StockId, Timestamp};

use crate::stock::Stock;

/// So many stocks edited when one read found them were edited together: by an import, or a program.
const BULK_EDITS_MIN: u32 = 20;

/// Whether stocks are kept from others while something is decided about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nobody is held up. If somebody else changes one of them meanwhile, nothing is written.
    Free,
    /// Others wait.
    Locked,
}

/// What came of writing.
#[derive(Debug)]
pub(crate) enum Written {
    /// All that changed is durable; the stocks as they are now, in the order asked for, if that is known.
    All(Option<Vec<SeenPush>>),
    /// Nothing: somebody else changed one of the stocks since they were loaded. They are to be decided on again, locked.
    Nothing,
}

/// Dropping it leaves everything as it was.
#[derive(Debug)]
pub(crate) struct Work<'s> {
    store: &'s Store,
    held: Held,
    /// In the order asked for.
    pub(crate) stocks: Vec<Stock>,
    /// Differences to be kept for people.
    pub(crate) drifts: Vec<DriftRow>,
    /// What became of edits that the ledger was asked to take over.
    pub(crate) decided: Vec<DriftDecided>,
}

#[derive(Debug)]
enum Held {
    Not(Vec<SeenPush>),
    By(EgressTx, Vec<PushNotes>),
}

impl<'s> Work<'s> {
    /// Loads the stocks, each of which is asked for once.
    pub(crate) async fn on(store: &'s Store, ids: &[StockId], hold: Hold) -> Result<Self, Error> {
        if hold == Hold::Free {
            return Ok(Self::seen(store, store.see_pushes(ids).await?));
        }
        let mut tx = store.begin_egress().await?;
        let rows = tx.load(ids).await?;
        let notes = tx.load_notes(ids).await?;
        let stocks = rows.into_iter().zip(notes.clone()).map(|(row, notes)| Stock { row, notes }).collect();
        Ok(Self { store, held: Held::By(tx, notes), stocks, drifts: Vec::new(), decided: Vec::new() })
    }

    /// On stocks that were seen, or written, a moment ago.
    pub(crate) fn seen(store: &'s Store, seen: Vec<SeenPush>) -> Self {
        let stock = |seen: &SeenPush| Stock { row: seen.row.clone(), notes: seen.notes.clone() };
        let stocks = seen.iter().map(stock).collect();
        Self { store, held: Held::Not(seen), stocks, drifts: Vec::new(), decided: Vec::new() }
    }

    /// When the first of each shop's stocks is due, of those that are at all.
    pub(crate) fn due(&self) -> BTreeMap<ShopId, Timestamp> {
        let mut first = BTreeMap::new();
        for (shop, at) in self.stocks.iter().filter_map(|stock| Some((stock.row.id.shop, stock.row.due_at?)))
        {
            first.entry(shop).and_modify(|first: &mut Timestamp| *first = at.min(*first)).or_insert(at);
        }
        first
    }

    /// Writes what changed, durably.
    pub(crate) async fn commit(self) -> Result<Written, Error> {
        let Self { store, held, stocks, drifts, decided } = self;
        let (mut tx, loaded) = match held {
            Held::By(tx, loaded) => (tx, loaded),
            Held::Not(seen) if drifts.is_empty() && decided.is_empty() => {
                let now = stocks.into_iter().map(|stock| (stock.row, stock.notes)).collect();
                let saved = store.save_seen(&seen, now).await?;
                return Ok(saved.map_or(Written::Nothing, |saved| Written::All(Some(saved))));
            }
            Held::Not(seen) => {
                let mut tx = store.begin_egress().await?;
                if !tx.is_unchanged(&seen).await? {
                    return Ok(Written::Nothing);
                }
                (tx, seen.into_iter().map(|seen| seen.notes).collect())
            }
        };
        let (rows, notes): (Vec<_>, Vec<_>) =
            stocks.into_iter().map(|stock| (stock.row, stock.notes)).unzip();
        let changed: Vec<PushNotes> = notes
            .into_iter()
            .zip(&loaded)
            .filter(|(now, before)| now != *before)
            .map(|(now, _)| now)
            .collect();
        tx.save_all(&rows, &changed).await?;
        tx.decide_drifts(&decided).await?;
        tx.save_drifts(&drifts).await?;
        tx.mark_bulk_edits(&edited(&drifts), BULK_EDITS_MIN).await?;
        tx.commit().await?;
        Ok(Written::All(None))
    }
}

/// The reads that found edits of single stocks.
fn edited(drifts: &[DriftRow]) -> Vec<(ShopId, ReadNumber)> {
    let edits =
        drifts.iter().filter(|drift| matches!(drift.class, DriftClass::EditUp | DriftClass::EditDown));
    edits.map(|drift| (drift.stock.shop, drift.number)).collect()
}
