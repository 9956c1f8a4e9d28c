//! The fake shop over real sockets: what an integration relies on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use values::{HolderId, ProductId};

use super::query::encode;
use super::*;
use crate::shop::{NewLine, NewOrder, NewProduct, NewVariation, Status, Topic};

const PATIENCE: Duration = Duration::from_secs(10);

struct Client {
    http: reqwest::Client,
    url: String,
}

struct Got {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Client {
    fn new(shop: &FakeShop) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { http, url: format!("{}/wp-json/wc/v3", shop.url()) }
    }

    async fn try_call(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::Result<Got> {
        let method = method.parse().unwrap();
        let mut request = self
            .http
            .request(method, format!("{}/{path}", self.url))
            .basic_auth(FakeShopOptions::KEY, Some(FakeShopOptions::SECRET));
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Got { status, headers, text: response.text().await? })
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Got {
        self.try_call(method, path, Some(body)).await.unwrap()
    }

    async fn get(&self, path: &str) -> Got {
        self.try_call("GET", path, None).await.unwrap()
    }
}

/// One product (11, SIM-001, 25), one variable (12) with one variation (13, VAR-A-S, 10).
async fn shop_with(change: impl FnOnce(&mut FakeShopOptions)) -> (FakeShop, Client) {
    let mut options = FakeShopOptions { https: true, delivery_period: None, ..FakeShopOptions::default() };
    change(&mut options);
    let shop = FakeShop::start(options).await.unwrap();
    shop.with_model(|model, now| {
        model.skip_ids_to(11);
        model.add_product(NewProduct::simple("SIM-001".parse().ok(), 25), now);
        let parent = model.add_product(NewProduct::variable("VAR-A".parse().ok(), None), now);
        model.add_variation(parent, NewVariation::with_stock("VAR-A-S".parse().ok(), 10), now);
    });
    let client = Client::new(&shop);
    (shop, client)
}

async fn shop() -> (FakeShop, Client) {
    shop_with(|_| {}).await
}

fn stock(shop: &FakeShop) -> i64 {
    shop.with_model(|model, _| model.stock(HolderId::new(11).unwrap())).unwrap()
}

/// A receiver that keeps what it gets and answers with `status`.
async fn receiver(status: u16) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let got: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = got.clone();
    #[expect(clippy::disallowed_methods, reason = "a receiver lives as long as its test")]
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let mut part = [0; 4096];
            while !is_whole(&text) {
                let count = stream.read(&mut part).await.unwrap();
                text.push_str(std::str::from_utf8(&part[..count]).unwrap());
            }
            lock(&keep).push(text);
            let answer = format!("HTTP/1.1 {status} X\r\nLocation: /elsewhere\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, got)
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

#[tokio::test]
async fn every_kind_of_401_reads_as_recorded() {
    let keys = |permissions, key: &str| ApiKey { key: key.to_owned(), secret: "cs".to_owned(), permissions };
    let (shop, client) = shop_with(|options| {
        options.keys.push(keys(Permissions::Read, "ck_read"));
        options.keys.push(keys(Permissions::Write, "ck_write"));
    })
    .await;
    let error = "woocommerce_rest_authentication_error";
    for (method, key, secret, code, message) in [
        ("GET", "ck_none", "cs", "woocommerce_rest_cannot_view", "Sorry, you cannot list resources."),
        ("GET", "ck_read", "wrong", error, "Consumer secret is invalid."),
        ("POST", "ck_read", "cs", error, "The API key provided does not have write permissions."),
        ("GET", "ck_write", "cs", error, "The API key provided does not have read permissions."),
    ] {
        let url = format!("{}/products?consumer_key={key}&consumer_secret={secret}", client.url);
        let answer = client.http.request(method.parse().unwrap(), url).send().await.unwrap();
        assert_eq!(answer.status(), 401, "{message}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body, json!({"code": code, "message": message, "data": {"status": 401}}));
    }
    assert_eq!(shop.counts().unauthorized, 4);
    shop.stop().await;
}

#[tokio::test]
async fn plain_http_takes_oauth_and_nothing_else() {
    let (shop, client) = shop_with(|options| options.https = false).await;
    assert_eq!(client.get("products").await.status, 401, "Basic");
    let address = format!("{}/products", client.url);
    let signed = |nonce: &str, address: &str, now: i64| {
        let mut params = [
            ("_fields", "id"),
            ("oauth_consumer_key", FakeShopOptions::KEY),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_timestamp", &now.to_string()),
        ]
        .map(|(name, value)| format!("{name}={}", encode(value)));
        params.sort();
        let pairs = params.join("&");
        let base = format!("GET&{}&{}", encode(address), encode(&pairs));
        let key = format!("{}&", FakeShopOptions::SECRET);
        let bytes = auth::hmac_sha256(key.as_bytes(), base.as_bytes());
        let signature = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        format!("{pairs}&oauth_signature={}", encode(&signature))
    };
    let now = shop.now().seconds();
    let elsewhere = address.replace("127.0.0.1", "localhost");
    for (query, status, message) in [
        (signed("a", &address, now), 200, ""),
        (signed("a", &address, now), 401, "Invalid nonce - nonce has already been used."),
        (signed("b", &elsewhere, now), 401, "Invalid signature - provided signature does not match."),
        (signed("c", &address, now - 1_000), 401, "Invalid timestamp."),
    ] {
        let answer = client.http.get(format!("{address}?{query}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{message}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body.get("message").and_then(Value::as_str).unwrap_or_default(), message);
    }
    shop.stop().await;
}

#[tokio::test]
async fn pages_fields_and_dates() {
    let (shop, client) = shop_with(|options| options.clock_offset_micros = 3_600_000_000).await;
    for _ in 0..3 {
        client.call("POST", "orders", json!({"line_items": [{"product_id": 11}]})).await;
    }
    let page = client.get("orders?per_page=2&page=2&_fields=id,status").await;
    assert_eq!(page.text, r#"[{"id":14,"status":"pending"}]"#);
    assert_eq!((page.header("X-WP-Total"), page.header("X-WP-TotalPages")), ("3", "2"));
    assert!(page.header("Link").ends_with("page=1>; rel=\"prev\""), "{}", page.header("Link"));
    let beyond = client.get("orders?page=99").await;
    assert_eq!((beyond.text.as_str(), beyond.header("X-WP-Total")), ("[]", "0"));
    let order = client.get("orders/14").await.json();
    let gmt: jiff::civil::DateTime = order["date_modified_gmt"].as_str().unwrap().parse().unwrap();
    let local: jiff::civil::DateTime = order["date_modified"].as_str().unwrap().parse().unwrap();
    assert_eq!(local.since(gmt).unwrap().get_hours(), 1);
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(59);
    assert!(gmt.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp() > ahead, "by the shop's own clock");
    let date = jiff::fmt::rfc2822::parse(page.header("Date")).unwrap().timestamp();
    assert!(date > ahead);
    let after =
        |text: &str| format!("orders?modified_after={text}&dates_are_gmt=true&orderby=modified&order=asc");
    assert_eq!(client.get(&after(&gmt.to_string())).await.json().as_array().unwrap().len(), 0);
    let before = gmt.checked_sub(jiff::Span::new().seconds(5)).unwrap();
    assert_eq!(client.get(&after(&before.to_string())).await.json().as_array().unwrap().len(), 3);
    shop.stop().await;
}

#[tokio::test]
async fn batches_answer_200_with_errors_inside() {
    let (shop, client) = shop().await;
    let update = json!({"update": [
        {"id": 11, "inventory_delta": -2},
        {"id": 11, "inventory_delta": 0},
        {"id": 999, "stock_quantity": 1},
        {"id": 13, "stock_quantity": 1},
        {"id": 12, "stock_quantity": 7},
    ]});
    let got = client.call("POST", "products/batch", update).await;
    assert_eq!(got.status, 200);
    let items = got.json()["update"].as_array().unwrap().clone();
    assert_eq!(items[0]["stock_quantity"], 23);
    assert_eq!(items[2]["error"]["code"], "woocommerce_rest_product_invalid_id");
    assert_eq!(items[3]["error"]["data"]["status"], 404);
    assert_eq!((&items[4]["manage_stock"], &items[4]["stock_quantity"]), (&json!(false), &Value::Null));
    let counts = shop.take_counts();
    assert_eq!((counts.stock_writes, counts.stock_writes_without_effect, counts.batch_items), (3, 2, 5));
    let many: Vec<Value> = (0..101).map(|_| json!({"id": 11})).collect();
    assert_eq!(client.call("POST", "products/batch", json!({"update": many})).await.status, 413);
    let under = client.call("PUT", "products/12/variations/13", json!({"stock_quantity": 9})).await;
    assert_eq!((under.status, &under.json()["stock_quantity"]), (200, &json!(9)));
    shop.stop().await;
}

#[tokio::test]
async fn deliveries_are_signed_and_shaped_as_recorded() {
    let (shop, client) = shop().await;
    let (url, got) = receiver(200).await;
    let hook = json!({"topic": "order.created", "delivery_url": url, "secret": "a&lt;b", "status": "paused"});
    let created = client.call("POST", "webhooks", hook).await;
    assert_eq!((created.status, &created.json()["status"]), (201, &json!("active")));
    assert!(created.json().get("secret").is_none());
    let ping = lock(&got).remove(0);
    assert!(
        ping.contains("Content-Type: application/x-www-form-urlencoded\r\n")
            && ping.ends_with("webhook_id=1")
    );
    assert!(!ping.contains("X-WC-"), "{ping}");

    client.call("POST", "orders", json!({"status": "processing", "line_items": [{"product_id": 11}]})).await;
    assert_eq!(shop.run_queue().await, 1);
    let text = lock(&got).remove(0);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head.lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Content-Type",
            "X-WC-Webhook-Source",
            "X-WC-Webhook-Topic",
            "X-WC-Webhook-Resource",
            "X-WC-Webhook-Event",
            "X-WC-Webhook-Signature",
            "X-WC-Webhook-ID",
            "X-WC-Webhook-Delivery-ID",
            "Connection",
            "Content-Length",
        ]
    );
    let signature = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        auth::hmac_sha256(b"a<b", body.as_bytes()),
    );
    assert!(head.contains(&format!("X-WC-Webhook-Signature: {signature}\r\n")));
    assert!(body.is_ascii() && body.contains("\\u0141\\u00f3d\\u017a") && body.contains("http:\\/\\/"));
    assert!(lock(&got).is_empty(), "the ping was answered 200, so none follows a delivery");
    shop.stop().await;
}

#[tokio::test]
async fn a_receiver_behind_a_redirect_hears_nothing_and_a_failing_one_is_given_up() {
    let (shop, client) = shop().await;
    for (status, deliveries, failures, state) in
        [(301, 1, 0, "active"), (202, 1, 0, "active"), (500, 7, 6, "disabled")]
    {
        let (url, got) = receiver(status).await;
        let hook =
            client.call("POST", "webhooks", json!({"topic": "product.updated", "delivery_url": url})).await;
        let id = hook.json()["id"].as_i64().unwrap();
        for quantity in 0..deliveries {
            client.call("PUT", "products/11", json!({"stock_quantity": quantity})).await;
            shop.run_queue().await;
        }
        let failed =
            shop.with_model(|model, _| model.webhook(crate::shop::WebhookId(id)).unwrap().failure_count);
        assert_eq!(
            (failed, client.get(&format!("webhooks/{id}")).await.json()["status"].as_str()),
            (failures, Some(state))
        );
        let pings = lock(&got).iter().filter(|text| text.ends_with(&format!("webhook_id={id}"))).count();
        if status != 301 {
            assert_eq!(pings, deliveries + 1, "{status}: a ping after each delivery");
        }
        client.call("DELETE", &format!("webhooks/{id}?force=true"), json!({})).await;
    }
    shop.stop().await;
}

#[tokio::test]
async fn the_queue_runs_by_itself() {
    let (shop, client) = shop_with(|options| options.delivery_period = Some(Duration::from_millis(5))).await;
    let (url, got) = receiver(200).await;
    client.call("POST", "webhooks", json!({"topic": "order.updated", "delivery_url": url})).await;
    let lines = vec![NewLine::of(ProductId::new(11).unwrap(), 2)];
    shop.lose_deliveries(1);
    shop.act(Change::CreateOrder(NewOrder::by_checkout(Status::Processing, lines.clone()))).await.unwrap();
    let until = Instant::now() + PATIENCE;
    while shop.counts().deliveries < 1 && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    shop.repeat_deliveries(1);
    shop.act(Change::CreateOrder(NewOrder::by_checkout(Status::Processing, lines))).await.unwrap();
    while shop.counts().deliveries < 2 && Instant::now() < until {
        tokio::task::yield_now().await;
    }
    let counts = shop.counts();
    assert_eq!(
        (counts.deliveries, counts.deliveries_failed, lock(&got).len()),
        (2, 1, 3),
        "ping, and one twice"
    );
    shop.stop().await;
}

#[tokio::test]
async fn deliveries_that_are_held_up_arrive_as_they_were_sent() {
    let options = FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() };
    let shop = FakeShop::start(options).await.unwrap();
    let (url, got) = receiver(200).await;
    let product = shop.with_model(|model, now| {
        let webhook = model.create_webhook(Topic::OrderUpdated, &url, "secret", now);
        model.pinged(webhook, true);
        model.add_product(NewProduct::simple(None, 9), now)
    });
    let order = NewOrder::by_rest(Status::Pending, vec![NewLine::of(product, 2)]);
    shop.hold_deliveries(true);
    let order = shop.act(Change::CreateOrder(order)).await.unwrap().order.unwrap();
    assert_eq!(shop.run_queue().await, 1);
    shop.act(Change::SetStatus { order, status: Status::Completed }).await.unwrap();
    assert_eq!((shop.run_queue().await, lock(&got).len()), (1, 0));
    shop.hold_deliveries(false);
    assert_eq!((shop.send_held(true).await, shop.send_held(true).await), (2, 0));
    let told: Vec<bool> = lock(&got).iter().map(|got| got.contains(r#""status":"completed""#)).collect();
    assert_eq!(told, [true, false], "the last one first, each as it was when it was sent");
    shop.stop().await;
}

#[tokio::test]
async fn faults_before_and_after_the_effect() {
    let (shop, client) = shop().await;
    let put =
        |quantity: i64| client.try_call("PUT", "products/11", Some(json!({"stock_quantity": quantity})));
    for (kind, status, effect) in [
        (FaultKind::TooMany(RetryAfter::Seconds(7)), Some(429), false),
        (FaultKind::Unavailable(RetryAfter::Unsaid), Some(503), false),
        (FaultKind::ErrorAfter, Some(500), true),
        (FaultKind::CutBefore, None, false),
        (FaultKind::CutAfter, None, true),
        (FaultKind::Html, Some(200), false),
        (FaultKind::TruncatedJson, Some(200), true),
        (FaultKind::Slow(Duration::from_millis(1)), Some(200), true),
        (FaultKind::Redirect("http://127.0.0.1:1/".to_owned()), Some(301), false),
    ] {
        let before = stock(&shop);
        shop.fault(Fault::next("PUT products", kind.clone()));
        let got = put(before + 1).await;
        assert_eq!(got.as_ref().ok().map(|got| got.status), status, "{kind:?}");
        assert_eq!(stock(&shop) - before, i64::from(effect), "{kind:?}");
        if let Ok(got) = got {
            match kind {
                FaultKind::TooMany(_) => assert_eq!(got.header("Retry-After"), "7"),
                FaultKind::Html | FaultKind::TruncatedJson => assert_eq!(got.json(), Value::Null),
                _ => {}
            }
        }
    }
    shop.fault(Fault::next("PUT", FaultKind::TooMany(RetryAfter::Date(Duration::from_mins(1)))));
    let date = put(1).await.unwrap();
    assert!(jiff::fmt::rfc2822::parse(date.header("Retry-After")).is_ok());
    assert_eq!(shop.counts().faults, 10);
    shop.stop().await;
}

#[tokio::test]
async fn what_hangs_may_still_have_its_effect() {
    let (shop, client) = shop().await;
    for (kind, effect) in [(FaultKind::HangBefore, false), (FaultKind::HangAfter, true)] {
        let before = stock(&shop);
        shop.fault(Fault::next("PUT", kind));
        let put = client.try_call("PUT", "products/11", Some(json!({"inventory_delta": 1})));
        let hung = tokio::time::timeout(Duration::from_millis(300), put).await;
        assert!(hung.is_err());
        let until = Instant::now() + PATIENCE;
        while effect && stock(&shop) == before && Instant::now() < until {
            tokio::task::yield_now().await;
        }
        assert_eq!(stock(&shop) - before, i64::from(effect));
    }
    let started = Instant::now();
    shop.stop().await;
    assert!(started.elapsed() < STOP_PATIENCE, "what hangs does not hold up the stop");
}

#[tokio::test]
async fn others_look_into_a_write_that_pauses() {
    let (shop, client) = shop().await;
    let created =
        client.call("POST", "orders", json!({"line_items": [{"product_id": 11, "quantity": 2}]})).await;
    let order = created.json()["id"].as_i64().unwrap();
    let path = format!("orders/{order}");
    shop.fault(Fault::next("PUT orders", FaultKind::PauseBetweenSteps(Duration::from_millis(400))));
    let pay = client.call("PUT", &path, json!({"status": "processing"}));
    let look = async {
        let mut seen = Vec::new();
        loop {
            let body = client.get(&path).await.json();
            let reduced = body["line_items"][0]["meta_data"].as_array().unwrap().len();
            let now = (body["status"].as_str().unwrap().to_owned(), stock(&shop), reduced);
            if seen.last() != Some(&now) {
                seen.push(now.clone());
            }
            if now.2 == 1 {
                return seen;
            }
        }
    };
    let (_, seen) = tokio::join!(pay, look);
    let state = |status: &str, stock, reduced| (status.to_owned(), stock, reduced);
    assert!(seen.contains(&state("processing", 25, 0)), "{seen:?}");
    assert!(seen.contains(&state("processing", 23, 0)), "{seen:?}");
    shop.stop().await;
}

#[tokio::test]
async fn a_difference_puts_back_what_was_sold_between_its_two_steps() {
    let (shop, client) = shop().await;
    shop.fault(Fault::next("PUT products", FaultKind::PauseBetweenSteps(Duration::from_millis(200))));
    let product = ProductId::new(11).unwrap();
    let mut push = std::pin::pin!(client.call("PUT", "products/11", json!({"inventory_delta": 1})));
    let mut sold = 0;
    loop {
        tokio::select! {
            biased;
            pushed = push.as_mut() => break assert_eq!(pushed.status, 200),
            _ = client.get("products/11") => {
                let order = NewOrder::by_rest(Status::Processing, vec![NewLine::of(product, 1)]);
                shop.with_model(|model, now| model.run(Change::CreateOrder(order), now).unwrap());
                sold += 1;
            }
        }
    }
    let counts = shop.take_counts();
    let put_back = i64::try_from(counts.units_put_back()).unwrap();
    assert!(put_back > 0, "{sold} were sold meanwhile");
    let shown = 25 + 1 - sold + put_back;
    assert_eq!(shop.with_model(|model, _| model.stock(product.into())), Some(shown));
    client.call("PUT", "products/11", json!({"inventory_delta": -1})).await;
    let counts = shop.take_counts();
    assert_eq!((counts.units_put_back(), counts.bytes_received), (0, 22));
    assert!(counts.bytes_sent > 1_000, "{counts:?}");
    shop.stop().await;
}

#[tokio::test]
async fn a_shop_comes_back_where_it_was() {
    let (shop, _) = shop().await;
    let port = shop.address().port();
    let model = shop.stop().await;
    let again =
        FakeShop::start_with(model, FakeShopOptions { https: true, ..FakeShopOptions::default() }, port)
            .await;
    let again = again.unwrap();
    assert_eq!(Client::new(&again).get("products/11").await.json()["stock_quantity"], 25);
    again.stop().await;
}
