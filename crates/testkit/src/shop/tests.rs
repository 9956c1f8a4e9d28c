//! The event table of WooCommerce 10.5, row by row, and what is seen between two steps.

mod lists;

use std::time::Duration;

use values::{HolderId, LineId, OrderId, ProductId, Sku, Timestamp};

use super::*;

const SECRET: &str = "woo-test-secret";

struct Bench {
    shop: Shop,
    now: Timestamp,
    product: ProductId,
}

fn sku(text: &str) -> Option<Sku> {
    text.parse().ok()
}

/// A shop with all eight webhooks and one product of 25.
fn bench() -> Bench {
    bench_with(ShopOptions::default())
}

fn bench_with(options: ShopOptions) -> Bench {
    let now = Timestamp::from_seconds(1_800_000_000);
    let mut shop = Shop::new(options);
    shop.skip_ids_to(11);
    let product = shop.add_product(NewProduct::simple(sku("SIM-001"), 25), now);
    for topic in Topic::ALL {
        shop.create_webhook(topic, "http://127.0.0.1/hook", SECRET, now);
    }
    Bench { shop, now, product }
}

impl Bench {
    fn tick(&mut self) {
        self.now = self.now + Duration::from_secs(1);
    }

    fn holder(&self) -> HolderId {
        self.product.into()
    }

    fn run(&mut self, change: Change) -> Outcome {
        self.tick();
        self.shop.run(change, self.now).unwrap()
    }

    fn create(&mut self, status: Status, quantity: i64) -> OrderId {
        let lines = vec![NewLine::of(self.product, quantity)];
        self.run(Change::CreateOrder(NewOrder::by_rest(status, lines))).order.unwrap()
    }

    fn status(&mut self, order: OrderId, status: Status) {
        self.run(Change::SetStatus { order, status });
    }

    fn line(&self, order: OrderId) -> LineView {
        self.shop.order(order).unwrap().lines[0].clone()
    }

    /// Topics due, with status or quantity: `up processing`, `pu 23`, `del`.
    fn due(&mut self) -> Vec<String> {
        let deliveries = self.shop.run_queue(self.now, usize::MAX);
        let short = |delivery: &Delivery| {
            let topic = match delivery.topic {
                Topic::OrderCreated => "cr",
                Topic::OrderUpdated => "up",
                Topic::OrderDeleted => "del",
                Topic::OrderRestored => "res",
                Topic::ProductUpdated => "pu",
                other => other.as_str(),
            };
            match &delivery.payload {
                Payload::Order(order) => format!("{topic} {}", order.status),
                Payload::Product(product) => {
                    let stock = product.stock.map_or_else(|| "-".to_owned(), |stock| stock.to_string());
                    format!("{topic} {stock}")
                }
                Payload::DeletedId(_) => topic.to_owned(),
                Payload::SignedError { status, .. } => format!("{topic} {status}"),
            }
        };
        deliveries.iter().map(short).collect()
    }

    fn stock(&self) -> i64 {
        self.shop.stock(self.holder()).unwrap()
    }
}

#[test]
fn creating_takes_stock_by_status() {
    for (status, stock) in [
        (Status::Pending, 25),
        (Status::OnHold, 23),
        (Status::Processing, 23),
        (Status::Completed, 23),
        (Status::Failed, 25),
        (Status::Cancelled, 25),
    ] {
        let mut bench = bench();
        let order = bench.create(status, 2);
        let mut due = vec![format!("cr {status}"), format!("up {status}")];
        if stock == 23 {
            due.push("pu 23".to_owned());
        }
        assert_eq!(bench.due(), due, "{status}");
        assert_eq!(
            (bench.stock(), bench.line(order).reduced),
            (stock, (stock == 23).then_some(2)),
            "{status}"
        );
    }
}

