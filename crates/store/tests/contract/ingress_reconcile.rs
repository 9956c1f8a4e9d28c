//! Runs that compare whole shops, schedules, and the counts of days.

use std::collections::BTreeMap;
use std::time::Duration;

use push::{Base, StockPush};
use store::{
    AGREED, Answer, Comparison, DayCount, HubCount, NewRun, Run, RunAdded, RunCause, RunLeft, RunRead,
    RunState, RunTotal, RunVerdict, SettleHold, StockSum, Store,
};
use values::{HolderId, ReadNumber, ShopId, Timestamp};

use crate::database::Database;
use crate::world::{
    NOW, holder, observe, order, product, seen, sell, shop, simple, snapshot, stock, units, variation,
    warehouse,
};

fn later(seconds: u64) -> Timestamp {
    NOW + Duration::from_secs(seconds)
}

fn whole(shop: ShopId, dry_run: bool) -> NewRun {
    NewRun { shop, dry_run, cause: RunCause::Asked, deadline: later(3_600), chosen: None }
}

async fn begun(store: &Store, new: &NewRun) -> anyhow::Result<Run> {
    let RunAdded::Added(run) = store.add_run(new, NOW).await? else { panic!("one is under way") };
    while store.fill_run(run, 2, later(1)).await? > 0 {}
    Ok(store.run(run).await?.unwrap())
}

fn read(number: i64, shown: i64) -> RunRead {
    RunRead { holder: holder(number), shown: Some(units(shown)), class: None }
}

fn judged(number: i64, class: &str, action: &str, difference: i64) -> RunVerdict {
    RunVerdict::Judged {
        holder: holder(number),
        class: class.to_owned(),
        action: action.to_owned(),
        expected: Some(units(9)),
        difference: Some(units(difference)),
    }
}

async fn holders(store: &Store, run: i64, variations: bool) -> anyhow::Result<Vec<HolderId>> {
    let jobs = store.run_to_read(run, variations, later(2), None, 100).await?;
    Ok(jobs.into_iter().map(|job| job.holder).collect())
}

pub(crate) async fn a_run_lists_every_stock_of_its_shop<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    observe(
        &store,
        &[
            seen(shop.id, product(3), Some(3), None),
            seen(shop.id, product(4), None, Some("D")),
            seen(shop.id, product(5), None, None),
            seen(shop.id, variation(5, 6), Some(6), Some("E")),
            seen(shop.id, variation(5, 7), None, Some("F")),
        ],
    )
    .await?;
    assert_eq!(store.open_run(shop.id).await?, None);
    let run = begun(&store, &whole(shop.id, false)).await?;
    assert_eq!((run.state, run.started_at), (RunState::Running, Some(later(1))));
    assert_eq!(store.open_run(shop.id).await?.map(|open| open.id), Some(run.id));
    assert_eq!(store.shops_to_read(NOW).await?, [shop.id]);
    assert_eq!(store.run_left(run.id).await?, RunLeft { products: 2, variations: 1, read: 0 });
    assert_eq!(holders(&store, run.id, false).await?, [holder(1), holder(2)]);
    let jobs = store.run_to_read(run.id, true, later(2), None, 100).await?;
    assert_eq!(jobs.iter().map(|job| job.parent.unwrap().get()).collect::<Vec<_>>(), [5]);
    let total = |class: &str, stocks| RunTotal { class: class.to_owned(), action: "none".to_owned(), stocks };
    assert_eq!(run.totals, [total("unmanaged", 2), total("unmapped", 1)]);
    // The product above variations sells nothing itself.
    let listed: Vec<i64> =
        store.run_stocks(run.id, None, 100).await?.iter().map(|row| row.holder.get()).collect();
    assert_eq!(listed, [1, 2, 3, 4, 6, 7]);
    assert_eq!(store.run_stocks(run.id, Some(holder(4)), 1).await?[0].holder, holder(6));
    Ok(())
}

