//! `onhand serve`: one service in this process, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bus::Bus;
use clap::Args;
use process::config::{self, Source};
use process::health::Health;
use process::metrics::Metrics;
use process::serve::Server;
use process::{Drain, Settings, Stage, Tasks};
use store::Store;
use uuid::Uuid;

use super::open::{self, ServeError};
use super::settings::{self, Backing, Service};
use super::{GROUP, checks};
use crate::connection::{self, Public};
use crate::failure::Failure;
use crate::running::{Signals, until_stopped};
use crate::screen::Screen;
use crate::standalone::ServiceSettings;

/// Below the address of ingress: the health pages of its reading. Those at the top say whether it takes webhooks, which it
/// does while database and broker are away.
const READING: &str = "/reading";
/// Below the address of inventory: the health pages of what it does with messages. Those at the top say whether its API answers, for
/// which it needs the database alone: operators ask most while the broker is away.
const WORKING: &str = "/working";

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Which service.
    service: Service,
}

/// Everything that is set.
struct Set {
    process: Settings,
    backing: Backing,
    listen: SocketAddr,
    /// Requests are taken for so long after it said that it is not ready.
    grace: Duration,
    public: Public,
    spool_dir: Option<PathBuf>,
    services: ServiceSettings,
}

/// What a service is made with.
struct Parts<'a> {
    store: &'a Arc<Store>,
    tasks: &'a Tasks,
    health: &'a Health,
    metrics: &'a Metrics,
    member: String,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let set = self.settings(&Source::environment())?;
        let traces = set.process.traces.as_ref();
        let telemetry = process::telemetry::start(
            self.service.name(),
            set.process.log_format,
            set.process.log_level,
            traces,
        )
        .map_err(ServeError::from)?;
        let drain = Drain { grace: set.grace, deadline: set.process.drain_deadline };
        let signals = Signals::listen().await;
        let outcome = self.serve(set, signals, drain).await;
        telemetry.flush().await;
        outcome
    }

    fn settings(&self, source: &Source) -> Result<Set, Failure> {
        let groups =
            [&[Settings::GROUP, connection::GROUP, crate::up::GROUP, GROUP], ServiceSettings::GROUPS]
                .concat();
        let set = config::read(source, &groups, |reader| Set {
            process: Settings::from_source(reader),
            backing: Backing::from_source(reader, self.service.name()),
            listen: self.service.listen(reader),
            grace: self.service.grace(reader),
            public: Public::from_source(reader),
            spool_dir: (self.service == Service::Ingress).then(|| settings::spool_dir(reader)),
            services: ServiceSettings::from_source(reader),
        })?;
        Ok(set)
    }

    async fn serve(&self, set: Set, signals: Signals, drain: Drain) -> Result<(), Failure> {
        let (tasks, health, metrics) = (Tasks::new(), Health::new(), Metrics::new());
        let address = match self.start(set, &tasks, &health, &metrics).await {
            Ok(address) => address,
            Err(error) => {
                tasks.drain(drain.deadline).await;
                return Err(error.into());
            }
        };
        let name = self.service.name();
        tracing::info!(service = name, address = %address, "onhand is up");
        if (Screen { json: false }).line(format!("onhand {name} is up at http://{address}")).is_err() {
            tracing::debug!("standard output is closed");
        }
        until_stopped(&tasks, &health, signals, drain).await
    }

    async fn start(
        &self,
        set: Set,
        tasks: &Tasks,
        health: &Health,
        metrics: &Metrics,
    ) -> Result<SocketAddr, ServeError> {
        let Set { process, backing, listen, grace: _, public, spool_dir, services } = set;
        let backing = Arc::new(backing);
        let emptying_max = process.drain_deadline / 2;
        let snapshot = match &spool_dir {
            Some(spool_dir) => Some(open::snapshot(spool_dir, open::secret_key(&backing)?)),
            None => None,
        };
        let store = if snapshot.as_ref().is_some_and(|snapshot| !snapshot.is_empty()) {
            open::database_in_time(&backing, tasks).await?
        } else {
            Arc::new(open::database(&backing).await?)
        };
        let bus = open::broker(backing.broker.clone(), backing.topology, None, tasks).await?;
        // Another name each time: what an earlier life held is free when its leases have ended, and two replicas are never
        // taken for one.
        let member = Uuid::now_v7().to_string();
        let parts = Parts { store: &store, tasks, health, metrics, member };
        let routes = match self.service {
            Service::Ingress => {
                let spool_dir = spool_dir.expect("it was read for ingress");
                let spool = open::open_spool(&spool_dir, tasks).await?;
                // The rest of the time is for what stops before it.
                let broker = backing.broker.clone().emptying_for(emptying_max);
                let topology = backing.topology;
                let hints = open::broker(broker, topology, Some(&spool), tasks).await?;
                ingress_routes(parts, bus, hints, snapshot, public.for_webhooks(), services.ingress)?
            }
            Service::Inventory => inventory_routes(parts, bus, services, public),
            Service::Egress => egress_routes(parts, bus, services.egress),
        };
        let (listener, address) = open::listen(listen).await?;
        let server = Server::new(process.http, metrics).leaving(tasks.stopping(Stage::Intake));
        tasks.spawn_in(Stage::Serve, "http", server.serve(listener, routes, tasks.stopping(Stage::Serve)));
        Ok(address)
    }
}

