//! What is told of stock, orders and what waits, after a shop has sold something.

use push::{Adopting, Base, DriftAction, DriftClass, Target};
use reqwest::Method;
use serde_json::{Value, json};
use store::{Changes, DayCount, DriftRow, NewDead, StockSum, Told};
use values::{ReadNumber, ShopId, StockId, Timestamp};

use crate::server::Api;
use crate::world::{at, connected, gone, read, seen, sells, shown, stock_id, units};

/// A shop that sells TEE and has sold 2, and something without SKU.
async fn sold(api: &Api) -> ShopId {
    let shop = api.world.shop("berlin").await.id;
    api.receive("TEE", "10").await;
    api.world.tell([sells(shop, 17, "TEE"), connected(shop, None)]).await;
    let lines = [(17, 2, Some(2)), (18, 1, None)];
    api.world.tell([seen(shop, 1001, read(1, 100), "processing", 0, &lines)]).await;
    api.world.tell([shown(shop, 17, 8, 2, 200)]).await;
    shop
}

#[tokio::test]
async fn stock_in_pages() {
    let api = Api::new().await;
    for sku in ["A", "B", "C"] {
        api.receive(sku, "1").await;
    }
    let mut seen = Vec::new();
    let mut path = "/stock?limit=2".to_owned();
    loop {
        let page = api.get(&path).await.good(200);
        let items = page.get("items").unwrap().as_array().unwrap();
        seen.extend(items.iter().map(|item| item.get("sku").unwrap().as_str().unwrap().to_owned()));
        match page.get("next").unwrap() {
            Value::String(next) => path = format!("/stock?limit=2&after={next}"),
            _ => break,
        }
    }
    assert_eq!(seen, ["A", "B", "C"]);
    let named = api.get("/stock?sku=C&sku=A&sku=A&limit=1").await.good(200);
    let next = named.get("next").unwrap().as_str().unwrap();
    let rest = api.get(&format!("/stock?sku=C&sku=A&limit=1&after={next}")).await.good(200);
    assert_eq!(rest.pointer("/items/0/sku").unwrap(), "C");
    api.get("/stock?sku=").await.problem(400, "bad-request");
    api.end().await;
}

#[tokio::test]
async fn an_order_and_what_it_holds() {
    let api = Api::new().await;
    sold(&api).await;
    let order = api.get("/orders/berlin/1001").await.good(200);
    assert_eq!(
        (order.get("status").unwrap(), order.get("confirmed").unwrap()),
        (&json!("processing"), &json!(true))
    );
    let line = order.pointer("/lines/0").unwrap();
    assert_eq!((line.get("sku").unwrap(), line.get("held").unwrap()), (&json!("TEE"), &json!("2")));
    assert_eq!(
        *line.get("holds").unwrap(),
        json!([{ "warehouse": "main", "quantity": "2", "reserved": "2", "shipped": "0", "sent": "0" }])
    );
    assert_eq!(*order.pointer("/lines/1/sku").unwrap(), Value::Null);
    api.get("/orders/berlin/7").await.problem(404, "not-found");
    api.get("/orders/berlin/x").await.problem(400, "bad-request");
    api.get("/orders/paris/1001").await.problem(404, "not-found");
    let movements = api.get("/movements?sku=TEE&after=1").await.good(200);
    let reserve = movements.pointer("/items/0").unwrap();
    assert_eq!(
        (reserve.get("shop").unwrap(), reserve.get("order").unwrap()),
        (&json!("berlin"), &json!(1001))
    );
    assert_eq!(
        (reserve.get("actor").unwrap(), reserve.get("reserved_change").unwrap()),
        (&Value::Null, &json!("2"))
    );
    api.end().await;
}

#[tokio::test]
async fn every_number_is_explained() {
    let api = Api::new().await;
    sold(&api).await;
    let told = api.get("/explain/TEE").await.good(200);
    let warehouse = told.pointer("/warehouses/0").unwrap();
    assert_eq!(
        *warehouse,
        json!({
            "warehouse": "main",
            "movements": [
                { "kind": "receipt", "count": 1, "on_hand": "10", "reserved": "0" },
                { "kind": "reserve", "count": 1, "on_hand": "0", "reserved": "2" },
            ],
            "on_hand": "10", "reserved": "2", "available": "8", "adds_up": true,
        })
    );
    let hold = told.pointer("/holds/0").unwrap();
    assert_eq!(
        (hold.get("order").unwrap(), hold.pointer("/holds/0/quantity").unwrap()),
        (&json!(1001), &json!("2"))
    );
    assert_eq!(*told.get("hold_count").unwrap(), 1);
    let shop = told.pointer("/shops/0").unwrap();
    for (field, expected) in [
        ("shop", json!("berlin")),
        ("stock", json!(17)),
        ("warehouses", json!(["main"])),
        ("available", json!("8")),
        ("buffer", json!("0")),
        ("level", json!("8")),
        ("untaken", json!("0")),
        ("compared_shown", json!("8")),
        ("shows", Value::Null),
        ("unsettled", json!(["its level has not been taken over for pushing yet"])),
    ] {
        assert_eq!(*shop.get(field).unwrap(), expected, "{field} {shop}");
    }
    api.world.shop("paris").await;
    let elsewhere = api.get("/explain/TEE?shop=paris").await.good(200);
    assert_eq!((elsewhere.get("shops").unwrap(), elsewhere.get("holds").unwrap()), (&json!([]), &json!([])));
    api.get("/explain/TEE?shop=rome").await.problem(404, "not-found");
    api.get("/explain/NOTHING").await.problem(404, "not-found");
    api.receive("A/B c", "1").await;
    assert_eq!(api.get("/explain/A%2FB%20c").await.good(200).get("sku").unwrap(), "A/B c");
    api.end().await;
}

