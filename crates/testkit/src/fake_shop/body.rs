//! Values of a request body: as WordPress validates them in single calls, as PHP casts them in batches.

use serde_json::Value;

use super::reply::Reply;

/// What WordPress takes for an integer: 12, 12.0, "12"; not 3.7, "", true.
pub(super) fn integer(value: &Value, param: &'static str) -> Result<i64, Reply> {
    let found = match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(&number.to_string())),
        Value::String(text) => whole(text.trim()),
        _ => None,
    };
    found.ok_or_else(|| Reply::wrong_type(param, "integer"))
}

/// Digits with nothing but zeros after the point.
fn whole(text: &str) -> Option<i64> {
    let (units, fraction) = text.split_once('.').unwrap_or((text, "0"));
    (!fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0')).then(|| units.parse().ok()).flatten()
}

/// PHP's `(int)` of anything: leading number of a text, cut at the point; `None` for null.
pub(super) fn cast(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        Value::Bool(yes) => Some(i64::from(*yes)),
        Value::Number(number) => Some(number.as_i64().unwrap_or_else(|| leading(&number.to_string()))),
        Value::String(text) => Some(leading(text.trim())),
        Value::Array(items) => Some(i64::from(!items.is_empty())),
        Value::Object(fields) => Some(i64::from(!fields.is_empty())),
    }
}

fn leading(text: &str) -> i64 {
    let end = text
        .find(|char: char| !matches!(char, '0'..='9' | '.' | '-' | '+' | 'e' | 'E'))
        .unwrap_or(text.len());
    let mut number = text.get(..end).unwrap_or_default();
    while !number.is_empty() {
        if let Some(value) = scaled(number) {
            return value;
        }
        number = number.get(..number.len() - 1).unwrap_or_default();
    }
    0
}

/// `1e3`, `12.9`, `-5`: the whole part, towards zero.
fn scaled(text: &str) -> Option<i64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: u32 = exponent.parse().ok()?;
    let (units, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut digits = units.to_owned();
    let mut fraction = fraction.chars();
    for _ in 0..exponent.min(18) {
        digits.push(fraction.next().unwrap_or('0'));
    }
    digits.parse().ok()
}

/// `"12.50"` or 12.5 as cents; finer parts are cut.
pub(super) fn cents(value: &Value) -> Option<i64> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let (units, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let negative = units.starts_with('-');
    let units: i64 = units.parse().ok()?;
    let two: String = fraction.chars().chain("00".chars()).take(2).collect();
    let rest: i64 = two.parse().ok()?;
    units.checked_mul(100)?.checked_add(if negative { -rest } else { rest })
}

/// true, "true", 1, "yes"…; the word "parent" is a yes that a variation's management ignores.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::Number(number) => Some(number.as_i64() != Some(0)),
        Value::String(text) => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" | "" | "parent" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn validated() {
        for (value, wanted) in [
            (json!(12), Some(12)),
            (json!("12"), Some(12)),
            (json!(-5), Some(-5)),
            (json!(3.0), Some(3)),
            (json!(3.7), None),
            (json!("12.9"), None),
            (json!("abc"), None),
            (json!(""), None),
            (json!(true), None),
            (json!(99_999_999_999_i64), Some(99_999_999_999)),
        ] {
            assert_eq!(integer(&value, "stock_quantity").ok(), wanted, "{value}");
        }
    }

    #[test]
    fn cast_as_php_does() {
        for (value, wanted) in [
            (json!(3.7), Some(3)),
            (json!("12.9"), Some(12)),
            (json!("abc"), Some(0)),
            (json!(""), Some(0)),
            (json!(" 7 "), Some(7)),
            (json!("1e3"), Some(1_000)),
            (json!(true), Some(1)),
            (json!([1]), Some(1)),
            (json!({"a": 1}), Some(1)),
            (json!(-5), Some(-5)),
            (json!(null), None),
        ] {
            assert_eq!(cast(&value), wanted, "{value}");
        }
    }

    #[test]
    fn money() {
        assert_eq!(cents(&json!("12.50")), Some(1_250));
        assert_eq!(cents(&json!(12.5)), Some(1_250));
        assert_eq!(cents(&json!("29")), Some(2_900));
        assert_eq!(cents(&json!("x")), None);
    }
}
