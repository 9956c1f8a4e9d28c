//! Egress as a process runs it, on a database and a spool of its own, and the levels that inventory would publish.

use std::collections::BTreeSet;
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
use push::Next;
use secrecy::SecretString;
use store::{
    Connector, NewShop, Opening, PAGE_ROWS_MAX, SecretKey, Shop, ShopAdded, ShopSecrets, ShopSettings,
    SqliteOptions, Store, WarehouseAdded, WarehouseKind,
};
use tempfile::TempDir;
use testkit::fake_shop::FakeShopOptions;
use uuid::Uuid;
use values::{Epoch, Moment, Quantity, ReadNumber, Revision, ShopId, Step, StockId, Timestamp, WarehouseId};

use crate::shelf::{Line, Shelf};

/// Levels published at once.
const PUBLISHED_MAX: usize = 1_000;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// What runs.
#[derive(Debug)]
pub(crate) struct Hub {
    bus: Bus,
    pub(crate) store: Arc<Store>,
    warehouse: WarehouseId,
    tasks: Tasks,
    _transport: Tasks,
    _folder: TempDir,
}

impl Hub {
    /// Levels wait for others as long as `flush_window`.
    pub(crate) async fn start(flush_window: Duration) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (spool, writer) = spool::open(spool::Options::at(folder.path().join("spool.db"))).await?;
        let (tasks, transport) = (Tasks::new(), Tasks::new());
        transport.spawn("spool", writer.run());
        let bus = Bus::local(&spool, Topology::uniform(1).context("one shard")?).await?;
        let options = SqliteOptions::new(folder.path().join("onhand.db"));
        let store = Arc::new(Store::open_sqlite(&options, SecretKey::from_bytes([7; 32])).await?);
        let calls = process::CallShare::per_minute(60_000);
        let parts = Parts {
            store: Arc::clone(&store),
            bus: bus.clone(),
            connect: onhand_egress::woocommerce(),
            clock: Arc::new(process::clock::now),
            member: "economy".to_owned(),
            health: Health::new(),
            settings: Settings { flush_window, calls, ..settings()? },
        };
        onhand_egress::start(parts, &tasks, &Metrics::new());
        let now = process::clock::now();
        let added = store.add_warehouse("main", WarehouseKind::HubOwned, now).await?;
        let WarehouseAdded::Added(warehouse) = added else { bail!("the name is taken") };
        Ok(Self { bus, store, warehouse: warehouse.id, tasks, _transport: transport, _folder: folder })
    }

    /// Registers a shop that is in service.
    pub(crate) async fn add_shop(&self, name: &str, url: &str) -> anyhow::Result<Shop> {
        let settings = ShopSettings {
            private_allowed: true,
            ..ShopSettings::new(url, Routing::new([self.warehouse]).context("one warehouse")?)
        };
        let new = NewShop {
            name: name.to_owned(),
            connector: Connector::Woocommerce,
            settings,
            opening: Opening::None,
            secrets: secrets(),
        };
        let added = self.store.add_shop(new, process::clock::now()).await?;
        let ShopAdded::Added { shop, .. } = added else { bail!("the name is taken") };
        self.store.activate_shop(shop.id).await?;
        Ok(shop)
    }

    /// Publishes what each shop is proven to show.
    pub(crate) async fn prove(&self, shelves: &mut [Shelf]) -> anyhow::Result<()> {
        let now = process::clock::now();
        let mut envelopes = Vec::new();
        for shelf in shelves {
            for line in &mut shelf.lines {
                let settle = Some(proof(line, now));
                envelopes.push(level(shelf.shop.id, line, line.shown, settle, now)?);
            }
        }
        self.send(envelopes).await
    }

    /// Publishes the levels of these stocks (all, if none are named), `changes` times over; only the last one counts.
    pub(crate) async fn publish(
        &self,
        shelf: &mut Shelf,
        places: Option<&BTreeSet<usize>>,
        changes: u64,
    ) -> anyhow::Result<()> {
        let now = process::clock::now();
        for change in 1..=changes {
            let mut envelopes = Vec::new();
            for (place, line) in shelf.lines.iter_mut().enumerate() {
                if places.is_none_or(|places| places.contains(&place)) {
                    // Before the last one, something else each time.
                    let quantity = line.shown + i64::try_from(changes - change)?;
                    envelopes.push(level(shelf.shop.id, line, quantity, None, now)?);
                }
            }
            self.send(envelopes).await?;
        }
        Ok(())
    }

    async fn send(&self, envelopes: Vec<Envelope>) -> anyhow::Result<()> {
        for envelopes in envelopes.chunks(PUBLISHED_MAX) {
            for answer in self.bus.publisher().publish(envelopes).await {
                answer?;
            }
        }
        Ok(())
    }

    /// Waits until egress knows the newest levels of a shop, and has nothing left to push.
    pub(crate) async fn at_rest(&self, shelf: &Shelf) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut look = tokio::time::interval(LOOK_EVERY);
        for lines in shelf.lines.chunks(usize::try_from(PAGE_ROWS_MAX)?) {
            let stock = |line: &Line| StockId { shop: shelf.shop.id, holder: line.holder };
            let ids: Vec<StockId> = lines.iter().map(stock).collect();
            loop {
                let rows = self.store.pushes(&ids).await?;
                let now = process::clock::now();
                let newest = lines.iter().zip(&rows).all(|(line, row)| {
                    let target = row.push.target;
                    target.is_some_and(|target| target.revision.get() == line.revision)
                        && row.push.next(now) == Next::Nothing
                });
                if newest && rows.len() == lines.len() {
                    break;
                }
                ensure!(Instant::now() < deadline, "not at rest within {PATIENCE:?}: {:?}", rows.first());
                look.tick().await;
            }
        }
        Ok(())
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let left = self.tasks.drain(DRAIN_DEADLINE).await;
        ensure!(left.is_empty(), "did not end: {left:?}");
        Ok(())
    }
}

/// Those that every fake shop knows.
pub(crate) fn secrets() -> ShopSecrets {
    ShopSecrets {
        consumer_key: SecretString::from(FakeShopOptions::KEY),
        consumer_secret: SecretString::from(FakeShopOptions::SECRET),
        webhook_secret: SecretString::from("w"),
        webhook_secret_previous: None,
    }
}

fn settings() -> anyhow::Result<Settings> {
    let source = process::config::Source::from_pairs(std::iter::empty::<(&str, &str)>());
    Ok(process::config::read(&source, &[Settings::GROUP, process::CallBudget::GROUP], Settings::from_source)?)
}

fn level(
    shop: ShopId,
    line: &mut Line,
    quantity: i64,
    settle: Option<Settled>,
    now: Timestamp,
) -> anyhow::Result<Envelope> {
    line.revision += 1;
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
        adoption: None,
        released: Quantity::ZERO,
    });
    Ok(Envelope::seal(&message, Uuid::now_v7(), now, "inventory")?)
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
        modified_at: None,
    }
}
