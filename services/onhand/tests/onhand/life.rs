//! How `onhand up` starts, refuses to start, and ends.

use crate::harness::{Bench, PATIENCE, mode, until};

const ANY_PORT: &str = "127.0.0.1:0";

#[tokio::test]
async fn every_wrong_setting_is_told_at_once() {
    let mut bench = Bench::new();
    bench.set("ONHAND_PROCESS_LOG_LEVEL", "loud");
    bench.set("ONHAND_LISTN", "127.0.0.1:1");
    bench.set("ONHAND_SHOP_CALLS_PER_MINUTE_MAX", "0");
    let ran = bench.run(&["up", "--listen", "here"]).await;
    assert_eq!(ran.code, Some(64), "{}", ran.err);
    for told in [
        "ONHAND_PROCESS_LOG_LEVEL=loud",
        "ONHAND_LISTEN=here",
        "ONHAND_SHOP_CALLS_PER_MINUTE_MAX=0",
        "did you mean ONHAND_LISTEN?",
    ] {
        assert!(ran.err.contains(told), "{told} in {}", ran.err);
    }
    assert!(!bench.data_dir().exists(), "nothing is made before the settings are right");
}

#[tokio::test]
async fn a_data_directory_has_one_user() {
    let bench = Bench::new();
    let up = bench.up(ANY_PORT).await;
    let second = bench.run(&["up", "--listen", ANY_PORT]).await;
    assert_eq!(second.code, Some(1), "{}", second.err);
    assert!(second.err.contains("another onhand uses the data directory"), "{}", second.err);
    assert_eq!(up.terminate().await, Some(0), "{}", bench.log());
    let again = bench.up(ANY_PORT).await;
    assert_eq!(again.terminate().await, Some(0), "{}", bench.log());
}

#[tokio::test]
async fn an_address_has_one_listener() {
    let (one, other) = (Bench::new(), Bench::new());
    let up = one.up(ANY_PORT).await;
    let ran = other.run(&["up", "--listen", up.address()]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("cannot listen on"), "{}", ran.err);
}

#[tokio::test]
async fn the_first_start_makes_a_private_directory_with_a_token() {
    let bench = Bench::new();
    let up = bench.up(ANY_PORT).await;
    let data = bench.data_dir();
    assert_eq!(mode(&data), 0o700);
    for secret in ["admin.token", "secret.key"] {
        assert_eq!(mode(&data.join(secret)), 0o600, "{secret}");
    }
    let token = bench.admin_token();
    assert!(!bench.log().contains(&token));
    assert_eq!(up.terminate().await, Some(0), "{}", bench.log());
    let again = bench.up(ANY_PORT).await;
    assert_eq!(bench.admin_token(), token, "it stays the same");
    let listed = bench.run(&["token", "list", "--server", &again.url, "--json"]).await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test]
async fn a_token_the_database_does_not_know_is_replaced() {
    let bench = Bench::new();
    assert_eq!(bench.up(ANY_PORT).await.terminate().await, Some(0), "{}", bench.log());
    std::fs::write(bench.data_dir().join("admin.token"), "of another database\n").unwrap();
    let up = bench.up(ANY_PORT).await;
    bench.run(&["warehouse", "list", "--server", &up.url]).await.good();
}

#[tokio::test]
async fn health_pages_and_metrics_are_served_beside_the_api() {
    let bench = Bench::new();
    let up = bench.up(ANY_PORT).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = async || {
        let answer = client.get(format!("{}/readyz", up.url)).send().await.unwrap();
        (answer.status().as_u16() == 200).then_some(answer)
    };
    let answer = until("it is ready", PATIENCE, ready).await;
    let told: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let names: Vec<_> =
        told["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "database",
            "egress.lanes",
            "egress.levels",
            "ingress.readers",
            "ingress.reads",
            "inventory.orders",
            "inventory.relay",
            "spool",
        ]
    );
    for (path, part) in [("healthz", "ok"), ("metrics", "onhand_http_connections_total")] {
        let answer = client.get(format!("{}/{path}", up.url)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(part), "{path}: {text}");
    }
}
