//! Lines that are not counted, and saying by hand what a shop sells.

use axum::Json;
use axum::extract::State;
use ledger::Listings;
use serde::{Deserialize, Serialize};
use store::{MapOutcome, ParkedCause, ParkedLine, Store};
use utoipa::ToSchema;
use values::{HolderId, LineId, ListingId, OrderId, ProductId, ShopId, Sku, VariationId};

use super::Shared;
use super::auth::Caller;
use super::extract::{Body, Query};
use super::names::{self, Shops};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::wire::Amount;

/// An order line that is not counted: nothing is reserved for it, while the rest of its order is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Parked {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The order.
    #[schema(example = 1001)]
    order: i64,
    /// The line.
    #[schema(example = 1)]
    line: i64,
    /// What was sold; `null` when the product was deleted.
    #[schema(example = 17)]
    product: Option<i64>,
    /// The variation, if it has one.
    variation: Option<i64>,
    /// The product or variation that keeps the quantity in the shop.
    stock: Option<i64>,
    /// How much was sold; 0 if that cannot be read.
    quantity: Amount,
    /// `no_sku`: nobody knows which SKU it is; `no_product`: it names no product, which was deleted before the order was
    /// seen, or never was one; otherwise what of it cannot be read: `unreadable`, `quantity_unreadable`,
    /// `quantity_negative`, `quantity_too_fine`, `taken_unreadable`, `restocked_unreadable`, `product_unreadable`.
    #[schema(example = "no_sku")]
    cause: &'static str,
}

/// What a shop sells, and which SKU it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapping {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The product.
    #[schema(example = 17)]
    product: i64,
    /// The variation, if it has one.
    #[serde(default)]
    variation: Option<i64>,
    /// The SKU.
    #[schema(example = "TEE-RED-M")]
    sku: String,
}

/// A mapping that holds now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Mapped {
    /// The product or variation that keeps the quantity in the shop.
    #[schema(example = 17)]
    stock: i64,
    /// The SKU.
    #[schema(example = "TEE-RED-M")]
    sku: String,
    /// It was mapped so before.
    unchanged: bool,
}

/// List parked lines
#[utoipa::path(get, path = "/parked", tag = "orders", operation_id = "list_parked", params(PageQuery),
    responses((status = 200, body = Page<Parked>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Parked>>, Problem> {
    let asked = query.of("parked")?;
    let after = asked.after(cursor)?;
    let rows = parts.store.parked(after, asked.limit).await?;
    let shops = Shops::load(&parts.store, rows.iter().map(|row| row.shop)).await?;
    let item = |row: ParkedLine| Parked {
        shop: shops.name(row.shop),
        order: row.order.get(),
        line: row.line.get(),
        product: row.listing.map(|listing| listing.product.get()),
        variation: row.listing.and_then(|listing| listing.variation).map(VariationId::get),
        stock: row.stock.map(HolderId::get),
        quantity: row.quantity.into(),
        cause: match row.cause {
            ParkedCause::NoSku => "no_sku",
            ParkedCause::NoProduct => "no_product",
            ParkedCause::Faulty(fault) => fault.as_str(),
        },
    };
    Ok(Json(asked.page(rows, |row| format!("{}/{}/{}", row.shop, row.order, row.line), item)))
}

fn cursor(key: &str) -> Option<(ShopId, OrderId, LineId)> {
    let mut parts = key.split('/');
    let key = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(key)
}

/// Map what a shop sells to a SKU
///
/// Parked lines of it are applied, and its stock is compared with proof before anything is pushed to it. A SKU never
/// heard of is made.
#[utoipa::path(post, path = "/parked/map", tag = "orders", operation_id = "map_listing", request_body = Mapping,
    responses((status = 200, body = Mapped)))]
pub(super) async fn map(
    State(parts): State<Shared>,
    caller: Caller,
    Body(mapping): Body<Mapping>,
) -> Result<Json<Mapped>, Problem> {
    let sku: Sku = mapping
        .sku
        .parse()
        .map_err(|error| Problem::invalid(format!("{:?} is not a SKU: {error}", mapping.sku)))?;
    let product =
        ProductId::try_from(mapping.product).map_err(|error| Problem::invalid(error.to_string()))?;
    let variation = mapping
        .variation
        .map(VariationId::try_from)
        .transpose()
        .map_err(|error| Problem::invalid(error.to_string()))?;
    let shop = names::shop(&parts.store, &mapping.shop).await?;
    let listing = ListingId { product, variation };
    let unknown = || {
        Problem::not_found(format_args!(
            "stock of listing {listing} in shop {:?} that is known; if it is there, switch on stock management for it \
             in the shop, and have the catalogue read again (`onhand shop sync {}`, or POST /shops/{}/catalogue)",
            mapping.shop, mapping.shop, mapping.shop
        ))
    };
    let holder = holder_of(&parts.store, shop.id, listing).await?.ok_or_else(unknown)?;
    let stock = values::StockId { shop: shop.id, holder };
    let unchanged = match parts.inventory.map(stock, &sku, &caller.requester()).await? {
        MapOutcome::Mapped { .. } => false,
        MapOutcome::Unchanged => true,
        MapOutcome::UnknownStock => return Err(unknown()),
        MapOutcome::SkuTaken { by } => {
            return Err(Problem::new(
                Kind::SkuTaken,
                format!(
                    "stock {by} of shop {:?} already has the SKU {sku}; a shop keeps one stock of each",
                    mapping.shop
                ),
            ));
        }
    };
    Ok(Json(Mapped { stock: holder.get(), sku: sku.to_string(), unchanged }))
}

/// Where the shop keeps the quantity of what it sells, as its catalogue said.
async fn holder_of(store: &Store, shop: ShopId, listing: ListingId) -> Result<Option<HolderId>, Problem> {
    let mut tx = store.begin_inventory().await?;
    let listings = tx.resolve_listings(&[(shop, listing)], &[], &[]).await?;
    Ok(listings.of(shop).resolve(listing).and_then(|resolved| resolved.stock))
}
