//! Keys that a shop grants by itself.

use reqwest::Method;
use serde_json::{Value, json};
use store::Scope;

use crate::server::{Answer, Api};

fn without_keys() -> Value {
    json!({ "name": "berlin", "url": "https://shop.example/pl/", "warehouses": ["main"], "buffer": "2" })
}

/// A part of the query of an address.
fn part(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap();
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap().replace("%3A", ":").replace("%2F", "/")
}

/// What WooCommerce posts; like it, without any token.
async fn post_keys(api: &Api, state: &str, permissions: &str) -> Answer {
    let keys = json!({
        "key_id": 7,
        "user_id": state,
        "consumer_key": "ck_granted",
        "consumer_secret": "cs_granted",
        "key_permissions": permissions,
    });
    let request = api.bare(Method::POST, "/grants/keys");
    let request = request.header("content-type", "application/json;charset=UTF-8").body(keys.to_string());
    api.send(request).await
}

async fn asked(api: &Api) -> (String, String) {
    let asked = api.post("/shops", &without_keys()).await.good(202);
    let url = asked.get("authorize_url").unwrap().as_str().unwrap();
    (asked.get("grant").unwrap().to_string(), part(url, "user_id"))
}

#[tokio::test]
async fn a_shop_that_grants_its_keys_is_connected_as_if_they_had_been_typed() {
    let api = Api::new().await;
    let asked = api.post("/shops", &without_keys()).await.good(202);
    let url = asked.get("authorize_url").unwrap().as_str().unwrap();
    assert!(
        url.starts_with("https://shop.example/pl/wc-auth/v1/authorize?app_name=onhand&scope=read_write&"),
        "{url}"
    );
    assert_eq!(part(url, "callback_url"), "https://hub.example/api/v1/grants/keys");
    assert_eq!(part(url, "return_url"), "https://hub.example/api/v1/grants/done");
    let state = part(url, "user_id");
    assert!(state.len() >= 32, "nobody guesses it");
    let grant = format!("/grants/{}", asked.get("grant").unwrap());
    assert_eq!(*api.get(&grant).await.good(200).get("state").unwrap(), "waiting");
    api.get("/shops/berlin").await.problem(404, "not-found");

    // WooCommerce deletes the key again unless this is exactly 200.
    post_keys(&api, &state, "read_write").await.good(200);
    let ended = api.get(&grant).await.good(200);
    assert_eq!(*ended.get("state").unwrap(), "connected");
    let task = api.get(&format!("/tasks/{}", ended.get("task").unwrap())).await.good(200);
    assert_eq!((task["kind"].as_str(), task["shop"].as_str()), (Some("connect"), Some("berlin")));
    let shop = api.get("/shops/berlin").await.good(200);
    assert_eq!((shop["state"].as_str(), shop["buffer"].as_str()), (Some("connecting"), Some("2")));
    let shops = api.world.store.shops(None).await.unwrap();
    let secrets = api.world.store.shop_secrets(shops.first().unwrap().id).await.unwrap().unwrap();
    let text = |secret: &secrecy::SecretString| secrecy::ExposeSecret::expose_secret(secret).to_owned();
    assert_eq!(
        (text(&secrets.consumer_key), text(&secrets.consumer_secret)),
        ("ck_granted".to_owned(), "cs_granted".to_owned())
    );
    assert_eq!(text(&secrets.webhook_secret), asked["webhook_secret"].as_str().unwrap());
    // Once.
    post_keys(&api, &state, "read_write").await.problem(404, "not-found");
    let done = api.send(api.bare(Method::GET, "/grants/done?success=1&user_id=x")).await;
    assert!(done.good_text().starts_with("Done."));
    api.end().await;
}

#[tokio::test]
async fn who_does_not_know_the_state_connects_nothing() {
    let api = Api::new().await;
    let (grant, _) = asked(&api).await;
    for state in ["", "guessed", &"0".repeat(64)] {
        post_keys(&api, state, "read_write").await.problem(404, "not-found");
    }
    let nonsense = api.bare(Method::POST, "/grants/keys").body("user_id=x");
    api.send(nonsense).await.problem(400, "bad-request");
    assert_eq!(*api.get(&format!("/grants/{grant}")).await.good(200).get("state").unwrap(), "waiting");
    for scope in [Scope::Read, Scope::Operate] {
        let read = api.bare(Method::GET, &format!("/grants/{grant}")).bearer_auth(api.token(scope));
        api.send(read).await.problem(403, "forbidden");
    }
    assert_eq!(api.world.store.shops(None).await.unwrap(), []);
    api.end().await;
}

#[tokio::test]
async fn why_a_granted_key_was_of_no_use_is_told() {
    let api = Api::new().await;
    let (grant, state) = asked(&api).await;
    post_keys(&api, &state, "read").await.problem(422, "invalid");
    let failed = api.get(&format!("/grants/{grant}")).await.good(200);
    assert_eq!(*failed.get("state").unwrap(), "failed");
    assert!(failed["failure"].as_str().unwrap().contains("may not both read and write"), "{failed}");

    let (grant, state) = asked(&api).await;
    let typed = json!({
        "name": "berlin", "url": "https://other.example", "warehouses": ["main"],
        "consumer_key": "ck_1", "consumer_secret": "cs_1",
    });
    api.post("/shops", &typed).await.good(201);
    post_keys(&api, &state, "read_write").await.problem(409, "name-taken");
    assert_eq!(*api.get(&format!("/grants/{grant}")).await.good(200).get("state").unwrap(), "failed");
    api.end().await;
}

#[tokio::test]
async fn one_of_two_keys_is_a_mistake() {
    let api = Api::new().await;
    let mut body = without_keys();
    body["consumer_key"] = "ck_1".into();
    let detail = api.post("/shops", &body).await.detail(422, "invalid");
    assert!(detail.contains("both consumer_key and consumer_secret"), "{detail}");
    api.end().await;
}
