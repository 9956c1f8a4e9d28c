//! Goods and shops of an onhand that runs, and whether it has come right by them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::Value;
use store::{PollSettings, PostgresOptions, SecretKey, ShopSettings, SqliteOptions, Store};
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{NewProduct, Topic};
use tokio::time::{Instant, MissedTickBehavior, interval};
use values::{HolderId, ProductId, Quantity};

use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::truth::ShopTruth;

/// Shops that sell everything.
pub(crate) const SHOPS: usize = 2;
pub(crate) const SKUS: usize = 30;
pub(crate) const UNITS_START: i64 = 400;
/// The shop in which a product is sold whose SKU nobody knows.
pub(crate) const NAMELESS_SHOP: usize = 0;
/// Goods that not every shop sells, or that do not lie still: what they are, and the shops that sell them.
const EXTRAS: [(&str, &[usize]); 3] = [(MOVED, &[0, 1]), (SOLO, &[1]), (FAR, &[0])];
/// Sold by both shops, and moved between warehouses.
pub(crate) const MOVED: &str = "MOVED";
/// Sold by the second shop; the first sells it without a name.
pub(crate) const SOLO: &str = "SOLO";
/// Sold by the first shop, and by one far away.
pub(crate) const FAR: &str = "FAR";

const POLL: PollSettings = PollSettings { orders: Duration::from_secs(1), trash: Duration::from_secs(3) };
/// Between two looks at whether all has come right; each asks for the whole stock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

const TOPICS: [Topic; 3] = [Topic::OrderCreated, Topic::OrderUpdated, Topic::OrderDeleted];

pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) shops: Vec<FakeShop>,
    pub(crate) products: Vec<Vec<ProductId>>,
    /// Those of [`EXTRAS`], by shop and SKU; the nameless one has none.
    pub(crate) extras: BTreeMap<(usize, &'static str), ProductId>,
    /// Until somebody takes it.
    pub(crate) far: Mutex<Option<Far>>,
    /// Path and secret of each shop's webhooks.
    pub(crate) webhooks: Vec<(String, String)>,
    /// The load is to end.
    pub(crate) stop: AtomicBool,
}

