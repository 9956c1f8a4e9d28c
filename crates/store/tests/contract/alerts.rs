//! Alerts: whose turn it is, one open row for each key, what is sent, and what they are made of.

use std::time::Duration;

use store::{
    Alert, AlertChanges, AlertFilter, AlertKey, AlertKind, BreakerWord, Changes, Channel, ConditionKind,
    NewDead, NewNotice, News, Notice, PushRow, Reading, ReportState, ReportWanted, ShipmentId, ShopLane,
    ShopWaiting, Store,
};
use values::{ShopId, Timestamp};

use crate::database::Database;
use crate::world::{NOW, order, order_id, product, receive, simple, sku, snapshot, stock};

const LASTS: Duration = Duration::from_mins(1);
const ME: &str = "me";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn shop_of(raw: i64) -> ShopId {
    ShopId::new(raw).unwrap()
}

/// Raised, and nobody told.
fn raised(kind: AlertKind, shop: Option<ShopId>, subject: &str) -> Alert {
    Alert {
        id: 0,
        key: AlertKey { kind, shop, subject: subject.to_owned() },
        sku: None,
        what: "It is so. Do this.".to_owned(),
        first_seen: at(5),
        last_seen: at(6),
        count: 1,
        raised_at: Some(at(6)),
        missing_since: None,
        resolved_at: None,
        size: 1,
        told: None,
        news: Some((News::Raised, at(6))),
        acknowledged: None,
    }
}

async fn save(store: &Store, alerts: &[Alert]) -> anyhow::Result<()> {
    assert!(store.take_alert_turn(ME, at(10), LASTS).await?);
    assert!(store.save_alerts(ME, at(10), &AlertChanges { alerts, ..AlertChanges::default() }).await?);
    Ok(())
}

async fn listed(store: &Store, filter: AlertFilter) -> anyhow::Result<Vec<Alert>> {
    Ok(store.alerts_page(filter, None, 100).await?)
}

pub(crate) async fn only_whose_turn_it_is_writes<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let alerts = [raised(AlertKind::Drift, Some(shop_of(1)), "17")];
    let changes = AlertChanges { alerts: &alerts, ..AlertChanges::default() };
    assert!(!store.save_alerts(ME, at(0), &changes).await?, "nobody has the turn");
    assert!(store.take_alert_turn(ME, at(0), LASTS).await?);
    assert!(!store.take_alert_turn("other", at(59), LASTS).await?);
    assert!(store.take_alert_turn(ME, at(30), LASTS).await?, "it is renewed");
    assert!(!store.take_alert_turn("other", at(89), LASTS).await?);
    assert!(!store.save_alerts("other", at(89), &changes).await?);
    assert!(store.take_alert_turn("other", at(90), LASTS).await?, "the turn is over");
    assert!(!store.save_alerts(ME, at(90), &changes).await?);
    assert_eq!(store.alerts_at_work(at(0)).await?, [], "nothing was written");
    store.end_alert_turn(ME).await?;
    assert!(!store.take_alert_turn(ME, at(91), LASTS).await?, "only one's own turn can be given back");
    store.end_alert_turn("other").await?;
    assert!(store.take_alert_turn(ME, at(91), LASTS).await?);
    assert!(store.save_alerts(ME, at(91), &changes).await?);
    assert_eq!(store.alerts_at_work(at(0)).await?.len(), 1);
    Ok(())
}

