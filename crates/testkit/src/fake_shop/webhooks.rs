//! Webhooks by REST.

use serde_json::Value;

use super::deliver;
use super::json::Json;
use super::orders::paged;
use super::reply::Reply;
use super::routes::Route;
use super::server::Call;
use crate::shop::{Topic, Webhook, WebhookId, WebhookStatus};

pub(super) async fn handle(call: &Call) -> Result<Reply, Reply> {
    match call.route {
        Route::Webhooks => list(call),
        Route::WebhookCreate => create(call).await,
        Route::Webhook(id) => Ok(Reply::ok(call.inner.renderer.webhook(&find(call, id, 404)?, false))),
        Route::WebhookUpdate(id) => update(call, id),
        Route::WebhookDelete(id) => {
            let webhook = find(call, id, 404)?;
            if !call.query.flag("force") {
                let message = "Webhooks do not support trashing.";
                return Err(Reply::error("woocommerce_rest_trash_not_supported", message, 501));
            }
            call.inner.model().delete_webhook(webhook.id);
            Ok(Reply::ok(call.inner.renderer.webhook(&webhook, false)))
        }
        _ => Err(Reply::no_route()),
    }
}

fn find(call: &Call, id: i64, status: u16) -> Result<Webhook, Reply> {
    let found = call.inner.model().webhook(WebhookId(id)).cloned();
    found.ok_or_else(|| Reply::error("woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.", status))
}

/// Newest second first, by number within it.
fn list(call: &Call) -> Result<Reply, Reply> {
    let (page, per_page) = (call.query.page()?, call.query.per_page()?);
    let status = call.query.one_of("status", &["all", "active", "paused", "disabled"])?;
    let status = status.and_then(WebhookStatus::parse);
    let mut webhooks: Vec<Webhook> = call.inner.model().webhooks().cloned().collect();
    webhooks.retain(|webhook| status.is_none_or(|status| webhook.status == status));
    webhooks.sort_by_key(|webhook| (std::cmp::Reverse(webhook.created), webhook.id));
    let total = webhooks.len();
    let items = webhooks.iter().skip((page - 1) * per_page).take(per_page);
    let items: Vec<Json> = items.map(|webhook| call.inner.renderer.webhook(webhook, false)).collect();
    Ok(paged(call, Reply::ok(items.into()), total, total.div_ceil(per_page)))
}

fn topic_of(body: &Value) -> Option<Topic> {
    Topic::parse(body.get("topic")?.as_str()?)
}

fn url_of(body: &Value) -> Option<&str> {
    let url = body.get("delivery_url")?.as_str()?;
    (url.starts_with("http://") || url.starts_with("https://")).then_some(url)
}

/// The status asked for is ignored: a new webhook is active. The answer waits for the ping.
async fn create(call: &Call) -> Result<Reply, Reply> {
    let topic = topic_of(&call.body).ok_or_else(|| {
        let message = "Webhook topic is required and must be valid.";
        Reply::error("woocommerce_rest_shop_webhook_invalid_topic", message, 400)
    })?;
    let url = url_of(&call.body).ok_or_else(|| {
        let message = "Webhook delivery URL must be a valid URL starting with http:// or https://.";
        Reply::error("woocommerce_rest_shop_webhook_invalid_delivery_url", message, 400)
    })?;
    let text = |name: &str| call.body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let now = call.inner.now();
    // Without one WooCommerce makes a secret that nobody can ever read.
    let secret = text("secret").unwrap_or("a secret nobody was told");
    let webhook = {
        let mut model = call.inner.model();
        let id = model.create_webhook(topic, url, secret, now);
        if let Some(name) = text("name") {
            model.edit_webhook(id, now, |webhook| webhook.name = name.into());
        }
        model.webhook(id).cloned()
    };
    let webhook = webhook.ok_or_else(Reply::no_route)?;
    deliver::ping(&call.inner, webhook.id).await;
    let location = format!("{}/{}", call.address, webhook.id.0);
    Ok(Reply::created(call.inner.renderer.webhook(&webhook, true)).header("Location", location))
}

fn update(call: &Call, id: i64) -> Result<Reply, Reply> {
    let webhook = find(call, id, 400)?;
    let body = &call.body;
    if body.get("topic").is_some() && topic_of(body).is_none() {
        let message = "Webhook topic must be valid.";
        return Err(Reply::error("woocommerce_rest_shop_webhook_invalid_topic", message, 400));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let now = call.inner.now();
    call.inner.model().edit_webhook(webhook.id, now, |webhook| {
        webhook.topic = topic_of(body).unwrap_or(webhook.topic);
        if let Some(status) = text("status").and_then(WebhookStatus::parse) {
            webhook.status = status;
        }
        if let Some(url) = url_of(body) {
            webhook.delivery_url = url.into();
        }
        if let Some(secret) = text("secret") {
            webhook.secret = secret.into();
        }
        if let Some(name) = text("name") {
            webhook.name = name.into();
        }
    });
    Ok(Reply::ok(call.inner.renderer.webhook(&find(call, id, 404)?, false)))
}
