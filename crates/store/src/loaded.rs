//! What a batch of inventory has loaded, alike for every backend, so that only what changed is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ledger::{Book, Resolved, SkuBook};
use values::{OrderId, ShopId, Sku, StockId};

use crate::error::Error;
use crate::inventory::{Changes, KeyState, ListingBook, OperationKey, OrderRow, Posted, StockRow};
use crate::rows::batch::{
    SavedLine, SavedMovement, SavedOrder, SavedSku, SavedStock, ToPublish, saved_line, saved_movement,
    saved_order, saved_sku, saved_stock, to_publish,
};
use crate::rows::lines::LineColumns;
use crate::rows::{OrderColumns, StockColumns, id, listing, order_row, sku, sku_book, some_id};

/// Shop, product, variation, holder, SKU id, SKU.
pub(crate) type ListingColumns = (i64, i64, i64, Option<i64>, Option<i64>, Option<String>);
/// SKU, id, number of its last movement, counted at, balances.
pub(crate) type BookColumns = (String, i64, i64, Option<i64>, String);
/// Actor, key, digest, outcome.
pub(crate) type KeyColumns = (String, String, Vec<u8>, String);

/// The rows of a batch as they were loaded, or saved since.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    orders: HashMap<(ShopId, OrderId), OrderRow>,
    /// Orders that have a row.
    stored: BTreeSet<(ShopId, OrderId)>,
    stocks: HashMap<StockId, StockRow>,
    skus: BTreeMap<Sku, LoadedSku>,
}

#[derive(Debug, Default)]
struct LoadedSku {
    /// `None`: not stored yet.
    id: Option<i64>,
    /// As it was loaded, if it was.
    book: Option<SkuBook>,
}

/// SKUs of which there has become too little, and of which there has become enough, by id.
#[derive(Debug, Default)]
pub(crate) struct ShortWrites {
    pub(crate) short: Vec<(i64,)>,
    pub(crate) enough: Vec<(i64,)>,
}

/// The rows of the orders that have changed.
#[derive(Default)]
pub(crate) struct OrderWrites<'a> {
    /// Orders that had no row when they were loaded.
    pub(crate) new: Vec<SavedOrder<'a>>,
    /// Orders that had one.
    pub(crate) changed: Vec<SavedOrder<'a>>,
    /// Lines of new orders.
    pub(crate) new_lines: Vec<SavedLine<'a>>,
    /// Lines of the others, but for those that are as they were.
    pub(crate) lines: Vec<SavedLine<'a>>,
    /// Of orders that have fewer lines than before: shop, order, how many are left.
    pub(crate) cut: Vec<(i64, i64, i64)>,
    /// Orders to be read again.
    pub(crate) rereads: Vec<(i64, i64)>,
    /// Orders that were, and are not any more.
    pub(crate) rereads_done: Vec<(i64, i64)>,
}

impl Loaded {
    pub(crate) fn know_sku(&mut self, sku: &Sku, id: i64) {
        self.skus.entry(sku.clone()).or_default().id = Some(id);
    }

    pub(crate) fn sku_id(&self, sku: &Sku) -> Option<i64> {
        self.skus.get(sku).and_then(|loaded| loaded.id)
    }

