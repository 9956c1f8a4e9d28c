//! Every kind of damage is planted once, and found as what it is.

use store::{Broken, Store};
use values::{Quantity, Revision};

use crate::database::Database;
use crate::world::{order, product, simple, sku, snapshot, stock, units};

/// A shop that has sold some, in every state.
async fn lively(store: &Store) -> anyhow::Result<values::ShopId> {
    let (shop, _) = simple(store).await?;
    order(store, shop.id, snapshot(1, "processing", 10, &[product(1), product(2)])).await?;
    order(store, shop.id, snapshot(2, "completed", 10, &[product(1)])).await?;
    let mut pending = snapshot(3, "pending", 10, &[product(2)]);
    pending.lines[0].taken = None;
    order(store, shop.id, pending).await?;
    order(store, shop.id, snapshot(4, "cancelled", 10, &[product(2)])).await?;
    Ok(shop.id)
}

/// What is found after the damage. Triggers that would prevent it are dropped first.
async fn found<D: Database>(damage: &'static str) -> anyhow::Result<(values::ShopId, Vec<Broken>)> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let shop = lively(&store).await?;
    assert_eq!(store.check().await?, [], "sound before the damage");
    database.run(damage).await?;
    Ok((shop, store.check().await?))
}

pub(crate) async fn a_sound_ledger_is_sound<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    assert_eq!(store.check().await?, []);
    lively(&store).await?;
    assert_eq!(store.check().await?, []);
    Ok(())
}

pub(crate) async fn a_wrong_balance_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "UPDATE inventory_skus SET balances = '[[1,8000,1000,1]]' WHERE sku = 'A'";
    let (_, broken) = found::<D>(damage).await?;
    let balance = |broken: &&Broken| matches!(broken, Broken::Balance { sku: of, .. } if *of == sku("A"));
    let balance = broken.iter().find(balance).unwrap();
    assert_eq!(
        balance.to_string(),
        "balance of A in warehouse 1 is 8 on hand, 1 reserved; its movements come to 9 and 1"
    );
    assert!(broken.iter().any(|broken| matches!(broken, Broken::Level { .. })), "its level follows");
    Ok(())
}

pub(crate) async fn a_missing_movement_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "DROP TRIGGER inventory_movements_are_kept;
                  DELETE FROM inventory_movements WHERE number = 2
                     AND sku_id = (SELECT id FROM inventory_skus WHERE sku = 'A')";
    let (_, broken) = found::<D>(damage).await?;
    let numbering = Broken::Numbering { sku: sku("A"), counted: 3, found: 2, last: 3 };
    assert!(broken.contains(&numbering), "{broken:?}");
    assert!(broken.iter().any(|broken| matches!(broken, Broken::Balance { .. })));
    Ok(())
}

pub(crate) async fn a_broken_chain_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "DROP TRIGGER inventory_movements_stay;
                  UPDATE inventory_movements SET on_hand = on_hand + 1000 WHERE number = 2
                     AND sku_id = (SELECT id FROM inventory_skus WHERE sku = 'A')";
    let (_, broken) = found::<D>(damage).await?;
    // The next one does not follow from it either.
    let chain = |number| Broken::Chain { sku: sku("A"), number };
    assert_eq!(broken, [chain(2), chain(3)]);
    Ok(())
}

pub(crate) async fn wrong_reserved_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "UPDATE inventory_lines SET holds = '[[1,3000,0]]', reserved = 3000
                   WHERE order_id = 1 AND position = 0";
    let (_, broken) = found::<D>(damage).await?;
    let warehouse = values::WarehouseId::new(1).unwrap();
    let reserved = Broken::Reserved { sku: sku("A"), warehouse, stored: units(1), held: units(3) };
    assert!(broken.contains(&reserved), "{broken:?}");
    Ok(())
}

pub(crate) async fn a_wrong_order_sum_is_found<D: Database>() -> anyhow::Result<()> {
    for damage in [
        "UPDATE inventory_orders SET open = false WHERE order_id = 1",
        "UPDATE inventory_lines SET reserved = 2000 WHERE order_id = 1 AND position = 1",
    ] {
        let (shop, broken) = found::<D>(damage).await?;
        assert_eq!(broken, [Broken::OrderSum { shop, order: crate::world::order_id(1) }], "{damage}");
    }
    Ok(())
}

pub(crate) async fn wrong_taken_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "UPDATE inventory_stocks SET taken_total = 5000 WHERE holder = 1";
    let (shop, broken) = found::<D>(damage).await?;
    assert_eq!(broken, [Broken::Taken { stock: stock(shop, 1), stored: units(5), summed: units(2) }]);
    Ok(())
}

pub(crate) async fn wrong_untaken_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "UPDATE inventory_stocks SET untaken = 0 WHERE holder = 2";
    let (shop, broken) = found::<D>(damage).await?;
    let untaken = Broken::Untaken { stock: stock(shop, 2), stored: Quantity::ZERO, summed: units(1) };
    assert_eq!(broken, [untaken]);
    Ok(())
}

pub(crate) async fn a_wrong_level_is_found<D: Database>() -> anyhow::Result<()> {
    let damage = "UPDATE inventory_stocks SET level = 9000 WHERE holder = 1";
    let (shop, broken) = found::<D>(damage).await?;
    assert_eq!(broken, [Broken::Level { stock: stock(shop, 1), stored: units(9), computed: units(8) }]);
    Ok(())
}

pub(crate) async fn a_level_published_ahead_is_found<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let shop = lively(&store).await?;
    let row = store.stocks_of_shop(shop, None, 9).await?.remove(0);
    for (revision, broken) in [
        (row.revision, vec![]),
        (Revision::new(row.revision.get() + 1), vec![Broken::Ahead { stock: row.id }]),
    ] {
        let mut tx = store.begin_egress().await?;
        let mut pushes = tx.load(&[row.id]).await?;
        pushes[0].push.retarget(push::Target {
            epoch: row.epoch,
            revision,
            level: row.level,
            untaken: row.untaken,
            taken_total: row.taken_total,
            step: row.step,
            released: Quantity::ZERO,
        });
        tx.save(&pushes).await?;
        tx.commit().await?;
        assert_eq!(store.check().await?, broken);
    }
    Ok(())
}
