//! What can go wrong with the database, classed by what a caller can do about it.

use sqlx::postgres::PgDatabaseError;

use crate::secret::SecretError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What is being done when a transaction is committed.
pub(crate) const COMMIT: &str = "commit";

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
    /// Another writer held the database for too long, all connections were taken, or the database went away. If it went
    /// away during a commit, that may have been done all the same: what is tried again must bear being done twice.
    #[error("the database was busy or away ({doing}); try again")]
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
    /// The schema is not one that this program can work with.
    #[error("the database has migrations up to {found}, this program needs {needed}; {remedy}")]
    Schema {
        /// The last migration there.
        found: i64,
        /// The one that is needed.
        needed: i64,
        /// What to do.
        remedy: &'static str,
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
            Self::Unusable { .. }
            | Self::Damaged { .. }
            | Self::Migration { .. }
            | Self::Schema { .. }
            | Self::Secret { .. } => Class::Fatal,
        }
    }

    /// Whether it may have been done all the same: what answered last was asked to commit.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Busy { doing, .. } if *doing == COMMIT)
    }

    /// Where another transaction may have added the same row under one of these keys: a row that is there already is no mistake of the
    /// caller's, who finds it when he tries again.
    pub(crate) fn met(self, keys: &[&str]) -> Self {
        match self {
            Self::Constraint { doing, source } if is_double(&source, keys) => Self::Busy { doing, source },
            other => other,
        }
    }

    pub(crate) fn away() -> Self {
        let source = "it was away when the process started, and was not opened since".into();
        Self::Busy { doing: "use the database", source }
    }

    #[expect(clippy::needless_pass_by_value, reason = "numbers, texts and borrowed texts alike")]
    pub(crate) fn damaged(what: &'static str, stored: impl ToString) -> Self {
        Self::Damaged { what, text: stored.to_string() }
    }
}

fn is_double(source: &Cause, keys: &[&str]) -> bool {
    let error = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| {
        error.is_unique_violation() && error.constraint().is_some_and(|key| keys.contains(&key))
    })
}

/// Makes an [`Error`] of what the database said while `doing`.
pub(crate) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| {
        let class = match &error {
            // Only PostgreSQL is at the other end of a connection.
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => Class::Retry,
            sqlx::Error::Database(database) => match database.try_downcast_ref::<PgDatabaseError>() {
                Some(postgres) => class_of_state(postgres.code()),
                None => class_of_sqlite(database.code().as_deref()),
            },
            _ => Class::Fatal,
        };
        let source = Box::new(error);
        match class {
            Class::Retry => Error::Busy { doing, source },
            Class::Constraint => Error::Constraint { doing, source },
            Class::Fatal => Error::Unusable { doing, source },
        }
    }
}

/// `SQLITE_BUSY` and `SQLITE_LOCKED` with their extended forms end in 5 and 6; `SQLITE_CONSTRAINT`, triggers among them, in
/// 19.
fn class_of_sqlite(code: Option<&str>) -> Class {
    match code.and_then(|code| code.parse::<i64>().ok()).map(|code| code & 0xff) {
        Some(5 | 6) => Class::Retry,
        Some(19) => Class::Constraint,
        _ => Class::Fatal,
    }
}

/// By PostgreSQL's SQLSTATE, the first two characters of which are its class.
fn class_of_state(state: &str) -> Class {
    match state {
        // Serialization failure, deadlock, statement whose outcome is unknown.
        "40001" | "40P01" | "40003"
        // Lock not available, or not within the time set for it.
        | "55P03"
        // Canceled, by the time set for a statement or by an operator.
        | "57014"
        // Shut down, crashed, not up yet, idle for too long.
        | "57P01" | "57P02" | "57P03" | "57P05"
        // The transaction was idle for too long.
        | "25P03"
        // It is a standby now: another has taken over.
        | "25006"
        // Too many connections; out of memory, which is of locks as a rule.
        | "53300" | "53200" => Class::Retry,
        _ => match state.get(..2) {
            // The connection.
            Some("08") => Class::Retry,
            // Integrity constraints, triggers of ours among them.
            Some("23") => Class::Constraint,
            _ => Class::Fatal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_postgresql_are_classed() {
        let check = |states: &[&str], class| {
            for state in states {
                assert_eq!(class_of_state(state), class, "{state}");
            }
        };
        check(
            &["40P01", "40001", "55P03", "57014", "57P01", "57P02", "57P03", "08006", "08000"],
            Class::Retry,
        );
        check(&["23505", "23503", "23514", "23000"], Class::Constraint);
        check(&["53100", "42P01", "XX001", "28P01", "3D000", ""], Class::Fatal);
    }

    #[test]
    fn codes_of_sqlite_are_classed() {
        let check = |codes: &[&str], class| {
            for code in codes {
                assert_eq!(class_of_sqlite(Some(code)), class, "{code}");
            }
        };
        check(&["5", "6", "261", "517"], Class::Retry);
        check(&["19", "2067", "1555", "1811"], Class::Constraint);
        check(&["11", "13", "10", "26"], Class::Fatal);
    }
}