#[test]
fn cancelling_gives_back_what_was_taken() {
    for (status, taken) in [
        (Status::Pending, false),
        (Status::OnHold, true),
        (Status::Processing, true),
        (Status::Completed, true),
        (Status::Failed, false),
    ] {
        let mut bench = bench();
        let order = bench.create(status, 2);
        bench.due();
        bench.status(order, Status::Cancelled);
        let due = if taken { vec!["up cancelled", "pu 25"] } else { vec!["up cancelled"] };
        assert_eq!(bench.due(), due, "{status}");
        assert_eq!((bench.stock(), bench.line(order).reduced), (25, None));
    }
}

#[test]
fn statuses_back_and_forth() {
    let mut bench = bench();
    let order = bench.create(Status::Pending, 2);
    assert_eq!(bench.due(), ["cr pending", "up pending"]);
    for (status, due) in [
        (Status::Processing, &["up processing", "pu 23"][..]),
        (Status::Completed, &["up completed"]),
        (Status::Cancelled, &["up cancelled", "pu 25"]),
        (Status::Processing, &["up processing", "pu 23"]),
        (Status::Pending, &["up pending", "pu 25"]),
        (Status::OnHold, &["up on-hold", "pu 23"]),
        (Status::Failed, &["up failed"]),
        (Status::Custom, &["up ready-to-ship"]),
        (Status::Pending, &["up pending", "pu 25"]),
        (Status::Failed, &["up failed"]),
    ] {
        bench.status(order, status);
        assert_eq!(bench.due(), due, "{status}");
    }
}

#[test]
fn paying_ends_in_completed_for_cod_and_processing_otherwise() {
    for (method, status) in
        [("cod", Status::Completed), ("bacs", Status::Processing), ("", Status::Processing)]
    {
        let mut bench = bench();
        let lines = vec![NewLine::of(bench.product, 1)];
        let new = NewOrder {
            set_paid: true,
            payment_method: method.into(),
            ..NewOrder::by_rest(Status::Pending, lines)
        };
        bench.run(Change::CreateOrder(new));
        assert_eq!(bench.due(), [format!("cr {status}"), format!("up {status}"), "pu 24".to_owned()]);
    }
}

#[test]
fn refunds() {
    let mut bench = bench();
    let order = bench.create(Status::Processing, 5);
    let line = bench.line(order).id;
    bench.due();
    let before = bench.shop.order(order).unwrap().date_modified;
    let refund = bench
        .run(Change::Refund { order, lines: vec![(line, 2)], amount: None, restock: true })
        .refund
        .unwrap();
    assert_eq!(bench.due(), ["pu 22", "up processing"]);
    assert_eq!((bench.line(order).reduced, bench.line(order).restocked), (Some(3), Some(2)));
    let modified = bench.shop.order(order).unwrap().date_modified;
    assert!(modified > before);

    bench.run(Change::DeleteRefund { order, refund });
    assert_eq!(bench.due(), Vec::<String>::new());
    assert_eq!((bench.stock(), bench.shop.order(order).unwrap().date_modified), (22, modified));

    bench.run(Change::Refund { order, lines: vec![(line, 1)], amount: None, restock: false });
    assert_eq!(bench.due(), ["up processing"]);
    bench.status(order, Status::Cancelled);
    assert_eq!(bench.due(), ["up cancelled", "pu 25"]);
    assert_eq!((bench.line(order).reduced, bench.line(order).restocked), (None, Some(2)));
}

#[test]
fn full_refunds() {
    let full = |bench: &Bench, order| {
        let line = bench.line(order).id;
        [
            Change::RefundAmount { order, amount: None },
            Change::SetStatus { order, status: Status::Refunded },
            Change::Refund { order, lines: vec![(line, 2)], amount: None, restock: false },
        ]
    };
    for which in 0..3 {
        let mut bench = bench();
        let order = bench.create(Status::Processing, 2);
        bench.due();
        let change = full(&bench, order)[which].clone();
        bench.run(change);
        assert_eq!(bench.due(), ["up refunded"]);
        assert_eq!((bench.stock(), bench.line(order).reduced), (23, Some(2)));
        assert_eq!(bench.shop.order(order).unwrap().refunds.len(), 1);
        bench.status(order, Status::Cancelled);
        assert_eq!(bench.due(), ["up cancelled", "pu 25"]);
    }
}

