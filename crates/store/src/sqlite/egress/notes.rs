//! Notes of egress on SQLite.

use std::collections::HashMap;

use values::{HolderId, ProductId, Quantity, ReadNumber, ShopId, StockId, Timestamp};

use super::super::rows::{id, json, micros, quantity, signed, some_id, stock_id, timestamp, unsigned};
use super::super::{Sqlite, WriteTx};
use super::{SqliteEgressTx, keys, parse, told_of};
use crate::egress::{DriftFound, DueStock, PushCounts, PushNotes, SettleWish, Told};
use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;

macro_rules! note_columns {
    () => {
        "n.shop, n.holder, n.parent, n.wanted_since, n.wish, n.proof_seen, n.refusals, n.held_until, \
         n.attempts, n.drift"
    };
}

const LOAD: &str = concat!(
    "SELECT ",
    note_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN egress_notes AS n ON n.shop = w.value ->> 0 AND n.holder = w.value ->> 1"
);

const DRIFTED: &str = concat!(
    "SELECT ",
    note_columns!(),
    " FROM egress_notes AS n WHERE n.drift IS NOT NULL AND n.shop = ?1 AND n.holder > ?2 ORDER BY n.holder LIMIT ?3"
);

const SAVE: &str = "
INSERT INTO egress_notes (shop, holder, parent, wanted_since, wish, proof_seen, refusals, held_until, attempts,
       drift)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       parent = excluded.parent, wanted_since = excluded.wanted_since, wish = excluded.wish,
       proof_seen = excluded.proof_seen, refusals = excluded.refusals, held_until = excluded.held_until,
       attempts = excluded.attempts, drift = excluded.drift";

/// By product, so that what one call can carry stands together.
const DUE: &str = "
SELECT e.holder, n.parent
  FROM egress_stocks AS e LEFT JOIN egress_notes AS n ON n.shop = e.shop AND n.holder = e.holder
 WHERE e.shop = ?1 AND e.due_at <= ?2 AND (coalesce(n.parent, 0), e.holder) > (?3, ?4)
 ORDER BY coalesce(n.parent, 0), e.holder LIMIT ?5";

const COUNTS: &str = "
SELECT (SELECT count(*) FROM egress_notes WHERE wish IS NOT NULL),
       (SELECT count(*) FROM egress_stocks WHERE doubtful_until IS NOT NULL AND removed = 0),
       (SELECT count(*) FROM egress_stocks WHERE blocked IS NOT NULL)";

impl Sqlite {
    pub(crate) async fn push_notes(&self, stocks: &[StockId]) -> Result<Vec<PushNotes>, Error> {
        notes_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&self.readers).await)
    }

    pub(crate) async fn pushes_drifted(
        &self,
        shop: ShopId,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushNotes>, Error> {
        let holder = after.map_or(0, |stock| stock.holder.get());
        let drifted = sqlx::query_as(DRIFTED).bind(shop.get()).bind(holder).bind(limit.min(PAGE_ROWS_MAX));
        notes_of(drifted.fetch_all(&self.readers).await)
    }

    pub(crate) async fn stocks_due(
        &self,
        shop: ShopId,
        now: Timestamp,
        after: Option<DueStock>,
        limit: u32,
    ) -> Result<Vec<DueStock>, Error> {
        let parent = after.and_then(|due| due.parent).map_or(0, ProductId::get);
        let holder = after.map_or(0, |due| due.id.holder.get());
        let rows: Vec<(i64, Option<i64>)> = sqlx::query_as(DUE)
            .bind(shop.get())
            .bind(now.micros())
            .bind(parent)
            .bind(holder)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for stocks due"))?;
        rows.into_iter()
            .map(|(holder, parent)| {
                let holder: HolderId = id("stock", holder)?;
                Ok(DueStock { id: StockId { shop, holder }, parent: some_id("product", parent)? })
            })
            .collect()
    }

    pub(crate) async fn next_due(&self, shop: ShopId) -> Result<Option<Timestamp>, Error> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT min(due_at) FROM egress_stocks WHERE shop = ?1 AND due_at IS NOT NULL",
        )
        .bind(shop.get())
        .fetch_one(&self.readers)
        .await
        .map_err(failed("look for the next stock due"))?;
        Ok(due.map(timestamp))
    }

    pub(crate) async fn push_counts(&self) -> Result<PushCounts, Error> {
        let (unsettled, doubtful, blocked): (i64, i64, i64) =
            sqlx::query_as(COUNTS).fetch_one(&self.readers).await.map_err(failed("count stocks"))?;
        Ok(PushCounts {
            unsettled: unsigned("count", unsettled)?,
            doubtful: unsigned("count", doubtful)?,
            blocked: unsigned("count", blocked)?,
        })
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

type NoteColumns =
    (i64, i64, Option<i64>, Option<i64>, Option<String>, i64, u32, Option<i64>, String, Option<String>);

fn notes_of(rows: Result<Vec<NoteColumns>, sqlx::Error>) -> Result<Vec<PushNotes>, Error> {
    rows.map_err(failed("read notes of pushes"))?.into_iter().map(note_row).collect()
}

fn note_row(row: NoteColumns) -> Result<PushNotes, Error> {
    let (shop, holder, parent, wanted_since, wish, proof_seen, refusals, held_until, attempts, drift) = row;
    let attempts: Vec<serde_json::Value> = parse("attempts of a stock", &attempts)?;
    Ok(PushNotes {
        id: stock_id(shop, holder)?,
        parent: some_id("product", parent)?,
        wanted_since: wanted_since.map(timestamp),
        wish: wish.as_deref().map(wish_of).transpose()?,
        proof_seen: ReadNumber::new(unsigned("read number", proof_seen)?),
        refusals,
        held_until: held_until.map(timestamp),
        attempts: attempts.iter().map(|attempt| told_of(&attempt.to_string())).collect::<Result<_, _>>()?,
        drift: drift.as_deref().map(drift_of).transpose()?,
    })
}

fn wish_of(text: &str) -> Result<SettleWish, Error> {
    let (why, due_at, tries, asked) = parse::<(String, i64, u32, bool)>("wish for a settle", text)?;
    Ok(SettleWish { why, due_at: timestamp(due_at), tries, asked })
}

fn drift_of(text: &str) -> Result<DriftFound, Error> {
    let (at, kind, found) = parse::<(i64, String, i64)>("drift of a stock", text)?;
    Ok(DriftFound { at: timestamp(at), kind, quantity: quantity(found) })
}

fn columns_of(notes: &PushNotes) -> impl serde::Serialize + use<'_> {
    let attempt = |told: &Told| (told.at.micros(), told.delta.thousandths(), told.answer.clone());
    let attempts: Vec<_> = notes.attempts.iter().map(attempt).collect();
    let wish =
        notes.wish.as_ref().map(|wish| json(&(&wish.why, wish.due_at.micros(), wish.tries, wish.asked)));
    let drift = notes
        .drift
        .as_ref()
        .map(|drift| json(&(drift.at.micros(), &drift.kind, Quantity::thousandths(drift.quantity))));
    (
        notes.id.shop.get(),
        notes.id.holder.get(),
        notes.parent.map(ProductId::get),
        micros(notes.wanted_since),
        wish,
        signed(notes.proof_seen.get()),
        notes.refusals,
        micros(notes.held_until),
        json(&attempts),
        drift,
    )
}
