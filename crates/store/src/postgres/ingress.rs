//! Readers' leases, cursors and settle jobs on PostgreSQL.

use std::time::Duration;

use values::{ReadNumber, ShopId, Timestamp};

use super::egress::PgEgressTx;
use super::parameters::{all, maybe, rows, run, with};
use super::{Postgres, WriteTx};
use crate::error::Error;
use crate::ingress::{Cursor, CursorKind, Fenced, Lease, ReadNumbers, SettleHold, SettleJob, SettleWanted};
use crate::rows::ingress::{SettleColumns, cursor, settle_job, settle_rows};
use crate::rows::{signed, unsigned};
use crate::shards::CLOCKS_DIFFER_MAX;

/// The same owner keeps its fence, so that renewing does not stop what it has begun. Another takes a lease that was left to
/// expire once its owner's clock must have come that far, too.
const LEASE: &str = "
INSERT INTO ingress.readers AS r (shop, owner, fence, lease_until, read_number) VALUES ($1, $2, 1, $4, 0)
    ON CONFLICT (shop) DO UPDATE SET
       fence = CASE WHEN r.owner = excluded.owner THEN r.fence ELSE r.fence + 1 END,
       owner = excluded.owner, lease_until = excluded.lease_until
 WHERE r.owner = excluded.owner OR r.lease_until <= $3
RETURNING fence";

const END_LEASE: &str = "
UPDATE ingress.readers SET lease_until = 0, owner = '' WHERE shop = $1 AND fence = $2";

const READ_NUMBERS: &str = "
UPDATE ingress.readers SET read_number = read_number + $3 WHERE shop = $1 AND fence = $2 RETURNING read_number";

const CURSOR: &str = "SELECT shop_time, hub_time, page FROM ingress.cursors WHERE shop = $1 AND kind = $2";

/// The lease is locked, so that it does not change hands between the look at it and the writing.
const SAVE_CURSOR: &str = "
WITH reader AS MATERIALIZED (SELECT shop FROM ingress.readers WHERE shop = $1 AND fence = $2 FOR SHARE)
INSERT INTO ingress.cursors (shop, kind, shop_time, hub_time, page)
SELECT shop, $3, $4, $5, $6 FROM reader
    ON CONFLICT (shop, kind) DO UPDATE SET
       shop_time = excluded.shop_time, hub_time = excluded.hub_time, page = excluded.page";

const WANT_SETTLES: &str = "
INSERT INTO ingress.settles AS s (shop, holder, why, due_at, wanted)
SELECT DISTINCT ON (w.shop, w.holder) w.shop, w.holder, w.why, w.due_at, count(*) OVER (PARTITION BY w.shop, w.holder)
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) AS w (shop, holder, why, due_at)
 ORDER BY w.shop, w.holder, w.due_at
    ON CONFLICT (shop, holder) DO UPDATE SET
       why = CASE WHEN excluded.due_at < s.due_at THEN excluded.why ELSE s.why END,
       due_at = least(s.due_at, excluded.due_at), wanted = s.wanted + excluded.wanted";

const SETTLES_DUE: &str = "
SELECT s.shop, s.holder, s.why, s.due_at, s.wanted FROM ingress.settles AS s
 WHERE s.shop = $1 AND s.due_at <= $2
   AND ($4::bigint IS NULL OR s.due_at <= $6 OR NOT EXISTS
       (SELECT 1 FROM inventory.stocks AS i
         WHERE i.shop = s.shop AND i.holder = s.holder AND i.last_order_date BETWEEN $4 AND $5))
 ORDER BY s.due_at LIMIT $3";

/// What was asked for again meanwhile stays due as it was.
const SETTLES_DONE: &str = "
UPDATE ingress.settles AS s SET due_at = $4, why = $5
  FROM (SELECT x.shop, x.holder
          FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (shop, holder, wanted)
          JOIN ingress.settles AS x ON x.shop = w.shop AND x.holder = w.holder AND x.wanted = w.wanted
         ORDER BY x.shop, x.holder FOR NO KEY UPDATE OF x) AS d
 WHERE s.shop = d.shop AND s.holder = d.holder";

