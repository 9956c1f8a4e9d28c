//! What onhand does from end to end, written once and run against each form that it is deployed in.

use std::collections::BTreeMap;

use testkit::fake_shop::FakeShop;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use values::{HolderId, OrderId, ProductId};

use crate::deployment::{Deployment, Form, Servers};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::shipping::what_is_shipped_is_told_to_its_shop;
use crate::world::{
    FAR, Far, MOVED, NAMELESS_SHOP, SOLO, UNITS_START, World, all_is_sound, comes_right, hasty_bench,
    hasty_shop, nothing_lost_or_doubled, shown_by, sku,
};

/// One test for each form.
macro_rules! suite {
    ($($name:ident: $form:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                run($form).await;
            }
        )*
    };
}

suite! {
    the_suite_passes_in_one_process: Form::Standalone;
    the_suite_passes_over_rabbitmq_and_postgresql: Form::Distributed { replicas: 1 };
    the_suite_passes_with_two_replicas_of_each_service: Form::Distributed { replicas: 2 };
}

/// Every case has goods of its own and they run side by side: most of the time they wait.
async fn run(form: Form) {
    let servers = if form == Form::Standalone { None } else { Some(Servers::shared().await) };
    let (mut deployment, world) = Deployment::with_world(hasty_bench(), form, servers).await;
    let (received, counted, ..) = tokio::join!(
        what_is_received_is_offered_once(&world),
        what_is_counted_is_offered(&world),
        a_sale_lowers_the_other_shop(&world),
        what_is_cancelled_is_offered_again(&world),
        an_edited_line_holds_what_it_says(&world),
        what_is_refunded_is_offered_again(&world),
        what_is_sent_has_left(&world),
        an_order_without_its_webhook_is_read(&world),
        a_webhook_that_comes_twice_counts_once(&world),
        goods_elsewhere_are_not_offered(&world),
        a_line_is_applied_once_it_is_mapped(&world),
        a_shop_that_was_down_catches_up(&world),
        what_is_shipped_is_told_to_its_shop(&world),
    );

    comes_right(&world, &BTreeMap::from([received, counted])).await;
    deployment.all_are_ready().await;
    all_is_sound(&world.bench).await;
    nothing_lost_or_doubled(&world).await;
    assert!(!world.bench.log().contains(&world.bench.admin_token()), "no secret in the log");
    if let Some(servers) = &deployment.servers {
        assert_eq!(servers.waiting("dead").await, 0, "no message was given up");
    }
    deployment.all_run(&world.bench);
    deployment.stop(&world.bench).await;
}

pub(crate) async fn order(shop: &FakeShop, product: ProductId, quantity: i64) -> OrderId {
    let order = NewOrder::by_checkout(Status::Processing, vec![NewLine::of(product, quantity)]);
    shop.act(Change::CreateOrder(order)).await.unwrap().order.unwrap()
}

/// Waits until a shop shows so many.
async fn shows(bench: &Bench, shop: &FakeShop, product: ProductId, quantity: i64) {
    let shown = || shop.with_model(|model, _| model.stock(HolderId::from(product)));
    let what = format!("{product:?} shows {quantity}; {}", bench.path("log").display());
    until(&what, PROOF_PATIENCE, async || (shown() == Some(quantity)).then_some(())).await;
}

impl World {
    async fn order(&self, shop: usize, number: usize, quantity: i64) -> OrderId {
        order(&self.shops[shop], self.products[shop][number], quantity).await
    }

    /// Waits until a shop shows so many less than at first.
    async fn shows_less(&self, shop: usize, number: usize, by: i64) {
        shows(&self.bench, &self.shops[shop], self.products[shop][number], UNITS_START - by).await;
    }

    async fn extra_shows(&self, shop: usize, name: &'static str, quantity: i64) {
        shows(&self.bench, &self.shops[shop], self.extras[&(shop, name)], quantity).await;
    }

    async fn act(&self, shop: usize, change: Change) {
        self.shops[shop].act(change).await.unwrap();
    }

    /// What the ledger says of the SKU in its first warehouse.
    pub(crate) async fn balance(&self, sku: &str) -> (String, String) {
        let stock = self.bench.run(&["stock", "get", sku, "--json"]).await.json();
        let main = &stock["items"][0]["warehouses"][0];
        let text = |what: &str| main[what].as_str().unwrap_or_default().to_owned();
        (text("on_hand"), text("reserved"))
    }
}

async fn a_sale_lowers_the_other_shop(world: &World) {
    world.order(0, 0, 3).await;
    world.shows_less(1, 0, 3).await;
    world.shows_less(0, 0, 3).await;
}

async fn what_is_cancelled_is_offered_again(world: &World) {
    let order = world.order(1, 1, 5).await;
    world.shows_less(0, 1, 5).await;
    world.act(1, Change::SetStatus { order, status: Status::Cancelled }).await;
    world.shows_less(0, 1, 0).await;
    world.shows_less(1, 1, 0).await;
}