pub(crate) async fn a_shop_has_one_run_at_a_time<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, warehouse) = simple(&store).await?;
    let other = crate::world::shop(&store, "other", warehouse).await?;
    let first = begun(&store, &whole(shop.id, false)).await?;
    assert_eq!(store.add_run(&whole(shop.id, true), NOW).await?, RunAdded::UnderWay(first.id));
    let chosen = NewRun { chosen: Some(vec![holder(2), holder(9)]), ..whole(other.id, true) };
    assert!(matches!(store.add_run(&chosen, NOW).await?, RunAdded::Added(_)));
    assert_eq!(store.overdue_runs(later(3_600), 9).await?, Vec::<i64>::new());
    assert_eq!(store.overdue_runs(later(3_601), 9).await?.len(), 2);
    store.end_run(first.id, RunState::Failed, "no keys", later(5)).await?;
    store.end_run(first.id, RunState::Done, "", later(6)).await?;
    let ended = store.run(first.id).await?.unwrap();
    assert_eq!(
        (ended.state, ended.failure.as_str(), ended.ended_at),
        (RunState::Failed, "no keys", Some(later(5)))
    );
    let chosen = NewRun { chosen: Some(vec![holder(2), holder(9)]), ..whole(shop.id, true) };
    let second = begun(&store, &chosen).await?;
    assert_eq!(holders(&store, second.id, false).await?, [holder(2)], "what is not the shop's is left out");
    let runs: Vec<i64> = store.runs(shop.id, None, 9).await?.iter().map(|run| run.id).collect();
    assert_eq!(runs, [second.id, first.id]);
    assert_eq!(store.runs(shop.id, Some(second.id), 9).await?.len(), 1);
    assert_eq!(store.prune_runs(later(5), 9).await?, 0);
    assert!(store.prune_runs(later(6), 9).await? > 0);
    assert_eq!(store.run(first.id).await?, None);
    assert_eq!(store.run_stocks(first.id, None, 9).await?, []);
    Ok(())
}

async fn pruned(store: &Store, before: Timestamp, limit: u32) -> anyhow::Result<Vec<u64>> {
    let mut steps = Vec::new();
    while steps.last() != Some(&0) {
        steps.push(store.prune_runs(before, limit).await?);
    }
    Ok(steps)
}

pub(crate) async fn old_runs_are_forgotten_in_bounded_steps<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    sell(&store, shop.id, &["A", "B", "C", "D", "E"]).await?;
    let run = begun(&store, &whole(shop.id, false)).await?;
    store.end_run(run.id, RunState::Failed, "no keys", later(5)).await?;
    let other = begun(&store, &whole(shop.id, false)).await?;
    store.end_run(other.id, RunState::Failed, "no keys", later(9)).await?;
    assert_eq!(pruned(&store, later(5), 2).await?, [0]);
    assert_eq!(store.prune_runs(later(6), 2).await?, 2, "no more rows than that at once");
    assert!(store.run(run.id).await?.is_some(), "it goes last");
    assert_eq!(pruned(&store, later(6), 2).await?, [2, 2, 0]);
    assert_eq!((store.run(run.id).await?, store.run(other.id).await?.is_some()), (None, true));
    assert_eq!(store.run_stocks(other.id, None, 9).await?.len(), 5);
    Ok(())
}

pub(crate) async fn what_is_unmanaged_is_listed_by_the_newest_run_alone<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    observe(&store, &[seen(shop.id, product(4), None, Some("D"))]).await?;
    let end = async |chosen: Option<Vec<HolderId>>, state| -> anyhow::Result<i64> {
        let run = begun(&store, &NewRun { chosen, ..whole(shop.id, false) }).await?;
        store.end_run(run.id, state, "", later(5)).await?;
        Ok(run.id)
    };
    let lists = async |run: i64, expected: &[(i64, &str)]| -> anyhow::Result<()> {
        let rows = store.run_stocks(run, None, 9).await?;
        let rows: Vec<(i64, &str)> =
            rows.iter().map(|row| (row.holder.get(), row.class.as_deref().unwrap())).collect();
        assert_eq!(rows, expected);
        Ok(())
    };
    let all = [(1, "unsettled"), (2, "unsettled"), (4, "unmanaged")];
    let first = end(None, RunState::Done).await?;
    end(Some(vec![holder(1)]), RunState::Done).await?;
    end(None, RunState::Failed).await?;
    assert_eq!(pruned(&store, later(1), 9).await?, [0], "what is newer lists less");
    lists(first, &all).await?;
    let newest = end(None, RunState::Done).await?;
    assert!(store.prune_runs(later(1), 9).await? > 0);
    lists(first, &all[..2]).await?;
    lists(newest, &all).await?;
    let totals = store.run(first).await?.unwrap().totals;
    assert!(totals.iter().any(|total| total.class == "unmanaged" && total.stocks == 1), "{totals:?}");
    Ok(())
}

