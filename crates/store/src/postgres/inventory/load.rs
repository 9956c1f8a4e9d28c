//! Loading what a batch touches: one statement for each kind of row, however many there are. Orders are locked first, then
//! SKUs, then stocks, each in the order of its keys.
//!
//! A SKU that is not there yet is made, so that two transactions that meet at it wait for each other: all that are missing,
//! in the order of their codes, before any is locked, so that nobody who holds a lock waits for one to be made. An order
//! that is not there is not made: messages of one order come one after the other as a rule, so each new order would be
//! written twice for nothing. It is inserted when it is saved, and whoever comes second is told to try again.

use std::collections::{BTreeSet, HashMap};

use ledger::{Book, Resolved};
use values::{ListingId, OrderId, ShopId, Sku, StockId};

use super::super::listing_memory::{ListingKey, MappedTo};
use super::super::locks;
use super::super::parameters::{all, rows, run, with};
use super::PgInventoryTx;
use crate::error::Error;
use crate::inventory::{KeyState, ListingBook, OperationKey, OrderRow, StockRow};
use crate::loaded::{BookColumns, KeyColumns, ListingColumns, key_states};
use crate::registry::ShopState;
use crate::rows::lines::{LineColumns, line_columns};
use crate::rows::registry::shop_state;
use crate::rows::{OrderColumns, StockColumns, id, listing, sku, stock_columns, wanted_listings};

/// Reads of stocks that are mapped anew meanwhile. After the first they are locked; only others that come to the SKUs are not.
const READS_MAX: usize = 4;
const LOAD_STOCKS: &str = "load stocks";

/// A listing, with the SKU that its stock is mapped to.
type MappedListing = (i64, i64, i64, Option<i64>, Option<i64>, Option<String>, Option<i64>);

/// Of orders that another transaction has just changed, the row as it is by then. Row by row, however few there were when the
/// plan was made: a plan that reads the table in the order of its keys is kept while the table grows.
const ORDERS: &str = "
SELECT o.*
  FROM (SELECT u.shop, u.order_id FROM unnest($1::bigint[], $2::bigint[]) AS u (shop, order_id)
         ORDER BY u.shop, u.order_id) AS w
 CROSS JOIN LATERAL
       (SELECT o.shop, o.order_id, o.modified_at, o.digest, o.origin, o.last_read, o.confirmed, o.older_at,
               o.older_digest, o.status, o.gone, o.reread, o.expired, o.expires_at, o.unconfirmed_since, o.predates
          FROM inventory.orders AS o WHERE o.shop = w.shop AND o.order_id = w.order_id
        OFFSET 0 FOR NO KEY UPDATE) AS o";

/// After the orders are locked, in a statement of its own: it sees what was committed by then. Row by row, as them.
const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, order_id)
 CROSS JOIN LATERAL
       (SELECT x.* FROM inventory.lines AS x WHERE x.shop = w.shop AND x.order_id = w.order_id OFFSET 0) AS l
  LEFT JOIN inventory.skus AS k ON k.id = l.sku_id
 ORDER BY l.shop, l.order_id, l.position"
);

/// A listing's SKU is that of its stock. Where the shop keeps no quantity, or another stock of the shop has the SKU, it is
/// known by its code, if the hub keeps stock of that: its orders count all the same.
const LISTINGS: &str = "
SELECT l.shop, l.product, l.variation, l.holder, k.id, k.sku, s.sku_id
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (shop, product, variation)
  JOIN inventory.listings AS l ON l.shop = w.shop AND l.product = w.product AND l.variation = w.variation
  LEFT JOIN inventory.stocks AS s ON s.shop = l.shop AND s.holder = l.holder AND NOT s.removed
  LEFT JOIN inventory.skus AS k
    ON k.id = coalesce(s.sku_id,
                       CASE WHEN coalesce(l.holder = CASE WHEN l.variation = 0 THEN l.product ELSE l.variation END,
                                          true)
                            THEN (SELECT u.id FROM inventory.skus AS u WHERE u.sku = coalesce(l.mapped, l.sku)) END)";

