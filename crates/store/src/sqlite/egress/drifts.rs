//! Differences that comparisons found, on SQLite.

use std::collections::BTreeSet;

use values::{ReadNumber, ShopId, StockId, Timestamp};

use super::super::Sqlite;
use super::{SqliteEgressTx, keys};
use crate::egress::{DRIFTS_KEPT, DriftDecided, DriftKey, DriftRow};
use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::egress::drifts::{
    DriftColumns, columns_of, columns_of_decided, columns_of_read, drift_columns, drift_row, drift_to_tell,
    place,
};
use crate::rows::json;

const SAVE: &str = "
INSERT INTO egress_drifts (shop, holder, number, at, class, expected, shown, difference, action, why, sku)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder, number) DO UPDATE SET
       at = excluded.at, class = excluded.class, expected = excluded.expected, shown = excluded.shown,
       difference = excluded.difference, action = excluded.action, why = excluded.why, sku = excluded.sku";

/// All but the newest of the stocks.
const FORGET: &str = "
DELETE FROM egress_drifts WHERE (shop, holder, number) IN (
  SELECT d.shop, d.holder, d.number
    FROM jsonb_each(?1) AS w CROSS JOIN egress_drifts AS d ON d.shop = w.value ->> 0 AND d.holder = w.value ->> 1
   WHERE d.number <= (SELECT k.number FROM egress_drifts AS k WHERE k.shop = d.shop AND k.holder = d.holder
                       ORDER BY k.number DESC LIMIT 1 OFFSET ?2))";

const DECIDE: &str = "
UPDATE egress_drifts AS d SET action = w.value ->> 3, why = w.value ->> 4
  FROM jsonb_each(?1) AS w
 WHERE d.shop = w.value ->> 0 AND d.holder = w.value ->> 1 AND d.number = w.value ->> 2";

const BULK: &str = "
UPDATE egress_drifts AS d SET class = 'bulk_edit'
  FROM jsonb_each(?1) AS w
 WHERE d.shop = w.value ->> 0 AND d.number = w.value ->> 1 AND d.class IN ('edit_up', 'edit_down')
   AND (SELECT count(*) FROM egress_drifts AS k WHERE k.shop = w.value ->> 0 AND k.number = w.value ->> 1
           AND k.class IN ('edit_up', 'edit_down', 'bulk_edit')) >= ?2";

const EVERYWHERE: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM egress_drifts AS d WHERE d.at >= ?1 AND (d.at, d.shop, d.holder, d.number) < (?2, ?3, ?4, ?5)
     ORDER BY d.at DESC, d.shop DESC, d.holder DESC, d.number DESC LIMIT ?6"
);

const OF_SHOP: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM egress_drifts AS d WHERE d.at >= ?1 AND d.shop = ?7 AND (d.at, d.shop, d.holder, d.number) < (?2, ?3, ?4, ?5)
     ORDER BY d.at DESC, d.holder DESC, d.number DESC LIMIT ?6"
);

const OF_STOCKS: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN egress_drifts AS d ON d.shop = w.value ->> 0 AND d.holder = w.value ->> 1
     ORDER BY d.shop, d.holder, d.number DESC"
);

const TO_TELL: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM (SELECT n.*, row_number() OVER (PARTITION BY n.shop ORDER BY n.at DESC, n.holder) AS place
              FROM (SELECT d.*, row_number() OVER (PARTITION BY d.shop, d.holder ORDER BY d.number DESC) AS age
                      FROM egress_drifts AS d WHERE d.at >= ?1 AND ",
    drift_to_tell!(),
    " AND NOT EXISTS (SELECT 1 FROM inventory_decisions AS c
                                         WHERE c.shop = d.shop AND c.holder = d.holder AND c.upto >= d.number)) AS n WHERE n.age = 1) AS d WHERE d.place <= ?2 ORDER BY d.shop, d.holder LIMIT ?3"
);

