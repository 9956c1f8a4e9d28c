//! Alerts of a running inventory: each kind begins with what it tells of, and ends with it.

use process::clock;
use proto::Source;
use push::{DriftAction, DriftClass};
use store::{
    Alert, AlertFilter, AlertKind, BreakerWord, Changes, ConditionKind, Decided, DriftRow, NewDead,
    OpenOrders, PushRow, Reading, ShopLane,
};
use values::{ReadNumber, ShopId};

use crate::world::{World, connected, gone, read, seen, sells, stock_id, until};

/// Open alerts of a kind, the oldest first.
async fn open(world: &World, kind: AlertKind) -> Vec<Alert> {
    let mut alerts = world.store.alerts_page(AlertFilter::default(), None, 1_000).await.unwrap();
    alerts.retain(|alert| alert.key.kind == kind);
    alerts.reverse();
    alerts
}

/// Waits for the one alert of a kind.
async fn raised(world: &World, kind: AlertKind) -> Alert {
    until(&format!("there is an alert: {kind}"), async || open(world, kind).await.pop()).await
}

async fn over(world: &World, kind: AlertKind) {
    until(&format!("no alert is open: {kind}"), async || open(world, kind).await.is_empty().then_some(()))
        .await;
}

/// A shop in service that sells A and B.
async fn shop(world: &World, name: &str) -> ShopId {
    let shop = world.shop(name).await.id;
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None)]).await;
    shop
}

#[tokio::test]
async fn what_is_wrong_with_webhooks_is_an_alert_while_it_is_so() {
    let world = World::running().await;
    let shop = shop(&world, "berlin").await;
    for (condition, kind) in [
        (ConditionKind::WebhookAddress, AlertKind::WebhookAddress),
        (ConditionKind::WebhooksNotMade, AlertKind::WebhooksNotMade),
        (ConditionKind::WebhooksMended, AlertKind::WebhooksMended),
        (ConditionKind::WebhooksUnreachable, AlertKind::WebhooksUnreachable),
        (ConditionKind::WebhooksRedirected, AlertKind::WebhooksRedirected),
        (ConditionKind::WebhooksMisdirected, AlertKind::WebhooksMisdirected),
        (ConditionKind::WebhooksSilent, AlertKind::WebhooksSilent),
    ] {
        // A round that has begun already finds nothing that is later than itself.
        let since = clock::now() - std::time::Duration::from_secs(1);
        world.store.raise_condition(shop, condition, "It is so. Do this.", since).await.unwrap();
        let alert = raised(&world, kind).await;
        assert_eq!((alert.key.shop, alert.what.as_str()), (Some(shop), "It is so. Do this."));
        assert_eq!(alert.first_seen, since);
        world.store.clear_condition(shop, condition, clock::now()).await.unwrap();
        over(&world, kind).await;
        let all = AlertFilter { ended: true, ..AlertFilter::default() };
        let ended = world.store.alerts_page(all, None, 1).await.unwrap().pop().unwrap();
        assert_eq!((ended.id, ended.resolved_at.is_some()), (alert.id, true));
    }
    world.stop().await;
}

