//! The two ways to the broker, straight and through the spool: what goes which way, and in which order it arrives.

use std::time::{Duration, Instant};

use onhand_bus::Topology;
use proto::Envelope;
use spool::{Limit, Outcome, Record};

use crate::proxy::Proxy;
use crate::world::{Process, confirmed, nowhere, open_spool, order, pause, shared, take_until, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_the_spool_comes_first_after_a_restart() {
    let (_broker, vhost) = shared().await;
    let folder = tempfile::tempdir().unwrap();
    let away = Process::spooling(&vhost.url_at(nowhere()), Topology::uniform(3).unwrap(), &folder).await;
    for number in 1..=200 {
        confirmed(&away.bus, &[order(1, number), order(2, number)]).await;
    }
    away.bus.probe().await.unwrap();
    assert_eq!(away.bus.unsent(), 400);
    away.end().await;
    // Another number of shards, too: they go to where they belong now.
    let back = Process::spooling(&vhost.url(), Topology::uniform(1).unwrap(), &folder).await;
    for number in 201..=220 {
        confirmed(&back.bus, &[order(1, number), order(2, number)]).await;
    }
    take_until(&back.bus, back.queue(), 2, 220).await.check(2, 220);
    until("nothing is left", async || back.bus.unsent() == 0).await;
    back.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_again_and_again_changes_no_order() {
    const SHOPS: i64 = 6;
    const CUTS: u64 = 8;
    const WHOLE: Duration = Duration::from_millis(700);
    let (broker, vhost) = shared().await;
    let proxy = Proxy::to(broker.port()).await;
    let folder = tempfile::tempdir().unwrap();
    let topology = Topology::uniform(1).unwrap();
    let process = Process::spooling(&vhost.url_at(proxy.port), topology, &folder).await;
    let (sender, done) = tokio::sync::watch::channel(false);
    let mut publishing = tokio::task::JoinSet::new();
    for shop in 1..=SHOPS {
        let (bus, done) = (process.bus.clone(), done.clone());
        publishing.spawn(async move {
            let mut number = 0;
            // Of several together none may pass another either.
            while !*done.borrow() {
                let some: Vec<_> = (1..=3).map(|next| order(shop, number + next)).collect();
                confirmed(&bus, &some).await;
                number += 3;
            }
            (shop, number)
        });
    }
    let mut spooled = 0;
    for cut in 0..CUTS {
        pause(WHOLE).await;
        proxy.cut(Duration::from_millis(cut * 40)).await;
        spooled = spooled.max(process.bus.unsent());
    }
    sender.send_replace(true);
    let last = publishing.join_all().await;
    assert!(spooled > 0, "something went through the spool");
    let end = last.iter().map(|(_, last)| *last).max().unwrap() + 1;
    for (shop, last) in last {
        // Each ends with the same number.
        let missing: Vec<_> = (last + 1..=end).map(|number| order(shop, number)).collect();
        confirmed(&process.bus, &missing).await;
    }
    let direct = Process::plain(&vhost.url(), topology).await;
    let arrived = take_until(&direct.bus, direct.queue(), usize::try_from(SHOPS).unwrap(), end).await;
    arrived.check(usize::try_from(SHOPS).unwrap(), end);
    until("nothing is left", async || process.bus.unsent() == 0).await;
    direct.end().await;
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_published_becomes_a_dead_letter_once_and_what_follows_goes_on() {
    const ONE: Limit = Limit { records: 1, bytes: 1, together: |_| 1 };
    let (_broker, vhost) = shared().await;
    let (folder, topology) = (tempfile::tempdir().unwrap(), Topology::uniform(1).unwrap());
    let key = order(1, 1).properties.shard_key.get();
    let record = |payload: Vec<u8>| Record { key, payload: payload.into() };
    let message = |envelope: Envelope| record(envelope.to_bytes());
    let (spool, writing) = open_spool(&folder).await;
    // One queue is of another number of shards.
    for (name, first) in [("out.inventory.orders.v1.1.0", 3), ("out.inventory.orders.v1.2.1", 1)] {
        let queue = spool.queue(name).await.unwrap();
        // Given up in an earlier life.
        queue.append_all(vec![record(b"old".to_vec())]).await.unwrap();
        let mut consumer = queue.consumer().await.unwrap();
        let claimed = consumer.claim(ONE).await.unwrap();
        let dead = |reason: &str| Outcome::Dead { reason: reason.to_owned() };
        consumer.settle(vec![(claimed[0].seq, dead("damaged: long ago"))]).await.unwrap();
        consumer.flush().await.unwrap();
        let unreadable = record(format!("no envelope {first}").into_bytes());
        let records = vec![message(order(1, first)), unreadable, message(order(1, first + 1))];
        queue.append_all(records).await.unwrap();
    }
    drop(spool);
    writing.await.unwrap();
    for _ in 0..2 {
        let process = Process::spooling(&vhost.url(), topology, &folder).await;
        until("nothing is left", async || process.bus.unsent() == 0).await;
        let dead = async || process.bus.dead_letters(process.queue(), None, 10).await.unwrap();
        until("all are there", async || dead().await.len() >= 4).await;
        let letters = dead().await;
        let mut told: Vec<(&[u8], &str)> = letters
            .iter()
            .map(|letter| (letter.payload.as_ref(), letter.reason.split(':').next().unwrap()))
            .collect();
        told.sort_unstable();
        let unreadable = "unreadable-envelope";
        let expected: [(&[u8], &str); 4] = [
            (b"no envelope 1", unreadable),
            (b"no envelope 3", unreadable),
            (b"old", "damaged"),
            (b"old", "damaged"),
        ];
        assert_eq!(told, expected);
        assert!(letters.iter().all(|letter| letter.shard_key.unwrap().get() == key), "{letters:?}");
        assert!(letters.iter().all(|letter| letter.envelope.is_none()), "{letters:?}");
        process.end().await;
    }
    let process = Process::plain(&vhost.url(), topology).await;
    take_until(&process.bus, process.queue(), 1, 4).await.check(1, 4);
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stops_empties_its_spool_first() {
    const LAST: i64 = 5_000;
    let (_broker, vhost) = shared().await;
    let (folder, topology) = (tempfile::tempdir().unwrap(), Topology::uniform(2).unwrap());
    let away = Process::spooling(&vhost.url_at(nowhere()), topology, &folder).await;
    let all: Vec<_> = (1..=LAST).flat_map(|number| [order(1, number), order(2, number)]).collect();
    confirmed(&away.bus, &all).await;
    let asked = Instant::now();
    away.end().await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}: there is nobody to wait for", asked.elapsed());
    let back = Process::spooling(&vhost.url(), topology, &folder).await;
    assert!(back.bus.unsent() > 0);
    back.end().await;
    let (spool, writing) = open_spool(&folder).await;
    for name in spool.queues().await.unwrap() {
        assert_eq!(spool.queue(&name).await.unwrap().waiting(), 0, "{name}");
    }
    drop(spool);
    writing.await.unwrap();
}
