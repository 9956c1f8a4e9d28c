//! Everybody who acts on the shops and warehouses while the demo runs: buyers, shop keepers, the goods-in desk, and
//! whatever makes networks and servers fail now and then.

mod changes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use testkit::fake_shop::{FakeShop, Fault, FaultKind, RetryAfter};
use testkit::shop::{Change, NewLine, NewOrder, Status};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;
use values::{OrderId, Sku};

use super::demand::Demand;
use super::dice::Dice;
use super::world::{World, receipt};
use super::{DemoError, Plan};

/// Acts under way at a time, over all shops; more wait.
const ACTS_MAX: usize = 256;
/// Orders of a shop that may still be changed; older ones are left alone.
const CHANGEABLE_MAX: usize = 200;
/// Of a hundred orders, how many are followed by a change to some order.
const CHANGE_PERCENT: usize = 50;
/// Of a hundred orders made, how many are followed by goods coming in.
pub(super) const RECEIPT_PERCENT: usize = 4;
/// Of a hundred receipts, how many are sent twice with one key, as after a lost answer.
const REPEATED_PERCENT: usize = 25;
/// How many times a minute something fails, however much is bought; in the first third only: what a lost answer leaves
/// open is known after a minute and proven after another half, and nobody wants to wait longer than that.
const FAULTS_A_MINUTE: usize = 45;

/// Routes of a shop, as a fault names them.
const PUSHES: &str = "POST products";
const READS: &str = "GET orders";

const LINES_MAX: usize = 3;
pub(super) const UNITS_A_LINE_MAX: i64 = 3;
/// Units of an order: two lines of two on the average.
pub(super) const UNITS_AN_ORDER: u32 = 4;

/// What was tried and came of it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Orders tried.
    pub(super) attempted: AtomicU64,
    /// Orders a shop accepted.
    pub(super) acknowledged: AtomicU64,
    /// Orders a shop did not have enough for.
    pub(super) turned_away: AtomicU64,
    /// Lines of the accepted ones.
    pub(super) lines: AtomicU64,
    pub(super) paid: AtomicU64,
    pub(super) completed: AtomicU64,
    pub(super) cancelled: AtomicU64,
    pub(super) refunded: AtomicU64,
    /// Of those, how many put back more units than the line had left.
    pub(super) refunded_beyond: AtomicU64,
    pub(super) edited: AtomicU64,
    pub(super) trashed: AtomicU64,
    pub(super) receipts: AtomicU64,
    /// Receipts sent a second time with the same key.
    pub(super) repeated: AtomicU64,
    pub(super) faults: AtomicU64,
    received: Mutex<BTreeMap<Sku, i64>>,
    /// The newest accepted order of each shop, to see how long onhand takes to know it.
    newest: Mutex<BTreeMap<usize, (OrderId, Instant)>>,
}

impl Tally {
    pub(super) fn starting_with(received: BTreeMap<Sku, i64>) -> Self {
        Self { received: Mutex::new(received), ..Self::default() }
    }

    /// All that ever came in.
    pub(super) fn received(&self) -> BTreeMap<Sku, i64> {
        lock(&self.received).clone()
    }

    /// The newest accepted order of each shop.
    pub(super) fn newest(&self) -> BTreeMap<usize, (OrderId, Instant)> {
        lock(&self.newest).clone()
    }
}

/// Counts are changed in one step each, so a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// An order that may still be changed.
#[derive(Debug, Clone, Copy)]
struct Changeable {
    order: OrderId,
}

/// Orders of each shop that may still be changed.
type Open = Arc<Vec<Mutex<VecDeque<Changeable>>>>;

/// Goods that come in.
struct Goods {
    sku: Sku,
    units: i64,
    warehouse: &'static str,
    /// The answer is taken for lost, and everything is sent again.
    repeated: bool,
}

impl Goods {
    fn some(world: &World, demand: Demand, dice: &mut Dice) -> Option<Self> {
        let sku = dice.pick_skewed(&world.skus)?.clone();
        let (least, most) = demand.received();
        let (units, repeated) = (dice.units(least, most), dice.chance(REPEATED_PERCENT));
        Some(Self { sku, units, warehouse: World::warehouse(dice), repeated })
    }
}