pub(crate) async fn one_alert_of_a_key_is_open<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let drift = raised(AlertKind::Drift, Some(shop_of(1)), "17");
    let with_sku = Alert { sku: Some(sku("A")), ..raised(AlertKind::Shortfall, None, "A") };
    save(&store, &[drift.clone(), with_sku.clone()]).await?;
    save(&store, std::slice::from_ref(&drift)).await?;
    let found = listed(&store, AlertFilter::default()).await?;
    assert_eq!(found.len(), 2, "the second of a key is none");
    let (newest, oldest) = (&found[0], &found[1]);
    assert!(newest.id > oldest.id);
    let stored = |id, alert: &Alert| Alert { id, ..alert.clone() };
    assert_eq!((newest, oldest), (&stored(newest.id, &with_sku), &stored(oldest.id, &drift)));
    let only = AlertFilter { shop: Some(shop_of(1)), ended: false };
    assert_eq!(listed(&store, only).await?, std::slice::from_ref(oldest));
    assert_eq!(store.alerts_page(AlertFilter::default(), Some(newest.id), 10).await?.len(), 1);

    let ended = Alert { resolved_at: Some(at(20)), news: None, ..oldest.clone() };
    save(&store, std::slice::from_ref(&ended)).await?;
    assert_eq!(listed(&store, only).await?, []);
    assert_eq!(listed(&store, AlertFilter { ended: true, ..only }).await?, std::slice::from_ref(&ended));
    save(&store, std::slice::from_ref(&drift)).await?;
    assert_eq!(listed(&store, only).await?.len(), 1, "once one ended there may be another");
    assert_eq!(store.alerts_at_work(at(19)).await?.len(), 3);
    assert_eq!(store.alerts_at_work(at(20)).await?.len(), 2, "what ended before is left alone");
    let told_late = Alert { news: Some((News::Resolved, at(20))), ..ended };
    save(&store, &[told_late]).await?;
    assert_eq!(store.alerts_at_work(at(20)).await?.len(), 3, "unless there is news of it");
    let counts = [(AlertKind::Drift, 1), (AlertKind::Shortfall, 1)];
    let mut counted = store.alert_counts().await?;
    counted.sort_unstable();
    assert_eq!(counted, counts);
    assert_eq!(store.prune_alerts(at(21), 10).await?, 0, "nobody was told of it yet");
    Ok(())
}

pub(crate) async fn what_did_not_last_is_not_listed<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let waits = Alert { raised_at: None, news: None, ..raised(AlertKind::ShopUnreachable, None, "") };
    save(&store, &[waits]).await?;
    let found = store.alerts_at_work(at(0)).await?;
    assert_eq!((found.len(), listed(&store, AlertFilter::default()).await?.len()), (1, 0));
    assert_eq!(store.alert_counts().await?, []);
    assert_eq!(store.acknowledge_alert(found[0].id, "boss", at(7)).await?, None);
    let dropped = AlertChanges { dropped: &[found[0].id], ..AlertChanges::default() };
    assert!(store.save_alerts(ME, at(10), &dropped).await?);
    assert_eq!(store.alerts_at_work(at(0)).await?, []);
    Ok(())
}

pub(crate) async fn what_begins_again_is_acknowledged_again<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    save(&store, &[raised(AlertKind::ShopRefuses, Some(shop_of(1)), "")]).await?;
    let id = listed(&store, AlertFilter::default()).await?[0].id;
    assert_eq!(store.acknowledge_alert(id + 1, "boss", at(7)).await?, None);
    let known = store.acknowledge_alert(id, "boss", at(7)).await?.unwrap();
    assert_eq!(known.acknowledged, Some(("boss".to_owned(), at(7))));
    // Who looked before that knows nothing of it, and takes nothing away.
    let seen = Alert { last_seen: at(300), acknowledged: None, ..known.clone() };
    save(&store, &[seen]).await?;
    assert_eq!(listed(&store, AlertFilter::default()).await?[0].acknowledged, known.acknowledged);
    save(&store, &[Alert { count: 2, ..known }]).await?;
    assert_eq!(listed(&store, AlertFilter::default()).await?[0].acknowledged, None);
    Ok(())
}

