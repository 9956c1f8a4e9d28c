//! Differences between what shops showed and what they should have: whose they are, and what is done about them.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{DriftKey, DriftRow};
use utoipa::{IntoParams, ToSchema};
use values::{ReadNumber, StockId, Timestamp};

use super::Shared;
use super::extract::Query;
use super::names::{self, Shops};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::wire::{Amount, Time};

/// A difference that a comparison found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
pub(super) struct DriftBody {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The product or variation that keeps the quantity there.
    #[schema(example = 17)]
    stock: i64,
    /// What it held.
    #[schema(example = "TEE-RED-M")]
    sku: Option<String>,
    /// When it was found.
    at: Time,
    /// Number of the read that found it; grows with each read of the shop.
    #[schema(example = 4711)]
    number: u64,
    /// Whose it is: `lost_update` (we pushed since the comparison before), `doubtful_call` (and a push was never answered),
    /// `edit_up` and `edit_down` (we did not: somebody changed it), `bulk_edit` (an import or SQL changed it, or many were
    /// changed at once), `unmanaged` (the shop keeps no quantity there any more), `unsettled` (it could not be compared for
    /// long; what it shows is not certain).
    #[schema(example = "edit_up")]
    class: &'static str,
    /// What it should have shown, if that was known.
    expected: Option<Amount>,
    /// What it showed; `null`: it keeps no quantity there.
    shown: Option<Amount>,
    /// How much more it showed.
    difference: Option<Amount>,
    /// What is done about it: `corrected` (the shop is told the difference), `withheld` (it stays as it was set), `adopting`
    /// (the ledger is asked to take it over), `adopted` (it did), `alerted` (nothing, a person decides), `none`.
    #[schema(example = "corrected")]
    action: &'static str,
    /// Why an edit was not taken over by the ledger, as a code.
    why: Option<String>,
}

impl DriftBody {
    pub(super) fn new(row: &DriftRow, shop: String) -> Self {
        Self {
            shop,
            stock: row.stock.holder.get(),
            sku: row.sku.as_ref().map(ToString::to_string),
            at: row.at.into(),
            number: row.number.get(),
            class: row.class.as_str(),
            expected: row.expected.map(Into::into),
            shown: row.shown.map(Into::into),
            difference: row.difference().map(Into::into),
            action: row.action.as_str(),
            why: row.why.clone(),
        }
    }
}

/// Which differences.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DriftQuery {
    /// Only of this shop.
    #[param(example = "berlin")]
    shop: Option<String>,
    /// Only those found since then, RFC 3339.
    #[param(example = "2026-05-01T12:00:00Z")]
    since: Option<String>,
    /// Most rows to answer with, from 1 to 1000; 100 if left out.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// The `next` of the page before; the first page if left out.
    after: Option<String>,
}

/// List differences
///
/// Between what shops showed and what they should have, found by comparing with proof. The newest first; the last 20 of each
/// stock are kept.
#[utoipa::path(get, path = "/drifts", tag = "stock", operation_id = "list_drifts", params(DriftQuery),
    responses((status = 200, body = Page<DriftBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<DriftQuery>,
) -> Result<Json<Page<DriftBody>>, Problem> {
    let asked = PageQuery { limit: query.limit, after: query.after }.of("drifts")?;
    let after = asked.after(key_of)?;
    let since = query.since.map_or(Ok(Timestamp::from_micros(i64::MIN)), |since| moment(&since))?;
    let shop = match query.shop {
        Some(name) => Some(names::shop(&parts.store, &name).await?.id),
        None => None,
    };
    let rows = parts.store.drifts(shop, since, after, asked.limit).await?;
    let shops = Shops::load(&parts.store, rows.iter().map(|row| row.stock.shop)).await?;
    let body = |row: DriftRow| DriftBody::new(&row, shops.name(row.stock.shop));
    Ok(Json(asked.page(rows, |row| key_text(row.key()), body)))
}

fn moment(text: &str) -> Result<Timestamp, Problem> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed.map(|at| Timestamp::from_micros(at.as_microsecond())).map_err(|_| {
        Problem::bad_request(format!("`since` is {text:?}; a time like 2026-05-01T12:00:00Z is wanted"))
    })
}

fn key_text(key: DriftKey) -> String {
    format!("{}/{}/{}/{}", key.at.micros(), key.stock.shop, key.stock.holder, key.number.get())
}

fn key_of(text: &str) -> Option<DriftKey> {
    let mut parts = text.split('/');
    let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let stock = StockId { shop: parts.next()?.parse().ok()?, holder: parts.next()?.parse().ok()? };
    let number = ReadNumber::new(parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(DriftKey { at, stock, number })
}

#[cfg(test)]
mod tests {
    use values::{HolderId, ShopId};

    use super::*;

    #[test]
    fn a_key_leads_back_to_its_row() {
        let stock = StockId { shop: ShopId::new(3).unwrap(), holder: HolderId::new(17).unwrap() };
        let key = DriftKey { at: Timestamp::from_micros(-5), stock, number: ReadNumber::new(9) };
        assert_eq!(key_of(&key_text(key)), Some(key));
        for wrong in ["", "1/2/3", "1/0/3/4", "1/2/3/4/5", "a/2/3/4"] {
            assert_eq!(key_of(wrong), None, "{wrong}");
        }
    }
}
