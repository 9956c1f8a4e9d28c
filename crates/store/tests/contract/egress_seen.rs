//! Stocks that are looked at without holding anybody up, and saved if nobody changed them meanwhile.

use store::{PushNotes, PushRow, SeenPush, Store};
use values::{ShopId, StockId, Timestamp};

use crate::database::Database;
use crate::world::stock;

fn ids() -> [StockId; 3] {
    [1, 2, 3].map(|holder| stock(ShopId::new(1).unwrap(), holder))
}

fn due(id: StockId, seconds: i64) -> PushRow {
    PushRow { due_at: Some(Timestamp::from_seconds(seconds)), ..PushRow::unknown(id) }
}

fn refused(id: StockId, refusals: u32) -> PushNotes {
    PushNotes { refusals, ..PushNotes::unknown(id) }
}

/// All are there, without notes.
async fn made(store: &Store) -> anyhow::Result<()> {
    let mut tx = store.begin_egress().await?;
    tx.load(&ids()).await?;
    tx.save(&ids().map(|id| due(id, 1))).await?;
    Ok(tx.commit().await?)
}

async fn states(store: &Store) -> anyhow::Result<Vec<(PushRow, PushNotes)>> {
    let seen = store.see_pushes(&ids()).await?;
    Ok(seen.into_iter().map(|seen| (seen.row, seen.notes)).collect())
}

fn as_seen(seen: &[SeenPush]) -> Vec<(PushRow, PushNotes)> {
    seen.iter().map(|seen| (seen.row.clone(), seen.notes.clone())).collect()
}

pub(crate) async fn what_was_seen_is_saved<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    made(&store).await?;
    let [one, two, three] = ids();
    let seen = store.see_pushes(&[two, one]).await?;
    assert_eq!(as_seen(&seen), [two, one].map(|id| (due(id, 1), PushNotes::unknown(id))));
    let now = vec![(due(two, 2), refused(two, 1)), (due(one, 1), PushNotes::unknown(one))];
    let seen = store.save_seen(&seen, now.clone()).await?.expect("nobody changed them");
    assert_eq!(as_seen(&seen), now);
    // What was saved need not be looked at again: first the notes alone, then the row alone.
    for now in [(due(two, 2), refused(two, 2)), (due(two, 3), refused(two, 2))] {
        let before = store.see_pushes(&[two]).await?;
        let seen = store.save_seen(&before, vec![now.clone()]).await?.expect("nobody changed it");
        assert_eq!(as_seen(&seen), [now]);
        let again = store.save_seen(&seen, as_seen(&seen)).await?.expect("nothing is to be saved");
        assert_eq!(again, seen);
        assert_eq!(store.see_pushes(&[two]).await?, seen);
    }
    let unchanged = [one, three].map(|id| (due(id, 1), PushNotes::unknown(id)));
    let [first, last] = unchanged;
    assert_eq!(states(&store).await?, [first, (due(two, 3), refused(two, 2)), last]);
    Ok(())
}

pub(crate) async fn what_somebody_changed_is_left_alone<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    made(&store).await?;
    let [one, two, _] = ids();
    for notes_only in [false, true] {
        let seen = store.see_pushes(&[one, two]).await?;
        let mut tx = store.begin_egress().await?;
        let rows = tx.load(&[two]).await?;
        if notes_only {
            tx.save_all(&rows, &[refused(two, 7)]).await?;
        } else {
            tx.save(&[due(two, 7)]).await?;
        }
        tx.commit().await?;
        let before = states(&store).await?;
        let now = [one, two].map(|id| (due(id, 9), refused(id, 9)));
        assert_eq!(store.save_seen(&seen, now.to_vec()).await?, None);
        assert_eq!(states(&store).await?, before, "not even the other one was saved");
    }
    // What is remembered may be older, which is found out once.
    let remembered = store.recall_pushes(&[two]).await?;
    let now = vec![(due(two, 5), refused(two, 5))];
    let mut saved = store.save_seen(&remembered, now.clone()).await?;
    if saved.is_none() {
        saved = store.save_seen(&store.recall_pushes(&[two]).await?, now.clone()).await?;
    }
    let seen = saved.expect("it is as it is stored now");
    assert_eq!(store.recall_pushes(&[two]).await?, seen);
    assert_eq!(as_seen(&store.see_pushes(&[two]).await?), now);
    // Who changes nothing of that one is in nobody's way.
    let seen = store.see_pushes(&[one]).await?;
    let other = store.see_pushes(&[two]).await?;
    assert!(store.save_seen(&other, vec![(due(two, 8), refused(two, 8))]).await?.is_some());
    assert!(store.save_seen(&seen, vec![(due(one, 8), refused(one, 8))]).await?.is_some());
    Ok(())
}

pub(crate) async fn what_was_never_seen_is_left_alone<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let [one, ..] = ids();
    let seen = store.see_pushes(&[one]).await?;
    assert_eq!(as_seen(&seen), [(PushRow::unknown(one), PushNotes::unknown(one))]);
    assert_eq!(store.save_seen(&seen, vec![(due(one, 1), refused(one, 1))]).await?, None);
    assert_eq!(store.pushes(&[one]).await?, []);
    assert_eq!(store.push_notes(&[one]).await?, []);
    Ok(())
}
