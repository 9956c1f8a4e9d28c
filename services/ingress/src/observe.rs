//! What ingress says about itself: one function for each occurrence writes the log line and moves the metric.

use std::time::Duration;

use connector::CallError;
use process::error_chain;
use process::metrics::{Counter, Description, Gauge, Histogram, Label, Metric, Metrics};
use store::Run;
use values::{ReadNumber, ShopId};

use crate::reader::guard::Fault;

const WEBHOOKS: Metric<Counter> = Metric::counter(
    "onhand_ingress_webhooks_total",
    "Requests to webhook addresses, by what became of them.",
    &[Label {
        name: "outcome",
        values: &[
            "order",
            "listing",
            "told",
            "reread",
            "audit",
            "blind",
            "early",
            "ping",
            "forged",
            "unknown",
            "too_large",
            "slow",
            "broken",
            "refused",
        ],
    }],
);
const WEBHOOK_SECONDS: Metric<Histogram> = Metric::histogram(
    "onhand_ingress_webhook_seconds",
    "From a webhook's head to its answer, of those that are authentic.",
    &[],
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
);
const READS: Metric<Counter> = Metric::counter(
    "onhand_ingress_reads_total",
    "Calls to shops to read them, by what was read and how it ended.",
    &[
        Label {
            name: "what",
            values: &[
                "orders",
                "orders_by_id",
                "stocks",
                "catalogue",
                "listings",
                "manage_stock",
                "test",
                "webhooks",
            ],
        },
        Label { name: "outcome", values: &["ok", "failed"] },
    ],
);
const ORDERS: Metric<Counter> = Metric::counter(
    "onhand_ingress_orders_total",
    "Orders published, by how they were learnt.",
    &[Label { name: "source", values: &["webhook", "read"] }],
);
const UNUSABLE: Metric<Counter> = Metric::counter(
    "onhand_ingress_unusable_total",
    "Orders and listings read from shops that made no sense.",
    &[],
);
const SETTLES: Metric<Counter> = Metric::counter(
    "onhand_ingress_settles_total",
    "Stocks read to be settled, by what came of it.",
    &[Label { name: "outcome", values: &["shown", "unusable", "abandoned"] }],
);
const RECONCILED: Metric<Counter> = Metric::counter(
    "onhand_ingress_reconciled_stocks_total",
    "Stocks that comparisons of whole shops have decided on, by what they found.",
    &[Label { name: "outcome", values: &["agreed", "drift", "unsettled", "not_compared"] }],
);
const WEBHOOKS_MENDED: Metric<Counter> = Metric::counter(
    "onhand_ingress_webhooks_mended_total",
    "Webhooks in shops that were found broken and made anew, by what was wrong.",
    &[Label { name: "fault", values: &["missing", "disabled", "paused", "edited", "doubled"] }],
);
const CLOCKS_SET_BACK: Metric<Counter> =
    Metric::counter("onhand_ingress_clocks_set_back_total", "Polls that found a shop's clock set back.", &[]);
const PUBLISH_RETRIES: Metric<Counter> = Metric::counter(
    "onhand_ingress_publish_retries_total",
    "Publishings of what was read that had to be tried again.",
    &[],
);
const READERS: Metric<Gauge> =
    Metric::gauge("onhand_ingress_readers_running", "Shops that are being read by this process.", &[]);
const READERS_FAILING: Metric<Gauge> =
    Metric::gauge("onhand_ingress_readers_failing", "Shops whose last call failed.", &[]);
const SPOOL_WAITING: Metric<Gauge> = Metric::gauge(
    "onhand_ingress_spool_waiting",
    "Messages that wait in the spool of this process for the broker.",
    &[],
);

/// The metrics of ingress.
pub const METRICS: &[Description] = &[
    WEBHOOKS.description(),
    WEBHOOK_SECONDS.description(),
    READS.description(),
    ORDERS.description(),
    UNUSABLE.description(),
    SETTLES.description(),
    RECONCILED.description(),
    WEBHOOKS_MENDED.description(),
    CLOCKS_SET_BACK.description(),
    PUBLISH_RETRIES.description(),
    READERS.description(),
    READERS_FAILING.description(),
    SPOOL_WAITING.description(),
];

/// What became of a request to a webhook address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Order,
    Listing,
    /// A listing of which the same was told a short while ago.
    Told,
    Reread,
    Audit,
    Blind,
    /// The shop's orders are still being read for the first time; that shows what it says.
    Early,
    Ping,
    Forged,
    Unknown,
    TooLarge,
    Slow,
    Broken,
    Refused,
}

impl Heard {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Listing => "listing",
            Self::Told => "told",
            Self::Reread => "reread",
            Self::Audit => "audit",
            Self::Blind => "blind",
            Self::Early => "early",
            Self::Ping => "ping",
            Self::Forged => "forged",
            Self::Unknown => "unknown",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Refused => "refused",
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Orders,
    OrdersById,
    Stocks,
    Catalogue,
    Listings,
    ManageStock,
    Test,
    Webhooks,
}

