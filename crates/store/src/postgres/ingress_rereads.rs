//! Orders to be read again, on PostgreSQL.

use values::{OrderId, ShopId, Timestamp};

use super::Postgres;
use super::parameters::{all, rows, run, with};
use crate::error::Error;
use crate::reading::Reread;
use crate::rows::ingress::reread;
use crate::rows::signed;

const WANT_REREADS: &str = "
INSERT INTO ingress.rereads AS r (shop, order_id, wanted_at, wanted)
SELECT w.shop, w.order_id, $3, count(*)
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, order_id) GROUP BY w.shop, w.order_id
 ORDER BY w.shop, w.order_id
    ON CONFLICT (shop, order_id) DO UPDATE SET wanted = r.wanted + excluded.wanted";

const REREADS_DUE: &str = "
SELECT order_id, wanted FROM ingress.rereads WHERE shop = $1 ORDER BY wanted_at, order_id LIMIT $2";

/// What was asked for again meanwhile stays.
const REREADS_DONE: &str = "
DELETE FROM ingress.rereads AS r
 USING (SELECT x.shop, x.order_id
          FROM unnest($1::bigint[], $2::bigint[]) AS w (order_id, wanted)
          JOIN ingress.rereads AS x ON x.shop = $3 AND x.order_id = w.order_id AND x.wanted = w.wanted
         ORDER BY x.order_id FOR UPDATE OF x) AS d
 WHERE r.shop = d.shop AND r.order_id = d.order_id";

impl Postgres {
    pub(crate) async fn want_rereads(
        &self,
        orders: &[(ShopId, OrderId)],
        now: Timestamp,
    ) -> Result<(), Error> {
        let orders: Vec<(i64, i64)> = orders.iter().map(|(shop, order)| (shop.get(), order.get())).collect();
        let parameters = rows(&orders).and(now.micros());
        run(&self.pool, "ask for orders to be read again", WANT_REREADS, parameters).await?;
        Ok(())
    }

    pub(crate) async fn rereads_due(&self, shop: ShopId, limit: u32) -> Result<Vec<Reread>, Error> {
        let parameters = with(shop.get()).and(i64::from(limit));
        let rows: Vec<(i64, i64)> =
            all(&self.pool, "look for orders to read again", REREADS_DUE, parameters).await?;
        rows.into_iter().map(reread).collect()
    }

    pub(crate) async fn rereads_done(&self, shop: ShopId, done: &[Reread]) -> Result<(), Error> {
        let done: Vec<(i64, i64)> =
            done.iter().map(|reread| (reread.order.get(), signed(reread.wanted))).collect();
        let parameters = rows(&done).and(shop.get());
        run(&self.pool, "note orders as read again", REREADS_DONE, parameters).await?;
        Ok(())
    }
}
