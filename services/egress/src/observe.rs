//! What egress tells of itself: each occurrence is one function that writes the log line and moves the metric.

use std::time::Duration;

use process::metrics::{Counter, Description, Gauge, Histogram, Label, Metric, Metrics};
use push::{Distrust, Settled};
use store::{DriftRow, PushCounts, ReportRow, ReportState};
use values::{ShopId, StockId};

use crate::gate::GateState;
use crate::stock::LevelOutcome;

const LEVELS: Metric<Counter> = Metric::counter(
    "onhand_egress_levels_total",
    "Levels received. Most cost no call: the shop shows what it should already, or a newer one comes first.",
    &[Label { name: "outcome", values: &["fresh", "old"] }],
);
const GIVEN_UP: Metric<Counter> = Metric::counter(
    "onhand_egress_messages_given_up_total",
    "Messages put aside because they cannot be read or applied.",
    &[],
);
const CALLS: Metric<Counter> = Metric::counter(
    "onhand_egress_calls_total",
    "Calls to shops.",
    &[
        Label { name: "kind", values: &["push", "read_back", "probe", "report"] },
        Label { name: "outcome", values: &["answered", "failed", "uncertain"] },
    ],
);
const PUSHES: Metric<Counter> = Metric::counter(
    "onhand_egress_pushes_total",
    "Stocks pushed, by what came of it.",
    &[Label { name: "outcome", values: &["applied", "refused", "unsent", "uncertain"] }],
);
const BATCH: Metric<Histogram> = Metric::histogram(
    "onhand_egress_batch_stocks",
    "Stocks carried by one call.",
    &[],
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 99.0, 100.0],
);
const LAG: Metric<Histogram> = Metric::histogram(
    "onhand_egress_push_lag_seconds",
    "From the level that made a push necessary to the shop's answer.",
    &[],
    &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0],
);
const SETTLES: Metric<Counter> = Metric::counter(
    "onhand_egress_settles_total",
    "Comparisons with proof, by what came of them.",
    &[Label {
        name: "outcome",
        values: &["agreed", "drift", "not_quiet", "push_in_flight", "adopting", "other_epoch", "old"],
    }],
);
const DRIFT: Metric<Counter> = Metric::counter(
    "onhand_egress_drift_total",
    "Differences found by comparisons, by whose they are and what is done about them.",
    &[
        Label {
            name: "class",
            values: &[
                "lost_update",
                "doubtful_call",
                "edit_up",
                "edit_down",
                "bulk_edit",
                "unmanaged",
                "unsettled",
            ],
        },
        Label { name: "action", values: &["corrected", "withheld", "adopting", "alerted", "none"] },
    ],
);
const ASKED: Metric<Counter> =
    Metric::counter("onhand_egress_settles_asked_total", "Stocks for which a comparison was asked for.", &[]);
const STOCKS: Metric<Gauge> = Metric::gauge(
    "onhand_egress_stocks",
    "Stocks that wait to be compared with proof, whose last push is in doubt, or to which nothing can be pushed.",
    &[Label { name: "state", values: &["unsettled", "doubtful", "blocked"] }],
);
const LANES: Metric<Gauge> = Metric::gauge(
    "onhand_egress_lanes",
    "Shops by the state of their breaker; paused is what a shop asked for; refused waits for a person.",
    &[Label { name: "state", values: &["closed", "open", "half_open", "paused", "refused"] }],
);
const LANES_RESTARTED: Metric<Counter> = Metric::counter(
    "onhand_egress_lanes_restarted_total",
    "Lanes that ended by a defect and were started anew.",
    &[],
);
const DATABASE_FAILURES: Metric<Counter> = Metric::counter(
    "onhand_egress_database_failures_total",
    "Calls of the database that failed and are tried again.",
    &[],
);

const BLOCKED: Metric<Counter> = Metric::counter(
    "onhand_egress_stocks_blocked_total",
    "Stocks to which nothing can be pushed until somebody changes something.",
    &[],
);
const BATCHES_HALVED: Metric<Counter> =
    Metric::counter("onhand_egress_batches_halved_total", "Shops that refused a batch for its size.", &[]);
const PUBLISH_FAILURES: Metric<Counter> = Metric::counter(
    "onhand_egress_publish_failures_total",
    "Messages that could not be published and are tried again.",
    &[],
);
const RECOVERED: Metric<Counter> = Metric::counter(
    "onhand_egress_pushes_recovered_total",
    "Pushes that an earlier life left under way; they are read back.",
    &[],
);

