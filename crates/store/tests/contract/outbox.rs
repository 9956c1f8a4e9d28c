//! Levels to publish: the newest state of each stock, once.

use store::{Changes, Error, ShopFilter, Store, Unpublished};
use values::Timestamp;

use crate::database::Database;
use crate::world::{NOW, order, product, sell, shop, simple, snapshot, stock, units, warehouse};

async fn unpublished(store: &Store) -> anyhow::Result<Vec<Unpublished>> {
    let page = store.levels_to_publish(ShopFilter::All, None, 100).await?;
    anyhow::ensure!(page.damaged.is_empty(), "{:?}", page.damaged);
    Ok(page.levels)
}

async fn publish_all(store: &Store) -> anyhow::Result<()> {
    let levels: Vec<_> = unpublished(store)
        .await?
        .iter()
        .map(|level| (level.stock.id, level.stock.epoch, level.stock.revision))
        .collect();
    Ok(store.mark_published(&levels).await?)
}

pub(crate) async fn newest_wins<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    publish_all(&store).await?;
    assert_eq!(unpublished(&store).await?, []);
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(1)])).await?;
    let first = unpublished(&store).await?;
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].stock.level, units(9));
    // It changes again before it is marked: what was read is not what is to be published.
    order(&store, shop.id, snapshot(2, "processing", 10, &[product(1)])).await?;
    store.mark_published(&[(first[0].stock.id, first[0].stock.epoch, first[0].stock.revision)]).await?;
    let second = unpublished(&store).await?;
    assert_eq!((second.len(), second[0].stock.level), (1, units(8)));
    assert!(second[0].stock.revision > first[0].stock.revision);
    publish_all(&store).await?;
    publish_all(&store).await?;
    assert_eq!(unpublished(&store).await?, []);
    assert_eq!(store.waiting().await?.outbox_count, 0);
    Ok(())
}

pub(crate) async fn order_dates_gather_until_published<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    publish_all(&store).await?;
    for (number, at) in [(1, 20), (2, 10), (3, 15)] {
        order(&store, shop.id, snapshot(number, "processing", at, &[product(1)])).await?;
    }
    let dates = |seconds| Some((Timestamp::from_seconds(seconds), Timestamp::from_seconds(20)));
    assert_eq!(unpublished(&store).await?[0].stock.order_dates, dates(10));
    assert_eq!(store.waiting().await?.outbox_oldest, Some(NOW));
    publish_all(&store).await?;
    // A change without an order has none.
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_stocks(&[stock(shop.id, 1)], &[]).await?;
    rows[0].revision = rows[0].revision.next();
    tx.save(&Changes { stocks: &rows, now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    assert_eq!(unpublished(&store).await?[0].stock.order_dates, None);
    order(&store, shop.id, snapshot(4, "processing", 20, &[product(1)])).await?;
    assert_eq!(unpublished(&store).await?[0].stock.order_dates, dates(20));
    Ok(())
}

/// Who saved a batch may publish what it was told, and need not look.
pub(crate) async fn who_saves_is_told_what_waits<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    publish_all(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(1)])).await?;
    // It goes on from what somebody else has left unpublished, whose dates it tells with its own.
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_stocks(&[stock(shop.id, 1)], &[]).await?;
    let later = Timestamp::from_seconds(30);
    rows[0].revision = rows[0].revision.next();
    rows[0].order_dates = Some((later, later));
    rows[0].trace = Some("00-trace".into());
    let told = tx.save(&Changes { stocks: &rows, now: later, ..Changes::default() }).await?;
    tx.commit().await?;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].since, NOW);
    assert_eq!(told[0].stock.order_dates, Some((Timestamp::from_seconds(10), later)));
    assert_eq!(told, unpublished(&store).await?);
    // What changes nothing that is published has nothing to tell.
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_stocks(&[stock(shop.id, 1)], &[]).await?;
    assert_eq!(tx.save(&Changes { stocks: &rows, now: later, ..Changes::default() }).await?, []);
    rows[0].last_applied_at = Some(later);
    assert_eq!(tx.save(&Changes { stocks: &rows, now: later, ..Changes::default() }).await?, []);
    Ok(())
}

pub(crate) async fn shops_are_shared_out<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let mut shops = Vec::new();
    for name in ["a", "b", "c"] {
        let id = shop(&store, name, main).await?.id;
        sell(&store, id, &["A", "B"]).await?;
        order(&store, id, snapshot(1, "processing", 10, &[product(1), product(2)])).await?;
        shops.push(id);
    }
    let mut found = Vec::new();
    for rest in 0..2 {
        let filter = ShopFilter::Rest { of: 2, rest };
        let levels = store.levels_to_publish(filter, None, 100).await?.levels;
        found.extend(levels.into_iter().map(|level| level.stock.id));
    }
    found.sort_unstable();
    let all: Vec<_> = shops.iter().flat_map(|shop| [stock(*shop, 1), stock(*shop, 2)]).collect();
    assert_eq!(found, all);
    let paged = store.levels_to_publish(ShopFilter::All, Some(all[2]), 2).await?.levels;
    assert_eq!(paged.iter().map(|level| level.stock.id).collect::<Vec<_>>(), all[3..5]);
    Ok(())
}

pub(crate) async fn what_is_damaged_is_told_apart<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A", "B", "C"]).await?;
    order(&store, shop, snapshot(1, "processing", 10, &[product(1), product(2), product(3)])).await?;
    database.run("UPDATE inventory_stocks SET adoption = 'nonsense' WHERE holder = 3").await?;
    let all = store.levels_to_publish(ShopFilter::All, None, 100).await?;
    let readable: Vec<_> = all.levels.iter().map(|level| level.stock.id).collect();
    assert_eq!(readable, [stock(shop, 1), stock(shop, 2)]);
    assert!(
        matches!(all.damaged.as_slice(), [(id, Error::Damaged { .. })] if *id == stock(shop, 3)),
        "{all:?}"
    );
    assert_eq!(all.last(), Some(stock(shop, 3)), "the next page begins behind it");
    let second = store.levels_to_publish(ShopFilter::All, None, 2).await?.last();
    assert_eq!(second, Some(stock(shop, 2)));
    Ok(())
}

/// The transport lost them for good.
pub(crate) async fn what_was_published_can_be_again<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let (lost, other) = (shop(&store, "a", main).await?.id, shop(&store, "b", main).await?.id);
    for shop in [lost, other] {
        sell(&store, shop, &["A", "B", "C"]).await?;
    }
    publish_all(&store).await?;
    order(&store, lost, snapshot(1, "processing", 10, &[product(1)])).await?;
    let waiting = unpublished(&store).await?;
    assert_eq!(store.publish_again(lost, Timestamp::from_seconds(90)).await?, 2, "one waits already");
    let again = unpublished(&store).await?;
    let of_lost: Vec<_> = again.iter().filter(|level| level.stock.id.shop == lost).collect();
    assert_eq!(of_lost.iter().map(|level| level.stock.id.holder.get()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(of_lost[0], &waiting[0], "what waited is as it was");
    let of_other =
        |levels: &[Unpublished]| levels.iter().filter(|level| level.stock.id.shop == other).count();
    assert_eq!(of_other(&again), of_other(&waiting));
    publish_all(&store).await?;
    assert_eq!(unpublished(&store).await?, []);
    assert_eq!(store.publish_again(lost, NOW).await?, 3);
    Ok(())
}
