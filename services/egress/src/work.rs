//! One transaction over some stocks: loaded anew, decided on in memory, written back as far as they changed.

use std::collections::BTreeMap;

use push::DriftClass;
use store::{DriftDecided, DriftRow, EgressTx, Error, PushNotes, Store};
use values::{ReadNumber, ShopId, StockId, Timestamp};

use crate::stock::Stock;

/// So many stocks edited when one read found them were edited together: by an import, or a program.
const BULK_EDITS_MIN: u32 = 20;

/// Stocks within a transaction. Dropping it leaves everything as it was.
#[derive(Debug)]
pub(crate) struct Work {
    tx: EgressTx,
    /// In the order asked for.
    pub(crate) stocks: Vec<Stock>,
    /// Differences to be kept for people.
    pub(crate) drifts: Vec<DriftRow>,
    /// What became of edits that the ledger was asked to take over.
    pub(crate) decided: Vec<DriftDecided>,
    loaded_notes: Vec<PushNotes>,
}

impl Work {
    /// Loads the stocks; nobody else writes until this is done or dropped.
    pub(crate) async fn on(store: &Store, ids: &[StockId]) -> Result<Self, Error> {
        let mut tx = store.begin_egress().await?;
        let rows = tx.load(ids).await?;
        let loaded_notes = tx.load_notes(ids).await?;
        let stocks =
            rows.into_iter().zip(loaded_notes.clone()).map(|(row, notes)| Stock { row, notes }).collect();
        Ok(Self { tx, stocks, drifts: Vec::new(), decided: Vec::new(), loaded_notes })
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
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let Self { mut tx, stocks, drifts, decided, loaded_notes } = self;
        let (rows, notes): (Vec<_>, Vec<_>) =
            stocks.into_iter().map(|stock| (stock.row, stock.notes)).unzip();
        let changed: Vec<PushNotes> = notes
            .into_iter()
            .zip(&loaded_notes)
            .filter(|(now, before)| now != *before)
            .map(|(now, _)| now)
            .collect();
        tx.save_all(&rows, &changed).await?;
        tx.decide_drifts(&decided).await?;
        tx.save_drifts(&drifts).await?;
        tx.mark_bulk_edits(&edited(&drifts), BULK_EDITS_MIN).await?;
        tx.commit().await
    }
}

/// The reads that found edits of single stocks.
fn edited(drifts: &[DriftRow]) -> Vec<(ShopId, ReadNumber)> {
    let edits =
        drifts.iter().filter(|drift| matches!(drift.class, DriftClass::EditUp | DriftClass::EditDown));
    edits.map(|drift| (drift.stock.shop, drift.number)).collect()
}