/// Ready is who can take webhooks: a balancer should send them here even while nothing can be read.
fn ingress_routes(
    parts: Parts<'_>,
    bus: Bus,
    hints: Bus,
    snapshot: Option<ingress::Snapshot>,
    public_url: Option<String>,
    settings: ingress::Settings,
) -> Result<Router, ServeError> {
    let Parts { store, tasks, health, metrics, member } = parts;
    let reading = Health::new();
    checks::spool(&hints, tasks, health);
    checks::database(store, tasks, &reading);
    checks::broker(&bus, tasks, &reading);
    let parts = ingress::Parts {
        store: Arc::clone(store),
        bus,
        hints,
        snapshot,
        public_url,
        connect: ingress::WooCommerce::default(),
        clock: process::clock::now,
        owner: member,
        health: reading.clone(),
        settings,
    };
    let webhooks = ingress::start(parts, tasks, metrics)?;
    let pages = process::health::router(health.clone(), metrics.clone());
    Ok(pages.nest(READING, process::health::router(reading, metrics.clone())).merge(webhooks))
}

fn inventory_routes(parts: Parts<'_>, bus: Bus, services: ServiceSettings, public: Public) -> Router {
    let Parts { store, tasks, health, metrics, member } = parts;
    let working = Health::new();
    for health in [health, &working] {
        checks::database(store, tasks, health);
    }
    checks::broker(&bus, tasks, &working);
    let parts = inventory::Parts {
        store: Arc::clone(store),
        bus,
        member,
        health: working.clone(),
        settings: services.inventory,
        channels: services.channels,
    };
    let inventory = inventory::start(parts, tasks, metrics);
    let api = inventory::api::router(inventory::api::Parts {
        inventory,
        health: working.clone(),
        metrics: metrics.clone(),
        public_url: public.url,
        makes_webhooks: public.makes_webhooks,
    });
    let pages = process::health::router(health.clone(), metrics.clone());
    pages.nest(WORKING, process::health::router(working, metrics.clone())).merge(api)
}

fn egress_routes(parts: Parts<'_>, bus: Bus, settings: egress::Settings) -> Router {
    let Parts { store, tasks, health, metrics, member } = parts;
    checks::database(store, tasks, health);
    checks::broker(&bus, tasks, health);
    let parts = egress::Parts {
        store: Arc::clone(store),
        bus,
        connect: egress::woocommerce(),
        clock: Arc::new(process::clock::now),
        member,
        health: health.clone(),
        settings,
    };
    egress::start(parts, tasks, metrics);
    process::health::router(health.clone(), metrics.clone())
}
