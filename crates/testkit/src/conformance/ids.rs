//! Which id of the recorded shop is which of the shop at hand.

use std::collections::BTreeMap;

use serde_json::Value;

/// Orders, products and refunds share one numbering; order lines and webhooks have their own.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    things: BTreeMap<i64, i64>,
    lines: BTreeMap<i64, i64>,
    webhooks: BTreeMap<i64, i64>,
}

/// Whose numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    Thing,
    Line,
    Webhook,
}

impl Ids {
    fn of(&self, numbering: Numbering) -> &BTreeMap<i64, i64> {
        match numbering {
            Numbering::Thing => &self.things,
            Numbering::Line => &self.lines,
            Numbering::Webhook => &self.webhooks,
        }
    }

    /// The id at hand; an unknown one stays what it is.
    pub(super) fn map(&self, numbering: Numbering, recorded: i64) -> i64 {
        self.of(numbering).get(&recorded).copied().unwrap_or(recorded)
    }

    pub(super) fn learn(&mut self, numbering: Numbering, recorded: i64, actual: i64) {
        let map = match numbering {
            Numbering::Thing => &mut self.things,
            Numbering::Line => &mut self.lines,
            Numbering::Webhook => &mut self.webhooks,
        };
        map.insert(recorded, actual);
    }

    /// Learns from the answer to a creation and its recording.
    pub(super) fn learn_from(&mut self, recorded: &Value, actual: &Value) {
        let numbering =
            if recorded.get("delivery_url").is_some() { Numbering::Webhook } else { Numbering::Thing };
        self.learn_pair(numbering, recorded, actual);
        for (name, numbering) in [("line_items", Numbering::Line), ("refunds", Numbering::Thing)] {
            let lists =
                recorded.get(name).and_then(Value::as_array).zip(actual.get(name).and_then(Value::as_array));
            for (recorded, actual) in
                lists.into_iter().flat_map(|(recorded, actual)| recorded.iter().zip(actual))
            {
                self.learn_pair(numbering, recorded, actual);
            }
        }
    }

    fn learn_pair(&mut self, numbering: Numbering, recorded: &Value, actual: &Value) {
        let id = |value: &Value| value.get("id").and_then(Value::as_i64);
        if let Some((recorded, actual)) = id(recorded).zip(id(actual)) {
            self.learn(numbering, recorded, actual);
        }
    }

