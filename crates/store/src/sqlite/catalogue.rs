//! Listings and the mapping of stocks to SKUs on SQLite.

use std::collections::BTreeSet;

use values::{ShopId, Sku, StockId, Timestamp};

use super::inventory::OUTBOX;
use super::{Sqlite, SqliteInventoryTx, WriteTx, commit};
use crate::error::{Error, failed};
use crate::inventory::{ListingOutcome, ListingSeen, MapOutcome, TableEntry, TableOutcome};
use crate::mapping::{Like, ListingColumns, Mapping, Named, Sold, listing_keys, stock_keys, table_keys};
use crate::registry::Changed;
use crate::rows::{StockColumns, json, stock_columns};

const LISTINGS: &str = "
SELECT l.shop, l.product, l.variation, l.holder, l.sku, l.name, l.status, l.seen, l.kind, l.mapped
  FROM jsonb_each(?1) AS w CROSS JOIN registry_listings AS l
    ON l.shop = w.value ->> 0 AND l.product = w.value ->> 1 AND l.variation = w.value ->> 2";

const STOCKS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN inventory_stocks AS s
        ON s.shop = w.value ->> 0 AND s.holder = w.value ->> 1
      LEFT JOIN inventory_skus AS k ON k.id = s.sku_id"
);

const OWNERS: &str = "
SELECT s.shop, k.sku, s.holder
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_skus AS k ON k.sku = w.value ->> 1
 CROSS JOIN inventory_stocks AS s ON s.sku_id = k.id AND s.removed = 0 AND s.shop = w.value ->> 0";

const SAVE_LISTINGS: &str = "
INSERT INTO registry_listings (shop, product, variation, holder, sku, name, status, seen, kind, mapped)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, product, variation) DO UPDATE SET
       holder = excluded.holder, sku = excluded.sku, name = excluded.name, status = excluded.status,
       seen = excluded.seen, kind = excluded.kind, mapped = excluded.mapped";

/// The one SKU that is written like a code which is none, case and blanks aside.
const LIKES: &str = "
SELECT w.value, min(k.sku)
  FROM jsonb_each(?1) AS w
 CROSS JOIN inventory_skus AS k ON lower(replace(k.sku, ' ', '')) = lower(replace(w.value, ' ', ''))
 WHERE NOT EXISTS (SELECT 1 FROM inventory_skus AS e WHERE e.sku = w.value)
 GROUP BY w.value HAVING count(*) = 1";

/// The one SKU of a name, for shops that match names.
const NAMED: &str = "
SELECT s.id, w.value ->> 1, min(k.sku)
  FROM jsonb_each(?1) AS w
 CROSS JOIN registry_shops AS s ON s.id = w.value ->> 0 AND s.matches_names = 1
 CROSS JOIN inventory_skus AS k ON k.name IS NOT NULL AND lower(trim(k.name)) = lower(trim(w.value ->> 1))
 GROUP BY s.id, w.value ->> 1 HAVING count(*) = 1";

const MATCHES_NAMES: &str = "SELECT matches_names FROM registry_shops WHERE id = ?1";

const SET_MATCHES_NAMES: &str =
    "UPDATE registry_shops SET matches_names = ?2 WHERE id = ?1 AND state <> 'removed'";

const NAME_SKUS: &str = "
UPDATE inventory_skus SET name = w.value ->> 1 FROM jsonb_each(?1) AS w
 WHERE inventory_skus.sku = w.value ->> 0 AND name IS NOT w.value ->> 1";

const SOLD_BY_CODE: &str = "
SELECT l.shop, l.product, l.variation, l.sku
  FROM jsonb_each(?1) AS w CROSS JOIN registry_listings AS l
    ON l.shop = w.value ->> 0 AND lower(replace(l.sku, ' ', '')) = lower(replace(w.value ->> 1, ' ', ''))
 WHERE l.sku IS NOT NULL AND l.holder = iif(l.variation = 0, l.product, l.variation)";

const SOLD_BY_NAME: &str = "
SELECT l.shop, l.product, l.variation, l.name
  FROM jsonb_each(?1) AS w CROSS JOIN registry_listings AS l
    ON l.shop = w.value ->> 0 AND lower(trim(l.name)) = lower(trim(w.value ->> 1))
 WHERE l.sku IS NULL AND l.holder = iif(l.variation = 0, l.product, l.variation)";

const NEW_SKUS: &str = "
INSERT INTO inventory_skus (sku, movement_count, balances)
SELECT value, 0, '[]' FROM jsonb_each(?1) WHERE true
    ON CONFLICT (sku) DO NOTHING";

