//! Push state, intents, lanes.

use push::{Adopting, Base, Intent, PushRecord, StockPush, Target};
use store::{DueShop, PushRow, ShopFilter, ShopLane, Store, Told};
use values::{Epoch, ReadNumber, Revision, ShopId, Step, StockId, Timestamp};

use crate::database::Database;
use crate::world::{sku, stock, units};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop(raw: i64) -> ShopId {
    ShopId::new(raw).unwrap()
}

async fn save(store: &Store, rows: &[PushRow]) -> anyhow::Result<()> {
    let ids: Vec<StockId> = rows.iter().map(|row| row.id).collect();
    let mut tx = store.begin_egress().await?;
    tx.load(&ids).await?;
    tx.save(rows).await?;
    Ok(tx.commit().await?)
}

fn full(id: StockId) -> PushRow {
    let record = |started, ended| PushRecord {
        started,
        ended,
        hub_started: at(1),
        hub_ended: at(2),
        delta: units(-3),
    };
    PushRow {
        id,
        sku: Some(sku("A")),
        push: StockPush {
            target: Some(Target {
                epoch: Epoch::new(2),
                revision: Revision::new(7),
                level: units(-1),
                untaken: units(2),
                taken_total: units(30),
                step: Step::ONE,
                released: units(-5),
            }),
            base: Some(Base {
                epoch: Epoch::new(2),
                quantity: units(40),
                slack: units(1),
                withheld: units(-2),
                released: units(6),
                dated: Some(at(8)),
                doubted: true,
                adopting: Some(Adopting {
                    number: ReadNumber::new(10),
                    difference: units(-4),
                    ask_at: at(9),
                }),
            }),
            intent: Some(Intent { delta: units(-2), started_at: at(50) }),
            doubtful_until: Some(at(60)),
            log: vec![record(Some(at(1)), None), record(None, Some(at(2)))],
            log_floor: Some(at(3)),
            pushed_since_settle: true,
            settled: ReadNumber::new(11),
        },
        intent_owner: Some("one".to_owned()),
        due_at: Some(at(70)),
        blocked: Some("unmanaged".to_owned()),
        told: Some(Told { at: at(49), delta: units(-2), answer: "timeout \"60 s\"".to_owned() }),
        removed: true,
    }
}

pub(crate) async fn push_state_round_trips<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, two) = (full(stock(shop(1), 1)), PushRow::unknown(stock(shop(1), 2)));
    let mut tx = store.begin_egress().await?;
    let loaded = tx.load(&[two.id, one.id]).await?;
    assert_eq!(loaded, [two.clone(), PushRow::unknown(one.id)]);
    tx.save(&[one.clone(), two.clone()]).await?;
    tx.commit().await?;
    assert_eq!(
        store.pushes(&[one.id, two.id]).await?,
        std::slice::from_ref(&one),
        "what is as unknown as before is not written"
    );
    let mut tx = store.begin_egress().await?;
    assert_eq!(tx.load(&[two.id, one.id]).await?, [two, one.clone()]);
    tx.save(&[PushRow::unknown(one.id)]).await?;
    drop(tx);
    assert_eq!(store.pushes(&[one.id]).await?, [one]);
    Ok(())
}

pub(crate) async fn an_intent_survives_its_process<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let mut row = full(stock(shop(1), 1));
    row.push.intent = None;
    row.push.doubtful_until = None;
    save(&store, std::slice::from_ref(&row)).await?;
    assert_eq!(store.open_intents(None, 9).await?, []);
    let intent = row.push.begin(units(-5), at(100));
    row.intent_owner = Some("first life".to_owned());
    save(&store, std::slice::from_ref(&row)).await?;
    store.close().await;

    let store = database.open().await?;
    let open = store.open_intents(None, 9).await?;
    assert_eq!(open, [row.clone()]);
    assert_eq!(open[0].push.intent, Some(intent));
    assert_eq!(store.open_intents(Some(row.id), 9).await?, []);
    row.push.uncertain();
    row.intent_owner = None;
    save(&store, std::slice::from_ref(&row)).await?;
    assert_eq!(store.open_intents(None, 9).await?, []);
    assert_eq!(store.pushes(&[row.id]).await?, [row]);
    Ok(())
}

pub(crate) async fn due_stocks_come_by_shop<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let row = |shop_id, holder, due: Option<i64>| PushRow {
        due_at: due.map(at),
        blocked: None,
        ..full(stock(shop(shop_id), holder))
    };
    let rows =
        [row(1, 1, Some(30)), row(1, 2, Some(20)), row(1, 3, Some(99)), row(1, 4, None), row(2, 1, Some(10))];
    save(&store, &rows).await?;
    let first = DueShop { shop: shop(1), oldest: at(20), count: 2 };
    let second = DueShop { shop: shop(2), oldest: at(10), count: 1 };
    assert_eq!(store.shops_due(ShopFilter::All, at(30)).await?, [first, second]);
    assert_eq!(store.shops_due(ShopFilter::Rest { of: 2, rest: 0 }, at(30)).await?, [second]);
    assert_eq!(store.shops_due(ShopFilter::All, at(9)).await?, []);
    Ok(())
}

pub(crate) async fn lanes_are_shown<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    assert_eq!(store.lane(shop(1)).await?, None);
    let mut lane = ShopLane {
        shop: shop(1),
        breaker: "open".to_owned(),
        cause: Some("key_refused".to_owned()),
        until: Some(at(60)),
        calls_per_minute: 30,
        at: at(1),
    };
    store.save_lane(&lane).await?;
    assert_eq!(store.lane(shop(1)).await?, Some(lane.clone()));
    lane.cause = None;
    lane.until = None;
    store.save_lane(&lane).await?;
    assert_eq!(store.lane(shop(1)).await?, Some(lane));
    Ok(())
}
