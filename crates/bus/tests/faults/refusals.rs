//! Who is let in, and by what certificate.

use onhand_bus::{Bus, BusError, PublishError, Topology};

use crate::proxy::Proxy;
use crate::world::{Process, confirmed, nowhere, options, order, shared, take_until, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_at_once_and_without_the_password() {
    let (_broker, vhost) = shared().await;
    let topology = Topology::uniform(1).unwrap();
    for url in [vhost.url().replace("guest:guest", "guest:hunter2"), format!("{}-not-there", vhost.url())] {
        let error = Bus::amqp(options(&url), topology, None).await.unwrap_err();
        let BusError::Broker(source) = &error else { panic!("{error:?}") };
        assert!(!format!("{error:?} {error} {source}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_away_is_waited_for() {
    let (_broker, vhost) = shared().await;
    let topology = Topology::uniform(1).unwrap();
    let process = Process::plain(&vhost.url_at(nowhere()), topology).await;
    assert!(process.bus.probe().await.is_err());
    let answers = process.bus.publisher().publish(&[order(1, 1)]).await;
    assert!(matches!(answers.as_slice(), [Err(PublishError::Unavailable { .. })]), "{answers:?}");
    assert!(matches!(process.bus.depth(process.queue()).await, Err(BusError::Unavailable { .. })));
    process.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_be_encrypted_and_its_certificate_is_looked_at() {
    let (broker, vhost) = shared().await;
    let topology = Topology::uniform(1).unwrap();
    let (proxy, authority) = Proxy::tls(broker.port()).await;
    let url = vhost.url_at(proxy.port).replace("amqp://", "amqps://").replace("127.0.0.1", "localhost");
    let stranger = Process::plain(&url, topology).await;
    assert!(stranger.bus.reachable().is_err(), "nobody we know issued that certificate");
    let trusting = Process::open(options(&url).trusting(authority), topology, None).await;
    until("it connects", async || trusting.bus.reachable().is_ok()).await;
    confirmed(&trusting.bus, &[order(1, 1)]).await;
    take_until(&trusting.bus, trusting.queue(), 1, 1).await.check(1, 1);
    assert!(stranger.bus.reachable().is_err());
    trusting.end().await;
    stranger.end().await;
}
