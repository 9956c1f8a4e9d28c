//! Orders and refunds by REST.

use serde_json::Value;
use values::{HolderId, LineId, OrderId, ProductId, VariationId};

use super::body::{boolean, cents, integer};
use super::json::Json;
use super::query::not_in_enum;
use super::reply::{Refused as _, Reply, Resource};
use super::routes::Route;
use super::server::Call;
use crate::shop::{
    Change, CreatedVia, NewLine, NewOrder, OrderBy, OrderFilter, OrderView, ProductFilter, RefundId, Status,
    StatusFilter,
};

const STATUSES: [&str; 11] = [
    "any",
    "trash",
    "auto-draft",
    "pending",
    "processing",
    "on-hold",
    "completed",
    "cancelled",
    "refunded",
    "failed",
    "checkout-draft",
];

pub(super) async fn handle(call: &Call) -> Result<Reply, Reply> {
    match call.route {
        Route::Orders => list(call),
        Route::OrderCreate => create(call).await,
        Route::Order(id) => Ok(Reply::ok(call.inner.renderer.order(&find(call, id)?))),
        Route::OrderUpdate(id) => update(call, id).await,
        Route::OrderDelete(id) => delete(call, id).await,
        Route::Refunds => all_refunds(call),
        Route::RefundsOf(id) => {
            let order = find(call, id)?;
            let refunds: Vec<Json> =
                order.refunds.iter().map(|refund| call.inner.renderer.refund(&order, refund)).collect();
            let total = refunds.len();
            Ok(paged(call, Reply::ok(refunds.into()), total, 1))
        }
        Route::RefundCreate(id) => refund(call, id).await,
        Route::Refund(id, refund) => Ok(Reply::ok(refund_of(call, &find(call, id)?, refund)?)),
        Route::RefundDelete(id, refund) => {
            let order = find(call, id)?;
            let body = refund_of(call, &order, refund)?;
            if !call.query.flag("force") {
                let message = "Refunds do not support trashing.";
                return Err(Reply::error("woocommerce_rest_trash_not_supported", message, 501));
            }
            let change = Change::DeleteRefund { order: order.id, refund: RefundId(refund) };
            call.write(change).await.refused(Resource::Order)?;
            Ok(Reply::ok(body))
        }
        _ => Err(Reply::no_route()),
    }
}

/// The headers of a list.
pub(super) fn paged(call: &Call, reply: Reply, total: usize, pages: usize) -> Reply {
    let page = call.query.page().unwrap_or(1);
    let mut links = Vec::new();
    let link =
        |page: usize, rel: &str| format!("<{}?{}>; rel=\"{rel}\"", call.address, call.query.with_page(page));
    if page > 1 {
        links.push(link((page - 1).min(pages), "prev"));
    }
    if page < pages {
        links.push(link(page + 1, "next"));
    }
    let reply = reply.header("X-WP-Total", total.to_string()).header("X-WP-TotalPages", pages.to_string());
    if links.is_empty() { reply } else { reply.header("Link", links.join(", ")) }
}

fn list(call: &Call) -> Result<Reply, Reply> {
    let query = &call.query;
    let offset = call.inner.renderer.utc_offset_seconds;
    let order_by = match query.one_of("orderby", &["date", "id", "include", "title", "slug", "modified"])? {
        Some("modified") => OrderBy::Modified,
        Some("id") => OrderBy::Id,
        _ => OrderBy::Date,
    };
    let include = query.ids("include")?;
    let filter = OrderFilter {
        status: statuses(&query.list("status"))?,
        include: include.iter().filter_map(|id| OrderId::new(*id)).collect(),
        modified_after: query.moment("modified_after", offset)?,
        modified_before: query.moment("modified_before", offset)?,
        created_after: query.moment("after", offset)?,
        created_before: query.moment("before", offset)?,
        order_by,
        ascending: query.ascending()?,
        page: query.page()?,
        per_page: query.per_page()?,
    };
    let page = call.inner.model().list_orders(&filter);
    let items: Vec<Json> = page.items.iter().map(|order| call.inner.renderer.order(order)).collect();
    Ok(paged(call, Reply::ok(items.into()), page.total, page.pages))
}