impl Read {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::OrdersById => "orders_by_id",
            Self::Stocks => "stocks",
            Self::Catalogue => "catalogue",
            Self::Listings => "listings",
            Self::ManageStock => "manage_stock",
            Self::Test => "test",
            Self::Webhooks => "webhooks",
        }
    }
}

/// The metrics of this process.
#[derive(Debug, Clone)]
pub(crate) struct Observe {
    webhooks: Counter,
    webhook_seconds: Histogram,
    reads: Counter,
    orders: Counter,
    unusable: Counter,
    settles: Counter,
    reconciled: Counter,
    webhooks_mended: Counter,
    clocks_set_back: Counter,
    publish_retries: Counter,
    readers: Gauge,
    readers_failing: Gauge,
    spool_waiting: Gauge,
}

impl Observe {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            webhooks: metrics.counter(&WEBHOOKS),
            webhook_seconds: metrics.histogram(&WEBHOOK_SECONDS),
            reads: metrics.counter(&READS),
            orders: metrics.counter(&ORDERS),
            unusable: metrics.counter(&UNUSABLE),
            settles: metrics.counter(&SETTLES),
            reconciled: metrics.counter(&RECONCILED),
            webhooks_mended: metrics.counter(&WEBHOOKS_MENDED),
            clocks_set_back: metrics.counter(&CLOCKS_SET_BACK),
            publish_retries: metrics.counter(&PUBLISH_RETRIES),
            readers: metrics.gauge(&READERS),
            readers_failing: metrics.gauge(&READERS_FAILING),
            spool_waiting: metrics.gauge(&SPOOL_WAITING),
        }
    }

    /// A webhook was answered. Only what a person may have to see to is logged: each order is not.
    pub(crate) fn heard(&self, shop: Option<ShopId>, heard: Heard, took: Duration) {
        self.webhooks.increment(&[heard.as_str()]);
        let shop_id = shop.map(ShopId::get);
        match heard {
            Heard::Order | Heard::Listing | Heard::Told | Heard::Reread | Heard::Audit => {
                self.webhook_seconds.observe(&[], took);
                if heard == Heard::Order {
                    self.orders.increment(&["webhook"]);
                }
            }
            Heard::Blind => {
                tracing::error!(
                    shop.id = shop_id,
                    "the user who owns the shop's webhooks may no longer see orders, so every webhook is empty: give \
                     that user back the role Shop manager, or make the webhooks anew as another user"
                );
            }
            Heard::Forged => tracing::warn!(
                shop.id = shop_id,
                "a webhook is not signed with the shop's secret: if the secret was changed in the shop, change it here too"
            ),
            Heard::TooLarge | Heard::Slow | Heard::Broken => {
                tracing::warn!(shop.id = shop_id, outcome = heard.as_str(), "a webhook's body was not read");
            }
            // Logged with its cause where it failed.
            Heard::Early | Heard::Ping | Heard::Unknown | Heard::Refused => {}
        }
    }

    pub(crate) fn webhook_refused(shop: ShopId, error: &dyn std::error::Error) {
        tracing::error!(
            shop.id = shop.get(),
            "a webhook could not be stored and is refused; the shop will not send it again, the next poll reads what changed: {}",
            error_chain(error)
        );
    }

    pub(crate) fn shop_not_looked_up(error: &dyn std::error::Error) {
        tracing::error!("a webhook's shop could not be looked up: {}", error_chain(error));
    }

    pub(crate) fn snapshot_failed(doing: &str, error: &dyn std::error::Error) {
        let chain = error_chain(error);
        tracing::warn!(
            "cannot {doing} the file of the shops whose webhooks are taken while the database is away: {chain}"
        );
    }

    pub(crate) fn read(&self, what: Read) {
        self.reads.increment(&[what.as_str(), "ok"]);
    }

    pub(crate) fn read_failed(&self, shop: ShopId, what: Read, error: &CallError, failures: u32) {
        self.reads.increment(&[what.as_str(), "failed"]);
        let chain = error_chain(error);
        if error.needs_a_person() && failures == 1 {
            tracing::error!(shop.id = shop.get(), what = what.as_str(), "a shop cannot be read: {chain}");
        } else {
            tracing::warn!(shop.id = shop.get(), what = what.as_str(), failures, "a read failed: {chain}");
        }
    }

    pub(crate) fn orders_read(&self, count: usize) {
        self.orders.add(&["read"], u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn unusable(&self, shop: ShopId, id: Option<i64>, reason: &str) {
        self.unusable.increment(&[]);
        tracing::warn!(
            shop.id = shop.get(),
            item.id = id,
            reason,
            "something read from a shop makes no sense"
        );
    }

    /// A call for this alone failed: it is asked for later, so that the others are read meanwhile.
    pub(crate) fn set_aside(shop: ShopId, what: Read, id: i64, rest: Duration, error: &CallError) {
        tracing::warn!(
            shop.id = shop.get(),
            what = what.as_str(),
            item.id = id,
            seconds = rest.as_secs(),
            "a shop cannot tell of this one; it is asked for again later: {}",
            error_chain(error)
        );
    }

    pub(crate) fn clock_set_back(&self, shop: ShopId, by: Duration) {
        self.clocks_set_back.increment(&[]);
        tracing::warn!(shop.id = shop.get(), seconds = by.as_secs(), "the shop's clock was set back");
    }

    pub(crate) fn settled(&self, shown: usize, unusable: usize) {
        self.settles.add(&["shown"], u64::try_from(shown).unwrap_or(u64::MAX));
        self.settles.add(&["unusable"], u64::try_from(unusable).unwrap_or(u64::MAX));
    }

    pub(crate) fn settle_abandoned(&self, shop: ShopId, number: ReadNumber, stocks: usize) {
        self.settles.add(&["abandoned"], u64::try_from(stocks).unwrap_or(u64::MAX));
        tracing::info!(
            shop.id = shop.get(),
            read = number.get(),
            stocks,
            "stocks are read again: the shop's clock went back since they were read"
        );
    }

    pub(crate) fn webhook_mended(&self, fault: Fault) {
        self.webhooks_mended.increment(&[fault.as_str()]);
    }

    pub(crate) fn condition_raised(shop: ShopId, kind: &'static str, what: &str) {
        tracing::warn!(shop.id = shop.get(), condition = kind, "{what}");
    }

    pub(crate) fn condition_cleared(shop: ShopId, kind: &'static str) {
        tracing::info!(
            shop.id = shop.get(),
            condition = kind,
            "what was wrong with the shop's webhooks has ended"
        );
    }

    pub(crate) fn publish_failed(&self, error: &dyn std::error::Error) {
        self.publish_retries.increment(&[]);
        tracing::warn!("what was read could not be published and is tried again: {}", error_chain(error));
    }

    pub(crate) fn never_published(error: &dyn std::error::Error) {
        tracing::error!("a message was left out: no queue takes it: {}", error_chain(error));
    }

    pub(crate) fn readers(&self, more: i64) {
        self.readers.add(&[], more);
    }

    pub(crate) fn shop_fails(&self, began: bool) {
        self.readers_failing.add(&[], if began { 1 } else { -1 });
    }

    /// The bus logs when it begins and when it ends.
    pub(crate) fn spool_waiting(&self, messages: u64) {
        self.spool_waiting.set(&[], i64::try_from(messages).unwrap_or(i64::MAX));
    }

    pub(crate) fn shop_well(shop: ShopId) {
        tracing::info!(shop.id = shop.get(), "the shop can be read again");
    }

    pub(crate) fn store_failed(doing: &'static str, error: &dyn std::error::Error) {
        tracing::error!(doing, "the database is tried again: {}", error_chain(error));
    }

    pub(crate) fn reader_ended(shop: Option<ShopId>, error: &dyn std::error::Error) {
        tracing::error!(
            shop.id = shop.map(ShopId::get),
            "a reader broke and is started again: {}",
            error_chain(error)
        );
    }

    /// A comparison of a whole shop has ended.
    pub(crate) fn run_ended(&self, run: &Run) {
        let mut drift = 0;
        for total in &run.totals {
            let outcome = match total.class.as_str() {
                "agreed" | "first_look" => "agreed",
                "unsettled" => "unsettled",
                "unmapped" | "unmanaged" | "gone" | "unusable" => "not_compared",
                _ => "drift",
            };
            drift += if outcome == "drift" { total.stocks } else { 0 };
            self.reconciled.add(&[outcome], total.stocks);
        }
        let (shop, state) = (run.shop.get(), run.state.as_str());
        tracing::info!(
            shop.id = shop,
            run = run.id,
            dry_run = run.dry_run,
            state,
            reads = run.reads,
            drift,
            "a comparison of a shop has ended"
        );
    }

    /// The schedule wants a comparison while another is under way.
    pub(crate) fn run_not_begun(shop: ShopId, other: i64) {
        tracing::info!(
            shop.id = shop.get(),
            run = other,
            "a scheduled comparison of a shop is left out, since another is under way"
        );
    }

    pub(crate) fn task_ended(shop: ShopId, kind: &'static str, good: bool) {
        tracing::info!(shop.id = shop.get(), task = kind, good, "a task of a shop has ended");
    }

    pub(crate) fn undecodable(error: &dyn std::error::Error) {
        tracing::error!("a wish to read was set aside: {}", error_chain(error));
    }
}
