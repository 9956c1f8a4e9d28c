//! From nothing to a connected shop, as the README tells it.

use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, Status, Topic};
use tokio::time::timeout;
use values::{HolderId, ProductId};

use crate::harness::{Bench, PATIENCE, PROOF_PATIENCE, until};

const TOPICS: [Topic; 2] = [Topic::OrderCreated, Topic::OrderUpdated];

pub(crate) async fn shop_with(goods: &[(Option<&str>, i64)]) -> (FakeShop, Vec<ProductId>) {
    let shop = FakeShop::start(FakeShopOptions::default()).await.unwrap();
    let products = shop.with_model(|model, now| {
        let product = |(sku, stock): &(Option<&str>, i64)| {
            let sku = sku.map(|sku| sku.parse().unwrap());
            model.add_product(NewProduct::simple(sku, *stock), now)
        };
        goods.iter().map(product).collect()
    });
    (shop, products)
}

#[tokio::test]
async fn a_shop_is_connected_and_its_orders_are_known() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.set("ONHAND_PUBLIC_URL", &up.url);
    let (shop, products) = shop_with(&[(Some("tee"), 12), (None, 3)]).await;

    bench.run(&["warehouse", "add", "main"]).await.good();
    let key = bench.file("key", FakeShopOptions::KEY);
    let shop_url = shop.url();
    let add = [
        &["shop", "add", "berlin", "--url", &shop_url, "--warehouses", "main"][..],
        &["--consumer-key-file", &key, "--consumer-secret-file", "-", "--private-addresses", "--json"],
    ];
    let added = bench.run_with(&add.concat(), FakeShopOptions::SECRET).await;
    assert!(!added.err.contains(FakeShopOptions::SECRET), "{}", added.err);
    println!("{}", added.out);
    let added = added.json();
    let (url, secret) = (added["webhook_url"].as_str().unwrap(), added["webhook_secret"].as_str().unwrap());
    assert!(url.starts_with(&up.url), "{url}");
    assert!(added["report"].to_string().to_lowercase().contains("sku"), "one product has none: {added}");
    shop.with_model(|model, now| {
        for topic in TOPICS {
            model.create_webhook(topic, url, secret, now);
        }
    });

    println!("{}", bench.run(&["shop", "test", "berlin"]).await.good());
    let listed = bench.run(&["shop", "list"]).await.good();
    assert!(listed.contains("berlin") && listed.contains("active"), "{listed}");
    let all = bench.run(&["shop", "show", "berlin"]).await.good();
    assert!(all.contains("no SKU"), "what cannot be mapped is shown: {all}");

    // What the shop shows is taken over once it is proven; before that nothing is pushed.
    let opened = timeout(
        PROOF_PATIENCE,
        until("the stock is taken over", 2 * PROOF_PATIENCE, async || {
            let stock = bench.run(&["stock", "get", "tee"]).await.out;
            stock.contains("12").then_some(())
        }),
    );
    let opened = opened.await;
    assert!(opened.is_ok(), "{}\n{}", bench.run(&["explain", "tee"]).await.out, bench.log());
    let shown = bench.run(&["shop", "show", "berlin", "--json"]).await.json();
    what_reading_costs_is_shown(&shown);
    assert_eq!((&shown["openings"]["opened"], &shown["openings"]["left_alone"]), (&1.into(), &0.into()));
    let received = bench.run(&["stock", "receive", "tee", "5"]).await.good();
    assert!(received.contains("tee") && received.contains("17"), "{received}");
    let shown = || shop.with_model(|model, _| model.stock(HolderId::from(products[0])));
    until("the shop is told", PROOF_PATIENCE, async || (shown() == Some(17)).then_some(())).await;

    let bought = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(products[0], 3)]);
    let order = shop.act(Change::CreateOrder(bought)).await.unwrap().order.unwrap().to_string();
    let stock = until("the order is applied", PATIENCE, async || {
        let stock = bench.run(&["stock", "get", "tee", "--json"]).await.json();
        (stock["items"][0]["warehouses"][0]["reserved"] == "3").then_some(stock)
    });
    assert_eq!(stock.await["items"][0]["warehouses"][0]["available"], "14");
    let told = bench.run(&["order", "show", "berlin", &order]).await.good();
    assert!(told.contains("processing") && told.contains("3 main"), "{told}");
    let movements = bench.run(&["movements", "tee"]).await.good();
    assert!(["opening", "receipt", "reserve"].iter().all(|kind| movements.contains(kind)), "{movements}");
    assert_eq!(shown(), Some(14), "the shop took its own");

    let explained = until("it is settled", PROOF_PATIENCE, async || {
        let explained = bench.run(&["explain", "tee", "--shop", "berlin"]).await.good();
        explained.contains("  settled").then_some(explained)
    });
    let explained = explained.await;
    println!("{listed}{all}{told}{movements}{explained}");
    for line in ["in main", "receipt", "= balance", "held by one open order line", "at berlin", "told"] {
        assert!(explained.contains(line), "{line} in {explained}");
    }
    assert_eq!(bench.run(&["check"]).await.good(), "the ledger is sound\n");
    bench.run(&["shop", "remove", "berlin", "--yes"]).await.good();
    assert_eq!(up.terminate().await, Some(0), "{}", bench.log());
    assert!(!bench.log().contains(FakeShopOptions::SECRET) && !bench.log().contains(secret));
}

