//! What inventory tells people: one function for each occurrence, which writes the line and moves the metric together.

use std::time::Duration;

use process::metrics::{Counter, Description, Gauge, Histogram, Label, Metric, Metrics};
use store::{ListingOutcome, NewDead, Waiting};
use values::{StockId, Timestamp};

use crate::batch::Summary;

const DECISION: Label = Label {
    name: "decision",
    values: &["applied", "confirmed", "duplicate", "older", "unordered", "unreadable"],
};
const PROOF: Label = Label { name: "proof", values: &["quiet", "unquiet"] };
const EDIT: Label = Label { name: "outcome", values: &["adopted", "refused"] };
const FLOW: Label = Label { name: "message", values: &["level", "read", "shipment"] };
const FAILED: Label = Label { name: "work", values: &["publish", "unsendable", "upkeep"] };
const WHAT: Label = Label {
    name: "what",
    values: &["level", "reread", "parked", "orphaned", "dead", "recompute", "approval"],
};

const ORDERS: Metric<Counter> = Metric::counter(
    "onhand_inventory_orders_total",
    "Messages about orders, by what became of them.",
    &[DECISION],
);
const PROOFS: Metric<Counter> = Metric::counter(
    "onhand_inventory_proofs_total",
    "Stocks shown by shops, by whether it can be trusted.",
    &[PROOF],
);
const EDITS: Metric<Counter> = Metric::counter(
    "onhand_inventory_edits_total",
    "Edits in shops that the ledger was asked to take over, by whether it did.",
    &[EDIT],
);
const LISTINGS: Metric<Counter> =
    Metric::counter("onhand_inventory_listings_total", "Catalogue entries taken in.", &[]);
const MOVEMENTS: Metric<Counter> =
    Metric::counter("onhand_inventory_movements_total", "Movements posted by messages.", &[]);
const DEAD: Metric<Counter> = Metric::counter(
    "onhand_inventory_dead_total",
    "Messages kept because they were given up, by whatever service.",
    &[],
);
const SPLITS: Metric<Counter> = Metric::counter(
    "onhand_inventory_batch_splits_total",
    "Batches that failed and were tried again in two halves.",
    &[],
);
const PAUSES: Metric<Counter> =
    Metric::counter("onhand_inventory_pauses_total", "Times the database could not be used.", &[]);
const PUBLISHED: Metric<Counter> =
    Metric::counter("onhand_inventory_published_total", "Messages published and confirmed.", &[FLOW]);
const BATCH: Metric<Histogram> = Metric::histogram(
    "onhand_inventory_batch_seconds",
    "How long a transaction took that applied a batch or a part of one.",
    &[],
    &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
);
const BATCH_MESSAGES: Metric<Histogram> = Metric::histogram(
    "onhand_inventory_batch_messages",
    "Messages of a transaction that applied a batch or a part of one.",
    &[],
    &[1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0],
);
const FAILURES: Metric<Counter> = Metric::counter(
    "onhand_inventory_failures_total",
    "Work that failed and is tried again; `unsendable` is not.",
    &[FAILED],
);
const WAITING: Metric<Gauge> = Metric::gauge("onhand_inventory_waiting", "What waits.", &[WHAT]);
const OUTBOX_AGE: Metric<Gauge> = Metric::gauge(
    "onhand_inventory_outbox_age_milliseconds",
    "Age of the oldest level that is not published.",
    &[],
);

/// The metrics of inventory.
pub const METRICS: &[Description] = &[
    ORDERS.description(),
    PROOFS.description(),
    EDITS.description(),
    LISTINGS.description(),
    MOVEMENTS.description(),
    DEAD.description(),
    SPLITS.description(),
    PAUSES.description(),
    PUBLISHED.description(),
    FAILURES.description(),
    BATCH.description(),
    BATCH_MESSAGES.description(),
    WAITING.description(),
    OUTBOX_AGE.description(),
    crate::alerts::OPEN.description(),
    crate::alerts::NOTICES.description(),
];

/// Counts and logs.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    orders: Counter,
    proofs: Counter,
    edits: Counter,
    listings: Counter,
    movements: Counter,
    dead: Counter,
    splits: Counter,
    pauses: Counter,
    published: Counter,
    failures: Counter,
    batch: Histogram,
    batch_messages: Histogram,
    waiting: Gauge,
    outbox_age: Gauge,
}

