//! Readers' leases, cursors and settle jobs on SQLite.

use std::time::Duration;

use values::{ReadNumber, ShopId, Timestamp};

use super::egress::SqliteEgressTx;
use super::{Sqlite, WriteTx, commit};
use crate::error::{Error, failed};
use crate::ingress::{Cursor, CursorKind, Fenced, Lease, ReadNumbers, SettleHold, SettleJob, SettleWanted};
use crate::rows::ingress::{SettleColumns, cursor, settle_job, settle_rows};
use crate::rows::{json, signed, unsigned};
use crate::shards::CLOCKS_DIFFER_MAX;

/// The same owner keeps its fence, so that renewing does not stop what it has begun. Another takes a lease that was left to
/// expire once its owner's clock must have come that far, too.
const LEASE: &str = "
INSERT INTO ingress_readers (shop, owner, fence, lease_until, read_number) VALUES (?1, ?2, 1, ?4, 0)
    ON CONFLICT (shop) DO UPDATE SET
       fence = CASE WHEN owner = excluded.owner THEN fence ELSE fence + 1 END,
       owner = excluded.owner, lease_until = excluded.lease_until
 WHERE owner = excluded.owner OR lease_until <= ?3
RETURNING fence";

const READ_NUMBERS: &str = "
UPDATE ingress_readers SET read_number = read_number + ?3 WHERE shop = ?1 AND fence = ?2 RETURNING read_number";

const SAVE_CURSOR: &str = "
INSERT INTO ingress_cursors (shop, kind, shop_time, hub_time, page)
SELECT ?1, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM ingress_readers WHERE shop = ?1 AND fence = ?2)
    ON CONFLICT (shop, kind) DO UPDATE SET
       shop_time = excluded.shop_time, hub_time = excluded.hub_time, page = excluded.page";

const WANT_SETTLES: &str = "
INSERT INTO ingress_settles (shop, holder, why, due_at, wanted)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, 1 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       why = CASE WHEN excluded.due_at < due_at THEN excluded.why ELSE why END,
       due_at = min(due_at, excluded.due_at), wanted = wanted + 1";

const SETTLES_DUE: &str = "
SELECT s.shop, s.holder, s.why, s.due_at, s.wanted FROM ingress_settles AS s
 WHERE s.shop = ?1 AND s.due_at <= ?2
   AND (?4 IS NULL OR s.due_at <= ?6 OR NOT EXISTS
       (SELECT 1 FROM inventory_stocks AS i
         WHERE i.shop = s.shop AND i.holder = s.holder AND i.last_order_date BETWEEN ?4 AND ?5))
 ORDER BY s.due_at LIMIT ?3";

/// What was asked for again meanwhile stays due as it was.
const SETTLES_DONE: &str = "
UPDATE ingress_settles SET due_at = ?2, why = ?3
  FROM jsonb_each(?1) AS w
 WHERE shop = w.value ->> 0 AND holder = w.value ->> 1 AND wanted = w.value ->> 2";

impl Sqlite {
    pub(crate) async fn lease_reader(
        &self,
        shop: ShopId,
        owner: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Option<Lease>, Error> {
        let until = now + lasts;
        let mut tx = self.write().await?;
        let fence: Option<i64> = sqlx::query_scalar(LEASE)
            .bind(shop.get())
            .bind(owner)
            .bind((now - CLOCKS_DIFFER_MAX).micros())
            .bind(until.micros())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("lease the reading of a shop"))?;
        commit(tx).await?;
        fence.map(|fence| Ok(Lease { fence: unsigned("fence", fence)?, until })).transpose()
    }