#[tokio::test]
async fn a_shop_that_cannot_be_called_is_told_in_plain_words() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let (shop, _) = shop_with(&[(Some("tee"), 1)]).await;
    let shop_url = shop.url();
    let add = [
        &["shop", "add", "berlin", "--url", &shop_url, "--warehouses", "main", "--private-addresses"][..],
        &["--consumer-key-file", "-", "--consumer-secret-file", "-", "--no-wait"],
    ];
    let secrets = format!("{}\ncs_wrong\n", FakeShopOptions::KEY);
    let added = bench.run_with(&add.concat(), &secrets).await.good();
    assert!(added.contains("/webhooks/") && added.contains("Secret"), "{added}");
    let tested = bench.run(&["shop", "test", "berlin"]).await;
    assert_eq!(tested.code, Some(1), "{} {}", tested.out, tested.err);
    let told = format!("{}{}", tested.out, tested.err);
    println!("{added}{told}");
    assert!(told.contains("secret"), "{told}");
    let tested = bench.run(&["shop", "test", "berlin", "--json"]).await;
    assert_eq!(tested.code, Some(1), "{}", tested.err);
    let findings: serde_json::Value = serde_json::from_str(&tested.out).unwrap();
    assert_eq!(findings["report"]["findings"][0]["severity"], "fatal", "{findings}");

    // Another, added with the wrong secret and waited for: what is shown only once is shown.
    let (elsewhere, _) = shop_with(&[(Some("tee"), 1)]).await;
    let other_url = elsewhere.url();
    let other = [
        &["shop", "add", "paris", "--url", &other_url, "--warehouses", "main", "--private-addresses"][..],
        &["--consumer-key-file", "-", "--consumer-secret-file", "-", "--json"],
    ];
    let failed = bench.run_with(&other.concat(), &secrets).await;
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    assert!(failed.err.contains("onhand shop set paris"), "{}", failed.err);
    let shown: serde_json::Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!(shown["webhook_secret"].as_str().map(str::len), Some(64), "{shown}");
    bench.run(&["shop", "remove", "paris", "--yes"]).await.good();

    let nothing = bench.run(&["shop", "set", "berlin"]).await;
    assert_eq!(nothing.code, Some(2), "{}", nothing.err);
    let key = ["shop", "set", "berlin", "--consumer-secret-file", "-", "--buffer", "2", "--sign-in", "query"];
    let set = bench.run_with(&key, FakeShopOptions::SECRET).await.good();
    assert!(set.contains("sign in              query") && set.contains("berlin changed"), "{set}");
    assert!(!set.contains(FakeShopOptions::SECRET) && set.contains("onhand shop sync berlin"), "{set}");
    bench.run(&["shop", "test", "berlin"]).await.good();
    bench.run(&["shop", "sync", "berlin"]).await.good();
    let again = bench.run(&["shop", "republish", "berlin"]).await.good();
    assert!(again.contains("berlin: levels on their way again: "), "{again}");
    let shown = bench.run(&["shop", "show", "berlin", "--json"]).await.json();
    assert_eq!((&shown["state"], &shown["buffer"]), (&"active".into(), &"2".into()));
}

