//! Readers of what needs somebody's attention, and of totals, on PostgreSQL.

use values::{LineId, ListingId, OrderId, ShopId, StockId};

use super::Postgres;
use super::parameters::{all, none, one, page, with};
use crate::error::Error;
use crate::report::{ListingRow, Orphan, ParkedLine, UnmappedStock, Waiting};
use crate::rows::listing_key;
use crate::rows::lists::{
    ListingRowColumns, OrphanColumns, ParkedColumns, UnmappedColumns, listing_row, orphan, parked_line,
    unmapped_stock, waiting,
};

const PARKED: &str = "
SELECT shop, order_id, line, product, variation, holder, quantity, fault
  FROM inventory.lines
 WHERE NOT removed AND (fault IS NOT NULL OR sku_id IS NULL AND NOT unmanaged)
   AND (shop, order_id, line) > ($1, $2, $3)
 ORDER BY shop, order_id, line LIMIT $4";

const ORPHANED: &str = "
WITH orphans AS (
  SELECT shop, order_id, status, false AS removed FROM inventory.orders
   WHERE gone AND open AND shop NOT IN (SELECT id FROM inventory.shops WHERE state = 'removed')
  UNION ALL
  SELECT o.shop, o.order_id, o.status, true
    FROM inventory.shops AS s JOIN inventory.orders AS o ON o.shop = s.id AND o.open
   WHERE s.state = 'removed')
SELECT o.shop, o.order_id, o.status, o.removed,
       (SELECT coalesce(sum(l.reserved), 0)::bigint
          FROM inventory.lines AS l WHERE l.shop = o.shop AND l.order_id = o.order_id)
  FROM orphans AS o WHERE (o.shop, o.order_id) > ($1, $2) ORDER BY o.shop, o.order_id LIMIT $3";

const UNMAPPED: &str = "
SELECT s.shop, s.holder, l.name, l.sku,
       (SELECT t.holder FROM inventory.skus AS k JOIN inventory.stocks AS t
            ON t.sku_id = k.id AND NOT t.removed AND t.shop = s.shop WHERE k.sku = l.sku)
  FROM inventory.stocks AS s LEFT JOIN inventory.listings AS l
    ON l.shop = s.shop AND l.product = coalesce(s.parent, s.holder)
   AND l.variation = CASE WHEN s.parent IS NULL THEN 0 ELSE s.holder END
 WHERE s.sku_id IS NULL AND NOT s.removed AND s.shop = $1 AND s.holder > $2 ORDER BY s.holder LIMIT $3";

/// Who has the SKU that is meant, which is the mapped one, else the table's, else the code.
const LISTINGS: &str = "
SELECT l.product, l.variation, l.holder, l.sku, l.name, l.status, l.kind, l.mapped, k.sku, k.name,
       (SELECT t.holder FROM inventory.skus AS u JOIN inventory.stocks AS t ON t.sku_id = u.id AND NOT t.removed
         WHERE u.sku = coalesce(l.mapped, l.sku) AND t.shop = l.shop),
       (SELECT e.balances FROM inventory.skus AS e WHERE e.sku = coalesce(k.sku, l.mapped, l.sku)),
       (SELECT min(o.sku) FROM inventory.skus AS o
         WHERE lower(replace(o.sku, ' ', '') COLLATE \"C\") = lower(replace(coalesce(k.sku, l.mapped, l.sku), ' ', '') COLLATE \"C\")
           AND o.sku <> coalesce(k.sku, l.mapped, l.sku)),
       EXISTS (SELECT 1 FROM inventory.listings AS v WHERE v.shop = l.shop AND v.product = l.product AND v.variation > 0),
       (SELECT count(*) FROM inventory.listings AS v
         WHERE v.shop = l.shop AND v.product = l.product AND v.variation > 0 AND v.holder = l.product
           AND l.variation = 0),
       (SELECT coalesce(json_agg(r.warehouse), '[]')::text FROM inventory.routes AS r WHERE r.shop = $1)
  FROM inventory.listings AS l LEFT JOIN inventory.stocks AS s ON s.shop = l.shop AND s.holder = l.holder AND NOT s.removed
  LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
 WHERE l.shop = $1 AND (l.product, l.variation) > ($2, $3) ORDER BY l.product, l.variation LIMIT $4";

const WAITING: &str = "
SELECT (SELECT count(*) FROM inventory.outbox), (SELECT min(since) FROM inventory.outbox),
       (SELECT count(*) FROM inventory.rereads),
       (SELECT count(*) FROM inventory.lines WHERE NOT removed AND (fault IS NOT NULL OR sku_id IS NULL AND NOT unmanaged)),
       (SELECT count(*) FROM inventory.orders
         WHERE gone AND open AND shop NOT IN (SELECT id FROM inventory.shops WHERE state = 'removed'))
       + (SELECT count(*) FROM inventory.shops AS s JOIN inventory.orders AS o ON o.shop = s.id AND o.open
           WHERE s.state = 'removed'),
       (SELECT count(*) FROM inventory.dead), (SELECT count(DISTINCT sku_id) FROM inventory.recompute_skus),
       (SELECT count(*) FROM inventory.approvals WHERE decided_at IS NULL)";

impl Postgres {
    pub(crate) async fn parked(
        &self,
        after: Option<(ShopId, OrderId, LineId)>,
        limit: u32,
    ) -> Result<Vec<ParkedLine>, Error> {
        let (shop, order, line) =
            after.map_or((0, 0, 0), |(shop, order, line)| (shop.get(), order.get(), line.get()));
        let parameters = with(shop).and(order).and(line).and(page(limit));
        let rows: Vec<ParkedColumns> = all(&self.pool, "list parked lines", PARKED, parameters).await?;
        rows.into_iter().map(parked_line).collect()
    }

    pub(crate) async fn orphaned(
        &self,
        after: Option<(ShopId, OrderId)>,
        limit: u32,
    ) -> Result<Vec<Orphan>, Error> {
        let (shop, order) = after.map_or((0, 0), |(shop, order)| (shop.get(), order.get()));
        let parameters = with(shop).and(order).and(page(limit));
        let rows: Vec<OrphanColumns> = all(&self.pool, "list orphaned orders", ORPHANED, parameters).await?;
        rows.into_iter().map(orphan).collect()
    }

    pub(crate) async fn unmapped(
        &self,
        shop: ShopId,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<UnmappedStock>, Error> {
        let holder = after.map_or(0, |stock| stock.holder.get());
        let parameters = with(shop.get()).and(holder).and(page(limit));
        let rows: Vec<UnmappedColumns> =
            all(&self.pool, "list stocks without SKU", UNMAPPED, parameters).await?;
        rows.into_iter().map(unmapped_stock).collect()
    }

    pub(crate) async fn listings_of_shop(
        &self,
        shop: ShopId,
        after: Option<ListingId>,
        limit: u32,
    ) -> Result<Vec<ListingRow>, Error> {
        let (product, variation) = after.map_or((0, 0), listing_key);
        let parameters = with(shop.get()).and(product).and(variation).and(page(limit));
        let rows: Vec<ListingRowColumns> = all(&self.pool, "list a catalogue", LISTINGS, parameters).await?;
        rows.into_iter().map(listing_row).collect()
    }

    pub(crate) async fn waiting(&self) -> Result<Waiting, Error> {
        waiting(one(&self.pool, "count what waits", WAITING, none()).await?)
    }
}