const SKU_IDS: &str = "SELECT k.sku, k.id FROM inventory.skus AS k WHERE k.sku = ANY ($1)";

const BOOKS: &str = "
SELECT k.sku, k.id, k.movement_count, k.counted_at, k.balances
  FROM inventory.skus AS k WHERE k.id = ANY ($1) ORDER BY k.id FOR NO KEY UPDATE";

/// In the order of the codes: two that make the same wait for each other here.
const MAKE_SKUS: &str = "
INSERT INTO inventory.skus (sku, movement_count, balances)
SELECT w.sku, 0, '[]' FROM unnest($1::text[]) AS w (sku) ORDER BY w.sku COLLATE \"C\"
    ON CONFLICT (sku) DO NOTHING
RETURNING sku, id";

const SKUS_OF_STOCKS: &str = "
SELECT DISTINCT k.sku, k.id
  FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
  JOIN inventory.stocks AS s ON s.shop = w.shop AND s.holder = w.holder
  JOIN inventory.skus AS k ON k.id = s.sku_id";

/// The codes of the SKUs are known.
const STOCKS_OF_SKUS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM inventory.stocks AS s CROSS JOIN (VALUES (NULL::text)) AS k (sku)
     WHERE s.sku_id = ANY ($1) AND NOT s.removed
     ORDER BY s.shop, s.holder FOR NO KEY UPDATE OF s"
);

/// SKUs come before stocks: those of the stocks named are locked first, in the same go. Who looked them up before has locked
/// them with all others, and they are found locked here.
const STOCKS: &str = concat!(
    "WITH owners AS MATERIALIZED
       (SELECT k.id FROM inventory.skus AS k
         WHERE k.id IN (SELECT s.sku_id FROM unnest($2::bigint[], $3::bigint[]) AS w (shop, holder)
                          JOIN inventory.stocks AS s ON s.shop = w.shop AND s.holder = w.holder)
         ORDER BY k.id FOR NO KEY UPDATE),
     wanted AS MATERIALIZED
       (SELECT s.shop, s.holder FROM inventory.stocks AS s WHERE s.sku_id = ANY ($1) AND NOT s.removed
         UNION
        SELECT w.shop, w.holder FROM unnest($2::bigint[], $3::bigint[]) AS w (shop, holder))
SELECT ",
    stock_columns!(),
    " FROM wanted AS w JOIN inventory.stocks AS s ON s.shop = w.shop AND s.holder = w.holder
      LEFT JOIN inventory.skus AS k ON k.id = s.sku_id
     WHERE (SELECT count(*) FROM owners) >= 0
     ORDER BY s.shop, s.holder FOR NO KEY UPDATE OF s"
);

/// Whoever asks for the same key waits until this transaction has ended, and then finds what it answered.
const LOCK_OPERATIONS: &str = "
SELECT pg_advisory_xact_lock(w.key)
  FROM (SELECT DISTINCT hashtextextended(w.actor || chr(31) || w.key, 0) AS key
          FROM unnest($1::text[], $2::text[]) AS w (actor, key) ORDER BY key) AS w";

const OPERATIONS: &str = "
SELECT o.actor, o.key, o.digest, o.outcome
  FROM unnest($1::text[], $2::text[]) AS w (actor, key)
  JOIN inventory.operations AS o ON o.actor = w.actor AND o.key = w.key";

const INCOMPLETE: &str = "
SELECT w.shop FROM unnest($1::bigint[]) AS w (shop)
 WHERE EXISTS (SELECT 1 FROM inventory.incomplete AS i WHERE i.shop = w.shop)
    OR EXISTS (SELECT 1 FROM inventory.dead AS d WHERE d.shop = w.shop AND d.leaves_incomplete)
    OR EXISTS (SELECT 1 FROM inventory.dead AS d WHERE d.shop IS NULL AND d.leaves_incomplete)
    OR EXISTS (SELECT 1 FROM inventory.recompute_listings AS r WHERE r.shop = w.shop)";

