//! All services in one process over one data directory: what `onhand up` runs, and the demo too.

mod checks;
mod data_dir;
mod restored;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use bus::{Bus, Topology};
use process::config::{Group, Reader};
use process::health::Health;
use process::metrics::Metrics;
use process::serve::{Limits, Server};
use process::{Stage, Tasks};
use store::{SecretKey, SqliteOptions, Store};
use tokio::net::TcpListener;

use crate::connection::Public;
use data_dir::DataDir;
pub(crate) use restored::{PUSH_IN_FLIGHT, READ_AGAIN, restored};

/// One process needs no shards: each flow has one queue.
const SHARDS: u16 = 1;

const REFUSED: u8 = 1;
const FILE: u8 = 66;
const INTERNAL: u8 = 70;

/// Nobody else works on a data directory: it is locked. The same name each time, so that nothing waits for leases of an
/// earlier life.
const MEMBER: &str = "standalone";

/// How it is set up.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) public: Public,
    pub(crate) http: Limits,
    pub(crate) services: ServiceSettings,
}

/// What each service can be told.
#[derive(Debug)]
pub(crate) struct ServiceSettings {
    pub(crate) ingress: ingress::Settings,
    pub(crate) inventory: inventory::Settings,
    pub(crate) egress: egress::Settings,
    /// How people are told of alerts.
    pub(crate) channels: notices::Channels,
}

/// All of onhand, running.
#[derive(Debug)]
pub(crate) struct Standalone {
    pub(crate) tasks: Tasks,
    pub(crate) health: Health,
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Metrics,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    data_dir: PathBuf,
    public_url: Option<String>,
}

/// What all services are given.
#[derive(Clone, Copy)]
struct Common<'a> {
    store: &'a Arc<Store>,
    bus: &'a Bus,
    tasks: &'a Tasks,
    health: &'a Health,
    metrics: &'a Metrics,
}

