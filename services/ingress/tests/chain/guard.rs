//! The guardian of webhooks: they are made, kept as they were made, and missed when they do not come.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use process::Tasks;
use proto::Source;
use store::{ConditionKind, TaskKind, TaskState};
use testkit::fake_shop::{FakeShop, FakeShopOptions, Fault, FaultKind};
use testkit::shop::{Topic, WebhookStatus};
use tokio::net::TcpListener;

use crate::world::{Public, World, buy, fake, product};

/// Number, topic and address of the active webhooks.
fn active(fake: &FakeShop) -> Vec<(i64, Topic, String)> {
    fake.with_model(|model, _| {
        let active = model.webhooks().filter(|webhook| webhook.status == WebhookStatus::Active);
        active.map(|webhook| (webhook.id.0, webhook.topic, webhook.delivery_url.to_string())).collect()
    })
}

/// Waits until each topic has exactly one active webhook that delivers to the process, and none of `gone` is left.
async fn whole(world: &World, fake: &FakeShop, gone: &[i64]) {
    let is_whole = async || {
        let mut topics = BTreeMap::<Topic, usize>::new();
        for (id, topic, url) in active(fake) {
            if url.starts_with(&world.url) {
                *topics.entry(topic).or_default() += 1;
            }
            if gone.contains(&id) {
                return None;
            }
        }
        (topics.len() == Topic::ALL.len() && topics.values().all(|count| *count == 1)).then_some(())
    };
    world.until("one active webhook of each topic", is_whole).await;
}

async fn heard_of_an_order(world: &World, fake: &FakeShop) {
    let item = product(fake, "heard", 10);
    let order = buy(fake, item, 1).await;
    assert!(fake.run_queue().await > 0);
    assert_eq!(fake.counts().deliveries_failed, 0);
    world
        .until("the order by webhook", async || {
            world.orders().into_iter().find(|seen| seen.order == order && seen.source == Source::Webhook)
        })
        .await;
}

#[tokio::test]
async fn webhooks_are_made_when_a_shop_is_connected_and_those_of_others_are_left_alone() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let others = fake.with_model(|model, now| {
        let id = model.create_webhook(Topic::OrderCreated, "http://127.0.0.1:9/erp", "x", now);
        model.edit_webhook(id, now, |webhook| webhook.status = WebhookStatus::Disabled);
        id
    });
    let (shop, task) = world.connect_guarded(&fake).await;
    whole(&world, &fake, &[]).await;
    let report: serde_json::Value = serde_json::from_str(&task.progress.report).unwrap();
    assert_eq!(report["webhooks"], 8, "{report}");
    heard_of_an_order(&world, &fake).await;
    assert_eq!(world.store.conditions(shop).await.unwrap(), [], "the shop's ping was heard");
    let made = active(&fake);
    let world = world.restart().await;
    world.until("another look", async || (fake.counts().calls_of("GET webhooks") > 20).then_some(())).await;
    assert_eq!(active(&fake).len(), made.len());
    let other = fake.with_model(|model, _| model.webhook(others).unwrap().status);
    assert_eq!(other, WebhookStatus::Disabled);
}

#[tokio::test]
async fn one_that_may_have_been_made_is_found_by_its_address() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    fake.fault(Fault::many("POST webhooks", 3, FaultKind::CutAfter));
    let (shop, _) = world.connect_guarded(&fake).await;
    whole(&world, &fake, &[]).await;
    heard_of_an_order(&world, &fake).await;
    assert_eq!(world.condition(shop, ConditionKind::WebhooksMended).await, None, "nothing was broken");
}

#[tokio::test]
async fn what_is_broken_is_made_anew_and_what_it_did_not_tell_is_read() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    whole(&world, &fake, &[]).await;
    world.poll_rarely(shop).await;
    let item = product(&fake, "A", 100);
    for (round, spoil) in ["disabled", "paused", "edited", "missing", "moved"].into_iter().enumerate() {
        let before = process::clock::now();
        let broken = fake.with_model(|model, now| {
            let ids: Vec<_> = model
                .webhooks()
                .filter(|webhook| webhook.topic.resource() == "order")
                .map(|webhook| webhook.id)
                .collect();
            for id in &ids {
                if spoil == "missing" {
                    model.delete_webhook(*id);
                }
                model.edit_webhook(*id, now, |webhook| match spoil {
                    "disabled" => {
                        webhook.status = WebhookStatus::Disabled;
                        webhook.failure_count = 6;
                    }
                    "paused" => webhook.status = WebhookStatus::Paused,
                    "edited" => webhook.topic = Topic::ProductCreated,
                    _ => webhook.delivery_url = "http://127.0.0.1:9/elsewhere".into(),
                });
            }
            ids.into_iter().map(|id| id.0).collect::<Vec<_>>()
        });
        let order = buy(&fake, item, 1).await;
        let mended = world.raised_since(shop, ConditionKind::WebhooksMended, before).await;
        let fault = if spoil == "moved" { "edited" } else { spoil };
        assert!(mended.what.contains(&format!("order.updated ({fault})")), "round {round}: {}", mended.what);
        whole(&world, &fake, &broken).await;
        // Nothing was delivered and no poll is due: it is read because of the gap.
        world.read_of(order).await;
        let counts = fake.with_model(|model, _| model.webhooks().map(|webhook| webhook.failure_count).max());
        assert_eq!(counts, Some(0), "re-enabling would have kept six failures");
        world.cleared(shop, ConditionKind::WebhooksMended).await;
    }
}

