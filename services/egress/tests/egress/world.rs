//! A world to test in: one egress over a bus and a database in a folder of its own, and fake shops it may call.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Bus, Delivery, Disposition, Flow, Handler, Limits, Pause, Topology};
use connector_woocommerce::Timeouts;
use ledger::Routing;
use onhand_egress::{Parts, Settings};
use process::Tasks;
use process::health::Health;
use process::metrics::Metrics;
use proto::{
    Adoption, Envelope, LevelChanged, LevelsChanged, Message, Settled, StockEdited, TracedLevel, Wanted,
};
use push::DriftPolicy;
use secrecy::SecretString;
use store::{
    Changed, Connector, NewShop, Opening, PushNotes, PushRow, SecretKey, ShopAdded, ShopSecrets,
    ShopSettings, SqliteOptions, Store, WarehouseAdded, WarehouseKind,
};
use tempfile::TempDir;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewProduct, NewVariation};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{
    Epoch, HolderId, Moment, ProductId, Quantity, ReadNumber, Revision, ShopId, Step, StockId, Timestamp,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// A little after the time in which a push may still take effect, and after the longest window of these tests.
const AFTER_DEADLINE_SECONDS: i64 = 61;

/// Long enough for a busy machine.
pub(crate) const PATIENT: Timeouts =
    Timeouts { connect: Duration::from_secs(2), read: Duration::from_secs(8), call: Duration::from_secs(10) };
/// Short enough to wait for.
pub(crate) const IMPATIENT: Timeouts = Timeouts {
    connect: Duration::from_millis(200),
    read: Duration::from_millis(600),
    call: Duration::from_secs(1),
};

pub(crate) fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

/// What a shop's stock should come to, and how it is reached.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub(crate) stock: StockId,
    pub(crate) parent: Option<ProductId>,
    pub(crate) epoch: u64,
    pub(crate) revision: u64,
    pub(crate) quantity: i64,
    pub(crate) untaken: i64,
    pub(crate) taken: i64,
    pub(crate) order_dates: Option<(Timestamp, Timestamp)>,
    pub(crate) settle: Option<Settled>,
    pub(crate) removed: bool,
    pub(crate) adoption: Option<Adoption>,
}

impl Level {
    /// Whether this level or a newer one is what `target` was made of.
    fn is_in(&self, target: &push::Target) -> bool {
        (target.epoch.get(), target.revision.get()) >= (self.epoch, self.revision)
    }

    /// The next revision with another quantity.
    pub(crate) fn then(&self, quantity: i64) -> Self {
        Self { revision: self.revision + 1, quantity, order_dates: None, ..self.clone() }
    }
}

fn level_changed(level: &Level) -> LevelChanged {
    LevelChanged {
        stock: level.stock,
        epoch: Epoch::new(level.epoch),
        revision: Revision::new(level.revision),
        sku: format!("SKU-{}", level.stock.holder).parse().unwrap(),
        level: units(level.quantity),
        untaken: units(level.untaken),
        taken_total: units(level.taken),
        step: Step::ONE,
        order_dates: level.order_dates,
        settle: level.settle.clone(),
        removed: level.removed,
        parent: level.parent,
        adoption: level.adoption.clone(),
        released: Quantity::ZERO,
    }
}

