//! The distributed form from outside: how long an order in one shop takes to the other, beside what that takes at least, and
//! what each service costs in memory and to start. `cargo build --release -p onhand`, then
//! `cargo run --release -p onhand --example end_to_end [orders a second]`; it starts a broker and a database.
#![expect(clippy::print_stdout, reason = "a measurement speaks to its user")]

mod floor;
mod installation;
mod shops;

use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use testkit::fake_shop::{FakeShop, FakeShopOptions};
use testkit::shop::NewProduct;

use floor::{Floor, median};
use installation::{Installation, SERVICES};
use shops::Shops;

const ROUNDS: usize = 5;
const ORDERS_PER_SECOND: u32 = 200;
const ROUND: Duration = Duration::from_secs(8);
/// Sold before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);
const IDLE_FOR: Duration = Duration::from_secs(3);

/// What has to be reached.
const MOST_OF_FLOOR: f64 = 4.0;
const MOST_START_MS: f64 = 200.0;
const MOST_IDLE_MIB: f64 = 30.0;
const MOST_LOADED_MIB: f64 = 128.0;

/// Those that took the most time in all, with their calls and their time for an order.
const STATEMENTS: &str = "
SELECT format('%s calls/order %s µs/order %s ms/call  %s',
              lpad(round(calls::numeric / $ORDERS, 2)::text, 6),
              lpad(round(((total_exec_time + total_plan_time) * 1000 / $ORDERS)::numeric, 1)::text, 7),
              lpad(round(((total_exec_time + total_plan_time) / calls)::numeric, 3)::text, 7),
              left(regexp_replace(query, '\\s+', ' ', 'g'), 110))
  FROM public.pg_stat_statements WHERE calls > 3 ORDER BY total_exec_time + total_plan_time DESC LIMIT 60";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let rate = std::env::args().nth(1).map_or(Ok(ORDERS_PER_SECOND), |rate| rate.parse())?;
    let counts = std::env::args().nth(2).is_some_and(|word| word == "statements");
    let mut installation = Installation::prepare(counts).await?;
    let mut figures = started(&mut installation)?;
    tokio::time::sleep(IDLE_FOR).await;
    for service in SERVICES {
        let idle = installation.memory(service)?.now;
        figures.push(bounded(&format!("memory of {service}, idle"), "MiB", idle, MOST_IDLE_MIB));
    }
    let mut shops = Shops::connect(&installation).await?;
    println!("both shops are proven");
    if counts {
        installation.database.run("CREATE EXTENSION pg_stat_statements SCHEMA public");
    }
    figures.extend(sold(&installation, &mut shops, rate).await?);
    if counts {
        let seconds = u64::try_from(ROUNDS)? * ROUND.as_secs() + WARM_UP.as_secs();
        let orders = (seconds * u64::from(rate)).to_string();
        for line in installation.database.run(&STATEMENTS.replace("$ORDERS", &orders)) {
            println!("{line}");
        }
    }
    for service in SERVICES {
        let most = installation.memory(service)?.most;
        figures.push(bounded(&format!("memory of {service}, loaded"), "MiB", most, MOST_LOADED_MIB));
    }
    shops.check(&installation)?;
    println!("no drift");
    println!("{}", json!({ "figures": figures }));
    Ok(())
}

fn bounded(name: &str, unit: &str, value: f64, most: f64) -> Value {
    println!("{name}: {value:.1} {unit}");
    json!({ "name": name, "unit": unit, "value": value, "most": most })
}

/// How long each takes to be ready. They run afterwards.
fn started(installation: &mut Installation) -> anyhow::Result<Vec<Value>> {
    let mut figures = Vec::new();
    for service in SERVICES {
        let mut took = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            if round > 0 {
                installation.stop(service)?;
            }
            took.push(installation.start(service)?);
        }
        println!("{service}: {took:?}");
        let took = millis(median(took)?);
        figures.push(bounded(&format!("start of {service} to ready"), "ms", took, MOST_START_MS));
    }
    Ok(figures)
}

/// Rounds of the floor and of orders, one after the other.
async fn sold(installation: &Installation, shops: &mut Shops, rate: u32) -> anyhow::Result<Vec<Value>> {
    let alike = FakeShop::start(FakeShopOptions { https: true, ..FakeShopOptions::default() }).await?;
    let product = alike.with_model(|model, now| model.add_product(NewProduct::simple(None, 9), now));
    let mut floor = Floor::of(installation, &alike, product.get()).await?;
    shops.sell(rate, WARM_UP).await?;
    let (mut ours, mut late, mut limits, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let limit = floor.measure().await?;
        let took = shops.sell(rate, ROUND).await?;
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().context("nothing was sold");
        let (half, most) = (at(50)?, at(99)?);
        println!("round {round}: 50 % within {half:?}, 99 % within {most:?}; floor {limit:?}");
        ratios.push(half.as_secs_f64() / limit.as_secs_f64());
        ours.push(half);
        late.push(most);
        limits.push(limit);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios.get(ROUNDS / 2).context("there were rounds")?;
    let (ours, limit) = (millis(median(ours)?), millis(median(limits)?));
    Ok(vec![
        json!({
            "name": format!("an order to the other shop, {rate}/s, half of them"), "unit": "ms",
            "value": ours, "limit": limit, "ratio": ratio, "most": MOST_OF_FLOOR,
        }),
        json!({
            "name": format!("an order to the other shop, {rate}/s, 99 %"), "unit": "ms", "value": millis(median(late)?),
        }),
    ])
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}
