//! The measurement itself: batches and raw inserts of as many rows, in turn, in one database.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ledger::{OrderLine, Routing, Seen, Snapshot};
use store::{
    Changes, Connector, ListingSeen, NewShop, Opening, Posted, Posting, SecretKey, ShopAdded, ShopSecrets,
    ShopSettings, SqliteOptions, Store, WarehouseAdded, WarehouseKind,
};
use values::{ListingId, OrderId, Quantity, ReadNumber, ShopId, Sku, Timestamp};

use crate::batch::apply_snapshots;
use crate::raw::Raw;

/// Entries of the catalogue and receipts taken in at a time, while the database is made.
const SETUP_ROWS: u32 = 5_000;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// SKUs in the database; orders are spread over them evenly.
    pub(crate) sku_count: u32,
    /// Shops that sell all of them from one warehouse.
    pub(crate) shop_count: u32,
    /// Orders in a batch, two lines each.
    pub(crate) batch_orders: u32,
    /// Batches measured.
    pub(crate) batch_count: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { sku_count: 100_000, shop_count: 1, batch_orders: 500, batch_count: 40 }
    }
}

/// What was measured, each in a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// Orders loaded, applied and saved.
    pub(crate) orders: f64,
    /// Rows they wrote.
    pub(crate) batch_rows: f64,
    /// The same rows, inserted raw.
    pub(crate) raw_rows: f64,
}

/// Measures batches against raw inserts in the database at `path`, which must not be there yet.
pub(crate) async fn save_rate(path: &Path, plan: Plan) -> anyhow::Result<Rates> {
    let store = Store::open_sqlite(&SqliteOptions::new(path), SecretKey::from_bytes([1; 32])).await?;
    let shops = set_up(&store, plan).await?;
    let mut raw = Raw::open(path).await?;
    let mut random = Random(7);
    let (mut batch_time, mut raw_time) = (Duration::ZERO, Duration::ZERO);
    let (mut orders, mut rows) = (0, 0);
    // The first batch warms caches and is not counted.
    for number in 0..=plan.batch_count {
        let snapshots = snapshots(plan, number, &shops, &mut random)?;
        let started = Instant::now();
        apply_snapshots(&store, &snapshots, Timestamp::from_seconds(2_000)).await?;
        let batch_took = started.elapsed();
        let orders_of_batch = snapshots.iter().map(|(_, snapshot)| snapshot.order.get());
        let rows_of_batch = raw.rows_of(orders_of_batch.collect()).await?;
        let started = Instant::now();
        raw.insert(&rows_of_batch).await?;
        if number > 0 {
            raw_time += started.elapsed();
            batch_time += batch_took;
            orders += snapshots.len();
            rows += rows_of_batch.iter().map(|table| table.rows.len()).sum::<usize>();
        }
    }
    let broken = store.check().await?;
    if let Some(broken) = broken.first() {
        bail!("the ledger is broken: {broken}");
    }
    let rate = |count: usize, time: Duration| -> anyhow::Result<f64> {
        Ok(f64::from(u32::try_from(count)?) / time.as_secs_f64())
    };
    Ok(Rates {
        orders: rate(orders, batch_time)?,
        batch_rows: rate(rows, batch_time)?,
        raw_rows: rate(rows, raw_time)?,
    })
}

