//! What becomes of requests to webhook addresses.

use proto::{Message, OrderState, Source};
use testkit::fake_shop::FakeShopOptions;
use testkit::shop::{Change, Topic, Webhook};
use values::{OrderId, ReadNumber};

use crate::http::{Answer, post, send, sign};
use crate::world::{World, buy, fake, product, secrets};

/// As `SECRET` is to WooCommerce, which decodes entities.
const KEY: &str = "a webhook's secret & more";
const OK: Answer = Answer { status: 200, retry_after: None };

fn counted(world: &World, outcome: &str) -> bool {
    world.counted(&format!("onhand_ingress_webhooks_total{{outcome=\"{outcome}\"}}")) > 0
}

#[tokio::test]
async fn an_order_that_the_shop_tells_of_is_published_as_a_hint() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    world.connect(&fake).await;
    let order = buy(&fake, item, 2).await;
    assert!(fake.run_queue().await > 0);
    assert_eq!(fake.counts().deliveries_failed, 0, "pings and deliveries are answered as the shop wants");
    let told = world
        .until("the webhook's order", async || {
            world.orders().into_iter().find(|seen| seen.source == Source::Webhook && seen.order == order)
        })
        .await;
    let OrderState::Present { status, lines } = told.state else { panic!("it is there") };
    assert_eq!((status.as_str(), lines.len()), ("processing", 1));
    // What the shop tells of the product itself makes it known, but is older than any read.
    let listing = |message: &Message| matches!(message, Message::ListingObserved(seen) if seen.number == ReadNumber::ZERO);
    world
        .until("the webhook's product", async || world.taken().iter().find(|seen| listing(seen)).cloned())
        .await;
    assert!(counted(&world, "order") && counted(&world, "listing"));
    // It tells so again with every sale; only the order is news.
    let again = buy(&fake, item, 1).await;
    assert!(fake.run_queue().await > 0);
    world.until("the next order", async || world.orders().into_iter().find(|seen| seen.order == again)).await;
    assert!(counted(&world, "told"));
    assert_eq!(world.taken().iter().filter(|seen| listing(seen)).count(), 1);
    let created = |webhook: &&Webhook| webhook.topic == Topic::OrderCreated;
    let pending = fake.with_model(|model, _| model.webhooks().find(created).unwrap().pending_delivery);
    assert!(!pending, "a ping was answered with exactly 200");
}

#[tokio::test]
async fn only_what_the_shop_signed_is_believed() {
    let (world, fake) = (World::start().await, fake().await);
    let shop = world.connect(&fake).await;
    let address = fake.with_model(|model, _| model.webhooks().next().unwrap().delivery_url.to_string());
    world.forget_taken();
    let body = br#"{"id":7,"status":"processing","date_modified_gmt":"2026-11-22T03:48:13","line_items":[]}"#;
    for signature in [None, Some(sign("another", body)), Some("not base64".to_owned()), Some(String::new())] {
        assert_eq!(post(&address, signature.as_deref(), body).await.status, 401, "{signature:?}");
    }
    let other =
        br#"{"id":8,"status":"processing","date_modified_gmt":"2026-11-22T03:48:13","line_items":[]}"#;
    assert_eq!(
        post(&address, Some(&sign(KEY, other)), body).await.status,
        401,
        "a signature of another body"
    );
    assert_eq!(world.orders(), [], "nothing of it is kept");
    assert_eq!(post(&address, None, b"webhook_id=17").await, OK);
    assert_eq!(post(&format!("{address}x"), Some(&sign(KEY, body)), body).await.status, 404);
    assert_eq!(
        post(&format!("{}/webhooks/guess", world.url), Some(&sign(KEY, body)), body).await.status,
        404
    );
    assert_eq!(post(&address, Some(&sign(KEY, body)), body).await, OK);
    assert!(counted(&world, "forged") && counted(&world, "ping") && counted(&world, "unknown"));
    let order = OrderId::new(7);
    world
        .until("the order", async || world.orders().into_iter().find(|seen| Some(seen.order) == order))
        .await;

    // The secret is changed: both are good until the old one is taken away.
    let mut rotated = secrets(FakeShopOptions::SECRET, "new");
    rotated.webhook_secret_previous = Some(crate::world::SECRET.into());
    world.store.set_shop_secrets(shop, &rotated).await.unwrap();
    let is = async |key: &str, status: u16| {
        let signature = sign(key, body);
        world
            .until("the secret is noticed", async || {
                (post(&address, Some(&signature), body).await.status == status).then_some(())
            })
            .await;
    };
    is("new", 200).await;
    assert_eq!(post(&address, Some(&sign(KEY, body)), body).await, OK);
    world.store.set_shop_secrets(shop, &secrets(FakeShopOptions::SECRET, "new")).await.unwrap();
    is(KEY, 401).await;
    is("new", 200).await;
    world.store.remove_shop(shop, store::OpenOrders::Keep, process::clock::now()).await.unwrap();
    is("new", 404).await;
}

