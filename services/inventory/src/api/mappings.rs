//! The table of a shop: which SKU its products and variations are, as it is and as people say, also as CSV.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

mod file;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use store::{ListingRow, STATUS_GONE, Store, TableEntry, TableOutcome};
use utoipa::{IntoParams, ToSchema};
use values::{ListingId, ProductId, ShopId, Sku, VariationId};

use super::auth::Caller;
use super::extract::{Body as JsonBody, Path, Query};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::shops::doctor::{key_of, listing_of};
use super::{Shared, names};
use file::MappingReport;

/// Listings read at a time.
const PAGE_LISTINGS: u32 = 1_000;

const COLUMNS: [&str; 5] = ["product", "variation", "sku", "name", "matched"];

/// How it is known which SKU a listing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MappingMatched)]
enum Matched {
    /// The table says so.
    Table,
    /// It has this code in the shop.
    Sku,
    /// Its code differs from it in case or blanks only.
    SimilarSku,
    /// It has no code in the shop, and the name of this SKU.
    Name,
    /// It was found to be so earlier, and stays it whatever its code is now.
    Kept,
    /// It sells from the stock of its product, and is what that is.
    Product,
    /// Nobody knows which SKU it is.
    Nothing,
}

impl Matched {
    fn of(row: &ListingRow) -> Self {
        if row.holder.is_some() && !row.keeps_own() {
            return if row.sku.is_some() { Self::Product } else { Self::Nothing };
        }
        if row.mapped.is_some() && (row.sku == row.mapped || row.holder.is_none()) {
            return Self::Table;
        }
        match (&row.sku, &row.code) {
            // What keeps no quantity is known by its code.
            (None, Some(_)) if row.holder.is_none() => Self::Sku,
            (None, _) => Self::Nothing,
            (Some(sku), Some(code)) if sku == code => Self::Sku,
            (Some(sku), Some(code)) if is_like(sku, code) => Self::SimilarSku,
            (Some(_), None) if row.named_alike => Self::Name,
            (Some(_), _) => Self::Kept,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Sku => "sku",
            Self::SimilarSku => "similar_sku",
            Self::Name => "name",
            Self::Kept => "kept",
            Self::Product => "product",
            Self::Nothing => "nothing",
        }
    }
}

fn is_like(one: &Sku, other: &Sku) -> bool {
    let folded = |sku: &Sku| sku.as_str().replace(' ', "").to_ascii_lowercase();
    folded(one) == folded(other)
}

/// The SKU that a listing counts as, if that is known.
fn counts_as(row: &ListingRow) -> Option<&Sku> {
    match Matched::of(row) {
        Matched::Nothing => None,
        _ => row.counts_as(),
    }
}

/// Which SKU a listing is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListingMapping {
    /// The product.
    #[schema(example = 17)]
    product: i64,
    /// The variation, if it is one.
    variation: Option<i64>,
    /// Its name in the shop.
    name: String,
    /// Its code in the shop.
    #[schema(example = "tee-red-m")]
    code: Option<String>,
    /// The SKU it is; `null` if nobody knows.
    #[schema(example = "TEE-RED-M")]
    sku: Option<String>,
    /// How that is known.
    matched: Matched,
    /// What the table says; `null` if it says nothing of it.
    table: Option<String>,
}

/// List which SKUs the products of a shop are
///
/// Every product and variation of the catalogue as it was read last.
#[utoipa::path(get, path = "/shops/{name}/mappings", tag = "registry", operation_id = "list_mappings",
    params(("name" = String, Path, description = "Name of the shop"), PageQuery),
    responses((status = 200, body = Page<ListingMapping>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ListingMapping>>, Problem> {
    let asked = query.of("mappings")?;
    let shop = names::shop(&parts.store, &name).await?;
    let after = asked.after(listing_of)?;
    let rows = parts.store.listings_of_shop(shop.id, after, asked.limit).await?;
    Ok(Json(asked.page(rows, |row| key_of(row.listing), |row| mapping_body(&row))))
}

fn mapping_body(row: &ListingRow) -> ListingMapping {
    ListingMapping {
        product: row.listing.product.get(),
        variation: row.listing.variation.map(VariationId::get),
        name: row.name.clone(),
        code: row.code.as_ref().map(ToString::to_string),
        sku: counts_as(row).map(ToString::to_string),
        matched: Matched::of(row),
        table: row.mapped.as_ref().map(ToString::to_string),
    }
}

/// Export which SKUs the products of a shop are
///
/// CSV in UTF-8, a line for each product and variation: `product`, `variation`, `sku`, `name`, `matched` (how the SKU is known:
/// `table`, `sku`, `similar_sku`, `name`, `kept`, `product` or `nothing`). It can be edited and imported. Texts that a
/// spreadsheet would take for formulas have a `'` before them, which an import takes away again.
#[utoipa::path(get, path = "/shops/{name}/mappings/export", tag = "registry", operation_id = "export_mappings",
    params(("name" = String, Path, description = "Name of the shop")),
    responses((status = 200, body = String, content_type = "text/csv")))]