/// A shop that sells one thing only, and that may go away.
pub(crate) struct Far {
    pub(crate) shop: FakeShop,
    pub(crate) product: ProductId,
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

/// Goods and shops of an onhand that runs: read, and proven once. Each shop sends its webhooks to one of the addresses.
pub(crate) async fn connected(bench: Bench, webhooks: &[String]) -> World {
    bench.run(&["warehouse", "add", "main"]).await.good();
    let known = (0..SKUS).map(sku).chain(EXTRAS.map(|(name, _)| name.to_owned()));
    let lines: Vec<String> = known.map(|sku| format!("{sku},{UNITS_START}")).collect();
    let file = bench.file("stock.csv", &format!("sku,quantity\n{}", lines.join("\n")));
    bench.run(&["stock", "import", &file, "-w", "main"]).await.good();
    let mut world = World {
        bench,
        shops: Vec::new(),
        products: Vec::new(),
        extras: BTreeMap::new(),
        far: Mutex::new(None),
        webhooks: Vec::new(),
        stop: AtomicBool::new(false),
    };
    for number in 0..SHOPS {
        let shop = FakeShop::start(hasty_shop()).await.unwrap();
        add_goods(&mut world, number, &shop);
        let (name, to) = (format!("shop-{number}"), &webhooks[number % webhooks.len()]);
        world.webhooks.push(add_shop(&world.bench, &name, &shop, to).await);
        world.shops.push(shop);
    }
    let far = FakeShop::start(hasty_shop()).await.unwrap();
    let product = add_product(&far, Some(FAR));
    add_shop(&world.bench, "far-away", &far, &webhooks[0]).await;
    *world.far.lock().unwrap() = Some(Far { shop: far, product });
    let last = sku(SKUS - 1);
    until("all is proven", PROOF_PATIENCE, async || {
        (shown_by(&world.bench, &last).await >= SHOPS).then_some(())
    })
    .await;
    world
}

/// How many shops are proven to show something of a SKU.
pub(crate) async fn shown_by(bench: &Bench, sku: &str) -> usize {
    let explained = bench.run(&["explain", sku, "--json"]).await.json();
    let shops = explained["shops"].as_array().unwrap();
    if shops.iter().any(|shop| shop["shows"].is_null()) { 0 } else { shops.len() }
}

pub(crate) fn sku(number: usize) -> String {
    format!("SKU-{number}")
}

/// Its writes take a moment, which others may look into.
pub(crate) fn hasty_shop() -> FakeShopOptions {
    FakeShopOptions { step_pause: Duration::from_millis(1), ..FakeShopOptions::default() }
}

/// A product of a fake shop.
pub(crate) fn add_product(shop: &FakeShop, sku: Option<&str>) -> ProductId {
    let new = NewProduct::simple(sku.map(|sku| sku.parse().unwrap()), UNITS_START);
    shop.with_model(|model, now| model.add_product(new, now))
}

fn add_goods(world: &mut World, number: usize, shop: &FakeShop) {
    world.products.push((0..SKUS).map(|number| add_product(shop, Some(&sku(number)))).collect());
    for (name, sold_by) in EXTRAS {
        if sold_by.contains(&number) {
            world.extras.insert((number, name), add_product(shop, Some(name)));
        }
    }
    if number == NAMELESS_SHOP {
        world.extras.insert((number, ""), add_product(shop, None));
    }
}

/// Adds a shop under a name and makes its webhooks, which go to the address. Gives their path and secret.
pub(crate) async fn add_shop(bench: &Bench, name: &str, shop: &FakeShop, webhooks: &str) -> (String, String) {
    add_shop_told_of(bench, name, shop, webhooks, &TOPICS).await
}

/// The same with webhooks of these topics.
pub(crate) async fn add_shop_told_of(
    bench: &Bench,
    name: &str,
    shop: &FakeShop,
    webhooks: &str,
    topics: &[Topic],
) -> (String, String) {
    let url = shop.url();
    let add = [
        &["shop", "add", name, "--url", &url, "--warehouses", "main", "--private-addresses"][..],
        &["--opening", "none", "--consumer-key-file", "-", "--consumer-secret-file", "-", "--json"],
    ];
    let secrets = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let added = bench.run_with(&add.concat(), &secrets).await.json();
    let (url, secret) = (added["webhook_url"].as_str().unwrap(), added["webhook_secret"].as_str().unwrap());
    let (_, token) = url.rsplit_once('/').unwrap();
    let path = format!("/webhooks/{token}");
    shop.with_model(|model, now| {
        for topic in topics {
            model.create_webhook(*topic, &format!("{webhooks}{path}"), secret, now);
        }
    });
    (path, secret.to_owned())
}

pub(crate) async fn open_store(bench: &Bench) -> Store {
    let key = SecretKey::load(&bench.data_dir().join("secret.key")).unwrap();
    if let Some(url) = bench.setting("ONHAND_DATABASE_URL") {
        return Store::open_postgres(&PostgresOptions::new(url.into()), key).await.unwrap();
    }
    Store::open_sqlite(&SqliteOptions::new(bench.data_dir().join("onhand.db")), key).await.unwrap()
}

/// A shop is read every minute; nobody wants to wait for that here. Nothing may run.
pub(crate) async fn poll_often(bench: &Bench) {
    poll_every(bench, POLL).await;
}

pub(crate) async fn poll_every(bench: &Bench, poll: PollSettings) {
    let store = open_store(bench).await;
    for shop in store.shops(None).await.unwrap() {
        let settings = ShopSettings { poll, ..shop.settings };
        store.change_shop(shop.id, &settings).await.unwrap();
    }
    store.close().await;
}

/// Waits until ledger and shops are what the shops' orders and the receipts come to.
pub(crate) async fn comes_right(world: &World, received: &BTreeMap<usize, i64>) {
    let (deadline, mut look) = (Instant::now() + PROOF_PATIENCE, interval(LOOK_EVERY));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let wrong = wrong(world, received).await;
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{wrong:#?}\n{}", world.bench.log());
    }
}

/// What is not yet so, for each of the goods that every shop sells.
pub(crate) async fn wrong(world: &World, received: &BTreeMap<usize, i64>) -> Vec<String> {
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
            let Some(shown) = world.shops[shop].with_model(|model, _| model.stock(holder(shop))) else {
                wrong.push(format!("{} in shop {shop}: keeps no quantity", sku(number)));
                continue;
            };
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
    store.close().await;
}

/// What a whole onhand says at the end: the ledger is sound, and no message was given up.
pub(crate) async fn all_is_sound(bench: &Bench) {
    assert_eq!(bench.run(&["check"]).await.good(), "the ledger is sound\n");
    let parked = bench.run(&["parked", "list", "--json"]).await.json();
    assert_eq!(parked["messages"].as_array().map(Vec::len), Some(0), "{parked}");
}
