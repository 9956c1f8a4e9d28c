//! Batches: what is saved comes back, all of it or nothing.

use ledger::{Book, Decision, Digest, Hold, Line, Order, Origin};
use store::{Changes, KeyState, OperationKey, OperationRecord, OrderRow, Store};
use values::{LineId, Quantity, ReadNumber, Timestamp};

use crate::batch::{apply_in, apply_snapshots};
use crate::database::Database;
use crate::world::{
    NOW, order, order_id, product, receive, sell, shop, simple, sku, snapshot, stock, units, variation,
    warehouse,
};

/// The same line with as little as there can be.
fn bare(line: &Line) -> Line {
    Line {
        listing: None,
        stock: None,
        sku: None,
        taken: None,
        ever_taken: false,
        removed: false,
        code: None,
        unmanaged: false,
        fault: None,
        holds: Vec::new(),
        ..line.clone()
    }
}

pub(crate) async fn an_order_round_trips_with_everything<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, main) = simple(&store).await?;
    let second = warehouse(&store, "second").await?;
    let line = Line {
        id: LineId::new(1).unwrap(),
        listing: Some(variation(2, 20)),
        stock: Some(stock(shop.id, 20).holder),
        sku: Some(sku("A")),
        quantity: "2.5".parse()?,
        taken: Some(Quantity::ZERO),
        restocked: units(1),
        ever_taken: true,
        removed: true,
        code: Some(sku("B")),
        unmanaged: true,
        fault: Some(values::LineFault::Negative),
        holds: vec![
            Hold { warehouse: main, reserved: units(1), shipped: units(2), sent: units(1) },
            Hold {
                warehouse: second,
                reserved: Quantity::ZERO,
                shipped: "1.5".parse()?,
                sent: Quantity::ZERO,
            },
        ],
    };
    let bare = bare(&line);
    let row = OrderRow {
        shop: shop.id,
        order: Order {
            id: order_id(7),
            applied: Some(ledger::Applied {
                modified_at: Timestamp::from_seconds(5),
                digest: Digest::from_bytes(*b"0123456789abcdef"),
                origin: Origin::Webhook,
                last_read: ReadNumber::new(9),
                confirmed: true,
                older: Some((Timestamp::from_seconds(4), Digest::from_bytes([255; 16]))),
            }),
            status: "na \"cestě\"".to_owned(),
            gone: true,
            reread: true,
            expired: true,
            predates: true,
            lines: vec![line, bare],
        },
        expires_at: Some(Timestamp::from_seconds(99)),
        unconfirmed_since: Some(Timestamp::from_seconds(98)),
    };
    let empty = OrderRow::unknown(shop.id, order_id(8));
    let mut tx = store.begin_inventory().await?;
    let keys = [(shop.id, order_id(7)), (shop.id, order_id(8))];
    assert_eq!(tx.load_orders(&keys).await?, [OrderRow::unknown(shop.id, order_id(7)), empty.clone()]);
    tx.save(&Changes { orders: &[row.clone(), empty.clone()], now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.load_orders(&keys).await?, [row.clone(), empty.clone()], "in the same transaction");
    tx.commit().await?;
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.load_orders(&keys).await?, [row.clone(), empty]);
    drop(tx);
    assert_eq!(store.order(shop.id, order_id(7)).await?, Some(row));
    assert_eq!(store.order(shop.id, order_id(9)).await?, None);
    Ok(())
}

pub(crate) async fn lines_that_go_are_gone<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(1), product(2)])).await?;
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_orders(&[(shop.id, order_id(1))]).await?;
    assert_eq!(rows[0].order.lines.len(), 2);
    rows[0].order.lines.remove(0);
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    assert_eq!(store.order(shop.id, order_id(1)).await?, Some(rows.remove(0)));
    Ok(())
}

