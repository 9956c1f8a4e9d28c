//! Differences that comparisons found: kept, listed, decided on, forgotten.

use push::{DriftAction, DriftClass};
use store::{DECISIONS_KEPT, DRIFTS_KEPT, Decision, DecisionRow, DriftDecided, DriftRow, PushRow, Store};
use values::{ReadNumber, ShopId, StockId, Timestamp};

use crate::database::Database;
use crate::world::{sku, stock, units};

const EVER: Timestamp = Timestamp::from_micros(i64::MIN);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop(raw: i64) -> ShopId {
    ShopId::new(raw).unwrap()
}

fn edit(stock: StockId, number: u64, second: i64) -> DriftRow {
    DriftRow {
        stock,
        number: ReadNumber::new(number),
        at: at(second),
        class: DriftClass::EditUp,
        expected: Some(units(4)),
        shown: Some(units(7)),
        action: DriftAction::Corrected,
        why: None,
        sku: Some(sku("A")),
    }
}

async fn save(store: &Store, rows: &[DriftRow]) -> anyhow::Result<()> {
    let mut tx = store.begin_egress().await?;
    tx.save_drifts(rows).await?;
    Ok(tx.commit().await?)
}

pub(crate) async fn differences_are_listed_newest_first<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let gone = DriftRow {
        class: DriftClass::Unmanaged,
        expected: None,
        shown: None,
        action: DriftAction::None,
        why: Some("it's \"odd\"".to_owned()),
        sku: None,
        ..edit(stock(shop(2), 9), 3, 20)
    };
    let rows = [
        edit(stock(shop(1), 1), 5, 10),
        gone.clone(),
        edit(stock(shop(1), 2), 6, 20),
        edit(stock(shop(1), 1), 7, 30),
    ];
    save(&store, &rows).await?;
    let [first, _, second, third] = rows;
    let all = [third.clone(), gone.clone(), second.clone(), first.clone()];
    assert_eq!(store.drifts(None, EVER, None, 9).await?, all);
    assert_eq!(store.drifts(None, EVER, Some(third.key()), 1).await?, std::slice::from_ref(&gone));
    assert_eq!(store.drifts(None, EVER, Some(gone.key()), 9).await?, [second.clone(), first.clone()]);
    assert_eq!(store.drifts(None, at(20), None, 9).await?, [third.clone(), gone, second.clone()]);
    assert_eq!(store.drifts(Some(shop(1)), EVER, Some(third.key()), 9).await?, [second, first.clone()]);
    assert_eq!(store.drifts(Some(shop(3)), EVER, None, 9).await?, []);
    assert_eq!(store.drifts_of(&[first.stock]).await?, [third.clone(), first]);
    assert_eq!((third.difference(), all[1].difference()), (Some(units(3)), None));
    Ok(())
}

pub(crate) async fn the_oldest_of_a_stock_are_forgotten<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, other) = (stock(shop(1), 1), stock(shop(1), 2));
    save(&store, &[edit(other, 1, 1)]).await?;
    let kept = u64::from(DRIFTS_KEPT);
    for number in 1..=kept + 2 {
        save(&store, &[edit(one, number, 5)]).await?;
        // The same once more is one.
        save(&store, &[edit(one, number, 6)]).await?;
    }
    let numbers: Vec<u64> = store.drifts_of(&[one]).await?.iter().map(|row| row.number.get()).collect();
    assert_eq!(numbers, (3..=kept + 2).rev().collect::<Vec<_>>());
    assert_eq!(store.drifts_of(&[other]).await?.len(), 1, "each stock has its own");
    Ok(())
}

/// A batch may have a proof twice: first nothing can be said of it, then all.
pub(crate) async fn of_one_read_the_last_is_kept<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let found = edit(stock(shop(1), 1), 7, 10);
    let unsettled = DriftRow {
        class: DriftClass::Unsettled,
        action: DriftAction::None,
        shown: None,
        expected: None,
        ..found.clone()
    };
    let other = edit(stock(shop(1), 2), 7, 10);
    save(&store, &[unsettled, other.clone(), found.clone()]).await?;
    assert_eq!(store.drifts_of(&[found.stock, other.stock]).await?, [found, other]);
    Ok(())
}

