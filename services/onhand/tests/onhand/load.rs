//! The load of the fault tests: buyers and what they change, and goods that come in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde_json::json;
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::task::JoinSet;
use tokio::time::sleep;
use values::OrderId;

use crate::world::{SHOPS, SKUS, World, sku};

/// Between two acts of the buyers, in milliseconds.
const ACT_PAUSE_MS: (u64, u64) = (5, 60);
/// Between two receipts, in milliseconds.
const RECEIPT_PAUSE_MS: (u64, u64) = (50, 400);
/// How long a receipt is tried; whoever answers is away for moments only.
const RECEIPT_ATTEMPTS_MAX: usize = 400;
/// Between two tries.
const RECEIPT_RETRY: Duration = Duration::from_millis(100);
/// How long one try may take.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Fewer orders are no load.
const ORDERS_MIN: usize = 100;

pub(crate) struct Dice(Xoshiro256PlusPlus);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, below: usize) -> usize {
        usize::try_from(self.0.next_u64() % u64::try_from(below).unwrap()).unwrap()
    }

    pub(crate) fn millis(&mut self, (low, high): (u64, u64)) -> Duration {
        Duration::from_millis(low + self.0.next_u64() % (high - low + 1))
    }
}

/// Any seed will do; a failing one can be put here.
pub(crate) fn seed() -> u64 {
    u64::from(std::process::id())
}

/// Buyers and receipts that go on until they are told to stop.
pub(crate) struct Load {
    world: Arc<World>,
    orders: JoinSet<(usize, usize)>,
    receipts: JoinSet<BTreeMap<usize, i64>>,
}

impl Load {
    /// Receipts go to whichever of the addresses answers.
    pub(crate) fn begin(world: &Arc<World>, api: Vec<String>, seed: u64) -> Self {
        let (mut orders, mut receipts) = (JoinSet::new(), JoinSet::new());
        orders.spawn(buy(Arc::clone(world), Dice::seeded(seed + 1)));
        receipts.spawn(receive(Arc::clone(world), api, Dice::seeded(seed + 2)));
        Self { world: Arc::clone(world), orders, receipts }
    }

    /// What came in.
    pub(crate) async fn end(mut self) -> BTreeMap<usize, i64> {
        self.world.stop.store(true, Ordering::Relaxed);
        let (orders, refunds_beyond) = self.orders.join_next().await.unwrap().unwrap();
        let received = self.receipts.join_next().await.unwrap().unwrap();
        assert!(orders > ORDERS_MIN, "there was a load: {orders} orders");
        assert!(refunds_beyond > 0, "some refunds put back more than there was");
        received
    }
}

/// Orders and what follows them, until told to stop; how many were made, and how many refunds put back more than a line
/// had left.
async fn buy(world: Arc<World>, mut dice: Dice) -> (usize, usize) {
    let mut made: Vec<(usize, OrderId)> = Vec::new();
    let mut refunds_beyond = 0;
    while !world.stop.load(Ordering::Relaxed) {
        sleep(dice.millis(ACT_PAUSE_MS)).await;
        let shop = dice.below(SHOPS);
        let line = |dice: &mut Dice| {
            NewLine::of(world.products[shop][dice.below(SKUS)], i64::try_from(1 + dice.below(3)).unwrap())
        };
        if dice.below(3) > 0 || made.is_empty() {
            let status =
                [Status::Processing, Status::Processing, Status::OnHold, Status::Pending][dice.below(4)];
            let order = NewOrder::by_checkout(status, vec![line(&mut dice), line(&mut dice)]);
            if let Ok(outcome) = world.shops[shop].act(Change::CreateOrder(order)).await {
                made.push((shop, outcome.order.unwrap()));
            }
            continue;
        }
        let (shop, order) = made[dice.below(made.len())];
        let view = world.shops[shop].with_model(|model, _| model.order(order)).unwrap();
        let (first, quantity) = (view.lines[0].id, view.lines[0].quantity);
        let refundable = view.refunds.is_empty();
        // As often as not more than the line has, for no money: the shop does not ask.
        let (units, amount) = if dice.below(2) == 0 { (1, None) } else { (quantity + 1, Some(0)) };
        let change = match (view.status, dice.below(5)) {
            (Status::Pending, 0) | (Status::Processing, 1) => {
                Change::SetStatus { order, status: Status::Cancelled }
            }
            (Status::Pending | Status::OnHold, _) => Change::SetStatus { order, status: Status::Processing },
            (Status::Processing, 0) => Change::SetStatus { order, status: Status::Completed },
            (Status::Processing, 2) => Change::EditLine { order, line: first, quantity: 4 },
            (Status::Processing, 3) => Change::Trash(order),
            (Status::Processing, _) if refundable => {
                Change::Refund { order, lines: vec![(first, units)], amount, restock: true }
            }
            _ => continue,
        };
        let is_beyond = amount.is_some() && matches!(change, Change::Refund { .. });
        // A shop may refuse; then nothing happened.
        if world.shops[shop].act(change).await.is_ok() && is_beyond {
            refunds_beyond += 1;
        }
    }
    (made.len(), refunds_beyond)
}

/// Goods that come in, each sent under its key until it is answered; what came in.
async fn receive(world: Arc<World>, api: Vec<String>, mut dice: Dice) -> BTreeMap<usize, i64> {
    let client = reqwest::Client::builder().no_proxy().timeout(RECEIPT_TIMEOUT).build().unwrap();
    let token = world.bench.admin_token();
    let mut received = BTreeMap::new();
    let mut addresses = api.iter().cycle();
    for receipt in 0.. {
        if world.stop.load(Ordering::Relaxed) {
            break;
        }
        sleep(dice.millis(RECEIPT_PAUSE_MS)).await;
        let (number, units) = (dice.below(SKUS), i64::try_from(1 + dice.below(9)).unwrap());
        *received.entry(number).or_default() += units;
        let operation = json!({ "kind": "receive", "sku": sku(number), "warehouse": "main", "quantity": units.to_string() });
        let body = json!({ "operations": [operation] });
        let mut attempts = 0;
        loop {
            let url = format!("{}/api/v1/operations", addresses.next().unwrap());
            let request =
                client.post(url).bearer_auth(&token).header("Idempotency-Key", format!("receipt-{receipt}"));
            if request.json(&body).send().await.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            attempts += 1;
            assert!(attempts < RECEIPT_ATTEMPTS_MAX, "a receipt is answered at last: {}", world.bench.log());
            sleep(RECEIPT_RETRY).await;
        }
    }
    received
}
