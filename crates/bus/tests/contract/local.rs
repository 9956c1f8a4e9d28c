//! The local transport for the suite, and what is true of it alone.

use onhand_bus::{Bus, CONFIRM_TIMEOUT, Flow, PublishError, Topology};
use spool::{Options, Writer};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::suite::{Factory, order, shop};

/// A bus in a process that may die at any time.
#[derive(Debug)]
pub(crate) struct LocalBus {
    folder: TempDir,
    bus: Bus,
    writing: JoinHandle<()>,
}

#[expect(clippy::disallowed_methods, reason = "test code")]
fn spawn(writer: Writer) -> JoinHandle<()> {
    tokio::spawn(async move { writer.run().await.unwrap() })
}

impl LocalBus {
    async fn open(folder: TempDir, topology: Topology) -> Self {
        let (spool, writer) = spool::open(Options::at(folder.path().join("spool.db"))).await.unwrap();
        let writing = spawn(writer);
        let bus = Bus::local(&spool, topology).await.unwrap();
        Self { folder, bus, writing }
    }
}

impl Factory for LocalBus {
    async fn start(topology: Topology) -> Self {
        Self::open(tempfile::tempdir().unwrap(), topology).await
    }

    fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The next process starts from the files as they are, with nobody having closed them.
    async fn killed(self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["spool.db", "spool.db-wal"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        Self::open(folder, self.bus.topology()).await
    }
}

#[tokio::test]
async fn no_writer_no_confirm() {
    let LocalBus { folder, bus, writing } = LocalBus::start(Topology::uniform(1).unwrap()).await;
    let publisher = bus.publisher();
    drop(bus);
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    let answers = timeout(CONFIRM_TIMEOUT * 2, publisher.publish(&[order(shop(1), 1)])).await.unwrap();
    assert!(matches!(answers.as_slice(), [Err(PublishError::Failed(_))]), "{answers:?}");
    drop(publisher);
    let next = LocalBus::open(folder, Topology::uniform(1).unwrap()).await;
    let queue = next.bus().topology().queues(Flow::InventoryOrders).next().unwrap();
    assert_eq!(next.bus().depth(queue).await.unwrap().messages, 0);
}

#[tokio::test]
async fn another_number_of_shards_strands_nothing_unseen() {
    let before = LocalBus::start(Topology::uniform(1).unwrap()).await;
    assert!(before.bus().publisher().publish(&[order(shop(1), 1)]).await[0].is_ok());
    let LocalBus { folder, bus, writing } = before;
    drop(bus);
    writing.await.unwrap();
    let after = LocalBus::open(folder, Topology::uniform(2).unwrap()).await;
    assert_eq!(after.bus().stranded().await.unwrap(), ["inventory.orders.v1.1.0"]);
}
