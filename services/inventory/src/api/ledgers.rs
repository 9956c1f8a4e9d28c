//! All movements and all lines of orders for bookkeeping, as CSV or as a JSON object a line, written while they are read.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use ledger::Line;
use serde::{Deserialize, Serialize};
use store::{OrderRow, Posted};
use utoipa::IntoParams;
use values::{Quantity, ShopId, Timestamp, VariationId};

use super::export::{ExportError, cut_off, inert, lines};
use super::extract::Query;
use super::movements::{self, Movement};
use super::names::{self, Shops, Warehouses};
use super::problem::Problem;
use super::shops::tag_map;
use super::wire::{Amount, Time, moment, text_of};
use super::{Served, Shared};

/// Movements read at a time.
const PAGE_MOVEMENTS: u32 = 1_000;
/// Orders read at a time.
const PAGE_ORDERS: u32 = 200;

/// What is exported, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// Only of this shop.
    #[param(example = "berlin")]
    shop: Option<String>,
    /// Only what is not older than that, RFC 3339.
    #[param(example = "2026-05-01T00:00:00Z")]
    since: Option<String>,
    /// Only what is older than that, RFC 3339.
    #[param(example = "2026-06-01T00:00:00Z")]
    until: Option<String>,
    /// `csv` (as it is if left out) or `jsonl`: a JSON object a line.
    #[param(example = "csv")]
    format: Option<String>,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Comma separated, with a head.
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// A movement of any SKU.
#[derive(Debug, Serialize)]
struct MovedLine {
    sku: String,
    #[serde(flatten)]
    movement: Movement,
}

/// A line of any order.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own to the reader")]
struct OrderedLine {
    shop: String,
    order: i64,
    status: String,
    modified_at: Option<Time>,
    gone: bool,
    line: i64,
    sku: Option<String>,
    product: Option<i64>,
    variation: Option<i64>,
    quantity: Amount,
    taken: Option<Amount>,
    restocked: Amount,
    held: Amount,
    reserved: Amount,
    shipped: Amount,
    parked: bool,
    unmanaged: bool,
    removed: bool,
    tags: BTreeMap<String, String>,
}

const MOVEMENT_COLUMNS: &[&str] = &[
    "sku",
    "number",
    "at",
    "warehouse",
    "kind",
    "on_hand_change",
    "reserved_change",
    "on_hand",
    "reserved",
    "shop",
    "order",
    "line",
    "actor",
    "reason",
    "operation",
    "trace",
    "tags",
];

const ORDER_COLUMNS: &[&str] = &[
    "shop",
    "order",
    "status",
    "modified_at",
    "gone",
    "line",
    "sku",
    "product",
    "variation",
    "quantity",
    "taken",
    "restocked",
    "held",
    "reserved",
    "shipped",
    "parked",
    "unmanaged",
    "removed",
    "tags",
];

/// Export movements
///
/// Every entry of the ledger of every SKU, by SKU in the order in which these were heard of, with the tags of its time. What is
/// made meanwhile may be in it or not. Texts that a spreadsheet would take for formulas have a `'` before them in CSV; the
/// column `tags` is a JSON object.
#[utoipa::path(get, path = "/export/movements", tag = "stock", operation_id = "export_movements", params(ExportQuery),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn export_movements(
    State(parts): State<Shared>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let (format, wanted) = wanted(&parts, query).await?;
    let warehouses = Arc::new(Warehouses::load(&parts.store).await?);
    let pages = stream::try_unfold(Next::Head, move |next| {
        let (parts, warehouses) = (Arc::clone(&parts), Arc::clone(&warehouses));
        async move {
            let after = match next {
                Next::End => return Ok(None),
                Next::Head => return head(format, MOVEMENT_COLUMNS).map(Some),
                Next::After(after) => after,
            };
            let rows = parts.store.movements_page(after, PAGE_MOVEMENTS).await.map_err(cut_off)?;
            let next = following(rows.len(), PAGE_MOVEMENTS, rows.last().map(|row| row.0));
            let rows: Vec<Posted> =
                rows.into_iter().map(|row| row.1).filter(|row| wanted.has_movement(row)).collect();
            let ids = rows.iter().filter_map(|row| movements::order_of(row).map(|of| of.0));
            let shops = Shops::load_stored(&parts.store, ids).await.map_err(cut_off)?;
            let line = |row: &Posted| MovedLine {
                sku: row.movement.sku.to_string(),
                movement: movements::body(row, &warehouses, &shops),
            };
            let rows: Vec<MovedLine> = rows.iter().map(line).collect();
            Ok(Some((encoded(format, &rows, movement_record)?, next)))
        }
    });
    Ok(answer(format, "movements", Body::from_stream(pages)))
}

