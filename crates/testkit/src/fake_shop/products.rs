//! Products and variations by REST, one by one and in batches.

use serde_json::Value;
use values::{HolderId, ProductId, Sku};

use super::body::{boolean, cast, cents, integer};
use super::json::Json;
use super::orders::paged;
use super::reply::{Refused as _, Reply, Resource, error_body};
use super::routes::Route;
use super::server::Call;
use crate::shop::{
    Backorders, Change, Kind, NewProduct, NewVariation, OrderBy, Outcome, Page, ProductEdit, ProductFilter,
    ProductStatus, ProductView, StockStatus,
};

/// Most items in a batch call.
const BATCH_MAX: usize = 100;

pub(super) async fn handle(call: &Call) -> Result<Reply, Reply> {
    match call.route {
        Route::Products => {
            let page = call.inner.model().list_products(&filter(call)?);
            Ok(listed(call, &page, false))
        }
        Route::AllVariations => {
            let page = call.inner.model().list_variations(&filter(call)?);
            Ok(listed(call, &page, true))
        }
        Route::Variations(parent) => {
            let parent = product(parent, 404)?;
            if call.inner.model().product(parent.into()).is_none() {
                return Err(Reply::error("woocommerce_rest_product_invalid_id", "Invalid product ID.", 404));
            }
            let page = call.inner.model().list_variations_of(parent, &filter(call)?);
            Ok(listed(call, &page, true))
        }
        Route::Product(id) => Ok(Reply::ok(call.inner.renderer.product(&find(call, id, 404)?))),
        Route::Variation(parent, id) => {
            let view = variation(call, parent, id)?;
            Ok(Reply::ok(call.inner.renderer.variation(&view)))
        }
        Route::ProductCreate => {
            let body = create_product(call, &call.body).await?;
            Ok(Reply::created(body))
        }
        Route::VariationCreate(parent) => {
            Ok(Reply::created(create_variation(call, parent, &call.body).await?))
        }
        Route::ProductUpdate(id) => Ok(Reply::ok(update_product(call, id, &call.body, false).await?)),
        Route::VariationUpdate(parent, id) => {
            Ok(Reply::ok(update_variation(call, parent, id, &call.body, false).await?))
        }
        Route::ProductDelete(id) => Ok(Reply::ok(delete_product(call, id, call.query.flag("force")).await?)),
        Route::VariationDelete(parent, id) => {
            let body = delete_variation(call, parent, id, call.query.flag("force")).await?;
            Ok(Reply::ok(body))
        }
        Route::ProductBatch => batch(call, None).await,
        Route::VariationBatch(parent) => batch(call, Some(parent)).await,
        _ => Err(Reply::no_route()),
    }
}

fn listed(call: &Call, page: &Page<ProductView>, variations: bool) -> Reply {
    let renderer = &call.inner.renderer;
    let items: Vec<Json> = page
        .items
        .iter()
        .map(|row| if variations { renderer.variation(row) } else { renderer.product(row) })
        .collect();
    paged(call, Reply::ok(items.into()), page.total, page.pages)
}

fn filter(call: &Call) -> Result<ProductFilter, Reply> {
    const KINDS: [&str; 4] = ["simple", "grouped", "external", "variable"];
    let query = &call.query;
    let order_by = match query.one_of(
        "orderby",
        &[
            "date",
            "id",
            "include",
            "title",
            "slug",
            "price",
            "popularity",
            "rating",
            "menu_order",
            "modified",
        ],
    )? {
        Some("modified") => OrderBy::Modified,
        Some("id") => OrderBy::Id,
        _ => OrderBy::Date,
    };
    for (index, kind) in query.list("include_types").iter().enumerate() {
        if !KINDS.contains(&kind.as_str()) {
            return Err(super::query::not_in_enum(
                "include_types",
                &format!("include_types[{index}]"),
                &KINDS,
            ));
        }
    }
    let kind = match query.one_of("type", &KINDS)? {
        Some("simple") => Some(Kind::Simple),
        Some("variable") => Some(Kind::Variable),
        _ => None,
    };
    let status = match query
        .one_of("status", &["any", "future", "trash", "draft", "pending", "private", "publish"])?
    {
        Some("trash") => Some(ProductStatus::Trash),
        Some("draft") => Some(ProductStatus::Draft),
        Some("publish") => Some(ProductStatus::Publish),
        _ => None,
    };
    Ok(ProductFilter {
        include: query.ids("include")?.into_iter().filter_map(HolderId::new).collect(),
        skus: query.list("sku"),
        search_sku: query.get("search_sku").map(str::to_owned),
        status,
        kind,
        modified_after: query.moment("modified_after", call.inner.renderer.utc_offset_seconds)?,
        order_by,
        ascending: query.ascending()?,
        page: query.page()?,
        per_page: query.per_page()?,
    })
}

