//! Orders to be read again, on SQLite.

use values::{OrderId, ShopId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::reading::Reread;
use crate::rows::ingress::reread;
use crate::rows::{json, signed};

const WANT_REREADS: &str = "
INSERT INTO ingress_rereads (shop, order_id, wanted_at, wanted)
SELECT value ->> 0, value ->> 1, ?2, 1 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, order_id) DO UPDATE SET wanted = wanted + 1";

const REREADS_DUE: &str = "
SELECT order_id, wanted FROM ingress_rereads WHERE shop = ?1 ORDER BY wanted_at LIMIT ?2";

/// What was asked for again meanwhile stays.
const REREADS_DONE: &str = "
DELETE FROM ingress_rereads
 WHERE shop = ?1
   AND EXISTS (SELECT 1 FROM jsonb_each(?2) AS w WHERE order_id = w.value ->> 0 AND wanted = w.value ->> 1)";

impl Sqlite {
    pub(crate) async fn want_rereads(
        &self,
        orders: &[(ShopId, OrderId)],
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut rows: Vec<_> = orders.iter().map(|(shop, order)| (shop.get(), order.get())).collect();
        rows.sort_unstable();
        let mut tx = self.write().await?;
        sqlx::query(WANT_REREADS)
            .bind(json(&rows))
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("ask for orders to be read again"))?;
        commit(tx).await
    }

    pub(crate) async fn rereads_due(&self, shop: ShopId, limit: u32) -> Result<Vec<Reread>, Error> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(REREADS_DUE)
            .bind(shop.get())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for orders to read again"))?;
        rows.into_iter().map(reread).collect()
    }

    pub(crate) async fn rereads_done(&self, shop: ShopId, done: &[Reread]) -> Result<(), Error> {
        let rows: Vec<_> = done.iter().map(|reread| (reread.order.get(), signed(reread.wanted))).collect();
        let mut tx = self.write().await?;
        sqlx::query(REREADS_DONE)
            .bind(shop.get())
            .bind(json(&rows))
            .execute(&mut *tx)
            .await
            .map_err(failed("note orders as read again"))?;
        commit(tx).await
    }
}
