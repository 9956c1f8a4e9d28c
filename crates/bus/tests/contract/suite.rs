//! The clauses of the contract, for any transport.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime};

use onhand_bus::{
    ALONE_FROM, Bus, ConsumeError, DELIVERY_LIMIT, Delivery, Depth, Disposition, FEW, FEW_FROM, Flow,
    Handler, LagError, Limits, Pause, PublishError, QueueName, Topology,
};
use proto::{Envelope, Message, OrderUnreadable, Word};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{OrderId, ShopId, Timestamp};

pub(crate) use crate::letters::{
    a_letter_that_is_left_stays, a_letter_whose_removal_was_cut_off_is_offered_again,
    letters_of_a_queue_that_another_consumes_can_be_kept, what_is_given_up_is_offered_before_what_follows,
};

/// Everything is over long before; a test that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
pub(crate) const LIMITS: Limits =
    Limits { messages_max: 1_000, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };

/// Makes a bus of some transport, and lets its process die.
pub(crate) trait Factory: Sized {
    fn start(topology: Topology) -> impl Future<Output = Self> + Send;
    fn bus(&self) -> &Bus;
    /// What a process that starts after a `kill -9` finds.
    fn killed(self) -> impl Future<Output = Self> + Send;
}

pub(crate) fn shop(raw: i64) -> ShopId {
    ShopId::new(raw).unwrap()
}

/// A message that carries a number.
pub(crate) fn order(shop: ShopId, number: i64) -> Envelope {
    let message = OrderUnreadable { shop, order: OrderId::new(number), reason: Word::clipped("test") };
    let id = Uuid::from_u64_pair(shop.get().unsigned_abs(), number.unsigned_abs());
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

pub(crate) fn numbers(batch: &[Delivery]) -> Vec<i64> {
    batch.iter().map(|delivery| number(&delivery.envelope)).collect()
}

pub(crate) fn all(batch: &[Delivery], disposition: &Disposition) -> Vec<Disposition> {
    vec![disposition.clone(); batch.len()]
}

struct Script<F>(F);

impl<F: FnMut(&[Delivery]) -> Result<Vec<Disposition>, Pause> + Send> Handler for Script<F> {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        (self.0)(batch)
    }
}

/// Consumes until the script stops it.
pub(crate) async fn consume(
    bus: &Bus,
    queue: QueueName,
    limits: Limits,
    mut script: impl FnMut(&[Delivery], &CancellationToken) -> Result<Vec<Disposition>, Pause> + Send,
) {
    let stop = CancellationToken::new();
    let mut handler = Script(|batch: &[Delivery]| script(batch, &stop));
    timeout(PATIENCE, bus.consume(queue, limits, &mut handler, &stop)).await.unwrap().unwrap();
}

pub(crate) async fn publish(bus: &Bus, envelopes: &[Envelope]) {
    for answer in timeout(PATIENCE, bus.publisher().publish(envelopes)).await.unwrap() {
        answer.unwrap();
    }
}

/// A bus with one queue of each flow, `count` messages of one shop in it.
pub(crate) async fn filled<F: Factory>(count: i64) -> (F, QueueName) {
    let factory = F::start(Topology::uniform(1).unwrap()).await;
    let queue = factory.bus().topology().queues(Flow::InventoryOrders).next().unwrap();
    let envelopes: Vec<Envelope> = (1..=count).map(|number| order(shop(1), number)).collect();
    publish(factory.bus(), &envelopes).await;
    (factory, queue)
}

/// Takes what there is, which has to be `count` messages: the numbers and delivery counts, batch by batch. Where the
/// batches end is up to the transport, as long as it keeps to the limits.
async fn take_all(bus: &Bus, queue: QueueName, count: usize) -> Vec<Vec<(i64, u32)>> {
    let mut batches: Vec<Vec<(i64, u32)>> = Vec::new();
    consume(bus, queue, LIMITS, |batch, stop| {
        batches.push(
            numbers(batch).into_iter().zip(batch.iter().map(|delivery| delivery.delivery_count)).collect(),
        );
        if batches.iter().map(Vec::len).sum::<usize>() >= count {
            stop.cancel();
        }
        Ok(all(batch, &Disposition::Ack))
    })
    .await;
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), count, "{batches:?}");
    assert_eq!(bus.depth(queue).await.unwrap().messages, 0);
    batches
}

