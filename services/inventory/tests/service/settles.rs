//! What a shop shows: when it is proof, and what it opens.

use process::clock;
use proto::{Message, OrderUnreadable, Source, StockShown, Wanted, Word};
use store::Opening;
use values::{Moment, OrderId, ReadNumber, ShopId, StockId};

use crate::world::{World, at, connected, gone, order_id, read, seen, sells, shown, stock_id, units};

/// Whether the proof of that number was trusted.
async fn is_quiet(world: &World, stock: StockId, number: u64) -> bool {
    let numbered = |level: &proto::LevelChanged| {
        level.settle.as_ref().is_some_and(|settle| settle.number.get() == number)
    };
    world.level(stock, &format!("proof {number} is told"), numbered).await.settle.unwrap().quiet
}

fn unreadable(shop: ShopId, order: Option<i64>) -> Message {
    let reason = Word::clipped("not-json");
    Message::OrderUnreadable(OrderUnreadable { shop, order: order.and_then(OrderId::new), reason })
}

/// Shown to a reader whose clock is the hub's own, an hour ahead: later than all that was ever marked.
fn shown_later(shop: ShopId, number: u64, asked: i64) -> Message {
    let Message::StockShown(shown) = shown(shop, 1, 0, number, asked) else { unreachable!() };
    let hub = clock::now() + std::time::Duration::from_hours(1);
    let moment = Moment { hub, ..shown.asked };
    Message::StockShown(StockShown { asked: moment, answered: moment, ..shown })
}

#[tokio::test]
async fn a_proof_is_trusted_only_when_nothing_is_about() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let stock = stock_id(shop, 1);
    let sale = |source| seen(shop, 1, source, "processing", 1_000, &[(1, 2, Some(2))]);
    world.tell([sells(shop, 1, "A"), connected(shop, None), shown(shop, 1, 10, 1, 500)]).await;
    assert!(is_quiet(&world, stock, 1).await, "no order ever");

    world.tell([sale(Source::Webhook), shown(shop, 1, 8, 2, 5_000)]).await;
    assert!(!is_quiet(&world, stock, 2).await, "only a webhook said so");
    world.tell([sale(read(3, 1_029)), shown(shop, 1, 8, 3, 5_000)]).await;
    assert!(!is_quiet(&world, stock, 3).await, "read too soon after its date");
    world.tell([sale(read(4, 1_030)), shown(shop, 1, 8, 4, 1_030)]).await;
    assert!(!is_quiet(&world, stock, 4).await, "30 s after the order is too close");
    world.tell([shown(shop, 1, 8, 5, 1_031)]).await;
    assert!(is_quiet(&world, stock, 5).await);
    assert_eq!(world.stock(stock).await.settle.unwrap().taken_total, units(2));

    // An older body cannot be ordered: the order is to be read again.
    world.tell([seen(shop, 1, Source::Webhook, "pending", 900, &[(1, 2, None)])]).await;
    let orders = Wanted::Orders(vec![order_id(1)]);
    world.asked("the order is asked for", |asked| asked.what == orders).await;
    world.tell([shown(shop, 1, 8, 6, 5_000)]).await;
    assert!(!is_quiet(&world, stock, 6).await, "it is not read again yet");
    world.tell([sale(read(7, 6_000)), shown(shop, 1, 8, 7, 5_000)]).await;
    assert!(is_quiet(&world, stock, 7).await);
    world.check().await;
    world.stop().await;
}

#[tokio::test]
async fn a_clock_set_back_does_not_hide_a_stock_for_ever() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    let stock = stock_id(shop, 1);
    let dated = 1_000_000;
    world.tell([sells(shop, 1, "A"), connected(shop, None)]).await;
    world.tell([seen(shop, 1, read(1, dated + 60), "processing", dated, &[(1, 1, Some(1))])]).await;
    world.tell([shown(shop, 1, 9, 2, 500)]).await;
    assert!(!is_quiet(&world, stock, 2).await, "by the hub's clock it was read before the order was known");
    world.tell([shown_later(shop, 3, 500)]).await;
    assert!(is_quiet(&world, stock, 3).await);
    world.stop().await;
}

