//! Measures what waits in the spool for the broker, so that an operator sees it grow before the disk is full.

use std::time::Duration;

use bus::Bus;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::observe::Observe;

/// How old the number may be when it is looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(1);

/// Measures until `stop`.
pub(crate) async fn measure(hints: Bus, observe: Observe, stop: CancellationToken) {
    loop {
        observe.spool_waiting(hints.unsent());
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(MEASURE_EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use bus::{AmqpOptions, Topology};
    use process::metrics::Metrics;
    use proto::{Envelope, OrderUnreadable, Word};
    use uuid::Uuid;
    use values::{OrderId, ShopId, Timestamp};

    use super::*;

    #[tokio::test]
    async fn what_the_broker_does_not_take_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, writer) = spool::open(spool::Options::at(folder.path().join("spool.db"))).await.unwrap();
        let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let options = AmqpOptions::new(&format!("amqp://{nowhere}").into(), "test").unwrap();
        let (bus, supervisor) =
            Bus::amqp(options, Topology::uniform(1).unwrap(), Some(&spool)).await.unwrap();
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let message = |number| {
            let (shop, order) = (ShopId::new(1).unwrap(), OrderId::new(number));
            let message = OrderUnreadable { shop, order, reason: Word::clipped("test") };
            Envelope::seal(&message.into(), Uuid::now_v7(), Timestamp::from_seconds(1), "ingress").unwrap()
        };
        let using = async {
            for answer in bus.publisher().publish(&[message(1), message(2), message(3)]).await {
                answer.unwrap();
            }
            stop.cancel();
            measure(bus, Observe::new(&metrics), stop.clone()).await;
            drop(spool);
        };
        let (written, (), ()) = tokio::join!(writer.run(), using, supervisor.run(stop.clone()));
        written.unwrap();
        let page = metrics.render();
        assert!(page.contains("\nonhand_ingress_spool_waiting 3\n"), "{page}");
    }
}
