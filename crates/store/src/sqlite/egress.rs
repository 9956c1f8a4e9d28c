//! Push state on SQLite.

mod drifts;
mod notes;

use std::collections::HashMap;

use values::{ShopId, StockId, Timestamp};

use super::{Sqlite, WriteTx, commit};
use crate::egress::{DueShop, PushRow, ShopLane};
use crate::error::{Error, failed};
use crate::inventory::ShopFilter;
use crate::report::PAGE_ROWS_MAX;
use crate::rows::egress::{
    DueShopColumns, LaneColumns, PushColumns, columns_of, due_shop, lane, push_columns, push_row,
};
use crate::rows::{json, micros};

const LOAD: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN egress_stocks AS e ON e.shop = w.value ->> 0 AND e.holder = w.value ->> 1"
);

const INTENDED: &str = concat!(
    "SELECT ",
    push_columns!(),
    " FROM egress_stocks AS e WHERE e.intent IS NOT NULL AND (e.shop, e.holder) > (?1, ?2)
     ORDER BY e.shop, e.holder LIMIT ?3"
);

const SAVE: &str = "
INSERT INTO egress_stocks
       (shop, holder, sku, target, base, intent, intent_owner, doubtful_until, log, log_floor, pushed, settled, due_at,
        blocked, told, removed)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       sku = excluded.sku, target = excluded.target, base = excluded.base, intent = excluded.intent,
       intent_owner = excluded.intent_owner, doubtful_until = excluded.doubtful_until, log = excluded.log,
       log_floor = excluded.log_floor, pushed = excluded.pushed, settled = excluded.settled,
       due_at = excluded.due_at, blocked = excluded.blocked, told = excluded.told, removed = excluded.removed";

const DUE_SHOPS: &str = "
SELECT shop, min(due_at), count(*) FROM egress_stocks
 WHERE due_at <= ?1 AND (?2 = 0 OR shop % ?2 = ?3) GROUP BY shop ORDER BY shop";

const SAVE_LANE: &str = "
INSERT INTO egress_shops (shop, breaker, cause, until, calls_per_minute, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (shop) DO UPDATE SET
       breaker = excluded.breaker, cause = excluded.cause, until = excluded.until,
       calls_per_minute = excluded.calls_per_minute, at = excluded.at";

/// A transaction of egress on SQLite.
#[derive(Debug)]
pub(crate) struct SqliteEgressTx {
    pub(super) tx: WriteTx,
    loaded: HashMap<StockId, PushRow>,
}

impl Sqlite {
    pub(crate) async fn begin_egress(&self) -> Result<SqliteEgressTx, Error> {
        Ok(SqliteEgressTx { tx: self.write().await?, loaded: HashMap::new() })
    }

    pub(crate) async fn pushes(&self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        rows_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&self.readers).await)
    }

    pub(crate) async fn open_intents(
        &self,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<PushRow>, Error> {
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        let open = sqlx::query_as(INTENDED).bind(shop).bind(holder).bind(limit.min(PAGE_ROWS_MAX));
        rows_of(open.fetch_all(&self.readers).await)
    }

    pub(crate) async fn shops_due(&self, filter: ShopFilter, now: Timestamp) -> Result<Vec<DueShop>, Error> {
        let (of, rest) = filter.divisor_and_rest();
        let rows: Vec<DueShopColumns> = sqlx::query_as(DUE_SHOPS)
            .bind(now.micros())
            .bind(of)
            .bind(rest)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for shops with pushes due"))?;
        rows.into_iter().map(due_shop).collect()
    }

    pub(crate) async fn save_lane(&self, lane: &ShopLane) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(SAVE_LANE)
            .bind(lane.shop.get())
            .bind(&lane.breaker)
            .bind(&lane.cause)
            .bind(micros(lane.until))
            .bind(lane.calls_per_minute)
            .bind(lane.at.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("save how a shop takes pushes"))?;
        commit(tx).await
    }

    pub(crate) async fn lane(&self, shop: ShopId) -> Result<Option<ShopLane>, Error> {
        let row: Option<LaneColumns> = sqlx::query_as(
            "SELECT breaker, cause, until, calls_per_minute, at FROM egress_shops WHERE shop = ?1",
        )
        .bind(shop.get())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("read how a shop takes pushes"))?;
        row.map(|row| lane(shop, row)).transpose()
    }
}

impl SqliteEgressTx {
    pub(crate) async fn load(&mut self, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
        let found = rows_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&mut *self.tx).await)?;
        self.loaded.extend(found.into_iter().map(|row| (row.id, row)));
        let loaded = &mut self.loaded;
        let row = |stock: &StockId| loaded.entry(*stock).or_insert_with(|| PushRow::unknown(*stock)).clone();
        Ok(stocks.iter().map(row).collect())
    }

    pub(crate) async fn save(&mut self, rows: &[PushRow]) -> Result<(), Error> {
        let mut changed: Vec<&PushRow> =
            rows.iter().filter(|row| self.loaded.get(&row.id) != Some(*row)).collect();
        changed.sort_unstable_by_key(|row| row.id);
        let columns: Vec<_> = changed.iter().map(|row| columns_of(row)).collect();
        if !columns.is_empty() {
            sqlx::query(SAVE)
                .bind(json(&columns))
                .execute(&mut *self.tx)
                .await
                .map_err(failed("save pushes"))?;
        }
        for row in changed {
            self.loaded.insert(row.id, row.clone());
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), Error> {
        commit(self.tx).await
    }
}

/// Those of the stocks that egress knows, as a transaction sees them.
pub(super) async fn pushes_in(tx: &mut WriteTx, stocks: &[StockId]) -> Result<Vec<PushRow>, Error> {
    rows_of(sqlx::query_as(LOAD).bind(keys(stocks)).fetch_all(&mut **tx).await)
}

pub(super) fn keys(stocks: &[StockId]) -> String {
    let keys: std::collections::BTreeSet<_> =
        stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
    json(&keys)
}

fn rows_of(rows: Result<Vec<PushColumns>, sqlx::Error>) -> Result<Vec<PushRow>, Error> {
    rows.map_err(failed("read pushes"))?.into_iter().map(push_row).collect()
}
