//! Who may do what, what is strict, what is told of failures.

use reqwest::Method;
use serde_json::{Value, json};
use store::Scope;

use crate::server::Api;

/// Every operation of the document: method, path with its parts filled in, scope it needs.
fn operations() -> Vec<(Method, String, Scope)> {
    let document: Value = serde_json::from_str(&inventory::api::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document.get("paths").unwrap().as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation.pointer("/security/0/token/0").unwrap().as_str().unwrap();
            let path = path.strip_prefix(inventory::api::PREFIX).unwrap();
            let filled = [
                ("{job}", "test"),
                ("{decision}", "approve"),
                ("{action}", "replay"),
                ("{id}", "99"),
                ("{name}", "nowhere"),
                ("{number}", "1"),
                ("{shop}", "nowhere"),
                ("{sku}", "NOTHING"),
            ]
            .iter()
            .fold(path.to_owned(), |path, (part, with)| path.replace(part, with));
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            operations.push((method, filled, Scope::from_word(scope).unwrap()));
        }
    }
    operations
}

#[tokio::test]
async fn every_route_asks_for_its_scope() {
    let api = Api::new().await;
    let operations = operations();
    assert_eq!(operations.len(), 52);
    for (method, path, needed) in operations {
        let what = format!("{method} {path}");
        let nobody = api.send(api.bare(method.clone(), &path)).await;
        nobody.problem(401, "unauthorized");
        assert_eq!(nobody.headers.get("www-authenticate").unwrap(), "Bearer", "{what}");
        let stranger = api.bare(method.clone(), &path).bearer_auth("onhand_nonsense");
        api.send(stranger).await.problem(401, "unauthorized");
        for scope in [Scope::Read, Scope::Operate, Scope::Admin] {
            let answer = api.send(api.bare(method.clone(), &path).bearer_auth(api.token(scope))).await;
            if scope < needed {
                answer.problem(403, "forbidden");
            } else {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403 | 405 | 500..),
                    "{what} {scope}: {answer:?}"
                );
            }
        }
    }
    api.end().await;
}

#[tokio::test]
async fn a_revoked_token_is_none() {
    let api = Api::new().await;
    let made = api.post("/tokens", &json!({ "name": "scanner", "scope": "operate" })).await;
    assert_eq!(made.headers.get("cache-control").unwrap(), "no-store");
    let made = made.good(201);
    let text = made.get("token").unwrap().as_str().unwrap();
    let with = |path: &str| api.bare(Method::GET, path).bearer_auth(text);
    api.send(with("/stock")).await.good(200);
    api.send(with("/tokens")).await.problem(403, "forbidden");
    api.post("/tokens", &json!({ "name": "scanner", "scope": "read" })).await.problem(409, "name-taken");
    api.delete(&format!("/tokens/{}", made.get("id").unwrap())).await.good(204);
    api.send(with("/stock")).await.problem(401, "unauthorized");
    api.delete("/tokens/99").await.problem(404, "not-found");
    let listed = api.get("/tokens").await.good(200);
    let admin =
        listed.get("items").unwrap().as_array().unwrap().iter().find(|token| token["scope"] == "admin");
    let admin = admin.unwrap()["id"].clone();
    api.delete(&format!("/tokens/{admin}")).await.problem(409, "not-now");
    // Its name is free again; its text is never told again.
    api.post("/tokens", &json!({ "name": "scanner", "scope": "read" })).await.good(201);
    let listed = api.get("/tokens").await;
    assert!(!listed.text.contains(text) && listed.text.contains("revoked_at"), "{}", listed.text);
    api.post("/tokens", &json!({ "name": " x", "scope": "read" })).await.problem(422, "invalid");
    api.post("/tokens", &json!({ "name": "x", "scope": "root" })).await.problem(422, "invalid");
    api.end().await;
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_refused_with_the_place() {
    let api = Api::new().await;
    let unknown = api.post("/warehouses", &json!({ "name": "a", "colour": "red" })).await;
    assert!(unknown.detail(422, "invalid").contains("unknown field `colour`"), "{}", unknown.text);
    let not_text =
        json!({ "operations": [{ "kind": "receive", "sku": "A", "warehouse": "main", "quantity": 1 }] });
    let request = api.request(Method::POST, "/operations").header("Idempotency-Key", "k");
    let answer = api.send(request.json(&not_text)).await;
    assert!(answer.detail(422, "invalid").contains("operations[0].quantity"), "{}", answer.text);
    let half = api.request(Method::POST, "/warehouses").header("Content-Type", "application/json").body("{");
    api.send(half).await.problem(400, "bad-request");
    let form = api.request(Method::POST, "/warehouses").body("name=a");
    api.send(form).await.problem(415, "unsupported-media-type");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let large =
        api.request(Method::POST, "/warehouses").header("Content-Type", "application/json").body(large);
    api.send(large).await.problem(413, "too-large");
    for query in ["limit=0", "limit=1001", "limit=x", "after=%21", "colour=red"] {
        for list in
            ["/stock", "/warehouses", "/shops", "/parked", "/dead", "/tokens", "/orphans", "/approvals"]
        {
            api.get(&format!("{list}?{query}")).await.problem(400, "bad-request");
        }
    }
    api.get("/movements").await.problem(400, "bad-request");
    api.get("/tasks/x").await.problem(400, "bad-request");
    api.get("/nothing").await.problem(404, "not-found");
    api.delete("/stock").await.problem(405, "method-not-allowed");
    api.post("/shops/nowhere/fly", &json!({})).await.problem(400, "bad-request");
    api.end().await;
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let api = Api::new().await;
    api.get("/stock?limit=1").await.good(200);
    api.get("/orders/nowhere/1").await.problem(404, "not-found");
    api.get("/no/such/path").await.problem(404, "not-found");
    let page = api.metrics.render();
    for line in [
        "onhand_api_requests_total{outcome=\"answered\",route=\"/stock\"} 1",
        "onhand_api_requests_total{outcome=\"refused\",route=\"/orders/{shop}/{id}\"} 1",
        "onhand_api_request_seconds_count{route=\"/stock\"} 1",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    assert!(!page.contains("nowhere"), "{page}");
    api.end().await;
}
