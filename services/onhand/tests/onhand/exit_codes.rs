//! The exit code says to scripts what the text says to people.

use crate::harness::Bench;

#[tokio::test]
async fn each_way_to_fail_has_its_code() {
    let mut bench = Bench::new();
    let nobody = "http://127.0.0.1:1";
    let without_token = bench.run(&["warehouse", "list", "--server", nobody]).await;
    assert_eq!(without_token.code, Some(77), "{}", without_token.err);
    assert!(without_token.err.contains("--data-dir"), "{}", without_token.err);

    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let wrong_token = bench.file("token", "nobody's");
    let empty = bench.file("empty", "\n");
    let table: &[(&[&str], i32, &str)] = &[
        (&["stock", "get", "--nonsense"], 2, "unexpected argument"),
        (&["stock", "receive", "tee", "many"], 2, "is not a quantity"),
        (&["stock", "adjust", "tee", "-1"], 2, "--reason"),
        (&["warehouse", "list", "--server", "ftp://x"], 64, "ONHAND_URL"),
        (&["stock", "import", "nowhere.csv"], 66, "cannot read nowhere.csv"),
        (&["warehouse", "list", "--token-file", &empty], 66, "holds no token"),
        (&["warehouse", "list", "--server", nobody], 69, "cannot reach onhand"),
        (&["warehouse", "list", "--token-file", &wrong_token], 77, "token"),
        (&["warehouse", "add", "main"], 1, "already"),
        (&["stock", "get", "nothing"], 1, "SKU nothing is not there"),
        (&["stock", "receive", "tee", "1", "-w", "elsewhere"], 1, "elsewhere"),
        (&["explain", "nothing"], 1, "nothing"),
        (&["order", "show", "nowhere", "1"], 1, "nowhere"),
        (&["shop", "remove", "nowhere"], 2, "--yes"),
        (&["parked", "show", "7"], 1, "message 7"),
        (&["parked", "map", "nowhere", "x", "tee"], 2, "PRODUCT"),
        (&["approve", "7"], 1, "7"),
        (&["token", "revoke", "7"], 1, "7"),
    ];
    for (arguments, code, told) in table {
        let ran = bench.run(arguments).await;
        assert_eq!(ran.code, Some(*code), "{arguments:?}: {} {}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
}

#[tokio::test]
async fn what_was_not_answered_is_done_once_when_repeated_under_its_key() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    for _ in 0..2 {
        bench.run(&["stock", "receive", "tee", "5", "--key", "delivery-17"]).await.good();
    }
    let other = bench.run(&["stock", "receive", "tee", "6", "--key", "delivery-17"]).await;
    assert_eq!(other.code, Some(1), "{}", other.err);
    let stock = bench.run(&["stock", "get", "tee", "--json"]).await.json();
    assert_eq!(stock["items"][0]["warehouses"][0]["on_hand"], "5", "{stock}");
}
