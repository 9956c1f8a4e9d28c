//! Reads find what no webhook told.

use std::time::Duration;

use proto::{OrderState, Source, Wanted};
use store::CursorKind;
use testkit::shop::{Change, Status};
use values::{MICROS_PER_SECOND, OrderId, Timestamp};

use crate::world::{World, buy, fake, product};

const HOUR_MICROS: i64 = 3_600 * MICROS_PER_SECOND;
/// Far, but not so far that the shop refuses our signatures.
const TEN_MINUTES_MICROS: i64 = 600 * MICROS_PER_SECOND;

fn status(state: &OrderState) -> &str {
    match state {
        OrderState::Present { status, .. } => status.as_str(),
        OrderState::Gone => "gone",
    }
}

#[tokio::test]
async fn polls_find_what_webhooks_lost() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 1_000);
    world.connect(&fake).await;
    let mut orders = Vec::new();
    // More than a page, and many of one second.
    for _ in 0..130 {
        orders.push(buy(&fake, item, 1).await);
    }
    for order in &orders {
        let read = world.read_of(*order).await;
        let Source::Read { number, read_at, baseline } = read.source else { panic!("it was read") };
        assert!(number.get() > 0 && !baseline && read_at + Duration::from_mins(1) > fake.now());
    }
    let numbers: Vec<u64> = world
        .orders()
        .iter()
        .filter_map(|seen| match seen.source {
            Source::Read { number, .. } => Some(number.get()),
            Source::Webhook => None,
        })
        .collect();
    assert!(numbers.is_sorted(), "what is read later is published later");
    // Changed twice within one second: the last word is read.
    fake.act(Change::SetStatus { order: orders[0], status: Status::OnHold }).await.unwrap();
    fake.act(Change::SetStatus { order: orders[0], status: Status::Cancelled }).await.unwrap();
    world
        .until("the last status", async || {
            let last = world.orders().into_iter().rfind(|seen| seen.order == orders[0])?;
            (status(&last.state) == "cancelled").then_some(())
        })
        .await;
}

#[tokio::test]
async fn the_trash_is_read_and_what_is_deleted_is_gone() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    let order = buy(&fake, item, 1).await;
    world.read_of(order).await;
    let becomes = async |wanted: &str| {
        world
            .until(wanted, async || {
                let last = world.orders().into_iter().rfind(|seen| seen.order == order)?;
                (status(&last.state) == wanted).then_some(())
            })
            .await;
    };
    fake.act(Change::Trash(order)).await.unwrap();
    becomes("trash").await;
    fake.act(Change::DeleteForever(order)).await.unwrap();
    let nobody = OrderId::new(999_999).unwrap();
    world.want(shop, Wanted::Orders(vec![order, nobody])).await;
    becomes("gone").await;
    world
        .until("wishes are done", async || {
            world.store.rereads_due(shop, 9).await.unwrap().is_empty().then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    fake.set_clock_offset_micros(-2 * HOUR_MICROS);
    let old = buy(&fake, item, 1).await;
    fake.set_clock_offset_micros(0);
    let shop = world.connect(&fake).await;
    assert!(matches!(world.read_of(old).await.source, Source::Read { baseline: true, .. }));
    let numbers_before = world.store.reading(shop).await.unwrap().unwrap().polled_at;
    let world = world.restart().await;
    let missed = buy(&fake, item, 1).await;
    let Source::Read { baseline, .. } = world.read_of(missed).await.source else { panic!("it was read") };
    assert!(!baseline);
    assert!(world.orders().iter().all(|seen| seen.order != old), "it was read before");
    let cursor = world.store.cursor(shop, CursorKind::Orders).await.unwrap().unwrap();
    assert!(cursor.shop_time + Duration::from_mins(1) > fake.now());
    // Noted after what was read is published.
    world
        .until("the poll is noted", async || {
            let reading = world.store.reading(shop).await.unwrap().unwrap();
            (reading.polled_at > numbers_before).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_clock_set_back_hides_no_order() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    let shop = world.connect(&fake).await;
    let before = buy(&fake, item, 1).await;
    world.read_of(before).await;
    fake.set_clock_offset_micros(-TEN_MINUTES_MICROS);
    let hidden = buy(&fake, item, 1).await;
    let seen = world.read_of(hidden).await;
    let ten_minutes_ago = Timestamp::from_micros(process::clock::now().micros() - TEN_MINUTES_MICROS);
    assert!(seen.modified_at.unwrap() < ten_minutes_ago + Duration::from_mins(1));
    world
        .until("the cursor went back", async || {
            let cursor = world.store.cursor(shop, CursorKind::Orders).await.unwrap().unwrap();
            (cursor.shop_time < ten_minutes_ago + Duration::from_mins(1)).then_some(())
        })
        .await;
    assert!(world.counted("onhand_ingress_clocks_set_back_total") > 0);
}
