//! Differences between what shops showed and what they should have: whose they are, and what is done about them.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::{Decision, DecisionRow, DriftAction, DriftKey, DriftRow, Shop};
use utoipa::{IntoParams, ToSchema};
use values::{HolderId, ReadNumber, Sku, StockId, Timestamp};

use super::auth::Caller;
use super::extract::{Body, Query};
use super::keys::Key;
use super::names::{self, Shops, Warehouses};
use super::operations::{REPLAYED, key_reused, reason_text};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::wire::{Amount, Time, moment};
use super::{Served, Shared};
use crate::{DecisionOutcome, DecisionRequest};

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
    /// What somebody decided about it, where it was left as it was set; `null`: nobody did.
    decided: Option<DecidedBody>,
}

/// What somebody decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decided)]
pub(super) struct DecidedBody {
    /// `correct` (the shop is told the difference), `adopt` (the ledger took it over) or `leave` (it stays as it is).
    #[schema(example = "adopt")]
    decision: &'static str,
    /// Who decided.
    by: String,
    /// When.
    at: Time,
    /// Why.
    reason: Option<String>,
}

impl From<&DecisionRow> for DecidedBody {
    fn from(row: &DecisionRow) -> Self {
        Self {
            decision: row.decision.as_str(),
            by: row.actor.clone(),
            at: row.at.into(),
            reason: row.reason.clone(),
        }
    }
}

/// What becomes of a difference that was left as it was set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"shop": "berlin", "stock": "TEE-RED-M", "decision": "adopt", "reason": "counted by hand"}))]
pub(super) struct NewDecision {
    /// The shop.
    shop: String,
    /// The SKU that it sells; or the number of the product or variation that keeps the quantity there, if no SKU of the shop is
    /// written like that.
    stock: String,
    /// `correct`: the shop is told the difference to its level. `adopt`: the ledger takes it over, as one adjustment. `leave`: it
    /// stays as it is, and is no alert any more.
    decision: String,
    /// Where the ledger takes it over, for a shop that sells from several warehouses.
    warehouse: Option<String>,
    /// Why, at most 200 characters.
    reason: Option<String>,
}

/// A decision about a stock of a shop.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(super) struct DecisionBody {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The product or variation that keeps the quantity there.
    #[schema(example = 17)]
    stock: i64,
    /// Its number among those of the stock.
    #[schema(example = 1)]
    number: u32,
    /// What was kept out of the shop until then; below zero: left in it.
    quantity: Amount,
    /// Where the ledger took it over.
    warehouse: Option<String>,
    /// What was decided.
    #[serde(flatten)]
    decided: DecidedBody,
}

impl DriftBody {
    /// With the decisions about its stock.
    pub(super) fn new(row: &DriftRow, shop: String, decisions: &[DecisionRow]) -> Self {
        let is_left = matches!(row.action, DriftAction::Withheld | DriftAction::Alerted);
        Self {
            decided: DecisionRow::about(decisions, row).filter(|_| is_left).map(Into::into),
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
    let since = query.since.map_or(Ok(Timestamp::from_micros(i64::MIN)), |since| moment("since", &since))?;
    let shop = match query.shop {
        Some(name) => Some(names::shop(&parts.store, &name).await?.id),
        None => None,
    };
    let rows = parts.store.drifts(shop, since, after, asked.limit).await?;
    let shops = Shops::load(&parts.store, rows.iter().map(|row| row.stock.shop)).await?;
    let stocks: BTreeSet<StockId> = rows.iter().map(|row| row.stock).collect();
    let decisions = parts.store.decisions_of(&stocks.into_iter().collect::<Vec<_>>()).await?;
    let body = |row: DriftRow| DriftBody::new(&row, shops.name(row.stock.shop), &decisions);
    Ok(Json(asked.page(rows, |row| key_text(row.key()), body)))
}

/// Decide about a difference
///
/// That was left as it was set: kept out of the shop, or in it. All that is withheld of the stock is decided on, and all
/// differences of it that were found so far. What is found later is treated as the shop wants it, as before. The same request
/// under the same `Idempotency-Key` is done once, and answered alike with `Idempotency-Replayed: true`.
#[utoipa::path(post, path = "/drifts/decide", tag = "stock", operation_id = "decide_drift", request_body = NewDecision,
    params(("Idempotency-Key" = String, Header, description = "Your own name for this request, at most 200 characters")),
    responses((status = 200, body = DecisionBody)))]
