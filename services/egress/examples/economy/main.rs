//! How few calls egress makes: beside the fewest there can be, with levels that change again while they wait, shops' own
//! sales among them, and products with variations; beside a writer that calls for each change; after an outage. Prints
//! one JSON object.
//!
//! `cargo run -p onhand-egress --example economy -- [SHOPS] [STOCKS] [ROUNDS] [FLUSH_SECONDS]`

#![expect(clippy::print_stdout, reason = "a measurement is for people to read")]

mod hub;
mod naive;
mod shelf;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use testkit::fake_shop::{Counts, FakeShop, FakeShopOptions};

use hub::Hub;
use shelf::Shelf;

const SHOPS: usize = 5;
const STOCKS: usize = 2_000;
const ROUNDS: usize = 5;
/// Long enough to take a whole round in before the first call.
const FLUSH_SECONDS: usize = 3;
/// Each level changes so often before it is pushed.
const CHANGES: u64 = 10;
/// Changes that wait when they are pushed, of which each tells what one costs.
const BACKLOGS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
/// From one changed stock to the next; prime to any number of stocks that is a round one.
const STRIDE: usize = 7_919;
/// How often every level changes while the shop is away.
const OUTAGE_ROUNDS: usize = 3;
/// Longer than the lane waits for anything but its breaker.
const OUTAGE: Duration = Duration::from_secs(12);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long it may take until a lane leaves a shop alone that is away.
const NOTICED_WITHIN: Duration = Duration::from_mins(2);

/// What has to be reached.
const NAIVE_CALLS_LEAST: f64 = 100.0;
const NAIVE_BYTES_MOST: f64 = 0.15;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut number = |else_: usize| numbers.next().transpose().map(|given| given.unwrap_or(else_));
    let (shops, stocks) = (number(SHOPS)?, number(STOCKS)?);
    let (rounds, flush) = (number(ROUNDS)?, number(FLUSH_SECONDS)?);
    let hub = Hub::start(Duration::from_secs(u64::try_from(flush)?)).await?;
    let mut shelves = Vec::with_capacity(shops);
    for place in 0..shops {
        let fake = FakeShop::start(options()).await?;
        let lines = shelf::fill(&fake, stocks);
        let shop = hub.add_shop(&format!("shop-{place}"), &fake.url()).await?;
        shelves.push(Shelf { shop, fake, lines });
    }
    hub.prove(&mut shelves).await?;
    for shelf in &shelves {
        hub.at_rest(shelf).await?;
        let counts = shelf.fake.take_counts();
        ensure!(counts.calls_total() == 0, "a shop that shows what it should needs no call: {counts:?}");
    }
    let mut figures = economy(&hub, &mut shelves, rounds).await?;
    let mut shelf = shelves.pop().context("there is a shop")?;
    figures.extend(backlogs(&hub, &mut shelf).await?);
    figures.push(outage(&hub, shelf).await?);
    hub.stop().await?;
    println!("{}", json!({ "figures": figures }));
    Ok(())
}

fn options() -> FakeShopOptions {
    FakeShopOptions { delivery_period: None, ..FakeShopOptions::default() }
}