#[test]
fn refunding_everything_with_restock_leaves_a_zero() {
    let mut bench = bench();
    let order = bench.create(Status::Processing, 2);
    let line = bench.line(order).id;
    bench.due();
    bench.run(Change::Refund { order, lines: vec![(line, 2)], amount: None, restock: true });
    assert_eq!(bench.due(), ["pu 25", "up refunded"]);
    assert_eq!((bench.line(order).reduced, bench.line(order).restocked), (Some(0), Some(2)));
    bench.status(order, Status::Cancelled);
    assert_eq!((bench.due(), bench.stock()), (vec!["up cancelled".to_owned()], 25));
}

#[test]
fn edits_of_lines() {
    let mut bench = bench();
    let other = bench.shop.add_product(NewProduct::simple(sku("SIM-002"), 35), bench.now);
    let order = bench.create(Status::Processing, 4);
    let line = bench.line(order).id;
    bench.due();
    bench.run(Change::EditLine { order, line, quantity: 6 });
    assert_eq!(
        (bench.due(), bench.line(order).reduced),
        (vec!["pu 19".into(), "up processing".into()], Some(6))
    );
    bench.run(Change::EditLine { order, line, quantity: 1 });
    assert_eq!(
        (bench.due(), bench.line(order).reduced),
        (vec!["pu 24".into(), "up processing".into()], Some(1))
    );
    bench.run(Change::AddLine { order, line: NewLine::of(other, 2) });
    assert_eq!(bench.due(), ["pu 33", "up processing"]);
    assert_eq!(bench.shop.order(order).unwrap().lines[1].reduced, Some(2));
    bench.run(Change::RemoveLine { order, line });
    assert_eq!(bench.due(), ["pu 25", "up processing"]);
    assert_eq!(bench.shop.order(order).unwrap().lines.len(), 1);
    bench.status(order, Status::Cancelled);
    assert_eq!(bench.due(), ["up cancelled", "pu 35"]);
    bench.run(Change::TouchOrder(order));
    assert_eq!(bench.due(), ["up cancelled"]);
}

#[test]
fn trash_gives_nothing_back_and_deletion_says_nothing() {
    let mut bench = bench();
    let order = bench.create(Status::Processing, 2);
    bench.due();
    bench.run(Change::Trash(order));
    assert_eq!((bench.due(), bench.stock()), (vec!["del".to_owned()], 23));
    let live = |bench: &Bench| bench.shop.list_orders(&OrderFilter::default()).total;
    let trash = OrderFilter { status: StatusFilter::trash(), ..OrderFilter::default() };
    assert_eq!((live(&bench), bench.shop.list_orders(&trash).total), (0, 1));
    bench.status(order, Status::Processing);
    assert_eq!((bench.due(), live(&bench)), (Vec::<String>::new(), 1));
    bench.run(Change::Trash(order));
    bench.run(Change::Untrash(order));
    assert_eq!(bench.due(), ["del", "res processing"]);
    bench.run(Change::DeleteForever(order));
    assert_eq!((bench.due(), bench.stock(), bench.shop.order(order)), (Vec::new(), 23, None));
}

#[test]
fn orders_in_posts_tell_of_products_that_are_none() {
    let mut bench = bench_with(ShopOptions { orders_in_posts: true, ..ShopOptions::default() });
    let order = bench.create(Status::Processing, 2);
    bench.due();
    bench.run(Change::Trash(order));
    assert_eq!(bench.due(), ["del", "product.deleted"]);
    bench.status(order, Status::Processing);
    assert_eq!(bench.due(), ["up processing"]);
}

