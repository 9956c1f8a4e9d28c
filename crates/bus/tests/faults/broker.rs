//! A broker that is killed, stopped, or out of memory.

use std::time::{Duration, Instant};

use onhand_bus::{CONFIRM_TIMEOUT, Topology};
use testkit::servers::rabbitmq::RabbitMq;
use testkit::servers::{Kept, Signal};

use crate::world::{Process, confirmed, insist, order, own, pause, take_until, until};

/// Twice the heartbeat, which is ten seconds, and something for a busy machine.
const HALF_OPEN_NOTICED_WITHIN: Duration = Duration::from_secs(40);
/// Of what needs no waiting.
const AT_ONCE: Duration = Duration::from_secs(5);

fn with(broker: &RabbitMq, act: impl FnOnce(&RabbitMq) + Send) {
    // Waiting for a server blocks; other tasks go on.
    tokio::task::block_in_place(|| act(broker));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_nothing_that_was_confirmed() {
    const SHOPS: i64 = 4;
    const LAST: i64 = 120;
    let (broker, vhost) = own().await;
    let process = Process::plain(&vhost.url(), Topology::uniform(1).unwrap()).await;
    let mut publishing = tokio::task::JoinSet::new();
    for shop in 1..=SHOPS {
        let publisher = process.bus.publisher();
        publishing.spawn(async move {
            let mut repeated = 0;
            for number in 1..=LAST {
                repeated += u32::from(insist(&publisher, &order(shop, number)).await > 1);
                if number < LAST {
                    // So that the publishing lasts longer than the outage begins to.
                    pause(Duration::from_millis(5)).await;
                }
            }
            repeated
        });
    }
    // The consumer is there all the time, and takes up the queue again by itself.
    let queue = process.queue();
    let consuming = take_until(&process.bus, queue, usize::try_from(SHOPS).unwrap(), LAST);
    let killing = async {
        pause(Duration::from_millis(200)).await;
        with(&broker, |broker| {
            broker.kept().signal(Signal::Kill);
            broker.kept().start_again();
        });
    };
    let (arrived, ()) = tokio::join!(consuming, killing);
    let repeated: u32 = publishing.join_all().await.into_iter().sum();
    assert!(repeated > 0, "the broker was killed while they published");
    arrived.check(usize::try_from(SHOPS).unwrap(), LAST);
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stands_still_is_noticed_and_the_spool_takes_over() {
    let (broker, vhost) = own().await;
    let topology = Topology::uniform(1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::spooling(&vhost.url(), topology, &folder).await;
    let idle = Process::plain(&vhost.url(), topology).await;
    confirmed(&process.bus, &[order(1, 1), order(2, 1)]).await;
    assert_eq!(process.bus.unsent(), 0);
    broker.kept().signal(Signal::Stop);
    let stopped = Instant::now();
    confirmed(&process.bus, &[order(1, 2), order(2, 2)]).await;
    let waited = stopped.elapsed();
    assert!(waited >= CONFIRM_TIMEOUT / 2, "{waited:?}: nobody knew before");
    assert!(waited < CONFIRM_TIMEOUT + AT_ONCE, "{waited:?}");
    let knew = Instant::now();
    for number in 3..=20 {
        confirmed(&process.bus, &[order(1, number), order(2, number)]).await;
    }
    assert!(knew.elapsed() < AT_ONCE, "{:?}: they need not wait for the broker any more", knew.elapsed());
    assert_eq!(process.bus.unsent(), 38);
    assert!(process.bus.reachable().is_err());
    process.bus.probe().await.unwrap();
    until("the heartbeat tells those who do not publish", async || idle.bus.reachable().is_err()).await;
    assert!(stopped.elapsed() < HALF_OPEN_NOTICED_WITHIN, "{:?}", stopped.elapsed());
    broker.kept().signal(Signal::Continue);
    with(&broker, |broker| Kept::wait_until_ready(broker.kept()));
    until("the spool is brought to the broker", async || process.bus.unsent() == 0).await;
    confirmed(&process.bus, &[order(1, 21), order(2, 21)]).await;
    take_until(&process.bus, process.queue(), 2, 21).await.check(2, 21);
    until("everybody is back", async || idle.bus.reachable().is_ok()).await;
    process.end().await;
    idle.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_blocks_is_not_waited_for() {
    let (broker, vhost) = own().await;
    let topology = Topology::uniform(1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::spooling(&vhost.url(), topology, &folder).await;
    let plain = Process::plain(&vhost.url(), topology).await;
    confirmed(&process.bus, &[order(1, 1)]).await;
    with(&broker, |broker| broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]));
    let blocked = Instant::now();
    for number in 2..=20 {
        confirmed(&process.bus, &[order(1, number)]).await;
    }
    assert!(blocked.elapsed() < AT_ONCE, "{:?}", blocked.elapsed());
    assert!(process.bus.unsent() > 0);
    let why = process.bus.reachable().unwrap_err().to_string();
    assert!(why.contains("takes no messages now"), "{why}");
    let asked = Instant::now();
    let answers = plain.bus.publisher().publish(&[order(2, 1)]).await;
    assert!(answers[0].is_err() && asked.elapsed() < AT_ONCE, "{answers:?} {:?}", asked.elapsed());
    with(&broker, |broker| broker.control(&["set_vm_memory_high_watermark", "absolute", "1GB"]));
    until("the spool is brought to the broker", async || process.bus.unsent() == 0).await;
    insist(&plain.bus.publisher(), &order(2, 1)).await;
    confirmed(&process.bus, &[order(1, 21), order(2, 21)]).await;
    let arrived = take_until(&process.bus, process.queue(), 2, 21).await;
    let of_first: Vec<i64> = arrived.0.values().find(|numbers| numbers.contains(&20)).unwrap().clone();
    assert_eq!(of_first.iter().filter(|number| (3..=20).contains(*number)).count(), 18, "{of_first:?}");
    assert_eq!(of_first.last(), Some(&21));
    plain.end().await;
    process.end().await;
}
