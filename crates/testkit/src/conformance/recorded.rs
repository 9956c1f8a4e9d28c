//! The shop at which the transcripts were recorded, and what happened there between them.

use std::time::Duration;

use serde_json::Value;
use values::{HolderId, LineId, OrderId, ProductId, Timestamp, VariationId};

use super::transcript::Transcript;
use crate::fake_shop::FakeShop;
use crate::shop::{
    Change, CreatedVia, NewLine, NewOrder, NewProduct, NewVariation, Shop, ShopOptions, Status, Topic,
    WebhookId, WebhookStatus,
};

/// First product of the recorded shop; what WordPress made before has the ids below.
const FIRST_ID: i64 = 11;

fn product(id: i64) -> ProductId {
    ProductId::new(id).expect("recorded ids are positive")
}

fn holder(id: i64) -> HolderId {
    product(id).into()
}

fn order(id: i64) -> OrderId {
    OrderId::new(id).expect("recorded ids are positive")
}

/// The recorded shop as it was before the first request: products 11 to 62, three variable ones among them, one with
/// its stock at the parent (56), one without management (59), one without SKU (62).
pub fn recorded_shop(now: Timestamp) -> Shop {
    let mut shop = Shop::new(ShopOptions::default());
    shop.skip_ids_to(FIRST_ID);
    for number in 1..=30 {
        let sku = format!("SIM-{number:03}").parse().ok();
        let new = NewProduct {
            name: format!("Śruba zażółć nr {number}").into(),
            price_cents: 550 + 100 * number,
            ..NewProduct::simple(sku, 20 + number)
        };
        shop.add_product(NewProduct { price_cents: new.price_cents, ..new }, now);
    }
    for letter in ["A", "B", "C"] {
        let parent = shop.add_product(
            NewProduct {
                name: format!("Koszulka {letter}").into(),
                price_cents: 4_900,
                ..NewProduct::variable(format!("VAR-{letter}").parse().ok(), None)
            },
            now,
        );
        for (size, stock) in [("s", 10), ("m", 11), ("l", 12), ("xl", 13)] {
            let sku = format!("VAR-{letter}-{}", size.to_uppercase()).parse().ok();
            let new = NewVariation {
                option: size.into(),
                price_cents: 4_900,
                ..NewVariation::with_stock(sku, stock)
            };
            shop.add_variation(parent, new, now);
        }
    }
    let cap = NewProduct {
        name: "Czapka (stan na rodzicu)".into(),
        price_cents: 2_500,
        ..NewProduct::variable("VARP".parse().ok(), Some(40))
    };
    let cap = shop.add_product(cap, now);
    for colour in ["red", "blue"] {
        let sku = format!("VARP-{}", colour.to_uppercase()).parse().ok();
        shop.add_variation(cap, NewVariation { option: colour.into(), ..NewVariation::at_parent(sku) }, now);
    }
    for (name, sku, stock) in [
        ("Usługa bez stanu", "NOSTOCK-001", None),
        ("Kubek emaliowany", "DUP-NAME-1", Some(15)),
        ("Kubek emaliowany", "DUP-NAME-2", Some(16)),
        ("Produkt bez SKU", "", Some(17)),
    ] {
        let new = NewProduct { name: name.into(), stock, ..NewProduct::simple(sku.parse().ok(), 0) };
        shop.add_product(new, now);
    }
    shop
}

/// Lets a fake shop live what the recorded shop lived without a transcript, and puts its clock where the recorded one
/// was.
#[derive(Debug)]
pub struct History<'a> {
    shop: &'a FakeShop,
}

impl<'a> History<'a> {
    /// Of a shop that began as [`recorded_shop`].
    pub fn of(shop: &'a FakeShop) -> Self {
        Self { shop }
    }

    /// Everything up to the moment of a transcript.
    pub fn before(&mut self, transcript: &Transcript) {
        self.shop.set_clock(transcript.recorded_at - Duration::from_secs(transcript.took.as_secs()));
        let now = transcript.recorded_at;
        match transcript.name.as_str() {
            "webhook-delete-noforce" => self.shop.with_model(|model, _| {
                for id in 9..=18 {
                    model.delete_webhook(WebhookId(id));
                }
            }),
            "trash-R6" => {
                self.run(Change::Trash(order(97)), now, 2);
                self.run(Change::Untrash(order(97)), now, 1);
            }
            "product-create" => {
                self.run(Change::UntrashProduct(holder(40)), now, 3);
                self.run(Change::RenameSku { holder: holder(40), sku: "SIM-030".parse().ok() }, now, 2);
            }
            "batch-20" => self.before_webhook_tests(now),
            "variations-parent-managed" => {
                self.run(Change::SetStock { holder: holder(56), quantity: 33 }, now, 2);
            }
            "store-block-cod-draft" => self.open(&[(30, None, 2)]),
            "store-block-cod-checkout" => self.checkout(103, Status::Processing, "cod"),
            "store-block-bacs-draft" => self.open(&[(31, None, 1)]),
            "store-block-bacs-checkout" => self.checkout(104, Status::OnHold, "bacs"),
            "store-block-variation-draft" => self.open(&[(41, Some(42), 1)]),
            "store-block-variation-checkout" => self.checkout(105, Status::Processing, "cod"),
            "store-block-abandon-draft" => self.open(&[(33, None, 1)]),
            "admin-refund-list" => self.admin_orders(now),
            "webhook-after-disabled" => self.shop.with_model(|model, _| {
                let url = "http://127.0.0.1:9/s/500/x";
                let seconds_ago = |seconds| now - Duration::from_secs(seconds);
                let id = model.create_webhook(Topic::ProductUpdated, url, "woo-test-secret", seconds_ago(18));
                model.edit_webhook(id, seconds_ago(8), |webhook| {
                    webhook.name = "/s/500/x".into();
                    webhook.status = WebhookStatus::Disabled;
                });
            }),
            "products-list" => self.before_rest_tests(now),
            "variations-modified-after" => {
                self.run(Change::SetStock { holder: holder(45), quantity: 8 }, now, 1);
                self.run(Change::SetStock { holder: holder(42), quantity: 7 }, now, 0);
            }
            "order-product-gone" => self.sell_and_delete(now),
            _ => {}
        }
        if transcript.method == "GET" {
            self.show(&transcript.answer);
        }
    }