pub(crate) async fn what_is_read_is_judged_once<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    sell(&store, shop.id, &["A", "B", "C"]).await?;
    let run = begun(&store, &whole(shop.id, false)).await?;
    let gone = RunRead { holder: holder(3), shown: None, class: Some("gone") };
    store.note_run_read(run.id, &[read(1, 9), read(2, 9), gone], ReadNumber::new(7), 2, later(3)).await?;
    assert_eq!(store.run_left(run.id).await?, RunLeft { products: 0, variations: 0, read: 2 });
    let again = RunVerdict::Again { holder: holder(2), due_at: later(60) };
    store.judge_run(run.id, &[judged(1, AGREED, "none", 0), again]).await?;
    store.judge_run(run.id, &[judged(1, "edit_up", "corrected", 3)]).await?;
    assert_eq!(holders(&store, run.id, false).await?, [], "not before its time");
    assert_eq!(store.run_to_read(run.id, false, later(60), None, 9).await?.len(), 1);
    store.note_run_read(run.id, &[read(2, 12)], ReadNumber::new(8), 1, later(61)).await?;
    // Whoever read it is gone: that counts as no try.
    store.reopen_run(run.id, later(62)).await?;
    store.note_run_read(run.id, &[read(2, 12)], ReadNumber::new(9), 1, later(63)).await?;
    store.judge_run(run.id, &[judged(2, "edit_up", "corrected", 3)]).await?;
    let rows = store.run_stocks(run.id, None, 9).await?;
    let classes: Vec<_> = rows.iter().map(|row| (row.class.as_deref(), row.tries)).collect();
    assert_eq!(classes, [(Some(AGREED), 1), (Some("edit_up"), 2), (Some("gone"), 1)]);
    assert_eq!((rows[1].number, rows[1].difference), (Some(ReadNumber::new(9)), Some(units(3))));
    assert!(store.run_left(run.id).await?.is_none());
    // By then it is known that many were edited at once. The look before proved nothing, and says nothing either.
    let drift = |number, class, action| store::DriftRow {
        stock: stock(shop.id, 2),
        number: ReadNumber::new(number),
        at: later(64),
        class,
        expected: Some(units(9)),
        shown: Some(units(12)),
        action,
        why: None,
        sku: None,
    };
    let mut tx = store.begin_egress().await?;
    tx.save_drifts(&[
        drift(8, push::DriftClass::Unsettled, push::DriftAction::None),
        drift(9, push::DriftClass::BulkEdit, push::DriftAction::Corrected),
    ])
    .await?;
    tx.commit().await?;
    store.end_run(run.id, RunState::Done, "", later(70)).await?;
    let told = store.run_stocks(run.id, None, 9).await?;
    assert_eq!(told[0].class.as_deref(), Some("bulk_edit"), "{told:?}");
    let ended = store.run(run.id).await?.unwrap();
    assert_eq!((ended.reads, ended.calls, ended.state), (3, 4, RunState::Done));
    assert_eq!(ended.totals.iter().map(|total| total.stocks).collect::<Vec<_>>(), [1, 1, 1]);
    let kept: Vec<_> = store.run_stocks(run.id, None, 9).await?.into_iter().map(|row| row.holder).collect();
    assert_eq!(kept, [holder(2), holder(3)], "what agreed is only counted");
    Ok(())
}

