//! Listings, stocks, and which SKU a stock is mapped to.

use ledger::{Listings, Resolved};
use store::{ListingOutcome, MapOutcome, OpenOrders, Store, UnmappedCause};
use values::{Epoch, ReadNumber, ShopId};

use crate::database::Database;
use crate::world::{
    NOW, holder, observe, order, product, seen, sell, shop, sku, snapshot, stock, units, variation, warehouse,
};

pub(crate) async fn a_listing_maps_its_stock<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    let entries = [
        seen(shop, product(1), Some(1), Some("A")),
        seen(shop, variation(2, 20), Some(20), Some("B")),
        seen(shop, product(3), None, Some("C")),
        seen(shop, product(4), Some(4), None),
    ];
    let expected =
        [ListingOutcome::Mapped, ListingOutcome::Mapped, ListingOutcome::Seen, ListingOutcome::Seen];
    assert_eq!(observe(&store, &entries).await?, expected);
    assert_eq!(observe(&store, &entries).await?, vec![ListingOutcome::Unchanged; 4]);
    let rows = store.stocks_of_shop(shop, None, 100).await?;
    let shown: Vec<_> = rows.iter().map(|row| (row.id.holder.get(), row.sku.clone())).collect();
    assert_eq!(shown, [(1, Some(sku("A"))), (4, None), (20, Some(sku("B")))]);
    let parents = store.stock_parents(&[stock(shop, 1), stock(shop, 20)]).await?;
    assert_eq!(
        parents.into_iter().map(|(id, parent)| (id.holder.get(), parent.get())).collect::<Vec<_>>(),
        [(20, 2)]
    );

    let mut tx = store.begin_inventory().await?;
    let wanted: Vec<_> = entries.iter().map(|entry| (shop, entry.listing)).collect();
    let book = tx.resolve_listings(&wanted, &[sku("A"), sku("C"), sku("D")], &[]).await?;
    let listings = book.of(shop);
    assert_eq!(listings.resolve(product(1)).and_then(|resolved| resolved.sku), Some(sku("A")));
    assert_eq!(listings.resolve(variation(2, 20)).and_then(|resolved| resolved.stock), Some(holder(20)));
    assert_eq!(listings.resolve(product(3)), Some(Resolved::default()), "seen, and not managed");
    assert_eq!(listings.resolve(product(9)), None, "never seen");
    assert!(listings.knows(&sku("A")) && !listings.knows(&sku("C")) && !listings.knows(&sku("D")));
    Ok(())
}

/// Where the listing of product 1 leads, asked twice: what was looked up may be remembered.
async fn leads_to(store: &Store, shop: ShopId) -> anyhow::Result<Option<Resolved>> {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut tx = store.begin_inventory().await?;
        answers
            .push(tx.resolve_listings(&[(shop, product(1))], &[], &[]).await?.of(shop).resolve(product(1)));
        tx.commit().await?;
    }
    assert_eq!(answers.first(), answers.get(1));
    Ok(answers.remove(0))
}

pub(crate) async fn a_listing_leads_elsewhere_as_soon_as_it_is_mapped_so<D: Database>() -> anyhow::Result<()>
{
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    observe(&store, &[seen(shop, product(1), Some(1), Some("A"))]).await?;
    let to = |holder_id, code| Resolved { stock: Some(holder(holder_id)), sku: Some(sku(code)) };
    assert_eq!(leads_to(&store, shop).await?, Some(to(1, "A")));

    store.map_stock(stock(shop, 1), &sku("B"), NOW).await?;
    assert_eq!(leads_to(&store, shop).await?, Some(to(1, "B")), "by hand");

    let mut tx = store.begin_inventory().await?;
    tx.map_stock(stock(shop, 1), &sku("C"), NOW).await?;
    let within = tx.resolve_listings(&[(shop, product(1))], &[], &[]).await?.of(shop).resolve(product(1));
    assert_eq!(within, Some(to(1, "C")), "in the transaction that maps it");
    drop(tx);
    assert_eq!(leads_to(&store, shop).await?, Some(to(1, "B")), "it was not committed");

    observe(&store, &[seen(shop, product(2), Some(2), Some("P"))]).await?;
    observe(&store, &[seen(shop, product(1), Some(2), Some("B"))]).await?;
    assert_eq!(leads_to(&store, shop).await?, Some(to(2, "P")), "its quantity is kept with another");

    observe(&store, &[seen(shop, product(1), Some(1), Some("B"))]).await?;
    assert_eq!(leads_to(&store, shop).await?, Some(to(1, "B")), "and by itself again");

    store.remove_shop(shop, OpenOrders::Keep, NOW).await?;
    let left = leads_to(&store, shop).await?;
    assert_eq!(left.and_then(|left| left.stock), Some(holder(1)));
    let mut tx = store.begin_inventory().await?;
    let rows = tx.load_stocks(&[stock(shop, 1)], &[]).await?;
    assert!(rows.iter().all(|row| row.removed), "of a removed shop");
    Ok(())
}