const REPORTS: Metric<Counter> = Metric::counter(
    "onhand_egress_reports_total",
    "Answers to what shops are told of shipments: all of it is told, some is left to tell, or it was given up.",
    &[Label { name: "outcome", values: &["told", "waiting", "given_up"] }],
);

/// Every metric of egress.
pub const METRICS: &[Description] = &[
    LEVELS.description(),
    GIVEN_UP.description(),
    CALLS.description(),
    PUSHES.description(),
    BATCH.description(),
    LAG.description(),
    SETTLES.description(),
    DRIFT.description(),
    ASKED.description(),
    STOCKS.description(),
    LANES.description(),
    LANES_RESTARTED.description(),
    DATABASE_FAILURES.description(),
    BLOCKED.description(),
    BATCHES_HALVED.description(),
    PUBLISH_FAILURES.description(),
    RECOVERED.description(),
    REPORTS.description(),
];

/// The handles.
#[derive(Debug, Clone)]
pub(crate) struct Observe {
    levels: Counter,
    given_up: Counter,
    calls: Counter,
    pushes: Counter,
    batch: Histogram,
    lag: Histogram,
    settles: Counter,
    drift: Counter,
    asked: Counter,
    stocks: Gauge,
    lanes: Gauge,
    lanes_restarted: Counter,
    database_failures: Counter,
    blocked: Counter,
    batches_halved: Counter,
    publish_failures: Counter,
    recovered: Counter,
    reports: Counter,
}