/// Waits until `there` is true of the depth. A broker hears of a dead process when its connection ends, not before.
async fn depth_until(bus: &Bus, queue: QueueName, there: impl Fn(&Depth) -> bool) -> Depth {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let depth = bus.depth(queue).await.unwrap();
        if there(&depth) {
            return depth;
        }
        assert!(Instant::now() < deadline, "{depth:?}");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn confirmed_messages_survive_a_crash<F: Factory>() {
    let (factory, queue) = filled::<F>(50).await;
    let factory = factory.killed().await;
    let depth = factory.bus().depth(queue).await.unwrap();
    assert_eq!((depth.messages, depth.dead), (50, 0));
    let batches = take_all(factory.bus(), queue, 50).await;
    let expected: Vec<(i64, u32)> = (1..=50).map(|number| (number, 0)).collect();
    assert_eq!(batches.concat(), expected);
    let factory = factory.killed().await;
    assert_eq!(factory.bus().depth(queue).await.unwrap().messages, 0, "what was acknowledged stays away");
}

pub(crate) async fn messages_of_a_shop_keep_their_order<F: Factory>() {
    const SHOPS: i64 = 12;
    const EACH: i64 = 40;
    let factory = F::start(Topology::uniform(3).unwrap()).await;
    let mut publishing = tokio::task::JoinSet::new();
    for shop_number in 1..=SHOPS {
        let bus = factory.bus().clone();
        publishing.spawn(async move {
            for number in (1..=EACH).step_by(2) {
                publish(&bus, &[order(shop(shop_number), number), order(shop(shop_number), number + 1)])
                    .await;
            }
        });
    }
    publishing.join_all().await;
    let mut by_shop: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for queue in factory.bus().topology().queues(Flow::InventoryOrders) {
        let mut left = factory.bus().depth(queue).await.unwrap().messages;
        assert!(left > 0, "{queue} gets its share of {SHOPS} shops");
        consume(factory.bus(), queue, Limits { messages_max: 7, ..LIMITS }, |batch, stop| {
            for delivery in batch {
                let key = delivery.envelope.properties.shard_key.get();
                by_shop.entry(key).or_default().push(number(&delivery.envelope));
            }
            left -= u64::try_from(batch.len()).unwrap();
            if left == 0 {
                stop.cancel();
            }
            Ok(all(batch, &Disposition::Ack))
        })
        .await;
    }
    assert_eq!(by_shop.len(), usize::try_from(SHOPS).unwrap());
    assert!(by_shop.values().all(|numbers| *numbers == (1..=EACH).collect::<Vec<_>>()), "{by_shop:?}");
}

pub(crate) async fn each_message_is_answered_for_itself<F: Factory>() {
    let (factory, queue) = filled::<F>(0).await;
    let mut future = order(shop(1), 2);
    "order.unreadable.v2".clone_into(&mut future.properties.message_type);
    let mut unknown = order(shop(1), 3);
    "order.forgotten.v1".clone_into(&mut unknown.properties.message_type);
    let answers =
        factory.bus().publisher().publish(&[order(shop(1), 1), future, unknown, order(shop(1), 4)]).await;
    assert!(answers[0].is_ok() && answers[3].is_ok());
    for answer in &answers[1..3] {
        assert!(matches!(answer, Err(PublishError::Unroutable { .. })), "{answer:?}");
    }
    assert_eq!(take_all(factory.bus(), queue, 2).await.concat(), [(1, 0), (4, 0)]);
    assert!(factory.bus().publisher().publish(&[]).await.is_empty());
}

/// Tells what it was given and never decides.
struct Stuck(mpsc::Sender<Vec<i64>>);

impl Handler for Stuck {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        self.0.send(numbers(batch)).await.unwrap();
        std::future::pending().await
    }
}