pub(crate) async fn what_became_of_an_edit_is_noted<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, other) = (edit(stock(shop(1), 1), 1, 1), edit(stock(shop(1), 2), 1, 1));
    save(&store, &[one.clone(), other.clone()]).await?;
    let decided = |row: &DriftRow, number| DriftDecided {
        stock: row.stock,
        number: ReadNumber::new(number),
        action: DriftAction::Withheld,
        why: Some("buffer".to_owned()),
    };
    let mut tx = store.begin_egress().await?;
    tx.decide_drifts(&[decided(&one, 1), decided(&other, 2)]).await?;
    tx.commit().await?;
    let noted = DriftRow { action: DriftAction::Withheld, why: Some("buffer".to_owned()), ..one };
    assert_eq!(store.drifts_of(&[noted.stock, other.stock]).await?, [noted, other]);
    Ok(())
}

pub(crate) async fn edits_of_many_at_once_are_of_one_class<D: Database>() -> anyhow::Result<()> {
    use DriftClass::{BulkEdit, EditDown, EditUp, LostUpdate};
    let database = D::fresh().await?;
    let store = database.open().await?;
    let mut rows: Vec<DriftRow> = (1..=3).map(|holder| edit(stock(shop(1), holder), 7, 1)).collect();
    rows[1].class = EditDown;
    rows[2].class = LostUpdate;
    rows.push(edit(stock(shop(1), 4), 8, 1));
    save(&store, &rows).await?;
    let mark = async |many| -> anyhow::Result<Vec<DriftClass>> {
        let mut tx = store.begin_egress().await?;
        tx.mark_bulk_edits(&[(shop(1), ReadNumber::new(7)), (shop(1), ReadNumber::new(8))], many).await?;
        tx.commit().await?;
        let stocks: Vec<StockId> = rows.iter().map(|row| row.stock).collect();
        Ok(store.drifts_of(&stocks).await?.iter().map(|row| row.class).collect())
    };
    assert_eq!(mark(3).await?, [EditUp, EditDown, LostUpdate, EditUp]);
    assert_eq!(mark(2).await?, [BulkEdit, BulkEdit, LostUpdate, EditUp]);
    // What comes later of the same read counts with those that were called so.
    save(&store, &[edit(stock(shop(1), 3), 7, 1)]).await?;
    assert_eq!(mark(3).await?, [BulkEdit, BulkEdit, BulkEdit, EditUp]);
    Ok(())
}

pub(crate) async fn a_base_of_before_is_understood<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let id = stock(shop(1), 1);
    let mut tx = store.begin_egress().await?;
    tx.load(&[id]).await?;
    tx.save(&[PushRow { removed: true, ..PushRow::unknown(id) }]).await?;
    tx.commit().await?;
    database.run("UPDATE egress_stocks SET base = '[2,9000,1000,3000]'").await?;
    let base = store.pushes(&[id]).await?.remove(0).push.base.unwrap();
    assert_eq!(
        (base.epoch.get(), base.quantity, base.slack, base.withheld),
        (2, units(9), units(1), units(3))
    );
    assert_eq!((base.dated, base.doubted, base.adopting), (None, false, None));
    Ok(())
}

