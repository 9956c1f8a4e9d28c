//! Connecting a shop without entering anything in it: its webhooks are made, and its keys are granted by itself.

use serde_json::{Value, json};
use testkit::fake_shop::{FakeShop, FakeShopOptions, Fault, FaultKind, RetryAfter};
use testkit::servers::free_ports;
use testkit::shop::WebhookStatus;

use crate::harness::{Bench, PATIENCE, PROOF_PATIENCE, until};
use crate::walk::shop_with;

/// Addresses of the active webhooks.
fn delivered_to(shop: &FakeShop) -> Vec<String> {
    shop.with_model(|model, _| {
        let active = model.webhooks().filter(|webhook| webhook.status == WebhookStatus::Active);
        active.map(|webhook| webhook.delivery_url.to_string()).collect()
    })
}

#[tokio::test]
async fn webhooks_are_made_and_mended_by_onhand() {
    let mut bench = Bench::new();
    let listen = format!("127.0.0.1:{}", free_ports(1)[0]);
    bench.set("ONHAND_PUBLIC_URL", &format!("http://{listen}"));
    bench.set("ONHAND_INGRESS_WEBHOOK_PERIOD_SECONDS", "10");
    let up = bench.up(&listen).await;
    bench.set("ONHAND_URL", &up.url);
    let (shop, _) = shop_with(&[(Some("tee"), 12)]).await;
    bench.run(&["warehouse", "add", "main"]).await.good();
    let url = shop.url();
    let add = [
        &["shop", "add", "berlin", "--url", &url, "--warehouses", "main", "--private-addresses"][..],
        &["--consumer-key-file", "-", "--consumer-secret-file", "-"],
    ];
    let keys = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let added = bench.run_with(&add.concat(), &keys).await.good();
    println!("{added}");
    assert!(added.contains("its webhooks are made by onhand") && !added.contains("Delivery URL"), "{added}");
    assert!(
        added.contains("8 webhooks are in place") && added.contains("1 of them mapped by SKU"),
        "{added}"
    );
    let made = delivered_to(&shop);
    assert!(made.len() == 8 && made.iter().all(|to| to.starts_with(&up.url)), "{made:?}");
    let shown = bench.run(&["shop", "show", "berlin", "--json"]).await.json();
    assert_eq!(shown["conditions"], json!([]), "{shown}");

    shop.with_model(|model, now| {
        let first = model.webhooks().next().unwrap().id;
        model.edit_webhook(first, now, |webhook| webhook.status = WebhookStatus::Disabled);
    });
    until("it is made anew", PROOF_PATIENCE, async || (delivered_to(&shop).len() == 8).then_some(())).await;
    let told = bench.run(&["shop", "show", "berlin"]).await.good();
    println!("{told}");
    assert!(told.contains("webhooks_mended") && told.contains("(disabled)"), "{told}");

    shop.fault(Fault::many("", 1_000_000, FaultKind::Unavailable(RetryAfter::Unsaid)));
    let removed = bench.run(&["shop", "remove", "berlin", "--yes", "--json"]).await.json();
    assert_eq!(removed["webhooks_deleted"], 0, "{removed}");
    let why = removed["webhooks_left"].as_str().unwrap();
    assert!(why.contains("not done within 10 s") && why.contains("503"), "it does not answer: {why}");
    assert_eq!(delivered_to(&shop).len(), 8);
    shop.clear_faults();
    // Another life of the shop: the removal that was not done takes nothing from it.
    bench.run_with(&add.concat(), &keys).await.good();
    until("its new webhooks are in place", PROOF_PATIENCE, async || {
        let made = delivered_to(&shop).into_iter().filter(|to| !made.contains(to)).count();
        (made == 8).then_some(())
    })
    .await;
    let removed = bench.run(&["shop", "remove", "berlin", "--yes"]).await.good();
    assert!(removed.contains("deleted 8 webhooks of onhand"), "{removed}");
}

