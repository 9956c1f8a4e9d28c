//! How few calls egress makes: against the exact minimum, with levels that change again while they wait, shops' own
//! sales among them, and products with variations. Prints one JSON object.
//!
//! `cargo run -p onhand-egress --example economy -- [STOCKS] [ROUNDS]`

#![expect(clippy::print_stdout, reason = "a measurement is for people to read")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bus::{Bus, Topology};
use ledger::Routing;
use onhand_egress::{Parts, Settings};
use process::Tasks;
use process::health::Health;
use process::metrics::Metrics;
use proto::{Envelope, LevelChanged, Message, Settled};
use secrecy::SecretString;
use store::{
    Connector, NewShop, Opening, SecretKey, ShopAdded, ShopSecrets, ShopSettings, SqliteOptions, Store,
    WarehouseAdded, WarehouseKind,
};
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{NewProduct, NewVariation};
use uuid::Uuid;
use values::{
    Epoch, HolderId, Moment, ProductId, Quantity, ReadNumber, Revision, ShopId, Step, StockId, Timestamp,
};

/// Stocks if no number is given.
const STOCKS: usize = 2_000;
/// Rounds if no number is given.
const ROUNDS: usize = 5;
/// Variations of each product that has them.
const VARIATIONS: usize = 8;
/// Of so many stocks, one sold something itself each round: that must cost no call.
const OWN_SALE_EVERY: usize = 3;
/// Each level changes so often before it is pushed.
const CHANGES: u64 = 3;
/// Most stocks of one call.
const BATCH: usize = 100;
/// Levels published at once.
const PUBLISHED_MAX: usize = 1_000;
/// What every shop stock shows in the beginning.
const FIRST: i64 = 1_000;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_mins(5);

struct Line {
    holder: HolderId,
    parent: Option<ProductId>,
    shown: i64,
    taken: i64,
    revision: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let stocks = numbers.next().transpose()?.unwrap_or(STOCKS);
    let rounds = numbers.next().transpose()?.unwrap_or(ROUNDS);
    let folder = tempfile::tempdir()?;
    let (spool, writer) = spool::open(spool::Options::at(folder.path().join("spool.db"))).await?;
    let (tasks, transport) = (Tasks::new(), Tasks::new());
    transport.spawn("spool", writer.run());
    let bus = Bus::local(&spool, Topology::uniform(1).context("one shard")?).await?;
    let options = SqliteOptions::new(folder.path().join("onhand.db"));
    let store = Arc::new(Store::open_sqlite(&options, SecretKey::from_bytes([7; 32])).await?);
    let fake =
        FakeShop::start(FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() }).await?;
    let shop = add_shop(&store, &fake.url()).await?;
    let mut lines = shelf(&fake, stocks);
    let metrics = Metrics::new();
    // Long enough to take a whole round in before the first call.
    let settings = Settings {
        flush_window: Duration::from_secs(3),
        calls: process::CallShare::per_minute(60_000),
        ..settings()?
    };
    let connect = onhand_egress::woocommerce();
    let parts = Parts {
        store: Arc::clone(&store),
        bus: bus.clone(),
        connect,
        clock: Arc::new(process::clock::now),
        member: "economy".to_owned(),
        health: Health::new(),
        settings,
    };
    onhand_egress::start(parts, &tasks, &metrics);

    publish(&bus, shop, &mut lines, true).await?;
    settled(&store, shop, &lines).await?;
    ensure!(fake.take_counts().calls_total() == 0, "a shop that shows what it should needs no call");
    let (mut minimum, mut levels) = (0, 0);
    let started = Instant::now();
    for round in 0..rounds {
        minimum += change(&fake, &mut lines, round);
        levels += lines.len() * usize::try_from(CHANGES)?;
        publish(&bus, shop, &mut lines, false).await?;
        settled(&store, shop, &lines).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let counts = fake.take_counts();
    for line in &lines {
        let shown = fake.with_model(|model, _| model.stock(line.holder));
        ensure!(shown == Some(line.shown), "stock {} shows {shown:?}, not {}", line.holder, line.shown);
    }
    let left = tasks.drain(Duration::from_secs(10)).await;
    ensure!(left.is_empty(), "did not end: {left:?}");
    let calls = counts.calls_total();
    let ratio = f64::from(u32::try_from(calls)?) / f64::from(u32::try_from(minimum)?);
    println!(
        "{stocks} stocks, {rounds} rounds, {levels} levels, {} stock writes in {seconds:.1} s",
        counts.stock_writes
    );
    println!(
        "{{\"figures\":[{{\"name\":\"calls beside the fewest there can be\",\"value\":{calls},\"unit\":\"calls\",\"limit\":{minimum},\
         \"ratio\":{ratio:.3},\"most\":1}},{{\"name\":\"calls, were there one a level\",\"value\":{levels},\"unit\":\"calls\"}},\
         {{\"name\":\"writes without effect\",\"value\":{},\"unit\":\"writes\",\"most\":0}}]}}",
        counts.stock_writes_without_effect
    );
    ensure!(u64::try_from(minimum)? == calls, "more calls than are needed");
    ensure!(counts.stock_writes_without_effect == 0, "writes without effect");
    Ok(())
}

