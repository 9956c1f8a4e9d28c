//! What an operator learns from the log of a broker that cannot be used: each cause once, and no password.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onhand_bus::{Delivery, Disposition, Handler, Pause, Topology};
use serde_json::json;
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

use crate::proxy::Proxy;
use crate::world::{LIMITS, Process, confirmed, nowhere, open_spool, order, own, shared, spawn, until};

/// What is logged by this thread, which runs every task of its test.
#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn capture() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let kept = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || kept.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn all(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("onhand_bus")).map(str::to_owned).collect()
    }

    fn with(&self, what: &str) -> Vec<String> {
        self.all().into_iter().filter(|line| line.contains(what)).collect()
    }
}

const NOT_USABLE: &str = "the broker cannot be used";
const USABLE: &str = "the broker can be used again";

/// Somebody whose password and permissions may be changed.
struct User<'a> {
    broker: &'a RabbitMq,
    vhost: &'a Vhost,
}

impl User<'_> {
    fn name(&self) -> String {
        format!("of-{}", self.vhost.name)
    }

    async fn has_password(&self, password: &str) {
        let user = json!({ "password": password, "tags": "" });
        self.broker.api("PUT", &format!("users/{}", self.name()), user).await;
    }

    async fn may_read(&self, read: &str) {
        let path = format!("permissions/{}/{}", self.vhost.name, self.name());
        let may = json!({ "configure": ".*", "write": ".*", "read": read });
        self.broker.api("PUT", &path, may).await;
    }

    fn url_at(&self, port: u16) -> String {
        self.vhost.url_at(port).replace("guest:guest", &format!("{}:hunter2", self.name()))
    }

    async fn leaves(self) {
        self.broker.api("DELETE", &format!("users/{}", self.name()), json!({})).await;
    }
}

#[tokio::test]
async fn a_changed_password_is_logged_once_and_its_return_too() {
    let (broker, vhost) = shared().await;
    let proxy = Proxy::to(broker.port()).await;
    let user = User { broker: &broker, vhost: &vhost };
    user.has_password("hunter2").await;
    user.may_read(".*").await;
    let (lines, _guard) = Lines::capture();
    let process = Process::plain(&user.url_at(proxy.port), Topology::uniform(1).unwrap()).await;
    confirmed(&process.bus, &[order(1, 1)]).await;
    let (bus, stop) = (process.bus.clone(), CancellationToken::new());
    let (queue, stopped) = (process.queue(), stop.clone());
    let consuming = spawn(async move { bus.consume(queue, LIMITS, &mut Nobody, &stopped).await.unwrap() });
    until("it is consumed", async || process.bus.depth(queue).await.unwrap().messages == 0).await;
    assert_eq!(lines.all(), [""; 0]);
    user.has_password("another").await;
    proxy.cut(Duration::ZERO).await;
    until("it is refused", async || !lines.with("ACCESS_REFUSED").is_empty()).await;
    let before = proxy.lines();
    until("both connections were refused again", async || proxy.lines() >= before + 4).await;
    user.has_password("hunter2").await;
    until("it is let in", async || !lines.with(USABLE).is_empty()).await;
    let all = lines.all();
    assert_eq!(lines.with("ACCESS_REFUSED").len(), 1, "{all:#?}");
    assert!(lines.with("ACCESS_REFUSED").iter().all(|line| line.contains(NOT_USABLE)), "{all:#?}");
    assert_eq!(lines.with(USABLE).len(), 1, "{all:#?}");
    assert!(
        lines.all().iter().all(|line| !line.contains("hunter2") && !line.contains("another")),
        "{all:#?}"
    );
    assert_eq!(lines.with(&queue.to_string()), [""; 0], "a line for each queue would say no more");
    stop.cancel();
    consuming.await.unwrap();
    process.end().await;
    user.leaves().await;
}

struct Nobody;

impl Handler for Nobody {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        Ok(vec![Disposition::Ack; batch.len()])
    }
}

