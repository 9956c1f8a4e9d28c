//! What is to be read again, what makes a picture incomplete, and what else inventory asks within its batches.

use std::time::Duration;

use ledger::Listings;
use store::{Changed, Changes, Incomplete, Opening, OrderRow, ShopState, Wanted, Wish};
use values::Timestamp;

use crate::database::Database;
use crate::world::{
    NOW, holder, new_shop, observe, order, order_id, product, seen, settings, simple, sku, snapshot, stock,
    units, warehouse,
};

pub(crate) async fn a_wish_stays_until_it_is_asked_for<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let wish = |what| Wish { shop: shop.id, what };
    let all = [
        wish(Wanted::Audit),
        wish(Wanted::Catalogue),
        wish(Wanted::Listing(holder(7))),
        wish(Wanted::Order(order_id(7))),
        wish(Wanted::Stock(holder(1))),
    ];
    for _ in 0..2 {
        let mut tx = store.begin_inventory().await?;
        tx.wish(&all, NOW).await?;
        tx.commit().await?;
    }
    let mut wishes = store.wishes(10).await?;
    let mut found: Vec<Wish> = wishes.iter().map(|(wish, _)| *wish).collect();
    found.sort_unstable();
    let mut expected = all.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "each once");

    // Wanted again between being read and being done with.
    let mut tx = store.begin_inventory().await?;
    tx.wish(&[wish(Wanted::Audit)], NOW).await?;
    tx.commit().await?;
    store.wishes_done(&wishes).await?;
    wishes = store.wishes(10).await?;
    assert_eq!(wishes.iter().map(|(wish, _)| *wish).collect::<Vec<_>>(), [wish(Wanted::Audit)]);
    store.wishes_done(&wishes).await?;
    assert_eq!(store.wishes(10).await?, []);
    Ok(())
}

pub(crate) async fn orders_no_read_confirmed_are_found<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let mut tx = store.begin_inventory().await?;
    let keys: Vec<_> = (1..=3).map(|number| (shop.id, order_id(number))).collect();
    let mut rows = tx.load_orders(&keys).await?;
    for (row, since) in rows.iter_mut().zip([Some(NOW), None, Some(NOW + Duration::from_mins(1))]) {
        *row = OrderRow { unconfirmed_since: since, ..row.clone() };
        "processing".clone_into(&mut row.order.status);
    }
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    let late = NOW + Duration::from_secs(61);
    assert_eq!(tx.overdue_orders(NOW, None, 9).await?, [], "not a moment before");
    assert_eq!(tx.overdue_orders(late, None, 9).await?, [keys[0], keys[2]]);
    assert_eq!(tx.overdue_orders(late, None, 1).await?, [keys[0]]);
    assert_eq!(tx.overdue_orders(late, Some(keys[0]), 9).await?, [keys[2]]);
    tx.commit().await?;
    store.remove_shop(shop.id, store::OpenOrders::Keep, NOW).await?;
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.overdue_orders(late, None, 9).await?, [], "nobody reads a removed shop");
    Ok(())
}

pub(crate) async fn marks_are_cleared_one_by_one<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let mark = |order: Option<i64>, at: i64| Incomplete {
        shop: shop.id,
        order: order.map(order_id),
        reason: "unreadable".to_owned(),
        at: Timestamp::from_seconds(at),
    };
    let mut tx = store.begin_inventory().await?;
    let marks = [mark(None, 5), mark(Some(7), 6)];
    tx.save(&Changes { incomplete: &marks, ..Changes::default() }).await?;
    tx.save(&Changes { incomplete: &[mark(None, 50)], ..Changes::default() }).await?;
    assert_eq!(tx.incomplete_marks(&[shop.id]).await?, marks, "since when stays");
    tx.clear_marks(&marks[..1]).await?;
    assert_eq!(tx.incomplete_marks(&[shop.id]).await?, marks[1..]);
    assert!(tx.incomplete_shops(&[shop.id]).await?.contains(&shop.id));
    tx.clear_marks(&marks[1..]).await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    Ok(())
}

