//! What only a database with many writers can get wrong: they meet, they race, they lose their connection.

mod catalogue;
mod ingress;
mod inventory;
mod outbox;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use push::Target;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use store::{Class, PushNotes, PushRow, ShopFilter, Store};
use tokio::task::{JoinHandle, JoinSet};
use values::{Epoch, Revision, ShopId, Step, StockId};

use crate::database::{Database, Postgres};
use crate::world::{NOW, stock, units};

/// How long something may take that is about to happen.
const PATIENCE: Duration = Duration::from_secs(20);

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

#[expect(clippy::disallowed_methods, reason = "a test waits for what it begins")]
fn begin<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Counts up the level of each stock.
async fn count_up(store: &Store, stocks: &[StockId]) -> Result<(), store::Error> {
    let mut tx = store.begin_egress().await?;
    let mut rows = tx.load(stocks).await?;
    let mut notes = tx.load_notes(stocks).await?;
    for (row, notes) in rows.iter_mut().zip(&mut notes) {
        count(row, notes);
    }
    tx.save_all(&rows, &notes).await?;
    tx.commit().await
}

/// The same without a lock, as often as it takes; how often somebody else came first.
async fn count_up_freely(store: &Store, stocks: &[StockId]) -> Result<u32, store::Error> {
    let mut missed = 0;
    loop {
        let seen = store.recall_pushes(stocks).await?;
        let mut now: Vec<_> = seen.iter().map(|seen| (seen.row.clone(), seen.notes.clone())).collect();
        for (row, notes) in &mut now {
            count(row, notes);
        }
        if store.save_seen(&seen, now).await?.is_some() {
            return Ok(missed);
        }
        missed += 1;
    }
}

fn count(row: &mut PushRow, notes: &mut PushNotes) {
    let level = row.push.target.map_or(units(0), |target| target.level) + units(1);
    row.push.target = Some(Target {
        epoch: Epoch::ZERO,
        revision: Revision::ZERO,
        level,
        untaken: units(0),
        taken_total: units(0),
        step: Step::ONE,
        released: values::Quantity::ZERO,
    });
    notes.refusals += 1;
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
        let other = begin({
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
        if task.is_multiple_of(2) {
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
async fn who_looks_without_a_lock_overwrites_nobody() {
    let (_database, store) = fresh().await;
    let stocks: Vec<StockId> = (1..=4).map(|holder| stock(shop(), holder)).collect();
    count_up(&store, &stocks).await.unwrap();
    let tasks = (0..60).map(|task: usize| {
        let store = Arc::clone(&store);
        let mut picked = vec![stocks[task % 4], stocks[(task + 1) % 4]];
        if task.is_multiple_of(2) {
            picked.reverse();
        }
        async move {
            if task.is_multiple_of(3) {
                count_up(&store, &picked).await.map(|()| 0)
            } else {
                count_up_freely(&store, &picked).await
            }
        }
    });
    let ended: Result<Vec<u32>, _> = all(tasks).await.into_iter().collect();
    assert!(ended.unwrap().into_iter().sum::<u32>() > 0, "they met");
    assert_eq!(counted(&store, &stocks).await.iter().sum::<i64>(), 124, "nothing was overwritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looked_before_somebody_else_wrote_waits_and_saves_nothing() {
    let (database, store) = fresh().await;
    let stocks = [stock(shop(), 1)];
    count_up(&store, &stocks).await.unwrap();
    // Notes are written first: where there were none, only the row of the stock can tell.
    let mut other = by_hand(&database).await;
    run(&mut other, "DELETE FROM egress.notes").await;
    let seen = store.see_pushes(&stocks).await.unwrap();
    let mut first = store.begin_egress().await.unwrap();
    let rows = first.load(&stocks).await.unwrap();
    let notes = PushNotes { refusals: 41, ..PushNotes::unknown(stocks[0]) };
    first.save_all(&rows, &[notes]).await.unwrap();
    let saving = begin({
        let store = Arc::clone(&store);
        async move {
            let mut now: Vec<_> = seen.iter().map(|seen| (seen.row.clone(), seen.notes.clone())).collect();
            for (row, notes) in &mut now {
                count(row, notes);
            }
            store.save_seen(&seen, now).await
        }
    });
    until_waiting(&database, 1).await;
    first.commit().await.unwrap();
    assert_eq!(saving.await.unwrap().unwrap(), None);
    assert_eq!(store.push_notes(&stocks).await.unwrap()[0].refusals, 41);
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
async fn who_waits_too_long_or_loses_its_connection_may_try_again() {
    let (database, store) = fresh().await;
    count_up(&store, &[stock(shop(), 1)]).await.unwrap();
    let mut other = by_hand(&database).await;
    run(&mut other, "BEGIN; SELECT * FROM egress.stocks FOR UPDATE").await;
    let waiting = begin({
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

/// Whoever asks goes away while a transaction is being begun: an API client that hangs up, a look at the health that takes too
/// long.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_while_it_begins_leaves_no_transaction_open() {
    let (database, store) = fresh().await;
    store.ping().await.unwrap();
    let open = "SELECT pid FROM pg_stat_activity
                 WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    for polls in 1..8 {
        let mut begun = Box::pin(store.begin_inventory());
        for _ in 0..polls {
            // Nobody is woken: it is looked at again.
            if begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
        }
        drop(begun);
        // Over the same connection, and no transaction of its own, which would end the one that is open.
        store.pushes(&[stock(shop(), 1)]).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !database.ask(open).is_empty() {
            assert!(
                Instant::now() < deadline,
                "after {polls} looks a transaction is open that nobody knows of"
            );
            tokio::task::yield_now().await;
        }
    }
    // What is written over these connections is there for everybody.
    let stocks: Vec<StockId> = (1..=20).map(|holder| stock(shop(), holder)).collect();
    for stock in &stocks {
        count_up(&store, std::slice::from_ref(stock)).await.unwrap();
    }
    let other = database.open().await.unwrap();
    assert_eq!(counted(&other, &stocks).await, [1; 20]);
}