#[tokio::test]
async fn told_twice_a_proof_is_not_joined_with_what_was_learnt_since() {
    let world = World::running().await;
    let shop = world.shop("shop").await.id;
    world.tell([sells(shop, 1, "A"), connected(shop, None), shown(shop, 1, 10, 1, 500)]).await;
    world.tell([seen(shop, 1, read(2, 200), "processing", 100, &[(1, 2, Some(2))])]).await;
    world.tell([shown(shop, 1, 10, 1, 500)]).await;
    let proof = world.stock(stock_id(shop, 1)).await.settle.unwrap();
    assert_eq!((proof.taken_total, proof.number), (units(0), ReadNumber::new(1)));
    world.stop().await;
}

#[tokio::test]
async fn what_could_not_be_read_makes_its_shop_incomplete_until_it_is() {
    let world = World::running().await;
    let (shop, other) = (world.shop("shop").await.id, world.shop("other").await.id);
    world.tell([sells(shop, 1, "A"), sells(other, 1, "A"), unreadable(shop, Some(5))]).await;
    let orders = Wanted::Orders(vec![order_id(5)]);
    world.asked("the order is asked for", |asked| asked.shop == shop && asked.what == orders).await;
    world.tell([shown(shop, 1, 0, 1, 500), shown(other, 1, 0, 1, 500)]).await;
    assert!(!is_quiet(&world, stock_id(shop, 1), 1).await);
    assert!(is_quiet(&world, stock_id(other, 1), 1).await, "another shop is none the worse");
    world.tell([gone(shop, 5, read(2, 600)), shown(shop, 1, 0, 2, 700)]).await;
    assert!(is_quiet(&world, stock_id(shop, 1), 2).await, "there is no such order: that was read too");

    world.tell([unreadable(shop, None)]).await;
    world.asked("an audit is asked for", |asked| asked.what == Wanted::OrderAudit).await;
    world.tell([shown(shop, 1, 0, 3, 900)]).await;
    assert!(!is_quiet(&world, stock_id(shop, 1), 3).await, "it was asked before the webhook came");
    world.tell([shown_later(shop, 4, 950)]).await;
    assert!(is_quiet(&world, stock_id(shop, 1), 4).await, "every order was read since");
    world.stop().await;
}

/// What the shop shows once its orders are known is what the hub tells it to show.
#[tokio::test]
async fn the_first_proof_that_can_be_trusted_opens_the_sku() {
    let world = World::running().await;
    let shop = world.shop_opening("first", Opening::Take).await.id;
    let second = world.shop("second").await.id;
    world.tell([sells(shop, 1, "A"), sells(second, 9, "A"), connected(shop, Some(10))]).await;
    let baseline = |order, status, lines: &[_]| {
        let source = Source::Read { number: ReadNumber::new(1), read_at: at(500), baseline: true };
        seen(shop, order, source, status, 100, lines)
    };
    world
        .tell([
            baseline(7, "processing", &[(1, 2, Some(2))]),
            baseline(8, "pending", &[(1, 1, None)]),
            baseline(9, "completed", &[(1, 5, Some(5))]),
        ])
        .await;
    world.tell([shown(shop, 1, 8, 1, 110)]).await;
    assert!(!is_quiet(&world, stock_id(shop, 1), 1).await);
    assert_eq!(world.on_hand_and_reserved("A").await, (units(0), units(3)), "it is not opened yet");
    world.tell([shown(shop, 1, 8, 2, 600)]).await;
    let level = world.level(stock_id(shop, 1), "it is opened", |level| level.level == units(7)).await;
    assert_eq!(level.untaken, units(1), "with what the shop has yet to take it shows 8");
    world.level(stock_id(second, 9), "the other shop sells it too", |level| level.level == units(7)).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(10), units(3)));
    world.tell([shown(shop, 1, 8, 3, 700), shown(second, 9, 0, 1, 700)]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(10), units(3)), "it is opened once");
    world.check().await;
    world.stop().await;
}

