//! Fifty deaths at any moment under load: nothing is lost, nothing counted twice, and every shop comes right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};
use store::{PollSettings, PostgresOptions, SecretKey, ShopSettings, SqliteOptions, Store};
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, Status, Topic};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use values::{HolderId, OrderId, ProductId, Quantity};

use crate::harness::{Bench, PATIENCE, PROOF_PATIENCE, signal, until};
use crate::truth::ShopTruth;

const KILLS: usize = 50;
/// Between the start of a process and its death. The short ones die before they listen.
const LIFE_MS: (u64, u64) = (20, 2_000);
const SHOPS: usize = 2;
pub(crate) const SKUS: usize = 30;
const UNITS_START: i64 = 400;
/// Between two acts of the load, in milliseconds.
const ACT_PAUSE_MS: (u64, u64) = (5, 60);
/// How long a receipt is tried; the process is away for moments only.
const RECEIPT_ATTEMPTS_MAX: usize = 400;
const RECEIPT_PAUSE: Duration = Duration::from_millis(100);
const POLL: PollSettings = PollSettings { orders: Duration::from_secs(1), trash: Duration::from_secs(3) };

const TOPICS: [Topic; 3] = [Topic::OrderCreated, Topic::OrderUpdated, Topic::OrderDeleted];

pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) shops: Vec<FakeShop>,
    pub(crate) products: Vec<Vec<ProductId>>,
    pub(crate) stop: AtomicBool,
}

pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(below).unwrap()).unwrap()
    }

    pub(crate) fn millis(&mut self, (low, high): (u64, u64)) -> Duration {
        Duration::from_millis(low + self.0.next_u64() % (high - low + 1))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing() {
    // Any seed will do; a failing one can be put here.
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut dice = Dice::seeded(seed);
    let (world, port) = connected_world().await;
    let world = Arc::new(world);

    let dice_of = |number| Dice::seeded(seed + number);
    let (mut orders, mut receipts) = (JoinSet::new(), JoinSet::new());
    orders.spawn(buy(Arc::clone(&world), dice_of(1)));
    receipts.spawn(receive(Arc::clone(&world), port, dice_of(2)));
    let listen = format!("127.0.0.1:{port}");
    for _ in 0..KILLS {
        let mut child = world.bench.spawn_up(&listen);
        sleep(dice.millis(LIFE_MS)).await;
        signal(&child, "-KILL").await;
        let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
        assert_eq!(status.code(), None, "it was killed, it did not end itself: {}", world.bench.log());
    }
    let up = world.bench.up(&listen).await;
    world.stop.store(true, Ordering::Relaxed);
    let (orders, refunds_beyond) = orders.join_next().await.unwrap().unwrap();
    let received = receipts.join_next().await.unwrap().unwrap();
    assert!(orders > 100, "there was a load: {orders} orders");
    assert!(refunds_beyond > 0, "some refunds put back more than there was");

    comes_right(&world, &received).await;
    let checked = world.bench.run(&["check"]).await;
    assert_eq!(checked.good(), "the ledger is sound\n");
    assert_eq!(up.terminate().await, Some(0), "{}", world.bench.log());
    nothing_lost_or_doubled(&world).await;
}

/// Two shops that were read and proven once. Gives the port that every life listens on.
pub(crate) async fn connected_world() -> (World, u16) {
    let mut bench = hasty_bench();
    let up = bench.up("127.0.0.1:0").await;
    let port = up.address().rsplit(':').next().unwrap().parse().unwrap();
    bench.set("ONHAND_URL", &up.url);
    bench.set("ONHAND_PUBLIC_URL", &up.url);
    let world = connected(bench).await;
    assert_eq!(up.terminate().await, Some(0), "{}", world.bench.log());
    poll_often(&world.bench).await;
    (world, port)
}

/// Everything that can be set to be quick is.
pub(crate) fn hasty_bench() -> Bench {
    let mut bench = Bench::new();
    for (name, value) in [
        ("ONHAND_SHOP_CALLS_PER_MINUTE_MAX", "12000"),
        ("ONHAND_SHOP_READS_PERCENT", "50"),
        ("ONHAND_EGRESS_SETTLE_DELAY_SECONDS", "2"),
        ("ONHAND_EGRESS_SETTLE_REPEAT_MAX_SECONDS", "20"),
        ("ONHAND_EGRESS_SETTLE_PATIENCE_SECONDS", "60"),
        ("ONHAND_PROCESS_LOG_LEVEL", "warn"),
    ] {
        bench.set(name, value);
    }
    bench
}

/// Goods and shops of an onhand that runs: read, and proven once.
pub(crate) async fn connected(bench: Bench) -> World {
    bench.run(&["warehouse", "add", "main"]).await.good();
    let lines: Vec<String> = (0..SKUS).map(|number| format!("{},{UNITS_START}", sku(number))).collect();
    let file = bench.file("stock.csv", &format!("sku,quantity\n{}", lines.join("\n")));
    bench.run(&["stock", "import", &file]).await.good();
    let mut world = World { bench, shops: Vec::new(), products: Vec::new(), stop: AtomicBool::new(false) };
    for number in 0..SHOPS {
        connect(&mut world, number).await;
    }
    until("all is proven", PROOF_PATIENCE, async || {
        let explained = world.bench.run(&["explain", &sku(SKUS - 1), "--json"]).await.json();
        let shops = explained["shops"].as_array().unwrap();
        (shops.len() == SHOPS && shops.iter().all(|shop| !shop["shows"].is_null())).then_some(())
    })
    .await;
    world
}

pub(crate) fn sku(number: usize) -> String {
    format!("SKU-{number}")
}

async fn connect(world: &mut World, number: usize) {
    let options = FakeShopOptions { step_pause: Duration::from_millis(1), ..FakeShopOptions::default() };
    let shop = FakeShop::start(options).await.unwrap();
    let products = shop.with_model(|model, now| {
        let product = |number| NewProduct::simple(Some(sku(number).parse().unwrap()), UNITS_START);
        (0..SKUS).map(|number| model.add_product(product(number), now)).collect()
    });
    let (name, url) = (format!("shop-{number}"), shop.url());
    let add = [
        &["shop", "add", &name, "--url", &url, "--warehouses", "main", "--private-addresses"][..],
        &["--opening", "none", "--consumer-key-file", "-", "--consumer-secret-file", "-", "--json"],
    ];
    let secrets = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let added = world.bench.run_with(&add.concat(), &secrets).await.json();
    shop.with_model(|model, now| {
        for topic in TOPICS {
            let (url, secret) =
                (added["webhook_url"].as_str().unwrap(), added["webhook_secret"].as_str().unwrap());
            model.create_webhook(topic, url, secret, now);
        }
    });
    world.shops.push(shop);
    world.products.push(products);
}

async fn open_store(bench: &Bench) -> Store {
    let key = SecretKey::load(&bench.data_dir().join("secret.key")).unwrap();
    if let Some(url) = bench.setting("ONHAND_DATABASE_URL") {
        return Store::open_postgres(&PostgresOptions::new(url.into()), key).await.unwrap();
    }
    Store::open_sqlite(&SqliteOptions::new(bench.data_dir().join("onhand.db")), key).await.unwrap()
}

/// A shop is read every minute; nobody wants to wait for that here.
pub(crate) async fn poll_often(bench: &Bench) {
    let store = open_store(bench).await;
    for shop in store.shops(None).await.unwrap() {
        let settings = ShopSettings { poll: POLL, ..shop.settings };
        store.change_shop(shop.id, &settings).await.unwrap();
    }
    store.close().await;
}

/// Orders and what follows them, until told to stop; how many were made, and how many refunds put back more than a line
/// had left.
pub(crate) async fn buy(world: Arc<World>, mut dice: Dice) -> (usize, usize) {
    let mut made: Vec<(usize, OrderId)> = Vec::new();
    let mut refunds_beyond = 0;
    while !world.stop.load(Ordering::Relaxed) {
        sleep(dice.millis(ACT_PAUSE_MS)).await;
        let shop = dice.below(SHOPS);
        let line = |dice: &mut Dice| {
            NewLine::of(world.products[shop][dice.below(SKUS)], i64::try_from(1 + dice.below(3)).unwrap())
        };
        if dice.below(3) > 0 || made.is_empty() {
            let status =
                [Status::Processing, Status::Processing, Status::OnHold, Status::Pending][dice.below(4)];
            let order = NewOrder::by_checkout(status, vec![line(&mut dice), line(&mut dice)]);
            if let Ok(outcome) = world.shops[shop].act(Change::CreateOrder(order)).await {
                made.push((shop, outcome.order.unwrap()));
            }
            continue;
        }
        let (shop, order) = made[dice.below(made.len())];
        let view = world.shops[shop].with_model(|model, _| model.order(order)).unwrap();
        let (first, quantity) = (view.lines[0].id, view.lines[0].quantity);
        let refundable = view.refunds.is_empty();
        // As often as not more than the line has, for no money: the shop does not ask.
        let (units, amount) = if dice.below(2) == 0 { (1, None) } else { (quantity + 1, Some(0)) };
        let change = match (view.status, dice.below(5)) {
            (Status::Pending, 0) | (Status::Processing, 1) => {
                Change::SetStatus { order, status: Status::Cancelled }
            }
            (Status::Pending | Status::OnHold, _) => Change::SetStatus { order, status: Status::Processing },
            (Status::Processing, 0) => Change::SetStatus { order, status: Status::Completed },
            (Status::Processing, 2) => Change::EditLine { order, line: first, quantity: 4 },
            (Status::Processing, 3) => Change::Trash(order),
            (Status::Processing, _) if refundable => {
                Change::Refund { order, lines: vec![(first, units)], amount, restock: true }
            }
            _ => continue,
        };
        let is_beyond = amount.is_some() && matches!(change, Change::Refund { .. });
        // A shop may refuse; then nothing happened.
        if world.shops[shop].act(change).await.is_ok() && is_beyond {
            refunds_beyond += 1;
        }
    }
    (made.len(), refunds_beyond)
}

/// Goods that come in, each sent under its key until it is answered; what came in.
pub(crate) async fn receive(world: Arc<World>, port: u16, mut dice: Dice) -> BTreeMap<usize, i64> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let (url, token) = (format!("http://127.0.0.1:{port}/api/v1/operations"), world.bench.admin_token());
    let mut received = BTreeMap::new();
    for receipt in 0.. {
        if world.stop.load(Ordering::Relaxed) {
            break;
        }
        sleep(dice.millis((50, 400))).await;
        let (number, units) = (dice.below(SKUS), i64::try_from(1 + dice.below(9)).unwrap());
        *received.entry(number).or_default() += units;
        let operation = json!({ "kind": "receive", "sku": sku(number), "warehouse": "main", "quantity": units.to_string() });
        let body = json!({ "operations": [operation] });
        let mut attempts = 0;
        loop {
            let request =
                client.post(&url).bearer_auth(&token).header("Idempotency-Key", format!("receipt-{receipt}"));
            if request.json(&body).send().await.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            attempts += 1;
            assert!(attempts < RECEIPT_ATTEMPTS_MAX, "a receipt is answered at last: {}", world.bench.log());
            sleep(RECEIPT_PAUSE).await;
        }
    }
    received
}

