//! The limits: a plain server behind which the same bytes are appended to a file, or published with the client library
//! alone.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use process::Tasks;
use process::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::pace::Caller;
use crate::served::serve;

/// Where a raw server listens for.
pub(crate) const PATH: &str = "/raw";
/// What is left of a webhook in a message; the raw append writes that much.
const MESSAGE_BYTES: usize = 400;
/// Bodies that wait to be appended together.
const TOGETHER_MAX: usize = 1_024;
/// How long single messages are published after a purge.
const REST: Duration = Duration::from_millis(700);
/// Tasks that publish without a server before them.
const CALLERS: usize = 256;

type Waiting = (Vec<u8>, oneshot::Sender<()>);

/// A broker's queue, through nothing but the client library.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    /// Ends with its last handle.
    _connection: Arc<Connection>,
    channel: Channel,
    queue: String,
    properties: BasicProperties,
    body: Vec<u8>,
}

impl Raw {
    /// Takes its bytes from the message that lies in the queue.
    pub(crate) async fn like_the_one_in(url: &str, queue: &str) -> anyhow::Result<Self> {
        let (connection, channel) = channel(url).await?;
        let taking = connection.create_channel().await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let mut taken = taking.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        let message = taken.next().await.context("nothing was published")??;
        // The queue has one consumer, which must not take what is published next.
        taking.close(lapin::protocol::constants::REPLY_SUCCESS, "done".into()).await?;
        let (properties, body) = (message.properties, message.data);
        Ok(Self { _connection: connection, channel, queue: queue.to_owned(), properties, body })
    }

    /// The same over a new connection.
    pub(crate) async fn again(&self, url: &str) -> anyhow::Result<Self> {
        let (connection, channel) = channel(url).await?;
        Ok(Self { _connection: connection, channel, ..self.clone() })
    }

    /// Empties the queue, and leaves the broker some time, so that what it does about that is not measured.
    pub(crate) async fn purge(&self) -> anyhow::Result<()> {
        self.channel.queue_purge(self.queue.as_str().into(), QueuePurgeOptions::default()).await?;
        self.one_by_one(REST).await?;
        Ok(())
    }

    async fn publish(&self) -> anyhow::Result<()> {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let (queue, properties) = (self.queue.as_str().into(), self.properties.clone());
        let sent = self.channel.basic_publish("".into(), queue, options, &self.body, properties).await?;
        ensure!(sent.await?.is_ack(), "not confirmed");
        Ok(())
    }

    /// A server that does nothing but read a body and publish.
    pub(crate) async fn serve(&self) -> anyhow::Result<(SocketAddr, JoinSet<std::io::Result<()>>)> {
        let raw = self.clone();
        let publish = async move |_body: Bytes| match raw.publish().await {
            Ok(()) => StatusCode::OK,
            Err(_not_confirmed) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route(PATH, post(publish));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await });
        Ok((address, server))
    }

    /// One message at a time; how long each confirm took, in order of length.
    pub(crate) async fn one_by_one(&self, lasts: Duration) -> anyhow::Result<Vec<Duration>> {
        let start = Instant::now();
        let mut took = Vec::new();
        while start.elapsed() < lasts {
            let began = Instant::now();
            self.publish().await?;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        Ok(took)
    }

    /// So many callers at a time, for a fixed rate.
    pub(crate) fn callers(&self, count: usize) -> Vec<Self> {
        vec![self.clone(); count]
    }

    /// Many tasks, so many messages; messages a second.
    pub(crate) async fn many(&self, messages: usize) -> anyhow::Result<f64> {
        let start = Instant::now();
        let mut callers = JoinSet::new();
        let each = messages.div_ceil(CALLERS);
        for _ in 0..CALLERS {
            let raw = self.clone();
            callers.spawn(async move {
                for _ in 0..each {
                    raw.publish().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = callers.join_next().await {
            done??;
        }
        Ok(f64::from(u32::try_from(each * CALLERS)?) / start.elapsed().as_secs_f64())
    }
}

impl Caller for Raw {
    async fn call(&mut self) -> anyhow::Result<bool> {
        self.publish().await?;
        Ok(true)
    }
}

async fn channel(url: &str) -> anyhow::Result<(Arc<Connection>, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((Arc::new(connection), channel))
}

/// Bodies that wait together are appended to a file with one `fdatasync`.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) address: SocketAddr,
    tasks: Tasks,
    writer: JoinHandle<std::io::Result<()>>,
}

impl Append {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut file = File::create(folder.join("raw"))?;
        let (sender, mut receiver) = mpsc::channel::<Waiting>(TOGETHER_MAX);
        let writer = std::thread::spawn(move || -> std::io::Result<()> {
            let mut batch = Vec::new();
            while receiver.blocking_recv_many(&mut batch, TOGETHER_MAX) > 0 {
                let bytes: Vec<u8> =
                    batch.iter().map(|(record, _)| record.as_slice()).collect::<Vec<_>>().concat();
                file.write_all(&bytes)?;
                file.sync_data()?;
                for (_, done) in batch.drain(..) {
                    done.send(()).ok();
                }
            }
            Ok(())
        });
        let append = move |body: Bytes| {
            let sender = sender.clone();
            async move {
                let (done, wait) = oneshot::channel();
                let record = body.get(..MESSAGE_BYTES).unwrap_or(&body).to_vec();
                if sender.send((record, done)).await.is_ok() && wait.await.is_ok() {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            }
        };
        let tasks = Tasks::new();
        let address = serve(Router::new().route(PATH, post(append)), &tasks, &Metrics::new()).await?;
        Ok(Self { address, tasks, writer })
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.tasks.drain(Duration::from_secs(30)).await;
        self.writer.join().map_err(|_| anyhow::anyhow!("the raw writer panicked"))??;
        Ok(())
    }
}
