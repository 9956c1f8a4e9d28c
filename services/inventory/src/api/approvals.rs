//! What is too large to be done unasked: a person says yes or no.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process::clock;
use serde::{Deserialize, Serialize};
use store::{Approval, Decided};
use utoipa::ToSchema;

use super::Shared;
use super::auth::Caller;
use super::extract::{Path, Query};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::wire::Time;

/// Something that waits for a person's consent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(super) struct ApprovalBody {
    /// Its number.
    #[schema(example = 1)]
    id: i64,
    /// What kind, as a code.
    #[schema(example = "mirror_zeroes")]
    kind: String,
    /// What would be done.
    summary: String,
    /// Since when it waits.
    at: Time,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalDecision)]
pub(super) enum Decision {
    /// Do it.
    Approve,
    /// Do not.
    Refuse,
}

impl From<Approval> for ApprovalBody {
    fn from(approval: Approval) -> Self {
        Self { id: approval.id, kind: approval.kind, summary: approval.summary, at: approval.at.into() }
    }
}

/// List what waits for consent
///
/// The oldest first, at most a page.
#[utoipa::path(get, path = "/approvals", tag = "orders", operation_id = "list_approvals", params(PageQuery),
    responses((status = 200, body = Page<ApprovalBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<ApprovalBody>>, Problem> {
    let asked = query.of("approvals")?;
    let after: Option<i64> = asked.after(|key| key.parse().ok())?;
    let mut waiting = parts.store.approvals_waiting(store::PAGE_ROWS_MAX).await?;
    waiting.retain(|approval| after.is_none_or(|after| approval.id > after));
    waiting.truncate(asked.rows());
    Ok(Json(asked.page(waiting, |approval| approval.id.to_string(), ApprovalBody::from)))
}

/// Approve or refuse
#[utoipa::path(post, path = "/approvals/{id}/{decision}", tag = "orders", operation_id = "decide",
    params(("id" = i64, Path, description = "Its number"), ("decision" = Decision, Path, description = "Yes or no")),
    responses((status = 204)))]
pub(super) async fn decide(
    State(parts): State<Shared>,
    caller: Caller,
    Path((id, decision)): Path<(i64, Decision)>,
) -> Result<StatusCode, Problem> {
    let approved = matches!(decision, Decision::Approve);
    let decided = Decided { actor: caller.name.to_string(), approved, at: clock::now() };
    let mut tx = parts.store.begin_inventory().await?;
    if tx.decide_approval(id, &decided).await?.is_none() {
        return Err(Problem::not_found(format_args!("approval {id} that waits")));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
