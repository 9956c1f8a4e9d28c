//! Shipments: what leaves for an order, and what its shop is told of it.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use ledger::NotShippedCause;
use process::clock;
use serde::{Deserialize, Serialize};
use store::{
    OrderRow, REPORTS_KEPT, ReportPart, ReportRow, ReportState, Shipment, ShipmentId, ShippedLine, Shop,
};
use utoipa::ToSchema;
use values::{LineId, OrderId, Quantity, ShopId};

use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::keys::Key;
use super::names::Shops;
use super::operations::{REPLAYED, key_reused};
use super::orders::{find, number, unknown};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem, Reason};
use super::wire::{Amount, Time};
use super::{Served, Shared};
use crate::{Carriage, ShipmentRequest, Shipped};

/// Most lines of one parcel.
const LINES_MAX: usize = 1_000;
/// Longest name of a carrier, and longest number of its, in characters.
const CARRIER_CHARS_MAX: usize = 100;
/// Longest address at which a parcel can be followed, in bytes.
const TRACKING_URL_BYTES_MAX: usize = 500;

/// What to ship.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"carrier": "DHL", "tracking": "00340434161094042557",
    "lines": [{"line": 1, "quantity": "2"}]}))]
pub(super) struct NewShipment {
    /// What is in it, at most 1000 lines; all that the order still reserves if left out.
    #[serde(default)]
    lines: Vec<NewShipmentLine>,
    /// Who carries it.
    #[serde(default)]
    #[schema(example = "DHL")]
    carrier: Option<String>,
    /// Its number there.
    #[serde(default)]
    #[schema(example = "00340434161094042557")]
    tracking: Option<String>,
    /// Where it can be followed: an `https` or `http` address.
    #[serde(default)]
    tracking_url: Option<String>,
}

/// What of a line to ship.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewShipmentLine {
    /// The shop's id of the line.
    #[schema(example = 1)]
    line: i64,
    /// How much.
    quantity: Amount,
}

/// A shipment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shipment)]
pub(super) struct ShipmentBody {
    /// Counts the shipments of the order from 1.
    #[schema(example = 1)]
    number: u32,
    /// When it was made.
    at: Time,
    /// Who made it.
    actor: String,
    /// Who carries it.
    carrier: Option<String>,
    /// Its number there.
    tracking: Option<String>,
    /// Where it can be followed.
    tracking_url: Option<String>,
    /// What left with it.
    lines: Vec<ShippedLineBody>,
    /// Nothing of the order was left to be shipped after it.
    complete: bool,
    /// The status that the shop is to give the order; `null`: it is left alone.
    status: Option<ToldBody>,
    /// The note that the shop is to send to the customer; `null`: there is none.
    note: Option<ToldBody>,
    /// Why the shop does not have all of it, if a try failed.
    #[schema(example = "no complete answer in time")]
    problem: Option<String>,
    /// When it is tried next.
    retry_at: Option<Time>,
}

/// What left of a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ShippedLine)]
struct ShippedLineBody {
    /// The shop's id of the line.
    #[schema(example = 1)]
    line: i64,
    /// What it is.
    #[schema(example = "TEE-RED-M")]
    sku: String,
    /// How much.
    quantity: Amount,
}

/// Something that a shop is told.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Told)]
struct ToldBody {
    /// The status, or the note's text.
    #[schema(example = "completed")]
    text: String,
    /// `waiting`, `done` (the shop has it) or `given_up` (see `problem`; it can be tried again).
    #[schema(example = "done")]
    state: &'static str,
}

/// A shipment that a shop could not be told of.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Untold)]
pub(super) struct UntoldBody {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The order.
    #[schema(example = 1001)]
    order: i64,
    /// Which shipment of it.
    #[schema(example = 1)]
    shipment: u32,
    /// Why, in plain words.
    problem: String,
}

/// What a shop is to be told again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetriedShipment)]
pub(super) struct Retried {
    /// Which shipment of the order.
    #[schema(example = 1)]
    shipment: u32,
}

/// Ship an order
///
/// What the order reserves of these lines leaves the warehouse: on hand and reserved fall together. All of it or nothing;
/// what is not reserved is refused, and each line that stands in the way is named. The shop is told then, as is set for it:
/// the order gets its status, the customer a note. The same request under the same `Idempotency-Key` is done once, and
/// answered alike with `Idempotency-Replayed: true`.
#[utoipa::path(post, path = "/orders/{shop}/{id}/shipments", tag = "orders", operation_id = "ship_order",
    request_body = NewShipment,
    params(("shop" = String, Path, description = "Name of the shop"), ("id" = i64, Path, description = "Number of the order"),
        ("Idempotency-Key" = String, Header, description = "Your own name for this request, at most 200 characters")),
    responses((status = 200, body = ShipmentBody)))]
