//! Tags of shops: a cost centre, a price list, whatever bookkeeping sorts by. Movements carry those of their time.

use std::collections::BTreeMap;

/// Most tags a shop has.
pub const TAGS_MAX: usize = 32;
/// Longest key of a tag, in characters.
pub const TAG_KEY_CHARS_MAX: usize = 63;
/// Longest value of a tag, in characters.
pub const TAG_VALUE_CHARS_MAX: usize = 200;

/// Tags by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(BTreeMap<String, String>);

/// Why something cannot be a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The key is none.
    #[error("the key of a tag must be 1 to {TAG_KEY_CHARS_MAX} of `A-Z a-z 0-9 - _ .`, not {key:?}")]
    Key {
        /// The key.
        key: String,
    },
    /// The value is none.
    #[error("the value of tag {key:?} must be one line of 1 to {TAG_VALUE_CHARS_MAX} characters")]
    Value {
        /// The key.
        key: String,
    },
    /// There are too many.
    #[error("a shop has at most {TAGS_MAX} tags")]
    TooMany,
}

impl Tags {
    /// Adds a tag, or gives one another value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), TagError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if key.is_empty() || key.len() > TAG_KEY_CHARS_MAX || !key.bytes().all(plain) {
            return Err(TagError::Key { key: key.chars().take(TAG_KEY_CHARS_MAX).collect() });
        }
        let value = value.trim();
        let fits = (1..=TAG_VALUE_CHARS_MAX).contains(&value.chars().count());
        if !fits || value.chars().any(char::is_control) {
            return Err(TagError::Value { key: key.to_owned() });
        }
        if self.0.len() >= TAGS_MAX && !self.0.contains_key(key) {
            return Err(TagError::TooMany);
        }
        self.0.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Takes a tag away; whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        self.0.remove(key).is_some()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// As stored: the same tags are the same text.
    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(&self.0).expect("text always serialises")
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }
}

/// Tags as a shop has or had them, under a number of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSet {
    /// Their number.
    pub id: i64,
    /// The tags.
    pub tags: Tags,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_tag() {
        let mut tags = Tags::default();
        for (key, value, right) in [
            ("cost-centre", "4711", true),
            ("Price.List_2", " gross, € ", true),
            ("", "x", false),
            ("a b", "x", false),
            ("ö", "x", false),
            ("empty", "  ", false),
            ("lines", "a\nb", false),
        ] {
            assert_eq!(tags.set(key, value).is_ok(), right, "{key}={value}");
        }
        assert_eq!(tags.to_text(), r#"{"Price.List_2":"gross, €","cost-centre":"4711"}"#);
        assert_eq!(Tags::from_text(&tags.to_text()), Some(tags.clone()));
        assert!(tags.remove("cost-centre") && !tags.remove("cost-centre"));
    }

    #[test]
    fn there_is_a_bound() {
        let mut tags = Tags::default();
        for number in 0..TAGS_MAX {
            tags.set(&format!("k{number}"), "v").unwrap();
        }
        assert_eq!(tags.set("more", "v"), Err(TagError::TooMany));
        tags.set("k0", "other").unwrap();
        let long = "x".repeat(TAG_KEY_CHARS_MAX + 1);
        assert!(matches!(tags.set(&long, "v"), Err(TagError::Key { .. })));
        let long = "x".repeat(TAG_VALUE_CHARS_MAX + 1);
        assert!(matches!(tags.set("k0", &long), Err(TagError::Value { .. })));
    }
}
