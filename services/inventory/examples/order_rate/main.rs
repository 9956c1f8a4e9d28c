//! How fast inventory applies orders from a broker to PostgreSQL, both real and durable.
//!
//! `cargo run --release -p onhand-inventory --example order_rate -- WHAT [ROUNDS] [ORDERS] [CONSUMERS]`
//!
//! `orders` measures beside what the same database does otherwise, in turn: rows inserted a thousand at a time, a transaction
//! for each order, one row updated by many; it alone takes the number of consumers. `fan-out` has every SKU sold by fifty
//! shops. `flat` compares processor time of small and large. `try` runs orders alone: consumers and messages of a batch follow.
//! `statements` does so too, and says what each statement cost the database.

extern crate onhand_inventory as inventory;

mod cpu;
mod figures;
mod peers;
mod raw;
mod run;
mod traffic;
mod world;

use anyhow::{Context, bail};
use figures::{Figures, Goal, Series};
use peers::Peers;
use run::{Setting, check, number, run};
use traffic::Of;
use world::{Servers, Size, World};

/// As in the program that is installed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As it is used on two processors, as fast as it can.
const SETTING: Setting = Setting { consumers: 2, batch_messages_max: 1_000 };
/// Batches as they are at 1,000 orders a second, which wait 20 ms for each other.
const SETTING_PACED: Setting = Setting { consumers: 2, batch_messages_max: 20 };
const SIZE: Size = Size { skus: 100_000, shops: 16, sellers: 1 };
const SIZE_FAN_OUT: Size = Size { skus: 2_000, shops: 50, sellers: 50 };
/// The first is what the others are compared with.
const SIZES_FLAT: [Size; 3] = [
    Size { skus: 1_000, shops: 10, sellers: 1 },
    Size { skus: 1_000_000, shops: 10, sellers: 1 },
    Size { skus: 1_000_000, shops: 2_000, sellers: 1 },
];
const ROUNDS: u32 = 5;
const ORDERS: u32 = 20_000;
/// Orders applied before the first round, by shops that have sold for a while: the server has had most pages in its hands since
/// its last checkpoint, and writes them down as a whole only the first time.
const ORDERS_BEFORE: u32 = 100_000;
/// Orders of a round where each writes a hundred levels.
const ORDERS_FAN_OUT: u32 = 2_000;
/// Connections that insert raw rows: one a processor, however many consumers inventory has.
const RAW_CONNECTIONS: u32 = 2;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let what = arguments.first().map_or("orders", String::as_str);
    let given = |place: usize, otherwise: u32| match arguments.get(place) {
        Some(text) => text.parse().context("a number is expected"),
        None => Ok(otherwise),
    };
    let rounds = given(1, ROUNDS)?;
    match what {
        "orders" => {
            let consumers = u16::try_from(given(3, u32::from(SETTING.consumers))?)?;
            orders(rounds, given(2, ORDERS)?, Setting { consumers, ..SETTING }).await
        }
        "fan-out" => fan_out(rounds, given(2, ORDERS_FAN_OUT)?).await,
        "flat" => flat(rounds, given(2, ORDERS)?).await,
        "try" => {
            let consumers = u16::try_from(given(3, 2)?)?;
            let batch_messages_max = usize::try_from(given(4, 1_000)?)?;
            try_out(rounds, given(2, ORDERS)?, Setting { consumers, batch_messages_max }).await
        }
        "statements" => statements(rounds, given(2, ORDERS)?).await,
        _ => bail!("there are: orders, fan-out, flat, try, statements"),
    }
}

async fn orders(rounds: u32, count: u32, setting: Setting) -> anyhow::Result<()> {
    let servers = Servers::start().await?;
    let mut world = World::make(SIZE).await?;
    let mut peers = Peers::make(&world.database)?;
    let [mut raw, mut naive, mut row] = <[Series; 3]>::default();
    let [mut uniform, mut rows, mut published, mut hot] = <[Series; 4]>::default();
    let [mut own, mut server] = <[Series; 2]>::default();
    run(&servers, &mut world, setting, ORDERS_BEFORE, Of::Uniform).await?;
    for _ in 0..rounds {
        raw.add(peers.raw_rows(RAW_CONNECTIONS).await?);
        let ran = run(&servers, &mut world, setting, count, Of::Uniform).await?;
        uniform.add(ran.orders);
        rows.add(ran.rows);
        published.add(ran.published);
        own.add(ran.own_micros);
        server.add(ran.server_micros);
        naive.add(peers.naive_orders()?);
        hot.add(run(&servers, &mut world, setting, count, Of::Hot).await?.orders);
        row.add(peers.row_updates()?);
    }
    check(&world).await?;
    let oversold = oversold(&world)?;
    let mut figures = Figures::default();
    figures.beside("rows of orders applied, of raw inserts", "rows/s", &rows, &raw, Goal::Least(0.25));
    figures.beside("orders applied, of one transaction each", "orders/s", &uniform, &naive, Goal::Least(4.0));
    figures.beside("orders on one SKU, of orders on all", "orders/s", &hot, &uniform, Goal::Least(0.9));
    figures.beside("orders on one SKU, of updates of a row", "orders/s", &hot, &row, Goal::Least(6.0));
    figures.alone("orders until their levels were published", "orders/s", &published);
    figures.alone("processor time of inventory for an order", "µs", &own);
    figures.alone("processor time of the database for an order", "µs", &server);
    figures.alone("oversold of that SKU, accounted", "units", &oversold);
    figures.end();
    Ok(())
}

