//! What of two answers has to agree.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::ids::{Ids, Numbering};

/// Fields whose values are compared. All others (dates, links, keys, texts of a theme, numbers of metas …) only have to
/// be there.
pub const MEANINGFUL: [&str; 32] = [
    "amount",
    "backorders",
    "code",
    "created_via",
    "data",
    "delivery_url",
    "details",
    "event",
    "hooks",
    "id",
    "json_error_code",
    "json_error_message",
    "manage_stock",
    "message",
    "name",
    "param",
    "params",
    "parent_id",
    "payment_method",
    "product_id",
    "quantity",
    "resource",
    "resource_id",
    "sku",
    "status",
    "stock_quantity",
    "stock_status",
    "topic",
    "type",
    "unique_sku",
    "variation_id",
    "variations",
];

/// Fields whose values are compared inside, item by item.
const NESTED: [&str; 6] = ["line_items", "refunds", "create", "update", "delete", "error"];

/// The metas that carry facts; others are notes of themes and plugins.
const FACTS: [&str; 3] = ["_reduced_stock", "_restock_refunded_items", "_refunded_item_id"];

/// How far apart recorded and actual dates may be where both shops lived the same history.
const DATES_APART_MAX_SECONDS: i64 = 2;

/// A place in which two answers do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the answer: `.line_items[0].quantity`, or `status` and a header's name.
    pub at: String,
    /// What was recorded there.
    pub recorded: String,
    /// What the shop said.
    pub found: String,
}

impl Difference {
    pub(super) fn new(
        at: impl Into<String>,
        recorded: &(impl ToString + ?Sized),
        found: &(impl ToString + ?Sized),
    ) -> Self {
        Self { at: at.into(), recorded: recorded.to_string(), found: found.to_string() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: recorded {}, found {}", self.at, self.recorded, self.found)
    }
}

/// What is compared and how closely.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compare<'a> {
    pub(super) ids: &'a Ids,
    /// Both shops lived the same history: quantities, lists and dates have to agree too.
    pub(super) same_history: bool,
    /// The set of fields has to agree.
    pub(super) shape: bool,
}

impl Compare<'_> {
    /// Empty if the answers agree.
    pub(super) fn answers(&self, recorded: &Value, actual: &Value) -> Vec<Difference> {
        let mut differences = Vec::new();
        match (recorded, actual) {
            (Value::Array(_), Value::Array(found)) if !self.same_history => {
                // Who is on the list depends on what happened before; what an item looks like does not.
                let shapes = recorded.get(0).zip(found.first());
                if let Some((recorded, actual)) = shapes {
                    self.fields(recorded, actual, "[0]", &mut differences);
                }
            }
            _ => self.values(recorded, actual, "", Numbering::Thing, &mut differences),
        }
        differences
    }

    fn values(
        &self,
        recorded: &Value,
        actual: &Value,
        at: &str,
        numbering: Numbering,
        to: &mut Vec<Difference>,
    ) {
        match (recorded, actual) {
            (Value::Object(_), Value::Object(_)) => self.objects(recorded, actual, at, numbering, to),
            (Value::Array(wanted), Value::Array(found)) => {
                if wanted.len() != found.len() {
                    let items = |list: &[Value]| format!("{} items", list.len());
                    to.push(Difference::new(at, &items(wanted), &items(found)));
                }
                for (index, (recorded, actual)) in wanted.iter().zip(found).enumerate() {
                    self.values(recorded, actual, &format!("{at}[{index}]"), numbering, to);
                }
            }
            _ if recorded == actual => {}
            _ => to.push(Difference::new(at, recorded, actual)),
        }
    }

    fn objects(
        &self,
        recorded: &Value,
        actual: &Value,
        at: &str,
        numbering: Numbering,
        to: &mut Vec<Difference>,
    ) {
        self.fields(recorded, actual, at, to);
        let numbering = if recorded.get("delivery_url").is_some() { Numbering::Webhook } else { numbering };
        for (name, wanted) in recorded.as_object().into_iter().flatten() {
            let Some(found) = actual.get(name) else { continue };
            let at = format!("{at}.{name}");
            let inner = if name == "line_items" { Numbering::Line } else { Numbering::Thing };
            match name.as_str() {
                "meta_data" => {
                    self.values(&self.facts(wanted, true), &self.facts(found, false), &at, inner, to);
                }
                "data" if recorded.get("code").is_none() => {}
                "stock_quantity" if !self.same_history && wanted.is_number() && found.is_number() => {}
                "date_created_gmt" | "date_modified_gmt" if self.same_history => {
                    dates(wanted, found, &at, to);
                }
                "id" | "product_id" | "variation_id" | "parent_id" | "resource_id" => {
                    let numbering = if name == "id" { numbering } else { Numbering::Thing };
                    let mapped = wanted
                        .as_i64()
                        .map_or_else(|| wanted.clone(), |id| self.ids.map(numbering, id).into());
                    self.values(&mapped, found, &at, numbering, to);
                }
                "variations" => {
                    let ids = wanted.as_array().into_iter().flatten().filter_map(Value::as_i64);
                    let mapped: Vec<Value> =
                        ids.map(|id| self.ids.map(Numbering::Thing, id).into()).collect();
                    self.values(&mapped.into(), found, &at, inner, to);
                }
                name if NESTED.contains(&name) || MEANINGFUL.contains(&name) => {
                    self.values(wanted, found, &at, inner, to);
                }
                _ => {}
            }
        }
    }

    /// Both have the same fields.
    fn fields(&self, recorded: &Value, actual: &Value, at: &str, to: &mut Vec<Difference>) {
        if !self.shape {
            return;
        }
        let names = |value: &Value| -> BTreeSet<String> {
            value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let (wanted, found) = (names(recorded), names(actual));
        for missing in wanted.difference(&found) {
            to.push(Difference::new(format!("{at}.{missing}"), "a field", "none"));
        }
        for surplus in found.difference(&wanted) {
            to.push(Difference::new(format!("{at}.{surplus}"), "no field", "one"));
        }
    }

    /// Key and value of the metas that matter.
    fn facts(&self, metas: &Value, recorded: bool) -> Value {
        let metas = metas.as_array().into_iter().flatten();
        let facts = metas.filter_map(|meta| {
            let key = meta.get("key")?.as_str().filter(|key| FACTS.contains(key))?;
            let value = meta.get("value")?.as_str()?;
            let mapped = value.parse().ok().filter(|_| recorded && key == "_refunded_item_id");
            let value =
                mapped.map_or_else(|| value.to_owned(), |id| self.ids.map(Numbering::Line, id).to_string());
            Some(Value::from(format!("{key}={value}")))
        });
        facts.collect()
    }
}

fn dates(recorded: &Value, actual: &Value, at: &str, to: &mut Vec<Difference>) {
    let seconds = |value: &Value| {
        let civil: jiff::civil::DateTime = value.as_str()?.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let apart =
        seconds(recorded).zip(seconds(actual)).map_or(0, |(recorded, actual)| (recorded - actual).abs());
    if apart > DATES_APART_MAX_SECONDS || recorded.is_null() != actual.is_null() {
        to.push(Difference::new(at, recorded, actual));
    }
}
