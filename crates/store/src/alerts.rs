//! What people should know of and do something about, whose turn it is to look for it, and what is sent to them.

use std::fmt;

use values::{ShopId, Sku, Timestamp};

use crate::registry::words;
use crate::webhooks::ConditionKind;

/// Longest text of an alert, in characters.
pub const ALERT_CHARS_MAX: usize = 800;
/// Most alerts that ended lately and are looked after beside the open ones, in case they come again; the newest.
pub const ALERTS_AT_WORK_MAX: u32 = 10_000;
/// Longest text of why a notice could not be sent, in characters.
pub const NOTICE_FAILURE_CHARS_MAX: usize = 300;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// A [`ConditionKind`] of the same name.
    WebhookAddress,
    /// The same.
    WebhooksNotMade,
    /// The same.
    WebhooksMended,
    /// The same.
    WebhooksUnreachable,
    /// The same.
    WebhooksRedirected,
    /// The same.
    WebhooksMisdirected,
    /// The same.
    WebhooksSilent,
    /// A webhook says that its owner may no longer see orders.
    WebhooksBlind,
    /// A shop shows something that neither its orders nor onhand made it show.
    Drift,
    /// More of a SKU was sold than there is.
    Shortfall,
    /// A stock of a shop takes no pushes.
    StockBlocked,
    /// A shop does not answer, or not well.
    ShopUnreachable,
    /// A shop refuses its keys, or the program that stands before it refuses us.
    ShopRefuses,
    /// Lines of orders are not counted.
    ParkedLines,
    /// Messages were given up.
    DeadMessages,
    /// Orders hold something although their shop no longer knows them.
    OrphanedOrders,
    /// Something waits for a person's consent.
    ApprovalsWaiting,
    /// A shipment could not be told to its shop.
    ShipmentsGivenUp,
}

words!(AlertKind {
    WebhookAddress = "webhook_address",
    WebhooksNotMade = "webhooks_not_made",
    WebhooksMended = "webhooks_mended",
    WebhooksUnreachable = "webhooks_unreachable",
    WebhooksRedirected = "webhooks_redirected",
    WebhooksMisdirected = "webhooks_misdirected",
    WebhooksSilent = "webhooks_silent",
    WebhooksBlind = "webhooks_blind",
    Drift = "drift",
    Shortfall = "shortfall",
    StockBlocked = "stock_blocked",
    ShopUnreachable = "shop_unreachable",
    ShopRefuses = "shop_refuses",
    ParkedLines = "parked_lines",
    DeadMessages = "dead_messages",
    OrphanedOrders = "orphaned_orders",
    ApprovalsWaiting = "approvals_waiting",
    ShipmentsGivenUp = "shipments_given_up",
});

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing is wrong any more, or nothing is wrong yet.
    Info,
    /// Something waits for a person; the rest goes on.
    Warning,
    /// Stock of a shop is wrong, or will be, until a person does something.
    Critical,
}

words!(Severity { Info = "info", Warning = "warning", Critical = "critical" });

impl AlertKind {
    /// Every kind there is.
    pub const ALL: [Self; 18] = [
        Self::WebhookAddress,
        Self::WebhooksNotMade,
        Self::WebhooksMended,
        Self::WebhooksUnreachable,
        Self::WebhooksRedirected,
        Self::WebhooksMisdirected,
        Self::WebhooksSilent,
        Self::WebhooksBlind,
        Self::Drift,
        Self::Shortfall,
        Self::StockBlocked,
        Self::ShopUnreachable,
        Self::ShopRefuses,
        Self::ParkedLines,
        Self::DeadMessages,
        Self::OrphanedOrders,
        Self::ApprovalsWaiting,
        Self::ShipmentsGivenUp,
    ];

    /// How much alerts of this kind matter.
    pub const fn severity(self) -> Severity {
        match self {
            // Polls bring in late what webhooks do not.
            Self::WebhookAddress
            | Self::WebhooksNotMade
            | Self::WebhooksUnreachable
            | Self::WebhooksRedirected
            | Self::WebhooksMisdirected
            | Self::WebhooksSilent
            | Self::Drift
            | Self::OrphanedOrders
            | Self::ApprovalsWaiting => Severity::Warning,
            // It is mended already.
            Self::WebhooksMended => Severity::Info,
            Self::WebhooksBlind
            | Self::Shortfall
            | Self::StockBlocked
            | Self::ShopUnreachable
            | Self::ShopRefuses
            | Self::ParkedLines
            | Self::DeadMessages
            | Self::ShipmentsGivenUp => Severity::Critical,
        }
    }
}

