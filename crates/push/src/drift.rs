//! Whose a difference is, as far as there is evidence, and what a shop wants done about it.

use values::{Quantity, ReadNumber, Timestamp};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        pub enum $name {
            $($(#[$doc])* $variant),+
        }

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its word in storage, API and CLI.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// From its word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }
    };
}

words! {
    /// Whose a difference is. What cannot be told apart has one name.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    DriftClass {
        /// We pushed since the comparison before, so it may be ours: a sale that fell into our call. What somebody changed by
        /// hand in the same time looks the same.
        LostUpdate = "lost_update",
        /// As before, and at least one of those pushes was never answered: it may have arrived or not.
        DoubtfulCall = "doubtful_call",
        /// We pushed nothing; the shop shows more. Somebody raised it.
        EditUp = "edit_up",
        /// We pushed nothing; the shop shows less, and no order tells why. Somebody lowered it.
        EditDown = "edit_down",
        /// We pushed nothing, and the shop did not save the product: an import or SQL. Or many stocks of one read at once.
        BulkEdit = "bulk_edit",
        /// The shop no longer keeps a quantity there.
        Unmanaged = "unmanaged",
        /// So many comparisons proved nothing that somebody should look; what it shows is not certain.
        Unsettled = "unsettled",
    }
}

impl DriftClass {
    /// Somebody else than us changed the stock.
    pub const fn is_an_edit(self) -> bool {
        matches!(self, Self::EditUp | Self::EditDown | Self::BulkEdit)
    }
}

words! {
    /// What is done about a difference.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    DriftAction {
        /// The shop is told the difference to what it should show.
        Corrected = "corrected",
        /// The shop is left as it was set: the units are kept out of it, or in it, whatever its level.
        Withheld = "withheld",
        /// The ledger was asked to take the edit over and has not answered yet.
        Adopting = "adopting",
        /// The edit became one adjustment in the ledger.
        Adopted = "adopted",
        /// Nothing is changed; somebody is told.
        Alerted = "alerted",
        /// Nothing is to be done.
        None = "none",
    }
}

words! {
    /// What a shop wants done about differences.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    DriftPolicy {
        /// The ledger is right: what is too much is lowered again, what somebody took out stays out.
        #[default]
        Correct = "correct",
        /// What people set stays, up or down; only what may be our own doing is put right.
        Withhold = "withhold",
        /// What people set becomes the ledger's, where that is without doubt; else as [`DriftPolicy::Correct`].
        Adopt = "adopt",
        /// No difference is put right, whoever made it: a person decides.
        Alert = "alert",
    }
}

/// A difference between what was shown and what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Whose it is.
    pub class: DriftClass,
    /// What is done about it.
    pub action: DriftAction,
    /// What the shop should have shown.
    pub expected: Quantity,
    /// What it showed.
    pub shown: Quantity,
}

impl Drift {
    /// How much more it showed than it should have.
    pub fn difference(&self) -> Quantity {
        self.shown - self.expected
    }
}

/// An edit that the ledger is asked to take over. Until it answers, the shop is left as it was edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopting {
    /// The read that found it: with the stock, the name of this adoption.
    pub number: ReadNumber,
    /// How much more the shop showed.
    pub difference: Quantity,
    /// When the ledger is to be asked, or asked again, by the hub's clock.
    pub ask_at: Timestamp,
}

/// What is known of a difference when it is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence {
    /// How much more was shown; not zero.
    pub(crate) difference: Quantity,
    /// A push was begun since the comparison before.
    pub(crate) pushed: bool,
    /// One of those was never answered.
    pub(crate) doubted: bool,
    /// The shop's own date of the product at the comparison before, and now.
    pub(crate) dates: (Option<Timestamp>, Option<Timestamp>),
}

impl Evidence {
    /// A shop dates a product whenever it saves it: by its forms, its API and its own sales, but not when an import or SQL
    /// writes the quantity alone.
    pub(crate) fn class(self) -> DriftClass {
        match (self.pushed, self.doubted, self.dates) {
            (true, true, _) => DriftClass::DoubtfulCall,
            (true, false, _) => DriftClass::LostUpdate,
            (false, _, (Some(before), Some(now))) if before == now => DriftClass::BulkEdit,
            (false, ..) if self.difference.is_positive() => DriftClass::EditUp,
            (false, ..) => DriftClass::EditDown,
        }
    }
}

