//! What is noted beside pushes, and what is due together.

use store::{DueStock, PushCounts, PushNotes, PushRow, SettleWish, Told};
use values::{ProductId, ReadNumber, ShopId, StockId, Timestamp};

use crate::database::Database;
use crate::world::{stock, units};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop(raw: i64) -> ShopId {
    ShopId::new(raw).unwrap()
}

fn full(id: StockId) -> PushNotes {
    let told = |delta| Told { at: at(5), delta: units(delta), answer: "it's \"odd\"".to_owned() };
    PushNotes {
        id,
        parent: ProductId::new(77),
        wanted_since: Some(at(1)),
        wish: Some(SettleWish { why: "drift".to_owned(), due_at: at(2), tries: 3, asked: true }),
        proof_seen: ReadNumber::new(9),
        refusals: 4,
        held_until: Some(at(6)),
        attempts: vec![told(-1), told(2)],
        traces: vec!["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(), "odd".to_owned()],
    }
}

pub(crate) async fn notes_round_trip<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, two) = (full(stock(shop(1), 1)), PushNotes::unknown(stock(shop(1), 2)));
    let mut tx = store.begin_egress().await?;
    assert_eq!(tx.load_notes(&[two.id, one.id]).await?, [two.clone(), PushNotes::unknown(one.id)]);
    tx.save_notes(&[one.clone(), two.clone()]).await?;
    tx.commit().await?;
    let mut tx = store.begin_egress().await?;
    assert_eq!(tx.load_notes(&[two.id, one.id]).await?, [two, one.clone()]);
    tx.save_notes(&[PushNotes::unknown(one.id)]).await?;
    drop(tx);
    assert_eq!(store.push_notes(&[one.id]).await?, [one], "what was not committed is not there");
    let counts = PushCounts { unsettled: 1, ..PushCounts::default() };
    assert_eq!(store.push_counts().await?, counts);
    Ok(())
}

pub(crate) async fn what_nobody_loaded_is_saved_too<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let ids = [1, 2, 3].map(|holder| stock(shop(1), holder));
    let row = |id: StockId| PushRow { due_at: Some(at(7)), ..PushRow::unknown(id) };
    let mut tx = store.begin_egress().await?;
    tx.save(&[row(ids[0])]).await?;
    // With notes both go in one statement; one row is there by now, one is not.
    tx.save_all(&[PushRow { due_at: Some(at(8)), ..row(ids[0]) }, row(ids[1])], &[full(ids[2])]).await?;
    tx.commit().await?;
    assert_eq!(store.next_due(shop(1), None).await?, Some(at(7)));
    let due = store.stocks_due(shop(1), None, at(8), None, 9).await?;
    assert_eq!(
        due.iter().map(|due| (due.id, due.at)).collect::<Vec<_>>(),
        [(ids[0], at(8)), (ids[1], at(7))]
    );
    assert_eq!(store.push_notes(&[ids[2]]).await?, [full(ids[2])]);
    Ok(())
}

pub(crate) async fn what_is_due_comes_by_product<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let places = [(1, Some(50), 10), (2, None, 20), (3, Some(40), 10), (4, Some(50), 30), (5, None, 5)];
    let mut tx = store.begin_egress().await?;
    let ids = places.map(|(holder, ..)| stock(shop(1), holder));
    tx.load(&ids).await?;
    let row =
        |(holder, _, due)| PushRow { due_at: Some(at(due)), ..PushRow::unknown(stock(shop(1), holder)) };
    let notes = |(holder, parent, _): (i64, Option<i64>, i64)| PushNotes {
        parent: parent.and_then(ProductId::new),
        ..PushNotes::unknown(stock(shop(1), holder))
    };
    tx.save(&places.map(row)).await?;
    tx.save_notes(&places.map(notes)).await?;
    tx.commit().await?;
    let due = store.stocks_due(shop(1), None, at(20), None, 9).await?;
    let holders = |due: &[DueStock]| due.iter().map(|due| due.id.holder.get()).collect::<Vec<_>>();
    assert_eq!(holders(&due), [2, 5, 3, 1]);
    let rest = store.stocks_due(shop(1), None, at(30), Some(due[2]), 9).await?;
    assert_eq!(holders(&rest), [1, 4]);
    assert_eq!(store.next_due(shop(1), None).await?, Some(at(5)));
    // Whoever knows that nothing is due before is not told of it.
    let from = store.stocks_due(shop(1), Some(at(11)), at(20), None, 9).await?;
    assert_eq!(holders(&from), [2]);
    assert_eq!(store.next_due(shop(1), Some(at(11))).await?, Some(at(20)));
    assert_eq!(store.next_due(shop(1), Some(at(31))).await?, None);
    assert_eq!(store.next_due(shop(2), None).await?, None);
    Ok(())
}