    /// Path and query with the ids at hand.
    pub(super) fn path(&self, path: &str) -> String {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut before = "";
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let numbering = if before == "webhooks" { Numbering::Webhook } else { Numbering::Thing };
            let mapped = segment.parse().ok().map(|id| self.map(numbering, id).to_string());
            segments.push(mapped.unwrap_or_else(|| segment.to_owned()));
            before = segment;
        }
        let pairs: Vec<String> = query
            .split('&')
            .map(|pair| match pair.strip_prefix("include=") {
                Some(ids) => format!("include={}", self.list(ids)),
                None => pair.to_owned(),
            })
            .collect();
        let query = pairs.join("&");
        if query.is_empty() { segments.join("/") } else { format!("{}?{query}", segments.join("/")) }
    }

    fn list(&self, ids: &str) -> String {
        let ids = ids.split(',').map(|id| match id.parse() {
            Ok(id) => self.map(Numbering::Thing, id).to_string(),
            Err(_) => id.to_owned(),
        });
        ids.collect::<Vec<_>>().join(",")
    }

    /// Numbers in a request that are of nothing known here: they would be somebody else's at the shop at hand.
    pub(super) fn strangers(&self, path: &str, body: Option<&Value>) -> Vec<i64> {
        let mut strangers = Vec::new();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut before = "";
        for segment in path.split('/') {
            let numbering = if before == "webhooks" { Numbering::Webhook } else { Numbering::Thing };
            strangers.extend(segment.parse().ok().filter(|id| !self.knows(numbering, *id)));
            before = segment;
        }
        let included = query.split('&').filter_map(|pair| pair.strip_prefix("include="));
        let included = included.flat_map(|ids| ids.split(',')).filter_map(|id| id.parse().ok());
        strangers.extend(included.filter(|id| !self.knows(Numbering::Thing, *id)));
        if let Some(body) = body {
            self.strangers_in(body, Numbering::Thing, &mut strangers);
        }
        strangers
    }

    fn knows(&self, numbering: Numbering, recorded: i64) -> bool {
        self.of(numbering).contains_key(&recorded)
    }

    fn strangers_in(&self, value: &Value, numbering: Numbering, to: &mut Vec<i64>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.strangers_in(item, numbering, to)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let of = match name.as_str() {
                        "line_items" => Numbering::Line,
                        "product_id" | "variation_id" => Numbering::Thing,
                        "id" | "create" | "update" | "delete" => numbering,
                        _ => continue,
                    };
                    match value.as_i64() {
                        // Zero is nobody's.
                        Some(0) => {}
                        Some(id) if self.knows(of, id) => {}
                        Some(id) => to.push(id),
                        None => self.strangers_in(value, of, to),
                    }
                }
            }
            _ => {}
        }
    }

    /// A request body with the ids at hand.
    pub(super) fn body(&self, body: &mut Value) {
        self.rewrite(body, Numbering::Thing);
    }

    fn rewrite(&self, value: &mut Value, numbering: Numbering) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.rewrite(item, numbering)),
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    match (name.as_str(), value.as_i64()) {
                        ("id", Some(id)) => *value = self.map(numbering, id).into(),
                        ("product_id" | "variation_id", Some(id)) => {
                            *value = self.map(Numbering::Thing, id).into();
                        }
                        ("line_items", _) => self.rewrite(value, Numbering::Line),
                        ("create" | "update" | "delete", _) => self.rewrite(value, numbering),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_are_rewritten() {
        let mut ids = Ids::default();
        ids.learn(Numbering::Thing, 63, 163);
        ids.learn(Numbering::Thing, 1, 101);
        ids.learn(Numbering::Line, 1, 7);
        ids.learn(Numbering::Webhook, 1, 9);
        assert_eq!(ids.path("/wc/v3/orders/63?include=1,2&x=63"), "/wc/v3/orders/163?include=101,2&x=63");
        assert_eq!(ids.path("/wc/v3/webhooks/1"), "/wc/v3/webhooks/9");
        let mut body = json!({"update": [{"id": 63}], "line_items": [{"id": 1, "product_id": 1}]});
        ids.body(&mut body);
        assert_eq!(body, json!({"update": [{"id": 163}], "line_items": [{"id": 7, "product_id": 101}]}));
    }

    #[test]
    fn whoever_is_not_known_is_a_stranger() {
        let mut ids = Ids::default();
        ids.learn(Numbering::Thing, 63, 163);
        ids.learn(Numbering::Line, 1, 7);
        ids.learn(Numbering::Webhook, 1, 9);
        let none: Vec<i64> = Vec::new();
        assert_eq!(ids.strangers("/wp-json/wc/v3/orders/63", None), none);
        assert_eq!(ids.strangers("/wp-json/wc/v3/webhooks/1?force=true", None), none);
        assert_eq!(ids.strangers("/wp-json/wc/v3/webhooks/63", None), [63]);
        assert_eq!(ids.strangers("/wp-json/wc/v3/orders?include=63,64&page=2", None), [64]);
        let known = json!({"line_items": [{"id": 1, "product_id": 63, "quantity": 5}], "stock_quantity": 5});
        assert_eq!(ids.strangers("/wp-json/wc/v3/orders/63", Some(&known)), none);
        let foreign = json!({"update": [{"id": 63}, {"id": 8}], "line_items": [{"id": 63, "product_id": 1}]});
        let mut found = ids.strangers("/wp-json/wc/v3/products/batch", Some(&foreign));
        found.sort_unstable();
        assert_eq!(found, [1, 8, 63]);
    }
}
