//! Shipments and what shops are told of them, as rows.

use values::Quantity;

use super::{id, json, quantity, sku, timestamp, unsigned};
use crate::error::Error;
use crate::shipments::{ReportPart, ReportRow, ReportState, ReportWanted, Shipment, ShipmentId, ShippedLine};

/// The columns of [`ShipmentColumns`], of `h`.
macro_rules! shipment_columns {
    () => {
        "h.shop, h.order_id, h.number, h.at, h.actor, h.carrier, h.tracking, h.tracking_url, h.lines, h.complete, \
         h.status, h.note, h.revision, h.trace"
    };
}
pub(crate) use shipment_columns;

pub(crate) type ShipmentColumns = (
    i64,
    i64,
    i64,
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    bool,
    Option<String>,
    Option<String>,
    i64,
    Option<String>,
);

pub(crate) fn shipment(row: ShipmentColumns) -> Result<Shipment, Error> {
    let (
        shop,
        order,
        number,
        at,
        actor,
        carrier,
        tracking,
        tracking_url,
        lines,
        complete,
        status,
        note,
        revision,
        trace,
    ) = row;
    Ok(Shipment {
        id: shipment_id(shop, order, number)?,
        at: timestamp(at),
        actor,
        carrier,
        tracking,
        tracking_url,
        lines: shipped_lines(&lines)?,
        complete,
        status,
        note,
        revision: unsigned("revision of a shipment", revision)?,
        trace,
    })
}

pub(crate) fn shipment_id(shop: i64, order: i64, number: i64) -> Result<ShipmentId, Error> {
    let damaged = |_| Error::damaged("number of a shipment", number);
    Ok(ShipmentId {
        shop: id("shop", shop)?,
        order: id("order", order)?,
        number: u32::try_from(number).map_err(damaged)?,
    })
}

pub(crate) fn shipped_lines_text(lines: &[ShippedLine]) -> String {
    let row = |line: &ShippedLine| (line.line.get(), line.sku.to_string(), line.quantity.thousandths());
    json(&lines.iter().map(row).collect::<Vec<_>>())
}

fn shipped_lines(text: &str) -> Result<Vec<ShippedLine>, Error> {
    let rows: Vec<(i64, String, i64)> =
        serde_json::from_str(text).map_err(|_| Error::damaged("lines of a shipment", text))?;
    rows.into_iter()
        .map(|(line, code, shipped)| {
            let quantity: Quantity = quantity(shipped);
            Ok(ShippedLine { line: id("line", line)?, sku: sku(&code)?, quantity })
        })
        .collect()
}

/// Shop, order, number.
pub(crate) fn key(id: ShipmentId) -> (i64, i64, i64) {
    (id.shop.get(), id.order.get(), i64::from(id.number))
}

/// The columns of [`ReportColumns`], of `r`.
macro_rules! report_columns {
    () => {
        "r.shop, r.order_id, r.number, r.revision, r.version, r.status, r.status_state, r.note, r.note_state, \
         r.note_id, r.intent_at, r.intent_owner, r.problem, r.tries, r.since, r.due_at"
    };
}
pub(crate) use report_columns;

pub(crate) type ReportColumns = (
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<String>,
    String,
    Option<String>,
    String,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    i64,
    i64,
    Option<i64>,
);

pub(crate) fn report(row: ReportColumns) -> Result<ReportRow, Error> {
    let (
        shop,
        order,
        number,
        revision,
        version,
        status,
        status_state,
        note,
        note_state,
        note_id,
        intent_at,
        intent_owner,
        problem,
        tries,
        since,
        due_at,
    ) = row;
    Ok(ReportRow {
        id: shipment_id(shop, order, number)?,
        revision: unsigned("revision of a report", revision)?,
        version: unsigned("version of a report", version)?,
        status: part(status, &status_state)?,
        note: part(note, &note_state)?,
        note_id,
        intent: intent_at.zip(intent_owner).map(|(at, owner)| (timestamp(at), owner)),
        problem,
        tries: u32::try_from(tries).map_err(|_| Error::damaged("tries of a report", tries))?,
        since: timestamp(since),
        due_at: due_at.map(timestamp),
    })
}

fn part(text: Option<String>, state: &str) -> Result<Option<ReportPart>, Error> {
    let state = ReportState::from_word(state).ok_or_else(|| Error::damaged("state of a report", state))?;
    Ok(text.map(|text| ReportPart { text, state }))
}

/// The word of a part that there may be.
pub(crate) fn state_word(part: Option<&ReportPart>) -> &'static str {
    part.map_or(ReportState::Done, |part| part.state).as_str()
}

/// The word of something that a shop may have to be told.
pub(crate) fn wanted_word(text: Option<&String>) -> &'static str {
    text.map_or(ReportState::Done, |_| ReportState::Waiting).as_str()
}

/// Shop, order, number, revision, status, its state, note, its state.
pub(crate) type WantedColumns<'a> =
    (i64, i64, i64, i64, Option<&'a str>, &'static str, Option<&'a str>, &'static str);

/// Sorted by key; of one that is there twice, the newest.
pub(crate) fn wanted_columns(wanted: &[ReportWanted]) -> Vec<WantedColumns<'_>> {
    let mut newest: Vec<&ReportWanted> = wanted.iter().collect();
    newest.sort_by_key(|wanted| (wanted.id, std::cmp::Reverse(wanted.revision)));
    newest.dedup_by_key(|wanted| wanted.id);
    newest
        .into_iter()
        .map(|wanted| {
            let (shop, order, number) = key(wanted.id);
            (
                shop,
                order,
                number,
                super::signed(wanted.revision),
                wanted.status.as_deref(),
                wanted_word(wanted.status.as_ref()),
                wanted.note.as_deref(),
                wanted_word(wanted.note.as_ref()),
            )
        })
        .collect()
}
