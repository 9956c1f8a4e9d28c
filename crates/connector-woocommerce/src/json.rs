//! Scalars of WooCommerce's JSON: a quantity may be a number or a string, an id of nothing is 0, a date has no zone.
//! Numbers are taken as text; no float is ever made.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use values::{Quantity, Timestamp};

/// Digits after the point that a quantity has.
const DECIMALS: usize = 3;
/// So many digits after the thousandths that are all 0, or all 9, are what floats leave behind.
const DUST_DIGITS: usize = 6;
/// One digit times ten to the power of minus this is less than half a thousandth.
const NOTHING_EXPONENT: u32 = 5;

/// A field that cannot be what it should be. It names the field and never repeats the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadField {
    /// Not there, or null.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// There, but not what it should be.
    #[error("`{0}` cannot be read")]
    Unreadable(&'static str),
    /// Less than nothing where that makes no sense.
    #[error("`{0}` is negative")]
    Negative(&'static str),
}

/// A list. PHP writes one with a hole in its numbers, as a plugin's filter leaves it, as an object.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(std::marker::PhantomData))
    }
}

struct ListVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut list = Vec::new();
        while let Some((IgnoredAny, item)) = items.next_entry()? {
            list.push(item);
        }
        Ok(List(list))
    }
}

/// The text of a JSON number or string; `None` for anything else.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    match json.bytes().next()? {
        b'"' => {
            let inner = json.get(1..json.len() - 1)?;
            // Few have anything in them that is written otherwise than it is.
            if inner.contains('\\') {
                serde_json::from_str::<String>(json).ok().map(Cow::Owned)
            } else {
                Some(Cow::Borrowed(inner))
            }
        }
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// A string for people or a status word; empty if it is no string.
pub(crate) fn words(raw: Option<&RawValue>) -> String {
    raw.and_then(text).map(Cow::into_owned).unwrap_or_default()
}

/// Whether it is this text.
pub(crate) fn is(raw: Option<&RawValue>, expected: &str) -> bool {
    raw.and_then(text).is_some_and(|text| text == expected)
}

/// A code in its own type; `None` if there is none or it is none.
pub(crate) fn parsed<T: FromStr>(raw: Option<&RawValue>) -> Option<T> {
    text(raw?)?.parse().ok()
}

/// A quantity; `None` if it is absent, null or an empty string.
pub(crate) fn quantity(raw: Option<&RawValue>, field: &'static str) -> Result<Option<Quantity>, BadField> {
    let Some(raw) = raw else { return Ok(None) };
    let text = text(raw).ok_or(BadField::Unreadable(field))?;
    if text.is_empty() {
        return Ok(None);
    }
    rounded(&text).map(Some).ok_or(BadField::Unreadable(field))
}

/// To the nearest thousandth. A shop that sells fractions adds them up as floats, and shows what that leaves behind:
/// `2.2000000000000002`, `5.55e-17`.
fn rounded(text: &str) -> Option<Quantity> {
    if let Some((mantissa, exponent)) = text.split_once(['e', 'E']) {
        // Only what is next to nothing is written so, or is so large that it is none.
        let mantissa: Quantity = rounded(mantissa).filter(|_| !mantissa.contains(['e', 'E']))?;
        let small = exponent.strip_prefix('-')?.parse::<u32>().ok()? >= NOTHING_EXPONENT;
        let one_digit = mantissa.thousandths().unsigned_abs() <= 10_000;
        return (small && one_digit).then_some(Quantity::ZERO);
    }
    let Some((whole, fraction)) = text.split_once('.') else { return text.parse().ok() };
    let Some((kept, rest)) = fraction.split_at_checked(DECIMALS) else { return text.parse().ok() };
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept: Quantity = format!("{whole}.{kept}").parse().ok()?;
    let up = i64::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5'));
    let away = Quantity::from_thousandths(if whole.starts_with('-') { -up } else { up });
    Some(kept + away)
}

/// Whether a quantity has parts smaller than a thousandth that are more than what floats leave behind.
pub(crate) fn is_too_fine(raw: Option<&RawValue>) -> bool {
    let text = raw.and_then(text).unwrap_or_default();
    let rest = text.split_once('.').and_then(|(_, fraction)| fraction.get(DECIMALS..)).unwrap_or_default();
    let digits = rest.split(['e', 'E']).next().unwrap_or_default().as_bytes();
    let begins_with = |digit: u8| digits.iter().take(DUST_DIGITS).all(|other| *other == digit);
    let is_dust = begins_with(b'0') || digits.len() >= DUST_DIGITS && begins_with(b'9');
    !is_dust && !text.contains(['e', 'E'])
}

/// A quantity that may not be less than nothing.
pub(crate) fn amount(raw: Option<&RawValue>, field: &'static str) -> Result<Option<Quantity>, BadField> {
    let quantity = quantity(raw, field)?;
    if quantity.is_some_and(Quantity::is_negative) {
        return Err(BadField::Negative(field));
    }
    Ok(quantity)
}