#[test]
fn the_block_checkout_updates_before_it_creates() {
    let mut bench = bench();
    let lines = vec![NewLine::of(bench.product, 2)];
    let draft =
        NewOrder { created_via: CreatedVia::StoreApi, ..NewOrder::by_rest(Status::CheckoutDraft, lines) };
    let order = bench.run(Change::OpenCheckout(draft.clone())).order.unwrap();
    assert_eq!((bench.due(), bench.stock()), (vec!["up checkout-draft".to_owned()], 25));
    bench.run(Change::Checkout { order, status: Status::Processing, payment_method: "cod".into() });
    assert_eq!(bench.due(), ["up processing", "cr processing", "pu 23"]);

    let abandoned = bench.run(Change::OpenCheckout(draft)).order.unwrap();
    bench.due();
    bench.now = bench.now + Duration::from_hours(25);
    bench.run(Change::CleanUpDrafts);
    assert_eq!((bench.due(), bench.shop.order(abandoned)), (Vec::new(), None));
}

#[test]
fn the_storefront_does_not_sell_the_last_unit_twice() {
    let mut bench = bench();
    let lines = vec![NewLine::of(bench.product, 25)];
    let order = Change::CreateOrder(NewOrder::by_checkout(Status::Processing, lines));
    let mut first = bench.shop.begin(order.clone(), bench.now).unwrap();
    let refused = bench.shop.begin(order.clone(), bench.now).unwrap_err();
    assert_eq!(refused, Refusal::NotEnoughStock(bench.holder()));
    while bench.shop.step(&mut first, bench.now) == Progress::More {}
    assert_eq!((bench.stock(), bench.shop.begin(order, bench.now).unwrap_err()), (0, refused));
    let order = bench.create(Status::Processing, 999);
    assert_eq!((bench.stock(), bench.line(order).reduced), (-999, Some(999)), "REST checks nothing");
}

#[test]
fn unpaid_orders_are_cancelled_without_stock() {
    let mut bench = bench();
    let lines = vec![NewLine::of(bench.product, 2)];
    bench.run(Change::CreateOrder(NewOrder::by_checkout(Status::Pending, lines)));
    bench.due();
    bench.now = bench.now + Duration::from_mins(61);
    bench.run(Change::CancelUnpaid { hold: Duration::from_hours(1) });
    assert_eq!((bench.due(), bench.stock()), (vec!["up cancelled".to_owned()], 25));
}

#[test]
fn variations_parents_and_untracked() {
    let mut bench = bench();
    let now = bench.now;
    let own = bench.shop.add_product(NewProduct::variable(sku("VAR-A"), None), now);
    let small = bench.shop.add_variation(own, NewVariation::with_stock(sku("VAR-A-S"), 10), now);
    let shared = bench.shop.add_product(NewProduct::variable(sku("VARP"), Some(40)), now);
    let red = bench.shop.add_variation(shared, NewVariation::at_parent(sku("VARP-RED")), now);
    let untracked = bench.shop.add_product(NewProduct::unmanaged(sku("NOSTOCK-001")), now);
    let order = |bench: &mut Bench, line| {
        let lines = vec![line];
        bench.run(Change::CreateOrder(NewOrder::by_rest(Status::Processing, lines))).order.unwrap()
    };
    for (line, due, reduced) in [
        (NewLine::of_variation(own, small, 3), Some("pu 7"), Some(3)),
        (NewLine::of(ProductId::new(small.get()).unwrap(), 1), Some("pu 6"), Some(1)),
        (NewLine::of_variation(shared, red, 3), Some("pu 37"), Some(3)),
        (NewLine::of(own, 1), None, None),
        (NewLine::of(untracked, 1), None, None),
    ] {
        let id = order(&mut bench, line);
        assert_eq!(bench.due().get(2).map(String::as_str), due);
        assert_eq!(bench.line(id).reduced, reduced);
    }
    let red = bench.shop.product(red.into()).unwrap();
    assert_eq!((red.manage, red.stock), (Manage::Parent, Some(37)));
    bench.run(Change::SetStock { holder: red.id, quantity: 7 });
    assert_eq!((bench.due(), bench.shop.stock(shared.into())), (vec!["pu 37".to_owned()], Some(37)));
    bench.run(Change::SetStock { holder: untracked.into(), quantity: 7 });
    assert_eq!((bench.due(), bench.shop.stock(untracked.into())), (vec!["pu -".to_owned()], None));
}

