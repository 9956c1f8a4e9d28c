//! Why a message was refused, down to the field.

use std::fmt;

use values::{ParseIdError, ParseSkuError};

use crate::text::ParseTextError;

/// The bytes are no message of this build.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The type name is none of ours.
    #[error("{0:?} is not a message type of onhand")]
    UnknownType(String),
    /// A known message in a version made by a newer build. Keep it until this process is upgraded.
    #[error("{name} version {version} is newer than this build; upgrade, then replay it")]
    FutureVersion {
        /// Type name without the version, such as `order.observed`.
        name: &'static str,
        /// The version that was met.
        version: u32,
    },
    /// Not protobuf, or of other types than the schema's.
    #[error("the bytes of {message} are broken")]
    Malformed {
        /// What they should have been.
        message: &'static str,
        /// What the decoder met.
        #[source]
        source: Malformed,
    },
    /// Protobuf, but a field holds what it may not.
    #[error("field {field} of {message} is refused")]
    Field {
        /// The message's type name.
        message: &'static str,
        /// Path to the field, such as `present.lines[2].sku`.
        field: String,
        /// What is wrong with it.
        #[source]
        problem: FieldProblem,
    },
}

/// The message may not be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A list longer than readers accept.
    #[error("field {field} of {message} holds {count} items, at most {max} may be sent; split it")]
    TooMany {
        /// The message's type name.
        message: &'static str,
        /// The list.
        field: &'static str,
        /// How many it holds.
        count: usize,
        /// How many it may hold.
        max: usize,
    },
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblem {
    /// Needed and absent.
    #[error("it is missing")]
    Missing,
    /// Not an identity.
    #[error(transparent)]
    Id(#[from] ParseIdError),
    /// Not a SKU.
    #[error(transparent)]
    Sku(#[from] ParseSkuError),
    /// Text that does not fit.
    #[error(transparent)]
    Text(#[from] ParseTextError),
    /// A list longer than its bound.
    #[error("it holds {count} items, at most {max} are accepted")]
    TooMany {
        /// How many it holds.
        count: usize,
        /// How many it may hold.
        max: usize,
    },
    /// A number that makes no sense there.
    #[error("{0} is out of range")]
    OutOfRange(i64),
    /// Not the 16 bytes of a UUID.
    #[error("it is not a UUID")]
    NotUuid,
}

/// What the protobuf decoder said.
#[derive(Debug, Clone)]
pub struct Malformed(pub(crate) prost::DecodeError);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Malformed {}

/// A problem on its way up, gathering the path to its field.
#[derive(Debug)]
pub(crate) struct FieldError {
    path: String,
    problem: FieldProblem,
}

impl FieldError {
    pub(crate) fn within(mut self, outer: impl fmt::Display) -> Self {
        self.path = format!("{outer}.{}", self.path);
        self
    }

    pub(crate) fn of(self, message: &'static str) -> DecodeError {
        DecodeError::Field { message, field: self.path, problem: self.problem }
    }
}

pub(crate) trait At<T> {
    /// Names the field that is at fault.
    fn at(self, field: &str) -> Result<T, FieldError>;
}

impl<T, E: Into<FieldProblem>> At<T> for Result<T, E> {
    fn at(self, field: &str) -> Result<T, FieldError> {
        self.map_err(|error| FieldError { path: field.to_owned(), problem: error.into() })
    }
}

impl<T> At<T> for Option<T> {
    fn at(self, field: &str) -> Result<T, FieldError> {
        self.ok_or(FieldProblem::Missing).at(field)
    }
}
