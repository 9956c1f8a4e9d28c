//! Which SKU a stock is: parked lines, mapping by hand, two stocks of one SKU, two shops.

use inventory::Requester;
use proto::{Message, OrderState, Source, Wanted};
use store::{MapOutcome, Opening, ParkedCause, ShopSettings, UnmappedCause};
use values::{LineFault, Quantity, ShopId};

use crate::world::{
    World, connected, listing, product, read, seen, sells, shown, sku, stock_id, units, until,
};

fn clerk() -> Requester {
    Requester { actor: "clerk".to_owned(), traceparent: None }
}

/// An order of something nobody knew counts in full as soon as it is known, and the shop is compared anew.
#[tokio::test]
async fn what_was_parked_counts_once_it_is_mapped() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let order = seen(shop, 1, read(1, 200), "processing", 100, &[(1, 2, Some(2))]);
    world.tell([connected(shop, None), order.clone()]).await;
    let parked = world.store.parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1, "{parked:?}");

    world.tell([sells(shop, 1, "A")]).await;
    let stock = stock_id(shop, 1);
    world
        .level(stock, "the line counts", |level| level.level == units(-2) && level.taken_total == units(2))
        .await;
    assert_eq!(world.store.parked(None, 10).await.unwrap(), []);
    world.asked("a settle is asked for", |asked| asked.what == Wanted::Stocks(vec![stock.holder])).await;
    let row = world.stock(stock).await;
    world.tell([order]).await;
    let again = world.stock(stock).await;
    assert_eq!((row.epoch, row.taken_total), (again.epoch, again.taken_total));
    world.check().await;
    world.stop().await;
}

/// One order more than is resolved together with the mapping, all of them parked.
const MANY: i64 = 501;

async fn many_parked(world: &World) -> ShopId {
    let shop = world.shop("shop").await.id;
    let order = |order| seen(shop, order, read(1, 200), "processing", 100, &[(1, 1, Some(1))]);
    world.tell([connected(shop, None)].into_iter().chain((1..=MANY).map(order))).await;
    shop
}

/// A stock that is shown before every order on it was resolved is no proof, whoever resolves the last one.
#[tokio::test]
async fn a_stock_whose_orders_are_found_late_is_proven_anew() {
    for told_again in [false, true] {
        let world = World::running().await;
        let shop = many_parked(&world).await;
        let again = seen(shop, MANY, read(2, 300), "completed", 100, &[(1, 1, Some(1))]);
        let batch = [sells(shop, 1, "A"), shown(shop, 1, 9, 1, 5_000)];
        world.tell(batch.into_iter().chain(told_again.then_some(again))).await;
        let stock = stock_id(shop, 1);
        until("every order counts", async || {
            (world.stock(stock).await.taken_total == units(MANY)).then_some(())
        })
        .await;
        // The upkeep may have been quicker than the batch: then it is one.
        let settle = world.stock(stock).await.settle;
        let knows_all = settle.is_none_or(|settle| settle.taken_total == units(MANY));
        assert!(knows_all, "told again: {told_again}: {settle:?}");
        let wrongly_trusted = |level: &proto::LevelChanged| {
            level.settle.as_ref().is_some_and(|settle| settle.quiet && settle.taken_total != units(MANY))
        };
        let told = world.all_told();
        assert!(
            !told.iter().any(|told| matches!(told, Message::LevelChanged(level) if wrongly_trusted(level)))
        );
        world.check().await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_remapped_stock_sells_the_new_sku_from_then_on() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let stock = stock_id(shop, 1);
    world.tell([sells(shop, 1, "A"), connected(shop, None), shown(shop, 1, 5, 1, 50)]).await;
    world.tell([seen(shop, 1, read(2, 200), "processing", 100, &[(1, 2, Some(2))])]).await;
    let epoch = world.stock(stock).await.epoch;
    let inventory = world.inventory();
    assert_eq!(
        inventory.map(stock, &sku("NEW"), &clerk()).await.unwrap(),
        MapOutcome::Mapped { before: Some(sku("A")) }
    );
    assert_eq!(inventory.map(stock, &sku("NEW"), &clerk()).await.unwrap(), MapOutcome::Unchanged);
    assert_eq!(
        inventory.map(stock_id(shop, 99), &sku("X"), &clerk()).await.unwrap(),
        MapOutcome::UnknownStock
    );
    let level = world.level(stock, "the mapping is told", |level| level.sku == sku("NEW")).await;
    assert_eq!((level.level, level.settle.clone(), level.taken_total), (units(0), None, units(2)));
    assert!(level.epoch > epoch);
    world.tell([seen(shop, 2, read(3, 300), "processing", 250, &[(1, 1, Some(1))])]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(2)), "sold as A, it stays A");
    assert_eq!(world.on_hand_and_reserved("NEW").await, (units(0), units(1)));
    world.tell([seen(shop, 1, read(4, 400), "cancelled", 350, &[(1, 2, None)])]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(0)));
    world.check().await;
    world.stop().await;
}

