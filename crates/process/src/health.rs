//! The pages by which others see how a process is: `/healthz`, `/readyz` and `/metrics`.
//!
//! Liveness says only that the process answers; restarting it would not bring a broker back. Readiness is the sum
//! of named checks, which the parts of the process report themselves.

mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use tokio::time::Instant;

use crate::metrics::Metrics;

pub use watch::{LOOK_PERIOD, LOOK_TIME_MAX, Pulse};

/// Why a check is not ready before its part has said anything.
const NOT_YET: &str = "has not reported yet";

/// The state of all checks. Clones are the same state.
#[derive(Debug, Clone, Default)]
pub struct Health {
    inner: Arc<Mutex<Inner>>,
}

/// One part's own check; it starts as not ready.
#[derive(Debug, Clone)]
pub struct Check {
    health: Health,
    name: &'static str,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub ready: bool,
    pub checks: Vec<CheckReport>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    pub name: &'static str,
    /// Why it is not ready; absent when it is.
    pub why_not: Option<String>,
}

#[derive(Debug, Default)]
struct Inner {
    stopping: bool,
    checks: BTreeMap<&'static str, Standing>,
}

#[derive(Debug)]
enum Standing {
    Ready,
    ReadyUntil(Instant),
    NotReady(String),
}

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// The check called `name`, made if there is none.
    pub fn check(&self, name: &'static str) -> Check {
        self.lock().checks.entry(name).or_insert_with(|| Standing::NotReady(NOT_YET.to_owned()));
        Check { health: self.clone(), name }
    }

    /// From now on the process is not ready, whatever the checks say.
    pub fn stopping(&self) {
        self.lock().stopping = true;
    }

    pub fn report(&self) -> Report {
        let inner = self.lock();
        let now = Instant::now();
        let mut checks: Vec<CheckReport> = inner
            .checks
            .iter()
            .map(|(name, standing)| CheckReport { name, why_not: standing.why_not(now) })
            .collect();
        if inner.stopping {
            checks.push(CheckReport { name: "process", why_not: Some("is stopping".to_owned()) });
        }
        Report { ready: checks.iter().all(|check| check.why_not.is_none()), checks }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, name: &'static str, standing: Standing) {
        self.lock().checks.insert(name, standing);
    }
}

impl Check {
    /// Ready until said otherwise.
    pub fn ready(&self) {
        self.health.set(self.name, Standing::Ready);
    }

    /// Ready for this long; a part that is stuck and does not renew it makes the process not ready.
    pub fn ready_for(&self, period: Duration) {
        self.health.set(self.name, Standing::ReadyUntil(Instant::now() + period));
    }

    /// `why` completes the sentence that the check's name begins. It is public: no secrets, no personal data.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.health.set(self.name, Standing::NotReady(why.into()));
    }
}

impl Standing {
    fn why_not(&self, now: Instant) -> Option<String> {
        match self {
            Self::Ready => None,
            Self::ReadyUntil(until) if now < *until => None,
            Self::ReadyUntil(until) => Some(format!("is silent, overdue by {} s", (now - *until).as_secs())),
            Self::NotReady(why) => Some(why.clone()),
        }
    }
}

/// `/healthz`, `/readyz` and `/metrics`.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(health))
        .route("/metrics", get(metrics_page).with_state(metrics))
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report();
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks: Vec<_> = report
        .checks
        .iter()
        .map(|check| match &check.why_not {
            None => json!({ "name": check.name, "ready": true }),
            Some(why) => json!({ "name": check.name, "ready": false, "why": why }),
        })
        .collect();
    (status, Json(json!({ "ready": report.ready, "checks": checks })))
}

async fn metrics_page(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render())
}

#[cfg(test)]
mod tests;
