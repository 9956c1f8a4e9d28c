//! Connections to the broker: opened, watched and opened again, for as long as the process runs.
//!
//! The library could reconnect by itself; it is told not to. What was not confirmed then fails at once, where it is known
//! what to do about it, and nobody waits for a promise of a connection that is gone.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use futures_util::StreamExt as _;
use lapin::{Connection, ConnectionProperties, DefaultConnectionBuilder, Event};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::declare::declare;
use super::error::BrokerError;
use super::options::{AmqpOptions, CONNECT_TIMEOUT_MS};
use super::trouble::{Trouble, Use, chain};
use crate::topology::Topology;

/// How long opening a connection and declaring the topology may take together.
const OPEN_WITHIN: Duration = Duration::from_millis(2 * CONNECT_TIMEOUT_MS);
/// How long an orderly goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// Waits between attempts to connect; each varies, so that not all come back to a broker at once.
const RECONNECT_MIN: Duration = Duration::from_millis(200);
const RECONNECT_MAX: Duration = Duration::from_secs(5);
/// How often to look whether a connection is there still, should nobody tell.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A connection that held this long was a good one: the next attempt comes soon after its end.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Why a connection is gone that did not say so.
pub(super) const ENDED: &str = "the connection has ended";

/// Whether the broker takes messages now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// It does.
    Up,
    /// It does not, and says why.
    Blocked(String),
    /// There is no connection, for this reason.
    Away(String),
}

impl Link {
    /// Why not; `None` if it does.
    pub(super) fn why_not(&self) -> Option<String> {
        match self {
            Self::Up => None,
            Self::Blocked(why) => Some(format!("it takes no messages now: {why}")),
            Self::Away(why) => Some(why.clone()),
        }
    }
}

/// Waits that grow until [`Waits::worked`].
#[derive(Debug)]
pub(super) struct Waits {
    builder: ExponentialBuilder,
    next: ExponentialBackoff,
    since: Option<Instant>,
}

impl Waits {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        let builder = ExponentialBuilder::default()
            .with_min_delay(min)
            .with_max_delay(max)
            .without_max_times()
            .with_jitter();
        Self { builder, next: builder.build(), since: None }
    }

    pub(super) fn between_connections() -> Self {
        Self::new(RECONNECT_MIN, RECONNECT_MAX)
    }

    /// What was tried has begun to work.
    pub(super) fn began(&mut self) {
        self.since = Some(Instant::now());
    }

    /// It works: the next wait is a short one.
    pub(super) fn worked(&mut self) {
        self.next = self.builder.build();
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        if self.since.take().is_some_and(|since| since.elapsed() > GOOD_AFTER) {
            self.worked();
        }
        self.next.next().unwrap_or(RECONNECT_MAX)
    }
}

/// Connects, and sees to it that everything is there that we use.
pub(super) async fn open(
    options: &AmqpOptions,
    topology: Topology,
    role: &str,
) -> Result<Connection, BrokerError> {
    let name = format!("{} {role}", options.name);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let opened = timeout(OPEN_WITHIN, async {
        let connection = DefaultConnectionBuilder::new()?
            .with_uri(options.uri.clone())
            .with_properties(properties)
            .with_tls_config(options.tls.clone())
            .connect()
            .await?;
        declare(&connection, topology).await.map_err(|BrokerError(error)| error)?;
        Ok(connection)
    });
    let late = |_elapsed| Err(io::Error::from(io::ErrorKind::TimedOut).into());
    opened.await.unwrap_or_else(late).map_err(BrokerError)
}

/// Says goodbye, but not at any price.
pub(super) async fn close(connection: &Connection) {
    let goodbye = connection.close(lapin::protocol::constants::REPLY_SUCCESS, "done".into());
    // A connection that cannot be closed is closed by the broker when our heartbeats end.
    timeout(CLOSE_WITHIN, goodbye).await.ok();
}

/// The connection that messages are taken over, for whoever wants a channel of it.
#[derive(Debug)]
pub(super) struct Consuming {
    pub(super) connection: watch::Sender<Option<Arc<Connection>>>,
}

impl Consuming {
    /// Keeps a connection open until `stop`.
    pub(super) async fn run(
        self,
        options: &AmqpOptions,
        topology: Topology,
        trouble: &Trouble,
        stop: &CancellationToken,
    ) {
        let mut waits = Waits::between_connections();
        while !stop.is_cancelled() {
            // The first was there from the beginning.
            let first = self.connection.borrow().clone();
            let opened = if let Some(connection) = first {
                Ok(connection)
            } else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    opened = open(options, topology, "consume") => opened.map(Arc::new),
                }
            };
            match opened {
                Ok(connection) => {
                    waits.began();
                    self.connection.send_replace(Some(Arc::clone(&connection)));
                    tokio::select! {
                        () = stop.cancelled() => close(&connection).await,
                        why = lost(&connection) => trouble.is(Use::Consuming, &why),
                        never = trouble.over_if_it_holds(Use::Consuming) => match never {},
                    }
                    self.connection.send_replace(None);
                }
                Err(error) => trouble.is(Use::Consuming, &chain(&error)),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(waits.next()) => {}
            }
        }
    }
}

impl Drop for Consuming {
    /// Handles outlive this; the connection must not.
    fn drop(&mut self) {
        self.connection.send_replace(None);
    }
}

/// Ends with the connection, and says why it did. Errors of single channels are told in the same way, so the connection
/// itself is looked at.
async fn lost(connection: &Connection) -> String {
    let mut events = pin!(connection.events_listener());
    let mut why = ENDED.to_owned();
    while connection.status().connected() {
        match timeout(LOOK_EVERY, events.next()).await {
            Ok(Some(Event::Error(error))) => why = chain(&error),
            Ok(None) => break,
            // Nothing said for a while, or something else: look again either way.
            Ok(Some(_)) | Err(_) => {}
        }
    }
    why
}