pub(crate) async fn notices_wait_until_they_are_sent<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let notice = |id: &str, channel, made| Notice {
        id: id.to_owned(),
        channel,
        body: format!(r#"{{"id":"{id}"}}"#),
        made_at: at(made),
        attempts: 0,
    };
    let (first, second) = (notice("a", Channel::Webhook, 10), notice("b", Channel::Webhook, 11));
    let mail = notice("c", Channel::Smtp, 11);
    keep(&store, [(&first, &[1]), (&second, &[2]), (&mail, &[1])]).await?;
    let due = async |seconds| store.notices_due(Channel::Webhook, at(seconds), 10).await;
    assert_eq!(due(9).await?, []);
    assert_eq!(due(11).await?, [first.clone(), second.clone()]);
    assert_eq!(store.notices_due(Channel::Smtp, at(11), 10).await?, [mail], "each way has its own");
    store.notice_failed("a", &"ż".repeat(1_000), Some(at(50)), at(12)).await?;
    assert_eq!(due(49).await?, std::slice::from_ref(&second));
    let again = Notice { attempts: 1, ..first };
    assert_eq!(due(50).await?, [second, again], "the longest due comes first");
    store.notice_failed("b", "nobody takes it", None, at(60)).await?;
    store.notice_sent("a", at(60)).await?;
    store.notice_sent("c", at(60)).await?;
    assert_eq!(due(1_000).await?, [], "one is sent, one is given up");
    assert_eq!((store.prune_alerts(at(11), 10).await?, store.prune_alerts(at(99), 10).await?), (1, 2));
    Ok(())
}

async fn keep<const N: usize>(store: &Store, notices: [(&Notice, &[i64]); N]) -> anyhow::Result<()> {
    assert!(store.take_alert_turn(ME, at(10), LASTS).await?);
    let notices =
        notices.map(|(notice, alerts)| NewNotice { notice: notice.clone(), alerts: alerts.to_vec() });
    let changes = AlertChanges { notices: &notices, ..AlertChanges::default() };
    assert!(store.save_alerts(ME, at(10), &changes).await?);
    Ok(())
}

/// What is over is not told before that it began, whatever becomes of that; other alerts do not wait.
pub(crate) async fn what_is_told_of_an_alert_keeps_its_order<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let notice = |id: &str, channel, made| Notice {
        id: id.to_owned(),
        channel,
        body: "{}".to_owned(),
        made_at: at(made),
        attempts: 0,
    };
    let (began, over) = (notice("a", Channel::Webhook, 10), notice("c", Channel::Webhook, 12));
    let (other, mail) = (notice("b", Channel::Webhook, 11), notice("d", Channel::Smtp, 12));
    keep(&store, [(&began, &[1, 2]), (&other, &[3]), (&over, &[2, 3]), (&mail, &[1, 2])]).await?;
    let due = async |channel, seconds| -> anyhow::Result<Vec<String>> {
        let due = store.notices_due(channel, at(seconds), 10).await?;
        Ok(due.into_iter().map(|notice| notice.id).collect())
    };
    assert_eq!(due(Channel::Webhook, 20).await?, ["a", "b"]);
    assert_eq!(due(Channel::Smtp, 20).await?, ["d"], "what goes another way does not wait");
    store.notice_failed("a", "nobody answers", Some(at(100)), at(20)).await?;
    assert_eq!(due(Channel::Webhook, 21).await?, ["b"]);
    store.notice_sent("b", at(22)).await?;
    assert_eq!(due(Channel::Webhook, 23).await?, Vec::<String>::new(), "it waits for the first");
    assert_eq!(due(Channel::Webhook, 100).await?, ["a"]);
    store.notice_failed("a", "nobody answers", None, at(100)).await?;
    assert_eq!(due(Channel::Webhook, 101).await?, ["c"], "what was given up is not waited for");
    Ok(())
}

