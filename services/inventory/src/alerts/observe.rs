//! What looking for alerts, and telling of them, writes to the log and counts.

use process::metrics::{Counter, Gauge, Label, Metric, Metrics};
use store::{Alert, AlertKind, Channel, News};
use values::ShopId;

const KIND: Label = Label {
    name: "kind",
    values: &[
        "webhook_address",
        "webhooks_not_made",
        "webhooks_mended",
        "webhooks_unreachable",
        "webhooks_redirected",
        "webhooks_misdirected",
        "webhooks_silent",
        "webhooks_blind",
        "drift",
        "shortfall",
        "stock_blocked",
        "shop_unreachable",
        "shop_refuses",
        "parked_lines",
        "dead_messages",
        "orphaned_orders",
        "approvals_waiting",
        "shipments_given_up",
    ],
};
const CHANNEL: Label = Label { name: "channel", values: &["smtp", "webhook"] };
const OUTCOME: Label = Label { name: "outcome", values: &["failed", "given_up", "sent"] };

/// Open alerts.
pub(crate) const OPEN: Metric<Gauge> = Metric::gauge("onhand_alerts_open", "Open alerts, by kind.", &[KIND]);
/// Notices, each time one was tried.
pub(crate) const NOTICES: Metric<Counter> = Metric::counter(
    "onhand_alert_notices_total",
    "Tries to send a notice, by the way it goes and what came of it.",
    &[CHANNEL, OUTCOME],
);

/// Counts and logs.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    open: Gauge,
    notices: Counter,
}

impl Observer {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self { open: metrics.gauge(&OPEN), notices: metrics.counter(&NOTICES) }
    }

    pub(crate) fn counted(&self, counts: &[(AlertKind, u64)]) {
        for kind in AlertKind::ALL {
            let count = counts.iter().find(|(counted, _)| *counted == kind).map_or(0, |(_, count)| *count);
            self.open.set(&[kind.as_str()], i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// What an alert is about goes to people; the log has its kind and where to look.
    #[expect(clippy::unused_self, reason = "whatever is told is told here")]
    pub(crate) fn news(&self, alert: &Alert) {
        let (kind, shop) = (alert.key.kind.as_str(), alert.key.shop.map(ShopId::get));
        match alert.news {
            Some((News::Raised, _)) => {
                tracing::warn!(
                    alert = kind,
                    shop.id = shop,
                    "there is an alert: {kind}; see `onhand alerts`"
                );
            }
            Some((News::Still, _)) => {
                tracing::warn!(
                    alert = kind,
                    shop.id = shop,
                    "an alert is still open, or there is more of it: {kind}; see `onhand alerts`"
                );
            }
            Some((News::Resolved, _)) => {
                tracing::info!(alert = kind, shop.id = shop, "an alert is over: {kind}");
            }
            None => {}
        }
    }

    pub(crate) fn sent(&self, channel: Channel) {
        self.notices.increment(&[channel.as_str(), "sent"]);
    }

    #[expect(clippy::unused_self, reason = "whatever is told is told here")]
    pub(crate) fn partly_sent(&self, channel: Channel, error: &dyn std::error::Error) {
        tracing::warn!(
            channel = channel.as_str(),
            "a notice was not taken for everybody: {}",
            process::error_chain(error)
        );
    }

    pub(crate) fn not_sent(&self, channel: Channel, why: &str, is_tried_again: bool) {
        if is_tried_again {
            self.notices.increment(&[channel.as_str(), "failed"]);
            tracing::warn!(channel = channel.as_str(), "a notice was not taken and is sent again: {why}");
        } else {
            self.notices.increment(&[channel.as_str(), "given_up"]);
            tracing::error!(channel = channel.as_str(), "a notice was never taken and is given up: {why}");
        }
    }

    #[expect(clippy::unused_self, reason = "whatever is told is told here")]
    pub(crate) fn failed(&self, what: &str, error: &dyn std::error::Error) {
        tracing::warn!("{what} failed and is tried again: {}", process::error_chain(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_under_its_own_word() {
        let words: Vec<&str> = AlertKind::ALL.map(AlertKind::as_str).into();
        assert_eq!(KIND.values, words);
    }
}
