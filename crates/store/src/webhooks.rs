//! What ingress keeps of the webhooks in a shop, and of what is wrong with a shop.

use std::fmt;

use values::{ShopId, Timestamp};

use crate::registry::words;

/// Longest text of a condition, in characters.
pub const CONDITION_CHARS_MAX: usize = 600;

/// A webhook of ours in a shop, by what it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptWebhook {
    /// What it tells of.
    pub topic: String,
    /// The shop's number of the one we made or found; `None`: only deliveries are known.
    pub webhook: Option<i64>,
    /// Which address and secret it was made with; `None`: it was found, not made.
    pub mark: Option<String>,
    /// When it was made or found.
    pub made_at: Option<Timestamp>,
    /// When a delivery of the topic last came. It may be noted up to a minute late.
    pub delivered_at: Option<Timestamp>,
}

/// What can be wrong with a shop that people should know of, and that ends by itself once it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionKind {
    /// WordPress will never call the address that webhooks are to be delivered to.
    WebhookAddress,
    /// The shop does not let onhand make its webhooks.
    WebhooksNotMade,
    /// A webhook was disabled, paused, edited, doubled or gone, and was made anew.
    WebhooksMended,
    /// The shop tried the address when its webhooks were made, and nobody heard it.
    WebhooksUnreachable,
    /// Something before our address sends callers elsewhere, and shops do not follow.
    WebhooksRedirected,
    /// Something that is not onhand answers at our address.
    WebhooksMisdirected,
    /// Orders change and no webhook tells of it.
    WebhooksSilent,
}

words!(ConditionKind {
    WebhookAddress = "webhook_address",
    WebhooksNotMade = "webhooks_not_made",
    WebhooksMended = "webhooks_mended",
    WebhooksUnreachable = "webhooks_unreachable",
    WebhooksRedirected = "webhooks_redirected",
    WebhooksMisdirected = "webhooks_misdirected",
    WebhooksSilent = "webhooks_silent",
});

/// Something that is wrong with a shop, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Whose.
    pub shop: ShopId,
    /// What kind.
    pub kind: ConditionKind,
    /// What is the case and what to do, in plain words; at most [`CONDITION_CHARS_MAX`] characters are kept.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// When it was last found to be so.
    pub seen_at: Timestamp,
    /// Until when; `None`: it is so.
    pub cleared_at: Option<Timestamp>,
}
