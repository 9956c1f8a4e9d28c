//! Catalogues that meet: at a SKU, at a stock, at a mark.

use std::sync::Arc;

use store::{Changed, ListingOutcome};

use super::{all, begin, by_hand, fresh, run, until_waiting};
use crate::world::{self, observe, product, seen, settings, warehouse};

/// Two parts of a catalogue, read at once, each find a stock for the same SKU: one has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sku_goes_to_one_stock_of_a_shop() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let id = world::shop(&store, "shop", main).await.unwrap().id;
    let outcomes = all((1..=12).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let listing = seen(id, product(number), Some(number), Some("A"));
            observe(&store, &[listing]).await.unwrap().remove(0)
        }
    }));
    let outcomes = outcomes.await;
    let mapped = outcomes.iter().filter(|outcome| **outcome == ListingOutcome::Mapped).count();
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, ListingOutcome::SkuTaken { .. })).count();
    assert_eq!((mapped, taken), (1, 11), "{outcomes:?}");
    assert_eq!(database.ask("SELECT count(*) FROM inventory.stocks WHERE sku_id IS NOT NULL"), ["1"]);
    assert_eq!(database.ask("SELECT count(*) FROM inventory.stocks"), ["12"]);
}

/// Shops that sell the same, in whatever order, are connected at once.
#[tokio::test(flavor = "multi_thread")]
async fn catalogues_of_many_shops_meet_at_new_skus() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let mut shops = Vec::new();
    for number in 0..8 {
        shops.push(world::shop(&store, &format!("shop {number}"), main).await.unwrap().id);
    }
    // Somebody adds one of them as well, and takes his time.
    let mut slow = by_hand(&database).await;
    let one = "BEGIN; INSERT INTO inventory.skus (sku, movement_count, balances) VALUES ('SKU 20', 0, '[]')";
    run(&mut slow, one).await;
    let observing = begin(all((0..).zip(shops).map(move |(turn, shop)| {
        let store = Arc::clone(&store);
        async move {
            let mut listings: Vec<_> = (1..=40)
                .map(|number| seen(shop, product(number), Some(number), Some(&format!("SKU {number}"))))
                .collect();
            listings.rotate_left(turn * 5);
            observe(&store, &listings).await.unwrap()
        }
    })));
    until_waiting(&database, 8).await;
    run(&mut slow, "COMMIT").await;
    let outcomes: Vec<ListingOutcome> = observing.await.unwrap().into_iter().flatten().collect();
    assert!(outcomes.iter().all(|outcome| *outcome == ListingOutcome::Mapped), "{outcomes:?}");
    assert_eq!(database.ask("SELECT count(*) FROM inventory.skus"), ["40"]);
    assert_eq!(database.ask("SELECT count(DISTINCT sku_id) FROM inventory.recompute_skus"), ["40"]);
}

/// A batch changes the level of a stock whose listing a catalogue shows as unmanaged meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_stock_keeps_the_revision_of_a_batch() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let id = world::shop(&store, "shop", main).await.unwrap().id;
    observe(&store, &[seen(id, product(1), Some(1), Some("A"))]).await.unwrap();
    let mut batch = by_hand(&database).await;
    run(&mut batch, "BEGIN; UPDATE inventory.stocks SET level = 5000, revision = 10").await;
    let removed = begin({
        let store = Arc::clone(&store);
        async move { observe(&store, &[seen(id, product(1), None, Some("A"))]).await.unwrap() }
    });
    until_waiting(&database, 1).await;
    run(&mut batch, "COMMIT").await;
    removed.await.unwrap();
    let kept =
        database.ask("SELECT epoch || ' ' || revision || ' ' || level FROM inventory.stocks WHERE removed");
    assert_eq!(kept, ["1 11 5000"]);
    assert_eq!(database.ask("SELECT epoch || ' ' || revision FROM inventory.outbox"), ["1 11"]);
}

/// The SKUs of a shop that changes are marked although they are just being worked off.
#[tokio::test(flavor = "multi_thread")]
async fn no_mark_is_lost_and_none_is_waited_for() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let id = world::shop(&store, "shop", main).await.unwrap().id;
    let listings = [seen(id, product(1), Some(1), Some("A")), seen(id, product(2), Some(2), Some("B"))];
    observe(&store, &listings).await.unwrap();
    assert_eq!(database.ask("SELECT sum(wanted) FROM inventory.recompute_skus"), ["2"]);
    let mut upkeep = by_hand(&database).await;
    run(&mut upkeep, "BEGIN; DELETE FROM inventory.recompute_skus WHERE id = 1").await;
    assert_eq!(store.change_shop(id, &settings(main)).await.unwrap(), Changed::Done);
    run(&mut upkeep, "COMMIT").await;
    let left = database.ask("SELECT sku_id || ' ' || wanted FROM inventory.recompute_skus ORDER BY sku_id");
    assert_eq!(left, ["1 1", "2 2"], "one is made anew, the other is wanted once more");
}