    fn run(&self, change: Change, now: Timestamp, seconds_ago: u64) {
        let at = now - Duration::from_secs(seconds_ago);
        let done = self.shop.with_model(|model, _| model.run(change, at));
        assert!(done.is_ok(), "the recorded shop did this: {done:?}");
    }

    fn sell(
        &self,
        of: i64,
        quantity: i64,
        status: Status,
        created_via: CreatedVia,
        now: Timestamp,
        seconds_ago: u64,
    ) {
        let lines = vec![NewLine::of(product(of), quantity)];
        let new = NewOrder { created_via, payment_method: "".into(), ..NewOrder::by_rest(status, lines) };
        self.run(Change::CreateOrder(new), now, seconds_ago);
    }

    /// Orders 100 (completed), 101 (deleted), 102 (trashed).
    fn before_webhook_tests(&self, now: Timestamp) {
        for _ in 0..3 {
            self.sell(28, 1, Status::Processing, CreatedVia::RestApi, now, 4);
        }
        self.run(Change::SetStatus { order: order(100), status: Status::Completed }, now, 4);
        self.run(Change::DeleteForever(order(101)), now, 3);
        self.run(Change::Trash(order(102)), now, 2);
    }

    fn open(&self, lines: &[(i64, Option<i64>, i64)]) {
        let line = |&(id, variation, quantity): &(i64, Option<i64>, i64)| NewLine {
            product: product(id),
            variation: variation.and_then(VariationId::new),
            quantity,
            total: None,
        };
        let lines = lines.iter().map(line).collect();
        let draft =
            NewOrder { created_via: CreatedVia::StoreApi, ..NewOrder::by_rest(Status::CheckoutDraft, lines) };
        self.run(Change::OpenCheckout(draft), self.shop.now(), 0);
    }

    fn checkout(&self, id: i64, status: Status, method: &str) {
        let payment_method = method.into();
        self.run(Change::Checkout { order: order(id), status, payment_method }, self.shop.now(), 0);
    }

    /// Two more orders, then 111 with a refund of one unit (112).
    fn admin_orders(&self, now: Timestamp) {
        for (of, ago) in [(33, 167), (34, 165)] {
            self.run(Change::SetStock { holder: holder(of), quantity: 1 }, now, ago);
        }
        for (of, ago) in [(35, 7), (36, 6)] {
            self.sell(of, 1, Status::Processing, CreatedVia::Admin, now, ago);
        }
        self.shop.with_model(|model, _| {
            model.skip_ids_to(111);
            model.skip_lines_to(46);
        });
        let lines = vec![NewLine::of(product(37), 3)];
        let paid = NewOrder { payment_method: "bacs".into(), ..NewOrder::by_rest(Status::Processing, lines) };
        self.run(Change::CreateOrder(paid), now, 4);
        let line = LineId::new(46).expect("recorded ids are positive");
        let refund =
            Change::Refund { order: order(111), lines: vec![(line, 1)], amount: Some(1_000), restock: true };
        self.run(refund, now, 1);
    }

    /// 111 and 114 cancelled, twenty products written at 04:01:55, one at 04:03:02.
    fn before_rest_tests(&self, now: Timestamp) {
        self.run(Change::SetStatus { order: order(111), status: Status::Cancelled }, now, 340);
        self.shop.with_model(|model, _| model.skip_ids_to(114));
        self.sell(38, 1, Status::Processing, CreatedVia::Admin, now, 335);
        self.run(Change::SetStatus { order: order(114), status: Status::Cancelled }, now, 330);
        for id in FIRST_ID..=30 {
            self.run(Change::SetStock { holder: holder(id), quantity: id }, now, 148);
        }
        self.run(Change::SetStock { holder: holder(39), quantity: 65 }, now, 81);
    }

    /// Order 196 of a product that was deleted afterwards.
    fn sell_and_delete(&self, now: Timestamp) {
        let sold = self.shop.with_model(|model, _| {
            model.skip_ids_to(195);
            model.skip_lines_to(123);
            let new = NewProduct {
                name: "gone".into(),
                price_cents: 300,
                ..NewProduct::simple("GONE".parse().ok(), 9)
            };
            model.add_product(new, now)
        });
        self.sell(sold.get(), 2, Status::Processing, CreatedVia::RestApi, now, 1);
        self.run(Change::DeleteProduct(sold.into()), now, 0);
    }

    /// Quantities as an answer shows them, set without a trace: what was sold and pushed in between is not told.
    fn show(&self, answer: &str) {
        let answer: Value = serde_json::from_str(answer).unwrap_or(Value::Null);
        let one = std::slice::from_ref(&answer);
        for item in answer.as_array().map_or(one, Vec::as_slice) {
            let number = |name: &str| item.get(name).and_then(Value::as_i64);
            let Some((id, quantity)) = number("id").and_then(HolderId::new).zip(number("stock_quantity"))
            else {
                continue;
            };
            self.shop.with_model(|model, now| {
                if let Some(holder) = model.stock_holder(id) {
                    model
                        .run(Change::SetStockSilently { holder, quantity }, now)
                        .expect("nothing refuses it");
                }
            });
        }
    }
}
