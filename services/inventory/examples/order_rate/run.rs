//! One run: orders wait in the broker's queues, then inventory begins, and is looked at until it has acknowledged all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bus::{AmqpOptions, Bus, Flow, Topology};
use inventory::{AlertSettings, Pace, Parts, Settings};
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::Tasks;
use proto::{Envelope, Message};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::Timestamp;

use crate::cpu::{Cpu, postmaster};
use crate::traffic::{Of, orders};
use crate::world::{Servers, World};

/// Messages published at a time.
const PUBLISHED_TOGETHER: usize = 1_000;
/// Between two looks at the queues, for which the broker opens a channel each, and at the outbox, which takes longer to count.
const LOOK: Duration = Duration::from_millis(25);
const LOOK_AT_OUTBOX: Duration = Duration::from_millis(100);
/// A run that takes longer has come to a halt.
const PATIENCE: Duration = Duration::from_mins(5);
/// What a connection did that is idle by now is counted after 10 s (`PGSTAT_IDLE_INTERVAL` of the server).
const COUNTED_WITHIN: Duration = Duration::from_secs(11);
/// How long what runs may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

const ROWS: &str = "
SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_all_tables
 WHERE schemaname = 'inventory' AND relname ~ '^(orders|lines|movements_.*|skus|stocks|outbox)$'";

/// How inventory is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Shards, which is consumers.
    pub(crate) consumers: u16,
    pub(crate) batch_messages_max: usize,
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ran {
    /// Orders a second, from the queue to the acknowledgement.
    pub(crate) orders: f64,
    /// The same until every level was published.
    pub(crate) published: f64,
    /// Rows inserted and updated a second.
    pub(crate) rows: f64,
    /// Rows of one order.
    pub(crate) rows_of_order: f64,
    /// Processor time of one order, in microseconds: inventory's process, and the database's.
    pub(crate) own_micros: f64,
    pub(crate) server_micros: f64,
}

pub(crate) async fn run(
    servers: &Servers,
    world: &mut World,
    setting: Setting,
    count: u32,
    of: Of,
) -> anyhow::Result<Ran> {
    let vhost = servers.broker.vhost().await;
    let topology = Topology::new(setting.consumers, 1, 1).context("a number of shards")?;
    let options = AmqpOptions::new(&vhost.url().into(), "bench")?;
    let (bus, supervisor) = Bus::amqp(options, topology, None).await?;
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "the supervisor outlives the tasks that are measured")]
    let supervising = tokio::spawn(supervisor.run(stop.clone()));
    publish(&bus, &orders(world, count, of)?).await?;

    let store = Arc::clone(&world.store);
    let server = postmaster(world.database.server().kept().folder())?;
    let rows_before = rows(world)?;
    let tasks = Tasks::new();
    let parts = Parts {
        store: Arc::clone(&store),
        bus: bus.clone(),
        member: "bench".to_owned(),
        health: Health::new(),
        settings: settings(setting),
        channels: notices::Channels::default(),
    };
    let cpu_before = Cpu::now(server)?;
    let began = Instant::now();
    let inventory = inventory::start(parts, &tasks, &Metrics::new());
    until(began, LOOK, async || Ok(waiting(&bus).await? == 0)).await?;
    let acknowledged = began.elapsed();
    let cpu = Cpu::now(server)?.since(cpu_before);
    until(began, LOOK_AT_OUTBOX, async || Ok(store.waiting().await?.outbox_count == 0)).await?;
    let published = began.elapsed();
    let overdue = tasks.drain(ENDS_WITHIN).await;
    ensure!(overdue.is_empty(), "{overdue:?} did not end");
    drop(inventory);
    stop.cancel();
    supervising.await?;
    tokio::time::sleep(COUNTED_WITHIN).await;
    let written = (rows(world)? - rows_before) / f64::from(count);
    servers.broker.api("DELETE", &format!("vhosts/{}", vhost.name), json!({})).await;

    let orders = f64::from(count) / acknowledged.as_secs_f64();
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(count);
    Ok(Ran {
        orders,
        published: f64::from(count) / published.as_secs_f64(),
        rows: orders * written,
        rows_of_order: written,
        own_micros: micros(cpu.own),
        server_micros: micros(cpu.server),
    })
}

/// The ledger is sound, and every order that was told is in it.
pub(crate) async fn check(world: &World) -> anyhow::Result<()> {
    let broken = world.store.check().await?;
    if let Some(broken) = broken.first() {
        bail!("the ledger is broken: {broken}");
    }
    let stored = world.database.run("SELECT count(*) FROM inventory.orders");
    ensure!(
        stored == [world.orders_made.to_string()],
        "{stored:?} of {} orders are stored",
        world.orders_made
    );
    Ok(())
}

fn settings(setting: Setting) -> Settings {
    Settings {
        batch_messages_max: setting.batch_messages_max,
        batch_wait: Duration::from_millis(20),
        operation_keys_kept: Duration::from_hours(1),
        pace: Pace::default(),
        alerts: AlertSettings::default(),
    }
}

async fn publish(bus: &Bus, messages: &[Message]) -> anyhow::Result<()> {
    let publisher = bus.publisher();
    for messages in messages.chunks(PUBLISHED_TOGETHER) {
        let envelopes: Vec<Envelope> = messages
            .iter()
            .map(|message| Envelope::seal(message, Uuid::now_v7(), Timestamp::default(), "ingress"))
            .collect::<Result<_, _>>()?;
        for answer in publisher.publish(&envelopes).await {
            answer?;
        }
    }
    Ok(())
}

async fn waiting(bus: &Bus) -> anyhow::Result<u64> {
    let mut messages = 0;
    for queue in bus.topology().queues(Flow::InventoryOrders) {
        messages += bus.depth(queue).await?.messages;
    }
    Ok(messages)
}

async fn until(
    began: Instant,
    look: Duration,
    done: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    while !done().await? {
        ensure!(began.elapsed() < PATIENCE, "it came to a halt");
        tokio::time::sleep(look).await;
    }
    Ok(())
}

/// Rows of inventory's tables that were inserted or updated so far, as far as they are counted.
fn rows(world: &World) -> anyhow::Result<f64> {
    Ok(f64::from(number(world, ROWS)?))
}

pub(crate) fn number(world: &World, sql: &str) -> anyhow::Result<i32> {
    let answer = world.database.run(sql);
    Ok(answer.first().context("no answer")?.parse()?)
}
