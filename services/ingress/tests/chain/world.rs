//! A process with ingress in it, fake shops around it, and somebody who takes what it publishes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bus::{Bus, Delivery, Disposition, Flow, Handler, Limits, Pause, PublishError, Publisher, Topology};
use ledger::Routing;
use onhand_ingress::{Parts, Settings, WooCommerce};
use process::health::Health;
use process::metrics::Metrics;
use process::serve::{self, Server};
use process::{Stage, Tasks};
use proto::{Envelope, Kind, Message, OrderObserved, ReadWanted, Source, StockShown, Wanted};
use secrecy::{ExposeSecret, SecretString};
use store::{
    Condition, ConditionKind, Connector, ListingSeen, NewShop, Opening, PollSettings, SecretKey, ShopAdded,
    ShopSecrets, ShopSettings, SqliteOptions, Store, Task, TaskKind, TaskState, WarehouseAdded,
    WarehouseKind,
};
use tempfile::TempDir;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, Status, Topic};
use tokio::net::TcpListener;
use uuid::Uuid;
use values::{OrderId, ProductId, ShopId, Timestamp, WarehouseId};

/// Long enough for a busy machine; nothing waits that long when all is well.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);
pub(crate) const SECRET: &str = "a webhook's secret &amp; more";

type Taken = Arc<Mutex<Vec<Message>>>;

/// Takes messages as inventory would, and does what of inventory's work ingress leans on.
struct Taker {
    store: Arc<Store>,
    taken: Taken,
}

impl Handler for Taker {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        for delivery in batch {
            let message = delivery.envelope.open().unwrap();
            let mut tx = self.store.begin_inventory().await.unwrap();
            match &message {
                Message::ListingObserved(seen) => {
                    let seen = ListingSeen {
                        shop: seen.shop,
                        listing: seen.listing,
                        holder: seen.holder,
                        sku: seen.sku.clone(),
                        name: seen.name.to_string(),
                        status: seen.status.to_string(),
                        kind: seen.kind,
                        number: seen.number,
                    };
                    tx.observe_listings(&[seen], process::clock::now()).await.unwrap();
                }
                Message::ShopConnected(connected) => {
                    tx.set_baseline(connected.shop, connected.baseline_last).await.unwrap();
                    tx.activate_shop(connected.shop).await.unwrap();
                }
                _ => {}
            }
            tx.commit().await.unwrap();
            self.taken.lock().unwrap().push(message);
        }
        Ok(vec![Disposition::Ack; batch.len()])
    }
}

/// One life of the process.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) store: Arc<Store>,
    publisher: Publisher,
    tasks: Tasks,
    metrics: Metrics,
    pub(crate) health: Health,
    taken: Taken,
    /// Where webhooks are listened for.
    pub(crate) url: String,
    settings: Settings,
    spool_bytes_max: u64,
    public: Public,
}

