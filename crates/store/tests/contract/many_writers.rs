//! What only a database with many writers can get wrong: they meet, they race, they lose their connection.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use push::Target;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use store::{Changed, Class, Cursor, CursorKind, Fenced, ListingOutcome, ShopFilter, Store, TaskKind};
use tokio::task::JoinSet;
use values::{Epoch, Revision, ShopId, Step, StockId};

use crate::database::{Database, Postgres};
use crate::world::{self, NOW, observe, order_id, product, seen, settings, stock, units, warehouse};

/// How long something may take that is about to happen.
const PATIENCE: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_secs(30);

async fn fresh() -> (Postgres, Arc<Store>) {
    let database = Postgres::fresh().await.unwrap();
    let store = Arc::new(database.open().await.unwrap());
    (database, store)
}

fn shop() -> ShopId {
    ShopId::new(1).unwrap()
}

/// A connection beside the store's, to do by hand what another replica would.
async fn by_hand(database: &Postgres) -> PgConnection {
    PgConnection::connect(&database.url()).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

/// Until so many wait for a lock.
async fn until_waiting(database: &Postgres, count: usize) {
    let sql =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + PATIENCE;
    while database.ask(sql).len() < count {
        assert!(Instant::now() < deadline, "nobody waits");
        tokio::task::yield_now().await;
    }
}

/// Runs them all at once; what they came to.
async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    tasks: impl IntoIterator<Item = F>,
) -> Vec<T> {
    let mut set = JoinSet::new();
    for task in tasks {
        set.spawn(task);
    }
    set.join_all().await
}

/// Counts up the level of each stock.
async fn count_up(store: &Store, stocks: &[StockId]) -> Result<(), store::Error> {
    let mut tx = store.begin_egress().await?;
    let mut rows = tx.load(stocks).await?;
    let mut notes = tx.load_notes(stocks).await?;
    for (row, notes) in rows.iter_mut().zip(&mut notes) {
        let level = row.push.target.map_or(units(0), |target| target.level) + units(1);
        row.push.target = Some(Target {
            epoch: Epoch::ZERO,
            revision: Revision::ZERO,
            level,
            untaken: units(0),
            taken_total: units(0),
            step: Step::ONE,
        });
        notes.refusals += 1;
    }
    tx.save(&rows).await?;
    tx.save_notes(&notes).await?;
    tx.commit().await
}

async fn counted(store: &Store, stocks: &[StockId]) -> Vec<i64> {
    let mut rows = store.pushes(stocks).await.unwrap();
    rows.sort_unstable_by_key(|row| row.id);
    let notes = store.push_notes(stocks).await.unwrap();
    let refusals: u32 = notes.iter().map(|notes| notes.refusals).sum();
    let levels: Vec<i64> =
        rows.iter().map(|row| row.push.target.unwrap().level.thousandths() / 1_000).collect();
    assert_eq!(levels.iter().sum::<i64>(), i64::from(refusals), "notes go with their stocks");
    levels
}