/// An id in its own type; `None` if it is absent, null or 0.
pub(crate) fn id<T: TryFrom<i64>>(
    raw: Option<&RawValue>,
    field: &'static str,
) -> Result<Option<T>, BadField> {
    let Some(raw) = raw else { return Ok(None) };
    let text = text(raw).ok_or(BadField::Unreadable(field))?;
    match text.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(id) => T::try_from(id).map(Some).map_err(|_| BadField::Unreadable(field)),
        Err(_) => Err(BadField::Unreadable(field)),
    }
}

/// A date that WooCommerce writes in GMT without saying so, as `2026-11-22T03:48:13`.
pub(crate) fn gmt(raw: Option<&RawValue>, field: &'static str) -> Result<Option<Timestamp>, BadField> {
    let Some(raw) = raw else { return Ok(None) };
    let text = text(raw).ok_or(BadField::Unreadable(field))?;
    let civil: DateTime =
        text.strip_suffix('Z').unwrap_or(&text).parse().map_err(|_| BadField::Unreadable(field))?;
    let moment = TimeZone::UTC.to_timestamp(civil).map_err(|_| BadField::Unreadable(field))?;
    Ok(Some(Timestamp::from_seconds(moment.as_second())))
}

/// A moment as WooCommerce takes it in a query, in GMT without saying so: whole seconds, earlier ones of a fraction.
pub(crate) fn to_gmt(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_second(moment.seconds()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use values::{OrderId, Sku};

    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn quantities_are_text_or_numbers_and_never_floats() {
        let read = |json: &str| quantity(Some(&raw(json)), "q").map(|read| read.map(Quantity::thousandths));
        for (json, thousandths) in [
            ("2", Some(2_000)),
            ("\"2\"", Some(2_000)),
            ("2.5", Some(2_500)),
            ("\"-974\"", Some(-974_000)),
            ("0.1", Some(100)),
            ("\"\"", None),
            ("3.000", Some(3_000)),
            ("2.2000000000000002", Some(2_200)),
            ("\"-0.30000000000000004\"", Some(-300)),
            ("0.0001", Some(0)),
            ("0.9995", Some(1_000)),
            ("-1.9999", Some(-2_000)),
            ("5.5511151231258E-17", Some(0)),
            ("-9.9e-5", Some(0)),
        ] {
            assert_eq!(read(json), Ok(thousandths), "{json}");
        }
        for json in [
            "1e309",
            "1.0e+25",
            "1e-4",
            "12e-5",
            "99999999999999999999",
            "true",
            "[1]",
            "{}",
            "\"abc\"",
            "\"1.2345x\"",
            "\"1.-2345\"",
            "\"1e-9e-9\"",
            "\" 2\"",
        ] {
            assert_eq!(read(json), Err(BadField::Unreadable("q")), "{json}");
        }
        assert_eq!(amount(Some(&raw("-1")), "q"), Err(BadField::Negative("q")));
        for json in ["0.3333", "\"1.0005\"", "-2.99951", "1.9999"] {
            assert!(is_too_fine(Some(&raw(json))), "{json}");
        }
        for json in ["2", "0.125", "3.0000", "2.2000000000000002", "1.9999999999999998", "5.55e-17", "true"] {
            assert!(!is_too_fine(Some(&raw(json))), "{json}");
        }
        assert_eq!(quantity(None, "q"), Ok(None));
    }

    #[test]
    fn an_id_of_zero_is_none() {
        let read = |json: &str| id::<OrderId>(Some(&raw(json)), "id").map(|read| read.map(OrderId::get));
        assert_eq!(read("0"), Ok(None));
        assert_eq!(read("\"63\""), Ok(Some(63)));
        assert_eq!(read("63"), Ok(Some(63)));
        for json in ["-1", "1.5", "9223372036854775808", "\"x\"", "[]"] {
            assert_eq!(read(json), Err(BadField::Unreadable("id")), "{json}");
        }
    }

    #[test]
    fn dates_are_gmt_and_go_both_ways() {
        let read = gmt(Some(&raw("\"2026-11-22T03:48:13\"")), "d").unwrap().unwrap();
        assert_eq!(read, Timestamp::from_seconds(1_795_319_293));
        assert_eq!(gmt(Some(&raw("\"2026-11-22T03:48:13Z\"")), "d"), Ok(Some(read)));
        assert_eq!(to_gmt(read), "2026-11-22T03:48:13");
        for json in ["\"yesterday\"", "\"2026-13-22T03:48:13\"", "5", "{}"] {
            assert_eq!(gmt(Some(&raw(json)), "d"), Err(BadField::Unreadable("d")), "{json}");
        }
    }

    #[test]
    fn a_code_that_is_none_is_left_out() {
        assert_eq!(parsed::<Sku>(Some(&raw("\"\""))), None);
        assert_eq!(parsed::<Sku>(Some(&raw("null"))), None);
        assert_eq!(parsed::<Sku>(Some(&raw("\"A\\u0142\""))).unwrap().as_str(), "Ał");
        assert_eq!(words(Some(&raw("\"\\ud800\""))), "", "half a character is no text");
        for same in ["\"_a_b\"", "\"_a\\u005fb\""] {
            assert!(is(Some(&raw(same)), "_a_b"), "{same}");
        }
        for other in ["\"_a_b \"", "\"_a\\\\_b\"", "\"\"", "null", "{}"] {
            assert!(!is(Some(&raw(other)), "_a_b"), "{other}");
        }
    }
}
