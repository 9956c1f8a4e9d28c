//! Readers, jobs and shards that many ask for.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use store::{Cursor, CursorKind, Fenced, NewRun, RunAdded, RunCause, RunState, Store, TaskKind};
use values::ReadNumber;

use super::{all, begin, by_hand, fresh, run, shop, until_waiting};
use crate::world::{NOW, order_id};

/// Something that writes to stocks of a run.
type Writer = fn(Arc<Store>, i64) -> Pin<Box<dyn Future<Output = Result<(), store::Error>> + Send>>;

const LEASE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_gets_a_shop_and_its_numbers_once() {
    let (_database, store) = fresh().await;
    let leases = all((0..20).map(|reader| {
        let store = Arc::clone(&store);
        async move { store.lease_reader(shop(), &format!("reader {reader}"), NOW, LEASE).await.unwrap() }
    }));
    let leases: Vec<_> = leases.await.into_iter().flatten().collect();
    assert_eq!(leases.len(), 1, "{leases:?}");
    let fence = leases[0].fence;
    let numbers = all((1..=40).map(|count| {
        let store = Arc::clone(&store);
        async move { store.next_read_numbers(shop(), count, fence).await.unwrap() }
    }));
    let mut given = BTreeSet::new();
    for numbers in numbers.await {
        let Fenced::Done(numbers) = numbers else { panic!("the fence is current") };
        for index in 0..u64::from(numbers.count) {
            assert!(given.insert(numbers.first.get() + index), "given twice");
        }
    }
    assert_eq!(given.len(), 40 * 41 / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_not_saved_while_its_lease_changes_hands() {
    let (database, store) = fresh().await;
    let lease = store.lease_reader(shop(), "one", NOW, LEASE).await.unwrap().unwrap();
    let mut other = by_hand(&database).await;
    run(&mut other, "BEGIN; UPDATE ingress.readers SET owner = 'two', fence = fence + 1").await;
    let saved = begin({
        let store = Arc::clone(&store);
        async move {
            let cursor = Cursor { shop_time: NOW, hub_time: NOW, page: 1 };
            store.save_cursor(shop(), CursorKind::Orders, cursor, lease.fence).await.unwrap()
        }
    });
    until_waiting(&database, 1).await;
    run(&mut other, "COMMIT").await;
    assert_eq!(saved.await.unwrap(), Fenced::Stale);
    assert_eq!(store.cursor(shop(), CursorKind::Orders).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_asked_for_once_by_many() {
    let (_database, store) = fresh().await;
    let asked = all((0..20).map(|_| {
        let store = Arc::clone(&store);
        async move { store.add_task(shop(), TaskKind::Sync, NOW).await.unwrap() }
    }));
    let numbers: BTreeSet<i64> = asked.await.into_iter().collect();
    assert_eq!(numbers.len(), 1);
    assert_eq!(store.waiting_tasks(shop()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_by_many_at_once_is_counted() {
    let (_database, store) = fresh().await;
    let wanted = all((0..20_i64).map(|task| {
        let store = Arc::clone(&store);
        async move {
            let mut orders: Vec<_> = (1..=10).map(|order| (shop(), order_id(order))).collect();
            orders.rotate_left(usize::try_from(task % 10).unwrap());
            store.want_rereads(&orders, NOW).await.unwrap();
            store.rereads_done(shop(), &store.rereads_due(shop(), 5).await.unwrap()).await.unwrap();
            store.want_rereads(&orders, NOW).await.unwrap();
        }
    }));
    wanted.await;
    assert_eq!(store.rereads_due(shop(), 99).await.unwrap().len(), 10, "each was wanted after it was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_ask_at_once_share() {
    let (_database, store) = fresh().await;
    let shares = all((0..8).map(|member| {
        let store = Arc::clone(&store);
        async move {
            let name = format!("member {member}");
            let mut held = Vec::new();
            for round in 0..6 {
                let now = NOW + Duration::from_secs(round);
                let share = store.share_shards("inventory", 32, &name, now, LEASE).await.unwrap();
                held = share.held.iter().map(|lease| lease.index).collect();
                held.retain(|index| !share.surplus.contains(index));
                store.release_shards("inventory", 32, &name, &share.surplus).await.unwrap();
            }
            held
        }
    }));
    let held: Vec<u32> = shares.await.into_iter().flatten().collect();
    let distinct: BTreeSet<u32> = held.iter().copied().collect();
    assert_eq!(held.len(), distinct.len(), "no shard has two holders: {held:?}");
}

/// Whoever writes stocks of a run waits for whoever has locked it, and for nobody after that: so no two wait for each other.
#[tokio::test(flavor = "multi_thread")]
async fn who_writes_to_a_run_locks_it_first() {
    let (database, store) = fresh().await;
    let new = NewRun { shop: shop(), dry_run: false, cause: RunCause::Asked, deadline: NOW, chosen: None };
    let RunAdded::Added(id) = store.add_run(&new, NOW).await.unwrap() else { panic!("it is the first") };
    let mut other = by_hand(&database).await;
    run(&mut other, &format!("BEGIN; SELECT 1 FROM ingress.reconciliations WHERE id = {id} FOR UPDATE"))
        .await;
    let writers: [Writer; 4] = [
        |store, id| Box::pin(async move { store.judge_run(id, &[]).await }),
        |store, id| Box::pin(async move { store.reopen_run(id, NOW).await }),
        |store, id| Box::pin(async move { store.note_run_read(id, &[], ReadNumber::new(1), 1, NOW).await }),
        |store, id| Box::pin(async move { store.end_run(id, RunState::Done, "", NOW).await }),
    ];
    let count = writers.len();
    let waiting: Vec<_> = writers.into_iter().map(|writer| begin(writer(Arc::clone(&store), id))).collect();
    until_waiting(&database, count).await;
    let held = database.ask(
        "SELECT 1 FROM pg_locks WHERE relation = 'ingress.reconciled'::regclass AND mode = 'RowExclusiveLock' AND granted",
    );
    assert_eq!(held, Vec::<String>::new(), "nobody has begun to write");
    run(&mut other, "COMMIT").await;
    for waiter in waiting {
        waiter.await.unwrap().unwrap();
    }
}