/// One egress and its shops.
pub(crate) struct World {
    /// Keeps the files.
    _folder: TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) bus: Bus,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) settings: Settings,
    pub(crate) timeouts: Timeouts,
    ahead_micros: Arc<AtomicI64>,
    writing: JoinHandle<()>,
    tasks: Tasks,
    wanted: Asked,
    edits: Edits,
    stop_reading: CancellationToken,
    proofs: u64,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::for_testing(), PATIENT).await
    }

    /// A world whose egress has not been started.
    #[expect(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]
    pub(crate) async fn stopped(settings: Settings, timeouts: Timeouts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (spool, writer) = spool::open(spool::Options::at(folder.path().join("spool.db"))).await.unwrap();
        let writing = tokio::spawn(async move { writer.run().await.unwrap() });
        let bus = Bus::local(&spool, Topology::uniform(1).unwrap()).await.unwrap();
        let options = SqliteOptions::new(folder.path().join("onhand.db"));
        let store = Store::open_sqlite(&options, SecretKey::from_bytes([7; 32])).await.unwrap();
        let wanted = Arc::new(Mutex::new(Vec::new()));
        let edits = Edits::default();
        let stop_reading = CancellationToken::new();
        for flow in [Flow::IngressReads, Flow::InventoryOrders] {
            let (wanted, edits) = (Arc::clone(&wanted), Arc::clone(&edits));
            tokio::spawn(collect(bus.clone(), flow, wanted, edits, stop_reading.clone()));
        }
        Self {
            _folder: folder,
            store: Arc::new(store),
            bus,
            metrics: Metrics::new(),
            health: Health::new(),
            settings,
            timeouts,
            ahead_micros: Arc::default(),
            writing,
            tasks: Tasks::new(),
            wanted,
            edits,
            stop_reading,
            proofs: 0,
        }
    }

    pub(crate) async fn with(settings: Settings, timeouts: Timeouts) -> Self {
        let mut world = Self::stopped(settings, timeouts).await;
        world.start();
        world
    }

    /// Starts egress.
    pub(crate) fn start(&mut self) {
        self.tasks = Tasks::new();
        self.start_replica("test", &self.tasks);
    }

    /// Starts an egress beside others; it is ended by its tasks.
    pub(crate) fn start_replica(&self, member: &str, tasks: &Tasks) {
        let ahead = Arc::clone(&self.ahead_micros);
        let parts = Parts {
            store: Arc::clone(&self.store),
            bus: self.bus.clone(),
            connect: onhand_egress::woocommerce_within(self.timeouts),
            clock: Arc::new(move || {
                Timestamp::from_micros(process::clock::now().micros() + ahead.load(Ordering::SeqCst))
            }),
            member: member.to_owned(),
            health: self.health.clone(),
            settings: self.settings.clone(),
        };
        onhand_egress::start(parts, tasks, &self.metrics);
    }

    /// Lets egress finish what it has under way.
    pub(crate) async fn stop(&self) {
        assert_eq!(self.tasks.drain(Duration::from_secs(15)).await, Vec::<String>::new());
    }

    /// Cuts egress off in whatever it does.
    pub(crate) async fn kill(&self) {
        self.tasks.drain(Duration::ZERO).await;
        // Aborted tasks hold connections of the pool until they are dropped.
        self.until("egress is gone", async || self.tasks.running().is_empty()).await;
    }

    /// The hub's clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(process::clock::now().micros() + self.ahead_micros.load(Ordering::SeqCst))
    }

    /// Moves the hub's clock past the time in which any push under way may take effect.
    pub(crate) fn pass_deadline(&self) {
        self.ahead_micros.fetch_add(AFTER_DEADLINE_SECONDS * 1_000_000, Ordering::SeqCst);
    }

    /// A shop in service.
    pub(crate) async fn shop(&self, fake: &FakeShop) -> ShopId {
        self.shop_at(&fake.url()).await
    }

    /// A shop in service that wants such a policy, once its lane is there: egress knows what it wants by then.
    pub(crate) async fn shop_with(&self, fake: &FakeShop, policy: DriftPolicy) -> ShopId {
        let shop = self.shop(fake).await;
        let settings = self.store.shops(Some(&[shop])).await.unwrap().remove(0).settings;
        let changed = ShopSettings { drift: policy, ..settings };
        assert_eq!(self.store.change_shop(shop, &changed).await.unwrap(), Changed::Done);
        let other = self.shop_at("http://127.0.0.1:9").await;
        // What is looked up together is known together.
        self.until("the shops are known", async || self.store.lane(other).await.unwrap().is_some()).await;
        shop
    }

    /// A shop in service at an address.
    pub(crate) async fn shop_at(&self, url: &str) -> ShopId {
        let shop = self.shop_to_be(url).await;
        self.activate(shop).await;
        shop
    }

    /// Puts a shop into service: from then on it is called.
    pub(crate) async fn activate(&self, shop: ShopId) {
        assert_eq!(self.store.activate_shop(shop).await.unwrap(), Changed::Done);
    }

    /// A shop at an address that is not in service yet.
    pub(crate) async fn shop_to_be(&self, url: &str) -> ShopId {
        let name = Uuid::now_v7().to_string();
        let added = self.store.add_warehouse(&name, WarehouseKind::HubOwned, self.now()).await.unwrap();
        let WarehouseAdded::Added(warehouse) = added else { unreachable!("the name is new") };
        let secrets = ShopSecrets {
            consumer_key: SecretString::from(FakeShopOptions::KEY),
            consumer_secret: SecretString::from(FakeShopOptions::SECRET),
            webhook_secret: SecretString::from("w"),
            webhook_secret_previous: None,
        };
        let settings = ShopSettings {
            private_allowed: true,
            ..ShopSettings::new(url, Routing::new([warehouse.id]).unwrap())
        };
        let new =
            NewShop { name, connector: Connector::Woocommerce, settings, opening: Opening::None, secrets };
        let ShopAdded::Added { shop, .. } = self.store.add_shop(new, self.now()).await.unwrap() else {
            unreachable!("the name is new")
        };
        shop.id
    }

    /// A level with the proof that the shop shows `shown` now.
    pub(crate) fn level(&mut self, shop: ShopId, holder: HolderId, shown: i64, quantity: i64) -> Level {
        Level {
            stock: StockId { shop, holder },
            parent: None,
            epoch: 1,
            revision: 1,
            quantity,
            untaken: 0,
            taken: 0,
            order_dates: None,
            settle: Some(self.proof(shown, 0)),
            removed: false,
            adoption: None,
        }
    }

    /// A trusted proof, read a little later than everything before it, by both clocks.
    pub(crate) fn proof(&mut self, shown: i64, taken: i64) -> Settled {
        self.proofs += 1;
        let moment = Moment { shop: process::clock::now() + LATER, hub: self.now() + LATER };
        Settled {
            number: ReadNumber::new(self.proofs),
            shown: Some(units(shown)),
            asked: moment,
            answered: moment,
            taken_total: units(taken),
            quiet: true,
            modified_at: None,
        }
    }

    /// Publishes levels, each alone.
    pub(crate) async fn publish(&self, levels: &[Level]) {
        self.tell(levels.iter().map(|level| Message::from(level_changed(level)))).await;
    }

    /// Publishes levels of one shop as one message.
    pub(crate) async fn publish_together(&self, levels: &[Level]) {
        let traced = |level: &Level| TracedLevel { level: level_changed(level), traceparent: None };
        let shop = levels[0].stock.shop;
        let together = LevelsChanged { shop, levels: levels.iter().map(traced).collect() };
        self.tell([together.into()]).await;
    }

    async fn tell(&self, messages: impl IntoIterator<Item = Message>) {
        let seal = |message| Envelope::seal(&message, Uuid::now_v7(), self.now(), "inventory").unwrap();
        let envelopes: Vec<Envelope> = messages.into_iter().map(seal).collect();
        for answer in self.bus.publisher().publish(&envelopes).await {
            answer.unwrap();
        }
    }

    /// What egress knows of a stock.
    pub(crate) async fn row(&self, stock: StockId) -> PushRow {
        let rows = self.store.pushes(&[stock]).await.unwrap();
        rows.into_iter().next().unwrap_or_else(|| PushRow::unknown(stock))
    }

    /// What egress notes of a stock.
    pub(crate) async fn notes(&self, stock: StockId) -> PushNotes {
        let notes = self.store.push_notes(&[stock]).await.unwrap();
        notes.into_iter().next().unwrap_or_else(|| PushNotes::unknown(stock))
    }

    /// Waits until egress has taken the level in.
    pub(crate) async fn known(&self, level: &Level) {
        let known =
            async || self.row(level.stock).await.push.target.is_some_and(|target| level.is_in(&target));
        self.until("the level is known", known).await;
    }

    /// Waits until egress has taken the level in and has nothing left to push for it.
    pub(crate) async fn at_rest(&self, level: &Level) -> PushRow {
        let stock = level.stock;
        let known = async || {
            let row = self.row(stock).await;
            let taken = row.push.target.is_some_and(|target| level.is_in(&target));
            let idle = row.push.intent.is_none() && row.push.doubtful_until.is_none();
            let next = matches!(row.push.next(self.now()), push::Next::Nothing | push::Next::Settle);
            taken && idle && (next || row.blocked.is_some() || row.removed)
        };
        self.until("the stock is at rest", known).await;
        self.row(stock).await
    }

    /// Stocks for which settles were asked for, in the order of asking.
    pub(crate) fn wanted(&self) -> Vec<HolderId> {
        self.wanted.lock().unwrap().concat()
    }

    /// What the ledger was asked to take over, in the order of asking.
    pub(crate) fn edits(&self) -> Vec<StockEdited> {
        self.edits.lock().unwrap().clone()
    }

    /// How many messages asked for settles.
    pub(crate) fn wanted_messages(&self) -> usize {
        self.wanted.lock().unwrap().len()
    }

    /// Waits for something that must come.
    pub(crate) async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        self.until_within(PATIENCE, what, holds).await;
    }

    /// The same with another patience.
    pub(crate) async fn until_within(
        &self,
        patience: Duration,
        what: &str,
        mut holds: impl AsyncFnMut() -> bool,
    ) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let waited = tokio::time::timeout(patience, async {
            while !holds().await {
                look.tick().await;
            }
        });
        assert!(waited.await.is_ok(), "in vain waited until {what}\n{}", self.metrics.render());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_reading.cancel();
        self.writing.abort();
    }
}