    /// Those of the SKUs that nothing is known of yet.
    pub(crate) fn unknown_skus<'a>(&self, skus: impl IntoIterator<Item = &'a Sku>) -> BTreeSet<&'a str> {
        skus.into_iter().filter(|sku| self.sku_id(sku).is_none()).map(Sku::as_str).collect()
    }

    pub(crate) fn sku_ids(&self, skus: &[Sku]) -> BTreeSet<i64> {
        skus.iter().filter_map(|sku| self.sku_id(sku)).collect()
    }

    /// Those of the SKUs whose book was not loaded.
    pub(crate) fn unloaded_skus<'a>(&self, skus: &'a [Sku]) -> Vec<&'a Sku> {
        let is_loaded = |sku: &&Sku| self.skus.get(*sku).is_some_and(|loaded| loaded.book.is_some());
        skus.iter().filter(|sku| !is_loaded(sku)).collect()
    }

    /// The keys of the orders, whose lines follow.
    pub(crate) fn know_orders(&mut self, rows: Vec<OrderColumns>) -> Result<Vec<(i64, i64)>, Error> {
        let keys = rows.iter().map(|row| (row.0, row.1)).collect();
        for row in rows {
            let order = order_row(row)?;
            self.stored.insert((order.shop, order.order.id));
            self.orders.insert((order.shop, order.order.id), order);
        }
        Ok(keys)
    }

    pub(crate) fn know_lines(&mut self, rows: &[LineColumns]) -> Result<(), Error> {
        for row in rows {
            let line = row.line()?;
            if let (Some(sku), Some(sku_id)) = (&line.sku, row.sku_id) {
                self.know_sku(sku, sku_id);
            }
            if let Some(order) = self.orders.get_mut(&(id("shop", row.shop)?, id("order", row.order)?)) {
                order.order.lines.push(line);
            }
        }
        Ok(())
    }

    /// The orders in the order asked for; those never seen are unknown ones.
    pub(crate) fn orders(&mut self, keys: &[(ShopId, OrderId)]) -> Vec<OrderRow> {
        let order = |(shop, order): &(ShopId, OrderId)| {
            self.orders.entry((*shop, *order)).or_insert_with(|| OrderRow::unknown(*shop, *order)).clone()
        };
        keys.iter().map(order).collect()
    }

    pub(crate) fn listings(&mut self, rows: Vec<ListingColumns>) -> Result<ListingBook, Error> {
        let mut book = ListingBook::default();
        for (shop, product, variation, holder, sku_id, code) in rows {
            let mapped = code.as_deref().map(sku).transpose()?;
            if let (Some(sku), Some(sku_id)) = (&mapped, sku_id) {
                self.know_sku(sku, sku_id);
            }
            let resolved = Resolved { stock: some_id("stock", holder)?, sku: mapped };
            book.listings.insert((id("shop", shop)?, listing(product, variation)?), resolved);
        }
        Ok(book)
    }

    pub(crate) fn know_sku_ids(&mut self, rows: Vec<(String, i64)>) -> Result<(), Error> {
        rows.into_iter().try_for_each(|(code, sku_id)| {
            self.know_sku(&sku(&code)?, sku_id);
            Ok(())
        })
    }

    /// The SKUs of these rows.
    pub(crate) fn know_stock_skus(&mut self, rows: Vec<(String, i64)>) -> Result<BTreeSet<Sku>, Error> {
        let skus = rows.iter().map(|(code, _)| sku(code)).collect();
        self.know_sku_ids(rows)?;
        skus
    }

    pub(crate) fn know_books(&mut self, rows: Vec<BookColumns>) -> Result<(), Error> {
        rows.into_iter().try_for_each(|(code, sku_id, count, counted_at, balances)| {
            let book = sku_book(count, counted_at, &balances)?;
            *self.skus.entry(sku(&code)?).or_default() = LoadedSku { id: Some(sku_id), book: Some(book) };
            Ok(())
        })
    }

    /// The books of the SKUs; one never seen is empty.
    pub(crate) fn books(&mut self, skus: &[Sku]) -> Book {
        let mut book = Book::default();
        for sku in skus {
            let stored = self.skus.entry(sku.clone()).or_default().book.get_or_insert_default();
            book.load(sku.clone(), stored.clone());
        }
        book
    }

    pub(crate) fn know_stocks(&mut self, rows: &[StockColumns]) -> Result<Vec<StockRow>, Error> {
        let mut stocks = Vec::with_capacity(rows.len());
        for columns in rows {
            let row = columns.row()?;
            if let (Some(sku), Some(sku_id)) = (&row.sku, columns.sku_id) {
                self.know_sku(sku, sku_id);
            }
            self.stocks.insert(row.id, row.clone());
            stocks.push(row);
        }
        Ok(stocks)
    }

    /// Every SKU that something is written for.
    pub(crate) fn written_skus(changes: &Changes<'_>) -> BTreeSet<Sku> {
        let lines =
            changes.orders.iter().flat_map(|row| &row.order.lines).filter_map(|line| line.sku.as_ref());
        let moved = changes.movements.iter().map(|posted| &posted.movement.sku);
        let counted = changes
            .book
            .into_iter()
            .flat_map(Book::skus)
            .filter(|(_, book)| **book != SkuBook::default())
            .map(|(sku, _)| sku);
        lines.chain(moved).chain(counted).cloned().collect()
    }

    /// The rows of the orders that are not as they were, sorted. They count as saved from here on.
    pub(crate) fn order_writes<'a>(&mut self, changes: &Changes<'a>) -> OrderWrites<'a> {
        let mut writes = OrderWrites::default();
        let is_changed = |row: &&OrderRow| self.orders.get(&(row.shop, row.order.id)) != Some(*row);
        let mut changed: Vec<&OrderRow> = changes.orders.iter().filter(is_changed).collect();
        changed.sort_unstable_by_key(|row| (row.shop, row.order.id));
        for row in changed {
            let key = (row.shop, row.order.id);
            let numbers = (row.shop.get(), row.order.id.get());
            let before = self.orders.get(&key);
            let lines_before = before.map_or(&[][..], |before| &before.order.lines);
            let is_new = self.stored.insert(key);
            let lines = if is_new { &mut writes.new_lines } else { &mut writes.lines };
            for ((position, line), index) in (0..).zip(&row.order.lines).zip(0..) {
                if lines_before.get(index) != Some(line) {
                    let loaded = line.sku.as_ref().and_then(|sku| self.skus.get(sku));
                    let sku_id = loaded.and_then(|loaded| loaded.id);
                    lines.push(saved_line(row.shop, row.order.id, position, line, sku_id));
                }
            }
            if lines_before.len() > row.order.lines.len() {
                let left = i64::try_from(row.order.lines.len()).unwrap_or(i64::MAX);
                writes.cut.push((numbers.0, numbers.1, left));
            }
            if row.order.reread {
                writes.rereads.push(numbers);
            } else if before.is_some_and(|before| before.order.reread) {
                writes.rereads_done.push(numbers);
            }
            let saved = if is_new { &mut writes.new } else { &mut writes.changed };
            saved.push(saved_order(row));
            self.orders.insert(key, row.clone());
        }
        writes
    }

    pub(crate) fn movement_writes<'a>(&self, movements: &'a [Posted]) -> Vec<SavedMovement<'a>> {
        let row = |posted: &'a Posted| {
            let sku_id = self.sku_id(&posted.movement.sku).expect("every SKU has an id by now");
            saved_movement(posted, sku_id)
        };
        let mut rows: Vec<_> = movements.iter().map(row).collect();
        rows.sort_unstable_by_key(|row| (row.0, row.1));
        rows
    }

    /// The rows of the SKUs that are not as they were, sorted, and those that became short or ceased to be. They count as saved
    /// from here on.
    pub(crate) fn sku_writes(&mut self, changes: &Changes<'_>) -> (Vec<SavedSku>, ShortWrites) {
        let mut rows = Vec::new();
        let mut crossed = ShortWrites::default();
        for (sku, book) in changes.book.into_iter().flat_map(Book::skus) {
            let Some(loaded) = self.skus.get_mut(sku).filter(|loaded| loaded.book.as_ref() != Some(book))
            else {
                continue;
            };
            if let Some(sku_id) = loaded.id {
                rows.push(saved_sku(sku_id, book));
                match (loaded.book.as_ref().is_some_and(is_short), is_short(book)) {
                    (false, true) => crossed.short.push((sku_id,)),
                    (true, false) => crossed.enough.push((sku_id,)),
                    (true, true) | (false, false) => {}
                }
                loaded.book = Some(book.clone());
            }
        }
        rows.sort_unstable_by_key(|row| row.0);
        crossed.short.sort_unstable();
        crossed.enough.sort_unstable();
        (rows, crossed)
    }

    /// The rows of the stocks that are not as they were, and of those that are to be published, sorted. They count as saved
    /// from here on.
    pub(crate) fn stock_writes<'a>(
        &mut self,
        changes: &Changes<'a>,
    ) -> (Vec<SavedStock>, Vec<ToPublish<'a>>) {
        let is_changed = |row: &&StockRow| self.stocks.get(&row.id) != Some(*row);
        let mut changed: Vec<&StockRow> = changes.stocks.iter().filter(is_changed).collect();
        changed.sort_unstable_by_key(|row| row.id);
        let is_unpublished = |row: &&&StockRow| {
            self.stocks.get(&row.id).map(|before| (before.epoch, before.revision))
                != Some((row.epoch, row.revision))
        };
        let saved = changed.iter().map(|row| saved_stock(row)).collect();
        let unpublished = changed.iter().filter(is_unpublished).map(|row| to_publish(row)).collect();
        for row in changed {
            self.stocks.insert(row.id, StockRow { order_dates: None, trace: None, ..row.clone() });
        }
        (saved, unpublished)
    }
}

/// More is reserved in some warehouse than there is.
fn is_short(book: &SkuBook) -> bool {
    book.balances.values().any(|balance| balance.available().is_negative())
}

/// What is known of each key, in the order asked for.
pub(crate) fn key_states(keys: &[(OperationKey, [u8; 16])], rows: Vec<KeyColumns>) -> Vec<KeyState> {
    let known: BTreeMap<_, _> =
        rows.into_iter().map(|(actor, key, digest, outcome)| ((actor, key), (digest, outcome))).collect();
    let state =
        |(key, digest): &(OperationKey, [u8; 16])| match known.get(&(key.actor.clone(), key.key.clone())) {
            None => KeyState::New,
            Some((stored, outcome)) if stored == digest => KeyState::Same(outcome.clone()),
            Some(_) => KeyState::Conflict,
        };
    keys.iter().map(state).collect()
}
