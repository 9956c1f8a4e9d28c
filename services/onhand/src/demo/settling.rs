//! Waiting: until the shops are connected, and at the end until the dust has settled.

use std::time::Duration;

use serde_json::Value;
use store::{PAGE_ROWS_MAX, ShopFilter, Waiting};
use tokio::time::{Instant, sleep};
use values::StockId;

use super::DemoError;
use super::buyers::Tally;
use super::oracle::{Difference, Truth, WrongStock};
use super::view::View;
use super::world::{DemoShop, World};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Reading a catalogue takes seconds, the proof of a first contact half a minute.
const CONNECT_MAX: Duration = Duration::from_mins(5);
/// What a lost answer leaves open is known after a minute, proven after another half; twice that.
const SETTLE_MAX: Duration = Duration::from_mins(4);
/// Looks in a row at which everything agrees and nothing waits before the dust counts as settled.
const CALM_LOOKS: u32 = 3;

/// Looks in a row at which nothing waits before what is shown wrongly counts as put back.
const IDLE_LOOKS: u32 = 3;

/// How it went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub(super) took: Duration,
    pub(super) difference: Difference,
    /// Most units that shops showed beyond what could be sold while onhand knew every order and had pushed everything:
    /// sold units that a push put back, until proof took them away again.
    pub(super) put_back: i64,
    /// Whether nothing waited at the end.
    pub(super) calm: bool,
}

/// What onhand has not done yet.
#[derive(Debug, Clone, Copy)]
struct Open {
    waiting: Waiting,
    /// Stocks with a push to make, or under way.
    pushes: u64,
}

impl Open {
    async fn of(world: &World) -> Result<Self, DemoError> {
        let store = &world.hub.store;
        let due = store.shops_due(ShopFilter::All, process::clock::now()).await?;
        let under_way = store.open_intents(None, PAGE_ROWS_MAX).await?.len();
        let pushes =
            due.iter().map(|shop| shop.count).sum::<u64>() + u64::try_from(under_way).unwrap_or(u64::MAX);
        Ok(Self { waiting: store.waiting().await?, pushes })
    }

    fn is_nothing(&self) -> bool {
        let Waiting { outbox_count, reread_count, recompute_count, .. } = self.waiting;
        outbox_count == 0 && reread_count == 0 && recompute_count == 0 && self.pushes == 0
    }
}

/// Waits until every shop is in service and has shown every stock with proof.
pub(super) async fn connected(world: &World, view: &View) -> Result<(), DemoError> {
    view.phase("connecting the shops");
    let started = Instant::now();
    let deadline = started + CONNECT_MAX;
    loop {
        let mut state = Vec::new();
        for shop in &world.shops {
            let task = shop
                .connecting
                .get("task")
                .map(|task| crate::screen::as_text(Some(task)))
                .unwrap_or_default();
            let task = world.api.get(&["tasks", &task], &[]).await?;
            let word = task.get("state").and_then(Value::as_str).unwrap_or_default().to_owned();
            let (proven, all) = proven(world, shop).await?;
            if word == "done" && proven == all && all > 0 {
                continue;
            }
            state.push(format!("{} is {word}, {proven} of {} stocks proven", shop.name, world.skus.len()));
            if word == "failed" {
                let state = format!("{}: {}", shop.name, crate::screen::text(&task, "report"));
                return Err(DemoError::NotConnected { seconds: 0, state });
            }
        }
        if state.is_empty() {
            return Ok(());
        }
        let text = format!(
            "connecting, {} s: orders are read half a minute after stocks, to be sure of both\n  {}",
            started.elapsed().as_secs(),
            state.join("\n  ")
        );
        view.update(&text);
        if Instant::now() > deadline {
            return Err(DemoError::NotConnected { seconds: CONNECT_MAX.as_secs(), state: state.join(", ") });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// How many of a shop's stocks have a known base, of how many.
async fn proven(world: &World, shop: &DemoShop) -> Result<(usize, usize), DemoError> {
    let stocks: Vec<StockId> =
        shop.goods.iter().map(|good| StockId { shop: shop.id, holder: good.holder() }).collect();
    let mut proven = 0;
    for some in stocks.chunks(usize::try_from(PAGE_ROWS_MAX).unwrap_or(usize::MAX)) {
        let known = world.hub.store.pushes(some).await?;
        proven += known.iter().filter(|row| row.push.base.is_some()).count();
    }
    Ok((proven, stocks.len()))
}

/// Waits until everything agrees and nothing waits, or for as long as it may take.
pub(super) async fn settle(world: &World, tally: &Tally, view: &View) -> Result<Settled, DemoError> {
    view.phase("buyers have gone; what a push may have put back, and what got no answer, is now proven");
    let started = Instant::now();
    let mut put_back = 0;
    let (mut calm_looks, mut idle_looks) = (0, 0);
    loop {
        let open = Open::of(world).await?;
        let truth = Truth::of(world, &tally.received());
        let difference = truth.compare(world).await?;
        idle_looks = if difference.ledger_units == 0 && open.is_nothing() { idle_looks + 1 } else { 0 };
        // A level waits a moment for others before it is pushed: only then is something wrong.
        if idle_looks > IDLE_LOOKS {
            put_back = put_back.max(known_above(world, &truth).await?);
        }
        calm_looks = if difference.is_none() && open.is_nothing() { calm_looks + 1 } else { 0 };
        let took = started.elapsed();
        let calm = calm_looks >= CALM_LOOKS;
        if calm || took > SETTLE_MAX {
            return Ok(Settled { took, difference, put_back, calm });
        }
        view.update(&format!(
            "settling, {} s\n  ledger   {} units to come\n  stocks   {} not settled\n  to do    {} levels, {} orders to read again, {} pushes",
            took.as_secs(),
            difference.ledger_units,
            difference.stocks,
            open.waiting.outbox_count,
            open.waiting.reread_count,
            open.pushes,
        ));
        sleep(LOOK_EVERY).await;
    }
}

/// Units that shops show beyond what could be sold, at stocks about which onhand has no doubt: there a lowering without
/// an answer is known to be in question, and looked into.
async fn known_above(world: &World, truth: &Truth) -> Result<i64, DemoError> {
    let wrong = truth.wrong_stocks(world);
    let stocks: Vec<StockId> = wrong.iter().map(|wrong| wrong.stock).collect();
    let mut above = 0;
    for some in stocks.chunks(usize::try_from(PAGE_ROWS_MAX).unwrap_or(usize::MAX)) {
        for row in world.hub.store.pushes(some).await? {
            let in_doubt =
                row.push.doubtful_until.is_some() || row.push.base.is_none_or(|base| !base.slack.is_zero());
            let here = wrong.iter().find(|wrong| wrong.stock == row.id);
            if let Some(WrongStock { shown, goal, .. }) = here {
                above += if in_doubt { 0 } else { (shown - goal).max(0) };
            }
        }
    }
    Ok(above)
}
