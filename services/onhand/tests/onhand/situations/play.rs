//! A shop in which every row of the table happens, to goods of its own.

use std::time::Duration;

use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::{
    Change, CreatedVia, NewLine, NewOrder, NewProduct, NewVariation, RefundId, ShopOptions, Status, Topic,
    Webhook, WebhookStatus,
};
use values::{HolderId, LineId, OrderId, ProductId, Sku, VariationId};

use super::table::{Goods, Step, TABLE};
use super::{AHEAD, Hub, UNITS, Way};
use crate::harness::{Bench, PROOF_PATIENCE, until};
use crate::world::add_shop_told_of;

/// Older than a draft of the checkout may be.
const A_DAY_LATER: Duration = Duration::from_hours(25);

/// The order of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Played {
    pub(super) order: OrderId,
}

/// What a row is about.
#[derive(Debug, Clone, Copy)]
struct Sold {
    product: ProductId,
    variation: Option<VariationId>,
    /// Where the shop keeps the quantity, if it does.
    holder: Option<HolderId>,
}

impl Sold {
    fn line(self, quantity: i64) -> NewLine {
        match self.variation {
            Some(variation) => NewLine::of_variation(self.product, variation, quantity),
            None => NewLine::of(self.product, quantity),
        }
    }
}

/// One shop.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) way: Way,
    pub(super) shop: FakeShop,
    sold: Vec<Sold>,
    marker: ProductId,
}

impl Stage {
    /// A shop with goods for every row.
    pub(super) async fn build(name: String, way: Way, orders_in_posts: bool) -> Self {
        let options = FakeShopOptions {
            shop: ShopOptions { orders_in_posts, ..ShopOptions::default() },
            delivery_period: None,
            ..FakeShopOptions::default()
        };
        let shop = FakeShop::start(options).await.unwrap();
        let code = |number: usize| code(&name, number);
        let sold =
            TABLE.iter().enumerate().map(|(number, row)| add(&shop, row.goods, &code(number))).collect();
        let marker = NewProduct::unmanaged(None);
        let marker = shop.with_model(|model, now| model.add_product(marker, now));
        Self { name, way, shop, sold, marker }
    }

    /// Adds it to onhand; its webhooks go there, and fare as they do in this shop.
    pub(super) async fn connect(&self, bench: &Bench, webhooks: &str) {
        add_shop_told_of(bench, &self.name, &self.shop, webhooks, &Topic::ALL).await;
        match self.way {
            Way::InOrder => {}
            Way::Twice => self.shop.repeat_deliveries(u64::MAX),
            Way::Lost => self.shop.lose_deliveries(u64::MAX),
            Way::Late | Way::Reversed => self.shop.hold_deliveries(true),
            Way::Blind => self.edit_webhooks(|webhook| webhook.owner_demoted = true),
            Way::Disabled => self.edit_webhooks(|webhook| webhook.status = WebhookStatus::Disabled),
        }
    }

    fn edit_webhooks(&self, edit: fn(&mut Webhook)) {
        self.shop.with_model(|model, now| {
            let all: Vec<_> = model.webhooks().map(|webhook| webhook.id).collect();
            for webhook in all {
                model.edit_webhook(webhook, now, edit);
            }
        });
    }

    /// The SKUs of its goods.
    pub(super) fn skus(&self) -> impl Iterator<Item = String> {
        (0..TABLE.len()).filter_map(|number| self.sku(number))
    }

    /// The SKU of a row's goods, if the hub keeps any.
    pub(super) fn sku(&self, number: usize) -> Option<String> {
        self.sold[number].holder.map(|_| code(&self.name, number))
    }

    /// What the shop shows of a row's goods.
    pub(super) fn shown(&self, number: usize) -> Option<i64> {
        let holder = self.sold[number].holder?;
        self.shop.with_model(|model, _| model.stock(holder))
    }

    pub(super) const fn marker_product(&self) -> ProductId {
        self.marker
    }

    /// Everything happens, row by row; afterwards some time has gone by.
    pub(super) async fn play(&self, hub: &Hub) -> Vec<Played> {
        let mut played = Vec::new();
        for (number, row) in TABLE.iter().enumerate() {
            let mut player = Player { stage: self, sold: self.sold[number], order: None, refund: None };
            for step in row.steps {
                player.play(hub, *step).await;
                self.shop.run_queue().await;
            }
            if self.way == Way::Reversed {
                self.shop.send_held(true).await;
            }
            played.push(Played { order: player.order.unwrap() });
        }
        self.shop.set_clock_offset_micros(i64::try_from(AHEAD.as_micros()).unwrap());
        played
    }
}

fn code(shop: &str, number: usize) -> String {
    format!("{shop}-{number}")
}

