//! Takes levels in: one transaction for a batch, then the acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{Delivery, Disposition, Handler, Limits, Pause};
use process::backoff;
use proto::{DecodeError, LevelChanged, LevelsChanged, Message, ShipmentMade};
use push::DriftPolicy;
use store::{Error, ReportWanted, SeenPush, ShipmentId};
use tracing::{Instrument as _, Span};
use values::{ShopId, StockId, Timestamp};

use crate::settings::Settings;
use crate::shared::{Roster, Shared};
use crate::stock::{Cause, LevelOutcome};
use crate::trace;
use crate::work::{Hold, Work, Written};

/// Messages taken in at once, and the bytes after which no further one is.
const TOGETHER_MAX: usize = 500;
const TOGETHER_BYTES_MAX: usize = 4 << 20;
/// Levels taken in by one transaction; a message may hold several.
const LEVELS_TOGETHER_MAX: usize = 500;
/// How long they wait for each other.
const TOGETHER_WAIT_MAX: Duration = Duration::from_millis(20);

/// Before a single message is tried again that cannot be stored.
const POISON_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long to wait for the first look at the shops.
const ROSTER_WAIT: Duration = Duration::from_millis(50);
/// A message that could not be stored is given up after so many tries: the others of its shard wait for it.
const POISON_TRIES_MAX: u32 = 3;

/// How much is taken in at once. What is not to wait for company on its way to the shop does not wait for it here.
pub(crate) fn limits(settings: &Settings) -> Limits {
    Limits {
        messages_max: TOGETHER_MAX,
        bytes_max: TOGETHER_BYTES_MAX,
        wait_max: TOGETHER_WAIT_MAX.min(settings.flush_window),
        // Levels that cannot be taken in are sent back.
        ahead_max: 0,
    }
}

/// The consumer's handler.
pub(crate) struct Levels {
    shared: Arc<Shared>,
    failures: u32,
}

/// A level that was published.
pub(crate) struct Published {
    pub(crate) level: LevelChanged,
    /// When.
    at: Timestamp,
    /// Its place in its trace.
    pub(crate) trace: Option<String>,
    pub(crate) span: Span,
}

impl Levels {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, failures: 0 }
    }

    /// One transaction for as many as may be; the same ones again do no harm.
    async fn apply(&self, levels: &[&Published], roster: &Roster) -> Result<(), Error> {
        for together in levels.chunks(LEVELS_TOGETHER_MAX) {
            // As a rule nobody else changes these stocks at this moment.
            if !self.is_applied(together, roster, Hold::Free).await? {
                self.is_applied(together, roster, Hold::Locked).await?;
            }
        }
        Ok(())
    }

    /// `false`: nothing is, since somebody else changed one of the stocks meanwhile.
    async fn is_applied(&self, levels: &[&Published], roster: &Roster, hold: Hold) -> Result<bool, Error> {
        let shared = &self.shared;
        let now = shared.now();
        let ids: Vec<StockId> = levels
            .iter()
            .map(|published| published.level.stock)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut work = match hold {
            // A level that is no news by what is remembered is none by what is stored.
            Hold::Free => Work::seen(&shared.store, shared.store.recall_pushes(&ids).await?),
            Hold::Locked => Work::on(&shared.store, &ids, hold).await?,
        };
        // Their lane may remember that.
        let due_before = work.stocks.iter().filter(|stock| stock.row.due_at.is_some());
        let were_due: BTreeSet<StockId> = due_before.map(|stock| stock.row.id).collect();
        let mut seen: Vec<(&Published, LevelOutcome)> = Vec::with_capacity(levels.len());
        for published in levels {
            let Published { level, at, trace, span: _ } = published;
            let place = ids.binary_search(&level.stock).expect("it was collected above");
            let stock = work.stocks.get_mut(place).expect("one stock for each id");
            let cause = Cause { at: *at, trace: trace.as_deref() };
            let policy =
                roster.get(&level.stock.shop).map_or(DriftPolicy::Correct, |shop| shop.settings.drift);
            let outcome = stock.apply(level, cause, policy, now, &shared.settings);
            work.drifts.extend(outcome.drift.clone());
            work.decided.extend(outcome.decided.clone());
            seen.push((published, outcome));
        }
        let due = work.due();
        let stored = match work.commit().await? {
            Written::Nothing => return Ok(false),
            Written::All(stored) => stored,
        };
        for (published, outcome) in seen {
            published.span.record("fresh", outcome.fresh);
            shared.observe.level(published.level.stock, &outcome);
        }
        let Some(stored) = stored else {
            for (shop, due) in due {
                shared.wakes.wake(shop, due);
            }
            return Ok(true);
        };
        let mut by_shop: BTreeMap<ShopId, Vec<SeenPush>> = BTreeMap::new();
        let concerns_lane = |stock: &SeenPush| stock.row.due_at.is_some() || were_due.contains(&stock.row.id);
        for stock in stored.into_iter().filter(concerns_lane) {
            by_shop.entry(stock.row.id.shop).or_default().push(stock);
        }
        for (shop, stocks) in by_shop {
            shared.wakes.tell(shop, stocks);
        }
        Ok(true)
    }

    /// Keeps what shops are to be told of shipments.
    async fn take_reports(&self, wanted: &[ReportWanted]) -> Result<(), Error> {
        if wanted.is_empty() {
            return Ok(());
        }
        let now = self.shared.now();
        self.shared.store.take_reports(wanted, now).await?;
        for shop in wanted.iter().map(|wanted| wanted.id.shop).collect::<BTreeSet<_>>() {
            self.shared.reports.add(shop);
            self.shared.wakes.wake(shop, now);
        }
        Ok(())
    }

    /// Each by itself, so that one that cannot be stored does not hold the others up for long.
    async fn apply_singly(
        &self,
        batch: &[Delivery],
        opened: &[Opened],
        roster: &Roster,
    ) -> Result<Vec<Disposition>, Error> {
        let mut dispositions = Vec::with_capacity(opened.len());
        for (delivery, opened) in batch.iter().zip(opened) {
            let disposition = match opened {
                Opened::Levels(levels) => self.apply_each(delivery, levels, roster).await?,
                Opened::Shipment(wanted) => match self.take_reports(std::slice::from_ref(wanted)).await {
                    Ok(()) => Disposition::Ack,
                    Err(error) if !is_of_message(&error) => return Err(error),
                    Err(error) => poisoned(delivery, &error),
                },
                Opened::GivenUp(reason) => Disposition::DeadLetter { reason: reason.clone() },
            };
            dispositions.push(disposition);
        }
        Ok(dispositions)
    }

    /// The levels of one message, alone if they cannot be stored together. If one of them cannot be stored the others are all the
    /// same; the message says all of them again wherever it is kept, which does no harm.
    async fn apply_each(
        &self,
        delivery: &Delivery,
        levels: &[Published],
        roster: &Roster,
    ) -> Result<Disposition, Error> {
        match self.apply(&levels.iter().collect::<Vec<_>>(), roster).await {
            Ok(()) => return Ok(Disposition::Ack),
            Err(error) if !is_of_message(&error) => return Err(error),
            Err(_) => {}
        }
        let mut disposition = Disposition::Ack;
        for level in levels {
            match self.apply(&[level], roster).await {
                Ok(()) => {}
                Err(error) if !is_of_message(&error) => return Err(error),
                Err(error) => {
                    self.shared.observe.level_refused(level.level.stock, &error);
                    disposition = poisoned(delivery, &error);
                }
            }
        }
        Ok(disposition)
    }
}