/// Somebody took one of eight out of the shop.
fn lowered(stock: StockId, second: i64) -> DriftRow {
    DriftRow {
        stock,
        number: ReadNumber::new(7),
        at: at(second),
        class: DriftClass::EditDown,
        expected: Some(units(8)),
        shown: Some(units(7)),
        action: DriftAction::Withheld,
        why: None,
        sku: Some("TEE".parse().unwrap()),
    }
}

fn lowered_body(at: &str) -> Value {
    json!({
        "shop": "berlin", "stock": 17, "sku": "TEE", "at": at, "number": 7, "class": "edit_down", "expected": "8",
        "shown": "7", "difference": "-1", "action": "withheld", "why": null, "decided": null,
    })
}

#[tokio::test]
async fn differences_are_listed_by_shop_and_time() {
    let api = Api::new().await;
    let stock = stock_id(sold(&api).await, 17);
    let mut tx = api.world.store.begin_egress().await.unwrap();
    let newer = DriftRow { number: ReadNumber::new(8), ..lowered(stock, 302) };
    tx.save_drifts(&[lowered(stock, 301), newer]).await.unwrap();
    tx.commit().await.unwrap();
    let first = api.get("/drifts?limit=1").await.good(200);
    assert_eq!(first.pointer("/items/0/number").unwrap(), 8);
    let next = first.get("next").unwrap().as_str().unwrap();
    let second = api.get(&format!("/drifts?limit=1&shop=berlin&after={next}")).await.good(200);
    assert_eq!(*second.get("items").unwrap(), json!([lowered_body("2023-11-14T22:18:21Z")]));
    let since = api.get("/drifts?since=2023-11-14T22:18:22Z").await.good(200);
    assert_eq!(since.pointer("/items/0/number").unwrap(), 8);
    assert_eq!(since.get("items").unwrap().as_array().unwrap().len(), 1);
    let refused = api.get("/drifts?since=yesterday").await.detail(400, "bad-request");
    assert!(refused.contains("2026-05-01T12:00:00Z"), "{refused}");
    api.get("/drifts?shop=nowhere").await.problem(404, "not-found");
    api.end().await;
}

#[tokio::test]
async fn what_was_counted_is_listed_by_day() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    assert_eq!(*api.get("/shops/berlin/counts").await.good(200).get("items").unwrap(), json!([]));
    let hub = api.world.store.hub_count(shop).await.unwrap();
    for (day, shop_stocks) in [(20_573, None), (20_574, Some(StockSum { stocks: 3, sum: units(12) }))] {
        let shop_orders = [("processing", 4), ("completed", 0), ("on-hold", 1)];
        let shop_orders = shop_orders.map(|(status, orders)| (status.to_owned(), orders)).into();
        let count = DayCount { shop, day, at: at(300), shop_orders, shop_stocks, hub: hub.clone() };
        api.world.store.save_count(&count).await.unwrap();
    }
    let page = api.get("/shops/berlin/counts?limit=1").await.good(200);
    let first = page.pointer("/items/0").unwrap();
    let part = |name: &str| first.get(name).unwrap().clone();
    assert_eq!(
        (part("day"), part("shop_stocks"), part("shop_sum")),
        ("2026-05-01".into(), 3.into(), "12".into())
    );
    assert_eq!((part("stocks"), part("level")), (1.into(), "8".into()));
    let orders = json!([
        { "status": "on-hold", "shop": 1, "known": 0 },
        { "status": "processing", "shop": 4, "known": 1 },
    ]);
    assert_eq!(part("orders"), orders, "what nobody has is left out");
    let next = page.get("next").unwrap().as_str().unwrap();
    let rest = api.get(&format!("/shops/berlin/counts?limit=1&after={next}")).await.good(200);
    assert_eq!(rest.pointer("/items/0/day").unwrap(), "2026-04-30");
    assert_eq!(*rest.pointer("/items/0/shop_sum").unwrap(), Value::Null);
    api.get("/shops/nowhere/counts").await.problem(404, "not-found");
    api.end().await;
}