pub(super) async fn export(
    State(parts): State<Shared>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let shop = names::shop(&parts.store, &name).await?.id;
    let store = Arc::clone(&parts.store);
    let pages = stream::try_unfold(Next::Head, move |next| {
        let store = Arc::clone(&store);
        async move { page(&store, shop, next).await }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"mapping.csv\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// What to write next.
enum Next {
    Head,
    After(Option<ListingId>),
    End,
}

/// An export that cannot go on; the connection is cut, so that nobody takes half of it for all.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the table could not be read")]
    Store(#[source] store::Error),
    #[error("the table could not be written as CSV")]
    Csv(#[source] csv::Error),
}

async fn page(store: &Store, shop: ShopId, next: Next) -> Result<Option<(Bytes, Next)>, ExportError> {
    let after = match next {
        Next::End => return Ok(None),
        Next::Head => {
            let text =
                super::export::lines(|writer| writer.write_record(COLUMNS)).map_err(ExportError::Csv)?;
            return Ok(Some((text, Next::After(None))));
        }
        Next::After(after) => after,
    };
    let rows = store.listings_of_shop(shop, after, PAGE_LISTINGS).await.map_err(|error| {
        tracing::error!(error = %process::error_chain(&error), "an export was cut off");
        ExportError::Store(error)
    })?;
    let full = u32::try_from(rows.len()).unwrap_or(u32::MAX) >= PAGE_LISTINGS;
    let next = rows.last().filter(|_| full).map_or(Next::End, |row| Next::After(Some(row.listing)));
    // What is gone is of interest only where the table speaks of it.
    let told = rows.iter().filter(|row| row.status != STATUS_GONE || row.mapped.is_some());
    let text = super::export::lines(|writer| {
        told.clone().try_for_each(|row| {
            writer.write_record([
                row.listing.product.to_string(),
                row.listing.variation.map_or_else(String::new, |variation| variation.to_string()),
                counts_as(row).map_or_else(String::new, |sku| super::export::inert(sku.as_str())),
                super::export::inert(&row.name),
                Matched::of(row).word().to_owned(),
            ])
        })
    });
    Ok(Some((text.map_err(ExportError::Csv)?, next)))
}

/// Which SKU a product or variation is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetMapping {
    /// The product.
    #[schema(example = 17)]
    product: i64,
    /// The variation, if it is one.
    #[serde(default)]
    variation: Option<i64>,
    /// The SKU it is; `null`: nothing is said of it any more, it goes by its code again.
    #[schema(example = "TEE-RED-M")]
    sku: Option<String>,
}

/// What a product or variation is from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MappingSet {
    /// The SKU it is; `null` if nobody knows.
    #[schema(example = "TEE-RED-M")]
    sku: Option<String>,
    /// The SKU it was.
    before: Option<String>,
    /// It was so before.
    unchanged: bool,
}

/// Say which SKU a product or variation of a shop is
///
/// What the table of a shop says comes before what is found by code or name. Parked lines of it are applied; orders that came
/// before keep the SKU they were counted as. Its stock is compared with proof before anything is pushed to it. A SKU never
/// heard of is made.
#[utoipa::path(post, path = "/shops/{name}/mappings", tag = "registry", operation_id = "set_mapping",
    request_body = SetMapping, params(("name" = String, Path, description = "Name of the shop")),
    responses((status = 200, body = MappingSet)))]
