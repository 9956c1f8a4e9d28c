//! Webhooks that a system keeps for us: which there are, making and deleting them, and whether what it sends would arrive.

use std::future::Future;

use secrecy::SecretString;

use crate::capability::Reply;
use crate::diagnosis::Finding;
use crate::error::CallError;

/// Whether a webhook delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookStatus {
    /// It does.
    Active,
    /// Somebody paused it.
    Paused,
    /// The shop gave it up after too many failures in a row, or somebody switched it off.
    Disabled,
    /// A word that is not known: not active, in any case.
    Other,
}

/// A webhook as the shop keeps it. Its secret cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The shop's number of it.
    pub id: i64,
    /// Its name, for people.
    pub name: String,
    /// What it tells of.
    pub topic: String,
    /// Whether it delivers.
    pub status: WebhookStatus,
    /// Where to.
    pub delivery_url: String,
}

/// What came of calling a delivery address as the shop does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It was taken, as a shop wants it.
    Taken,
    /// Something before us sends callers on to another address. Shops do not follow.
    Redirected {
        /// The status.
        status: u16,
        /// Scheme, host and port of the other address.
        to: Option<String>,
    },
    /// Something answered, but not as we do.
    Refused {
        /// The status.
        status: u16,
    },
    /// Nothing answered. That may be so from here and not from the shop.
    NoAnswer,
}

/// Keeps webhooks in the shop.
pub trait KeepWebhooks {
    /// What the shop must tell us of.
    const TOPICS: &'static [&'static str];

    /// All webhooks of the shop, ours and others.
    fn webhooks(&self) -> impl Future<Output = Result<Reply<Vec<Webhook>>, CallError>> + Send;

    /// The name that a webhook of ours is given.
    fn webhook_name(topic: &str) -> String;

    /// Makes one, active.
    fn create_webhook(
        &self,
        topic: &str,
        delivery_url: &str,
        secret: &SecretString,
    ) -> impl Future<Output = Result<Reply<Webhook>, CallError>> + Send;

    /// Deletes one for good; `false` if there is none.
    fn delete_webhook(&self, id: i64) -> impl Future<Output = Result<Reply<bool>, CallError>> + Send;

    /// Why the shop would never deliver to this address, and not say so. Calls nobody.
    fn delivery_obstacles(&self, delivery_url: &str) -> Vec<Finding>;

    /// Calls the address as the shop does when it tries whether somebody listens.
    fn try_delivery(&self, delivery_url: &str) -> impl Future<Output = Tried> + Send;
}