impl Observer {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            orders: metrics.counter(&ORDERS),
            proofs: metrics.counter(&PROOFS),
            edits: metrics.counter(&EDITS),
            listings: metrics.counter(&LISTINGS),
            movements: metrics.counter(&MOVEMENTS),
            dead: metrics.counter(&DEAD),
            splits: metrics.counter(&SPLITS),
            pauses: metrics.counter(&PAUSES),
            published: metrics.counter(&PUBLISHED),
            failures: metrics.counter(&FAILURES),
            batch: metrics.histogram(&BATCH),
            batch_messages: metrics.histogram(&BATCH_MESSAGES),
            waiting: metrics.gauge(&WAITING),
            outbox_age: metrics.gauge(&OUTBOX_AGE),
        }
    }

    pub(crate) fn applied(&self, message_count: usize, took: Duration, summary: &Summary) {
        self.batch.observe(&[], took);
        self.batch_messages.observe_count(&[], message_count);
        self.took_in(summary);
        tracing::debug!(
            messages = message_count,
            movements = summary.movement_count,
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "applied {message_count} messages"
        );
    }

    /// What a transaction did, whatever caused it.
    pub(crate) fn took_in(&self, summary: &Summary) {
        for (word, count) in [
            ("applied", summary.applied_count),
            ("confirmed", summary.confirmed_count),
            ("duplicate", summary.duplicate_count),
            ("older", summary.older_count),
            ("unordered", summary.unordered_count),
            ("unreadable", summary.unreadable_count),
        ] {
            self.orders.add(&[word], count);
        }
        self.proofs.add(&["quiet"], summary.quiet_count);
        self.proofs.add(&["unquiet"], summary.unquiet_count);
        self.edits.add(&["adopted"], summary.adopted_count);
        self.edits.add(&["refused"], summary.refused_count);
        self.listings.add(&[], summary.listing_count);
        self.movements.add(&[], summary.movement_count);
        if summary.opened_count > 0 {
            tracing::info!(
                stocks = summary.opened_count,
                "opened {} SKUs with what shops showed",
                summary.opened_count
            );
        }
        if summary.left_alone_count > 0 {
            tracing::info!(
                stocks = summary.left_alone_count,
                "{} SKUs had stock already; what shops showed was not added to it",
                summary.left_alone_count
            );
        }
        for (seen, outcome) in &summary.told_mappings {
            let (shop, listing) = (seen.shop, seen.listing);
            match outcome {
                ListingOutcome::SkuTaken { by } => tracing::warn!(
                    shop.id = %shop, listing.id = %listing,
                    "listing {listing} of shop {shop} is not mapped: stock {by} of the shop has its SKU"
                ),
                ListingOutcome::Displaced { other } => tracing::warn!(
                    shop.id = %shop, listing.id = %listing,
                    "listing {listing} of shop {shop} has the very code of a SKU that stock {other} of the shop had, whose \
                     code is only like it: that one is its own code from now on"
                ),
                ListingOutcome::Renamed { mapped } => tracing::debug!(
                    shop.id = %shop, listing.id = %listing, sku = %mapped,
                    "listing {listing} of shop {shop} has another SKU now; its stock stays mapped to {mapped}"
                ),
                _ => {}
            }
        }
        for dead in &summary.dead {
            self.buried(dead);
        }
    }

    pub(crate) fn buried(&self, dead: &NewDead) {
        self.dead.increment(&[]);
        tracing::error!(
            shop.id = dead.shop.map(values::ShopId::get), kind = %dead.kind, reason = %dead.reason,
            queue = dead.queue.as_deref(), "a message was given up and is kept; see `onhand parked list`"
        );
    }

    pub(crate) fn not_kept(error: &dyn std::error::Error) {
        tracing::error!(
            "the database refuses to keep a message that was given up, so the transport does: {}",
            process::error_chain(error)
        );
    }

    pub(crate) fn not_handed_back(error: &dyn std::error::Error) {
        tracing::warn!(
            "a message could not be handed back to the service that gave it up: {}",
            process::error_chain(error)
        );
    }

    pub(crate) fn split(&self, message_count: usize, why: &str) {
        self.splits.increment(&[]);
        tracing::warn!(messages = message_count, "a batch failed and is tried again in two halves: {why}");
    }

    pub(crate) fn paused(&self, error: &dyn std::error::Error, wait: Duration) {
        self.pauses.increment(&[]);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(wait_ms, "the database cannot be used now: {}", process::error_chain(error));
    }

    pub(crate) fn published(&self, what: &str, count: usize) {
        self.published.add(&[what], u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn unpublished(&self, error: &dyn std::error::Error, wait: Duration) {
        self.failures.increment(&["publish"]);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(wait_ms, "what changed could not be published: {}", process::error_chain(error));
    }

    pub(crate) fn unsendable(&self, what: &str, error: &dyn std::error::Error) {
        self.failures.increment(&["unsendable"]);
        tracing::error!("{what} is too large to be sent and is skipped: {}", process::error_chain(error));
    }

    pub(crate) fn damaged(&self, stock: StockId, error: &dyn std::error::Error) {
        self.failures.increment(&["publish"]);
        let (shop, stock) = (stock.shop.get(), stock.holder.get());
        tracing::error!(
            shop,
            stock,
            "the level of a stock cannot be published: {}",
            process::error_chain(error)
        );
    }

    pub(crate) fn upkeep_failed(&self, what: &'static str, error: &dyn std::error::Error) {
        self.failures.increment(&["upkeep"]);
        tracing::warn!(upkeep = what, "{what} failed and is tried again: {}", process::error_chain(error));
    }

    pub(crate) fn waiting(&self, waiting: &Waiting, now: Timestamp) {
        for (word, count) in [
            ("level", waiting.outbox_count),
            ("reread", waiting.reread_count),
            ("parked", waiting.parked_count),
            ("orphaned", waiting.orphaned_count),
            ("dead", waiting.dead_count),
            ("recompute", waiting.recompute_count),
            ("approval", waiting.approval_count),
        ] {
            self.waiting.set(&[word], i64::try_from(count).unwrap_or(i64::MAX));
        }
        let age = waiting.outbox_oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
        self.outbox_age.set(&[], i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    }
}
