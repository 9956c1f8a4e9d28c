//! How the service is: what is not ready, and what waits.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shared;
use super::problem::Problem;
use super::wire::Time;

/// How the service is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Every part is ready.
    ready: bool,
    /// Its version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Its parts.
    checks: Vec<Part>,
    /// What waits.
    waiting: Waiting,
}

/// A part of the service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HealthCheck)]
pub(super) struct Part {
    /// Its name.
    #[schema(example = "database")]
    name: &'static str,
    /// Why it is not ready; `null` when it is.
    why_not: Option<String>,
}

/// What waits.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Waiting {
    /// Levels to be told to shops.
    levels: u64,
    /// Since when the oldest waits.
    levels_since: Option<Time>,
    /// Orders to be read again.
    rereads: u64,
    /// Order lines without SKU.
    parked: u64,
    /// Orders that hold something although their shop no longer knows them.
    orphaned: u64,
    /// Messages that were given up.
    dead: u64,
    /// SKUs to compute again after a change of a shop.
    recompute: u64,
    /// What waits for a person's consent.
    approvals: u64,
    /// Alerts that are open.
    alerts: u64,
}

/// How the service is
#[utoipa::path(get, path = "/health", tag = "service", operation_id = "health", responses((status = 200, body = Health)))]
pub(super) async fn health(State(parts): State<Shared>) -> Result<Json<Health>, Problem> {
    let report = parts.health.report();
    let waiting = parts.store.waiting().await?;
    let alerts = parts.store.alert_counts().await?.iter().map(|(_, count)| *count).sum();
    let checks = report.checks.into_iter();
    Ok(Json(Health {
        ready: report.ready,
        version: env!("CARGO_PKG_VERSION"),
        checks: checks.map(|check| Part { name: check.name, why_not: check.why_not }).collect(),
        waiting: Waiting {
            levels: waiting.outbox_count,
            levels_since: waiting.outbox_oldest.map(Into::into),
            rereads: waiting.reread_count,
            parked: waiting.parked_count,
            orphaned: waiting.orphaned_count,
            dead: waiting.dead_count,
            recompute: waiting.recompute_count,
            approvals: waiting.approval_count,
            alerts,
        },
    }))
}
