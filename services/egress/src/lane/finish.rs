//! What becomes of a call's answer: the gate hears of it, and every stock that was in it is stored with what it means.

use std::time::{Duration, Instant};

use connector::{
    CallError, ChangeOutcome, Changed, Effect, NotSentCause, RefusalKind, Reply, Shown, StocksRead,
};
use process::backoff;
use store::{Error, SeenPush};
use values::{StockId, Timestamp};

use super::Lane;
use super::call::{Asked, Begun, Done};
use crate::gate::cause;
use crate::stock::{Stock, UNMANAGED};
use crate::work::{Hold, Work, Written};

/// The shop takes no batch of this size.
const TOO_LARGE: u16 = 413;

/// What an error means for each push that was in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// Nobody knows whether it arrived.
    Uncertain,
    /// It never left, or was sent back unread: nobody was told anything.
    Unsent,
    /// Refused for what it is: tried again later.
    Refused,
    /// Refused until somebody changes the shop.
    Blocked(&'static str),
}

/// Whether an answer is stored.
#[derive(Debug)]
pub(super) enum Stored {
    /// It is; its stocks as they are stored, as far as that is known, and when the first of the others is due.
    Yes { stocks: Vec<SeenPush>, due: Option<Timestamp> },
    /// Somebody else changed one of its stocks meanwhile: it is to be stored again, locked.
    No,
}

impl Stored {
    const NOTHING_DUE: Self = Self::Yes { stocks: Vec::new(), due: None };
}

/// What a push came to, for logs, metrics and traces, once that is stored.
struct Became {
    outcome: &'static str,
    /// How late it is, if the shop shows now what it should.
    late: Option<Duration>,
    /// Why nothing more can be pushed.
    blocked: Option<String>,
}

impl Became {
    const fn word(outcome: &'static str) -> Self {
        Self { outcome, late: None, blocked: None }
    }
}

impl Lane {
    /// Takes the end of a call. What it means is stored before anything else happens to these stocks; if the database is
    /// away until the process stops, the intents stay open and are doubtful for its successor.
    pub(super) async fn finish(&mut self, done: Done) {
        self.tell_gate(&done);
        let (mut failures, mut hold) = (0, Hold::Free);
        loop {
            match self.store_answer(&done, hold).await {
                Ok(Stored::Yes { stocks, due }) => {
                    self.remember(stocks, self.shared.now());
                    self.due_at(due);
                    break;
                }
                // What is locked stays as it is.
                Ok(Stored::No) => hold = Hold::Locked,
                Err(error) => {
                    failures += 1;
                    self.due_from = None;
                    self.shared.observe.database_failed("store the answer of a shop", &error);
                    if self.pause_after(failures).await {
                        return;
                    }
                }
            }
        }
        if let Some(order) = done.reported_order() {
            self.report_ended(order);
        }
    }

    fn tell_gate(&mut self, done: &Done) {
        let (kind, stocks, started, error) = match done {
            Done::Push { begun, sent, result, .. } => ("push", begun.len(), *sent, result.as_ref().err()),
            Done::ReadBack { asked, sent, result } => {
                ("read_back", asked.len(), *sent, result.as_ref().err())
            }
            Done::Probe { sent, result } | Done::ProbeOrder { sent, result, .. } => {
                ("probe", 1, *sent, result.as_ref().err())
            }
            Done::Report(reported) => return self.tell_gate_of_report(reported),
        };
        let now = Instant::now();
        let Some(error) = error else {
            if let Done::ReadBack { result: Ok(reply), .. } = done {
                self.gate.owe(now, reply.calls.saturating_sub(1));
            }
            self.gate.answered(now, started, stocks);
            self.shared.observe.called(self.id(), kind, "answered", None, stocks);
            return;
        };
        self.gate.failed(now, started, error, &self.shared.settings, backoff::random());
        let outcome = if error.effect() == Effect::Unknown { "uncertain" } else { "failed" };
        self.shared.observe.called(self.id(), kind, outcome, Some(cause(error)), stocks);
        if matches!(error, CallError::Refused { status: TOO_LARGE, .. }) && stocks > 1 {
            self.batch_max = self.batch_max.min(stocks / 2).max(1);
            self.shared.observe.batch_halved(self.id(), self.batch_max);
        }
    }

