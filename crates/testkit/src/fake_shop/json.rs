//! JSON as PHP writes it: keys in the order given, ASCII only, slashes escaped.

use std::fmt::Write;

/// A JSON value whose objects keep their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// Already JSON: a constant part of a body, or a number with decimals.
    Raw(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

macro_rules! object {
    ($($key:literal : $value:expr),* $(,)?) => {
        $crate::fake_shop::json::Json::Object(vec![$(($key, $crate::fake_shop::json::Json::from($value))),*])
    };
}
pub(super) use object;

impl Json {
    /// A constant, written as PHP would.
    pub(super) fn raw(json: &str) -> Self {
        Self::Raw(json.to_owned())
    }

    pub(super) fn push(&mut self, key: &'static str, value: impl Into<Self>) {
        if let Self::Object(fields) = self {
            fields.push((key, value.into()));
        }
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) {
        match self {
            Self::Null => to.push_str("null"),
            Self::Bool(true) => to.push_str("true"),
            Self::Bool(false) => to.push_str("false"),
            Self::Int(number) => to.push_str(&number.to_string()),
            Self::Raw(json) => to.push_str(json),
            Self::Text(text) => write_text(text, to),
            Self::List(items) => {
                to.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    item.write(to);
                }
                to.push(']');
            }
            Self::Object(fields) => {
                to.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    write_text(key, to);
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
        }
    }

    /// `_fields`: only these, dotted ones inside objects. A list inside an object has no named fields, so nothing of
    /// it is left: that is why the parameter is of no use with batches.
    #[must_use]
    pub(super) fn only(self, fields: &[String]) -> Self {
        match self {
            Self::List(items) => Self::List(items.into_iter().map(|item| item.only(fields)).collect()),
            Self::Object(found) => Self::Object(
                found.into_iter().filter_map(|(key, value)| Some((key, keep(key, value, fields)?))).collect(),
            ),
            other => other,
        }
    }
}

fn keep(key: &str, value: Json, fields: &[String]) -> Option<Json> {
    if fields.iter().any(|field| field == key) {
        return Some(value);
    }
    let inner: Vec<String> = fields
        .iter()
        .filter_map(|field| field.strip_prefix(key)?.strip_prefix('.').map(str::to_owned))
        .collect();
    if inner.is_empty() {
        return None;
    }
    Some(match value {
        Json::Object(_) => value.only(&inner),
        Json::List(_) => Json::List(Vec::new()),
        other => other,
    })
}

fn write_text(text: &str, to: &mut String) {
    to.push('"');
    for char in text.chars() {
        match char {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '/' => to.push_str("\\/"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            ' '..='~' => to.push(char),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(to, "\\u{unit:04x}").expect("a String takes everything");
                }
            }
        }
    }
    to.push('"');
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Json {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u16> for Json {
    fn from(value: u16) -> Self {
        Self::Int(value.into())
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<Json>> for Json {
    fn from(value: Vec<Json>) -> Self {
        Self::List(value)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_php_does() {
        let json =
            object! { "b": "Łódź / \"x\" 🦀\n", "a": vec![Json::Int(-5), Json::Null], "c": Json::raw("6.5") };
        assert_eq!(
            json.to_text(),
            r#"{"b":"\u0141\u00f3d\u017a \/ \"x\" \ud83e\udd80\n","a":[-5,null],"c":6.5}"#
        );
    }

    #[test]
    fn fields() {
        let json =
            object! { "id": 1, "meta": object! { "x": 1, "y": 2 }, "update": vec![object! { "id": 2 }] };
        let only = |fields: &[&str]| {
            json.clone().only(&fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>()).to_text()
        };
        assert_eq!(only(&["id"]), r#"{"id":1}"#);
        assert_eq!(only(&["meta.y"]), r#"{"meta":{"y":2}}"#);
        assert_eq!(only(&["update.id"]), r#"{"update":[]}"#);
    }
}
