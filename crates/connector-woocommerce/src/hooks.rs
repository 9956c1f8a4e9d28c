//! Manages the webhooks a shop keeps for us.

use connector::{CallError, Finding, KeepWebhooks, Reply, Tried, Webhook, WebhookStatus};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::{API, Client, ITEMS_MAX, Stopwatch, items, per_page};
use crate::delivery;
use crate::json;
use crate::reply::Purpose;
use crate::transport::{Request, bad_reply, unreadable};

/// What a shop must tell us of. `order.updated` says most of it, but in older shops a new order is only `created`; the
/// trash and what comes back from it have topics of their own and no `updated`. `product.*` comes for stocks as well, and
/// makes listings and renamed codes known at once.
pub const TOPICS: [&str; 8] = [
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "product.created",
    "product.updated",
    "product.deleted",
    "product.restored",
];

/// Most pages of webhooks looked at.
const PAGES_MAX: u32 = 20;

#[derive(Deserialize)]
struct WireWebhook<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    delivery_url: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct NewWebhook<'a> {
    name: &'a str,
    topic: &'a str,
    delivery_url: &'a str,
    secret: &'a str,
}

impl KeepWebhooks for Client {
    const TOPICS: &'static [&'static str] = &TOPICS;

    async fn webhooks(&self) -> Result<Reply<Vec<Webhook>>, CallError> {
        let mut stopwatch = Stopwatch::start();
        let mut webhooks = Vec::new();
        for page in 1..=PAGES_MAX {
            let query = vec![per_page(), ("page", page.to_string())];
            let answer = self.get(&format!("{API}/webhooks"), query).await?;
            stopwatch.note(&answer)?;
            let items = items(&answer)?;
            webhooks.extend(items.iter().filter_map(|item| webhook(item.get())));
            if items.len() < ITEMS_MAX {
                return stopwatch.reply(webhooks);
            }
        }
        Err(bad_reply("the list of webhooks does not end"))
    }

    fn webhook_name(topic: &str) -> String {
        format!("onhand {topic}")
    }

    /// The shop pings `delivery_url` before it answers, for up to 5 s, and does not mind if nobody is there.
    async fn create_webhook(
        &self,
        topic: &str,
        delivery_url: &str,
        secret: &SecretString,
    ) -> Result<Reply<Webhook>, CallError> {
        let mut stopwatch = Stopwatch::start();
        let name = Self::webhook_name(topic);
        let new = NewWebhook { name: &name, topic, delivery_url, secret: secret.expose_secret() };
        let unreadable = || unreadable("it is not the webhook asked for", Purpose::Write);
        let body = serde_json::to_string(&new).map_err(|_| unreadable())?;
        let path = format!("{API}/webhooks");
        let answer = self.transport.call(Request::write(Method::POST, &path, Some(body))).await?;
        stopwatch.note(&answer)?;
        stopwatch.reply(webhook(&answer.body).ok_or_else(unreadable)?)
    }

    async fn delete_webhook(&self, id: i64) -> Result<Reply<bool>, CallError> {
        let mut stopwatch = Stopwatch::start();
        let path = format!("{API}/webhooks/{id}");
        let mut request = Request::write(Method::DELETE, &path, None);
        request.query.push(("force", "true".to_owned()));
        let answer = self.transport.send(request, true).await?;
        stopwatch.note(&answer)?;
        let is_gone = answer.status == 404 && answer.code().is_some_and(|code| code.ends_with("_invalid_id"));
        if !is_gone {
            answer.accepted(Purpose::Write)?;
        }
        stopwatch.reply(!is_gone)
    }

    fn delivery_obstacles(&self, delivery_url: &str) -> Vec<Finding> {
        delivery::obstacles(delivery_url, &self.transport.access().url)
    }

    async fn try_delivery(&self, delivery_url: &str) -> Tried {
        delivery::attempt(delivery_url).await
    }
}

fn webhook(body: &str) -> Option<Webhook> {
    let wire: WireWebhook<'_> = serde_json::from_str(body).ok()?;
    Some(Webhook {
        id: json::id::<i64>(wire.id, "id").ok().flatten()?,
        name: json::words(wire.name),
        topic: json::words(wire.topic),
        status: match json::words(wire.status).as_str() {
            "active" => WebhookStatus::Active,
            "paused" => WebhookStatus::Paused,
            "disabled" => WebhookStatus::Disabled,
            _ => WebhookStatus::Other,
        },
        delivery_url: json::words(wire.delivery_url),
    })
}
