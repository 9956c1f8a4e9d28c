//! Stocks that are looked at without a lock and saved by one statement, which also finds out whether somebody changed them
//! meanwhile: whatever a transaction of egress writes of a stock, its row is written with it, and so gets another `xmin`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use hashlink::LruCache;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use values::StockId;

use super::super::Postgres;
use super::super::combine::combined;
use super::super::parameters::{Parameters, all, row, rows};
use super::{columns_of, keys, notes, save_stocks};
use crate::egress::{PushNotes, PushRow, SeenPush};
use crate::error::Error;
use crate::rows::egress::notes::{NoteColumns, note_columns, note_row};
use crate::rows::egress::{PushColumns, push_columns, push_row};
use crate::rows::stock_id;

const SEE: &str = concat!(
    "SELECT ",
    push_columns!(),
    ", ",
    note_columns!(),
    ", e.xmin::text::bigint
       FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
       JOIN egress.stocks AS e ON e.shop = w.shop AND e.holder = w.holder
       LEFT JOIN egress.notes AS n ON n.shop = e.shop AND n.holder = e.holder"
);

/// Whether all are as they were seen. They are locked in the order of their keys, as by everybody else; one that somebody
/// changes at this moment is waited for, and looked at again.
const UNCHANGED: &str = "
SELECT count(*) = cardinality($1::bigint[]) AS whole
  FROM (SELECT u.shop, u.holder, u.version
          FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (shop, holder, version)
         ORDER BY u.shop, u.holder) AS w
 CROSS JOIN LATERAL
       (SELECT e.shop FROM egress.stocks AS e
         WHERE e.shop = w.shop AND e.holder = w.holder AND e.xmin::text::bigint = w.version
        OFFSET 0 FOR NO KEY UPDATE) AS l";

/// The first of the statements is named `s0`.
static SAVE: LazyLock<String> = LazyLock::new(|| {
    combined(&[
        UNCHANGED,
        notes::save_notes!(many " WHERE (SELECT s0.whole FROM s0) ORDER BY w.shop, w.holder"),
        concat!(
            save_stocks!(many " AND (SELECT s0.whole FROM s0)"),
            " RETURNING e.shop, e.holder, e.xmin::text::bigint"
        ),
    ])
});

/// One stock alone, as most are where little goes on: a third of the time. One that somebody changes at this moment is waited
/// for, and then it is not as it was seen.
const SAVE_ONE: &str = concat!(
    save_stocks!(one " AND e.xmin::text::bigint = $17"),
    " RETURNING e.shop, e.holder, e.xmin::text::bigint AS version"
);

/// The same, and what is noted of it.
static SAVE_ONE_NOTED: LazyLock<String> = LazyLock::new(|| {
    combined(&[
        SAVE_ONE,
        notes::save_notes!(one " WHERE EXISTS (SELECT FROM s0)"),
        "SELECT s0.shop, s0.holder, s0.version FROM s0",
    ])
});

/// Place of the first column of the notes.
const NOTES_AT: usize = 16;
/// Place of the version, which comes last.
const VERSION_AT: usize = NOTES_AT + 10;

/// A stock as it was seen, and as it is now.
type Change<'a> = (&'a SeenPush, &'a (PushRow, PushNotes));

struct SeenColumns {
    row: PushColumns,
    notes: Option<NoteColumns>,
    version: i64,
}

impl<'r> FromRow<'r, PgRow> for SeenColumns {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let at = |place| NOTES_AT + place;
        let noted: Option<i64> = row.try_get(at(0))?;
        let notes = match noted {
            None => None,
            Some(shop) => Some((
                shop,
                row.try_get(at(1))?,
                row.try_get(at(2))?,
                row.try_get(at(3))?,
                row.try_get(at(4))?,
                row.try_get(at(5))?,
                row.try_get(at(6))?,
                row.try_get(at(7))?,
                row.try_get(at(8))?,
                row.try_get(at(9))?,
            )),
        };
        Ok(Self { row: PushColumns::from_row(row)?, notes, version: row.try_get(VERSION_AT)? })
    }
}

fn seen(columns: SeenColumns) -> Result<SeenPush, Error> {
    let row = push_row(columns.row)?;
    let notes = columns.notes.map_or(Ok(PushNotes::unknown(row.id)), note_row)?;
    Ok(SeenPush { row, notes, version: Some(columns.version) })
}

/// Stocks of egress as this process saved them last. Whether they still are so is found out when they are saved.
#[derive(Debug)]
pub(in crate::postgres) struct PushMemory(Mutex<LruCache<StockId, SeenPush>>);

/// Most stocks remembered by a process, some 600 bytes each.
const REMEMBERED_MAX: usize = 4_096;

