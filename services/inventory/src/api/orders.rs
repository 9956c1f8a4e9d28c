//! Orders as they were applied, and those that hold something although their shop no longer knows them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use ledger::{Hold, Line, Origin};
use serde::Serialize;
use store::{OrderRow, Orphan, OrphanCause, Shop, ShopState};
use utoipa::ToSchema;
use values::{LineFault, OrderId, ShopId};

use super::Shared;
use super::auth::Caller;
use super::extract::{Path, Query};
use super::names::{self, Shops, Warehouses};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::shipments::ShipmentBody;
use super::shops::tag_map;
use super::wire::{Amount, Time};
use crate::Released;

/// An order of a shop. No personal data is kept.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own to the reader")]
pub(super) struct Order {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// Its number there.
    #[schema(example = 1001)]
    id: i64,
    /// The status applied last, in the shop's own word.
    #[schema(example = "processing")]
    status: String,
    /// The shop's date of what was applied last.
    modified_at: Option<Time>,
    /// How that came: `webhook` or `read`.
    #[schema(example = "read")]
    origin: Option<&'static str>,
    /// A read has shown the same, long enough after.
    confirmed: bool,
    /// Since when a read has yet to confirm it.
    unconfirmed_since: Option<Time>,
    /// It is to be read again.
    reread: bool,
    /// The shop no longer knows it.
    gone: bool,
    /// Its pending reservation has expired.
    expired: bool,
    /// When its pending reservation expires.
    expires_at: Option<Time>,
    /// It is older than the connection and was not in the baseline.
    predates: bool,
    /// Its lines.
    lines: Vec<OrderLine>,
    /// What its shop is tagged with.
    #[schema(example = json!({"cost-centre": "4711"}))]
    tags: BTreeMap<String, String>,
    /// What was shipped of it through onhand, and what its shop was told of that.
    shipments: Vec<ShipmentBody>,
}

/// A line of an order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OrderLine {
    /// The shop's id of the line.
    #[schema(example = 1)]
    line: i64,
    /// The SKU; `null` is a line that is parked, or unmanaged.
    #[schema(example = "TEE-RED-M")]
    sku: Option<String>,
    /// What was sold.
    product: Option<i64>,
    /// The variation, if it has one.
    variation: Option<i64>,
    /// The product or variation that keeps the quantity in the shop.
    stock: Option<i64>,
    /// How much was ordered.
    quantity: Amount,
    /// What the shop has taken from its own stock, as it says.
    taken: Option<Amount>,
    /// What refunds gave back.
    restocked: Amount,
    /// What is allocated in all.
    held: Amount,
    /// No longer part of the order.
    removed: bool,
    /// It is not counted, and waits for somebody: its SKU is not known, or it cannot be read.
    parked: bool,
    /// What of it cannot be read, if anything.
    #[schema(example = "quantity_negative")]
    fault: Option<&'static str>,
    /// Sold while nobody kept stock of it: there is nothing to hold.
    unmanaged: bool,
    /// What is allocated, by warehouse.
    holds: Vec<HoldBody>,
}

/// What a line holds in a warehouse.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
pub(super) struct HoldBody {
    /// The warehouse.
    #[schema(example = "main")]
    warehouse: String,
    /// How much.
    quantity: Amount,
    /// Of it, promised and still there.
    reserved: Amount,
    /// Of it, gone from there.
    shipped: Amount,
    /// Of that, gone with shipments made through onhand.
    sent: Amount,
}

/// An order that holds something although its shop no longer knows it, or was removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Orphan)]
pub(super) struct OrphanBody {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The order.
    #[schema(example = 1001)]
    order: i64,
    /// Its last status.
    #[schema(example = "processing")]
    status: String,
    /// What it reserves in all.
    reserved: Amount,
    /// `gone`: its shop no longer knows it; `shop_removed`: its shop is out of service.
    #[schema(example = "gone")]
    cause: &'static str,
}

/// What was let go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Released)]
pub(super) struct ReleasedBody {
    /// How much is available again.
    released: Amount,
}

impl HoldBody {
    pub(super) fn new(hold: &Hold, warehouses: &Warehouses) -> Self {
        Self {
            warehouse: warehouses.name(hold.warehouse),
            quantity: (hold.reserved + hold.shipped).into(),
            reserved: hold.reserved.into(),
            shipped: hold.shipped.into(),
            sent: hold.sent.into(),
        }
    }
}

/// Read an order
#[utoipa::path(get, path = "/orders/{shop}/{id}", tag = "orders", operation_id = "read_order",
    params(("shop" = String, Path, description = "Name of the shop"), ("id" = i64, Path, description = "Number of the order")),
    responses((status = 200, body = Order)))]
pub(super) async fn read(
    State(parts): State<Shared>,
    Path((shop, id)): Path<(String, String)>,
) -> Result<Json<Order>, Problem> {
    let order = number(&id)?;
    let row = find(&parts, &shop, order, |_, _| true).await?;
    let shipments = super::shipments::of_order(&parts, row.shop, order).await?;
    let shops = parts.store.shops(Some(&[row.shop])).await?;
    let tags = shops.first().map(|shop| tag_map(&shop.settings.tags)).unwrap_or_default();
    let warehouses = Warehouses::load(&parts.store).await?;
    Ok(Json(Order { tags, shipments, ..body(shop, &row, &warehouses) }))
}

