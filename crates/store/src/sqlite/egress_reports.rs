//! What shops are told of shipments, on SQLite. A row is written only over the one that was read.

use values::{OrderId, ShopId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::shipments::{ReportColumns, key, report, report_columns, state_word, wanted_columns};
use crate::rows::{json, micros, signed, timestamp};
use crate::shipments::{ReportRow, ReportWanted, ShipmentId};

/// One that was given up is tried again by a newer revision; what the shop has stays so.
const TAKE: &str = "
INSERT INTO egress_reports
       (shop, order_id, number, revision, version, status, status_state, note, note_state, tries, since, due_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       0, ?2, ?2
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id, number) DO UPDATE SET
       revision = excluded.revision, version = version + 1, tries = 0, problem = NULL, since = excluded.since,
       due_at = excluded.due_at,
       status_state = CASE WHEN status_state = 'given_up' THEN 'waiting' ELSE status_state END,
       note_state = CASE WHEN note_state = 'given_up' THEN 'waiting' ELSE note_state END
 WHERE excluded.revision > revision";

const DUE: &str = concat!(
    "SELECT ",
    report_columns!(),
    " FROM egress_reports AS r WHERE r.shop = ?1 AND r.due_at <= ?2 ORDER BY r.due_at, r.order_id, r.number LIMIT ?3"
);

const NEXT: &str = "SELECT min(due_at) FROM egress_reports WHERE shop = ?1 AND due_at IS NOT NULL";

const OF_ORDER: &str = concat!(
    "SELECT ",
    report_columns!(),
    " FROM egress_reports AS r WHERE r.shop = ?1 AND r.order_id = ?2 ORDER BY r.number"
);

const GIVEN_UP: &str = concat!(
    "SELECT ",
    report_columns!(),
    " FROM egress_reports AS r
      WHERE (r.status_state = 'given_up' OR r.note_state = 'given_up')
        AND (r.shop, r.order_id, r.number) > (?1, ?2, ?3)
      ORDER BY r.shop, r.order_id, r.number LIMIT ?4"
);

const SAVE: &str = "
UPDATE egress_reports
   SET version = version + 1, status_state = ?5, note_state = ?6, note_id = ?7, intent_at = ?8, intent_owner = ?9,
       problem = ?10, tries = ?11, due_at = ?12
 WHERE shop = ?1 AND order_id = ?2 AND number = ?3 AND version = ?4";

const PRUNE: &str = "
DELETE FROM egress_reports WHERE (shop, order_id, number) IN
  (SELECT shop, order_id, number FROM egress_reports
    WHERE due_at IS NULL AND since < ?1 AND status_state <> 'given_up' AND note_state <> 'given_up' LIMIT ?2)";

impl Sqlite {
    pub(crate) async fn prune_reports(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let mut tx = self.write().await?;
        let pruned = sqlx::query(PRUNE).bind(before.micros()).bind(limit).execute(&mut *tx).await;
        let pruned = pruned.map_err(failed("forget what shops were told"))?.rows_affected();
        commit(tx).await?;
        Ok(pruned)
    }

    pub(crate) async fn take_reports(&self, wanted: &[ReportWanted], now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(TAKE)
            .bind(json(&wanted_columns(wanted)))
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("take in what shops are to be told"))?;
        commit(tx).await
    }

    pub(crate) async fn reports_due(
        &self,
        shop: ShopId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReportRow>, Error> {
        let due = sqlx::query_as(DUE).bind(shop.get()).bind(now.micros()).bind(limit.min(PAGE_ROWS_MAX));
        rows_of(due.fetch_all(&self.readers).await)
    }

    pub(crate) async fn next_report(&self, shop: ShopId) -> Result<Option<Timestamp>, Error> {
        let next: Option<i64> = sqlx::query_scalar(NEXT)
            .bind(shop.get())
            .fetch_one(&self.readers)
            .await
            .map_err(failed("look when a shop is to be told something"))?;
        Ok(next.map(timestamp))
    }

    pub(crate) async fn reports(&self, shop: ShopId, order: OrderId) -> Result<Vec<ReportRow>, Error> {
        let found = sqlx::query_as(OF_ORDER).bind(shop.get()).bind(order.get());
        rows_of(found.fetch_all(&self.readers).await)
    }

    pub(crate) async fn reports_given_up(
        &self,
        after: Option<ShipmentId>,
        limit: u32,
    ) -> Result<Vec<ReportRow>, Error> {
        let (shop, order, number) = after.map_or((0, 0, 0), key);
        let found =
            sqlx::query_as(GIVEN_UP).bind(shop).bind(order).bind(number).bind(limit.min(PAGE_ROWS_MAX));
        rows_of(found.fetch_all(&self.readers).await)
    }

    pub(crate) async fn save_report(&self, row: &ReportRow) -> Result<bool, Error> {
        let (shop, order, number) = key(row.id);
        let intent = row.intent.as_ref();
        let mut tx = self.write().await?;
        let saved = sqlx::query(SAVE)
            .bind(shop)
            .bind(order)
            .bind(number)
            .bind(signed(row.version))
            .bind(state_word(row.status.as_ref()))
            .bind(state_word(row.note.as_ref()))
            .bind(row.note_id)
            .bind(intent.map(|(at, _)| at.micros()))
            .bind(intent.map(|(_, owner)| owner.as_str()))
            .bind(&row.problem)
            .bind(row.tries)
            .bind(micros(row.due_at))
            .execute(&mut *tx)
            .await
            .map_err(failed("save what a shop was told"))?;
        commit(tx).await?;
        Ok(saved.rows_affected() > 0)
    }
}

fn rows_of(rows: Result<Vec<ReportColumns>, sqlx::Error>) -> Result<Vec<ReportRow>, Error> {
    rows.map_err(failed("read what shops are told"))?.into_iter().map(report).collect()
}
