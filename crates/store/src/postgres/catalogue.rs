//! Listings and the mapping of stocks to SKUs on PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use values::{ShopId, Sku, StockId, Timestamp};

use super::outbox::PUBLISH;
use super::parameters::{all, maybe, rows, run, with};
use super::{PgInventoryTx, Postgres, WriteTx, commit, locks, marks};
use crate::error::Error;
use crate::inventory::{ListingOutcome, ListingSeen, MapOutcome, TableEntry, TableOutcome};
use crate::mapping::{Like, ListingColumns, Mapping, Named, Sold, listing_keys, stock_keys, table_keys};
use crate::registry::Changed;
use crate::rows::batch::ToPublish;
use crate::rows::{StockColumns, stock_columns};

const LISTINGS: &str = "
SELECT l.shop, l.product, l.variation, l.holder, l.sku, l.name, l.status, l.seen, l.kind, l.mapped
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (shop, product, variation)
  JOIN inventory.listings AS l ON l.shop = w.shop AND l.product = w.product AND l.variation = w.variation";

const STOCKS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
      JOIN inventory.stocks AS s ON s.shop = w.shop AND s.holder = w.holder
      LEFT JOIN inventory.skus AS k ON k.id = s.sku_id"
);

const OWNERS: &str = "
SELECT s.shop, k.sku, s.holder
  FROM unnest($1::bigint[], $2::text[]) AS w (shop, sku)
  JOIN inventory.skus AS k ON k.sku = w.sku
  JOIN inventory.stocks AS s ON s.sku_id = k.id AND NOT s.removed AND s.shop = w.shop";

const SAVE_LISTINGS: &str = "
INSERT INTO inventory.listings (shop, product, variation, holder, sku, name, status, seen, kind, mapped)
SELECT w.shop, w.product, w.variation, w.holder, w.sku, w.name, w.status, w.seen, w.kind, w.mapped
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
              $9::text[], $10::text[])
       AS w (shop, product, variation, holder, sku, name, status, seen, kind, mapped)
    ON CONFLICT (shop, product, variation) DO UPDATE SET
       holder = excluded.holder, sku = excluded.sku, name = excluded.name, status = excluded.status,
       seen = excluded.seen, kind = excluded.kind, mapped = excluded.mapped";

