//! Everything that WooCommerce does in its own way, in a shop with orders of its own and in one with orders in posts, and
//! whatever becomes of the webhooks: the ledger says what the shop shows.

mod play;
mod table;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use values::{OrderId, Quantity};

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::world::{all_is_sound, hasty_bench, poll_often};
use play::{Played, Stage};
use table::TABLE;

/// What the hub and the shop have of each row's goods at first.
const UNITS: i64 = 100;
/// How far a shop's clock is set ahead, so that what was just written counts as whole.
const AHEAD: Duration = Duration::from_secs(90);
/// The shortest period of audits that may be set: deletions are found soon after.
const AUDIT_SECONDS: &str = "60";
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What becomes of the webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    InOrder,
    Twice,
    Lost,
    /// They arrive when all has been read.
    Late,
    /// The last one first.
    Reversed,
    /// Their owner may see nothing: each is a signed error.
    Blind,
    /// The shop has disabled them, as it does after too many failures, and nobody makes them anew.
    Disabled,
}

impl Way {
    const ALL: [Self; 7] =
        [Self::InOrder, Self::Twice, Self::Lost, Self::Late, Self::Reversed, Self::Blind, Self::Disabled];
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_what_the_shop_shows_in_one_process() {
    run(Form::Standalone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_what_the_shop_shows_over_rabbitmq_and_postgresql() {
    run(Form::Distributed { replicas: 1 }).await;
}

async fn run(form: Form) {
    let servers = if form == Form::Standalone { None } else { Some(Servers::shared().await) };
    let mut bench = hasty_bench();
    bench.set("ONHAND_INGRESS_AUDIT_PERIOD_SECONDS", AUDIT_SECONDS);
    let mut deployment = Deployment::start(&mut bench, form, servers).await;
    let stages = set_up(&bench, &deployment.webhooks()[0]).await;
    deployment.stop(&bench).await;
    poll_often(&bench).await;
    deployment.begin_all(&bench).await;

    let hub = Arc::new(Hub::new(&bench, deployment.api().remove(0)));
    let played = play_all(&hub, &stages).await;
    all_comes_right(&hub, &stages, &played).await;

    // What is late by now comes after everything it tells of has been read.
    for stage in stages.iter().filter(|stage| stage.way == Way::Late) {
        assert!(stage.shop.send_held(false).await > TABLE.len(), "there was something to be late");
        let marker = stage.marker().await;
        until("what came late was looked at", PROOF_PATIENCE, async || {
            hub.order(stage, marker).await.map(|_| ())
        })
        .await;
    }
    all_comes_right(&hub, &stages, &played).await;
    let parked = bench.run(&["parked", "list", "--json"]).await.json();
    assert_eq!(parked["lines"], Value::Array(Vec::new()), "no line waits for anybody");
    all_is_sound(&bench).await;
    deployment.stop(&bench).await;
}

/// Everything happens in all shops at the same time.
async fn play_all(hub: &Arc<Hub>, stages: &[Arc<Stage>]) -> Vec<Vec<Played>> {
    let (local, mut playing) = (LocalSet::new(), JoinSet::new());
    for (index, stage) in stages.iter().enumerate() {
        let (hub, stage) = (Arc::clone(hub), Arc::clone(stage));
        playing.spawn_local_on(async move { (index, stage.play(&hub).await) }, &local);
    }
    let mut played = local.run_until(playing.join_all()).await;
    played.sort_by_key(|(index, _)| *index);
    played.into_iter().map(|(_, played)| played).collect()
}

/// A shop for each kind and way; the hub has of all its goods what it has.
async fn set_up(bench: &Bench, webhooks: &str) -> Vec<Arc<Stage>> {
    let mut stages = Vec::new();
    for orders_in_posts in [false, true] {
        for way in Way::ALL {
            let name = format!("{way:?}-{}", if orders_in_posts { "posts" } else { "hpos" });
            stages.push(Arc::new(Stage::build(name, way, orders_in_posts).await));
        }
    }
    bench.run(&["warehouse", "add", "main"]).await.good();
    let lines: Vec<String> =
        stages.iter().flat_map(|stage| stage.skus()).map(|sku| format!("{sku},{UNITS}\n")).collect();
    let file = bench.file("stock.csv", &format!("sku,quantity\n{}", lines.concat()));
    bench.run(&["stock", "import", &file, "-w", "main"]).await.good();
    for stage in &stages {
        stage.connect(bench, webhooks).await;
    }
    stages
}

/// Waits until the ledger is right, for every row of every shop.
async fn all_comes_right(hub: &Hub, stages: &[Arc<Stage>], played: &[Vec<Played>]) {
    let (deadline, mut look) = (Instant::now() + PROOF_PATIENCE, interval(LOOK_EVERY));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let mut wrong = Vec::new();
        for (stage, played) in stages.iter().zip(played) {
            for (number, played) in played.iter().enumerate() {
                let found = hub.found(stage, number, *played).await;
                let expected = stage.expected(number, *played);
                if found != expected {
                    let what = TABLE[number].what;
                    wrong.push(format!("{}: {what}: {found:?} instead of {expected:?}", stage.name));
                }
            }
        }
        if wrong.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{wrong:#?}\n{}", hub.log);
    }
}

/// What the hub says of a row, or has to say.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// The order's status, and whether the shop no longer knows it; `None`: it does not matter.
    order: Option<(String, bool)>,
    /// What its lines reserve, have shipped, and what the shop took for them.
    effect: table::Effect,
    /// What is left to sell, and what the shop shows; `None`: the one or the other has none of it.
    left: Option<(i64, i64)>,
}

/// The API of the onhand that is looked at.
struct Hub {
    client: Client,
    url: String,
    token: String,
    log: String,
}

impl Hub {
    fn new(bench: &Bench, url: String) -> Self {
        let client = Client::builder().no_proxy().timeout(ASK_TIMEOUT).build().unwrap();
        let log = bench.path("log").display().to_string();
        Self { client, url, token: bench.admin_token(), log }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let request = self.client.get(format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token);
        let answer = request.send().await.unwrap();
        let found = answer.status().is_success();
        let text = answer.text().await.unwrap();
        found.then(|| serde_json::from_str(&text).unwrap())
    }

    async fn order(&self, stage: &Stage, order: OrderId) -> Option<Value> {
        self.get(&format!("/orders/{}/{order}", stage.name)).await
    }

    async fn found(&self, stage: &Stage, number: usize, played: Played) -> Found {
        let order = self.order(stage, played.order).await;
        let mut effect = (0, 0, 0);
        for line in order.iter().flat_map(|order| order["lines"].as_array().unwrap()) {
            for hold in line["holds"].as_array().unwrap() {
                effect.0 += whole(&hold["reserved"]);
                effect.1 += whole(&hold["shipped"]);
            }
            effect.2 += if line["taken"].is_null() { 0 } else { whole(&line["taken"]) };
        }
        let status = |order: &Value| {
            let gone = order["gone"] == true;
            (if gone { String::new() } else { order["status"].as_str().unwrap().to_owned() }, gone)
        };
        let matters = stage.is_there(played) || TABLE[number].holds();
        let left = match stage.sku(number) {
            Some(sku) => {
                let stock = self.get(&format!("/stock?sku={sku}")).await.unwrap();
                let main = &stock["items"][0]["warehouses"][0];
                stage.shown(number).map(|shown| (whole(&main["available"]), shown))
            }
            None => None,
        };
        Found { order: order.as_ref().filter(|_| matters).map(status), effect, left }
    }
}

fn whole(amount: &Value) -> i64 {
    amount.as_str().unwrap().parse::<Quantity>().unwrap().whole_units().unwrap()
}

impl Stage {
    /// What the hub has to say of a row, by the table and by what the shop itself knows.
    fn expected(&self, number: usize, played: Played) -> Found {
        let row = &TABLE[number];
        let (reserved, shipped, taken) = row.effect;
        let view = self.shop.with_model(|model, _| model.order(played.order));
        let order = match view {
            Some(view) => Some((view.status.to_string(), false)),
            // An order that holds nothing is not asked for again.
            None => row.holds().then(|| (String::new(), true)),
        };
        let left = self.shown(number).filter(|_| self.sku(number).is_some());
        let left = left.map(|_| (UNITS - reserved - shipped, UNITS - taken));
        Found { order, effect: row.effect, left }
    }

    /// Whether the shop knows the order.
    fn is_there(&self, played: Played) -> bool {
        self.shop.with_model(|model, _| model.order(played.order).is_some())
    }

    /// An order that comes last; its number.
    async fn marker(&self) -> OrderId {
        self.shop.hold_deliveries(false);
        let order = NewOrder::by_rest(Status::Failed, vec![NewLine::of(self.marker_product(), 1)]);
        let order = self.shop.act(Change::CreateOrder(order)).await.unwrap().order.unwrap();
        self.shop.run_queue().await;
        order
    }
}