pub(super) async fn set(
    State(parts): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<SetMapping>,
) -> Result<Json<MappingSet>, Problem> {
    let invalid = |error: &dyn std::fmt::Display| Problem::invalid(error.to_string());
    let product = ProductId::try_from(body.product).map_err(|error| invalid(&error))?;
    let variation = body.variation.map(VariationId::try_from).transpose().map_err(|error| invalid(&error))?;
    let sku: Option<Sku> = body
        .sku
        .map(|text| text.parse().map_err(|error| Problem::invalid(format!("{text:?} is not a SKU: {error}"))))
        .transpose()?;
    let shop = names::shop(&parts.store, &name).await?;
    let listing = ListingId { product, variation };
    let entry = TableEntry { listing, sku: sku.clone(), is_kept: true };
    let outcomes = parts.inventory.map_table(shop.id, &[entry], false, &caller.requester()).await?;
    let outcome = outcomes.into_iter().next().ok_or_else(|| Problem::internal("an entry came to nothing"))?;
    let text = |sku: Option<Sku>| sku.map(|sku| sku.to_string());
    match outcome {
        TableOutcome::Changed { before, now, .. } => {
            Ok(Json(MappingSet { sku: text(now), before: text(before), unchanged: false }))
        }
        TableOutcome::Unchanged => {
            let now = text(sku);
            Ok(Json(MappingSet { before: now.clone(), sku: now, unchanged: true }))
        }
        TableOutcome::SkuTaken { .. } => {
            Err(Problem::new(Kind::SkuTaken, refusal(&outcome, listing, sku.as_ref())))
        }
        TableOutcome::UnknownListing => Err(Problem::not_found(format_args!(
            "product or variation {listing} in the catalogue of shop {name:?} as it was read last; have it read again \
             (`onhand shop sync {name}`)"
        ))),
        TableOutcome::SharesStock { .. } => Err(Problem::invalid(refusal(&outcome, listing, sku.as_ref()))),
    }
}

/// Why an entry cannot be taken in.
fn refusal(outcome: &TableOutcome, listing: ListingId, sku: Option<&Sku>) -> String {
    let sku = sku.map_or_else(String::new, ToString::to_string);
    match outcome {
        TableOutcome::UnknownListing => {
            format!(
                "the shop is not known to sell {listing}; have its catalogue read again with `onhand shop sync`"
            )
        }
        TableOutcome::SharesStock { holder } => format!(
            "{listing} sells from the stock of product {holder}, and is what that is; map {holder}, or switch on `Manage \
             stock?` for the variation in the shop"
        ),
        TableOutcome::SkuTaken { by } => format!(
            "product or variation {by} of the shop is {sku} already; a shop keeps one stock of each SKU"
        ),
        TableOutcome::Changed { .. } | TableOutcome::Unchanged => String::new(),
    }
}

/// How to import.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MappingImportQuery {
    /// Only say what would be done and what is wrong.
    #[serde(default)]
    dry_run: bool,
}

/// Import which SKUs the products of a shop are
///
/// CSV as it is exported: `product`, `variation` (may be left out or empty) and `sku`; other columns are ignored. What the
/// file does not name stays as it is. A line whose SKU is what the product is already changes nothing; an empty SKU takes the
/// product out of the table. Separated by `;`, `,` or tab; UTF-8; at most 4 MiB and 20000 lines.
///
/// All lines are checked before any is applied. If one is wrong nothing is imported, and each wrong line is named in `rows`.
/// Importing the same again changes nothing.
#[utoipa::path(post, path = "/shops/{name}/mappings/import", tag = "registry", operation_id = "import_mappings",
    params(("name" = String, Path, description = "Name of the shop"), MappingImportQuery),
    request_body(content = String, content_type = "text/csv", example = json!("product;variation;sku\n17;;TEE\n20;21;MUG-L\n")),
    responses((status = 200, body = MappingReport)))]
pub(super) async fn import(
    State(parts): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<MappingImportQuery>,
    body: Body,
) -> Result<Json<MappingReport>, Problem> {
    let shop = names::shop(&parts.store, &name).await?;
    file::import(&parts, &caller, shop.id, query.dry_run, body).await.map(Json)
}
