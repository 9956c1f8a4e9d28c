//! Ingress: brings the facts of shops in. Webhooks are hints and make it fast; reads are facts and make it right. Both end
//! as the same messages.
//!
//! [`start`] spawns one reader for each shop of the registry and gives back the router with the webhook address,
//! `POST /webhooks/{token}`. Replicas share the shops by shard; webhooks are taken by any of them.
//!
//! * A webhook is answered 200 only once what it says is confirmed by the bus; while that is not possible, 503.
//! * A shop has one reader, by lease; it polls changed orders and the trash, reads again what is asked for, and settles
//!   stocks. All that it publishes takes one path in order; a cursor moves only after what was read is confirmed.
//! * Which shops' webhooks it takes is also kept in a sealed file, if it is given one: with that it takes them while the
//!   database is away.
//! * What is wanted of a reader (orders to read again, stocks to settle, tasks) lies in the store and outlives the process.

mod backlog;
mod connect;
mod facts;
mod observe;
mod outbound;
mod reader;
mod readers;
mod roster;
mod settings;
mod snapshot;
mod wanted;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bus::{Bus, ConsumeError, Flow};
use process::health::Health;
use process::metrics::Metrics;
use process::{Stage, Tasks};
use proto::Shard;
use shards::{Held, Member};
use store::Store;
use tokio::sync::watch;
use values::Timestamp;

pub use connect::{Connect, ConnectError, WooCommerce};
pub use observe::METRICS;
pub use settings::{GROUP, Settings};
pub use snapshot::Snapshot;
pub use webhooks::BODY_BYTES_MAX;

use observe::Observe;
use outbound::Outbound;
use readers::{Readers, Wakes};
use roster::Roster;
use wanted::Wishes;
use webhooks::Webhooks;

/// Whose shards are shared.
const SERVICE: &str = "ingress";
/// Wishes that wait for longer before they are noted make the process not ready.
const WISHES_WAIT_MAX: Duration = Duration::from_mins(5);
/// So long after the shops were last looked after, it is not ready. How the shops themselves answer does not count.
const READERS_PATIENCE: Duration = Duration::from_mins(1);

/// What ingress works with.
#[derive(Debug)]
pub struct Parts<C> {
    /// Registry, cursors and tasks.
    pub store: Arc<Store>,
    /// Where reads go, and wishes come from. What is read proves what was read before it, so it takes the one path that all
    /// replicas share: with a broker this is a bus without a spool, and reading rests while the broker is away.
    pub bus: Bus,
    /// Where webhooks go: a bus that takes them whatever happens to the broker, into its spool. They are hints, and may be
    /// late. The same as [`Parts::bus`] within one process.
    pub hints: Bus,
    /// Where the shops are kept whose webhooks are taken while the database is away.
    pub snapshot: Option<Snapshot>,
    /// How shops reach the webhook address from outside. Without it webhooks are made by hand, and nobody looks after them.
    pub public_url: Option<String>,
    /// Makes connections to shops.
    pub connect: C,
    /// Tells the time.
    pub clock: fn() -> Timestamp,
    /// Who has the readers' leases. The same name after a restart takes them over at once, so two processes that run at
    /// the same time must not share one.
    pub owner: String,
    /// Where it says whether it keeps up with reading.
    pub health: Health,
    /// The settings.
    pub settings: Settings,
}

/// Ingress cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A lease without an owner is anybody's.
    #[error("ingress needs a name for its leases")]
    NoOwner,
}

/// What all parts of ingress share.
#[derive(Debug)]
pub(crate) struct Shared<C> {
    pub(crate) store: Arc<Store>,
    pub(crate) public_url: Option<String>,
    pub(crate) connect: C,
    /// For what was read.
    pub(crate) outbound: Outbound,
    /// For webhooks.
    pub(crate) hints: Outbound,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) owner: String,
    pub(crate) settings: Settings,
    pub(crate) observe: Observe,
    pub(crate) wakes: Wakes,
    /// Whether the database was away when it was last looked into.
    pub(crate) away: Arc<AtomicBool>,
    pub(crate) snapshot: Option<Arc<Snapshot>>,
    /// The shops to read; `None` before the first look.
    pub(crate) roster: watch::Sender<Option<Roster>>,
}

/// Spawns the readers and gives back the router for webhooks.
pub fn start<C: Connect>(
    parts: Parts<C>,
    tasks: &Tasks,
    metrics: &Metrics,
) -> Result<axum::Router, StartError> {
    if parts.owner.is_empty() {
        return Err(StartError::NoOwner);
    }
    let observe = Observe::new(metrics);
    let shared = Arc::new(Shared {
        outbound: Outbound::new(parts.bus.publisher(), parts.clock, observe.clone()),
        hints: Outbound::new(parts.hints.publisher(), parts.clock, observe.clone()),
        store: parts.store,
        public_url: parts.public_url,
        connect: parts.connect,
        clock: parts.clock,
        owner: parts.owner,
        settings: parts.settings,
        observe,
        wakes: Wakes::default(),
        away: Arc::default(),
        snapshot: parts.snapshot.map(Arc::new),
        roster: watch::Sender::new(None),
    });
    let pulse = parts.health.check("ingress.readers").pulse(READERS_PATIENCE);
    let stop = tasks.stopping(Stage::Intake);
    tasks.spawn_in(Stage::Intake, "ingress: shops", roster::run(Arc::clone(&shared), pulse, stop.clone()));
    let shard_count = parts.bus.topology().shards(Flow::IngressReads);
    let member = Member {
        store: Arc::clone(&shared.store),
        service: SERVICE,
        shard_count,
        name: shared.owner.clone(),
        lasts: shards::LEASE,
        clock: process::clock::now,
    };
    let work = {
        let (shared, bus) = (Arc::clone(&shared), parts.bus.clone());
        move |held: Held| work_on(Arc::clone(&shared), bus.clone(), held, shard_count)
    };
    tasks.spawn_in(Stage::Intake, "ingress: shards", shards::run(member, work, stop));
    let stop = tasks.stopping(Stage::Intake);
    let keeps_up = parts.health.check("ingress.reads").watch(stop, move || {
        let bus = parts.bus.clone();
        async move { bus.keeps_up(Flow::IngressReads, WISHES_WAIT_MAX).await.map_err(|lag| lag.to_string()) }
    });
    tasks.spawn_in(Stage::Intake, "ingress-check", keeps_up);
    let measuring = backlog::measure(parts.hints, shared.observe.clone(), tasks.stopping(Stage::Intake));
    tasks.spawn_in(Stage::Intake, "ingress: spool", measuring);
    Ok(Webhooks::new(&shared).router())
}

/// What is done for one shard: its wishes are noted, its shops are read.
async fn work_on<C: Connect>(
    shared: Arc<Shared<C>>,
    bus: Bus,
    held: Held,
    count: u16,
) -> Result<(), ConsumeError> {
    let shard = Shard { index: held.index, count };
    let queue = bus.topology().queues(Flow::IngressReads).nth(usize::from(held.index));
    let queue = queue.expect("as many shards are shared as there are queues");
    let noting = async {
        let mut wishes = Wishes::new(Arc::clone(&shared));
        let noted = bus.consume(queue, wanted::LIMITS, &mut wishes, &held.stop).await;
        // If it failed the process cannot go on; what the readers have under way is finished first.
        held.stop.cancel();
        noted
    };
    let readers = Readers::new(Arc::clone(&shared), shard);
    let (noted, ()) = tokio::join!(noting, readers.run(held.stop.clone()));
    noted
}