impl PgInventoryTx {
    /// The orders in the order asked for; those never seen are unknown ones.
    pub(crate) async fn load_orders(&mut self, keys: &[(ShopId, OrderId)]) -> Result<Vec<OrderRow>, Error> {
        self.keep_mapping_of(keys.iter().map(|(shop, _)| *shop)).await?;
        let wanted: BTreeSet<_> = keys.iter().map(|(shop, order)| (shop.get(), order.get())).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        let found: Vec<OrderColumns> = all(&mut *self.tx, "load orders", ORDERS, rows(&wanted)).await?;
        let known = self.loaded.know_orders(found)?;
        if !known.is_empty() {
            let lines: Vec<LineColumns> = all(&mut *self.tx, "load order lines", LINES, rows(&known)).await?;
            self.loaded.know_lines(&lines)?;
        }
        Ok(self.loaded.orders(keys))
    }

    pub(crate) async fn lock_shops(&mut self, shops: &[ShopId]) -> Result<(), Error> {
        let wanted: BTreeSet<ShopId> = shops.iter().copied().collect();
        let versions = locks::shops(&mut self.tx, wanted.iter().map(|shop| shop.get()).collect()).await?;
        self.note_versions(wanted, &versions);
        Ok(())
    }

    pub(crate) async fn lock_out_shops(&mut self, shops: &[ShopId]) -> Result<(), Error> {
        let wanted: BTreeSet<ShopId> = shops.iter().copied().collect();
        locks::change_mapping(&mut self.tx, wanted.iter().map(|shop| shop.get()).collect()).await?;
        // Nothing of them is remembered.
        self.kept.extend(wanted.into_iter().map(|shop| (shop, None)));
        Ok(())
    }

    pub(crate) async fn keep_shops(&mut self, shops: &[ShopId]) -> Result<Vec<(ShopId, ShopState)>, Error> {
        let kept = self.keep(shops.iter().copied().collect()).await?;
        kept.into_iter().map(|(shop, _, state)| Ok((id("shop", shop)?, shop_state(&state)?))).collect()
    }

    pub(crate) async fn keep_mapping(&mut self, shops: &[ShopId]) -> Result<(), Error> {
        self.keep_mapping_of(shops.iter().copied()).await
    }

    async fn keep_mapping_of(&mut self, shops: impl Iterator<Item = ShopId>) -> Result<(), Error> {
        let shops: BTreeSet<ShopId> = shops.filter(|shop| !self.kept.contains_key(shop)).collect();
        if !shops.is_empty() {
            self.keep(shops).await?;
        }
        Ok(())
    }

    async fn keep(&mut self, shops: BTreeSet<ShopId>) -> Result<Vec<locks::Kept>, Error> {
        let kept = locks::keep_mapping(&mut self.tx, shops.iter().map(|shop| shop.get()).collect()).await?;
        let versions: Vec<locks::Version> = kept.iter().map(|(id, version, _)| (*id, *version)).collect();
        self.note_versions(shops, &versions);
        Ok(kept)
    }

    fn note_versions(&mut self, shops: BTreeSet<ShopId>, versions: &[locks::Version]) {
        for shop in shops {
            let version = versions.iter().find(|(id, _)| *id == shop.get()).map(|(_, version)| *version);
            self.kept.entry(shop).or_insert(version);
        }
    }

