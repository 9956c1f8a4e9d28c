//! Keeps what was given up, by whatever service, for somebody to replay or discard.

use std::sync::Arc;

use bus::{ConsumeError, Custody, DeadLetter, Flow, Keeper, Pause, QueueName};
use futures_util::future::try_join_all;
use process::backoff::random;
use process::clock;
use store::{Changes, NewDead};
use tokio_util::sync::CancellationToken;

use crate::batch::given_up;
use crate::consumer::BACKOFF;
use crate::handle::Shared;
use crate::observe::Observer;

/// What other services give up: their flows.
const OF_OTHERS: [Flow; 2] = [Flow::EgressLevels, Flow::IngressReads];

/// Keeps a message among those given up, unless the database refuses it. An error is that the database is away.
pub(crate) async fn keep(shared: &Shared, dead: &NewDead) -> Result<Custody, store::Error> {
    let kept = async {
        let mut tx = shared.store.begin_inventory().await?;
        let changes = Changes { dead: std::slice::from_ref(dead), now: dead.at, ..Changes::default() };
        tx.save(&changes).await?;
        tx.commit().await
    };
    let custody = match kept.await {
        Ok(()) => Custody::Taken,
        Err(error) if is_away(&error) => return Err(error),
        Err(error) => {
            Observer::not_kept(&error);
            Custody::Left
        }
    };
    shared.observer.buried(dead);
    Ok(custody)
}

/// Whether the database is to blame, and no message.
pub(crate) fn is_away(error: &store::Error) -> bool {
    match error {
        store::Error::Busy { .. }
        | store::Error::Unusable { .. }
        | store::Error::Migration { .. }
        | store::Error::Schema { .. } => true,
        store::Error::Constraint { .. } | store::Error::Damaged { .. } | store::Error::Secret { .. } => false,
    }
}

/// Takes over what other services give up, until `stop`: of the shard of that index, and of all that are as far from it as
/// there are shards of facts.
pub(crate) async fn keep_of_others(
    shared: &Arc<Shared>,
    index: u16,
    stop: &CancellationToken,
) -> Result<(), ConsumeError> {
    let topology = shared.bus.topology();
    let (first, step) = (usize::from(index), usize::from(topology.shards(Flow::InventoryOrders)));
    let queues = OF_OTHERS.into_iter().flat_map(|flow| topology.queues(flow).skip(first).step_by(step));
    let keeping = queues.map(async |queue| {
        let mut keeper = OfOthers { shared: Arc::clone(shared), queue, failures: 0 };
        shared.bus.keep_letters(queue, &mut keeper, stop).await
    });
    try_join_all(keeping).await.map(drop)
}

/// Keeps the letters of one queue.
struct OfOthers {
    shared: Arc<Shared>,
    queue: QueueName,
    /// Times in a row that the database could not be used.
    failures: u32,
}

impl Keeper for OfOthers {
    async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
        let queue = self.queue.to_string();
        let mut custody = Vec::with_capacity(letters.len());
        for letter in letters {
            // It was no fact, so nothing is missing in what is known of its shop.
            match keep(&self.shared, &given_up(letter, &queue, false, clock::now())).await {
                Ok(kept) => custody.push(kept),
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    let wait = BACKOFF.delay(self.failures, random());
                    self.shared.observer.paused(&error, wait);
                    return Err(Pause(wait));
                }
            }
        }
        self.failures = 0;
        Ok(custody)
    }
}