#[tokio::test]
async fn what_a_shop_was_told_and_what_is_not_settled() {
    let api = Api::new().await;
    let stock = stock_id(sold(&api).await, 17);
    let row = api.world.stock(stock).await;
    let told = Told { at: at(300), delta: units(-1), answer: "applied".to_owned() };
    let mut tx = api.world.store.begin_egress().await.unwrap();
    let mut push = tx.load(&[stock]).await.unwrap().remove(0);
    let (epoch, revision) = (row.epoch, row.revision);
    let target = Target {
        epoch,
        revision,
        level: row.level,
        untaken: row.untaken,
        taken_total: units(2),
        step: row.step,
        released: values::Quantity::ZERO,
    };
    assert!(push.push.retarget(target));
    push.push.base = Some(Base { withheld: units(1), ..Base::proven(epoch, units(9)) });
    push.told = Some(told.clone());
    tx.save(&[push.clone()]).await.unwrap();
    let mut notes = tx.load_notes(&[stock]).await.unwrap().remove(0);
    notes.remember(told);
    tx.save_notes(&[notes]).await.unwrap();
    tx.save_drifts(&[lowered(stock, 301)]).await.unwrap();
    tx.commit().await.unwrap();
    let shop = async || api.get("/explain/TEE").await.good(200).pointer("/shops/0").unwrap().clone();
    let settled = shop().await;
    for (field, expected) in [
        ("goal", json!("7")),
        ("shows", json!("7")),
        ("withheld", json!("1")),
        ("told_at", json!("2023-11-14T22:18:20Z")),
        ("told_change", json!("-1")),
        ("answer", json!("applied")),
        ("drifts", json!([lowered_body("2023-11-14T22:18:21Z")])),
        ("attempts", json!([{ "at": "2023-11-14T22:18:20Z", "change": "-1", "answer": "applied" }])),
        ("unsettled", json!([])),
    ] {
        assert_eq!(*settled.get(field).unwrap(), expected, "{field} {settled}");
    }
    let adopting = Adopting { number: ReadNumber::new(7), difference: units(1), ask_at: at(300) };
    push.push.base = Some(Base { adopting: Some(adopting), ..Base::proven(epoch, units(8)) });
    push.blocked = Some("manage-stock-off".to_owned());
    let mut tx = api.world.store.begin_egress().await.unwrap();
    tx.load(&[stock]).await.unwrap();
    tx.save(&[push]).await.unwrap();
    tx.commit().await.unwrap();
    let expected = json!([
        "nothing can be pushed to it: manage-stock-off",
        "an edit of +1 in the shop waits for the ledger to take it over",
        "a change of +3 is due to be pushed"
    ]);
    assert_eq!(*shop().await.get("unsettled").unwrap(), expected);
    api.end().await;
}

#[tokio::test]
async fn parked_lines_are_applied_once_mapped() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    let parked = api.get("/parked").await.good(200);
    let line = parked.pointer("/items/0").unwrap();
    assert_eq!((line.get("product").unwrap(), line.get("quantity").unwrap()), (&json!(18), &json!("1")));
    assert_eq!(line.get("cause").unwrap(), "no_sku");
    let nameless = crate::world::listing(shop, crate::world::product(18), Some(18), None);
    api.world.tell([nameless]).await;
    api.post("/parked/map", &json!({ "shop": "berlin", "product": 18, "variation": null, "sku": "MUG" }))
        .await
        .good(200);
    crate::world::until("the line is applied", async || {
        let parked = api.get("/parked").await.good(200);
        parked.get("items").unwrap().as_array().unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(api.world.balance("MUG").await.reserved, units(1));
    api.end().await;
}

#[tokio::test]
async fn an_orphan_is_released_and_only_an_orphan() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    api.post("/orders/berlin/1001/release", &json!({})).await.problem(409, "not-now");
    api.world.tell([gone(shop, 1001, read(3, 300))]).await;
    let orphans = api.get("/orphans").await.good(200);
    assert_eq!(
        *orphans.get("items").unwrap(),
        json!([{ "shop": "berlin", "order": 1001, "status": "processing", "reserved": "2", "cause": "gone" }])
    );
    let released = api.post("/orders/berlin/1001/release", &json!({})).await.good(200);
    assert_eq!(*released.get("released").unwrap(), "2");
    assert_eq!(*api.get("/orphans").await.good(200).get("items").unwrap(), json!([]));
    api.post("/orders/berlin/7/release", &json!({})).await.problem(404, "not-found");
    assert!(api.world.balance("TEE").await.reserved.is_zero());

    api.world.tell([seen(shop, 1002, read(4, 400), "processing", 100, &[(17, 1, Some(1))])]).await;
    let removed = api.delete("/shops/berlin").await.good(200);
    assert_eq!(
        removed,
        json!({ "order_count": 1, "reserved": "1", "orders": "keep", "webhooks_deleted": 0, "webhooks_left": null })
    );
    let orphans = api.get("/orphans").await.good(200);
    assert_eq!(orphans.pointer("/items/0/cause").unwrap(), "shop_removed");
    assert_eq!(api.get("/orders/berlin/1002").await.good(200).get("status").unwrap(), "processing");
    let released = api.post("/orders/berlin/1002/release", &json!({})).await.good(200);
    assert_eq!(*released.get("released").unwrap(), "1");
    api.end().await;
}

