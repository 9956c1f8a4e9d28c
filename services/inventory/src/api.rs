//! The REST API `/api/v1`: registry, stock, operations, imports, explanations.
//!
//! Every route but the OpenAPI document needs a bearer token of a scope (`read` < `operate` < `admin`). Bodies and queries
//! with unknown fields are refused. Every error is `application/problem+json`. Quantities are decimal text, times RFC 3339.
//! What moves stock carries an `Idempotency-Key`: the same key with the same content is done once and answered alike.

mod alerts;
mod approvals;
mod auth;
mod check;
mod dead;
mod document;
mod drifts;
mod explain;
mod export;
mod extract;
mod health;
mod imports;
mod keys;
mod ledgers;
mod mappings;
mod movements;
mod names;
mod observe;
mod operations;
mod orders;
mod page;
mod parked;
mod problem;
mod reconcile;
mod shipments;
mod shops;
mod stock;
mod tasks;
mod tokens;
mod warehouses;
mod wire;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, middleware, routing};
use process::health::Health;
use process::metrics::{Description, Metrics};
use store::{Scope, Store};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Inventory;
use problem::{Kind, Problem};

/// Where the API is.
pub const PREFIX: &str = "/api/v1";
/// Largest body of a request, in bytes; imports have their own bound. 1,000 operations with long texts fit.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The metrics of the API.
pub const METRICS: &[Description] = observe::METRICS;

/// What the API works with.
#[derive(Debug)]
pub struct Parts {
    /// What it reads and changes.
    pub inventory: Inventory,
    /// The checks that `/health` tells of.
    pub health: Health,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// Where shops reach the webhooks, as in `https://hub.example`; without it only the paths of their addresses are told.
    pub public_url: Option<String>,
    /// Whether onhand itself makes webhooks for that address in the shops.
    pub makes_webhooks: bool,
}

/// What the routes share.
#[derive(Debug)]
struct Served {
    store: Arc<Store>,
    inventory: Inventory,
    health: Health,
    public_url: Option<String>,
    makes_webhooks: bool,
}

type Shared = Arc<Served>;

/// The API, with full paths, to be served or merged with other routes.
pub fn router(parts: Parts) -> Router {
    let Parts { inventory, health, metrics, public_url, makes_webhooks } = parts;
    let observer = observe::Observer::new(&metrics);
    let store = Arc::clone(inventory.store());
    let gate = |scope| {
        let gate = auth::Gate { store: Arc::clone(&store), scope };
        middleware::from_fn_with_state(gate, auth::admit)
    };
    let gated = SCOPES
        .into_iter()
        .fold(OpenApiRouter::default(), |all, (scope, routes)| all.merge(routes().route_layer(gate(scope))));
    let (gated, _) = gated.split_for_parts();
    let document: Arc<str> = document::text().into();
    let served = Served { store, inventory, health, public_url, makes_webhooks };
    let routes = gated
        .route(shops::grants::CALLBACK, routing::post(shops::grants::granted))
        .route(shops::grants::RETURN, routing::get(shops::grants::done))
        .route("/openapi.json", routing::get(move || std::future::ready(json_page(&document))))
        .fallback(|| std::future::ready(Problem::not_found(format!("such path under {PREFIX}"))))
        .method_not_allowed_fallback(|| std::future::ready(method_not_allowed()))
        .layer(Extension(imports::Imports::default()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(observer, observe::observe))
        .with_state(Arc::new(served));
    Router::new().nest(PREFIX, routes)
}

/// The OpenAPI 3.1 document of the API, as JSON.
pub fn openapi() -> String {
    document::text()
}

type Routes = fn() -> OpenApiRouter<Shared>;

const SCOPES: [(Scope, Routes); 3] =
    [(Scope::Read, read_routes), (Scope::Operate, operate_routes), (Scope::Admin, admin_routes)];

fn read_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(alerts::list))
        .routes(routes!(approvals::list))
        .routes(routes!(check::check))
        .routes(routes!(dead::list))
        .routes(routes!(drifts::list))
        .routes(routes!(explain::explain))
        .routes(routes!(export::export))
        .routes(routes!(health::health))
        .routes(routes!(ledgers::export_movements))
        .routes(routes!(ledgers::export_orders))
        .routes(routes!(movements::list))
        .routes(routes!(orders::read))
        .routes(routes!(orders::orphans))
        .routes(routes!(parked::list))
        .routes(routes!(shipments::untold))
        .routes(routes!(mappings::export))
        .routes(routes!(mappings::list))
        .routes(routes!(shops::doctor::examine))
        .routes(routes!(reconcile::list))
        .routes(routes!(reconcile::read))
        .routes(routes!(reconcile::stocks))
        .routes(routes!(shops::list))
        .routes(routes!(shops::counts::list))
        .routes(routes!(shops::read))
        .routes(routes!(shops::unmapped))
        .routes(routes!(stock::list))
        .routes(routes!(tasks::read))
        .routes(routes!(warehouses::list))
}

fn operate_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(alerts::test))
        .routes(routes!(approvals::decide))
        .routes(routes!(drifts::decide))
        .routes(routes!(imports::import))
        .routes(routes!(mappings::import))
        .routes(routes!(mappings::set))
        .routes(routes!(operations::operate))
        .routes(routes!(orders::release))
        .routes(routes!(parked::map))
        .routes(routes!(shipments::ship))
        .routes(routes!(shipments::retry))
        .routes(routes!(reconcile::start))
        .routes(routes!(shops::republish))
        .routes(routes!(tasks::start))
}

fn admin_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default()
        .routes(routes!(dead::act))
        .routes(routes!(shops::add))
        .routes(routes!(shops::grants::read))
        .routes(routes!(shops::change, shops::remove))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(warehouses::add))
}

fn json_page(text: &str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.to_owned()).into_response()
}

fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "the path is right, the method is not; see the header `Allow`")
}

/// A defect: the request ends, the process goes on.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over so")]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    Problem::internal(format!("serving a request panicked: {text}")).into_response()
}

/// What was created.
fn created<T: serde::Serialize>(body: T) -> Response {
    (StatusCode::CREATED, axum::Json(body)).into_response()
}
