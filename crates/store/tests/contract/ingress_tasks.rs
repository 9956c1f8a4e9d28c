//! Tasks, orders to read again, and how shops are read.

use std::time::Duration;

use store::{BreakerWord, Reading, Reread, TaskKind, TaskProgress, TaskState};
use values::{ShopId, Timestamp};

use crate::database::Database;
use crate::world::{order_id, stock};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop() -> ShopId {
    ShopId::new(1).unwrap()
}

pub(crate) async fn a_task_is_asked_for_once_until_it_runs<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let first = store.add_task(shop(), TaskKind::Sync, at(1)).await?;
    assert_eq!(store.add_task(shop(), TaskKind::Sync, at(2)).await?, first);
    let test = store.add_task(shop(), TaskKind::Test, at(2)).await?;
    let running = TaskProgress {
        state: TaskState::Running,
        done: 3,
        total: Some(9),
        phase: "orders".to_owned(),
        report: String::new(),
    };
    store.report_task(first, &running, at(5)).await?;
    let second = store.add_task(shop(), TaskKind::Sync, at(6)).await?;
    assert!(second > first, "what runs does not serve who asks now");
    let open: Vec<i64> = store.waiting_tasks(shop()).await?.iter().map(|task| task.id).collect();
    assert_eq!(open, [first, test, second]);
    let task = store.task(first).await?.unwrap();
    assert_eq!((task.kind, task.progress, task.updated_at), (TaskKind::Sync, running.clone(), at(5)));
    let done = TaskProgress { state: TaskState::Done, report: r#"{"orders":4}"#.to_owned(), ..running };
    store.report_task(first, &done, at(7)).await?;
    assert_eq!(store.waiting_tasks(shop()).await?.len(), 2);
    assert_eq!(store.prune_tasks(at(7), 9).await?, 0);
    assert_eq!(store.prune_tasks(at(8), 9).await?, 1);
    assert_eq!(store.task(first).await?, None);
    Ok(())
}

pub(crate) async fn an_order_wanted_again_meanwhile_stays<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    store.want_rereads(&[(shop(), order_id(7)), (shop(), order_id(5))], at(1)).await?;
    store.want_rereads(&[(shop(), order_id(4))], at(2)).await?;
    let due = store.rereads_due(shop(), 2).await?;
    assert_eq!(due.len(), 2, "{due:?}");
    store.want_rereads(&[(shop(), order_id(5))], at(3)).await?;
    store.rereads_done(shop(), &due).await?;
    let left = store.rereads_due(shop(), 9).await?;
    assert_eq!(left, [Reread { order: order_id(5), wanted: 2 }, Reread { order: order_id(4), wanted: 1 }]);
    Ok(())
}

pub(crate) async fn shops_with_work_are_found<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let other = |raw| ShopId::new(raw).unwrap();
    assert_eq!(store.shops_to_read(at(9)).await?, []);
    store.want_rereads(&[(other(1), order_id(7))], at(1)).await?;
    store.add_task(other(2), TaskKind::Test, at(1)).await?;
    let want =
        |shop, due| store::SettleWanted { stock: stock(shop, 1), why: "contact".to_owned(), due_at: at(due) };
    store.want_settles(&[want(other(3), 9), want(other(4), 10)]).await?;
    assert_eq!(store.shops_to_read(at(9)).await?, [other(1), other(2), other(3)]);
    Ok(())
}

pub(crate) async fn a_reading_round_trips<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    assert_eq!(store.reading(shop()).await?, None);
    store.note_blind(shop(), at(3)).await?;
    store.note_ping(shop(), at(4)).await?;
    let mut reading = Reading {
        polled_at: Some(at(5)),
        failing_since: Some(at(6)),
        refused: true,
        failure: "the system asks for fewer calls".to_owned(),
        failed_at: Some(at(7)),
        breaker: BreakerWord::Open,
        resting_until: Some(at(9)),
        audited_at: Some(at(1)),
        catalogued_at: Some(at(2)),
        poll_period: Some(Duration::from_millis(1_500)),
        ..Reading::none(shop())
    };
    reading.calls.add("orders", 3, at(9));
    store.save_reading(&reading).await?;
    assert_eq!(
        store.reading(shop()).await?,
        Some(Reading { blind_at: Some(at(3)), pinged_at: Some(at(4)), ..reading })
    );
    Ok(())
}
