//! Every entry of the ledger for one SKU.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::Json;
use axum::extract::State;
use ledger::Cause;
use serde::{Deserialize, Serialize};
use store::Posted;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::extract::Query;
use super::names::{Shops, Warehouses};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::shops::tag_map;
use super::stock;
use super::wire::{Amount, Time};

/// One entry of the ledger; never changed or removed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Movement {
    /// Its number among the SKU's movements: 1, 2, 3… without gaps.
    #[schema(example = 1)]
    pub(super) number: u64,
    /// When.
    pub(super) at: Time,
    /// The warehouse.
    #[schema(example = "main")]
    pub(super) warehouse: String,
    /// `opening`, `receipt`, `adjustment`, `reserve`, `release`, `ship`, `return`, `transfer`, `count` or `mirror`.
    #[schema(example = "receipt")]
    pub(super) kind: &'static str,
    /// Change of on hand.
    pub(super) on_hand_change: Amount,
    /// Change of reserved.
    pub(super) reserved_change: Amount,
    /// On hand after it.
    pub(super) on_hand: Amount,
    /// Reserved after it.
    pub(super) reserved: Amount,
    /// The shop whose order made it happen.
    pub(super) shop: Option<String>,
    /// That order.
    pub(super) order: Option<i64>,
    /// Its line.
    pub(super) line: Option<i64>,
    /// Who, for operations.
    pub(super) actor: Option<String>,
    /// Why, for corrections.
    pub(super) reason: Option<String>,
    /// Idempotency key of the operation.
    pub(super) operation: Option<String>,
    /// Trace id of what made it happen.
    pub(super) trace: Option<String>,
    /// What the shop was tagged with then. Of an operation: what the shops that sell the SKU from the warehouse were tagged with,
    /// if they were all tagged alike.
    #[schema(example = json!({"cost-centre": "4711"}))]
    pub(super) tags: BTreeMap<String, String>,
}

/// Which movements.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MovementQuery {
    /// The SKU.
    #[param(example = "TEE-RED-M")]
    sku: String,
    /// Most rows to answer with, from 1 to 1000; 100 if left out.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// The `next` of the page before, or the number of a movement; from the first if left out.
    after: Option<String>,
}

/// List movements
///
/// Of one SKU, the oldest first.
#[utoipa::path(get, path = "/movements", tag = "stock", operation_id = "list_movements", params(MovementQuery),
    responses((status = 200, body = Page<Movement>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<MovementQuery>,
) -> Result<Json<Page<Movement>>, Problem> {
    let asked = PageQuery { limit: query.limit, after: None }.of("movements")?;
    let sku = stock::sku(&query.sku)?;
    // Here the cursor is the number itself: people may name the movement they know.
    let after: Option<u64> = query
        .after
        .map(|after| {
            after.parse().map_err(|_| Problem::bad_request("`after` must be the number of a movement"))
        })
        .transpose()?;
    let rows = parts.store.movements(&sku, after.unwrap_or(0), asked.limit).await?;
    if rows.is_empty() && parts.store.stock_of(std::slice::from_ref(&sku)).await?.is_empty() {
        return Err(Problem::not_found(format_args!("SKU {:?}", sku.as_str())));
    }
    let warehouses = Warehouses::load(&parts.store).await?;
    let shops = Shops::load(&parts.store, rows.iter().filter_map(|row| order_of(row).map(|of| of.0))).await?;
    let full = rows.len() >= asked.rows();
    let next = rows.last().filter(|_| full).map(|row| row.movement.number.to_string());
    let items = rows.iter().map(|row| body(row, &warehouses, &shops)).collect();
    Ok(Json(Page { items, next }))
}

pub(super) const fn order_of(row: &Posted) -> Option<(values::ShopId, values::OrderId, values::LineId)> {
    match row.movement.cause {
        Cause::Order { shop, order, line } => Some((shop, order, line)),
        Cause::Operation => None,
    }
}

pub(super) fn body(row: &Posted, warehouses: &Warehouses, shops: &Shops) -> Movement {
    let (movement, posting, of) = (&row.movement, &row.posting, order_of(row));
    let text = |text: &Option<std::sync::Arc<str>>| text.as_ref().map(ToString::to_string);
    Movement {
        number: movement.number,
        at: posting.at.into(),
        warehouse: warehouses.name(movement.warehouse),
        kind: movement.kind.as_str(),
        on_hand_change: movement.on_hand_delta.into(),
        reserved_change: movement.reserved_delta.into(),
        on_hand: movement.after.on_hand.into(),
        reserved: movement.after.reserved.into(),
        shop: of.map(|of| shops.name(of.0)),
        order: of.map(|of| of.1.get()),
        line: of.map(|of| of.2.get()),
        actor: text(&posting.actor),
        reason: text(&posting.reason),
        operation: text(&posting.operation),
        trace: posting.trace.map(hex),
        tags: posting.tags.as_ref().map(|set| tag_map(&set.tags)).unwrap_or_default(),
    }
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("text takes all");
        text
    })
}
