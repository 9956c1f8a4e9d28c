//! Where settings come from: the process environment, or pairs given by a test.

use std::collections::BTreeMap;
use std::fmt;

use super::PREFIX;

/// A copy of all `ONHAND_` variables, taken once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Source {
    values: BTreeMap<String, String>,
    /// Names whose value is not UTF-8.
    not_text: Vec<String>,
}

impl Source {
    /// From the environment of this process.
    pub fn environment() -> Self {
        let mut source = Self::default();
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let variables = std::env::vars_os();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with(PREFIX) {
                continue;
            }
            match value.into_string() {
                Ok(value) => source.set(&name, &value),
                Err(_) => source.not_text.push(name),
            }
        }
        source
    }

    /// From pairs, for tests and for programs that set everything themselves.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut source = Self::default();
        for (name, value) in pairs {
            source.set(name, value);
        }
        source
    }

    /// Overrides one value, as a command line flag does. Blank is the same as absent: compose files and unit files
    /// pass empty variables for what was never set.
    pub fn set(&mut self, name: &str, value: &str) {
        if value.trim().is_empty() {
            self.values.remove(name);
        } else {
            self.values.insert(name.to_owned(), value.trim().to_owned());
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().chain(&self.not_text).map(String::as_str)
    }

    pub(super) fn not_text(&self) -> &[String] {
        &self.not_text
    }
}

impl fmt::Debug for Source {
    /// Names only: some values are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_is_absent_and_values_are_trimmed() {
        let source = Source::from_pairs([("ONHAND_A_B", "  "), ("ONHAND_A_C", " 7\n")]);
        assert_eq!(source.get("ONHAND_A_B"), None);
        assert_eq!(source.get("ONHAND_A_C"), Some("7"));
    }

    #[test]
    fn debug_shows_no_value() {
        let source = Source::from_pairs([("ONHAND_A_KEY", "swordfish")]);
        let shown = format!("{source:?}");
        assert!(shown.contains("ONHAND_A_KEY") && !shown.contains("swordfish"), "{shown}");
    }

    #[test]
    fn the_environment_gives_only_our_names() {
        assert!(Source::environment().names().all(|name| name.starts_with(PREFIX)));
    }
}
