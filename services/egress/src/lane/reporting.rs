//! The part of a lane that tells its shop of shipments: one call of these at a time, in turn with pushes.

use std::time::Instant;

use connector::{CallError, OrderNote, TellOrders};
use connector_woocommerce::Client;
use process::backoff;
use store::{Error, ReportRow, ShopSettings};
use values::{OrderId, Timestamp};

use super::call::{Call, Done};
use super::{JOURNAL_TIME_MAX, Lane};
use crate::gate::{Permit, cause};
use crate::report::{self, Next, StatusTold, is_ended, is_further};

/// Reports looked at in one go.
const PAGE_REPORTS_MAX: u32 = 20;

/// A call that tells a shop of a shipment.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) row: ReportRow,
    pub(super) what: Next,
    /// What is set of the shop.
    shop: ShopSettings,
    /// Notes of the order's other shipments.
    known: Vec<i64>,
}

/// What the shop said.
#[derive(Debug)]
pub(super) enum Answer {
    Status(StatusTold),
    Note(i64),
    Notes(Vec<OrderNote>),
}

/// What is to be done of what a shop is to be told.
#[derive(Debug)]
pub(super) enum Reporting {
    /// This call.
    Call(Call),
    /// Nothing before this.
    Until(Instant),
    /// Nothing, before something else happens.
    Nothing,
}

/// A report's call that ended.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) report: Report,
    pub(super) sent: Instant,
    /// Requests made beside the first.
    pub(super) more_calls: u32,
    pub(super) result: Result<Answer, CallError>,
}

impl Report {
    pub(super) async fn make(self, client: &Client) -> Reported {
        let sent = Instant::now();
        let mut more_calls = 0;
        let order = self.row.id.order;
        let result = match self.what {
            Next::Note => {
                let text = self.row.note.as_ref().map_or("", |note| note.text.as_str());
                client.add_customer_note(order, text).await.map(Answer::Note)
            }
            Next::FindNote => client.customer_notes(order).await.map(Answer::Notes),
            Next::Status | Next::Wait(_) | Next::Nothing => {
                self.set_status(client, order, &mut more_calls).await.map(Answer::Status)
            }
        };
        Reported { report: self, sent, more_calls, result }
    }

    /// It was not made after all.
    pub(super) fn unmade(self, error: CallError) -> Reported {
        Reported { report: self, sent: Instant::now(), more_calls: 0, result: Err(error) }
    }

    /// Reads before it writes: an order that was cancelled a moment ago would take its stock again.
    async fn set_status(
        &self,
        client: &Client,
        order: OrderId,
        more_calls: &mut u32,
    ) -> Result<StatusTold, CallError> {
        let wanted = self.row.status.as_ref().map_or("", |status| status.text.as_str());
        let Some(status) = client.order_status(order).await? else { return Ok(StatusTold::Gone) };
        if status == wanted {
            return Ok(StatusTold::Already);
        }
        if is_ended(&status, &self.shop) {
            return Ok(StatusTold::Ended(status));
        }
        if is_further(&status, wanted, &self.shop) {
            return Ok(StatusTold::Already);
        }
        *more_calls = 1;
        let status = client.set_order_status(order, wanted).await?;
        Ok(if status == wanted { StatusTold::Set } else { StatusTold::Other(status) })
    }
}

impl Lane {
    /// Reports that are due; none while one is under way.
    pub(super) async fn due_reports(&mut self, now: Timestamp) -> Result<Vec<ReportRow>, Error> {
        self.reports_held = false;
        if !self.reporting.is_empty() {
            return Ok(Vec::new());
        }
        let hinted = self.shared.reports.take(self.id());
        if !hinted && self.reports_at.is_none_or(|at| Instant::now() < at) {
            return Ok(Vec::new());
        }
        // Asked again should this fail.
        self.reports_at = Some(Instant::now());
        let due = self.shared.store.reports_due(self.id(), now, PAGE_REPORTS_MAX).await?;
        if due.is_empty() {
            let next = self.shared.store.next_report(self.id()).await?;
            let look_again = Instant::now() + self.shared.settings.look_again;
            let next = next.map(|next| Instant::now() + next.since(now));
            self.reports_at = Some(next.map_or(look_again, |next| next.min(look_again)));
        }
        Ok(due)
    }

