//! Notes of egress on SQLite.

use std::collections::HashMap;

use values::{ProductId, ShopId, StockId, Timestamp};

use super::super::{Sqlite, WriteTx};
use super::{SqliteEgressTx, keys};
use crate::egress::{ANY_VERSION, DueStock, PushCounts, PushNotes, PushRow, SeenPush};
use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::egress::notes::{
    NoteColumns, columns_of, due_stock, floor, note_columns, note_row, push_counts,
};
use crate::rows::{json, timestamp};

const LOAD: &str = concat!(
    "SELECT ",
    note_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN egress_notes AS n ON n.shop = w.value ->> 0 AND n.holder = w.value ->> 1"
);

const SAVE: &str = "
INSERT INTO egress_notes (shop, holder, parent, wanted_since, wish, proof_seen, refusals, held_until, attempts,
       traces)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       parent = excluded.parent, wanted_since = excluded.wanted_since, wish = excluded.wish,
       proof_seen = excluded.proof_seen, refusals = excluded.refusals, held_until = excluded.held_until,
       attempts = excluded.attempts, traces = excluded.traces";

/// By product, so that what one call can carry stands together.
const DUE: &str = "
SELECT e.holder, n.parent, e.due_at
  FROM egress_stocks AS e LEFT JOIN egress_notes AS n ON n.shop = e.shop AND n.holder = e.holder
 WHERE e.shop = ?1 AND e.due_at <= ?2 AND e.due_at >= ?6 AND (coalesce(n.parent, 0), e.holder) > (?3, ?4)
 ORDER BY coalesce(n.parent, 0), e.holder LIMIT ?5";

const COUNTS: &str = "
SELECT (SELECT count(*) FROM egress_notes WHERE wish IS NOT NULL),
       (SELECT count(*) FROM egress_stocks WHERE doubtful_until IS NOT NULL AND removed = 0),
       (SELECT count(*) FROM egress_stocks WHERE blocked IS NOT NULL)";

impl Sqlite {
    pub(crate) async fn push_notes(&self, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
        notes_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&self.readers).await)
    }

    /// From one committed state: a stock and its notes belong together.
    pub(crate) async fn see_pushes(&self, stocks: &[StockId]) -> Result<Vec<SeenPush>, Error> {
        let mut tx = self.readers.begin().await.map_err(failed("start to read"))?;
        let rows = super::rows_of(sqlx::query_as(super::LOAD).bind(keys(stocks)).fetch_all(&mut *tx).await)?;
        let notes = notes_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&mut *tx).await)?;
        tx.rollback().await.map_err(failed("end what was not written"))?;
        let mut rows: HashMap<StockId, PushRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let mut notes: HashMap<StockId, PushNotes> =
            notes.into_iter().map(|notes| (notes.id, notes)).collect();
        let seen = |stock: &StockId| SeenPush {
            version: rows.contains_key(stock).then_some(ANY_VERSION),
            row: rows.remove(stock).unwrap_or_else(|| PushRow::unknown(*stock)),
            notes: notes.remove(stock).unwrap_or_else(|| PushNotes::unknown(*stock)),
        };
        Ok(stocks.iter().map(seen).collect())
    }

    pub(crate) async fn stocks_due(
        &self,
        shop: ShopId,
        from: Option<Timestamp>,
        by: Timestamp,
        after: Option<DueStock>,
        limit: u32,
    ) -> Result<Vec<DueStock>, Error> {
        let parent = after.and_then(|due| due.parent).map_or(0, ProductId::get);
        let holder = after.map_or(0, |due| due.id.holder.get());
        let rows: Vec<(i64, Option<i64>, i64)> = sqlx::query_as(DUE)
            .bind(shop.get())
            .bind(by.micros())
            .bind(parent)
            .bind(holder)
            .bind(limit.min(PAGE_ROWS_MAX))
            .bind(floor(from))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for stocks due"))?;
        rows.into_iter().map(|row| due_stock(shop, row)).collect()
    }

    pub(crate) async fn next_due(
        &self,
        shop: ShopId,
        from: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Error> {
        let due: Option<i64> =
            sqlx::query_scalar("SELECT min(due_at) FROM egress_stocks WHERE shop = ?1 AND due_at >= ?2")
                .bind(shop.get())
                .bind(floor(from))
                .fetch_one(&self.readers)
                .await
                .map_err(failed("look for the next stock due"))?;
        Ok(due.map(timestamp))
    }

    pub(crate) async fn push_counts(&self) -> Result<PushCounts, Error> {
        let counts = sqlx::query_as(COUNTS).fetch_one(&self.readers).await.map_err(failed("count stocks"))?;
        push_counts(counts)
    }
}

impl SqliteEgressTx {
    pub(crate) async fn load_notes(&mut self, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
        let found = notes_in(&mut self.tx, stocks).await?;
        let found: HashMap<StockId, PushNotes> = found.into_iter().map(|notes| (notes.id, notes)).collect();
        let notes = |stock: &StockId| found.get(stock).cloned().unwrap_or_else(|| PushNotes::unknown(*stock));
        Ok(stocks.iter().map(notes).collect())
    }

    pub(crate) async fn save_notes(&mut self, notes: &[PushNotes]) -> Result<(), Error> {
        if notes.is_empty() {
            return Ok(());
        }
        let mut sorted: Vec<&PushNotes> = notes.iter().collect();
        sorted.sort_unstable_by_key(|notes| notes.id);
        let columns: Vec<_> = sorted.into_iter().map(columns_of).collect();
        sqlx::query(SAVE)
            .bind(json(&columns))
            .execute(&mut *self.tx)
            .await
            .map_err(failed("save notes of pushes"))?;
        Ok(())
    }
}

async fn notes_in(tx: &mut WriteTx, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
    notes_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&mut **tx).await)
}

fn notes_of(rows: Result<Vec<NoteColumns>, sqlx::Error>) -> Result<Vec<PushNotes>, Error> {
    rows.map_err(failed("read notes of pushes"))?.into_iter().map(note_row).collect()
}
