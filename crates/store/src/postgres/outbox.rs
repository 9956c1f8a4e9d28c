//! The levels that are to be published, on PostgreSQL. Relays may race: what is published twice is told apart by its
//! revision, and only what is still as it was published is taken away.

use values::{Epoch, Revision, ShopId, StockId, Timestamp};

use super::Postgres;
use super::parameters::{all, rows, run, with};
use crate::error::Error;
use crate::inventory::{Outbox, ShopFilter};
use crate::rows::outbox::{UnpublishedColumns, outbox};
use crate::rows::{signed, stock_columns};

/// Oldest first would need an index that each change rewrites; by key, every stock's turn comes within one round.
/// The page is cut before anything is joined to it: the rest may be long.
const UNPUBLISHED: &str = concat!(
    "WITH o AS MATERIALIZED
       (SELECT shop, holder, since, order_first, order_last, trace FROM inventory.outbox
         WHERE (shop, holder) > ($1, $2) AND ($3 = 0 OR shop % nullif($3, 0) = $4)
         ORDER BY shop, holder LIMIT $5)
SELECT ",
    stock_columns!(),
    ", o.since, o.order_first, o.order_last, o.trace FROM o
      JOIN inventory.stocks AS s ON s.shop = o.shop AND s.holder = o.holder
      LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
     ORDER BY o.shop, o.holder"
);

/// Locked rows are left: whoever has one changes it, or takes it away himself. Row by row, whatever the server was last told
/// of the size of a table that fills and empties. It is not waited for until that is on the disk: if the machine dies before,
/// some are published once more.
const PUBLISHED: &str = "
DELETE FROM inventory.outbox
 WHERE (SELECT set_config('synchronous_commit', 'off', true)) = 'off' AND ctid = ANY (ARRAY
       (SELECT p.ctid
          FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS w (shop, holder, epoch, revision)
         CROSS JOIN LATERAL
               (SELECT x.ctid FROM inventory.outbox AS x
                 WHERE x.shop = w.shop AND x.holder = w.holder AND x.epoch = w.epoch AND x.revision = w.revision
                OFFSET 0 FOR UPDATE SKIP LOCKED) AS p))";

/// These stocks have another (epoch, revision) since `$8`; of a batch with its order dates and trace. Their rows are locked.
/// Answers with what is unpublished of each by now.
pub(super) const PUBLISH: &str = "
INSERT INTO inventory.outbox AS o (shop, holder, epoch, revision, since, order_first, order_last, trace)
SELECT w.shop, w.holder, w.epoch, w.revision, $8, w.order_first, w.order_last, w.trace
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
       AS w (shop, holder, epoch, revision, order_first, order_last, trace)
 ORDER BY w.shop, w.holder
    ON CONFLICT (shop, holder) DO UPDATE SET
       epoch = excluded.epoch, revision = excluded.revision, trace = coalesce(excluded.trace, o.trace),
       order_first = least(o.order_first, excluded.order_first),
       order_last = greatest(o.order_last, excluded.order_last)
RETURNING shop, holder, since, order_first, order_last, trace";

/// Every stock that has a SKU, of shop `$2` or of all, has another (epoch, revision) since `$1`. Who gave it that has locked
/// its row by it, so what is read here is what is stored.
pub(super) const PUBLISH_ALL: &str = "
INSERT INTO inventory.outbox AS o (shop, holder, epoch, revision, since)
SELECT shop, holder, epoch, revision, $1 FROM inventory.stocks
 WHERE sku_id IS NOT NULL AND ($2::bigint IS NULL OR shop = $2) ORDER BY shop, holder
    ON CONFLICT (shop, holder) DO UPDATE SET epoch = excluded.epoch, revision = excluded.revision";

/// Every stock of the shop that has a SKU is to be published once more, as it is when this has its row.
const PUBLISH_AGAIN: &str = "
INSERT INTO inventory.outbox AS o (shop, holder, epoch, revision, since)
SELECT s.shop, s.holder, s.epoch, s.revision, $2
  FROM (SELECT shop, holder, epoch, revision FROM inventory.stocks
         WHERE shop = $1 AND sku_id IS NOT NULL ORDER BY shop, holder FOR UPDATE) AS s
    ON CONFLICT (shop, holder) DO NOTHING";

impl Postgres {
    pub(crate) async fn publish_again(&self, shop: ShopId, now: Timestamp) -> Result<u64, Error> {
        run(&self.pool, "publish levels again", PUBLISH_AGAIN, with(shop.get()).and(now.micros())).await
    }

    pub(crate) async fn levels_to_publish(
        &self,
        filter: ShopFilter,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Outbox, Error> {
        let (of, rest) = filter.divisor_and_rest();
        let (shop, holder) = after.map_or((0, 0), |stock| (stock.shop.get(), stock.holder.get()));
        let parameters = with(shop).and(holder).and(i64::from(of)).and(i64::from(rest)).and(i64::from(limit));
        let rows: Vec<UnpublishedColumns> =
            all(&self.pool, "read the outbox", UNPUBLISHED, parameters).await?;
        outbox(rows)
    }

    /// What changed since it was read stays.
    pub(crate) async fn mark_published(&self, levels: &[(StockId, Epoch, Revision)]) -> Result<(), Error> {
        let published: Vec<(i64, i64, i64, i64)> = levels
            .iter()
            .map(|(stock, epoch, revision)| {
                (stock.shop.get(), stock.holder.get(), signed(epoch.get()), signed(revision.get()))
            })
            .collect();
        run(&self.pool, "mark levels as published", PUBLISHED, rows(&published)).await?;
        Ok(())
    }
}