/// Lets everybody act for the time of the plan; returns when the last act is over.
pub(super) async fn run(world: &Arc<World>, plan: &Plan, tally: &Arc<Tally>) -> Result<(), DemoError> {
    // Another stream than the one that filled the shelves.
    let mut dice = Dice::new(plan.seed.wrapping_add(1));
    let demand = Demand::of(plan);
    let orders_a_minute = usize::try_from(plan.orders_per_second.saturating_mul(60)).unwrap_or(usize::MAX);
    let open: Open = Arc::new(world.shops.iter().map(|_| Mutex::default()).collect());
    let mut acts: JoinSet<Result<(), DemoError>> = JoinSet::new();
    let (start, end) = (Instant::now(), Instant::now() + plan.lasts);
    let mut ticks = interval(Duration::from_secs(1) / plan.orders_per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while Instant::now() < end {
        ticks.tick().await;
        let shop = dice.below(world.shops.len());
        let cart = cart(world, shop, &mut dice);
        spawn(&mut acts, order(Arc::clone(world), shop, cart, Arc::clone(&open), Arc::clone(tally))).await?;
        if dice.chance(CHANGE_PERCENT) {
            let changed = dice.below(world.shops.len());
            let (world, open, tally) = (Arc::clone(world), Arc::clone(&open), Arc::clone(tally));
            // Its own stream: how many draws it takes depends on what the shop says.
            let fork = dice.fork();
            spawn(&mut acts, changes::change(world, changed, fork, open, tally)).await?;
        }
        let received = dice.chance(RECEIPT_PERCENT).then(|| Goods::some(world, demand, &mut dice));
        if let Some(goods) = received.flatten() {
            spawn(&mut acts, receive(Arc::clone(world), goods, Arc::clone(tally))).await?;
        }
        if start.elapsed() < plan.lasts / 3 && dice.below(orders_a_minute) < FAULTS_A_MINUTE {
            fail(world, shop, &mut dice);
            count(&tally.faults);
        }
    }
    while let Some(ended) = acts.join_next().await {
        ended.map_err(DemoError::Act)??;
    }
    for shop in &world.shops {
        shop.fake.clear_faults();
    }
    Ok(())
}

async fn spawn(
    acts: &mut JoinSet<Result<(), DemoError>>,
    act: impl Future<Output = Result<(), DemoError>> + Send + 'static,
) -> Result<(), DemoError> {
    while acts.len() >= ACTS_MAX {
        if let Some(ended) = acts.join_next().await {
            ended.map_err(DemoError::Act)??;
        }
    }
    while let Some(ended) = acts.try_join_next() {
        ended.map_err(DemoError::Act)??;
    }
    acts.spawn(act);
    Ok(())
}

/// What one buyer wants, each good once.
fn cart(world: &World, shop: usize, dice: &mut Dice) -> NewOrder {
    let mut lines: BTreeMap<usize, NewLine> = BTreeMap::new();
    for _ in 0..=dice.below(LINES_MAX) {
        let number = dice.below_skewed(world.skus.len());
        let good = world.shops.get(shop).and_then(|shop| shop.goods.get(number));
        if let Some(good) = good {
            lines.insert(number, good.line(dice.units(1, UNITS_A_LINE_MAX)));
        }
    }
    let status = match dice.below(10) {
        0 => Status::Pending,
        1 => Status::OnHold,
        _ => Status::Processing,
    };
    let order = NewOrder::by_checkout(status, lines.into_values().collect());
    NewOrder { payment_method: "bacs".into(), ..order }
}

async fn order(
    world: Arc<World>,
    shop: usize,
    cart: NewOrder,
    open: Open,
    tally: Arc<Tally>,
) -> Result<(), DemoError> {
    let Some(at) = world.shops.get(shop) else { return Ok(()) };
    count(&tally.attempted);
    let lines = u64::try_from(cart.lines.len()).unwrap_or(0);
    match at.fake.act(Change::CreateOrder(cart)).await {
        Ok(outcome) => {
            count(&tally.acknowledged);
            tally.lines.fetch_add(lines, Ordering::Relaxed);
            if let Some(order) = outcome.order {
                lock(&tally.newest).insert(shop, (order, Instant::now()));
                keep(&open, shop, Changeable { order });
            }
        }
        Err(_) => count(&tally.turned_away),
    }
    Ok(())
}

fn keep(open: &Open, shop: usize, changeable: Changeable) {
    if let Some(open) = open.get(shop) {
        let mut open = lock(open);
        open.push_back(changeable);
        if open.len() > CHANGEABLE_MAX {
            open.pop_front();
        }
    }
}

async fn receive(world: Arc<World>, goods: Goods, tally: Arc<Tally>) -> Result<(), DemoError> {
    let body = json!({ "operations": [receipt(&goods.sku, goods.warehouse, goods.units)] });
    let key = Uuid::new_v4().to_string();
    // Counted first: for a moment the truth is ahead of onhand, as it is with orders.
    *lock(&tally.received).entry(goods.sku).or_default() += goods.units;
    world.api.operate(&body, Some(&key)).await?;
    count(&tally.receipts);
    if goods.repeated {
        world.api.operate(&body, Some(&key)).await?;
        count(&tally.repeated);
    }
    Ok(())
}

/// One of the things that go wrong between two servers.
fn fail(world: &World, shop: usize, dice: &mut Dice) {
    let Some(fake) = world.shops.get(shop).map(|shop| &shop.fake) else { return };
    match dice.below(9) {
        0 => fake.fault(Fault::next(PUSHES, FaultKind::CutAfter)),
        1 => fake.fault(Fault::next(PUSHES, FaultKind::CutBefore)),
        2 => fake.fault(Fault::next(PUSHES, FaultKind::ErrorAfter)),
        3 => fake.fault(Fault::next(PUSHES, FaultKind::TooMany(RetryAfter::Seconds(1)))),
        4 => fake.fault(Fault::next(READS, FaultKind::Unavailable(RetryAfter::Unsaid))),
        5 => fake.fault(Fault::next(READS, FaultKind::TruncatedJson)),
        6 => fake.fault(Fault::next(READS, FaultKind::Html)),
        7 => lose(fake, dice),
        _ => fake.repeat_deliveries(2),
    }
}

fn lose(fake: &FakeShop, dice: &mut Dice) {
    fake.lose_deliveries(u64::try_from(dice.units(1, 4)).unwrap_or(1));
}