pub(crate) async fn what_was_told_of_an_alert_is_kept<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let begun = Alert { size: 7, ..raised(AlertKind::ParkedLines, Some(shop_of(1)), "") };
    save(&store, std::slice::from_ref(&begun)).await?;
    let stored = store.alerts_at_work(at(0)).await?.remove(0);
    assert_eq!(stored, Alert { id: stored.id, ..begun });
    let told = Alert { news: None, told: Some((at(9), 7)), size: 14, ..stored };
    save(&store, std::slice::from_ref(&told)).await?;
    assert_eq!(store.alerts_at_work(at(0)).await?, std::slice::from_ref(&told));
    let still = Alert { news: Some((News::Still, at(30))), ..told };
    save(&store, std::slice::from_ref(&still)).await?;
    assert_eq!(store.alerts_at_work(at(0)).await?, [still]);
    Ok(())
}

pub(crate) async fn too_little_is_found_by_its_sku<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, warehouse) = simple(&store).await?;
    assert_eq!(store.short_skus(10).await?, []);
    for id in 1..=10 {
        order(&store, shop.id, snapshot(id, "processing", 1_000 + id, &[product(1), product(2)])).await?;
    }
    assert_eq!(store.short_skus(10).await?, [], "all of it is promised, no more");
    order(&store, shop.id, snapshot(11, "processing", 2_000, &[product(1)])).await?;
    order(&store, shop.id, snapshot(12, "processing", 2_001, &[product(1)])).await?;
    assert_eq!(store.short_skus(10).await?, [sku("A")]);
    receive(&store, "A", warehouse, 1).await?;
    assert_eq!(store.short_skus(10).await?, [sku("A")], "one is still missing");
    receive(&store, "A", warehouse, 1).await?;
    assert_eq!(store.short_skus(10).await?, []);
    Ok(())
}

pub(crate) async fn trouble_of_shops_is_found<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (one, two) = (shop_of(1), shop_of(2));
    store.raise_condition(two, ConditionKind::WebhooksSilent, "silent", at(1)).await?;
    store.raise_condition(one, ConditionKind::WebhooksRedirected, "redirected", at(1)).await?;
    store.raise_condition(one, ConditionKind::WebhooksMended, "mended", at(1)).await?;
    store.clear_condition(one, ConditionKind::WebhooksMended, at(2)).await?;
    let open: Vec<_> =
        store.conditions_open(10).await?.into_iter().map(|found| (found.shop, found.kind)).collect();
    assert_eq!(open, [(one, ConditionKind::WebhooksRedirected), (two, ConditionKind::WebhooksSilent)]);
    assert_eq!(store.conditions_open(1).await?.len(), 1);

    let failing = Reading {
        failing_since: Some(at(3)),
        failure: "it is down".to_owned(),
        refused: true,
        breaker: BreakerWord::Open,
        ..Reading::none(two)
    };
    store.save_reading(&Reading::none(one)).await?;
    store.save_reading(&failing).await?;
    store.note_blind(shop_of(3), at(4)).await?;
    let blind = Reading { blind_at: Some(at(4)), ..Reading::none(shop_of(3)) };
    assert_eq!(store.readings_in_trouble(10).await?, [failing, blind]);

    let lane = |shop, breaker: &str| ShopLane {
        shop,
        breaker: breaker.to_owned(),
        cause: Some("timeout".to_owned()),
        until: None,
        calls_per_minute: 60,
        at: at(5),
    };
    store.save_lane(&lane(one, "closed")).await?;
    store.save_lane(&lane(two, "open")).await?;
    assert_eq!(store.lanes_closed(10).await?, [lane(two, "open")]);

    let blocked = |shop, holder| PushRow {
        blocked: Some("unmanaged".to_owned()),
        ..PushRow::unknown(stock(shop, holder))
    };
    let ids = [stock(one, 1), stock(one, 2), stock(two, 1)];
    let mut tx = store.begin_egress().await?;
    tx.load(&ids).await?;
    tx.save(&[blocked(one, 1), PushRow::unknown(ids[1]), blocked(two, 1)]).await?;
    tx.commit().await?;
    assert_eq!(store.blocked_stocks(None, 10).await?, [blocked(one, 1), blocked(two, 1)]);
    assert_eq!(store.blocked_stocks(Some(ids[0]), 10).await?, [blocked(two, 1)]);
    Ok(())
}

