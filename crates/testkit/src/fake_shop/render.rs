//! Orders, products and webhooks as the bodies WooCommerce 10.5 writes, for REST and for deliveries alike.

use values::{ProductId, Timestamp, VariationId};

use super::dates;
use super::json::{Json, object};
use crate::shop::{
    Backorders, Kind, LineView, Manage, OrderView, Payload, ProductView, RefundView, Status, Topic, Webhook,
};

/// Attribute of all variations.
const ATTRIBUTE_NAME: &str = "Rozmiar";
const ATTRIBUTE_SLUG: &str = "rozmiar";
/// Invented customer of all orders: personal data that must not show up anywhere else.
const BILLING: &str = r#"{"first_name":"Jan","last_name":"Kowalski","company":"","address_1":"ul. Prosta 1","address_2":"","city":"\u0141\u00f3d\u017a","state":"","postcode":"90-001","country":"PL","email":"jan@example.test","phone":"500500500"}"#;
const SHIPPING: &str = r#"{"first_name":"","last_name":"","company":"","address_1":"","address_2":"","city":"","state":"","postcode":"","country":"","phone":""}"#;

/// Parts of bodies that are the same for all products, as JSON.
const PRODUCT_TEXTS: [(&str, &str); 4] = [
    ("featured", "false"),
    ("catalog_visibility", "\"visible\""),
    ("description", "\"\""),
    ("short_description", "\"\""),
];
const PRODUCT_KIND: [(&str, &str); 11] = [
    ("purchasable", "true"),
    ("total_sales", "0"),
    ("virtual", "false"),
    ("downloadable", "false"),
    ("downloads", "[]"),
    ("download_limit", "-1"),
    ("download_expiry", "-1"),
    ("external_url", "\"\""),
    ("button_text", "\"\""),
    ("tax_status", "\"taxable\""),
    ("tax_class", "\"\""),
];
const PRODUCT_SHIPPING: [(&str, &str); 12] = [
    ("sold_individually", "false"),
    ("weight", "\"\""),
    ("dimensions", r#"{"length":"","width":"","height":""}"#),
    ("shipping_required", "true"),
    ("shipping_taxable", "true"),
    ("shipping_class", "\"\""),
    ("shipping_class_id", "0"),
    ("reviews_allowed", "true"),
    ("average_rating", "\"0\""),
    ("rating_count", "0"),
    ("upsell_ids", "[]"),
    ("cross_sell_ids", "[]"),
];
const VARIATION_KIND: [(&str, &str); 8] = [
    ("purchasable", "true"),
    ("virtual", "false"),
    ("downloadable", "false"),
    ("downloads", "[]"),
    ("download_limit", "-1"),
    ("download_expiry", "-1"),
    ("tax_status", "\"taxable\""),
    ("tax_class", "\"parent\""),
];
const VARIATION_SHIPPING: [(&str, &str); 5] = [
    ("weight", "\"\""),
    ("dimensions", r#"{"length":"","width":"","height":""}"#),
    ("shipping_class", "\"\""),
    ("shipping_class_id", "0"),
    ("image", "null"),
];

/// What a body depends on besides the thing itself.
#[derive(Debug, Clone)]
pub(super) struct Renderer {
    /// Address of the shop without a trailing slash.
    pub(super) home: String,
    pub(super) utc_offset_seconds: i64,
}

impl Renderer {
    pub(super) fn payload(&self, payload: &Payload) -> Json {
        match payload {
            Payload::Order(order) => self.order(order),
            Payload::Product(product) => self.product(product),
            Payload::DeletedId(id) => object! { "id": *id },
            Payload::SignedError { code, message, status } => {
                super::reply::error_body(code, message, *status)
            }
        }
    }

    fn local(&self, moment: Timestamp) -> String {
        dates::civil(moment, self.utc_offset_seconds)
    }

    fn rest(&self, path: &str) -> String {
        format!("{}/wp-json/wc/v3/{path}", self.home)
    }

    fn links(&self, collection: &str, id: i64) -> Json {
        let one = object! {
            "href": self.rest(&format!("{collection}/{id}")),
            "targetHints": object! { "allow": Json::raw(r#"["GET","POST","PUT","PATCH","DELETE"]"#) },
        };
        object! {
            "self": vec![one],
            "collection": vec![object! { "href": self.rest(collection) }],
        }
    }

    pub(super) fn order(&self, order: &OrderView) -> Json {
        let id = order.id.get();
        let key = format!("wc_order_{id:013}");
        let mut body = object! {
            "id": id,
            "parent_id": 0_i64,
            "status": order.status.as_str(),
            "currency": "PLN",
            "version": "10.5.0",
            "prices_include_tax": false,
            "date_created": self.local(order.date_created),
            "date_modified": self.local(order.date_modified),
            "discount_total": "0.00",
            "discount_tax": "0.00",
            "shipping_total": "0.00",
            "shipping_tax": "0.00",
            "cart_tax": "0.00",
            "total": money(order.total_cents),
            "total_tax": "0.00",
            "customer_id": 0_i64,
            "order_key": key.as_str(),
            "billing": Json::raw(BILLING),
            "shipping": Json::raw(SHIPPING),
            "payment_method": &*order.payment_method,
            "payment_method_title": "",
            "transaction_id": "",
            "customer_ip_address": "",
            "customer_user_agent": "",
            "created_via": order.created_via.as_str(),
            "customer_note": "",
            "date_completed": Json::Null,
            "date_paid": order.date_paid.map(|paid| self.local(paid)),
            "cart_hash": "",
            "number": id.to_string(),
            "meta_data": Vec::new(),
            "line_items": order.lines.iter().map(line).collect::<Vec<_>>(),
            "tax_lines": Vec::new(),
            "shipping_lines": Vec::new(),
            "fee_lines": Vec::new(),
            "coupon_lines": Vec::new(),
            "refunds": order.refunds.iter().map(|refund| object! {
                "id": refund.id.0,
                "reason": refund.reason,
                "total": format!("-{}", money(refund.amount_cents)),
            }).collect::<Vec<_>>(),
        };
        body.push(
            "payment_url",
            format!("{}/checkout/order-pay/{id}/?pay_for_order=true&key={key}", self.home),
        );
        body.push("is_editable", matches!(order.status, Status::Pending | Status::OnHold));
        body.push("needs_payment", matches!(order.status, Status::Pending | Status::Failed));
        body.push("needs_processing", true);
        body.push("date_created_gmt", dates::civil(order.date_created, 0));
        body.push("date_modified_gmt", dates::civil(order.date_modified, 0));
        body.push("date_completed_gmt", Json::Null);
        body.push("date_paid_gmt", order.date_paid.map(|paid| dates::civil(paid, 0)));
        body.push("currency_symbol", "zł");
        body.push("_links", self.links("orders", id));
        body
    }

    pub(super) fn refund(&self, order: &OrderView, refund: &RefundView) -> Json {
        let created = refund.date_created;
        let lines = refund.lines.iter().map(|line| {
            let of = order.lines.iter().find(|of| of.id == line.refunded);
            let meta = meta(line.id.get(), 0, "_refunded_item_id", &line.refunded.to_string());
            object! {
                "id": line.id.get(),
                "name": of.map_or("", |of| &*of.name),
                "product_id": of.and_then(|of| of.product).map_or(0, ProductId::get),
                "variation_id": of.and_then(|of| of.variation).map_or(0, VariationId::get),
                "quantity": -line.quantity,
                "tax_class": "",
                "subtotal": "0.00",
                "subtotal_tax": "0.00",
                "total": "0.00",
                "total_tax": "0.00",
                "taxes": Vec::new(),
                "meta_data": vec![meta],
                "sku": of.map(sku_of),
                "global_unique_id": "",
                "price": 0_i64,
                "image": Json::raw(r#"{"id":"","src":""}"#),
                "parent_name": Json::Null,
            }
        });
        let path = format!("orders/{}/refunds", order.id);
        object! {
            "id": refund.id.0,
            "date_created": self.local(created),
            "date_created_gmt": dates::civil(created, 0),
            "amount": money(refund.amount_cents),
            "reason": refund.reason,
            "refunded_by": 1_i64,
            "refunded_payment": false,
            "meta_data": Vec::new(),
            "line_items": lines.collect::<Vec<_>>(),
            "shipping_lines": Vec::new(),
            "tax_lines": Vec::new(),
            "fee_lines": Vec::new(),
            "_links": self.links(&path, refund.id.0),
        }
    }

    /// As GET /products shows any of them, variations too.
    pub(super) fn product(&self, product: &ProductView) -> Json {
        let id = product.id.get();
        let slug = format!("product-{id}");
        let mut body = object! {
            "id": id,
            "name": &*product.name,
            "slug": slug.as_str(),
            "permalink": format!("{}/product/{slug}/", self.home),
        };
        self.dates_of(product, &mut body);
        body.push("type", product.kind.as_str());
        body.push("status", product.status.as_str());
        fixed(&mut body, &PRODUCT_TEXTS);
        body.push("sku", sku_text(product));
        prices(product, &mut body);
        fixed(&mut body, &PRODUCT_KIND);
        body.push("manage_stock", manage(product));
        body.push("stock_quantity", product.stock);
        stock_rest(product, &mut body);
        fixed(&mut body, &PRODUCT_SHIPPING);
        body.push("parent_id", product.parent.map_or(0, ProductId::get));
        body.push("purchase_note", "");
        for key in ["categories", "brands", "tags", "images"] {
            body.push(key, Vec::new());
        }
        body.push("attributes", attributes(product));
        body.push("default_attributes", Vec::new());
        body.push("variations", product.variations.iter().map(|id| Json::Int(id.get())).collect::<Vec<_>>());
        body.push("grouped_products", Vec::new());
        body.push("menu_order", 0_i64);
        body.push("price_html", "");
        body.push("related_ids", Vec::new());
        body.push("meta_data", Vec::new());
        body.push("stock_status", product.stock_status.as_str());
        body.push("has_options", product.kind == Kind::Variable);
        body.push("post_password", "");
        body.push("global_unique_id", "");
        if product.kind != Kind::Variation {
            body.push("permalink_template", format!("{}/product/%pagename%/", self.home));
            body.push("generated_slug", slug);
        }
        body.push("_links", self.links("products", id));
        body
    }

    /// As the routes of variations show it.
    pub(super) fn variation(&self, product: &ProductView) -> Json {
        let id = product.id.get();
        let parent = product.parent.map_or(0, ProductId::get);
        let mut body = object! { "id": id, "type": product.kind.as_str() };
        self.dates_of(product, &mut body);
        body.push("description", "");
        body.push("permalink", format!("{}/product/product-{parent}/", self.home));
        body.push("sku", sku_text(product));
        body.push("global_unique_id", "");
        prices(product, &mut body);
        body.push("status", product.status.as_str());
        fixed(&mut body, &VARIATION_KIND);
        body.push("manage_stock", manage(product));
        body.push("stock_quantity", product.stock);
        body.push("stock_status", product.stock_status.as_str());
        stock_rest(product, &mut body);
        fixed(&mut body, &VARIATION_SHIPPING);
        body.push("attributes", attributes(product));
        body.push("menu_order", 0_i64);
        body.push("meta_data", Vec::new());
        body.push("name", product.option.as_deref().unwrap_or_default());
        body.push("parent_id", parent);
        body.push("_links", self.links(&format!("products/{parent}/variations"), id));
        body
    }

    fn dates_of(&self, product: &ProductView, body: &mut Json) {
        body.push("date_created", self.local(product.date_created));
        body.push("date_created_gmt", dates::civil(product.date_created, 0));
        body.push("date_modified", self.local(product.date_modified));
        body.push("date_modified_gmt", dates::civil(product.date_modified, 0));
    }

    /// Never secret, failures or pending ping. `fresh`: the answer to its creation has no modification date.
    pub(super) fn webhook(&self, webhook: &Webhook, fresh: bool) -> Json {
        let modified = (!fresh).then_some(webhook.modified);
        object! {
            "id": webhook.id.0,
            "name": &*webhook.name,
            "status": webhook.status.as_str(),
            "topic": webhook.topic.as_str(),
            "resource": webhook.topic.resource(),
            "event": webhook.topic.event(),
            "hooks": hooks(webhook.topic).iter().map(|hook| Json::from(*hook)).collect::<Vec<_>>(),
            "delivery_url": &*webhook.delivery_url,
            "date_created": self.local(webhook.created),
            "date_created_gmt": dates::civil(webhook.created, 0),
            "date_modified": modified.map(|modified| self.local(modified)),
            "date_modified_gmt": modified.map(|modified| dates::civil(modified, 0)),
            "_links": self.links("webhooks", webhook.id.0),
        }
    }
}

fn fixed(body: &mut Json, parts: &[(&'static str, &str)]) {
    for (key, value) in parts {
        body.push(key, Json::raw(value));
    }
}

fn line(line: &LineView) -> Json {
    let mut metas = Vec::new();
    let facts = [
        (ATTRIBUTE_SLUG, line.option.as_deref().map(str::to_owned)),
        ("_reduced_stock", line.reduced.map(|units| units.to_string())),
        ("_restock_refunded_items", line.restocked.map(|units| units.to_string())),
    ];
    for (offset, (key, value)) in (0_i64..).zip(facts) {
        if let Some(value) = value {
            metas.push(meta(line.id.get(), offset, key, &value));
        }
    }
    object! {
        "id": line.id.get(),
        "name": &*line.name,
        "product_id": line.product.map_or(0, ProductId::get),
        "variation_id": line.variation.map_or(0, VariationId::get),
        "quantity": line.quantity,
        "tax_class": "",
        "subtotal": money(line.total_cents),
        "subtotal_tax": "0.00",
        "total": money(line.total_cents),
        "total_tax": "0.00",
        "taxes": Vec::new(),
        "meta_data": metas,
        "sku": sku_of(line),
        "global_unique_id": "",
        "price": Json::Raw(price(line.total_cents, line.quantity)),
        "image": Json::raw(r#"{"id":"","src":""}"#),
        "parent_name": Json::Null,
    }
}

/// Live: null once the product is gone, empty without one.
fn sku_of(line: &LineView) -> Json {
    match (&line.sku, line.product) {
        (Some(sku), _) => sku.as_str().into(),
        (None, Some(_)) => "".into(),
        (None, None) => Json::Null,
    }
}

fn meta(line: i64, offset: i64, key: &str, value: &str) -> Json {
    let id = line * 10 + offset;
    object! { "id": id, "key": key, "value": value, "display_key": key, "display_value": value }
}

fn sku_text(product: &ProductView) -> &str {
    product.sku.as_ref().map_or("", |sku| sku.as_str())
}

fn prices(product: &ProductView, body: &mut Json) {
    let price = money(product.price_cents);
    body.push("price", price.as_str());
    body.push("regular_price", if product.kind == Kind::Variable { String::new() } else { price });
    body.push("sale_price", "");
    for key in ["date_on_sale_from", "date_on_sale_from_gmt", "date_on_sale_to", "date_on_sale_to_gmt"] {
        body.push(key, Json::Null);
    }
    body.push("on_sale", false);
}

fn manage(product: &ProductView) -> Json {
    match product.manage {
        Manage::No => false.into(),
        Manage::Yes => true.into(),
        Manage::Parent => "parent".into(),
    }
}

fn stock_rest(product: &ProductView, body: &mut Json) {
    let allowed = product.backorders == Backorders::Yes;
    body.push("backorders", if allowed { "yes" } else { "no" });
    body.push("backorders_allowed", allowed);
    body.push("backordered", allowed && product.stock.is_some_and(|stock| stock < 0));
    body.push("low_stock_amount", Json::Null);
}

fn attributes(product: &ProductView) -> Vec<Json> {
    let option = product.option.as_deref().map(|option| {
        object! { "id": 0_i64, "name": ATTRIBUTE_NAME, "slug": ATTRIBUTE_SLUG, "option": option }
    });
    option.into_iter().collect()
}

const fn hooks(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::OrderCreated => &["woocommerce_new_order"],
        Topic::OrderUpdated => &["woocommerce_update_order", "woocommerce_order_refunded"],
        Topic::OrderDeleted => &["wp_trash_post", "woocommerce_trash_order"],
        Topic::OrderRestored => &["untrashed_post", "woocommerce_untrash_order"],
        Topic::ProductCreated => &[
            "woocommerce_process_product_meta",
            "woocommerce_new_product",
            "woocommerce_new_product_variation",
        ],
        Topic::ProductUpdated => &[
            "woocommerce_process_product_meta",
            "woocommerce_update_product",
            "woocommerce_update_product_variation",
        ],
        Topic::ProductDeleted => &["wp_trash_post"],
        Topic::ProductRestored => &["untrashed_post"],
    }
}

/// `13.00`
pub(super) fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let cents = cents.unsigned_abs();
    format!("{sign}{}.{:02}", cents / 100, cents % 100)
}

/// Of a unit, as a JSON number without trailing zeros: `6.5`, `13`.
fn price(total_cents: i64, quantity: i64) -> String {
    let micros = total_cents.saturating_mul(10_000) / quantity.max(1);
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_and_prices() {
        assert_eq!(money(1_300), "13.00");
        assert_eq!(money(-5), "-0.05");
        assert_eq!(price(1_300, 2), "6.5");
        assert_eq!(price(7_800, 6), "13");
    }
}
