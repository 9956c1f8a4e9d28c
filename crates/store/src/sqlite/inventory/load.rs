//! Loading what a batch touches: one statement for each kind of row, however many there are.

use std::collections::BTreeSet;

use ledger::Book;
use values::{ListingId, OrderId, ShopId, Sku, StockId};

use super::SqliteInventoryTx;
use crate::error::{Error, failed};
use crate::inventory::{KeyState, ListingBook, OperationKey, OrderRow, StockRow};
use crate::loaded::{BookColumns, KeyColumns, ListingColumns, key_states};
use crate::rows::lines::{LineColumns, line_columns};
use crate::rows::{OrderColumns, StockColumns, id, json, stock_columns, wanted_listings};

const ORDERS: &str = "
SELECT o.shop, o.order_id, o.modified_at, o.digest, o.origin, o.last_read, o.confirmed, o.older_at,
       o.older_digest, o.status, o.gone, o.reread, o.expired, o.expires_at,
       o.unconfirmed_since, o.predates
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_orders AS o
    ON o.shop = w.value ->> 0 AND o.order_id = w.value ->> 1";

const LINES: &str = concat!(
    "SELECT ",
    line_columns!(),
    "
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_lines AS l
    ON l.shop = w.value ->> 0 AND l.order_id = w.value ->> 1
  LEFT JOIN inventory_skus AS k ON k.id = l.sku_id
 ORDER BY l.shop, l.order_id, l.position"
);

/// A listing's SKU is that of its stock. Where the shop keeps no quantity, or another stock of the shop has the SKU, it is
/// known by its code, if the hub keeps stock of that: its orders count all the same.
const LISTINGS: &str = "
SELECT l.shop, l.product, l.variation, l.holder, k.id, k.sku
  FROM jsonb_each(?1) AS w CROSS JOIN registry_listings AS l
    ON l.shop = w.value ->> 0 AND l.product = w.value ->> 1 AND l.variation = w.value ->> 2
  LEFT JOIN inventory_stocks AS s ON s.shop = l.shop AND s.holder = l.holder AND s.removed = 0
  LEFT JOIN inventory_skus AS k
    ON k.id = coalesce(s.sku_id,
                       CASE WHEN coalesce(l.holder = iif(l.variation = 0, l.product, l.variation), true)
                            THEN (SELECT u.id FROM inventory_skus AS u WHERE u.sku = coalesce(l.mapped, l.sku)) END)";

const SKU_IDS: &str = "
SELECT k.sku, k.id FROM jsonb_each(?1) AS w CROSS JOIN inventory_skus AS k ON k.sku = w.value";

const BOOKS: &str = "
SELECT k.sku, k.id, k.movement_count, k.counted_at, k.balances
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_skus AS k ON k.id = w.value";

const STOCKS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN inventory_stocks AS s
        ON s.shop = w.value ->> 0 AND s.holder = w.value ->> 1
      LEFT JOIN inventory_skus AS k ON k.id = s.sku_id"
);

const STOCKS_OF_SKUS: &str = concat!(
    "SELECT ",
    stock_columns!(),
    " FROM jsonb_each(?1) AS w CROSS JOIN inventory_stocks AS s ON s.sku_id = w.value AND s.removed = 0
      CROSS JOIN inventory_skus AS k ON k.id = s.sku_id"
);

const SKUS_OF_STOCKS: &str = "
SELECT DISTINCT k.sku, k.id
  FROM jsonb_each(?1) AS w
 CROSS JOIN inventory_stocks AS s ON s.shop = w.value ->> 0 AND s.holder = w.value ->> 1
 CROSS JOIN inventory_skus AS k ON k.id = s.sku_id";

const OPERATIONS: &str = "
SELECT o.actor, o.key, o.digest, o.outcome
  FROM jsonb_each(?1) AS w CROSS JOIN inventory_operations AS o
    ON o.actor = w.value ->> 0 AND o.key = w.value ->> 1";

const INCOMPLETE: &str = "
SELECT w.value FROM jsonb_each(?1) AS w
 WHERE EXISTS (SELECT 1 FROM inventory_incomplete AS i WHERE i.shop = w.value)
    OR EXISTS (SELECT 1 FROM inventory_dead AS d WHERE d.shop = w.value AND d.leaves_incomplete)
    OR EXISTS (SELECT 1 FROM inventory_dead AS d WHERE d.shop IS NULL AND d.leaves_incomplete)
    OR EXISTS (SELECT 1 FROM inventory_recompute_listings AS r WHERE r.shop = w.value)";

