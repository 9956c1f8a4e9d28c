//! The working set of one transaction: what it loaded in one go, what the ledger's rules made of it, what it saves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::{
    Applying, Book, Cause, Listed, Listings, Operation, OperationOutcome, Order, Parcel, Seen, ShipOutcome,
    Snapshot, StatusMap, StatusRule, StockChange, Verdict, level,
};
use store::{
    Changes, InventoryTx, ListingBook, OperationRecord, OrderRow, Posted, Posting, Shop, ShopState, StockRow,
    TagSet, Unpublished, Wanted, Wish,
};
use values::{HolderId, LineId, ListingId, OrderId, ShopId, Sku, StockId, Timestamp, WarehouseId};

use crate::trace::{Context, trace_id};

/// When, by whom and why something is done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Occasion {
    /// By the hub's clock.
    pub(crate) now: Timestamp,
    /// The trace it belongs to.
    pub(crate) trace: Context,
    /// Who, unless a shop did.
    pub(crate) actor: Option<Arc<str>>,
    /// Why, for corrections.
    pub(crate) reason: Option<Arc<str>>,
    /// Key of the operation.
    pub(crate) operation: Option<Arc<str>>,
}

impl Occasion {
    pub(crate) fn posting(&self) -> Posting {
        Posting {
            at: self.now,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            operation: self.operation.clone(),
            trace: self.trace.as_deref().and_then(trace_id),
            tags: None,
        }
    }
}

/// What a transaction is about: all of it, whatever it does one after the other, so that locks are taken in their order.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub(crate) orders: BTreeSet<(ShopId, OrderId)>,
    pub(crate) listings: BTreeSet<(ShopId, ListingId)>,
    /// Codes of lines whose listing may be unknown.
    pub(crate) texts: BTreeSet<Sku>,
    pub(crate) stocks: BTreeSet<StockId>,
    pub(crate) skus: BTreeSet<Sku>,
}

/// What was loaded, as it is by now.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) shops: BTreeMap<ShopId, Shop>,
    pub(crate) orders: BTreeMap<(ShopId, OrderId), OrderRow>,
    pub(crate) stocks: BTreeMap<StockId, StockRow>,
    pub(crate) book: Book,
    pub(crate) wishes: BTreeSet<Wish>,
    listings: ListingBook,
    movements: Vec<Posted>,
    /// SKUs whose levels may be others now, with the trace of what changed them last.
    touched: BTreeMap<Sku, Context>,
}

impl Work {
    /// Loads the orders, and every SKU and stock that anything in the scope may touch, with all stocks of those SKUs.
    pub(crate) async fn load(tx: &mut InventoryTx, mut scope: Scope) -> Result<Self, store::Error> {
        tx.keep_mapping(&scope.shops()).await?;
        let keys: Vec<_> = scope.orders.iter().copied().collect();
        let rows = tx.load_orders(&keys).await?;
        let orders: BTreeMap<_, _> = rows.into_iter().map(|row| ((row.shop, row.order.id), row)).collect();
        for ((shop, _), row) in &orders {
            for line in &row.order.lines {
                scope.skus.extend(line.sku.clone());
                scope.texts.extend(line.code.clone());
                scope.stocks.extend(line.stock.map(|holder| StockId { shop: *shop, holder }));
                if let Some(listing) = line.listing.filter(|_| line.sku.is_none() || line.stock.is_none()) {
                    scope.listings.insert((*shop, listing));
                }
            }
        }
        let listings: Vec<_> = scope.listings.into_iter().collect();
        let texts: Vec<_> = scope.texts.into_iter().collect();
        let stocks: Vec<_> = scope.stocks.iter().copied().collect();
        let listings = tx.resolve_listings(&listings, &texts, &stocks).await?;
        scope.skus.extend(listings.skus().cloned());
        scope.stocks.extend(listings.stocks());
        let skus: Vec<_> = scope.skus.into_iter().collect();
        let stocks: Vec<_> = scope.stocks.into_iter().collect();
        let book = tx.load_books(&skus).await?;
        let stocks: BTreeMap<_, _> =
            tx.load_stocks(&stocks, &skus).await?.into_iter().map(|row| (row.id, row)).collect();
        let owners: BTreeSet<ShopId> =
            stocks.keys().map(|stock| stock.shop).chain(orders.keys().map(|(shop, _)| *shop)).collect();
        let owners: Vec<_> = owners.into_iter().collect();
        let shops = tx.load_shops(&owners).await?.into_iter().map(|shop| (shop.id, shop)).collect();
        Ok(Self {
            shops,
            orders,
            stocks,
            book,
            wishes: BTreeSet::new(),
            listings,
            movements: Vec::new(),
            touched: BTreeMap::new(),
        })
    }

