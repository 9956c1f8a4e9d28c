//! Why a number is what it is: the movements it is the sum of, what holds it, and how each shop came to what it shows.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use process::clock;
use push::{Next, StockPush};
use serde::{Deserialize, Serialize};
use store::{
    DecisionRow, DriftRow, Explanation, MovementSum, OpenHold, PushNotes, PushRow, Shop, StockOpening,
    StockRow, Told,
};
use utoipa::{IntoParams, ToSchema};
use values::{Quantity, ShopId, StockId, Timestamp, WarehouseId};

use super::Shared;
use super::drifts::DriftBody;
use super::extract::{Path, Query};
use super::names::{Shops, Warehouses};
use super::orders::HoldBody;
use super::problem::Problem;
use super::stock;
use super::wire::{Amount, Time, text_of};

/// All that makes a SKU's numbers what they are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct ExplanationBody {
    /// The SKU.
    #[schema(example = "TEE-RED-M")]
    sku: String,
    /// When it was last counted or first opened.
    counted_at: Option<Time>,
    /// The sum in each warehouse.
    warehouses: Vec<WarehouseSum>,
    /// Open order lines that hold it, at most 1000.
    holds: Vec<OpenHoldBody>,
    /// How many lines hold it in all.
    #[schema(example = 0)]
    hold_count: u64,
    /// Each shop that sells it.
    shops: Vec<ShopSum>,
}

/// The sum of a SKU's movements in a warehouse.
#[derive(Debug, Serialize, ToSchema)]
struct WarehouseSum {
    /// The warehouse.
    #[schema(example = "main")]
    warehouse: String,
    /// The movements, summed by kind.
    movements: Vec<KindSum>,
    /// Physically there: the sum of what the movements changed on hand by.
    on_hand: Amount,
    /// Promised: the sum of what they changed reserved by.
    reserved: Amount,
    /// On hand less reserved.
    available: Amount,
    /// The balance is the sum of the movements; if not, run a check.
    adds_up: bool,
}

/// Sum of the movements of one kind.
#[derive(Debug, Serialize, ToSchema)]
struct KindSum {
    /// The kind.
    #[schema(example = "receipt")]
    kind: &'static str,
    /// How many.
    #[schema(example = 1)]
    count: u64,
    /// What they changed on hand by.
    on_hand: Amount,
    /// What they changed reserved by.
    reserved: Amount,
}

/// What an open order line holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenHold)]
struct OpenHoldBody {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The order.
    #[schema(example = 1001)]
    order: i64,
    /// Its status.
    #[schema(example = "processing")]
    status: String,
    /// The line.
    #[schema(example = 1)]
    line: i64,
    /// What it holds, by warehouse.
    holds: Vec<HoldBody>,
}

/// How a shop comes to what it should show: `available` less `buffer` is `level`; with `untaken` added and `withheld` taken
/// off it is the `goal`; `shows` is what it shows as far as is known.
#[derive(Debug, Serialize, ToSchema)]
struct ShopSum {
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// The product or variation that keeps it there.
    #[schema(example = 17)]
    stock: i64,
    /// The warehouses it sells from, best first.
    #[schema(example = json!(["main"]))]
    warehouses: Vec<String>,
    /// Available in these.
    available: Amount,
    /// Kept back from the shop.
    buffer: Amount,
    /// What is left to sell there; negative is a shortfall.
    level: Amount,
    /// What the shop's own orders have yet to take from its stock.
    untaken: Amount,
    /// Units that a person took out of the shop: kept out. Below zero: units that a person put in, left there.
    withheld: Option<Amount>,
    /// What it is to show until its own orders are taken.
    goal: Option<Amount>,
    /// What it shows if every order is known; `null` while that is not proven.
    shows: Option<Amount>,
    /// Whether what it showed when it was connected became stock: `opened`, `left_alone` (there was stock already) or
    /// `awaited`; `null` if that was not asked for.
    #[schema(example = "opened")]
    opening: Option<&'static str>,
    /// When it was told something last.
    told_at: Option<Time>,
    /// The change it was told.
    told_change: Option<Amount>,
    /// What it answered, as a code.
    #[schema(example = "applied")]
    answer: Option<String>,
    /// When it was last compared.
    compared_at: Option<Time>,
    /// What it showed then.
    compared_shown: Option<Amount>,
    /// Differences that comparisons found, the newest first, at most 20.
    drifts: Vec<DriftBody>,
    /// The last changes it was told, the oldest first, at most five.
    attempts: Vec<Attempt>,
    /// What is not settled, and why; empty when the shop shows what it should.
    unsettled: Vec<String>,
}

/// A change that a shop was told.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    /// When.
    at: Time,
    /// The change.
    change: Amount,
    /// What came of it, as a code.
    #[schema(example = "applied")]
    answer: String,
}