impl Postgres {
    pub(crate) async fn lease_reader(
        &self,
        shop: ShopId,
        owner: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Option<Lease>, Error> {
        let until = now + lasts;
        let expired = now - CLOCKS_DIFFER_MAX;
        let parameters = with(shop.get()).and(owner).and(expired.micros()).and(until.micros());
        let fence = maybe(&self.pool, "lease the reading of a shop", LEASE, parameters).await?;
        fence.map(|(fence,)| Ok(Lease { fence: unsigned("fence", fence)?, until })).transpose()
    }

    pub(crate) async fn end_lease(&self, shop: ShopId, fence: u64) -> Result<(), Error> {
        let parameters = with(shop.get()).and(signed(fence));
        run(&self.pool, "end the lease of a shop", END_LEASE, parameters).await?;
        Ok(())
    }

    pub(crate) async fn next_read_numbers(
        &self,
        shop: ShopId,
        count: u32,
        fence: u64,
    ) -> Result<Fenced<ReadNumbers>, Error> {
        let parameters = with(shop.get()).and(signed(fence)).and(i64::from(count));
        let last: Option<(i64,)> =
            maybe(&self.pool, "hand out read numbers", READ_NUMBERS, parameters).await?;
        let Some((last,)) = last else { return Ok(Fenced::Stale) };
        let first = unsigned("read number", last - i64::from(count) + 1)?;
        Ok(Fenced::Done(ReadNumbers { first: ReadNumber::new(first), count }))
    }

    pub(crate) async fn cursor(&self, shop: ShopId, kind: CursorKind) -> Result<Option<Cursor>, Error> {
        let row = maybe(&self.pool, "read a cursor", CURSOR, with(shop.get()).and(kind.as_str())).await?;
        row.map(cursor).transpose()
    }

    pub(crate) async fn save_cursor(
        &self,
        shop: ShopId,
        kind: CursorKind,
        cursor: Cursor,
        fence: u64,
    ) -> Result<Fenced<()>, Error> {
        let parameters = with(shop.get())
            .and(signed(fence))
            .and(kind.as_str())
            .and(cursor.shop_time.micros())
            .and(cursor.hub_time.micros())
            .and(i64::from(cursor.page));
        let saved = run(&self.pool, "save a cursor", SAVE_CURSOR, parameters).await?;
        Ok(if saved == 0 { Fenced::Stale } else { Fenced::Done(()) })
    }

    pub(crate) async fn want_settles(&self, wants: &[SettleWanted]) -> Result<(), Error> {
        run(&self.pool, "ask for settles", WANT_SETTLES, rows(&settle_rows(wants))).await?;
        Ok(())
    }

    pub(crate) async fn settles_due(
        &self,
        shop: ShopId,
        now: Timestamp,
        hold: Option<SettleHold>,
        limit: u32,
    ) -> Result<Vec<SettleJob>, Error> {
        let parameters = with(shop.get())
            .and(now.micros())
            .and(i64::from(limit))
            .and(hold.map(|hold| hold.dated_from.micros()))
            .and(hold.map(|hold| hold.dated_to.micros()))
            .and(hold.map(|hold| hold.due_since.micros()));
        let rows: Vec<SettleColumns> =
            all(&self.pool, "look for settles due", SETTLES_DUE, parameters).await?;
        rows.into_iter().map(settle_job).collect()
    }

    pub(crate) async fn settles_done(
        &self,
        done: &[SettleJob],
        again_at: Timestamp,
        why: &str,
    ) -> Result<(), Error> {
        let done: Vec<(i64, i64, i64)> = done
            .iter()
            .map(|job| (job.want.stock.shop.get(), job.want.stock.holder.get(), signed(job.wanted)))
            .collect();
        let parameters = rows(&done).and(again_at.micros()).and(why);
        run(&self.pool, "note settles as done", SETTLES_DONE, parameters).await?;
        Ok(())
    }
}

impl PgEgressTx {
    pub(crate) async fn want_settles(&mut self, wants: &[SettleWanted]) -> Result<(), Error> {
        want_settles(&mut self.tx, wants).await
    }
}

impl super::PgInventoryTx {
    pub(crate) async fn want_settles(&mut self, wants: &[SettleWanted]) -> Result<(), Error> {
        want_settles(&mut self.tx, wants).await
    }
}

async fn want_settles(tx: &mut WriteTx, wants: &[SettleWanted]) -> Result<(), Error> {
    run(&mut **tx, "ask for settles", WANT_SETTLES, rows(&settle_rows(wants))).await?;
    Ok(())
}
