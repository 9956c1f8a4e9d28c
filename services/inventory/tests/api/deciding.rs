//! Decisions about differences that were left as they were set.

use push::{Base, Target};
use serde_json::json;
use store::{DriftAction, DriftClass, DriftRow};
use values::{Quantity, ReadNumber, StockId};

use crate::server::Api;
use crate::world::{at, sells, stock_id, units};

/// Two shops' worth of one: TEE at stock 17, of which so many units are kept out.
async fn withheld(api: &Api, quantity: i64) -> StockId {
    let shop = api.world.shop("berlin").await.id;
    api.world.tell([sells(shop, 17, "TEE")]).await;
    api.world.receive("TEE", 9).await;
    let stock = stock_id(shop, 17);
    let row = api.world.stock(stock).await;
    let mut tx = api.world.store.begin_egress().await.unwrap();
    let mut push = tx.load(&[stock]).await.unwrap().remove(0);
    assert!(push.push.retarget(Target {
        epoch: row.epoch,
        revision: row.revision,
        level: row.level,
        untaken: row.untaken,
        taken_total: row.taken_total,
        step: row.step,
        released: Quantity::ZERO,
    }));
    push.push.base = Some(Base { withheld: units(quantity), ..Base::proven(row.epoch, units(9 - quantity)) });
    push.push.settled = ReadNumber::new(7);
    tx.save(&[push]).await.unwrap();
    let drift = |number, second| DriftRow {
        stock,
        number: ReadNumber::new(number),
        at: at(second),
        class: DriftClass::EditDown,
        expected: Some(units(9)),
        shown: Some(units(9 - quantity)),
        action: DriftAction::Alerted,
        why: None,
        sku: "TEE".parse().ok(),
    };
    tx.save_drifts(&[drift(7, 100), drift(8, 200)]).await.unwrap();
    tx.commit().await.unwrap();
    stock
}

#[tokio::test]
async fn a_decision_is_made_once_and_seen_with_what_it_is_about() {
    let api = Api::new().await;
    let stock = withheld(&api, 3).await;
    let adopt = json!({ "shop": "berlin", "stock": "TEE", "decision": "adopt", "reason": "counted" });
    api.post("/drifts/decide", &adopt).await.problem(400, "bad-request");
    let decided = api.keyed("a", "/drifts/decide", &adopt).await.good(200);
    for (field, expected) in [
        ("shop", json!("berlin")),
        ("stock", json!(17)),
        ("number", json!(1)),
        ("quantity", json!("3")),
        ("decision", json!("adopt")),
        ("reason", json!("counted")),
        ("warehouse", json!("main")),
    ] {
        assert_eq!(*decided.get(field).unwrap(), expected, "{field} {decided}");
    }
    let row = api.world.stock(stock).await;
    assert_eq!((row.level, row.released), (units(6), units(3)));
    assert_eq!(api.keyed("a", "/drifts/decide", &adopt).await.good(200), decided);
    let other = json!({ "shop": "berlin", "stock": "17", "decision": "correct" });
    api.keyed("a", "/drifts/decide", &other).await.problem(409, "key-reused");
    // Egress has not heard of it yet, and there is nothing left to decide.
    api.keyed("b", "/drifts/decide", &other).await.problem(409, "not-now");
    assert_eq!(api.world.stock(stock).await, row);
    let listed = api.get("/drifts").await.good(200);
    assert_eq!(listed.pointer("/items/0/number").unwrap(), 8);
    assert!(listed.pointer("/items/0/decided").unwrap().is_null(), "it was found later: {listed}");
    assert_eq!(listed.pointer("/items/1/decided/decision").unwrap(), "adopt");
    let explained = api.get("/explain/TEE").await.good(200);
    assert_eq!(explained.pointer("/shops/0/drifts/1/decided/decision").unwrap(), "adopt");
    // What was found later is still open, and can be left.
    let leave = json!({ "shop": "berlin", "stock": "TEE", "decision": "leave" });
    assert_eq!(api.keyed("c", "/drifts/decide", &leave).await.good(200).get("number").unwrap(), 2);
    api.end().await;
}

#[tokio::test]
async fn what_cannot_be_decided_is_refused_with_its_reason() {
    let api = Api::new().await;
    let stock = withheld(&api, 3).await;
    let decide = async |body: serde_json::Value| api.keyed("k", "/drifts/decide", &body).await;
    let with = |what: &str, decision: &str| json!({ "shop": "berlin", "stock": what, "decision": decision });
    decide(with("TEE", "forget")).await.problem(422, "invalid");
    decide(with("99", "correct")).await.problem(404, "not-found");
    decide(with("MUG", "correct")).await.problem(404, "not-found");
    let elsewhere = json!({ "shop": "berlin", "stock": "TEE", "decision": "adopt", "warehouse": "nowhere" });
    decide(elsewhere).await.problem(422, "invalid");
    api.post("/warehouses", &json!({ "name": "annex" })).await.good(201);
    api.patch("/shops/berlin", &json!({ "warehouses": ["main", "annex"] })).await.good(200);
    let refused = decide(with("TEE", "adopt")).await.detail(422, "invalid");
    assert!(refused.contains("several warehouses"), "{refused}");
    let annex = json!({ "shop": "berlin", "stock": "TEE", "decision": "adopt", "warehouse": "annex" });
    decide(annex).await.problem(409, "insufficient-available");
    // A new mapping makes what was known worth nothing.
    let mut tx = api.world.store.begin_egress().await.unwrap();
    let mut push = tx.load(&[stock]).await.unwrap().remove(0);
    push.push.base = None;
    tx.save(&[push]).await.unwrap();
    tx.commit().await.unwrap();
    let refused = decide(with("TEE", "correct")).await.detail(409, "not-now");
    assert!(refused.contains("has not been compared with proof"), "{refused}");
    api.end().await;
}