    /// Stores what an answer means.
    pub(super) async fn store_answer(&self, done: &Done, hold: Hold) -> Result<Stored, Error> {
        match done {
            Done::Push { begun, variations, at, result, .. } => {
                self.store_pushed(begun, *variations, at.elapsed(), result, hold).await
            }
            Done::ReadBack { asked, result, .. } => self.store_read_back(asked, result).await,
            Done::Probe { .. } | Done::ProbeOrder { .. } => Ok(Stored::NOTHING_DUE),
            Done::Report(reported) => {
                self.store_report(reported).await?;
                Ok(Stored::NOTHING_DUE)
            }
        }
    }

    async fn store_pushed(
        &self,
        begun: &[Begun],
        variations: bool,
        took: Duration,
        result: &Result<Changed, CallError>,
        hold: Hold,
    ) -> Result<Stored, Error> {
        let store = &self.shared.store;
        let seen: Option<Vec<_>> = begun.iter().map(|begun| begun.seen.clone()).collect();
        let mut work = match seen.filter(|_| hold == Hold::Free) {
            Some(seen) => Work::seen(store, seen),
            None => Work::on(store, &begun.iter().map(|begun| begun.id).collect::<Vec<_>>(), hold).await?,
        };
        let now = self.shared.now();
        let count = begun.len();
        let mut became = Vec::with_capacity(count);
        for (place, (stock, begun)) in work.stocks.iter_mut().zip(begun).enumerate() {
            if !stock.awaits(&self.owner, begun.started_at) {
                continue;
            }
            let stock_became = match result {
                Ok(changed) => {
                    let outcome = changed.outcomes.get(place).copied().unwrap_or(ChangeOutcome::Uncertain);
                    // A shop that does not say what time it is there: then ours has to do.
                    let date = changed.shop_time.unwrap_or(now);
                    self.pushed(stock, begun, outcome, (date, took, now))
                }
                Err(error) => {
                    let failed = failed(error, variations, count == 1);
                    self.push_failed(stock, failed, error, now)
                }
            };
            became.push((begun, stock_became));
        }
        let due = work.due().remove(&self.id());
        let stored = match work.commit().await? {
            Written::Nothing => return Ok(Stored::No),
            Written::All(Some(stocks)) => Stored::Yes { stocks, due: None },
            Written::All(None) => Stored::Yes { stocks: Vec::new(), due },
        };
        for (begun, became) in became {
            begun.span.record("outcome", became.outcome);
            self.shared.observe.pushed(became.outcome);
            if let Some(late) = became.late {
                self.shared.observe.lag(late);
            }
            if let Some(why) = became.blocked {
                self.shared.observe.blocked(begun.id, &why);
            }
        }
        Ok(stored)
    }

    fn pushed(
        &self,
        stock: &mut Stock,
        begun: &Begun,
        outcome: ChangeOutcome,
        (date, took, now): (Timestamp, Duration, Timestamp),
    ) -> Became {
        let mut became = Became::word(outcome_word(outcome));
        match outcome {
            ChangeOutcome::Applied { .. } => {
                stock.caused(begun.causes);
                became.late = stock.succeeded(date, took, now).map(|since| now.since(since));
            }
            ChangeOutcome::Refused { kind: RefusalKind::Permanent, reason } => {
                stock.refused(reason.as_str());
                stock.block(reason.as_str());
                stock.plan(now, Duration::ZERO);
                became.blocked = Some(reason.as_str().to_owned());
            }
            ChangeOutcome::Refused { kind: RefusalKind::Temporary, reason } => {
                stock.refused(reason.as_str());
                stock.hold_back(now, &self.shared.settings);
            }
            ChangeOutcome::Uncertain => stock.uncertain("bad_reply", now),
        }
        became
    }