/// Let go of an orphaned order
///
/// What it reserves is available again. Refused while its shop is in service and knows the order: change it there.
#[utoipa::path(post, path = "/orders/{shop}/{id}/release", tag = "orders", operation_id = "release_order",
    params(("shop" = String, Path, description = "Name of the shop"), ("id" = i64, Path, description = "Number of the order")),
    responses((status = 200, body = ReleasedBody)))]
pub(super) async fn release(
    State(parts): State<Shared>,
    caller: Caller,
    Path((shop, id)): Path<(String, String)>,
) -> Result<Json<ReleasedBody>, Problem> {
    let order = number(&id)?;
    let orphaned = |shop: &Shop, row: &OrderRow| row.order.gone || shop.state == ShopState::Removed;
    let found = find(&parts, &shop, order, orphaned).await?.shop;
    match parts.inventory.release(found, order, &caller.requester()).await? {
        Released::Released(quantity) => Ok(Json(ReleasedBody { released: quantity.into() })),
        Released::Unknown => Err(unknown(&shop, order)),
        Released::NotOrphaned => Err(Problem::new(
            Kind::NotNow,
            format!("shop {shop:?} still has order {order}; cancel it there, and what it holds is released"),
        )),
    }
}

/// List orphaned orders
///
/// Orders that hold something although their shop no longer knows them, or was removed. They keep it until they are
/// released.
#[utoipa::path(get, path = "/orphans", tag = "orders", operation_id = "list_orphans", params(PageQuery),
    responses((status = 200, body = Page<OrphanBody>)))]
pub(super) async fn orphans(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<OrphanBody>>, Problem> {
    let asked = query.of("orphans")?;
    let after = asked.after(|key| {
        let (shop, order) = key.split_once('/')?;
        Some((shop.parse::<ShopId>().ok()?, order.parse::<OrderId>().ok()?))
    })?;
    let rows = parts.store.orphaned(after, asked.limit).await?;
    let shops = Shops::load(&parts.store, rows.iter().map(|row| row.shop)).await?;
    let item = |row: Orphan| OrphanBody {
        shop: shops.name(row.shop),
        order: row.order.get(),
        status: row.status,
        reserved: row.reserved.into(),
        cause: match row.cause {
            OrphanCause::Gone => "gone",
            OrphanCause::ShopRemoved => "shop_removed",
        },
    };
    Ok(Json(asked.page(rows, |row| format!("{}/{}", row.shop, row.order), item)))
}

pub(super) fn number(id: &str) -> Result<OrderId, Problem> {
    id.parse().map_err(|error| Problem::bad_request(format!("{error}")))
}

/// The order of the shop of this name, or of removed ones that had it: rather one that is `wanted`, the latest shop first.
pub(super) async fn find(
    parts: &super::Served,
    shop: &str,
    order: OrderId,
    wanted: impl Fn(&Shop, &OrderRow) -> bool,
) -> Result<OrderRow, Problem> {
    let mut found: Option<OrderRow> = None;
    for candidate in names::shops_ever(&parts.store, shop).await? {
        let Some(row) = parts.store.order(candidate.id, order).await? else { continue };
        if wanted(&candidate, &row) {
            return Ok(row);
        }
        found = found.or(Some(row));
    }
    found.ok_or_else(|| unknown(shop, order))
}

pub(super) fn unknown(shop: &str, order: OrderId) -> Problem {
    Problem::not_found(format_args!("order {order} of shop {shop:?}"))
}

fn body(shop: String, row: &OrderRow, warehouses: &Warehouses) -> Order {
    let order = &row.order;
    let applied = order.applied.as_ref();
    Order {
        shop,
        id: order.id.get(),
        status: order.status.clone(),
        modified_at: applied.map(|applied| applied.modified_at.into()),
        origin: applied.map(|applied| match applied.origin {
            Origin::Webhook => "webhook",
            Origin::Read => "read",
        }),
        confirmed: applied.is_some_and(|applied| applied.confirmed),
        unconfirmed_since: row.unconfirmed_since.map(Into::into),
        reread: order.reread,
        gone: order.gone,
        expired: order.expired,
        expires_at: row.expires_at.map(Into::into),
        predates: order.predates,
        lines: order.lines.iter().map(|line| line_body(line, warehouses)).collect(),
        tags: BTreeMap::new(),
        shipments: Vec::new(),
    }
}

fn line_body(line: &Line, warehouses: &Warehouses) -> OrderLine {
    OrderLine {
        line: line.id.get(),
        sku: line.sku.as_ref().map(ToString::to_string),
        product: line.listing.map(|listing| listing.product.get()),
        variation: line.listing.and_then(|listing| listing.variation).map(values::VariationId::get),
        stock: line.stock.map(values::HolderId::get),
        quantity: line.quantity.into(),
        taken: line.taken.map(Into::into),
        restocked: line.restocked.into(),
        held: line.held().into(),
        removed: line.removed,
        parked: line.is_parked(),
        fault: line.fault.map(LineFault::as_str),
        unmanaged: line.unmanaged,
        holds: line.holds.iter().map(|hold| HoldBody::new(hold, warehouses)).collect(),
    }
}