pub(crate) async fn what_is_not_decided_at_the_end_is_unsettled<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let chosen = NewRun { chosen: Some(vec![holder(1), holder(2)]), ..whole(shop.id, false) };
    let run = begun(&store, &chosen).await?;
    store.note_run_read(run.id, &[read(1, 9)], ReadNumber::new(7), 1, later(3)).await?;
    store.judge_run(run.id, &[judged(1, AGREED, "none", 0)]).await?;
    store.end_run(run.id, RunState::Done, "", later(70)).await?;
    let rows = store.run_stocks(run.id, None, 9).await?;
    let classes: Vec<_> = rows.iter().map(|row| row.class.as_deref().unwrap()).collect();
    assert_eq!(classes, [AGREED, "unsettled"], "what was asked for by name is shown");
    Ok(())
}

pub(crate) async fn a_stock_that_just_sold_is_left_for_later<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 500, &[product(1)])).await?;
    let run = begun(&store, &whole(shop.id, false)).await?;
    let at = Timestamp::from_seconds;
    let hold = |since| Some(SettleHold { dated_from: at(490), dated_to: at(510), due_since: since });
    let ready = store.run_to_read(run.id, false, later(9), hold(later(0)), 9).await?;
    assert_eq!(ready.iter().map(|job| job.holder).collect::<Vec<_>>(), [holder(2)]);
    assert_eq!(
        store.run_to_read(run.id, false, later(9), hold(later(1)), 9).await?.len(),
        2,
        "but not for ever"
    );
    Ok(())
}

pub(crate) async fn egress_says_what_a_proof_came_to<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    sell(&store, shop.id, &["A", "B", "C", "D"]).await?;
    let run = begun(&store, &whole(shop.id, false)).await?;
    let reads = [read(1, 9), read(2, 9), read(3, 9), read(4, 9)];
    store.note_run_read(run.id, &reads, ReadNumber::new(7), 1, later(3)).await?;
    let overdue = later(2);
    assert_eq!(store.run_answers(&run, overdue, 9).await?, [], "nobody has looked yet");
    let mut tx = store.begin_egress().await?;
    let ids = [1, 2, 3].map(|number| stock(shop.id, number));
    let mut rows = tx.load(&ids).await?;
    let mut notes = tx.load_notes(&ids).await?;
    for (row, note) in rows.iter_mut().zip(&mut notes) {
        note.proof_seen = ReadNumber::new(7);
        row.push = StockPush { settled: ReadNumber::new(7), ..StockPush::default() };
    }
    rows[1].push.settled = ReadNumber::new(6);
    tx.save_all(&rows, &notes).await?;
    let drift = |number, class| store::DriftRow {
        stock: ids[2],
        number: ReadNumber::new(number),
        at: later(4),
        class,
        expected: Some(units(7)),
        shown: Some(units(9)),
        action: push::DriftAction::Corrected,
        why: None,
        sku: None,
    };
    // What was found before this run is no answer to it.
    let drifts = [drift(6, push::DriftClass::EditDown), drift(7, push::DriftClass::EditUp)];
    tx.save_drifts(&drifts).await?;
    tx.commit().await?;
    let answers: Vec<_> =
        store.run_answers(&run, overdue, 9).await?.into_iter().map(|row| row.answer).collect();
    let proven = |class: &str, action: &str, more| Answer::Proven {
        class: class.to_owned(),
        action: action.to_owned(),
        difference: units(more),
    };
    assert_eq!(answers, [proven(AGREED, "none", 0), Answer::NotProven, proven("edit_up", "corrected", 2)]);
    let overdue: Vec<_> =
        store.run_answers(&run, later(4), 9).await?.into_iter().map(|row| row.answer).collect();
    assert_eq!(overdue.last(), Some(&Answer::Overdue));
    Ok(())
}

