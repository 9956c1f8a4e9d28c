//! Batches and relays at the outbox.

use std::sync::Arc;

use store::ShopFilter;

use super::{all, begin, by_hand, fresh, run, until_waiting};

const A_STOCK: &str = "
INSERT INTO inventory.stocks (shop, holder, step, epoch, revision) VALUES (1, 1, 1000, 0, 7);
INSERT INTO inventory.outbox (shop, holder, epoch, revision, since) VALUES (1, 1, 0, 7, 0)";

const CHANGED: &str = "
UPDATE inventory.stocks SET revision = 8;
UPDATE inventory.outbox SET revision = 8";

/// A batch that changes a level again ends while a relay takes away what it published before.
#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_changes_while_it_is_marked_is_not_lost() {
    let (database, store) = fresh().await;
    let mut batch = by_hand(&database).await;
    run(&mut batch, A_STOCK).await;
    let seven = store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap().levels.remove(0).stock;
    let mark = [(seven.id, seven.epoch, seven.revision)];
    run(&mut batch, &format!("BEGIN; {CHANGED}")).await;
    store.mark_published(&mark).await.unwrap();
    run(&mut batch, "COMMIT").await;
    store.mark_published(&mark).await.unwrap();
    let left = store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap().levels;
    assert_eq!(left.iter().map(|level| level.stock.revision.get()).collect::<Vec<_>>(), [8]);
    // The relay was first: what changes after that is put in anew.
    let mut relay = by_hand(&database).await;
    run(&mut relay, "BEGIN; DELETE FROM inventory.outbox WHERE revision = 8").await;
    run(&mut batch, "BEGIN; UPDATE inventory.stocks SET revision = 9").await;
    let late = begin(async move {
        let sql = "INSERT INTO inventory.outbox (shop, holder, epoch, revision, since) VALUES (1, 1, 0, 9, 0)
                       ON CONFLICT (shop, holder) DO UPDATE SET revision = excluded.revision; COMMIT";
        run(&mut batch, sql).await;
    });
    until_waiting(&database, 1).await;
    run(&mut relay, "COMMIT").await;
    late.await.unwrap();
    let left = store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap().levels;
    assert_eq!(left.iter().map(|level| level.stock.revision.get()).collect::<Vec<_>>(), [9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_may_race() {
    let (database, store) = fresh().await;
    let mut batch = by_hand(&database).await;
    run(
        &mut batch,
        "INSERT INTO inventory.stocks (shop, holder, step, epoch, revision)
         SELECT 1, holder, 1000, 0, 1 FROM generate_series(1, 300) AS holder;
         INSERT INTO inventory.outbox (shop, holder, epoch, revision, since)
         SELECT shop, holder, epoch, revision, 0 FROM inventory.stocks",
    )
    .await;
    let relays = all((0..4).map(|_| {
        let store = Arc::clone(&store);
        async move {
            let mut after = None;
            loop {
                let levels = store.levels_to_publish(ShopFilter::All, after, 20).await.unwrap().levels;
                let Some(last) = levels.last() else { return };
                after = Some(last.stock.id);
                let mut marks: Vec<_> = levels
                    .iter()
                    .map(|level| (level.stock.id, level.stock.epoch, level.stock.revision))
                    .collect();
                marks.reverse();
                store.mark_published(&marks).await.unwrap();
            }
        }
    }));
    relays.await;
    assert_eq!(store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap().levels, []);
}
