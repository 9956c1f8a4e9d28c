//! A shop is removed while goods of its orders are still to be sent, and is added again.

use testkit::fake_shop::FakeShopOptions;
use testkit::shop::{Change, NewLine, NewOrder, Status};

use crate::harness::{Bench, PATIENCE, PROOF_PATIENCE, until};
use crate::walk::shop_with;

#[tokio::test]
async fn a_shop_that_is_added_again_goes_on_where_it_was() {
    let mut bench = Bench::new();
    let up = bench.up("127.0.0.1:0").await;
    bench.set("ONHAND_URL", &up.url);
    bench.run(&["warehouse", "add", "main"]).await.good();
    let (shop, products) = shop_with(&[("tee".into(), 12)]).await;
    let shop_url = shop.url();
    let secrets = format!("{}\n{}\n", FakeShopOptions::KEY, FakeShopOptions::SECRET);
    let add = async |name: &str| {
        let add = [
            &["shop", "add", name, "--url", &shop_url, "--warehouses", "main", "--private-addresses"][..],
            &["--consumer-key-file", "-", "--consumer-secret-file", "-"],
        ];
        bench.run_with(&add.concat(), &secrets).await
    };
    let balance = async || {
        let stock = bench.run(&["stock", "get", "tee", "--json"]).await;
        let main = stock.json()["items"][0]["warehouses"][0].clone();
        (main["on_hand"].as_str().map(str::to_owned), main["reserved"].as_str().map(str::to_owned))
    };
    let reaches = async |what: &str, patience, on_hand: &str, reserved: &str| {
        until(what, patience, async || {
            (balance().await == (Some(on_hand.to_owned()), Some(reserved.to_owned()))).then_some(())
        })
        .await;
    };

    add("berlin").await.good();
    let twice = add("other").await;
    assert!(twice.code == Some(1) && twice.err.contains("berlin"), "{}", twice.err);
    reaches("the stock is taken over", 2 * PROOF_PATIENCE, "12", "0").await;
    let buy = async |count| {
        let bought = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(products[0], count)]);
        shop.act(Change::CreateOrder(bought)).await.unwrap().order.unwrap()
    };
    let (sent, waiting) = (buy(3).await, buy(1).await);
    let synced = bench.run(&["shop", "sync", "berlin"]).await.good();
    println!("{synced}");
    reaches("the orders are known", 2 * PATIENCE, "12", "4").await;

    let removed = bench.run(&["shop", "remove", "berlin", "--yes"]).await.good();
    assert!(removed.contains("2 open orders keep 4 units"), "{removed}");
    let parked = bench.run(&["parked", "list"]).await.good();
    assert!(parked.contains("its shop was removed") && parked.contains(&sent.to_string()), "{parked}");
    shop.act(Change::SetStatus { order: sent, status: Status::Completed }).await.unwrap();

    let back = add("hamburg").await.good();
    assert!(back.contains("its orders go on where they were"), "{back}");
    println!("{removed}{parked}{back}");
    reaches("what has left meanwhile has left", 2 * PATIENCE, "9", "1").await;
    let order = bench.run(&["order", "show", "hamburg", &waiting.to_string()]).await.good();
    assert!(order.contains("1 main"), "{order}");
    assert_eq!(bench.run(&["check"]).await.good(), "the ledger is sound\n");

    let released = bench.run(&["shop", "remove", "hamburg", "--yes", "--release"]).await.good();
    assert!(released.contains("let go what its 1 open orders held: 1 units"), "{released}");
    assert_eq!(balance().await, (Some("9".to_owned()), Some("0".to_owned())));
    assert_eq!(up.terminate().await, Some(0), "{}", bench.log());
}
