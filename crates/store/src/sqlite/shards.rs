//! Shares of shards on SQLite.

use super::{Sqlite, WriteTx, commit};
use crate::error::{Error, failed};
use crate::rows::json;
use crate::shards::{Shards, shard_count};

const MEMBERS: &str = "SELECT member, until FROM shards_members WHERE service = ?1 AND shard_count = ?2";

const LEASES: &str = "
SELECT shard, member, fence, until FROM shards_leases WHERE service = ?1 AND shard_count = ?2";

const FORGET_MEMBERS: &str = "DELETE FROM shards_members WHERE service = ?1 AND shard_count = ?2";

const SAVE_MEMBERS: &str = "
INSERT INTO shards_members (service, shard_count, member, until)
SELECT ?1, ?2, value ->> 0, value ->> 1 FROM jsonb_each(?3)";

const SAVE_LEASES: &str = "
INSERT INTO shards_leases (service, shard_count, shard, member, fence, until)
SELECT ?1, ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?3) WHERE true
    ON CONFLICT (service, shard_count, shard) DO UPDATE SET
       member = excluded.member, fence = excluded.fence, until = excluded.until";

const COUNT: &str = "SELECT shard_count FROM shards_division";

const SET_COUNT: &str = "
INSERT INTO shards_division (one, shard_count) VALUES (1, ?1)
    ON CONFLICT (one) DO UPDATE SET shard_count = excluded.shard_count";

impl Sqlite {
    pub(crate) async fn shard_count(&self) -> Result<Option<u32>, Error> {
        let count: Option<i64> = sqlx::query_scalar(COUNT)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read the number of shards"))?;
        count.map(shard_count).transpose()
    }

    pub(crate) async fn set_shard_count(&self, count: u32) -> Result<(), Error> {
        let mut tx = self.write().await?;
        sqlx::query(SET_COUNT)
            .bind(count)
            .execute(&mut *tx)
            .await
            .map_err(failed("note the number of shards"))?;
        commit(tx).await
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

async fn load(tx: &mut WriteTx, service: &str, shard_count: u32) -> Result<Shards, Error> {
    let doing = "read who works on which shard";
    let members = sqlx::query_as(MEMBERS)
        .bind(service)
        .bind(shard_count)
        .fetch_all(&mut **tx)
        .await
        .map_err(failed(doing))?;
    let leases = sqlx::query_as(LEASES)
        .bind(service)
        .bind(shard_count)
        .fetch_all(&mut **tx)
        .await
        .map_err(failed(doing))?;
    Shards::load(members, leases)
}

async fn save(tx: &mut WriteTx, service: &str, shard_count: u32, shards: &Shards) -> Result<(), Error> {
    let steps = [
        (FORGET_MEMBERS, None),
        (SAVE_MEMBERS, Some(json(&shards.member_columns()))),
        (SAVE_LEASES, Some(json(&shards.lease_columns()))),
    ];
    for (statement, rows) in steps {
        let mut step = sqlx::query(statement).bind(service).bind(shard_count);
        if let Some(rows) = rows {
            step = step.bind(rows);
        }
        step.execute(&mut **tx).await.map_err(failed("note who works on which shard"))?;
    }
    Ok(())
}