#[test]
fn one_product_on_two_lines_has_two_metas() {
    let mut bench = bench();
    let lines = vec![NewLine::of(bench.product, 1), NewLine::of(bench.product, 2)];
    let order = bench.run(Change::CreateOrder(NewOrder::by_rest(Status::Processing, lines))).order.unwrap();
    assert_eq!(bench.due(), ["cr processing", "up processing", "pu 22"]);
    let reduced: Vec<_> = bench.shop.order(order).unwrap().lines.iter().map(|line| line.reduced).collect();
    assert_eq!(reduced, [Some(1), Some(2)]);
}

#[test]
fn skus_are_live_and_products_may_go() {
    let mut bench = bench();
    let holder = bench.holder();
    let order = bench.create(Status::Processing, 2);
    bench.run(Change::RenameSku { holder, sku: sku("NEW") });
    assert_eq!(bench.line(order).sku, sku("NEW"));
    bench.run(Change::DeleteProduct(holder));
    let line = bench.line(order);
    assert_eq!((line.product, line.sku, line.reduced), (None, None, Some(2)));
    bench.due();
    bench.status(order, Status::Cancelled);
    assert_eq!((bench.due(), bench.line(order).reduced), (vec!["up cancelled".to_owned()], Some(2)));
}

#[test]
fn deliveries_coalesce_and_show_the_present() {
    let mut bench = bench();
    let order = bench.create(Status::Pending, 1);
    bench.status(order, Status::OnHold);
    bench.status(order, Status::Completed);
    assert_eq!(bench.due(), ["cr completed", "up completed", "pu 24"]);
    let gone = bench.create(Status::Processing, 1);
    bench.run(Change::DeleteForever(gone));
    assert_eq!(bench.due(), ["cr 404", "up 404", "pu 23"]);
    let trashed = bench.create(Status::Processing, 1);
    bench.run(Change::Trash(trashed));
    assert_eq!(bench.due(), ["cr trash", "up trash", "pu 22", "del"]);
}

#[test]
fn a_delivery_id_is_of_webhook_and_second() {
    let mut bench = bench();
    let holder = bench.holder();
    let other = bench.shop.add_product(NewProduct::simple(sku("SIM-002"), 35), bench.now);
    bench.run(Change::SetStock { holder, quantity: 9 });
    bench.run(Change::SetStock { holder: other.into(), quantity: 9 });
    let both = bench.shop.run_queue(bench.now, 25);
    assert_eq!(both[0].delivery_id, both[1].delivery_id);
    bench.run(Change::SetStock { holder, quantity: 9 });
    assert_ne!(
        bench.shop.run_queue(bench.now, 25)[0].delivery_id,
        both[0].delivery_id,
        "and equal writes fire"
    );
}

#[test]
fn a_sale_inside_a_delta_is_lost_and_a_silent_write_is_silent() {
    let mut bench = bench();
    let holder = bench.holder();
    let mut push = bench.shop.begin(Change::DeltaStock { holder, delta: 1 }, bench.now).unwrap();
    assert_eq!(bench.shop.step(&mut push, bench.now), Progress::More);
    bench.create(Status::Processing, 5);
    while bench.shop.step(&mut push, bench.now) == Progress::More {}
    assert_eq!((bench.stock(), push.outcome().stock), (26, Some((20, 26))));
    bench.due();
    bench.run(Change::SetStockSilently { holder, quantity: 3 });
    assert_eq!((bench.due(), bench.stock()), (Vec::new(), 3));
}

#[test]
fn a_put_of_what_was_read_writes_nothing() {
    let mut bench = bench();
    let holder = bench.holder();
    let mut push = bench.shop.begin(Change::SetStock { holder, quantity: 25 }, bench.now).unwrap();
    bench.shop.step(&mut push, bench.now);
    bench.create(Status::Processing, 5);
    while bench.shop.step(&mut push, bench.now) == Progress::More {}
    assert_eq!(bench.stock(), 20);
}