pub(crate) async fn a_batch_of_500_is_one_transaction<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    let shops = [shop(&store, "one", main).await?.id, shop(&store, "two", main).await?.id];
    let codes: Vec<String> = (1..=100).map(|number| format!("SKU-{number}")).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    for shop in shops {
        sell(&store, shop, &codes).await?;
    }
    for code in &codes {
        receive(&store, code, main, 1_000).await?;
    }
    let batch: Vec<_> = (1..=500)
        .map(|number| {
            let shop = shops[usize::from(number % 2 == 0)];
            let (first, second) = (number % 100 + 1, number * 7 % 100 + 1);
            (shop, snapshot(number, "processing", 10, &[product(first), product(second)]))
        })
        .collect();
    let applied = apply_snapshots(&store, &batch, NOW).await?;
    assert!(applied.iter().all(|verdict| matches!(verdict.decision, Decision::Apply { .. })));
    assert_eq!(store.check().await?, []);
    assert_eq!(total(&store).await?, (units(100_000), units(1_000)));
    // The same again changes nothing at all.
    let before = store.movements(&sku("SKU-1"), 0, 1_000).await?;
    let again = apply_snapshots(&store, &batch, NOW).await?;
    assert!(again.iter().all(|verdict| verdict.decision == Decision::Duplicate));
    assert_eq!(store.movements(&sku("SKU-1"), 0, 1_000).await?, before);
    // Half of them change.
    let changed: Vec<_> = batch
        .iter()
        .step_by(2)
        .map(|(shop, snapshot)| {
            let mut snapshot = snapshot.clone();
            snapshot.modified_at = Some(Timestamp::from_seconds(11));
            "completed".clone_into(&mut snapshot.status);
            (*shop, snapshot)
        })
        .collect();
    apply_snapshots(&store, &changed, NOW).await?;
    assert_eq!(store.check().await?, []);
    assert_eq!(total(&store).await?.1, units(500));
    Ok(())
}

/// What there is of all SKUs, on hand and reserved.
async fn total(store: &Store) -> anyhow::Result<(Quantity, Quantity)> {
    let stock = store.stock_page(None, 1_000).await?;
    let balances = stock.iter().flat_map(|row| row.book.balances.values());
    let sums = balances.map(|balance| (balance.on_hand, balance.reserved)).unzip();
    let (on_hand, reserved): (Vec<Quantity>, Vec<Quantity>) = sums;
    Ok((on_hand.into_iter().sum(), reserved.into_iter().sum()))
}

pub(crate) async fn a_dropped_batch_leaves_nothing<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let before = (store.stock_of(&[sku("A")]).await?, store.waiting().await?);
    let mut tx = store.begin_inventory().await?;
    let sale = (shop.id, snapshot(1, "processing", 10, &[product(1)]));
    apply_in(&mut tx, std::slice::from_ref(&sale), NOW).await?;
    drop(tx);
    assert_eq!(store.order(shop.id, order_id(1)).await?, None);
    assert_eq!((store.stock_of(&[sku("A")]).await?, store.waiting().await?), before);
    // The writer is free again, also after an error.
    let mut tx = store.begin_inventory().await?;
    let record = record("k", 1);
    let both = [record.clone(), record];
    let failed = tx.save(&Changes { operations: &both, now: NOW, ..Changes::default() }).await;
    assert_eq!(failed.unwrap_err().class(), store::Class::Constraint);
    drop(tx);
    apply_snapshots(&store, &[sale], NOW).await?;
    assert_eq!(store.check().await?, []);
    Ok(())
}

fn record(key: &str, digest: u8) -> OperationRecord {
    let key = OperationKey { actor: "till".to_owned(), key: key.to_owned() };
    OperationRecord { key, digest: [digest; 16], outcome: "{\"ok\":true}".to_owned(), at: NOW }
}

pub(crate) async fn operation_keys_tell_same_from_other<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let done = record("k1", 1);
    let mut tx = store.begin_inventory().await?;
    tx.save(&Changes { operations: std::slice::from_ref(&done), now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    let mut tx = store.begin_inventory().await?;
    let elsewhere = OperationKey { actor: "other till".to_owned(), key: "k1".to_owned() };
    let states = tx
        .operation_keys(&[
            (done.key.clone(), [1; 16]),
            (done.key.clone(), [2; 16]),
            (record("k2", 1).key, [1; 16]),
            (elsewhere, [2; 16]),
        ])
        .await?;
    let same = KeyState::Same(done.outcome);
    assert_eq!(states, [same, KeyState::Conflict, KeyState::New, KeyState::New]);
    Ok(())
}

pub(crate) async fn unknown_skus_are_made<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let main = warehouse(&store, "main").await?;
    receive(&store, "Never seen", main, 4).await?;
    let found = store.stock_of(&[sku("Never seen"), sku("never seen")]).await?;
    assert_eq!(found.len(), 1, "codes are compared exactly");
    assert_eq!(found[0].book.counted_at, Some(NOW));
    assert_eq!(found[0].book.balances[&main].on_hand, units(4));
    let mut tx = store.begin_inventory().await?;
    let book: Book = tx.load_books(&[sku("Unheard of")]).await?;
    assert_eq!(book.sku(&sku("Unheard of")).map(|book| book.movement_count), Some(0));
    Ok(())
}

