//! Messages that were given up: looked at, applied again or thrown away.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::DeadMessage;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Shared;
use super::extract::{Path, Query};
use super::names::Shops;
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::wire::Time;
use crate::DeadOutcome;

/// A message that was given up. While a shop has one that may be about its orders, no comparison with its stocks is trusted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dead {
    /// Its number.
    #[schema(example = 1)]
    id: i64,
    /// The shop, if that much is known.
    shop: Option<String>,
    /// Its type.
    #[schema(example = "order.observed.v1")]
    kind: String,
    /// The queue it was given up in: the first word is the service that it was for.
    #[schema(example = "inventory.orders.v1.8.3")]
    queue: Option<String>,
    /// Whether stocks of the shop are not trusted while it is here: it may be about an order.
    leaves_incomplete: bool,
    /// Id of the trace it belongs to.
    #[schema(example = "0af7651916cd43dd8448eb211c80319c")]
    trace: Option<String>,
    /// When it was given up.
    at: Time,
    /// Why, as a code.
    #[schema(example = "unreadable")]
    reason: String,
    /// How often it was tried.
    attempts: u32,
    /// Its length, in bytes.
    bytes: usize,
}

/// What to do with it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DeadAction)]
pub(super) enum Action {
    /// Apply it again, or hand it to the service once more that gave it up.
    Replay,
    /// Throw it away; what a fact was about is read again.
    Discard,
}

/// List messages that were given up
#[utoipa::path(get, path = "/dead", tag = "orders", operation_id = "list_dead", params(PageQuery),
    responses((status = 200, body = Page<Dead>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Dead>>, Problem> {
    let asked = query.of("dead")?;
    let after: Option<i64> = asked.after(|key| key.parse().ok())?;
    let rows = parts.store.dead_messages(after.unwrap_or(0), asked.limit).await?;
    let shops = Shops::load(&parts.store, rows.iter().filter_map(|row| row.message.shop)).await?;
    let item = |row: DeadMessage| Dead {
        id: row.id,
        shop: row.message.shop.map(|shop| shops.name(shop)),
        kind: row.message.kind,
        queue: row.message.queue,
        leaves_incomplete: row.message.leaves_incomplete,
        trace: row.message.trace.map(|trace| Uuid::from_bytes(trace).simple().to_string()),
        at: row.message.at.into(),
        reason: row.message.reason,
        attempts: row.message.attempts,
        bytes: row.message.payload.len(),
    };
    Ok(Json(asked.page(rows, |row| row.id.to_string(), item)))
}

/// Replay or discard a message that was given up
#[utoipa::path(post, path = "/dead/{id}/{action}", tag = "orders", operation_id = "act_on_dead",
    params(("id" = i64, Path, description = "Its number"), ("action" = Action, Path, description = "What to do")),
    responses((status = 204)))]
pub(super) async fn act(
    State(parts): State<Shared>,
    Path((id, action)): Path<(i64, Action)>,
) -> Result<StatusCode, Problem> {
    let outcome = match action {
        Action::Replay => parts.inventory.replay_dead(id).await?,
        Action::Discard => parts.inventory.discard_dead(id).await?,
    };
    match outcome {
        DeadOutcome::Done => Ok(StatusCode::NO_CONTENT),
        DeadOutcome::Unknown => Err(Problem::not_found(format_args!("message {id}"))),
        DeadOutcome::Still { reason } => Err(Problem::new(
            Kind::NotNow,
            format!("that did not work ({reason}); the message stays, and repeating is safe"),
        )),
    }
}