/// Product 1 was taken for a SKU that its code is only like, and sold, before the product was read whose code that is.
#[tokio::test]
async fn a_stock_that_makes_way_counts_as_its_own_code_from_then_on() {
    let world = World::running().await;
    let shop = world.shop_opening("shop", Opening::Take).await.id;
    let (like, exact) = (stock_id(shop, 1), stock_id(shop, 2));
    world.tell([sells(world.shop("other").await.id, 9, "TEE RED")]).await;
    world.tell([sells(shop, 1, "teered"), connected(shop, None), shown(shop, 1, 10, 1, 50)]).await;
    world.level(like, "it has opened the SKU", |level| level.level == units(10)).await;
    world.tell([seen(shop, 1, read(2, 200), "processing", 100, &[(1, 3, Some(3))])]).await;
    assert_eq!(world.on_hand_and_reserved("TEE RED").await, (units(10), units(3)));
    let epoch = world.stock(like).await.epoch;

    world.tell([sells(shop, 2, "TEE RED")]).await;
    let level = world.level(like, "it is itself", |level| level.sku == sku("teered")).await;
    assert_eq!((level.level, level.settle.clone(), level.taken_total), (units(0), None, units(3)));
    assert!(level.epoch > epoch);
    let level = world.level(exact, "the other has it", |level| level.sku == sku("TEE RED")).await;
    assert_eq!((level.level, level.settle.clone()), (units(7), None));
    for stock in [like, exact] {
        let is_asked = |asked: &proto::ReadWanted| matches!(&asked.what, Wanted::Stocks(all) if all.contains(&stock.holder));
        world.asked("both are compared anew", is_asked).await;
    }
    world.tell([shown(shop, 1, 7, 3, 5_000), shown(shop, 2, 4, 4, 5_000)]).await;
    assert_eq!(world.on_hand_and_reserved("teered").await, (units(0), units(0)), "no unit is opened twice");
    assert_eq!(
        world.on_hand_and_reserved("TEE RED").await,
        (units(10), units(3)),
        "sold as that, it stays that"
    );
    world.tell([seen(shop, 1, read(5, 6_000), "cancelled", 5_950, &[(1, 3, None)])]).await;
    assert_eq!(world.on_hand_and_reserved("TEE RED").await, (units(10), units(0)));
    world.check().await;
    world.stop().await;
}