fn add(shop: &FakeShop, goods: Goods, code: &str) -> Sold {
    let sku: Option<Sku> = code.parse().ok();
    shop.with_model(|model, now| match goods {
        Goods::Simple => {
            let product = model.add_product(NewProduct::simple(sku, UNITS), now);
            Sold { product, variation: None, holder: Some(product.into()) }
        }
        Goods::Unmanaged => {
            let product = model.add_product(NewProduct::unmanaged(sku), now);
            Sold { product, variation: None, holder: None }
        }
        Goods::Variation => {
            let product = model.add_product(NewProduct::variable(None, None), now);
            let variation = model.add_variation(product, NewVariation::with_stock(sku, UNITS), now);
            Sold { product, variation: Some(variation), holder: Some(variation.into()) }
        }
        Goods::AtParent => {
            let product = model.add_product(NewProduct::variable(sku, Some(UNITS)), now);
            let variation = model.add_variation(product, NewVariation::at_parent(None), now);
            Sold { product, variation: Some(variation), holder: Some(product.into()) }
        }
        Goods::ParentAlone => {
            let product = model.add_product(NewProduct::variable(None, None), now);
            model.add_variation(product, NewVariation::with_stock(None, UNITS), now);
            Sold { product, variation: None, holder: None }
        }
    })
}

/// A row under way.
struct Player<'a> {
    stage: &'a Stage,
    sold: Sold,
    order: Option<OrderId>,
    refund: Option<RefundId>,
}

impl Player<'_> {
    async fn play(&mut self, hub: &Hub, step: Step) {
        match step {
            Step::Together(steps) => {
                for step in steps {
                    self.act(self.change(*step)).await;
                }
            }
            Step::Known => {
                let order = self.order.unwrap();
                let what = format!("order {order} of {} is known", self.stage.name);
                until(&what, PROOF_PATIENCE, async || hub.order(self.stage, order).await.map(|_| ())).await;
            }
            Step::CleanUpDrafts => self.stage.shop.with_model(|model, now| {
                model.run(Change::CleanUpDrafts, now + A_DAY_LATER).unwrap();
            }),
            step => self.act(self.change(step)).await,
        }
    }

    async fn act(&mut self, change: Change) {
        let done = self.stage.shop.act(change.clone()).await;
        let done = done.unwrap_or_else(|refusal| panic!("{change:?}: {refusal}"));
        self.order = self.order.or(done.order);
        self.refund = done.refund.or(self.refund);
    }

    fn first_line(&self) -> LineId {
        let order = self.order.unwrap();
        self.stage.shop.with_model(|model, _| model.order(order)).unwrap().lines[0].id
    }

    fn change(&self, step: Step) -> Change {
        let line = |quantity| self.sold.line(quantity);
        let order = || self.order.unwrap();
        let by_rest = |status, lines| NewOrder::by_rest(status, lines);
        match step {
            Step::Create(status, quantity) => Change::CreateOrder(by_rest(status, vec![line(quantity)])),
            Step::CreateTwice(quantity) => {
                Change::CreateOrder(by_rest(Status::Processing, vec![line(1), line(quantity)]))
            }
            Step::CreatePaid(quantity) => {
                let new = by_rest(Status::Pending, vec![line(quantity)]);
                Change::CreateOrder(NewOrder { set_paid: true, ..new })
            }
            Step::Buy(status, quantity) => {
                Change::CreateOrder(NewOrder::by_checkout(status, vec![line(quantity)]))
            }
            Step::OpenCheckout(quantity) => {
                let new = by_rest(Status::CheckoutDraft, vec![line(quantity)]);
                Change::OpenCheckout(NewOrder { created_via: CreatedVia::StoreApi, ..new })
            }
            Step::Order(status) => Change::Checkout { order: order(), status, payment_method: "cod".into() },
            Step::To(status) => Change::SetStatus { order: order(), status },
            Step::Edit(quantity) => Change::EditLine { order: order(), line: self.first_line(), quantity },
            Step::AddLine(quantity) => Change::AddLine { order: order(), line: line(quantity) },
            Step::RemoveLine => Change::RemoveLine { order: order(), line: self.first_line() },
            Step::Refund(quantity, restock) => {
                let lines = vec![(self.first_line(), quantity)];
                Change::Refund { order: order(), lines, amount: None, restock }
            }
            Step::RefundAmount => Change::RefundAmount { order: order(), amount: None },
            Step::DeleteRefund => Change::DeleteRefund { order: order(), refund: self.refund.unwrap() },
            Step::Save => Change::TouchOrder(order()),
            Step::Trash => Change::Trash(order()),
            Step::Untrash => Change::Untrash(order()),
            Step::DeleteForever => Change::DeleteForever(order()),
            Step::CancelUnpaid => Change::CancelUnpaid { hold: Duration::ZERO },
            Step::DeleteProduct => Change::DeleteProduct(self.sold.product.into()),
            Step::Rename => {
                let sku = format!("{}-renamed", self.stage.name).parse().ok();
                Change::RenameSku { holder: self.sold.product.into(), sku }
            }
            Step::TrashPage => Change::TrashPage,
            Step::Together(_) | Step::Known | Step::CleanUpDrafts => panic!("{step:?} is no single change"),
        }
    }
}
