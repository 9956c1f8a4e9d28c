//! Running a statement: its parameters, and what it answers.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Encode, FromRow, PgExecutor, Postgres, Type};

use crate::error::{Error, failed};
use crate::report::PAGE_ROWS_MAX;
use crate::rows::columns::{Columns, Row};

/// The parameters of one statement, in their order.
#[derive(Debug)]
pub(super) struct Parameters(Result<PgArguments, BoxDynError>);

/// A statement without parameters.
pub(super) fn none() -> Parameters {
    Parameters(Ok(PgArguments::default()))
}

/// One parameter.
pub(super) fn with<'q, T: Encode<'q, Postgres> + Type<Postgres>>(value: T) -> Parameters {
    none().and(value)
}

/// An array for each column of the rows, for `unnest`.
pub(super) fn rows<'q, R: Columns<'q>>(rows: &[R]) -> Parameters {
    let mut arguments = PgArguments::default();
    Parameters(R::add(rows, &mut arguments).map(|()| arguments))
}

/// A parameter for each column of the row.
pub(super) fn row<'q>(row: impl Row<'q>) -> Parameters {
    none().and_row(row)
}

impl Parameters {
    /// One more.
    pub(super) fn and<'q, T: Encode<'q, Postgres> + Type<Postgres>>(self, value: T) -> Self {
        Self(self.0.and_then(|mut arguments| {
            arguments.add(value)?;
            Ok(arguments)
        }))
    }

    /// A parameter for each column of another row.
    pub(super) fn and_row<'q>(self, row: impl Row<'q>) -> Self {
        Self(self.0.and_then(|mut arguments| {
            row.add_alone(&mut arguments)?;
            Ok(arguments)
        }))
    }

    /// An array for each column of more rows.
    pub(super) fn and_rows<'q, R: Columns<'q>>(self, rows: &[R]) -> Self {
        Self(self.0.and_then(|mut arguments| {
            R::add(rows, &mut arguments)?;
            Ok(arguments)
        }))
    }

    fn bound(self, doing: &'static str) -> Result<PgArguments, Error> {
        self.0.map_err(|source| failed(doing)(sqlx::Error::Encode(source)))
    }
}

/// The parameter of a page's limit.
pub(super) fn page(limit: u32) -> i64 {
    i64::from(limit.min(PAGE_ROWS_MAX))
}

/// Runs a statement; how many rows it touched.
pub(super) async fn run<'e>(
    on: impl PgExecutor<'e>,
    doing: &'static str,
    statement: &'static str,
    parameters: Parameters,
) -> Result<u64, Error> {
    let done = sqlx::query_with(statement, parameters.bound(doing)?).execute(on).await;
    Ok(done.map_err(failed(doing))?.rows_affected())
}

/// Every row that a statement answers.
pub(super) async fn all<'e, T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(
    on: impl PgExecutor<'e>,
    doing: &'static str,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Vec<T>, Error> {
    let found = sqlx::query_as_with(statement, parameters.bound(doing)?).fetch_all(on).await;
    found.map_err(failed(doing))
}

/// The row that a statement answers, if it does.
pub(super) async fn maybe<'e, T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(
    on: impl PgExecutor<'e>,
    doing: &'static str,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Option<T>, Error> {
    let found = sqlx::query_as_with(statement, parameters.bound(doing)?).fetch_optional(on).await;
    found.map_err(failed(doing))
}

/// The row that a statement always answers.
pub(super) async fn one<'e, T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(
    on: impl PgExecutor<'e>,
    doing: &'static str,
    statement: &'static str,
    parameters: Parameters,
) -> Result<T, Error> {
    let found = sqlx::query_as_with(statement, parameters.bound(doing)?).fetch_one(on).await;
    found.map_err(failed(doing))
}
