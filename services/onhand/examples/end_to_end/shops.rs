//! Two fake shops that sell the same goods: one tells of orders, at the other is looked for what comes of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::json;
use sha2::Sha256;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::NewProduct;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use values::{HolderId, ProductId};

use crate::installation::Installation;

/// Each is sold again once what came of it before is long done.
pub(crate) const SKUS: usize = 300;
const UNITS_START: i64 = 100_000;
/// The shops have no orders below this number.
const ORDERS_FROM: usize = 1_000_000;
const CLIENTS: usize = 32;
/// Orders that wait for a client.
const WAITING_MAX: usize = 1_000;
/// How often to look what the other shop shows.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// How long the last orders may take to arrive.
const ARRIVE_WITHIN: Duration = Duration::from_secs(30);
/// How long the shops may take to be read and proven.
const PROVEN_WITHIN: Duration = Duration::from_mins(4);

/// Where orders are told of, and by what they are believed.
#[derive(Debug, Clone)]
struct Door {
    url: String,
    secret: String,
}

/// Both shops, and what was sold.
#[derive(Debug)]
pub(crate) struct Shops {
    pub(crate) other: FakeShop,
    _seller: FakeShop,
    door: Door,
    sold_by: Vec<ProductId>,
    shown_by: Vec<ProductId>,
    orders: usize,
}

/// An order whose effect is looked for.
#[derive(Debug)]
struct Awaited {
    due: Instant,
    holder: HolderId,
    shows: i64,
}

