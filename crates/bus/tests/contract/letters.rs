//! The clauses about letters that a handler takes over.

use std::time::Duration;

use onhand_bus::{
    Bus, Custody, DELIVERY_LIMIT, DeadLetter, Delivery, Disposition, Handler, Limits, Pause, QueueName,
};
use proto::Envelope;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::suite::{Factory, LIMITS, PATIENCE, all, consume, filled, number, numbers, order, publish, shop};

/// What a handler of letters is given: letters by the number of their message, messages by theirs.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Letter(i64),
    Message(i64),
}

/// Gives up what `dies` says, decides about letters as `custody` says, and stops after the message `last`.
struct Keeper<F> {
    dies: Vec<i64>,
    last: i64,
    custody: F,
    given: Vec<Given>,
    letters: Vec<DeadLetter>,
    stop: CancellationToken,
}

impl<F: FnMut(i64) -> Result<Custody, Pause> + Send> Keeper<F> {
    fn new(dies: &[i64], last: i64, custody: F) -> Self {
        let (given, letters, stop) = (Vec::new(), Vec::new(), CancellationToken::new());
        Self { dies: dies.to_vec(), last, custody, given, letters, stop }
    }

    async fn run(&mut self, bus: &Bus, queue: QueueName, limits: Limits) {
        let stop = self.stop.clone();
        timeout(PATIENCE, bus.consume(queue, limits, self, &stop)).await.unwrap().unwrap();
    }
}

impl<F: FnMut(i64) -> Result<Custody, Pause> + Send> Handler for Keeper<F> {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        let mut decided = Vec::new();
        for number in numbers(batch) {
            self.given.push(Given::Message(number));
            let dead = Disposition::DeadLetter { reason: format!("given-up: {number}") };
            decided.push(if self.dies.contains(&number) { dead } else { Disposition::Ack });
            if number == self.last {
                self.stop.cancel();
            }
        }
        Ok(decided)
    }

    async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
        let mut decided = Vec::new();
        for letter in letters {
            let number = number(letter.envelope.as_ref().unwrap());
            decided.push((self.custody)(number)?);
            self.given.push(Given::Letter(number));
            self.letters.push(letter.clone());
        }
        Ok(decided)
    }
}

pub(crate) async fn what_is_given_up_is_offered_before_what_follows<F: Factory>() {
    use Given::{Letter, Message};

    let (factory, queue) = filled::<F>(5).await;
    let bus = factory.bus();
    // One message fails until the transport gives it up, before any other is handled.
    let mut left = DELIVERY_LIMIT + 1;
    consume(bus, queue, Limits { messages_max: 1, ..LIMITS }, |batch, stop| {
        left -= 1;
        if left == 0 {
            stop.cancel();
        }
        Ok(all(batch, &Disposition::RetryAfter(Duration::ZERO)))
    })
    .await;
    let mut pauses = 3;
    let mut keeper = Keeper::new(&[3], 5, |_| {
        pauses -= 1;
        if pauses > 0 { Err(Pause(Duration::from_millis(1))) } else { Ok(Custody::Taken) }
    });
    keeper.run(bus, queue, Limits { messages_max: 1, ..LIMITS }).await;
    let given = [Letter(1), Message(2), Message(3), Letter(3), Message(4), Message(5)];
    assert_eq!(keeper.given, given, "a pause keeps the letter");
    let [limit, decided] = keeper.letters.as_slice() else { panic!("{:?}", keeper.letters) };
    assert!(limit.reason.starts_with("delivery-limit"), "{}", limit.reason);
    assert_eq!(decided.reason, "given-up: 3");
    assert_eq!(decided.shard_key, Some(proto::ShardKey::new(1)));
    assert_eq!(Envelope::from_bytes(&decided.payload).ok(), decided.envelope);
    assert_ne!(limit.identity, decided.identity);
    assert_eq!(bus.depth(queue).await.unwrap().dead, 0, "who took them keeps them");
}