/// The second stock of a SKU in one shop is refused and listed; what it sells counts all the same.
#[tokio::test]
async fn a_sku_has_one_stock_in_a_shop() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "A"), connected(shop, None)]).await;
    world.tell([seen(shop, 1, read(1, 200), "processing", 100, &[(2, 3, Some(3))])]).await;
    let unmapped = world.store.unmapped(shop, None, 10).await.unwrap();
    let cause = UnmappedCause::SkuTaken { sku: sku("A"), by: stock_id(shop, 1).holder };
    assert_eq!(unmapped.iter().map(|stock| &stock.cause).collect::<Vec<_>>(), [&cause]);
    world.level(stock_id(shop, 1), "it counts", |level| level.level == units(-3)).await;
    let taken = |stock: store::StockRow| (stock.taken_total, stock.sku);
    assert_eq!(taken(world.stock(stock_id(shop, 2)).await), (units(3), None));
    let told = world.all_told();
    let second = stock_id(shop, 2);
    assert!(!told.iter().any(|told| matches!(told, Message::LevelChanged(level) if level.stock == second)));
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn a_product_no_longer_managed_is_told_as_removed_and_comes_back_unproven() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let stock = stock_id(shop, 1);
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    let before = world.level(stock, "it is told", |level| !level.removed).await;
    world.tell([listing(shop, product(1), None, Some("A"))]).await;
    world.level(stock, "it is removed", |level| level.removed).await;
    world.tell([sells(shop, 1, "A")]).await;
    let back = world.level(stock, "it is back", |level| !level.removed && level.epoch > before.epoch).await;
    assert_eq!(back.settle, None);
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn a_sale_in_one_shop_lowers_the_other_and_buffers_hold_back() {
    let world = World::running().await;
    let (first, second) = (world.shop("first").await.id, world.shop("second").await.id);
    world.tell([sells(first, 1, "A"), sells(second, 7, "A"), connected(first, None)]).await;
    world.receive("A", 10).await;
    let of = |shop, id, units_left: i64| (stock_id(shop, id), units(units_left));
    for (stock, left) in [of(first, 1, 10), of(second, 7, 10)] {
        world.level(stock, "ten are there", |level| level.level == left).await;
    }
    world.tell([seen(first, 1, Source::Webhook, "processing", 100, &[(1, 4, Some(4))])]).await;
    for (stock, left) in [of(first, 1, 6), of(second, 7, 6)] {
        world.level(stock, "six are left", |level| level.level == left).await;
    }
    let buffered = ShopSettings { buffer: units(2), ..world.settings() };
    world.inventory().change_shop(second, &buffered).await.unwrap();
    world.level(stock_id(second, 7), "two are kept back", |level| level.level == units(4)).await;
    assert_eq!(world.stock(stock_id(first, 1)).await.level, units(6));
    world.check().await;
    world.stop().await;
}

/// What "on-hold" means is changed while an order is on hold: the sums stay sound, before and after its next change.
#[tokio::test]
async fn another_status_map_leaves_the_sums_sound() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    world.tell([seen(shop, 1, read(1, 200), "on-hold", 100, &[(1, 2, None)])]).await;
    assert_eq!(world.stock(stock_id(shop, 1)).await.untaken, units(0));
    let statuses = ledger::StatusMap::default().with("on-hold", ledger::StatusRule::ReservePending);
    let settings = ShopSettings { statuses, ..world.settings() };
    world.inventory().change_shop(shop, &settings).await.unwrap();
    assert_eq!(world.stock(stock_id(shop, 1)).await.untaken, units(2));
    world.check().await;
    world.tell([seen(shop, 1, read(2, 400), "processing", 300, &[(1, 2, Some(2))])]).await;
    assert_eq!(world.stock(stock_id(shop, 1)).await.untaken, units(0));
    world.check().await;
    world.stop().await;
}

/// Changes what a message shows of the lines of its order.
fn with_lines(mut message: Message, change: impl Fn(&mut proto::OrderLine)) -> Message {
    if let Message::OrderObserved(observed) = &mut message
        && let OrderState::Present { lines, .. } = &mut observed.state
    {
        lines.iter_mut().for_each(change);
    }
    message
}

async fn nothing_is_parked(world: &World) {
    until("nothing is parked", async || world.store.parked(None, 10).await.unwrap().is_empty().then_some(()))
        .await;
}

