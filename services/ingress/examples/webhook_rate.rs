//! How many webhooks a second are answered once they are durable, a connection each, beside what remains if all that
//! ingress does is left out: the same server and the same clients, with a plain file to which bodies that wait together
//! are appended with one `fdatasync`.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bus::{Bus, Topology};
use hmac::{Hmac, KeyInit, Mac};
use ledger::{Routing, StatusMap};
use onhand_ingress::{Parts, Settings, WooCommerce};
use process::health::Health;
use process::metrics::Metrics;
use process::serve::{Limits, Server};
use process::{Stage, Tasks};
use secrecy::ExposeSecret;
use sha2::Sha256;
use store::{
    Connector, Cursor, CursorKind, NewShop, Opening, PollSettings, SecretKey, ShopAdded, ShopSecrets,
    ShopSettings, SqliteOptions, Store, WarehouseAdded, WarehouseKind,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use values::Quantity;

const CLIENTS: usize = 128;
/// As large as a WooCommerce order of two lines is.
const BODY_BYTES: usize = 4_000;
/// What is left of it in a message; the raw append writes that much.
const MESSAGE_BYTES: usize = 400;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
/// What the ratio must reach.
const LEAST: f64 = 0.5;
const SECRET: &str = "secret";

type Failure = Box<dyn std::error::Error>;
type Waiting = (Vec<u8>, oneshot::Sender<()>);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir_in(".")?;
    let (mut webhooks, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let of_round = folder.path().join(round.to_string());
        std::fs::create_dir(&of_round)?;
        webhooks.push(ingress(&of_round).await?);
        raw.push(plain(&of_round).await?);
    }
    let (webhooks, raw) = (median(webhooks), median(raw));
    let ratio = webhooks / raw;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{CLIENTS} clients, a connection each request, {BODY_BYTES} B bodies, median of {ROUNDS} rounds"
    )?;
    writeln!(out, "webhooks into the spool      {webhooks:>9.0}/s")?;
    writeln!(out, "raw append behind the same   {raw:>9.0}/s   ingress is {:.0} %", 100.0 * ratio)?;
    writeln!(
        out,
        r#"{{"figures":[{{"name":"webhooks answered","value":{webhooks:.0},"unit":"/s","limit":{raw:.0},"ratio":{ratio:.3},"least":{LEAST}}}]}}"#
    )?;
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
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

/// A whole request, as WordPress sends it.
fn request(path: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: WooCommerce/10.5.0 Hookshot (WordPress/6.9.1)\r\n\
         Content-Type: application/json\r\nX-WC-Webhook-Signature: {signature}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.as_bytes(), body].concat())
}

/// Every client sends one request after the other until the round is over; answers of 200 a second.
async fn drive(address: SocketAddr, request: Vec<u8>) -> Result<f64, Failure> {
    let request: Arc<[u8]> = request.into();
    let start = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let request = Arc::clone(&request);
        clients.spawn(async move {
            let mut count = 0_u32;
            while start.elapsed() < ROUND {
                let mut stream = TcpStream::connect(address).await?;
                stream.write_all(&request).await?;
                let mut answer = Vec::with_capacity(256);
                stream.read_to_end(&mut answer).await?;
                if !answer.starts_with(b"HTTP/1.1 200") {
                    return Err(std::io::Error::other("not answered 200"));
                }
                count += 1;
            }
            Ok(count)
        });
    }
    let mut count = 0;
    while let Some(counted) = clients.join_next().await {
        count += counted??;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

async fn serve(router: Router, tasks: &Tasks, metrics: &Metrics) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::new(Limits::default(), metrics);
    tasks.spawn_in(Stage::Intake, "http", server.serve(listener, router, tasks.stopping(Stage::Intake)));
    Ok(address)
}

async fn ingress(folder: &Path) -> Result<f64, Failure> {
    let (tasks, metrics) = (Tasks::new(), Metrics::new());
    let database = SqliteOptions::new(folder.join("onhand.db"));
    let store = Arc::new(Store::open_sqlite(&database, SecretKey::from_bytes([7; 32])).await?);
    let token = connected_shop(&store).await?;
    let (spool, writer) = spool::open(spool::Options::at(folder.join("spool.db"))).await?;
    tasks.spawn_in(Stage::Relay, "spool", writer.run());
    let bus = Bus::local(&spool, Topology::uniform(1).ok_or("no shards")?).await?;
    drop(spool);
    let parts = Parts {
        store: Arc::clone(&store),
        hints: bus.clone(),
        bus,
        snapshot: None,
        connect: WooCommerce::default(),
        clock: process::clock::now,
        owner: "bench".to_owned(),
        health: Health::new(),
        settings: Settings::default(),
    };
    let router = onhand_ingress::start(parts, &tasks, &metrics)?;
    let address = serve(router, &tasks, &metrics).await?;
    let rate = drive(address, request(&format!("/webhooks/{token}"), &body())?).await?;
    tasks.drain(Duration::from_secs(30)).await;
    store.close().await;
    Ok(rate)
}

/// A shop whose orders were read already; nobody answers at its address.
async fn connected_shop(store: &Store) -> Result<String, Failure> {
    let now = process::clock::now();
    let WarehouseAdded::Added(warehouse) = store.add_warehouse("main", WarehouseKind::HubOwned, now).await?
    else {
        return Err("the warehouse was not added".into());
    };
    let new = NewShop {
        name: "shop".to_owned(),
        connector: Connector::Woocommerce,
        settings: ShopSettings {
            url: "http://127.0.0.1:9".to_owned(),
            routing: Routing::new([warehouse.id]).ok_or("no routing")?,
            buffer: Quantity::ZERO,
            statuses: StatusMap::default(),
            pending_hold: Duration::from_hours(1),
            poll: PollSettings::default(),
            private_allowed: true,
            sign_in: store::SignIn::Header,
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
        return Err("the shop was not added".into());
    };
    let lease = store.lease_reader(shop.id, "bench", now, Duration::from_secs(1)).await?.ok_or("no lease")?;
    let cursor = Cursor { shop_time: now, hub_time: now, page: 1 };
    store.save_cursor(shop.id, CursorKind::Orders, cursor, lease.fence).await?;
    Ok(webhook_token.expose_secret().to_owned())
}

/// The same server, bodies going to a plain file.
async fn plain(folder: &Path) -> Result<f64, Failure> {
    let (tasks, metrics) = (Tasks::new(), Metrics::new());
    let mut file = File::create(folder.join("raw"))?;
    let (sender, mut receiver) = mpsc::channel::<Waiting>(CLIENTS);
    let writer = std::thread::spawn(move || -> std::io::Result<()> {
        let mut batch = Vec::new();
        while receiver.blocking_recv_many(&mut batch, CLIENTS) > 0 {
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
    let address = serve(Router::new().route("/raw", post(append)), &tasks, &metrics).await?;
    let rate = drive(address, request("/raw", &body())?).await?;
    tasks.drain(Duration::from_secs(30)).await;
    writer.join().map_err(|_| "the raw writer panicked")??;
    Ok(rate)
}
