//! Counters, gauges and histograms with fixed names and bounded labels, shown on `/metrics`.
//!
//! A metric is declared once as a constant and registered where it is used. Labels take only the words of their
//! declaration, so the number of series is known beforehand; shops, SKUs and orders are never labels.

mod catalogue;
mod declaration;
mod handles;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

pub use catalogue::catalogue_differences;
pub use declaration::{Description, Label, Metric, MetricKind, OTHER, SERIES_MAX};
pub use handles::{Counter, Gauge, Histogram};

/// The metrics of one process. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    registry: Registry,
    registered: Mutex<BTreeMap<&'static str, Registered>>,
}

#[derive(Debug, Clone)]
enum Registered {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Metrics {
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of that name; the same one however often it is asked for.
    pub fn counter(&self, metric: &Metric<Counter>) -> Counter {
        let description = metric.description();
        let registered = self.register(description, || {
            let vec = IntCounterVec::new(options(&description), &description.label_names())
                .expect("the declaration was checked");
            for labels in description.series() {
                vec.with_label_values(&labels);
            }
            (Box::new(vec.clone()), Registered::Counter(Counter { vec, labels: description.labels }))
        });
        match registered {
            Registered::Counter(counter) => counter,
            other => unreachable!("{} is already registered as {other:?}", description.name),
        }
    }

    /// As [`Metrics::counter`].
    pub fn gauge(&self, metric: &Metric<Gauge>) -> Gauge {
        let description = metric.description();
        let registered = self.register(description, || {
            let vec = IntGaugeVec::new(options(&description), &description.label_names())
                .expect("the declaration was checked");
            for labels in description.series() {
                vec.with_label_values(&labels);
            }
            (Box::new(vec.clone()), Registered::Gauge(Gauge { vec, labels: description.labels }))
        });
        match registered {
            Registered::Gauge(gauge) => gauge,
            other => unreachable!("{} is already registered as {other:?}", description.name),
        }
    }

    /// As [`Metrics::counter`].
    pub fn histogram(&self, metric: &Metric<Histogram>) -> Histogram {
        let description = metric.description();
        let MetricKind::Histogram(buckets) = description.kind else {
            unreachable!("a histogram is declared with its buckets")
        };
        let registered = self.register(description, || {
            let options = HistogramOpts::from(options(&description)).buckets(buckets.to_vec());
            let vec =
                HistogramVec::new(options, &description.label_names()).expect("the declaration was checked");
            for labels in description.series() {
                vec.with_label_values(&labels);
            }
            (Box::new(vec.clone()), Registered::Histogram(Histogram { vec, labels: description.labels }))
        });
        match registered {
            Registered::Histogram(histogram) => histogram,
            other => unreachable!("{} is already registered as {other:?}", description.name),
        }
    }

    /// The page for Prometheus, in its text format.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.inner.registry.gather()).expect("text goes into a String")
    }

    fn register(
        &self,
        description: Description,
        make: impl FnOnce() -> (Box<dyn prometheus::core::Collector>, Registered),
    ) -> Registered {
        // The map is changed by one insertion, so a panic elsewhere leaves nothing half done.
        let mut registered = self.inner.registered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(existing) = registered.get(description.name) {
            return existing.clone();
        }
        let (collector, handle) = make();
        self.inner.registry.register(collector).expect("names in the map and in the registry are the same");
        registered.insert(description.name, handle.clone());
        handle
    }
}

fn options(description: &Description) -> Opts {
    Opts::new(description.name, description.help)
}

#[cfg(test)]
mod tests;