fn product(id: i64, status: u16) -> Result<ProductId, Reply> {
    ProductId::new(id)
        .ok_or_else(|| Reply::error("woocommerce_rest_product_invalid_id", "Invalid ID.", status))
}

fn find(call: &Call, id: i64, status: u16) -> Result<ProductView, Reply> {
    let found = HolderId::new(id).and_then(|id| call.inner.model().product(id));
    found.ok_or_else(|| Reply::error("woocommerce_rest_product_invalid_id", "Invalid ID.", status))
}

fn variation(call: &Call, parent: i64, id: i64) -> Result<ProductView, Reply> {
    let invalid = || Reply::error("woocommerce_rest_product_variation_invalid_id", "Invalid ID.", 404);
    let found = HolderId::new(id).and_then(|id| call.inner.model().product(id));
    found
        .filter(|row| row.kind == Kind::Variation && row.parent.map(ProductId::get) == Some(parent))
        .ok_or_else(invalid)
}

/// A SKU field: absent, empty (none), or a SKU.
fn read_sku(edit: &mut ProductEdit, body: &Value) -> Result<(), Reply> {
    let Some(value) = body.get("sku") else { return Ok(()) };
    let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
    let sku = text.map(str::parse::<Sku>).transpose().map_err(|_| Reply::wrong_type("sku", "string"))?;
    edit.sku = Some(sku);
    Ok(())
}

fn status_of(body: &Value) -> Option<ProductStatus> {
    match body.get("status")?.as_str()? {
        "publish" => Some(ProductStatus::Publish),
        "draft" | "pending" | "private" => Some(ProductStatus::Draft),
        _ => None,
    }
}