#[tokio::test]
async fn a_shop_that_cannot_be_called_is_an_alert() {
    let world = World::running().await;
    let shop = shop(&world, "berlin").await;
    let failing = Reading {
        failing_since: Some(clock::now()),
        failure: "the shop answered with status 503".to_owned(),
        breaker: BreakerWord::Open,
        ..Reading::none(shop)
    };
    world.store.save_reading(&failing).await.unwrap();
    let alert = raised(&world, AlertKind::ShopUnreachable).await;
    assert!(
        alert.what.contains("Shop berlin cannot be called: the shop answered with status 503."),
        "{alert:?}"
    );
    let lane = |breaker: &str, cause: Option<&str>| ShopLane {
        shop,
        breaker: breaker.to_owned(),
        cause: cause.map(str::to_owned),
        until: Some(clock::now()),
        calls_per_minute: 60,
        at: clock::now(),
    };
    world.store.save_lane(&lane("refused", Some("key_unknown"))).await.unwrap();
    raised(&world, AlertKind::ShopRefuses).await;
    over(&world, AlertKind::ShopUnreachable).await;
    world.store.save_reading(&Reading::none(shop)).await.unwrap();
    let says = async |words: &str| {
        let said = async || raised(&world, AlertKind::ShopRefuses).await.what.contains(words).then_some(());
        until(words, said).await;
    };
    says("it does not know the key").await;
    world.store.save_lane(&lane("open", Some("timeout"))).await.unwrap();
    over(&world, AlertKind::ShopRefuses).await;
    raised(&world, AlertKind::ShopUnreachable).await;
    // Whoever reads it is refused, whatever becomes of pushes.
    let refused = Reading { breaker: BreakerWord::Closed, refused: true, ..failing.clone() };
    world.store.save_reading(&refused).await.unwrap();
    raised(&world, AlertKind::ShopRefuses).await;
    over(&world, AlertKind::ShopUnreachable).await;
    says("refuses what onhand sends: the shop answered with status 503.").await;
    world.store.save_reading(&Reading::none(shop)).await.unwrap();
    raised(&world, AlertKind::ShopUnreachable).await;
    over(&world, AlertKind::ShopRefuses).await;
    // It was to be tried again long ago, and there was nothing to try it with.
    let idle = ShopLane { until: Some(crate::world::at(0)), ..lane("open", Some("timeout")) };
    world.store.save_lane(&idle).await.unwrap();
    over(&world, AlertKind::ShopUnreachable).await;
    world.store.save_lane(&lane("closed", None)).await.unwrap();

    world.store.note_blind(shop, clock::now()).await.unwrap();
    raised(&world, AlertKind::WebhooksBlind).await;
    world.inventory().remove_shop(shop, OpenOrders::Keep).await.unwrap();
    over(&world, AlertKind::WebhooksBlind).await;
    world.stop().await;
}

#[tokio::test]
async fn a_shop_full_of_blocked_stocks_is_told_of_in_bounds() {
    let world = World::running().await;
    let (berlin, vienna) = (shop(&world, "berlin").await, shop(&world, "vienna").await);
    let block = async |shop: ShopId, holders: std::ops::RangeInclusive<i64>, cause: Option<&str>| {
        let rows: Vec<PushRow> = holders
            .map(|holder| PushRow {
                blocked: cause.map(str::to_owned),
                ..PushRow::unknown(stock_id(shop, holder))
            })
            .collect();
        let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        let mut tx = world.store.begin_egress().await.unwrap();
        tx.load(&ids).await.unwrap();
        tx.save(&rows).await.unwrap();
        tx.commit().await.unwrap();
    };
    let kind = AlertKind::StockBlocked;
    let subjects = async |shop: ShopId| {
        let alerts = open(&world, kind).await.into_iter().filter(|alert| alert.key.shop == Some(shop));
        alerts.map(|alert| alert.key.subject).collect::<std::collections::BTreeSet<_>>()
    };
    let of = |holders: std::ops::RangeInclusive<i64>| holders.map(|holder| holder.to_string());
    block(vienna, 7..=7, Some("at_parent")).await;
    block(berlin, 101..=130, Some("unmanaged")).await;
    let expected: std::collections::BTreeSet<_> = of(101..=120).chain([String::new()]).collect();
    until("the first twenty and one for the rest", async || {
        (subjects(berlin).await == expected).then_some(())
    })
    .await;
    until("the other shop has its own", async || (subjects(vienna).await.len() == 1).then_some(())).await;
    let one = open(&world, kind).await.into_iter().find(|alert| alert.key.subject == "7").unwrap();
    assert!(
        one.what.contains("of shop vienna is not kept up to date: its quantity is kept at its product"),
        "{one:?}"
    );

    // Those with an alert keep it, though twenty others come before them.
    block(berlin, 61..=80, Some("unmanaged")).await;
    let expected: std::collections::BTreeSet<_> =
        of(61..=80).chain(of(101..=120)).chain([String::new()]).collect();
    until("nothing is over that is so", async || (subjects(berlin).await == expected).then_some(())).await;
    block(berlin, 61..=80, None).await;
    block(berlin, 102..=130, None).await;
    until("the rest is over", async || (subjects(berlin).await == of(101..=101).collect()).then_some(()))
        .await;
    block(berlin, 101..=101, None).await;
    block(vienna, 7..=7, None).await;
    over(&world, kind).await;
    world.stop().await;
}

