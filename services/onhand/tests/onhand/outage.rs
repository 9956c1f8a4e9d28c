//! Ingress starts while database and broker are away, and what it takes then is applied once they are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::Value;
use store::SecretKey;
use testkit::servers::Signal;
use testkit::shop::{Change, NewLine, NewOrder, Status};

use crate::deployment::{Deployment, Form, Process, Servers, Service};
use crate::harness::{Bench, PATIENCE, PROOF_PATIENCE, mode, until};
use crate::world::{SHOPS, comes_right, connected, hasty_bench, nothing_lost_or_doubled};

const SPOOL: &str = "spool-0";
const SNAPSHOT: &str = "shops.sealed";
const ORDERS_TAKEN: &str = "onhand_ingress_webhooks_total{outcome=\"order\"}";

#[tokio::test(flavor = "multi_thread")]
async fn ingress_starts_and_takes_webhooks_while_everything_is_away() {
    let mut bench = hasty_bench();
    let (form, servers) = (Form::Distributed { replicas: 1 }, Servers::own().await);
    let mut deployment = Deployment::start(&mut bench, form, Some(servers)).await;
    let servers = Arc::clone(deployment.servers.as_ref().unwrap());
    let world = connected(bench, &deployment.webhooks()).await;
    until("the snapshot says that all shops were read", PROOF_PATIENCE, async || {
        knows_shops(&world.bench).then_some(())
    })
    .await;
    let ingress = Process { service: Service::Ingress, replica: 0 };
    deployment.terminate(&world.bench, ingress).await;
    servers.broker.kept().signal(Signal::Kill);
    let inventory = deployment.url(Process { service: Service::Inventory, replica: 0 });
    until("inventory says that its broker is away", PATIENCE, async || {
        let (status, page) = ask(&format!("{inventory}/working/readyz")).await;
        (status == 503 && page.contains("broker")).then_some(())
    })
    .await;
    assert_eq!(ask(&format!("{inventory}/readyz")).await.0, 200, "its API needs no broker");
    assert!(world.bench.run(&["warehouse", "list"]).await.good().contains("main"));
    servers.database.server().kept().signal(Signal::Kill);

    let url = deployment.url(ingress);
    deployment.begin_all(&world.bench).await;
    let failed = world.shops[0].counts().deliveries_failed;
    let line = NewLine::of(world.products[0][0], 3);
    let order = NewOrder::by_checkout(Status::Processing, vec![line]);
    world.shops[0].act(Change::CreateOrder(order)).await.unwrap();
    until("the webhook is taken as an order", PATIENCE, async || {
        let (_, page) = ask(&format!("{url}/metrics")).await;
        let count = page.lines().find_map(|line| line.strip_prefix(ORDERS_TAKEN));
        (count.unwrap().trim() != "0").then_some(())
    })
    .await;
    assert_eq!(world.shops[0].counts().deliveries_failed, failed, "every delivery was answered with 200");
    until("it says that it takes webhooks", PATIENCE, async || {
        (ask(&format!("{url}/readyz")).await.0 == 200).then_some(())
    })
    .await;
    let (status, page) = ask(&format!("{url}/reading/readyz")).await;
    assert!(status == 503 && page.contains("database"), "and that it cannot read: {status} {page}");
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let unknown = client.post(format!("{url}/webhooks/nobody")).body("{}").send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 503, "nobody can say that there is no such shop");
    assert!(unknown.headers().contains_key("retry-after"));

    start_again(&servers).await;
    comes_right(&world, &BTreeMap::new()).await;
    nothing_lost_or_doubled(&world).await;
    assert_eq!(world.bench.run(&["check"]).await.good(), "the ledger is sound\n");
    let unknown = client.post(format!("{url}/webhooks/nobody")).body("{}").send().await.unwrap();
    assert_eq!(unknown.status().as_u16(), 404);
    deployment.stop(&world.bench).await;

    // Without anything known it is of no use, and says so at once.
    servers.database.server().kept().signal(Signal::Kill);
    std::fs::remove_file(world.bench.path(SPOOL).join(SNAPSHOT)).unwrap();
    let spool = world.bench.path(SPOOL);
    let mut bench = world.bench;
    bench.set("ONHAND_INGRESS_SPOOL_DIR", spool.to_str().unwrap());
    let refused = bench.run(&["serve", "ingress"]).await;
    assert_eq!(refused.code, Some(69), "{}", refused.err);
}

async fn start_again(servers: &Arc<Servers>) {
    let servers = Arc::clone(servers);
    let starting = move || {
        servers.database.server().kept().start_again();
        servers.broker.kept().start_again();
    };
    tokio::task::spawn_blocking(starting).await.unwrap();
}

/// Whether the next life would take orders of every shop, that of the world which is far away too.
fn knows_shops(bench: &Bench) -> bool {
    let path = bench.path(SPOOL).join(SNAPSHOT);
    let Ok(sealed) = std::fs::read(&path) else { return false };
    assert_eq!(mode(&path), 0o600);
    let key = SecretKey::load(&bench.data_dir().join("secret.key")).unwrap();
    let content = key.open_file("webhook-doors.v1", &sealed).unwrap();
    let shops: Value = serde_json::from_slice(content.expose_secret()).unwrap();
    let shops = shops.as_array().unwrap();
    shops.len() == SHOPS + 1 && shops.iter().all(|shop| shop["is_read"] == true)
}

async fn ask(url: &str) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}