impl From<ConditionKind> for AlertKind {
    fn from(kind: ConditionKind) -> Self {
        match kind {
            ConditionKind::WebhookAddress => Self::WebhookAddress,
            ConditionKind::WebhooksNotMade => Self::WebhooksNotMade,
            ConditionKind::WebhooksMended => Self::WebhooksMended,
            ConditionKind::WebhooksUnreachable => Self::WebhooksUnreachable,
            ConditionKind::WebhooksRedirected => Self::WebhooksRedirected,
            ConditionKind::WebhooksMisdirected => Self::WebhooksMisdirected,
            ConditionKind::WebhooksSilent => Self::WebhooksSilent,
        }
    }
}

/// What tells alerts apart: at most one of each is open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    /// What kind.
    pub kind: AlertKind,
    /// The shop it is about, if it is about one.
    pub shop: Option<ShopId>,
    /// What of the shop, or of all: a SKU, the holder of a stock; empty if it is about the whole.
    pub subject: String,
}

/// Something people have yet to be told of an alert; what matters more comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum News {
    /// That it is so.
    Raised,
    /// They were told, and it is so still: there is much more of it, or they are reminded.
    Still,
    /// That it is not so any more.
    Resolved,
}

words!(News { Raised = "raised", Still = "still", Resolved = "resolved" });

/// Something people should know of, or should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its number; 0 before it is stored.
    pub id: i64,
    /// What it is about.
    pub key: AlertKey,
    /// The SKU it is about, if there is one.
    pub sku: Option<Sku>,
    /// What is the case and what to do, in plain words; at most [`ALERT_CHARS_MAX`] characters are kept.
    pub what: String,
    /// When it began last.
    pub first_seen: Timestamp,
    /// When it was last found to be so, some minutes late at most.
    pub last_seen: Timestamp,
    /// How often it began.
    pub count: u32,
    /// Since when it counts as an alert; `None`: it has not lasted long enough.
    pub raised_at: Option<Timestamp>,
    /// Since when it is not found any more.
    pub missing_since: Option<Timestamp>,
    /// When it ended.
    pub resolved_at: Option<Timestamp>,
    /// How much there is of it, at least: lines, messages, orders; 1 if it is one thing.
    pub size: u64,
    /// When people were last told of it since it began, and how much of it there was then; `None`: they were not yet.
    pub told: Option<(Timestamp, u64)>,
    /// What people have yet to be told, and since when.
    pub news: Option<(News, Timestamp)>,
    /// Who took note of it, and when. Kept by [`crate::Store::acknowledge_alert`] alone; forgotten when it begins again.
    pub acknowledged: Option<(String, Timestamp)>,
}

/// A way to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A signed request to an address.
    Webhook,
    /// Mail.
    Smtp,
}

words!(Channel { Webhook = "webhook", Smtp = "smtp" });

/// Something to be sent, until it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// By which its receiver knows it again.
    pub id: String,
    /// The way it goes.
    pub channel: Channel,
    /// What is sent, as JSON.
    pub body: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

/// A notice that is yet to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotice {
    /// What is sent.
    pub notice: Notice,
    /// Numbers of the alerts that it tells of: no newer notice of them goes the same way before it.
    pub alerts: Vec<i64>,
}

/// What one look at everything came to. Written together, or not at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlertChanges<'a> {
    /// New alerts, and those that have changed.
    pub alerts: &'a [Alert],
    /// Numbers of those that nobody was told of and that are not so any more.
    pub dropped: &'a [i64],
    /// To be sent from now on.
    pub notices: &'a [NewNotice],
}

/// Which alerts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// Of this shop alone.
    pub shop: Option<ShopId>,
    /// Also those that ended.
    pub ended: bool,
}

/// What waits of one shop, of a kind that is counted and not told one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopWaiting {
    /// What waits: [`AlertKind::ParkedLines`], [`AlertKind::DeadMessages`], [`AlertKind::OrphanedOrders`] or
    /// [`AlertKind::ShipmentsGivenUp`].
    pub kind: AlertKind,
    /// Whose; `None`: it is not known.
    pub shop: Option<ShopId>,
    /// How many, at least.
    pub count: u64,
    /// The first of them: a number of an order or of a message.
    pub first: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::from_word(kind.as_str()), Some(kind));
        }
        let words: std::collections::BTreeSet<_> = AlertKind::ALL.map(AlertKind::as_str).into();
        assert_eq!(words.len(), AlertKind::ALL.len());
    }
}