/// Mapping only; the level is computed when the SKU's mark is worked off.
const SAVE_STOCKS: &str = "
INSERT INTO inventory_stocks (shop, holder, sku_id, parent, step, epoch, revision, removed)
SELECT w.value ->> 0, w.value ->> 1, k.id, w.value ->> 3, w.value ->> 4, w.value ->> 5, w.value ->> 6, w.value ->> 7
  FROM jsonb_each(?1) AS w LEFT JOIN inventory_skus AS k ON k.sku = w.value ->> 2 WHERE true
    ON CONFLICT (shop, holder) DO UPDATE SET
       sku_id = excluded.sku_id, parent = excluded.parent, step = excluded.step, epoch = excluded.epoch,
       revision = excluded.revision, removed = excluded.removed,
       settle = CASE WHEN excluded.epoch = epoch THEN settle END";

pub(super) const MARK_SKUS: &str = "
INSERT INTO inventory_recompute_skus (sku_id)
SELECT k.id FROM jsonb_each(?1) AS w CROSS JOIN inventory_skus AS k ON k.sku = w.value WHERE true
    ON CONFLICT (sku_id) DO NOTHING";

/// Only listings that a line waits for: later lines find them by themselves.
const MARK_LISTINGS: &str = "
INSERT INTO inventory_recompute_listings (shop, product, variation)
SELECT l.shop, l.product, l.variation
  FROM jsonb_each(?1) AS w CROSS JOIN registry_listings AS l ON l.shop = w.value ->> 0 AND l.holder = w.value ->> 1
 WHERE EXISTS (SELECT 1 FROM inventory_lines AS x
                WHERE x.shop = l.shop AND x.product = l.product AND x.variation = l.variation
                  AND (x.sku_id IS NULL OR x.holder IS NULL) AND x.product IS NOT NULL AND x.removed = 0)
    ON CONFLICT (shop, product, variation) DO UPDATE SET after = 0";

/// The same of listings that have no stock.
const MARK_UNMANAGED: &str = "
INSERT INTO inventory_recompute_listings (shop, product, variation)
SELECT w.value ->> 0, w.value ->> 1, w.value ->> 2 FROM jsonb_each(?1) AS w
 WHERE EXISTS (SELECT 1 FROM inventory_lines AS x
                WHERE x.shop = w.value ->> 0 AND x.product = w.value ->> 1 AND x.variation = w.value ->> 2
                  AND (x.sku_id IS NULL OR x.holder IS NULL) AND x.product IS NOT NULL AND x.removed = 0)
    ON CONFLICT (shop, product, variation) DO UPDATE SET after = 0";

impl SqliteInventoryTx {
    /// Takes in entries of catalogues; what each came to, in their order.
    pub(crate) async fn observe_listings(
        &mut self,
        seen: &[ListingSeen],
        now: Timestamp,
    ) -> Result<Vec<ListingOutcome>, Error> {
        let mut mapping = Mapping::default();
        load_listings(&mut self.tx, &mut mapping, &listing_keys(seen)).await?;
        load_rest(&mut self.tx, &mut mapping, seen, None).await?;
        let outcomes = mapping.observe_all(seen);
        save(&mut self.tx, &mapping, now).await?;
        Ok(outcomes)
    }
}

impl SqliteInventoryTx {
    pub(crate) async fn map_stock(
        &mut self,
        stock: StockId,
        sku: &Sku,
        now: Timestamp,
    ) -> Result<MapOutcome, Error> {
        map_stock(&mut self.tx, stock, sku, now).await
    }

