//! What can go wrong with the database, classed by what a caller can do about it.

use crate::secret::SecretError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing was done; the same call may succeed later.
    Retry,
    /// The data contradict each other: the call is wrong, repeating it is of no use.
    Constraint,
    /// The database or its content is damaged or unusable: somebody must act.
    Fatal,
}

/// A call of the store failed. Nothing it was to do was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another writer held the database for too long, or all connections were taken.
    #[error("the database was busy, nothing was done ({doing}); try again")]
    Busy {
        /// What was being done.
        doing: &'static str,
        /// The database's own words.
        #[source]
        source: Cause,
    },
    /// A rule of the schema forbids it.
    #[error("the database's own rules forbid it ({doing})")]
    Constraint {
        /// What was being done.
        doing: &'static str,
        /// The database's own words.
        #[source]
        source: Cause,
    },
    /// The database cannot be used: disk full, file damaged, no permission.
    #[error("the database cannot be used ({doing}); look at its disk and permissions")]
    Unusable {
        /// What was being done.
        doing: &'static str,
        /// The database's own words.
        #[source]
        source: Cause,
    },
    /// A stored row cannot be what this program wrote.
    #[error("a stored {what} cannot be read: {text:?}; restore the database or run `onhand check`")]
    Damaged {
        /// What it was read as.
        what: &'static str,
        /// What is stored.
        text: String,
    },
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date; was it written by a newer version?")]
    Migration {
        /// The migrator's own words.
        #[source]
        source: Cause,
    },
    /// A secret could not be sealed or opened.
    #[error("a secret of shop {shop} cannot be used")]
    Secret {
        /// Whose.
        shop: i64,
        /// Why.
        #[source]
        source: SecretError,
    },
}

impl Error {
    /// What can be done about it.
    pub const fn class(&self) -> Class {
        match self {
            Self::Busy { .. } => Class::Retry,
            Self::Constraint { .. } => Class::Constraint,
            Self::Unusable { .. } | Self::Damaged { .. } | Self::Migration { .. } | Self::Secret { .. } => {
                Class::Fatal
            }
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers, texts and borrowed texts alike")]
    pub(crate) fn damaged(what: &'static str, stored: impl ToString) -> Self {
        Self::Damaged { what, text: stored.to_string() }
    }
}

/// Makes an [`Error`] of what the database said while `doing`.
pub(crate) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| {
        let busy = match &error {
            sqlx::Error::PoolTimedOut => true,
            // SQLITE_BUSY and SQLITE_LOCKED with their extended forms end in 5 and 6.
            sqlx::Error::Database(database) => database
                .code()
                .and_then(|code| code.parse::<i64>().ok())
                .is_some_and(|code| matches!(code & 0xff, 5 | 6)),
            _ => false,
        };
        let constraint = match &error {
            sqlx::Error::Database(database) => {
                database.is_unique_violation()
                    || database.is_foreign_key_violation()
                    || database.is_check_violation()
                    // SQLITE_CONSTRAINT with its extended forms, triggers among them, ends in 19.
                    || database
                        .code()
                        .and_then(|code| code.parse::<i64>().ok())
                        .is_some_and(|code| code & 0xff == 19)
            }
            _ => false,
        };
        let source = Box::new(error);
        if busy {
            Error::Busy { doing, source }
        } else if constraint {
            Error::Constraint { doing, source }
        } else {
            Error::Unusable { doing, source }
        }
    }
}
