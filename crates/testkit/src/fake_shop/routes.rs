//! The routes of the REST interface, their names for counts and faults, and who is turned away how.

use super::json::{Json, object};
use super::reply::Reply;
use super::server::Call;

/// A route with its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Index,
    Namespace,
    SystemStatus,
    Orders,
    OrderCreate,
    Order(i64),
    OrderUpdate(i64),
    OrderDelete(i64),
    Refunds,
    RefundsOf(i64),
    RefundCreate(i64),
    Refund(i64, i64),
    RefundDelete(i64, i64),
    Notes(i64),
    NoteCreate(i64),
    Products,
    ProductCreate,
    ProductBatch,
    Product(i64),
    ProductUpdate(i64),
    ProductDelete(i64),
    AllVariations,
    Variations(i64),
    VariationCreate(i64),
    VariationBatch(i64),
    Variation(i64, i64),
    VariationUpdate(i64, i64),
    VariationDelete(i64, i64),
    Webhooks,
    WebhookCreate,
    Webhook(i64),
    WebhookUpdate(i64),
    WebhookDelete(i64),
}

impl Route {
    /// HEAD reads; PUT, PATCH and POST to one thing are the same.
    pub(super) fn parse(method: &str, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (reads, updates) = (matches!(method, "GET" | "HEAD"), matches!(method, "PUT" | "PATCH" | "POST"));
        let (creates, deletes) = (method == "POST", method == "DELETE");
        let rest = match segments.as_slice() {
            ["wp-json"] => return reads.then_some(Self::Index),
            ["wp-json", "wc", "v3" | "v2"] => return reads.then_some(Self::Namespace),
            ["wp-json", "wc", "v3" | "v2", rest @ ..] => rest,
            _ => return None,
        };
        let number = |text: &str| text.parse::<i64>().ok();
        let found = match *rest {
            ["system_status"] if reads => Self::SystemStatus,
            ["orders"] if reads => Self::Orders,
            ["orders"] if creates => Self::OrderCreate,
            ["orders", id] if reads => Self::Order(number(id)?),
            ["orders", id] if updates => Self::OrderUpdate(number(id)?),
            ["orders", id] if deletes => Self::OrderDelete(number(id)?),
            ["refunds"] if reads => Self::Refunds,
            ["orders", id, "refunds"] if reads => Self::RefundsOf(number(id)?),
            ["orders", id, "refunds"] if creates => Self::RefundCreate(number(id)?),
            ["orders", id, "refunds", refund] if reads => Self::Refund(number(id)?, number(refund)?),
            ["orders", id, "refunds", refund] if deletes => Self::RefundDelete(number(id)?, number(refund)?),
            ["orders", id, "notes"] if reads => Self::Notes(number(id)?),
            ["orders", id, "notes"] if creates => Self::NoteCreate(number(id)?),
            ["products"] if reads => Self::Products,
            ["products"] if creates => Self::ProductCreate,
            ["products", "batch"] if updates => Self::ProductBatch,
            ["products", id] if reads => Self::Product(number(id)?),
            ["products", id] if updates => Self::ProductUpdate(number(id)?),
            ["products", id] if deletes => Self::ProductDelete(number(id)?),
            ["variations"] if reads => Self::AllVariations,
            ["products", id, "variations"] if reads => Self::Variations(number(id)?),
            ["products", id, "variations"] if creates => Self::VariationCreate(number(id)?),
            ["products", id, "variations", "batch"] if updates => Self::VariationBatch(number(id)?),
            ["products", id, "variations", one] if reads => Self::Variation(number(id)?, number(one)?),
            ["products", id, "variations", one] if updates => {
                Self::VariationUpdate(number(id)?, number(one)?)
            }
            ["products", id, "variations", one] if deletes => {
                Self::VariationDelete(number(id)?, number(one)?)
            }
            ["webhooks"] if reads => Self::Webhooks,
            ["webhooks"] if creates => Self::WebhookCreate,
            ["webhooks", id] if reads => Self::Webhook(number(id)?),
            ["webhooks", id] if updates => Self::WebhookUpdate(number(id)?),
            ["webhooks", id] if deletes => Self::WebhookDelete(number(id)?),
            _ => return None,
        };
        Some(found)
    }

