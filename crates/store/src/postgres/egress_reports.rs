//! What shops are told of shipments, on PostgreSQL. A row is written only over the one that was read.

use values::{OrderId, ShopId, Timestamp};

use super::Postgres;
use super::parameters::{all, maybe, page, rows, run, with};
use crate::error::Error;
use crate::rows::shipments::{ReportColumns, key, report, report_columns, state_word, wanted_columns};
use crate::rows::{micros, signed, timestamp};
use crate::shipments::{ReportRow, ReportWanted, ShipmentId};

/// One that was given up is tried again by a newer revision; what the shop has stays so.
const TAKE: &str = "
INSERT INTO egress.reports AS r
       (shop, order_id, number, revision, version, status, status_state, note, note_state, tries, since, due_at)
SELECT w.shop, w.order_id, w.number, w.revision, 1, w.status, w.status_state, w.note, w.note_state, 0, $9, $9
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
       AS w (shop, order_id, number, revision, status, status_state, note, note_state)
 ORDER BY w.shop, w.order_id, w.number
    ON CONFLICT (shop, order_id, number) DO UPDATE SET
       revision = excluded.revision, version = r.version + 1, tries = 0, problem = NULL, since = excluded.since,
       due_at = excluded.due_at,
       status_state = CASE WHEN r.status_state = 'given_up' THEN 'waiting' ELSE r.status_state END,
       note_state = CASE WHEN r.note_state = 'given_up' THEN 'waiting' ELSE r.note_state END
 WHERE excluded.revision > r.revision";

const DUE: &str = concat!(
    "SELECT ",
    report_columns!(),
    " FROM egress.reports AS r WHERE r.shop = $1 AND r.due_at <= $2 ORDER BY r.due_at, r.order_id, r.number LIMIT $3"
);

const NEXT: &str = "SELECT min(due_at) FROM egress.reports WHERE shop = $1 AND due_at IS NOT NULL";

const OF_ORDER: &str = concat!(
    "SELECT ",
    report_columns!(),
    " FROM egress.reports AS r WHERE r.shop = $1 AND r.order_id = $2 ORDER BY r.number"
);

const GIVEN_UP: &str = concat!(
    "SELECT ",
    report_columns!(),
    " FROM egress.reports AS r
      WHERE (r.status_state = 'given_up' OR r.note_state = 'given_up')
        AND (r.shop, r.order_id, r.number) > ($1, $2, $3)
      ORDER BY r.shop, r.order_id, r.number LIMIT $4"
);

const SAVE: &str = "
UPDATE egress.reports
   SET version = version + 1, status_state = $5, note_state = $6, note_id = $7, intent_at = $8, intent_owner = $9,
       problem = $10, tries = $11, due_at = $12
 WHERE shop = $1 AND order_id = $2 AND number = $3 AND version = $4";

const PRUNE: &str = "
DELETE FROM egress.reports WHERE (shop, order_id, number) IN
  (SELECT shop, order_id, number FROM egress.reports
    WHERE due_at IS NULL AND since < $1 AND status_state <> 'given_up' AND note_state <> 'given_up'
    ORDER BY shop, order_id, number LIMIT $2 FOR UPDATE SKIP LOCKED)";

impl Postgres {
    pub(crate) async fn prune_reports(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let parameters = with(before.micros()).and(i64::from(limit));
        run(&self.pool, "forget what shops were told", PRUNE, parameters).await
    }

    pub(crate) async fn take_reports(&self, wanted: &[ReportWanted], now: Timestamp) -> Result<(), Error> {
        let parameters = rows(&wanted_columns(wanted)).and(now.micros());
        run(&self.pool, "take in what shops are to be told", TAKE, parameters).await?;
        Ok(())
    }

    pub(crate) async fn reports_due(
        &self,
        shop: ShopId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReportRow>, Error> {
        let parameters = with(shop.get()).and(now.micros()).and(page(limit));
        let rows: Vec<ReportColumns> =
            all(&self.pool, "look for what a shop is to be told", DUE, parameters).await?;
        rows.into_iter().map(report).collect()
    }

    pub(crate) async fn next_report(&self, shop: ShopId) -> Result<Option<Timestamp>, Error> {
        let doing = "look when a shop is to be told something";
        let next: Option<(Option<i64>,)> = maybe(&self.pool, doing, NEXT, with(shop.get())).await?;
        Ok(next.and_then(|(next,)| next).map(timestamp))
    }

    pub(crate) async fn reports(&self, shop: ShopId, order: OrderId) -> Result<Vec<ReportRow>, Error> {
        let parameters = with(shop.get()).and(order.get());
        let rows: Vec<ReportColumns> =
            all(&self.pool, "read what a shop was told", OF_ORDER, parameters).await?;
        rows.into_iter().map(report).collect()
    }

    pub(crate) async fn reports_given_up(
        &self,
        after: Option<ShipmentId>,
        limit: u32,
    ) -> Result<Vec<ReportRow>, Error> {
        let (shop, order, number) = after.map_or((0, 0, 0), key);
        let parameters = with(shop).and(order).and(number).and(page(limit));
        let rows: Vec<ReportColumns> =
            all(&self.pool, "list what shops could not be told", GIVEN_UP, parameters).await?;
        rows.into_iter().map(report).collect()
    }

    pub(crate) async fn save_report(&self, row: &ReportRow) -> Result<bool, Error> {
        let (shop, order, number) = key(row.id);
        let intent = row.intent.as_ref();
        let parameters = with(shop)
            .and(order)
            .and(number)
            .and(signed(row.version))
            .and(state_word(row.status.as_ref()))
            .and(state_word(row.note.as_ref()))
            .and(row.note_id)
            .and(intent.map(|(at, _)| at.micros()))
            .and(intent.map(|(_, owner)| owner.as_str()))
            .and(&row.problem)
            .and(i64::from(row.tries))
            .and(micros(row.due_at));
        Ok(run(&self.pool, "save what a shop was told", SAVE, parameters).await? > 0)
    }
}
