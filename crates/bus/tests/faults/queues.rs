//! Queues that are gone, full, or made by somebody else.

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicConsumeOptions, BasicRejectOptions, QueueDeclareOptions};
use onhand_bus::{
    Bus, BusError, Custody, DELIVERY_LIMIT, DeadLetter, Delivery, Disposition, Handler, Pause, PublishError,
    Topology,
};
use serde_json::{Value, json};
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{LIMITS, PATIENCE, Process, confirmed, insist, options, order, shared, take_until, until};

async fn delete(broker: &RabbitMq, vhost: &Vhost, queue: &str) {
    broker.api("DELETE", &format!("queues/{}/{queue}", vhost.name), Value::Null).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_queue_took_is_not_confirmed_and_the_others_are() {
    const ROUNDS: usize = 6;
    let (broker, vhost) = shared().await;
    let process = Process::plain(&vhost.url(), Topology::new(2, 1, 1).unwrap()).await;
    let publisher = process.bus.publisher();
    let gone = process.queue();
    let envelopes: Vec<_> =
        (1..=200).map(|number| order(number % 16 + 1, i64::from(u8::try_from(number).unwrap()))).collect();
    let is_gone = |envelope: &proto::Envelope| envelope.properties.shard_key.shard(2) == 0;
    assert!(envelopes.iter().any(is_gone) && !envelopes.iter().all(is_gone));
    for _ in 0..ROUNDS {
        delete(&broker, &vhost, &gone.to_string()).await;
        // Many callers at once: the answers of some come together with those of others.
        let mut publishing = tokio::task::JoinSet::new();
        for some in envelopes.chunks(10) {
            let (publisher, some) = (publisher.clone(), some.to_vec());
            publishing.spawn(async move {
                let answers = publisher.publish(&some).await;
                some.into_iter().zip(answers).collect::<Vec<_>>()
            });
        }
        let answers = publishing.join_all().await.concat();
        let returned =
            answers.iter().filter(|(_, answer)| matches!(answer, Err(PublishError::Returned))).count();
        assert!(returned > 0);
        for (envelope, answer) in &answers {
            match answer {
                Ok(()) => {}
                Err(PublishError::Returned) => assert!(is_gone(envelope), "its queue was there"),
                other => panic!("{other:?}"),
            }
        }
        // A confirmed one is in a queue: it was published after that had been made again, if at all.
        let confirmed_of_gone =
            answers.iter().filter(|(envelope, answer)| is_gone(envelope) && answer.is_ok()).count();
        let retried = async {
            for (envelope, _) in answers.iter().filter(|(_, answer)| answer.is_err()) {
                insist(&publisher, envelope).await;
            }
        };
        retried.await;
        let all_of_gone = envelopes.iter().filter(|envelope| is_gone(envelope)).count();
        until("the queue holds what was confirmed since it was made again", async || {
            let depth = process.bus.depth(gone).await.unwrap();
            depth.messages == u64::try_from(all_of_gone).unwrap()
        })
        .await;
        assert_eq!(returned + confirmed_of_gone, all_of_gone);
    }
    process.end().await;
}

/// Nobody publishes to it meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_was_deleted_is_made_again_by_who_looks_at_it_and_by_who_consumes_it() {
    let (broker, vhost) = shared().await;
    let process = Process::plain(&vhost.url(), Topology::uniform(1).unwrap()).await;
    let (queue, dead) = (process.queue(), format!("{}.dead", process.queue()));
    let connection =
        lapin::Connection::connect(&vhost.url(), lapin::ConnectionProperties::default()).await.unwrap();
    // `None` if there is no such queue.
    let consumers_of = async |name: &str| {
        let channel = connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(name.into(), passive, lapin::types::FieldTable::default()).await;
        queue.ok().map(|queue| queue.consumer_count())
    };
    for gone in [&queue.to_string(), &dead] {
        delete(&broker, &vhost, gone).await;
        assert_eq!(consumers_of(gone).await, None);
        let depth = process.bus.depth(queue).await.unwrap();
        assert_eq!((depth.messages, depth.dead), (0, 0));
        assert_eq!(consumers_of(gone).await, Some(0));
    }
    let meddling = async {
        let name = queue.to_string();
        until("it is consumed", async || consumers_of(&name).await == Some(1)).await;
        delete(&broker, &vhost, &name).await;
        until("the consumer has made it again", async || consumers_of(&name).await == Some(1)).await;
        confirmed(&process.bus, &[order(1, 1)]).await;
    };
    let (arrived, ()) = tokio::join!(take_until(&process.bus, queue, 1, 1), meddling);
    arrived.check(1, 1);
    connection.close(200, "done".into()).await.unwrap();
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_a_spool_keeps_what_it_refused() {
    const ROUNDS: i64 = 20;
    const TOGETHER: i64 = 800;
    let (broker, vhost) = shared().await;
    let topology = Topology::uniform(1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::spooling(&vhost.url(), topology, &folder).await;
    let plain = Process::plain(&vhost.url(), topology).await;
    let policy = json!({
        "pattern": "^inventory", "apply-to": "queues",
        "definition": { "max-length": 5, "overflow": "reject-publish" },
    });
    let path = format!("policies/{}/small", vhost.name);
    broker.api("PUT", &path, policy).await;
    let mut number = 0;
    until("the queue refuses", async || {
        number += 1;
        confirmed(&process.bus, &[order(1, number)]).await;
        process.bus.unsent() > 0
    })
    .await;
    let last = number + 30;
    for number in number + 1..=last {
        confirmed(&process.bus, &[order(1, number)]).await;
    }
    assert!(process.bus.unsent() > 30, "one path: nothing passes what waits");
    let answers = plain.bus.publisher().publish(&[order(2, 1)]).await;
    assert!(matches!(answers.as_slice(), [Err(PublishError::Refused)]), "{answers:?}");
    // Taking messages makes room, perhaps for some of a batch only. Those behind what was refused are sent again with it.
    // The last goes alone, so that nothing can be missing once it is there.
    let end = last + ROUNDS * TOGETHER + 1;
    let nothing_waits = async || {
        until("what was refused is with the broker", async || process.bus.unsent() == 0).await;
    };
    let publishing = async {
        for round in 0..ROUNDS {
            nothing_waits().await;
            let from = last + round * TOGETHER;
            let some: Vec<_> = (from + 1..=from + TOGETHER).map(|number| order(1, number)).collect();
            confirmed(&process.bus, &some).await;
        }
        nothing_waits().await;
        confirmed(&process.bus, &[order(1, end)]).await;
    };
    let (arrived, ()) = tokio::join!(take_until(&process.bus, process.queue(), 1, end), publishing);
    arrived.check_latest(1, end);
    until("nothing is left", async || process.bus.unsent() == 0).await;
    plain.end().await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_differently_is_told_and_left_alone() {
    let (broker, vhost) = shared().await;
    let topology = Topology::uniform(1).unwrap();
    // Twice, one after the other: declaring what is there changes nothing.
    for _ in 0..2 {
        Process::plain(&vhost.url(), topology).await.end().await;
    }
    delete(&broker, &vhost, "egress.levels.v1.1.0").await;
    let other = json!({ "durable": true, "arguments": { "x-queue-type": "quorum", "x-delivery-limit": 7 } });
    broker.api("PUT", &format!("queues/{}/egress.levels.v1.1.0", vhost.name), other).await;
    // A broker that is not reached at once is no error; it is told once it is.
    let mut told = None;
    for _ in 0..100 {
        told = Bus::amqp(options(&vhost.url()), topology, None).await.err();
        if told.is_some() {
            break;
        }
    }
    let error = told.unwrap();
    let BusError::Mismatch(source) = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("egress.levels.v1.1.0"), "{source}");
    assert!(error.to_string().contains("made differently"), "{error}");
}

/// Takes letters, and stops.
struct Heir {
    letters: Vec<DeadLetter>,
    stop: CancellationToken,
}

impl Handler for Heir {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        panic!("{batch:?} was given up");
    }

    async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
        self.letters.extend_from_slice(letters);
        self.stop.cancel();
        Ok(vec![Custody::Taken; letters.len()])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_gives_up_by_itself_is_offered_too() {
    let (_broker, vhost) = shared().await;
    let process = Process::plain(&vhost.url(), Topology::uniform(1).unwrap()).await;
    let queue = process.queue();
    let sent = order(7, 1);
    confirmed(&process.bus, std::slice::from_ref(&sent)).await;
    // A consumer that never gets as far as giving it up.
    let connection =
        lapin::Connection::connect(&vhost.url(), lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (name, none) = (queue.to_string(), lapin::types::FieldTable::default());
    let mut deliveries =
        channel.basic_consume(name.into(), "".into(), BasicConsumeOptions::default(), none).await.unwrap();
    let mut rejected = 0;
    until("the broker gives it up", async || {
        while let Some(delivery) = deliveries.next().now_or_never() {
            delivery.unwrap().unwrap().reject(BasicRejectOptions { requeue: true }).await.unwrap();
            rejected += 1;
        }
        process.bus.depth(queue).await.unwrap().dead == 1
    })
    .await;
    assert!(rejected > DELIVERY_LIMIT, "{rejected}: not before we would");
    connection.close(200, "done".into()).await.unwrap();
    let stop = CancellationToken::new();
    let mut heir = Heir { letters: Vec::new(), stop: stop.clone() };
    timeout(PATIENCE, process.bus.consume(queue, LIMITS, &mut heir, &stop)).await.unwrap().unwrap();
    let letter = heir.letters.pop().unwrap();
    assert!(letter.reason.starts_with("delivery-limit"), "{}", letter.reason);
    assert_eq!(letter.envelope, Some(sent));
    let age = letter.died_at.elapsed().unwrap_or_default();
    assert!(age < PATIENCE, "{age:?}");
    until("it is gone", async || process.bus.depth(queue).await.unwrap().dead == 0).await;
    process.end().await;
}
