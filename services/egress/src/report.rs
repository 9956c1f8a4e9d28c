//! What a shop is told of a shipment, as rules: what to do next, and what an answer means.
//!
//! The status can be set twice without harm, so a try that is in doubt is simply made again, and begins with a read: what the
//! shop has costs no write, and an order that was cancelled there is left alone. A note would be written twice: its call
//! is journaled, and one without an answer is looked for once it can no longer take effect.

use std::time::Duration;

use connector::{CallError, Effect, OrderNote};
use push::CALL_DEADLINE;
use store::{REPORT_PROBLEM_CHARS_MAX, ReportPart, ReportRow, ReportState, ShopSettings};
use values::Timestamp;

use crate::settings::Settings;

/// Tries in a row that a shop answered with a failure; at the longest pauses that is about half a day.
const TRIES_MAX: u32 = 30;
/// A shop that cannot be called for so long is not told any more of what was shipped then.
const AGE_MAX: Duration = Duration::from_hours(7 * 24);

/// Statuses that are not overwritten, whatever the shop's map says of them: somebody has decided otherwise.
const ENDED: [&str; 4] = ["cancelled", "refunded", "failed", "trash"];

/// What is to be done for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read the order's status, and set it.
    Status,
    /// Write the note.
    Note,
    /// Look whether the note is there.
    FindNote,
    /// Nothing before this.
    Wait(Timestamp),
    /// Nothing more.
    Nothing,
}

/// What the shop said of the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatusTold {
    /// It has it already, or is further.
    Already,
    /// It was set.
    Set,
    /// It was to be set, and the order has another.
    Other(String),
    /// The order is in one that is not overwritten.
    Ended(String),
    /// The shop has no such order.
    Gone,
}

/// Whether an order in that status is left alone.
pub(crate) fn is_ended(status: &str, shop: &ShopSettings) -> bool {
    shop.statuses.holds_nothing(status) || ENDED.contains(&status)
}

/// Whether an order in `status` is past `wanted`: all of it is shipped already, as when a report of a part was held up by a
/// failure until the last part was told, or the merchant was quicker.
pub(crate) fn is_further(status: &str, wanted: &str, shop: &ShopSettings) -> bool {
    let whole = shop.shipping.shipped.as_deref();
    whole == Some(status) && whole != Some(wanted)
}

pub(crate) fn next(row: &ReportRow, now: Timestamp) -> Next {
    if let Some((begun, _)) = &row.intent {
        let over = *begun + CALL_DEADLINE;
        return if now < over { Next::Wait(over) } else { Next::FindNote };
    }
    if let Some(due) = row.due_at.filter(|due| now < *due) {
        return Next::Wait(due);
    }
    if waits(row.status.as_ref()) {
        Next::Status
    } else if waits(row.note.as_ref()) {
        Next::Note
    } else {
        Next::Nothing
    }
}

fn waits(part: Option<&ReportPart>) -> bool {
    part.is_some_and(|part| part.state == ReportState::Waiting)
}

/// A call that writes the note is about to be made.
pub(crate) fn begin_note(row: &mut ReportRow, owner: &str, now: Timestamp) {
    row.intent = Some((now, owner.to_owned()));
    row.due_at = Some(now + CALL_DEADLINE);
}

/// It was not made after all.
pub(crate) fn not_begun(row: &mut ReportRow, now: Timestamp) {
    row.intent = None;
    row.due_at = Some(now);
}

pub(crate) fn status_told(row: &mut ReportRow, told: StatusTold, now: Timestamp, settings: &Settings) {
    match told {
        StatusTold::Already | StatusTold::Set => {
            set(row.status.as_mut(), ReportState::Done);
            went_well(row, now);
        }
        StatusTold::Other(status) => {
            let problem = format!("the shop took the status and shows {status:?} all the same");
            try_again(row, problem, now, settings);
        }
        // A customer whose order was cancelled is not told that it was sent.
        StatusTold::Ended(status) => give_up_all(row, format!("the order is {status:?} in the shop by now")),
        StatusTold::Gone => give_up_all(row, "the shop no longer has the order".to_owned()),
    }
}

pub(crate) fn note_written(row: &mut ReportRow, id: i64, now: Timestamp) {
    row.intent = None;
    row.note_id = Some(id);
    set(row.note.as_mut(), ReportState::Done);
    went_well(row, now);
}

