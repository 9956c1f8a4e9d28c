//! The OpenAPI document: what the routes say of themselves, with what is true of all of them added.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::approvals::Decision;
use super::dead::Action;
use super::imports::Mode;
use super::problem::{ProblemBody, Reason};
use super::tasks::Job;
use super::{PREFIX, SCOPES};

const ABOUT: &str = "Stock in agreement between shops, ERPs and warehouses. Quantities are decimal text such as \"12\" or \
    \"0.5\", times RFC 3339. Requests with unknown fields are refused. Lists have `items` and `next`; ask for what follows \
    with `after`. Every error is `application/problem+json`, and says where repeating the request is of no use or unsafe.";

#[derive(OpenApi)]
#[openapi(info(title = "onhand", description = ABOUT), components(schemas(ProblemBody, Reason, Decision, Action, Mode, Job)), tags(
    (name = "stock", description = "What there is, moving it, and why a number is what it is."),
    (name = "registry", description = "Shops and warehouses."),
    (name = "reconciliation", description = "Comparing whole shops with the ledger."),
    (name = "orders", description = "Orders, and what could not be applied and waits for somebody."),
    (name = "tokens", description = "Who may use the API."),
    (name = "service", description = "How the service is."),
))]
struct Document;

/// The document as JSON.
pub(super) fn text() -> String {
    let mut router = OpenApiRouter::with_openapi(Document::openapi());
    for (scope, routes) in SCOPES {
        let mut routes = routes();
        for item in routes.get_openapi_mut().paths.paths.values_mut() {
            for operation in operations(item) {
                complete(operation, scope.as_str());
            }
        }
        let nested = OpenApiRouter::default().nest(PREFIX, routes);
        router = router.merge(nested);
    }
    let mut document = router.to_openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token of scope `read`, `operate` or `admin`; each scope holds those before it."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    document.to_pretty_json().expect("a document of plain strings is JSON")
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Adds the scope it needs and what any error looks like.
fn complete(operation: &mut Operation, scope: &str) {
    let about = operation.description.take().filter(|about| !about.is_empty());
    let needs = format!("Needs a token of scope `{scope}`.");
    operation.description = Some(about.map_or_else(|| needs.clone(), |about| format!("{about}\n\n{needs}")));
    operation.security = Some(vec![SecurityRequirement::new("token", [scope])]);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("Refused or failed")
        .content("application/problem+json", content)
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
    for (status, response) in &mut operation.responses.responses {
        if let utoipa::openapi::RefOr::T(response) = response
            && response.description.is_empty()
        {
            word(status).clone_into(&mut response.description);
        }
    }
}

fn word(status: &str) -> &'static str {
    match status {
        "200" => "The answer",
        "201" => "Created",
        "202" => "Started",
        "204" => "Done",
        _ => "An answer",
    }
}