pub(crate) async fn a_crash_redelivers_and_counts<F: Factory>() {
    let (mut factory, queue) = filled::<F>(6).await;
    for crash in 0..3 {
        let (sender, mut given) = mpsc::channel(1);
        let (mut stuck, stop) = (Stuck(sender), CancellationToken::new());
        let limits = Limits { messages_max: 4, wait_max: PATIENCE, ..LIMITS };
        tokio::select! {
            ended = factory.bus().consume(queue, limits, &mut stuck, &stop) => panic!("{ended:?}"),
            batch = timeout(PATIENCE, given.recv()) => assert_eq!(batch.unwrap().unwrap(), [1, 2, 3, 4], "{crash}"),
        }
        factory = factory.killed().await;
    }
    let batches = take_all(factory.bus(), queue, 6).await;
    assert_eq!(batches[..4], [vec![(1, 3)], vec![(2, 3)], vec![(3, 3)], vec![(4, 3)]]);
    assert_eq!(batches[4..].concat(), [(5, 0), (6, 0)], "what was not handed out was not delivered");
}

pub(crate) async fn what_comes_ahead_is_bounded_and_keeps_its_order<F: Factory>() {
    let (factory, queue) = filled::<F>(6).await;
    let (sender, mut given) = mpsc::channel(1);
    let (mut stuck, stop) = (Stuck(sender), CancellationToken::new());
    let limits = Limits { messages_max: 2, wait_max: PATIENCE, ahead_max: 2, ..LIMITS };
    tokio::select! {
        ended = factory.bus().consume(queue, limits, &mut stuck, &stop) => panic!("{ended:?}"),
        batch = timeout(PATIENCE, given.recv()) => assert_eq!(batch.unwrap().unwrap(), [1, 2]),
    }
    let factory = factory.killed().await;
    let taken = take_all(factory.bus(), queue, 6).await.concat();
    let [(1, 1), (2, 1), (3, third), (4, fourth), (5, 0), (6, 0)] = taken[..] else { panic!("{taken:?}") };
    // A broker may have sent them ahead, and counts that.
    assert!(third <= 1 && fourth <= 1, "{taken:?}");
}

/// Tells what it was given, settles the first batch and never decides about the second.
struct SettlesOne {
    given: mpsc::Sender<Vec<i64>>,
    settled: bool,
}

impl Handler for SettlesOne {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        self.given.send(numbers(batch)).await.unwrap();
        if std::mem::replace(&mut self.settled, true) {
            std::future::pending::<()>().await;
        }
        Ok(all(batch, &Disposition::Ack))
    }
}

pub(crate) async fn what_comes_ahead_counts_while_a_batch_is_handled<F: Factory>() {
    let (factory, queue) = filled::<F>(6).await;
    let (given, mut taken) = mpsc::channel(2);
    let (mut handler, stop) = (SettlesOne { given, settled: false }, CancellationToken::new());
    let limits = Limits { messages_max: 2, wait_max: PATIENCE, ahead_max: 2, ..LIMITS };
    let looking = async {
        for batch in [[1, 2], [3, 4]] {
            assert_eq!(timeout(PATIENCE, taken.recv()).await.unwrap().unwrap(), batch);
        }
        // The last two came when the first were settled: the handler does not have them, nor does the broker keep them back.
        depth_until(factory.bus(), queue, |depth| depth.messages == 4).await;
    };
    tokio::select! {
        ended = factory.bus().consume(queue, limits, &mut handler, &stop) => panic!("{ended:?}"),
        () = looking => {}
    }
}

pub(crate) async fn nothing_overtakes_a_message_to_be_retried<F: Factory>() {
    let (factory, queue) = filled::<F>(4).await;
    let mut seen = Vec::new();
    let started = Instant::now();
    let wait = Duration::from_millis(50);
    let limits = Limits { messages_max: 2, wait_max: PATIENCE, ..LIMITS };
    consume(factory.bus(), queue, limits, |batch, stop| {
        seen.push(
            batch
                .iter()
                .map(|delivery| (number(&delivery.envelope), delivery.redelivered()))
                .collect::<Vec<_>>(),
        );
        if seen.len() == 1 {
            return Ok(vec![Disposition::RetryAfter(wait), Disposition::RetryAfter(Duration::ZERO)]);
        }
        if seen.len() == 3 {
            stop.cancel();
        }
        Ok(all(batch, &Disposition::Ack))
    })
    .await;
    assert_eq!(
        seen,
        [vec![(1, false), (2, false)], vec![(1, true), (2, true)], vec![(3, false), (4, false)]]
    );
    assert!(started.elapsed() >= wait);
}

