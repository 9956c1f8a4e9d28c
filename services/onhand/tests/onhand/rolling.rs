//! Replicas are restarted in turn under load, as an update does it: behind a balancer that looks at `/readyz` nobody is
//! refused, whether each request has a connection of its own or connections are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::json;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::deployment::{Deployment, Form, Looker, Servers};
use crate::world::{SKUS, World, all_is_sound, comes_right, hasty_bench, nothing_lost_or_doubled, sku};

/// Each replica of each service is restarted so many times.
const ROUNDS: usize = 2;
const REPLICAS: usize = 2;
/// Many times as long as the balancer takes to notice.
const GRACE_MS: &str = "2000";
/// How often the balancer looks at each replica.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Between two webhooks, and between two receipts; they are sent whether those before are answered or not.
const WEBHOOK_EVERY: Duration = Duration::from_millis(40);
const RECEIPT_EVERY: Duration = Duration::from_millis(100);
/// One webhook in so many is about a new order.
const NEW_ORDER_EVERY: usize = 10;
/// How long an answer may take: on a busy machine it is slow, which is no refusal.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Fewer requests of a kind are no load; a busy machine sends less than the periods say.
const REQUESTS_MIN: usize = 50;

/// Sends requests to the replicas that say that they are ready.
struct Balancer {
    replicas: Vec<(String, AtomicBool)>,
}

/// What came of the requests of one kind.
#[derive(Debug, Default)]
struct Tally {
    answered: usize,
    /// Those that were not answered, or otherwise than 2xx.
    wrong: Vec<String>,
}

/// Clients that make a connection for each request, and that keep theirs, in turn.
struct Clients([Client; 2]);

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_refuses_nobody() {
    let mut bench = hasty_bench();
    bench.set("ONHAND_SERVE_GRACE_MS", GRACE_MS);
    let (form, servers) = (Form::Distributed { replicas: REPLICAS }, Servers::shared().await);
    let (mut deployment, world) = Deployment::with_world(bench, form, Some(servers)).await;
    deployment.all_are_ready().await;
    // The balancer is in front of ingress; what the shop itself sends would go past it.
    world.shops[0].set_deliveries(false);
    let mut watching = JoinSet::new();
    let ingress = Balancer::watch(deployment.webhooks(), &mut watching);
    let inventory = Balancer::watch(deployment.api(), &mut watching);
    let (webhooks, (receipts, received), ()) = tokio::join!(
        send_webhooks(&world, &ingress),
        send_receipts(&world, &inventory),
        restart_in_turn(&mut deployment, &world),
    );
    watching.shutdown().await;
    for (what, tally) in [("webhooks", webhooks), ("receipts", receipts)] {
        println!("{} {what} answered", tally.answered);
        assert_eq!(tally.wrong, Vec::<String>::new(), "{what}: {}", world.bench.log());
        assert!(tally.answered > REQUESTS_MIN, "there was a load of {what}: {}", tally.answered);
    }

    world.shops[0].set_deliveries(true);
    comes_right(&world, &received).await;
    all_is_sound(&world.bench).await;
    deployment.stop(&world.bench).await;
    nothing_lost_or_doubled(&world).await;
}

async fn restart_in_turn(deployment: &mut Deployment, world: &World) {
    for _ in 0..ROUNDS {
        for replica in 0..REPLICAS {
            let processes = deployment.processes();
            let one_of_each: Vec<_> =
                processes.into_iter().filter(|process| process.replica == replica).collect();
            deployment.restart(&world.bench, &one_of_each).await;
        }
    }
    world.stop.store(true, Ordering::Relaxed);
}

impl Balancer {
    /// Looks after the replicas in tasks of their own.
    fn watch(urls: Vec<String>, tasks: &mut JoinSet<()>) -> Arc<Self> {
        let replicas = urls.into_iter().map(|url| (url, AtomicBool::new(true))).collect();
        let (balancer, looker) = (Arc::new(Self { replicas }), Looker::new());
        for index in 0..balancer.replicas.len() {
            let (balancer, looker) = (Arc::clone(&balancer), looker.clone());
            tasks.spawn(async move {
                let (url, ready) = &balancer.replicas[index];
                let mut look = interval(LOOK_EVERY);
                loop {
                    look.tick().await;
                    ready.store(looker.is_ready(url).await, Ordering::Relaxed);
                }
            });
        }
        balancer
    }

