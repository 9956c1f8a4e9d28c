//! Push state on PostgreSQL.

mod drifts;
mod notes;
pub(super) mod seen;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use sqlx::PgExecutor;
use values::{ShopId, StockId, Timestamp};

use super::combine::combined;
use super::parameters::{Parameters, all, maybe, none, page, rows, run, with};
use super::{Postgres, WriteTx, commit};
use crate::egress::{DueShop, PushNotes, PushRow, ShopLane};
use crate::error::Error;
use crate::inventory::ShopFilter;
use crate::rows::egress::{
    DueShopColumns, LaneColumns, PushColumns, columns_of, due_shop, lane, push_columns, push_row,
};
use crate::rows::micros;
use seen::PushMemory;

const LOAD: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
      JOIN egress.stocks AS e ON e.shop = w.shop AND e.holder = w.holder AND e.known"
);

/// Those that are not there are made, so that they can be locked. Two transactions that make the same wait for each other
/// here, each in the order of the keys, before either has locked anything.
const MAKE: &str = "
INSERT INTO egress.stocks (shop, holder, known, log, pushed, settled, removed)
SELECT w.shop, w.holder, false, '[]', false, 0, false
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
 WHERE NOT EXISTS (SELECT 1 FROM egress.stocks AS e WHERE e.shop = w.shop AND e.holder = w.holder)
 ORDER BY w.shop, w.holder
    ON CONFLICT (shop, holder) DO NOTHING";

const BEGIN_ANEW: &str = "ROLLBACK AND CHAIN";

/// Row by row, however few there were when the plan was made: it is kept while the table grows.
const LOCK: &str = concat!(
    "SELECT l.* FROM (SELECT u.shop, u.holder FROM unnest($1::bigint[], $2::bigint[]) AS u (shop, holder)
                       ORDER BY u.shop, u.holder) AS w
      CROSS JOIN LATERAL (SELECT ",
    push_columns!(),
    " FROM egress.stocks AS e WHERE e.shop = w.shop AND e.holder = w.holder OFFSET 0 FOR NO KEY UPDATE) AS l"
);

const INTENDED: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress.stocks AS e WHERE e.intent IS NOT NULL AND (e.shop, e.holder) > ($1, $2)
     ORDER BY e.shop, e.holder LIMIT $3"
);

/// Saves stocks that are there, and what else is said of them.
macro_rules! save_stocks {
    ($from:literal, $and:literal) => {
        concat!(
            "
UPDATE egress.stocks AS e SET
       known = true, sku = w.sku, target = w.target, base = w.base, intent = w.intent, intent_owner = w.intent_owner,
       doubtful_until = w.doubtful_until, log = w.log, log_floor = w.log_floor, pushed = w.pushed, settled = w.settled,
       due_at = w.due_at, blocked = w.blocked, told = w.told, removed = w.removed
  FROM ",
            $from,
            "
       AS w (shop, holder, sku, target, base, intent, intent_owner, doubtful_until, log, log_floor, pushed, settled,
             due_at, blocked, told, removed)
 WHERE e.shop = w.shop AND e.holder = w.holder",
            $and
        )
    };
    (many $and:literal) => {
        save_stocks!(
            "unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
              $9::text[], $10::bigint[], $11::boolean[], $12::bigint[], $13::bigint[], $14::text[], $15::text[],
              $16::boolean[])",
            $and
        )
    };
    (one $and:literal) => {
        save_stocks!(
            "(VALUES ($1::bigint, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::text, $8::bigint, $9::text,
                $10::bigint, $11::boolean, $12::bigint, $13::bigint, $14::text, $15::text, $16::boolean))",
            $and
        )
    };
}
use save_stocks;

/// As a rule the rows are there, and locked by whoever loaded them.
const SAVE: &str = save_stocks!(many "");

/// That of the stocks comes last: it tells how many there were.
static SAVE_ALL: LazyLock<String> = LazyLock::new(|| combined(&[notes::SAVE, SAVE]));

const DUE_SHOPS: &str = "
SELECT shop, min(due_at), count(*) FROM egress.stocks
 WHERE due_at <= $1 AND ($2 = 0 OR shop % nullif($2, 0) = $3) GROUP BY shop ORDER BY shop";

const SAVE_LANE: &str = "
INSERT INTO egress.shops (shop, breaker, cause, until, calls_per_minute, at) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (shop) DO UPDATE SET
       breaker = excluded.breaker, cause = excluded.cause, until = excluded.until,
       calls_per_minute = excluded.calls_per_minute, at = excluded.at";

const LANE: &str = "SELECT breaker, cause, until, calls_per_minute, at FROM egress.shops WHERE shop = $1";

/// A transaction of egress on PostgreSQL. What it loads nobody else loads until it ends; load everything in one call, since
/// each call locks in the order of the keys.
#[derive(Debug)]
pub(crate) struct PgEgressTx {
    pub(super) tx: WriteTx,
    memory: Arc<PushMemory>,
    loaded: HashMap<StockId, PushRow>,
    /// Something was written, so that it cannot begin anew.
    written: bool,
}

impl Postgres {
    pub(crate) async fn begin_egress(&self) -> Result<PgEgressTx, Error> {
        let memory = Arc::clone(&self.pushes);
        Ok(PgEgressTx { tx: self.write().await?, memory, loaded: HashMap::new(), written: false })
    }

    pub(crate) async fn pushes(&self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        pushes(&self.pool, LOAD, keys(stocks)).await
    }

