//! What the code holds to count with.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::declaration::{Label, OTHER};

/// Only grows.
#[derive(Debug, Clone)]
pub struct Counter {
    pub(super) vec: IntCounterVec,
    pub(super) labels: &'static [Label],
}

/// Goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge {
    pub(super) vec: IntGaugeVec,
    pub(super) labels: &'static [Label],
}

/// Counts values by size.
#[derive(Debug, Clone)]
pub struct Histogram {
    pub(super) vec: HistogramVec,
    pub(super) labels: &'static [Label],
}

impl Counter {
    /// `labels` are words in the order of the declaration.
    pub fn add(&self, labels: &[&str], count: u64) {
        self.vec.with_label_values(&declared(self.labels, labels)).inc_by(count);
    }

    pub fn increment(&self, labels: &[&str]) {
        self.add(labels, 1);
    }

    /// The present count, for summaries and tests.
    pub fn value(&self, labels: &[&str]) -> u64 {
        self.vec.with_label_values(&declared(self.labels, labels)).get()
    }
}

impl Gauge {
    pub fn set(&self, labels: &[&str], value: i64) {
        self.vec.with_label_values(&declared(self.labels, labels)).set(value);
    }

    pub fn add(&self, labels: &[&str], difference: i64) {
        self.vec.with_label_values(&declared(self.labels, labels)).add(difference);
    }

    pub fn value(&self, labels: &[&str]) -> i64 {
        self.vec.with_label_values(&declared(self.labels, labels)).get()
    }
}

impl Histogram {
    /// For a metric in seconds.
    pub fn observe(&self, labels: &[&str], duration: Duration) {
        self.vec.with_label_values(&declared(self.labels, labels)).observe(duration.as_secs_f64());
    }

    /// For a metric that is a number of things, such as a batch's size.
    pub fn observe_count(&self, labels: &[&str], count: usize) {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        self.vec.with_label_values(&declared(self.labels, labels)).observe(count);
    }
}

/// The given words, with [`OTHER`] for one that is not declared: a mistake in a label must not make series without
/// end, nor stop the process.
fn declared<'a>(labels: &[Label], given: &[&'a str]) -> Vec<&'a str> {
    assert_eq!(labels.len(), given.len(), "one word for each label");
    let word = |(label, given): (&Label, &&'a str)| {
        if label.values.contains(given) { *given } else { OTHER }
    };
    labels.iter().zip(given).map(word).collect()
}