/// It cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data directory {} cannot be used", path.display())]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("another onhand uses the data directory {}; stop it, or give this one its own with --data-dir", path.display())]
    InUse { path: PathBuf },
    #[error("there is no {}; copy `onhand.db` and `secret.key` of the backup there first", path.display())]
    NoBackup { path: PathBuf },
    #[error("{} cannot be read or written", path.display())]
    AdminToken { path: PathBuf, source: std::io::Error },
    #[error("cannot log or trace")]
    Telemetry(#[from] process::telemetry::StartError),
    #[error("the secret key cannot be used")]
    Key(#[from] store::SecretError),
    #[error("the database cannot be used")]
    Store(#[from] store::Error),
    #[error("the spool cannot be used")]
    Spool(#[from] spool::OpenError),
    #[error("the local transport cannot be used")]
    Bus(#[from] bus::BusError),
    #[error("ingress cannot start")]
    Ingress(#[from] ingress::StartError),
    #[error("cannot listen on {address}; is something else there? Choose another address with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
}

impl StartError {
    /// Part of the exit code table.
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::InUse { .. } | Self::Listen { .. } => REFUSED,
            Self::NoBackup { .. } => FILE,
            _ => INTERNAL,
        }
    }
}

impl ServiceSettings {
    pub(crate) const GROUPS: &'static [Group] = &[
        process::CallBudget::GROUP,
        ingress::GROUP,
        inventory::Settings::GROUP,
        inventory::AlertSettings::GROUP,
        notices::Channels::GROUP,
        egress::Settings::GROUP,
    ];

    pub(crate) fn from_source(reader: &mut Reader<'_>) -> Self {
        Self {
            ingress: ingress::Settings::from_source(reader),
            inventory: inventory::Settings::from_source(reader),
            egress: egress::Settings::from_source(reader),
            channels: notices::Channels::from_source(reader),
        }
    }
}

impl Standalone {
    /// What people want to know when it has started.
    pub(crate) fn told(&self) -> Vec<(&'static str, String)> {
        let base = format!("http://{}", self.address);
        let public = self.public_url.as_deref().map_or_else(
            || format!("{base} (shops elsewhere need another: set --public-url)"),
            str::to_owned,
        );
        vec![
            ("API", format!("{base}{}", inventory::api::PREFIX)),
            ("webhooks", public),
            ("health", format!("{base}/healthz {base}/readyz {base}/metrics")),
            ("data", self.data_dir.display().to_string()),
            ("token", self.data_dir.join(crate::connection::ADMIN_TOKEN_FILE).display().to_string()),
        ]
    }
}

/// Opens the data directory, starts every service and listens.
pub(crate) async fn start(options: Options) -> Result<Standalone, StartError> {
    let directory = DataDir::open(&options.data_dir)?;
    let key = SecretKey::load_or_create(&directory.secret_key())?;
    let store = Arc::new(Store::open_sqlite(&SqliteOptions::new(directory.database()), key).await?);
    directory.keep_admin_token(&store).await?;
    let (tasks, health, metrics) = (Tasks::new(), Health::new(), Metrics::new());
    let bus = transport(&directory, &tasks).await?;
    let listen = |source| StartError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;

    let Options { data_dir, public, http, services: settings, .. } = options;
    let parts = Common { store: &store, bus: &bus, tasks: &tasks, health: &health, metrics: &metrics };
    checks::spawn(&store, &bus, &tasks, &health);
    let public_url = public.url.clone();
    let routes = services(parts, settings, public)?;
    let server = Server::new(http, &metrics).leaving(tasks.stopping(Stage::Intake));
    tasks.spawn_in(Stage::Serve, "http", server.serve(listener, routes, tasks.stopping(Stage::Serve)));
    hold(&tasks, directory);
    tracing::info!(address = %address, data_dir = %data_dir.display(), "onhand is up");
    Ok(Standalone { tasks, health, store, metrics, address, data_dir, public_url })
}

/// The spool with its writer, and the bus over it.
async fn transport(directory: &DataDir, tasks: &Tasks) -> Result<Bus, StartError> {
    let (spool, writer) = spool::open(spool::Options::at(directory.spool())).await?;
    // It ends by itself once the last user of the spool has, so nothing that was accepted is left unwritten.
    tasks.spawn_in(Stage::Relay, "spool writer", writer.run());
    let topology = Topology::uniform(SHARDS).expect("one shard is a possible number");
    Ok(Bus::local(&spool, topology).await?)
}

/// Starts the services; their routes, with the pages of the process.
fn services(parts: Common<'_>, settings: ServiceSettings, public: Public) -> Result<Router, StartError> {
    let Common { store, bus, tasks, health, metrics } = parts;
    let inventory = inventory::Parts {
        store: Arc::clone(store),
        bus: bus.clone(),
        member: MEMBER.to_owned(),
        health: health.clone(),
        settings: settings.inventory,
        channels: settings.channels,
    };
    let inventory = inventory::start(inventory, tasks, metrics);
    egress::start(
        egress::Parts {
            store: Arc::clone(store),
            bus: bus.clone(),
            connect: egress::woocommerce(),
            clock: Arc::new(process::clock::now),
            member: MEMBER.to_owned(),
            health: health.clone(),
            settings: settings.egress,
        },
        tasks,
        metrics,
    );
    let webhooks = ingress::start(
        ingress::Parts {
            store: Arc::clone(store),
            bus: bus.clone(),
            hints: bus.clone(),
            snapshot: None,
            public_url: public.for_webhooks(),
            connect: ingress::WooCommerce::default(),
            clock: process::clock::now,
            owner: MEMBER.to_owned(),
            health: health.clone(),
            settings: settings.ingress,
        },
        tasks,
        metrics,
    )?;
    let api = inventory::api::router(inventory::api::Parts {
        inventory,
        health: health.clone(),
        metrics: metrics.clone(),
        public_url: public.url,
        makes_webhooks: public.makes_webhooks,
    });
    Ok(process::health::router(health.clone(), metrics.clone()).merge(api).merge(webhooks))
}

/// The lock of the data directory is held until the last task is told to end.
fn hold(tasks: &Tasks, directory: DataDir) {
    let stop = tasks.stopping(Stage::Relay);
    tasks.spawn_in(Stage::Relay, "data directory", async move {
        stop.cancelled().await;
        drop(directory);
    });
}