impl From<&Told> for Attempt {
    fn from(told: &Told) -> Self {
        Self { at: told.at.into(), change: told.delta.into(), answer: told.answer.clone() }
    }
}

/// What to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExplainQuery {
    /// Only this shop, and what its orders hold.
    #[param(example = "berlin")]
    shop: Option<String>,
}

/// Explain the numbers of a SKU
#[utoipa::path(get, path = "/explain/{sku}", tag = "stock", operation_id = "explain",
    params(("sku" = String, Path, description = "The SKU"), ExplainQuery), responses((status = 200, body = ExplanationBody)))]
pub(super) async fn explain(
    State(parts): State<Shared>,
    Path(text): Path<String>,
    Query(query): Query<ExplainQuery>,
) -> Result<Json<ExplanationBody>, Problem> {
    let sku = stock::sku(&text)?;
    let found = parts.store.explain(&sku).await?;
    let mut found = found.ok_or_else(|| Problem::not_found(format_args!("SKU {:?}", sku.as_str())))?;
    let mut named: Vec<ShopId> = found.stock.stocks.iter().map(|stock| stock.id.shop).collect();
    named.extend(found.holds.iter().map(|hold| hold.shop));
    let shops = Shops::load(&parts.store, named).await?;
    if let Some(only) = query.shop {
        let only = super::names::shop(&parts.store, &only).await?.id;
        found.stock.stocks.retain(|stock| stock.id.shop == only);
        found.holds.retain(|hold| hold.shop == only);
    }
    let stocks: Vec<StockId> = found.stock.stocks.iter().map(|stock| stock.id).collect();
    let notes = parts.store.push_notes(&stocks).await?;
    let drifts = parts.store.drifts_of(&stocks).await?;
    let decisions = parts.store.decisions_of(&stocks).await?;
    let warehouses = Warehouses::load(&parts.store).await?;
    Ok(Json(body(&found, (&notes, &drifts, &decisions), &warehouses, &shops, clock::now())))
}

fn body(
    found: &Explanation,
    (notes, drifts, decisions): (&[PushNotes], &[DriftRow], &[DecisionRow]),
    warehouses: &Warehouses,
    shops: &Shops,
    now: Timestamp,
) -> ExplanationBody {
    let sums = found.stock.stocks.iter().filter_map(|stock| {
        let push = found.pushes.iter().find(|push| push.id == stock.id);
        let notes = notes.iter().find(|notes| notes.id == stock.id);
        let shop = shops.get(stock.id.shop)?;
        let drifts = drifts.iter().filter(|drift| drift.stock == stock.id);
        let drifts = drifts.map(|drift| DriftBody::new(drift, shop.name.clone(), decisions)).collect();
        Some(shop_sum(found, stock, shop, (push, notes, drifts), warehouses, now))
    });
    ExplanationBody {
        sku: found.stock.sku.to_string(),
        counted_at: found.stock.book.counted_at.map(Into::into),
        warehouses: warehouse_sums(found, warehouses),
        holds: found.holds.iter().map(|hold| open_hold(hold, warehouses, shops)).collect(),
        hold_count: found.hold_count,
        shops: sums.collect(),
    }
}

fn warehouse_sums(found: &Explanation, warehouses: &Warehouses) -> Vec<WarehouseSum> {
    let mut sums: BTreeMap<WarehouseId, Vec<&MovementSum>> = BTreeMap::new();
    for id in found.stock.book.balances.keys() {
        sums.entry(*id).or_default();
    }
    for sum in &found.sums {
        sums.entry(sum.warehouse).or_default().push(sum);
    }
    let one = |(id, sums): (WarehouseId, Vec<&MovementSum>)| {
        let balance = found.stock.book.balances.get(&id).copied().unwrap_or_default();
        let on_hand: Quantity = sums.iter().map(|sum| sum.on_hand).sum();
        let reserved: Quantity = sums.iter().map(|sum| sum.reserved).sum();
        WarehouseSum {
            warehouse: warehouses.name(id),
            on_hand: balance.on_hand.into(),
            reserved: balance.reserved.into(),
            available: balance.available().into(),
            adds_up: (on_hand, reserved) == (balance.on_hand, balance.reserved),
            movements: sums
                .into_iter()
                .map(|sum| KindSum {
                    kind: sum.kind.as_str(),
                    count: sum.count,
                    on_hand: sum.on_hand.into(),
                    reserved: sum.reserved.into(),
                })
                .collect(),
        }
    };
    sums.into_iter().map(one).collect()
}

fn open_hold(hold: &OpenHold, warehouses: &Warehouses, shops: &Shops) -> OpenHoldBody {
    OpenHoldBody {
        shop: shops.name(hold.shop),
        order: hold.order.get(),
        status: hold.status.clone(),
        line: hold.line.get(),
        holds: hold.holds.iter().map(|hold| HoldBody::new(hold, warehouses)).collect(),
    }
}

