//! Batches of inventory that meet: at a SKU, at an order, at the key of an operation.

use std::sync::Arc;

use ledger::{Decision, Snapshot, Verdict};
use store::{Changes, Class, KeyState, OperationKey, OperationRecord, Store};
use values::{ShopId, Timestamp, WarehouseId};

use super::{all, begin, fresh, until_waiting};
use crate::batch::{apply_in, apply_snapshots};
use crate::world::{self, NOW, product, receive, receive_in, sell, simple, sku, snapshot, units, warehouse};

/// Batches at once.
const BATCHES: u64 = 8;
/// How often each of them applies something.
const ROUNDS: u64 = 12;
/// How often a batch may be told to try again before that counts as never getting through.
const TRIES_MAX: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn two_that_meet_at_a_new_sku_both_count() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let mut first = store.begin_inventory().await.unwrap();
    receive_in(&mut first, "A", main, 3).await.unwrap();
    let other = begin({
        let store = Arc::clone(&store);
        async move { receive(&store, "A", main, 5).await.unwrap() }
    });
    until_waiting(&database, 1).await;
    first.commit().await.unwrap();
    other.await.unwrap();
    let movements = store.movements(&sku("A"), 0, 9).await.unwrap();
    let numbers: Vec<u64> = movements.iter().map(|posted| posted.movement.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(movements[1].movement.after.on_hand, units(8), "the second goes on from the first");
    assert_eq!(store.check().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_that_was_only_asked_for_is_not_left_behind() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let mut tx = store.begin_inventory().await.unwrap();
    tx.load_books(&[sku("A"), sku("B")]).await.unwrap();
    // Who waits for it makes it himself.
    let other = begin({
        let store = Arc::clone(&store);
        async move { receive(&store, "B", main, 5).await.unwrap() }
    });
    until_waiting(&database, 1).await;
    tx.commit().await.unwrap();
    other.await.unwrap();
    assert_eq!(database.ask("SELECT sku FROM inventory.skus"), ["B"]);
    assert_eq!(store.check().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_second_to_a_new_order_tries_again() {
    let (database, store) = fresh().await;
    let (shop, _) = simple(&store).await.unwrap();
    let sale = [(shop.id, snapshot(1, "processing", 10, &[product(1)]))];
    let mut first = store.begin_inventory().await.unwrap();
    apply_in(&mut first, &sale, NOW).await.unwrap();
    let other = begin({
        let (store, sale) = (Arc::clone(&store), sale.clone());
        async move { apply_snapshots(&store, &sale, NOW).await }
    });
    until_waiting(&database, 1).await;
    first.commit().await.unwrap();
    let refused = other.await.unwrap().unwrap_err();
    assert_eq!(refused.downcast_ref::<store::Error>().unwrap().class(), Class::Retry, "{refused:?}");
    let again = apply_snapshots(&store, &sale, NOW).await.unwrap();
    assert_eq!(again[0].decision, Decision::Duplicate);
    assert_eq!(store.movements(&sku("A"), 0, 9).await.unwrap().len(), 2, "a receipt and one sale");
    assert_eq!(store.check().await.unwrap(), []);
}

/// Numbers that look like chance, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % bound).unwrap()
    }
}

/// A few snapshots of orders that others apply as well, of any age.
fn some(chance: &mut Chance, shops: &[ShopId]) -> Vec<(ShopId, Snapshot)> {
    let statuses = ["pending", "processing", "completed", "cancelled"];
    let mut some: Vec<_> = (0..=chance.below(6))
        .map(|_| {
            let shop = shops[usize::try_from(chance.below(3)).unwrap()];
            let status = statuses[usize::try_from(chance.below(4)).unwrap()];
            let listings: Vec<_> = (0..=chance.below(3)).map(|_| product(1 + chance.below(20))).collect();
            (shop, snapshot(1 + chance.below(30), status, 10 + chance.below(99), &listings))
        })
        .collect();
    some.sort_unstable_by_key(|(shop, snapshot)| (*shop, snapshot.order));
    some.dedup_by_key(|(shop, snapshot)| (*shop, snapshot.order));
    some
}

/// As a consumer does: whoever is told to try again does.
async fn get_through(store: &Store, batch: &[(ShopId, Snapshot)]) -> Vec<Verdict> {
    for _ in 0..TRIES_MAX {
        match apply_snapshots(store, batch, NOW).await {
            Ok(verdicts) => return verdicts,
            Err(error) => {
                let class = error.downcast_ref::<store::Error>().map(store::Error::class);
                assert_eq!(class, Some(Class::Retry), "{error:?}");
            }
        }
    }
    panic!("never got through");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_meet_everywhere_leave_the_ledger_sound() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let codes: Vec<String> = (1..=20).map(|number| format!("SKU {number:02}")).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let mut shops = Vec::new();
    for name in ["one", "two", "three"] {
        let id = world::shop(&store, name, main).await.unwrap().id;
        sell(&store, id, &codes).await.unwrap();
        shops.push(id);
    }
    // Half of the SKUs have no movement yet: the first ones are met at as well.
    for code in codes.iter().step_by(2) {
        receive(&store, code, main, 100).await.unwrap();
    }
    let batches = all((0..BATCHES).map(|seed| {
        let (store, shops) = (Arc::clone(&store), shops.clone());
        async move {
            let mut chance = Chance(seed);
            let mut applied = 0;
            for _ in 0..ROUNDS {
                let verdicts = get_through(&store, &some(&mut chance, &shops)).await;
                applied += verdicts
                    .iter()
                    .filter(|verdict| matches!(verdict.decision, Decision::Apply { .. }))
                    .count();
            }
            applied
        }
    }));
    let applied: usize = batches.await.into_iter().sum();
    assert!(applied > 90, "every order at least once: {applied}");
    assert_eq!(store.check().await.unwrap(), []);
    let gaps = "SELECT sku_id FROM inventory.movements GROUP BY sku_id
                HAVING count(*) <> max(number) OR min(number) <> 1";
    assert_eq!(database.ask(gaps), Vec::<String>::new());
}

async fn operate(
    store: &Store,
    main: WarehouseId,
    key: &(OperationKey, [u8; 16]),
    outcome: &str,
) -> KeyState {
    let mut tx = store.begin_inventory().await.unwrap();
    let state = tx.operation_keys(std::slice::from_ref(key)).await.unwrap().remove(0);
    if state == KeyState::New {
        receive_in(&mut tx, "A", main, 1).await.unwrap();
        let record = OperationRecord {
            key: key.0.clone(),
            digest: key.1,
            outcome: outcome.to_owned(),
            at: Timestamp::from_seconds(1),
        };
        tx.save(&Changes { operations: &[record], now: NOW, ..Changes::default() }).await.unwrap();
    }
    tx.commit().await.unwrap();
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_asked_for_at_once_is_done_once() {
    let (_database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let key = (OperationKey { actor: "till".to_owned(), key: "k".to_owned() }, [7; 16]);
    let states = all((0..10).map(|task| {
        let (store, key) = (Arc::clone(&store), key.clone());
        async move { (task, operate(&store, main, &key, &format!("answer of {task}")).await) }
    }));
    let states = states.await;
    let new: Vec<i32> =
        states.iter().filter(|(_, state)| *state == KeyState::New).map(|(task, _)| *task).collect();
    assert_eq!(new.len(), 1, "{states:?}");
    let answer = KeyState::Same(format!("answer of {}", new[0]));
    assert!(states.iter().all(|(task, state)| *task == new[0] || *state == answer), "{states:?}");
    assert_eq!(store.movements(&sku("A"), 0, 99).await.unwrap().len(), 1);
}
