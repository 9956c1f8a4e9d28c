//! What the API logs; in a process of its own, since what is logged is decided for a whole process.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

extern crate onhand_inventory as inventory;

#[path = "service/database.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest of it")]
mod database;
#[path = "api/server.rs"]
#[expect(dead_code, reason = "the tests of the API use the rest of it")]
mod server;
#[path = "service/world.rs"]
#[expect(dead_code, reason = "the tests of the service use the rest of it")]
mod world;

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use store::Scope;

use server::Api;

/// Lines as they are written, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_say_who_did_what_and_no_secret() {
    let lines = Lines::default();
    let kept = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || kept.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let api = Api::new().await;
    let shop = json!({ "name": "berlin", "url": "https://shop.example", "consumer_key": "ck_topsecret",
        "consumer_secret": "cs_topsecret", "webhook_secret": "ws_topsecret", "warehouses": ["main"] });
    let added = api.post("/shops", &shop).await.good(201);
    let webhook = added.get("webhook_url").unwrap().as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let made = api.post("/tokens", &json!({ "name": "scanner", "scope": "read" })).await.good(201);
    let token = made.get("token").unwrap().as_str().unwrap().to_owned();
    let wrong = json!({ "name": "x y", "consumer_key": "ck_topsecret", "extra": 1 });
    api.post("/shops", &wrong).await.problem(422, "invalid");
    api.get("/stock?sku=HIDDEN-IN-QUERY").await.good(200);
    let boss = api.token(Scope::Admin).to_owned();
    api.end().await;
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // What a library says at the lowest level never reaches a log of ours: its lines are left out there.
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("onhand_")).collect();
    let change = ours.iter().find(|line| line.contains("/tokens") && line.contains("201")).unwrap();
    assert!(change.contains("boss") && change.contains("POST") && change.contains("request.id"), "{change}");
    assert!(ours.iter().any(|line| line.contains("route=/stock") || line.contains("/stock")), "{ours:?}");
    for secret in ["topsecret", &webhook, &token, &boss, "HIDDEN-IN-QUERY"] {
        assert!(!ours.iter().any(|line| line.contains(secret)), "{secret}");
    }
}