/// Export orders
///
/// Every line of every order, by shop and order, with what its shop is tagged with now. `since` and `until` are about the shop's date
/// of what was applied last. Texts that a spreadsheet would take for formulas have a `'` before them in CSV; the column `tags` is a
/// JSON object. No personal data is kept, so none is in it.
#[utoipa::path(get, path = "/export/orders", tag = "orders", operation_id = "export_orders", params(ExportQuery),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn export_orders(
    State(parts): State<Shared>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let (format, wanted) = wanted(&parts, query).await?;
    let pages = stream::try_unfold(Next::Head, move |next| {
        let parts = Arc::clone(&parts);
        async move {
            let after = match next {
                Next::End => return Ok(None),
                Next::Head => return head(format, ORDER_COLUMNS).map(Some),
                Next::After(after) => after,
            };
            let rows = parts.store.orders_page(after, PAGE_ORDERS).await.map_err(cut_off)?;
            let next = following(rows.len(), PAGE_ORDERS, rows.last().map(|row| (row.shop, row.order.id)));
            let rows: Vec<OrderRow> = rows.into_iter().filter(|row| wanted.has_order(row)).collect();
            let shops = Shops::load_stored(&parts.store, rows.iter().map(|row| row.shop));
            let shops = shops.await.map_err(cut_off)?;
            let lines = rows.iter().flat_map(|row| row.order.lines.iter().map(move |line| (row, line)));
            let rows: Vec<OrderedLine> = lines.map(|(row, line)| ordered_line(row, line, &shops)).collect();
            Ok(Some((encoded(format, &rows, order_record)?, next)))
        }
    });
    Ok(answer(format, "orders", Body::from_stream(pages)))
}

/// What of all there is, is exported.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    shop: Option<ShopId>,
    since: Timestamp,
    until: Timestamp,
}

impl Wanted {
    fn is_of_time(&self, at: Timestamp) -> bool {
        self.since <= at && at < self.until
    }

    fn has_movement(&self, row: &Posted) -> bool {
        let shop = movements::order_of(row).map(|of| of.0);
        self.is_of_time(row.posting.at) && self.shop.is_none_or(|wanted| shop == Some(wanted))
    }

    fn has_order(&self, row: &OrderRow) -> bool {
        let at = row.order.applied.as_ref().map(|applied| applied.modified_at);
        at.is_some_and(|at| self.is_of_time(at)) && self.shop.is_none_or(|wanted| row.shop == wanted)
    }
}

async fn wanted(parts: &Served, query: ExportQuery) -> Result<(Format, Wanted), Problem> {
    let time = |name, text: Option<String>, open: i64| {
        text.map_or(Ok(Timestamp::from_micros(open)), |text| moment(name, &text))
    };
    let (since, until) = (time("since", query.since, i64::MIN)?, time("until", query.until, i64::MAX)?);
    let shop = match query.shop {
        Some(name) => Some(names::shop(&parts.store, &name).await?.id),
        None => None,
    };
    let format = match query.format.as_deref() {
        None | Some("csv") => Format::Csv,
        Some("jsonl") => Format::Jsonl,
        Some(other) => {
            return Err(Problem::bad_request(format!("`format` is {other:?}; it is csv or jsonl")));
        }
    };
    Ok((format, Wanted { shop, since, until }))
}

/// What to write next.
enum Next<K> {
    Head,
    After(Option<K>),
    End,
}

fn following<K>(rows: usize, page: u32, last: Option<K>) -> Next<K> {
    let full = u32::try_from(rows).unwrap_or(u32::MAX) >= page;
    last.filter(|_| full).map_or(Next::End, |last| Next::After(Some(last)))
}

