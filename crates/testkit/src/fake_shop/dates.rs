//! Dates as WooCommerce writes and reads them.

use jiff::civil::DateTime;
use values::Timestamp;

/// `2026-11-22T04:48:10`, in a zone that is `offset_seconds` ahead of UTC.
pub(super) fn civil(moment: Timestamp, offset_seconds: i64) -> String {
    format(moment.seconds() + offset_seconds, "%Y-%m-%dT%H:%M:%S")
}

/// `Sun, 22 Nov 2026 03:48:10 GMT`
pub(super) fn http(moment: Timestamp) -> String {
    format(moment.seconds(), "%a, %d %b %Y %H:%M:%S GMT")
}

fn format(seconds: i64, shape: &str) -> String {
    jiff::Timestamp::from_second(seconds).map(|moment| moment.strftime(shape).to_string()).unwrap_or_default()
}

/// With `Z` or an offset what it says; without one, a zone that is `offset_seconds` ahead of UTC.
pub(super) fn parse(text: &str, offset_seconds: i64) -> Option<Timestamp> {
    if let Ok(moment) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_seconds(moment.as_second()));
    }
    let civil: DateTime = text.parse().ok()?;
    let moment = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_seconds(moment.as_second() - offset_seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let moment = Timestamp::from_seconds(1_795_319_290);
        assert_eq!(civil(moment, 3_600), "2026-11-22T04:48:10");
        assert_eq!(http(moment), "Sun, 22 Nov 2026 03:48:10 GMT");
        for (text, offset) in [
            ("2026-11-22T04:48:10", 3_600),
            ("2026-11-22T03:48:10", 0),
            ("2026-11-22T03:48:10Z", 3_600),
            ("2026-11-22T05:48:10+02:00", 3_600),
            ("2026-11-22 03:48:10", 0),
        ] {
            assert_eq!(parse(text, offset), Some(moment), "{text}");
        }
        assert_eq!(parse("yesterday", 0), None);
    }
}