#[tokio::test]
async fn doubles_are_reduced_to_one() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    let (_, topic, url) = active(&fake).remove(1);
    let before = process::clock::now();
    let double = fake.with_model(|model, now| model.create_webhook(topic, &url, "x", now));
    let mended = world.raised_since(shop, ConditionKind::WebhooksMended, before).await;
    assert!(mended.what.contains("(doubled)"), "{}", mended.what);
    whole(&world, &fake, &[double.0]).await;
}

#[tokio::test]
async fn another_secret_is_given_to_the_shop() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    let before: Vec<i64> = active(&fake).into_iter().map(|(id, ..)| id).collect();
    let secrets = crate::world::secrets(FakeShopOptions::SECRET, "another secret");
    world.store.set_shop_secrets(shop, &secrets).await.unwrap();
    whole(&world, &fake, &before).await;
    heard_of_an_order(&world, &fake).await;
    assert_eq!(world.condition(shop, ConditionKind::WebhooksMended).await, None, "nobody broke them");
}

/// Sends everybody on to another address until it is told not to; then everything is well.
async fn redirecting() -> (SocketAddr, Arc<AtomicBool>, Tasks) {
    let redirects = Arc::new(AtomicBool::new(true));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let still = Arc::clone(&redirects);
    let answer = move |headers: HeaderMap| {
        let to = format!("http://{}/moved", headers[header::HOST].to_str().unwrap());
        let redirects = still.load(Ordering::Relaxed);
        std::future::ready(if redirects {
            (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, to)]).into_response()
        } else {
            StatusCode::OK.into_response()
        })
    };
    let router = Router::new().fallback(answer);
    let tasks = Tasks::new();
    tasks.spawn("redirects", async move { axum::serve(listener, router).await });
    (address, redirects, tasks)
}

