//! What the fake shop answers, and WooCommerce's errors word for word.

use super::json::{Json, object};
use crate::shop::Refusal;

/// An answer before it is put on the wire.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Json,
}

impl Reply {
    pub(super) fn ok(body: Json) -> Self {
        Self { status: 200, headers: Vec::new(), body }
    }

    pub(super) fn created(body: Json) -> Self {
        Self { status: 201, ..Self::ok(body) }
    }

    /// `{"code","message","data":{"status"}}`
    pub(super) fn error(code: &'static str, message: &str, status: u16) -> Self {
        Self { status, ..Self::ok(error_body(code, message, status)) }
    }

    /// Refused before a handler sees it: a parameter of the query or the body has the wrong form.
    pub(super) fn invalid_param(param: &'static str, detail: &str, code: &str, data: Json) -> Self {
        let body = object! {
            "code": "rest_invalid_param",
            "message": format!("Invalid parameter(s): {param}"),
            "data": object! {
                "status": 400_i64,
                "params": Json::Object(vec![(param, detail.into())]),
                "details": Json::Object(vec![(param, object! { "code": code, "message": detail, "data": data })]),
            },
        };
        Self { status: 400, ..Self::ok(body) }
    }

    /// As [`Reply::invalid_param`], of the wrong type.
    pub(super) fn wrong_type(param: &'static str, wanted: &str) -> Self {
        let detail = format!("{param} is not of type {wanted}.");
        Self::invalid_param(param, &detail, "rest_invalid_type", object! { "param": param })
    }

    pub(super) fn no_route() -> Self {
        Self::error("rest_no_route", "No route was found matching the URL and request method.", 404)
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

pub(super) fn error_body(code: &'static str, message: &str, status: u16) -> Json {
    object! { "code": code, "message": message, "data": object! { "status": status } }
}

/// The kinds of things whose refusals read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Order,
    Product,
    Variation,
}

/// A model's refusal as WooCommerce words it.
pub(super) fn refused(refusal: &Refusal, resource: Resource) -> Reply {
    match refusal {
        Refusal::UnknownOrder(_) => {
            Reply::error("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 400)
        }
        Refusal::UnknownLine(..) => Reply::error(
            "woocommerce_rest_invalid_item_id",
            "Order item ID provided is not associated with order.",
            400,
        ),
        Refusal::UnknownRefund(..) => {
            Reply::error("woocommerce_rest_shop_order_refund_invalid_id", "Invalid ID.", 404)
        }
        Refusal::UnknownProduct(_) if resource == Resource::Order => {
            Reply::error("order_item_product_invalid_product_id", "Invalid product ID", 400)
        }
        Refusal::UnknownProduct(_) if resource == Resource::Variation => {
            Reply::error("woocommerce_rest_product_variation_invalid_id", "Invalid ID.", 404)
        }
        Refusal::UnknownProduct(_) => Reply::error("woocommerce_rest_product_invalid_id", "Invalid ID.", 400),
        Refusal::WrongStatus(..) => {
            Reply::error("woocommerce_rest_already_trashed", "The order has already been deleted.", 410)
        }
        Refusal::DuplicateSku { sku, owner: _, trashed: true } => Reply::error(
            "woocommerce_rest_product_not_created",
            &format!(
                "The product with SKU ({sku}) you are trying to insert is already present in the lookup table"
            ),
            400,
        ),
        Refusal::DuplicateSku { sku, owner, trashed: false } => {
            let body = object! {
                "code": "product_invalid_sku",
                "message": "Invalid or duplicated SKU.",
                "data": object! {
                    "status": 400_i64,
                    "resource_id": owner.get(),
                    "unique_sku": format!("{sku}-1"),
                },
            };
            Reply { status: 400, ..Reply::ok(body) }
        }
        Refusal::InvalidRefundAmount(..) => {
            Reply::error("woocommerce_rest_cannot_create_order_refund", "Invalid refund amount.", 500)
        }
        Refusal::NotEnoughStock(_) => {
            Reply::error("woocommerce_product_not_enough_stock", "There is not enough stock.", 403)
        }
        Refusal::WrongParent(..) => {
            Reply::error("woocommerce_rest_product_variation_invalid_id", "Invalid ID.", 404)
        }
    }
}

/// A model's result with WooCommerce's words for its refusal.
pub(super) trait Refused<T> {
    fn refused(self, resource: Resource) -> Result<T, Reply>;
}

impl<T> Refused<T> for Result<T, Refusal> {
    fn refused(self, resource: Resource) -> Result<T, Reply> {
        self.map_err(|refusal| refused(&refusal, resource))
    }
}