impl PushMemory {
    pub(in crate::postgres) fn new() -> Self {
        // Grows as it is used.
        Self(Mutex::new(LruCache::new(REMEMBERED_MAX)))
    }

    fn recall(&self, stocks: &[StockId]) -> HashMap<StockId, SeenPush> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stocks.iter().filter_map(|stock| Some((*stock, memory.get(stock)?.clone()))).collect()
    }

    fn remember<'s>(&self, seen: impl Iterator<Item = &'s SeenPush>) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for seen in seen {
            memory.insert(seen.row.id, seen.clone());
        }
    }

    pub(super) fn forget(&self, stocks: impl IntoIterator<Item = StockId>) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for stock in stocks {
            memory.remove(&stock);
        }
    }
}

/// The statement that saves what changed of these, whose keys and versions are `places`.
fn saving(places: &[(i64, i64, i64)], changed: &[Change<'_>]) -> (&'static str, Parameters) {
    let noted = changed.iter().filter(|(seen, now)| seen.notes != now.1);
    let mut noted = noted.map(|(_, now)| notes::columns_of(&now.1));
    if let ([(_, now)], [(.., version)]) = (changed, places) {
        let one = row(columns_of(&now.0)).and(*version);
        return match noted.next() {
            Some(noted) => (SAVE_ONE_NOTED.as_str(), one.and_row(noted)),
            None => (SAVE_ONE, one),
        };
    }
    let noted: Vec<_> = noted.collect();
    let stocks: Vec<_> = changed.iter().map(|(_, now)| columns_of(&now.0)).collect();
    (SAVE.as_str(), rows(places).and_rows(&noted).and_rows(&stocks))
}

impl Postgres {
    pub(crate) async fn recall_pushes(&self, stocks: &[StockId]) -> Result<Vec<SeenPush>, Error> {
        let mut found = self.pushes.recall(stocks);
        let others: Vec<StockId> =
            stocks.iter().filter(|stock| !found.contains_key(stock)).copied().collect();
        if !others.is_empty() {
            found.extend(self.see_pushes(&others).await?.into_iter().map(|seen| (seen.row.id, seen)));
        }
        let seen = |stock: &StockId| found.remove(stock).unwrap_or_else(|| SeenPush::unknown(*stock));
        Ok(stocks.iter().map(seen).collect())
    }

    pub(crate) async fn see_pushes(&self, stocks: &[StockId]) -> Result<Vec<SeenPush>, Error> {
        let found: Vec<SeenColumns> = all(&self.pool, "look at pushes", SEE, keys(stocks)).await?;
        let mut found: HashMap<StockId, SeenPush> = found
            .into_iter()
            .map(|columns| seen(columns).map(|seen| (seen.row.id, seen)))
            .collect::<Result<_, _>>()?;
        Ok(stocks
            .iter()
            .map(|stock| found.remove(stock).unwrap_or_else(|| SeenPush::unknown(*stock)))
            .collect())
    }

    /// One statement, which is a transaction by itself. All of the stocks are there; each once.
    pub(crate) async fn save_seen(
        &self,
        seen: &[SeenPush],
        now: Vec<(PushRow, PushNotes)>,
    ) -> Result<Option<Vec<SeenPush>>, Error> {
        let changed: Vec<Change<'_>> =
            seen.iter().zip(&now).filter(|(seen, now)| !seen.is(&now.0, &now.1)).collect();
        let place = |(seen, _): &(&SeenPush, _)| {
            Some((seen.row.id.shop.get(), seen.row.id.holder.get(), seen.version?))
        };
        let Some(places) = changed.iter().map(place).collect::<Option<Vec<(i64, i64, i64)>>>() else {
            // It would be found that nothing is there.
            return Ok(None);
        };
        let mut versions: HashMap<StockId, i64> = HashMap::new();
        if !changed.is_empty() {
            let (statement, parameters) = saving(&places, &changed);
            let saved: Vec<(i64, i64, i64)> =
                all(&self.pool, "save pushes that were looked at", statement, parameters).await?;
            if saved.len() < changed.len() {
                self.pushes.forget(changed.iter().map(|(seen, _)| seen.row.id));
                return Ok(None);
            }
            for (shop, holder, version) in saved {
                versions.insert(stock_id(shop, holder)?, version);
            }
        }
        drop(changed);
        let saved = seen.iter().zip(now).map(|(seen, (row, notes))| SeenPush {
            version: versions.get(&row.id).copied().or(seen.version),
            row,
            notes,
        });
        let saved: Vec<SeenPush> = saved.collect();
        // What stayed as it was seen was not looked at: it may be older than what is remembered.
        self.pushes.remember(saved.iter().filter(|seen| versions.contains_key(&seen.row.id)));
        Ok(Some(saved))
    }
}
