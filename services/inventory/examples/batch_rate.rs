//! How fast facts become truth: orders of two lines from the spool to their acknowledgement, over many SKUs, while the relay
//! publishes what they change.
//!
//! `cargo run --release -p onhand-inventory --example batch_rate -- [SKUS] [ORDERS] [RAW ROWS A SECOND]`
//!
//! The last argument is the limit it is compared with: what `cargo run --release -p onhand-store --example save_rate`
//! says a raw batched insert of the same rows comes to on this machine.

extern crate onhand_inventory as inventory;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bus::{Bus, Flow, Topology};
use inventory::{OperationRequest, OperationRow, Parts, Requester, Settings};
use ledger::{Operation, Routing};
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::Tasks;
use proto::{
    Envelope, ListingObserved, Message, NameText, OrderLine, OrderObserved, OrderState, Source, StatusText,
};
use store::{
    Connector, NewShop, Opening, SecretKey, ShopAdded, ShopSecrets, ShopSettings, SqliteOptions, Store,
    WarehouseAdded, WarehouseKind,
};
use uuid::Uuid;
use values::{
    LineId, ListingId, OrderId, ProductId, Quantity, ReadNumber, ShopId, Sku, Timestamp, WarehouseId,
};

/// Messages published at a time.
const PUBLISHED_TOGETHER: usize = 2_000;
/// What an order of two lines writes: itself, lines, movements, SKUs, stocks, outbox.
const ROWS_OF_ORDER: f64 = 11.0;
/// Least part of the raw rate that is expected.
const LEAST: f64 = 0.2;
/// Between two looks at the queue.
const LOOK: Duration = Duration::from_millis(2);

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
#[expect(clippy::disallowed_methods, reason = "the spool's writer is no part of what is measured")]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<u32> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()
        .context("numbers only")?;
    let sku_count = arguments.first().copied().unwrap_or(100_000);
    let order_count = arguments.get(1).copied().unwrap_or(20_000);
    let folder = tempfile::tempdir()?;
    let (spool, writer) = spool::open(spool::Options::at(folder.path().join("spool.db"))).await?;
    let writing = tokio::spawn(async move { writer.run().await });
    let bus = Bus::local(&spool, Topology::uniform(1).context("one shard")?).await?;
    let options = SqliteOptions::new(folder.path().join("onhand.db"));
    let store = Arc::new(Store::open_sqlite(&options, SecretKey::from_bytes([1; 32])).await?);
    let (shop, warehouse) = registry(&store).await?;

    let parts = || Parts {
        store: Arc::clone(&store),
        bus: bus.clone(),
        member: "test".to_owned(),
        health: Health::new(),
        settings: Settings::for_testing(),
        channels: notices::Channels::default(),
    };
    let tasks = Tasks::new();
    let inventory = inventory::start(parts(), &tasks, &Metrics::new());
    let started = Instant::now();
    publish(&bus, (1..=sku_count).map(|number| listing(shop, number))).await?;
    drained(&bus).await?;
    let catalogue = rate(sku_count, started.elapsed());
    receive(&inventory, warehouse, sku_count).await?;
    stop(&tasks).await?;

    let mut random = Random(7);
    publish(&bus, (1..=order_count).map(|number| order(shop, number, sku_count, &mut random))).await?;
    let tasks = Tasks::new();
    let started = Instant::now();
    let inventory = inventory::start(parts(), &tasks, &Metrics::new());
    drained(&bus).await?;
    let orders = rate(order_count, started.elapsed());
    while store.waiting().await?.outbox_count > 0 {
        tokio::time::sleep(LOOK).await;
    }
    let published = rate(order_count, started.elapsed());
    let broken = inventory.check().await?;
    if let Some(broken) = broken.first() {
        bail!("the ledger is broken: {broken}");
    }
    stop(&tasks).await?;
    writing.abort();

    let rows = orders * ROWS_OF_ORDER;
    println!("{order_count} orders of 2 lines, {sku_count} SKUs");
    println!("catalogue: {catalogue:>8.0} listings/s");
    println!("orders:    {orders:>8.0} orders/s from spool to ack, {rows:.0} rows/s");
    println!("published: {published:>8.0} orders/s until every level was told");
    let limit = arguments.get(2).map(|limit| f64::from(*limit));
    let compared = limit.map_or_else(String::new, |limit| {
        format!(",\"limit\":{limit:.0},\"ratio\":{:.3},\"least\":{LEAST}", rows / limit)
    });
    println!(
        "{{\"figures\":[{{\"name\":\"rows applied, from spool to ack\",\"value\":{rows:.0},\"unit\":\"rows/s\"{compared}}},\
         {{\"name\":\"orders applied, from spool to ack\",\"value\":{orders:.0},\"unit\":\"orders/s\"}}]}}"
    );
    Ok(())
}