#[tokio::test(flavor = "multi_thread")]
async fn two_meet_at_a_stock_that_is_new_and_at_one_that_is_known() {
    let (database, store) = fresh().await;
    let stocks = [stock(shop(), 1)];
    for round in 1..=2 {
        let mut first = store.begin_egress().await.unwrap();
        let mut rows = first.load(&stocks).await.unwrap();
        let other = tokio::spawn({
            let store = Arc::clone(&store);
            async move { count_up(&store, &stocks).await }
        });
        until_waiting(&database, 1).await;
        rows[0].intent_owner = Some("first".to_owned());
        rows[0].removed = true;
        first.save(&rows).await.unwrap();
        first.commit().await.unwrap();
        other.await.unwrap().unwrap();
        let row = store.pushes(&stocks).await.unwrap().remove(0);
        assert!(row.removed, "round {round}: the other saw what the first had written");
        assert_eq!(counted(&store, &stocks).await, [round]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_small_transactions_end_without_an_error() {
    let (_database, store) = fresh().await;
    let stocks: Vec<StockId> = (1..=12).map(|holder| stock(shop(), holder)).collect();
    // Each takes five of them, in an order of its own; some are new to all.
    let picked = |task: usize| -> Vec<StockId> {
        let mut picked: Vec<StockId> =
            (0..5).map(|step| stocks[(task * 7 + step * 5) % stocks.len()]).collect();
        picked.rotate_left(task % 5);
        if task % 2 == 0 {
            picked.reverse();
        }
        picked
    };
    let tasks = (0..100).map(|task| {
        let (store, picked) = (Arc::clone(&store), picked(task));
        async move { count_up(&store, &picked).await }
    });
    let failed: Vec<_> = all(tasks).await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(counted(&store, &stocks).await.iter().sum::<i64>(), 500, "nothing was overwritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_leaves_no_stock_behind() {
    let (database, store) = fresh().await;
    let id = stock(shop(), 1);
    let mut tx = store.begin_egress().await.unwrap();
    tx.load(&[id]).await.unwrap();
    drop(tx);
    count_up(&store, &[stock(shop(), 2)]).await.unwrap();
    let mut tx = store.begin_egress().await.unwrap();
    tx.load(&[id]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        database.ask("SELECT holder FROM egress.stocks WHERE NOT known"),
        ["1"],
        "locked, not written"
    );
    assert_eq!(store.pushes(&[id]).await.unwrap(), []);
    assert_eq!(store.shops_due(ShopFilter::All, NOW).await.unwrap(), []);
}

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
    let saved = tokio::spawn({
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
    let seven = store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap().remove(0).stock;
    let mark = [(seven.id, seven.epoch, seven.revision)];
    run(&mut batch, &format!("BEGIN; {CHANGED}")).await;
    store.mark_published(&mark).await.unwrap();
    run(&mut batch, "COMMIT").await;
    store.mark_published(&mark).await.unwrap();
    let left = store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap();
    assert_eq!(left.iter().map(|level| level.stock.revision.get()).collect::<Vec<_>>(), [8]);
    // The relay was first: what changes after that is put in anew.
    let mut relay = by_hand(&database).await;
    run(&mut relay, "BEGIN; DELETE FROM inventory.outbox WHERE revision = 8").await;
    run(&mut batch, "BEGIN; UPDATE inventory.stocks SET revision = 9").await;
    let late = tokio::spawn(async move {
        let sql = "INSERT INTO inventory.outbox (shop, holder, epoch, revision, since) VALUES (1, 1, 0, 9, 0)
                       ON CONFLICT (shop, holder) DO UPDATE SET revision = excluded.revision; COMMIT";
        run(&mut batch, sql).await;
    });
    until_waiting(&database, 1).await;
    run(&mut relay, "COMMIT").await;
    late.await.unwrap();
    let left = store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap();
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
                let levels = store.levels_to_publish(ShopFilter::All, after, 20).await.unwrap();
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
    assert_eq!(store.levels_to_publish(ShopFilter::All, None, 9).await.unwrap(), []);
}

/// Two parts of a catalogue, read at once, each find a stock for the same SKU: one has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sku_goes_to_one_stock_of_a_shop() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let id = world::shop(&store, "shop", main).await.unwrap().id;
    let outcomes = all((1..=12).map(|number| {
        let store = Arc::clone(&store);
        async move {
            let listing = seen(id, product(number), Some(number), Some("A"));
            observe(&store, &[listing]).await.unwrap().remove(0)
        }
    }));
    let outcomes = outcomes.await;
    let mapped = outcomes.iter().filter(|outcome| **outcome == ListingOutcome::Mapped).count();
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, ListingOutcome::SkuTaken { .. })).count();
    assert_eq!((mapped, taken), (1, 11), "{outcomes:?}");
    assert_eq!(database.ask("SELECT count(*) FROM inventory.stocks WHERE sku_id IS NOT NULL"), ["1"]);
    assert_eq!(database.ask("SELECT count(*) FROM inventory.stocks"), ["12"]);
}

/// Shops that sell the same, in whatever order, are connected at once.
#[tokio::test(flavor = "multi_thread")]
async fn catalogues_of_many_shops_meet_at_new_skus() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let mut shops = Vec::new();
    for number in 0..8 {
        shops.push(world::shop(&store, &format!("shop {number}"), main).await.unwrap().id);
    }
    let observed = all((0..).zip(shops).map(|(turn, shop)| {
        let store = Arc::clone(&store);
        async move {
            let mut listings: Vec<_> = (1..=40)
                .map(|number| seen(shop, product(number), Some(number), Some(&format!("SKU {number}"))))
                .collect();
            listings.rotate_left(turn * 5);
            observe(&store, &listings).await.unwrap()
        }
    }));
    let outcomes: Vec<ListingOutcome> = observed.await.into_iter().flatten().collect();
    assert!(outcomes.iter().all(|outcome| *outcome == ListingOutcome::Mapped), "{outcomes:?}");
    assert_eq!(database.ask("SELECT count(*) FROM inventory.skus"), ["40"]);
    assert_eq!(database.ask("SELECT count(DISTINCT sku_id) FROM inventory.recompute_skus"), ["40"]);
}

/// A batch changes the level of a stock whose listing a catalogue shows as unmanaged meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_removed_stock_keeps_the_revision_of_a_batch() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let id = world::shop(&store, "shop", main).await.unwrap().id;
    observe(&store, &[seen(id, product(1), Some(1), Some("A"))]).await.unwrap();
    let mut batch = by_hand(&database).await;
    run(&mut batch, "BEGIN; UPDATE inventory.stocks SET level = 5000, revision = 10").await;
    let removed = tokio::spawn({
        let store = Arc::clone(&store);
        async move { observe(&store, &[seen(id, product(1), None, Some("A"))]).await.unwrap() }
    });
    until_waiting(&database, 1).await;
    run(&mut batch, "COMMIT").await;
    removed.await.unwrap();
    assert_eq!(database.ask("SELECT revision FROM inventory.stocks WHERE removed AND level = 5000"), ["11"]);
    assert_eq!(database.ask("SELECT revision FROM inventory.outbox"), ["11"]);
}

