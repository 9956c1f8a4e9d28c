//! Shipping orders: all or nothing, once for each key, and what is told of it.

use proto::{Message, ShipmentMade};
use reqwest::Method;
use serde_json::{Value, json};
use store::{ReportState, ReportWanted, ShipmentId};
use values::{OrderId, ShopId};

use crate::server::{Answer, Api};
use crate::world::{connected, read, seen, sells};

/// A shop that sells TEE and MUG; order 1001 has 3 and 2 of them, and one of something without SKU.
async fn sold(api: &Api) -> ShopId {
    let shop = api.world.shop("berlin").await.id;
    api.receive("TEE", "10").await;
    api.receive("MUG", "10").await;
    api.world.tell([sells(shop, 17, "TEE"), sells(shop, 18, "MUG"), connected(shop, None)]).await;
    let lines = [(17, 3, Some(3)), (18, 2, Some(2))];
    api.world.tell([seen(shop, 1001, read(1, 100), "processing", 0, &lines)]).await;
    shop
}

async fn ship(api: &Api, key: &str, body: &Value) -> Answer {
    let request = api.request(Method::POST, "/orders/berlin/1001/shipments");
    api.send(request.header("Idempotency-Key", key).json(body)).await
}

/// The numbers of the order's lines.
async fn lines(api: &Api) -> Vec<i64> {
    let order = api.get("/orders/berlin/1001").await.good(200);
    let lines = order.get("lines").unwrap().as_array().unwrap();
    lines.iter().map(|line| line.get("line").unwrap().as_i64().unwrap()).collect()
}

async fn balance(api: &Api, sku: &str) -> (String, String) {
    let stock = api.get(&format!("/stock?sku={sku}")).await.good(200);
    let text =
        |what| stock.pointer(&format!("/items/0/warehouses/0/{what}")).unwrap().as_str().unwrap().to_owned();
    (text("on_hand"), text("reserved"))
}

async fn told(api: &Api, number: u32, revision: u64) -> ShipmentMade {
    api.world
        .told("of a shipment", |message| match message {
            Message::ShipmentMade(made) if (made.number, made.revision.get()) == (number, revision) => {
                Some(made.clone())
            }
            _ => None,
        })
        .await
}

#[tokio::test]
async fn what_is_reserved_leaves_and_the_shop_is_told() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    let lines = lines(&api).await;
    let part = json!({ "lines": [{ "line": lines[0], "quantity": "1" }], "carrier": " DHL ", "tracking": "00340",
        "tracking_url": "https://dhl.example/00340" });
    let first = ship(&api, "a", &part).await;
    let body = first.good(200);
    assert_eq!((body.get("number").unwrap(), body.get("complete").unwrap()), (&json!(1), &json!(false)));
    assert_eq!(body.get("carrier").unwrap(), "DHL");
    assert_eq!(body.pointer("/lines/0/sku").unwrap(), "TEE");
    assert_eq!(body.get("status").unwrap(), &Value::Null, "a part changes no status unless that is set");
    let note =
        "Part of your order has been shipped with DHL, tracking number 00340: https://dhl.example/00340";
    assert_eq!(body.get("note").unwrap(), &json!({ "text": note, "state": "waiting" }));
    assert_eq!(balance(&api, "TEE").await, ("9".to_owned(), "2".to_owned()));
    let made = told(&api, 1, 1).await;
    assert_eq!((made.shop, made.order.get(), made.status), (shop, 1001, None));
    assert_eq!(made.note.unwrap().as_str(), note);

    let again = ship(&api, "a", &part).await;
    assert_eq!(
        (again.good(200), again.headers.get("idempotency-replayed").unwrap()),
        (body, &"true".parse().unwrap())
    );
    ship(&api, "a", &json!({})).await.problem(409, "key-reused");
    assert_eq!(balance(&api, "TEE").await, ("9".to_owned(), "2".to_owned()), "once");

    let rest = ship(&api, "b", &json!({})).await.good(200);
    assert_eq!((rest.get("number").unwrap(), rest.get("complete").unwrap()), (&json!(2), &json!(true)));
    assert_eq!(rest.get("status").unwrap(), &json!({ "text": "completed", "state": "waiting" }));
    assert_eq!(rest.get("note").unwrap(), &Value::Null, "there is nothing to say of how it travels");
    assert_eq!(told(&api, 2, 1).await.status.unwrap().as_str(), "completed");
    ship(&api, "c", &json!({})).await.problem(409, "not-now");
    // The shop still says that it is to be packed: nothing comes back.
    let shown = [(17, 3, Some(3)), (18, 2, Some(2))];
    api.world.tell([seen(shop, 1001, read(2, 300), "processing", 200, &shown)]).await;
    assert_eq!(balance(&api, "TEE").await, ("7".to_owned(), "0".to_owned()));
    assert_eq!(balance(&api, "MUG").await, ("8".to_owned(), "0".to_owned()));
    let order = api.get("/orders/berlin/1001").await.good(200);
    assert_eq!(order.get("shipments").unwrap().as_array().unwrap().len(), 2);
    assert_eq!(order.pointer("/lines/0/holds/0/sent").unwrap(), "3");
    api.end().await;
}