    pub(crate) async fn map_listings(
        &mut self,
        shop: ShopId,
        entries: &[TableEntry],
        now: Timestamp,
    ) -> Result<Vec<TableOutcome>, Error> {
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

impl Sqlite {
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

impl Sqlite {
    pub(crate) async fn matches_names(&self, shop: ShopId) -> Result<bool, Error> {
        let matches: Option<bool> = sqlx::query_scalar(MATCHES_NAMES)
            .bind(shop.get())
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("look whether names match"))?;
        Ok(matches.unwrap_or_default())
    }

    pub(crate) async fn set_matches_names(&self, shop: ShopId, on: bool) -> Result<Changed, Error> {
        let mut tx = self.write().await?;
        let done = sqlx::query(SET_MATCHES_NAMES)
            .bind(shop.get())
            .bind(on)
            .execute(&mut *tx)
            .await
            .map_err(failed("set whether names match"))?;
        commit(tx).await?;
        Ok(if done.rows_affected() > 0 { Changed::Done } else { Changed::Unknown })
    }

    pub(crate) async fn name_skus(&self, names: &[(Sku, String)]) -> Result<(), Error> {
        let rows: Vec<(&str, &str)> = names.iter().map(|(sku, name)| (sku.as_str(), name.as_str())).collect();
        let mut tx = self.write().await?;
        write(&mut tx, "name SKUs", NAME_SKUS, &rows).await?;
        commit(tx).await
    }
}

async fn map_stock(tx: &mut WriteTx, stock: StockId, sku: &Sku, now: Timestamp) -> Result<MapOutcome, Error> {
    let mut mapping = Mapping::default();
    load_stocks(tx, &mut mapping, &[(stock.shop.get(), stock.holder.get())]).await?;
    let own: Vec<_> = mapping.own_listing_of(stock).into_iter().collect();
    load_listings(tx, &mut mapping, &own).await?;
    load_owners(tx, &mut mapping, &[(stock.shop.get(), sku.to_string())]).await?;
    let outcome = mapping.map(stock, sku);
    save(tx, &mapping, now).await?;
    Ok(outcome)
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
        let likes: Vec<Like> = read(tx, "look for SKUs like codes", LIKES, &wanted.codes).await?;
        let like = mapping.know_likes(seen, likes)?;
        if !like.is_empty() {
            let sold: Vec<Sold> = read(tx, "look for listings like codes", SOLD_BY_CODE, &like).await?;
            mapping.know_codes(sold)?;
        }
    }
    if !wanted.names.is_empty() {
        let named: Vec<Named> = read(tx, "look for SKUs by name", NAMED, &wanted.names).await?;
        let named = mapping.know_named(named)?;
        if !named.is_empty() {
            let sold: Vec<Sold> = read(tx, "look for listings by name", SOLD_BY_NAME, &named).await?;
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

async fn read<T, R>(
    tx: &mut WriteTx,
    doing: &'static str,
    statement: &'static str,
    wanted: &[T],
) -> Result<Vec<R>, Error>
where
    T: serde::Serialize,
    R: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
{
    let rows = sqlx::query_as(statement).bind(json(wanted)).fetch_all(&mut **tx).await;
    rows.map_err(failed(doing))
}

async fn load_listings(
    tx: &mut WriteTx,
    mapping: &mut Mapping,
    keys: &[(i64, i64, i64)],
) -> Result<(), Error> {
    let rows: Vec<ListingColumns> = sqlx::query_as(LISTINGS)
        .bind(json(keys))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed("load listings"))?;
    rows.into_iter().try_for_each(|row| mapping.know_listing(row))
}

async fn load_stocks(tx: &mut WriteTx, mapping: &mut Mapping, keys: &[(i64, i64)]) -> Result<(), Error> {
    let rows: Vec<StockColumns> =
        sqlx::query_as(STOCKS).bind(json(keys)).fetch_all(&mut **tx).await.map_err(failed("load stocks"))?;
    for columns in rows {
        mapping.know_stock(columns.row()?);
    }
    Ok(())
}

async fn load_owners(tx: &mut WriteTx, mapping: &mut Mapping, wanted: &[(i64, String)]) -> Result<(), Error> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(OWNERS)
        .bind(json(wanted))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed("look up who has a SKU"))?;
    rows.into_iter().try_for_each(|row| mapping.know_owner(row))
}

async fn save(tx: &mut WriteTx, mapping: &Mapping, now: Timestamp) -> Result<(), Error> {
    write(tx, "save listings", SAVE_LISTINGS, &mapping.listing_columns()).await?;
    let marked = mapping.marked();
    write(tx, "add SKUs", NEW_SKUS, &marked).await?;
    for rows in mapping.mapping_columns() {
        write(tx, "save the mapping of stocks", SAVE_STOCKS, &rows).await?;
    }
    write(tx, "mark SKUs to recompute", MARK_SKUS, &marked).await?;
    write(tx, "mark listings to resolve", MARK_LISTINGS, &mapping.resolvable()).await?;
    write(tx, "mark listings to resolve", MARK_UNMANAGED, &mapping.unmanaged()).await?;
    let removed: Vec<_> = mapping.removed().collect();
    if !removed.is_empty() {
        sqlx::query(OUTBOX)
            .bind(json(&removed))
            .bind(now.micros())
            .execute(&mut **tx)
            .await
            .map_err(failed("fill the outbox"))?;
    }
    Ok(())
}

async fn write<T: serde::Serialize>(
    tx: &mut WriteTx,
    doing: &'static str,
    statement: &'static str,
    rows: &[T],
) -> Result<(), Error> {
    if !rows.is_empty() {
        sqlx::query(statement).bind(json(rows)).execute(&mut **tx).await.map_err(failed(doing))?;
    }
    Ok(())
}