    pub(crate) async fn end_lease(&self, shop: ShopId, fence: u64) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query("UPDATE ingress_readers SET lease_until = 0, owner = '' WHERE shop = ?1 AND fence = ?2")
            .bind(shop.get())
            .bind(signed(fence))
            .execute(&mut *tx)
            .await
            .map_err(failed("end the lease of a shop"))?;
        commit(tx).await
    }

    pub(crate) async fn next_read_numbers(
        &self,
        shop: ShopId,
        count: u32,
        fence: u64,
    ) -> Result<Fenced<ReadNumbers>, Error> {
        let mut tx = self.write().await?;
        let last: Option<i64> = sqlx::query_scalar(READ_NUMBERS)
            .bind(shop.get())
            .bind(signed(fence))
            .bind(count)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed("hand out read numbers"))?;
        commit(tx).await?;
        let Some(last) = last else { return Ok(Fenced::Stale) };
        let first = unsigned("read number", last - i64::from(count) + 1)?;
        Ok(Fenced::Done(ReadNumbers { first: ReadNumber::new(first), count }))
    }

    pub(crate) async fn cursor(&self, shop: ShopId, kind: CursorKind) -> Result<Option<Cursor>, Error> {
        let row: Option<(i64, i64, i64)> = sqlx::query_as(
            "SELECT shop_time, hub_time, page FROM ingress_cursors WHERE shop = ?1 AND kind = ?2",
        )
        .bind(shop.get())
        .bind(kind.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("read a cursor"))?;
        row.map(cursor).transpose()
    }

    pub(crate) async fn save_cursor(
        &self,
        shop: ShopId,
        kind: CursorKind,
        cursor: Cursor,
        fence: u64,
    ) -> Result<Fenced<()>, Error> {
        let mut tx = self.write().await?;
        let saved = sqlx::query(SAVE_CURSOR)
            .bind(shop.get())
            .bind(signed(fence))
            .bind(kind.as_str())
            .bind(cursor.shop_time.micros())
            .bind(cursor.hub_time.micros())
            .bind(cursor.page)
            .execute(&mut *tx)
            .await
            .map_err(failed("save a cursor"))?;
        commit(tx).await?;
        Ok(if saved.rows_affected() == 0 { Fenced::Stale } else { Fenced::Done(()) })
    }

    pub(crate) async fn want_settles(&self, wants: &[SettleWanted]) -> Result<(), Error> {
        let mut tx = self.write().await?;
        want_settles(&mut tx, wants).await?;
        commit(tx).await
    }

    pub(crate) async fn settles_due(
        &self,
        shop: ShopId,
        now: Timestamp,
        hold: Option<SettleHold>,
        limit: u32,
    ) -> Result<Vec<SettleJob>, Error> {
        let rows: Vec<SettleColumns> = sqlx::query_as(SETTLES_DUE)
            .bind(shop.get())
            .bind(now.micros())
            .bind(limit)
            .bind(hold.map(|hold| hold.dated_from.micros()))
            .bind(hold.map(|hold| hold.dated_to.micros()))
            .bind(hold.map(|hold| hold.due_since.micros()))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for settles due"))?;
        rows.into_iter().map(settle_job).collect()
    }

    pub(crate) async fn settles_done(
        &self,
        done: &[SettleJob],
        again_at: Timestamp,
        why: &str,
    ) -> Result<(), Error> {
        let rows: Vec<_> = done
            .iter()
            .map(|job| (job.want.stock.shop.get(), job.want.stock.holder.get(), signed(job.wanted)))
            .collect();
        let mut tx = self.write().await?;
        sqlx::query(SETTLES_DONE)
            .bind(json(&rows))
            .bind(again_at.micros())
            .bind(why)
            .execute(&mut *tx)
            .await
            .map_err(failed("note settles as done"))?;
        commit(tx).await
    }
}

impl SqliteEgressTx {
    pub(crate) async fn want_settles(&mut self, wants: &[SettleWanted]) -> Result<(), Error> {
        want_settles(&mut self.tx, wants).await
    }
}

impl super::SqliteInventoryTx {
    pub(crate) async fn want_settles(&mut self, wants: &[SettleWanted]) -> Result<(), Error> {
        want_settles(&mut self.tx, wants).await
    }
}

async fn want_settles(tx: &mut WriteTx, wants: &[SettleWanted]) -> Result<(), Error> {
    sqlx::query(WANT_SETTLES)
        .bind(json(&settle_rows(wants)))
        .execute(&mut **tx)
        .await
        .map_err(failed("ask for settles"))?;
    Ok(())
}
