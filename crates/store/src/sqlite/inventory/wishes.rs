//! What inventory wants to be read again, and what makes a shop's picture incomplete, on SQLite.

use std::collections::BTreeSet;

use values::{OrderId, ShopId, Timestamp};

use super::super::{Sqlite, commit};
use super::SqliteInventoryTx;
use crate::error::{Error, failed};
use crate::inventory::{Incomplete, Wish};
use crate::rows::batch::mark_columns;
use crate::rows::wishes::{MarkColumns, WishColumns, done_columns, mark, wish, wish_columns};
use crate::rows::{json, order_keys};

const ADD: &str = "
INSERT INTO inventory_wishes (shop, kind, id, wanted_at)
SELECT value ->> 0, value ->> 1, value ->> 2, ?2 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, kind, id) DO UPDATE SET wanted_at = max(wanted_at + 1, excluded.wanted_at)";

const OVERDUE: &str = "
SELECT o.shop, o.order_id
  FROM inventory_orders AS o JOIN registry_shops AS r ON r.id = o.shop AND r.state <> 'removed'
 WHERE o.doubtful = 1 AND o.unconfirmed_since < ?1 AND (o.shop, o.order_id) > (?2, ?3)
 ORDER BY o.shop, o.order_id LIMIT ?4";

const MARKS: &str = "
SELECT i.shop, i.order_id, i.reason, i.at
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_incomplete AS i ON i.shop = w.value";

const CLEAR_MARKS: &str = "
DELETE FROM inventory_incomplete
 WHERE (shop, order_id, reason) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?1))";

impl SqliteInventoryTx {
    pub(crate) async fn wish(&mut self, wishes: &[Wish], now: Timestamp) -> Result<(), Error> {
        if wishes.is_empty() {
            return Ok(());
        }
        let rows: BTreeSet<_> = wishes.iter().map(wish_columns).collect();
        sqlx::query(ADD)
            .bind(json(&rows))
            .bind(now.micros())
            .execute(&mut *self.tx)
            .await
            .map_err(failed("note what is to be read"))?;
        Ok(())
    }

    pub(crate) async fn overdue_orders(
        &mut self,
        before: Timestamp,
        after: Option<(ShopId, OrderId)>,
        limit: u32,
    ) -> Result<Vec<(ShopId, OrderId)>, Error> {
        let (shop, order) = after.map_or((0, 0), |(shop, order)| (shop.get(), order.get()));
        let rows: Vec<(i64, i64)> = sqlx::query_as(OVERDUE)
            .bind(before.micros())
            .bind(shop)
            .bind(order)
            .bind(limit)
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look for orders that no read has confirmed"))?;
        order_keys(rows)
    }

    pub(crate) async fn incomplete_marks(&mut self, shops: &[ShopId]) -> Result<Vec<Incomplete>, Error> {
        let wanted: BTreeSet<_> = shops.iter().map(|shop| shop.get()).collect();
        let rows: Vec<MarkColumns> = sqlx::query_as(MARKS)
            .bind(json(&wanted))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("read the marks of incomplete shops"))?;
        rows.into_iter().map(mark).collect()
    }

    pub(crate) async fn clear_marks(&mut self, marks: &[Incomplete]) -> Result<(), Error> {
        if marks.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = marks.iter().map(mark_columns).collect();
        sqlx::query(CLEAR_MARKS)
            .bind(json(&rows))
            .execute(&mut *self.tx)
            .await
            .map_err(failed("clear marks of incomplete shops"))?;
        Ok(())
    }
}

impl Sqlite {
    pub(crate) async fn wishes(&self, limit: u32) -> Result<Vec<(Wish, Timestamp)>, Error> {
        let rows: Vec<WishColumns> = sqlx::query_as(
            "SELECT shop, kind, id, wanted_at FROM inventory_wishes ORDER BY shop, kind, id LIMIT ?1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(failed("list what is to be read"))?;
        rows.into_iter().map(wish).collect()
    }

    /// One that was wanted again meanwhile stays.
    pub(crate) async fn wishes_done(&self, wishes: &[(Wish, Timestamp)]) -> Result<(), Error> {
        let rows = done_columns(wishes);
        let mut tx = self.write().await?;
        sqlx::query(
            "DELETE FROM inventory_wishes WHERE (shop, kind, id, wanted_at) IN
                    (SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?1))",
        )
        .bind(json(&rows))
        .execute(&mut *tx)
        .await
        .map_err(failed("forget what was asked for"))?;
        commit(tx).await
    }
}