/// An order from before the connection that nobody had told of: what it took is long gone, and its stock is proven anew.
#[tokio::test]
async fn an_order_older_than_the_connection_moves_nothing() {
    let world = World::running().await;
    let shop = world.shop_opening("shop", Opening::Take).await.id;
    let stock = stock_id(shop, 1);
    world.tell([sells(shop, 1, "A"), connected(shop, Some(10)), shown(shop, 1, 20, 1, 600)]).await;
    world.level(stock, "it is opened", |level| level.level == units(20)).await;
    let epoch = world.stock(stock).await.epoch;
    world.tell([seen(shop, 4, read(2, 900), "completed", 700, &[(1, 3, Some(3))])]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(20), units(0)));
    let row = world.stock(stock).await;
    assert!(row.epoch > epoch && row.settle.is_none() && row.taken_total == units(3), "{row:?}");
    let wanted = Wanted::Stocks(vec![stock.holder]);
    let count = || {
        world
            .all_told()
            .iter()
            .filter(|told| matches!(told, Message::ReadWanted(asked) if asked.what == wanted))
            .count()
    };
    crate::world::until("a settle is asked for again", async || (count() == 2).then_some(())).await;
    world.check().await;
    world.stop().await;
}

/// Two shops show the same goods. Only the first that is proven opens their SKU; what was received counts for itself.
#[tokio::test]
async fn what_has_stock_already_is_not_opened() {
    let world = World::running().await;
    let first = world.shop_opening("first", Opening::Take).await.id;
    let second = world.shop_opening("second", Opening::Take).await.id;
    world.receive("received-before", 4).await;
    world
        .tell([
            sells(first, 1, "A"),
            sells(first, 2, "received-before"),
            sells(first, 3, "received-between"),
            connected(first, None),
            sells(second, 9, "A"),
            connected(second, None),
        ])
        .await;
    world.receive("received-between", 5).await;
    world.tell([shown(first, 1, 8, 1, 100), shown(first, 2, 7, 1, 100), shown(first, 3, 6, 1, 100)]).await;
    world.tell([shown(second, 9, 11, 1, 200)]).await;
    for (code, on_hand) in [("A", 8), ("received-before", 4), ("received-between", 5)] {
        assert_eq!(world.on_hand_and_reserved(code).await, (units(on_hand), units(0)), "{code}");
    }
    // Its level wins; it is for egress to correct the shop.
    world.level(stock_id(second, 9), "the second shop follows", |level| level.level == units(8)).await;
    let counts = async |shop| {
        let openings = world.store.openings(shop).await.unwrap();
        (openings.opened_count, openings.left_alone_count, openings.awaited_count)
    };
    assert_eq!((counts(first).await, counts(second).await), ((1, 2, 0), (0, 1, 0)));
    world.check().await;
    world.stop().await;
}

/// One code on two shelves: each shop brings its own. A third that sells from both adds nothing.
#[tokio::test]
async fn shops_that_share_no_warehouse_open_a_sku_each() {
    let world = World::running().await;
    let other = world.another_warehouse("other").await;
    let first = world.shop_opening("first", Opening::Take).await.id;
    let second = world.shop_selling_from("second", [other]).await.id;
    let third = world.shop_selling_from("third", [other, world.warehouse]).await.id;
    world
        .tell([sells(first, 1, "A"), connected(first, None), sells(second, 9, "A"), connected(second, None)])
        .await;
    world.tell([shown(first, 1, 8, 1, 100), shown(second, 9, 11, 1, 100)]).await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(8), units(0)));
    world.level(stock_id(second, 9), "the second shop keeps its own", |level| level.level == units(11)).await;
    world.tell([sells(third, 5, "A"), connected(third, None)]).await;
    world.tell([shown(third, 5, 30, 1, 200)]).await;
    world.level(stock_id(third, 5), "the third sells both", |level| level.level == units(19)).await;
    let openings = world.store.openings(third).await.unwrap();
    assert_eq!((openings.opened_count, openings.left_alone_count), (0, 1));
    world.check().await;
    world.stop().await;
}

/// Both in one batch, even in one message order that neither knew of.
#[tokio::test]
async fn two_shops_proven_at_once_open_a_sku_once() {
    let mut world = World::idle().await;
    let first = world.shop_opening("first", Opening::Take).await.id;
    let second = world.shop_opening("second", Opening::Take).await.id;
    world
        .publish([
            sells(first, 1, "A"),
            sells(second, 9, "A"),
            connected(first, None),
            connected(second, None),
            shown(first, 1, 8, 1, 100),
            shown(second, 9, 11, 1, 100),
        ])
        .await;
    world.start();
    world.applied().await;
    assert_eq!(world.on_hand_and_reserved("A").await, (units(8), units(0)));
    let openings = world.store.openings(second).await.unwrap();
    assert_eq!((openings.opened_count, openings.left_alone_count), (0, 1));
    world.check().await;
    world.stop().await;
}
