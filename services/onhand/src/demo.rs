//! `onhand demo`: all of onhand between fake shops, with buyers who do what buyers do, and at the end the proof that
//! every shop shows what it should.

mod buyers;
mod demand;
mod dice;
mod oracle;
mod oversold;
mod settles;
mod settling;
mod summary;
mod view;
mod world;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use process::tasks::EarlyEnd;
use process::telemetry::{LogFormat, LogLevel};
use tokio::time::Instant;

use crate::failure::Failure;
use crate::screen::Screen;
use buyers::Tally;
use demand::Demand;
use oversold::Oversold;
use settles::Settles;
use summary::{Course, Summary};
use view::View;
use world::World;

/// How long onhand may take to stop when the demo is over.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// How long buyers buy.
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    lasts: Duration,
    /// Orders a second, over all shops.
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    orders_per_second: u32,
    /// Goods that every shop sells.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    skus: u32,
    /// Shops that sell them.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    shops: u32,
    /// Units each shop keeps back of each good, so that no two sell the same last ones; 0 shows what happens without
    /// [default: what the best seller sells in the 5 seconds until a sale is known in every shop, and a line more].
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    buffer: Option<u32>,
    /// Decides what everybody does; the demo tells which it took if none is given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Whether the shops tell of orders themselves; off, onhand finds everything by reading.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    webhooks: Switch,
    /// Log to standard error instead of showing a live view.
    #[arg(long)]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// What is to happen.
#[derive(Debug, Clone, Copy)]
struct Plan {
    lasts: Duration,
    orders_per_second: u32,
    skus: u32,
    shops: u32,
    seed: u64,
    webhooks: bool,
    /// Units each shop keeps back of each good.
    buffer: i64,
}

/// The demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("a directory for its data cannot be made")]
    Directory(#[source] std::io::Error),
    #[error("a fake shop cannot listen")]
    FakeShop(#[source] std::io::Error),
    #[error("onhand cannot start")]
    Start(#[from] crate::standalone::StartError),
    #[error("its database cannot be read")]
    Store(#[from] store::Error),
    #[error("onhand refused something")]
    Api(#[source] Box<Failure>),
    #[error("a shop that was added is not there")]
    ShopGone,
    #[error("shops were not connected within {seconds} seconds: {state}")]
    NotConnected { seconds: u64, state: String },
    #[error("what a buyer did ended badly")]
    Act(#[source] tokio::task::JoinError),
    #[error("{}", .0)]
    Ended(EarlyEnd),
}

impl From<Failure> for DemoError {
    fn from(failure: Failure) -> Self {
        Self::Api(Box::new(failure))
    }
}

impl Demo {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        if self.verbose {
            // Without traces there is nothing to flush.
            let started = process::telemetry::start("onhand demo", LogFormat::Auto, LogLevel::Info, None);
            drop(started.map_err(crate::standalone::StartError::from)?);
        }
        let summary = play(&self.plan(), screen, self.verbose).await?;
        summary.print(screen)?;
        if summary.is_right() { Ok(()) } else { Err(Failure::Disagree) }
    }

    fn plan(&self) -> Plan {
        // Any number will do; the clock gives another each time.
        let seed = self.seed.unwrap_or_else(|| process::clock::now().micros().unsigned_abs() % 1_000_000);
        let mut plan = Plan {
            lasts: self.lasts,
            orders_per_second: self.orders_per_second,
            skus: self.skus,
            shops: self.shops,
            seed,
            webhooks: self.webhooks == Switch::On,
            buffer: 0,
        };
        plan.buffer = self.buffer.map_or_else(|| Demand::of(&plan).sold_unheard(), i64::from);
        plan
    }
}

async fn play(plan: &Plan, screen: Screen, verbose: bool) -> Result<Summary, DemoError> {
    let view = View::new(screen.json || verbose);
    view.phase(&format!("starting onhand and {} shops with {} goods each", plan.shops, plan.skus));
    let world = Arc::new(World::open(plan).await?);
    let tasks = world.hub.tasks.clone();
    let played = tokio::select! {
        played = acts(plan, &world, &view) => played,
        early = tasks.early_end() => Err(DemoError::Ended(early)),
    };
    view.end();
    drop(world);
    let overdue = tasks.drain(DRAIN_DEADLINE).await;
    if !overdue.is_empty() {
        tracing::warn!(tasks = overdue.join(", "), "onhand did not stop in time");
    }
    played
}

async fn acts(plan: &Plan, world: &Arc<World>, view: &View) -> Result<Summary, DemoError> {
    settling::connected(world, view).await?;
    let tally = Arc::new(Tally::starting_with(world.received.clone()));
    let settles_before = Settles::of(world);
    let started = Instant::now();
    let lags = {
        let mut watching = std::pin::pin!(view::watch(world, &tally, view, plan));
        tokio::select! {
            bought = buyers::run(world, plan, &tally) => bought?,
            watched = watching.as_mut() => watched?,
        }
        view.lags()
    };
    let bought = started.elapsed();
    let oversold = Oversold::of(world, &tally).await?;
    let settled = settling::settle(world, &tally, view).await?;
    let settles = Settles::of(world).since(settles_before);
    let course = Course { bought, lags, oversold, settled, settles };
    Summary::of(plan, world, &tally, course).await
}

/// `30s`, `2m`, or bare seconds.
fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let number: u64 = number.parse().map_err(|_| "it wants a time such as 30s or 2m".to_owned())?;
    match number.checked_mul(unit) {
        Some(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("it wants a second to a day".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, seconds) in
            [("30s", Some(30)), ("2m", Some(120)), ("5", Some(5)), ("0s", None), ("x", None)]
        {
            assert_eq!(parse_time(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
