//! Shares of shards: fair, stable, and never two holders at once.

use std::time::Duration;

use store::{CLOCKS_DIFFER_MAX, ShardLease, Share, Store};
use values::Timestamp;

use crate::database::Database;

const SERVICE: &str = "inventory";
const COUNT: u32 = 4;
const LASTS: Duration = Duration::from_secs(15);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_000 + seconds)
}

async fn share(store: &Store, member: &str, seconds: i64) -> anyhow::Result<Share> {
    Ok(store.share_shards(SERVICE, COUNT, member, at(seconds), LASTS).await?)
}

fn indexes(share: &Share) -> Vec<u32> {
    share.held.iter().map(|lease| lease.index).collect()
}

pub(crate) async fn a_member_alone_has_everything<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let first = share(&store, "one", 0).await?;
    assert_eq!((indexes(&first), &first.surplus), (vec![0, 1, 2, 3], &vec![]));
    assert!(first.held.iter().all(|lease| lease.until == at(0) + LASTS));
    let renewed = share(&store, "one", 5).await?;
    assert!(renewed.held.iter().all(|lease| lease.until == at(5) + LASTS));
    let fences = |share: &Share| share.held.iter().map(|lease| lease.fence).collect::<Vec<_>>();
    assert_eq!(fences(&renewed), fences(&first), "who goes on keeps its fence");
    store.close().await;
    let store = database.open().await?;
    assert_eq!(fences(&share(&store, "one", 10).await?), fences(&first), "it is kept");
    // Another service, and the same with another number of shards, have shards of their own.
    let other = store.share_shards("egress", COUNT, "two", at(10), LASTS).await?;
    assert_eq!(indexes(&other), [0, 1, 2, 3]);
    let more = store.share_shards(SERVICE, COUNT + 1, "two", at(10), LASTS).await?;
    assert_eq!(indexes(&more), [0, 1, 2, 3, 4]);
    Ok(())
}

pub(crate) async fn members_share<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let first = share(&store, "one", 0).await?;
    // The second has nothing yet: the first is told what to give up, and told again until it does.
    assert_eq!(share(&store, "two", 1).await?, Share::default());
    for seconds in [2, 3] {
        let told = share(&store, "one", seconds).await?;
        assert_eq!((indexes(&told), &told.surplus), (vec![0, 1, 2, 3], &vec![2, 3]));
        assert_eq!(told.held[0].until, at(seconds) + LASTS);
        assert_eq!(told.held[2].until, first.held[2].until, "what is to be given up is not renewed");
        assert_eq!(share(&store, "two", seconds).await?, Share::default(), "nor taken before");
    }
    store.release_shards(SERVICE, COUNT, "one", &[2, 3]).await?;
    let second = share(&store, "two", 4).await?;
    assert_eq!(
        (indexes(&second), &second.surplus),
        (vec![2, 3], &vec![]),
        "what is released is taken at once"
    );
    assert!(second.held[0].fence > first.held[2].fence, "each new holder has a higher fence");
    store.release_shards(SERVICE, COUNT, "one", &[2]).await?;
    assert_eq!(indexes(&share(&store, "two", 5).await?), [2, 3], "it was not the first's to release");
    // A third: two is a fair part of four still, and nobody moves.
    assert_eq!(share(&store, "three", 5).await?, Share::default());
    assert!(share(&store, "one", 6).await?.surplus.is_empty());
    assert!(share(&store, "two", 6).await?.surplus.is_empty());
    // One that gives up its last shard is gone: the others need not wait until it is forgotten.
    store.release_shards(SERVICE, COUNT, "two", &[2, 3]).await?;
    assert_eq!(indexes(&share(&store, "three", 7).await?), [2, 3]);
    store.release_shards(SERVICE, COUNT, "three", &[2, 3]).await?;
    assert_eq!(indexes(&share(&store, "one", 8).await?), [0, 1, 2, 3]);
    Ok(())
}

pub(crate) async fn a_member_that_leaves_keeps_what_it_has_yet_to_end<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let first = share(&store, "one", 0).await?;
    let leave = async |seconds| store.leave_shards(SERVICE, COUNT, "one", at(seconds), LASTS).await;
    store.release_shards(SERVICE, COUNT, "one", &[0]).await?;
    let kept = leave(10).await?;
    let expected: Vec<_> =
        first.held[1..].iter().map(|lease| ShardLease { until: at(10) + LASTS, ..*lease }).collect();
    assert_eq!(kept, expected, "renewed, and nothing taken");
    // Long after the leases it had before: what it released is another's, all of it, for it does not count.
    let second = share(&store, "two", 21).await?;
    assert_eq!((indexes(&second), &second.surplus), (vec![0], &vec![]));
    store.release_shards(SERVICE, COUNT, "one", &[1, 2]).await?;
    assert_eq!(indexes(&share(&store, "two", 22).await?), [0, 1, 2]);
    assert_eq!(leave(23).await?.iter().map(|lease| lease.index).collect::<Vec<_>>(), [3]);
    // What it let end is not its own any more.
    assert_eq!(leave(23 + 16).await?, []);
    assert_eq!(indexes(&share(&store, "two", 23 + 30).await?), [0, 1, 2, 3]);
    // Who has nothing may leave as well.
    assert_eq!(share(&store, "three", 54).await?, Share::default());
    assert_eq!(store.leave_shards(SERVICE, COUNT, "three", at(55), LASTS).await?, []);
    assert!(share(&store, "two", 56).await?.surplus.is_empty(), "there is nobody to share with");
    Ok(())
}

pub(crate) async fn a_dead_member_loses_its_shards<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let dead = share(&store, "one", 0).await?;
    let taken_from = dead.held[0].until + CLOCKS_DIFFER_MAX;
    let just_before = store.share_shards(SERVICE, COUNT, "two", taken_from - Duration::from_micros(1), LASTS);
    assert_eq!(just_before.await?, Share::default(), "its clock may be behind");
    let heir = store.share_shards(SERVICE, COUNT, "two", taken_from, LASTS).await?;
    assert_eq!(indexes(&heir), [0, 1, 2, 3]);
    assert!(heir.held.iter().zip(&dead.held).all(|(heir, dead)| heir.fence > dead.fence));
    // It was not dead after all: it finds out, and waits for its part.
    let back = store.share_shards(SERVICE, COUNT, "one", taken_from, LASTS).await?;
    assert_eq!(back, Share::default());
    // Who lets its own leases end has begun anew.
    let late = store.share_shards(SERVICE, COUNT, "two", heir.held[0].until, LASTS).await?;
    assert!(late.held.iter().zip(&heir.held).all(|(late, heir)| late.fence > heir.fence));
    assert_eq!(indexes(&late), [0, 1], "the other is known by now");
    Ok(())
}

pub(crate) async fn the_number_of_shards_is_noted<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    assert_eq!(store.shard_count().await?, None);
    for count in [16, 4] {
        store.set_shard_count(count).await?;
        assert_eq!(store.shard_count().await?, Some(count));
    }
    assert!(store.set_shard_count(0).await.is_err());
    store.close().await;
    assert_eq!(database.open().await?.shard_count().await?, Some(4));
    Ok(())
}
