//! Products and variations to be read again, on PostgreSQL.

use values::{HolderId, ListingId, ShopId};

use super::Postgres;
use super::parameters::{all, page, rows, run, with};
use crate::error::Error;
use crate::reading::ListingReread;
use crate::report::{STATUS_GONE, STATUS_TRASH};
use crate::rows::ingress::{ListingRereadColumns, listing_reread};
use crate::rows::{listing, listing_key, signed};

const WANT: &str = "
INSERT INTO ingress.listing_rereads AS r (shop, id, wanted)
SELECT w.shop, w.id, count(*) FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, id)
 GROUP BY w.shop, w.id ORDER BY w.shop, w.id
    ON CONFLICT (shop, id) DO UPDATE SET wanted = r.wanted + excluded.wanted";

/// An id is a product's or a variation's: they are of one series.
const WANTED: &str = "
SELECT r.id, r.wanted, coalesce(p.product, v.product), coalesce(p.variation, v.variation), coalesce(p.sku, v.sku),
       coalesce(p.name, v.name)
  FROM (SELECT id, wanted FROM ingress.listing_rereads WHERE shop = $1 ORDER BY id LIMIT $2) AS r
  LEFT JOIN inventory.listings AS p ON p.shop = $1 AND p.product = r.id AND p.variation = 0
  LEFT JOIN inventory.listings AS v ON v.shop = $1 AND v.variation = r.id AND v.variation > 0
 ORDER BY r.id";

/// What was asked for again meanwhile stays.
const DONE: &str = "
DELETE FROM ingress.listing_rereads AS r
 USING (SELECT x.shop, x.id
          FROM unnest($1::bigint[], $2::bigint[]) AS w (id, wanted)
          JOIN ingress.listing_rereads AS x ON x.shop = $3 AND x.id = w.id AND x.wanted = w.wanted
         ORDER BY x.id FOR UPDATE OF x) AS d
 WHERE r.shop = d.shop AND r.id = d.id";

const THERE: &str = "
SELECT product, variation FROM inventory.listings
 WHERE shop = $1 AND (product, variation) > ($2, $3) AND status <> ALL ($4::text[])
 ORDER BY product, variation LIMIT $5";

impl Postgres {
    pub(crate) async fn want_listings(&self, ids: &[(ShopId, HolderId)]) -> Result<(), Error> {
        let ids: Vec<(i64, i64)> = ids.iter().map(|(shop, id)| (shop.get(), id.get())).collect();
        run(&self.pool, "ask for listings to be read again", WANT, rows(&ids)).await?;
        Ok(())
    }

    pub(crate) async fn listings_wanted(
        &self,
        shop: ShopId,
        limit: u32,
    ) -> Result<Vec<ListingReread>, Error> {
        let parameters = with(shop.get()).and(i64::from(limit));
        let found: Vec<ListingRereadColumns> =
            all(&self.pool, "look for listings to read again", WANTED, parameters).await?;
        found.into_iter().map(listing_reread).collect()
    }

    pub(crate) async fn listings_done(&self, shop: ShopId, done: &[ListingReread]) -> Result<(), Error> {
        let done: Vec<(i64, i64)> =
            done.iter().map(|reread| (reread.id.get(), signed(reread.wanted))).collect();
        run(&self.pool, "note listings as read again", DONE, rows(&done).and(shop.get())).await?;
        Ok(())
    }

    pub(crate) async fn listings_there(
        &self,
        shop: ShopId,
        after: Option<ListingId>,
        limit: u32,
    ) -> Result<Vec<ListingId>, Error> {
        let (product, variation) = after.map_or((0, 0), listing_key);
        let lost = vec![STATUS_TRASH, STATUS_GONE];
        let parameters = with(shop.get()).and(product).and(variation).and(lost).and(page(limit));
        let found: Vec<(i64, i64)> = all(&self.pool, "list what a shop sells", THERE, parameters).await?;
        found.into_iter().map(|(product, variation)| listing(product, variation)).collect()
    }
}
