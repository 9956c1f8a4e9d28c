//! What inventory wants to be read again, and what makes a shop's picture incomplete, on PostgreSQL.

use std::collections::BTreeSet;

use values::{OrderId, ShopId, Timestamp};

use super::super::Postgres;
use super::super::parameters::{all, rows, run, with};
use super::PgInventoryTx;
use crate::error::Error;
use crate::inventory::{Incomplete, Wish};
use crate::rows::batch::mark_columns;
use crate::rows::order_keys;
use crate::rows::wishes::{MarkColumns, WishColumns, done_columns, mark, wish, wish_columns};

const ADD: &str = "
INSERT INTO inventory.wishes AS x (shop, kind, id, wanted_at)
SELECT w.shop, w.kind, w.id, $4 FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS w (shop, kind, id)
 ORDER BY w.shop, w.kind, w.id
    ON CONFLICT (shop, kind, id) DO UPDATE SET wanted_at = greatest(x.wanted_at + 1, excluded.wanted_at)";

const OVERDUE: &str = "
SELECT o.shop, o.order_id
  FROM inventory.orders AS o JOIN inventory.shops AS r ON r.id = o.shop AND r.state <> 'removed'
 WHERE o.doubtful AND o.unconfirmed_since < $1 AND (o.shop, o.order_id) > ($2, $3)
 ORDER BY o.shop, o.order_id LIMIT $4";

const MARKS: &str = "
SELECT i.shop, i.order_id, i.reason, i.at FROM inventory.incomplete AS i WHERE i.shop = ANY ($1)
 ORDER BY i.shop, i.order_id, i.reason";

const CLEAR_MARKS: &str = "
DELETE FROM inventory.incomplete AS i
 USING unnest($1::bigint[], $2::bigint[], $3::text[]) AS w (shop, order_id, reason)
 WHERE i.shop = w.shop AND i.order_id = w.order_id AND i.reason = w.reason";

const WISHES: &str = "
SELECT shop, kind, id, wanted_at FROM inventory.wishes ORDER BY shop, kind, id LIMIT $1";

/// Locked rows are left: whoever has one wants it again, or takes it away himself. Row by row, whatever the server was last
/// told of the size of a table that fills and empties.
const WISHES_DONE: &str = "
DELETE FROM inventory.wishes
 WHERE ctid = ANY (ARRAY
       (SELECT p.ctid
          FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS w (shop, kind, id, wanted_at)
         CROSS JOIN LATERAL
               (SELECT x.ctid FROM inventory.wishes AS x
                 WHERE x.shop = w.shop AND x.kind = w.kind AND x.id = w.id AND x.wanted_at = w.wanted_at
                OFFSET 0 FOR UPDATE SKIP LOCKED) AS p))";

impl PgInventoryTx {
    pub(crate) async fn wish(&mut self, wishes: &[Wish], now: Timestamp) -> Result<(), Error> {
        if wishes.is_empty() {
            return Ok(());
        }
        let wanted: BTreeSet<_> = wishes.iter().map(wish_columns).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let parameters = rows(&wanted).and(now.micros());
        run(&mut *self.tx, "note what is to be read", ADD, parameters).await?;
        Ok(())
    }

    pub(crate) async fn overdue_orders(
        &mut self,
        before: Timestamp,
        after: Option<(ShopId, OrderId)>,
        limit: u32,
    ) -> Result<Vec<(ShopId, OrderId)>, Error> {
        let (shop, order) = after.map_or((0, 0), |(shop, order)| (shop.get(), order.get()));
        let parameters = with(before.micros()).and(shop).and(order).and(i64::from(limit));
        let doing = "look for orders that no read has confirmed";
        order_keys(all(&mut *self.tx, doing, OVERDUE, parameters).await?)
    }

    pub(crate) async fn incomplete_marks(&mut self, shops: &[ShopId]) -> Result<Vec<Incomplete>, Error> {
        let wanted: Vec<i64> = shops.iter().map(|shop| shop.get()).collect();
        let doing = "read the marks of incomplete shops";
        let found: Vec<MarkColumns> = all(&mut *self.tx, doing, MARKS, with(wanted)).await?;
        found.into_iter().map(mark).collect()
    }

    pub(crate) async fn clear_marks(&mut self, marks: &[Incomplete]) -> Result<(), Error> {
        if marks.is_empty() {
            return Ok(());
        }
        let cleared: Vec<_> = marks
            .iter()
            .map(|mark| {
                let (shop, order, reason, _) = mark_columns(mark);
                (shop, order, reason)
            })
            .collect();
        run(&mut *self.tx, "clear marks of incomplete shops", CLEAR_MARKS, rows(&cleared)).await?;
        Ok(())
    }
}

impl Postgres {
    pub(crate) async fn wishes(&self, limit: u32) -> Result<Vec<(Wish, Timestamp)>, Error> {
        let found: Vec<WishColumns> =
            all(&self.pool, "list what is to be read", WISHES, with(i64::from(limit))).await?;
        found.into_iter().map(wish).collect()
    }

    /// One that was wanted again meanwhile stays.
    pub(crate) async fn wishes_done(&self, wishes: &[(Wish, Timestamp)]) -> Result<(), Error> {
        let done = done_columns(wishes);
        run(&self.pool, "forget what was asked for", WISHES_DONE, rows(&done)).await?;
        Ok(())
    }
}