    /// Another one each turn.
    fn pick(&self, turn: usize) -> &str {
        let ready: Vec<&str> = self
            .replicas
            .iter()
            .filter(|(_, ready)| ready.load(Ordering::Relaxed))
            .map(|(url, _)| url.as_str())
            .collect();
        assert!(!ready.is_empty(), "there is always one that is ready");
        ready[turn % ready.len()]
    }
}

impl Clients {
    fn new() -> Self {
        let builder = || Client::builder().no_proxy().timeout(ANSWER_TIMEOUT);
        Self([builder().pool_max_idle_per_host(0).build().unwrap(), builder().build().unwrap()])
    }

    /// Both meet each replica.
    fn of(&self, turn: usize) -> &Client {
        &self.0[turn / 2 % 2]
    }
}

impl Tally {
    fn note(&mut self, answer: Result<(), String>) {
        match answer {
            Ok(()) => self.answered += 1,
            Err(wrong) => self.wrong.push(wrong),
        }
    }
}

/// Sends what `request` makes, one every `period`, until told to stop; then waits for the answers.
async fn send(
    world: &World,
    period: Duration,
    mut request: impl AsyncFnMut(usize) -> RequestBuilder,
) -> Tally {
    let (mut tally, mut sent) = (Tally::default(), JoinSet::new());
    let mut clock = interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0.. {
        if world.stop.load(Ordering::Relaxed) {
            break;
        }
        clock.tick().await;
        sent.spawn(answer_of(request(turn).await));
        while let Some(answer) = sent.try_join_next() {
            tally.note(answer.unwrap());
        }
    }
    while let Some(answer) = sent.join_next().await {
        tally.note(answer.unwrap());
    }
    tally
}

async fn answer_of(request: RequestBuilder) -> Result<(), String> {
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, url) = (answer.status(), answer.url().to_string());
    let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
    if status.is_success() { Ok(()) } else { Err(format!("{url}: {status} {text}")) }
}

async fn send_webhooks(world: &World, balancer: &Balancer) -> Tally {
    let (clients, (path, secret)) = (Clients::new(), &world.webhooks[0]);
    let shop = &world.shops[0];
    let mut orders = Vec::new();
    send(world, WEBHOOK_EVERY, async |turn| {
        if turn % NEW_ORDER_EVERY == 0 {
            let line = NewLine::of(world.products[0][turn / NEW_ORDER_EVERY % SKUS], 1);
            let order = NewOrder::by_checkout(Status::Processing, vec![line]);
            orders.push(shop.act(Change::CreateOrder(order)).await.unwrap().order.unwrap());
        }
        let order = orders[orders.len().saturating_sub(1 + turn % 7 % orders.len())];
        let (body, signature) = shop.webhook_of(order, secret).unwrap();
        let url = format!("{}{path}", balancer.pick(turn));
        let request = clients.of(turn).post(url).header("X-WC-Webhook-Signature", signature);
        request.header("Content-Type", "application/json").body(body)
    })
    .await
}

/// Gives what came in as well.
async fn send_receipts(world: &World, balancer: &Balancer) -> (Tally, BTreeMap<usize, i64>) {
    let (clients, token) = (Clients::new(), world.bench.admin_token());
    let mut received = BTreeMap::new();
    let tally = send(world, RECEIPT_EVERY, async |turn| {
        let number = turn * 7 % SKUS;
        *received.entry(number).or_default() += 1;
        let operation =
            json!({ "kind": "receive", "sku": sku(number), "warehouse": "main", "quantity": "1" });
        let url = format!("{}/api/v1/operations", balancer.pick(turn));
        let request = clients.of(turn).post(url).bearer_auth(&token);
        request
            .header("Idempotency-Key", format!("rolling-{turn}"))
            .json(&json!({ "operations": [operation] }))
    })
    .await;
    (tally, received)
}
