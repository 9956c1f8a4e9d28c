//! The page, the labels and the catalogue.

use std::time::Duration;

use super::*;

const OUTCOME: Label = Label { name: "outcome", values: &["applied", "duplicate"] };
const APPLIED: Metric<Counter> = Metric::counter("onhand_test_orders_total", "Orders.", &[OUTCOME]);
const WAITING: Metric<Gauge> = Metric::gauge("onhand_test_waiting", "Waiting.", &[]);
const LAG: Metric<Histogram> = Metric::histogram("onhand_test_lag_seconds", "Lag.", &[], &[0.5, 1.0]);

#[test]
fn the_page_shows_every_series_from_the_start() {
    let metrics = Metrics::new();
    let applied = metrics.counter(&APPLIED);
    metrics.gauge(&WAITING).set(&[], -2);
    metrics.histogram(&LAG).observe(&[], Duration::from_millis(700));
    applied.add(&["applied"], 3);
    let expected = r#"# HELP onhand_test_lag_seconds Lag.
# TYPE onhand_test_lag_seconds histogram
onhand_test_lag_seconds_bucket{le="0.5"} 0
onhand_test_lag_seconds_bucket{le="1"} 1
onhand_test_lag_seconds_bucket{le="+Inf"} 1
onhand_test_lag_seconds_sum 0.7
onhand_test_lag_seconds_count 1
# HELP onhand_test_orders_total Orders.
# TYPE onhand_test_orders_total counter
onhand_test_orders_total{outcome="applied"} 3
onhand_test_orders_total{outcome="duplicate"} 0
# HELP onhand_test_waiting Waiting.
# TYPE onhand_test_waiting gauge
onhand_test_waiting -2
"#;
    assert_eq!(metrics.render(), expected);
}

#[test]
fn a_metric_asked_for_twice_is_the_same() {
    let metrics = Metrics::new();
    metrics.counter(&APPLIED).increment(&["applied"]);
    metrics.clone().counter(&APPLIED).increment(&["applied"]);
    assert_eq!(metrics.counter(&APPLIED).value(&["applied"]), 2);
}

#[test]
fn an_undeclared_word_is_counted_as_other() {
    let applied = Metrics::new().counter(&APPLIED);
    applied.increment(&["shop-1"]);
    applied.increment(&["shop-2"]);
    assert_eq!(applied.value(&[OTHER]), 2);
}

#[test]
fn the_catalogue_names_what_differs() {
    const BAD: Metric<Counter> = Metric::counter("onhand_test_bad", "Bad.", &[]);
    let declared = [APPLIED.description(), WAITING.description(), BAD.description()];
    let page = "| `onhand_test_orders_total` | and `onhand_test_bad` | `onhand_test_gone` | `other` |";
    let expected = [
        "onhand_test_waiting is not listed",
        "onhand_test_gone is listed but no longer exists",
        "onhand_test_bad must start with onhand_ and end with _total if and only if it is a counter",
    ];
    assert_eq!(catalogue_differences(page, &declared), expected);
    assert_eq!(
        catalogue_differences("`onhand_test_waiting`", &[WAITING.description()]),
        Vec::<String>::new()
    );
}
