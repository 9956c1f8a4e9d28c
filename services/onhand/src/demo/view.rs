//! The live view: what happens, a few times a second on a terminal, every few seconds in a log, not at all for programs.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use testkit::fake_shop::Counts;
use tokio::time::{Instant, MissedTickBehavior, interval};
use values::OrderId;

use super::buyers::Tally;
use super::oracle::Truth;
use super::world::World;
use super::{DemoError, Plan};

const TICK: Duration = Duration::from_millis(100);
/// Whether onhand knows the newest orders is looked at this often: the resolution of the lag.
const LOOK: Duration = Duration::from_millis(50);
/// How often the numbers are worked out anew.
const FIGURES_EVERY: Duration = Duration::from_secs(1);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// Lags kept to tell the usual one from the longest.
const LAGS_MAX: usize = 10_000;

/// Where it shows.
#[derive(Debug)]
pub(super) struct View {
    shown: Shown,
    lags: Mutex<Vec<Duration>>,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines(Mutex<Option<Instant>>),
    Nothing,
}

/// How long onhand took to know orders.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lags {
    pub(super) median: Duration,
    pub(super) longest: Duration,
}

/// What the pushes came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pushes {
    /// Calls made to change stocks.
    pub(super) calls: u64,
    /// Changes of stocks in them.
    pub(super) changes: u64,
    /// Calls that one call for each change and shop would have needed beyond these.
    pub(super) saved: u64,
}

impl View {
    pub(super) fn new(silent: bool) -> Self {
        let shown = if silent {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {msg}").expect("the template is well formed");
            bar.set_style(style);
            bar.enable_steady_tick(TICK);
            Shown::Bar(bar)
        } else {
            Shown::Lines(Mutex::new(None))
        };
        Self { shown, lags: Mutex::default() }
    }

    /// Something new begins.
    pub(super) fn phase(&self, text: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(text.to_owned()),
            Shown::Lines(last) => {
                *lock(last) = Some(Instant::now());
                line(text);
            }
            Shown::Nothing => {}
        }
    }

    /// How it goes on.
    pub(super) fn update(&self, text: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(text.to_owned()),
            Shown::Lines(last) => {
                let mut last = lock(last);
                if last.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
                    *last = Some(Instant::now());
                    line(text);
                }
            }
            Shown::Nothing => {}
        }
    }

    pub(super) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    pub(super) fn lags(&self) -> Lags {
        let mut lags = lock(&self.lags).clone();
        lags.sort_unstable();
        let of = |index: usize| lags.get(index).copied().unwrap_or_default();
        Lags { median: of(lags.len() / 2), longest: of(lags.len().saturating_sub(1)) }
    }
}

#[expect(clippy::print_stderr, reason = "progress of a command line tool")]
fn line(text: &str) {
    eprintln!("{}", text.replace('\n', "; "));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pushes {
    pub(super) fn of(world: &World, tally: &Tally) -> Self {
        let counts: Vec<Counts> = world.shops.iter().map(|shop| shop.fake.counts()).collect();
        let calls =
            counts.iter().map(|counts| counts.calls_of("POST products") + counts.calls_of("PUT products"));
        let calls = calls.sum();
        let shops = u64::try_from(world.shops.len()).unwrap_or(u64::MAX);
        let lines = tally.lines.load(Ordering::Relaxed);
        let receipts = tally.receipts.load(Ordering::Relaxed);
        // Every line told to every other shop, every receipt to each: what a plug-in without memory does.
        let naive = lines * shops.saturating_sub(1) + receipts * shops;
        let changes = counts.iter().map(|counts| counts.stock_writes).sum();
        Self { calls, changes, saved: naive.saturating_sub(calls) }
    }
}

/// Shows how it goes until it is dropped; ends only with an error.
pub(super) async fn watch(world: &World, tally: &Tally, view: &View, plan: &Plan) -> Result<(), DemoError> {
    let start = Instant::now();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unknown: BTreeMap<usize, (OrderId, Instant)> = BTreeMap::new();
    let mut figures_at: Option<Instant> = None;
    loop {
        looks.tick().await;
        look(world, tally, view, &mut unknown).await?;
        if figures_at.is_none_or(|at| at.elapsed() >= FIGURES_EVERY) {
            figures_at = Some(Instant::now());
            let text = figures(world, tally, view, plan, start.elapsed()).await?;
            view.update(&text);
        }
    }
}

/// Notes how long onhand took to know the order looked for, and then looks for the newest.
async fn look(
    world: &World,
    tally: &Tally,
    view: &View,
    unknown: &mut BTreeMap<usize, (OrderId, Instant)>,
) -> Result<(), DemoError> {
    for (shop, newest) in tally.newest() {
        unknown.entry(shop).or_insert(newest);
    }
    let mut known = Vec::new();
    for (number, (order, since)) in &*unknown {
        let Some(shop) = world.shops.get(*number) else { continue };
        if world.hub.store.order(shop.id, *order).await?.is_some() {
            let mut lags = lock(&view.lags);
            if lags.len() < LAGS_MAX {
                lags.push(since.elapsed());
            }
            known.push(*number);
        }
    }
    for number in known {
        unknown.remove(&number);
    }
    Ok(())
}

async fn figures(
    world: &World,
    tally: &Tally,
    view: &View,
    plan: &Plan,
    elapsed: Duration,
) -> Result<String, DemoError> {
    let truth = Truth::of(world, &tally.received());
    let difference = truth.compare(world).await?;
    let pushes = Pushes::of(world, tally);
    let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let orders = of(&tally.acknowledged);
    let rate = orders / elapsed.as_secs().max(1);
    let changes = of(&tally.paid)
        + of(&tally.completed)
        + of(&tally.cancelled)
        + of(&tally.edited)
        + of(&tally.trashed);
    Ok(format!(
        "buying, {} of {} s\n  orders   {orders} ({rate}/s), {} found nothing left, {changes} changed, {} refunds, {} receipts, {} faults\n  pushes   {} changes in {} calls, {} calls saved\n  lag      {:.1?} until onhand knows an order\n  stocks   {} of {} not settled",
        elapsed.as_secs(),
        plan.lasts.as_secs(),
        of(&tally.turned_away),
        of(&tally.refunded),
        of(&tally.receipts),
        of(&tally.faults),
        pushes.changes,
        pushes.calls,
        pushes.saved,
        view.lags().median,
        difference.stocks,
        world.skus.len() * world.shops.len(),
    ))
}
