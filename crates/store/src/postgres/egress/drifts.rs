//! Differences that comparisons found, on PostgreSQL.

use std::collections::BTreeSet;

use sqlx::PgExecutor;
use values::{ReadNumber, ShopId, StockId, Timestamp};

use super::super::Postgres;
use super::super::parameters::{Parameters, all, page, rows, run, with};
use super::{PgEgressTx, keys};
use crate::egress::{DRIFTS_KEPT, DriftDecided, DriftKey, DriftRow};
use crate::error::Error;
use crate::rows::egress::drifts::{
    DriftColumns, columns_of, columns_of_decided, columns_of_read, drift_columns, drift_row, drift_to_tell,
    place,
};

const SAVE: &str = "
INSERT INTO egress.drifts (shop, holder, number, at, class, expected, shown, difference, action, why, sku)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
                     $8::bigint[], $9::text[], $10::text[], $11::text[])
    ON CONFLICT (shop, holder, number) DO UPDATE SET
       at = excluded.at, class = excluded.class, expected = excluded.expected, shown = excluded.shown,
       difference = excluded.difference, action = excluded.action, why = excluded.why, sku = excluded.sku";

/// All but the newest of the stocks.
const FORGET: &str = "
DELETE FROM egress.drifts AS d USING unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
 WHERE d.shop = w.shop AND d.holder = w.holder
   AND d.number <= (SELECT k.number FROM egress.drifts AS k WHERE k.shop = w.shop AND k.holder = w.holder
                     ORDER BY k.number DESC OFFSET $3 LIMIT 1)";

const DECIDE: &str = "
UPDATE egress.drifts AS d SET action = w.action, why = w.why
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS w (shop, holder, number, action, why)
 WHERE d.shop = w.shop AND d.holder = w.holder AND d.number = w.number";

const BULK: &str = "
UPDATE egress.drifts AS d SET class = 'bulk_edit'
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, number)
 WHERE d.shop = w.shop AND d.number = w.number AND d.class IN ('edit_up', 'edit_down')
   AND (SELECT count(*) FROM egress.drifts AS k WHERE k.shop = w.shop AND k.number = w.number
           AND k.class IN ('edit_up', 'edit_down', 'bulk_edit')) >= $3";

const EVERYWHERE: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM egress.drifts AS d WHERE d.at >= $1 AND (d.at, d.shop, d.holder, d.number) < ($2, $3, $4, $5)
     ORDER BY d.at DESC, d.shop DESC, d.holder DESC, d.number DESC LIMIT $6"
);

const OF_SHOP: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM egress.drifts AS d WHERE d.at >= $1 AND d.shop = $6 AND (d.at, d.shop, d.holder, d.number) < ($2, $3, $4, $5)
     ORDER BY d.at DESC, d.holder DESC, d.number DESC LIMIT $7"
);

const OF_STOCKS: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
      JOIN egress.drifts AS d ON d.shop = w.shop AND d.holder = w.holder ORDER BY d.shop, d.holder, d.number DESC"
);

const TO_TELL: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM (SELECT n.*, row_number() OVER (PARTITION BY n.shop ORDER BY n.at DESC, n.holder) AS place
              FROM (SELECT DISTINCT ON (d.shop, d.holder) d.*
                      FROM egress.drifts AS d WHERE d.at >= $1 AND ",
    drift_to_tell!(),
    " AND NOT EXISTS (SELECT 1 FROM inventory.decisions AS c
                                         WHERE c.shop = d.shop AND c.holder = d.holder AND c.upto >= d.number)
                     ORDER BY d.shop, d.holder, d.number DESC) AS n) AS d WHERE d.place <= $2 ORDER BY d.shop, d.holder LIMIT $3"
);

const TO_TELL_OF: &str = concat!(
    "SELECT ",
    drift_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
      CROSS JOIN LATERAL (SELECT * FROM egress.drifts AS d
                           WHERE d.shop = w.shop AND d.holder = w.holder AND d.at >= $3 AND ",
    drift_to_tell!(),
    " AND NOT EXISTS (SELECT 1 FROM inventory.decisions AS c
                              WHERE c.shop = d.shop AND c.holder = d.holder AND c.upto >= d.number)
      ORDER BY d.number DESC LIMIT 1) AS d"
);

impl Postgres {
    pub(crate) async fn drifts_to_tell(
        &self,
        since: Timestamp,
        of_shop_max: u32,
        limit: u32,
    ) -> Result<Vec<DriftRow>, Error> {
        let parameters = with(since.micros()).and(i64::from(of_shop_max)).and(i64::from(limit));
        drifts(&self.pool, TO_TELL, parameters).await
    }

    pub(crate) async fn drifts_to_tell_of(
        &self,
        stocks: &[StockId],
        since: Timestamp,
    ) -> Result<Vec<DriftRow>, Error> {
        drifts(&self.pool, TO_TELL_OF, keys(stocks).and(since.micros())).await
    }

    pub(crate) async fn drifts(
        &self,
        shop: Option<ShopId>,
        since: Timestamp,
        after: Option<DriftKey>,
        limit: u32,
    ) -> Result<Vec<DriftRow>, Error> {
        let (at, of_shop, holder, number) = place(after);
        let parameters = with(since.micros()).and(at).and(of_shop).and(holder).and(number);
        match shop {
            None => drifts(&self.pool, EVERYWHERE, parameters.and(page(limit))).await,
            Some(shop) => drifts(&self.pool, OF_SHOP, parameters.and(shop.get()).and(page(limit))).await,
        }
    }

    pub(crate) async fn drifts_of(&self, stocks: &[StockId]) -> Result<Vec<DriftRow>, Error> {
        drifts(&self.pool, OF_STOCKS, keys(stocks)).await
    }
}

impl PgEgressTx {
    /// Sorted, so that two who write the same wait for each other once.
    pub(crate) async fn save_drifts(&mut self, drifts: &[&DriftRow]) -> Result<(), Error> {
        self.written = true;
        let columns: Vec<_> = drifts.iter().map(|drift| columns_of(drift)).collect();
        run(&mut *self.tx, "keep differences", SAVE, rows(&columns)).await?;
        let stocks: Vec<StockId> = drifts.iter().map(|drift| drift.stock).collect();
        let parameters = keys(&stocks).and(i64::from(DRIFTS_KEPT));
        run(&mut *self.tx, "forget old differences", FORGET, parameters).await?;
        Ok(())
    }

    pub(crate) async fn decide_drifts(&mut self, decided: &[DriftDecided]) -> Result<(), Error> {
        self.written = true;
        let columns: Vec<_> = decided.iter().map(columns_of_decided).collect();
        run(&mut *self.tx, "note what became of edits", DECIDE, rows(&columns)).await?;
        Ok(())
    }

    pub(crate) async fn mark_bulk_edits(
        &mut self,
        reads: &[(ShopId, ReadNumber)],
        many: u32,
    ) -> Result<(), Error> {
        self.written = true;
        let reads: BTreeSet<_> = reads.iter().map(columns_of_read).collect();
        let parameters = rows(&reads.into_iter().collect::<Vec<_>>()).and(i64::from(many));
        run(&mut *self.tx, "look for edits of many at once", BULK, parameters).await?;
        Ok(())
    }
}

async fn drifts<'e>(
    on: impl PgExecutor<'e>,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Vec<DriftRow>, Error> {
    let rows: Vec<DriftColumns> = all(on, "list differences", statement, parameters).await?;
    rows.into_iter().map(drift_row).collect()
}