pub(super) async fn ship(
    State(parts): State<Shared>,
    caller: Caller,
    key: Key,
    Path((shop, id)): Path<(String, String)>,
    Body(new): Body<NewShipment>,
) -> Result<Response, Problem> {
    let key = key.required()?;
    let order = number(&id)?;
    let found = find(&parts, &shop, order, |_: &Shop, row: &OrderRow| !row.order.gone).await?.shop;
    let request = ShipmentRequest {
        requester: caller.requester(),
        key: key.clone(),
        shop: found,
        order,
        lines: lines(&new.lines)?,
        carriage: carriage(&new)?,
    };
    let (shipment, replayed) = match parts.inventory.ship(&request).await? {
        Shipped::Done(shipment) => (shipment, false),
        Shipped::Repeated(shipment) => (shipment, true),
        Shipped::Conflict => return Err(key_reused(&key)),
        Shipped::Unknown => return Err(unknown(&shop, order)),
        Shipped::NothingLeft => {
            let detail =
                format!("nothing of order {order} is left to be shipped; see `GET /orders/{shop}/{order}`");
            return Err(Problem::new(Kind::NotNow, detail));
        }
        Shipped::NotOpen { status } => {
            let detail = format!("order {order} is {status:?} in shop {shop:?}; nothing was shipped");
            return Err(Problem::new(Kind::NotNow, detail));
        }
        Shipped::Refused(refused) => return Err(not_reserved(&refused)),
    };
    let all = of_order(&parts, found, order).await?;
    let body = all.into_iter().find(|body| body.number == shipment.number);
    let body = body.ok_or_else(|| Problem::internal("a shipment that was just made is not there"))?;
    let mut response = Json(body).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Tell a shop again of a shipment
///
/// For what was given up. What the shop has already is not done twice.
#[utoipa::path(post, path = "/orders/{shop}/{id}/shipments/{number}/retry", tag = "orders", operation_id = "retry_shipment",
    params(("shop" = String, Path, description = "Name of the shop"), ("id" = i64, Path, description = "Number of the order"),
        ("number" = u32, Path, description = "Which shipment of it, from 1")),
    responses((status = 200, body = Retried)))]
pub(super) async fn retry(
    State(parts): State<Shared>,
    Path((shop, id, shipment)): Path<(String, String, String)>,
) -> Result<Json<Retried>, Problem> {
    let order = number(&id)?;
    let shipment: u32 =
        shipment.parse().map_err(|_| Problem::bad_request("a shipment has a number from 1"))?;
    let found = find(&parts, &shop, order, |_: &Shop, row: &OrderRow| !row.order.gone).await?.shop;
    let asked = ShipmentId { shop: found, order, number: shipment };
    let known = parts.store.shipments(found, order).await?.into_iter().find(|known| known.id == asked);
    let reports = parts.store.reports(found, order).await?;
    if known.is_some_and(|known| is_told_long_ago(&known)) && reports.iter().all(|report| report.id != asked)
    {
        return Err(Problem::invalid(format!(
            "the shop was told of shipment {shipment} of order {order} long ago; it is not told again"
        )));
    }
    if parts.inventory.report_again(asked).await? {
        return Ok(Json(Retried { shipment }));
    }
    Err(Problem::not_found(format_args!(
        "shipment {shipment} of order {order} of shop {shop:?} that the shop is to be told of"
    )))
}

/// List shipments that shops could not be told of
///
/// They were given up, each with its reason; put that right and tell the shop again.
#[utoipa::path(get, path = "/shipments/untold", tag = "orders", operation_id = "list_untold_shipments", params(PageQuery),
    responses((status = 200, body = Page<UntoldBody>)))]