/// Whether it would fail alone just the same, and others would not: a damaged row, or a defect here.
const fn is_of_message(error: &Error) -> bool {
    matches!(error, Error::Damaged { .. } | Error::Constraint { .. })
}

fn poisoned(delivery: &Delivery, error: &Error) -> Disposition {
    if delivery.delivery_count < POISON_TRIES_MAX {
        Disposition::RetryAfter(POISON_RETRY_AFTER)
    } else {
        Disposition::DeadLetter { reason: format!("cannot-be-stored: {error}") }
    }
}

enum Opened {
    /// At least one, of one shop.
    Levels(Vec<Published>),
    Shipment(ReportWanted),
    GivenUp(String),
}

impl Opened {
    fn levels(&self) -> &[Published] {
        match self {
            Self::Levels(levels) => levels,
            Self::Shipment(_) | Self::GivenUp(_) => &[],
        }
    }

    fn levels_mut(&mut self) -> &mut [Published] {
        match self {
            Self::Levels(levels) => levels,
            Self::Shipment(_) | Self::GivenUp(_) => &mut [],
        }
    }
}

impl Handler for Levels {
    async fn handle(&mut self, batch: &[Delivery]) -> Result<Vec<Disposition>, Pause> {
        // Without it nobody knows what a shop wants done about differences.
        let Some(roster) = self.shared.roster.borrow().clone() else { return Err(Pause(ROSTER_WAIT)) };
        let mut opened: Vec<Opened> = batch.iter().map(open).collect();
        let traced = opened.iter_mut().flat_map(Opened::levels_mut);
        let span = trace::taking_in(traced, batch);
        for opened in &opened {
            if let Opened::GivenUp(reason) = opened {
                self.shared.observe.given_up(reason);
            }
        }
        let levels: Vec<&Published> = opened.iter().flat_map(Opened::levels).collect();
        let wanted: Vec<ReportWanted> = opened
            .iter()
            .filter_map(|opened| match opened {
                Opened::Shipment(wanted) => Some(wanted.clone()),
                Opened::Levels(_) | Opened::GivenUp(_) => None,
            })
            .collect();
        let applied = async {
            self.take_reports(&wanted).await?;
            if levels.is_empty() { Ok(()) } else { self.apply(&levels, &roster).await }
        };
        let applied = match applied.instrument(span.clone()).await {
            Err(error) if is_of_message(&error) => {
                self.apply_singly(batch, &opened, &roster).instrument(span).await
            }
            Err(error) => Err(error),
            Ok(()) => Ok(opened
                .iter()
                .map(|opened| match opened {
                    Opened::Levels(_) | Opened::Shipment(_) => Disposition::Ack,
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
    let properties = &delivery.envelope.properties;
    let published = |level, trace| Published { level, at: properties.timestamp, trace, span: Span::none() };
    match delivery.envelope.open() {
        Ok(Message::LevelChanged(level)) => {
            Opened::Levels(vec![published(level, properties.traceparent.clone())])
        }
        Ok(Message::LevelsChanged(LevelsChanged { shop: _, levels })) => {
            let levels = levels.into_iter().map(|traced| published(traced.level, traced.traceparent));
            Opened::Levels(levels.collect())
        }
        Ok(Message::ShipmentMade(made)) => Opened::Shipment(wanted(&made)),
        Ok(other) => Opened::GivenUp(format!("wrong-queue: {}", other.kind())),
        Err(error @ DecodeError::FutureVersion { .. }) => Opened::GivenUp(format!("future-version: {error}")),
        Err(error) => Opened::GivenUp(format!("unreadable: {error}")),
    }
}

fn wanted(made: &ShipmentMade) -> ReportWanted {
    ReportWanted {
        id: ShipmentId { shop: made.shop, order: made.order, number: made.number },
        revision: made.revision.get(),
        status: made.status.as_ref().map(|status| status.as_str().to_owned()),
        note: made.note.as_ref().map(|note| note.as_str().to_owned()),
    }
}