pub(crate) async fn of_each_stock_the_newest_is_told_that_concerns_people<D: Database>() -> anyhow::Result<()>
{
    let database = D::fresh().await?;
    let store = database.open().await?;
    let ours = |row: DriftRow| DriftRow { class: DriftClass::LostUpdate, ..row };
    let alerted = |row: DriftRow| DriftRow { action: DriftAction::Alerted, ..row };
    let of = |raw, holder| stock(shop(raw), holder);
    let rows = [
        edit(of(1, 1), 1, 50),
        ours(edit(of(1, 1), 2, 60)),
        edit(of(1, 2), 1, 70),
        edit(of(1, 2), 2, 71),
        ours(alerted(edit(of(1, 3), 1, 80))),
        edit(of(1, 4), 1, 5),
        edit(of(1, 5), 1, 55),
        ours(edit(of(2, 1), 1, 90)),
        edit(of(2, 2), 1, 90),
    ];
    save(&store, &rows).await?;
    let [first, _, _, second, third, old, fifth, _, other] = rows;
    let told = store.drifts_to_tell(at(50), 9, 100).await?;
    assert_eq!(told, [first.clone(), second.clone(), third.clone(), fifth.clone(), other.clone()]);
    let newest = store.drifts_to_tell(at(50), 2, 100).await?;
    assert_eq!(newest, [second.clone(), third, other.clone()], "the newest two of a shop");
    assert_eq!(store.drifts_to_tell(at(50), 9, 1).await?, std::slice::from_ref(&first));
    let stocks = [of(1, 1), of(1, 2), of(1, 4), of(2, 1), of(2, 2), of(3, 1)];
    let mut told = store.drifts_to_tell_of(&stocks, at(50)).await?;
    told.sort_by_key(|row| row.stock);
    assert_eq!(told, [first, second, other]);
    assert_eq!(store.drifts_to_tell_of(&[old.stock], at(5)).await?, std::slice::from_ref(&old));
    // What somebody decided on is told no more; what was found later is.
    let decided = |stock, upto| DecisionRow {
        stock,
        number: 0,
        upto: ReadNumber::new(upto),
        decision: Decision::Leave,
        quantity: units(3),
        warehouse: None,
        actor: "boss".to_owned(),
        reason: None,
        at: at(99),
    };
    let mut tx = store.begin_inventory().await?;
    tx.add_decision(&decided(old.stock, 1)).await?;
    tx.add_decision(&decided(of(1, 2), 1)).await?;
    tx.commit().await?;
    assert_eq!(store.drifts_to_tell_of(&[old.stock], at(5)).await?, []);
    assert_eq!(store.drifts_to_tell(at(50), 9, 100).await?.len(), 5);
    let mut tx = store.begin_inventory().await?;
    tx.add_decision(&decided(of(1, 2), 2)).await?;
    tx.commit().await?;
    assert_eq!(store.drifts_to_tell(at(50), 9, 100).await?.len(), 4);
    Ok(())
}

pub(crate) async fn decisions_are_numbered_by_stock_and_the_last_are_kept<D: Database>() -> anyhow::Result<()>
{
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, other) = (stock(shop(1), 1), stock(shop(1), 2));
    let row = |stock, upto| DecisionRow {
        stock,
        number: 0,
        upto: ReadNumber::new(upto),
        decision: Decision::Adopt,
        quantity: units(-3),
        warehouse: values::WarehouseId::new(4),
        actor: "boss".to_owned(),
        reason: Some("it's \"odd\"".to_owned()),
        at: at(99),
    };
    let kept = DECISIONS_KEPT;
    for number in 1..=kept + 2 {
        let mut tx = store.begin_inventory().await?;
        assert_eq!(tx.add_decision(&row(one, u64::from(number) * 10)).await?, number);
        tx.commit().await?;
    }
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.add_decision(&row(other, 5)).await?, 1);
    tx.commit().await?;
    let found = store.decisions_of(&[one, other, stock(shop(2), 1)]).await?;
    assert_eq!(found.len(), usize::try_from(kept).unwrap() + 1);
    assert_eq!(found[0], DecisionRow { number: 3, ..row(one, 30) }, "the oldest are forgotten");
    assert_eq!(found.last(), Some(&DecisionRow { number: 1, ..row(other, 5) }));
    let about = |number| DecisionRow::about(&found, &edit(one, number, 1)).map(|row| row.number);
    assert_eq!((about(31), about(40), about(1), about(1_000)), (Some(4), Some(4), Some(3), None));
    Ok(())
}
