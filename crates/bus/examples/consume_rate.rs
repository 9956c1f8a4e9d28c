//! How fast a handler that does nothing gets messages over the local transport, acknowledgements being durable.
//!
//! Once with segments as many concurrent publishers make them, once with a segment a message, as a quiet shop does.

use std::io::Write as _;
use std::time::Instant;

use onhand_bus::{Bus, Delivery, Disposition, Flow, Handler, Limits, Pause, Topology};
use proto::{Envelope, OrderUnreadable, Word};
use spool::Options;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{ShopId, Timestamp};

const BODY_BYTES: usize = 1_000;

struct Counting {
    left: usize,
    stop: CancellationToken,
}

impl Handler for Counting {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        self.left -= batch.len();
        if self.left == 0 {
            self.stop.cancel();
        }
        Ok(vec![Disposition::Ack; batch.len()])
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    for (name, messages, together) in [("packed", 200_000, 200), ("one by one", 5_000, 1)] {
        let folder = tempfile::tempdir_in(".")?;
        let (spool, writer) = spool::open(Options::at(folder.path().join("spool.db"))).await?;
        #[expect(clippy::disallowed_methods, reason = "a bench has no task set")]
        let writing = tokio::spawn(writer.run());
        let bus = Bus::local(&spool, Topology::uniform(1).ok_or("no shards")?).await?;
        let queue = bus.topology().queues(Flow::InventoryOrders).next().ok_or("no queue")?;
        let shop = ShopId::new(1).ok_or("no shop")?;
        let message = OrderUnreadable { shop, order: None, reason: Word::clipped("bench") }.into();
        let mut envelope = Envelope::seal(&message, Uuid::nil(), Timestamp::default(), "bench")?;
        envelope.body = vec![7; BODY_BYTES];
        let batch = vec![envelope; together];
        let start = Instant::now();
        for _ in 0..messages / together {
            for answer in bus.publisher().publish(&batch).await {
                answer?;
            }
        }
        let published = start.elapsed();
        let stop = CancellationToken::new();
        let mut handler = Counting { left: messages, stop: stop.clone() };
        let limits = Limits {
            messages_max: 500,
            bytes_max: 8 << 20,
            wait_max: std::time::Duration::ZERO,
            ahead_max: 500,
        };
        let start = Instant::now();
        bus.consume(queue, limits, &mut handler, &stop).await?;
        let consumed = start.elapsed();
        let rate =
            |time: std::time::Duration| f64::from(u32::try_from(messages).unwrap_or(0)) / time.as_secs_f64();
        let (published, consumed) = (rate(published), rate(consumed));
        writeln!(
            out,
            "{name:<12} published {published:>9.0}/s   consumed and acknowledged {consumed:>9.0}/s"
        )?;
        drop((bus, spool));
        writing.await??;
    }
    Ok(())
}
