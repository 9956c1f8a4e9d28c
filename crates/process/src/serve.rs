//! An HTTP/1 server loop that holds under hostile clients and stops without cutting anyone off.
//!
//! Bounds: connections at a time, time to send a request's head, bytes of a head, life of a connection. When all
//! slots are taken, the connection that has kept a slot longest without sending a request makes room; so slow
//! senders of heads hurt only themselves. Bodies are the router's business: it must bound their size and their time
//! (`tower_http::limit`, `tower_http::timeout`).

mod connection;
mod slots;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Counter, Description, Gauge, Metric, Metrics};
use connection::Connection;
use slots::Slots;

/// A wait after an error of `accept` that is about this process, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const CONNECTIONS_OPEN: Metric<Gauge> =
    Metric::gauge("onhand_http_connections_open", "HTTP connections open now.", &[]);
const CONNECTIONS: Metric<Counter> =
    Metric::counter("onhand_http_connections_total", "HTTP connections accepted.", &[]);
const EVICTIONS: Metric<Counter> = Metric::counter(
    "onhand_http_evictions_total",
    "HTTP connections closed before they sent a request, to make room for others.",
    &[],
);

/// The metrics of this module.
pub const METRICS: &[Description] =
    &[CONNECTIONS_OPEN.description(), CONNECTIONS.description(), EVICTIONS.description()];

/// The bounds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at a time; one more is accepted and waits for a slot, the rest wait in the kernel.
    pub connections_max: usize,
    /// From the start of waiting for a request to the end of its head; also how long a kept connection may idle.
    pub header_read_timeout: Duration,
    /// A request's head.
    pub header_bytes_max: usize,
    /// After this a connection serves no further request; a client that has not taken its answer
    /// [`Limits::CLOSE_GRACE`] later is cut off.
    pub connection_life_max: Duration,
}

impl Limits {
    /// How long a connection at the end of its life may finish what it does.
    pub const CLOSE_GRACE: Duration = Duration::from_mins(1);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            header_read_timeout: Duration::from_secs(10),
            header_bytes_max: 64 * 1_024,
            connection_life_max: Duration::from_mins(10),
        }
    }
}

/// A server's bounds and metrics; serves any number of listeners, each with its own slots.
#[derive(Debug, Clone)]
pub struct Server {
    limits: Limits,
    leaving: CancellationToken,
    open: Gauge,
    accepted: Counter,
    evicted: Counter,
}

impl Server {
    pub fn new(limits: Limits, metrics: &Metrics) -> Self {
        Self {
            limits,
            leaving: CancellationToken::new(),
            open: metrics.gauge(&CONNECTIONS_OPEN),
            accepted: metrics.counter(&CONNECTIONS),
            evicted: metrics.counter(&EVICTIONS),
        }
    }

    /// Once `leaving` is cancelled, and until it is stopped, each answer asks its client to close: whoever keeps connections
    /// goes elsewhere with the next request.
    #[must_use]
    pub fn leaving(self, leaving: CancellationToken) -> Self {
        Self { leaving, ..self }
    }

    /// Serves until `stop` is cancelled, then accepts no more, finishes the requests under way and ends. Handlers
    /// find the client's address as `axum::extract::ConnectInfo<SocketAddr>`. Dropping the future cuts all
    /// connections.
    pub async fn serve(self, listener: TcpListener, router: Router, stop: CancellationToken) {
        let slots = Arc::new(Slots::new(self.limits.connections_max));
        let mut connections = JoinSet::new();
        while let Some(stream) = until(&stop, accept(&listener)).await {
            while let Some(ended) = connections.try_join_next() {
                report(ended);
            }
            self.accepted.increment(&[]);
            let Some(slot) = until(&stop, slots.take(|| self.evicted.increment(&[]))).await else {
                break;
            };
            let (leaving, stop) = (self.leaving.clone(), stop.clone());
            let connection = Connection { limits: self.limits, slot, leaving, stop };
            let (router, open) = (router.clone(), self.open.clone());
            connections.spawn(async move {
                let _counted = Counted::new(open);
                connection.serve(stream, router).await;
            });
        }
        // New clients are refused from here on and go elsewhere, while those inside are finished.
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    }
}

/// Counts an open connection for as long as it lives, also when it is cut off.
struct Counted(Gauge);

impl Counted {
    fn new(open: Gauge) -> Self {
        open.add(&[], 1);
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(&[], -1);
    }
}

async fn until<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        value = future => Some(value),
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections, trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client went away while it was being accepted.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "serving a connection panicked; the others go on");
    }
}

#[cfg(test)]
mod tests;
