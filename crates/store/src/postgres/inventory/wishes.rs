//! What inventory wants to be read again, and what makes a shop's picture incomplete, on PostgreSQL.

use values::{OrderId, ShopId, Timestamp};

use super::super::Postgres;
use super::PgInventoryTx;
use crate::error::Error;
use crate::inventory::{Incomplete, Wish};

impl PgInventoryTx {
    pub(crate) async fn wish(&mut self, _wishes: &[Wish], _now: Timestamp) -> Result<(), Error> {
        unimplemented!()
    }

    pub(crate) async fn overdue_orders(
        &mut self,
        _before: Timestamp,
        _after: Option<(ShopId, OrderId)>,
        _limit: u32,
    ) -> Result<Vec<(ShopId, OrderId)>, Error> {
        unimplemented!()
    }

    pub(crate) async fn incomplete_marks(&mut self, _shops: &[ShopId]) -> Result<Vec<Incomplete>, Error> {
        unimplemented!()
    }

    pub(crate) async fn clear_marks(&mut self, _marks: &[Incomplete]) -> Result<(), Error> {
        unimplemented!()
    }
}

impl Postgres {
    pub(crate) async fn wishes(&self, _limit: u32) -> Result<Vec<(Wish, Timestamp)>, Error> {
        unimplemented!()
    }

    pub(crate) async fn wishes_done(&self, _wishes: &[(Wish, Timestamp)]) -> Result<(), Error> {
        unimplemented!()
    }
}
