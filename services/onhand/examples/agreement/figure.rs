//! Figures as `cargo xtask bench` reads them.

use serde_json::{Value, json};

/// A figure that nothing has to reach.
pub(crate) fn plain(name: &str, unit: &str, value: f64) -> Value {
    json!({ "name": name, "unit": unit, "value": value })
}

/// One that may be at most so much.
pub(crate) fn most(name: &str, unit: &str, value: f64, most: f64) -> Value {
    json!({ "name": name, "unit": unit, "value": value, "most": most })
}

/// One beside what there is, of which nothing may be missing.
pub(crate) fn all(name: &str, unit: &str, value: f64, there_are: f64) -> Value {
    json!({ "name": name, "unit": unit, "value": value, "limit": there_are, "ratio": value / there_are, "least": 1 })
}

/// One beside a limit of the same run, of which it may be at most a part. Where the limit is nothing there is no ratio, and
/// the value itself is judged.
pub(crate) fn beside(name: &str, unit: &str, value: f64, limit: f64, part_most: f64) -> Value {
    if limit > 0.0 {
        json!({ "name": name, "unit": unit, "value": value, "limit": limit, "ratio": value / limit, "most": part_most })
    } else {
        most(name, unit, value, 0.0)
    }
}

/// The middle one, and the least and the greatest in words.
pub(crate) fn middle(what: &str, values: &[i64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    println!("{what}: {values:?}");
    sorted.get(sorted.len() / 2).map_or(0.0, |value| real(*value))
}

/// Counts of a bench are small.
pub(crate) fn real(value: i64) -> f64 {
    i32::try_from(value).map_or(f64::INFINITY, f64::from)
}

/// As [`real`], of things that were counted.
pub(crate) fn count(things: usize) -> f64 {
    i64::try_from(things).map_or(f64::INFINITY, real)
}