pub(crate) async fn doubt_names_its_stocks<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(1)])).await?;
    let stocks = [stock(shop.id, 1), stock(shop.id, 2)];
    let mut tx = store.begin_inventory().await?;
    assert!(tx.doubtful_stocks(&stocks).await?.is_empty());
    let mut rows = tx.load_orders(&[(shop.id, order_id(1))]).await?;
    rows[0].unconfirmed_since = Some(NOW);
    tx.save(&Changes { orders: &rows, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.doubtful_stocks(&stocks).await?.into_iter().collect::<Vec<_>>(), [stocks[0]]);
    let later = Timestamp::from_seconds(NOW.seconds() + 1);
    assert_eq!(tx.unconfirmed_orders(shop.id, NOW, 9).await?, []);
    assert_eq!(tx.unconfirmed_orders(shop.id, later, 9).await?, [order_id(1)]);
    // An order of which nothing is known may be on any stock.
    let mut unknown = tx.load_orders(&[(shop.id, order_id(2))]).await?;
    unknown[0].order.reread = true;
    tx.save(&Changes { orders: &unknown, now: NOW, ..Changes::default() }).await?;
    assert_eq!(tx.doubtful_stocks(&stocks).await?.len(), 2);
    Ok(())
}

pub(crate) async fn what_is_held_and_not_taken<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let mut pending = snapshot(1, "pending", 10, &[product(1), product(2)]);
    pending.lines[0].taken = None;
    pending.lines[0].quantity = units(3);
    order(&store, shop.id, pending).await?;
    let mut tx = store.begin_inventory().await?;
    let held = tx.held_not_taken(&[stock(shop.id, 1), stock(shop.id, 2)]).await?;
    assert_eq!(held.into_iter().collect::<Vec<_>>(), [(stock(shop.id, 1), units(3))]);
    let effects =
        tx.order_effects(&[(shop.id, sku("B")), (shop.id, sku("A")), (shop.id, sku("Unheard of"))]).await?;
    assert_eq!(effects, [units(-1), units(-3), units(0)], "receipts are nobody's orders");
    Ok(())
}

pub(crate) async fn movements_cannot_be_changed<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    simple(&store).await?;
    for sql in ["UPDATE inventory_movements SET on_hand_delta = 5", "DELETE FROM inventory_movements"] {
        let refused = database.run(sql).await;
        assert!(refused.is_err(), "{sql}");
    }
    assert_eq!(store.check().await?, []);
    Ok(())
}

pub(crate) async fn readers_explain_a_number<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, main) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 10, &[product(1)])).await?;
    order(&store, shop.id, snapshot(2, "completed", 10, &[product(1), product(1)])).await?;
    let explained = store.explain(&sku("A")).await?.unwrap();
    let sums: Vec<_> = explained
        .sums
        .iter()
        .map(|sum| (sum.kind.as_str(), sum.count, sum.on_hand.thousandths(), sum.reserved.thousandths()))
        .collect();
    assert_eq!(sums, [("receipt", 1, 10_000, 0), ("reserve", 1, 0, 1_000), ("ship", 2, -2_000, 0)]);
    assert_eq!(explained.hold_count, 1);
    assert_eq!(explained.holds[0].order, order_id(1));
    assert_eq!(explained.holds[0].holds[0].reserved, units(1));
    assert_eq!(explained.stock.stocks[0].level, units(7));
    assert_eq!(explained.stock.book.balances[&main].available(), units(7));
    assert_eq!(store.explain(&sku("Unheard of")).await?, None);

    let movements = store.movements(&sku("A"), 0, 100).await?;
    assert_eq!(movements.len(), 4);
    let posting = &movements[0].posting;
    assert_eq!(posting.actor.as_deref(), Some("tester"));
    assert_eq!((posting.operation.as_deref(), posting.trace), (Some("key 7"), Some([7; 16])));
    let rest = store.movements(&sku("A"), 1, 2).await?;
    assert_eq!(rest.iter().map(|posted| posted.movement.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(rest, movements[1..3]);
    assert_eq!(store.open_orders(shop.id, None, 9).await?, [order_id(1)]);
    let page = store.stock_page(Some(&sku("A")), 9).await?;
    assert_eq!(page.iter().map(|stock| stock.sku.as_str()).collect::<Vec<_>>(), ["B"]);
    Ok(())
}