#[tokio::test]
async fn stock_is_moved_imported_and_exported() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    for name in ["main", "annex"] {
        bench.run(&["warehouse", "add", name]).await.good();
    }
    let which = bench.run(&["stock", "receive", "tee", "1"]).await;
    assert_eq!(which.code, Some(2), "{}", which.err);
    assert!(which.err.contains("main, annex"), "{}", which.err);

    let lines: Vec<String> = (1..=2_000).map(|n| format!("SKU-{n};{n},5\r\n")).collect();
    let table = format!("\u{feff}sku;quantity\r\n{}", lines.concat());
    let file = bench.file("stock.csv", &table);
    let dry = bench.run_with(&["stock", "import", "-", "-w", "main", "--dry-run"], &table).await.good();
    assert!(dry.contains("2000 lines could be imported"), "{dry}");
    assert_eq!(bench.run(&["stock", "get"]).await.good(), "nothing in stock\n");
    bench.run(&["stock", "import", &file, "-w", "main"]).await.good();

    bench.run(&["stock", "transfer", "SKU-9", "2", "--from", "main", "--to", "annex"]).await.good();
    bench.run(&["stock", "adjust", "SKU-9", "-1", "-w", "main", "--reason", "torn"]).await.good();
    bench.run(&["stock", "count", "SKU-9", "4", "-w", "annex"]).await.good();
    let stock = bench.run(&["stock", "get", "SKU-9", "--json"]).await.json();
    let of = |name: &str| {
        let rows = stock["items"][0]["warehouses"].as_array().unwrap();
        rows.iter().find(|row| row["warehouse"] == name).unwrap()["on_hand"].as_str().unwrap().to_owned()
    };
    assert_eq!((of("main"), of("annex")), ("6.5".to_owned(), "4".to_owned()));

    let bad = bench.file("bad.csv", "sku,quantity\ntee,1\nmug,many\n");
    let refused = bench.run(&["stock", "import", &bad, "-w", "main"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.out.contains("many"), "the line is named: {}", refused.out);
    assert_eq!(bench.run(&["stock", "get", "tee"]).await.code, Some(1), "nothing of it was imported");

    let out = bench.path("out.csv");
    bench.run(&["stock", "export", "-o", out.to_str().unwrap()]).await.good();
    let exported = std::fs::read_to_string(out).unwrap();
    assert_eq!(exported.lines().count(), 2_002, "a head, a line for each, one SKU in two warehouses");
    let piped = bench.run(&["stock", "export"]).await.good();
    assert_eq!(piped, exported);
}

#[tokio::test]
async fn tokens_allow_what_they_say_until_they_are_revoked() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let created = bench.run(&["token", "create", "till", "--scope", "read", "--json"]).await.json();
    bench.set("ONHAND_TOKEN", created["token"].as_str().unwrap());
    bench.run(&["stock", "get"]).await.good();
    let refused = bench.run(&["stock", "receive", "tee", "1"]).await;
    assert_eq!(refused.code, Some(77), "{}", refused.err);
    bench.set("ONHAND_TOKEN", &bench.admin_token());
    bench.run(&["token", "revoke", &created["id"].to_string()]).await.good();
    bench.set("ONHAND_TOKEN", created["token"].as_str().unwrap());
    assert_eq!(bench.run(&["stock", "get"]).await.code, Some(77));
    bench.set("ONHAND_TOKEN", &bench.admin_token());
    let listed = bench.run(&["token", "list", "--json"]).await.json();
    let admin = listed["items"].as_array().unwrap().iter().find(|token| token["scope"] == "admin").unwrap();
    let revoke = ["token", "revoke", &admin["id"].to_string()];
    let refused = bench.run(&revoke).await;
    assert!(refused.code == Some(1) && refused.err.contains("--force"), "{}", refused.err);
    bench.run(&[&revoke[..], &["--force"]].concat()).await.good();
    assert_eq!(bench.run(&["stock", "get"]).await.code, Some(77), "nobody administers any more");
}

fn what_reading_costs_is_shown(shop: &serde_json::Value) {
    let calls = shop["reading_calls"].as_array().unwrap();
    for what in ["orders", "stocks", "catalogue"] {
        let counted = calls.iter().any(|calls| {
            calls["what"] == what && calls["this_hour"].as_u64().max(calls["hour_before"].as_u64()) > Some(0)
        });
        assert!(counted, "{what}: {shop}");
    }
}
