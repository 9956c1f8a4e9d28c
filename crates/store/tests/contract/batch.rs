//! The smallest inventory there can be on the store's batch calls: what the tests and the speed measurement drive.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use ledger::{Applying, Book, Listed, Snapshot, StockChange, Verdict};
use store::{Changes, InventoryTx, ListingBook, OrderRow, Posted, Posting, Shop, StockRow, Store};
use values::{OrderId, ShopId, Sku, StockId, Timestamp};

/// Applies snapshots in one transaction and commits; what came of each.
pub(crate) async fn apply_snapshots(
    store: &Store,
    snapshots: &[(ShopId, Snapshot)],
    now: Timestamp,
) -> anyhow::Result<Vec<Verdict>> {
    let mut tx = store.begin_inventory().await?;
    let applied = apply_in(&mut tx, snapshots, now).await?;
    tx.commit().await?;
    Ok(applied)
}

/// The same without a commit.
pub(crate) async fn apply_in(
    tx: &mut InventoryTx,
    snapshots: &[(ShopId, Snapshot)],
    now: Timestamp,
) -> anyhow::Result<Vec<Verdict>> {
    let mut work = Work::load(tx, snapshots).await?;
    let verdicts = snapshots
        .iter()
        .map(|(shop, snapshot)| work.apply(*shop, snapshot))
        .collect::<anyhow::Result<Vec<_>>>()?;
    work.save(tx, now).await?;
    Ok(verdicts)
}

/// What a batch works on.
struct Work {
    shops: BTreeMap<ShopId, Shop>,
    orders: BTreeMap<(ShopId, OrderId), OrderRow>,
    known: ListingBook,
    book: Book,
    stocks: BTreeMap<StockId, StockRow>,
}

impl Work {
    async fn load(tx: &mut InventoryTx, snapshots: &[(ShopId, Snapshot)]) -> anyhow::Result<Self> {
        let keys: Vec<_> = snapshots.iter().map(|(shop, snapshot)| (*shop, snapshot.order)).collect();
        let orders: BTreeMap<_, _> = keys.iter().copied().zip(tx.load_orders(&keys).await?).collect();
        let lines =
            || snapshots.iter().flat_map(|(shop, snapshot)| snapshot.lines.iter().map(|line| (*shop, line)));
        let listings: Vec<_> = lines().filter_map(|(shop, line)| Some((shop, line.listing?))).collect();
        let texts: Vec<Sku> = lines().filter_map(|(_, line)| line.sku.clone()).collect();
        let own = orders.iter().flat_map(|((shop, _), row)| {
            let holders = row.order.lines.iter().filter_map(|line| line.stock);
            holders.map(|holder| StockId { shop: *shop, holder })
        });
        let own: Vec<StockId> = own.collect();
        let known = tx.resolve_listings(&listings, &texts, &own).await?;
        let held = orders.values().flat_map(|row| &row.order.lines).filter_map(|line| line.sku.as_ref());
        let skus: BTreeSet<Sku> = known.skus().chain(held).cloned().collect();
        let skus: Vec<Sku> = skus.into_iter().collect();
        let book = tx.load_books(&skus).await?;
        let own: Vec<StockId> = own.into_iter().chain(known.stocks()).collect();
        let stocks = tx.load_stocks(&own, &skus).await?;
        let sellers = stocks.iter().map(|row| row.id.shop).chain(keys.iter().map(|(shop, _)| *shop));
        let sellers: BTreeSet<ShopId> = sellers.collect();
        let shops = tx.load_shops(&sellers.into_iter().collect::<Vec<_>>()).await?;
        Ok(Self {
            shops: shops.into_iter().map(|shop| (shop.id, shop)).collect(),
            orders,
            known,
            book,
            stocks: stocks.into_iter().map(|row| (row.id, row)).collect(),
        })
    }

    fn apply(&mut self, shop: ShopId, snapshot: &Snapshot) -> anyhow::Result<Verdict> {
        let row = self.shops.get(&shop).context("the shop is in the registry")?;
        let applying = Applying {
            shop,
            routing: &row.settings.routing,
            statuses: &row.settings.statuses,
            baseline_last: row.baseline_last,
        };
        let row = self.orders.get_mut(&(shop, snapshot.order)).context("every order was loaded")?;
        let verdict = ledger::apply(&mut row.order, snapshot, applying, &self.known.of(shop), &mut self.book);
        for change in &verdict.stocks {
            add_change(&mut self.stocks, shop, change)?;
        }
        Ok(verdict)
    }

    async fn save(mut self, tx: &mut InventoryTx, now: Timestamp) -> anyhow::Result<()> {
        let posting = Posting { at: now, ..Posting::default() };
        let movements: Vec<Posted> = self
            .book
            .take_movements()
            .into_iter()
            .map(|movement| Posted { movement, posting: posting.clone() })
            .collect();
        for row in self.stocks.values_mut() {
            set_level(row, &self.shops, &self.book)?;
        }
        let orders: Vec<OrderRow> = self.orders.into_values().collect();
        let stocks: Vec<StockRow> = self.stocks.into_values().collect();
        let changes = Changes {
            orders: &orders,
            book: Some(&self.book),
            movements: &movements,
            stocks: &stocks,
            now,
            ..Changes::default()
        };
        tx.save(&changes).await?;
        Ok(())
    }
}

fn add_change(
    stocks: &mut BTreeMap<StockId, StockRow>,
    shop: ShopId,
    change: &StockChange,
) -> anyhow::Result<()> {
    let row = stocks
        .get_mut(&StockId { shop, holder: change.holder })
        .context("every stock of a line was loaded")?;
    row.taken_total += change.taken_delta;
    row.untaken += change.untaken_delta;
    if let Some(date) = change.order_date {
        row.last_order_date = row.last_order_date.max(Some(date));
        let (first, last) = row.order_dates.unwrap_or((date, date));
        row.order_dates = Some((first.min(date), last.max(date)));
    }
    row.revision = row.revision.next();
    Ok(())
}

pub(crate) fn set_level(
    row: &mut StockRow,
    shops: &BTreeMap<ShopId, Shop>,
    book: &Book,
) -> anyhow::Result<()> {
    let Some(sku) = &row.sku else { return Ok(()) };
    let settings = &shops.get(&row.id.shop).context("the shop is in the registry")?.settings;
    let listed = Listed { buffer: row.buffer.unwrap_or(settings.buffer), step: row.step };
    let level = ledger::level(book, sku, &settings.routing, listed);
    if level != row.level {
        row.level = level;
        row.revision = row.revision.next();
    }
    Ok(())
}
