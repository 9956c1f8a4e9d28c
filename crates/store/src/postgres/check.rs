//! Checks the ledger against itself on PostgreSQL, in one snapshot and in chunks, so that memory stays bounded.

use super::Postgres;
use crate::check::Broken;
use crate::error::Error;

impl Postgres {
    pub(crate) async fn check(&self) -> Result<Vec<Broken>, Error> {
        unimplemented!()
    }
}
