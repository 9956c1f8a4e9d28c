//! Shares of shards on PostgreSQL: one row for each service is locked by whoever is given his share.

use super::parameters::{all, maybe, none, rows, run, with};
use super::{Postgres, WriteTx, commit};
use crate::error::Error;
use crate::shards::{Shards, shard_count};

const MAKE: &str = "
INSERT INTO shards.services (service, shard_count) VALUES ($1, $2) ON CONFLICT (service, shard_count) DO NOTHING";

const LOCK: &str = "
SELECT service FROM shards.services WHERE service = $1 AND shard_count = $2 FOR UPDATE";

const MEMBERS: &str = "SELECT member, until FROM shards.members WHERE service = $1 AND shard_count = $2";

const LEASES: &str = "
SELECT shard, member, fence, until FROM shards.leases WHERE service = $1 AND shard_count = $2";

const FORGET_MEMBERS: &str = "
DELETE FROM shards.members WHERE service = $1 AND shard_count = $2 AND member <> ALL ($3)";

const SAVE_MEMBERS: &str = "
INSERT INTO shards.members (service, shard_count, member, until)
SELECT $3, $4, w.member, w.until FROM unnest($1::text[], $2::bigint[]) AS w (member, until)
    ON CONFLICT (service, shard_count, member) DO UPDATE SET until = excluded.until";

const SAVE_LEASES: &str = "
INSERT INTO shards.leases (service, shard_count, shard, member, fence, until)
SELECT $5, $6, w.shard, w.member, w.fence, w.until
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS w (shard, member, fence, until)
    ON CONFLICT (service, shard_count, shard) DO UPDATE SET
       member = excluded.member, fence = excluded.fence, until = excluded.until";

const COUNT: &str = "SELECT shard_count FROM shards.division";

const SET_COUNT: &str = "
INSERT INTO shards.division (shard_count) VALUES ($1)
    ON CONFLICT (one) DO UPDATE SET shard_count = excluded.shard_count";

impl Postgres {
    pub(crate) async fn shard_count(&self) -> Result<Option<u32>, Error> {
        let row: Option<(i64,)> = maybe(&self.pool, "read the number of shards", COUNT, none()).await?;
        row.map(|(count,)| shard_count(count)).transpose()
    }

    pub(crate) async fn set_shard_count(&self, count: u32) -> Result<(), Error> {
        run(&self.pool, "note the number of shards", SET_COUNT, with(i64::from(count))).await?;
        Ok(())
    }

    /// Decides on the shards of a service while nobody else does.
    pub(crate) async fn with_shards<T>(
        &self,
        service: &str,
        shard_count: u32,
        decide: impl FnOnce(&mut Shards) -> T,
    ) -> Result<T, Error> {
        let mut tx = self.write().await?;
        let mut shards = load(&mut tx, service, shard_count).await?;
        let decided = decide(&mut shards);
        save(&mut tx, service, shard_count, &shards).await?;
        commit(tx).await?;
        Ok(decided)
    }
}

/// Locked until the end of the transaction.
async fn load(tx: &mut WriteTx, service: &str, shard_count: u32) -> Result<Shards, Error> {
    let doing = "read who works on which shard";
    let of = || with(service).and(i64::from(shard_count));
    run(&mut **tx, doing, MAKE, of()).await?;
    run(&mut **tx, doing, LOCK, of()).await?;
    let members = all(&mut **tx, doing, MEMBERS, of()).await?;
    let leases = all(&mut **tx, doing, LEASES, of()).await?;
    Shards::load(members, leases)
}

async fn save(tx: &mut WriteTx, service: &str, shard_count: u32, shards: &Shards) -> Result<(), Error> {
    let doing = "note who works on which shard";
    let count = i64::from(shard_count);
    let members = shards.member_columns();
    let leases = shards.lease_columns();
    let names: Vec<&str> = members.iter().map(|(member, _)| member.as_str()).collect();
    run(&mut **tx, doing, FORGET_MEMBERS, with(service).and(count).and(names)).await?;
    run(&mut **tx, doing, SAVE_MEMBERS, rows(&members).and(service).and(count)).await?;
    run(&mut **tx, doing, SAVE_LEASES, rows(&leases).and(service).and(count)).await?;
    Ok(())
}