/// Rounds in which every stock of every shop changes, beside the fewest calls and beside one for each change.
async fn economy(hub: &Hub, shelves: &mut [Shelf], rounds: usize) -> anyhow::Result<Vec<Value>> {
    let fake = FakeShop::start(options()).await?;
    let (naive_changes, naive) = naive::write(hub, &fake).await?;
    let (mut fewest, mut changes) = (0, 0);
    let started = Instant::now();
    for round in 0..rounds {
        for shelf in &mut *shelves {
            fewest += shelf.change(round);
            changes += shelf.lines.len() * usize::try_from(CHANGES)?;
            hub.publish(shelf, None, CHANGES).await?;
        }
        for shelf in &*shelves {
            hub.at_rest(shelf).await?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut all = Counts::default();
    for shelf in &*shelves {
        shelf.check()?;
        let counts = shelf.fake.take_counts();
        for (route, count) in counts.calls {
            *all.calls.entry(route).or_default() += count;
        }
        all.bytes_received += counts.bytes_received;
        all.bytes_sent += counts.bytes_sent;
        all.stock_writes += counts.stock_writes;
        all.stock_writes_without_effect += counts.stock_writes_without_effect;
    }
    println!(
        "{} shops, {rounds} rounds, {changes} changed levels, {} stock writes in {seconds:.1} s: {:?}",
        shelves.len(),
        all.stock_writes,
        all.calls
    );
    let calls = float(all.calls_total())?;
    let naive_calls = float(naive.calls_total())? / real(naive_changes)? * real(changes)?;
    let bytes = |counts: &Counts, changes: usize| -> anyhow::Result<f64> {
        Ok((float(counts.bytes_received)? + float(counts.bytes_sent)?) / real(changes)?)
    };
    let (ours, theirs) = (bytes(&all, changes)?, bytes(&naive, naive_changes)?);
    Ok(vec![
        beside("calls", "calls", calls, real(fewest)?, ("most", 1.0)),
        beside(
            "calls of a writer that calls for each change",
            "calls",
            naive_calls,
            calls,
            ("least", NAIVE_CALLS_LEAST),
        ),
        beside("bytes of a change, beside that writer's", "bytes", ours, theirs, ("most", NAIVE_BYTES_MOST)),
        json!({ "name": "writes without effect", "unit": "writes", "value": all.stock_writes_without_effect, "most": 0 }),
    ])
}

/// The more changes wait, the less one costs.
async fn backlogs(hub: &Hub, shelf: &mut Shelf) -> anyhow::Result<Vec<Value>> {
    let (mut figures, mut costs) = (Vec::new(), Vec::new());
    for backlog in BACKLOGS {
        let stocks = shelf.lines.len();
        let places: BTreeSet<usize> = (0..backlog).map(|change| change * STRIDE % stocks).collect();
        let fewest = shelf.lower(&places);
        let changes = u64::try_from(backlog.div_ceil(places.len()))?;
        hub.publish(shelf, Some(&places), changes).await?;
        hub.at_rest(shelf).await?;
        shelf.check()?;
        let calls = float(shelf.fake.take_counts().calls_total())?;
        let cost = calls / real(places.len())? / real(usize::try_from(changes)?)?;
        println!("{backlog} changes of {} stocks wait: {calls} calls, {fewest} at least", places.len());
        figures.push(json!({ "name": format!("calls of a change, {backlog} waiting"), "unit": "calls", "value": cost }));
        costs.push(cost);
    }
    let rises = costs.iter().zip(costs.iter().skip(1)).filter(|(before, after)| after > before).count();
    figures.push(json!({ "name": "times a change cost more where more waited", "unit": "times", "value": rises, "most": 0 }));
    Ok(figures)
}

/// A shop goes away, its levels change, it comes back: the calls depend on how many stocks changed, not how often.
async fn outage(hub: &Hub, mut shelf: Shelf) -> anyhow::Result<Value> {
    let (port, kept) = (shelf.fake.address().port(), FakeShop::start(options()).await?);
    let model = std::mem::replace(&mut shelf.fake, kept).stop().await;
    let everything: BTreeSet<usize> = (0..shelf.lines.len()).collect();
    let (left, mut fewest) = (Instant::now(), 0);
    for _ in 0..OUTAGE_ROUNDS {
        fewest = shelf.lower(&everything);
        hub.publish(&mut shelf, None, CHANGES).await?;
    }
    loop {
        let lane = hub.store.lane(shelf.shop.id).await?;
        let is_left_alone = lane.is_some_and(|lane| lane.breaker == "open");
        if is_left_alone && left.elapsed() > OUTAGE {
            break;
        }
        ensure!(left.elapsed() < NOTICED_WITHIN, "the shop is away, and nobody notices");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (away, back) = (left.elapsed(), Instant::now());
    shelf.fake = FakeShop::start_with(model, options(), port).await?;
    hub.at_rest(&shelf).await?;
    shelf.check()?;
    let counts = shelf.fake.take_counts();
    println!(
        "{} stocks changed {} times in {:.0} s without the shop, caught up {:.1} s after: {:?}",
        everything.len(),
        CHANGES * u64::try_from(OUTAGE_ROUNDS)?,
        away.as_secs_f64(),
        back.elapsed().as_secs_f64(),
        counts.calls
    );
    let pushes = float(counts.calls_of("POST"))?;
    ensure!(counts.stock_writes_without_effect == 0, "writes without effect");
    Ok(beside("calls that push, after an outage", "calls", pushes, real(fewest)?, ("most", 1.0)))
}

fn beside(name: &str, unit: &str, value: f64, limit: f64, (bound, is): (&str, f64)) -> Value {
    json!({ "name": name, "unit": unit, "value": value, "limit": limit, "ratio": value / limit, bound: is })
}

fn float(count: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}

fn real(count: usize) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(count)?))
}