pub(crate) async fn a_letter_whose_removal_was_cut_off_is_offered_again<F: Factory>() {
    struct Cut(mpsc::Sender<String>);
    impl Handler for Cut {
        async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
            Ok(all(batch, &Disposition::DeadLetter { reason: "given-up".to_owned() }))
        }
        async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
            self.0.send(letters[0].identity.clone()).await.unwrap();
            std::future::pending().await
        }
    }
    let (factory, queue) = filled::<F>(1).await;
    let (sender, mut told) = mpsc::channel(1);
    let (mut cut, stop) = (Cut(sender), CancellationToken::new());
    let identity = tokio::select! {
        ended = factory.bus().consume(queue, LIMITS, &mut cut, &stop) => panic!("{ended:?}"),
        identity = timeout(PATIENCE, told.recv()) => identity.unwrap().unwrap(),
    };
    let factory = factory.killed().await;
    publish(factory.bus(), &[order(shop(1), 2)]).await;
    let mut keeper = Keeper::new(&[1], 2, |_| Ok(Custody::Taken));
    keeper.run(factory.bus(), queue, Limits { messages_max: 1, ..LIMITS }).await;
    // A transport that offers a letter before it is one delivers the message again.
    let given: Vec<&Given> = keeper.given.iter().filter(|given| **given != Given::Message(1)).collect();
    assert_eq!(given, [&Given::Letter(1), &Given::Message(2)]);
    assert_eq!(keeper.letters[0].identity, identity);
}

pub(crate) async fn a_letter_that_is_left_stays<F: Factory>() {
    let (factory, queue) = filled::<F>(40).await;
    let bus = factory.bus();
    let dies: Vec<i64> = (1..40).collect();
    let odd = |number: i64| Ok(if number % 2 == 1 { Custody::Left } else { Custody::Taken });
    let mut keeper = Keeper::new(&dies, 40, odd);
    keeper.run(bus, queue, Limits { messages_max: 13, ..LIMITS }).await;
    let mut offered: Vec<i64> =
        keeper.letters.iter().map(|letter| number(letter.envelope.as_ref().unwrap())).collect();
    offered.sort_unstable();
    // The last batch is settled when the consumer stops; its letters are for the next one.
    assert_eq!(offered, (1..40).collect::<Vec<_>>(), "each once");
    let letters = bus.dead_letters(queue, None, 100).await.unwrap();
    let left: Vec<i64> = letters.iter().map(|letter| number(letter.envelope.as_ref().unwrap())).collect();
    assert_eq!(left, (1..40).step_by(2).collect::<Vec<_>>());
    publish(bus, &[order(shop(1), 41)]).await;
    let mut next = Keeper::new(&[], 41, |_| Ok(Custody::Left));
    next.run(bus, queue, LIMITS).await;
    assert_eq!(next.letters.len(), 20, "the next consumer is offered what was left");
}

/// Keeps letters of a queue that it does not consume, but the fourth; stops after `last`.
struct Beside {
    pauses: usize,
    kept: Vec<DeadLetter>,
    last: i64,
    stop: CancellationToken,
}

impl onhand_bus::Keeper for Beside {
    async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
        if self.pauses > 0 {
            self.pauses -= 1;
            return Err(Pause(Duration::from_millis(1)));
        }
        let mut custody = Vec::new();
        for letter in letters {
            let number = number(letter.envelope.as_ref().unwrap());
            custody.push(if number == 4 { Custody::Left } else { Custody::Taken });
            self.kept.push(letter.clone());
            if number == self.last {
                self.stop.cancel();
            }
        }
        Ok(custody)
    }
}

/// Gives everything up, and leaves its letters to the transport.
struct GivesUp;

impl Handler for GivesUp {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        Ok(all(batch, &Disposition::DeadLetter { reason: "not-mine".to_owned() }))
    }
}

pub(crate) async fn letters_of_a_queue_that_another_consumes_can_be_kept<F: Factory>() {
    let (factory, queue) = filled::<F>(20).await;
    let bus = factory.bus();
    let keeping = CancellationToken::new();
    let mut beside = Beside { pauses: 2, kept: Vec::new(), last: 30, stop: keeping.clone() };
    let consuming = CancellationToken::new();
    let consumer = async { bus.consume(queue, LIMITS, &mut GivesUp, &consuming).await.unwrap() };
    let keeper = async {
        timeout(PATIENCE, bus.keep_letters(queue, &mut beside, &keeping)).await.unwrap().unwrap();
        consuming.cancel();
    };
    // More die while the first are kept.
    let more: Vec<Envelope> = (21..=30).map(|number| order(shop(1), number)).collect();
    tokio::join!(consumer, keeper, publish(bus, &more));
    let kept: Vec<i64> = beside.kept.iter().map(|letter| number(letter.envelope.as_ref().unwrap())).collect();
    assert_eq!(kept, (1..=30).collect::<Vec<_>>(), "each is offered once, in their order");
    assert!(beside.kept.iter().all(|letter| letter.reason == "not-mine"));
    let left = bus.dead_letters(queue, None, 100).await.unwrap();
    let left: Vec<i64> = left.iter().map(|letter| number(letter.envelope.as_ref().unwrap())).collect();
    assert_eq!(left, [4], "the others are gone from the transport");
}