    pub(crate) async fn resolve_listings(
        &mut self,
        listings: &[(ShopId, ListingId)],
        texts: &[Sku],
        stocks: &[StockId],
    ) -> Result<ListingBook, Error> {
        let shops = listings.iter().map(|(shop, _)| *shop).chain(stocks.iter().map(|stock| stock.shop));
        self.keep_mapping_of(shops).await?;
        let mut book = self.listing_book(wanted_listings(listings).into_iter().collect()).await?;
        self.find_skus(texts).await?;
        let is_known = |sku: &&Sku| self.loaded.sku_id(sku).is_some() && !self.made.contains_key(*sku);
        book.skus = texts.iter().filter(is_known).cloned().collect();
        if !stocks.is_empty() {
            let keys: Vec<_> = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
            let found = all(&mut *self.tx, "look up the SKUs of stocks", SKUS_OF_STOCKS, rows(&keys)).await?;
            book.stock_skus = self.loaded.know_stock_skus(found)?;
        }
        Ok(book)
    }

    /// What the listings lead to: as it is remembered, or looked up.
    async fn listing_book(&mut self, mut wanted: Vec<ListingKey>) -> Result<ListingBook, Error> {
        let kept = &self.kept;
        let version_of = |shop: i64| kept.get(&ShopId::new(shop)?).copied().flatten();
        let recalled = self.listings.recall(&mut wanted, version_of);
        let mut looked_up: Vec<ListingColumns> = Vec::with_capacity(wanted.len());
        if !wanted.is_empty() {
            let listed: Vec<MappedListing> =
                all(&mut *self.tx, "resolve listings", LISTINGS, rows(&wanted)).await?;
            let mut mapped_to = Vec::with_capacity(listed.len());
            for (shop, product, variation, holder, sku_id, code, mapped) in listed {
                if let (Some(holder), Some(sku_id), Some(code)) = (holder, mapped, &code) {
                    self.mapped.insert((shop, holder), sku_id);
                    let to = MappedTo { holder: id("stock", holder)?, sku_id, sku: sku(code)? };
                    mapped_to.push(((shop, product, variation), to));
                }
                looked_up.push((shop, product, variation, holder, sku_id, code));
            }
            self.listings.remember(mapped_to, version_of);
        }
        let mut book = self.loaded.listings(looked_up)?;
        for ((shop, product, variation), to) in recalled {
            self.mapped.insert((shop, to.holder.get()), to.sku_id);
            self.loaded.know_sku(&to.sku, to.sku_id);
            let resolved = Resolved { stock: Some(to.holder), sku: Some(to.sku) };
            book.listings.insert((id("shop", shop)?, listing(product, variation)?), resolved);
        }
        Ok(book)
    }