pub(crate) async fn what_failed_twice_is_delivered_with_few_then_alone<F: Factory>() {
    let few = i64::try_from(FEW).unwrap();
    let (last, bad) = (few + 4, 3);
    let (factory, queue) = filled::<F>(last).await;
    let mut seen = Vec::new();
    let limits = Limits { messages_max: FEW * 2, wait_max: Duration::from_millis(500), ..LIMITS };
    consume(factory.bus(), queue, limits, |batch, stop| {
        seen.push(numbers(batch));
        let decide = |delivery: &Delivery| match delivery.delivery_count {
            ..FEW_FROM => Disposition::RetryAfter(Duration::ZERO),
            FEW_FROM..=ALONE_FROM if number(&delivery.envelope) == bad => {
                Disposition::RetryAfter(Duration::ZERO)
            }
            _ => Disposition::Ack,
        };
        if seen.len() == 6 {
            stop.cancel();
        }
        Ok(batch.iter().map(decide).collect())
    })
    .await;
    let all: Vec<i64> = (1..=last).collect();
    let (first, rest): (Vec<i64>, Vec<i64>) = all.iter().partition(|number| **number <= few);
    assert_eq!(seen, [all.clone(), all, first, vec![bad], vec![bad], rest]);
}

pub(crate) async fn what_fails_for_ever_is_dead_lettered<F: Factory>() {
    let (factory, queue) = filled::<F>(2).await;
    let mut poison = 0;
    consume(factory.bus(), queue, Limits { messages_max: 1, ..LIMITS }, |batch, stop| {
        if numbers(batch) == [1] {
            assert_eq!(batch[0].delivery_count, poison);
            poison += 1;
            return Ok(vec![Disposition::RetryAfter(Duration::ZERO)]);
        }
        stop.cancel();
        Ok(vec![Disposition::Ack])
    })
    .await;
    assert_eq!(poison, DELIVERY_LIMIT + 1);
    let letters = factory.bus().dead_letters(queue, None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.starts_with("delivery-limit"), "{}", letters[0].reason);
    assert_eq!(letters[0].delivery_count, DELIVERY_LIMIT + 1);
    assert_eq!(letters[0].envelope.as_ref().map(number), Some(1));
}