async fn set_up(store: &Store, plan: Plan) -> anyhow::Result<Vec<ShopId>> {
    let now = Timestamp::from_seconds(1);
    let WarehouseAdded::Added(warehouse) = store.add_warehouse("main", WarehouseKind::HubOwned, now).await?
    else {
        bail!("the database is not new");
    };
    let mut shops = Vec::new();
    for number in 0..plan.shop_count {
        let new = NewShop {
            name: format!("shop {number}"),
            connector: Connector::Woocommerce,
            // Two shops are never at one address.
            settings: ShopSettings::new(
                format!("https://shop-{number}.example"),
                Routing::new([warehouse.id]).context("one warehouse")?,
            ),
            opening: Opening::None,
            secrets: ShopSecrets {
                consumer_key: "key".into(),
                consumer_secret: "secret".into(),
                webhook_secret: "secret".into(),
                webhook_secret_previous: None,
            },
        };
        let ShopAdded::Added { shop, .. } = store.add_shop(new, now).await? else {
            bail!("the database is not new");
        };
        shops.push(shop.id);
    }
    for first in (0..plan.sku_count).step_by(usize::try_from(SETUP_ROWS)?) {
        let numbers: Vec<u32> = (first..plan.sku_count.min(first + SETUP_ROWS)).collect();
        let mut tx = store.begin_inventory().await?;
        for shop in &shops {
            let seen =
                numbers.iter().map(|number| seen(*shop, *number)).collect::<anyhow::Result<Vec<_>>>()?;
            tx.observe_listings(&seen, now).await?;
        }
        let skus = numbers.iter().map(|number| sku(*number)).collect::<anyhow::Result<Vec<_>>>()?;
        let mut book = tx.load_books(&skus).await?;
        for sku in &skus {
            let quantity = Quantity::from_units(1_000_000);
            let receipt = ledger::Operation::Receive { sku: sku.clone(), warehouse: warehouse.id, quantity };
            ledger::operate(&receipt, now, &mut book);
        }
        let posting = Posting { at: now, actor: Some("set-up".into()), ..Posting::default() };
        let movements: Vec<Posted> = book
            .take_movements()
            .into_iter()
            .map(|movement| Posted { movement, posting: posting.clone() })
            .collect();
        let mut stocks = tx.load_stocks(&[], &skus).await?;
        for row in &mut stocks {
            row.level = Quantity::from_units(1_000_000);
            row.revision = row.revision.next();
        }
        tx.take_recompute(SETUP_ROWS).await?;
        let changes =
            Changes { book: Some(&book), movements: &movements, stocks: &stocks, now, ..Changes::default() };
        tx.save(&changes).await?;
        tx.commit().await?;
        let told: Vec<_> = stocks.iter().map(|row| (row.id, row.epoch, row.revision)).collect();
        store.mark_published(&told).await?;
    }
    Ok(shops)
}

fn sku(number: u32) -> anyhow::Result<Sku> {
    Ok(format!("SKU-{number:07}").parse()?)
}

fn listing(number: u32) -> anyhow::Result<ListingId> {
    Ok(ListingId { product: (i64::from(number) + 1).try_into()?, variation: None })
}

fn seen(shop: ShopId, number: u32) -> anyhow::Result<ListingSeen> {
    let listing = listing(number)?;
    Ok(ListingSeen {
        shop,
        listing,
        holder: Some(listing.product.into()),
        sku: Some(sku(number)?),
        name: format!("Product {number}"),
        status: "publish".to_owned(),
        kind: None,
        number: ReadNumber::new(1),
    })
}

fn snapshots(
    plan: Plan,
    batch: u32,
    shops: &[ShopId],
    random: &mut Random,
) -> anyhow::Result<Vec<(ShopId, Snapshot)>> {
    let mut snapshots = Vec::new();
    for index in 0..plan.batch_orders {
        let order = i64::from(batch) * i64::from(plan.batch_orders) + i64::from(index) + 1;
        let shop = shops.get(usize::try_from(index)? % shops.len()).context("there are shops")?;
        let mut lines = Vec::new();
        for line in 0..2 {
            let number = random.below(plan.sku_count);
            lines.push(OrderLine {
                id: (2 * order + line).try_into()?,
                listing: Some(listing(number)?),
                sku: Some(sku(number)?),
                quantity: Quantity::from_units(1),
                taken: Some(Quantity::from_units(1)),
                restocked: Quantity::ZERO,
                fault: None,
            });
        }
        let snapshot = Snapshot {
            order: OrderId::try_from(order)?,
            seen: Seen::Webhook,
            modified_at: Some(Timestamp::from_seconds(1_000 + i64::from(batch))),
            status: "processing".to_owned(),
            lines,
        };
        snapshots.push((*shop, snapshot));
    }
    Ok(snapshots)
}

/// Splitmix64: the same SKUs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(mixed % u64::from(bound)).unwrap_or(0)
    }
}