    /// Shops that the transaction itself has changed, as they are now.
    pub(crate) async fn reload_shops(
        &mut self,
        tx: &mut InventoryTx,
        shops: &[ShopId],
    ) -> Result<(), store::Error> {
        let shops = tx.load_shops(shops).await?;
        self.shops.extend(shops.into_iter().map(|shop| (shop.id, shop)));
        Ok(())
    }

    /// The warehouses whose stock of the SKU the shop shows, and those of every shop that shows some of the same: their
    /// numbers are about the same goods.
    pub(crate) fn shared_warehouses(&self, sku: &Sku, shop: ShopId) -> BTreeSet<WarehouseId> {
        let routings: Vec<BTreeSet<WarehouseId>> = self
            .stocks
            .values()
            .filter(|row| row.sku.as_ref() == Some(sku) && !row.removed && row.id.shop != shop)
            .filter_map(|row| Some(self.shops.get(&row.id.shop)?.settings.routing.iter().collect()))
            .collect();
        let mut shared: BTreeSet<WarehouseId> =
            self.shops.get(&shop).into_iter().flat_map(|shop| shop.settings.routing.iter()).collect();
        // As often as there are shops: each time at least one more is found, or none is left to find.
        for _ in 0..routings.len() {
            for routing in &routings {
                if !routing.is_disjoint(&shared) {
                    shared.extend(routing);
                }
            }
        }
        shared
    }

    /// Applies what was seen of an order; `None` if its shop or the order is not in the working set.
    pub(crate) fn observe(
        &mut self,
        shop: ShopId,
        snapshot: &Snapshot,
        occasion: &Occasion,
    ) -> Option<Verdict> {
        let terms = self.shops.get(&shop)?;
        let row = self.orders.get_mut(&(shop, snapshot.order))?;
        let stockless = stockless_lines(row);
        let is_new = row.order.applied.is_none();
        let listings = self.listings.of(shop);
        let verdict = ledger::apply(&mut row.order, snapshot, applying(terms), &listings, &mut self.book);
        note_confirmation(row, occasion.now);
        note_expiry(row, terms, occasion.now);
        let late = row.order.lines.iter().filter(|line| stockless.contains(&line.id));
        // What such a line had taken was missing from the stock before it was counted there.
        let mut unproven: BTreeSet<HolderId> = late.filter_map(|line| line.stock).collect();
        if verdict.predates {
            unproven.extend(verdict.stocks.iter().map(|change| change.holder));
        }
        let dated = matches!(verdict.decision, ledger::Decision::Apply { .. })
            .then_some(snapshot.modified_at)
            .flatten();
        if is_new && !is_baseline(snapshot) && sells_something_unknown(&row.order, &listings) {
            self.wishes.insert(Wish { shop, what: Wanted::Catalogue });
        }
        self.settle_up(shop, &verdict.stocks, dated, occasion);
        self.unprove(shop, unproven, occasion);
        Some(verdict)
    }