#[tokio::test]
async fn what_would_become_of_each_sku_is_told_before_a_shop_is_added() {
    let mut bench = Bench::new();
    let listen = format!("127.0.0.1:{}", free_ports(1)[0]);
    let up = bench.up(&listen).await;
    bench.set("ONHAND_URL", &up.url);
    let (shop, products) =
        shop_with(&[(Some("tee"), 12), (Some("mug"), 3), (Some("bag"), 5), (None, 9)]).await;
    bench.run(&["warehouse", "add", "main"]).await.good();
    bench.run(&["stock", "receive", "tee", "7"]).await.good();
    bench.run(&["stock", "receive", "bag", "5"]).await.good();
    let url = shop.url();
    let keys = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let add = async |flags: &[&str]| {
        let fixed = [
            &["shop", "add", "berlin", "--url", &url, "--warehouses", "main", "--private-addresses"][..],
            &["--consumer-key-file", "-", "--consumer-secret-file", "-"],
            flags,
        ];
        bench.run_with(&fixed.concat(), &keys).await
    };
    let become_of = |answer: &Value| -> Vec<(String, String, String)> {
        let items = answer["items"].as_array().unwrap();
        let item = |item: &Value| {
            let field = |name: &str| item[name].as_str().unwrap().to_owned();
            (field("sku"), field("becomes"), field("level"))
        };
        items.iter().map(item).collect()
    };
    let row = |sku: &str, becomes: &str, level: &str| (sku.to_owned(), becomes.to_owned(), level.to_owned());

    let taken = add(&["--take-from-shop", "--dry-run", "--json"]).await.json();
    let expected = [row("bag", "unchanged", "5"), row("mug", "opened", "3"), row("tee", "told", "7")];
    assert_eq!(become_of(&taken), expected, "{taken}");
    assert_eq!(taken["without_sku"], 1, "{taken}");
    let given = add(&["--give-to-shop", "--buffer", "2", "--dry-run", "--json"]).await.json();
    let expected = [row("bag", "told", "3"), row("mug", "told", "0"), row("tee", "told", "5")];
    assert_eq!(become_of(&given), expected, "{given}");
    let people = add(&["--give-to-shop", "--dry-run"]).await.good();
    assert!(people.contains("the shop is told 7") && people.contains("Nothing was changed"), "{people}");

    let shops = bench.run(&["shop", "list", "--json"]).await.json();
    assert_eq!(shops["items"], json!([]), "nothing is registered: {shops}");
    assert!(delivered_to(&shop).is_empty(), "nor anything made in the shop");
    let shown =
        || shop.with_model(|model, _| [0, 1, 2].map(|place| model.stock(products[place].into()).unwrap()));
    assert_eq!(shown(), [12, 3, 5]);

    add(&["--give-to-shop"]).await.good();
    let is_told = async || (shown() == [7, 0, 5]).then_some(());
    until("the shop shows what the ledger has", PROOF_PATIENCE, is_told).await;
}

#[tokio::test]
async fn a_shop_is_connected_by_the_keys_it_grants() {
    let mut bench = Bench::new();
    let (shop, _) = shop_with(&[(Some("tee"), 12)]).await;
    let url = shop.url();
    let add = ["shop", "add", "berlin", "--url", &url, "--warehouses", "main", "--private-addresses"];
    // A proxy does the encryption; here it is left out.
    bench.set("ONHAND_PUBLIC_URL", "https://hub.example");
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let asked = bench.run(&[&add[..], &["--no-wait", "--json"]].concat()).await.json();
    let page = asked["authorize_url"].as_str().unwrap();
    assert!(page.starts_with(&format!("{url}/wc-auth/v1/authorize?")), "{page}");
    let state = page.split('&').find_map(|part| part.strip_prefix("user_id=")).unwrap();
    let keys = json!({
        "key_id": 7,
        "user_id": state,
        "consumer_key": FakeShopOptions::KEY,
        "consumer_secret": FakeShopOptions::SECRET,
        "key_permissions": "read_write",
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let posted =
        client.post(format!("{}/api/v1/grants/keys", up.url)).body(keys.to_string()).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 200, "else WooCommerce deletes the key again");
    let in_service = async || {
        let shown: Value = bench.run(&["shop", "show", "berlin", "--json"]).await.json();
        (shown["state"] == "active").then_some(())
    };
    until("the shop is in service", PATIENCE.max(PROOF_PATIENCE), in_service).await;
    assert!(!bench.log().contains(state) && !bench.log().contains(FakeShopOptions::SECRET));
}

#[tokio::test]
async fn without_https_no_shop_can_grant_keys_and_that_is_said() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let add = ["shop", "add", "berlin", "--url", "https://shop.example", "--warehouses", "main"];
    let refused = bench.run(&add).await;
    assert!(refused.code != Some(0) && refused.err.contains("ONHAND_PUBLIC_URL"), "{}", refused.err);
}