/// The one SKU that is written like a code which is none, case and blanks aside.
const LIKES: &str = "
SELECT w.code, min(k.sku)
  FROM unnest($1::text[]) AS w (code)
  JOIN inventory.skus AS k
    ON lower(replace(k.sku, ' ', '') COLLATE \"C\") = lower(replace(w.code, ' ', '') COLLATE \"C\")
 WHERE NOT EXISTS (SELECT 1 FROM inventory.skus AS e WHERE e.sku = w.code)
 GROUP BY w.code HAVING count(*) = 1";

/// The one SKU of a name, for shops that match names.
const NAMED: &str = "
SELECT s.id, w.name, min(k.sku)
  FROM unnest($1::bigint[], $2::text[]) AS w (shop, name)
  JOIN inventory.shops AS s ON s.id = w.shop AND s.matches_names
  JOIN inventory.skus AS k
    ON k.name IS NOT NULL AND lower(btrim(k.name) COLLATE \"C\") = lower(btrim(w.name) COLLATE \"C\")
 GROUP BY s.id, w.name HAVING count(*) = 1";

const MATCHES_NAMES: &str = "SELECT matches_names FROM inventory.shops WHERE id = $1";

const SET_MATCHES_NAMES: &str =
    "UPDATE inventory.shops SET matches_names = $2 WHERE id = $1 AND state <> 'removed'";

/// Locked in the order of their ids, as everywhere.
const NAME_SKUS: &str = "
WITH wanted AS MATERIALIZED
  (SELECT k.id, w.name FROM unnest($1::text[], $2::text[]) AS w (sku, name)
     JOIN inventory.skus AS k ON k.sku = w.sku WHERE k.name IS DISTINCT FROM w.name
    ORDER BY k.id FOR NO KEY UPDATE OF k)
UPDATE inventory.skus AS k SET name = w.name FROM wanted AS w WHERE k.id = w.id";

const SOLD_BY_CODE: &str = "
SELECT l.shop, l.product, l.variation, l.sku
  FROM unnest($1::bigint[], $2::text[]) AS w (shop, code)
  JOIN inventory.listings AS l
    ON l.shop = w.shop AND lower(replace(l.sku, ' ', '') COLLATE \"C\") = lower(replace(w.code, ' ', '') COLLATE \"C\")
 WHERE l.sku IS NOT NULL AND l.holder = CASE WHEN l.variation = 0 THEN l.product ELSE l.variation END";

const SOLD_BY_NAME: &str = "
SELECT l.shop, l.product, l.variation, l.name
  FROM unnest($1::bigint[], $2::text[]) AS w (shop, name)
  JOIN inventory.listings AS l
    ON l.shop = w.shop AND lower(btrim(l.name) COLLATE \"C\") = lower(btrim(w.name) COLLATE \"C\")
 WHERE l.sku IS NULL AND l.holder = CASE WHEN l.variation = 0 THEN l.product ELSE l.variation END";

/// In the order of the codes: two that add the same wait for each other here.
const NEW_SKUS: &str = "
INSERT INTO inventory.skus (sku, movement_count, balances)
SELECT w.sku, 0, '[]' FROM unnest($1::text[]) AS w (sku)
 WHERE NOT EXISTS (SELECT 1 FROM inventory.skus AS k WHERE k.sku = w.sku)
 ORDER BY w.sku COLLATE \"C\"
    ON CONFLICT (sku) DO NOTHING";

/// Mapping only; the level is computed when the SKU's mark is worked off. Epoch and revision grow by what is given: a batch
/// may have changed the revision since it was read here.
const SAVE_STOCKS: &str = "
INSERT INTO inventory.stocks AS s (shop, holder, sku_id, parent, step, epoch, revision, removed)
SELECT w.shop, w.holder, k.id, w.parent, w.step, w.epoch, w.revision, w.removed
  FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
              $8::boolean[])
       AS w (shop, holder, sku, parent, step, epoch, revision, removed)
  LEFT JOIN inventory.skus AS k ON k.sku = w.sku
 ORDER BY w.shop, w.holder
    ON CONFLICT (shop, holder) DO UPDATE SET
       sku_id = excluded.sku_id, parent = excluded.parent, step = excluded.step, removed = excluded.removed,
       epoch = s.epoch + excluded.epoch, revision = s.revision + excluded.revision,
       settle = CASE WHEN excluded.epoch = 0 THEN s.settle END
RETURNING shop, holder, epoch, revision";

/// A level that waits to be published is that of the new epoch from now on: a relay takes away what it published by that.
const SAVE_WAITING: &str = "
UPDATE inventory.outbox AS o SET epoch = w.epoch, revision = w.revision
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS w (shop, holder, epoch, revision)
 WHERE o.shop = w.shop AND o.holder = w.holder";

/// Not the next number: a database that was restored would come to the same ones again, and mean something else.
const RENEW_VERSION: &str =
    "UPDATE inventory.shops SET mapping = (random() * 9e18)::bigint WHERE id = ANY ($1)";

impl PgInventoryTx {
    /// Takes in entries of catalogues; what each came to, in their order.
    pub(crate) async fn observe_listings(
        &mut self,
        seen: &[ListingSeen],
        now: Timestamp,
    ) -> Result<Vec<ListingOutcome>, Error> {
        let shops: BTreeSet<i64> = seen.iter().map(|seen| seen.shop.get()).collect();
        locks::change_mapping(&mut self.tx, shops.into_iter().collect()).await?;
        self.kept.extend(seen.iter().map(|seen| (seen.shop, None)));
        let mut mapping = Mapping::default();
        load_listings(&mut self.tx, &mut mapping, &listing_keys(seen)).await?;
        load_rest(&mut self.tx, &mut mapping, seen, None).await?;
        let outcomes = mapping.observe_all(seen);
        save(&mut self.tx, &mapping, now).await?;
        Ok(outcomes)
    }

    pub(crate) async fn map_stock(
        &mut self,
        stock: StockId,
        sku: &Sku,
        now: Timestamp,
    ) -> Result<MapOutcome, Error> {
        self.kept.insert(stock.shop, None);
        map_stock(&mut self.tx, stock, sku, now).await
    }

    pub(crate) async fn map_listings(
        &mut self,
        shop: ShopId,
        entries: &[TableEntry],
        now: Timestamp,
    ) -> Result<Vec<TableOutcome>, Error> {
        locks::change_mapping(&mut self.tx, vec![shop.get()]).await?;
        let mut mapping = Mapping::default();
        load_listings(&mut self.tx, &mut mapping, &table_keys(shop, entries)).await?;
        let known = mapping.known_listings();
        let said = entries.iter().filter_map(|entry| Some((shop.get(), entry.sku.as_ref()?.to_string())));
        load_rest(&mut self.tx, &mut mapping, &known, Some(said.collect())).await?;
        let outcomes = mapping.apply_table(shop, entries);
        if !outcomes.iter().any(TableOutcome::is_refused) {
            save(&mut self.tx, &mapping, now).await?;
        }
        Ok(outcomes)
    }
}

impl Postgres {
    pub(crate) async fn map_stock(
        &self,
        stock: StockId,
        sku: &Sku,
        now: Timestamp,
    ) -> Result<MapOutcome, Error> {
        let mut tx = self.write().await?;
        let outcome = map_stock(&mut tx, stock, sku, now).await?;
        commit(tx).await?;
        Ok(outcome)
    }
}

impl Postgres {
    pub(crate) async fn matches_names(&self, shop: ShopId) -> Result<bool, Error> {
        let found: Option<(bool,)> =
            maybe(&self.pool, "look whether names match", MATCHES_NAMES, with(shop.get())).await?;
        Ok(found.is_some_and(|(matches,)| matches))
    }

    pub(crate) async fn set_matches_names(&self, shop: ShopId, on: bool) -> Result<Changed, Error> {
        let parameters = with(shop.get()).and(on);
        let changed = run(&self.pool, "set whether names match", SET_MATCHES_NAMES, parameters).await?;
        Ok(if changed > 0 { Changed::Done } else { Changed::Unknown })
    }

    pub(crate) async fn name_skus(&self, names: &[(Sku, String)]) -> Result<(), Error> {
        let names: Vec<(&str, &str)> =
            names.iter().map(|(sku, name)| (sku.as_str(), name.as_str())).collect();
        run(&self.pool, "name SKUs", NAME_SKUS, rows(&names)).await?;
        Ok(())
    }
}

async fn map_stock(tx: &mut WriteTx, stock: StockId, sku: &Sku, now: Timestamp) -> Result<MapOutcome, Error> {
    let (shop, holder) = (stock.shop.get(), stock.holder.get());
    locks::change_mapping(tx, vec![shop]).await?;
    let mut mapping = Mapping::default();
    load_stocks(tx, &mut mapping, &[(shop, holder)]).await?;
    let own: Vec<_> = mapping.own_listing_of(stock).into_iter().collect();
    load_listings(tx, &mut mapping, &own).await?;
    load_owners(tx, &mut mapping, &[(shop, sku.to_string())]).await?;
    let outcome = mapping.map(stock, sku);
    save(tx, &mapping, now).await?;
    Ok(outcome)
}

async fn load_listings(
    tx: &mut WriteTx,
    mapping: &mut Mapping,
    keys: &[(i64, i64, i64)],
) -> Result<(), Error> {
    let listings: Vec<ListingColumns> = all(&mut **tx, "load listings", LISTINGS, rows(keys)).await?;
    listings.into_iter().try_for_each(|row| mapping.know_listing(row))
}

/// What the listings, which are loaded, are decided on. `said`: the SKUs that a table says they are.
async fn load_rest(
    tx: &mut WriteTx,
    mapping: &mut Mapping,
    seen: &[ListingSeen],
    said: Option<BTreeSet<(i64, String)>>,
) -> Result<(), Error> {
    load_stocks(tx, mapping, &stock_keys(seen)).await?;
    let wanted = mapping.wanted(seen, said.is_some());
    if !wanted.codes.is_empty() {
        let likes: Vec<Like> = all(&mut **tx, "look for SKUs like codes", LIKES, with(&wanted.codes)).await?;
        let like = mapping.know_likes(seen, likes)?;
        if !like.is_empty() {
            let sold: Vec<Sold> =
                all(&mut **tx, "look for listings like codes", SOLD_BY_CODE, rows(&like)).await?;
            mapping.know_codes(sold)?;
        }
    }
    if !wanted.names.is_empty() {
        let named: Vec<Named> = all(&mut **tx, "look for SKUs by name", NAMED, rows(&wanted.names)).await?;
        let named = mapping.know_named(named)?;
        if !named.is_empty() {
            let sold: Vec<Sold> =
                all(&mut **tx, "look for listings by name", SOLD_BY_NAME, rows(&named)).await?;
            mapping.know_names(sold)?;
        }
    }
    let mut candidates = mapping.candidates(seen)?;
    candidates.extend(said.into_iter().flatten());
    let candidates: Vec<_> = candidates.into_iter().collect();
    load_owners(tx, mapping, &candidates).await?;
    load_rivals(tx, mapping, seen).await
}

/// Those that may have to give up a SKU: they are few.
async fn load_rivals(tx: &mut WriteTx, mapping: &mut Mapping, seen: &[ListingSeen]) -> Result<(), Error> {
    let rivals = mapping.rivals(seen);
    if rivals.is_empty() {
        return Ok(());
    }
    load_stocks(tx, mapping, &rivals).await?;
    let listings = mapping.own_listings_of(&rivals)?;
    load_listings(tx, mapping, &listings).await?;
    let codes = mapping.codes_of(&listings)?;
    load_owners(tx, mapping, &codes).await
}

/// Without a lock on the stocks: nobody else changes what a mapping is decided on.
async fn load_stocks(tx: &mut WriteTx, mapping: &mut Mapping, keys: &[(i64, i64)]) -> Result<(), Error> {
    let stocks: Vec<StockColumns> = all(&mut **tx, "load stocks", STOCKS, rows(keys)).await?;
    for columns in stocks {
        mapping.know_stock(columns.row()?);
    }
    Ok(())
}

async fn load_owners(tx: &mut WriteTx, mapping: &mut Mapping, wanted: &[(i64, String)]) -> Result<(), Error> {
    let owners: Vec<(i64, String, i64)> =
        all(&mut **tx, "look up who has a SKU", OWNERS, rows(wanted)).await?;
    owners.into_iter().try_for_each(|row| mapping.know_owner(row))
}

async fn save(tx: &mut WriteTx, mapping: &Mapping, now: Timestamp) -> Result<(), Error> {
    let listings = mapping.listing_columns();
    if !listings.is_empty() {
        run(&mut **tx, "save listings", SAVE_LISTINGS, rows(&listings)).await?;
    }
    let remapped = mapping.remapped();
    if !remapped.is_empty() {
        run(&mut **tx, "renew the version of a mapping", RENEW_VERSION, with(remapped)).await?;
    }
    let marked = mapping.marked();
    if !marked.is_empty() {
        run(&mut **tx, "add SKUs", NEW_SKUS, with(&marked)).await?;
    }
    let touched = mapping.touched();
    if !touched.is_empty() {
        locks::skus(tx, &touched).await?;
    }
    // What gives its SKU up and gets another is saved twice: the last is what it is.
    let mut last: BTreeMap<(i64, i64), (i64, i64)> = BTreeMap::new();
    for changed in mapping.mapping_growth() {
        if !changed.is_empty() {
            let rows: Vec<(i64, i64, i64, i64)> =
                all(&mut **tx, "save the mapping of stocks", SAVE_STOCKS, rows(&changed)).await?;
            last.extend(
                rows.into_iter().map(|(shop, holder, epoch, revision)| ((shop, holder), (epoch, revision))),
            );
        }
    }
    let saved: Vec<(i64, i64, i64, i64)> =
        last.into_iter().map(|((shop, holder), (epoch, revision))| (shop, holder, epoch, revision)).collect();
    if !saved.is_empty() {
        run(&mut **tx, "renew what is to be published", SAVE_WAITING, rows(&saved)).await?;
    }
    if !marked.is_empty() {
        run(&mut **tx, "mark SKUs to recompute", marks::SKUS, with(&marked)).await?;
    }
    let resolvable = mapping.resolvable();
    if !resolvable.is_empty() {
        run(&mut **tx, "mark listings to resolve", marks::LISTINGS, rows(&resolvable)).await?;
    }
    let unmanaged = mapping.unmanaged();
    if !unmanaged.is_empty() {
        run(&mut **tx, "mark listings to resolve", marks::UNMANAGED, rows(&unmanaged)).await?;
    }
    let removed: BTreeSet<(i64, i64)> = mapping.removed().collect();
    let removed: Vec<ToPublish<'_>> = saved
        .into_iter()
        .filter(|(shop, holder, ..)| removed.contains(&(*shop, *holder)))
        .map(|(shop, holder, epoch, revision)| (shop, holder, epoch, revision, None, None, None))
        .collect();
    if !removed.is_empty() {
        run(&mut **tx, "fill the outbox", PUBLISH, rows(&removed).and(now.micros())).await?;
    }
    Ok(())
}
