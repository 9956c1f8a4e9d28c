//! Manages the webhooks a shop keeps for us.

use connector::CallError;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::{API, Client, ITEMS_MAX, items, per_page};
use crate::json;
use crate::reply::Purpose;
use crate::transport::{Request, bad_reply, unreadable};

/// What a shop must tell us of. `product.*` comes for stocks as well.
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

/// A webhook as the shop keeps it. Its secret cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The shop's number of it.
    pub id: i64,
    /// What it tells of, one of [`TOPICS`] if it is ours.
    pub topic: String,
    /// `active`, `paused`, or `disabled` after seven failures in a row, when nothing comes any more.
    pub status: String,
    /// Where it delivers.
    pub delivery_url: String,
}

#[derive(Deserialize)]
struct WireWebhook<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
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

impl Client {
    /// All webhooks of the shop, ours and others.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, CallError> {
        let mut webhooks = Vec::new();
        for page in 1..=PAGES_MAX {
            let query = vec![per_page(), ("page", page.to_string())];
            let answer = self.get(&format!("{API}/webhooks"), query).await?;
            let items = items(&answer)?;
            webhooks.extend(items.iter().filter_map(|item| webhook(item.get())));
            if items.len() < ITEMS_MAX {
                return Ok(webhooks);
            }
        }
        Err(bad_reply("the list of webhooks does not end"))
    }

    /// Makes one. The shop pings `delivery_url` before it answers, for up to 5 s, and does not mind if nobody is there.
    pub async fn create_webhook(
        &self,
        topic: &str,
        delivery_url: &str,
        secret: &SecretString,
    ) -> Result<Webhook, CallError> {
        let name = format!("onhand {topic}");
        let new = NewWebhook { name: &name, topic, delivery_url, secret: secret.expose_secret() };
        let unreadable = || unreadable("it is not the webhook asked for", Purpose::Write);
        let body = serde_json::to_string(&new).map_err(|_| unreadable())?;
        let path = format!("{API}/webhooks");
        let answer = self.transport.call(Request::write(Method::POST, &path, Some(body))).await?;
        webhook(&answer.body).ok_or_else(unreadable)
    }

    /// Deletes one; `false` if there is none.
    pub async fn delete_webhook(&self, id: i64) -> Result<bool, CallError> {
        let path = format!("{API}/webhooks/{id}");
        let mut request = Request::write(Method::DELETE, &path, None);
        request.query.push(("force", "true".to_owned()));
        match self.transport.call(request).await {
            Ok(_) => Ok(true),
            Err(CallError::Refused { status: 404, code }) if code.ends_with("_invalid_id") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn webhook(body: &str) -> Option<Webhook> {
    let wire: WireWebhook<'_> = serde_json::from_str(body).ok()?;
    Some(Webhook {
        id: json::id::<i64>(wire.id, "id").ok().flatten()?,
        topic: json::words(wire.topic),
        status: json::words(wire.status),
        delivery_url: json::words(wire.delivery_url),
    })
}