#[tokio::test]
async fn what_a_body_does_not_say_is_read_from_the_shop() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    let address = fake.with_model(|model, _| model.webhooks().next().unwrap().delivery_url.to_string());
    let order = buy(&fake, item, 1).await;
    world.read_of(order).await;
    // Deleted for good: the shop only says the number, if anything.
    fake.act(Change::DeleteForever(order)).await.unwrap();
    let body = format!("{{\"id\":{order}}}");
    assert_eq!(post(&address, Some(&sign(KEY, body.as_bytes())), body.as_bytes()).await, OK);
    world
        .until("the order is gone", async || {
            world.orders().into_iter().find(|seen| seen.order == order && seen.state == OrderState::Gone)
        })
        .await;
    // A signed error without a number asks for an audit; one about rights is shown to people.
    let gone =
        br#"{"code":"woocommerce_rest_shop_order_invalid_id","message":"Invalid ID.","data":{"status":404}}"#;
    assert_eq!(post(&address, Some(&sign(KEY, gone)), gone).await, OK);
    let blind = br#"{"code":"woocommerce_rest_cannot_view","message":"Sorry","data":{"status":403}}"#;
    assert_eq!(post(&address, Some(&sign(KEY, blind)), blind).await, OK);
    let reading = world.store.reading(shop).await.unwrap().unwrap();
    assert!(reading.blind_at.is_some(), "{reading:?}");
    assert!(counted(&world, "audit") && counted(&world, "blind"));
}

#[tokio::test]
async fn bodies_have_a_bound_in_size_and_time() {
    let (world, fake) = (World::start().await, fake().await);
    world.connect(&fake).await;
    let address = fake.with_model(|model, _| model.webhooks().next().unwrap().delivery_url.to_string());
    let large = vec![b' '; onhand_ingress::BODY_BYTES_MAX + 1];
    assert_eq!(post(&address, Some(&sign(KEY, &large)), &large).await.status, 413);
    // Without a length it is counted as it comes.
    let mut chunked = format!("{:x}\r\n", large.len()).into_bytes();
    chunked.extend(&large);
    chunked.extend(b"\r\n0\r\n\r\n");
    let head = [("Transfer-Encoding", "chunked".to_owned()), ("X-WC-Webhook-Signature", sign(KEY, &large))];
    assert_eq!(send(&address, &head, &chunked).await.status, 413);
    let fits = &large[1..];
    assert_eq!(post(&address, Some(&sign(KEY, fits)), fits).await, OK, "of no use, so orders are audited");
    let head = [("Content-Length", "100".to_owned())];
    assert_eq!(send(&address, &head, b"{\"id\":").await.status, 408, "the rest never comes");
    assert!(counted(&world, "too_large") && counted(&world, "slow") && counted(&world, "audit"));
    assert_eq!(world.orders(), []);
}

#[tokio::test]
async fn a_full_spool_asks_the_shop_to_come_back() {
    let (world, fake) = (World::start_small(1 << 20).await, fake().await);
    world.connect(&fake).await;
    let address = fake.with_model(|model, _| model.webhooks().next().unwrap().delivery_url.to_string());
    world.fill().await;
    let line = |id: u32| {
        format!(
            r#"{{"id":{id},"product_id":1,"variation_id":0,"quantity":1,"sku":"{}","meta_data":[]}}"#,
            "s".repeat(90)
        )
    };
    let lines: Vec<String> = (1..=900).map(line).collect();
    let body = format!(
        r#"{{"id":9,"status":"processing","date_modified_gmt":"2026-11-22T03:48:13","line_items":[{}]}}"#,
        lines.join(",")
    );
    let answer = post(&address, Some(&sign(KEY, body.as_bytes())), body.as_bytes()).await;
    assert_eq!(answer, Answer { status: 503, retry_after: Some("30".to_owned()) });
    assert!(counted(&world, "refused"));
}
