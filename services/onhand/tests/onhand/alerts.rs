//! Alerts from end to end, in every form: what is wrong is told, taken note of, and over once it is mended, and both are told
//! once.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{Change, NewLine, NewOrder, Status, WebhookStatus};
use values::ProductId;

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::told::{Hearing, Receiver, SECRET};
use crate::walk::shop_with;
use crate::world::hasty_bench;

/// One test for each form.
macro_rules! in_every_form {
    ($($name:ident: $form:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                run($form).await;
            }
        )*
    };
}

in_every_form! {
    what_is_wrong_is_told_by_one_process: Form::Standalone;
    what_is_wrong_is_told_by_one_of_two_replicas: Form::Distributed { replicas: 2 };
}

async fn run(form: Form) {
    let servers = if form == Form::Standalone { None } else { Some(Servers::shared().await) };
    let mut bench = hasty_bench();
    for (name, value) in [
        ("ONHAND_ALERT_PERIOD_SECONDS", "1"),
        ("ONHAND_ALERT_PATIENCE_SECONDS", "1"),
        ("ONHAND_ALERT_CLEAR_SECONDS", "1"),
        ("ONHAND_INGRESS_WEBHOOK_PERIOD_SECONDS", "10"),
    ] {
        bench.set(name, value);
    }
    let receiver = Receiver::start(Hearing::Refuses(2)).await;
    receiver.is_told_by(&mut bench);
    let mut deployment = Deployment::start(&mut bench, form, servers).await;
    // Here onhand makes the webhooks and keeps them.
    deployment.stop(&bench).await;
    bench.set("ONHAND_MAKE_WEBHOOKS", "true");
    deployment.begin_all(&bench).await;
    let (shop, products) = shop_with(&[(Some("tee"), 50), (None, 3)]).await;
    connect(&bench, &shop).await;
    // The shop shows more than there is, until its stock is proven and lowered.
    order(&shop, products[0], 7).await;

    tokio::join!(
        a_webhook_that_was_disabled(&bench, &shop),
        too_much_was_sold(&bench),
        nobody_knows_what_was_sold(&bench, &shop, products[1]),
    );
    assert_eq!(bench.run(&["alerts"]).await.good(), "there are no alerts\n");
    let all = bench.run(&["alerts", "berlin", "--all"]).await.good();
    assert!(all.contains("webhooks_mended") && all.contains("over since"), "{all}");
    all_was_told_once(&bench, &receiver).await;
    let tested = bench.run(&["alerts", "test"]).await.good();
    assert_eq!(tested, "webhook: taken\n");
    receiver.hears(Hearing::Refuses(1));
    let tested = bench.run(&["alerts", "test"]).await;
    assert!(tested.code == Some(1) && tested.out.contains("status 503"), "{} {}", tested.out, tested.err);
    assert!(!bench.log().contains(SECRET), "no secret in the log");
    let unknown = bench.run(&["alerts", "ack", "999"]).await;
    assert!(unknown.code == Some(1) && unknown.err.contains("there is no alert 999"), "{}", unknown.err);
    deployment.stop(&bench).await;
}

/// Each alert was told of when it began and when it was over, however many replicas looked.
async fn all_was_told_once(bench: &Bench, receiver: &Receiver) {
    let alerts = bench.run(&["alerts", "--all", "--json"]).await.json();
    let mut expected = BTreeMap::new();
    for alert in alerts["items"].as_array().unwrap() {
        let (id, count) = (alert["id"].as_i64().unwrap(), alert["count"].as_i64().unwrap());
        // What returned was told of under each count.
        for times in 1..=count {
            expected.insert((id, times, false), 1);
            expected.insert((id, times, true), 1);
        }
    }
    until(&format!("all is told: {alerts}"), PROOF_PATIENCE, async || {
        let told = receiver.told();
        assert!(told.values().all(|times| *times == 1), "{told:?}");
        (told == expected).then_some(())
    })
    .await;
}

/// Killed after the receiver read a notice and before it answered: nobody knows whether it was taken, so it is sent again under
/// the same id.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_outlives_its_process() {
    let mut bench = Bench::new();
    bench.set("ONHAND_ALERT_PERIOD_SECONDS", "1");
    bench.set("ONHAND_ALERT_PATIENCE_SECONDS", "0");
    let receiver = Receiver::start(Hearing::Hangs).await;
    receiver.is_told_by(&mut bench);
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let add = [
        &["shop", "add", "berlin", "--url", "http://127.0.0.1:1", "--warehouses", "main"][..],
        &["--private-addresses", "--consumer-key-file", "-", "--consumer-secret-file", "-", "--no-wait"],
    ];
    let keys = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    bench.run_with(&add.concat(), &keys).await.good();
    let first = until("it is heard", PROOF_PATIENCE, async || receiver.heard().first().cloned()).await;
    assert_eq!(first.digest["raised"][0]["kind"], "shop_unreachable", "{first:?}");
    up.kill(&bench).await;
    receiver.hears(Hearing::Takes);
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    let again =
        until("it is taken", PROOF_PATIENCE, async || receiver.heard().into_iter().find(|heard| heard.taken))
            .await;
    assert_eq!((&again.id, &again.digest), (&first.id, &first.digest));
    assert_eq!(up.terminate().await, Some(0));
}

