//! A small world to test in: one warehouse, shops that sell from it, stock in it.

use std::sync::Arc;

use anyhow::bail;
use ledger::{Operation, OperationOutcome, OrderLine, Routing, Seen, Snapshot};
use store::{
    Changes, Connector, InventoryTx, ListingOutcome, ListingSeen, NewShop, Posted, Posting, Shop, ShopAdded,
    ShopSecrets, ShopSettings, Store, TagSet, WarehouseAdded, WarehouseKind,
};
use values::{
    HolderId, LineId, ListingId, OrderId, ProductId, Quantity, ReadNumber, ShopId, Sku, StockId, Timestamp,
    VariationId, WarehouseId,
};

use crate::batch::apply_snapshots;

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

pub(crate) fn sku(text: &str) -> Sku {
    text.parse().unwrap()
}

pub(crate) fn units(units: i64) -> Quantity {
    Quantity::from_units(units)
}

pub(crate) fn order_id(raw: i64) -> OrderId {
    OrderId::new(raw).unwrap()
}

pub(crate) fn product(raw: i64) -> ListingId {
    ListingId { product: ProductId::new(raw).unwrap(), variation: None }
}

pub(crate) fn variation(parent: i64, raw: i64) -> ListingId {
    ListingId { product: ProductId::new(parent).unwrap(), variation: VariationId::new(raw) }
}

pub(crate) fn holder(raw: i64) -> HolderId {
    HolderId::new(raw).unwrap()
}

pub(crate) fn stock(shop: ShopId, raw: i64) -> StockId {
    StockId { shop, holder: holder(raw) }
}

pub(crate) async fn warehouse(store: &Store, name: &str) -> anyhow::Result<WarehouseId> {
    match store.add_warehouse(name, WarehouseKind::HubOwned, NOW).await? {
        WarehouseAdded::Added(warehouse) => Ok(warehouse.id),
        WarehouseAdded::NameTaken => bail!("the name is taken"),
    }
}

pub(crate) fn settings(warehouse: WarehouseId) -> ShopSettings {
    ShopSettings::new("https://shop.example", Routing::new([warehouse]).unwrap())
}

pub(crate) fn new_shop(name: &str, warehouse: WarehouseId) -> NewShop {
    NewShop {
        name: name.to_owned(),
        connector: Connector::Woocommerce,
        settings: ShopSettings { url: format!("https://{name}.example"), ..settings(warehouse) },
        opening: store::Opening::None,
        secrets: secrets("first"),
    }
}

pub(crate) fn secrets(mark: &str) -> ShopSecrets {
    ShopSecrets {
        consumer_key: format!("ck_{mark}").into(),
        consumer_secret: format!("cs_{mark}").into(),
        webhook_secret: format!("ws_{mark}").into(),
        webhook_secret_previous: None,
    }
}

pub(crate) async fn shop(store: &Store, name: &str, warehouse: WarehouseId) -> anyhow::Result<Shop> {
    match store.add_shop(new_shop(name, warehouse), NOW).await? {
        ShopAdded::Added { shop, .. } => Ok(shop),
        other => bail!("the shop was not added: {other:?}"),
    }
}

pub(crate) fn seen(shop: ShopId, listing: ListingId, holder: Option<i64>, code: Option<&str>) -> ListingSeen {
    ListingSeen {
        shop,
        listing,
        holder: holder.and_then(HolderId::new),
        sku: code.map(sku),
        name: "A thing".to_owned(),
        status: "publish".to_owned(),
        kind: None,
        number: ReadNumber::new(1),
    }
}

pub(crate) async fn observe(store: &Store, seen: &[ListingSeen]) -> anyhow::Result<Vec<ListingOutcome>> {
    let mut tx = store.begin_inventory().await?;
    let outcomes = tx.observe_listings(seen, NOW).await?;
    tx.commit().await?;
    Ok(outcomes)
}

/// Products 1, 2, 3… of the shop sell these SKUs, each from its own stock.
pub(crate) async fn sell(store: &Store, shop: ShopId, codes: &[&str]) -> anyhow::Result<()> {
    let entries: Vec<ListingSeen> =
        (1..).zip(codes).map(|(id, code)| seen(shop, product(id), Some(id), Some(code))).collect();
    observe(store, &entries).await?;
    recompute(store).await
}

