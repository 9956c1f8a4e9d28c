//! Work that waits, on PostgreSQL: what a registry change left behind, what expires, what is to be read or decided.

use values::{OrderId, ShopId, Sku, Timestamp};

use super::{PgInventoryTx, Postgres};
use crate::error::Error;
use crate::inventory::{Approval, DeadMessage, Decided};

type OrderKeys = Vec<(ShopId, OrderId)>;

impl PgInventoryTx {
    pub(crate) async fn take_recompute(&mut self, _limit: u32) -> Result<Vec<Sku>, Error> {
        unimplemented!()
    }

    pub(crate) async fn take_resolvable(&mut self, _limit: u32) -> Result<OrderKeys, Error> {
        unimplemented!()
    }

    pub(crate) async fn expired_orders(&mut self, _now: Timestamp, _limit: u32) -> Result<OrderKeys, Error> {
        unimplemented!()
    }

    pub(crate) async fn rereads_to_ask(
        &mut self,
        _now: Timestamp,
        _asked_before: Timestamp,
        _limit: u32,
    ) -> Result<OrderKeys, Error> {
        unimplemented!()
    }

    pub(crate) async fn clear_incomplete(
        &mut self,
        _orders: &[(ShopId, Option<OrderId>)],
    ) -> Result<(), Error> {
        unimplemented!()
    }

    pub(crate) async fn add_approval(
        &mut self,
        _kind: &str,
        _summary: &str,
        _payload: &[u8],
        _now: Timestamp,
    ) -> Result<i64, Error> {
        unimplemented!()
    }

    pub(crate) async fn decide_approval(
        &mut self,
        _number: i64,
        _decided: &Decided,
    ) -> Result<Option<Approval>, Error> {
        unimplemented!()
    }

    pub(crate) async fn take_dead(&mut self, _number: i64) -> Result<Option<DeadMessage>, Error> {
        unimplemented!()
    }

    pub(crate) async fn prune_operations(&mut self, _before: Timestamp, _limit: u32) -> Result<u64, Error> {
        unimplemented!()
    }
}

impl Postgres {
    pub(crate) async fn approvals_waiting(&self, _limit: u32) -> Result<Vec<Approval>, Error> {
        unimplemented!()
    }

    pub(crate) async fn dead_messages(&self, _after: i64, _limit: u32) -> Result<Vec<DeadMessage>, Error> {
        unimplemented!()
    }

    pub(crate) async fn mark_recompute(&self, _skus: &[Sku]) -> Result<(), Error> {
        unimplemented!()
    }
}