pub(super) async fn decide(
    State(parts): State<Shared>,
    caller: Caller,
    key: Key,
    Body(new): Body<NewDecision>,
) -> Result<Response, Problem> {
    let key = key.required()?;
    let shop = names::shop(&parts.store, &new.shop).await?;
    let warehouses = Warehouses::load(&parts.store).await?;
    let stock = stock_named(&parts, &shop, &new.stock).await?;
    let words = "a decision is `correct`, `adopt` or `leave`";
    let decision = Decision::from_word(&new.decision).ok_or_else(|| Problem::invalid(words))?;
    let request = DecisionRequest {
        requester: caller.requester(),
        key: key.clone(),
        stock,
        decision,
        warehouse: new.warehouse.map(|name| warehouses.find(&name)).transpose().map_err(Problem::invalid)?,
        reason: reason_text(new.reason.as_deref()).map_err(Problem::invalid)?,
    };
    let (number, replayed) = match parts.inventory.decide(&request).await? {
        DecisionOutcome::Done(number) => (number, false),
        DecisionOutcome::Repeated(number) => (number, true),
        DecisionOutcome::Conflict => return Err(key_reused(&key)),
        refused => return Err(not_decided(refused, &new.shop, &new.stock)),
    };
    let decisions = parts.store.decisions_of(&[stock]).await?;
    let row = decisions.iter().find(|row| row.number == number);
    let row = row.ok_or_else(|| {
        Problem::new(Kind::NotNow, "it was decided before so many others that it is forgotten")
    })?;
    let body = DecisionBody {
        shop: shop.name,
        stock: stock.holder.get(),
        number,
        quantity: row.quantity.into(),
        warehouse: row.warehouse.map(|id| warehouses.name(id)),
        decided: row.into(),
    };
    let mut response = Json(body).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The stock of a shop that holds such a SKU, or that has such a number.
async fn stock_named(parts: &Served, shop: &Shop, text: &str) -> Result<StockId, Problem> {
    if let Ok(sku) = text.parse::<Sku>() {
        let found = parts.store.stock_of(&[sku]).await?;
        let mut stocks = found.iter().flat_map(|found| &found.stocks);
        if let Some(row) = stocks.find(|row| row.id.shop == shop.id && !row.removed) {
            return Ok(row.id);
        }
    }
    let holder: Option<HolderId> = text.parse().ok();
    let named = holder.map(|holder| StockId { shop: shop.id, holder });
    named.ok_or_else(|| Problem::not_found(format_args!("stock {text:?} of shop {:?}", shop.name)))
}

fn not_decided(refused: DecisionOutcome, shop: &str, stock: &str) -> Problem {
    let of = format!("stock {stock:?} of shop {shop:?}");
    match refused {
        DecisionOutcome::Unknown => Problem::not_found(of),
        DecisionOutcome::Unproven => Problem::new(
            Kind::NotNow,
            format!("{of} has not been compared with proof yet; `onhand shop sync {shop}` has that done"),
        ),
        DecisionOutcome::Adopting => {
            Problem::new(Kind::NotNow, format!("the ledger is being asked to take over an edit of {of}"))
        }
        DecisionOutcome::WhichWarehouse => Problem::invalid(format!(
            "shop {shop:?} sells from several warehouses, or not from that one: name the one where {of} is to be adjusted"
        )),
        DecisionOutcome::MirroredWarehouse => Problem::invalid(format!(
            "the warehouse of {of} follows an ERP: change it there, or `correct` the shop"
        )),
        DecisionOutcome::InsufficientAvailable { available } => Problem::new(
            Kind::InsufficientAvailable,
            format!("only {available} is available of what {of} holds; nothing was done"),
        ),
        DecisionOutcome::Nothing
        | DecisionOutcome::Done(_)
        | DecisionOutcome::Repeated(_)
        | DecisionOutcome::Conflict => Problem::new(
            Kind::NotNow,
            format!("nothing of {of} is kept out of the shop or left in it; see `GET /drifts?shop={shop}`"),
        ),
    }
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
