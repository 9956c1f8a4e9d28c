//! The demo agrees with itself, with webhooks and without.

use serde_json::Value;

use crate::harness::Bench;

async fn play(more: &[&str]) -> Value {
    let base = ["demo", "--for", "5s", "--orders-per-second", "20", "--skus", "40", "--json"];
    Bench::new().run(&[&base, more].concat()).await.json()
}

#[track_caller]
fn agrees(summary: &Value) {
    for nothing in ["lost", "duplicated", "drift"] {
        assert_eq!(summary[nothing], 0, "{nothing} in {summary:#}");
    }
    assert_eq!(summary["applied"], summary["acknowledged"], "{summary:#}");
    assert!(summary["acknowledged"].as_u64().unwrap() > 50, "{summary:#}");
    assert!(summary["push_changes"].as_u64().unwrap() > 0, "{summary:#}");
    for key in ["attempted", "put_back", "oversold"] {
        assert!(summary[key].is_u64(), "{key} in {summary:#}");
    }
}

#[tokio::test]
async fn with_webhooks() {
    let summary = play(&["--seed", "11"]).await;
    agrees(&summary);
    assert!(summary["webhook_deliveries"].as_u64().unwrap() > 50, "{summary:#}");
}

#[tokio::test]
async fn reads_alone_are_enough() {
    let summary = play(&["--seed", "12", "--webhooks", "off"]).await;
    agrees(&summary);
    assert_eq!(summary["webhook_deliveries"], 0, "{summary:#}");
}
