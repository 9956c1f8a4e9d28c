//! What kind of thing a shop sells under one entry of its catalogue: some kinds keep no quantity, and need none.

/// What kind of thing a listing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListingKind {
    /// Sold as it is.
    Simple,
    /// Sold through its variations; it may still keep a stock for those that keep none.
    Parent,
    /// One variation of a parent.
    Variation,
    /// A group, a link to another site, or a kind a plugin adds.
    Other,
}

impl ListingKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Simple, Self::Parent, Self::Variation, Self::Other];

    /// As it is stored, sent and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Parent => "parent",
            Self::Variation => "variation",
            Self::Other => "other",
        }
    }

    /// The kind of that word; a word of a later version is a kind that nothing is known of.
    pub fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back() {
        for kind in ListingKind::ALL {
            assert_eq!(ListingKind::of_word(kind.as_str()), kind);
        }
        assert_eq!(ListingKind::of_word("bundle"), ListingKind::Other);
    }
}
