//! Listings and the mapping of stocks to SKUs on SQLite.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use values::{HolderId, ListingId, ShopId, Sku, Step, StockId, Timestamp};

use super::inventory::OUTBOX;
use super::rows::{StockColumns, id, json, listing, listing_key, signed, stock_columns};
use super::{Sqlite, SqliteInventoryTx, WriteTx, commit};
use crate::error::{Error, failed};
use crate::inventory::{ListingOutcome, ListingSeen, MapOutcome, StockOpening, StockRow};

const LISTINGS: &str = "
SELECT l.shop, l.product, l.variation, l.holder, l.sku, l.name, l.status, l.seen
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
INSERT INTO registry_listings (shop, product, variation, holder, sku, name, status, seen)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
  FROM jsonb_each(?1) WHERE true
    ON CONFLICT (shop, product, variation) DO UPDATE SET
       holder = excluded.holder, sku = excluded.sku, name = excluded.name, status = excluded.status,
       seen = excluded.seen";

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

/// A listing as it is stored: its holder, SKU text, name, status and the read that showed it.
type Known = (Option<i64>, Option<String>, String, String, i64);

type ListingColumns = (i64, i64, i64, Option<i64>, Option<String>, String, String, i64);

/// What is known of the catalogue, and what becomes of it.
#[derive(Debug, Default)]
struct Catalogue {
    listings: BTreeMap<(ShopId, ListingId), Known>,
    stocks: BTreeMap<StockId, StockRow>,
    owners: BTreeMap<(ShopId, Sku), HolderId>,
    changed_listings: BTreeSet<(ShopId, ListingId)>,
    changed_stocks: BTreeSet<StockId>,
    removed_stocks: BTreeSet<StockId>,
    /// Stocks whose lines may now be resolved.
    resolvable: BTreeSet<StockId>,
    marked: BTreeSet<Sku>,
}

