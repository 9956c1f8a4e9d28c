//! The AMQP transport for the suite.

use onhand_bus::{AmqpOptions, Bus, Supervisor, Topology};
use testkit::servers::rabbitmq::{RabbitMq, Vhost};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::suite::Factory;

/// A bus in a process that may die at any time.
#[derive(Debug)]
pub(crate) struct AmqpBus {
    broker: RabbitMq,
    vhost: Vhost,
    bus: Bus,
    running: JoinHandle<()>,
}

#[expect(clippy::disallowed_methods, reason = "test code")]
fn spawn(supervisor: Supervisor) -> JoinHandle<()> {
    tokio::spawn(supervisor.run(CancellationToken::new()))
}

impl AmqpBus {
    async fn open(broker: RabbitMq, vhost: Vhost, topology: Topology) -> Self {
        let options = AmqpOptions::new(&vhost.url().into(), "test").unwrap();
        let (bus, supervisor) = Bus::amqp(options, topology, None).await.unwrap();
        Self { broker, vhost, bus, running: spawn(supervisor) }
    }
}

impl Factory for AmqpBus {
    async fn start(topology: Topology) -> Self {
        let broker = tokio::task::spawn_blocking(RabbitMq::shared).await.unwrap();
        let vhost = broker.vhost().await;
        Self::open(broker, vhost, topology).await
    }

    fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Its connections end without a word about what was not settled.
    async fn killed(self) -> Self {
        let Self { broker, vhost, bus, running } = self;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        let topology = bus.topology();
        drop(bus);
        Self::open(broker, vhost, topology).await
    }
}