impl Shops {
    /// Goods in a warehouse, and both shops connected, read and proven.
    pub(crate) async fn connect(installation: &Installation) -> anyhow::Result<Self> {
        installation.run(&["warehouse", "add", "main"], "")?;
        let lines: Vec<String> = (0..SKUS).map(|number| format!("{},{UNITS_START}", sku(number))).collect();
        let file = installation.folder().join("stock.csv");
        std::fs::write(&file, format!("sku,quantity\n{}\n", lines.join("\n")))?;
        installation.run(&["stock", "import", file.to_str().context("the path is text")?], "")?;
        let (seller, sold_by) = shop().await?;
        let (other, shown_by) = shop().await?;
        let door = add(installation, "seller", &seller)?;
        add(installation, "other", &other)?;
        let began = Instant::now();
        while !is_proven(installation)? {
            ensure!(began.elapsed() < PROVEN_WITHIN, "the shops are not proven within {PROVEN_WITHIN:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(Self { other, _seller: seller, door, sold_by, shown_by, orders: 0 })
    }

    /// So many orders a second, each told when it is due; from then until the other shop shows it, in order of length.
    pub(crate) async fn sell(&mut self, rate: u32, lasts: Duration) -> anyhow::Result<Vec<Duration>> {
        let count = usize::try_from(rate)? * usize::try_from(lasts.as_secs())?;
        let first = self.orders;
        self.orders += count;
        let awaited = Arc::new(Mutex::new(VecDeque::new()));
        let (turn, turns) = mpsc::channel(WAITING_MAX);
        let telling = self.tell(turns);
        let clock = self.clock(first, count, rate, turn, Arc::clone(&awaited));
        let (told, took) = tokio::join!(telling, self.watch(count, &awaited));
        told?;
        clock.join().map_err(|_| anyhow::anyhow!("the clock panicked"))??;
        let mut took = took?;
        took.sort_unstable();
        Ok(took)
    }

    /// A thread of its own: timers of the runtime are coarse.
    fn clock(
        &self,
        first: usize,
        count: usize,
        rate: u32,
        turn: mpsc::Sender<usize>,
        awaited: Arc<Mutex<VecDeque<Awaited>>>,
    ) -> std::thread::JoinHandle<anyhow::Result<()>> {
        let shown_by = self.shown_by.clone();
        std::thread::spawn(move || {
            let (start, pause) = (Instant::now(), Duration::from_secs(1) / rate);
            for number in 0..count {
                let due = start + pause * u32::try_from(number)?;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let order = first + number;
                let product = *shown_by.get(order % SKUS).context("there is one for each SKU")?;
                let sold = i64::try_from(order / SKUS + 1)?;
                let expected = Awaited { due, holder: HolderId::from(product), shows: UNITS_START - sold };
                awaited.lock().unwrap_or_else(PoisonError::into_inner).push_back(expected);
                turn.try_send(order).context("orders are not told of in time at all")?;
            }
            Ok(())
        })
    }

    /// Sends a webhook for each order whose turn it is.
    async fn tell(&self, turns: mpsc::Receiver<usize>) -> anyhow::Result<()> {
        let turns = Arc::new(tokio::sync::Mutex::new(turns));
        let client = reqwest::Client::builder().no_proxy().timeout(ARRIVE_WITHIN).build()?;
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (turns, client, door) = (Arc::clone(&turns), client.clone(), self.door.clone());
            let sold_by = self.sold_by.clone();
            clients.spawn(async move {
                loop {
                    let Some(order) = turns.lock().await.recv().await else { return anyhow::Ok(()) };
                    let product = *sold_by.get(order % SKUS).context("there is one for each SKU")?;
                    door.tell(&client, ORDERS_FROM + order, product).await?;
                }
            });
        }
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Looks again and again until the other shop shows every order.
    async fn watch(&self, count: usize, awaited: &Mutex<VecDeque<Awaited>>) -> anyhow::Result<Vec<Duration>> {
        let (mut took, mut last) = (Vec::with_capacity(count), Instant::now());
        while took.len() < count {
            let before = took.len();
            self.other.with_model(|model, _| {
                awaited.lock().unwrap_or_else(PoisonError::into_inner).retain(|order| {
                    let is_shown = model.stock(order.holder).is_some_and(|stock| stock <= order.shows);
                    if is_shown {
                        took.push(order.due.elapsed());
                    }
                    !is_shown
                });
            });
            if took.len() > before {
                last = Instant::now();
            }
            ensure!(last.elapsed() < ARRIVE_WITHIN, "{} of {count} orders arrived", took.len());
            // Not with the timer of the runtime, which is coarser.
            tokio::task::spawn_blocking(|| std::thread::sleep(LOOK_EVERY)).await?;
        }
        Ok(took)
    }

    /// The other shop shows exactly what is left, and so says the ledger.
    pub(crate) fn check(&self, installation: &Installation) -> anyhow::Result<()> {
        for (number, product) in self.shown_by.iter().enumerate() {
            let sold = (self.orders + SKUS - 1 - number) / SKUS;
            let left = UNITS_START - i64::try_from(sold)?;
            let shown = self.other.with_model(|model, _| model.stock(HolderId::from(*product)));
            ensure!(shown == Some(left), "{} drifted: {shown:?} is shown, {left} are left", sku(number));
        }
        let sound = installation.run(&["check"], "")?;
        ensure!(sound.contains("sound"), "{sound}");
        Ok(())
    }
}

fn sku(number: usize) -> String {
    format!("SKU-{number:04}")
}

async fn shop() -> anyhow::Result<(FakeShop, Vec<ProductId>)> {
    let shop = FakeShop::start(FakeShopOptions::default()).await?;
    let skus = (0..SKUS).map(|number| sku(number).parse()).collect::<Result<Vec<_>, _>>()?;
    let products = shop.with_model(|model, now| {
        let add = |sku| model.add_product(NewProduct::simple(Some(sku), UNITS_START), now);
        skus.into_iter().map(add).collect()
    });
    Ok((shop, products))
}

fn add(installation: &Installation, name: &str, shop: &FakeShop) -> anyhow::Result<Door> {
    let url = shop.url();
    let arguments = [
        &["shop", "add", name, "--url", &url, "--warehouses", "main", "--private-addresses", "--opening"][..],
        &["none", "--consumer-key-file", "-", "--consumer-secret-file", "-", "--json"],
    ];
    let secrets = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let added = installation.ask(&arguments.concat(), &secrets)?;
    let text = |key: &str| added[key].as_str().map(str::to_owned).with_context(|| format!("no {key}"));
    Ok(Door { url: text("webhook_url")?, secret: text("webhook_secret")? })
}

/// Of every SKU it is known what both shops show.
fn is_proven(installation: &Installation) -> anyhow::Result<bool> {
    for number in [0, SKUS / 2, SKUS - 1] {
        let explained = installation.ask(&["explain", &sku(number), "--json"], "")?;
        let shops = explained["shops"].as_array().context("a SKU is listed with its shops")?;
        if shops.len() < 2 || shops.iter().any(|shop| shop["shows"].is_null()) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Door {
    /// Tells of an order of one piece that the shop has taken from its own stock.
    async fn tell(&self, client: &reqwest::Client, order: usize, product: ProductId) -> anyhow::Result<()> {
        let meta = json!({ "id": 1, "key": "_reduced_stock", "value": "1" });
        let line = json!({
            "id": order, "name": "A thing", "product_id": product.get(), "variation_id": 0, "quantity": 1,
            "sku": "", "meta_data": [meta],
        });
        let date = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let body = json!({
            "id": order, "status": "processing", "date_modified_gmt": date, "line_items": [line],
            "customer_note": "x".repeat(3_500),
        });
        let body = serde_json::to_vec(&body)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())?;
        mac.update(&body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = client.post(&self.url).header("X-WC-Webhook-Signature", signature).body(body);
        let status = request.send().await?.status();
        ensure!(status.as_u16() == 200, "a webhook was answered {status}");
        Ok(())
    }
}