#[test]
fn what_is_seen_between_the_steps() {
    let mut bench = bench();
    let order = bench.create(Status::Pending, 2);
    let seen = |bench: &Bench| {
        let view = bench.shop.order(order).unwrap();
        (view.status, bench.stock(), view.lines[0].reduced, view.date_modified.since(bench.now).as_secs())
    };
    let start = bench.now;
    let mut sale = bench.shop.begin(Change::SetStatus { order, status: Status::Processing }, start).unwrap();
    assert_eq!(bench.shop.step(&mut sale, start), Progress::More);
    assert_eq!(seen(&bench), (Status::Processing, 25, None, 0));
    bench.shop.step(&mut sale, start);
    assert_eq!(seen(&bench), (Status::Processing, 23, None, 0));
    // What was queued before sees the half-written order.
    let half = bench.shop.run_queue(start, 1).remove(0);
    assert!(matches!(half.payload, Payload::Order(order) if order.lines[0].reduced.is_none()));
    bench.shop.step(&mut sale, start);
    assert_eq!(seen(&bench), (Status::Processing, 23, Some(2), 0));
    bench.shop.step(&mut sale, start + Duration::from_secs(1));
    assert_eq!(seen(&bench), (Status::Processing, 23, Some(2), 1), "the date moves again");
    assert_eq!(bench.shop.step(&mut sale, start), Progress::Done);

    let line = bench.line(order).id;
    let refund = Change::Refund { order, lines: vec![(line, 1)], amount: None, restock: true };
    let mut refund = bench.shop.begin(refund, start).unwrap();
    bench.shop.step(&mut refund, start);
    bench.shop.step(&mut refund, start);
    assert_eq!((bench.stock(), bench.line(order).reduced, bench.line(order).restocked), (24, Some(2), None));
    bench.shop.step(&mut refund, start);
    assert_eq!((bench.line(order).reduced, bench.line(order).restocked), (Some(1), Some(1)));
    while bench.shop.step(&mut refund, start) == Progress::More {}
}

#[test]
fn a_new_order_has_no_lines_for_a_moment() {
    let mut bench = bench();
    let lines = vec![NewLine::of(bench.product, 2)];
    let new = Change::CreateOrder(NewOrder::by_rest(Status::Processing, lines));
    let mut writing = bench.shop.begin(new, bench.now).unwrap();
    bench.shop.step(&mut writing, bench.now);
    let order = bench.shop.order(writing.outcome().order.unwrap()).unwrap();
    assert_eq!((order.status, order.lines.len()), (Status::Pending, 0));
    assert_eq!(bench.shop.queue_len(), 0, "queued when the request ends");
}

#[test]
fn the_seventh_failure_disables() {
    let mut bench = bench();
    let hook = WebhookId(1);
    let of = |bench: &Bench| {
        let hook = bench.shop.webhook(hook).unwrap();
        (hook.failure_count, hook.status)
    };
    for count in 1..=6 {
        bench.shop.answered(hook, false);
        assert_eq!(of(&bench), (count, WebhookStatus::Active));
    }
    bench.shop.answered(hook, false);
    assert_eq!(of(&bench), (6, WebhookStatus::Disabled));
    bench.create(Status::Pending, 1);
    assert_eq!(bench.due(), ["up pending"]);
    let activate = |bench: &mut Bench| {
        let now = bench.now;
        bench.shop.edit_webhook(hook, now, |hook| hook.status = WebhookStatus::Active);
    };
    activate(&mut bench);
    bench.shop.answered(hook, false);
    assert_eq!(of(&bench), (6, WebhookStatus::Disabled));
    activate(&mut bench);
    bench.shop.answered(hook, true);
    assert_eq!(of(&bench), (0, WebhookStatus::Active));
    bench.create(Status::Pending, 1);
    bench.shop.edit_webhook(hook, bench.now, |hook| hook.status = WebhookStatus::Paused);
    bench.shop.delete_webhook(WebhookId(2));
    assert_eq!(bench.due(), ["cr pending"], "queued ones are sent, but not of a deleted webhook");
}
