//! Moving stock: all or nothing, once for each key.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Api;
use crate::world::units;

fn operation(kind: &str, sku: &str, quantity: &str) -> Value {
    json!({ "kind": kind, "sku": sku, "warehouse": "main", "quantity": quantity, "reason": "a test" })
}

#[tokio::test]
async fn each_kind_does_what_it_says() {
    let api = Api::new().await;
    api.post("/warehouses", &json!({ "name": "east" })).await.good(201);
    let transfer =
        json!({ "kind": "transfer", "sku": "TEE", "warehouse": "main", "to": "east", "quantity": "1.5" });
    let all = json!([
        operation("receive", "TEE", "10"),
        operation("adjust", "TEE", "-0.5"),
        transfer,
        operation("count", "MUG", "7")
    ]);
    let answer = api.operate("all", all).await.good(200);
    assert_eq!(*answer.get("operation_count").unwrap(), 4);
    let stock = api.get("/stock?sku=TEE&sku=MUG&sku=NOTHING").await.good(200);
    assert_eq!(stock.get("items").unwrap().as_array().unwrap().len(), 2);
    assert_eq!(stock.pointer("/items/0/sku").unwrap(), "MUG");
    assert_eq!(stock.pointer("/items/0/warehouses/0/on_hand").unwrap(), "7");
    assert_eq!(stock.pointer("/items/1/warehouses/0/on_hand").unwrap(), "8");
    assert_eq!(stock.pointer("/items/1/warehouses/1/on_hand").unwrap(), "1.5");
    let movements = api.get("/movements?sku=TEE&limit=2").await.good(200);
    let first = movements.pointer("/items/0").unwrap();
    assert_eq!(*first.get("kind").unwrap(), "receipt");
    assert_eq!(*first.get("actor").unwrap(), "boss");
    assert_eq!(*first.get("operation").unwrap(), "all");
    assert_eq!(*first.get("reason").unwrap(), "a test");
    assert_eq!(first.get("trace").unwrap().as_str().unwrap().len(), 32);
    let next = movements.get("next").unwrap().as_str().unwrap();
    let rest = api.get(&format!("/movements?sku=TEE&after={next}")).await;
    assert_eq!(rest.good(200).get("items").unwrap().as_array().unwrap().len(), 2);
    api.get("/movements?sku=NOTHING").await.problem(404, "not-found");
    api.end().await;
}

#[tokio::test]
async fn a_key_is_done_once() {
    let api = Api::new().await;
    for kind in ["receive", "count"] {
        // The second count finds what was expected and moves nothing.
        let (sku, key) = (format!("OF-{kind}"), format!("of-{kind}"));
        api.operate(&format!("{key}-before"), json!([operation(kind, &sku, "2")])).await.good(200);
        let first = api.operate(&key, json!([operation(kind, &sku, "2")])).await;
        api.operate(&format!("{key}-after"), json!([operation("adjust", &sku, "5")])).await.good(200);
        let again = api.operate(&key, json!([operation(kind, &sku, "2")])).await;
        assert_eq!(first.text, again.text, "{kind}");
        let left = if kind == "receive" { "4" } else { "2" };
        let balance =
            json!({ "sku": sku, "warehouse": "main", "on_hand": left, "reserved": "0", "available": left });
        assert_eq!(*again.good(200).get("balances").unwrap(), json!([balance]), "{kind}");
    }

    let first = api.operate("k1", json!([operation("receive", "TEE", "3")])).await;
    assert_eq!(first.headers.get("idempotency-replayed"), None);
    let again = api.operate("k1", json!([operation("receive", "TEE", "3")])).await;
    assert_eq!(again.headers.get("idempotency-replayed").unwrap(), "true");
    assert_eq!(first.good(200), again.good(200));
    let other = api.operate("k1", json!([operation("receive", "TEE", "4")])).await;
    assert!(other.detail(409, "key-reused").contains("of no use"));
    assert_eq!(api.world.balance("TEE").await.on_hand, units(3));
    for key in ["", "a b", "ż", &"x".repeat(201)] {
        let request = api.request(Method::POST, "/operations").header("Idempotency-Key", key);
        api.send(request.json(&json!({ "operations": [operation("receive", "TEE", "1")] })))
            .await
            .problem(400, "bad-request");
    }
    let keyless = json!({ "operations": [operation("receive", "TEE", "1")] });
    let refused = api.post("/operations", &keyless).await;
    assert!(refused.detail(400, "bad-request").contains("Idempotency-Key"));
    api.end().await;
}

#[tokio::test]
async fn a_batch_is_done_whole_or_refused_by_row() {
    let api = Api::new().await;
    api.post("/warehouses", &json!({ "name": "erp", "kind": "mirrored" })).await.good(201);
    api.receive("TEE", "5").await;
    let wrong = json!([
        operation("receive", "TEE", "1"),
        operation("receive", "TEE", "0"),
        operation("receive", "", "1"),
        operation("count", "TEE", "-1"),
        { "kind": "receive", "sku": "TEE", "warehouse": "mian", "quantity": "1" },
        { "kind": "receive", "sku": "TEE", "warehouse": "erp", "quantity": "1" },
        { "kind": "adjust", "sku": "TEE", "warehouse": "main", "quantity": "1" },
        { "kind": "transfer", "sku": "TEE", "warehouse": "main", "quantity": "1" },
        { "kind": "transfer", "sku": "TEE", "warehouse": "main", "to": "main", "quantity": "1" },
        { "kind": "receive", "sku": "TEE", "warehouse": "main", "to": "main", "quantity": "1" },
        operation("receive", "TEE", "1,5"),
        { "kind": "receive", "sku": "TEE", "warehouse": "main", "quantity": "1", "reason": "x".repeat(501) },
    ]);
    let refused = api.operate("wrong", wrong).await.problem(422, "invalid");
    let rows: Vec<i64> = refused
        .get("rows")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.get("row").unwrap().as_i64().unwrap())
        .collect();
    assert_eq!(rows, (2..=12).collect::<Vec<_>>(), "{refused}");
    let short = json!([
        operation("receive", "MUG", "1"),
        operation("adjust", "TEE", "-4"),
        operation("adjust", "TEE", "-2"),
    ]);
    let refused = api.operate("short", short.clone()).await.problem(409, "insufficient-available");
    assert_eq!(refused.pointer("/rows/0/row").unwrap(), 3);
    assert_eq!(refused.pointer("/rows/0/problem").unwrap(), "only 1 is available");
    assert_eq!(api.world.balance("TEE").await.on_hand, units(5));
    assert!(api.world.store.stock_of(&["MUG".parse().unwrap()]).await.unwrap().is_empty());
    // The key is still free: what is refused may be tried again.
    api.receive("TEE", "1").await;
    api.operate("short", short).await.good(200);
    api.end().await;
}

#[tokio::test]
async fn batches_are_bounded() {
    let api = Api::new().await;
    api.operate("none", json!([])).await.problem(422, "invalid");
    let many = |count: usize| Value::Array(vec![operation("receive", "TEE", "0.001"); count]);
    api.operate("more", many(1_001)).await.problem(422, "invalid");
    api.operate("most", many(1_000)).await.good(200);
    assert_eq!(api.world.balance("TEE").await.on_hand, units(1));
    api.end().await;
}
