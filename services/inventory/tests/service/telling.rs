//! Notices of a running inventory: many alerts in one, each once, until somebody takes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use inventory::{Parts, Settings};
use notices::Digest;
use process::clock;
use process::metrics::Metrics;
use process::tasks::Tasks;
use store::{AlertFilter, ConditionKind};
use tokio::net::TcpListener;

use crate::world::{World, until};

const SECRET: &str = "a secret that is long enough";

/// What was sent: its id, the answer, what it says.
type Sent = (String, StatusCode, Digest);

/// Takes what it is sent after it refused some.
#[derive(Clone, Default)]
struct Receiver {
    refusals: Arc<Mutex<u32>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Receiver {
    #[expect(clippy::disallowed_methods, reason = "test code")]
    async fn start(world: &mut World) -> Self {
        process::install_tls_provider();
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/", axum::routing::post(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        world.told_by = vec![
            ("ONHAND_ALERT_WEBHOOK_URL", url),
            ("ONHAND_ALERT_WEBHOOK_SECRET", SECRET.to_owned()),
            ("ONHAND_ALERT_WEBHOOK_PRIVATE_ADDRESSES", "true".to_owned()),
        ];
        receiver
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// How often each alert was told of: by its number, and whether it was over.
    fn told(&self) -> BTreeMap<(i64, bool), usize> {
        let mut told = BTreeMap::new();
        for (_, status, digest) in self.sent() {
            if status.is_success() {
                let raised = digest.raised.iter().map(|alert| (alert.id, false));
                for key in raised.chain(digest.resolved.iter().map(|alert| (alert.id, true))) {
                    *told.entry(key).or_default() += 1;
                }
            }
        }
        told
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    let at = header("x-onhand-timestamp").parse().unwrap();
    assert_eq!(header("x-onhand-signature"), notices::signature(&SECRET.into(), at, &body));
    let refuses = {
        let mut refusals = receiver.refusals.lock().unwrap();
        let refuses = *refusals > 0;
        *refusals = refusals.saturating_sub(1);
        refuses
    };
    let status = if refuses { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    receiver.sent.lock().unwrap().push((header("x-onhand-id"), status, Digest::from_json(&body).unwrap()));
    status
}

#[tokio::test]
async fn what_begins_and_what_ends_is_told_once_whatever_is_refused_first() {
    let mut world = World::idle().await;
    let receiver = Receiver::start(&mut world).await;
    *receiver.refusals.lock().unwrap() = 3;
    let shop = world.shop("berlin").await.id;
    let kinds = [ConditionKind::WebhooksSilent, ConditionKind::WebhooksRedirected];
    for kind in kinds {
        world.store.raise_condition(shop, kind, "It is so. Do this.", clock::now()).await.unwrap();
    }
    world.start();
    until("it is taken", async || receiver.sent().iter().any(|sent| sent.1.is_success()).then_some(())).await;
    let sent = receiver.sent();
    assert_eq!(sent.len(), 4, "it was refused three times");
    assert!(sent.iter().all(|(id, _, digest)| *id == sent[0].0 && *digest == sent[0].2), "{sent:?}");
    let digest = &sent[0].2;
    assert_eq!((digest.raised.len(), digest.open, digest.test), (2, 2, false), "both in one: {digest:?}");
    assert_eq!(digest.raised[0].shop.as_deref(), Some("berlin"));
    for kind in kinds {
        world.store.clear_condition(shop, kind, clock::now()).await.unwrap();
    }
    let alerts = world.store.alerts_page(AlertFilter::default(), None, 10).await.unwrap();
    let expected: BTreeMap<_, _> =
        alerts.iter().flat_map(|alert| [((alert.id, false), 1), ((alert.id, true), 1)]).collect();
    until("the end is told too", async || (receiver.told() == expected).then_some(())).await;
    let counted = world.metrics.render();
    assert!(
        counted.contains(r#"onhand_alert_notices_total{channel="webhook",outcome="failed"} 3"#),
        "{counted}"
    );
    world.stop().await;
}

/// Each looks and each would send; nobody is told twice.
#[tokio::test]
async fn two_replicas_tell_once() {
    let mut world = World::idle().await;
    let receiver = Receiver::start(&mut world).await;
    world.start();
    let others = Tasks::new();
    let parts = Parts {
        store: Arc::clone(&world.store),
        bus: world.bus.clone(),
        member: "other".to_owned(),
        health: world.health.clone(),
        settings: Settings::for_testing(),
        channels: world.channels(),
    };
    inventory::start(parts, &others, &Metrics::new());
    let mut expected = BTreeMap::new();
    for number in 0..10 {
        let shop = world.shop(&format!("shop-{number}")).await.id;
        let kind = ConditionKind::WebhooksSilent;
        world.store.raise_condition(shop, kind, "It is so.", clock::now()).await.unwrap();
        let found = async || {
            let alerts = world.store.alerts_page(AlertFilter::default(), None, 10).await.unwrap();
            alerts.into_iter().find(|alert| alert.key.shop == Some(shop))
        };
        let alert = until("it is an alert", found).await;
        expected.insert((alert.id, false), 1);
        if number == 4 {
            // Whoever has the turn stops; the other goes on.
            others.drain(std::time::Duration::from_secs(10)).await;
        }
    }
    until("all is told once", async || (receiver.told() == expected).then_some(())).await;
    assert!(receiver.sent().iter().all(|sent| sent.1.is_success()));
    world.stop().await;
}

#[tokio::test]
async fn a_test_says_what_came_of_each_way() {
    let mut world = World::idle().await;
    let receiver = Receiver::start(&mut world).await;
    // Nobody is there.
    world.told_by.extend([
        ("ONHAND_ALERT_SMTP_URL", "smtp://onhand:hunter2@127.0.0.1:1?tls=none".to_owned()),
        ("ONHAND_ALERT_SMTP_FROM", "onhand@example.com".to_owned()),
        ("ONHAND_ALERT_SMTP_TO", "boss@example.com".to_owned()),
    ]);
    world.start();
    let outcomes = world.inventory().test_alerts().await;
    let said: Vec<(&str, Option<String>)> = outcomes
        .iter()
        .map(|(channel, outcome)| {
            (channel.as_str(), outcome.as_ref().err().map(|error| process::error_chain(error)))
        })
        .collect();
    assert_eq!(said[0], ("webhook", None));
    let (channel, failure) = &said[1];
    let failure = failure.as_deref().unwrap();
    assert!(*channel == "smtp" && !failure.contains("hunter2"), "{failure}");
    let sent = receiver.sent();
    assert!(sent.len() == 1 && sent[0].2.test && sent[0].2.raised.is_empty(), "{sent:?}");
    world.stop().await;
}

/// Mail goes to a server that takes the call and says nothing: requests do not wait for it.
#[tokio::test]
async fn a_way_that_hangs_delays_no_other() {
    let mut world = World::idle().await;
    let receiver = Receiver::start(&mut world).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    world.told_by.extend([
        ("ONHAND_ALERT_SMTP_URL", format!("smtp://{address}?tls=none")),
        ("ONHAND_ALERT_SMTP_FROM", "onhand@example.com".to_owned()),
        ("ONHAND_ALERT_SMTP_TO", "boss@example.com".to_owned()),
    ]);
    let mut shops = Vec::new();
    for number in 0..3 {
        shops.push(world.shop(&format!("shop-{number}")).await.id);
    }
    let raise = async |world: &World, shop| {
        let kind = ConditionKind::WebhooksSilent;
        world.store.raise_condition(shop, kind, "It is so.", clock::now()).await.unwrap();
    };
    raise(&world, shops[0]).await;
    world.start();
    // The mail is under way, and stays so.
    let _mail =
        tokio::time::timeout(std::time::Duration::from_secs(30), silent.accept()).await.unwrap().unwrap();
    for shop in &shops[1..] {
        raise(&world, *shop).await;
    }
    let begun = tokio::time::Instant::now();
    until("all are told by request", async || (receiver.told().len() == 3).then_some(())).await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    world.stop().await;
}
