//! The OpenAPI document: complete, in keeping with the routes, and the one that is published.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Method and path of every route.
const ROUTES: &str = "
    get /alerts
    post /alerts/test
    post /alerts/{id}/acknowledge
    get /approvals
    post /approvals/{id}/{decision}
    get /check
    get /dead
    post /dead/{id}/{action}
    get /drifts
    post /drifts/decide
    get /explain/{sku}
    get /export/movements
    get /export/orders
    get /grants/{id}
    get /health
    post /imports
    get /movements
    post /operations
    get /orders/{shop}/{id}
    post /orders/{shop}/{id}/release
    post /orders/{shop}/{id}/shipments
    post /orders/{shop}/{id}/shipments/{number}/retry
    get /orphans
    get /parked
    post /parked/map
    get /reconciliations/{id}
    get /reconciliations/{id}/stocks
    get /shipments/untold
    get /shops
    post /shops
    delete /shops/{name}
    get /shops/{name}
    patch /shops/{name}
    get /shops/{name}/counts
    get /shops/{name}/doctor
    get /shops/{name}/mappings
    post /shops/{name}/mappings
    get /shops/{name}/mappings/export
    post /shops/{name}/mappings/import
    post /shops/{name}/reconcile
    get /shops/{name}/reconciliations
    post /shops/{name}/republish
    get /shops/{name}/unmapped
    post /shops/{name}/{job}
    get /stock
    get /stock/export
    get /tasks/{id}
    get /tokens
    post /tokens
    delete /tokens/{id}
    get /warehouses
    post /warehouses
";

fn document() -> Value {
    serde_json::from_str(&inventory::api::openapi()).unwrap()
}

#[test]
fn every_route_is_described() {
    let document = document();
    assert_eq!(*document.get("openapi").unwrap(), "3.1.0");
    let paths = document.get("paths").unwrap().as_object().unwrap();
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let path = path.strip_prefix(inventory::api::PREFIX).unwrap();
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    let expected: BTreeSet<String> =
        ROUTES.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    assert_eq!(described, expected);
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_says_what_it_needs() {
    let document = document();
    each(&document, &mut |node| {
        if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
    });
    for (path, item) in document.get("paths").unwrap().as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            for field in ["summary", "description", "operationId", "tags", "security"] {
                assert!(operation.get(field).is_some(), "{what} has no {field}");
            }
            let responses = operation.get("responses").unwrap().as_object().unwrap();
            assert!(responses.contains_key("default") && responses.len() >= 2, "{what}");
            let described =
                |response: &Value| !response.get("description").unwrap().as_str().unwrap().is_empty();
            assert!(responses.values().all(described), "{what}");
        }
    }
}

/// Two types of one name would be taken for one.
#[test]
fn words_are_those_of_their_own_type() {
    let document = document();
    let words = |schema: &str| {
        let schema = document.pointer(&format!("/components/schemas/{schema}")).unwrap();
        let words = schema.pointer("/enum").or_else(|| schema.pointer("/oneOf")).unwrap();
        words.as_array().unwrap().len()
    };
    assert_eq!((words("WarehouseKind"), words("OperationKind"), words("Scope")), (2, 4, 3));
    assert_eq!((words("ImportMode"), words("Job"), words("StatusRule")), (3, 5, 6));
    assert_eq!((words("DoctorKind"), words("DoctorSeverity"), words("MappingMatched")), (13, 3, 7));
}

/// An example that its own schema refuses helps nobody.
#[test]
fn examples_fit_their_types() {
    let document = document();
    let mut examples = 0;
    each(&document, &mut |node| {
        let kind = node.get("type").or_else(|| node.pointer("/schema/type"));
        let (Some(kind), Some(example)) = (kind, node.get("example")) else { return };
        examples += 1;
        let kinds: Vec<&str> = match kind {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let fits = |kind: &&str| match *kind {
            "string" => example.is_string(),
            "integer" => example.is_i64(),
            "array" => example.is_array(),
            "object" => example.is_object(),
            "boolean" => example.is_boolean(),
            _ => false,
        };
        assert!(kinds.iter().any(fits), "{example} is no {kinds:?}");
    });
    assert!(examples >= 40, "{examples}");
}

#[test]
fn the_published_document_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let published = std::fs::read_to_string(path).unwrap();
    assert!(
        published.trim_end() == inventory::api::openapi(),
        "run `cargo run -p onhand-inventory --example openapi > services/inventory/openapi.json`"
    );
}

fn each(node: &Value, look: &mut impl FnMut(&Value)) {
    look(node);
    match node {
        Value::Array(items) => items.iter().for_each(|item| each(item, look)),
        Value::Object(fields) => fields.values().for_each(|item| each(item, look)),
        _ => {}
    }
}