#[tokio::test]
async fn dead_messages_are_replayed_or_discarded() {
    let api = Api::new().await;
    let shop = sold(&api).await;
    let dead = |payload: &[u8]| NewDead {
        identity: None,
        queue: Some("inventory.orders.v1.1.0".to_owned()),
        shop: Some(shop),
        leaves_incomplete: true,
        trace: Some([7; 16]),
        kind: "order.observed.v1".to_owned(),
        payload: payload.to_vec(),
        reason: "broken-rule".to_owned(),
        attempts: 3,
        at: Timestamp::default(),
    };
    let good = seen(shop, 1002, read(5, 500), "processing", 400, &[(17, 1, Some(1))]);
    let good = crate::world::seal(&good).to_bytes();
    let mut tx = api.world.store.begin_inventory().await.unwrap();
    tx.save(&Changes { dead: &[dead(b"nonsense"), dead(&good)], ..Changes::default() }).await.unwrap();
    tx.commit().await.unwrap();
    let listed = api.get("/dead?limit=1").await.good(200);
    assert_eq!(listed.pointer("/items/0/reason").unwrap(), "broken-rule");
    assert_eq!(listed.pointer("/items/0/shop").unwrap(), "berlin");
    assert_eq!(listed.pointer("/items/0/queue").unwrap(), "inventory.orders.v1.1.0");
    assert_eq!(listed.pointer("/items/0/trace").unwrap(), "07070707070707070707070707070707");
    assert_eq!(*listed.pointer("/items/0/leaves_incomplete").unwrap(), true);
    let next = listed.get("next").unwrap().as_str().unwrap();
    let second = api.get(&format!("/dead?after={next}")).await.good(200);
    let (bad, good) = (listed.pointer("/items/0/id").unwrap(), second.pointer("/items/0/id").unwrap());
    api.post(&format!("/dead/{bad}/replay"), &json!({})).await.problem(409, "not-now");
    api.post(&format!("/dead/{good}/replay"), &json!({})).await.good(204);
    api.get("/orders/berlin/1002").await.good(200);
    api.post(&format!("/dead/{bad}/discard"), &json!({})).await.good(204);
    api.post(&format!("/dead/{bad}/discard"), &json!({})).await.problem(404, "not-found");
    assert_eq!(*api.get("/dead").await.good(200).get("items").unwrap(), json!([]));
    api.end().await;
}

#[tokio::test]
async fn approvals_are_decided_once() {
    let api = Api::new().await;
    let mut tx = api.world.store.begin_inventory().await.unwrap();
    let id =
        tx.add_approval("mirror_zeroes", "120 SKUs would be zero", b"", Timestamp::default()).await.unwrap();
    tx.commit().await.unwrap();
    let listed = api.get("/approvals").await.good(200);
    assert_eq!(listed.pointer("/items/0/summary").unwrap(), "120 SKUs would be zero");
    api.post(&format!("/approvals/{id}/approve"), &json!({})).await.good(204);
    api.post(&format!("/approvals/{id}/refuse"), &json!({})).await.problem(404, "not-found");
    assert_eq!(*api.get("/approvals").await.good(200).get("items").unwrap(), json!([]));
    api.end().await;
}

#[tokio::test]
async fn check_and_health() {
    let api = Api::new().await;
    sold(&api).await;
    let checked = api.get("/check").await.good(200);
    assert_eq!((checked.get("sound").unwrap(), checked.get("broken").unwrap()), (&json!(true), &json!([])));
    let health = api.get("/health").await.good(200);
    assert_eq!(*health.get("ready").unwrap(), true);
    assert_eq!(health.pointer("/checks/0").unwrap(), &json!({ "name": "database", "why_not": null }));
    assert_eq!(health.pointer("/waiting/parked").unwrap(), 1);
    let document = api.send(api.bare(Method::GET, "/openapi.json")).await;
    assert_eq!(document.text, inventory::api::openapi());
    api.end().await;
}
