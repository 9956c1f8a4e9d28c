//! Movements and orders as files for bookkeeping: all of them, with their tags.

use serde_json::{Value, json};
use values::ShopId;

use crate::server::Api;
use crate::world::{connected, read, seen, sells};

/// Two shops with other tags that sell TEE; berlin alone sells MUG. One order each.
async fn sold(api: &Api) -> (ShopId, ShopId) {
    let (berlin, vienna) = (api.world.shop("berlin").await.id, api.world.shop("vienna").await.id);
    for (name, centre) in [("berlin", "4711"), ("vienna", "=1+1")] {
        api.patch(&format!("/shops/{name}"), &json!({ "tags": { "cost-centre": centre } })).await.good(200);
    }
    api.world.tell([sells(berlin, 17, "TEE"), sells(berlin, 18, "MUG"), connected(berlin, None)]).await;
    api.world.tell([sells(vienna, 17, "TEE"), connected(vienna, None)]).await;
    api.receive("TEE", "10").await;
    api.receive("MUG", "10").await;
    let lines = [(17, 3, Some(3)), (18, 2, Some(2))];
    api.world.tell([seen(berlin, 1001, read(1, 100), "processing", 0, &lines)]).await;
    api.world.tell([seen(vienna, 2001, read(1, 100), "processing", 50, &[(17, 1, Some(1))])]).await;
    (berlin, vienna)
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_movement_is_in_the_file_with_its_tags() {
    let api = Api::new().await;
    sold(&api).await;
    let answer = api.get("/export/movements?format=jsonl").await;
    let all = objects(answer.good_text());
    assert_eq!(answer.headers.get("content-type").unwrap(), "application/jsonl");
    let told = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        (
            text("sku"),
            text("kind"),
            text("shop"),
            row["tags"]["cost-centre"].as_str().unwrap_or("-").to_owned(),
        )
    };
    let mut found: Vec<_> = all.iter().map(told).collect();
    found.sort();
    let expected = [
        ("MUG", "receipt", "-", "4711"),
        ("MUG", "reserve", "berlin", "4711"),
        // Both shops sell it, and are tagged otherwise.
        ("TEE", "receipt", "-", "-"),
        ("TEE", "reserve", "berlin", "4711"),
        ("TEE", "reserve", "vienna", "=1+1"),
    ];
    let text = |row: (&str, &str, &str, &str)| {
        (row.0.to_owned(), row.1.to_owned(), row.2.to_owned(), row.3.to_owned())
    };
    assert_eq!(found, expected.map(text));
    let only = api.get("/export/movements?format=jsonl&shop=vienna").await;
    assert_eq!(objects(only.good_text()).len(), 1);
    let none = api.get("/export/movements?format=jsonl&until=2000-01-01T00:00:00Z").await;
    assert_eq!(none.good_text(), "");
    let csv = api.get("/export/movements").await;
    let csv = csv.good_text();
    assert!(csv.starts_with("sku,number,at,warehouse,kind,"), "{csv}");
    assert_eq!(csv.lines().count(), 6, "{csv}");
    assert!(csv.contains(r#","{""cost-centre"":""4711""}""#), "{csv}");
    api.get("/export/movements?format=xml").await.problem(400, "bad-request");
    api.get("/export/movements?since=yesterday").await.problem(400, "bad-request");
    api.get("/export/movements?shop=nowhere").await.problem(404, "not-found");
    api.end().await;
}

#[tokio::test]
async fn every_line_of_an_order_is_in_the_file_with_its_tags() {
    let api = Api::new().await;
    sold(&api).await;
    let all = api.get("/export/orders?format=jsonl").await;
    let all = objects(all.good_text());
    let told = |row: &Value| {
        (row["order"].as_i64().unwrap(), row["sku"].as_str().unwrap().to_owned(), row["reserved"].clone())
    };
    let found: Vec<_> = all.iter().map(told).collect();
    let row = |order, sku: &str, reserved: &str| (order, sku.to_owned(), json!(reserved));
    assert_eq!(found, [row(1001, "TEE", "3"), row(1001, "MUG", "2"), row(2001, "TEE", "1")]);
    assert!(all.iter().all(|row| row["tags"]["cost-centre"].is_string()), "{all:?}");
    let csv = api.get("/export/orders?shop=berlin").await;
    let csv = csv.good_text();
    assert!(csv.starts_with("shop,order,status,modified_at,gone,line,sku,"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.lines().skip(1).all(|line| line.ends_with(r#","{""cost-centre"":""4711""}""#)), "{csv}");
    api.end().await;
}
