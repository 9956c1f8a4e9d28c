//! What becomes of a call's answer: the gate hears of it, and every stock that was in it is stored with what it means.

use std::time::{Duration, Instant};

use connector::{
    CallError, ChangeOutcome, Changed, Effect, NotSentCause, RefusalKind, Reply, Shown, StocksRead,
};
use process::backoff;
use store::Error;
use values::{StockId, Timestamp};

use super::Lane;
use super::call::{Asked, Begun, Done};
use crate::gate::cause;
use crate::stock::{Stock, UNMANAGED};
use crate::work::Work;

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

impl Lane {
    /// Takes the end of a call. What it means is stored before anything else happens to these stocks; if the database is
    /// away until the process stops, the intents stay open and are doubtful for its successor.
    pub(super) async fn finish(&mut self, done: Done) {
        self.tell_gate(&done);
        let mut failures = 0;
        loop {
            match self.store_answer(&done).await {
                Ok(due) => {
                    self.due_at(due);
                    break;
                }
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

    /// Stores what an answer means; when the first of its stocks is due then.
    pub(super) async fn store_answer(&self, done: &Done) -> Result<Option<Timestamp>, Error> {
        match done {
            Done::Push { begun, variations, at, result, .. } => {
                self.store_pushed(begun, *variations, at.elapsed(), result).await
            }
            Done::ReadBack { asked, result, .. } => self.store_read_back(asked, result).await,
            Done::Probe { .. } | Done::ProbeOrder { .. } => Ok(None),
            Done::Report(reported) => self.store_report(reported).await.map(|()| None),
        }
    }

    async fn store_pushed(
        &self,
        begun: &[Begun],
        variations: bool,
        took: Duration,
        result: &Result<Changed, CallError>,
    ) -> Result<Option<Timestamp>, Error> {
        let ids: Vec<StockId> = begun.iter().map(|begun| begun.id).collect();
        let mut work = Work::on(&self.shared.store, &ids).await?;
        let now = self.shared.now();
        for (place, (stock, begun)) in work.stocks.iter_mut().zip(begun).enumerate() {
            if !stock.awaits(&self.owner, begun.started_at) {
                continue;
            }
            match result {
                Ok(changed) => {
                    let outcome = changed.outcomes.get(place).copied().unwrap_or(ChangeOutcome::Uncertain);
                    // A shop that does not say what time it is there: then ours has to do.
                    let date = changed.shop_time.unwrap_or(now);
                    self.pushed(stock, begun, outcome, (date, took, now));
                }
                Err(error) => {
                    let failed = failed(error, variations, ids.len() == 1);
                    begun.span.record("outcome", failed.word());
                    self.push_failed(stock, failed, error, now);
                }
            }
        }
        let due = work.due().remove(&self.id());
        work.commit().await?;
        Ok(due)
    }

    fn pushed(
        &self,
        stock: &mut Stock,
        begun: &Begun,
        outcome: ChangeOutcome,
        (date, took, now): (Timestamp, Duration, Timestamp),
    ) {
        begun.span.record("outcome", outcome_word(outcome));
        match outcome {
            ChangeOutcome::Applied { .. } => {
                self.shared.observe.pushed("applied");
                stock.caused(begun.causes);
                if let Some(since) = stock.succeeded(date, took, now) {
                    self.shared.observe.lag(now.since(since));
                }
            }
            ChangeOutcome::Refused { kind: RefusalKind::Permanent, reason } => {
                self.shared.observe.pushed("refused");
                self.shared.observe.blocked(stock.row.id, reason.as_str());
                stock.refused(reason.as_str());
                stock.block(reason.as_str());
                stock.plan(now, Duration::ZERO);
            }
            ChangeOutcome::Refused { kind: RefusalKind::Temporary, reason } => {
                self.shared.observe.pushed("refused");
                stock.refused(reason.as_str());
                stock.hold_back(now, &self.shared.settings);
            }
            ChangeOutcome::Uncertain => {
                self.shared.observe.pushed("uncertain");
                stock.uncertain("bad_reply", now);
            }
        }
    }

    fn push_failed(&self, stock: &mut Stock, failed: Failed, error: &CallError, now: Timestamp) {
        match failed {
            Failed::Uncertain => {
                self.shared.observe.pushed("uncertain");
                stock.uncertain(cause(error), now);
            }
            Failed::Unsent => {
                self.shared.observe.pushed("unsent");
                stock.unsent(now);
            }
            Failed::Refused => {
                self.shared.observe.pushed("refused");
                stock.refused(cause(error));
                stock.hold_back(now, &self.shared.settings);
            }
            Failed::Blocked(why) => {
                self.shared.observe.pushed("refused");
                self.shared.observe.blocked(stock.row.id, why);
                stock.refused(why);
                stock.block(why);
                stock.plan(now, Duration::ZERO);
            }
        }
    }

    async fn store_read_back(
        &self,
        asked: &[Asked],
        result: &Result<Reply<StocksRead>, CallError>,
    ) -> Result<Option<Timestamp>, Error> {
        let shop = self.id();
        let ids: Vec<StockId> =
            asked.iter().map(|asked| StockId { shop, holder: asked.stock.holder }).collect();
        let mut work = Work::on(&self.shared.store, &ids).await?;
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
        Ok(due)
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
