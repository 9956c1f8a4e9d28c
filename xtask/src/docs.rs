//! `cargo xtask docs`: writes the documents that are made from the code.
//!
//! The work is done by the test that otherwise compares them, so that this program need not be built with every
//! service.

use crate::run::run_with;

/// Makes the test write instead of compare.
const UPDATE: (&str, &str) = ("UPDATE_DOCS", "1");

pub(crate) fn run() -> anyhow::Result<()> {
    run_with(&["cargo", "test", "--package", "onhand-tests", "--test", "contract", "documents"], &[UPDATE])
}
