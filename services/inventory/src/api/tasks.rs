//! Long jobs of a shop's reader: asked for here, done by ingress, followed here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use process::clock;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Store, TaskKind};
use utoipa::ToSchema;
use values::ShopId;

use super::Shared;
use super::extract::Path;
use super::names::{self, Shops};
use super::problem::Problem;
use super::wire::Time;
use crate::error::patiently;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Job {
    /// Tries the connection.
    Test,
    /// Reads everything again that may have been missed.
    Sync,
    /// Reads the whole catalogue.
    Catalogue,
    /// Reads every open order.
    Audit,
    /// Switches stock management on for products that have stock in the ledger; they start with nothing.
    ManageStock,
}

impl From<Job> for TaskKind {
    fn from(job: Job) -> Self {
        match job {
            Job::Test => Self::Test,
            Job::Sync => Self::Sync,
            Job::Catalogue => Self::Catalogue,
            Job::Audit => Self::Audit,
            Job::ManageStock => Self::ManageStock,
        }
    }
}

/// A job that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Started {
    /// Its task.
    #[schema(example = 1)]
    task: i64,
}

/// How far a job has come.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Task {
    /// Its number.
    #[schema(example = 1)]
    id: i64,
    /// The shop.
    #[schema(example = "berlin")]
    shop: String,
    /// What it does: `connect`, `test`, `sync`, `catalogue`, `audit`, `manage_stock` or `unhook`.
    #[schema(example = "connect")]
    kind: &'static str,
    /// `waiting`, `running`, `done` or `failed`.
    #[schema(example = "running")]
    state: &'static str,
    /// What it is doing, in a word.
    #[schema(example = "orders")]
    phase: String,
    /// Things done in this phase.
    done: u64,
    /// How many there are, if that is known.
    total: Option<u64>,
    /// What came of it; `null` until it ends.
    #[schema(value_type = Option<Object>)]
    report: Option<Box<RawValue>>,
    /// When it was asked for.
    created_at: Time,
    /// When it was last reported on.
    updated_at: Time,
}

/// Start a job for a shop
///
/// One that waits already is not started twice: its number is the answer. `sync` of a shop that is still connecting
/// connects it, as after a change of its keys.
#[utoipa::path(post, path = "/shops/{name}/{job}", tag = "registry", operation_id = "start_job",
    params(("name" = String, Path, description = "Name of the shop"), ("job" = Job, Path, description = "What to do")),
    responses((status = 202, body = Started)))]
pub(super) async fn start(
    State(parts): State<Shared>,
    Path((name, job)): Path<(String, Job)>,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let shop = names::shop(&parts.store, &name).await?;
    let task = add(&parts.store, shop.id, job.into()).await?;
    Ok((StatusCode::ACCEPTED, Json(Started { task })))
}

/// Read a job
#[utoipa::path(get, path = "/tasks/{id}", tag = "registry", operation_id = "read_task",
    params(("id" = i64, Path, description = "Its number")), responses((status = 200, body = Task)))]
pub(super) async fn read(State(parts): State<Shared>, Path(id): Path<i64>) -> Result<Json<Task>, Problem> {
    let task = parts.store.task(id).await?;
    let task = task.ok_or_else(|| Problem::not_found(format_args!("task {id}")))?;
    let shops = Shops::load(&parts.store, [task.shop]).await?;
    let progress = task.progress;
    let report = Some(progress.report).filter(|report| !report.is_empty());
    Ok(Json(Task {
        id: task.id,
        shop: shops.name(task.shop),
        kind: task.kind.as_str(),
        state: progress.state.as_str(),
        phase: progress.phase,
        done: progress.done,
        total: progress.total,
        report: report.map(RawValue::from_string).transpose().map_err(Problem::internal)?,
        created_at: task.created_at.into(),
        updated_at: task.updated_at.into(),
    }))
}

/// Asks for a job; its number.
pub(super) async fn add(store: &Store, shop: ShopId, kind: TaskKind) -> Result<i64, Problem> {
    Ok(patiently(|| store.add_task(shop, kind, clock::now())).await?)
}