impl SqliteInventoryTx {
    /// The orders in the order asked for; those never seen are unknown ones.
    pub(crate) async fn load_orders(&mut self, keys: &[(ShopId, OrderId)]) -> Result<Vec<OrderRow>, Error> {
        let wanted: BTreeSet<_> = keys.iter().map(|(shop, order)| (shop.get(), order.get())).collect();
        let rows: Vec<OrderColumns> = sqlx::query_as(ORDERS)
            .bind(json(&wanted))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("load orders"))?;
        let known = self.loaded.know_orders(rows)?;
        if !known.is_empty() {
            self.load_lines(&known).await?;
        }
        Ok(self.loaded.orders(keys))
    }

    async fn load_lines(&mut self, orders: &[(i64, i64)]) -> Result<(), Error> {
        let rows: Vec<LineColumns> = sqlx::query_as(LINES)
            .bind(json(orders))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("load order lines"))?;
        self.loaded.know_lines(&rows)
    }

    pub(crate) async fn resolve_listings(
        &mut self,
        listings: &[(ShopId, ListingId)],
        texts: &[Sku],
        stocks: &[StockId],
    ) -> Result<ListingBook, Error> {
        let wanted = wanted_listings(listings);
        let rows: Vec<ListingColumns> = sqlx::query_as(LISTINGS)
            .bind(json(&wanted))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("resolve listings"))?;
        let mut book = self.loaded.listings(rows)?;
        self.find_skus(texts).await?;
        book.skus = texts.iter().filter(|sku| self.loaded.sku_id(sku).is_some()).cloned().collect();
        book.stock_skus = self.skus_of_stocks(stocks).await?;
        Ok(book)
    }

    async fn skus_of_stocks(&mut self, stocks: &[StockId]) -> Result<BTreeSet<Sku>, Error> {
        if stocks.is_empty() {
            return Ok(BTreeSet::new());
        }
        let keys: Vec<_> = stocks.iter().map(|stock| (stock.shop.get(), stock.holder.get())).collect();
        let rows: Vec<(String, i64)> = sqlx::query_as(SKUS_OF_STOCKS)
            .bind(json(&keys))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look up the SKUs of stocks"))?;
        self.loaded.know_stock_skus(rows)
    }

    /// Learns the ids of those SKUs that are stored and not known yet.
    pub(super) async fn find_skus<'a>(
        &mut self,
        skus: impl IntoIterator<Item = &'a Sku>,
    ) -> Result<(), Error> {
        let unknown = self.loaded.unknown_skus(skus);
        if unknown.is_empty() {
            return Ok(());
        }
        let rows: Vec<(String, i64)> = sqlx::query_as(SKU_IDS)
            .bind(json(&unknown))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look up SKUs"))?;
        self.loaded.know_sku_ids(rows)
    }

    /// The books of the SKUs; one never seen is empty.
    pub(crate) async fn load_books(&mut self, skus: &[Sku]) -> Result<Book, Error> {
        self.find_skus(skus).await?;
        let ids = self.loaded.sku_ids(skus);
        let rows: Vec<BookColumns> = sqlx::query_as(BOOKS)
            .bind(json(&ids))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("load SKUs"))?;
        self.loaded.know_books(rows)?;
        Ok(self.loaded.books(skus))
    }

    /// The stocks named, and all stocks mapped to the SKUs.
    pub(crate) async fn load_stocks(
        &mut self,
        stocks: &[StockId],
        skus: &[Sku],
    ) -> Result<Vec<StockRow>, Error> {
        self.find_skus(skus).await?;
        let sku_ids = self.loaded.sku_ids(skus);
        let mut rows: Vec<StockColumns> = sqlx::query_as(STOCKS_OF_SKUS)
            .bind(json(&sku_ids))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("load the stocks of SKUs"))?;
        let mut loaded = BTreeSet::new();
        for row in &rows {
            loaded.insert(row.row()?.id);
        }
        let others: BTreeSet<_> = stocks
            .iter()
            .filter(|stock| !loaded.contains(stock))
            .map(|stock| (stock.shop.get(), stock.holder.get()))
            .collect();
        if !others.is_empty() {
            let named: Vec<StockColumns> = sqlx::query_as(STOCKS)
                .bind(json(&others))
                .fetch_all(&mut *self.tx)
                .await
                .map_err(failed("load stocks"))?;
            rows.extend(named);
        }
        self.loaded.know_stocks(&rows)
    }

    /// What is known of each key, in the order asked for.
    pub(crate) async fn operation_keys(
        &mut self,
        keys: &[(OperationKey, [u8; 16])],
    ) -> Result<Vec<KeyState>, Error> {
        let wanted: BTreeSet<_> = keys.iter().map(|(key, _)| (&*key.actor, &*key.key)).collect();
        let rows: Vec<KeyColumns> = sqlx::query_as(OPERATIONS)
            .bind(json(&wanted))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look up operation keys"))?;
        Ok(key_states(keys, rows))
    }

    /// Those of the shops whose picture is incomplete.
    pub(crate) async fn incomplete_shops(&mut self, shops: &[ShopId]) -> Result<BTreeSet<ShopId>, Error> {
        let wanted: BTreeSet<_> = shops.iter().map(|shop| shop.get()).collect();
        let rows: Vec<i64> = sqlx::query_scalar(INCOMPLETE)
            .bind(json(&wanted))
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed("look up incomplete shops"))?;
        rows.into_iter().map(|shop| id("shop", shop)).collect()
    }
}