#[tokio::test]
async fn what_is_not_reserved_is_refused_line_by_line() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    let lines = lines(&api).await;
    let wanted = json!({ "lines": [{ "line": lines[0], "quantity": "3" }, { "line": lines[1], "quantity": "3" },
        { "line": 9_999, "quantity": "1" }] });
    let refused = ship(&api, "a", &wanted).await.problem(409, "not-reserved");
    let rows: Vec<&Value> =
        refused.get("rows").unwrap().as_array().unwrap().iter().map(|row| &row["row"]).collect();
    assert_eq!(rows, [2, 3], "{refused}");
    assert!(
        refused["detail"].as_str().unwrap().contains(&format!("only 2 of line {} is reserved", lines[1]))
    );
    assert_eq!(balance(&api, "TEE").await, ("10".to_owned(), "3".to_owned()), "nothing of it");
    for wrong in [
        json!({ "carrier": "a\nb" }),
        json!({ "tracking": "<b>" }),
        json!({ "tracking_url": "javascript:alert(1)" }),
        json!({ "tracking": "x".repeat(101) }),
        json!({ "lines": [{ "line": lines[0], "quantity": "0" }] }),
        json!({ "lines": [{ "line": 0, "quantity": "1" }] }),
    ] {
        ship(&api, "b", &wrong).await.problem(422, "invalid");
    }
    api.post("/orders/berlin/1001/shipments", &json!({})).await.problem(400, "bad-request");
    let unknown = api.request(Method::POST, "/orders/berlin/7/shipments").header("Idempotency-Key", "c");
    api.send(unknown.json(&json!({}))).await.problem(404, "not-found");
    api.world.tell([seen(shop, 1001, read(2, 300), "cancelled", 200, &[(17, 3, None), (18, 2, None)])]).await;
    let cancelled = ship(&api, "d", &json!({})).await.detail(409, "not-now");
    assert!(cancelled.contains("cancelled"), "{cancelled}");
    api.end().await;
}