pub(crate) async fn what_waits_is_counted_by_shop<D: Database>() -> anyhow::Result<()> {
    let database = D::fresh().await?;
    let store = database.open().await?;
    let (shop, _) = simple(&store).await?;
    assert_eq!(store.waiting_by_shop(100).await?, []);
    for id in [7, 8] {
        order(&store, shop.id, snapshot(id, "processing", 1_000 + id, &[product(99), product(1)])).await?;
    }
    let dead = |shop, identity: &str| NewDead {
        identity: Some(identity.to_owned()),
        queue: None,
        shop,
        leaves_incomplete: false,
        kind: "order.observed.v1".to_owned(),
        trace: None,
        payload: vec![1],
        reason: "unreadable".to_owned(),
        attempts: 1,
        at: NOW,
    };
    let given_up = [dead(Some(shop.id), "a"), dead(None, "b"), dead(Some(shop.id), "c")];
    let mut tx = store.begin_inventory().await?;
    tx.save(&Changes { dead: &given_up, now: NOW, ..Changes::default() }).await?;
    tx.commit().await?;
    let mut found = store.waiting_by_shop(100).await?;
    found.sort_unstable_by_key(|waiting| (waiting.kind, waiting.shop));
    let parked = ShopWaiting { kind: AlertKind::ParkedLines, shop: Some(shop.id), count: 2, first: 7 };
    let nobodys = ShopWaiting { kind: AlertKind::DeadMessages, shop: None, count: 1, first: 2 };
    let dead = ShopWaiting { kind: AlertKind::DeadMessages, shop: Some(shop.id), count: 2, first: 1 };
    assert_eq!(found, [parked, nobodys, dead]);
    let id = ShipmentId { shop: shop.id, order: order_id(7), number: 1 };
    let wanted = ReportWanted { id, revision: 1, status: Some("completed".to_owned()), note: None };
    store.take_reports(&[wanted], NOW).await?;
    let mut report = store.reports(shop.id, order_id(7)).await?.remove(0);
    report.status.as_mut().unwrap().state = ReportState::GivenUp;
    assert!(store.save_report(&report).await?);
    let given_up: Vec<_> = store.waiting_by_shop(100).await?;
    let given_up = given_up.iter().find(|waiting| waiting.kind == AlertKind::ShipmentsGivenUp);
    let expected = ShopWaiting { kind: AlertKind::ShipmentsGivenUp, shop: Some(shop.id), count: 1, first: 7 };
    assert_eq!(given_up, Some(&expected));
    assert!(store.waiting_by_shop(1).await?.iter().all(|waiting| waiting.count == 1), "it is bounded");

    let gone = ledger::Snapshot::gone(order_id(8), values::ReadNumber::new(9), NOW);
    order(&store, shop.id, gone).await?;
    let orphaned: Vec<_> = store.waiting_by_shop(100).await?;
    let orphaned = orphaned.iter().find(|waiting| waiting.kind == AlertKind::OrphanedOrders);
    let expected = ShopWaiting { kind: AlertKind::OrphanedOrders, shop: Some(shop.id), count: 1, first: 8 };
    assert_eq!(orphaned, Some(&expected));
    store.remove_shop(shop.id, store::OpenOrders::Keep, NOW).await?;
    let all: Vec<_> = store.waiting_by_shop(100).await?;
    let orphaned = all.iter().find(|waiting| waiting.kind == AlertKind::OrphanedOrders);
    assert_eq!(
        orphaned,
        Some(&ShopWaiting { count: 2, first: 7, ..expected }),
        "all of a shop that is removed"
    );
    Ok(())
}
