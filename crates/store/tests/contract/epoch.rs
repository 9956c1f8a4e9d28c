//! A new epoch after a restore: nothing of before is believed, and everything since is asked for.

use std::time::Duration;

use push::{Base, DriftAction, DriftClass, Intent, Next, PushRecord, StockPush, Target};
use store::{
    Adoption, Changes, Cursor, CursorKind, DriftRow, EpochBegun, Fenced, PushNotes, PushRow, SettleWish,
    ShopFilter, Wanted, Wish,
};
use values::{Epoch, Moment, ReadNumber, Revision, Step, Timestamp};

use crate::database::Database;
use crate::world::{NOW, holder, sell, shop, sku, stock, units, warehouse};

const READ_AGAIN: Duration = Duration::from_hours(24);
const IN_FLIGHT: Duration = Duration::from_mins(1);
const LATER: Timestamp = Timestamp::from_seconds(2_000_000);

fn pushing(id: values::StockId) -> PushRow {
    let record =
        PushRecord { started: None, ended: None, hub_started: NOW, hub_ended: NOW, delta: units(-3) };
    PushRow {
        id,
        sku: Some(sku("A")),
        push: StockPush {
            target: Some(Target {
                epoch: Epoch::ZERO,
                revision: Revision::new(1),
                level: units(5),
                untaken: units(0),
                taken_total: units(0),
                step: Step::ONE,
                released: values::Quantity::ZERO,
            }),
            base: Some(Base { slack: units(1), ..Base::proven(Epoch::ZERO, units(40)) }),
            intent: Some(Intent { delta: units(-2), started_at: NOW }),
            doubtful_until: None,
            log: vec![record],
            log_floor: None,
            pushed_since_settle: true,
            settled: ReadNumber::new(11),
        },
        intent_owner: Some("one".to_owned()),
        ..PushRow::unknown(id)
    }
}

