//! The code of a sellable unit.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest code accepted, in characters. WooCommerce's own look-up table holds 100.
pub const SKU_CHARS_MAX: usize = 100;

/// The text cannot be a SKU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSkuError {
    /// Nothing is left after surrounding blanks are removed.
    #[error("a SKU may not be empty")]
    Empty,
    /// More than [`SKU_CHARS_MAX`] characters.
    #[error("a SKU has at most {SKU_CHARS_MAX} characters, this one has {chars}")]
    TooLong {
        /// How many characters the text has.
        chars: usize,
    },
    /// A line break, a tab or another control character.
    #[error("a SKU may not hold control characters")]
    Control,
}

/// Code of a sellable unit: opaque, case-preserving, compared exactly, cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku(Arc<str>);

impl Sku {
    /// The code as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sku {
    type Err = ParseSkuError;

    /// Surrounding blanks are not part of a code.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.trim();
        if code.is_empty() {
            return Err(ParseSkuError::Empty);
        }
        let chars = code.chars().count();
        if chars > SKU_CHARS_MAX {
            return Err(ParseSkuError::TooLong { chars });
        }
        if code.chars().any(char::is_control) {
            return Err(ParseSkuError::Control);
        }
        Ok(Self(code.into()))
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for Sku {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_opaque_but_bounded() {
        assert_eq!(" Tee-Red m ".parse::<Sku>().unwrap().as_str(), "Tee-Red m");
        assert_eq!("".parse::<Sku>(), Err(ParseSkuError::Empty));
        assert_eq!("a\tb".parse::<Sku>(), Err(ParseSkuError::Control));
        assert!("ż".repeat(SKU_CHARS_MAX).parse::<Sku>().is_ok());
        assert_eq!("x".repeat(101).parse::<Sku>(), Err(ParseSkuError::TooLong { chars: 101 }));
    }
}
