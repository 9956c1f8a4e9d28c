//! The local transport for the suite, and what is true of it alone.

use std::time::Duration;

use onhand_bus::{
    Bus, CONFIRM_TIMEOUT, Custody, DeadLetter, Delivery, Disposition, Flow, Handler, Limits, Pause,
    PublishError, Topology,
};
use proto::ShardKey;
use spool::{Options, Record, Spool, Writer};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::suite::{Factory, order, shop};

/// A bus in a process that may die at any time.
#[derive(Debug)]
pub(crate) struct LocalBus {
    folder: TempDir,
    spool: Spool,
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
        Self { folder, spool, bus, writing }
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
    let LocalBus { folder, bus, writing, spool } = LocalBus::start(Topology::uniform(1).unwrap()).await;
    let publisher = bus.publisher();
    drop((bus, spool));
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
    let LocalBus { folder, bus, writing, spool } = before;
    drop((bus, spool));
    writing.await.unwrap();
    let after = LocalBus::open(folder, Topology::uniform(2).unwrap()).await;
    assert_eq!(after.bus().stranded().await.unwrap(), ["inventory.orders.v1.1.0"]);
}

/// What is no envelope at all is offered with the shop it was routed by; of a segment that cannot be read nothing is known.
#[tokio::test]
async fn what_cannot_be_read_is_offered_with_what_is_known_of_it() {
    struct Keep(Vec<DeadLetter>, CancellationToken);
    impl Handler for Keep {
        async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
            self.1.cancel();
            Ok(vec![Disposition::Ack; batch.len()])
        }
        async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
            self.0.extend(letters.iter().cloned());
            Ok(vec![Custody::Taken; letters.len()])
        }
    }
    let local = LocalBus::start(Topology::uniform(1).unwrap()).await;
    let queue = local.bus().topology().queues(Flow::InventoryOrders).next().unwrap();
    let raw = local.spool.queue(&queue.to_string()).await.unwrap();
    for key in [7, 0] {
        raw.append_all(vec![Record { key, payload: "no envelope".into() }]).await.unwrap();
    }
    assert!(local.bus().publisher().publish(&[order(shop(1), 1)]).await[0].is_ok());
    let stop = CancellationToken::new();
    let mut keep = Keep(Vec::new(), stop.clone());
    let limits = Limits { messages_max: 1, bytes_max: 1 << 20, wait_max: Duration::ZERO, ahead_max: 0 };
    local.bus().consume(queue, limits, &mut keep, &stop).await.unwrap();
    let told: Vec<_> = keep.0.iter().map(|letter| (letter.shard_key, letter.envelope.is_none())).collect();
    assert_eq!(told, [(Some(ShardKey::new(7)), true), (None, true)]);
    assert!(keep.0.iter().all(|letter| letter.reason.starts_with("unreadable-envelope")), "{:?}", keep.0);
    assert_eq!(local.bus().depth(queue).await.unwrap().dead, 0);
}
