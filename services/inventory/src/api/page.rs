//! Lists in pages: a bounded number of rows, and an opaque cursor to what follows.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// Rows of a page when nothing is said.
const LIMIT_DEFAULT: u32 = 100;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Most rows to answer with, from 1 to 1000; 100 if left out.
    #[param(minimum = 1, maximum = 1000, example = 100)]
    pub(super) limit: Option<u32>,
    /// The `next` of the page before; the first page if left out.
    pub(super) after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T: ToSchema> {
    /// The rows.
    pub(super) items: Vec<T>,
    /// What to ask for as `after` to get the page that follows; `null` at the end.
    pub(super) next: Option<String>,
}

/// The page asked for, checked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Most rows.
    pub(super) limit: u32,
    /// Key of the last row of the page before, in the list's own words.
    pub(super) after: Option<String>,
    list: &'static str,
}

impl PageQuery {
    /// `list` names the list: the cursor of another is refused.
    pub(super) fn of(self, list: &'static str) -> Result<Asked, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=store::PAGE_ROWS_MAX).contains(&limit) {
            return Err(Problem::bad_request(format!(
                "limit is {limit}; it must be from 1 to {}",
                store::PAGE_ROWS_MAX
            )));
        }
        let after = self.after.map(|cursor| open(list, &cursor)).transpose()?;
        Ok(Asked { limit, after, list })
    }
}

impl Asked {
    /// Most rows, to cut a list with.
    pub(super) fn rows(&self) -> usize {
        usize::try_from(self.limit).unwrap_or(usize::MAX)
    }

    /// The key of the last row of the page before, read by `parse`.
    pub(super) fn after<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        self.after.as_deref().map(|key| parse(key).ok_or_else(bad_cursor)).transpose()
    }

    /// A cursor to what follows the row with this key.
    pub(super) fn cursor(&self, key: &str) -> String {
        seal(self.list, key)
    }

    /// The page of these rows, of which `key` names each; there may be more if it is full.
    pub(super) fn page<R, T: ToSchema>(
        &self,
        rows: Vec<R>,
        key: impl FnOnce(&R) -> String,
        item: impl FnMut(R) -> T,
    ) -> Page<T> {
        let full = u32::try_from(rows.len()).unwrap_or(u32::MAX) >= self.limit;
        let next = rows.last().filter(|_| full).map(|row| seal(self.list, &key(row)));
        Page { items: rows.into_iter().map(item).collect(), next }
    }
}

fn seal(list: &str, key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{key}"))
}

fn open(list: &str, cursor: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    let text = String::from_utf8(bytes).map_err(|_| bad_cursor())?;
    let key = text.strip_prefix(list).and_then(|rest| rest.strip_prefix(':')).ok_or_else(bad_cursor)?;
    Ok(key.to_owned())
}

fn bad_cursor() -> Problem {
    Problem::bad_request("`after` is not a `next` of this list; start again without it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(limit: Option<u32>, after: Option<&str>) -> Result<Asked, Problem> {
        PageQuery { limit, after: after.map(str::to_owned) }.of("stock")
    }

    #[test]
    fn a_cursor_leads_on_and_only_in_its_own_list() {
        let first = asked(Some(2), None).unwrap();
        let page = first.page(vec!["a", "ż:b"], |row| (*row).to_owned(), str::to_owned);
        let next = page.next.unwrap();
        assert_eq!(asked(Some(2), Some(&next)).unwrap().after.as_deref(), Some("ż:b"));
        assert_eq!(first.page(vec!["a"], |row| (*row).to_owned(), str::to_owned).next, None);
        assert!(PageQuery { limit: None, after: Some(next) }.of("movements").is_err());
        for wrong in ["", "!", "c3RvY2s", "_w"] {
            assert!(asked(None, Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(asked(None, None).unwrap().limit, LIMIT_DEFAULT);
        assert!(asked(Some(1_000), None).is_ok());
        assert!(asked(Some(0), None).is_err());
        assert!(asked(Some(1_001), None).is_err());
    }
}
