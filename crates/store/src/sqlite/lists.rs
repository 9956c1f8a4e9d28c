//! Readers of what needs somebody's attention, and of totals, on SQLite.

use values::{LineId, ListingId, OrderId, ShopId, StockId};

use super::Sqlite;
use crate::error::{Error, failed};
use crate::report::{ListingRow, Orphan, PAGE_ROWS_MAX, ParkedLine, UnmappedStock, Waiting};
use crate::rows::listing_key;
use crate::rows::lists::{
    ListingRowColumns, OrphanColumns, ParkedColumns, UnmappedColumns, listing_row, orphan, parked_line,
    unmapped_stock, waiting,
};

const PARKED: &str = "
SELECT shop, order_id, line, product, variation, holder, quantity, fault
  FROM inventory_lines
 WHERE removed = 0 AND (fault IS NOT NULL OR sku_id IS NULL AND unmanaged = 0)
   AND (shop, order_id, line) > (?1, ?2, ?3)
 ORDER BY shop, order_id, line LIMIT ?4";

const ORPHANED: &str = "
WITH orphans AS (
  SELECT shop, order_id, status, 0 AS removed FROM inventory_orders
   WHERE gone = 1 AND open = 1 AND shop NOT IN (SELECT id FROM registry_shops WHERE state = 'removed')
  UNION ALL
  SELECT o.shop, o.order_id, o.status, 1
    FROM registry_shops AS s CROSS JOIN inventory_orders AS o ON o.shop = s.id AND o.open = 1
   WHERE s.state = 'removed')
SELECT o.shop, o.order_id, o.status, o.removed,
       (SELECT sum(l.reserved) FROM inventory_lines AS l WHERE l.shop = o.shop AND l.order_id = o.order_id)
  FROM orphans AS o WHERE (o.shop, o.order_id) > (?1, ?2) ORDER BY o.shop, o.order_id LIMIT ?3";

const UNMAPPED: &str = "
SELECT s.shop, s.holder, l.name, l.sku,
       (SELECT t.holder FROM inventory_skus AS k JOIN inventory_stocks AS t
            ON t.sku_id = k.id AND t.removed = 0 AND t.shop = s.shop WHERE k.sku = l.sku)
  FROM inventory_stocks AS s LEFT JOIN registry_listings AS l
    ON l.shop = s.shop AND l.product = coalesce(s.parent, s.holder)
   AND l.variation = CASE WHEN s.parent IS NULL THEN 0 ELSE s.holder END
 WHERE s.sku_id IS NULL AND s.removed = 0 AND s.shop = ?1 AND s.holder > ?2 ORDER BY s.holder LIMIT ?3";

/// Who has the SKU that is meant, which is the mapped one, else the table's, else the code.
const LISTINGS: &str = "
SELECT l.product, l.variation, l.holder, l.sku, l.name, l.status, l.kind, l.mapped, k.sku, k.name,
       (SELECT t.holder FROM inventory_skus AS u JOIN inventory_stocks AS t ON t.sku_id = u.id AND t.removed = 0
         WHERE u.sku = coalesce(l.mapped, l.sku) AND t.shop = l.shop),
       (SELECT e.balances FROM inventory_skus AS e WHERE e.sku = coalesce(k.sku, l.mapped, l.sku)),
       (SELECT min(o.sku) FROM inventory_skus AS o
         WHERE lower(replace(o.sku, ' ', '')) = lower(replace(coalesce(k.sku, l.mapped, l.sku), ' ', ''))
           AND o.sku <> coalesce(k.sku, l.mapped, l.sku)),
       EXISTS (SELECT 1 FROM registry_listings AS v WHERE v.shop = l.shop AND v.product = l.product AND v.variation > 0),
       (SELECT count(*) FROM registry_listings AS v
         WHERE v.shop = l.shop AND v.product = l.product AND v.variation > 0 AND v.holder = l.product
           AND l.variation = 0),
       (SELECT json_group_array(r.warehouse) FROM registry_routes AS r WHERE r.shop = ?1)
  FROM registry_listings AS l LEFT JOIN inventory_stocks AS s ON s.shop = l.shop AND s.holder = l.holder AND s.removed = 0
  LEFT JOIN inventory_skus AS k ON k.id = s.sku_id
 WHERE l.shop = ?1 AND (l.product, l.variation) > (?2, ?3) ORDER BY l.product, l.variation LIMIT ?4";

const WAITING: &str = "
SELECT (SELECT count(*) FROM inventory_outbox), (SELECT min(since) FROM inventory_outbox),
       (SELECT count(*) FROM inventory_rereads),
       (SELECT count(*) FROM inventory_lines WHERE removed = 0 AND (fault IS NOT NULL OR sku_id IS NULL AND unmanaged = 0)),
       (SELECT count(*) FROM inventory_orders
         WHERE gone = 1 AND open = 1 AND shop NOT IN (SELECT id FROM registry_shops WHERE state = 'removed'))
       + (SELECT count(*) FROM registry_shops AS s CROSS JOIN inventory_orders AS o ON o.shop = s.id AND o.open = 1
           WHERE s.state = 'removed'),
       (SELECT count(*) FROM inventory_dead), (SELECT count(*) FROM inventory_recompute_skus),
       (SELECT count(*) FROM inventory_approvals WHERE decided_at IS NULL)";

impl Sqlite {
    pub(crate) async fn parked(
        &self,
        after: Option<(ShopId, OrderId, LineId)>,
        limit: u32,
    ) -> Result<Vec<ParkedLine>, Error> {
        let (shop, order, line) =
            after.map_or((0, 0, 0), |(shop, order, line)| (shop.get(), order.get(), line.get()));
        let rows: Vec<ParkedColumns> = sqlx::query_as(PARKED)
            .bind(shop)
            .bind(order)
            .bind(line)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list parked lines"))?;
        rows.into_iter().map(parked_line).collect()
    }

    pub(crate) async fn orphaned(
        &self,
        after: Option<(ShopId, OrderId)>,
        limit: u32,
    ) -> Result<Vec<Orphan>, Error> {
        let (shop, order) = after.map_or((0, 0), |(shop, order)| (shop.get(), order.get()));
        let rows: Vec<OrphanColumns> = sqlx::query_as(ORPHANED)
            .bind(shop)
            .bind(order)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list orphaned orders"))?;
        rows.into_iter().map(orphan).collect()
    }

    pub(crate) async fn unmapped(
        &self,
        shop: ShopId,
        after: Option<StockId>,
        limit: u32,
    ) -> Result<Vec<UnmappedStock>, Error> {
        let rows: Vec<UnmappedColumns> = sqlx::query_as(UNMAPPED)
            .bind(shop.get())
            .bind(after.map_or(0, |stock| stock.holder.get()))
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list stocks without SKU"))?;
        rows.into_iter().map(unmapped_stock).collect()
    }

    pub(crate) async fn listings_of_shop(
        &self,
        shop: ShopId,
        after: Option<ListingId>,
        limit: u32,
    ) -> Result<Vec<ListingRow>, Error> {
        let (product, variation) = after.map_or((0, 0), listing_key);
        let rows: Vec<ListingRowColumns> = sqlx::query_as(LISTINGS)
            .bind(shop.get())
            .bind(product)
            .bind(variation)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list a catalogue"))?;
        rows.into_iter().map(listing_row).collect()
    }

    pub(crate) async fn waiting(&self) -> Result<Waiting, Error> {
        let row =
            sqlx::query_as(WAITING).fetch_one(&self.readers).await.map_err(failed("count what waits"))?;
        waiting(row)
    }
}
