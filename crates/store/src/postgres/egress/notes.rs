//! Notes of egress on PostgreSQL. They are locked with the stocks that they are of: those are loaded first.

use std::collections::HashMap;

use sqlx::PgExecutor;
use values::{ProductId, ShopId, StockId, Timestamp};

use super::super::Postgres;
use super::super::parameters::{Parameters, all, none, one, with};
use super::{PgEgressTx, keys, page};
use crate::egress::{DueStock, PushCounts, PushNotes};
use crate::error::Error;
pub(super) use crate::rows::egress::notes::columns_of;
use crate::rows::egress::notes::{NoteColumns, due_stock, floor, note_columns, note_row, push_counts};
use crate::rows::timestamp;

const LOAD: &str = concat!(
    "SELECT ",
    note_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
      JOIN egress.notes AS n ON n.shop = w.shop AND n.holder = w.holder"
);

/// Saves notes, where a condition holds.
macro_rules! save_notes {
    ($from:literal, $where:literal) => {
        concat!(
            "
INSERT INTO egress.notes
       (shop, holder, parent, wanted_since, wish, proof_seen, refusals, held_until, attempts, traces)
SELECT w.shop, w.holder, w.parent, w.wanted_since, w.wish, w.proof_seen, w.refusals, w.held_until, w.attempts,
       w.traces
  FROM ",
            $from,
            "
       AS w (shop, holder, parent, wanted_since, wish, proof_seen, refusals, held_until, attempts, traces)",
            $where,
            "
    ON CONFLICT (shop, holder) DO UPDATE SET
       parent = excluded.parent, wanted_since = excluded.wanted_since, wish = excluded.wish,
       proof_seen = excluded.proof_seen, refusals = excluded.refusals, held_until = excluded.held_until,
       attempts = excluded.attempts, traces = excluded.traces"
        )
    };
    (many $where:literal) => {
        $crate::postgres::egress::notes::save_notes!(
            "unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
              $8::bigint[], $9::text[], $10::text[])",
            $where
        )
    };
    (one $where:literal) => {
        $crate::postgres::egress::notes::save_notes!(
            "(VALUES ($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::text, $6::bigint, $7::bigint, $8::bigint,
                $9::text, $10::text))",
            $where
        )
    };
}
pub(super) use save_notes;

pub(super) const SAVE: &str = save_notes!(many " ORDER BY w.shop, w.holder");

/// By product, so that what one call can carry stands together.
const DUE: &str = "
SELECT e.holder, n.parent, e.due_at
  FROM egress.stocks AS e LEFT JOIN egress.notes AS n ON n.shop = e.shop AND n.holder = e.holder
 WHERE e.shop = $1 AND e.due_at <= $2 AND e.due_at >= $6 AND (coalesce(n.parent, 0), e.holder) > ($3, $4)
 ORDER BY coalesce(n.parent, 0), e.holder LIMIT $5";

const NEXT_DUE: &str = "SELECT min(due_at) FROM egress.stocks WHERE shop = $1 AND due_at >= $2";

const COUNTS: &str = "
SELECT (SELECT count(*) FROM egress.notes WHERE wish IS NOT NULL),
       (SELECT count(*) FROM egress.stocks WHERE doubtful_until IS NOT NULL AND NOT removed),
       (SELECT count(*) FROM egress.stocks WHERE blocked IS NOT NULL)";

impl Postgres {
    pub(crate) async fn push_notes(&self, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
        notes(&self.pool, LOAD, keys(stocks)).await
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
        let parameters =
            with(shop.get()).and(by.micros()).and(parent).and(holder).and(page(limit)).and(floor(from));
        let rows: Vec<(i64, Option<i64>, i64)> =
            all(&self.pool, "look for stocks due", DUE, parameters).await?;
        rows.into_iter().map(|row| due_stock(shop, row)).collect()
    }

    pub(crate) async fn next_due(
        &self,
        shop: ShopId,
        from: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Error> {
        let (due,): (Option<i64>,) =
            one(&self.pool, "look for the next stock due", NEXT_DUE, with(shop.get()).and(floor(from)))
                .await?;
        Ok(due.map(timestamp))
    }

    pub(crate) async fn push_counts(&self) -> Result<PushCounts, Error> {
        push_counts(one(&self.pool, "count stocks", COUNTS, none()).await?)
    }
}

impl PgEgressTx {
    pub(crate) async fn load_notes(&mut self, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
        let found = notes(&mut *self.tx, LOAD, keys(stocks)).await?;
        let found: HashMap<StockId, PushNotes> = found.into_iter().map(|notes| (notes.id, notes)).collect();
        let notes = |stock: &StockId| found.get(stock).cloned().unwrap_or_else(|| PushNotes::unknown(*stock));
        Ok(stocks.iter().map(notes).collect())
    }

    pub(crate) async fn save_notes(&mut self, notes: &[PushNotes]) -> Result<(), Error> {
        self.save_all(&[], notes).await
    }
}

async fn notes<'e>(
    on: impl PgExecutor<'e>,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Vec<PushNotes>, Error> {
    let rows: Vec<NoteColumns> = all(on, "read notes of pushes", statement, parameters).await?;
    rows.into_iter().map(note_row).collect()
}
