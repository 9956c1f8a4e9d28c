//! A running inventory in a directory of its own, with everything it publishes collected.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bus::{Bus, Delivery, Disposition, Flow, Handler, Limits, Pause, QueueName, Topology};
use inventory::{Inventory, Operated, OperationRequest, OperationRow, Parts, Requester, Settings};
use ledger::{Balance, Operation, Routing};
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::Tasks;
use proto::{
    Envelope, LevelChanged, ListingObserved, Message, OrderLine, OrderObserved, OrderState, ReadWanted,
    ShopConnected, Source, StatusText, StockShown,
};
use spool::Spool;
use store::{
    Connector, NewShop, Opening, Shop, ShopAdded, ShopSecrets, ShopSettings, StockRow, Store, WarehouseAdded,
    WarehouseKind,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{
    HolderId, LineId, ListingId, Moment, OrderId, ProductId, Quantity, ReadNumber, ShopId, Sku, StockId,
    Timestamp, VariationId, WarehouseId,
};

use crate::database::Database;

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// A moment long past, so that every margin is over.
pub(crate) const LONG_AGO: i64 = 1_700_000_000;

/// How far the spools' clock is ahead, in seconds.
static SPOOL_AHEAD: AtomicU64 = AtomicU64::new(0);

/// What waits in a spool is older by so much from now on, in every world of the process.
pub(crate) fn age_spools(seconds: u64) {
    SPOOL_AHEAD.fetch_add(seconds, Ordering::SeqCst);
}

fn spool_clock() -> SystemTime {
    SystemTime::now() + Duration::from_secs(SPOOL_AHEAD.load(Ordering::SeqCst))
}

pub(crate) struct World {
    folder: TempDir,
    pub(crate) database: Database,
    pub(crate) bus: Bus,
    pub(crate) spool: Spool,
    pub(crate) store: Arc<Store>,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    /// Of a batch, from the next start on.
    pub(crate) batch_messages_max: usize,
    /// How people are told of alerts, from the next start on.
    pub(crate) told_by: Vec<(&'static str, String)>,
    inventory: Option<Inventory>,
    told: Arc<Mutex<Vec<Envelope>>>,
    gives_up: Arc<AtomicBool>,
    stop: CancellationToken,
    background: Vec<JoinHandle<()>>,
    pub(crate) warehouse: WarehouseId,
}

impl World {
    /// A world in which inventory runs.
    pub(crate) async fn running() -> Self {
        let mut world = Self::idle().await;
        world.start();
        world
    }

    /// A world in which inventory does not run yet.
    pub(crate) async fn idle() -> Self {
        Self::sharded(1).await
    }

    /// The same with so many queues of each kind.
    #[expect(clippy::disallowed_methods, reason = "test code")]
    pub(crate) async fn sharded(shards: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options =
            spool::Options { clock: spool_clock, ..spool::Options::at(folder.path().join("spool.db")) };
        let (spool, writer) = spool::open(options).await.unwrap();
        let writing = tokio::spawn(async move { writer.run().await.unwrap() });
        let bus = Bus::local(&spool, Topology::uniform(shards).unwrap()).await.unwrap();
        let database = Database::fresh().await;
        let store = Arc::new(database.open().await);
        let added = store.add_warehouse("main", WarehouseKind::HubOwned, Timestamp::default()).await.unwrap();
        let WarehouseAdded::Added(warehouse) = added else { panic!("the database is new") };
        let mut world = Self {
            folder,
            database,
            bus,
            spool,
            store,
            tasks: Tasks::new(),
            metrics: Metrics::new(),
            health: Health::new(),
            batch_messages_max: Settings::for_testing().batch_messages_max,
            told_by: Vec::new(),
            inventory: None,
            told: Arc::default(),
            gives_up: Arc::default(),
            stop: CancellationToken::new(),
            background: vec![writing],
            warehouse: warehouse.id,
        };
        world.collect(Flow::EgressLevels);
        world.collect(Flow::IngressReads);
        world
    }

    pub(crate) fn start(&mut self) {
        let parts = Parts {
            store: Arc::clone(&self.store),
            bus: self.bus.clone(),
            member: "test".to_owned(),
            health: self.health.clone(),
            settings: Settings { batch_messages_max: self.batch_messages_max, ..Settings::for_testing() },
            channels: self.channels(),
        };
        self.inventory = Some(inventory::start(parts, &self.tasks, &self.metrics));
    }

    /// The ways to people, as they are set.
    pub(crate) fn channels(&self) -> notices::Channels {
        let pairs = self.told_by.iter().map(|(name, value)| (*name, value.as_str()));
        let source = process::config::Source::from_pairs(pairs);
        let groups = [notices::Channels::GROUP];
        process::config::read(&source, &groups, notices::Channels::from_source).unwrap()
    }

    pub(crate) fn inventory(&self) -> &Inventory {
        self.inventory.as_ref().expect("it was started")
    }

    #[expect(clippy::disallowed_methods, reason = "test code")]
    fn collect(&mut self, flow: Flow) {
        for queue in self.bus.topology().queues(flow) {
            let (bus, told, stop) = (self.bus.clone(), Arc::clone(&self.told), self.stop.clone());
            let gives_up = Arc::clone(&self.gives_up);
            self.background.push(tokio::spawn(async move {
                let limits =
                    Limits { messages_max: 100, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };
                bus.consume(queue, limits, &mut Collector { told, gives_up }, &stop).await.unwrap();
            }));
        }
    }

    /// Whether the other services give up all they are told from now on.
    pub(crate) fn others_give_up(&self, gives_up: bool) {
        self.gives_up.store(gives_up, Ordering::Relaxed);
    }

    /// From now on nothing is published any more.
    pub(crate) fn break_spool(&self) {
        self.background.first().expect("its writer is the first").abort();
    }

    /// The queue of facts.
    pub(crate) fn facts(&self) -> QueueName {
        self.bus.topology().queues(Flow::InventoryOrders).next().unwrap()
    }

    /// The spool as it is now, as a crash would leave it.
    pub(crate) fn copy_spool(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for name in ["spool.db", "spool.db-wal"] {
            std::fs::copy(self.folder.path().join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    pub(crate) async fn shop(&self, name: &str) -> Shop {
        self.shop_opening(name, Opening::None).await
    }

    pub(crate) async fn shop_opening(&self, name: &str, opening: Opening) -> Shop {
        match self.store.add_shop(self.new_shop(name, opening), Timestamp::default()).await.unwrap() {
            ShopAdded::Added { shop, .. } => shop,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn another_warehouse(&self, name: &str) -> WarehouseId {
        match self.store.add_warehouse(name, WarehouseKind::HubOwned, Timestamp::default()).await.unwrap() {
            WarehouseAdded::Added(warehouse) => warehouse.id,
            WarehouseAdded::NameTaken => panic!("the name {name} is taken"),
        }
    }

    /// A shop that brings its stock with it.
    pub(crate) async fn shop_selling_from(
        &self,
        name: &str,
        warehouses: impl IntoIterator<Item = WarehouseId>,
    ) -> Shop {
        let mut new = self.new_shop(name, Opening::Take);
        new.settings.routing = Routing::new(warehouses).unwrap();
        match self.store.add_shop(new, Timestamp::default()).await.unwrap() {
            ShopAdded::Added { shop, .. } => shop,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn new_shop(&self, name: &str, opening: Opening) -> NewShop {
        NewShop {
            name: name.to_owned(),
            connector: Connector::Woocommerce,
            settings: ShopSettings { url: format!("https://{name}.example"), ..self.settings() },
            opening,
            secrets: ShopSecrets {
                consumer_key: "ck".into(),
                consumer_secret: "cs".into(),
                webhook_secret: "ws".into(),
                webhook_secret_previous: None,
            },
        }
    }

    pub(crate) fn settings(&self) -> ShopSettings {
        ShopSettings::new("https://shop.example", Routing::new([self.warehouse]).unwrap())
    }

    pub(crate) async fn publish(&self, messages: impl IntoIterator<Item = Message>) {
        let envelopes: Vec<Envelope> = messages.into_iter().map(|message| seal(&message)).collect();
        self.publish_sealed(&envelopes).await;
    }

    pub(crate) async fn publish_sealed(&self, envelopes: &[Envelope]) {
        for answer in self.bus.publisher().publish(envelopes).await {
            answer.unwrap();
        }
    }

    /// Publishes, and waits until everything has been applied.
    pub(crate) async fn tell(&self, messages: impl IntoIterator<Item = Message>) {
        self.publish(messages).await;
        self.applied().await;
    }

    /// Waits until every fact was acknowledged.
    pub(crate) async fn applied(&self) {
        for queue in self.bus.topology().queues(Flow::InventoryOrders) {
            until("every fact is acknowledged", async || {
                let depth = self.bus.depth(queue).await.unwrap();
                (depth.messages == 0).then_some(())
            })
            .await;
        }
    }

    /// Waits until something wanted is among what was published.
    pub(crate) async fn told<T>(&self, what: &str, wanted: impl Fn(&Message) -> Option<T>) -> T {
        until(what, async || self.all_told().iter().rev().find_map(&wanted)).await
    }

    pub(crate) fn all_told(&self) -> Vec<Message> {
        self.told.lock().unwrap().iter().flat_map(|envelope| apart(envelope.open().unwrap())).collect()
    }

    pub(crate) fn told_envelopes(&self) -> Vec<Envelope> {
        self.told.lock().unwrap().clone()
    }

    /// Waits for the level of a stock that fulfils the condition.
    pub(crate) async fn level(
        &self,
        stock: StockId,
        what: &str,
        wanted: impl Fn(&LevelChanged) -> bool,
    ) -> LevelChanged {
        self.told(what, |message| match message {
            Message::LevelChanged(level) if level.stock == stock && wanted(level) => Some(level.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a question to ingress.
    pub(crate) async fn asked(&self, what: &str, wanted: impl Fn(&ReadWanted) -> bool) -> ReadWanted {
        self.told(what, |message| match message {
            Message::ReadWanted(asked) if wanted(asked) => Some(asked.clone()),
            _ => None,
        })
        .await
    }

    /// Goods come in.
    pub(crate) async fn receive(&self, code: &str, quantity: i64) {
        let operation =
            Operation::Receive { sku: sku(code), warehouse: self.warehouse, quantity: units(quantity) };
        let request = OperationRequest {
            requester: Requester { actor: "tester".to_owned(), traceparent: None },
            key: Uuid::now_v7().to_string(),
            rows: vec![OperationRow { operation, reason: None }],
            dry_run: false,
        };
        let operated = self.inventory().operate(&request).await.unwrap();
        assert!(matches!(operated, Operated::Applied(_)), "{operated:?}");
    }

    pub(crate) async fn stock(&self, stock: StockId) -> StockRow {
        let before = HolderId::new(stock.holder.get() - 1).map(|holder| StockId { holder, ..stock });
        let rows = self.store.stocks_of_shop(stock.shop, before, 1).await.unwrap();
        rows.into_iter().find(|row| row.id == stock).expect("the stock is known")
    }

    pub(crate) async fn balance(&self, code: &str) -> Balance {
        let stock = self.store.stock_of(&[sku(code)]).await.unwrap();
        let book = stock.first().map(|stock| stock.book.clone()).unwrap_or_default();
        book.balances.get(&self.warehouse).copied().unwrap_or_default()
    }

    pub(crate) async fn on_hand_and_reserved(&self, code: &str) -> (Quantity, Quantity) {
        let balance = self.balance(code).await;
        (balance.on_hand, balance.reserved)
    }

    /// The ledger is sound.
    pub(crate) async fn check(&self) {
        assert_eq!(self.store.check().await.unwrap(), []);
    }

    /// The process dies: nothing is finished, nothing is told.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let overdue = self.tasks.drain(Duration::from_secs(10)).await;
        assert_eq!(overdue, Vec::<String>::new());
        for task in self.background.into_iter().skip(1) {
            task.await.unwrap();
        }
    }
}

/// Looks until there is something.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking)
        .await
        .unwrap_or_else(|_| panic!("it did not come true that {what}"))
}

struct Collector {
    told: Arc<Mutex<Vec<Envelope>>>,
    gives_up: Arc<AtomicBool>,
}

impl Handler for Collector {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        if self.gives_up.load(Ordering::Relaxed) {
            return Ok(vec![
                Disposition::DeadLetter { reason: "given-up: by its service".to_owned() };
                batch.len()
            ]);
        }
        self.told.lock().unwrap().extend(batch.iter().map(|delivery| delivery.envelope.clone()));
        Ok(vec![Disposition::Ack; batch.len()])
    }
}

pub(crate) fn seal(message: &Message) -> Envelope {
    Envelope::seal(message, Uuid::now_v7(), Timestamp::default(), "test").unwrap()
}

pub(crate) fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

pub(crate) fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

pub(crate) fn order_id(raw: i64) -> OrderId {
    OrderId::new(raw).unwrap()
}

pub(crate) fn product(raw: i64) -> ListingId {
    ListingId { product: ProductId::new(raw).unwrap(), variation: None }
}

pub(crate) fn variation(parent: i64, raw: i64) -> ListingId {
    ListingId { product: ProductId::new(parent).unwrap(), variation: VariationId::new(raw) }
}

pub(crate) fn stock_id(shop: ShopId, raw: i64) -> StockId {
    StockId { shop, holder: HolderId::new(raw).unwrap() }
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(LONG_AGO + seconds)
}

pub(crate) fn listing(shop: ShopId, listing: ListingId, holder: Option<i64>, code: Option<&str>) -> Message {
    Message::ListingObserved(ListingObserved {
        shop,
        listing,
        holder: holder.and_then(HolderId::new),
        sku: code.map(sku),
        name: "A thing".parse().unwrap(),
        status: "publish".parse().unwrap(),
        kind: None,
        number: ReadNumber::new(1),
    })
}

/// Product `id` of the shop, sold from its own stock.
pub(crate) fn sells(shop: ShopId, id: i64, code: &str) -> Message {
    listing(shop, product(id), Some(id), Some(code))
}

pub(crate) fn connected(shop: ShopId, baseline_last: Option<i64>) -> Message {
    Message::ShopConnected(ShopConnected {
        shop,
        baseline_last: baseline_last.map(order_id),
        number: ReadNumber::new(1),
    })
}

/// What was seen of an order: `lines` are product, quantity, taken.
pub(crate) fn seen(
    shop: ShopId,
    order: i64,
    source: Source,
    status: &str,
    modified: i64,
    lines: &[(i64, i64, Option<i64>)],
) -> Message {
    let line = |(index, (id, quantity, taken)): (i64, &(i64, i64, Option<i64>))| OrderLine {
        line: LineId::new(order * 100 + index).unwrap(),
        listing: Some(product(*id)),
        sku: None,
        quantity: units(*quantity),
        taken: taken.map(units),
        restocked: Quantity::ZERO,
        fault: None,
    };
    Message::OrderObserved(OrderObserved {
        shop,
        order: order_id(order),
        source,
        modified_at: Some(at(modified)),
        state: OrderState::Present {
            status: StatusText::clipped(status),
            lines: (1..).zip(lines).map(line).collect(),
        },
    })
}

/// A read at that time of the shop.
pub(crate) fn read(number: u64, read_at: i64) -> Source {
    Source::Read { number: ReadNumber::new(number), read_at: at(read_at), baseline: false }
}

pub(crate) fn gone(shop: ShopId, order: i64, source: Source) -> Message {
    let state = OrderState::Gone;
    Message::OrderObserved(OrderObserved { shop, order: order_id(order), source, modified_at: None, state })
}

/// What a stock showed when it was asked for at that time of both clocks.
pub(crate) fn shown(shop: ShopId, holder: i64, quantity: i64, number: u64, asked: i64) -> Message {
    let moment = |seconds| Moment { shop: at(seconds), hub: at(seconds) };
    Message::StockShown(StockShown {
        shop,
        holder: HolderId::new(holder).unwrap(),
        shown: Some(units(quantity)),
        number: ReadNumber::new(number),
        asked: moment(asked),
        answered: moment(asked + 1),
        orders_read_to: at(asked + 33),
        modified_at: Some(at(asked - 10)),
        dry_run: false,
    })
}

/// Levels that were told together, each by itself.
fn apart(message: Message) -> Vec<Message> {
    match message {
        Message::LevelsChanged(together) => {
            together.levels.into_iter().map(|traced| traced.level.into()).collect()
        }
        other => vec![other],
    }
}