/// The SKUs of a shop that changes are marked although they are just being worked off.
#[tokio::test(flavor = "multi_thread")]
async fn no_mark_is_lost_and_none_is_waited_for() {
    let (database, store) = fresh().await;
    let main = warehouse(&store, "main").await.unwrap();
    let id = world::shop(&store, "shop", main).await.unwrap().id;
    let listings = [seen(id, product(1), Some(1), Some("A")), seen(id, product(2), Some(2), Some("B"))];
    observe(&store, &listings).await.unwrap();
    assert_eq!(database.ask("SELECT sum(wanted) FROM inventory.recompute_skus"), ["2"]);
    let mut upkeep = by_hand(&database).await;
    run(&mut upkeep, "BEGIN; DELETE FROM inventory.recompute_skus WHERE id = 1").await;
    assert_eq!(store.change_shop(id, &settings(main)).await.unwrap(), Changed::Done);
    run(&mut upkeep, "COMMIT").await;
    let left = database.ask("SELECT sku_id || ' ' || wanted FROM inventory.recompute_skus ORDER BY sku_id");
    assert_eq!(left, ["1 1", "2 2"], "one is made anew, the other is wanted once more");
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

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_or_loses_its_connection_may_try_again() {
    let (database, store) = fresh().await;
    count_up(&store, &[stock(shop(), 1)]).await.unwrap();
    let mut other = by_hand(&database).await;
    run(&mut other, "BEGIN; SELECT * FROM egress.stocks FOR UPDATE").await;
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { count_up(&store, &[stock(shop(), 1)]).await }
    });
    until_waiting(&database, 1).await;
    // An operator, or a shutdown, ends the connection that waits.
    database.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    let ended = waiting.await.unwrap().unwrap_err();
    assert_eq!(ended.class(), Class::Retry, "{ended:?}");
    // One that waits is told after a while.
    let ended = count_up(&store, &[stock(shop(), 1)]).await.unwrap_err();
    assert_eq!(ended.class(), Class::Retry, "{ended:?}");
    run(&mut other, "ROLLBACK").await;
    count_up(&store, &[stock(shop(), 1)]).await.unwrap();
    assert_eq!(counted(&store, &[stock(shop(), 1)]).await, [2]);
}
