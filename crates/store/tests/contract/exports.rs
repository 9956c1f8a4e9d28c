//! Everything there is of movements and orders, a page at a time.

use std::collections::BTreeSet;

use crate::database::Database;
use crate::world::{order, product, receive, shop, simple, snapshot};

pub(crate) async fn every_movement_is_exported_once<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    assert_eq!(store.movements_page(None, 9).await?, []);
    let (shop, warehouse) = simple(&store).await?;
    for id in 1..=5 {
        order(&store, shop.id, snapshot(id, "processing", 1_000 + id, &[product(1), product(2)])).await?;
        receive(&store, "A", warehouse, 1).await?;
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = store.movements_page(after, 3).await?;
        assert!(page.len() <= 3);
        let Some((place, _)) = page.last() else { break };
        after = Some(*place);
        found.extend(page.into_iter().map(|(_, posted)| posted));
    }
    let mut expected = Vec::new();
    for sku in ["A", "B"] {
        expected.extend(store.movements(&sku.parse()?, 0, 100).await?);
    }
    assert_eq!(found.len(), expected.len());
    assert!(found.len() > 15, "{}", found.len());
    assert!(expected.iter().all(|posted| found.contains(posted)));
    Ok(())
}

pub(crate) async fn every_order_is_exported_with_its_lines<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, warehouse) = simple(&store).await?;
    let other = shop(&store, "other", warehouse).await?;
    for id in 1..=5 {
        order(&store, one.id, snapshot(id, "processing", 1_000 + id, &[product(1), product(2)])).await?;
        order(&store, other.id, snapshot(id, "processing", 1_000 + id, &[product(9)])).await?;
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = store.orders_page(after, 3).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.shop, last.order.id));
        found.extend(page);
    }
    let keys: BTreeSet<_> = found.iter().map(|row| (row.shop, row.order.id)).collect();
    assert_eq!((found.len(), keys.len()), (10, 10));
    for row in found {
        assert_eq!(store.order(row.shop, row.order.id).await?.as_ref(), Some(&row));
        assert_eq!(row.order.lines.len(), if row.shop == one.id { 2 } else { 1 });
    }
    Ok(())
}