/// Lines that may be resolved and are not yet: what the shop shows cannot be compared with what is known.
pub(crate) async fn unresolved_lines_make_a_picture_incomplete<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(7)])).await?;
    let mut tx = store.begin_inventory().await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty(), "nothing is known of it");
    drop(tx);
    observe(&store, &[seen(shop.id, product(7), Some(7), Some("C"))]).await?;
    let mut tx = store.begin_inventory().await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.contains(&shop.id));
    tx.take_resolvable(10).await?;
    assert!(tx.incomplete_shops(&[shop.id]).await?.is_empty());
    Ok(())
}

pub(crate) async fn a_code_stands_in_for_a_stock<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let listings = [
        // The shop keeps no quantity: the code is known, or not.
        seen(shop.id, product(3), None, Some("A")),
        seen(shop.id, product(4), None, Some("Gift wrap")),
        // Another stock of the shop has the SKU.
        seen(shop.id, product(5), Some(5), Some("A")),
        seen(shop.id, product(6), Some(6), None),
    ];
    observe(&store, &listings).await?;
    let mut tx = store.begin_inventory().await?;
    let wanted: Vec<_> = listings.iter().map(|seen| (shop.id, seen.listing)).collect();
    let book = tx.resolve_listings(&wanted, &[], &[]).await?;
    let found = wanted.iter().map(|(shop, listing)| book.of(*shop).resolve(*listing).unwrap());
    let found: Vec<_> =
        found.map(|resolved| (resolved.stock.map(values::HolderId::get), resolved.sku)).collect();
    assert_eq!(found, [(None, Some(sku("A"))), (None, None), (Some(5), Some(sku("A"))), (Some(6), None)]);
    Ok(())
}

/// What a shop keeps no quantity of does not make its other stocks doubtful.
pub(crate) async fn doubt_leaves_unmanaged_lines_out<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    observe(&store, &[seen(shop.id, product(3), None, Some("A"))]).await?;
    let stocks = [stock(shop.id, 1), stock(shop.id, 2)];
    let cases = [(product(3), &stocks[..0]), (product(1), &stocks[..1]), (product(9), &stocks[..])];
    for (at, (listing, doubtful)) in (10..).zip(cases) {
        let key = [(shop.id, order_id(1))];
        order(&store, shop.id, snapshot(1, "processing", at, &[listing])).await?;
        let mut tx = store.begin_inventory().await?;
        let mut rows = tx.load_orders(&key).await?;
        rows[0].unconfirmed_since = Some(NOW);
        tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
        let found: Vec<_> = tx.doubtful_stocks(&stocks).await?.into_iter().collect();
        assert_eq!(found, doubtful, "{listing}");
    }
    Ok(())
}

pub(crate) async fn traces_go_out_with_levels<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let id = stock(shop.id, 1);
    for trace in [Some("00-first"), Some("00-second"), None] {
        let mut tx = store.begin_inventory().await?;
        let mut rows = tx.load_stocks(&[id], &[]).await?;
        assert_eq!(rows[0].trace, None, "it is of the change, not of the stock");
        rows[0].revision = rows[0].revision.next();
        rows[0].trace = trace.map(Into::into);
        tx.save(&Changes { stocks: &rows, now: NOW, ..Changes::default() }).await?;
        tx.commit().await?;
    }
    let levels = store.levels_to_publish(store::ShopFilter::All, None, 10).await?.levels;
    let level = levels.iter().find(|level| level.stock.id == id).unwrap();
    assert_eq!(level.stock.trace.as_deref(), Some("00-second"));
    Ok(())
}

pub(crate) async fn a_shop_is_connected_within_a_batch<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let new = store::NewShop { opening: Opening::Take, ..new_shop("shop", main) };
    let store::ShopAdded::Added { shop, .. } = store.add_shop(new, NOW).await? else {
        panic!("the name is free")
    };
    assert_eq!((shop.opening, shop.state), (Opening::Take, ShopState::Connecting));
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.activate_shop(shop.id).await?, Changed::Done);
    let changed = store::ShopSettings { buffer: units(3), ..settings(main) };
    assert_eq!(tx.change_shop(shop.id, &changed).await?, Changed::Done);
    let found = tx.load_shops(&[shop.id]).await?;
    assert_eq!(
        (found[0].state, found[0].opening, found[0].settings.buffer),
        (ShopState::Active, Opening::Take, units(3))
    );
    drop(tx);
    assert_eq!(store.shops(None).await?, [shop], "a dropped batch leaves nothing");
    Ok(())
}
