//! Quantities on the command line and in answers: decimal text on the wire, never a float.

use std::str::FromStr;

use serde_json::Value;
use values::Quantity;

/// Of a flag or argument.
pub(crate) fn parse(text: &str) -> Result<Quantity, String> {
    Quantity::from_str(text).map_err(|_| {
        format!("{text} is not a quantity; it wants a number such as 12 or 0.5, with at most three decimals")
    })
}

/// Of an answer; zero if it is not there.
pub(crate) fn of(value: &Value, name: &str) -> Quantity {
    value.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(Quantity::ZERO)
}

/// With its sign, for differences.
pub(crate) fn signed(quantity: Quantity) -> String {
    if quantity.is_positive() { format!("+{quantity}") } else { quantity.to_string() }
}