const TO_TELL_OF: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN egress_drifts AS d
        ON d.shop = w.value ->> 0 AND d.holder = w.value ->> 1
       AND d.number = (SELECT max(d.number) FROM egress_drifts AS d
                        WHERE d.shop = w.value ->> 0 AND d.holder = w.value ->> 1 AND d.at >= ?2 AND ",
    drift_to_tell!(),
    " AND NOT EXISTS (SELECT 1 FROM inventory_decisions AS c
                                         WHERE c.shop = d.shop AND c.holder = d.holder AND c.upto >= d.number))"
);

impl Sqlite {
    pub(crate) async fn drifts_to_tell(
        &self,
        since: Timestamp,
        of_shop_max: u32,
        limit: u32,
    ) -> Result<Vec<DriftRow>, Error> {
        let found = sqlx::query_as(TO_TELL).bind(since.micros()).bind(of_shop_max).bind(limit);
        rows_of(found.fetch_all(&self.readers).await)
    }

    pub(crate) async fn drifts_to_tell_of(
        &self,
        stocks: &[StockId],
        since: Timestamp,
    ) -> Result<Vec<DriftRow>, Error> {
        let found = sqlx::query_as(TO_TELL_OF).bind(keys(stocks)).bind(since.micros());
        rows_of(found.fetch_all(&self.readers).await)
    }

    pub(crate) async fn drifts(
        &self,
        shop: Option<ShopId>,
        since: Timestamp,
        after: Option<DriftKey>,
        limit: u32,
    ) -> Result<Vec<DriftRow>, Error> {
        let (at, of_shop, holder, number) = place(after);
        let found = sqlx::query_as(if shop.is_some() { OF_SHOP } else { EVERYWHERE })
            .bind(since.micros())
            .bind(at)
            .bind(of_shop)
            .bind(holder)
            .bind(number)
            .bind(limit.min(PAGE_ROWS_MAX));
        let found = match shop {
            Some(shop) => found.bind(shop.get()),
            None => found,
        };
        rows_of(found.fetch_all(&self.readers).await)
    }

    pub(crate) async fn drifts_of(&self, stocks: &[StockId]) -> Result<Vec<DriftRow>, Error> {
        rows_of(sqlx::query_as(OF_STOCKS).bind(keys(stocks)).fetch_all(&self.readers).await)
    }
}

impl SqliteEgressTx {
    pub(crate) async fn save_drifts(&mut self, drifts: &[&DriftRow]) -> Result<(), Error> {
        let columns: Vec<_> = drifts.iter().map(|drift| columns_of(drift)).collect();
        sqlx::query(SAVE)
            .bind(json(&columns))
            .execute(&mut *self.tx)
            .await
            .map_err(failed("keep differences"))?;
        let stocks: Vec<StockId> = drifts.iter().map(|drift| drift.stock).collect();
        sqlx::query(FORGET)
            .bind(keys(&stocks))
            .bind(DRIFTS_KEPT)
            .execute(&mut *self.tx)
            .await
            .map_err(failed("forget old differences"))?;
        Ok(())
    }

    pub(crate) async fn decide_drifts(&mut self, decided: &[DriftDecided]) -> Result<(), Error> {
        let columns: Vec<_> = decided.iter().map(columns_of_decided).collect();
        sqlx::query(DECIDE)
            .bind(json(&columns))
            .execute(&mut *self.tx)
            .await
            .map_err(failed("note what became of edits"))?;
        Ok(())
    }

    pub(crate) async fn mark_bulk_edits(
        &mut self,
        reads: &[(ShopId, ReadNumber)],
        many: u32,
    ) -> Result<(), Error> {
        let reads: BTreeSet<_> = reads.iter().map(columns_of_read).collect();
        sqlx::query(BULK)
            .bind(json(&reads))
            .bind(many)
            .execute(&mut *self.tx)
            .await
            .map_err(failed("look for edits of many at once"))?;
        Ok(())
    }
}

fn rows_of(rows: Result<Vec<DriftColumns>, sqlx::Error>) -> Result<Vec<DriftRow>, Error> {
    rows.map_err(failed("list differences"))?.into_iter().map(drift_row).collect()
}
