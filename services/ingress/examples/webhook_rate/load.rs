//! The generator: signed webhooks over HTTP, as fast as they are answered or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::SECRET;
use crate::pace::Caller;

/// Clients that send one request after the other.
const CLIENTS: usize = 128;
/// Connections that a fixed rate is spread over: so many that none waits for its answer when its turn comes.
pub(crate) const CONNECTIONS: usize = 256;
/// As large as a WooCommerce order of two lines is.
const BODY_BYTES: usize = 4_000;
/// An answer has no body, and few headers.
const ANSWER_BYTES_MAX: usize = 1_024;

/// How clients use their connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One for all requests of a client.
    Kept,
    /// A new one for each request, as WordPress does.
    Each,
}

/// A whole request, as WordPress sends it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn to(path: &str) -> anyhow::Result<Self> {
        let body = body();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
        mac.update(&body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n\
             User-Agent: WooCommerce/10.5.0 Hookshot (WordPress/6.9.1)\r\nContent-Type: application/json\r\n\
             X-WC-Webhook-Signature: {signature}\r\nContent-Length: {}\r\n",
            body.len()
        );
        Ok(Self { head, body })
    }

    fn bytes(&self, mode: Mode) -> Arc<[u8]> {
        let end: &[u8] = match mode {
            Mode::Kept => b"\r\n",
            Mode::Each => b"Connection: close\r\n\r\n",
        };
        [self.head.as_bytes(), end, &self.body].concat().into()
    }
}

fn body() -> Vec<u8> {
    let line = |id: u32| {
        format!(
            r#"{{"id":{id},"name":"A thing","product_id":{id},"variation_id":0,"quantity":2,"sku":"SKU-{id}","meta_data":[{{"id":1,"key":"_reduced_stock","value":"2"}}]}}"#
        )
    };
    let start = format!(
        r#"{{"id":4711,"status":"processing","date_modified_gmt":"2026-11-22T03:48:13","line_items":[{},{}],"customer_note":""#,
        line(1),
        line(2)
    );
    let end = "\"}";
    let note = "x".repeat(BODY_BYTES.saturating_sub(start.len() + end.len()));
    [start.as_str(), &note, end].concat().into_bytes()
}

/// Every client sends one request after the other until the time is over; answers a second, each of them 200.
pub(crate) async fn as_fast_as_answered(
    address: SocketAddr,
    request: &Request,
    mode: Mode,
    lasts: Duration,
) -> anyhow::Result<f64> {
    let request = request.bytes(mode);
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let request = Arc::clone(&request);
        clients.spawn(async move {
            let mut kept = Client::connect(address).await?;
            let mut count = 0_u32;
            while start.elapsed() < lasts {
                if mode == Mode::Each && count > 0 {
                    kept = Client::connect(address).await?;
                }
                ensure!(kept.ask(&request).await? == 200, "not answered 200");
                count += 1;
            }
            anyhow::Ok(count)
        });
    }
    let mut count = 0;
    while let Some(counted) = clients.join_next().await {
        count += counted??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// Connections that are kept, each for one request after the other. They are made here, before the first request is due,
/// and one after the other: what a server's backlog drops comes a second later.
pub(crate) async fn connected(address: SocketAddr, request: &Request) -> anyhow::Result<Vec<Kept>> {
    let request = request.bytes(Mode::Kept);
    let mut kept = Vec::new();
    for _ in 0..CONNECTIONS {
        kept.push(Kept { client: Client::connect(address).await?, request: Arc::clone(&request) });
    }
    Ok(kept)
}

/// A client that keeps its connection, and what it asks.
#[derive(Debug)]
pub(crate) struct Kept {
    client: Client,
    request: Arc<[u8]>,
}

impl Caller for Kept {
    async fn call(&mut self) -> anyhow::Result<bool> {
        Ok(self.client.ask(&self.request).await? == 200)
    }
}

#[derive(Debug)]
struct Client {
    stream: TcpStream,
    answer: [u8; ANSWER_BYTES_MAX],
}

impl Client {
    async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: [0; ANSWER_BYTES_MAX] })
    }

    /// The status of the answer.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        loop {
            let rest = self.answer.get_mut(filled..).context("the answer is too long")?;
            let more = self.stream.read(rest).await?;
            ensure!(more > 0, "the connection ended before the answer");
            filled += more;
            let answer = self.answer.get(..filled).unwrap_or_default();
            if answer.ends_with(b"\r\n\r\n") {
                let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
                return Ok(status.context("the answer has no status")?.parse()?);
            }
        }
    }
}
