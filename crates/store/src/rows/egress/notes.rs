//! Notes of egress, as rows.

use values::{ProductId, ReadNumber, ShopId, StockId, Timestamp};

use super::super::columns::Row;
use super::super::{id, json, micros, signed, some_id, stock_id, timestamp, unsigned};
use super::{parse, told_of};
use crate::egress::{DueStock, PushCounts, PushNotes, SettleWish, Told};
use crate::error::Error;

/// The columns of [`NoteColumns`], of `n`.
macro_rules! note_columns {
    () => {
        "n.shop, n.holder, n.parent, n.wanted_since, n.wish, n.proof_seen, n.refusals, n.held_until, \
         n.attempts, n.traces"
    };
}
pub(crate) use note_columns;

pub(crate) type NoteColumns =
    (i64, i64, Option<i64>, Option<i64>, Option<String>, i64, i64, Option<i64>, String, Option<String>);

pub(crate) fn note_row(row: NoteColumns) -> Result<PushNotes, Error> {
    let (shop, holder, parent, wanted_since, wish, proof_seen, refusals, held_until, attempts, traces) = row;
    let attempts: Vec<serde_json::Value> = parse("attempts of a stock", &attempts)?;
    Ok(PushNotes {
        id: stock_id(shop, holder)?,
        parent: some_id("product", parent)?,
        wanted_since: wanted_since.map(timestamp),
        wish: wish.as_deref().map(wish_of).transpose()?,
        proof_seen: ReadNumber::new(unsigned("read number", proof_seen)?),
        refusals: u32::try_from(refusals).map_err(|_| Error::damaged("count", refusals))?,
        held_until: held_until.map(timestamp),
        attempts: attempts.iter().map(|attempt| told_of(&attempt.to_string())).collect::<Result<_, _>>()?,
        traces: traces.map_or(Ok(Vec::new()), |traces| parse("traces of a stock", &traces))?,
    })
}

fn wish_of(text: &str) -> Result<SettleWish, Error> {
    let (why, due_at, tries, asked) = parse::<(String, i64, u32, bool)>("wish for a settle", text)?;
    Ok(SettleWish { why, due_at: timestamp(due_at), tries, asked })
}

pub(crate) fn columns_of(notes: &PushNotes) -> impl Row<'_> + use<'_> {
    let attempt = |told: &Told| (told.at.micros(), told.delta.thousandths(), told.answer.clone());
    let attempts: Vec<_> = notes.attempts.iter().map(attempt).collect();
    let wish =
        notes.wish.as_ref().map(|wish| json(&(&wish.why, wish.due_at.micros(), wish.tries, wish.asked)));
    (
        notes.id.shop.get(),
        notes.id.holder.get(),
        notes.parent.map(ProductId::get),
        micros(notes.wanted_since),
        wish,
        signed(notes.proof_seen.get()),
        i64::from(notes.refusals),
        micros(notes.held_until),
        json(&attempts),
        (!notes.traces.is_empty()).then(|| json(&notes.traces)),
    )
}

/// From when on something may be due.
pub(crate) fn floor(from: Option<Timestamp>) -> i64 {
    from.map_or(i64::MIN, Timestamp::micros)
}

/// Holder and parent.
pub(crate) fn due_stock(shop: ShopId, row: (i64, Option<i64>, i64)) -> Result<DueStock, Error> {
    let (holder, parent, at) = row;
    let id = StockId { shop, holder: id("stock", holder)? };
    Ok(DueStock { id, parent: some_id("product", parent)?, at: timestamp(at) })
}

/// Unsettled, doubtful, blocked.
pub(crate) fn push_counts(row: (i64, i64, i64)) -> Result<PushCounts, Error> {
    let (unsettled, doubtful, blocked) = row;
    Ok(PushCounts {
        unsettled: unsigned("count", unsettled)?,
        doubtful: unsigned("count", doubtful)?,
        blocked: unsigned("count", blocked)?,
    })
}
