//! The smallest inventory there can be on the store's batch calls: what the tests and the speed measurement drive.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use ledger::{Applying, Listed, Snapshot, StockChange, Verdict};
use store::{Changes, InventoryTx, OrderRow, Posted, Posting, Shop, StockRow, Store};
use values::{OrderId, ShopId, Sku, StockId, Timestamp};

/// Applies snapshots in one transaction and commits; how many rows were to be written.
pub(crate) async fn apply_snapshots(
    store: &Store,
    snapshots: &[(ShopId, Snapshot)],
    now: Timestamp,
) -> anyhow::Result<Applied> {
    let mut tx = store.begin_inventory().await?;
    let applied = apply_in(&mut tx, snapshots, now).await?;
    tx.commit().await?;
    Ok(applied)
}

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Of each snapshot.
    pub(crate) verdicts: Vec<Verdict>,
    /// Orders, lines, movements, SKUs, levels and outbox rows.
    pub(crate) row_count: usize,
}

/// The same without a commit.
pub(crate) async fn apply_in(
    tx: &mut InventoryTx,
    snapshots: &[(ShopId, Snapshot)],
    now: Timestamp,
) -> anyhow::Result<Applied> {
    let shop_ids: Vec<ShopId> =
        snapshots.iter().map(|(shop, _)| *shop).collect::<BTreeSet<_>>().into_iter().collect();
    let shops: BTreeMap<ShopId, Shop> =
        tx.load_shops(&shop_ids).await?.into_iter().map(|shop| (shop.id, shop)).collect();
    let keys: Vec<(ShopId, OrderId)> =
        snapshots.iter().map(|(shop, snapshot)| (*shop, snapshot.order)).collect();
    let mut orders: BTreeMap<(ShopId, OrderId), OrderRow> =
        keys.iter().copied().zip(tx.load_orders(&keys).await?).collect();
    let lines =
        || snapshots.iter().flat_map(|(shop, snapshot)| snapshot.lines.iter().map(|line| (*shop, line)));
    let listings: Vec<_> = lines().filter_map(|(shop, line)| Some((shop, line.listing?))).collect();
    let texts: Vec<Sku> = lines().filter_map(|(_, line)| line.sku.clone()).collect();
    let known = tx.resolve_listings(&listings, &texts).await?;
    let held = orders.values().flat_map(|row| &row.order.lines).filter_map(|line| line.sku.as_ref());
    let skus: BTreeSet<Sku> = known.skus().chain(held).cloned().collect();
    let skus: Vec<Sku> = skus.into_iter().collect();
    let mut book = tx.load_books(&skus).await?;
    let own = orders.iter().flat_map(|((shop, _), row)| {
        let holders = row.order.lines.iter().filter_map(|line| line.stock);
        holders.map(|holder| StockId { shop: *shop, holder })
    });
    let own: BTreeSet<StockId> = own.chain(known.stocks()).collect();
    let own: Vec<StockId> = own.into_iter().collect();
    let mut stocks: BTreeMap<StockId, StockRow> =
        tx.load_stocks(&own, &skus).await?.into_iter().map(|row| (row.id, row)).collect();

    let mut verdicts = Vec::new();
    for (shop, snapshot) in snapshots {
        let settings = &shops.get(shop).context("the shop is in the registry")?.settings;
        let row = orders.get_mut(&(*shop, snapshot.order)).context("every order was loaded")?;
        let applying = Applying {
            shop: *shop,
            routing: &settings.routing,
            statuses: &settings.statuses,
            baseline_last: shops.get(shop).and_then(|shop| shop.baseline_last),
        };
        let verdict = ledger::apply(&mut row.order, snapshot, applying, &known.of(*shop), &mut book);
        for change in &verdict.stocks {
            add_change(&mut stocks, *shop, change)?;
        }
        verdicts.push(verdict);
    }
    let posting = Posting { at: now, ..Posting::default() };
    let movements: Vec<Posted> = book
        .take_movements()
        .into_iter()
        .map(|movement| Posted { movement, posting: posting.clone() })
        .collect();
    let every_shop: BTreeMap<ShopId, Shop> = tx
        .load_shops(
            &stocks.keys().map(|stock| stock.shop).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(),
        )
        .await?
        .into_iter()
        .map(|shop| (shop.id, shop))
        .collect();
    for row in stocks.values_mut() {
        set_level(row, &every_shop, &book)?;
    }
    let orders: Vec<OrderRow> = orders.into_values().collect();
    let stocks: Vec<StockRow> = stocks.into_values().collect();
    let line_count: usize = orders.iter().map(|row| row.order.lines.len()).sum();
    let row_count = orders.len() + line_count + movements.len() + skus.len() + 2 * stocks.len();
    let changes = Changes {
        orders: &orders,
        book: Some(&book),
        movements: &movements,
        stocks: &stocks,
        now,
        ..Changes::default()
    };
    tx.save(&changes).await?;
    Ok(Applied { verdicts, row_count })
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
    book: &ledger::Book,
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
