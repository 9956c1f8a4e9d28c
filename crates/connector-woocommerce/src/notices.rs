//! The JSON in an answer, without what hosts put around it: a byte order mark, blank lines, and the notices that PHP prints
//! where errors are shown to everybody.

use serde_json::value::RawValue;

/// Every notice of PHP names the line.
const MARK: &str = "on line";
/// Longest part of a body in which notices are looked for, in bytes.
const NOTICES_BYTES_MAX: usize = 64 * 1024;
/// Most places tried at which the JSON may begin: notices may name array keys, too.
const PLACES_MAX: usize = 200;

/// How a notice begins, with and without HTML.
const BEGINNINGS: [&str; 9] = [
    "<br",
    "<b>",
    "PHP ",
    "Notice",
    "Warning",
    "Deprecated",
    "Strict Standards",
    "Fatal error",
    "Parse error",
];

/// What of a body is to be read. A body that is something else altogether stays as it is, for its error to be told.
pub(crate) fn json_in(body: &str) -> &str {
    let body = body.trim_start_matches('\u{feff}').trim();
    if !body.contains(MARK) {
        return body;
    }
    if body.starts_with(['{', '[']) {
        return alone(body).unwrap_or(body);
    }
    if !is_notice(body) {
        return body;
    }
    let places = body.match_indices(['{', '[']).map(|(place, _)| place);
    let mut places = places.take(PLACES_MAX).take_while(|place| *place < NOTICES_BYTES_MAX);
    places.find_map(|place| alone(body.get(place..)?)).unwrap_or(body)
}

/// The JSON at the beginning of a text, if nothing but notices comes after it.
fn alone(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.next()?.ok()?;
    let (json, rest) = text.split_at_checked(values.byte_offset())?;
    let rest = rest.trim();
    (rest.is_empty() || is_notice(rest)).then_some(json)
}

fn is_notice(text: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) && text.contains(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str =
        "<br />\n<b>Warning</b>:  Undefined array key [0] in <b>/srv/a.php</b> on line <b>7</b><br />\n";
    const PLAIN: &str = "\nDeprecated: Optional parameter {x} before required in /srv/a.php on line 7\n";

    #[test]
    fn notices_are_passed_over_and_nothing_else_is() {
        let json = r#"[{"id":1,"name":"printed on line"}]"#;
        for (before, after) in [
            ("", ""),
            ("\u{feff}\n", "\n"),
            (HTML, ""),
            (PLAIN, HTML),
            ("", PLAIN),
            ("\u{feff}", HTML),
            (HTML, PLAIN),
        ] {
            assert_eq!(json_in(&format!("{before}{json}{after}")), json, "{before:?} {after:?}");
            assert_eq!(json_in(&format!("{before}{HTML}{json}")), json, "{before:?}");
        }
        for strange in [
            "<!DOCTYPE html><p>Read on line</p><script>var a = {\"id\":1}</script></html>",
            "Warning: too many connections",
            "{\"id\":1} {\"id\":2} on line",
            "[{\"id\":1,",
            "",
        ] {
            assert_eq!(json_in(strange), strange);
        }
        let page = format!("{HTML}<html><script>var a = [1];</script></html>");
        assert_eq!(json_in(&page), page.trim(), "no JSON stands alone in it");
    }

    #[test]
    fn how_far_is_looked_is_bounded() {
        let notices = format!("<br />{}on line 1\n", "[ ".repeat(PLACES_MAX));
        let body = format!("{notices}{{}}");
        assert_eq!(json_in(&body), body);
        let long = format!("<br />{}on line 1\n{{}}", "x".repeat(NOTICES_BYTES_MAX));
        assert_eq!(json_in(&long), long);
    }
}