/// Waits until ledger and shops are what the shops' orders and the receipts come to.
pub(crate) async fn comes_right(world: &World, received: &BTreeMap<usize, i64>) {
    let deadline = Instant::now() + PROOF_PATIENCE;
    loop {
        let wrong = wrong(world, received).await;
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{wrong:#?}\n{}", world.bench.log());
        sleep(Duration::from_secs(1)).await;
    }
}

async fn wrong(world: &World, received: &BTreeMap<usize, i64>) -> Vec<String> {
    let truths: Vec<ShopTruth> =
        world.shops.iter().map(|shop| shop.with_model(|model, _| ShopTruth::of(model))).collect();
    let stock = world.bench.run(&["stock", "get", "--json"]).await.json();
    let known: BTreeMap<&str, i64> = stock["items"].as_array().unwrap().iter().map(available).collect();
    let mut wrong = Vec::new();
    for number in 0..SKUS {
        let came = UNITS_START + received.get(&number).copied().unwrap_or(0);
        let holder = |shop: usize| HolderId::from(world.products[shop][number]);
        let held = |shop: usize| truths[shop].held.get(&holder(shop)).copied().unwrap_or(0);
        let available = came - (0..SHOPS).map(held).sum::<i64>();
        let ledger = known.get(sku(number).as_str()).copied();
        if ledger != Some(available) {
            wrong.push(format!("{}: the ledger has {ledger:?}, true is {available}", sku(number)));
        }
        for (shop, truth) in truths.iter().enumerate() {
            let untaken = truth.untaken.get(&holder(shop)).copied().unwrap_or(0);
            let goal = available.max(0) + untaken;
            let shown = world.shops[shop].with_model(|model, _| model.stock(holder(shop))).unwrap();
            if shown != goal && !(available < 0 && shown < goal) {
                wrong.push(format!("{} in shop {shop}: shows {shown}, should show {goal}", sku(number)));
            }
        }
    }
    wrong
}

fn available(item: &Value) -> (&str, i64) {
    let rows = item["warehouses"].as_array().unwrap().iter();
    let sum: Quantity = rows.map(|row| row["available"].as_str().unwrap().parse::<Quantity>().unwrap()).sum();
    (item["sku"].as_str().unwrap(), sum.whole_units().unwrap())
}

/// Every order of the shops, line by line, in the database that is left.
pub(crate) async fn nothing_lost_or_doubled(world: &World) {
    let store = open_store(&world.bench).await;
    for (number, shop) in world.shops.iter().enumerate() {
        let shops = store.shops(None).await.unwrap();
        let id = shops.iter().find(|known| known.name == format!("shop-{number}")).unwrap().id;
        for (order, lines) in shop.with_model(|model, _| ShopTruth::of(model)).orders {
            let row = store.order(id, order).await.unwrap();
            let row = row.unwrap_or_else(|| panic!("order {order} of shop {number} was lost"));
            for line in &row.order.lines {
                let held = line.held().whole_units();
                let wanted = lines.get(&line.id).copied().unwrap_or(0);
                assert_eq!(held, Some(wanted), "line {} of order {order} of shop {number}", line.id);
            }
            assert!(
                lines.keys().all(|id| row.order.lines.iter().any(|line| line.id == *id)),
                "order {order}"
            );
        }
    }
    assert_eq!(store.check().await.unwrap(), Vec::new());
}