pub(crate) async fn a_sku_has_one_stock_a_shop<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    // Within one call, and in a later one.
    let entries = [seen(shop, product(1), Some(1), Some("A")), seen(shop, product(2), Some(2), Some("A"))];
    let taken = ListingOutcome::SkuTaken { by: holder(1) };
    assert_eq!(observe(&store, &entries).await?, [ListingOutcome::Mapped, taken.clone()]);
    assert_eq!(observe(&store, &[seen(shop, product(3), Some(3), Some("A"))]).await?, [taken]);
    let mapped = store.map_stock(stock(shop, 3), &sku("A"), NOW).await?;
    assert_eq!(mapped, MapOutcome::SkuTaken { by: holder(1) });
    let unmapped = store.unmapped(shop, None, 100).await?;
    let causes: Vec<_> = unmapped.into_iter().map(|row| (row.stock.holder.get(), row.cause)).collect();
    let cause = UnmappedCause::SkuTaken { sku: sku("A"), by: holder(1) };
    assert_eq!(causes, [(2, cause.clone()), (3, cause)]);
    Ok(())
}

pub(crate) async fn two_shops_may_sell_one_sku<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let (one, two) = (shop(&store, "one", main).await?.id, shop(&store, "two", main).await?.id);
    let entries = [seen(one, product(1), Some(1), Some("A")), seen(two, product(1), Some(1), Some("A"))];
    assert_eq!(observe(&store, &entries).await?, vec![ListingOutcome::Mapped; 2]);
    let rows = store.stock_of(&[sku("A")]).await?;
    assert_eq!(rows.first().map(|row| row.stocks.len()), Some(2));
    Ok(())
}

pub(crate) async fn a_renamed_sku_stays_mapped<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A"]).await?;
    let renamed = observe(&store, &[seen(shop, product(1), Some(1), Some("Z"))]).await?;
    assert_eq!(renamed, [ListingOutcome::Renamed { mapped: sku("A") }]);
    assert_eq!(
        store.stocks_of_shop(shop, None, 9).await?.first().and_then(|row| row.sku.clone()),
        Some(sku("A"))
    );
    Ok(())
}

pub(crate) async fn variations_of_a_parent_share_its_stock<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    // The variation comes first, and its order too.
    observe(&store, &[seen(shop, variation(5, 50), Some(5), Some("V"))]).await?;
    order(&store, shop, snapshot(1, "processing", 10, &[variation(5, 50)])).await?;
    assert_eq!(store.parked(None, 10).await?.len(), 1);
    let row = store.stocks_of_shop(shop, None, 9).await?.remove(0);
    assert_eq!(
        (row.sku, row.taken_total),
        (None, units(1)),
        "what was taken counts before the stock is mapped"
    );
    assert_eq!(
        observe(&store, &[seen(shop, product(5), Some(5), Some("P"))]).await?,
        [ListingOutcome::Mapped]
    );
    let mut tx = store.begin_inventory().await?;
    let resolvable = tx.take_resolvable(10).await?;
    assert_eq!(resolvable, [(shop, crate::world::order_id(1))]);
    assert_eq!(tx.take_resolvable(10).await?, []);
    Ok(())
}

pub(crate) async fn an_older_read_changes_nothing<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    let mut entry = seen(shop, product(1), Some(1), Some("A"));
    entry.number = ReadNumber::new(7);
    observe(&store, std::slice::from_ref(&entry)).await?;
    entry.number = ReadNumber::new(6);
    entry.holder = None;
    assert_eq!(observe(&store, &[entry]).await?, [ListingOutcome::Older]);
    assert!(!store.stocks_of_shop(shop, None, 9).await?.remove(0).removed);
    Ok(())
}

pub(crate) async fn an_unmanaged_stock_is_removed<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A"]).await?;
    let before = store.stocks_of_shop(shop, None, 9).await?.remove(0);
    observe(&store, &[seen(shop, product(1), None, Some("A"))]).await?;
    let row = store.stocks_of_shop(shop, None, 9).await?.remove(0);
    assert!(row.removed && row.revision > before.revision);
    let unpublished = store.levels_to_publish(store::ShopFilter::All, None, 9).await?.levels;
    assert!(unpublished.iter().any(|level| level.stock.removed), "egress is told");
    // Another product may have the SKU now; the first gets it back only once that one gave it up.
    let other = seen(shop, product(2), Some(2), Some("A"));
    assert_eq!(observe(&store, &[other]).await?, [ListingOutcome::Mapped]);
    let back = seen(shop, product(1), Some(1), Some("A"));
    assert_eq!(
        observe(&store, std::slice::from_ref(&back)).await?,
        [ListingOutcome::SkuTaken { by: holder(2) }]
    );
    observe(&store, &[seen(shop, product(2), None, Some("A"))]).await?;
    assert_eq!(observe(&store, &[back]).await?, [ListingOutcome::Mapped]);
    Ok(())
}

pub(crate) async fn mapping_by_hand_starts_an_epoch<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", main).await?.id;
    sell(&store, shop, &["A"]).await?;
    let first = store.stocks_of_shop(shop, None, 9).await?.remove(0).epoch;
    assert!(first > Epoch::ZERO);
    assert_eq!(store.map_stock(stock(shop, 1), &sku("A"), NOW).await?, MapOutcome::Unchanged);
    assert_eq!(
        store.map_stock(stock(shop, 1), &sku("New"), NOW).await?,
        MapOutcome::Mapped { before: Some(sku("A")) }
    );
    assert_eq!(store.map_stock(stock(shop, 9), &sku("New"), NOW).await?, MapOutcome::UnknownStock);
    let row = store.stocks_of_shop(shop, None, 9).await?.remove(0);
    assert_eq!((row.sku, row.epoch), (Some(sku("New")), first.next()));
    let mut tx = store.begin_inventory().await?;
    assert!(tx.take_recompute(9).await?.contains(&sku("New")));
    Ok(())
}
