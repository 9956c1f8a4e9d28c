//! How plugins, themes and hosts change what a shop says without changing what it means: order and number of fields, numbers
//! as text and text as numbers, nothing as null, notices around the JSON, headers that are dropped.

use serde_json::Value;

/// What PHP prints before the JSON, where a host shows errors to everybody.
const BEFORE: &str = "<br />\n<b>Deprecated</b>:  Creation of dynamic property WC_Tax::$cache[0] is deprecated in <b>/srv/wp-content/plugins/tax/tax.php</b> on line <b>31</b><br />\n\nWarning: Undefined array key \"{country}\" in /srv/wp-content/themes/shop/functions.php on line 7\n";
/// And after it, at the end of the request.
const AFTER: &str = "\n<br />\n<b>Notice</b>:  ob_end_flush(): failed to send buffer [1] in <b>/srv/wp-includes/functions.php</b> on line <b>5481</b><br />\n";
const BYTE_ORDER_MARK: &str = "\u{feff}\r\n\n";

/// Fields that are nothing where they hold 0 or an empty text.
const MAY_BE_NOTHING: [&str; 6] =
    ["parent_id", "variation_id", "product_id", "sku", "transaction_id", "customer_note"];

/// Metas of plugins, in shapes that WooCommerce itself does not use.
const ODD_METAS: &str = r#"[{"id":1,"key":"_plugin","value":{"rates":[{"qty":"3"},null]}},{"id":null,"key":null,"value":null},{"key":"_reduced","value":["7"]},{"id":3,"value":9},{"id":4,"key":"_restock","value":false,"display_key":"x","display_value":{}}]"#;

/// What is different. All off: as WooCommerce says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each can be on or off, whatever the others are")]
pub struct Dialect {
    /// A byte order mark and blank lines before an answer's JSON.
    pub byte_order_mark: bool,
    /// PHP's notices before and after an answer's JSON.
    pub notices: bool,
    /// Fields in reverse order, with others among them, and with metas in odd shapes.
    pub other_fields: bool,
    /// Numbers are text.
    pub numbers_as_text: bool,
    /// Text that is a whole number is a number.
    pub text_as_numbers: bool,
    /// What is nothing is null.
    pub nothing_as_null: bool,
    /// Lists do not say how long they are, and where they go on.
    pub no_totals: bool,
}

impl Dialect {
    /// One for each difference, and one with all that go together.
    pub fn all() -> Vec<Self> {
        let plain = Self::default();
        vec![
            Self { byte_order_mark: true, ..plain },
            Self { notices: true, ..plain },
            Self { other_fields: true, ..plain },
            Self { numbers_as_text: true, ..plain },
            Self { text_as_numbers: true, ..plain },
            Self { nothing_as_null: true, ..plain },
            Self { no_totals: true, ..plain },
            Self {
                byte_order_mark: true,
                notices: true,
                other_fields: true,
                numbers_as_text: true,
                text_as_numbers: false,
                nothing_as_null: true,
                no_totals: true,
            },
        ]
    }

    /// Whether a header is dropped on the way.
    pub(super) fn drops(self, header: &str) -> bool {
        self.no_totals && matches!(header, "X-WP-Total" | "X-WP-TotalPages" | "Link")
    }

    /// What a webhook's body becomes before it is signed.
    pub(super) fn body(self, text: String) -> String {
        let changes =
            self.other_fields || self.numbers_as_text || self.text_as_numbers || self.nothing_as_null;
        match serde_json::from_str::<Value>(&text) {
            Ok(value) if changes => {
                let mut said = String::with_capacity(text.len() * 2);
                self.say(&value, "", &mut said);
                said
            }
            // Cut short on purpose, or nothing to change.
            _ => text,
        }
    }

    /// What an answer becomes.
    pub(super) fn answer(self, text: String) -> String {
        let body = self.body(text);
        let (mark, before, after) = (
            if self.byte_order_mark { BYTE_ORDER_MARK } else { "" },
            if self.notices { BEFORE } else { "" },
            if self.notices { AFTER } else { "" },
        );
        if mark.is_empty() && before.is_empty() { body } else { format!("{mark}{before}{body}{after}") }
    }

    fn say(self, value: &Value, field: &str, to: &mut String) {
        match value {
            Value::Object(fields) => self.object(fields, to),
            Value::Array(items) => {
                let odd: Vec<Value> = if self.other_fields && field == "meta_data" {
                    serde_json::from_str(ODD_METAS).unwrap_or_default()
                } else {
                    Vec::new()
                };
                to.push('[');
                for (place, item) in odd.iter().chain(items).enumerate() {
                    to.push_str(if place > 0 { ", " } else { "" });
                    self.say(item, "", to);
                }
                to.push(']');
            }
            Value::Number(number) => {
                let is_nothing = self.nothing_as_null && MAY_BE_NOTHING.contains(&field);
                match number.as_i64() {
                    Some(0) if is_nothing => to.push_str("null"),
                    _ if self.numbers_as_text => {
                        to.push('"');
                        to.push_str(&number.to_string());
                        to.push('"');
                    }
                    _ => to.push_str(&number.to_string()),
                }
            }
            Value::String(text)
                if text.is_empty() && self.nothing_as_null && MAY_BE_NOTHING.contains(&field) =>
            {
                to.push_str("null");
            }
            Value::String(text)
                if self.text_as_numbers
                    && text.parse::<i64>().is_ok_and(|number| number.to_string() == *text) =>
            {
                to.push_str(text);
            }
            other => to.push_str(&other.to_string()),
        }
    }

    fn object(self, fields: &serde_json::Map<String, Value>, to: &mut String) {
        to.push('{');
        if self.other_fields {
            to.push_str(r#""zz_plugin":{"id":8,"status":[1,{}],"line_items":null},"#);
        }
        let mut ordered: Vec<(&String, &Value)> = fields.iter().collect();
        if self.other_fields {
            ordered.reverse();
        }
        for (place, (name, value)) in ordered.into_iter().enumerate() {
            to.push_str(if place > 0 { "," } else { "" });
            to.push_str(&Value::from(name.as_str()).to_string());
            to.push(':');
            self.say(value, name, to);
        }
        if self.other_fields {
            to.push_str(if fields.is_empty() { r#""aa_plugin":null"# } else { r#","aa_plugin":null"# });
        }
        to.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_shows() {
        let text = r#"{"id":11,"parent_id":0,"sku":"","stock":"5","meta_data":[]}"#;
        let say = |dialect: Dialect| dialect.answer(text.to_owned());
        assert_eq!(say(Dialect::default()), text);
        for (place, (dialect, shows)) in Dialect::all()
            .into_iter()
            .zip([
                "\u{feff}",
                "on line <b>31</b>",
                "aa_plugin",
                r#""id":"11""#,
                r#""stock":5"#,
                r#""parent_id":null,"sku":null"#,
            ])
            .enumerate()
        {
            assert!(say(dialect).contains(shows), "{place}: {}", say(dialect));
        }
        let all = Dialect::all().pop().unwrap();
        assert!(all.drops("X-WP-Total") && !all.drops("Date"));
        let body: Value = serde_json::from_str(&all.body(text.to_owned())).unwrap();
        assert_eq!((&body["id"], body["meta_data"].as_array().map(Vec::len)), (&Value::from("11"), Some(5)));
        assert_eq!(all.body("{\"id\":".to_owned()), "{\"id\":", "what is cut short stays so");
    }
}