impl SqliteInventoryTx {
    /// Takes in entries of catalogues; what each came to, in their order.
    pub(crate) async fn observe_listings(
        &mut self,
        seen: &[ListingSeen],
        now: Timestamp,
    ) -> Result<Vec<ListingOutcome>, Error> {
        let mut catalogue = load(&mut self.tx, seen).await?;
        let outcomes = seen.iter().map(|seen| catalogue.observe(seen)).collect();
        catalogue.save(&mut self.tx, now).await?;
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

async fn map_stock(tx: &mut WriteTx, stock: StockId, sku: &Sku, now: Timestamp) -> Result<MapOutcome, Error> {
    let mut catalogue = Catalogue::default();
    catalogue.load_stocks(tx, &[(stock.shop.get(), stock.holder.get())]).await?;
    catalogue.load_owners(tx, &[(stock.shop.get(), sku.as_str())]).await?;
    let outcome = catalogue.map(stock, sku);
    catalogue.save(tx, now).await?;
    Ok(outcome)
}

async fn load(tx: &mut WriteTx, seen: &[ListingSeen]) -> Result<Catalogue, Error> {
    let mut catalogue = Catalogue::default();
    let keys: BTreeSet<_> = seen
        .iter()
        .map(|seen| {
            let (product, variation) = listing_key(seen.listing);
            (seen.shop.get(), product, variation)
        })
        .collect();
    let rows: Vec<ListingColumns> = sqlx::query_as(LISTINGS)
        .bind(json(&keys))
        .fetch_all(&mut **tx)
        .await
        .map_err(failed("load listings"))?;
    for (shop, product, variation, holder, sku, name, status, number) in rows {
        let key = (id("shop", shop)?, listing(product, variation)?);
        catalogue.listings.insert(key, (holder, sku, name, status, number));
    }
    let stocks: BTreeSet<_> = seen
        .iter()
        .flat_map(|seen| [Some(own_holder(seen.listing)), seen.holder].map(|holder| (seen.shop, holder)))
        .filter_map(|(shop, holder)| Some((shop.get(), holder?.get())))
        .collect();
    catalogue.load_stocks(tx, &stocks.into_iter().collect::<Vec<_>>()).await?;
    let wanted: BTreeSet<_> =
        seen.iter().filter_map(|seen| Some((seen.shop.get(), seen.sku.as_ref()?.as_str()))).collect();
    catalogue.load_owners(tx, &wanted.into_iter().collect::<Vec<_>>()).await?;
    Ok(catalogue)
}

/// Where a listing's quantity is kept if it keeps its own.
fn own_holder(listing: ListingId) -> HolderId {
    listing.variation.map_or_else(|| listing.product.into(), HolderId::from)
}

impl Catalogue {
    async fn load_stocks(&mut self, tx: &mut WriteTx, keys: &[(i64, i64)]) -> Result<(), Error> {
        let rows: Vec<StockColumns> = sqlx::query_as(STOCKS)
            .bind(json(keys))
            .fetch_all(&mut **tx)
            .await
            .map_err(failed("load stocks"))?;
        for columns in rows {
            let row = columns.row()?;
            self.stocks.insert(row.id, row);
        }
        Ok(())
    }

    async fn load_owners(&mut self, tx: &mut WriteTx, wanted: &[(i64, &str)]) -> Result<(), Error> {
        let rows: Vec<(i64, String, i64)> = sqlx::query_as(OWNERS)
            .bind(json(wanted))
            .fetch_all(&mut **tx)
            .await
            .map_err(failed("look up who has a SKU"))?;
        for (shop, code, holder) in rows {
            self.owners.insert((id("shop", shop)?, super::rows::sku(&code)?), id("stock", holder)?);
        }
        Ok(())
    }

    fn observe(&mut self, seen: &ListingSeen) -> ListingOutcome {
        let key = (seen.shop, seen.listing);
        let shown: Known = (
            seen.holder.map(HolderId::get),
            seen.sku.as_ref().map(|sku| sku.as_str().to_owned()),
            seen.name.clone(),
            seen.status.clone(),
            signed(seen.number.get()),
        );
        let before = self.listings.get(&key);
        if before.is_some_and(|before| before.4 > shown.4) {
            return ListingOutcome::Older;
        }
        let holder_changed = before.is_none_or(|before| before.0 != shown.0);
        let same = before.is_some_and(|before| {
            (&before.0, &before.1, &before.2, &before.3) == (&shown.0, &shown.1, &shown.2, &shown.3)
        });
        if before != Some(&shown) {
            self.listings.insert(key, shown);
            self.changed_listings.insert(key);
        }
        let own = StockId { shop: seen.shop, holder: own_holder(seen.listing) };
        if let Some(holder) = seen.holder {
            let stock = StockId { shop: seen.shop, holder };
            self.ensure_stock(stock);
            if holder_changed {
                self.resolvable.insert(stock);
            }
        }
        let outcome = if seen.holder == Some(own.holder) {
            self.keep_own(seen, own)
        } else {
            self.leave_own(own);
            ListingOutcome::Seen
        };
        if outcome == ListingOutcome::Seen && same { ListingOutcome::Unchanged } else { outcome }
    }

    fn ensure_stock(&mut self, stock: StockId) {
        if let Entry::Vacant(unknown) = self.stocks.entry(stock) {
            unknown.insert(new_stock(stock));
            self.changed_stocks.insert(stock);
        }
    }

    /// The listing keeps its own quantity.
    fn keep_own(&mut self, seen: &ListingSeen, own: StockId) -> ListingOutcome {
        let parent = seen.listing.variation.map(|_| seen.listing.product);
        let stock = self.stocks.get_mut(&own).expect("it was just made sure of");
        if stock.parent != parent {
            stock.parent = parent;
            self.changed_stocks.insert(own);
        }
        let mapped = stock.sku.clone();
        if stock.removed {
            stock.removed = false;
            self.changed_stocks.insert(own);
            stock.sku = None;
            return match seen.sku.as_ref().or(mapped.as_ref()) {
                Some(sku) => self.take_sku(own, sku),
                None => ListingOutcome::Seen,
            };
        }
        match (mapped, &seen.sku) {
            (None, Some(sku)) => self.take_sku(own, sku),
            (Some(mapped), Some(sku)) if mapped != *sku => ListingOutcome::Renamed { mapped },
            _ => ListingOutcome::Seen,
        }
    }

    /// The listing keeps no quantity of its own any more.
    fn leave_own(&mut self, own: StockId) {
        let Some(stock) = self.stocks.get_mut(&own).filter(|stock| !stock.removed && stock.sku.is_some())
        else {
            return;
        };
        stock.removed = true;
        stock.revision = stock.revision.next();
        if let Some(sku) = &stock.sku {
            self.owners.remove(&(own.shop, sku.clone()));
        }
        self.changed_stocks.insert(own);
        self.removed_stocks.insert(own);
    }

    fn take_sku(&mut self, stock: StockId, sku: &Sku) -> ListingOutcome {
        if let Some(by) = self.owners.get(&(stock.shop, sku.clone())) {
            return ListingOutcome::SkuTaken { by: *by };
        }
        self.assign(stock, sku);
        ListingOutcome::Mapped
    }

    fn assign(&mut self, stock: StockId, sku: &Sku) {
        self.owners.insert((stock.shop, sku.clone()), stock.holder);
        if let Some(row) = self.stocks.get_mut(&stock) {
            row.sku = Some(sku.clone());
            // What it was told and what was proven before belongs to another mapping.
            row.epoch = row.epoch.next();
        }
        self.changed_stocks.insert(stock);
        self.resolvable.insert(stock);
        self.marked.insert(sku.clone());
    }

    fn map(&mut self, stock: StockId, sku: &Sku) -> MapOutcome {
        let Some(row) = self.stocks.get_mut(&stock) else {
            return MapOutcome::UnknownStock;
        };
        if row.sku.as_ref() == Some(sku) && !row.removed {
            return MapOutcome::Unchanged;
        }
        if let Some(by) = self.owners.get(&(stock.shop, sku.clone())).filter(|by| **by != stock.holder) {
            return MapOutcome::SkuTaken { by: *by };
        }
        row.removed = false;
        self.assign(stock, sku);
        MapOutcome::Mapped
    }

    async fn save(&self, tx: &mut WriteTx, now: Timestamp) -> Result<(), Error> {
        let listings: Vec<_> = self
            .changed_listings
            .iter()
            .filter_map(|key| Some((key, self.listings.get(key)?)))
            .map(|((shop, listing), (holder, sku, name, status, number))| {
                let (product, variation) = listing_key(*listing);
                (shop.get(), product, variation, holder, sku, name, status, number)
            })
            .collect();
        write(tx, "save listings", SAVE_LISTINGS, &listings).await?;
        let skus: Vec<&str> = self.marked.iter().map(Sku::as_str).collect();
        write(tx, "add SKUs", NEW_SKUS, &skus).await?;
        // Those that give a SKU up come first, so that another can have it in the same go.
        let (removed, kept): (Vec<_>, Vec<_>) = self
            .changed_stocks
            .iter()
            .filter_map(|stock| self.stocks.get(stock))
            .partition(|row| row.removed);
        for rows in [removed, kept] {
            let rows: Vec<_> = rows.into_iter().map(mapping_columns).collect();
            write(tx, "save the mapping of stocks", SAVE_STOCKS, &rows).await?;
        }
        write(tx, "mark SKUs to recompute", MARK_SKUS, &skus).await?;
        let resolvable: Vec<_> =
            self.resolvable.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
        write(tx, "mark listings to resolve", MARK_LISTINGS, &resolvable).await?;
        let removed: Vec<_> =
            self.removed_stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
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

fn new_stock(stock: StockId) -> StockRow {
    StockRow {
        id: stock,
        sku: None,
        parent: None,
        step: Step::ONE,
        buffer: None,
        removed: false,
        level: values::Quantity::ZERO,
        untaken: values::Quantity::ZERO,
        taken_total: values::Quantity::ZERO,
        last_order_date: None,
        last_applied_at: None,
        order_dates: None,
        trace: None,
        opening: StockOpening::None,
        epoch: values::Epoch::ZERO,
        revision: values::Revision::ZERO,
        settle: None,
    }
}

fn mapping_columns(row: &StockRow) -> impl serde::Serialize + use<> {
    (
        row.id.shop.get(),
        row.id.holder.get(),
        row.sku.as_ref().map(|sku| sku.as_str().to_owned()),
        row.parent.map(values::ProductId::get),
        row.step.quantity().thousandths(),
        signed(row.epoch.get()),
        signed(row.revision.get()),
        row.removed,
    )
}
