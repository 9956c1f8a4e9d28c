//! Ingress as it runs beside the generator: threads of its own, over a spool alone or over a broker.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use bus::{AmqpOptions, Bus, Flow, Topology};
use ledger::Routing;
use onhand_ingress::{Parts, Settings, WooCommerce};
use process::health::Health;
use process::metrics::Metrics;
use process::serve::{Limits, Server};
use process::{Stage, Tasks};
use proto::ShardKey;
use secrecy::ExposeSecret as _;
use spool::Spool;
use store::{
    Connector, Cursor, CursorKind, NewShop, Opening, SecretKey, ShopAdded, ShopSecrets, ShopSettings,
    SqliteOptions, Store, WarehouseAdded, WarehouseKind,
};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use values::ShopId;

use crate::SECRET;
use crate::load::Request;

/// What the threads of a server are called, ours or raw: their time is counted apart from the generator's.
pub(crate) const THREADS: &str = "served";
/// As many as the generator has.
const THREADS_COUNT: usize = 2;
const SHARDS: u16 = 4;
const DRAIN: Duration = Duration::from_secs(30);

/// Threads of a server's own.
pub(crate) fn threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(THREADS_COUNT).thread_name(THREADS).enable_all().build()
}

/// Ingress, running.
#[derive(Debug)]
pub(crate) struct Ingress {
    pub(crate) address: SocketAddr,
    pub(crate) request: Request,
    /// Where webhooks go.
    pub(crate) hints: Bus,
    /// The queue that they end in.
    pub(crate) queue: String,
    tasks: Tasks,
    store: Arc<Store>,
}

impl Ingress {
    /// As in a standalone process.
    pub(crate) async fn over_spool(folder: &Path) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        let bus =
            Bus::local(&spool(folder, &tasks).await?, Topology::uniform(1).context("no shards")?).await?;
        Self::start(folder, tasks, bus.clone(), bus).await
    }

    /// As `onhand serve ingress` does it.
    pub(crate) async fn over_broker(folder: &Path, url: &str) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        let topology = Topology::uniform(SHARDS).context("no shards")?;
        let options = AmqpOptions::new(&url.to_owned().into(), "ingress")?;
        let (bus, supervisor) = Bus::amqp(options.clone(), topology, None).await?;
        tasks.spawn_in(Stage::Relay, "broker", supervisor.run(tasks.stopping(Stage::Relay)));
        let spool = spool(folder, &tasks).await?;
        let (hints, supervisor) = Bus::amqp(options, topology, Some(&spool)).await?;
        tasks.spawn_in(Stage::Relay, "spool", supervisor.run(tasks.stopping(Stage::Relay)));
        Self::start(folder, tasks, bus, hints).await
    }

    async fn start(folder: &Path, tasks: Tasks, bus: Bus, hints: Bus) -> anyhow::Result<Self> {
        let database = SqliteOptions::new(folder.join("onhand.db"));
        let store = Arc::new(Store::open_sqlite(&database, SecretKey::from_bytes([7; 32])).await?);
        let (shop, token) = connected_shop(&store).await?;
        let topology = hints.topology();
        let shard = ShardKey::from(shop).shard(topology.shards(Flow::InventoryOrders));
        let queue = topology.queues(Flow::InventoryOrders).nth(usize::from(shard));
        let queue = queue.context("a shop has a queue")?.to_string();
        let parts = Parts {
            store: Arc::clone(&store),
            hints: hints.clone(),
            bus,
            snapshot: None,
            public_url: None,
            connect: WooCommerce::default(),
            clock: process::clock::now,
            owner: "bench".to_owned(),
            health: Health::new(),
            settings: Settings::default(),
        };
        let metrics = Metrics::new();
        let router = onhand_ingress::start(parts, &tasks, &metrics)?;
        let address = serve(router, &tasks, &metrics).await?;
        let request = Request::to(&format!("/webhooks/{token}"))?;
        Ok(Self { address, request, hints, queue, tasks, store })
    }

    pub(crate) async fn stop(self) {
        let Self { hints, tasks, store, .. } = self;
        drop(hints);
        tasks.drain(DRAIN).await;
        store.close().await;
    }
}

/// The server of onhand.
pub(crate) async fn serve(router: Router, tasks: &Tasks, metrics: &Metrics) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::new(Limits::default(), metrics);
    tasks.spawn_in(Stage::Intake, "http", server.serve(listener, router, tasks.stopping(Stage::Intake)));
    Ok(address)
}

async fn spool(folder: &Path, tasks: &Tasks) -> anyhow::Result<Spool> {
    let (spool, writer) = spool::open(spool::Options::at(folder.join("spool.db"))).await?;
    tasks.spawn_in(Stage::Relay, "spool writer", writer.run());
    Ok(spool)
}

/// A shop whose orders were read already; nobody answers at its address.
async fn connected_shop(store: &Store) -> anyhow::Result<(ShopId, String)> {
    let now = process::clock::now();
    let WarehouseAdded::Added(warehouse) = store.add_warehouse("main", WarehouseKind::HubOwned, now).await?
    else {
        bail!("the warehouse was not added");
    };
    let new = NewShop {
        name: "shop".to_owned(),
        connector: Connector::Woocommerce,
        settings: ShopSettings {
            private_allowed: true,
            ..ShopSettings::new("http://127.0.0.1:9", Routing::new([warehouse.id]).context("no routing")?)
        },
        opening: Opening::None,
        secrets: ShopSecrets {
            consumer_key: "ck_1".into(),
            consumer_secret: "cs_1".into(),
            webhook_secret: SECRET.into(),
            webhook_secret_previous: None,
        },
    };
    let ShopAdded::Added { shop, webhook_token, .. } = store.add_shop(new, now).await? else {
        bail!("the shop was not added");
    };
    let lease =
        store.lease_reader(shop.id, "bench", now, Duration::from_secs(1)).await?.context("no lease")?;
    let cursor = Cursor { shop_time: now, hub_time: now, page: 1 };
    store.save_cursor(shop.id, CursorKind::Orders, cursor, lease.fence).await?;
    Ok((shop.id, webhook_token.expose_secret().to_owned()))
}
