//! What people should know of and do something about, and that they took note of it.

use axum::Json;
use axum::extract::State;
use process::clock;
use serde::{Deserialize, Serialize};
use store::{Alert, AlertFilter, Store};
use utoipa::ToSchema;
use values::{ShopId, Sku};

use super::Shared;
use super::auth::Caller;
use super::extract::{Path, Query};
use super::names::{self, Shops};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::wire::Time;
use crate::error::patiently;

/// Something people should know of, or should have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert)]
pub(super) struct AlertBody {
    /// Its number.
    #[schema(example = 1)]
    id: i64,
    /// What kind, as a stable word.
    #[schema(example = "webhooks_redirected")]
    kind: &'static str,
    /// How much it matters: `info`, `warning` or `critical`.
    #[schema(example = "warning")]
    severity: &'static str,
    /// The shop it is about; `null` if it is about none.
    #[schema(example = "berlin")]
    shop: Option<String>,
    /// What of the shop, or of all: a SKU, or the product or variation that keeps a quantity; `null` if it is about the whole.
    subject: Option<String>,
    /// The SKU it is about; `null` if it is about none.
    sku: Option<String>,
    /// What is the case and what to do, in plain words.
    what: String,
    /// When it began.
    first_seen: Time,
    /// When it was last found to be so, some minutes late at most.
    last_seen: Time,
    /// How often it began; one that returns soon is the same.
    #[schema(example = 1)]
    count: u32,
    /// When it ended; `null` while it is so.
    resolved_at: Option<Time>,
    /// When somebody took note of it.
    acknowledged_at: Option<Time>,
    /// Who did.
    acknowledged_by: Option<String>,
}

impl AlertBody {
    fn new(alert: Alert, shops: &Shops) -> Self {
        let Alert { key, acknowledged, .. } = alert;
        let (acknowledged_by, acknowledged_at) = acknowledged.unzip();
        Self {
            id: alert.id,
            kind: key.kind.as_str(),
            severity: key.kind.severity().as_str(),
            shop: key.shop.map(|shop| shops.name(shop)),
            subject: Some(key.subject).filter(|subject| !subject.is_empty()),
            sku: alert.sku.as_ref().map(Sku::to_string),
            what: alert.what,
            first_seen: alert.first_seen.into(),
            last_seen: alert.last_seen.into(),
            count: alert.count,
            resolved_at: alert.resolved_at.map(Into::into),
            acknowledged_at: acknowledged_at.map(Into::into),
            acknowledged_by,
        }
    }
}

/// Which alerts, and which page of them.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    /// Only those of this shop.
    shop: Option<String>,
    /// Also those that ended; they are kept for 90 days.
    #[serde(default)]
    all: bool,
    /// Most rows to answer with, from 1 to 1000; 100 if left out.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    limit: Option<u32>,
    /// The `next` of the page before; the first page if left out.
    after: Option<String>,
}

/// List alerts
///
/// The newest first; those that are open, unless `all` is asked for.
#[utoipa::path(get, path = "/alerts", tag = "service", operation_id = "list_alerts", params(AlertQuery),
    responses((status = 200, body = Page<AlertBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<AlertQuery>,
) -> Result<Json<Page<AlertBody>>, Problem> {
    let AlertQuery { shop, all, limit, after } = query;
    let asked = PageQuery { limit, after }.of("alerts")?;
    let before: Option<i64> = asked.after(|key| key.parse().ok())?;
    let shop = match shop {
        Some(name) => Some(names::shop(&parts.store, &name).await?.id),
        None => None,
    };
    let alerts = parts.store.alerts_page(AlertFilter { shop, ended: all }, before, asked.limit).await?;
    let shops = shops_of(&parts.store, &alerts).await?;
    Ok(Json(asked.page(alerts, |alert| alert.id.to_string(), |alert| AlertBody::new(alert, &shops))))
}

/// Acknowledge an alert
///
/// So that others know that somebody looks after it. It stays open until what it tells of is not so any more.
#[utoipa::path(post, path = "/alerts/{id}/acknowledge", tag = "service", operation_id = "acknowledge_alert",
    params(("id" = i64, Path, description = "Its number")), responses((status = 200, body = AlertBody)))]
pub(super) async fn acknowledge(
    State(parts): State<Shared>,
    caller: Caller,
    Path(id): Path<i64>,
) -> Result<Json<AlertBody>, Problem> {
    let now = clock::now();
    let alert = patiently(|| parts.store.acknowledge_alert(id, &caller.name, now)).await?;
    let alert = alert.ok_or_else(|| Problem::not_found(format_args!("alert {id}")))?;
    let shops = shops_of(&parts.store, std::slice::from_ref(&alert)).await?;
    Ok(Json(AlertBody::new(alert, &shops)))
}

/// Whether people can be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertTest {
    /// Each way that is set up; none if there is none.
    channels: Vec<ChannelTest>,
}

/// Whether people can be told by one way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChannelTest {
    /// `webhook` or `smtp`.
    #[schema(example = "webhook")]
    channel: &'static str,
    /// Why the test was not taken; `null` if it was.
    failure: Option<String>,
}

/// Test whether alerts arrive
///
/// A notice that tells of nothing is sent by each way that is set up, once.
#[utoipa::path(post, path = "/alerts/test", tag = "service", operation_id = "test_alerts",
    responses((status = 200, body = AlertTest)))]
pub(super) async fn test(State(parts): State<Shared>) -> Json<AlertTest> {
    let outcomes = parts.inventory.test_alerts().await;
    let channels = outcomes.into_iter().map(|(channel, outcome)| ChannelTest {
        channel: channel.as_str(),
        failure: outcome.err().map(|error| process::error_chain(&error)),
    });
    Json(AlertTest { channels: channels.collect() })
}

async fn shops_of(store: &Store, alerts: &[Alert]) -> Result<Shops, Problem> {
    let shops: Vec<ShopId> = alerts.iter().filter_map(|alert| alert.key.shop).collect();
    Shops::load(store, shops).await
}
