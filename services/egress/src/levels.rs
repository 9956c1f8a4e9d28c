//! Takes levels in: one transaction for a batch, then the acknowledgement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bus::{Delivery, Disposition, Handler, Limits, Pause};
use process::backoff;
use proto::{DecodeError, LevelChanged, Message};
use store::{Class, Error};
use values::{StockId, Timestamp};

use crate::observe::GivenUp;
use crate::shared::Shared;
use crate::stock::Taken;
use crate::work::Work;

/// How much is taken in at once.
pub(crate) const LIMITS: Limits =
    Limits { messages_max: 500, bytes_max: 4 << 20, wait_max: Duration::from_millis(20) };

/// Before a single message is tried again that the database refuses.
const POISON_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The consumer's handler.
pub(crate) struct Levels {
    shared: Arc<Shared>,
    failures: u32,
}

/// A level with the time it was published at.
type Published = (LevelChanged, Timestamp);

impl Levels {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, failures: 0 }
    }

    async fn apply(&self, levels: &[&Published]) -> Result<(), Error> {
        let shared = &self.shared;
        let now = shared.now();
        let ids: Vec<StockId> =
            levels.iter().map(|(level, _)| level.stock).collect::<BTreeSet<_>>().into_iter().collect();
        let mut work = Work::on(&shared.store, &ids).await?;
        let mut seen: Vec<(StockId, Taken)> = Vec::with_capacity(levels.len());
        for (level, at) in levels {
            let place = ids.binary_search(&level.stock).expect("it was collected above");
            let stock = work.stocks.get_mut(place).expect("one stock for each id");
            seen.push((level.stock, stock.take(level, *at, now, &shared.settings)));
        }
        work.commit().await?;
        for (stock, taken) in seen {
            shared.observe.level(stock, &taken);
        }
        for shop in ids.iter().map(|stock| stock.shop).collect::<BTreeSet<_>>() {
            shared.wakes.wake(shop);
        }
        Ok(())
    }

    /// Each by itself, so that one that the database refuses does not hold the others up.
    async fn apply_singly(&self, opened: &[Opened]) -> Result<Vec<Disposition>, Error> {
        let mut dispositions = Vec::with_capacity(opened.len());
        for opened in opened {
            dispositions.push(match opened {
                Opened::Level(level) => match self.apply(&[level]).await {
                    Ok(()) => Disposition::Ack,
                    Err(error) if error.class() == Class::Retry => return Err(error),
                    Err(error) => {
                        self.shared.observe.level_refused(level.0.stock, &error);
                        Disposition::RetryAfter(POISON_RETRY_AFTER)
                    }
                },
                Opened::GivenUp(reason) => Disposition::DeadLetter { reason: reason.clone() },
            });
        }
        Ok(dispositions)
    }
}

enum Opened {
    Level(Box<Published>),
    GivenUp(String),
}

impl Handler for Levels {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        let opened: Vec<Opened> = batch.iter().map(open).collect();
        for opened in &opened {
            if let Opened::GivenUp(reason) = opened {
                self.shared.observe.given_up(GivenUp::Unreadable, reason);
            }
        }
        let levels: Vec<&Published> = opened
            .iter()
            .filter_map(|opened| match opened {
                Opened::Level(level) => Some(&**level),
                Opened::GivenUp(_) => None,
            })
            .collect();
        let applied = match self.apply(&levels).await {
            Err(error) if error.class() != Class::Retry => self.apply_singly(&opened).await,
            Err(error) => Err(error),
            Ok(()) => Ok(opened
                .iter()
                .map(|opened| match opened {
                    Opened::Level(_) => Disposition::Ack,
                    Opened::GivenUp(reason) => Disposition::DeadLetter { reason: reason.clone() },
                })
                .collect()),
        };
        match applied {
            Ok(dispositions) => {
                self.failures = 0;
                Ok(dispositions)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.shared.observe.database_failed("take levels in", &error);
                Err(Pause(self.shared.settings.database.delay(self.failures, backoff::random())))
            }
        }
    }
}

fn open(delivery: &Delivery) -> Opened {
    match delivery.envelope.open() {
        Ok(Message::LevelChanged(level)) => {
            Opened::Level(Box::new((level, delivery.envelope.properties.timestamp)))
        }
        Ok(other) => Opened::GivenUp(format!("wrong-queue: {}", other.kind())),
        Err(error @ DecodeError::FutureVersion { .. }) => Opened::GivenUp(format!("future-version: {error}")),
        Err(error) => Opened::GivenUp(format!("unreadable: {error}")),
    }
}