impl Observe {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            levels: metrics.counter(&LEVELS),
            given_up: metrics.counter(&GIVEN_UP),
            calls: metrics.counter(&CALLS),
            pushes: metrics.counter(&PUSHES),
            batch: metrics.histogram(&BATCH),
            lag: metrics.histogram(&LAG),
            settles: metrics.counter(&SETTLES),
            drift: metrics.counter(&DRIFT),
            asked: metrics.counter(&ASKED),
            stocks: metrics.gauge(&STOCKS),
            lanes: metrics.gauge(&LANES),
            lanes_restarted: metrics.counter(&LANES_RESTARTED),
            database_failures: metrics.counter(&DATABASE_FAILURES),
            blocked: metrics.counter(&BLOCKED),
            batches_halved: metrics.counter(&BATCHES_HALVED),
            publish_failures: metrics.counter(&PUBLISH_FAILURES),
            recovered: metrics.counter(&RECOVERED),
            reports: metrics.counter(&REPORTS),
        }
    }

    /// A level was taken in.
    pub(crate) fn level(&self, stock: StockId, outcome: &LevelOutcome) {
        self.levels.increment(&[if outcome.fresh { "fresh" } else { "old" }]);
        if outcome.sale_inside_push {
            tracing::debug!(
                shop.id = stock.shop.get(),
                stock = stock.holder.get(),
                "a sale fell into a push"
            );
        }
        match outcome.settled {
            None => {}
            Some(Settled::Trusted(None)) => self.settles.increment(&["agreed"]),
            Some(Settled::Trusted(Some(_))) => self.settles.increment(&["drift"]),
            Some(Settled::Untrusted(distrust)) => self.settles.increment(&[match distrust {
                Distrust::Old => "old",
                Distrust::OtherEpoch => "other_epoch",
                Distrust::NotQuiet => "not_quiet",
                Distrust::PushInFlight => "push_in_flight",
                Distrust::Adopting => "adopting",
            }]),
        }
        if let Some(drift) = &outcome.drift {
            self.drift(drift);
        }
    }

    /// A shop showed something else than it should have, or nothing that can be relied on.
    fn drift(&self, drift: &DriftRow) {
        self.drift.increment(&[drift.class.as_str(), drift.action.as_str()]);
        tracing::warn!(
            shop.id = drift.stock.shop.get(),
            stock = drift.stock.holder.get(),
            class = drift.class.as_str(),
            action = drift.action.as_str(),
            difference = drift.difference().map(tracing::field::display),
            "the shop showed another quantity than it should have"
        );
    }

    /// A message was put aside.
    pub(crate) fn given_up(&self, reason: &str) {
        self.given_up.increment(&[]);
        tracing::error!(reason, "a message was put aside; replay it after the next upgrade");
    }

    /// The database refuses a level by itself.
    pub(crate) fn level_refused(&self, stock: StockId, error: &store::Error) {
        self.database_failures.increment(&[]);
        tracing::error!(
            shop.id = stock.shop.get(),
            stock = stock.holder.get(),
            error = process::error_chain(error),
            "a level cannot be stored; it is tried a few times more, then put aside"
        );
    }

    /// The database failed; what was under way is tried again.
    pub(crate) fn database_failed(&self, doing: &'static str, error: &store::Error) {
        self.database_failures.increment(&[]);
        tracing::warn!(doing, error = process::error_chain(error), "the database failed; it is tried again");
    }

    /// A call ended.
    pub(crate) fn called(
        &self,
        shop: ShopId,
        kind: &'static str,
        outcome: &'static str,
        cause: Option<&'static str>,
        stocks: usize,
    ) {
        self.calls.increment(&[kind, outcome]);
        if let Some(cause) = cause {
            tracing::debug!(shop.id = shop.get(), kind, cause, stocks, "a call failed");
        }
        if kind == "push" {
            self.batch.observe_count(&[], stocks);
        }
    }

    /// A push was answered.
    pub(crate) fn pushed(&self, outcome: &'static str) {
        self.pushes.increment(&[outcome]);
    }

    /// A shop shows what a level said.
    pub(crate) fn lag(&self, lag: Duration) {
        self.lag.observe(&[], lag);
    }

    /// Nothing can be pushed to a stock until somebody changes something.
    pub(crate) fn blocked(&self, stock: StockId, cause: &str) {
        self.blocked.increment(&[]);
        tracing::warn!(
            shop.id = stock.shop.get(),
            stock = stock.holder.get(),
            cause,
            "nothing can be pushed to a stock until somebody changes it in the shop"
        );
    }

    /// The shop takes smaller batches only.
    pub(crate) fn batch_halved(&self, shop: ShopId, size: usize) {
        self.batches_halved.increment(&[]);
        tracing::warn!(
            shop.id = shop.get(),
            size,
            "the shop refuses batches of the usual size; they are smaller now"
        );
    }

    /// Settles were asked for.
    pub(crate) fn asked(&self, shop: ShopId, stocks: usize) {
        self.asked.add(&[], u64::try_from(stocks).unwrap_or(u64::MAX));
        tracing::debug!(shop.id = shop.get(), stocks, "comparisons were asked for");
    }

    /// Settles could not be asked for.
    pub(crate) fn not_asked(&self, shop: ShopId, error: &bus::PublishError) {
        self.publish_failures.increment(&[]);
        tracing::warn!(
            shop.id = shop.get(),
            error = process::error_chain(error),
            "comparisons could not be asked for; it is tried again"
        );
    }

    /// A lane came to another state.
    pub(crate) fn lane(&self, shop: ShopId, from: Option<&'static str>, to: Option<GateState>) {
        if let Some(from) = from {
            self.lanes.add(&[from], -1);
        }
        let Some(to) = to else { return };
        self.lanes.add(&[to.word], 1);
        match (to.word, from) {
            ("closed", None) | ("half_open", _) => {}
            ("closed", Some(_)) => tracing::info!(shop.id = shop.get(), "the shop is called again"),
            (word, _) => {
                tracing::warn!(
                    shop.id = shop.get(),
                    state = word,
                    cause = to.cause,
                    "the shop is left alone"
                );
            }
        }
    }

    /// A lane ended although nobody told it to.
    pub(crate) fn lane_restarted(&self, shop: Option<ShopId>, cause: &str) {
        self.lanes_restarted.increment(&[]);
        tracing::error!(
            shop.id = shop.map(ShopId::get),
            cause,
            "the lane of a shop ended by a defect; it is started anew"
        );
    }

    /// Pushes of an earlier life were found under way.
    pub(crate) fn recovered(&self, shop: ShopId, count: usize) {
        self.recovered.add(&[], u64::try_from(count).unwrap_or(u64::MAX));
        tracing::info!(
            shop.id = shop.get(),
            count,
            "pushes were under way at the last stop; they are read back"
        );
    }

    /// What a shop answered to what it is told of a shipment was stored.
    pub(crate) fn reported(&self, row: &ReportRow) {
        let is = |state| [&row.status, &row.note].into_iter().flatten().any(|part| part.state == state);
        if is(ReportState::GivenUp) && row.due_at.is_none() {
            self.reports.increment(&["given_up"]);
            tracing::warn!(
                shop.id = row.id.shop.get(),
                order = row.id.order.get(),
                shipment = row.id.number,
                problem = row.problem,
                "the shop could not be told of a shipment; see `onhand order show`"
            );
        } else {
            self.reports.increment(&[if is(ReportState::Waiting) { "waiting" } else { "told" }]);
        }
    }

    /// How many stocks need somebody or something.
    pub(crate) fn counts(&self, counts: PushCounts) {
        for (state, count) in
            [("unsettled", counts.unsettled), ("doubtful", counts.doubtful), ("blocked", counts.blocked)]
        {
            self.stocks.set(&[state], i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
