//! The services in processes of their own over PostgreSQL and RabbitMQ: the chain from shop to shop, and replicas that die.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use testkit::servers::postgres::{Database, Postgres};
use testkit::servers::rabbitmq::RabbitMq;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::task::JoinSet;
use tokio::time::sleep;
use values::HolderId;

use crate::harness::{Bench, PATIENCE, PROOF_PATIENCE, Up, until};
use crate::kills::{
    Dice, World, buy, comes_right, connected, hasty_bench, nothing_lost_or_doubled, poll_often, receive,
};

const SERVICES: [&str; 3] = ["ingress", "inventory", "egress"];
const ANYWHERE: &str = "127.0.0.1:0";
/// Deaths under load; each service loses each of its two replicas at least once.
const KILLS: usize = 9;
/// Between two deaths: some fall into the time in which the leases of the one before have not ended yet.
const PAUSE_MS: (u64, u64) = (1_000, 4_000);

/// Processes over servers that go with it.
struct Cluster {
    running: BTreeMap<(&'static str, usize), Up>,
    _database: Database,
    _broker: RabbitMq,
}

impl Cluster {
    /// Servers that are prepared, and so many replicas of each service; commands of the bench find them.
    async fn start(bench: &mut Bench, replicas: usize) -> Self {
        let broker = RabbitMq::shared();
        let database = Postgres::shared().database("nothing", |_| async {}).await;
        bench.set("ONHAND_DATABASE_URL", &database.url());
        bench.set("ONHAND_BROKER_URL", &broker.vhost().await.url());
        bench.set("ONHAND_SHARDS", "4");
        std::fs::create_dir(bench.data_dir()).unwrap();
        let (key, token) = (bench.data_dir().join("secret.key"), bench.data_dir().join("admin.token"));
        bench.set("ONHAND_SECRET_KEY_FILE", key.to_str().unwrap());
        let migrated = bench.run(&["migrate", "--admin-token-file", token.to_str().unwrap()]).await.good();
        assert!(migrated.contains("4 shards") && migrated.contains("secret key was made"), "{migrated}");

        let mut cluster = Self { running: BTreeMap::new(), _database: database, _broker: broker };
        for service in SERVICES {
            for replica in 0..replicas {
                let up = cluster.begin(bench, service, replica, ANYWHERE).await;
                match (service, replica) {
                    ("ingress", 0) => bench.set("ONHAND_PUBLIC_URL", &up),
                    ("inventory", 0) => bench.set("ONHAND_URL", &up),
                    _ => {}
                }
            }
        }
        cluster
    }

    async fn begin(&mut self, bench: &Bench, service: &'static str, replica: usize, listen: &str) -> String {
        let up = bench.serve(service, listen, &format!("spool-{replica}")).await;
        let url = up.url.clone();
        self.running.insert((service, replica), up);
        url
    }

    /// Kills a replica and starts it again where it was.
    async fn kill(&mut self, bench: &Bench, service: &'static str, replica: usize) {
        let up = self.running.remove(&(service, replica)).unwrap();
        let address = up.address().to_owned();
        up.kill().await;
        self.begin(bench, service, replica, &address).await;
    }

    fn port(&self, service: &'static str) -> u16 {
        self.running[&(service, 0)].address().rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Every process ends in order.
    async fn stop(&mut self, bench: &Bench) {
        for (which, up) in std::mem::take(&mut self.running) {
            assert_eq!(up.terminate().await, Some(0), "{which:?}: {}", bench.log());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_one_shop_lowers_the_other_through_three_processes() {
    let mut bench = hasty_bench();
    let mut cluster = Cluster::start(&mut bench, 1).await;
    let mut world = connected(bench).await;
    let line = NewLine::of(world.products[0][0], 3);
    let order = NewOrder::by_checkout(Status::Processing, vec![line]);
    world.shops[0].act(Change::CreateOrder(order)).await.unwrap();
    comes_right(&world, &BTreeMap::new()).await;
    let shown = world.shops[1].with_model(|model, _| model.stock(HolderId::from(world.products[1][0])));
    assert_eq!(shown, Some(397), "the other shop was lowered by it");
    assert_eq!(world.bench.run(&["check"]).await.good(), "the ledger is sound\n");
    nothing_lost_or_doubled(&world).await;
    assert!(!world.bench.log().contains(&world.bench.admin_token()), "no secret in the log");
    for (which, url) in cluster.running.iter().map(|(which, up)| (which, up.url.clone())) {
        until("it is ready", PROOF_PATIENCE, async || is_ready(&url).await.then_some(())).await;
        println!("{which:?} is ready");
    }
    cluster.stop(&world.bench).await;

    let again = world.bench.run(&["migrate"]).await.good();
    assert!(!again.contains("token") && !again.contains("was made"), "nothing is made twice: {again}");
    world.bench.set("ONHAND_SHARDS", "8");
    let refused = world.bench.run(&["serve", "egress"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("4 shards") && refused.err.contains("onhand migrate"), "{}", refused.err);
    let other = world.bench.run(&["migrate"]).await.good();
    assert!(other.contains("8 shards") && other.contains("4 shards before"), "{other}");
}

/// Whether all of it works, reading too.
async fn is_ready(url: &str) -> bool {
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let asked = client.get(format!("{url}/readyz")).send().await;
    asked.is_ok_and(|answer| answer.status().is_success())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_die_under_load_lose_nothing() {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut dice = Dice::seeded(seed);
    let mut bench = hasty_bench();
    let mut cluster = Cluster::start(&mut bench, 2).await;
    let world = connected(bench).await;
    poll_often(&world.bench).await;
    let world: Arc<World> = Arc::new(world);
    let (mut orders, mut receipts) = (JoinSet::new(), JoinSet::new());
    orders.spawn(buy(Arc::clone(&world), Dice::seeded(seed + 1)));
    receipts.spawn(receive(Arc::clone(&world), cluster.port("inventory"), Dice::seeded(seed + 2)));
    for kill in 0..KILLS {
        sleep(dice.millis(PAUSE_MS)).await;
        let service = SERVICES[kill % SERVICES.len()];
        cluster.kill(&world.bench, service, kill / SERVICES.len() % 2).await;
    }
    world.stop.store(true, Ordering::Relaxed);
    let (orders, _) = orders.join_next().await.unwrap().unwrap();
    let received = receipts.join_next().await.unwrap().unwrap();
    assert!(orders > 100, "there was a load: {orders} orders");

    comes_right(&world, &received).await;
    assert_eq!(world.bench.run(&["check"]).await.good(), "the ledger is sound\n");
    nothing_lost_or_doubled(&world).await;
    cluster.stop(&world.bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_wrong_is_said_at_once() {
    let mut bench = Bench::new();
    bench.set("ONHAND_BROKER_URL", "http://guest:hunter2@127.0.0.1/");
    bench.set("ONHAND_SHARDS", "0");
    let ran = bench.run(&["serve", "ingress"]).await;
    assert_eq!(ran.code, Some(64), "{}", ran.err);
    for wrong in [
        "ONHAND_DATABASE_URL",
        "ONHAND_BROKER_URL",
        "ONHAND_SECRET_KEY_FILE",
        "ONHAND_SHARDS",
        "ONHAND_INGRESS_SPOOL_DIR",
    ] {
        assert!(ran.err.contains(wrong), "{wrong}: {}", ran.err);
    }
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}
