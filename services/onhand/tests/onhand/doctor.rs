//! A catalogue in disorder: the doctor tells of it, a table puts it right, stock management is switched on, and what is
//! deleted in the shop is noticed soon.

use serde_json::Value;
use testkit::fake_shop::{FakeShop, FakeShopOptions, Fault, FaultKind, RetryAfter};
use testkit::shop::{Change, NewLine, NewOrder, NewProduct, NewVariation, Status, Topic};
use values::{HolderId, ProductId};

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::world::{all_is_sound, hasty_bench, hasty_shop};

const STOCK: &str = "sku,quantity,name\nTEE-RED,10,\nMUG,20,\nCAP,30,\nBAG,40,\nKEY,50,Key ring\n";
const TOPICS: [Topic; 4] =
    [Topic::OrderCreated, Topic::ProductUpdated, Topic::ProductDeleted, Topic::ProductRestored];

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_put_right_in_one_process() {
    run(Form::Standalone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_is_put_right_over_rabbitmq_and_postgresql() {
    run(Form::Distributed { replicas: 1 }).await;
}

async fn run(form: Form) {
    let servers = if form == Form::Standalone { None } else { Some(Servers::shared().await) };
    let mut bench = hasty_bench();
    let mut deployment = Deployment::start(&mut bench, form, servers).await;
    bench.run(&["warehouse", "add", "main"]).await.good();
    let file = bench.file("stock.csv", STOCK);
    bench.run(&["stock", "import", &file, "-w", "main"]).await.good();
    let shop = FakeShop::start(hasty_shop()).await.unwrap();
    let goods = Goods::in_disorder(&shop);
    add(&bench, &shop, &deployment.webhooks()[0]).await;

    it_tells_what_is_wrong(&bench, &goods).await;
    a_table_is_taken_in_whole_or_not_at_all(&bench, &shop, &goods).await;
    stock_management_is_switched_on(&bench, &shop, &goods).await;
    what_changes_in_the_shop_is_known_soon(&bench, &shop, &goods).await;
    what_has_no_code_is_known_by_its_name(&bench, &shop).await;
    all_is_sound(&bench).await;
    a_shop_that_does_not_answer_is_told_of(&bench, &shop).await;
    what_was_made_for_a_shop_goes_with_it(&bench, &shop).await;
    deployment.stop(&bench).await;
}

async fn a_shop_that_does_not_answer_is_told_of(bench: &Bench, shop: &FakeShop) {
    shop.fault(Fault::many("", 1_000_000, FaultKind::Unavailable(RetryAfter::Unsaid)));
    let ran = bench.run(&["shop", "sync", "north", "--timeout", "1s"]).await;
    assert_eq!(ran.code, Some(75), "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("shop north cannot be read, waiting for it: "), "{}", ran.err);
    assert!(ran.err.contains("503") && ran.err.contains("still tried"), "{}", ran.err);
    shop.clear_faults();
    bench.run(&["shop", "sync", "north"]).await.good();
}

async fn what_was_made_for_a_shop_goes_with_it(bench: &Bench, shop: &FakeShop) {
    let other = shop.with_model(|model, now| {
        model.create_webhook(Topic::OrderCreated, "http://127.0.0.1:9/webhooks/erp", "x", now)
    });
    let removed = bench.run(&["shop", "remove", "north", "--yes"]).await.good();
    assert!(removed.contains(&format!("deleted {} webhooks of onhand", TOPICS.len())), "{removed}");
    let left = shop.with_model(|model, _| model.webhooks().map(|webhook| webhook.id).collect::<Vec<_>>());
    assert_eq!(left, [other], "those of others stay");
}

struct Goods {
    /// Called `tee-red` here.
    tee: ProductId,
    /// Has no SKU.
    nameless: ProductId,
    /// Is not managed.
    cap: ProductId,
    /// Sold by two variations that share its stock.
    bag: ProductId,
    /// Has a SKU that the ledger has no stock of.
    new: ProductId,
}

impl Goods {
    fn in_disorder(shop: &FakeShop) -> Self {
        shop.with_model(|model, now| {
            let sku = |text: &str| Some(text.parse().unwrap());
            let tee = model.add_product(NewProduct::simple(sku("tee-red"), 10), now);
            let nameless = model.add_product(NewProduct::simple(None, 20), now);
            let cap = model.add_product(NewProduct::unmanaged(sku("CAP")), now);
            let bag = model.add_product(NewProduct::variable(sku("BAG"), Some(40)), now);
            for _ in 0..2 {
                model.add_variation(bag, NewVariation::at_parent(None), now);
            }
            let new = model.add_product(NewProduct::simple(sku("NEW"), 5), now);
            Self { tee, nameless, cap, bag, new }
        })
    }
}

/// As a person does it: what is printed says what is wrong.
async fn add(bench: &Bench, shop: &FakeShop, webhooks: &str) {
    let url = shop.url();
    let add = [
        &["shop", "add", "north", "--url", &url, "--warehouses", "main", "--private-addresses"][..],
        &["--opening", "none", "--consumer-key-file", "-", "--consumer-secret-file", "-"],
    ];
    let keys = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let added = bench.run_with(&add.concat(), &keys).await.good();
    for told in [
        "7 products and variations, 4 stocks, 3 of them mapped",
        "1 without SKU",
        "1 without stock management",
        "1 with a SKU that differs from another in case or blanks only",
        "`onhand doctor north` names them",
    ] {
        assert!(added.contains(told), "{told}: {added}");
    }
    let after = |label: &str| {
        let line = added.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap();
        line.trim().to_owned()
    };
    let (address, secret) = (after("Delivery URL"), after("Secret"));
    let (_, token) = address.rsplit_once('/').unwrap();
    shop.with_model(|model, now| {
        for topic in TOPICS {
            model.create_webhook(topic, &format!("{webhooks}/webhooks/{token}"), &secret, now);
        }
    });
}

/// Kinds of what is told of a product or its variations, sorted.
async fn told(bench: &Bench, product: ProductId) -> Vec<String> {
    let report = bench.run(&["doctor", "north", "--json"]).await.json();
    let items = report["items"].as_array().unwrap().iter();
    let of = items.filter(|item| item["product"] == product.get());
    let mut kinds: Vec<String> = of.map(|item| item["kind"].as_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

async fn it_tells_what_is_wrong(bench: &Bench, goods: &Goods) {
    let expected: [(ProductId, &[&str]); 5] = [
        (goods.tee, &["similar_sku"]),
        (goods.nameless, &["missing_sku"]),
        (goods.cap, &["unmanaged"]),
        (goods.bag, &["shared_stock"]),
        (goods.new, &["unknown_sku"]),
    ];
    for (product, kinds) in expected {
        assert_eq!(told(bench, product).await, kinds, "{product}");
    }
    let people = bench.run(&["doctor", "north"]).await.good();
    let nameless = format!("`onhand shop mapping set north {} SKU`", goods.nameless);
    assert!(
        people.contains(&nameless) && people.contains("2 of its variations sell from its stock"),
        "{people}"
    );
    let csv = bench.run(&["doctor", "north", "--csv"]).await.good();
    assert_eq!(csv.lines().count(), 6, "{csv}");
    let of_kind = bench.run(&["doctor", "north", "--kind", "unmanaged", "--json"]).await.json();
    assert_eq!(of_kind["items"].as_array().unwrap().len(), 1, "{of_kind}");
    // `tee-red` is what the ledger calls TEE-RED, not a SKU of its own.
    assert_ne!(bench.run(&["stock", "get", "tee-red"]).await.code, Some(0));
}

async fn parked(bench: &Bench) -> usize {
    let parked = bench.run(&["parked", "list", "--json"]).await.json();
    parked["lines"].as_array().unwrap().len()
}

async fn a_table_is_taken_in_whole_or_not_at_all(bench: &Bench, shop: &FakeShop, goods: &Goods) {
    let order = NewOrder::by_rest(Status::Processing, vec![NewLine::of(goods.nameless, 2)]);
    shop.act(Change::CreateOrder(order)).await.unwrap();
    until("its line is parked", PROOF_PATIENCE, async || (parked(bench).await == 1).then_some(())).await;

    let exported = bench.run(&["shop", "mapping", "export", "north"]).await.good();
    let line = format!("{},,,", goods.nameless);
    assert!(exported.starts_with("product,variation,sku,name,matched\n"), "{exported}");
    assert!(exported.contains(&line), "nothing is known of it: {exported}");
    assert!(exported.contains(&format!("{},,TEE-RED,tee-red,similar_sku", goods.tee)), "{exported}");
    let unchanged = bench.run_with(&["shop", "mapping", "import", "north", "-"], &exported).await.good();
    assert!(unchanged.contains("7 lines imported, 0 of them changed something"), "{unchanged}");

    let wrong =
        bench.file("wrong.csv", &format!("product,sku\n{},MUG\n4711,X\n{},MUG\n", goods.nameless, goods.new));
    for dry_run in [&["--dry-run"][..], &[]] {
        let refused =
            bench.run(&[&["shop", "mapping", "import", "north", &wrong][..], dry_run].concat()).await;
        assert_eq!(refused.code, Some(1), "{}", refused.out);
        assert!(refused.out.contains("4711") && refused.out.contains("is MUG already"), "{}", refused.out);
    }
    assert_eq!(parked(bench).await, 1, "nothing of it was taken in");

    let edited = exported.replace(&line, &format!("{},,MUG,", goods.nameless));
    let edited = bench.file("edited.csv", &edited);
    let would = bench.run(&["shop", "mapping", "import", "north", &edited, "--dry-run"]).await.good();
    assert!(would.contains("7 lines could be imported, 1 of them would change something"), "{would}");
    assert_eq!(parked(bench).await, 1, "a dry run changes nothing");
    bench.run(&["shop", "mapping", "import", "north", &edited]).await.good();
    until("the parked line is applied", PROOF_PATIENCE, async || (parked(bench).await == 0).then_some(()))
        .await;
    let mug = bench.run(&["stock", "get", "MUG", "--json"]).await.json();
    assert!(mug.to_string().contains("\"reserved\":\"2\""), "{mug}");
    assert_eq!(told(bench, goods.nameless).await, ["mapped_by_table"]);

    // One by one, with the code of the shop as what it falls back to.
    let tee = goods.tee.to_string();
    bench.run(&["shop", "mapping", "set", "north", &tee, "TEE-RED"]).await.good();
    assert_eq!(told(bench, goods.tee).await, ["mapped_by_table"]);
    let cleared = bench.run(&["shop", "mapping", "clear", "north", &tee]).await.good();
    assert!(cleared.contains("it is TEE-RED by its code"), "{cleared}");
    assert_eq!(told(bench, goods.tee).await, ["similar_sku"]);
}

fn shows(shop: &FakeShop, product: ProductId) -> Option<i64> {
    shop.with_model(|model, _| model.stock(product.into()))
}

async fn stock_management_is_switched_on(bench: &Bench, shop: &FakeShop, goods: &Goods) {
    let fix = ["doctor", "north", "--fix", "manage-stock"];
    let would = bench.run(&fix).await.good();
    assert!(would.contains("CAP") && would.contains("--yes"), "{would}");
    assert_eq!(shows(shop, goods.cap), None, "it was only said what would be done");
    let done = bench.run(&[&fix[..], &["--yes"]].concat()).await.good();
    assert!(done.contains("is on now for 1 products"), "{done}");
    let at_first = shows(shop, goods.cap).unwrap();
    assert!([0, 30].contains(&at_first), "nothing is sold that is not there: {at_first}");
    until("the shop is told", PROOF_PATIENCE, async || (shows(shop, goods.cap) == Some(30)).then_some(()))
        .await;
    assert_eq!(told(bench, goods.cap).await, [""; 0]);
    let nothing = bench.run(&fix).await.good();
    assert!(nothing.contains("nothing can be fixed"), "{nothing}");
}

/// The catalogue is read in full once a day; these are known at once.
async fn what_changes_in_the_shop_is_known_soon(bench: &Bench, shop: &FakeShop, goods: &Goods) {
    let holder = HolderId::from(goods.new);
    shop.act(Change::TrashProduct(holder)).await.unwrap();
    until("it is known to be in the trash", PROOF_PATIENCE, async || {
        (told(bench, goods.new).await == ["trashed"]).then_some(())
    })
    .await;
    shop.act(Change::UntrashProduct(holder)).await.unwrap();
    until("it is known to be back", PROOF_PATIENCE, async || {
        (told(bench, goods.new).await == ["unknown_sku"]).then_some(())
    })
    .await;
    let edit = testkit::shop::ProductEdit { sku: Some("NEWER".parse().ok()), ..Default::default() };
    shop.act(Change::SaveProduct { holder, edit }).await.unwrap();
    until("its new name is known, and it is what it was", PROOF_PATIENCE, async || {
        (told(bench, goods.new).await == ["renamed", "unknown_sku"]).then_some(())
    })
    .await;
    let listed: Value = bench.run(&["shop", "mapping", "list", "north", "--json"]).await.json();
    let mapping = listed["items"].as_array().unwrap().iter().find(|item| item["code"] == "NEWER").unwrap();
    assert_eq!((&mapping["sku"], &mapping["matched"]), (&"NEW".into(), &"kept".into()));
}

/// Only once that is switched on.
async fn what_has_no_code_is_known_by_its_name(bench: &Bench, shop: &FakeShop) {
    let ring = NewProduct { name: "Key ring".into(), ..NewProduct::simple(None, 50) };
    let ring = shop.with_model(|model, now| model.add_product(ring, now));
    bench.run(&["shop", "sync", "north"]).await.good();
    until("it is known and has no SKU", PROOF_PATIENCE, async || {
        (told(bench, ring).await == ["missing_sku"]).then_some(())
    })
    .await;
    bench.run(&["shop", "set", "north", "--match-names", "yes"]).await.good();
    until("it is what it is called", PROOF_PATIENCE, async || {
        (told(bench, ring).await == ["mapped_by_name"]).then_some(())
    })
    .await;
    let shown = bench.run(&["shop", "show", "north", "--json"]).await.json();
    assert_eq!(shown["match_names"], Value::Bool(true), "{shown}");
}
