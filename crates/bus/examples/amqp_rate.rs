//! How fast the AMQP transport publishes and empties its spool, each beside what the client library does alone with the
//! same bytes on the same broker: `cargo run --release -p onhand-bus --example amqp_rate`. It starts a broker.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement speaks to its user")]

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use onhand_bus::{AmqpOptions, Bus, Flow, Topology};
use proto::{CONTENT_TYPE, Envelope, OrderUnreadable, Word};
use serde_json::json;
use spool::Options;
use testkit::servers::rabbitmq::RabbitMq;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{OrderId, ShopId, Timestamp};

const MESSAGES: usize = 40_000;
/// Callers that publish one message at a time.
const CALLERS: usize = 256;
/// Messages of a caller that publishes many together.
const TOGETHER: usize = 500;
const BODY_BYTES: usize = 500;
const ROUNDS: usize = 5;
/// Least part of what the library does alone that is expected.
const LEAST_PUBLISHED: f64 = 0.7;
const LEAST_DRAINED: f64 = 0.6;

fn message(number: usize) -> anyhow::Result<Envelope> {
    let number = i64::try_from(number)?;
    let shop = ShopId::new(number % 64 + 1).context("a shop has a positive number")?;
    let message = OrderUnreadable { shop, order: OrderId::new(number), reason: Word::clipped("rate") };
    let mut envelope =
        Envelope::seal(&message.into(), Uuid::now_v7(), Timestamp::from_seconds(number), "ingress")?;
    envelope.body.resize(BODY_BYTES, 0);
    Ok(envelope)
}

fn rate(count: usize, took: Duration) -> u64 {
    u64::try_from(count).unwrap_or(0) * 1_000 / u64::try_from(took.as_millis().max(1)).unwrap_or(1)
}

/// The library alone: as many tasks on one channel.
async fn raw(channel: &Channel, queue: &str) -> anyhow::Result<u64> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (channel, queue) = (channel.clone(), queue.to_owned());
        tasks.spawn(async move {
            let body = vec![0; BODY_BYTES];
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            for _ in 0..MESSAGES / CALLERS {
                let mut headers = FieldTable::default();
                headers.insert("onhand-shard-key".into(), AMQPValue::LongLongInt(1));
                headers.insert("onhand-micros".into(), AMQPValue::LongLongInt(1));
                let properties = BasicProperties::default()
                    .with_delivery_mode(2)
                    .with_message_id(Uuid::now_v7().to_string().into())
                    .with_type("order.unreadable.v1".into())
                    .with_content_type(CONTENT_TYPE.into())
                    .with_app_id("ingress".into())
                    .with_timestamp(1)
                    .with_headers(headers);
                let sent = channel
                    .basic_publish("".into(), queue.as_str().into(), options, &body, properties)
                    .await?;
                if !sent.await?.is_ack() {
                    bail!("not confirmed");
                }
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(rate(MESSAGES, began.elapsed()))
}

/// The transport, each caller with so many messages at a time.
async fn ours(bus: &Bus, together: usize) -> anyhow::Result<u64> {
    let callers = (MESSAGES / together).min(CALLERS);
    let each = MESSAGES / callers / together;
    let envelopes = (0..together).map(message).collect::<anyhow::Result<Vec<_>>>()?;
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (publisher, envelopes) = (bus.publisher(), envelopes.clone());
        tasks.spawn(async move {
            for _ in 0..each {
                for answer in publisher.publish(&envelopes).await {
                    answer?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(rate(callers * each * together, began.elapsed()))
}

/// Fills a spool while there is no broker, then lets it be emptied.
async fn drained(url: &str, topology: Topology) -> anyhow::Result<(u64, u64)> {
    let folder = tempfile::tempdir()?;
    let (spool, writer) = spool::open(Options::at(folder.path().join("spool.db"))).await?;
    let writing = tokio::spawn(writer.run());
    let nowhere = AmqpOptions::new(&"amqp://127.0.0.1:9".to_owned().into(), "rate")?;
    let stop = CancellationToken::new();
    let (bus, supervisor) = Bus::amqp(nowhere, topology, Some(&spool)).await?;
    let running = tokio::spawn(supervisor.run(stop.clone()));
    let spooled = ours(&bus, 1).await?;
    stop.cancel();
    running.await?;
    drop(bus);
    let options = AmqpOptions::new(&url.to_owned().into(), "rate")?;
    let stop = CancellationToken::new();
    let (bus, supervisor) = Bus::amqp(options, topology, Some(&spool)).await?;
    let waiting = usize::try_from(bus.unsent())?;
    let began = Instant::now();
    let running = tokio::spawn(supervisor.run(stop.clone()));
    while bus.unsent() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let rate = rate(waiting, began.elapsed());
    stop.cancel();
    running.await?;
    drop((bus, spool));
    writing.await??;
    Ok((spooled, rate))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let broker = tokio::task::spawn_blocking(RabbitMq::own).await?;
    let url = broker.vhost().await.url();
    let topology = Topology::new(1, 1, 1).context("one shard is a number of shards")?;
    let options = AmqpOptions::new(&url.clone().into(), "rate")?;
    let (bus, supervisor) = Bus::amqp(options, topology, None).await?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(supervisor.run(stop.clone()));
    let queue = topology.queues(Flow::InventoryOrders).next().context("a flow has a queue")?.to_string();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let empty = async || channel.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await;
    let mut rounds: [Vec<u64>; 5] = Default::default();
    for round in 1..=ROUNDS {
        let mut figures = vec![raw(&channel, &queue).await?];
        empty().await?;
        for together in [1, TOGETHER] {
            figures.push(ours(&bus, together).await?);
            empty().await?;
        }
        let (spooled, drained) = drained(&url, topology).await?;
        empty().await?;
        figures.extend([spooled, drained]);
        println!("round {round}: {figures:?}");
        for (all, figure) in rounds.iter_mut().zip(figures) {
            all.push(figure);
        }
    }
    stop.cancel();
    running.await?;
    let [raw, one, many, spooled, drained] = rounds.map(median);
    let figure = |name, value: u64, least: Option<f64>| {
        let ratio = least.map(|_| ratio(value, raw));
        json!({ "name": name, "value": value, "unit": "messages/s", "limit": raw, "ratio": ratio, "least": least })
    };
    let figures = [
        figure("published one at a time by 256 callers", one, Some(LEAST_PUBLISHED)),
        figure("published 500 at a time", many, Some(LEAST_PUBLISHED)),
        figure("drained from the spool", drained, Some(LEAST_DRAINED)),
        json!({ "name": "spooled while there is no broker", "value": spooled, "unit": "messages/s" }),
    ];
    println!("{}", json!({ "figures": figures }));
    Ok(())
}

fn median(mut figures: Vec<u64>) -> u64 {
    figures.sort_unstable();
    figures.get(figures.len() / 2).copied().unwrap_or(0)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "rates are far below 2^52")]
fn ratio(value: u64, of: u64) -> f64 {
    value as f64 / of.max(1) as f64
}
