//! Opening what a process of the distributed form works with, and what keeps it from starting.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bus::{AmqpOptions, Bus, Flow, Topology};
use process::{Stage, Tasks};
use spool::Spool;
use store::{SecretKey, Store};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::settings::Backing;

const REFUSED: u8 = 1;
const FILE: u8 = 66;
const UNREACHABLE: u8 = 69;

/// The spool in its directory.
const SPOOL: &str = "spool.db";
/// Beside it: the shops whose webhooks are taken while the database is away.
const SNAPSHOT: &str = "shops.sealed";
/// How long a database may take to be opened by a process that has work without it.
const DATABASE_WITHIN: Duration = Duration::from_secs(5);
/// Waits between attempts to open one that is away.
const DATABASE_AGAIN: Duration = Duration::from_secs(1);

/// It cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the secret key cannot be used")]
    Key(#[source] store::SecretError),
    #[error("the database cannot be used")]
    Store(#[from] store::Error),
    #[error("the broker cannot be used")]
    Bus(#[from] bus::BusError),
    #[error(
        "the database is prepared for {recorded} shards, but ONHAND_SHARDS is {set}; stop every service and run `onhand migrate` to change that"
    )]
    Shards { recorded: u32, set: u32 },
    #[error("the database is not prepared yet; run `onhand migrate`")]
    NotMigrated,
    #[error(
        "the database is new, but messages wait at the broker that were made for another one; use another vhost, or throw them \
         away with `onhand migrate --restored`"
    )]
    AnotherLife,
    #[error("the directory of the spool {} cannot be used", path.display())]
    SpoolDir { path: PathBuf, source: std::io::Error },
    #[error(
        "the spool cannot be used; does another process use it? Each replica needs a directory of its own"
    )]
    Spool(#[from] spool::OpenError),
    #[error("ingress cannot start")]
    Ingress(#[from] ingress::StartError),
    #[error("cannot listen on {address}; is something else there?")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot log or trace")]
    Telemetry(#[from] process::telemetry::StartError),
    #[error("there are shops whose keys are sealed, but no secret key at {}; put the file back in place", path.display())]
    KeyLost { path: PathBuf },
    #[error("the administrator's token cannot be written to {}", path.display())]
    AdminToken { path: PathBuf, source: std::io::Error },
}

impl ServeError {
    /// Part of the exit code table.
    pub(crate) fn number(&self) -> u8 {
        match self {
            Self::Store(store::Error::Busy { .. }) | Self::Bus(bus::BusError::Unavailable { .. }) => {
                UNREACHABLE
            }
            Self::Key(_) | Self::KeyLost { .. } | Self::SpoolDir { .. } | Self::AdminToken { .. } => FILE,
            _ => REFUSED,
        }
    }
}

/// The database, if it is prepared for as many shards as this process is told of.
pub(super) async fn database(backing: &Backing) -> Result<Store, ServeError> {
    let store = Store::open_postgres(&backing.database, secret_key(backing)?).await?;
    let set = shards(backing.topology);
    match store.shard_count().await? {
        Some(recorded) if recorded == set => Ok(store),
        Some(recorded) => Err(ServeError::Shards { recorded, set }),
        None => Err(ServeError::NotMigrated),
    }
}

/// The same for a process that has work without it: if the database is away the store is, too, until it is there. What is
/// wrong with it then ends the process as it would have at its start.
pub(super) async fn database_in_time(
    backing: &Arc<Backing>,
    tasks: &Tasks,
) -> Result<Arc<Store>, ServeError> {
    let why = match timeout(DATABASE_WITHIN, database(backing)).await {
        Ok(Ok(store)) => return Ok(Arc::new(store)),
        Ok(Err(ServeError::Store(error @ store::Error::Busy { .. }))) => process::error_chain(&error),
        Ok(Err(other)) => return Err(other),
        Err(_elapsed) => format!("it does not answer within {} s", DATABASE_WITHIN.as_secs()),
    };
    tracing::warn!("the database is away ({why}): webhooks of shops known from before are taken meanwhile");
    let store = Arc::new(Store::away());
    let opening = open_later(Arc::clone(backing), Arc::clone(&store), tasks.stopping(Stage::Intake));
    tasks.spawn_in(Stage::Intake, "database", opening);
    Ok(store)
}

async fn open_later(
    backing: Arc<Backing>,
    store: Arc<Store>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    loop {
        match timeout(DATABASE_WITHIN, database(&backing)).await {
            Ok(Ok(opened)) => {
                store.becomes(opened);
                tracing::info!("the database is there");
                stop.cancelled().await;
                return Ok(());
            }
            Ok(Err(ServeError::Store(store::Error::Busy { .. }))) | Err(_) => {}
            Ok(Err(wrong)) => return Err(wrong),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = sleep(DATABASE_AGAIN) => {}
        }
    }
}

/// The key that the secrets of shops are sealed under.
pub(super) fn secret_key(backing: &Backing) -> Result<SecretKey, ServeError> {
    SecretKey::load(&backing.secret_key).map_err(ServeError::Key)
}

/// The number of shards of every flow.
pub(super) fn shards(topology: Topology) -> u32 {
    u32::from(topology.shards(Flow::InventoryOrders))
}

/// A bus over the broker. What holds its connections ends after everything that publishes.
pub(super) async fn broker(
    options: AmqpOptions,
    topology: Topology,
    spool: Option<&Spool>,
    tasks: &Tasks,
) -> Result<Bus, ServeError> {
    let (bus, supervisor) = Bus::amqp(options, topology, spool).await?;
    let what = if spool.is_some() { "broker, with a spool" } else { "broker" };
    tasks.spawn_in(Stage::Relay, what, supervisor.run(tasks.stopping(Stage::Relay)));
    Ok(bus)
}

/// The spool, made at first, with its writer.
pub(super) async fn open_spool(directory: &Path, tasks: &Tasks) -> Result<Spool, ServeError> {
    let failed = |source| ServeError::SpoolDir { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let (spool, writer) = spool::open(spool::Options::at(directory.join(SPOOL))).await?;
    // It ends by itself once the last user of the spool has, so nothing that was accepted is left unwritten.
    tasks.spawn_in(Stage::Relay, "spool writer", writer.run());
    Ok(spool)
}

/// What is known of an earlier life.
pub(super) fn snapshot(directory: &Path, key: SecretKey) -> ingress::Snapshot {
    ingress::Snapshot::load(directory.join(SNAPSHOT), key)
}

pub(super) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
