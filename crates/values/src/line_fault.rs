//! What is wrong with a line of an order that cannot be read: the line waits alone, the rest of its order counts.

use std::fmt;

/// Why a line of an order cannot be counted. It names what is wrong and never repeats the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineFault {
    /// It is not built as a line is, or wrong in a way this build does not know.
    Unreadable,
    /// There is no quantity, or none that can be read.
    Quantity,
    /// Less than nothing is ordered, as a till says that goods came back.
    Negative,
    /// The quantity has parts smaller than a thousandth.
    TooFine,
    /// What the shop says it took cannot be read.
    Taken,
    /// What the shop says refunds put back cannot be read.
    Restocked,
    /// What was sold cannot be read.
    Product,
}

impl LineFault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unreadable,
        Self::Quantity,
        Self::Negative,
        Self::TooFine,
        Self::Taken,
        Self::Restocked,
        Self::Product,
    ];

    /// As it is stored, sent and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Quantity => "quantity_unreadable",
            Self::Negative => "quantity_negative",
            Self::TooFine => "quantity_too_fine",
            Self::Taken => "taken_unreadable",
            Self::Restocked => "restocked_unreadable",
            Self::Product => "product_unreadable",
        }
    }

    /// The fault of that word; a word of a later version is a line that cannot be read all the same.
    pub fn of_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|fault| fault.as_str() == word).unwrap_or(Self::Unreadable)
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways_and_later_ones_are_faults_too() {
        for fault in LineFault::ALL {
            assert_eq!(LineFault::of_word(fault.as_str()), fault);
        }
        assert_eq!(LineFault::of_word("price_unreadable"), LineFault::Unreadable);
    }
}