    /// Learns the ids of those SKUs that are stored and not known yet.
    async fn find_skus<'a>(&mut self, skus: impl IntoIterator<Item = &'a Sku>) -> Result<(), Error> {
        let unknown: Vec<&str> = self.loaded.unknown_skus(skus).into_iter().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let found = all(&mut *self.tx, "look up SKUs", SKU_IDS, with(unknown)).await?;
        self.loaded.know_sku_ids(found)
    }

    /// The books of the SKUs; one never seen is empty. Nobody else moves them until the end.
    pub(crate) async fn load_books(&mut self, skus: &[Sku]) -> Result<Book, Error> {
        self.find_skus(skus).await?;
        self.make_skus(skus.iter()).await?;
        self.lock_books(skus).await?;
        Ok(self.loaded.books(skus))
    }

    /// Those that were loaded or made by this transaction are locked.
    async fn lock_books(&mut self, skus: &[Sku]) -> Result<(), Error> {
        let unloaded = self.loaded.unloaded_skus(skus);
        self.find_skus(unloaded.iter().copied()).await?;
        let ids: BTreeSet<i64> = unloaded.into_iter().filter_map(|sku| self.loaded.sku_id(sku)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = ids.into_iter().collect();
        let found: Vec<BookColumns> = all(&mut *self.tx, "load SKUs", BOOKS, with(ids)).await?;
        self.loaded.know_books(found)
    }

    /// Makes those of the SKUs that are not stored. Of one that somebody else has made meanwhile, the id is learnt.
    pub(super) async fn make_skus<'a>(
        &mut self,
        skus: impl Iterator<Item = &'a Sku> + Clone,
    ) -> Result<(), Error> {
        let missing: Vec<&str> = self.loaded.unknown_skus(skus.clone()).into_iter().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let made: Vec<(String, i64)> = all(&mut *self.tx, "add SKUs", MAKE_SKUS, with(missing)).await?;
        for (code, sku_id) in made {
            self.made.insert(sku(&code)?, sku_id);
            self.loaded.know_books(vec![(code, sku_id, 0, None, "[]".to_owned())])?;
        }
        self.find_skus(skus).await
    }

    /// The stocks named, and all stocks mapped to the SKUs.
    pub(crate) async fn load_stocks(
        &mut self,
        stocks: &[StockId],
        skus: &[Sku],
    ) -> Result<Vec<StockRow>, Error> {
        self.lock_books(skus).await?;
        let sku_ids = self.loaded.sku_ids(skus);
        let keys = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get()));
        let is_found_by_sku =
            |key: &(i64, i64)| self.mapped.get(key).is_some_and(|sku_id| sku_ids.contains(sku_id));
        let named: BTreeSet<_> = keys.filter(|key| !is_found_by_sku(key)).collect();
        let (shops, holders): (Vec<i64>, Vec<i64>) = named.into_iter().unzip();
        let sku_ids: Vec<i64> = sku_ids.into_iter().collect();
        if shops.is_empty() {
            let mut found: Vec<StockColumns> =
                all(&mut *self.tx, LOAD_STOCKS, STOCKS_OF_SKUS, with(&sku_ids)).await?;
            let codes: HashMap<i64, &Sku> =
                skus.iter().filter_map(|sku| Some((self.loaded.sku_id(sku)?, sku))).collect();
            for stock in &mut found {
                stock.sku = stock.sku_id.and_then(|sku_id| Some(codes.get(&sku_id)?.as_str().to_owned()));
            }
            return self.loaded.know_stocks(&found);
        }
        for _ in 0..READS_MAX {
            let parameters = with(&sku_ids).and(&shops).and(&holders);
            let found: Vec<StockColumns> = all(&mut *self.tx, LOAD_STOCKS, STOCKS, parameters).await?;
            // One that was mapped to a new SKU while this waited for its row: it is locked by now, and read again.
            if !found.iter().any(StockColumns::is_torn) {
                return self.loaded.know_stocks(&found);
            }
        }
        Err(Error::Busy { doing: LOAD_STOCKS, source: "stocks were mapped to other SKUs meanwhile".into() })
    }

    /// What is known of each key, in the order asked for.
    pub(crate) async fn operation_keys(
        &mut self,
        keys: &[(OperationKey, [u8; 16])],
    ) -> Result<Vec<KeyState>, Error> {
        let wanted: BTreeSet<_> = keys.iter().map(|(key, _)| (&*key.actor, &*key.key)).collect();
        let wanted: Vec<_> = wanted.into_iter().collect();
        run(&mut *self.tx, "lock operation keys", LOCK_OPERATIONS, rows(&wanted)).await?;
        let found: Vec<KeyColumns> =
            all(&mut *self.tx, "look up operation keys", OPERATIONS, rows(&wanted)).await?;
        Ok(key_states(keys, found))
    }

    /// Those of the shops whose picture is incomplete.
    pub(crate) async fn incomplete_shops(&mut self, shops: &[ShopId]) -> Result<BTreeSet<ShopId>, Error> {
        let wanted: Vec<i64> = shops.iter().map(|shop| shop.get()).collect();
        let found: Vec<(i64,)> =
            all(&mut *self.tx, "look up incomplete shops", INCOMPLETE, with(wanted)).await?;
        found.into_iter().map(|(shop,)| id("shop", shop)).collect()
    }
}
