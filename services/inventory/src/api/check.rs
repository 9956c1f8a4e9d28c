//! The ledger checked against itself.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checked {
    /// Nothing is broken.
    sound: bool,
    /// What is broken, at most 1000.
    broken: Vec<BrokenRow>,
}

/// A row that contradicts the others.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BrokenRow {
    /// What it is, in words.
    #[schema(
        example = "balance of TEE in warehouse 1 is 3 on hand, 0 reserved; its movements come to 2 and 0"
    )]
    what: String,
}

/// Check the ledger against itself
///
/// Every balance is the sum of its movements, every reservation that of its orders, every level what the balances come
/// to. Reads everything.
#[utoipa::path(get, path = "/check", tag = "service", operation_id = "check", responses((status = 200, body = Checked)))]
pub(super) async fn check(State(parts): State<Shared>) -> Result<Json<Checked>, Problem> {
    let broken = parts.store.check().await?;
    let broken: Vec<BrokenRow> = broken.iter().map(|row| BrokenRow { what: row.to_string() }).collect();
    Ok(Json(Checked { sound: broken.is_empty(), broken }))
}