    pub(crate) async fn open_intents(
        &self,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        pushes(&self.pool, INTENDED, with(shop).and(holder).and(page(limit))).await
    }

    pub(crate) async fn shops_due(&self, filter: ShopFilter, now: Timestamp) -> Result<Vec<DueShop>, Error> {
        let (of, rest) = filter.divisor_and_rest();
        let parameters = with(now.micros()).and(i64::from(of)).and(i64::from(rest));
        let rows: Vec<DueShopColumns> =
            all(&self.pool, "look for shops with pushes due", DUE_SHOPS, parameters).await?;
        rows.into_iter().map(due_shop).collect()
    }

    pub(crate) async fn save_lane(&self, lane: &ShopLane) -> Result<(), Error> {
        let parameters = with(lane.shop.get())
            .and(&lane.breaker)
            .and(&lane.cause)
            .and(micros(lane.until))
            .and(i64::from(lane.calls_per_minute))
            .and(lane.at.micros());
        run(&self.pool, "save how a shop takes pushes", SAVE_LANE, parameters).await?;
        Ok(())
    }

    pub(crate) async fn lane(&self, shop: ShopId) -> Result<Option<ShopLane>, Error> {
        let row: Option<LaneColumns> =
            maybe(&self.pool, "read how a shop takes pushes", LANE, with(shop.get())).await?;
        row.map(|row| lane(shop, row)).transpose()
    }
}

impl PgEgressTx {
    pub(crate) async fn load(&mut self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        // They are others when this is over.
        self.memory.forget(stocks.iter().copied());
        let mut found = pushes(&mut *self.tx, LOCK, keys(stocks)).await?;
        if found.len() < stocks.iter().collect::<BTreeSet<_>>().len() {
            // As a rule all are there. If not, they are made before any is locked: what was locked is let go.
            if self.loaded.is_empty() && !self.written {
                run(&mut *self.tx, "begin anew", BEGIN_ANEW, none()).await?;
            }
            run(&mut *self.tx, "make room for pushes", MAKE, keys(stocks)).await?;
            found = pushes(&mut *self.tx, LOCK, keys(stocks)).await?;
        }
        self.loaded.extend(found.into_iter().map(|row| (row.id, row)));
        let loaded = &mut self.loaded;
        let row = |stock: &StockId| loaded.entry(*stock).or_insert_with(|| PushRow::unknown(*stock)).clone();
        Ok(stocks.iter().map(row).collect())
    }

    pub(crate) async fn save(&mut self, rows_now: &[PushRow]) -> Result<(), Error> {
        let changed: Vec<&PushRow> =
            rows_now.iter().filter(|row| self.loaded.get(&row.id) != Some(*row)).collect();
        let columns: Vec<_> = changed.iter().map(|row| columns_of(row)).collect();
        if !columns.is_empty() {
            self.written = true;
            let found = run(&mut *self.tx, "save pushes", SAVE, rows(&columns)).await?;
            if is_short(found, columns.len()) {
                let ids: Vec<StockId> = changed.iter().map(|row| row.id).collect();
                run(&mut *self.tx, "make room for pushes", MAKE, keys(&ids)).await?;
                run(&mut *self.tx, "save pushes", SAVE, rows(&columns)).await?;
            }
        }
        for row in changed {
            self.loaded.insert(row.id, row.clone());
        }
        Ok(())
    }

    /// Both in one round trip. The row of a stock is written with its notes, also if it is as it was: who looked at both
    /// without a lock finds out by the row that they have changed.
    pub(crate) async fn save_all(&mut self, rows_now: &[PushRow], notes: &[PushNotes]) -> Result<(), Error> {
        let noted: HashSet<StockId> = notes.iter().map(|notes| notes.id).collect();
        let is_written = |row: &&PushRow| noted.contains(&row.id) || self.loaded.get(&row.id) != Some(*row);
        let mut written: Vec<PushRow> = rows_now.iter().filter(is_written).cloned().collect();
        let given: HashSet<StockId> = rows_now.iter().map(|row| row.id).collect();
        written.extend(noted.difference(&given).filter_map(|stock| self.loaded.get(stock)).cloned());
        if notes.is_empty() {
            return self.save(&written).await;
        }
        let columns: Vec<_> = written.iter().map(columns_of).collect();
        let notes: Vec<_> = notes.iter().map(notes::columns_of).collect();
        let parameters = rows(&notes).and_rows(&columns);
        drop(columns);
        self.written = true;
        let found = run(&mut *self.tx, "save pushes and their notes", SAVE_ALL.as_str(), parameters).await?;
        if is_short(found, written.len()) {
            return self.save(&written).await;
        }
        self.loaded.extend(written.into_iter().map(|row| (row.id, row)));
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        commit(self.tx).await
    }
}

/// Some rows were not there: nobody loaded them.
fn is_short(found: u64, saved: usize) -> bool {
    usize::try_from(found).is_ok_and(|found| found < saved)
}

/// Those of the stocks that egress knows, as a transaction sees them.
pub(super) async fn pushes_in(tx: &mut WriteTx, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
    pushes(&mut **tx, LOAD, keys(stocks)).await
}

async fn pushes<'e>(
    on: impl PgExecutor<'e>,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Vec<PushRow>, Error> {
    let rows: Vec<PushColumns> = all(on, "read pushes", statement, parameters).await?;
    rows.into_iter().map(push_row).collect()
}

/// Each once.
pub(super) fn keys(stocks: &[StockId]) -> Parameters {
    let keys: BTreeSet<_> = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
    rows(&keys.into_iter().collect::<Vec<_>>())
}