/// How the process is told that shops reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Public {
    /// Not at all: webhooks are made by hand.
    Unknown,
    /// Where it listens.
    Itself,
    /// Somewhere else.
    At(String),
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(Settings::for_testing()).await
    }

    pub(crate) async fn start_with(settings: Settings) -> Self {
        Self::open(tempfile::tempdir().unwrap(), settings, spool::SPOOL_BYTES_MAX, Public::Unknown).await
    }

    /// With somebody who looks after webhooks all the time.
    pub(crate) async fn start_guarding(public: Public) -> Self {
        let settings = Settings {
            webhook_period: Duration::from_millis(20),
            webhook_silence: Duration::from_millis(30),
            ..Settings::for_testing()
        };
        Self::open(tempfile::tempdir().unwrap(), settings, spool::SPOOL_BYTES_MAX, public).await
    }

    /// With so little room that webhooks soon find it full.
    pub(crate) async fn start_small(bytes_max: u64) -> Self {
        Self::open(tempfile::tempdir().unwrap(), Settings::for_testing(), bytes_max, Public::Unknown).await
    }

    async fn open(folder: TempDir, settings: Settings, spool_bytes_max: u64, public: Public) -> Self {
        let (tasks, metrics, health) = (Tasks::new(), Metrics::new(), Health::new());
        let database = SqliteOptions::new(folder.path().join("onhand.db"));
        let store = Arc::new(Store::open_sqlite(&database, SecretKey::from_bytes([7; 32])).await.unwrap());
        let options = spool::Options {
            bytes_max: spool_bytes_max,
            ..spool::Options::at(folder.path().join("spool.db"))
        };
        let (spool, writer) = spool::open(options).await.unwrap();
        tasks.spawn_in(Stage::Relay, "spool", writer.run());
        let bus = Bus::local(&spool, Topology::uniform(1).unwrap()).await.unwrap();
        let taken = Taken::default();
        for queue in bus.topology().queues(Flow::InventoryOrders) {
            let (bus, stop) = (bus.clone(), tasks.stopping(Stage::Work));
            let mut taker = Taker { store: Arc::clone(&store), taken: Arc::clone(&taken) };
            let limits =
                Limits { messages_max: 100, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };
            tasks.spawn("taker", async move { bus.consume(queue, limits, &mut taker, &stop).await });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let parts = Parts {
            store: Arc::clone(&store),
            bus: bus.clone(),
            hints: bus.clone(),
            snapshot: None,
            public_url: match &public {
                Public::Unknown => None,
                Public::Itself => Some(format!("{url}/")),
                Public::At(url) => Some(url.clone()),
            },
            connect: WooCommerce::default(),
            clock: process::clock::now,
            owner: "test".to_owned(),
            health: health.clone(),
            settings: settings.clone(),
        };
        let router = onhand_ingress::start(parts, &tasks, &metrics).unwrap();
        let server = Server::new(serve::Limits::default(), &metrics);
        tasks.spawn_in(Stage::Intake, "http", server.serve(listener, router, tasks.stopping(Stage::Intake)));
        let publisher = bus.publisher();
        Self {
            folder,
            store,
            publisher,
            tasks,
            metrics,
            health,
            taken,
            url,
            settings,
            spool_bytes_max,
            public,
        }
    }

    /// An orderly end, and the next life on the same files. What was taken is forgotten.
    pub(crate) async fn restart(self) -> Self {
        let Self { folder, store, publisher, tasks, settings, spool_bytes_max, public, .. } = self;
        drop(publisher);
        assert_eq!(tasks.drain(PATIENCE).await, Vec::<String>::new());
        store.close().await;
        drop(store);
        Self::open(folder, settings, spool_bytes_max, public).await
    }

    /// Adds a shop as the API does; its webhook address.
    pub(crate) async fn add(&self, fake: &FakeShop, secret_of_key: &str) -> (ShopId, String) {
        let warehouse = self.warehouse().await;
        let new = NewShop {
            name: format!("shop {}", fake.address().port()),
            connector: Connector::Woocommerce,
            settings: ShopSettings {
                poll: PollSettings { orders: Duration::from_millis(20), trash: Duration::from_millis(30) },
                private_allowed: true,
                ..ShopSettings::new(fake.url(), Routing::new([warehouse]).unwrap())
            },
            opening: Opening::Take,
            secrets: secrets(secret_of_key, SECRET),
        };
        let ShopAdded::Added { shop, webhook_token, .. } =
            self.store.add_shop(new, process::clock::now()).await.unwrap()
        else {
            panic!("the shop was not added")
        };
        (shop.id, format!("{}/webhooks/{}", self.url, webhook_token.expose_secret()))
    }

    /// Adds a shop and waits until it is connected. It has all webhooks.
    pub(crate) async fn connect(&self, fake: &FakeShop) -> ShopId {
        let (shop, address) = self.add(fake, FakeShopOptions::SECRET).await;
        let task = self.run_task(shop, TaskKind::Connect).await;
        assert_eq!(task.progress.state, TaskState::Done, "{task:?}");
        for topic in Topic::ALL {
            fake.with_model(|model, now| model.create_webhook(topic, &address, SECRET, now));
        }
        shop
    }

    /// Adds a shop and waits until it is connected and has the webhooks that the process made.
    pub(crate) async fn connect_guarded(&self, fake: &FakeShop) -> (ShopId, Task) {
        let (shop, _) = self.add(fake, FakeShopOptions::SECRET).await;
        let task = self.run_task(shop, TaskKind::Connect).await;
        assert_eq!(task.progress.state, TaskState::Done, "{task:?}");
        (shop, task)
    }

    /// Has a shop polled so rarely that what is read was read for another reason.
    pub(crate) async fn poll_rarely(&self, shop: ShopId) {
        let shops = self.store.shops(Some(&[shop])).await.unwrap();
        let hour = Duration::from_hours(1);
        let poll = PollSettings { orders: hour, trash: hour };
        let settings = ShopSettings { poll, ..shops[0].settings.clone() };
        self.store.change_shop(shop, &settings).await.unwrap();
    }

    /// Waits until a shop is polled so often.
    pub(crate) async fn polled_every(&self, shop: ShopId, period: Duration) {
        let so = async || {
            let reading = self.store.reading(shop).await.unwrap()?;
            (reading.poll_period == Some(period)).then_some(())
        };
        self.until(&format!("a poll every {period:?}"), so).await;
    }

    /// What is or was wrong with a shop, of one kind.
    pub(crate) async fn condition(&self, shop: ShopId, kind: ConditionKind) -> Option<Condition> {
        let conditions = self.store.conditions(shop).await.unwrap();
        conditions.into_iter().find(|condition| condition.kind == kind)
    }

    /// Waits until something is wrong with a shop.
    pub(crate) async fn raised(&self, shop: ShopId, kind: ConditionKind) -> Condition {
        let so = async || self.condition(shop, kind).await.filter(|condition| condition.cleared_at.is_none());
        self.until(kind.as_str(), so).await
    }

    /// Waits until something was found wrong with a shop after a moment, whether that has ended or not.
    pub(crate) async fn raised_since(&self, shop: ShopId, kind: ConditionKind, from: Timestamp) -> Condition {
        let so = async || self.condition(shop, kind).await.filter(|condition| condition.since >= from);
        self.until(kind.as_str(), so).await
    }

    /// Waits until that has ended.
    pub(crate) async fn cleared(&self, shop: ShopId, kind: ConditionKind) {
        let ended =
            async || self.condition(shop, kind).await.filter(|condition| condition.cleared_at.is_some());
        self.until(&format!("the end of {kind}"), ended).await;
    }

    /// Asks for a task and waits for its end.
    pub(crate) async fn run_task(&self, shop: ShopId, kind: TaskKind) -> Task {
        let id = self.store.add_task(shop, kind, process::clock::now()).await.unwrap();
        self.until("the task ends", async || {
            let task = self.store.task(id).await.unwrap().unwrap();
            matches!(task.progress.state, TaskState::Done | TaskState::Failed).then_some(task)
        })
        .await
    }

    async fn warehouse(&self) -> WarehouseId {
        let now = process::clock::now();
        match self.store.add_warehouse("main", WarehouseKind::HubOwned, now).await.unwrap() {
            WarehouseAdded::Added(warehouse) => warehouse.id,
            WarehouseAdded::NameTaken => self.store.warehouses().await.unwrap()[0].id,
        }
    }

    /// So much of a SKU is received.
    pub(crate) async fn stock(&self, code: &str, units: i64) {
        let sku: values::Sku = code.parse().unwrap();
        let (warehouse, now) = (self.warehouse().await, process::clock::now());
        let mut tx = self.store.begin_inventory().await.unwrap();
        let mut book = tx.load_books(std::slice::from_ref(&sku)).await.unwrap();
        let quantity = values::Quantity::from_units(units);
        ledger::operate(&ledger::Operation::Receive { sku, warehouse, quantity }, now, &mut book);
        let posted = |movement| store::Posted { movement, posting: store::Posting::default() };
        let movements: Vec<_> = book.take_movements().into_iter().map(posted).collect();
        let changes = store::Changes { book: Some(&book), movements: &movements, now, ..Default::default() };
        tx.save(&changes).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Asks for reads as inventory does.
    pub(crate) async fn want(&self, shop: ShopId, what: Wanted) {
        let message = ReadWanted { shop, what }.into();
        let envelope = Envelope::seal(&message, Uuid::now_v7(), process::clock::now(), "test").unwrap();
        self.publisher.publish(&[envelope]).await.into_iter().for_each(|answer| answer.unwrap());
    }

    /// Fills the spool with messages that nobody takes.
    pub(crate) async fn fill(&self) {
        const BYTES: usize = 50_000;
        let message = ReadWanted { shop: ShopId::new(1).unwrap(), what: Wanted::Catalogue }.into();
        let mut envelope = Envelope::seal(&message, Uuid::now_v7(), process::clock::now(), "test").unwrap();
        Kind::LevelChanged.type_name().clone_into(&mut envelope.properties.message_type);
        envelope.body = vec![0; BYTES];
        let full = |answers: &[Result<(), PublishError>]| matches!(answers, [Err(PublishError::Full(_))]);
        while !full(&self.publisher.publish(std::slice::from_ref(&envelope)).await) {}
    }

    /// All that was taken so far.
    pub(crate) fn taken(&self) -> Vec<Message> {
        self.taken.lock().unwrap().clone()
    }

    /// What a metric says, named as on the page for Prometheus.
    pub(crate) fn counted(&self, metric: &str) -> u64 {
        let page = self.metrics.render();
        let value = page.lines().find_map(|line| line.strip_prefix(metric)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("there is no metric {metric}: {page}"))
    }

    pub(crate) fn forget_taken(&self) {
        self.taken.lock().unwrap().clear();
    }

    pub(crate) fn orders(&self) -> Vec<OrderObserved> {
        let order = |message| match message {
            Message::OrderObserved(order) => Some(order),
            _ => None,
        };
        self.taken().into_iter().filter_map(order).collect()
    }

    pub(crate) fn shown(&self) -> Vec<StockShown> {
        let shown = |message| match message {
            Message::StockShown(shown) => Some(shown),
            _ => None,
        };
        self.taken().into_iter().filter_map(shown).collect()
    }

    /// The first sight of the order that was read, not told by a webhook.
    pub(crate) async fn read_of(&self, order: OrderId) -> OrderObserved {
        self.until("the order is read", async || {
            let read =
                |seen: &OrderObserved| seen.order == order && matches!(seen.source, Source::Read { .. });
            self.orders().into_iter().find(read)
        })
        .await
    }

    /// Waits for something, and fails with its name if it does not come.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let begun = Instant::now();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "not within {PATIENCE:?}: {what}; taken: {:#?}",
                self.taken()
            );
        }
    }
}

pub(crate) fn secrets(of_key: &str, of_webhooks: &str) -> ShopSecrets {
    ShopSecrets {
        consumer_key: FakeShopOptions::KEY.into(),
        consumer_secret: of_key.into(),
        webhook_secret: SecretString::from(of_webhooks),
        webhook_secret_previous: None,
    }
}

/// A shop whose webhooks go out only when the test says so.
pub(crate) async fn fake() -> FakeShop {
    FakeShop::start(FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() }).await.unwrap()
}

pub(crate) fn product(fake: &FakeShop, sku: &str, stock: i64) -> ProductId {
    fake.with_model(|model, now| model.add_product(NewProduct::simple(sku.parse().ok(), stock), now))
}

pub(crate) async fn buy(fake: &FakeShop, product: ProductId, quantity: i64) -> OrderId {
    let order = NewOrder::by_rest(Status::Processing, vec![NewLine::of(product, quantity)]);
    fake.act(Change::CreateOrder(order)).await.unwrap().order.unwrap()
}