#[tokio::test]
async fn a_shop_is_told_as_is_set_for_it() {
    let api = Api::new().await;
    sold(&api).await;
    let set =
        json!({ "shipped_status": "", "partly_shipped_status": "wc-partly-shipped", "shipment_note": false });
    let shop = api.patch("/shops/berlin", &set).await.good(200);
    assert_eq!(shop.get("shipped_status").unwrap(), &Value::Null);
    assert_eq!(shop.get("partly_shipped_status").unwrap(), "partly-shipped");
    api.patch("/shops/berlin", &json!({ "shipped_status": "Complete!" })).await.problem(422, "invalid");
    let lines = lines(&api).await;
    let part = json!({ "lines": [{ "line": lines[0], "quantity": "1" }], "carrier": "DHL" });
    let part = ship(&api, "a", &part).await.good(200);
    assert_eq!(part.get("status").unwrap(), &json!({ "text": "partly-shipped", "state": "waiting" }));
    assert_eq!(part.get("note").unwrap(), &Value::Null);
    let rest = ship(&api, "b", &json!({ "carrier": "DHL" })).await.good(200);
    assert_eq!((rest.get("status").unwrap(), rest.get("note").unwrap()), (&Value::Null, &Value::Null));
    told(&api, 1, 1).await;
    let all = api.world.all_told();
    let count = all.iter().filter(|message| matches!(message, Message::ShipmentMade(_))).count();
    assert_eq!(count, 1, "what is not to be told is not published");
    api.end().await;
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_told_again() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    ship(&api, "a", &json!({ "carrier": "DHL" })).await.good(200);
    told(&api, 1, 1).await;
    // As egress would.
    let id = ShipmentId { shop, order: OrderId::new(1001).unwrap(), number: 1 };
    let wanted =
        ReportWanted { id, revision: 1, status: Some("completed".to_owned()), note: Some("Sent".to_owned()) };
    api.world.store.take_reports(&[wanted], values::Timestamp::from_seconds(1)).await.unwrap();
    let mut row = api.world.store.reports(shop, id.order).await.unwrap().remove(0);
    row.status.as_mut().unwrap().state = ReportState::GivenUp;
    row.note.as_mut().unwrap().state = ReportState::Done;
    row.problem = Some("the shop has no such status".to_owned());
    row.due_at = None;
    assert!(api.world.store.save_report(&row).await.unwrap());
    let order = api.get("/orders/berlin/1001").await.good(200);
    assert_eq!(order.pointer("/shipments/0/status/state").unwrap(), "given_up");
    assert_eq!(order.pointer("/shipments/0/note/state").unwrap(), "done");
    assert_eq!(order.pointer("/shipments/0/problem").unwrap(), "the shop has no such status");
    let untold = api.get("/shipments/untold").await.good(200);
    let expected =
        json!([{ "shop": "berlin", "order": 1001, "shipment": 1, "problem": "the shop has no such status" }]);
    assert_eq!(untold.get("items").unwrap(), &expected);

    let retry = "/orders/berlin/1001/shipments/1/retry";
    assert_eq!(api.post(retry, &json!({})).await.good(200), json!({ "shipment": 1 }));
    told(&api, 1, 2).await;
    let order = api.get("/orders/berlin/1001").await.good(200);
    assert_eq!(order.pointer("/shipments/0/status/state").unwrap(), "waiting", "on its way");
    api.post("/orders/berlin/1001/shipments/9/retry", &json!({})).await.problem(404, "not-found");
    api.end().await;
}

#[tokio::test]
async fn movements_carry_the_tags_of_their_time() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    let tags = json!({ "tags": { "cost-centre": "4711", "price-list": "gross" } });
    let set = api.patch("/shops/berlin", &tags).await.good(200);
    assert_eq!(set.get("tags").unwrap(), tags.get("tags").unwrap());
    let lines = lines(&api).await;
    ship(&api, "a", &json!({ "lines": [{ "line": lines[0], "quantity": "1" }] })).await.good(200);
    let set = json!({ "tags": { "cost-centre": null, "price-list": "net" } });
    let set = api.patch("/shops/berlin", &set).await.good(200);
    assert_eq!(set.get("tags").unwrap(), &json!({ "price-list": "net" }));
    api.patch("/shops/berlin", &json!({ "tags": { "a b": "x" } })).await.problem(422, "invalid");
    let shown = [(17, 3, Some(3)), (18, 2, Some(2))];
    api.world.tell([seen(shop, 1001, read(2, 300), "completed", 200, &shown)]).await;
    // What people do with the goods of one shop is tagged as its orders are.
    api.receive("TEE", "4").await;
    let movements = api.get("/movements?sku=TEE").await.good(200);
    let of = |movement: &Value| (movement["kind"].as_str().unwrap().to_owned(), movement["tags"].clone());
    let found: Vec<_> = movements.get("items").unwrap().as_array().unwrap().iter().map(of).collect();
    let expected = [
        ("receipt", json!({})),
        ("reserve", json!({})),
        ("ship", json!({ "cost-centre": "4711", "price-list": "gross" })),
        ("ship", json!({ "price-list": "net" })),
        ("receipt", json!({ "price-list": "net" })),
    ];
    assert_eq!(found, expected.map(|(kind, tags)| (kind.to_owned(), tags)));
    let order = api.get("/orders/berlin/1001").await.good(200);
    assert_eq!(order.get("tags").unwrap(), &json!({ "price-list": "net" }));
    api.end().await;
}
