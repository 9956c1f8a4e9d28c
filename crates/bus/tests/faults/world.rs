//! A bus to do things to, and what was published and what arrived.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant, SystemTime};

use onhand_bus::{
    AmqpOptions, Bus, Delivery, Disposition, Flow, Handler, Limits, Pause, Publisher, QueueName, Topology,
};
use proto::{Envelope, Message, OrderUnreadable, Word};
use spool::{Options, Spool};
use tempfile::TempDir;
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{OrderId, ShopId, Timestamp};

/// Everything is over long before; a test that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
pub(crate) const LIMITS: Limits =
    Limits { messages_max: 500, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };

/// The broker that all share, and a virtual host of our own.
pub(crate) async fn shared() -> (RabbitMq, Vhost) {
    let broker = tokio::task::spawn_blocking(RabbitMq::shared).await.unwrap();
    let vhost = broker.vhost().await;
    (broker, vhost)
}

/// A broker that may be killed.
pub(crate) async fn own() -> (RabbitMq, Vhost) {
    let broker = tokio::task::spawn_blocking(RabbitMq::own).await.unwrap();
    let vhost = broker.vhost().await;
    (broker, vhost)
}

pub(crate) fn options(url: &str) -> AmqpOptions {
    AmqpOptions::new(&url.to_owned().into(), "faults").unwrap()
}

#[expect(clippy::disallowed_methods, reason = "test code")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

/// The spool in that folder, and its writer, which ends when nobody uses the spool any more.
pub(crate) async fn open_spool(folder: &TempDir) -> (Spool, JoinHandle<()>) {
    let (spool, writer) = spool::open(Options::at(folder.path().join("spool.db"))).await.unwrap();
    (spool, spawn(async move { writer.run().await.unwrap() }))
}

/// Where nobody listens.
pub(crate) fn nowhere() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A process with a bus, and perhaps a spool.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) bus: Bus,
    stop: CancellationToken,
    running: Vec<JoinHandle<()>>,
}

impl Process {
    pub(crate) async fn plain(url: &str, topology: Topology) -> Self {
        Self::open(options(url), topology, None).await
    }

    /// With a spool in that folder.
    pub(crate) async fn spooling(url: &str, topology: Topology, folder: &TempDir) -> Self {
        let (spool, writing) = open_spool(folder).await;
        let mut process = Self::open(options(url), topology, Some(&spool)).await;
        process.running.push(writing);
        process
    }

    pub(crate) async fn open(options: AmqpOptions, topology: Topology, spool: Option<&Spool>) -> Self {
        let (bus, supervisor) = Bus::amqp(options, topology, spool).await.unwrap();
        let stop = CancellationToken::new();
        let running = vec![spawn(supervisor.run(stop.clone()))];
        Self { bus, stop, running }
    }

    pub(crate) fn queue(&self) -> QueueName {
        self.bus.topology().queues(Flow::InventoryOrders).next().unwrap()
    }

    /// An orderly end; the spool can be opened again afterwards.
    pub(crate) async fn end(self) {
        let Self { bus, stop, running } = self;
        drop(bus);
        stop.cancel();
        for task in running {
            timeout(PATIENCE, task).await.unwrap().unwrap();
        }
    }
}

pub(crate) fn shop(raw: i64) -> ShopId {
    ShopId::new(raw).unwrap()
}

/// A message that carries a number.
pub(crate) fn order(shop_number: i64, number: i64) -> Envelope {
    let message = OrderUnreadable {
        shop: shop(shop_number),
        order: OrderId::new(number),
        reason: Word::clipped("test"),
    };
    let id = Uuid::from_u64_pair(shop_number.unsigned_abs(), number.unsigned_abs());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = Timestamp::from_micros(i64::try_from(now.as_micros()).unwrap());
    Envelope::seal(&message.into(), id, now, "ingress").unwrap()
}

pub(crate) fn number(envelope: &Envelope) -> i64 {
    match envelope.open().unwrap() {
        Message::OrderUnreadable(message) => message.order.unwrap().get(),
        other => panic!("{other:?} was never published"),
    }
}

/// Publishes until it is confirmed, as everybody does.
pub(crate) async fn insist(publisher: &Publisher, envelope: &Envelope) -> u32 {
    let deadline = Instant::now() + PATIENCE;
    for tries in 1.. {
        match publisher.publish(std::slice::from_ref(envelope)).await.pop().unwrap() {
            Ok(()) => return tries,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        pause(Duration::from_millis(20)).await;
    }
    unreachable!("it is tried until the deadline")
}

pub(crate) async fn confirmed(bus: &Bus, envelopes: &[Envelope]) {
    for answer in timeout(PATIENCE, bus.publisher().publish(envelopes)).await.unwrap() {
        answer.unwrap();
    }
}

/// How long a fault lasts, or how often to look at a real broker.
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut there: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !there().await {
        assert!(Instant::now() < deadline, "{what}");
        pause(Duration::from_millis(10)).await;
    }
}

/// What arrived of each shop, in order, duplicates too.
#[derive(Debug, Default)]
pub(crate) struct Arrived(pub(crate) BTreeMap<u64, Vec<i64>>);

impl Arrived {
    fn note(&mut self, batch: &[Delivery]) {
        for delivery in batch {
            let key = delivery.envelope.properties.shard_key.get();
            self.0.entry(key).or_default().push(number(&delivery.envelope));
        }
    }

    /// Nothing of 1 to `last` is missing; each stood behind the one before it when it came first, and when it came last,
    /// so that what everybody is left with is the newest.
    pub(crate) fn check(&self, shops: usize, last: i64) {
        self.check_latest(shops, last);
        for (shop, numbers) in &self.0 {
            let mut first = BTreeMap::new();
            for (position, number) in numbers.iter().enumerate() {
                first.entry(*number).or_insert(position);
            }
            in_order(*shop, &first);
        }
    }

    /// The same of how they came last only.
    pub(crate) fn check_latest(&self, shops: usize, last: i64) {
        assert_eq!(self.0.len(), shops);
        for (shop, numbers) in &self.0 {
            let latest: BTreeMap<i64, usize> =
                numbers.iter().enumerate().map(|(position, number)| (*number, position)).collect();
            assert!(latest.keys().copied().eq(1..=last), "shop {shop}: {} of {last}", latest.len());
            in_order(*shop, &latest);
        }
    }
}

fn in_order(shop: u64, positions: &BTreeMap<i64, usize>) {
    let passed = positions.iter().zip(positions.iter().skip(1)).find(|(one, next)| one.1 > next.1);
    assert_eq!(passed, None, "of shop {shop} the second passed the first");
}

struct Taker<'a> {
    arrived: &'a mut Arrived,
    last: i64,
    shops: usize,
    stop: CancellationToken,
}

impl Handler for Taker<'_> {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        self.arrived.note(batch);
        let complete = |numbers: &Vec<i64>| numbers.contains(&self.last);
        if self.arrived.0.values().filter(|numbers| complete(numbers)).count() >= self.shops {
            self.stop.cancel();
        }
        Ok(vec![Disposition::Ack; batch.len()])
    }
}

/// Consumes until the message `last` of each of so many shops came.
pub(crate) async fn take_until(bus: &Bus, queue: QueueName, shops: usize, last: i64) -> Arrived {
    let mut arrived = Arrived::default();
    let stop = CancellationToken::new();
    let mut taker = Taker { arrived: &mut arrived, last, shops, stop: stop.clone() };
    timeout(PATIENCE, bus.consume(queue, LIMITS, &mut taker, &stop)).await.unwrap().unwrap();
    arrived
}