fn head<K>(format: Format, columns: &[&str]) -> Result<(Bytes, Next<K>), ExportError> {
    let text = match format {
        Format::Csv => lines(|writer| writer.write_record(columns)).map_err(ExportError::Csv)?,
        Format::Jsonl => Bytes::new(),
    };
    Ok((text, Next::After(None)))
}

fn encoded<T: Serialize>(
    format: Format,
    rows: &[T],
    record: impl Fn(&T) -> Vec<String>,
) -> Result<Bytes, ExportError> {
    match format {
        Format::Csv => {
            let all = lines(|writer| rows.iter().try_for_each(|row| writer.write_record(record(row))));
            all.map_err(ExportError::Csv)
        }
        Format::Jsonl => {
            let mut text = Vec::new();
            for row in rows {
                serde_json::to_writer(&mut text, row).expect("text and numbers always serialise");
                text.push(b'\n');
            }
            Ok(text.into())
        }
    }
}

fn answer(format: Format, name: &str, body: Body) -> Response {
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
        Format::Jsonl => ("application/jsonl", "jsonl"),
    };
    let disposition = format!("attachment; filename=\"{name}.{ending}\"");
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], body)
        .into_response()
}

fn ordered_line(row: &OrderRow, line: &Line, shops: &Shops) -> OrderedLine {
    let sum = |of: fn(&ledger::Hold) -> Quantity| line.holds.iter().map(of).sum::<Quantity>();
    OrderedLine {
        shop: shops.name(row.shop),
        order: row.order.id.get(),
        status: row.order.status.clone(),
        modified_at: row.order.applied.as_ref().map(|applied| applied.modified_at.into()),
        gone: row.order.gone,
        line: line.id.get(),
        sku: line.sku.as_ref().map(ToString::to_string),
        product: line.listing.map(|listing| listing.product.get()),
        variation: line.listing.and_then(|listing| listing.variation).map(VariationId::get),
        quantity: line.quantity.into(),
        taken: line.taken.map(Into::into),
        restocked: line.restocked.into(),
        held: line.held().into(),
        reserved: sum(|hold| hold.reserved).into(),
        shipped: sum(|hold| hold.shipped).into(),
        parked: line.is_parked(),
        unmanaged: line.unmanaged,
        removed: line.removed,
        tags: shops.get(row.shop).map(|shop| tag_map(&shop.settings.tags)).unwrap_or_default(),
    }
}

fn movement_record(row: &MovedLine) -> Vec<String> {
    let (moved, said) = (&row.movement, |text: &Option<String>| inert(text.as_deref().unwrap_or_default()));
    vec![
        inert(&row.sku),
        moved.number.to_string(),
        time_text(Some(moved.at)),
        inert(&moved.warehouse),
        moved.kind.to_owned(),
        moved.on_hand_change.0.to_string(),
        moved.reserved_change.0.to_string(),
        moved.on_hand.0.to_string(),
        moved.reserved.0.to_string(),
        said(&moved.shop),
        number_text(moved.order),
        number_text(moved.line),
        said(&moved.actor),
        said(&moved.reason),
        said(&moved.operation),
        said(&moved.trace),
        tags_text(&moved.tags),
    ]
}

fn order_record(row: &OrderedLine) -> Vec<String> {
    vec![
        inert(&row.shop),
        row.order.to_string(),
        inert(&row.status),
        time_text(row.modified_at),
        row.gone.to_string(),
        row.line.to_string(),
        inert(row.sku.as_deref().unwrap_or_default()),
        number_text(row.product),
        number_text(row.variation),
        row.quantity.0.to_string(),
        row.taken.map_or_else(String::new, |taken| taken.0.to_string()),
        row.restocked.0.to_string(),
        row.held.0.to_string(),
        row.reserved.0.to_string(),
        row.shipped.0.to_string(),
        row.parked.to_string(),
        row.unmanaged.to_string(),
        row.removed.to_string(),
        tags_text(&row.tags),
    ]
}

fn number_text(number: Option<i64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn time_text(at: Option<Time>) -> String {
    at.map_or_else(String::new, |at| text_of(at.0).to_string())
}

fn tags_text(tags: &BTreeMap<String, String>) -> String {
    if tags.is_empty() {
        return String::new();
    }
    serde_json::to_string(tags).expect("text always serialises")
}
