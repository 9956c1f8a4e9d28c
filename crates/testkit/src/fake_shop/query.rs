//! The query of a request as PHP sees it, and the checks WordPress makes of it.

use std::fmt::Write as _;

use values::Timestamp;

use super::dates;
use super::json::Json;
use super::reply::Reply;

/// Most items on a page.
const PER_PAGE_MAX: i64 = 100;

/// Decoded name and value pairs in the order sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self { pairs: pairs.collect() }
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The last one wins, as in PHP.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `name=a,b`, `name[]=a&name[]=b` and `name[0]=a`; empty if it is not there.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let of_name =
            |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
        let values = self.pairs.iter().filter(|(key, _)| of_name(key));
        values
            .flat_map(|(_, value)| value.split(','))
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | "yes"))
    }

    pub(super) fn fields(&self) -> Option<Vec<String>> {
        let fields = self.list("_fields");
        (!fields.is_empty()).then_some(fields)
    }

    pub(super) fn ids(&self, name: &'static str) -> Result<Vec<i64>, Reply> {
        let ids = self.list(name).into_iter().map(|id| id.parse());
        ids.collect::<Result<_, _>>().map_err(|_| Reply::wrong_type(name, "integer"))
    }

    pub(super) fn per_page(&self) -> Result<usize, Reply> {
        let Some(text) = self.get("per_page") else { return Ok(10) };
        let number: i64 = text.parse().map_err(|_| Reply::wrong_type("per_page", "integer"))?;
        if (1..=PER_PAGE_MAX).contains(&number) {
            return Ok(usize::try_from(number).unwrap_or(1));
        }
        let detail = "per_page must be between 1 (inclusive) and 100 (inclusive)";
        Err(Reply::invalid_param("per_page", detail, "rest_out_of_bounds", Json::Null))
    }

    pub(super) fn page(&self) -> Result<usize, Reply> {
        let Some(text) = self.get("page") else { return Ok(1) };
        let number: i64 = text.parse().map_err(|_| Reply::wrong_type("page", "integer"))?;
        let detail = "page must be greater than or equal to 1";
        let page = usize::try_from(number).ok().filter(|page| *page >= 1);
        page.ok_or_else(|| Reply::invalid_param("page", detail, "rest_out_of_bounds", Json::Null))
    }

    /// Whether the list is asked for oldest first.
    pub(super) fn ascending(&self) -> Result<bool, Reply> {
        self.one_of("order", &["asc", "desc"]).map(|order| order == Some("asc"))
    }

    /// A value out of an enumeration; anything else is refused with the list of it.
    pub(super) fn one_of(&self, name: &'static str, allowed: &[&str]) -> Result<Option<&str>, Reply> {
        match self.get(name) {
            Some(value) if !allowed.contains(&value) => Err(not_in_enum(name, name, allowed)),
            value => Ok(value),
        }
    }

    /// A moment: in the shop's local time unless it says otherwise or `dates_are_gmt` is set.
    pub(super) fn moment(
        &self,
        name: &'static str,
        utc_offset_seconds: i64,
    ) -> Result<Option<Timestamp>, Reply> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let offset = if self.flag("dates_are_gmt") { 0 } else { utc_offset_seconds };
        let moment = dates::parse(text, offset);
        let detail = "Invalid date.";
        moment.map(Some).ok_or_else(|| Reply::invalid_param(name, detail, "rest_invalid_date", Json::Null))
    }

    /// The same query with another page, for the `Link` header; keys and secrets in it are repeated, as WooCommerce
    /// does.
    pub(super) fn with_page(&self, page: usize) -> String {
        let others = self.pairs.iter().filter(|(name, _)| name != "page");
        let mut pairs: Vec<String> =
            others.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        pairs.push(format!("page={page}"));
        pairs.join("&")
    }
}

pub(super) fn not_in_enum(param: &'static str, shown: &str, allowed: &[&str]) -> Reply {
    let (last, others) = allowed.split_last().unwrap_or((&"", &[]));
    let detail = format!("{shown} is not one of {}, and {last}.", others.join(", "));
    Reply::invalid_param(param, &detail, "rest_not_in_enum", Json::Null)
}

/// Percent decoding, with `+` as a blank.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let ahead: Vec<u8> = bytes.clone().take(2).collect();
        let hex = (byte == b'%').then(|| std::str::from_utf8(&ahead).ok().and_then(hex_byte)).flatten();
        match (byte, hex) {
            (_, Some(value)) => {
                decoded.push(value);
                bytes.next();
                bytes.next();
            }
            (b'+', None) => decoded.push(b' '),
            (other, None) => decoded.push(other),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_byte(text: &str) -> Option<u8> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u8::from_str_radix(text, 16).ok())
        .flatten()
}

/// RFC 3986: all but letters, digits and `-._~`.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes everything");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_all_three_spellings() {
        let query = Query::parse("status[]=any&status%5B1%5D=trash&include=1,2,%203&x=a+b%21");
        assert_eq!(query.list("status"), ["any", "trash"]);
        assert_eq!(query.ids("include").unwrap(), [1, 2, 3]);
        assert_eq!(query.get("x"), Some("a b!"));
        assert_eq!(encode("a b/ż~"), "a%20b%2F%C5%BC~");
    }

    #[test]
    fn bounds() {
        assert_eq!(Query::parse("").per_page().unwrap(), 10);
        for bad in ["per_page=0", "per_page=101", "per_page=x"] {
            assert_eq!(Query::parse(bad).per_page().unwrap_err().status, 400, "{bad}");
        }
    }
}