/// What is to be done about a difference, and the units kept out of the shop from then on.
pub(crate) fn decide(
    policy: DriftPolicy,
    class: DriftClass,
    difference: Quantity,
    withheld: Quantity,
) -> (DriftAction, Quantity) {
    // Who puts units back first undoes what was taken out, and the other way round.
    let same_way = difference.is_positive() == withheld.is_positive();
    let undone = if !same_way {
        Quantity::ZERO
    } else if difference.is_positive() {
        difference.min(withheld)
    } else {
        difference.max(withheld)
    };
    let is_undone = undone == difference;
    match policy {
        DriftPolicy::Alert => (DriftAction::Alerted, withheld - difference),
        _ if !class.is_an_edit() => (DriftAction::Corrected, withheld),
        DriftPolicy::Withhold => (DriftAction::Withheld, withheld - difference),
        _ if is_undone => (DriftAction::None, withheld - undone),
        DriftPolicy::Adopt => (DriftAction::Adopting, withheld - undone),
        DriftPolicy::Correct if difference.is_positive() => (DriftAction::Corrected, withheld - undone),
        DriftPolicy::Correct => (DriftAction::Withheld, (withheld - difference).or_zero()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_what_they_name() {
        for class in DriftClass::ALL {
            assert_eq!(DriftClass::from_word(class.as_str()), Some(*class));
        }
        for action in DriftAction::ALL {
            assert_eq!(DriftAction::from_word(action.as_str()), Some(*action));
        }
        for policy in DriftPolicy::ALL {
            assert_eq!(DriftPolicy::from_word(policy.as_str()), Some(*policy));
        }
        assert_eq!(DriftPolicy::from_word("nonsense"), None);
    }

    #[test]
    fn a_class_needs_its_evidence() {
        let at = |seconds| Some(Timestamp::from_seconds(seconds));
        for (difference, pushed, doubted, dates, class) in [
            (3, false, false, (None, None), DriftClass::EditUp),
            (-3, false, false, (at(1), None), DriftClass::EditDown),
            (3, false, false, (at(1), at(2)), DriftClass::EditUp),
            (-3, false, false, (at(1), at(1)), DriftClass::BulkEdit),
            (3, true, false, (at(1), at(1)), DriftClass::LostUpdate),
            (3, true, true, (None, None), DriftClass::DoubtfulCall),
        ] {
            let difference = Quantity::from_units(difference);
            let evidence = Evidence { difference, pushed, doubted, dates };
            assert_eq!(evidence.class(), class, "{evidence:?}");
        }
    }

    #[test]
    fn a_policy_decides_what_is_done_and_what_is_kept_out() {
        use DriftAction::{Adopting, Alerted, Corrected, None, Withheld};
        use DriftPolicy::{Adopt, Alert, Correct, Withhold};
        let (edit, ours) = (DriftClass::EditUp, DriftClass::LostUpdate);
        for (policy, class, difference, before, action, after) in [
            (Correct, edit, 3, 0, Corrected, 0),
            (Correct, edit, -4, 0, Withheld, 4),
            (Correct, edit, 3, 4, None, 1),
            (Correct, edit, 6, 4, Corrected, 0),
            (Correct, edit, -2, -5, None, -3),
            (Correct, edit, -7, -5, Withheld, 2),
            (Correct, ours, -4, 2, Corrected, 2),
            (Withhold, edit, 3, 0, Withheld, -3),
            (Withhold, edit, -3, -3, Withheld, 0),
            (Withhold, ours, 3, 0, Corrected, 0),
            (Adopt, edit, 3, 0, Adopting, 0),
            (Adopt, edit, 3, 2, Adopting, 0),
            (Adopt, edit, -3, 2, Adopting, 2),
            (Adopt, edit, -3, -4, None, -1),
            (Adopt, ours, 3, 0, Corrected, 0),
            (Alert, edit, -3, 0, Alerted, 3),
            (Alert, ours, 3, 0, Alerted, -3),
        ] {
            let units = Quantity::from_units;
            let decided = decide(policy, class, units(difference), units(before));
            assert_eq!(decided, (action, units(after)), "{policy:?} {class:?} {difference} {before}");
        }
    }
}