fn settings() -> anyhow::Result<Settings> {
    let source = process::config::Source::from_pairs(std::iter::empty::<(&str, &str)>());
    Ok(process::config::read(&source, &[Settings::GROUP, process::CallBudget::GROUP], Settings::from_source)?)
}

async fn add_shop(store: &Store, url: &str) -> anyhow::Result<ShopId> {
    let now = process::clock::now();
    let WarehouseAdded::Added(warehouse) = store.add_warehouse("main", WarehouseKind::HubOwned, now).await?
    else {
        bail!("the name is taken")
    };
    let secrets = ShopSecrets {
        consumer_key: SecretString::from(FakeShopOptions::KEY),
        consumer_secret: SecretString::from(FakeShopOptions::SECRET),
        webhook_secret: SecretString::from("w"),
        webhook_secret_previous: None,
    };
    let settings = ShopSettings {
        private_allowed: true,
        ..ShopSettings::new(url, Routing::new([warehouse.id]).context("one warehouse")?)
    };
    let connector = Connector::Woocommerce;
    let new = NewShop { name: "economy".to_owned(), connector, settings, opening: Opening::None, secrets };
    let ShopAdded::Added { shop, .. } = store.add_shop(new, now).await? else { bail!("the name is taken") };
    store.activate_shop(shop.id).await?;
    Ok(shop.id)
}

/// Half products, half variations.
fn shelf(fake: &FakeShop, stocks: usize) -> Vec<Line> {
    fake.with_model(|model, now| {
        let mut lines = Vec::with_capacity(stocks);
        let line = |holder, parent| Line { holder, parent, shown: FIRST, taken: 0, revision: 0 };
        while lines.len() < stocks / 2 {
            let parent = model.add_product(NewProduct::variable(None, None), now);
            for _ in 0..VARIATIONS {
                let variation = NewVariation::with_stock(None, FIRST);
                lines.push(line(model.add_variation(parent, variation, now).into(), Some(parent)));
            }
        }
        while lines.len() < stocks {
            lines.push(line(model.add_product(NewProduct::simple(None, FIRST), now).into(), None));
        }
        lines
    })
}

/// Changes every stock, some by a sale of the shop's own; gives back the fewest calls that the others need.
fn change(fake: &FakeShop, lines: &mut [Line], round: usize) -> usize {
    let mut pushed = BTreeMap::<Option<ProductId>, usize>::new();
    for (place, line) in lines.iter_mut().enumerate() {
        line.shown -= 1;
        if (place + round).is_multiple_of(OWN_SALE_EVERY) {
            line.taken += 1;
            let (holder, quantity) = (line.holder, line.shown);
            fake.with_model(|model, now| {
                model.run(testkit::shop::Change::SetStockSilently { holder, quantity }, now).ok()
            });
        } else {
            *pushed.entry(line.parent).or_default() += 1;
        }
    }
    pushed.values().map(|count| count.div_ceil(BATCH)).sum()
}

/// Publishes every level, a few times over; only the last one counts.
async fn publish(bus: &Bus, shop: ShopId, lines: &mut [Line], prove: bool) -> anyhow::Result<()> {
    let now = process::clock::now();
    let mut envelopes = Vec::new();
    let changes = if prove { 1 } else { CHANGES };
    for change in 1..=changes {
        for line in lines.iter_mut() {
            line.revision += 1;
            // Before the last one, something else each time.
            let quantity = line.shown + i64::try_from(changes - change)?;
            let settle = prove.then(|| proof(line, now));
            let message = Message::from(LevelChanged {
                stock: StockId { shop, holder: line.holder },
                epoch: Epoch::new(1),
                revision: Revision::new(line.revision),
                sku: format!("SKU-{}", line.holder).parse()?,
                level: Quantity::from_units(quantity),
                untaken: Quantity::ZERO,
                taken_total: Quantity::from_units(line.taken),
                step: Step::ONE,
                order_dates: None,
                settle,
                removed: false,
                parent: line.parent,
            });
            envelopes.push(Envelope::seal(&message, Uuid::now_v7(), now, "inventory")?);
        }
    }
    for envelopes in envelopes.chunks(PUBLISHED_MAX) {
        for answer in bus.publisher().publish(envelopes).await {
            answer?;
        }
    }
    Ok(())
}

fn proof(line: &Line, now: Timestamp) -> Settled {
    let moment = Moment { shop: now, hub: now };
    Settled {
        number: ReadNumber::new(1),
        shown: Some(Quantity::from_units(line.shown)),
        asked: moment,
        answered: moment,
        taken_total: Quantity::ZERO,
        quiet: true,
    }
}

/// Waits until egress knows the newest levels and has nothing left to push.
async fn settled(store: &Store, shop: ShopId, lines: &[Line]) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut look = tokio::time::interval(Duration::from_millis(20));
    for line in lines {
        loop {
            let rows = store.pushes(&[StockId { shop, holder: line.holder }]).await?;
            let at_rest = rows.first().is_some_and(|row| {
                let newest = row.push.target.is_some_and(|target| target.revision.get() == line.revision);
                newest && row.push.next(process::clock::now()) == push::Next::Nothing
            });
            if at_rest {
                break;
            }
            ensure!(Instant::now() < deadline, "stock {} is not at rest: {rows:?}", line.holder);
            look.tick().await;
        }
    }
    Ok(())
}
