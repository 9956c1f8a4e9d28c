//! Spans of time on the command line, as in `90s`, `30m` or `2h`.

use std::time::Duration;

/// Of a flag.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("{text} is not a span of time; it wants a number and a unit, as in 90s, 30m, 2h or 7d");
    let unit = text.char_indices().next_back().ok_or_else(wrong)?;
    let (number, seconds) = match unit {
        (at, 's') => (text.get(..at), 1),
        (at, 'm') => (text.get(..at), 60),
        (at, 'h') => (text.get(..at), 3_600),
        (at, 'd') => (text.get(..at), 86_400),
        _ => return Err(wrong()),
    };
    let number =
        number.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    if number == 0 { Err(wrong()) } else { Ok(Duration::from_secs(u64::from(number) * seconds)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("30m", 1_800), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "s", "0s", "-1h", "1.5h", "10", "1w", "99999999999d", "1é"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
