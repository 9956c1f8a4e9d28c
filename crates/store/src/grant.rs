//! Shops that are asked to grant keys of their REST API: what waits for them, under a state that only they can repeat, once.

use secrecy::SecretString;
use values::Timestamp;

/// Longest reason of a failure, in characters.
pub(crate) const GRANT_FAILURE_CHARS_MAX: usize = 300;

/// A grant that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its number.
    pub id: i64,
    /// Name the shop is to have.
    pub name: String,
    /// From when on the shop may not repeat the state any more.
    pub expires_at: Timestamp,
    /// When it did.
    pub taken_at: Option<Timestamp>,
    /// What came of it; `None` until then.
    pub ended: Option<GrantEnd>,
}

/// What came of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantEnd {
    /// The shop is there; this task connects it.
    Connected {
        /// The task.
        task: i64,
    },
    /// It could not be added.
    Failed {
        /// Why, in plain words.
        why: String,
    },
}

/// What waited for a shop that has repeated the state.
#[derive(Debug)]
pub struct TakenGrant {
    /// Its number, for [`crate::Store::end_grant`].
    pub id: i64,
    /// What was said of the shop.
    pub content: SecretString,
}
