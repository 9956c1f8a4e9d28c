//! What a metric is called, says and may be labelled with.

use std::marker::PhantomData;

use super::{Counter, Gauge, Histogram};

/// A metric has at most this many series: the product of its labels' words.
pub const SERIES_MAX: usize = 200;

/// The label value that stands for a word outside the declaration.
pub const OTHER: &str = "other";

/// A metric's declaration, made as a constant. `M` is what registering it gives.
#[derive(Debug)]
pub struct Metric<M> {
    description: Description,
    handle: PhantomData<fn() -> M>,
}

/// What the catalogue and the page say about a metric.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: &'static [Label],
    pub kind: MetricKind,
}

#[derive(Debug, Clone, Copy)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// With the upper ends of its buckets, ascending.
    Histogram(&'static [f64]),
}

/// A label and every word it may take.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    pub name: &'static str,
    pub values: &'static [&'static str],
}

impl Metric<Counter> {
    /// Something that only grows. The name is `onhand_<noun>_<unit>_total`.
    pub const fn counter(name: &'static str, help: &'static str, labels: &'static [Label]) -> Self {
        Self::declare(Description { name, help, labels, kind: MetricKind::Counter })
    }
}

impl Metric<Gauge> {
    /// Something that goes up and down, in whole units.
    pub const fn gauge(name: &'static str, help: &'static str, labels: &'static [Label]) -> Self {
        Self::declare(Description { name, help, labels, kind: MetricKind::Gauge })
    }
}

impl Metric<Histogram> {
    /// How something is distributed over `buckets`.
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
        buckets: &'static [f64],
    ) -> Self {
        assert!(!buckets.is_empty(), "a histogram needs buckets");
        Self::declare(Description { name, help, labels, kind: MetricKind::Histogram(buckets) })
    }
}

impl<M> Metric<M> {
    const fn declare(description: Description) -> Self {
        let (mut series, mut i) = (1, 0);
        while i < description.labels.len() {
            assert!(!description.labels[i].values.is_empty(), "a label needs words");
            series *= description.labels[i].values.len();
            i += 1;
        }
        assert!(series <= SERIES_MAX, "too many combinations of labels");
        Self { description, handle: PhantomData }
    }

    pub const fn description(&self) -> Description {
        self.description
    }
}

impl Description {
    pub(super) fn label_names(&self) -> Vec<&'static str> {
        self.labels.iter().map(|label| label.name).collect()
    }

    /// Every combination of label words: made at registration, so that a rate is right from the first event on.
    pub(super) fn series(&self) -> Vec<Vec<&'static str>> {
        let mut series = vec![Vec::new()];
        for label in self.labels {
            series = series
                .iter()
                .flat_map(|start| label.values.iter().map(|value| [start.as_slice(), &[*value]].concat()))
                .collect();
        }
        series
    }
}
