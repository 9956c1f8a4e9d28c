//! The levels that are to be published, on SQLite.

use values::{Epoch, Revision, ShopId, StockId, Timestamp};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::inventory::{Outbox, ShopFilter};
use crate::rows::outbox::{UnpublishedColumns, outbox};
use crate::rows::{json, signed, stock_columns};

/// Oldest first would need an index that each change rewrites; by key, every stock's turn comes within one round.
const UNPUBLISHED: &str = concat!(
    "SELECT ",
    stock_columns!(),
    ", o.since, o.order_first, o.order_last, o.trace FROM inventory_outbox AS o
      CROSS JOIN inventory_stocks AS s ON s.shop = o.shop AND s.holder = o.holder
      LEFT JOIN inventory_skus AS k ON k.id = s.sku_id
     WHERE (o.shop, o.holder) > (?1, ?2) AND (?3 = 0 OR o.shop % ?3 = ?4)
     ORDER BY o.shop, o.holder LIMIT ?5"
);

const PUBLISHED: &str = "
DELETE FROM inventory_outbox
 WHERE (shop, holder) IN
       (SELECT s.shop, s.holder
          FROM jsonb_each(?1) AS w CROSS JOIN inventory_stocks AS s
            ON s.shop = w.value ->> 0 AND s.holder = w.value ->> 1
           AND s.epoch = w.value ->> 2 AND s.revision = w.value ->> 3)";

const PUBLISH_AGAIN: &str = "
INSERT INTO inventory_outbox (shop, holder, since)
SELECT shop, holder, ?2 FROM inventory_stocks WHERE shop = ?1 AND sku_id IS NOT NULL ORDER BY holder
    ON CONFLICT (shop, holder) DO NOTHING";

impl Sqlite {
    pub(crate) async fn publish_again(&self, shop: ShopId, now: Timestamp) -> Result<u64, Error> {
        let mut tx = self.write().await?;
        let again = sqlx::query(PUBLISH_AGAIN)
            .bind(shop.get())
            .bind(now.micros())
            .execute(&mut *tx)
            .await
            .map_err(failed("publish levels again"))?;
        commit(tx).await?;
        Ok(again.rows_affected())
    }

    pub(crate) async fn levels_to_publish(
        &self,
        filter: ShopFilter,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Outbox, Error> {
        let (of, rest) = filter.divisor_and_rest();
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        let rows: Vec<UnpublishedColumns> = sqlx::query_as(UNPUBLISHED)
            .bind(shop)
            .bind(holder)
            .bind(of)
            .bind(rest)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("read the outbox"))?;
        outbox(rows)
    }

    /// What changed since it was read stays.
    pub(crate) async fn mark_published(&self, levels: &[(StockId, Epoch, Revision)]) -> Result<(), Error> {
        let rows: Vec<_> = levels
            .iter()
            .map(|(stock, epoch, revision)| {
                (stock.shop.get(), stock.holder.get(), signed(epoch.get()), signed(revision.get()))
            })
            .collect();
        let mut tx = self.write().await?;
        sqlx::query(PUBLISHED)
            .bind(json(&rows))
            .execute(&mut *tx)
            .await
            .map_err(failed("mark levels as published"))?;
        commit(tx).await
    }
}