    /// Method and route, numbers left out.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Index => "GET /",
            Self::Namespace => "GET wc/v3",
            Self::SystemStatus => "GET system_status",
            Self::Orders => "GET orders",
            Self::OrderCreate => "POST orders",
            Self::Order(_) => "GET orders/{id}",
            Self::OrderUpdate(_) => "PUT orders/{id}",
            Self::OrderDelete(_) => "DELETE orders/{id}",
            Self::Refunds => "GET refunds",
            Self::RefundsOf(_) => "GET orders/{id}/refunds",
            Self::RefundCreate(_) => "POST orders/{id}/refunds",
            Self::Refund(..) => "GET orders/{id}/refunds/{id}",
            Self::RefundDelete(..) => "DELETE orders/{id}/refunds/{id}",
            Self::Notes(_) => "GET orders/{id}/notes",
            Self::NoteCreate(_) => "POST orders/{id}/notes",
            Self::Products => "GET products",
            Self::ProductCreate => "POST products",
            Self::ProductBatch => "POST products/batch",
            Self::Product(_) => "GET products/{id}",
            Self::ProductUpdate(_) => "PUT products/{id}",
            Self::ProductDelete(_) => "DELETE products/{id}",
            Self::AllVariations => "GET variations",
            Self::Variations(_) => "GET products/{id}/variations",
            Self::VariationCreate(_) => "POST products/{id}/variations",
            Self::VariationBatch(_) => "POST products/{id}/variations/batch",
            Self::Variation(..) => "GET products/{id}/variations/{id}",
            Self::VariationUpdate(..) => "PUT products/{id}/variations/{id}",
            Self::VariationDelete(..) => "DELETE products/{id}/variations/{id}",
            Self::Webhooks => "GET webhooks",
            Self::WebhookCreate => "POST webhooks",
            Self::Webhook(_) => "GET webhooks/{id}",
            Self::WebhookUpdate(_) => "PUT webhooks/{id}",
            Self::WebhookDelete(_) => "DELETE webhooks/{id}",
        }
    }

    /// Answered to anybody.
    pub(super) const fn is_public(&self) -> bool {
        matches!(self, Self::Index | Self::Namespace)
    }

    /// What nobody in particular is told: an unknown key, no key, and Basic over plain http look the same.
    pub(super) fn unauthorized(&self) -> Reply {
        let name = self.name();
        let (code, message) = if name.ends_with("batch") {
            ("woocommerce_rest_cannot_batch", "Sorry, you are not allowed to batch manipulate this resource.")
        } else if name.starts_with("GET") && name.ends_with("{id}") {
            ("woocommerce_rest_cannot_view", "Sorry, you cannot view this resource.")
        } else if name.starts_with("GET") {
            ("woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
        } else if name.starts_with("POST") {
            ("woocommerce_rest_cannot_create", "Sorry, you are not allowed to create resources.")
        } else if name.starts_with("PUT") {
            ("woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource.")
        } else {
            ("woocommerce_rest_cannot_delete", "Sorry, you are not allowed to delete this resource.")
        };
        Reply::error(code, message, 401)
    }
}

/// The index of the site, of the namespace, and the system status: what a first look at a shop asks for.
pub(super) fn about(call: &Call) -> Reply {
    let renderer = &call.inner.renderer;
    let home = renderer.home.as_str();
    match call.route {
        Route::Index => Reply::ok(object! {
            "name": "Fake shop",
            "description": "",
            "url": home,
            "home": home,
            "gmt_offset": renderer.utc_offset_seconds / 3_600,
            "timezone_string": "Europe/Warsaw",
            "namespaces": Json::raw(r#"["oembed\/1.0","wc\/v3","wc\/v2","wp\/v2"]"#),
            "authentication": Json::raw("[]"),
            "routes": Json::raw("{}"),
        }),
        Route::Namespace => Reply::ok(object! { "namespace": "wc/v3", "routes": Json::raw("{}") }),
        _ => Reply::ok(object! {
            "environment": object! {
                "home_url": home,
                "site_url": home,
                "version": "10.5.0",
                "wp_version": "6.9.1",
                "wp_multisite": false,
                "php_version": "8.2.36",
            },
            "settings": object! { "api_enabled": false, "currency": "PLN", "HPOS_enabled": true },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_and_not_found() {
        for (method, path, name) in [
            ("HEAD", "/wp-json/wc/v3/orders", Some("GET orders")),
            ("PATCH", "/wp-json/wc/v3/products/39", Some("PUT products/{id}")),
            ("POST", "/wp-json/wc/v3/products/39", Some("PUT products/{id}")),
            ("PATCH", "/wp-json/wc/v3/products", None),
            ("GET", "/wp-json/wc/v3/nothing", None),
            ("GET", "/wp-json/wc/v3/orders/x", None),
        ] {
            assert_eq!(Route::parse(method, path).as_ref().map(Route::name), name, "{method} {path}");
        }
    }
}