/// Proofs are read this much later than everything before them.
const LATER: Duration = Duration::from_secs(5);

/// The stocks that each message asked to settle.
type Asked = Arc<Mutex<Vec<Vec<HolderId>>>>;

/// What was asked to be taken over.
type Edits = Arc<Mutex<Vec<StockEdited>>>;

struct Collect(Asked, Edits);

impl Handler for Collect {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        for delivery in batch {
            match delivery.envelope.open() {
                Ok(Message::ReadWanted(wanted)) => {
                    if let Wanted::Stocks(holders) = wanted.what {
                        self.0.lock().unwrap().push(holders);
                    }
                }
                Ok(Message::StockEdited(edit)) => self.1.lock().unwrap().push(edit),
                _ => {}
            }
        }
        Ok(batch.iter().map(|_| Disposition::Ack).collect())
    }
}

async fn collect(bus: Bus, flow: Flow, wanted: Asked, edits: Edits, stop: CancellationToken) {
    let limits = Limits { messages_max: 100, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };
    let queue = bus.topology().queues(flow).next().unwrap();
    bus.consume(queue, limits, &mut Collect(wanted, edits), &stop).await.ok();
}

/// A shop that makes no deliveries.
pub(crate) async fn fake_shop() -> FakeShop {
    let options = FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() };
    FakeShop::start(options).await.unwrap()
}

/// Puts a product with stock on the shelf.
pub(crate) fn product(fake: &FakeShop, stock: i64) -> HolderId {
    fake.with_model(|model, now| model.add_product(NewProduct::simple(None, stock), now)).into()
}

/// Puts a variable product with variations of so much stock on the shelf.
pub(crate) fn variations(fake: &FakeShop, count: usize, stock: i64) -> (ProductId, Vec<HolderId>) {
    fake.with_model(|model, now| {
        let parent = model.add_product(NewProduct::variable(None, None), now);
        let variation = || NewVariation { option: "o".into(), ..NewVariation::with_stock(None, stock) };
        let holders = (0..count).map(|_| model.add_variation(parent, variation(), now).into()).collect();
        (parent, holders)
    })
}

/// What the shop shows.
pub(crate) fn shows(fake: &FakeShop, holder: HolderId) -> Option<i64> {
    fake.with_model(|model, _| model.stock(holder))
}

/// Somebody does something in the shop, at once.
pub(crate) fn act(fake: &FakeShop, change: Change) {
    fake.with_model(|model, now| model.run(change, now)).unwrap();
}