    /// Looks again at what could not be resolved when the order was applied.
    pub(crate) fn resolve(&mut self, key: (ShopId, OrderId), occasion: &Occasion) {
        let (Some(terms), Some(row)) = (self.shops.get(&key.0), self.orders.get_mut(&key)) else { return };
        let listings = self.listings.of(key.0);
        let changes = ledger::resolve_lines(&mut row.order, applying(terms), &listings, &mut self.book);
        note_expiry(row, terms, occasion.now);
        let unproven =
            changes.iter().filter(|change| !change.taken_delta.is_zero()).map(|change| change.holder);
        let unproven: Vec<HolderId> = unproven.collect();
        self.settle_up(key.0, &changes, None, occasion);
        self.unprove(key.0, unproven, occasion);
    }

    /// Lets a reservation go that has expired.
    pub(crate) fn expire(&mut self, key: (ShopId, OrderId), occasion: &Occasion) {
        let (Some(terms), Some(row)) = (self.shops.get(&key.0), self.orders.get_mut(&key)) else { return };
        let changes = ledger::expire(&mut row.order, applying(terms), &mut self.book);
        row.expires_at = None;
        self.settle_up(key.0, &changes, None, occasion);
    }

    /// Lets go what an order holds although its shop no longer knows it, or is out of service; `false` if neither.
    pub(crate) fn release(&mut self, key: (ShopId, OrderId), occasion: &Occasion) -> bool {
        let (Some(terms), Some(row)) = (self.shops.get(&key.0), self.orders.get_mut(&key)) else {
            return false;
        };
        let mut changes = Vec::new();
        if terms.state == ShopState::Removed && !row.order.gone {
            changes.extend(ledger::disown(&mut row.order, applying(terms)));
        }
        if !row.order.gone {
            return false;
        }
        changes.extend(ledger::release_orphan(&mut row.order, applying(terms), &mut self.book));
        row.expires_at = None;
        self.settle_up(key.0, &changes, None, occasion);
        true
    }

    /// Ships what an order reserves; `None` if it is not in the working set.
    pub(crate) fn ship(
        &mut self,
        key: (ShopId, OrderId),
        parcel: Parcel<'_>,
        occasion: &Occasion,
    ) -> Option<ShipOutcome> {
        let (terms, row) = (self.shops.get(&key.0)?, self.orders.get_mut(&key)?);
        let outcome = ledger::ship(&mut row.order, parcel, applying(terms), &mut self.book);
        note_expiry(row, terms, occasion.now);
        self.collect_movements(occasion);
        Some(outcome)
    }

    /// Moves stock.
    pub(crate) fn operate(&mut self, operation: &Operation, occasion: &Occasion) -> OperationOutcome {
        let outcome = ledger::operate(operation, occasion.now, &mut self.book);
        self.collect_movements(occasion);
        outcome
    }

    /// What the order's shop has yet to take, once more after its statuses mean something else: the sums of its stocks follow.
    pub(crate) fn retake(&mut self, key: (ShopId, OrderId), before: &StatusMap, occasion: &Occasion) {
        let (Some(terms), Some(row)) = (self.shops.get(&key.0), self.orders.get(&key)) else { return };
        let order = &row.order;
        let confirmed = order.applied.is_none_or(|applied| applied.confirmed);
        let (old, new) = (before.rule(&order.status), terms.settings.statuses.rule(&order.status));
        if order.gone || old == new {
            return;
        }
        for line in &order.lines {
            let delta = line.untaken(new, confirmed) - line.untaken(old, confirmed);
            let Some(holder) = line.stock.filter(|_| !delta.is_zero()) else { continue };
            let stock = self
                .stocks
                .get_mut(&StockId { shop: key.0, holder })
                .expect("a line's stock is loaded with it");
            stock.untaken += delta;
            changed(stock, occasion);
        }
    }

    /// The levels of a SKU are to be computed again.
    pub(crate) fn touch(&mut self, sku: &Sku, occasion: &Occasion) {
        self.touched.insert(sku.clone(), occasion.trace.clone());
    }

