//! Stock as it is: by SKU, in each warehouse and in each shop.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::SkuStock;
use utoipa::{IntoParams, ToSchema};
use values::{ShopId, Sku};

use super::Shared;
use super::extract::Query;
use super::names::{Shops, Warehouses};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::wire::{Amount, Time};

/// All of one SKU.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stock {
    /// The SKU.
    #[schema(example = "TEE-RED-M")]
    sku: String,
    /// When it was last counted or first opened.
    counted_at: Option<Time>,
    /// What each warehouse has of it.
    warehouses: Vec<Balance>,
    /// Warehouses in which it was received, counted, adjusted, moved or opened before: a shop that sells from one of them opens
    /// it no more.
    #[schema(example = json!(["main"]))]
    stocked: Vec<String>,
    /// What each shop should show.
    shops: Vec<ShopLevel>,
}

/// What a warehouse has of a SKU.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Balance {
    /// The warehouse.
    #[schema(example = "main")]
    pub(super) warehouse: String,
    /// Physically there, promised or not.
    pub(super) on_hand: Amount,
    /// Promised, not yet shipped.
    pub(super) reserved: Amount,
    /// On hand less reserved; negative when more is promised than there is.
    pub(super) available: Amount,
}

/// What a shop should show.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ShopLevel {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The product or variation that keeps it there.
    #[schema(example = 17)]
    stock: i64,
    /// What is left to sell there; negative is a shortfall.
    level: Amount,
}

impl Balance {
    pub(super) fn new(warehouse: String, balance: ledger::Balance) -> Self {
        Self {
            warehouse,
            on_hand: balance.on_hand.into(),
            reserved: balance.reserved.into(),
            available: balance.available().into(),
        }
    }
}

/// Which stock to list.
#[derive(Debug, Default, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it only documents what `Asked` reads")]
pub(super) struct StockParams {
    /// Only these SKUs, at most 1000; may be repeated. Unknown ones are left out of the answer.
    #[param(example = json!(["TEE-RED-M"]))]
    sku: Option<Vec<String>>,
}

/// A query whose fields may be repeated, which the ordinary reader of queries does not know.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Pairs(Vec<(String, String)>);

#[derive(Debug, Default)]
struct StockQuery {
    skus: Vec<Sku>,
    page: PageQuery,
}

impl StockQuery {
    fn of(Pairs(pairs): Pairs) -> Result<Self, Problem> {
        let mut query = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "sku" => query.skus.push(sku(&value)?),
                "limit" => {
                    let limit =
                        value.parse().map_err(|_| Problem::bad_request("limit must be a whole number"))?;
                    query.page.limit = Some(limit);
                }
                "after" => query.page.after = Some(value),
                _ => {
                    return Err(Problem::bad_request(format!(
                        "unknown field `{name}`, expected one of `sku`, `limit`, `after`"
                    )));
                }
            }
        }
        if query.skus.len() > usize::try_from(store::PAGE_ROWS_MAX).unwrap_or(usize::MAX) {
            return Err(Problem::bad_request("at most 1000 SKUs can be asked for at once"));
        }
        Ok(query)
    }
}

/// A SKU from a path or query.
pub(super) fn sku(text: &str) -> Result<Sku, Problem> {
    text.parse().map_err(|error| Problem::bad_request(format!("{text:?} is not a SKU: {error}")))
}

/// List stock
///
/// By SKU, or of the SKUs asked for.
#[utoipa::path(get, path = "/stock", tag = "stock", operation_id = "list_stock", params(StockParams, PageQuery),
    responses((status = 200, body = Page<Stock>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(pairs): Query<Pairs>,
) -> Result<Json<Page<Stock>>, Problem> {
    let query = StockQuery::of(pairs)?;
    let wanted = query.skus;
    let asked = query.page.of("stock")?;
    let after = asked.after(|key| key.parse().ok())?;
    let rows = if wanted.is_empty() {
        parts.store.stock_page(after.as_ref(), asked.limit).await?
    } else {
        let mut wanted: Vec<Sku> =
            wanted.into_iter().filter(|sku| after.as_ref().is_none_or(|after| sku > after)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.truncate(asked.rows());
        parts.store.stock_of(&wanted).await?
    };
    let warehouses = Warehouses::load(&parts.store).await?;
    let sellers: Vec<ShopId> = rows.iter().flat_map(|row| &row.stocks).map(|stock| stock.id.shop).collect();
    let shops = Shops::load(&parts.store, sellers).await?;
    Ok(Json(asked.page(rows, |row| row.sku.to_string(), |row| stock_body(&row, &warehouses, &shops))))
}

fn stock_body(row: &SkuStock, warehouses: &Warehouses, shops: &Shops) -> Stock {
    let balances = row.book.balances.iter();
    Stock {
        sku: row.sku.to_string(),
        counted_at: row.book.counted_at.map(Into::into),
        warehouses: balances.map(|(id, balance)| Balance::new(warehouses.name(*id), *balance)).collect(),
        stocked: row.book.stocked.iter().map(|id| warehouses.name(*id)).collect(),
        shops: row
            .stocks
            .iter()
            .map(|stock| ShopLevel {
                shop: shops.name(stock.id.shop),
                stock: stock.id.holder.get(),
                level: stock.level.into(),
            })
            .collect(),
    }
}
