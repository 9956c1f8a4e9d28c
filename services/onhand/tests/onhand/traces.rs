//! One trace leads from a webhook through three processes to the reply of the other shop, also while the broker is away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::PollSettings;
use testkit::fake_shop::FakeShopOptions;
use testkit::servers::Signal;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use values::HolderId;

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::sink::{Place, Sink, Span};
use crate::world::{UNITS_START, World, comes_right, connected, hasty_bench, poll_every, sku};

/// So seldom that what webhooks say is not read meanwhile.
const SELDOM: PollSettings = PollSettings { orders: Duration::from_hours(1), trash: Duration::from_hours(1) };
const FORM: Form = Form::Distributed { replicas: 1 };
/// The product that is bought, and how many.
const BOUGHT: usize = 7;
const UNITS: i64 = 3;
/// From the call to the shop up to the webhook that it began with.
const WAY: [(&str, &str); 7] = [
    ("egress", "call"),
    ("egress", "push"),
    ("egress", "receive"),
    ("inventory", "publish"),
    ("inventory", "apply"),
    ("ingress", "publish"),
    ("ingress", "webhook"),
];

fn traced_bench(sink: &Sink) -> Bench {
    let mut bench = hasty_bench();
    bench.set("ONHAND_PROCESS_TRACES_URL", &sink.url);
    bench.set("ONHAND_PROCESS_TRACES_SAMPLED_PERMILLE", "1000");
    bench
}

async fn buy(world: &World) {
    let line = NewLine::of(world.products[0][BOUGHT], UNITS);
    let order = NewOrder::by_checkout(Status::Processing, vec![line]);
    world.shops[0].act(Change::CreateOrder(order)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_from_its_webhook_to_the_reply_of_the_other_shop() {
    let sink = Sink::start().await;
    let mut bench = traced_bench(&sink);
    let servers = Servers::shared().await;
    let mut deployment = Deployment::start(&mut bench, FORM, Some(servers)).await;
    let world = connected(bench, &deployment.webhooks()).await;
    poll_every(&world.bench, SELDOM).await;
    buy(&world).await;
    comes_right(&world, &BTreeMap::new()).await;
    deployment.stop(&world.bench).await;

    let spans = sink.spans();
    whole_trace(&spans);
    nothing_hangs_in_the_air(&spans);
    nothing_secret(&world, &spans);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_waits_for_the_broker_is_in_the_same_trace_as_its_push() {
    let sink = Sink::start().await;
    let mut bench = traced_bench(&sink);
    let servers = Servers::own().await;
    let mut deployment = Deployment::start(&mut bench, FORM, Some(servers)).await;
    let servers = Arc::clone(deployment.servers.as_ref().unwrap());
    let world = connected(bench, &deployment.webhooks()).await;
    poll_every(&world.bench, SELDOM).await;
    servers.broker.kept().signal(Signal::Kill);
    buy(&world).await;
    let spooled = until("the webhook is answered", PROOF_PATIENCE, async || {
        let spans = sink.spans();
        spans.into_iter().rev().find(|span| span.name == "webhook" && outcome(span) == "order")
    });
    let spooled = spooled.await;
    assert_eq!(spooled.attributes["http.response.status_code"], "200");
    let back = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    tokio::task::spawn_blocking(move || servers.broker.kept().start_again()).await.unwrap();
    comes_right(&world, &BTreeMap::new()).await;
    deployment.stop(&world.bench).await;

    let spans = sink.spans();
    let webhook = whole_trace(&spans);
    assert!(u128::from(webhook.ended) < back, "it was answered before the broker was there again");
    nothing_hangs_in_the_air(&spans);
}

fn outcome(span: &Span) -> &str {
    span.attributes.get("outcome").map_or("", String::as_str)
}

/// The push of what was bought, and what it goes back to; the webhook.
#[track_caller]
fn whole_trace(spans: &[Span]) -> &Span {
    let by_place: BTreeMap<&Place, &Span> = spans.iter().map(|span| (&span.place, span)).collect();
    let lowered = format!("-{UNITS}");
    let is_push = |span: &&Span| {
        span.name == "push" && span.attributes["sku"] == sku(BOUGHT) && span.attributes["delta"] == lowered
    };
    let push = spans.iter().find(is_push).unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(outcome(push), "applied");
    let call = spans.iter().find(|span| span.name == "call" && span.parent.as_ref() == Some(&push.place));
    let call = call.unwrap();
    assert_eq!(call.attributes["http.response.status_code"], "200");
    assert!(!call.attributes.contains_key("failure"));

    let upwards = std::iter::successors(Some(call), |span| span.parent.as_ref().map(|above| by_place[above]));
    let way: Vec<&Span> = upwards.collect();
    let names: Vec<_> = way.iter().map(|span| (span.service.as_str(), span.name.as_str())).collect();
    assert_eq!(names, WAY);
    let traces: BTreeSet<&str> = way.iter().map(|span| span.place.0.as_str()).collect();
    assert_eq!(traces.len(), 1, "{traces:?}");

    for (one, among) in [(way[4], way[5]), (way[2], way[3])] {
        let batch = one.links.iter().map(|link| by_place[link]).find(|span| span.name == "batch");
        let batch = batch.unwrap_or_else(|| panic!("{one:?} is linked to its batch"));
        assert!(batch.links.contains(&among.place), "the batch is linked to the message: {batch:?}");
    }
    assert_eq!(way[4].attributes["decision"], "applied");
    assert_eq!(outcome(way[6]), "order");
    way[6]
}

/// Whatever is above a span, or linked to it, was told too.
#[track_caller]
fn nothing_hangs_in_the_air(spans: &[Span]) {
    let places: BTreeSet<&Place> = spans.iter().map(|span| &span.place).collect();
    for span in spans {
        for other in span.parent.iter().chain(&span.links) {
            assert!(places.contains(other), "{other:?} is missing: {span:?}");
        }
    }
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["egress", "ingress", "inventory"]);
}

#[track_caller]
fn nothing_secret(world: &World, spans: &[Span]) {
    let told = format!("{spans:?}");
    let token = world.bench.admin_token();
    let addresses: Vec<String> = world.shops.iter().map(testkit::fake_shop::FakeShop::url).collect();
    let secrets = [FakeShopOptions::KEY, FakeShopOptions::SECRET, &token];
    for secret in secrets.into_iter().chain(addresses.iter().map(String::as_str)) {
        assert!(!told.contains(secret), "{secret}");
    }
    let shown = world.shops[1].with_model(|model, _| model.stock(HolderId::from(world.products[1][BOUGHT])));
    assert_eq!(shown, Some(UNITS_START - UNITS));
}
