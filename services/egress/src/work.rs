//! One transaction over some stocks: loaded anew, decided on in memory, written back as far as they changed.

use store::{EgressTx, Error, PushNotes, Store};
use values::StockId;

use crate::stock::Stock;

/// Stocks within a transaction. Dropping it leaves everything as it was.
#[derive(Debug)]
pub(crate) struct Work {
    tx: EgressTx,
    /// In the order asked for.
    pub(crate) stocks: Vec<Stock>,
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
        Ok(Self { tx, stocks, loaded_notes })
    }

    /// Writes what changed, durably.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let Self { mut tx, stocks, loaded_notes } = self;
        let (rows, notes): (Vec<_>, Vec<_>) =
            stocks.into_iter().map(|stock| (stock.row, stock.notes)).unzip();
        let changed: Vec<PushNotes> = notes
            .into_iter()
            .zip(&loaded_notes)
            .filter(|(now, before)| now != *before)
            .map(|(now, _)| now)
            .collect();
        tx.save_all(&rows, &changed).await?;
        tx.commit().await
    }
}