#[tokio::test]
async fn a_queue_that_may_not_be_read_is_logged_once_and_by_its_name() {
    let (broker, vhost) = shared().await;
    let user = User { broker: &broker, vhost: &vhost };
    user.has_password("hunter2").await;
    user.may_read(".*").await;
    let (lines, _guard) = Lines::capture();
    let process = Process::plain(&user.url_at(broker.port()), Topology::uniform(1).unwrap()).await;
    // To begin with it may: who declares a queue with dead letters has to read it.
    user.may_read("nothing").await;
    let (queue, stop) = (process.queue(), CancellationToken::new());
    let consuming = async { process.bus.consume(queue, LIMITS, &mut Nobody, &stop).await.unwrap() };
    let looking = async {
        until("it is refused", async || !lines.with("ACCESS_REFUSED").is_empty()).await;
        user.may_read(".*").await;
        until("it may be read", async || !lines.with(USABLE).is_empty()).await;
        stop.cancel();
    };
    tokio::join!(consuming, looking);
    let all = lines.all();
    assert_eq!(lines.with(NOT_USABLE).len(), 1, "{all:#?}");
    assert_eq!(lines.with(USABLE).len(), 1, "{all:#?}");
    assert!(
        all.iter().all(|line| line.contains(&queue.to_string()) && !line.contains("hunter2")),
        "{all:#?}"
    );
    process.end().await;
    user.leaves().await;
}

#[tokio::test]
async fn a_spool_that_is_used_is_logged_once_until_it_is_empty() {
    let (_broker, vhost) = shared().await;
    let (folder, topology) = (tempfile::tempdir().unwrap(), Topology::uniform(2).unwrap());
    let (lines, _guard) = Lines::capture();
    let away = Process::spooling(&vhost.url_at(nowhere()), topology, &folder).await;
    for number in 1..=5 {
        confirmed(&away.bus, &[order(1, number), order(2, number), order(3, number)]).await;
    }
    away.end().await;
    let kept = "messages are kept in the spool from now on";
    assert_eq!(lines.with(kept).len(), 1, "{:#?}", lines.all());
    let stay = lines.with("messages stay in the spool");
    assert!(stay.len() == 1 && stay[0].contains("waiting=15"), "{:#?}", lines.all());
    let (spool, writing) = open_spool(&folder).await;
    spool
        .queue("out.inventory.orders.v1.2.0")
        .await
        .unwrap()
        .append(7, b"nonsense".as_slice())
        .await
        .unwrap();
    drop(spool);
    writing.await.unwrap();
    let back = Process::spooling(&vhost.url(), topology, &folder).await;
    until("nothing is left", async || back.bus.unsent() == 0).await;
    until("and that is said", async || !lines.with("the spool is empty").is_empty()).await;
    let set_aside = lines.with("ERROR");
    assert!(set_aside.len() == 1 && set_aside[0].contains("unreadable-envelope"), "{:#?}", lines.all());
    confirmed(&back.bus, &[order(1, 6)]).await;
    back.end().await;
    assert_eq!(lines.with("the spool is empty").len(), 1, "{:#?}", lines.all());
    assert_eq!(lines.with(kept).len(), 1, "{:#?}", lines.all());
}

#[tokio::test]
async fn a_broker_that_blocks_is_logged_once_with_its_reason() {
    let (broker, vhost) = own().await;
    let (lines, _guard) = Lines::capture();
    let folder = tempfile::tempdir().unwrap();
    let process = Process::spooling(&vhost.url(), Topology::uniform(1).unwrap(), &folder).await;
    confirmed(&process.bus, &[order(1, 1)]).await;
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1MB"]);
    for number in 2..=10 {
        confirmed(&process.bus, &[order(1, number)]).await;
    }
    let (blocked, goes_on) = ("the broker takes no messages now", "the broker takes messages again");
    until("it says so", async || !lines.with(blocked).is_empty()).await;
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1GB"]);
    until("it takes messages again", async || process.bus.unsent() == 0).await;
    process.end().await;
    let all = lines.all();
    assert!(lines.with(blocked).len() == 1 && lines.with(blocked)[0].contains("memory"), "{all:#?}");
    assert_eq!(lines.with(goes_on).len(), 1, "{all:#?}");
    assert_eq!(lines.with(NOT_USABLE).len(), 0, "{all:#?}");
}
