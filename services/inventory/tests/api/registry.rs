//! Warehouses, shops and their jobs.

use reqwest::Method;
use serde_json::{Value, json};
use store::{Scope, TaskProgress, TaskState};
use values::Timestamp;

use crate::server::Api;
use crate::world::{listing, product, sells};

fn new_shop() -> Value {
    json!({
        "name": "berlin",
        "url": "https://shop.example/",
        "consumer_key": "ck_topsecret",
        "consumer_secret": "cs_topsecret",
        "warehouses": ["main"],
        "buffer": "2",
        "opening": "take",
        "private_addresses": false,
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body.as_object_mut().unwrap().insert(field.to_owned(), value);
    body
}

#[tokio::test]
async fn warehouses() {
    let api = Api::new().await;
    let added = api.post("/warehouses", &json!({ "name": "Склад 2" })).await.good(201);
    assert_eq!(*added.get("kind").unwrap(), "hub_owned");
    api.post("/warehouses", &json!({ "name": "erp", "kind": "mirrored" })).await.good(201);
    api.post("/warehouses", &json!({ "name": "erp" })).await.problem(409, "name-taken");
    api.post("/warehouses", &json!({ "name": "" })).await.problem(422, "invalid");
    let first = api.get("/warehouses?limit=2").await.good(200);
    assert_eq!(first.get("items").unwrap().as_array().unwrap().len(), 2);
    let next = first.get("next").unwrap().as_str().unwrap();
    let rest = api.get(&format!("/warehouses?limit=2&after={next}")).await.good(200);
    assert_eq!(rest.pointer("/items/0/name").unwrap(), "erp");
    assert_eq!(*rest.get("next").unwrap(), Value::Null);
    api.get(&format!("/shops?after={next}")).await.problem(400, "bad-request");
    api.end().await;
}

#[tokio::test]
async fn a_shop_is_connected_and_changed() {
    let api = Api::new().await;
    let added = api.post("/shops", &new_shop()).await.good(201);
    assert_eq!(*added.get("state").unwrap(), "connecting");
    assert_eq!(*added.get("url").unwrap(), "https://shop.example");
    assert_eq!(*added.get("opening").unwrap(), "take");
    let secret = added.get("webhook_secret").unwrap().as_str().unwrap().to_owned();
    assert_eq!(secret.len(), 64);
    let webhook_url = added.get("webhook_url").unwrap().as_str().unwrap();
    let token = webhook_url.strip_prefix("https://hub.example/webhooks/").unwrap();
    let shop = api.world.store.shop_of_webhook(token).await.unwrap().unwrap();

    let task = api.get(&format!("/tasks/{}", added.get("task").unwrap())).await.good(200);
    assert_eq!(
        (task.get("kind").unwrap(), task.get("state").unwrap()),
        (&json!("connect"), &json!("waiting"))
    );

    let changed = api
        .patch(
            "/shops/berlin",
            &json!({
                "buffer": "0",
                "webhook_secret": "whs_new",
                "sign_in": "query",
                "statuses": { "packed": "reserve" },
            }),
        )
        .await
        .good(200);
    assert_eq!(changed.pointer("/statuses/packed").unwrap(), "reserve");
    assert_eq!(changed.pointer("/statuses/completed").unwrap(), "deduct");
    assert_eq!(
        (added.get("sign_in"), changed.get("sign_in")),
        (Some(&json!("header")), Some(&json!("query")))
    );
    let again = api.patch("/shops/berlin", &json!({ "buffer": "1" })).await.good(200);
    assert_eq!(again.get("sign_in"), Some(&json!("query")), "what is left out stays");
    let secrets = api.world.store.shop_secrets(shop).await.unwrap().unwrap();
    {
        use secrecy::ExposeSecret;
        assert_eq!(secrets.consumer_key.expose_secret(), "ck_topsecret");
        assert_eq!(secrets.webhook_secret.expose_secret(), "whs_new");
        assert_eq!(secrets.webhook_secret_previous.unwrap().expose_secret(), secret);
    }

    // The same request again, as after a lost answer.
    api.patch("/shops/berlin", &json!({ "webhook_secret": "whs_new" })).await.good(200);
    let secrets = api.world.store.shop_secrets(shop).await.unwrap().unwrap();
    {
        use secrecy::ExposeSecret;
        assert_eq!(secrets.webhook_secret.expose_secret(), "whs_new");
        assert_eq!(secrets.webhook_secret_previous.unwrap().expose_secret(), secret);
    }

    let read = api.get("/shops/berlin").await;
    assert_eq!(read.good(200).get("webhook_url").unwrap(), webhook_url);
    let for_reader = api.bare(Method::GET, "/shops/berlin").bearer_auth(api.token(Scope::Read));
    let for_reader = api.send(for_reader).await;
    let listed = api.get("/shops").await;
    for (answer, of) in [(&read, "admin"), (&for_reader, "reader"), (&listed, "list")] {
        answer.good(200);
        for hidden in ["topsecret", "whs_new", &secret] {
            assert!(!answer.text.contains(hidden), "{of}: {}", answer.text);
        }
        assert_eq!(answer.text.contains(token), of == "admin", "{}", answer.text);
    }

    api.end().await;
}

/// Each changes another part of it, at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn changes_that_meet_are_all_there_afterwards() {
    let api = Api::new().await;
    api.post("/shops", &new_shop()).await.good(201);
    for round in 1..=20 {
        let (buffer, minutes) =
            (json!({ "buffer": round.to_string() }), json!({ "pending_hold_minutes": round }));
        let (first, second) =
            tokio::join!(api.patch("/shops/berlin", &buffer), api.patch("/shops/berlin", &minutes));
        first.good(200);
        second.good(200);
        let shop = api.get("/shops/berlin").await.good(200);
        assert_eq!(shop.get("buffer"), buffer.get("buffer"), "round {round}");
        assert_eq!(shop.get("pending_hold_minutes"), minutes.get("pending_hold_minutes"), "round {round}");
    }
    api.end().await;
}

#[tokio::test]
async fn an_address_belongs_to_one_shop_also_after_it_was_removed() {
    let api = Api::new().await;
    let added = api.post("/shops", &new_shop()).await.good(201);
    let other = with(with(new_shop(), "name", json!("other")), "url", json!("http://shop.example"));
    assert!(api.post("/shops", &other).await.detail(409, "address-taken").contains("berlin"));
    let elsewhere = with(other.clone(), "url", json!("https://other.example"));
    api.post("/shops", &elsewhere).await.good(201);
    let moved = api.patch("/shops/other", &json!({ "url": "http://shop.example" })).await;
    assert!(moved.detail(409, "address-taken").contains("berlin"));
    api.delete("/shops/other?orders=perhaps").await.problem(400, "bad-request");
    let removed = api.delete("/shops/other?orders=release").await.good(200);
    assert_eq!(
        removed,
        json!({ "order_count": 0, "reserved": "0", "orders": "release", "webhooks_deleted": 0, "webhooks_left": null })
    );

    let removed = api.delete("/shops/berlin").await.good(200);
    assert_eq!(*removed.get("orders").unwrap(), "keep");
    api.get("/shops/berlin").await.problem(404, "not-found");
    api.delete("/shops/berlin").await.problem(404, "not-found");
    assert_eq!(*api.get("/shops").await.good(200).get("items").unwrap(), json!([]));
    let back = api.post("/shops", &new_shop()).await.good(201);
    assert_eq!(
        (added.get("returned").unwrap(), back.get("returned").unwrap()),
        (&json!(false), &json!(true))
    );
    assert_eq!(*back.get("buffer").unwrap(), "2", "with what is asked for now");
    api.end().await;
}

#[tokio::test]
async fn what_a_shop_cannot_be() {
    let api = Api::new().await;
    // As WooCommerce takes it.
    api.post("/shops", &with(new_shop(), "webhook_secret", json!("żółw & <two> words"))).await.good(201);
    api.post("/shops", &new_shop()).await.problem(409, "name-taken");
    for (field, value) in [
        ("name", json!("a b")),
        ("url", json!("ftp://shop.example")),
        ("url", json!("https://ck:cs@shop.example")),
        ("consumer_key", json!("")),
        ("consumer_secret", json!("two words")),
        ("webhook_secret", json!("two\nlines")),
        ("webhook_secret", json!(" ")),
        ("warehouses", json!([])),
        ("warehouses", json!(["mian"])),
        ("buffer", json!("-1")),
        ("buffer", json!(1)),
        ("opening", json!("perhaps")),
        ("sign_in", json!("signature")),
        ("pending_hold_minutes", json!(0)),
        ("statuses", json!({ "a b": "reserve" })),
        ("colour", json!("red")),
    ] {
        let body = with(with(new_shop(), "name", json!("other")), field, value);
        let refused = api.post("/shops", &body).await;
        refused.problem(422, "invalid");
        assert!(!refused.text.contains("topsecret") && !refused.text.contains("ck:cs"), "{}", refused.text);
        if field != "name" && field != "opening" {
            api.patch("/shops/berlin", &json!({ field: body.get(field).unwrap() }))
                .await
                .problem(422, "invalid");
        }
    }
    api.end().await;
}

#[tokio::test]
async fn jobs_are_started_and_followed() {
    let api = Api::new().await;
    let shop = api.world.shop("berlin").await;
    for job in ["test", "sync", "catalogue", "audit"] {
        let started = api.post(&format!("/shops/berlin/{job}"), &json!({})).await.good(202);
        let again = api.post(&format!("/shops/berlin/{job}"), &json!({})).await.good(202);
        assert_eq!(started, again);
        let id = started.get("task").unwrap().as_i64().unwrap();
        let report = |state, report: &str| TaskProgress {
            state,
            done: 3,
            total: Some(5),
            phase: "orders".to_owned(),
            report: report.to_owned(),
        };
        let store = &api.world.store;
        store.report_task(id, &report(TaskState::Running, ""), Timestamp::default()).await.unwrap();
        let running = api.get(&format!("/tasks/{id}")).await.good(200);
        assert_eq!(*running.get("kind").unwrap(), job);
        assert_eq!((running.get("done").unwrap(), running.get("total").unwrap()), (&json!(3), &json!(5)));
        assert_eq!(*running.get("report").unwrap(), Value::Null);
        store.report_task(id, &report(TaskState::Done, r#"{"a":[1]}"#), Timestamp::default()).await.unwrap();
        let done = api.get(&format!("/tasks/{id}")).await.good(200);
        assert_eq!(done.pointer("/report/a/0").unwrap(), 1);
    }
    api.post("/shops/nowhere/test", &json!({})).await.problem(404, "not-found");
    api.get("/tasks/99").await.problem(404, "not-found");
    assert!(api.world.store.waiting_tasks(shop.id).await.unwrap().is_empty());
    api.end().await;
}

#[tokio::test]
async fn stocks_without_sku_say_what_to_do() {
    let api = Api::new().await;
    let shop = api.world.shop("berlin").await.id;
    let nameless = listing(shop, product(2), Some(2), None);
    api.world.tell([sells(shop, 1, "TEE"), nameless, sells(shop, 3, "TEE")]).await;
    let unmapped = api.get("/shops/berlin/unmapped").await.good(200);
    let items = unmapped.get("items").unwrap().as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert!(items.iter().any(|item| *item.get("stock").unwrap() == 2));
    assert!(unmapped.to_string().contains("stock 1 of the shop already has the SKU TEE"), "{unmapped}");
    let mapping = |sku: &str| json!({ "shop": "berlin", "product": 2, "variation": null, "sku": sku });
    api.post("/parked/map", &mapping("TEE")).await.problem(409, "sku-taken");
    let mapped = api.post("/parked/map", &mapping("MUG")).await.good(200);
    assert_eq!((mapped.get("stock").unwrap(), mapped.get("unchanged").unwrap()), (&json!(2), &json!(false)));
    let again = api.post("/parked/map", &mapping("MUG")).await.good(200);
    assert_eq!(*again.get("unchanged").unwrap(), true);
    let missing = json!({ "shop": "berlin", "product": 9, "sku": "MUG" });
    api.post("/parked/map", &missing).await.problem(404, "not-found");
    api.post("/parked/map", &json!({ "shop": "berlin", "product": 0, "sku": "MUG" }))
        .await
        .problem(422, "invalid");
    api.end().await;
}