#[tokio::test]
async fn a_redirect_before_our_address_is_noticed_and_so_is_its_end() {
    let (address, redirects, _tasks) = redirecting().await;
    let (world, fake) = (World::start_guarding(Public::At(format!("http://{address}"))).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    let redirected = world.raised(shop, ConditionKind::WebhooksRedirected).await;
    assert!(redirected.what.contains(&format!("status 301, to http://{address}")), "{}", redirected.what);
    // The shop counts every delivery as a success all the while.
    let item = product(&fake, "A", 10);
    buy(&fake, item, 1).await;
    assert!(fake.run_queue().await > 0);
    assert_eq!(fake.counts().deliveries_failed, 0);
    redirects.store(false, Ordering::Relaxed);
    world.cleared(shop, ConditionKind::WebhooksRedirected).await;
}

#[tokio::test]
async fn a_shop_whose_webhooks_are_in_doubt_is_polled_more_often() {
    let (address, _redirects, _tasks) = redirecting().await;
    let (world, fake) = (World::start_guarding(Public::At(format!("http://{address}"))).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    world.raised(shop, ConditionKind::WebhooksRedirected).await;
    world.poll_rarely(shop).await;
    world.polled_every(shop, Duration::from_mins(15)).await;

    let (world, fake) = (World::start_guarding(Public::Itself).await, crate::world::fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    world.poll_rarely(shop).await;
    world.polled_every(shop, Duration::from_hours(1)).await;
    let reading = world.store.reading(shop).await.unwrap().unwrap();
    let calls = reading.calls.at(process::clock::now());
    let read = |what: &str| calls.get(what).map_or(0, |calls| calls.this_hour + calls.hour_before);
    assert!(read("orders") > 2 && read("webhooks") > 0 && read("catalogue") > 0, "{calls:?}");
}

#[tokio::test]
async fn orders_that_no_webhook_tells_of_are_noticed_and_so_is_the_first_that_comes() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    let item = product(&fake, "A", 10);
    for _ in 0..2 {
        let order = buy(&fake, item, 1).await;
        world.read_of(order).await;
    }
    let silent = world.raised(shop, ConditionKind::WebhooksSilent).await;
    assert!(silent.what.starts_with("2 orders have changed"), "{}", silent.what);
    assert!(fake.run_queue().await > 0);
    world.cleared(shop, ConditionKind::WebhooksSilent).await;
}

#[tokio::test]
async fn an_address_that_wordpress_never_calls_is_told_in_plain_words() {
    let options =
        FakeShopOptions { delivery_period: None, safe_deliveries: true, ..FakeShopOptions::default() };
    let (world, fake) =
        (World::start_guarding(Public::Itself).await, FakeShop::start(options).await.unwrap());
    let (shop, _) = world.connect_guarded(&fake).await;
    let found = world.raised(shop, ConditionKind::WebhookAddress).await;
    assert!(found.what.starts_with("WordPress never calls port "), "{}", found.what);
    assert_eq!(world.condition(shop, ConditionKind::WebhooksUnreachable).await, None);
    // Where a filter of the shop lets it through after all, the first that comes says so.
    let address = active(&fake)[0].2.clone();
    let ping = b"webhook_id=5";
    assert_eq!(crate::http::post(&address, None, ping).await.status, 200);
    world.cleared(shop, ConditionKind::WebhookAddress).await;
}

#[tokio::test]
async fn a_shop_that_lets_nobody_make_webhooks_is_connected_all_the_same() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    fake.fault(Fault::many("POST webhooks", u64::MAX, FaultKind::Status(403)));
    let (shop, _) = world.connect_guarded(&fake).await;
    let found = world.raised(shop, ConditionKind::WebhooksNotMade).await;
    assert!(found.what.contains("does not let onhand make its webhooks"), "{}", found.what);
    fake.clear_faults();
    world.cleared(shop, ConditionKind::WebhooksNotMade).await;
    whole(&world, &fake, &[]).await;
}

#[tokio::test]
async fn a_shop_that_goes_is_rid_of_ours_and_none_are_made_meanwhile() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let other = fake.with_model(|model, now| {
        model.create_webhook(Topic::OrderCreated, "http://127.0.0.1:9/erp", "x", now)
    });
    let (shop, _) = world.connect_guarded(&fake).await;
    whole(&world, &fake, &[]).await;
    // Somebody has paused one.
    fake.with_model(|model, now| {
        let ours = model.webhooks().filter(|webhook| webhook.id != other).map(|webhook| webhook.id);
        let ours: Vec<_> = ours.collect();
        model.edit_webhook(ours[0], now, |webhook| webhook.status = WebhookStatus::Paused);
    });
    let before = fake.counts().calls_of("GET webhooks");
    let task = world.run_task(shop, TaskKind::Unhook).await;
    assert_eq!(task.progress.state, TaskState::Done, "{task:?}");
    assert!(task.progress.report.contains("\"unhooked\":"), "{task:?}");
    let left =
        |fake: &FakeShop| fake.with_model(|model, _| model.webhooks().map(|w| w.id).collect::<Vec<_>>());
    assert_eq!(left(&fake), [other]);
    let looked = fake.counts().calls_of("GET webhooks");
    assert!(looked > before);
    buy(&fake, product(&fake, "A", 3), 1).await;
    let polls = fake.counts().calls_of("GET orders");
    world
        .until("it was polled for a while", async || {
            (fake.counts().calls_of("GET orders") > polls + 20).then_some(())
        })
        .await;
    assert_eq!((left(&fake), fake.counts().calls_of("GET webhooks")), (vec![other], looked), "it is leaving");
}

#[tokio::test]
async fn a_removal_that_is_over_takes_nothing_from_a_shop_that_is_back() {
    let (world, fake) = (World::start_guarding(Public::Itself).await, fake().await);
    let (shop, _) = world.connect_guarded(&fake).await;
    whole(&world, &fake, &[]).await;
    let added = world.store.shops(Some(&[shop])).await.unwrap()[0].created_at;
    let long_ago = added - Duration::from_millis(1);
    let id = world.store.add_task(shop, TaskKind::Unhook, long_ago).await.unwrap();
    world
        .until("it is ended", async || {
            let task = world.store.task(id).await.unwrap().unwrap();
            (task.progress.state == TaskState::Failed).then_some(())
        })
        .await;
    whole(&world, &fake, &[]).await;
}
