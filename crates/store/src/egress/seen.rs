//! Stocks that are looked at without holding anybody up, and saved if nobody changed them meanwhile.

use values::StockId;

use super::{EgressTx, PushNotes, PushRow};
use crate::error::Error;
use crate::store::Store;

/// A stock as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPush {
    /// Its state.
    pub row: PushRow,
    /// What is noted of it.
    pub notes: PushNotes,
    /// Which of the states it had that was, where the database can tell; `None`: there was none.
    pub(crate) version: Option<i64>,
}

impl SeenPush {
    /// A stock nothing is known of yet.
    pub(crate) fn unknown(id: StockId) -> Self {
        Self { row: PushRow::unknown(id), notes: PushNotes::unknown(id), version: None }
    }

    /// Whether it is so.
    pub(crate) fn is(&self, row: &PushRow, notes: &PushNotes) -> bool {
        self.row == *row && self.notes == *notes
    }
}

/// Where only the states themselves tell whether they are the same.
pub(crate) const ANY_VERSION: i64 = 0;

/// As [`crate::Store::save_seen`], by looking at those that changed again.
pub(crate) async fn save_seen(
    store: &Store,
    seen: &[SeenPush],
    now: Vec<(PushRow, PushNotes)>,
) -> Result<Option<Vec<SeenPush>>, Error> {
    let changed = seen.iter().zip(&now).filter(|(seen, now)| !seen.is(&now.0, &now.1));
    let (before, after): (Vec<&SeenPush>, Vec<_>) = changed.unzip();
    if before.iter().any(|seen| seen.version.is_none()) {
        return Ok(None);
    }
    if !before.is_empty() {
        let mut tx = store.begin_egress().await?;
        if !tx.is_unchanged(before.iter().copied()).await? {
            return Ok(None);
        }
        let noted = before.iter().zip(&after).filter(|(seen, now)| seen.notes != now.1);
        let notes: Vec<PushNotes> = noted.map(|(_, now)| now.1.clone()).collect();
        let rows: Vec<PushRow> = after.into_iter().map(|now| now.0.clone()).collect();
        tx.save_all(&rows, &notes).await?;
        tx.commit().await?;
    }
    let saved = now.into_iter().zip(seen);
    let saved = saved.map(|((row, notes), seen)| SeenPush { row, notes, version: seen.version });
    Ok(Some(saved.collect()))
}

impl EgressTx {
    /// Loads the stocks, and says whether they are as they were seen.
    pub async fn is_unchanged<'s>(
        &mut self,
        seen: impl IntoIterator<Item = &'s SeenPush>,
    ) -> Result<bool, Error> {
        let seen: Vec<&SeenPush> = seen.into_iter().collect();
        let ids: Vec<StockId> = seen.iter().map(|seen| seen.row.id).collect();
        let (rows, notes) = (self.load(&ids).await?, self.load_notes(&ids).await?);
        Ok(seen.iter().zip(rows.iter().zip(&notes)).all(|(seen, (row, notes))| seen.is(row, notes)))
    }
}