pub(super) async fn untold(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<UntoldBody>>, Problem> {
    let asked = query.of("untold")?;
    let after = asked.after(|key| {
        let mut parts = key.split('/');
        let (shop, order, number) = (parts.next()?, parts.next()?, parts.next()?);
        Some(ShipmentId {
            shop: shop.parse().ok()?,
            order: order.parse().ok()?,
            number: number.parse().ok()?,
        })
    })?;
    let rows = parts.store.reports_given_up(after, asked.limit).await?;
    let shops = Shops::load(&parts.store, rows.iter().map(|row| row.id.shop)).await?;
    let item = |row: ReportRow| UntoldBody {
        shop: shops.name(row.id.shop),
        order: row.id.order.get(),
        shipment: row.id.number,
        problem: row.problem.unwrap_or_default(),
    };
    let key = |row: &ReportRow| format!("{}/{}/{}", row.id.shop, row.id.order, row.id.number);
    Ok(Json(asked.page(rows, key, item)))
}

/// The shipments of an order, with how far its shop was told of them.
pub(super) async fn of_order(
    parts: &Served,
    shop: ShopId,
    order: OrderId,
) -> Result<Vec<ShipmentBody>, Problem> {
    let shipments = parts.store.shipments(shop, order).await?;
    if shipments.is_empty() {
        return Ok(Vec::new());
    }
    let reports = parts.store.reports(shop, order).await?;
    let report = |id: ShipmentId| reports.iter().find(|report| report.id == id);
    Ok(shipments.into_iter().map(|shipment| body(report(shipment.id), shipment)).collect())
}

/// What its shop was told is not kept any more.
fn is_told_long_ago(shipment: &Shipment) -> bool {
    shipment.at < clock::now() - REPORTS_KEPT
}

fn body(report: Option<&ReportRow>, shipment: Shipment) -> ShipmentBody {
    let unknown = match report {
        None if is_told_long_ago(&shipment) => ReportState::Done,
        _ => ReportState::Waiting,
    };
    // What egress has yet to hear of is on its way there.
    let report = report.filter(|report| report.revision >= shipment.revision);
    let told = |text: Option<String>, part: Option<&ReportPart>| {
        let state = part.map_or(unknown, |part| part.state).as_str();
        text.map(|text| ToldBody { text, state })
    };
    let line = |line: ShippedLine| ShippedLineBody {
        line: line.line.get(),
        sku: line.sku.to_string(),
        quantity: line.quantity.into(),
    };
    ShipmentBody {
        number: shipment.id.number,
        at: shipment.at.into(),
        actor: shipment.actor,
        carrier: shipment.carrier,
        tracking: shipment.tracking,
        tracking_url: shipment.tracking_url,
        lines: shipment.lines.into_iter().map(line).collect(),
        complete: shipment.complete,
        status: told(shipment.status, report.and_then(|report| report.status.as_ref())),
        note: told(shipment.note, report.and_then(|report| report.note.as_ref())),
        problem: report.and_then(|report| report.problem.clone()),
        retry_at: report.and_then(|report| report.problem.as_ref().and(report.due_at)).map(Into::into),
    }
}

fn lines(wanted: &[NewShipmentLine]) -> Result<Vec<(LineId, Quantity)>, Problem> {
    if wanted.len() > LINES_MAX {
        return Err(Problem::invalid(format!("a shipment has at most {LINES_MAX} lines")));
    }
    let (mut good, mut reasons) = (Vec::with_capacity(wanted.len()), Vec::new());
    for (line, row) in wanted.iter().zip(1..) {
        match LineId::new(line.line) {
            Some(id) if line.quantity.0.is_positive() => good.push((id, line.quantity.0)),
            Some(_) => reasons.push(Reason { row, problem: "quantity must be more than nothing".to_owned() }),
            None => reasons.push(Reason { row, problem: "a line has a number above 0".to_owned() }),
        }
    }
    if reasons.is_empty() {
        return Ok(good);
    }
    let count = reasons.len();
    Err(Problem::rows(Kind::Invalid, detail(&reasons), reasons, count))
}

fn carriage(new: &NewShipment) -> Result<Carriage, Problem> {
    Ok(Carriage {
        carrier: said("carrier", new.carrier.as_deref())?,
        tracking: said("tracking", new.tracking.as_deref())?,
        tracking_url: url(new.tracking_url.as_deref())?,
    })
}

/// Text that a shop shows to its customer as it is.
fn said(field: &str, text: Option<&str>) -> Result<Option<String>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let plain = |c: char| !c.is_control() && !['<', '>', '\\'].contains(&c);
    let fits = |text: &str| text.chars().count() <= CARRIER_CHARS_MAX && text.chars().all(plain);
    if text.is_none_or(fits) {
        return Ok(text.map(str::to_owned));
    }
    Err(Problem::invalid(format!(
        "{field} must be one line of at most {CARRIER_CHARS_MAX} characters without `<`, `>` and `\\`"
    )))
}

fn url(text: Option<&str>) -> Result<Option<String>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\\\"".contains(&byte);
    let fits = |text: &str| {
        let web = text.starts_with("https://") || text.starts_with("http://");
        web && text.len() <= TRACKING_URL_BYTES_MAX && text.bytes().all(plain)
    };
    if text.is_none_or(fits) {
        return Ok(text.map(str::to_owned));
    }
    Err(Problem::invalid(format!(
        "tracking_url must be an address with https or http, of at most {TRACKING_URL_BYTES_MAX} ASCII characters"
    )))
}

fn not_reserved(refused: &[ledger::NotShipped]) -> Problem {
    let reason = |refused: &ledger::NotShipped| {
        let line = refused.line;
        let problem = match refused.cause {
            NotShippedCause::Unknown => format!("the order has no line {line}"),
            NotShippedCause::Parked => format!(
                "line {line} reserves nothing yet: its SKU is not known or it cannot be read; see `GET /parked`"
            ),
            NotShippedCause::Unmanaged => {
                format!(
                    "line {line} reserves nothing: nobody keeps stock of its product, so it needs no shipment"
                )
            }
            NotShippedCause::BadQuantity => "quantity must be more than nothing".to_owned(),
            NotShippedCause::Reserved { left } => format!("only {left} of line {line} is reserved"),
        };
        Reason { row: u64::try_from(refused.index).unwrap_or(u64::MAX).saturating_add(1), problem }
    };
    let reasons: Vec<Reason> = refused.iter().map(reason).collect();
    let count = reasons.len();
    Problem::rows(Kind::NotReserved, detail(&reasons), reasons, count)
}

/// Tells the first reasons in words, for those who look at nothing else.
fn detail(reasons: &[Reason]) -> String {
    let told: Vec<String> =
        reasons.iter().take(3).map(|reason| format!("row {}: {}", reason.row, reason.problem)).collect();
    let more = if reasons.len() > told.len() { "; …" } else { "" };
    format!("nothing was shipped; {}{more}", told.join("; "))
}
