//! Short text from outside that is carried and shown but never interpreted: bounded, without control characters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A shop's own status word.
pub type StatusText = Text<40>;
/// What people call a product.
pub type NameText = Text<200>;
/// A note to a customer.
pub type NoteText = Text<1_000>;
/// A reason code of our own, such as `no-id`.
pub type Word = Text<40>;

/// The text does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseTextError {
    /// More characters than the field may hold.
    #[error("at most {max} characters are wanted, these are {chars}")]
    TooLong {
        /// How many there are.
        chars: usize,
        /// How many there may be.
        max: usize,
    },
    /// A line break, a tab or another control character.
    #[error("control characters are not wanted")]
    Control,
}

/// At most `MAX` characters, none of them a control character. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(Arc<str>);

impl<const MAX: usize> Text<MAX> {
    /// Makes any text fit: cut after `MAX` characters, control characters replaced by blanks.
    pub fn clipped(text: &str) -> Self {
        let fitting = text.chars().take(MAX);
        Self(fitting.map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = ParseTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let chars = text.chars().count();
        if chars > MAX {
            return Err(ParseTextError::TooLong { chars, max: MAX });
        }
        if text.chars().any(char::is_control) {
            return Err(ParseTextError::Control);
        }
        Ok(Self(text.into()))
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> AsRef<str> for Text<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_text_always_parses() {
        for text in ["", "processing", "a\tb\n", &"ż".repeat(500)] {
            let clipped = StatusText::clipped(text);
            assert_eq!(clipped.as_str().parse::<StatusText>().as_ref(), Ok(&clipped), "{text}");
        }
        assert_eq!(StatusText::clipped("a\tb").as_str(), "a b");
    }

    #[test]
    fn too_much_is_refused() {
        assert_eq!("x".repeat(41).parse::<Word>(), Err(ParseTextError::TooLong { chars: 41, max: 40 }));
        assert_eq!("a\u{7}".parse::<Word>(), Err(ParseTextError::Control));
    }
}