pub(crate) async fn a_comparison_without_consequences_is_found<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    let run = begun(&store, &whole(shop.id, true)).await?;
    store.note_run_read(run.id, &[read(1, 9), read(2, 9)], ReadNumber::new(7), 1, later(3)).await?;
    let found = |number, class, difference| Comparison {
        stock: stock(shop.id, number),
        number: ReadNumber::new(7),
        class,
        action: "corrected",
        difference: units(difference),
    };
    let mut tx = store.begin_inventory().await?;
    assert_eq!(tx.pushes(&[stock(shop.id, 1)]).await?, []);
    tx.save_comparisons(&[found(1, Some("edit_up"), 2), found(2, None, 0)]).await?;
    tx.commit().await?;
    let answers: Vec<_> =
        store.run_answers(&run, later(2), 9).await?.into_iter().map(|row| row.answer).collect();
    let drift =
        Answer::Proven { class: "edit_up".to_owned(), action: "corrected".to_owned(), difference: units(2) };
    assert_eq!(answers, [drift, Answer::NotProven]);
    // Read again: what was found before says nothing of it.
    store.reopen_run(run.id, later(4)).await?;
    store.note_run_read(run.id, &[read(1, 9), read(2, 9)], ReadNumber::new(8), 1, later(5)).await?;
    assert_eq!(store.run_answers(&run, later(2), 9).await?, []);
    Ok(())
}

pub(crate) async fn a_schedule_is_kept_until_it_is_another<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let warehouse = warehouse(&store, "main").await?;
    let shop = shop(&store, "shop", warehouse).await?.id;
    assert_eq!(store.schedule(shop).await?, None);
    let daily = "daily@03:00".parse().unwrap();
    store.set_schedule(shop, Some(daily), later(1)).await?;
    store.set_schedule(shop, Some(daily), later(2)).await?;
    store.note_scheduled(shop, later(3)).await?;
    let kept = store.schedule(shop).await?.unwrap();
    assert_eq!((kept.schedule, kept.since, kept.last_at), (daily, later(1), Some(later(3))));
    store.set_schedule(shop, "every 6h".parse().ok(), later(4)).await?;
    assert_eq!(store.schedule(shop).await?.unwrap().since, later(4));
    store.set_schedule(shop, None, later(5)).await?;
    assert_eq!(store.schedule(shop).await?, None);
    Ok(())
}

pub(crate) async fn a_day_is_counted_once<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    order(&store, shop.id, snapshot(1, "processing", 500, &[product(1)])).await?;
    order(&store, shop.id, snapshot(2, "completed", 500, &[product(2)])).await?;
    let mut tx = store.begin_egress().await?;
    let mut rows = tx.load(&[stock(shop.id, 1), stock(shop.id, 2)]).await?;
    let epoch = store.stocks_of_shop(shop.id, None, 9).await?[0].epoch;
    let base = Base::proven(epoch, units(10));
    rows[0].push.base = Some(base);
    rows[1].push.base = Some(Base { epoch: epoch.next(), ..base });
    tx.save(&rows).await?;
    tx.commit().await?;
    let hub = store.hub_count(shop.id).await?;
    let orders = BTreeMap::from([("processing".to_owned(), 1), ("completed".to_owned(), 1)]);
    // Of the second nothing is proven in this epoch.
    assert_eq!(hub, HubCount { orders: orders.clone(), stocks: 2, expected: units(9), level: units(18) });
    let count = |day, stocks| DayCount {
        shop: shop.id,
        day,
        at: later(5),
        shop_orders: orders.clone(),
        shop_stocks: stocks,
        hub: hub.clone(),
    };
    store.save_count(&count(10, None)).await?;
    let second = count(11, Some(StockSum { stocks: 2, sum: units(-3) }));
    store.save_count(&count(11, None)).await?;
    store.save_count(&second).await?;
    store.save_count(&count(11, None)).await?;
    assert_eq!(store.day_counts(shop.id, 0, 9).await?, [second.clone(), count(10, None)]);
    assert_eq!(store.day_counts(shop.id, 11, 9).await?, std::slice::from_ref(&second));
    assert_eq!(store.prune_counts(11, 9).await?, 1);
    assert_eq!(store.day_counts(shop.id, 0, 9).await?, [second]);
    Ok(())
}