fn rate(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64()
}

async fn stop(tasks: &Tasks) -> anyhow::Result<()> {
    let overdue = tasks.drain(Duration::from_mins(1)).await;
    if overdue.is_empty() { Ok(()) } else { bail!("{overdue:?} did not end") }
}

async fn registry(store: &Store) -> anyhow::Result<(ShopId, WarehouseId)> {
    let now = Timestamp::from_seconds(1);
    let WarehouseAdded::Added(warehouse) = store.add_warehouse("main", WarehouseKind::HubOwned, now).await?
    else {
        bail!("the database is not new");
    };
    let new = NewShop {
        name: "shop".to_owned(),
        connector: Connector::Woocommerce,
        settings: ShopSettings::new(
            "https://shop.example",
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
    Ok((shop.id, warehouse.id))
}

async fn publish(bus: &Bus, messages: impl Iterator<Item = anyhow::Result<Message>>) -> anyhow::Result<()> {
    let publisher = bus.publisher();
    let mut envelopes = Vec::with_capacity(PUBLISHED_TOGETHER);
    for message in messages {
        envelopes.push(Envelope::seal(&message?, Uuid::now_v7(), Timestamp::default(), "ingress")?);
        if envelopes.len() == PUBLISHED_TOGETHER {
            publisher.publish(&envelopes).await.into_iter().collect::<Result<Vec<()>, _>>()?;
            envelopes.clear();
        }
    }
    publisher.publish(&envelopes).await.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(())
}

async fn drained(bus: &Bus) -> anyhow::Result<()> {
    let queue = bus.topology().queues(Flow::InventoryOrders).next().context("one queue")?;
    while bus.depth(queue).await?.messages > 0 {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

async fn receive(
    inventory: &inventory::Inventory,
    warehouse: WarehouseId,
    sku_count: u32,
) -> anyhow::Result<()> {
    let numbers: Vec<u32> = (1..=sku_count).collect();
    for numbers in numbers.chunks(inventory::OPERATIONS_MAX) {
        let rows = numbers.iter().map(|number| {
            let quantity = Quantity::from_units(1_000);
            let operation = Operation::Receive { sku: sku(*number)?, warehouse, quantity };
            Ok(OperationRow { operation, reason: None })
        });
        let request = OperationRequest {
            requester: Requester { actor: "bench".to_owned(), traceparent: None },
            key: Uuid::now_v7().to_string(),
            rows: rows.collect::<anyhow::Result<_>>()?,
            dry_run: false,
        };
        inventory.operate(&request).await?;
    }
    Ok(())
}

fn sku(number: u32) -> anyhow::Result<Sku> {
    Ok(format!("SKU-{number:06}").parse()?)
}

fn product(number: u32) -> anyhow::Result<ProductId> {
    Ok(ProductId::try_from(i64::from(number))?)
}

fn listing(shop: ShopId, number: u32) -> anyhow::Result<Message> {
    let product = product(number)?;
    Ok(Message::ListingObserved(ListingObserved {
        shop,
        listing: ListingId { product, variation: None },
        holder: Some(product.into()),
        sku: Some(sku(number)?),
        name: NameText::clipped("A thing"),
        status: StatusText::clipped("publish"),
        kind: None,
        number: ReadNumber::new(1),
    }))
}

fn order(shop: ShopId, number: u32, sku_count: u32, random: &mut Random) -> anyhow::Result<Message> {
    let mut line = |index: i64| -> anyhow::Result<OrderLine> {
        let number_of_sku = random.below(sku_count) + 1;
        Ok(OrderLine {
            line: LineId::try_from(i64::from(number) * 2 + index)?,
            listing: Some(ListingId { product: product(number_of_sku)?, variation: None }),
            sku: Some(sku(number_of_sku)?),
            quantity: Quantity::from_units(1),
            taken: Some(Quantity::from_units(1)),
            restocked: Quantity::ZERO,
            fault: None,
        })
    };
    let lines = vec![line(0)?, line(1)?];
    Ok(Message::OrderObserved(OrderObserved {
        shop,
        order: OrderId::try_from(i64::from(number))?,
        source: Source::Webhook,
        modified_at: Some(Timestamp::from_seconds(1_700_000_000 + i64::from(number))),
        state: OrderState::Present { status: StatusText::clipped("processing"), lines },
    }))
}

/// Good enough to spread orders over SKUs; the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(limit)).unwrap_or(0)
    }
}
