//! The two ways to the broker, straight and through the spool: what goes which way, and in which order it arrives.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use onhand_bus::Topology;

use crate::proxy::Proxy;
use crate::world::{Process, confirmed, order, pause, shared, take_until, until};

/// Where nobody listens.
fn nowhere() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

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