/// The notes there are: the one that was in doubt is among them, or is not and will not be. `known` are those of the order's
/// other shipments, which may say the same.
pub(crate) fn notes_read(row: &mut ReportRow, notes: &[OrderNote], known: &[i64], now: Timestamp) {
    let text = row.note.as_ref().map(|note| note.text.trim());
    let found = notes.iter().find(|note| Some(note.text.trim()) == text && !known.contains(&note.id));
    match found {
        Some(note) => note_written(row, note.id, now),
        None if row.tries >= TRIES_MAX => {
            row.intent = None;
            let last = row.problem.take().unwrap_or_default();
            give_up_all(row, format!("tried {TRIES_MAX} times; at last: {last}"));
        }
        None => not_begun(row, now),
    }
}

/// A call failed. What it means for a note depends on whether it may have been written.
pub(crate) fn failed(
    row: &mut ReportRow,
    what: Next,
    error: &CallError,
    now: Timestamp,
    settings: &Settings,
) {
    if what == Next::Note && error.effect() == Effect::Unknown {
        row.tries = row.tries.saturating_add(1);
        row.problem = Some(clipped(error.to_string()));
        let looked_for = row.intent.as_ref().map_or(now, |(begun, _)| *begun + CALL_DEADLINE);
        row.due_at = Some(looked_for.max(now + settings.refusal.ceiling(row.tries)));
        return;
    }
    if what == Next::Note {
        row.intent = None;
    }
    if let CallError::Refused { status, code } = error {
        let problem = format!("the shop refuses it with {code}");
        match (status, what) {
            (404, _) => give_up_all(row, problem),
            (400, Next::Status) => {
                let word = row.status.as_ref().map_or("", |status| status.text.as_str());
                let problem = format!("the shop has no order status {word:?}, or refuses it ({code})");
                set(row.status.as_mut(), ReportState::GivenUp);
                went_well(row, now);
                row.problem = Some(clipped(problem));
            }
            (400, Next::Note) => {
                set(row.note.as_mut(), ReportState::GivenUp);
                went_well(row, now);
                row.problem = Some(clipped(problem));
            }
            _ => try_again(row, problem, now, settings),
        }
        return;
    }
    let problem = error.to_string();
    match error {
        // The gate says when the shop is called again; how often it was away is no fault of this.
        CallError::NotSent { .. }
        | CallError::Auth(_)
        | CallError::RateLimited { .. }
        | CallError::Unavailable { .. } => later(row, problem, now, settings),
        CallError::Refused { .. }
        | CallError::Redirected { .. }
        | CallError::Uncertain { .. }
        | CallError::BadReply { .. } => try_again(row, problem, now, settings),
    }
}

fn try_again(row: &mut ReportRow, problem: String, now: Timestamp, settings: &Settings) {
    row.tries = row.tries.saturating_add(1);
    if row.tries >= TRIES_MAX {
        return give_up_all(row, format!("tried {TRIES_MAX} times; at last: {problem}"));
    }
    later(row, problem, now, settings);
}

fn later(row: &mut ReportRow, problem: String, now: Timestamp, settings: &Settings) {
    if now.since(row.since) >= AGE_MAX {
        return give_up_all(row, format!("not told for a week; at last: {problem}"));
    }
    row.problem = Some(clipped(problem));
    row.due_at = Some(now + settings.refusal.ceiling(row.tries.max(1)));
}

fn went_well(row: &mut ReportRow, now: Timestamp) {
    row.tries = 0;
    row.problem = None;
    let is_left = waits(row.status.as_ref()) || waits(row.note.as_ref());
    row.due_at = is_left.then_some(now);
}

fn give_up_all(row: &mut ReportRow, problem: String) {
    for part in [row.status.as_mut(), row.note.as_mut()].into_iter().flatten() {
        if part.state == ReportState::Waiting {
            part.state = ReportState::GivenUp;
        }
    }
    row.problem = Some(clipped(problem));
    // What may have been written is looked for when somebody asks for it once more.
    row.due_at = None;
}

fn set(part: Option<&mut ReportPart>, state: ReportState) {
    if let Some(part) = part {
        part.state = state;
    }
}

fn clipped(text: String) -> String {
    if text.chars().count() <= REPORT_PROBLEM_CHARS_MAX {
        return text;
    }
    text.chars().take(REPORT_PROBLEM_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
