//! What there was in a shop and in onhand, day by day.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::DayCount;
use utoipa::ToSchema;

use super::super::Shared;
use super::super::extract::{Path, Query};
use super::super::names;
use super::super::page::{Page, PageQuery};
use super::super::problem::Problem;
use super::super::wire::{Amount, Time};

/// Every day there is.
const FROM_THE_START: i64 = 0;

/// What there was in a shop and in onhand on one day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DayCount)]
pub(in super::super) struct CountBody {
    /// The day, UTC.
    #[schema(example = "2026-05-01")]
    day: String,
    /// When it was counted: the last time that day.
    at: Time,
    /// Orders by status.
    orders: Vec<StatusCount>,
    /// Stocks with a quantity in the shop's catalogue; `null` if that was not read that day.
    #[schema(example = 120)]
    shop_stocks: Option<u64>,
    /// What those show together.
    shop_sum: Option<Amount>,
    /// Stocks that are mapped.
    #[schema(example = 118)]
    stocks: u64,
    /// What those should show together, as far as that is proven.
    expected: Amount,
    /// What is left to sell of them together.
    level: Amount,
}

/// Orders of one status.
#[derive(Debug, Serialize, ToSchema)]
struct StatusCount {
    /// The shop's own word.
    #[schema(example = "processing")]
    status: String,
    /// How many the shop says there are; `null` if it does not know the status.
    #[schema(example = 12)]
    shop: Option<u64>,
    /// How many onhand knows: those of the 90 days before the shop was connected, the open ones of before, and all since.
    #[schema(example = 12)]
    known: u64,
}

impl From<DayCount> for CountBody {
    fn from(count: DayCount) -> Self {
        let mut orders: BTreeMap<String, StatusCount> = BTreeMap::new();
        for (status, known) in count.hub.orders {
            orders.insert(status.clone(), StatusCount { status, shop: None, known });
        }
        for (status, shop) in count.shop_orders {
            let row = StatusCount { status: status.clone(), shop: None, known: 0 };
            orders.entry(status).or_insert(row).shop = Some(shop);
        }
        Self {
            day: date(count.day).unwrap_or_else(|| count.day.to_string()),
            at: count.at.into(),
            orders: orders
                .into_values()
                .filter(|row| row.known > 0 || row.shop.is_some_and(|shop| shop > 0))
                .collect(),
            shop_stocks: count.shop_stocks.map(|all| all.stocks),
            shop_sum: count.shop_stocks.map(|all| all.sum.into()),
            stocks: count.hub.stocks,
            expected: count.hub.expected.into(),
            level: count.hub.level.into(),
        }
    }
}

/// As `2026-05-01`.
fn date(day: i64) -> Option<String> {
    let at = jiff::Timestamp::from_second(day.checked_mul(86_400)?).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}

/// List the daily counts of a shop
///
/// The latest day first; they are kept for 800 days. They are taken once a day, and after each reading of the catalogue.
#[utoipa::path(get, path = "/shops/{name}/counts", tag = "reconciliation", operation_id = "list_counts",
    params(("name" = String, Path, description = "Name of the shop"), PageQuery),
    responses((status = 200, body = Page<CountBody>)))]
pub(in super::super) async fn list(
    State(parts): State<Shared>,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<CountBody>>, Problem> {
    let asked = query.of("counts")?;
    let shop = names::shop(&parts.store, &name).await?;
    let before = asked.after(|key| key.parse::<i64>().ok())?;
    let mut rows = parts.store.day_counts(shop.id, FROM_THE_START, store::PAGE_ROWS_MAX).await?;
    rows.retain(|row| before.is_none_or(|before| row.day < before));
    rows.truncate(asked.rows());
    Ok(Json(asked.page(rows, |row| row.day.to_string(), CountBody::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        assert_eq!(date(0).as_deref(), Some("1970-01-01"));
        assert_eq!(date(20_574).as_deref(), Some("2026-05-01"));
    }
}