fn statuses(names: &[String]) -> Result<StatusFilter, Reply> {
    for (index, name) in names.iter().enumerate() {
        if !STATUSES.contains(&name.as_str()) && Status::parse(name).is_none() {
            return Err(not_in_enum("status", &format!("status[{index}]"), &STATUSES));
        }
    }
    if names.is_empty() || names.iter().any(|name| name == "any") {
        return Ok(StatusFilter::Any);
    }
    Ok(StatusFilter::Only(names.iter().filter_map(|name| Status::parse(name)).collect()))
}

fn find(call: &Call, id: i64) -> Result<OrderView, Reply> {
    let order = OrderId::new(id).and_then(|id| call.inner.model().order(id));
    order.ok_or_else(|| Reply::error("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404))
}

fn status_of(body: &Value) -> Result<Option<Status>, Reply> {
    let Some(name) = body.get("status").and_then(Value::as_str) else { return Ok(None) };
    let status = Status::parse(name).filter(|status| *status != Status::Trash);
    let allowed: Vec<&str> = STATUSES.into_iter().filter(|name| !matches!(*name, "any" | "trash")).collect();
    status.map(Some).ok_or_else(|| not_in_enum("status", "status", &allowed))
}

async fn create(call: &Call) -> Result<Reply, Reply> {
    let body = &call.body;
    let lines = body.get("line_items").and_then(Value::as_array).cloned().unwrap_or_default();
    let new = NewOrder {
        status: status_of(body)?.unwrap_or(Status::Pending),
        lines: lines.iter().map(|line| new_line(call, line)).collect::<Result<_, _>>()?,
        created_via: CreatedVia::RestApi,
        payment_method: body.get("payment_method").and_then(Value::as_str).unwrap_or_default().into(),
        set_paid: body.get("set_paid").and_then(boolean).unwrap_or(false),
    };
    let outcome = call.write(Change::CreateOrder(new)).await.refused(Resource::Order)?;
    let id = outcome.order.map_or(0, OrderId::get);
    let location = format!("{}/{id}", call.address);
    Ok(Reply::created(call.inner.renderer.order(&find(call, id)?)).header("Location", location))
}

/// By product id, variation id or SKU.
fn new_line(call: &Call, line: &Value) -> Result<NewLine, Reply> {
    let number = |name: &'static str| match line.get(name) {
        Some(value) if !value.is_null() => integer(value, name).map(Some),
        _ => Ok(None),
    };
    let by_sku = || {
        let sku = line.get("sku").and_then(Value::as_str).filter(|sku| !sku.is_empty())?;
        let filter = ProductFilter { skus: vec![sku.to_owned()], ..ProductFilter::default() };
        call.inner.model().list_products(&filter).items.first().map(|product| product.id.get())
    };
    let product = number("product_id")?.or_else(by_sku).and_then(ProductId::new).ok_or_else(|| {
        Reply::error("woocommerce_rest_required_product_reference", "Product ID or SKU is required.", 400)
    })?;
    let variation = number("variation_id")?.and_then(VariationId::new);
    let holder = variation.map_or_else(|| product.into(), HolderId::from);
    if call.inner.model().product(holder).is_none() {
        return Err(Reply::error("order_item_product_invalid_product_id", "Invalid product ID", 400));
    }
    let total = line.get("total").and_then(cents);
    Ok(NewLine { product, variation, quantity: number("quantity")?.unwrap_or(1), total })
}

/// Line edits first, then the status; nothing of either is a save without a change.
async fn update(call: &Call, id: i64) -> Result<Reply, Reply> {
    let order = find(call, id).map_err(|reply| Reply { status: 400, ..bad_id(reply) })?.id;
    let mut changes = Vec::new();
    for line in call.body.get("line_items").and_then(Value::as_array).into_iter().flatten() {
        changes.push(edit_of(call, order, line)?);
    }
    if let Some(status) = status_of(&call.body)? {
        changes.push(Change::SetStatus { order, status });
    }
    if call.body.get("set_paid").and_then(boolean) == Some(true) {
        changes.push(Change::PaymentComplete(order));
    }
    if changes.is_empty() {
        changes.push(Change::TouchOrder(order));
    }
    for change in changes {
        call.write(change).await.refused(Resource::Order)?;
    }
    Ok(Reply::ok(call.inner.renderer.order(&find(call, id)?)))
}

fn bad_id(_: Reply) -> Reply {
    Reply::error("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 400)
}

fn edit_of(call: &Call, order: OrderId, item: &Value) -> Result<Change, Reply> {
    let Some(id) = item.get("id").filter(|id| !id.is_null()) else {
        return Ok(Change::AddLine { order, line: new_line(call, item)? });
    };
    let unknown = || {
        let message = "Order item ID provided is not associated with order.";
        Reply::error("woocommerce_rest_invalid_item_id", message, 400)
    };
    let line = LineId::new(integer(id, "id")?).ok_or_else(unknown)?;
    let quantity = item.get("quantity").map(|quantity| integer(quantity, "quantity")).transpose()?;
    if quantity == Some(0) || item.get("product_id").is_some_and(Value::is_null) {
        return Ok(Change::RemoveLine { order, line });
    }
    Ok(match quantity {
        Some(quantity) => Change::EditLine { order, line, quantity },
        None => Change::TouchOrder(order),
    })
}

/// Answers with the order as it was before.
async fn delete(call: &Call, id: i64) -> Result<Reply, Reply> {
    let order = find(call, id)?;
    let change =
        if call.query.flag("force") { Change::DeleteForever(order.id) } else { Change::Trash(order.id) };
    call.write(change).await.refused(Resource::Order)?;
    Ok(Reply::ok(call.inner.renderer.order(&order)))
}

fn refund_of(call: &Call, order: &OrderView, refund: i64) -> Result<Json, Reply> {
    let found = order.refunds.iter().find(|other| other.id.0 == refund);
    found
        .map(|refund| call.inner.renderer.refund(order, refund))
        .ok_or_else(|| Reply::error("woocommerce_rest_shop_order_refund_invalid_id", "Invalid ID.", 404))
}

fn all_refunds(call: &Call) -> Result<Reply, Reply> {
    let (page, per_page) = (call.query.page()?, call.query.per_page()?);
    let orders: Vec<OrderView> = {
        let model = call.inner.model();
        model.order_ids().filter_map(|id| model.order(id)).collect()
    };
    let mut refunds: Vec<(i64, Json)> = Vec::new();
    for order in &orders {
        for refund in &order.refunds {
            let mut body = call.inner.renderer.refund(order, refund);
            body.push("parent_id", order.id.get());
            refunds.push((refund.id.0, body));
        }
    }
    refunds.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
    let total = refunds.len();
    let items: Vec<Json> =
        refunds.into_iter().skip((page - 1) * per_page).take(per_page).map(|(_, body)| body).collect();
    Ok(paged(call, Reply::ok(items.into()), total, total.div_ceil(per_page)))
}

async fn refund(call: &Call, id: i64) -> Result<Reply, Reply> {
    let missing = || Reply::error("woocommerce_rest_invalid_order", "Invalid order ID.", 404);
    let order = find(call, id).map_err(|_| missing())?.id;
    let mut lines = Vec::new();
    for item in call.body.get("line_items").and_then(Value::as_array).into_iter().flatten() {
        let line = item.get("id").map_or(Ok(0), |id| integer(id, "id"))?;
        let units = item.get("quantity").map_or(Ok(0), |units| integer(units, "quantity"))?;
        lines.extend(LineId::new(line).map(|line| (line, units)));
    }
    let amount = call.body.get("amount").and_then(cents);
    let restock = call.body.get("api_restock").and_then(boolean).unwrap_or(true);
    let change = if lines.is_empty() {
        let amount = Some(amount.unwrap_or(0));
        Change::RefundAmount { order, amount }
    } else {
        Change::Refund { order, lines, amount, restock }
    };
    let outcome = call.write(change).await.refused(Resource::Order)?;
    let refund = outcome.refund.map_or(0, |refund| refund.0);
    Ok(Reply::created(refund_of(call, &find(call, id)?, refund)?))
}