/// Works off what registry changes left behind.
pub(crate) async fn recompute(store: &Store) -> anyhow::Result<()> {
    let mut tx = store.begin_inventory().await?;
    let skus = tx.take_recompute(10_000).await?;
    let book = tx.load_books(&skus).await?;
    let mut stocks = tx.load_stocks(&[], &skus).await?;
    let mut ids: Vec<ShopId> = stocks.iter().map(|row| row.id.shop).collect();
    ids.dedup();
    let shops = tx.load_shops(&ids).await?.into_iter().map(|shop| (shop.id, shop)).collect();
    for row in &mut stocks {
        crate::batch::set_level(row, &shops, &book)?;
    }
    tx.save(&Changes { stocks: &stocks, now: NOW, ..Changes::default() }).await?;
    Ok(tx.commit().await?)
}

pub(crate) async fn receive(
    store: &Store,
    code: &str,
    warehouse: WarehouseId,
    quantity: i64,
) -> anyhow::Result<()> {
    let mut tx = store.begin_inventory().await?;
    receive_in(&mut tx, code, warehouse, quantity).await?;
    Ok(tx.commit().await?)
}

/// The same without a commit.
pub(crate) async fn receive_in(
    tx: &mut InventoryTx,
    code: &str,
    warehouse: WarehouseId,
    quantity: i64,
) -> anyhow::Result<()> {
    receive_tagged(tx, code, warehouse, quantity, None).await
}

/// The same with tags.
pub(crate) async fn receive_tagged(
    tx: &mut InventoryTx,
    code: &str,
    warehouse: WarehouseId,
    quantity: i64,
    tags: Option<Arc<TagSet>>,
) -> anyhow::Result<()> {
    let skus = [sku(code)];
    let mut book = tx.load_books(&skus).await?;
    let operation = Operation::Receive { sku: sku(code), warehouse, quantity: units(quantity) };
    assert_eq!(ledger::operate(&operation, NOW, &mut book), OperationOutcome::Applied);
    let posting = Posting {
        at: NOW,
        actor: Some("tester".into()),
        reason: Some("delivery note 7".into()),
        operation: Some("key 7".into()),
        trace: Some([7; 16]),
        tags,
    };
    let movements: Vec<Posted> = book
        .take_movements()
        .into_iter()
        .map(|movement| Posted { movement, posting: posting.clone() })
        .collect();
    let mut stocks = tx.load_stocks(&[], &skus).await?;
    let ids: Vec<ShopId> = stocks.iter().map(|row| row.id.shop).collect();
    let shops = tx.load_shops(&ids).await?.into_iter().map(|shop| (shop.id, shop)).collect();
    for row in &mut stocks {
        crate::batch::set_level(row, &shops, &book)?;
    }
    let changes =
        Changes { book: Some(&book), movements: &movements, stocks: &stocks, now: NOW, ..Changes::default() };
    tx.save(&changes).await?;
    Ok(())
}

/// An order of one unit of each of the listings, each taken by the shop.
pub(crate) fn snapshot(order: i64, status: &str, at: i64, listings: &[ListingId]) -> Snapshot {
    let line = |(index, listing): (i64, &ListingId)| OrderLine {
        id: LineId::new(order * 100 + index).unwrap(),
        listing: Some(*listing),
        sku: None,
        quantity: units(1),
        taken: Some(units(1)),
        restocked: Quantity::ZERO,
        fault: None,
    };
    Snapshot {
        order: order_id(order),
        seen: Seen::Webhook,
        modified_at: Some(Timestamp::from_seconds(at)),
        status: status.to_owned(),
        lines: (1..).zip(listings).map(line).collect(),
    }
}

/// One warehouse with 10 of A and 10 of B, one shop that sells both as products 1 and 2.
pub(crate) async fn simple(store: &Store) -> anyhow::Result<(Shop, WarehouseId)> {
    let warehouse = warehouse(store, "main").await?;
    let shop = shop(store, "shop", warehouse).await?;
    sell(store, shop.id, &["A", "B"]).await?;
    receive(store, "A", warehouse, 10).await?;
    receive(store, "B", warehouse, 10).await?;
    Ok((shop, warehouse))
}

pub(crate) async fn order(store: &Store, shop: ShopId, snapshot: Snapshot) -> anyhow::Result<()> {
    apply_snapshots(store, &[(shop, snapshot)], NOW).await?;
    Ok(())
}