    /// What the stock showed before proves nothing any more.
    pub(crate) fn unprove(
        &mut self,
        shop: ShopId,
        holders: impl IntoIterator<Item = HolderId>,
        occasion: &Occasion,
    ) {
        for holder in holders {
            let Some(row) = self.stocks.get_mut(&StockId { shop, holder }) else { continue };
            row.epoch = row.epoch.next();
            row.settle = None;
            changed(row, occasion);
            self.wishes.insert(Wish { shop, what: Wanted::Stock(holder) });
        }
    }

    fn settle_up(
        &mut self,
        shop: ShopId,
        changes: &[StockChange],
        dated: Option<Timestamp>,
        occasion: &Occasion,
    ) {
        for change in changes {
            let stock = StockId { shop, holder: change.holder };
            let row = self.stocks.get_mut(&stock).expect("a line's stock is loaded with it");
            row.taken_total += change.taken_delta;
            row.untaken += change.untaken_delta;
            if let Some(date) = dated {
                row.last_order_date = row.last_order_date.max(Some(date));
                row.last_applied_at = Some(occasion.now);
                let (first, last) = row.order_dates.unwrap_or((date, date));
                row.order_dates = Some((first.min(date), last.max(date)));
            }
            changed(row, occasion);
        }
        self.collect_movements(occasion);
    }

    fn collect_movements(&mut self, occasion: &Occasion) {
        for movement in self.book.take_movements() {
            self.touched.insert(movement.sku.clone(), occasion.trace.clone());
            let tags = match movement.cause {
                Cause::Order { shop, .. } => self.shops.get(&shop).and_then(|shop| shop.tag_set.clone()),
                Cause::Operation => self.tags_at(&movement.sku, movement.warehouse),
            };
            self.movements.push(Posted { movement, posting: Posting { tags, ..occasion.posting() } });
        }
    }

    /// What the shops that sell a SKU from a warehouse are tagged with, if they all are alike: whose goods it is moving then.
    fn tags_at(&self, sku: &Sku, warehouse: WarehouseId) -> Option<Arc<TagSet>> {
        let rows = self.stocks.values().filter(|row| row.sku.as_ref() == Some(sku) && !row.removed);
        let shops = rows.filter_map(|row| self.shops.get(&row.id.shop));
        let mut sellers = shops.filter(|shop| shop.settings.routing.iter().any(|from| from == warehouse));
        let first = sellers.next()?.tag_set.clone();
        if sellers.all(|shop| shop.tag_set == first) { first } else { None }
    }

    /// Computes the levels of every stock of every SKU that was touched, in all shops.
    fn relevel(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        for row in self.stocks.values_mut().filter(|row| !row.removed) {
            let Some((sku, trace)) = row.sku.as_ref().and_then(|sku| touched.get_key_value(sku)) else {
                continue;
            };
            let terms = &self.shops.get(&row.id.shop).expect("a stock's shop is loaded with it").settings;
            let listed = Listed { buffer: row.buffer.unwrap_or(terms.buffer), step: row.step };
            let level = level(&self.book, sku, &terms.routing, listed);
            if level != row.level {
                row.level = level;
                row.revision = row.revision.next();
                row.trace.clone_from(trace);
            }
        }
    }

    /// Writes what changed so far, for queries that look at what is stored.
    pub(crate) async fn flush(
        &mut self,
        tx: &mut InventoryTx,
        now: Timestamp,
    ) -> Result<Saved, store::Error> {
        let (orders, stocks, saved) = self.write(tx, &[], now).await?;
        self.orders = orders.into_iter().map(|row| ((row.shop, row.order.id), row)).collect();
        let written = |row: StockRow| (row.id, StockRow { order_dates: None, trace: None, ..row });
        self.stocks = stocks.into_iter().map(written).collect();
        Ok(saved)
    }

    /// Writes everything that changed; `operations` were done with it. What is wanted is written once, at the end: others
    /// want the same without having locked anything.
    pub(crate) async fn save(
        mut self,
        tx: &mut InventoryTx,
        operations: &[OperationRecord],
        now: Timestamp,
    ) -> Result<Saved, store::Error> {
        let (_, _, mut saved) = self.write(tx, operations, now).await?;
        let wishes: Vec<Wish> = self.wishes.into_iter().collect();
        tx.wish(&wishes, now).await?;
        saved.wished = !wishes.is_empty();
        Ok(saved)
    }