/// By how much the hot SKU is below nothing: a shop has sold it, so it counts, and the check has added it up.
fn oversold(world: &World) -> anyhow::Result<Series> {
    let oversold = number(
        world,
        &format!(
            "SELECT (-sum((j ->> 1)::bigint - (j ->> 2)::bigint) / 1000)::bigint
               FROM inventory.skus, json_array_elements(balances::json) AS j WHERE sku = 'SKU-{:07}'",
            world.hot() + 1
        ),
    )?;
    let mut series = Series::default();
    series.add(f64::from(oversold));
    Ok(series)
}

async fn fan_out(rounds: u32, count: u32) -> anyhow::Result<()> {
    let servers = Servers::start().await?;
    let mut world = World::make(SIZE_FAN_OUT).await?;
    let [mut applied, mut rows, mut of_order, mut published] = <[Series; 4]>::default();
    run(&servers, &mut world, SETTING, count / 4, Of::Uniform).await?;
    for _ in 0..rounds {
        let ran = run(&servers, &mut world, SETTING, count, Of::Uniform).await?;
        applied.add(ran.orders);
        rows.add(ran.rows);
        of_order.add(ran.rows_of_order);
        published.add(ran.published);
    }
    check(&world).await?;
    let mut figures = Figures::default();
    figures.alone("orders applied, each SKU sold by 50 shops", "orders/s", &applied);
    figures.alone("rows of them", "rows/s", &rows);
    figures.alone("rows of an order", "rows", &of_order);
    figures.alone("orders until their levels were published", "orders/s", &published);
    figures.end();
    Ok(())
}

async fn flat(rounds: u32, count: u32) -> anyhow::Result<()> {
    let servers = Servers::start().await?;
    let mut worlds = Vec::new();
    for size in SIZES_FLAT {
        worlds.push(World::make(size).await?);
    }
    let mut first: [Series; 3] = Default::default();
    for (world, first) in worlds.iter_mut().zip(&mut first) {
        first.add(run(&servers, world, SETTING, count, Of::Uniform).await?.server_micros);
        run(&servers, world, SETTING, ORDERS_BEFORE, Of::Uniform).await?;
    }
    let settings = [("batches as at 1,000 orders/s", SETTING_PACED), ("as fast as it can", SETTING)];
    let mut own: [[Series; 3]; 2] = Default::default();
    let mut server: [[Series; 3]; 2] = Default::default();
    for _ in 0..rounds {
        for (((_, setting), own), server) in settings.iter().zip(&mut own).zip(&mut server) {
            for ((world, own), server) in worlds.iter_mut().zip(own).zip(server) {
                let ran = run(&servers, world, *setting, count, Of::Uniform).await?;
                own.add(ran.own_micros);
                server.add(ran.server_micros);
            }
        }
    }
    for world in &worlds {
        check(world).await?;
    }
    let mut figures = Figures::default();
    let [small, ..] = SIZES_FLAT;
    for (((how, _), own), server) in settings.iter().zip(&own).zip(&server) {
        let ([own_small, ..], [server_small, ..]) = (own, server);
        for ((size, own), server) in SIZES_FLAT.iter().zip(own).zip(server).skip(1) {
            let beside = format!(
                "{how}, {} SKUs, {} shops beside {}, {}",
                size.skus, size.shops, small.skus, small.shops
            );
            figures.beside(&format!("inventory: {beside}"), "µs/order", own, own_small, Goal::Most(1.5));
            figures.beside(&format!("database: {beside}"), "µs/order", server, server_small, Goal::Most(1.5));
        }
    }
    for (size, first) in SIZES_FLAT.iter().zip(&first) {
        let name = format!("database, first after a checkpoint: {} SKUs, {} shops", size.skus, size.shops);
        figures.alone(&name, "µs/order", first);
    }
    figures.end();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn try_out(rounds: u32, count: u32, setting: Setting) -> anyhow::Result<()> {
    let servers = Servers::start().await?;
    let mut world = World::make(SIZE).await?;
    for _ in 0..rounds {
        for of in [Of::Uniform, Of::Hot] {
            let ran = run(&servers, &mut world, setting, count, of).await?;
            println!("{of:?} {ran:.1?}");
        }
    }
    check(&world).await
}

/// Those that took the most time in all, with their time for an order of both kinds.
const STATEMENTS: &str = "
SELECT format('%s calls %s ms/call, of that planning %s ms, %s rows/call: %s µs/order  %s', lpad(calls::text, 6),
              lpad(round(((total_exec_time + total_plan_time) / calls)::numeric, 3)::text, 8),
              lpad(round((total_plan_time / calls)::numeric, 3)::text, 7),
              lpad((rows / calls)::text, 5),
              lpad(round(((total_exec_time + total_plan_time) * 1000 / $ORDERS)::numeric, 1)::text, 6),
              left(regexp_replace(query, '\\s+', ' ', 'g'), 90))
  FROM public.pg_stat_statements WHERE calls > 3 ORDER BY total_exec_time + total_plan_time DESC LIMIT 40";

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn statements(rounds: u32, count: u32) -> anyhow::Result<()> {
    let servers = Servers::start().await?;
    let mut world = World::counting(SIZE).await?;
    run(&servers, &mut world, SETTING, count / 4, Of::Uniform).await?;
    for of in [Of::Uniform, Of::Hot] {
        world.database.run("SELECT public.pg_stat_statements_reset()");
        for _ in 0..rounds {
            println!("{of:?} {:.1?}", run(&servers, &mut world, SETTING, count, of).await?);
        }
        let orders = (rounds * count).to_string();
        for line in world.database.run(&STATEMENTS.replace("$ORDERS", &orders)) {
            println!("{line}");
        }
    }
    check(&world).await
}
