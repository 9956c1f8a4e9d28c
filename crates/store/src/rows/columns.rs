//! Rows as parameters of a statement: SQLite is given one text for all of them, PostgreSQL an array for each column, or
//! one row as it is.

use serde::Serialize;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgHasArrayType};
use sqlx::{Arguments as _, Encode, Postgres, Type};

/// A row that either database can be given many of at once. Tuples of numbers, words and truths are.
pub(crate) trait Columns<'q>: Serialize + Sized {
    /// Adds one array for each column, in their order.
    fn add(rows: &[Self], arguments: &mut PgArguments) -> Result<(), BoxDynError>;
}

/// The same, where it is one row alone: a parameter for each column.
pub(crate) trait Row<'q>: Columns<'q> {
    /// Adds them, in the order of the columns.
    fn add_alone(self, arguments: &mut PgArguments) -> Result<(), BoxDynError>;
}

/// Something a column can have.
pub(crate) trait Cell<'q>:
    Clone + Serialize + PgHasArrayType + Type<Postgres> + Encode<'q, Postgres>
{
}

impl<'q, T> Cell<'q> for T where T: Clone + Serialize + PgHasArrayType + Type<Postgres> + Encode<'q, Postgres> {}

/// Adds an array for each of these members of the rows.
macro_rules! add_columns {
    ($rows:expr, $arguments:expr, $($index:tt),+) => {{
        use sqlx::Arguments as _;
        $($arguments.add($rows.iter().map(|row| row.$index.clone()).collect::<Vec<_>>())?;)+
    }};
}
pub(crate) use add_columns;

macro_rules! columns {
    ($($cell:ident $index:tt),+) => {
        impl<'q, $($cell: Cell<'q>),+> Columns<'q> for ($($cell,)+) {
            fn add(rows: &[Self], arguments: &mut PgArguments) -> Result<(), BoxDynError> {
                add_columns!(rows, arguments, $($index),+);
                Ok(())
            }
        }

        impl<'q, $($cell: Cell<'q>),+> Row<'q> for ($($cell,)+) {
            fn add_alone(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
                $(arguments.add(self.$index)?;)+
                Ok(())
            }
        }
    };
}

columns!(A 0);
columns!(A 0, B 1);
columns!(A 0, B 1, C 2);
columns!(A 0, B 1, C 2, D 3);
columns!(A 0, B 1, C 2, D 3, E 4);
columns!(A 0, B 1, C 2, D 3, E 4, F 5);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
columns!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