/// What a till writes is parked alone: the other line counts, and the shop is as complete as before.
#[tokio::test]
async fn a_line_that_cannot_be_read_is_parked_alone() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let order = |number, lines: &[_]| {
        with_lines(seen(shop, 1, read(number, 200), "processing", 100, lines), |line| {
            if line.taken == Some(units(-1)) {
                (line.quantity, line.fault) = (Quantity::ZERO, Some(LineFault::Negative));
            }
        })
    };
    let lines = [(1, 2, Some(2)), (2, -1, Some(-1))];
    world.tell([sells(shop, 1, "A"), sells(shop, 2, "B"), connected(shop, None), order(1, &lines)]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(2)));
    assert_eq!(world.on_hand_and_reserved("B").await, (units(0), units(0)));
    let parked = world.store.parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1, "{parked:?}");
    assert_eq!(parked[0].cause, ParkedCause::Faulty(LineFault::Negative));
    let taken = world.stock(stock_id(shop, 2)).await.taken_total;
    assert_eq!(taken, units(-1), "what the shop took back is known all the same");
    world.tell([shown(shop, 1, 5, 2, 5_000)]).await;
    world
        .level(stock_id(shop, 1), "the shop proves what it shows", |level| {
            level.settle.as_ref().is_some_and(|settle| settle.quiet)
        })
        .await;
    // The till's order is put right.
    let right = with_lines(order(3, &[(1, 2, Some(2)), (2, 1, Some(1))]), |line| line.fault = None);
    world.tell([right]).await;
    nothing_is_parked(&world).await;
    assert_eq!(world.on_hand_and_reserved("B").await, (units(0), units(1)));
    world.check().await;
    world.stop().await;
}

/// Nothing waits for it; once the shop keeps stock of it, it counts from what the shop takes.
#[tokio::test]
async fn a_product_without_stock_waits_for_nobody_until_it_is_managed() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let order = |number, taken| {
        let (read_at, date) = (200 + 100 * i64::from(number), 100 * i64::from(number));
        seen(shop, 1, read(u64::from(number), read_at), "processing", date, &[(1, 2, taken)])
    };
    // The order comes before its product is known.
    world.tell([connected(shop, None), order(1_u32, None)]).await;
    world.asked("the catalogue is asked for", |asked| asked.what == Wanted::Catalogue).await;
    assert_eq!(world.store.parked(None, 10).await.unwrap().len(), 1);
    world.tell([listing(shop, product(1), None, Some("A"))]).await;
    nothing_is_parked(&world).await;
    world.tell([sells(shop, 1, "A")]).await;
    until("the line is resolved", async || {
        let row = world.store.order(shop, crate::world::order_id(1)).await.unwrap().unwrap();
        (row.order.lines[0].sku == Some(sku("A"))).then_some(())
    })
    .await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(0)), "the shop never took it");
    world.tell([order(2, Some(2))]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(2)));
    assert_eq!(world.stock(stock_id(shop, 1)).await.taken_total, units(2));
    world.check().await;
    world.stop().await;
}

/// A product without code in its shop is what it was mapped to, for later orders too.
#[tokio::test]
async fn a_line_without_code_is_what_its_product_is_mapped_to() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let order = |order| seen(shop, order, read(1, 200), "processing", 100, &[(1, 2, Some(2))]);
    world.tell([listing(shop, product(1), Some(1), None), connected(shop, None), order(1)]).await;
    assert_eq!(world.store.parked(None, 10).await.unwrap().len(), 1);
    let mapped = world.inventory().map(stock_id(shop, 1), &sku("A"), &clerk()).await.unwrap();
    assert_eq!(mapped, MapOutcome::Mapped { before: None });
    nothing_is_parked(&world).await;
    world.tell([order(2)]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(4)));
    world.check().await;
    world.stop().await;
}

/// Its listing is known to nobody, but its code is that of goods that came in.
#[tokio::test]
async fn a_line_counts_once_its_code_is_received() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let order = seen(shop, 1, read(1, 200), "processing", 100, &[(1, 2, Some(2))]);
    let order = with_lines(order, |line| line.sku = Some(sku("A")));
    world.tell([connected(shop, None), order]).await;
    assert_eq!(world.store.parked(None, 10).await.unwrap()[0].cause, ParkedCause::NoSku);
    world.receive("A", 5).await;
    nothing_is_parked(&world).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(5), units(2)));
    // The catalogue comes last, and what the shop took is known by then.
    world.tell([sells(shop, 1, "A")]).await;
    until("the stock is known", async || {
        (world.stock(stock_id(shop, 1)).await.taken_total == units(2)).then_some(())
    })
    .await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(5), units(2)));
    world.check().await;
    world.stop().await;
}