fn shop_sum(
    found: &Explanation,
    stock: &StockRow,
    shop: &Shop,
    (push, notes, drifts): (Option<&PushRow>, Option<&PushNotes>, Vec<DriftBody>),
    warehouses: &Warehouses,
    now: Timestamp,
) -> ShopSum {
    let routing = &shop.settings.routing;
    let balances = &found.stock.book.balances;
    let available: Quantity =
        routing.iter().filter_map(|id| balances.get(&id)).map(|balance| balance.available()).sum();
    let state = push.map(|push| &push.push);
    let told = push.and_then(|push| push.told.as_ref());
    ShopSum {
        shop: shop.name.clone(),
        stock: stock.id.holder.get(),
        warehouses: routing.iter().map(|id| warehouses.name(id)).collect(),
        available: available.into(),
        buffer: stock.buffer.unwrap_or(shop.settings.buffer).into(),
        level: stock.level.into(),
        untaken: stock.untaken.into(),
        withheld: state.and_then(StockPush::withheld).map(Into::into),
        goal: state.and_then(goal).map(Into::into),
        shows: state.and_then(StockPush::expected).map(Into::into),
        opening: opening_word(stock.opening),
        told_at: told.map(|told| told.at.into()),
        told_change: told.map(|told| told.delta.into()),
        answer: told.map(|told| told.answer.clone()),
        compared_at: stock.settle.map(|settle| settle.answered.hub.into()),
        compared_shown: stock.settle.and_then(|settle| settle.shown).map(Into::into),
        drifts,
        attempts: notes.map(|notes| notes.attempts.iter().map(Into::into).collect()).unwrap_or_default(),
        unsettled: unsettled(stock, push, notes, now),
    }
}

/// As far as is known what people set in the shop.
fn goal(state: &StockPush) -> Option<Quantity> {
    state.goal().or_else(|| Some(state.target?.goal(Quantity::ZERO)))
}

/// What stands between the level and what the shop shows, in words.
fn unsettled(
    stock: &StockRow,
    push: Option<&PushRow>,
    notes: Option<&PushNotes>,
    now: Timestamp,
) -> Vec<String> {
    let mut reasons = Vec::new();
    match stock.settle {
        None => reasons.push("what the shop shows has not been compared yet".to_owned()),
        Some(settle) if settle.shown.is_none() => {
            reasons.push("the shop keeps no quantity there: turn on `Manage stock` for it".to_owned());
        }
        Some(settle) if !settle.quiet => {
            reasons.push("orders moved while it was last compared; it will be compared again".to_owned());
        }
        Some(_) => {}
    }
    let Some(row) = push else {
        reasons.push("its level has not been taken over for pushing yet".to_owned());
        return reasons;
    };
    let target = row.push.target;
    if target.is_none_or(|target| (target.epoch, target.revision) < (stock.epoch, stock.revision)) {
        reasons.push("a newer level is on its way to the pushing side".to_owned());
    }
    if let Some(cause) = &row.blocked {
        reasons.push(format!("nothing can be pushed to it: {cause}"));
    }
    if let Some(intent) = row.push.intent {
        let (delta, since) = (signed(intent.delta), text_of(intent.started_at));
        reasons.push(format!("a change of {delta} is being pushed since {since}"));
    }
    if let Some(adopting) = row.push.adopting() {
        let change = signed(adopting.difference);
        reasons.push(format!("an edit of {change} in the shop waits for the ledger to take it over"));
    }
    if let Some(wish) = notes.and_then(|notes| notes.wish.as_ref()) {
        reasons.push(format!("it is to be compared with the shop ({})", wish.why));
    }
    if let Some(until) = notes.and_then(|notes| notes.held_until).filter(|until| *until > now) {
        reasons.push(format!("the shop refused the last push; it is tried again after {}", text_of(until)));
    }
    match row.push.next(now) {
        Next::Nothing => {}
        Next::Push(delta) => reasons.push(format!("a change of {} is due to be pushed", signed(delta))),
        Next::Settle => reasons.push("nothing is pushed before it was compared with proof".to_owned()),
        Next::Wait(_) if row.push.intent.is_some() => {}
        Next::Wait(until) => reasons.push(format!(
            "a push was not answered; it is read back after {}, and nothing is pushed until then",
            text_of(until)
        )),
        Next::ReadBack => reasons.push("a push was not answered; it is to be read back".to_owned()),
    }
    reasons
}

const fn opening_word(opening: StockOpening) -> Option<&'static str> {
    match opening {
        StockOpening::None => None,
        StockOpening::Awaited => Some("awaited"),
        StockOpening::Opened => Some("opened"),
        StockOpening::LeftAlone => Some("left_alone"),
    }
}

fn signed(delta: Quantity) -> String {
    if delta.is_positive() { format!("+{delta}") } else { delta.to_string() }
}