async fn an_edited_line_holds_what_it_says(world: &World) {
    let order = world.order(0, 2, 2).await;
    world.shows_less(1, 2, 2).await;
    let line = world.shops[0].with_model(|model, _| model.order(order)).unwrap().lines[0].id;
    world.act(0, Change::EditLine { order, line, quantity: 6 }).await;
    world.shows_less(1, 2, 6).await;
}

async fn what_is_refunded_is_offered_again(world: &World) {
    let order = world.order(0, 3, 4).await;
    world.shows_less(1, 3, 4).await;
    let line = world.shops[0].with_model(|model, _| model.order(order)).unwrap().lines[0].id;
    world.act(0, Change::Refund { order, lines: vec![(line, 1)], amount: None, restock: true }).await;
    world.shows_less(1, 3, 3).await;
}

async fn what_is_sent_has_left(world: &World) {
    let order = world.order(1, 4, 2).await;
    world.shows_less(0, 4, 2).await;
    world.act(1, Change::SetStatus { order, status: Status::Completed }).await;
    until("it has left", PROOF_PATIENCE, async || {
        (world.balance(&sku(4)).await == ("398".to_owned(), "0".to_owned())).then_some(())
    })
    .await;
    world.shows_less(0, 4, 2).await;
}

async fn an_order_without_its_webhook_is_read(world: &World) {
    world.shops[0].lose_deliveries(1);
    world.order(0, 5, 1).await;
    world.shows_less(1, 5, 1).await;
}

async fn a_webhook_that_comes_twice_counts_once(world: &World) {
    world.shops[1].repeat_deliveries(3);
    world.order(1, 6, 7).await;
    world.shows_less(0, 6, 7).await;
}

/// Gives what came in.
async fn what_is_received_is_offered_once(world: &World) -> (usize, i64) {
    let receive = ["stock", "receive", &sku(7), "10", "-w", "main", "--key", "a-delivery", "--json"];
    let first = world.bench.run(&receive).await.json();
    assert_eq!(world.bench.run(&receive).await.json(), first, "the same key, the same answer");
    world.shows_less(0, 7, -10).await;
    world.shows_less(1, 7, -10).await;
    (7, 10)
}

/// Gives what came in: less than nothing.
async fn what_is_counted_is_offered(world: &World) -> (usize, i64) {
    world.order(0, 8, 2).await;
    until("it is known", PROOF_PATIENCE, async || (world.balance(&sku(8)).await.1 == "2").then_some(()))
        .await;
    world.bench.run(&["stock", "count", &sku(8), "50", "-w", "main"]).await.good();
    // What is promised lies there still.
    for shop in [0, 1] {
        world.shows_less(shop, 8, UNITS_START - 48).await;
    }
    (8, 50 - UNITS_START)
}

async fn goods_elsewhere_are_not_offered(world: &World) {
    let bench = &world.bench;
    bench.run(&["warehouse", "add", "annex"]).await.good();
    bench.run(&["stock", "transfer", MOVED, "15", "--from", "main", "--to", "annex"]).await.good();
    for shop in [0, 1] {
        world.extra_shows(shop, MOVED, UNITS_START - 15).await;
    }
    bench.run(&["stock", "adjust", MOVED, "-5", "-w", "main", "--reason", "torn"]).await.good();
    for shop in [0, 1] {
        world.extra_shows(shop, MOVED, UNITS_START - 20).await;
    }
}

async fn a_line_is_applied_once_it_is_mapped(world: &World) {
    let nameless = world.extras[&(NAMELESS_SHOP, "")];
    let order = order(&world.shops[NAMELESS_SHOP], nameless, 2).await.to_string();
    until("it is parked", PROOF_PATIENCE, async || {
        let parked = world.bench.run(&["parked", "list", "--json"]).await.json();
        let lines = parked["lines"].as_array().unwrap();
        lines.iter().any(|line| line["order"].to_string().trim_matches('"') == order).then_some(())
    })
    .await;
    let product = nameless.get().to_string();
    world.bench.run(&["parked", "map", "shop-0", &product, SOLO]).await.good();
    world.extra_shows(1, SOLO, UNITS_START - 2).await;
    assert_eq!(world.balance(SOLO).await, (UNITS_START.to_string(), "2".to_owned()));
}

/// It is away while the first one sells what it sells too.
async fn a_shop_that_was_down_catches_up(world: &World) {
    let Far { shop, product } = world.far.lock().unwrap().take().unwrap();
    until("it is proven", PROOF_PATIENCE, async || (shown_by(&world.bench, FAR).await == 2).then_some(()))
        .await;
    let port = shop.address().port();
    let model = shop.stop().await;
    order(&world.shops[0], world.extras[&(0, FAR)], 9).await;
    until("it is known", PROOF_PATIENCE, async || (world.balance(FAR).await.1 == "9").then_some(())).await;
    let shop = FakeShop::start_with(model, hasty_shop(), port).await.unwrap();
    shows(&world.bench, &shop, product, UNITS_START - 9).await;
    shop.stop().await;
    world.bench.run(&["shop", "remove", "far-away", "--yes"]).await.good();
}