pub(crate) async fn nothing_of_before_is_believed<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let warehouse = warehouse(&store, "main").await?;
    let north = shop(&store, "north", warehouse).await?.id;
    sell(&store, north, &["A", "B"]).await?;
    store.activate_shop(north).await?;
    let (one, two) = (stock(north, 1), stock(north, 2));
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_stocks(&[one], &[]).await?;
    let moment = Moment { shop: NOW, hub: NOW };
    rows[0].revision = rows[0].revision.next();
    rows[0].settle = Some(store::Settled {
        number: ReadNumber::new(3),
        shown: Some(units(40)),
        asked: moment,
        answered: moment,
        dated: Some(NOW),
        taken_total: units(0),
        quiet: true,
    });
    tx.save(&Changes { stocks: &rows, now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    let published: Vec<_> = store
        .levels_to_publish(ShopFilter::All, None, 10)
        .await?
        .levels
        .iter()
        .map(|row| (row.stock.id, row.stock.epoch, row.stock.revision))
        .collect();
    store.mark_published(&published).await?;
    let mut tx = store.begin_egress().await?;
    tx.load(&[one]).await?;
    tx.save(&[pushing(one)]).await?;
    tx.save_notes(&[PushNotes {
        wish: Some(SettleWish { why: "drift".to_owned(), due_at: LATER, tries: 3, asked: true }),
        ..PushNotes::unknown(one)
    }])
    .await?;
    tx.commit().await?;
    let before = store.stocks_of_shop(north, None, 10).await?;

    let begun = store.begin_epoch(LATER, READ_AGAIN, IN_FLIGHT).await?;
    assert_eq!(begun, EpochBegun { shop_count: 1, stock_count: 2 });
    let after = store.stocks_of_shop(north, None, 10).await?;
    for (before, after) in before.iter().zip(&after) {
        assert!((after.epoch, after.revision) > (before.epoch, before.revision));
        assert_eq!((after.epoch, after.settle), (before.epoch.next(), None));
        assert_eq!((after.level, after.taken_total), (before.level, before.taken_total), "the rest stays");
    }
    let outbox = store.levels_to_publish(ShopFilter::All, None, 10).await?.levels;
    assert_eq!(
        outbox.iter().map(|row| (row.stock.id, row.since)).collect::<Vec<_>>(),
        [(one, LATER), (two, LATER)]
    );
    let row = store.pushes(&[one]).await?.remove(0);
    assert_eq!((row.push.base, row.push.intent, &row.intent_owner), (None, None, &None));
    assert_eq!((row.push.log.len(), row.push.log_floor), (0, Some(LATER + IN_FLIGHT)));
    assert_eq!(row.push.next(LATER), Next::Settle, "not even the old target is pushed for");
    assert_eq!(store.push_notes(&[one]).await?.remove(0).wish, None, "it is asked for anew");
    Ok(())
}

pub(crate) async fn no_edit_waits_for_the_ledger_any_more<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let warehouse = warehouse(&store, "main").await?;
    let north = shop(&store, "north", warehouse).await?.id;
    sell(&store, north, &["A", "B", "C"]).await?;
    let stocks = [1, 2, 3].map(|number| stock(north, number));
    let (asked, buffer) = (ReadNumber::new(7), Some("buffer".to_owned()));
    let answers = [Some((asked, None)), Some((asked, buffer.clone())), Some((ReadNumber::new(6), None))];
    let mut tx = store.begin_inventory().await?;
    let mut rows = tx.load_stocks(&stocks, &[]).await?;
    rows.sort_by_key(|row| row.id);
    for (row, answer) in rows.iter_mut().zip(answers) {
        row.adoption = answer.map(|(number, refused)| Adoption { number, refused });
    }
    tx.save(&Changes { stocks: &rows, now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    let drift = |stock, action| DriftRow {
        stock,
        number: asked,
        at: NOW,
        class: DriftClass::EditUp,
        expected: Some(units(1)),
        shown: Some(units(2)),
        action,
        why: None,
        sku: None,
    };
    let mut tx = store.begin_egress().await?;
    tx.save_drifts(&stocks.map(|stock| drift(stock, DriftAction::Adopting))).await?;
    let other = DriftRow { number: ReadNumber::new(5), ..drift(stocks[0], DriftAction::Corrected) };
    tx.save_drifts(&[other]).await?;
    tx.commit().await?;

    store.begin_epoch(LATER, READ_AGAIN, IN_FLIGHT).await?;
    let mut came = Vec::new();
    for stock in stocks {
        came.extend(store.drifts_of(&[stock]).await?.into_iter().map(|drift| (drift.action, drift.why)));
    }
    let expected = [
        (DriftAction::Adopted, None),
        (DriftAction::Corrected, None),
        (DriftAction::None, buffer),
        (DriftAction::None, Some("new_levels".to_owned())),
    ];
    assert_eq!(came, expected);
    Ok(())
}

pub(crate) async fn everything_since_is_read_again<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let warehouse = warehouse(&store, "main").await?;
    let north = shop(&store, "north", warehouse).await?.id;
    let gone = shop(&store, "gone", warehouse).await?.id;
    sell(&store, north, &["A"]).await?;
    sell(&store, gone, &["A"]).await?;
    store.activate_shop(north).await?;
    store.remove_shop(gone, store::OpenOrders::Keep, NOW).await?;
    let lease = store.lease_reader(north, "one", NOW, IN_FLIGHT).await?.expect("nobody has it");
    let cursor = Cursor { shop_time: NOW, hub_time: NOW, page: 1 };
    for kind in [CursorKind::Orders, CursorKind::Trash, CursorKind::Catalogue] {
        assert_eq!(store.save_cursor(north, kind, cursor, lease.fence).await?, Fenced::Done(()));
    }
    store.begin_epoch(LATER, READ_AGAIN, IN_FLIGHT).await?;
    let back = Cursor { shop_time: NOW - READ_AGAIN, hub_time: NOW - READ_AGAIN, page: 1 };
    for (kind, expected) in
        [(CursorKind::Orders, back), (CursorKind::Trash, back), (CursorKind::Catalogue, cursor)]
    {
        assert_eq!(store.cursor(north, kind).await?, Some(expected), "{kind:?}");
    }
    let mut wishes: Vec<Wish> = store.wishes(10).await?.into_iter().map(|(wish, _)| wish).collect();
    wishes.sort();
    let of_north = |what| Wish { shop: north, what };
    assert_eq!(
        wishes,
        [of_north(Wanted::Stock(holder(1))), of_north(Wanted::Audit), of_north(Wanted::Catalogue)],
        "nothing of a shop that was removed"
    );
    Ok(())
}
