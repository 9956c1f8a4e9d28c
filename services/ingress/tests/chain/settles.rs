//! A shown stock comes behind every order the shop had by then.

use std::time::Duration;

use onhand_ingress::Settings;
use proto::{Message, Source, StockShown, Wanted};
use store::{Changes, SettleWanted};
use testkit::shop::{Change, NewProduct, NewVariation};
use values::{HolderId, MICROS_PER_SECOND, Quantity, ShopId, StockId, Timestamp};

use crate::world::{World, buy, fake, product};

async fn known(world: &World, shop: ShopId, stocks: usize) {
    world
        .until("the registry knows the stocks", async || {
            let rows = world.store.stocks_of_shop(shop, None, 100).await.unwrap();
            (rows.len() == stocks).then_some(())
        })
        .await;
}

#[tokio::test]
async fn orders_come_before_the_stock_that_they_changed() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    let variable =
        fake.with_model(|model, now| model.add_product(NewProduct::variable("P".parse().ok(), None), now));
    let new = NewVariation::with_stock("P-1".parse().ok(), 5);
    let variation = fake.with_model(|model, now| model.add_variation(variable, new, now));
    let shop = world.connect(&fake).await;
    known(&world, shop, 2).await;
    let order = buy(&fake, item, 3).await;
    world.want(shop, Wanted::Stocks(vec![item.into(), variation.into()])).await;
    let shown_as = async |holder: HolderId, units: i64| {
        world
            .until("the stock is shown", async || {
                let shown = world.shown();
                shown
                    .into_iter()
                    .find(|shown| shown.holder == holder && shown.shown == Some(Quantity::from_units(units)))
            })
            .await
    };
    let shown = shown_as(item.into(), 7).await;
    shown_as(variation.into(), 5).await;
    let taken = world.taken();
    let place = |wanted: &dyn Fn(&Message) -> bool| taken.iter().position(wanted).unwrap();
    let stock_at = place(&|message| matches!(message, Message::StockShown(seen) if *seen == shown));
    let order_at = place(&|message| {
        matches!(message, Message::OrderObserved(seen)
            if seen.order == order && matches!(seen.source, Source::Read { .. }))
    });
    assert!(order_at < stock_at);
    assert!(shown.asked.shop <= shown.answered.shop && shown.asked.hub <= shown.answered.hub);
    assert!(shown.orders_read_to + Duration::from_secs(2) >= shown.asked.shop, "read after the stock was");
    // The next one is a routine, hours ahead; asked for again, it is due at once.
    world
        .until("the settle is planned again", async || {
            let due = world.store.settles_due(shop, process::clock::now(), None, 9).await.unwrap();
            due.is_empty().then_some(())
        })
        .await;
    fake.act(Change::SetManageStock { holder: item.into(), manage: false }).await.unwrap();
    world.forget_taken();
    world.want(shop, Wanted::Stocks(vec![item.into()])).await;
    world
        .until("it is not managed any more", async || {
            world.shown().into_iter().find(|shown| shown.holder == item.into() && shown.shown.is_none())
        })
        .await;
}

#[tokio::test]
async fn a_clock_that_goes_back_during_a_settle_proves_nothing() {
    let settings = Settings { settle_wait: Duration::from_millis(300), ..Settings::for_testing() };
    let (world, fake) = (World::start_with(settings).await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    known(&world, shop, 1).await;
    let stocks_read = || world.counted(r#"onhand_ingress_reads_total{outcome="ok",what="stocks"}"#);
    let begun = stocks_read();
    world.want(shop, Wanted::Stocks(vec![item.into()])).await;
    world.until("the stock is read", async || (stocks_read() > begun).then_some(())).await;
    fake.set_clock_offset_micros(-600 * MICROS_PER_SECOND);
    let abandoned = r#"onhand_ingress_settles_total{outcome="abandoned"}"#;
    world.until("the settle is given up", async || (world.counted(abandoned) > 0).then_some(())).await;
    world
        .until("the stock is read again by the new clock, and shown", async || {
            let by_new_clock =
                |shown: &StockShown| shown.asked.shop + Duration::from_mins(5) < shown.asked.hub;
            world.shown().into_iter().find(by_new_clock)
        })
        .await;
}

#[tokio::test]
async fn a_settle_outlives_the_process() {
    let settings = Settings { settle_wait: Duration::from_millis(200), ..Settings::for_testing() };
    let (world, fake) = (World::start_with(settings).await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    known(&world, shop, 1).await;
    world.want(shop, Wanted::Stocks(vec![item.into()])).await;
    let stock = StockId { shop, holder: item.into() };
    world
        .until("the wish is written down", async || {
            let due = world.store.settles_due(shop, process::clock::now(), None, 9).await.unwrap();
            due.into_iter().find(|job| job.want.stock == stock)
        })
        .await;
    assert_eq!(world.shown(), []);
    let world = world.restart().await;
    world.until("the stock is shown", async || world.shown().into_iter().next()).await;
}

/// Has inventory know of an order of the stock.
async fn ordered(world: &World, stock: StockId, date: Timestamp) {
    let mut tx = world.store.begin_inventory().await.unwrap();
    let mut rows = tx.load_stocks(&[stock], &[]).await.unwrap();
    rows[0].last_order_date = Some(date);
    let changes = Changes { stocks: &rows, now: process::clock::now(), ..Changes::default() };
    tx.save(&changes).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_stock_is_not_read_before_it_can_be_quiet() {
    let settings = Settings { quiet_wait: Duration::from_secs(2), ..Settings::for_testing() };
    let (world, fake) = (World::start_with(settings).await, fake().await);
    let (sold, other) = (product(&fake, "A", 10), product(&fake, "B", 10));
    let shop = world.connect(&fake).await;
    known(&world, shop, 2).await;
    let date = fake.now();
    ordered(&world, StockId { shop, holder: sold.into() }, date).await;
    world.want(shop, Wanted::Stocks(vec![sold.into(), other.into()])).await;
    let shown = async |holder: HolderId| {
        world
            .until("the stock is shown", async || {
                let since = |shown: &StockShown| shown.holder == holder && shown.asked.hub >= date;
                world.shown().into_iter().find(since)
            })
            .await
    };
    let (sold, other) = (shown(sold.into()).await, shown(other.into()).await);
    assert!(other.asked.hub < sold.asked.hub, "what did not sell is read at once");
    assert!(sold.asked.hub >= date + Duration::from_secs(2), "{sold:?} {date:?}");
}

#[tokio::test]
async fn a_stock_that_sells_all_the_time_is_read_all_the_same() {
    let (quiet_wait, settle_hold_max) = (Duration::from_hours(1), Duration::from_millis(700));
    let settings = Settings { quiet_wait, settle_hold_max, ..Settings::for_testing() };
    let (world, fake) = (World::start_with(settings).await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    known(&world, shop, 1).await;
    let stock = StockId { shop, holder: item.into() };
    ordered(&world, stock, fake.now()).await;
    let due_at = process::clock::now();
    let want = SettleWanted { stock, why: "test".to_owned(), due_at };
    world.store.want_settles(&[want]).await.unwrap();
    // It may have been due a moment before: the earliest wish counts.
    let due = world.store.settles_due(shop, due_at, None, 9).await.unwrap();
    let first_due_at = due.iter().find(|job| job.want.stock == stock).unwrap().want.due_at;
    let shown = world
        .until("the stock is shown", async || {
            world.shown().into_iter().find(|shown| shown.asked.hub >= due_at)
        })
        .await;
    assert!(shown.asked.hub >= first_due_at + settle_hold_max, "{shown:?} {first_due_at:?}");
}