    fn push_failed(&self, stock: &mut Stock, failed: Failed, error: &CallError, now: Timestamp) -> Became {
        let mut became = Became::word(failed.word());
        match failed {
            Failed::Uncertain => stock.uncertain(cause(error), now),
            Failed::Unsent => stock.unsent(now),
            Failed::Refused => {
                stock.refused(cause(error));
                stock.hold_back(now, &self.shared.settings);
            }
            Failed::Blocked(why) => {
                stock.refused(why);
                stock.block(why);
                stock.plan(now, Duration::ZERO);
                became.blocked = Some(why.to_owned());
            }
        }
        became
    }

    async fn store_read_back(
        &self,
        asked: &[Asked],
        result: &Result<Reply<StocksRead>, CallError>,
    ) -> Result<Stored, Error> {
        let shop = self.id();
        let ids: Vec<StockId> =
            asked.iter().map(|asked| StockId { shop, holder: asked.stock.holder }).collect();
        let mut work = Work::on(&self.shared.store, &ids, Hold::Locked).await?;
        let (now, settings) = (self.shared.now(), &self.shared.settings);
        for (place, (stock, asked)) in work.stocks.iter_mut().zip(asked).enumerate() {
            // Another doubt than the one that was read for: somebody else read it back meanwhile, and pushed.
            let doubtful_until = stock.row.push.doubtful_until;
            if doubtful_until.is_none() || doubtful_until != asked.doubtful_until {
                continue;
            }
            let shown = result
                .as_ref()
                .ok()
                .and_then(|reply| reply.value.get(place).map(|fact| (fact.shown, reply.shop_time)));
            match shown {
                Some((Shown::Quantity(shown), date)) => {
                    // With an unknown base there is nothing to correct; the settle that follows proves it.
                    stock.read_back(shown, asked.expected.unwrap_or(shown), date, now, settings);
                }
                Some((Shown::Unmanaged, date)) => stock.cannot_be_read(UNMANAGED, date, now, settings),
                Some((Shown::AtParent, date)) => stock.cannot_be_read("at_parent", date, now, settings),
                Some((Shown::Gone, date)) => stock.cannot_be_read("unknown", date, now, settings),
                Some((Shown::Unusable, _)) | None => stock.hold_back(now, settings),
            }
            if let Some(why) = &stock.row.blocked {
                self.shared.observe.blocked(stock.row.id, why);
            }
        }
        let due = work.due().remove(&self.id());
        work.commit().await?;
        Ok(Stored::Yes { stocks: Vec::new(), due })
    }
}

/// As spans say it; metrics too.
const fn outcome_word(outcome: ChangeOutcome) -> &'static str {
    match outcome {
        ChangeOutcome::Applied { .. } => "applied",
        ChangeOutcome::Refused { .. } => "refused",
        ChangeOutcome::Uncertain => "uncertain",
    }
}

impl Failed {
    const fn word(self) -> &'static str {
        match self {
            Self::Uncertain => "uncertain",
            Self::Unsent => "unsent",
            Self::Refused | Self::Blocked(_) => "refused",
        }
    }
}

fn failed(error: &CallError, variations: bool, alone: bool) -> Failed {
    match error {
        _ if error.effect() == Effect::Unknown => Failed::Uncertain,
        // Smaller ones follow at once; a single stock cannot be made smaller.
        CallError::Refused { status: TOO_LARGE, .. } if !alone => Failed::Unsent,
        CallError::Refused { status: 404, code } if variations && code.ends_with("_invalid_id") => {
            Failed::Blocked("unknown")
        }
        CallError::Refused { .. }
        | CallError::NotSent { cause: NotSentCause::Malformed | NotSentCause::TooMany, .. } => {
            Failed::Refused
        }
        _ => Failed::Unsent,
    }
}