#[tokio::test]
async fn without_a_way_to_people_the_test_says_so() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    let tested = bench.run(&["alerts", "test"]).await;
    assert!(tested.code == Some(1) && tested.err.contains("ONHAND_ALERT_SMTP_URL"), "{}", tested.err);
    drop(up);
    bench.set("ONHAND_ALERT_WEBHOOK_URL", "https://ops.example/token-in-it");
    let refused = bench.run(&["up", "--listen", "127.0.0.1:0"]).await;
    assert!(
        refused.code == Some(64) && refused.err.contains("ONHAND_ALERT_WEBHOOK_SECRET"),
        "{}",
        refused.err
    );
    assert!(!refused.err.contains("token-in-it"), "{}", refused.err);
}

async fn connect(bench: &Bench, shop: &FakeShop) {
    bench.run(&["warehouse", "add", "main"]).await.good();
    bench.run(&["stock", "receive", "tee", "5"]).await.good();
    let url = shop.url();
    let add = [
        &["shop", "add", "berlin", "--url", &url, "--warehouses", "main", "--private-addresses"][..],
        &["--opening", "none", "--consumer-key-file", "-", "--consumer-secret-file", "-"],
    ];
    let keys = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let added = bench.run_with(&add.concat(), &keys).await.good();
    assert!(added.contains("8 webhooks are in place"), "{added}");
}

/// Waits for an open alert of the kind.
async fn raised(bench: &Bench, kind: &str) -> Value {
    until(&format!("an alert: {kind}"), PROOF_PATIENCE, async || {
        let alerts = bench.run(&["alerts", "--json"]).await.json();
        alerts["items"].as_array().unwrap().iter().find(|alert| alert["kind"] == kind).cloned()
    })
    .await
}

/// Waits until the alert is over.
async fn over(bench: &Bench, alert: &Value) {
    until(&format!("it is over: {alert}"), PROOF_PATIENCE, async || {
        let alerts = bench.run(&["alerts", "--all", "--json"]).await.json();
        let alerts = alerts["items"].as_array().unwrap();
        let found = alerts.iter().find(|found| found["id"] == alert["id"]).unwrap();
        (!found["resolved_at"].is_null()).then_some(())
    })
    .await;
}

async fn a_webhook_that_was_disabled(bench: &Bench, shop: &FakeShop) {
    shop.with_model(|model, now| {
        let first = model.webhooks().next().unwrap().id;
        model.edit_webhook(first, now, |webhook| webhook.status = WebhookStatus::Disabled);
    });
    let alert = raised(bench, "webhooks_mended").await;
    assert_eq!((&alert["shop"], &alert["severity"]), (&"berlin".into(), &"info".into()), "{alert}");
    assert!(alert["what"].as_str().unwrap().contains("(disabled)"), "{alert}");
    over(bench, &alert).await;
}

async fn too_much_was_sold(bench: &Bench) {
    let alert = raised(bench, "shortfall").await;
    assert_eq!((&alert["sku"], &alert["severity"]), (&"tee".into(), &"critical".into()), "{alert}");
    let id = alert["id"].to_string();
    let acknowledged = bench.run(&["alerts", "ack", &id]).await.good();
    assert!(acknowledged.starts_with(&format!("{id} acknowledged by ")), "{acknowledged}");
    let listed = bench.run(&["alerts"]).await.good();
    assert!(listed.contains("acknowledged by") && listed.contains("2 in main missing"), "{listed}");
    bench.run(&["stock", "receive", "tee", "2"]).await.good();
    over(bench, &alert).await;
}

async fn nobody_knows_what_was_sold(bench: &Bench, shop: &FakeShop, product: ProductId) {
    order(shop, product, 1).await;
    let alert = raised(bench, "parked_lines").await;
    assert_eq!(alert["shop"], "berlin", "{alert}");
    bench.run(&["parked", "map", "berlin", &product.to_string(), "mug"]).await.good();
    // It was sold, and there is none.
    let short = until("an alert for the mug", PROOF_PATIENCE, async || {
        let alerts = bench.run(&["alerts", "--json"]).await.json();
        alerts["items"].as_array().unwrap().iter().find(|alert| alert["sku"] == "mug").cloned()
    })
    .await;
    over(bench, &alert).await;
    bench.run(&["stock", "receive", "mug", "3"]).await.good();
    over(bench, &short).await;
}

async fn order(shop: &FakeShop, product: ProductId, quantity: i64) {
    let order = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(product, quantity)]);
    shop.act(Change::CreateOrder(order)).await.unwrap();
}
