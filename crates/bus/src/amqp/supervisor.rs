//! The task behind the handle: it keeps the connections, publishes what is submitted, and empties the spool.

use std::sync::Arc;

use lapin::Connection;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::confirms::{Ended, Submission, serve};
use super::error::BrokerError;
use super::link::{self, Consuming, Link, Waits};
use super::options::AmqpOptions;
use super::trouble::{Trouble, Use, chain};
use crate::bus::BusError;
use crate::topology::Topology;

/// Why nothing is sent before the first connection.
const NOT_YET: &str = "there is no connection yet";
/// And after the last.
const STOPPED: &str = "the process stops";

/// Keeps the transport going. The caller spawns [`Supervisor::run`]; without it nothing is published or delivered.
#[derive(Debug)]
pub struct Supervisor {
    shared: Arc<Shared>,
    ends: Ends,
}

/// The supervisor's ends of the channels that lead to it.
#[derive(Debug)]
pub(super) struct Ends {
    submissions: mpsc::Receiver<Submission>,
    link: watch::Sender<Link>,
    publishing: Option<Connection>,
    consuming: Consuming,
}

impl Ends {
    /// Tries to connect once. That the broker is away is no error, for it may come; that it refuses is one.
    pub(super) async fn open(
        options: &AmqpOptions,
        topology: Topology,
        trouble: &Trouble,
        submissions: mpsc::Receiver<Submission>,
    ) -> Result<(Self, watch::Receiver<Link>, watch::Receiver<Option<Arc<Connection>>>), BusError> {
        let publishing = first(link::open(options, topology, "publish").await, trouble, Use::Publishing)?;
        let consuming = match &publishing {
            Some(_) => first(link::open(options, topology, "consume").await, trouble, Use::Consuming)?,
            None => None,
        };
        let up = publishing.is_some();
        let link = watch::Sender::new(if up { Link::Up } else { Link::Away(NOT_YET.to_owned()) });
        let connection = watch::Sender::new(consuming.map(Arc::new));
        let (told, connected) = (link.subscribe(), connection.subscribe());
        let consuming = Consuming { connection };
        Ok((Self { submissions, link, publishing, consuming }, told, connected))
    }
}

fn first(
    opened: Result<Connection, BrokerError>,
    trouble: &Trouble,
    ailing: Use,
) -> Result<Option<Connection>, BusError> {
    match opened {
        Ok(connection) => Ok(Some(connection)),
        Err(error) if error.is_mismatch() => Err(BusError::Mismatch(error)),
        Err(error) if error.is_refusal() => Err(BusError::Broker(error)),
        Err(away) => {
            trouble.is(ailing, &chain(&away));
            Ok(None)
        }
    }
}

impl Supervisor {
    pub(super) const fn new(shared: Arc<Shared>, ends: Ends) -> Self {
        Self { shared, ends }
    }

    /// Until `stop`. What is in flight then is waited for, and what waits in the spool is brought to the broker, if it takes it,
    /// for a while; stop those that publish first.
    pub async fn run(self, stop: CancellationToken) {
        let Self { shared, ends } = self;
        let Ends { submissions, link, publishing, consuming } = ends;
        let (options, topology, trouble) = (&shared.options, shared.topology, &shared.trouble);
        let publisher = Publishing { options, topology, trouble, submissions, link };
        // The connections are needed as long as the spool is emptied.
        let closing = CancellationToken::new();
        let drained = async {
            match &shared.fallback {
                Some(fallback) => fallback.drain(&shared, &stop).await,
                None => stop.cancelled().await,
            }
            closing.cancel();
        };
        let publishes = publisher.run(publishing, &closing);
        tokio::join!(publishes, consuming.run(options, topology, trouble, &closing), drained);
    }
}

/// The connection that messages are published over.
struct Publishing<'a> {
    options: &'a AmqpOptions,
    topology: Topology,
    trouble: &'a Trouble,
    submissions: mpsc::Receiver<Submission>,
    link: watch::Sender<Link>,
}

impl Publishing<'_> {
    async fn run(mut self, mut first: Option<Connection>, stop: &CancellationToken) {
        let mut waits = Waits::between_connections();
        while !stop.is_cancelled() {
            let opened = if let Some(connection) = first.take() {
                Ok(connection)
            } else {
                let opening = link::open(self.options, self.topology, "publish");
                let Some(opened) = self.declining(opening, stop).await else { break };
                opened
            };
            let why = match opened {
                Ok(connection) => {
                    waits.began();
                    let (submissions, link) = (&mut self.submissions, &self.link);
                    let ended = tokio::select! {
                        biased;
                        ended = serve(&connection, self.topology, submissions, link, stop) => ended,
                        never = self.trouble.over_if_it_holds(Use::Publishing) => match never {},
                    };
                    match ended {
                        Ended::Stopped => {
                            self.link.send_replace(Link::Away(STOPPED.to_owned()));
                            link::close(&connection).await;
                            break;
                        }
                        Ended::Lost(why) => why,
                    }
                }
                Err(error) => chain(&error),
            };
            self.trouble.is(Use::Publishing, &why);
            self.link.send_replace(Link::Away(why));
            if self.declining(sleep(waits.next()), stop).await.is_none() {
                break;
            }
        }
        self.link.send_replace(Link::Away(STOPPED.to_owned()));
    }

    /// Waits for something while there is no connection, and says so to everybody who publishes; `None` at a stop.
    async fn declining<T>(&mut self, wait: impl Future<Output = T>, stop: &CancellationToken) -> Option<T> {
        let mut wait = std::pin::pin!(wait);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                Some(submission) = self.submissions.recv() => {
                    let why = self.link.borrow().why_not().unwrap_or_default();
                    submission.decline(&why);
                }
                done = &mut wait => return Some(done),
            }
        }
    }
}