    async fn write(
        &mut self,
        tx: &mut InventoryTx,
        operations: &[OperationRecord],
        now: Timestamp,
    ) -> Result<(Vec<OrderRow>, Vec<StockRow>, Saved), store::Error> {
        self.relevel();
        let orders: Vec<OrderRow> = std::mem::take(&mut self.orders).into_values().collect();
        let stocks: Vec<StockRow> = std::mem::take(&mut self.stocks).into_values().collect();
        let movements = std::mem::take(&mut self.movements);
        let changes = Changes {
            orders: &orders,
            book: Some(&self.book),
            movements: &movements,
            stocks: &stocks,
            operations,
            now,
            ..Changes::default()
        };
        let unpublished = tx.save(&changes).await?;
        let reread_wanted = orders.iter().any(|row| row.order.reread);
        let saved = Saved { movement_count: movements.len(), reread_wanted, wished: false, unpublished };
        Ok((orders, stocks, saved))
    }
}

impl Scope {
    fn shops(&self) -> Vec<ShopId> {
        let orders = self.orders.iter().map(|(shop, _)| *shop);
        let listings = self.listings.iter().map(|(shop, _)| *shop);
        let shops: BTreeSet<ShopId> =
            orders.chain(listings).chain(self.stocks.iter().map(|stock| stock.shop)).collect();
        shops.into_iter().collect()
    }
}

/// What a save came to.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) movement_count: usize,
    /// Some order is to be read again.
    pub(crate) reread_wanted: bool,
    /// Something else is.
    pub(crate) wished: bool,
    /// Levels to be published for it.
    pub(crate) unpublished: Vec<Unpublished>,
}

/// Something of the row is another now.
pub(crate) fn changed(row: &mut StockRow, occasion: &Occasion) {
    row.revision = row.revision.next();
    row.trace.clone_from(&occasion.trace);
}

fn applying(shop: &Shop) -> Applying<'_> {
    Applying {
        shop: shop.id,
        routing: &shop.settings.routing,
        statuses: &shop.settings.statuses,
        baseline_last: shop.baseline_last,
    }
}

const fn is_baseline(snapshot: &Snapshot) -> bool {
    matches!(snapshot.seen, Seen::Read { baseline: true, .. })
}

/// Whether a line names a product that no catalogue has shown yet.
fn sells_something_unknown(order: &Order, listings: &impl Listings) -> bool {
    order.lines.iter().filter_map(|line| line.listing).any(|listing| listings.resolve(listing).is_none())
}

/// Lines that have taken something from a stock nobody knows.
fn stockless_lines(row: &OrderRow) -> BTreeSet<LineId> {
    let lines = row.order.lines.iter();
    lines
        .filter(|line| line.stock.is_none() && line.taken_or_zero().is_positive())
        .map(|line| line.id)
        .collect()
}

fn note_confirmation(row: &mut OrderRow, now: Timestamp) {
    let confirmed =
        row.order.applied.is_none_or(|applied| applied.confirmed && applied.origin == ledger::Origin::Read);
    row.unconfirmed_since = if confirmed { None } else { row.unconfirmed_since.or(Some(now)) };
}

/// A reservation the shop has not taken expires, counted from when it was first seen so.
fn note_expiry(row: &mut OrderRow, shop: &Shop, now: Timestamp) {
    let order = &row.order;
    let expires = match shop.settings.statuses.rule(&order.status) {
        StatusRule::ReservePending | StatusRule::Follow => {
            !order.expired
                && !order.gone
                && order.lines.iter().any(|line| line.held() > line.taken_or_zero().max(line.shipped()))
        }
        StatusRule::Reserve | StatusRule::Deduct | StatusRule::Release | StatusRule::Ignore => false,
    };
    row.expires_at = if expires { row.expires_at.or(Some(now + shop.settings.pending_hold)) } else { None };
}
