//! Products and variations to be read again, on SQLite.

use values::{HolderId, ListingId, ShopId};

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::reading::ListingReread;
use crate::report::{PAGE_ROWS_MAX, STATUS_GONE, STATUS_TRASH};
use crate::rows::ingress::{ListingRereadColumns, listing_reread};
use crate::rows::{json, listing, listing_key, signed};

const WANT: &str = "
INSERT INTO ingress_listing_rereads (shop, id, wanted)
SELECT value ->> 0, value ->> 1, 1 FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, id) DO UPDATE SET wanted = wanted + 1";

/// An id is a product's or a variation's: they are of one series.
const WANTED: &str = "
SELECT r.id, r.wanted, coalesce(p.product, v.product), coalesce(p.variation, v.variation), coalesce(p.sku, v.sku),
       coalesce(p.name, v.name)
  FROM (SELECT id, wanted FROM ingress_listing_rereads WHERE shop = ?1 ORDER BY id LIMIT ?2) AS r
  LEFT JOIN registry_listings AS p ON p.shop = ?1 AND p.product = r.id AND p.variation = 0
  LEFT JOIN registry_listings AS v ON v.shop = ?1 AND v.variation = r.id AND v.variation > 0
 ORDER BY r.id";

/// What was asked for again meanwhile stays.
const DONE: &str = "
DELETE FROM ingress_listing_rereads
 WHERE shop = ?1 AND EXISTS (SELECT 1 FROM jsonb_each(?2) AS w
         WHERE ingress_listing_rereads.id = w.value ->> 0 AND ingress_listing_rereads.wanted = w.value ->> 1)";

const THERE: &str = "
SELECT product, variation FROM registry_listings
 WHERE shop = ?1 AND (product, variation) > (?2, ?3) AND status NOT IN (?4, ?5)
 ORDER BY product, variation LIMIT ?6";

impl Sqlite {
    pub(crate) async fn want_listings(&self, ids: &[(ShopId, HolderId)]) -> Result<(), Error> {
        let rows: Vec<_> = ids.iter().map(|(shop, id)| (shop.get(), id.get())).collect();
        let mut tx = self.write().await?;
        sqlx::query(WANT)
            .bind(json(&rows))
            .execute(&mut *tx)
            .await
            .map_err(failed("ask for listings to be read again"))?;
        commit(tx).await
    }

    pub(crate) async fn listings_wanted(
        &self,
        shop: ShopId,
        limit: u32,
    ) -> Result<Vec<ListingReread>, Error> {
        let rows: Vec<ListingRereadColumns> = sqlx::query_as(WANTED)
            .bind(shop.get())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(failed("look for listings to read again"))?;
        rows.into_iter().map(listing_reread).collect()
    }

    pub(crate) async fn listings_done(&self, shop: ShopId, done: &[ListingReread]) -> Result<(), Error> {
        let rows: Vec<_> = done.iter().map(|reread| (reread.id.get(), signed(reread.wanted))).collect();
        let mut tx = self.write().await?;
        sqlx::query(DONE)
            .bind(shop.get())
            .bind(json(&rows))
            .execute(&mut *tx)
            .await
            .map_err(failed("note listings as read again"))?;
        commit(tx).await
    }

    pub(crate) async fn listings_there(
        &self,
        shop: ShopId,
        after: Option<ListingId>,
        limit: u32,
    ) -> Result<Vec<ListingId>, Error> {
        let (product, variation) = after.map_or((0, 0), listing_key);
        let rows: Vec<(i64, i64)> = sqlx::query_as(THERE)
            .bind(shop.get())
            .bind(product)
            .bind(variation)
            .bind(STATUS_TRASH)
            .bind(STATUS_GONE)
            .bind(limit.min(PAGE_ROWS_MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(failed("list what a shop sells"))?;
        rows.into_iter().map(|(product, variation)| listing(product, variation)).collect()
    }
}
