//! What the distributed form needs before it starts, and what it says if that is not so.

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::Bench;
use crate::world::hasty_bench;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_prepared_twice_and_nothing_starts_unprepared() {
    let mut bench = hasty_bench();
    let servers = Servers::shared().await;
    let form = Form::Distributed { replicas: 1 };
    let mut deployment = Deployment::start(&mut bench, form, Some(servers)).await;
    deployment.stop(&bench).await;
    let again = bench.run(&["migrate"]).await.good();
    assert!(!again.contains("token") && !again.contains("was made"), "nothing is made twice: {again}");
    bench.set("ONHAND_SHARDS", "8");
    let refused = bench.run(&["serve", "egress"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.err.contains("4 shards") && refused.err.contains("onhand migrate"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_wrong_is_said_at_once() {
    let mut bench = Bench::new();
    bench.set("ONHAND_BROKER_URL", "http://guest:hunter2@127.0.0.1/");
    bench.set("ONHAND_SHARDS", "0");
    let ran = bench.run(&["serve", "ingress"]).await;
    assert_eq!(ran.code, Some(64), "{}", ran.err);
    for wrong in [
        "ONHAND_DATABASE_URL",
        "ONHAND_BROKER_URL",
        "ONHAND_SECRET_KEY_FILE",
        "ONHAND_SHARDS",
        "ONHAND_INGRESS_SPOOL_DIR",
    ] {
        assert!(ran.err.contains(wrong), "{wrong}: {}", ran.err);
    }
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}