    /// The call for the first of the reports, if it may start now; if not, when to look again.
    pub(super) async fn report(&mut self, due: Vec<ReportRow>) -> Result<Reporting, Error> {
        for mut row in due {
            let (start, now) = (Instant::now(), self.shared.now());
            let what = report::next(&row, now);
            match what {
                Next::Nothing => {
                    row.due_at = None;
                    self.shared.store.save_report(&row).await?;
                    continue;
                }
                Next::Wait(until) => {
                    row.due_at = Some(until);
                    self.shared.store.save_report(&row).await?;
                    continue;
                }
                Next::Status | Next::Note | Next::FindNote => {}
            }
            let order = row.id.order;
            let probes = match self.gate.permit(Instant::now()) {
                Permit::Go => false,
                Permit::Probe => true,
                Permit::Full => {
                    // Looked at again when a call under way has ended.
                    self.reports_held = true;
                    return Ok(Reporting::Nothing);
                }
                Permit::Wait(until) => {
                    self.reports_held = true;
                    return Ok(Reporting::Until(until));
                }
            };
            if probes {
                self.reporting.insert(order);
                return Ok(Reporting::Call(Call::ProbeOrder { order }));
            }
            match self.journal(row, what, start, now).await {
                Ok(Some(report)) => {
                    self.reporting.insert(order);
                    self.report_turn = false;
                    return Ok(Reporting::Call(Call::Report(Box::new(report))));
                }
                Ok(None) => self.gate.unused(start),
                Err(error) => {
                    self.gate.unused(start);
                    return Err(error);
                }
            }
        }
        Ok(Reporting::Nothing)
    }

    /// What a call is made from; a note is journaled first. `None`: somebody else has changed the report meanwhile, or
    /// journaling took so long that the note could come later than it is looked for.
    async fn journal(
        &self,
        mut row: ReportRow,
        what: Next,
        start: Instant,
        now: Timestamp,
    ) -> Result<Option<Report>, Error> {
        let store = &self.shared.store;
        if what == Next::Note {
            report::begin_note(&mut row, self.owner(), now);
            if !store.save_report(&row).await? {
                return Ok(None);
            }
            row.version += 1;
            if start.elapsed() > JOURNAL_TIME_MAX {
                report::not_begun(&mut row, now);
                store.save_report(&row).await?;
                return Ok(None);
            }
        }
        let known = if what == Next::FindNote {
            let others = store.reports(row.id.shop, row.id.order).await?;
            others.iter().filter(|other| other.id != row.id).filter_map(|other| other.note_id).collect()
        } else {
            Vec::new()
        };
        Ok(Some(Report { row, what, shop: self.settings_now(), known }))
    }

    /// What is set for the shop by now. A lane goes on with the settings it began with unless they concern its calls.
    fn settings_now(&self) -> ShopSettings {
        let roster = self.shared.roster.borrow();
        let shop = roster.as_ref().and_then(|roster| roster.get(&self.id()));
        shop.map_or(&self.shop, |shop| shop).settings.clone()
    }

    /// Tells the gate how a report's call went.
    pub(super) fn tell_gate_of_report(&mut self, reported: &Reported) {
        let now = Instant::now();
        self.gate.owe(now, reported.more_calls);
        match &reported.result {
            Ok(_) => {
                self.gate.answered(now, reported.sent, 1);
                self.shared.observe.called(self.id(), "report", "answered", None, 1);
            }
            Err(error) => {
                self.gate.failed(now, reported.sent, error, &self.shared.settings, backoff::random());
                let outcome =
                    if error.effect() == connector::Effect::Unknown { "uncertain" } else { "failed" };
                self.shared.observe.called(self.id(), "report", outcome, Some(cause(error)), 1);
            }
        }
    }

    /// Stores what the answer means, unless somebody else has changed the report since it was read: then it is looked at anew,
    /// and a note that was written is found by its text.
    pub(super) async fn store_report(&self, reported: &Reported) -> Result<(), Error> {
        let Report { row, what, known, .. } = &reported.report;
        let (now, settings) = (self.shared.now(), &self.shared.settings);
        let mut row = row.clone();
        match &reported.result {
            Ok(Answer::Status(told)) => report::status_told(&mut row, told.clone(), now, settings),
            Ok(Answer::Note(id)) => report::note_written(&mut row, *id, now),
            Ok(Answer::Notes(notes)) => report::notes_read(&mut row, notes, known, now),
            Err(error) => report::failed(&mut row, *what, error, now, settings),
        }
        let saved = self.shared.store.save_report(&row).await?;
        if saved {
            self.shared.observe.reported(&row);
        }
        Ok(())
    }

    /// When reports are to be looked at, if that is not when something else happens.
    pub(super) fn next_reports(&self) -> Option<Instant> {
        self.reports_at.filter(|_| self.reporting.is_empty() && !self.reports_held)
    }

    /// A report's call has ended and what it means is stored.
    pub(super) fn report_ended(&mut self, order: OrderId) {
        self.reporting.remove(&order);
        self.reports_at = Some(Instant::now());
    }
}

impl Done {
    /// The order whose report this was.
    pub(super) fn reported_order(&self) -> Option<OrderId> {
        match self {
            Self::Report(reported) => Some(reported.report.row.id.order),
            Self::ProbeOrder { order, .. } => Some(*order),
            Self::Push { .. } | Self::ReadBack { .. } | Self::Probe { .. } => None,
        }
    }
}