pub(crate) async fn all_can_be_thrown_away_while_nobody_consumes<F: Factory>() {
    let (factory, queue) = filled::<F>(5).await;
    let limits = Limits { messages_max: 2, wait_max: PATIENCE, ..LIMITS };
    consume(factory.bus(), queue, limits, |batch, stop| {
        stop.cancel();
        Ok(all(batch, &Disposition::DeadLetter { reason: "unwanted: for the test".to_owned() }))
    })
    .await;
    let (sender, mut given) = mpsc::channel(1);
    let (mut stuck, stop) = (Stuck(sender), CancellationToken::new());
    tokio::select! {
        ended = factory.bus().consume(queue, limits, &mut stuck, &stop) => panic!("{ended:?}"),
        refused = async {
            timeout(PATIENCE, given.recv()).await.unwrap().unwrap();
            factory.bus().purge().await
        } => { refused.unwrap_err(); }
    }
    let factory = factory.killed().await;
    assert_eq!(factory.bus().purge().await.unwrap(), 5, "2 of them dead");
    let Depth { messages, dead, .. } = factory.bus().depth(queue).await.unwrap();
    assert_eq!((messages, dead), (0, 0));
    assert_eq!(factory.bus().purge().await.unwrap(), 0);
    let answers = factory.bus().publisher().publish(&[order(shop(1), 6)]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(take_all(factory.bus(), queue, 1).await.concat(), [(6, 0)], "the queues are there still");
}

pub(crate) async fn dead_letters_are_kept_replayed_and_discarded<F: Factory>() {
    let (factory, queue) = filled::<F>(4).await;
    let limits = Limits { messages_max: 4, wait_max: PATIENCE, ..LIMITS };
    consume(factory.bus(), queue, limits, |batch, stop| {
        stop.cancel();
        let reason = |delivery: &Delivery| format!("no-sku: order {}", number(&delivery.envelope));
        let decide = |delivery: &Delivery| match number(&delivery.envelope) {
            1 | 3 => Disposition::DeadLetter { reason: reason(delivery) },
            _ => Disposition::Ack,
        };
        Ok(batch.iter().map(decide).collect())
    })
    .await;
    let factory = factory.killed().await;
    let bus = factory.bus();
    let letters = bus.dead_letters(queue, None, 10).await.unwrap();
    let told: Vec<(i64, &str)> = letters
        .iter()
        .map(|letter| (number(letter.envelope.as_ref().unwrap()), letter.reason.as_str()))
        .collect();
    assert_eq!(told, [(1, "no-sku: order 1"), (3, "no-sku: order 3")]);
    assert_eq!(bus.dead_letters(queue, Some(letters[0].id), 10).await.unwrap(), letters[1..]);
    assert_eq!(bus.replay(queue, &[letters[1].id]).await.unwrap(), 1);
    assert_eq!(bus.discard(queue, &[letters[0].id, letters[1].id]).await.unwrap(), 1);
    assert_eq!(bus.depth(queue).await.unwrap().dead, 0);
    publish(bus, &[order(shop(1), 5)]).await;
    assert_eq!(take_all(bus, queue, 2).await.concat(), [(3, 0), (5, 0)]);
}

pub(crate) async fn a_pause_keeps_the_batch_and_does_not_count<F: Factory>() {
    let (factory, queue) = filled::<F>(3).await;
    let mut calls = 0;
    let limits = Limits { messages_max: 3, wait_max: PATIENCE, ..LIMITS };
    consume(factory.bus(), queue, limits, |batch, stop| {
        assert_eq!(numbers(batch), [1, 2, 3]);
        assert!(batch.iter().all(|delivery| !delivery.redelivered()));
        calls += 1;
        if calls < 5 {
            return Err(Pause(Duration::from_millis(1)));
        }
        stop.cancel();
        Err(Pause(Duration::from_hours(1)))
    })
    .await;
    assert_eq!(calls, 5);
    let taken = take_all(factory.bus(), queue, 3).await.concat();
    assert_eq!(taken.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(taken.iter().all(|(_, count)| *count <= 1), "the pauses are one delivery at most: {taken:?}");
}

pub(crate) async fn a_slow_handler_gets_bounded_batches<F: Factory>() {
    let (factory, queue) = filled::<F>(100).await;
    let bytes = order(shop(1), 1).to_bytes().len();
    let mut sizes = Vec::new();
    let limits = Limits { messages_max: 30, bytes_max: bytes * 10, ..LIMITS };
    let mut left = 100;
    consume(factory.bus(), queue, limits, |batch, stop| {
        sizes.push(batch.len());
        left -= batch.len();
        if left == 0 {
            stop.cancel();
        }
        Ok(all(batch, &Disposition::Ack))
    })
    .await;
    assert!(sizes.iter().all(|size| (1..=11).contains(size)), "{sizes:?}");
}

pub(crate) async fn a_batch_may_wait_to_fill<F: Factory>() {
    let (factory, queue) = filled::<F>(1).await;
    let publishing = async {
        publish(factory.bus(), &[order(shop(1), 2)]).await;
        publish(factory.bus(), &[order(shop(1), 3)]).await;
    };
    let limits = Limits { messages_max: 3, wait_max: PATIENCE, ..LIMITS };
    let consuming = consume(factory.bus(), queue, limits, |batch, stop| {
        assert_eq!(numbers(batch), [1, 2, 3]);
        stop.cancel();
        Ok(all(batch, &Disposition::Ack))
    });
    tokio::join!(consuming, publishing);
}

pub(crate) async fn a_waiting_consumer_is_woken<F: Factory>() {
    const ROUNDS: i64 = 30;
    let (factory, queue) = filled::<F>(0).await;
    let (sender, mut handled) = mpsc::channel(1);
    let started = Instant::now();
    let publishing = async {
        for round in 1..=ROUNDS {
            publish(factory.bus(), &[order(shop(1), round)]).await;
            assert_eq!(timeout(PATIENCE, handled.recv()).await.unwrap(), Some(round));
        }
    };
    let consuming = consume(factory.bus(), queue, LIMITS, |batch, stop| {
        for number in numbers(batch) {
            sender.try_send(number).unwrap();
            if number == ROUNDS {
                stop.cancel();
            }
        }
        Ok(all(batch, &Disposition::Ack))
    });
    tokio::join!(consuming, publishing);
    assert!(started.elapsed() < Duration::from_secs(15), "polling once a second would take twice that");
}

pub(crate) async fn a_stop_finishes_what_was_handed_over<F: Factory>() {
    let (factory, queue) = filled::<F>(4).await;
    let limits = Limits { messages_max: 3, wait_max: PATIENCE, ..LIMITS };
    consume(factory.bus(), queue, limits, |batch, stop| {
        stop.cancel();
        let mut decided = all(batch, &Disposition::Ack);
        decided[1] = Disposition::RetryAfter(Duration::from_hours(1));
        Ok(decided)
    })
    .await;
    let factory = factory.killed().await;
    let taken = take_all(factory.bus(), queue, 2).await.concat();
    let [(2, retried), (4, other)] = taken[..] else { panic!("{taken:?}") };
    // A broker may have sent them ahead, and counts that.
    assert!((1..=2).contains(&retried) && other <= 1, "{taken:?}");
}

pub(crate) async fn a_queue_has_one_consumer<F: Factory>() {
    const COUNT: i64 = 30;
    let (factory, queue) = filled::<F>(COUNT).await;
    let (bus, stop) = (factory.bus(), CancellationToken::new());
    let (sender, mut given) = mpsc::channel(1);
    let mut first = Script(|batch: &[Delivery]| {
        for number in numbers(batch) {
            if number == 1 {
                sender.try_send(()).unwrap();
            }
            if number == COUNT {
                stop.cancel();
            }
        }
        Ok(all(batch, &Disposition::Ack))
    });
    // The other is refused, or waits for the first to end and is given nothing until then.
    let second = async {
        timeout(PATIENCE, given.recv()).await.unwrap();
        let mut second = Script(|_: &[Delivery]| panic!("the second consumer got a message"));
        match bus.consume(queue, LIMITS, &mut second, &stop).await {
            Ok(()) | Err(ConsumeError::Open { .. }) => {}
            Err(failed) => panic!("{failed:?}"),
        }
    };
    let limits = Limits { messages_max: 1, ..LIMITS };
    let (first, ()) = tokio::join!(bus.consume(queue, limits, &mut first, &stop), second);
    first.unwrap();
    assert_eq!(depth_until(bus, queue, |depth| depth.messages == 0).await.dead, 0);
}

pub(crate) async fn an_undecided_message_is_delivered_again<F: Factory>() {
    let (factory, queue) = filled::<F>(2).await;
    let stop = CancellationToken::new();
    let mut forgetful = Script(|_: &[Delivery]| Ok(vec![Disposition::Ack]));
    let limits = Limits { messages_max: 2, wait_max: PATIENCE, ..LIMITS };
    let ended = factory.bus().consume(queue, limits, &mut forgetful, &stop).await;
    assert!(matches!(ended, Err(ConsumeError::Undecided { delivered: 2, decided: 1, .. })), "{ended:?}");
    assert_eq!(take_all(factory.bus(), queue, 2).await.concat(), [(1, 1), (2, 1)]);
}

pub(crate) async fn a_flow_that_does_not_keep_up_is_told<F: Factory>() {
    let (factory, queue) = filled::<F>(3).await;
    let bus = factory.bus();
    bus.probe().await.unwrap();
    bus.reachable().unwrap();
    bus.keeps_up(queue.flow(), Duration::from_hours(1)).await.unwrap();
    let (sender, mut given) = mpsc::channel(1);
    let (mut stuck, stop) = (Stuck(sender), CancellationToken::new());
    tokio::select! {
        ended = bus.consume(queue, LIMITS, &mut stuck, &stop) => panic!("{ended:?}"),
        () = async {
            timeout(PATIENCE, given.recv()).await.unwrap();
            depth_until(bus, queue, |depth| depth.messages == 3).await;
            bus.keeps_up(queue.flow(), Duration::from_hours(1)).await.unwrap();
            let behind = bus.keeps_up(queue.flow(), Duration::ZERO).await;
            assert!(matches!(behind, Err(LagError::Behind { messages: 3, .. })), "{behind:?}");
            bus.keeps_up(Flow::EgressLevels, Duration::ZERO).await.unwrap();
        } => {}
    }
    take_all(bus, queue, 3).await;
    bus.keeps_up(queue.flow(), Duration::ZERO).await.unwrap();
}