#[tokio::test]
async fn what_was_sold_and_is_not_there_is_an_alert_until_it_is() {
    let world = World::running().await;
    let shop = shop(&world, "berlin").await;
    world.receive("A", 5).await;
    world.tell([seen(shop, 1, Source::Webhook, "processing", 100, &[(1, 7, Some(7))])]).await;
    let alert = raised(&world, AlertKind::Shortfall).await;
    assert_eq!((alert.key.shop, alert.key.subject.as_str()), (None, "A"));
    assert!(
        alert.what.contains("More of A is promised to orders than there is: 2 in main missing."),
        "{alert:?}"
    );
    let known = world.store.acknowledge_alert(alert.id, "boss", clock::now()).await.unwrap().unwrap();
    world.receive("A", 1).await;
    let less = async || {
        let alert = raised(&world, AlertKind::Shortfall).await;
        alert.what.contains("1 in main missing").then_some(alert)
    };
    let less = until("the text follows", less).await;
    assert_eq!((less.id, less.acknowledged), (alert.id, known.acknowledged), "it is the same alert");
    world.receive("A", 1).await;
    over(&world, AlertKind::Shortfall).await;
    world.stop().await;
}

#[tokio::test]
async fn what_waits_for_a_person_is_an_alert_for_each_shop() {
    let world = World::running().await;
    let shop = shop(&world, "berlin").await;
    world.receive("A", 9).await;
    // Nobody knows product 99.
    world.tell([seen(shop, 7, read(1, 200), "processing", 100, &[(99, 1, Some(1)), (1, 2, Some(2))])]).await;
    let alert = raised(&world, AlertKind::ParkedLines).await;
    assert_eq!(alert.key.shop, Some(shop));
    assert!(alert.what.starts_with("1 order line of shop berlin is not counted"), "{alert:?}");
    world.tell([sells(shop, 99, "C")]).await;
    over(&world, AlertKind::ParkedLines).await;

    world
        .tell([gone(
            shop,
            7,
            Source::Read { number: ReadNumber::new(2), read_at: crate::world::at(300), baseline: false },
        )])
        .await;
    let alert = raised(&world, AlertKind::OrphanedOrders).await;
    assert!(alert.what.contains("`onhand order release berlin 7`"), "{alert:?}");
    let requester = inventory::Requester { actor: "tester".to_owned(), traceparent: None };
    world.inventory().release(shop, crate::world::order_id(7), &requester).await.unwrap();
    over(&world, AlertKind::OrphanedOrders).await;

    let dead = NewDead {
        identity: None,
        queue: None,
        shop: None,
        leaves_incomplete: false,
        kind: "order.observed.v1".to_owned(),
        trace: None,
        payload: vec![1],
        reason: "unreadable".to_owned(),
        attempts: 1,
        at: clock::now() - std::time::Duration::from_secs(1),
    };
    let mut tx = world.store.begin_inventory().await.unwrap();
    let changes = Changes { dead: std::slice::from_ref(&dead), now: dead.at, ..Changes::default() };
    tx.save(&changes).await.unwrap();
    let approval = tx.add_approval("mirror_zeroes", "300 SKUs would be zeroed", &[], dead.at).await.unwrap();
    tx.commit().await.unwrap();
    let alert = raised(&world, AlertKind::DeadMessages).await;
    assert!(alert.key.shop.is_none() && alert.what.contains("`onhand parked replay 1`"), "{alert:?}");
    let alert = raised(&world, AlertKind::ApprovalsWaiting).await;
    assert!(alert.what.contains("300 SKUs would be zeroed"), "{alert:?}");
    assert_eq!(alert.first_seen, dead.at);
    let mut tx = world.store.begin_inventory().await.unwrap();
    tx.take_dead(1).await.unwrap().unwrap();
    let decided = Decided { actor: "boss".to_owned(), approved: false, at: clock::now() };
    tx.decide_approval(approval, &decided).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    over(&world, AlertKind::DeadMessages).await;
    over(&world, AlertKind::ApprovalsWaiting).await;
    let gauges = world.metrics.render();
    assert!(gauges.contains(r#"onhand_alerts_open{kind="dead_messages"}"#), "{gauges}");
    world.stop().await;
}

#[tokio::test]
async fn an_edit_in_a_shop_is_an_alert_and_our_own_doing_is_none() {
    let world = World::running().await;
    let shop = shop(&world, "berlin").await;
    let row = |holder, class, action, number, at| DriftRow {
        stock: stock_id(shop, holder),
        number: ReadNumber::new(number),
        at,
        class,
        expected: Some(crate::world::units(15)),
        shown: Some(crate::world::units(12)),
        action,
        why: None,
        sku: Some(crate::world::sku("A")),
    };
    let save = async |rows: &[DriftRow]| {
        let mut tx = world.store.begin_egress().await.unwrap();
        tx.save_drifts(rows).await.unwrap();
        tx.commit().await.unwrap();
    };
    // A round that has begun already finds nothing that is later than itself.
    let (now, long_ago) = (clock::now() - std::time::Duration::from_secs(1), crate::world::at(0));
    save(&[
        row(1, DriftClass::LostUpdate, DriftAction::Corrected, 1, now),
        row(2, DriftClass::EditDown, DriftAction::Withheld, 1, long_ago),
        row(3, DriftClass::EditDown, DriftAction::Withheld, 2, now),
        // Of the newest that concerns anybody.
        row(3, DriftClass::EditUp, DriftAction::Corrected, 1, now - std::time::Duration::from_mins(1)),
        row(4, DriftClass::DoubtfulCall, DriftAction::Alerted, 2, now),
    ])
    .await;
    let subjects = async || {
        let alerts = open(&world, AlertKind::Drift).await;
        alerts.into_iter().map(|alert| alert.key.subject).collect::<std::collections::BTreeSet<_>>()
    };
    let expected = ["3", "4"].map(str::to_owned).into();
    until("two are alerts", async || (subjects().await == expected).then_some(())).await;
    let alerts = open(&world, AlertKind::Drift).await;
    let edit = alerts.iter().find(|alert| alert.key.subject == "3").unwrap();
    assert!(
        edit.what.starts_with("Stock 3 (A) of shop berlin showed 12 where it should have shown 15: somebody"),
        "{edit:?}"
    );
    assert_eq!(edit.first_seen, now);
    // Many newer ones of the same shop take nothing away.
    let many: Vec<DriftRow> =
        (100..125).map(|holder| row(holder, DriftClass::EditUp, DriftAction::Corrected, 3, now)).collect();
    save(&many).await;
    let expected: std::collections::BTreeSet<String> = ["", "3", "4"]
        .map(str::to_owned)
        .into_iter()
        .chain((100..118).map(|holder| holder.to_string()))
        .collect();
    let first = until("the newest twenty and one for the rest", async || {
        let subjects = subjects().await;
        subjects.contains("").then_some(subjects)
    })
    .await;
    assert_eq!(first.len(), expected.len(), "{first:?}");
    world.stop().await;
}