/// What a body changes. Single calls validate the quantity and take null for 0; batches cast whatever comes and take
/// null for no change.
fn edit_of(body: &Value, batch: bool) -> Result<ProductEdit, Reply> {
    let stock = match body.get("stock_quantity") {
        None => None,
        Some(value) if batch => cast(value),
        Some(Value::Null) => Some(0),
        Some(value) => Some(integer(value, "stock_quantity")?),
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let mut edit = ProductEdit {
        stock,
        delta: body.get("inventory_delta").and_then(cast),
        manage: body.get("manage_stock").and_then(boolean),
        sku: None,
        name: text("name").map(Into::into),
        stock_status: text("stock_status").and_then(StockStatus::parse),
        status: status_of(body),
        price_cents: body.get("regular_price").and_then(cents),
        backorders: text("backorders")
            .map(|word| if word == "no" { Backorders::No } else { Backorders::Yes }),
    };
    read_sku(&mut edit, body)?;
    Ok(edit)
}

/// Counts what was asked of a quantity and whether anything came of it.
async fn save(
    call: &Call,
    holder: HolderId,
    edit: ProductEdit,
    resource: Resource,
) -> Result<Outcome, Reply> {
    let asked = edit.stock.is_some() || edit.delta.is_some();
    let difference = edit.delta.filter(|_| edit.stock.is_none());
    let outcome = call.write(Change::SaveProduct { holder, edit }).await.refused(resource)?;
    if asked {
        let mut counts = call.inner.counts();
        counts.stock_writes += 1;
        *counts.stock_writes_of.entry(holder).or_default() += 1;
        let moved = outcome.stock.is_some_and(|(before, after)| before != after);
        counts.stock_writes_without_effect += u64::from(!moved);
        let put_back = outcome.stock.zip(difference).map_or(0, |((before, after), by)| after - before - by);
        if let Ok(put_back @ 1..) = u64::try_from(put_back) {
            *counts.units_put_back_of.entry(holder).or_default() += put_back;
        }
    }
    Ok(outcome)
}

async fn update_product(call: &Call, id: i64, body: &Value, batch: bool) -> Result<Json, Reply> {
    let edit = edit_of(body, batch)?;
    let found = find(call, id, 400)?;
    if found.kind == Kind::Variation {
        let message = "To manipulate product variations you should use the /products/&lt;product_id&gt;/variations/&lt;id&gt; endpoint.";
        return Err(Reply::error("woocommerce_rest_invalid_product_id", message, 404));
    }
    save(call, found.id, edit, Resource::Product).await?;
    Ok(call.inner.renderer.product(&find(call, id, 400)?))
}

async fn update_variation(
    call: &Call,
    parent: i64,
    id: i64,
    body: &Value,
    batch: bool,
) -> Result<Json, Reply> {
    let edit = edit_of(body, batch)?;
    let found = variation(call, parent, id)?;
    save(call, found.id, edit, Resource::Variation).await?;
    Ok(call.inner.renderer.variation(&variation(call, parent, id)?))
}

async fn create_product(call: &Call, body: &Value) -> Result<Json, Reply> {
    let edit = edit_of(body, false)?;
    let kind = match body.get("type").and_then(Value::as_str) {
        Some("variable") => Kind::Variable,
        _ => Kind::Simple,
    };
    let new = NewProduct {
        kind,
        sku: edit.sku.flatten(),
        name: edit.name.unwrap_or_else(|| "Product".into()),
        stock: edit.manage.unwrap_or(false).then(|| edit.stock.unwrap_or(0)),
        price_cents: edit.price_cents.unwrap_or(0),
        backorders: edit.backorders.unwrap_or_default(),
        status: edit.status.unwrap_or(ProductStatus::Publish),
    };
    let outcome = call.write(Change::CreateProduct(new)).await.refused(Resource::Product)?;
    let id = outcome.product.map_or(0, HolderId::get);
    Ok(call.inner.renderer.product(&find(call, id, 404)?))
}

async fn create_variation(call: &Call, parent: i64, body: &Value) -> Result<Json, Reply> {
    let edit = edit_of(body, false)?;
    let parent_id = product(parent, 404)?;
    let attributes = body.get("attributes").and_then(Value::as_array);
    let option = attributes.and_then(|all| all.first()?.get("option")?.as_str()).unwrap_or_default();
    let new = NewVariation {
        sku: edit.sku.flatten(),
        option: option.into(),
        stock: edit.manage.unwrap_or(false).then(|| edit.stock.unwrap_or(0)),
        price_cents: edit.price_cents.unwrap_or(0),
    };
    let change = Change::CreateVariation { parent: parent_id, variation: new };
    let outcome = call.write(change).await.refused(Resource::Product)?;
    let id = outcome.product.map_or(0, HolderId::get);
    Ok(call.inner.renderer.variation(&variation(call, parent, id)?))
}

/// Answers with the product as it was before.
async fn delete_product(call: &Call, id: i64, force: bool) -> Result<Json, Reply> {
    let found = find(call, id, 404)?;
    delete(call, &found, force).await?;
    Ok(call.inner.renderer.product(&found))
}

async fn delete_variation(call: &Call, parent: i64, id: i64, force: bool) -> Result<Json, Reply> {
    let found = variation(call, parent, id)?;
    delete(call, &found, force).await?;
    Ok(call.inner.renderer.variation(&found))
}

async fn delete(call: &Call, found: &ProductView, force: bool) -> Result<(), Reply> {
    if !force && found.status == ProductStatus::Trash {
        let message = "The product has already been deleted.";
        return Err(Reply::error("woocommerce_rest_already_trashed", message, 410));
    }
    let change = if force { Change::DeleteProduct(found.id) } else { Change::TrashProduct(found.id) };
    call.write(change).await.refused(Resource::Product)?;
    Ok(())
}

/// Creations, updates, deletions, in that order; a bad item is an error inside a 200.
async fn batch(call: &Call, parent: Option<i64>) -> Result<Reply, Reply> {
    let of = |name: &str| call.body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (creates, updates, deletes) = (of("create"), of("update"), of("delete"));
    let total = creates.len() + updates.len() + deletes.len();
    if total > BATCH_MAX {
        return Err(Reply::error(
            "woocommerce_rest_request_entity_too_large",
            "Unable to accept more than 100 items for this request.",
            413,
        ));
    }
    call.inner.counts().batch_items += u64::try_from(total).unwrap_or(u64::MAX);
    let mut body = Json::Object(Vec::new());
    let mut created = Vec::new();
    for item in &creates {
        tokio::time::sleep(call.inner.options.item_latency).await;
        let result = match parent {
            Some(parent) => create_variation(call, parent, item).await,
            None => create_product(call, item).await,
        };
        created.push(result.unwrap_or_else(|reply| item_error(Json::Int(0), reply)));
    }
    let mut updated = Vec::new();
    for item in &updates {
        tokio::time::sleep(call.inner.options.item_latency).await;
        let id = item.get("id").and_then(cast).unwrap_or(0);
        let result = match parent {
            Some(parent) => update_variation(call, parent, id, item, true).await,
            None => update_product(call, id, item, true).await,
        };
        let shown = item.get("id").and_then(Value::as_i64);
        updated.push(result.unwrap_or_else(|reply| item_error(shown.into(), reply)));
    }
    let mut deleted = Vec::new();
    for item in &deletes {
        let id = cast(item).unwrap_or(0);
        let result = match parent {
            Some(parent) => delete_variation(call, parent, id, true).await,
            None => delete_product(call, id, true).await,
        };
        deleted.push(result.unwrap_or_else(|reply| item_error(Json::Int(id), reply)));
    }
    for (name, items) in [("create", created), ("update", updated), ("delete", deleted)] {
        if !items.is_empty() {
            body.push(name, items);
        }
    }
    Ok(Reply::ok(body))
}

fn item_error(id: Json, reply: Reply) -> Json {
    let status = reply.status;
    let error = match reply.body {
        Json::Object(_) => reply.body,
        _ => error_body("error", "", status),
    };
    Json::Object(vec![("id", id), ("error", error)])
}
