//! What there is in a shop, counted day by day.

use store::{DayCount, StockSum, TaskKind};
use values::Quantity;

use crate::world::{World, buy, fake, product};

#[tokio::test]
async fn a_day_is_counted_once_and_again_when_the_catalogue_was_read() {
    let (world, fake) = (World::start().await, fake().await);
    let item = product(&fake, "A", 10);
    product(&fake, "B", 5);
    buy(&fake, item, 2).await;
    let shop = world.connect(&fake).await;
    let counted = async || world.store.day_counts(shop, 0, 10).await.unwrap();
    let first = world.until("the day is counted", async || counted().await.pop()).await;
    let orders = |count: &DayCount| count.shop_orders.get("processing").copied();
    assert_eq!(orders(&first), Some(1), "{first:?}");
    let sum = |stocks, units| Some(StockSum { stocks, sum: Quantity::from_units(units) });
    assert_eq!(first.shop_stocks, sum(2, 13), "{first:?}");

    buy(&fake, item, 1).await;
    world.run_task(shop, TaskKind::Catalogue).await;
    let again = world
        .until("it is counted again", async || counted().await.pop().filter(|again| again.at > first.at))
        .await;
    assert_eq!((orders(&again), again.shop_stocks), (Some(2), sum(2, 12)), "{again:?}");
    assert_eq!(counted().await.len(), 1, "one row a day");
}
