//! Leases, read numbers, cursors, settle jobs.

use std::time::Duration;

use store::{CLOCKS_DIFFER_MAX, Cursor, CursorKind, Fenced, SettleHold, SettleJob, SettleWanted};
use values::{ShopId, Timestamp};

use crate::database::Database;
use crate::world::{order, product, simple, snapshot, stock};

const LEASE: Duration = Duration::from_secs(30);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop() -> ShopId {
    ShopId::new(1).unwrap()
}

pub(crate) async fn a_reader_has_the_shop_for_itself<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let first = store.lease_reader(shop(), "one", at(0), LEASE).await?.unwrap();
    assert_eq!(store.lease_reader(shop(), "two", at(29), LEASE).await?, None);
    let renewed = store.lease_reader(shop(), "one", at(20), LEASE).await?.unwrap();
    assert_eq!((renewed.fence, renewed.until), (first.fence, at(50)));
    let taken_from = at(50) + CLOCKS_DIFFER_MAX;
    let before = taken_from - Duration::from_micros(1);
    assert_eq!(
        store.lease_reader(shop(), "two", before, LEASE).await?,
        None,
        "its owner's clock may be behind"
    );
    let next = store.lease_reader(shop(), "two", taken_from, LEASE).await?.unwrap();
    assert!(next.fence > first.fence);
    store.end_lease(shop(), first.fence).await?;
    assert_eq!(store.lease_reader(shop(), "one", at(56), LEASE).await?, None, "it was not its lease to end");
    store.end_lease(shop(), next.fence).await?;
    let last = store.lease_reader(shop(), "two", at(56), LEASE).await?.unwrap();
    assert!(last.fence > next.fence, "who gave it back starts anew");
    Ok(())
}

pub(crate) async fn a_stale_fence_gets_nothing<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let stale = store.lease_reader(shop(), "one", at(0), LEASE).await?.unwrap().fence;
    let cursor = Cursor { shop_time: at(1), hub_time: at(2), page: 3 };
    assert_eq!(store.save_cursor(shop(), CursorKind::Orders, cursor, stale).await?, Fenced::Done(()));
    let fence = store.lease_reader(shop(), "two", at(60), LEASE).await?.unwrap().fence;
    assert_eq!(store.next_read_numbers(shop(), 1, stale).await?, Fenced::Stale);
    let ahead = Cursor { shop_time: at(9), ..cursor };
    assert_eq!(store.save_cursor(shop(), CursorKind::Orders, ahead, stale).await?, Fenced::Stale);
    assert_eq!(store.cursor(shop(), CursorKind::Orders).await?, Some(cursor));
    assert_eq!(store.cursor(shop(), CursorKind::Trash).await?, None);
    assert_eq!(store.save_cursor(shop(), CursorKind::Orders, ahead, fence).await?, Fenced::Done(()));
    assert_eq!(store.cursor(shop(), CursorKind::Orders).await?, Some(ahead));
    assert_eq!(store.next_read_numbers(ShopId::new(9).unwrap(), 1, 1).await?, Fenced::Stale);
    Ok(())
}

pub(crate) async fn read_numbers_are_never_given_twice<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let mut given = Vec::new();
    for (owner, now) in [("one", 0), ("two", 100)] {
        let fence = store.lease_reader(shop(), owner, at(now), LEASE).await?.unwrap().fence;
        for count in [1, 5, 1] {
            let Fenced::Done(numbers) = store.next_read_numbers(shop(), count, fence).await? else {
                panic!("the fence is current");
            };
            given.extend((0..count).map(|index| numbers.first.get() + u64::from(index)));
        }
    }
    assert_eq!(given, (1..=14).collect::<Vec<_>>());
    Ok(())
}

fn wanted(holder: i64, why: &str, due: i64) -> SettleWanted {
    SettleWanted { stock: stock(shop(), holder), why: why.to_owned(), due_at: at(due) }
}

pub(crate) async fn a_stock_is_settled_once<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    store.want_settles(&[wanted(1, "contact", 10), wanted(2, "contact", 5)]).await?;
    store.want_settles(&[wanted(1, "later", 20)]).await?;
    assert_eq!(store.settles_due(shop(), at(4), None, 9).await?, []);
    let due = store.settles_due(shop(), at(30), None, 9).await?;
    let shown: Vec<_> = due.iter().map(|job| job.want.clone()).collect();
    assert_eq!(shown, [wanted(2, "contact", 5), wanted(1, "contact", 10)], "the earliest date wins");
    store.want_settles(&[wanted(1, "drift", 3)]).await?;
    assert_eq!(store.settles_due(shop(), at(3), None, 9).await?[0].want, wanted(1, "drift", 3));
    // Asked for by a transaction that is dropped, it was never asked for.
    let mut tx = store.begin_egress().await?;
    tx.want_settles(&[wanted(7, "uncertain", 1)]).await?;
    drop(tx);
    assert_eq!(store.settles_due(shop(), at(30), None, 9).await?.len(), 2);
    Ok(())
}

pub(crate) async fn a_settle_wanted_meanwhile_stays_due<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    store.want_settles(&[wanted(1, "contact", 10), wanted(2, "contact", 10)]).await?;
    let jobs: Vec<SettleJob> = store.settles_due(shop(), at(10), None, 9).await?;
    // While they run, the second is asked for again.
    store.want_settles(&[wanted(2, "uncertain", 11)]).await?;
    store.settles_done(&jobs, at(1_000), "routine").await?;
    let due = store.settles_due(shop(), at(500), None, 9).await?;
    assert_eq!(due.iter().map(|job| job.want.stock).collect::<Vec<_>>(), [stock(shop(), 2)]);
    let due = store.settles_due(shop(), at(1_000), None, 9).await?;
    assert_eq!(due.last().map(|job| job.want.clone()), Some(wanted(1, "routine", 1_000)));
    Ok(())
}

pub(crate) async fn a_settle_that_can_prove_nothing_yet_is_left_for_later<D: Database>() -> anyhow::Result<()>
{
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let sold = snapshot(1, "processing", 1_000, &[product(1)]);
    order(&store, shop.id, sold).await?;
    // The second never sold, and the third is not known at all.
    let want =
        |holder, due| SettleWanted { stock: stock(shop.id, holder), why: String::new(), due_at: at(due) };
    store.want_settles(&[want(1, 50), want(2, 60), want(3, 70)]).await?;
    let hold = |from, to, since| SettleHold { dated_from: at(from), dated_to: at(to), due_since: at(since) };
    for (hold, left) in [
        (None, &[1, 2, 3][..]),
        (Some(hold(1_000, 1_060, 10)), &[2, 3]),
        (Some(hold(940, 1_000, 49)), &[2, 3]),
        (Some(hold(1_001, 1_060, 10)), &[1, 2, 3]),
        (Some(hold(940, 999, 10)), &[1, 2, 3]),
        (Some(hold(940, 1_060, 50)), &[1, 2, 3]),
    ] {
        let due = store.settles_due(shop.id, at(100), hold, 9).await?;
        let due: Vec<i64> = due.iter().map(|job| job.want.stock.holder.get()).collect();
        assert_eq!(due, left, "{hold:?}");
    }
    // What is left for later takes no room from the others.
    let due = store.settles_due(shop.id, at(100), Some(hold(940, 1_060, 10)), 1).await?;
    assert_eq!(due.iter().map(|job| job.want.stock.holder.get()).collect::<Vec<_>>(), [2]);
    Ok(())
}
