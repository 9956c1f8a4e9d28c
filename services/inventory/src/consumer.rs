//! Takes facts off the bus: a batch is one transaction, or several if it would take long, and is acknowledged after they are
//! committed. What fails is halved until the message that is to blame stands alone; that one is set aside, the others are applied.

mod portion;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bus::{Custody, DeadLetter, Delivery, Disposition, Handler, Limits, Pause, QueueName};
use process::backoff::{Backoff, random};
use process::clock;
use process::error_chain;
use store::NewDead;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::batch::{Failure, Item, apply, given_up};
use crate::handle::Shared;
use crate::letters::{self, is_away};
use crate::settings::Settings;
use crate::trace;
use portion::Portion;

/// Bytes of a batch after which no message is added: orders of a thousand lines come in batches of few.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Messages that all queues have at hand at most, some 4 kB each while they are applied.
const AT_HAND_MAX: usize = 32_000;
/// Messages of a batch however many queues there are: with fewer an order costs much more.
const BATCH_MESSAGES_MIN: usize = 250;
/// How long a transaction is to take: who wants the same SKUs waits for it.
const TRANSACTION_AIM: Duration = Duration::from_millis(500);
/// The same where everybody waits for it, since there is one writer at a time.
const TRANSACTION_AIM_ALONE: Duration = Duration::from_millis(200);
/// Waits while the database cannot be used.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(200), max: Duration::from_secs(15) };

/// For each of `queue_count` queues.
pub(crate) fn limits(settings: &Settings, queue_count: u16) -> Limits {
    // A batch that is applied, and one ahead.
    let share = AT_HAND_MAX / usize::from(queue_count.max(1)) / 2;
    let messages_max = settings.batch_messages_max.min(share.max(BATCH_MESSAGES_MIN));
    Limits {
        messages_max,
        bytes_max: BATCH_BYTES_MAX,
        wait_max: settings.batch_wait,
        // Nothing is ever sent back. With nothing ahead, broker and database take turns.
        ahead_max: messages_max,
    }
}

/// Applies what one queue delivers.
#[derive(Debug)]
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    /// Its name.
    queue: Arc<str>,
    portion: Portion,
    /// Batches in a row that met a database that cannot be used.
    failures: u32,
}

impl Consumer {
    pub(crate) fn new(shared: Arc<Shared>, queue: QueueName) -> Self {
        let aim = if shared.store.has_one_writer() { TRANSACTION_AIM_ALONE } else { TRANSACTION_AIM };
        Self { shared, queue: queue.to_string().into(), portion: Portion::new(aim), failures: 0 }
    }

    /// Every message of the range is applied or set aside afterwards.
    async fn work_off(&mut self, items: &[Item<'_>]) -> Result<Vec<Disposition>, Pause> {
        let mut dispositions = vec![Disposition::Ack; items.len()];
        let mut ranges = Vec::from([Range { start: 0, end: items.len() }]);
        while let Some(mut range) = ranges.pop() {
            let end = range.start + self.portion.of(range.len());
            if end < range.end {
                ranges.push(Range { start: end, end: range.end });
                range.end = end;
            }
            let some = items.get(range.clone()).unwrap_or_default();
            let began = Instant::now();
            match apply(&self.shared.store, some, clock::now()).await {
                Ok(mut summary) => {
                    self.failures = 0;
                    self.portion.took(some.len(), began.elapsed());
                    self.shared.observer.applied(some.len(), began.elapsed(), &summary);
                    self.shared.committed(&mut summary);
                }
                Err(Failure::Store(error)) if is_away(&error) => return Err(self.pause(&error)),
                Err(failure) => {
                    let reason = reason(&failure);
                    if let [item] = some {
                        if let Some(slot) = dispositions.get_mut(range.start) {
                            *slot = self.bury(item, &reason).await?;
                        }
                    } else {
                        self.shared.observer.split(some.len(), &reason);
                        ranges.extend(halves(range).into_iter().rev());
                    }
                }
            }
        }
        Ok(dispositions)
    }

    /// Sets a message aside that can never be applied. While it is there its shop's picture is incomplete.
    async fn bury(&mut self, item: &Item<'_>, reason: &str) -> Result<Disposition, Pause> {
        let dead = item.dead(reason, clock::now());
        Ok(match self.keep(&dead).await? {
            Custody::Taken => Disposition::Ack,
            Custody::Left => Disposition::DeadLetter { reason: dead.reason },
        })
    }

    /// Keeps a message among those given up, unless the database refuses it.
    async fn keep(&mut self, dead: &NewDead) -> Result<Custody, Pause> {
        letters::keep(&self.shared, dead).await.map_err(|error| self.pause(&error))
    }

    fn pause(&mut self, error: &store::Error) -> Pause {
        self.failures = self.failures.saturating_add(1);
        let wait = BACKOFF.delay(self.failures, random());
        self.shared.observer.paused(error, wait);
        Pause(wait)
    }
}

impl Handler for Consumer {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        let queue = Arc::clone(&self.queue);
        let mut items: Vec<Item<'_>> =
            batch.iter().map(|delivery| Item::open(delivery, Some(&queue))).collect();
        let span = trace::begin(&mut items);
        self.work_off(&items).instrument(span).await
    }

    /// What the transport gives up by itself is kept with what inventory gives up: while it is there, its shop's picture is
    /// incomplete.
    async fn take_over(&mut self, letters: &[DeadLetter]) -> Result<Vec<Custody>, Pause> {
        let mut custody = Vec::with_capacity(letters.len());
        for letter in letters {
            let dead = given_up(letter, &self.queue, true, clock::now());
            custody.push(self.keep(&dead).await?);
        }
        Ok(custody)
    }
}

fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Store(error) => format!("store: {}", error_chain(error)),
        Failure::Panicked(text) => format!("broken-rule: {text}"),
    }
}

fn halves(range: Range<usize>) -> [Range<usize>; 2] {
    let middle = range.start + range.len() / 2;
    [range.start..middle, middle..range.end]
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::limits;

    #[test]
    fn queues_share_what_may_be_at_hand() {
        let settings = Settings { batch_messages_max: 1_000, ..Settings::for_testing() };
        let of = |queue_count| {
            let limits = limits(&settings, queue_count);
            assert_eq!(limits.messages_max, limits.ahead_max);
            limits.messages_max
        };
        assert_eq!([1, 2, 16, 32, 64, 256].map(of), [1_000, 1_000, 1_000, 500, 250, 250]);
        let few = Settings { batch_messages_max: 20, ..Settings::for_testing() };
        assert_eq!(limits(&few, 256).messages_max, 20, "no more than was set");
    }
}
