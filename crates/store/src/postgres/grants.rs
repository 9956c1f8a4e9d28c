//! Grants on PostgreSQL: of a state only the hash is stored, and what waits under it is sealed.

use secrecy::{ExposeSecret, SecretString};
use values::Timestamp;

use super::parameters::{maybe, one, run, with};
use super::{Postgres, commit};
use crate::error::Error;
use crate::grant::{Grant, GrantEnd, TakenGrant};
use crate::rows::registry::{GRANT, GrantColumns, grant, grant_end, taken_grant};
use crate::secret::{NO_SHOP, random_token, token_hash};

const ADD: &str = "
INSERT INTO inventory.grants (state_hash, name, sealed, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
RETURNING id";

const FORGET: &str = "DELETE FROM inventory.grants WHERE expires_at < $1";

/// The row is locked: who comes second finds it taken.
const OPEN: &str = "
SELECT id, sealed FROM inventory.grants
 WHERE state_hash = $1 AND taken_at IS NULL AND expires_at > $2 FOR UPDATE";

const TAKE: &str = "UPDATE inventory.grants SET taken_at = $2, sealed = ''::bytea WHERE id = $1";

const END: &str = "UPDATE inventory.grants SET task = $2, failure = $3 WHERE id = $1";

const READ: &str = "SELECT id, name, expires_at, taken_at, task, failure FROM inventory.grants WHERE id = $1";

impl Postgres {
    pub(crate) async fn create_grant(
        &self,
        name: &str,
        content: &SecretString,
        now: Timestamp,
        expires_at: Timestamp,
        forget_before: Timestamp,
    ) -> Result<(i64, SecretString), Error> {
        let doing = "ask for a grant";
        let state = random_token();
        run(&self.pool, doing, FORGET, with(forget_before.micros())).await?;
        let parameters = with(token_hash(state.expose_secret()))
            .and(name)
            .and(self.key.seal(NO_SHOP, GRANT, content))
            .and(now.micros())
            .and(expires_at.micros());
        let (id,) = one(&self.pool, doing, ADD, parameters).await?;
        Ok((id, state))
    }

    pub(crate) async fn take_grant(&self, state: &str, now: Timestamp) -> Result<Option<TakenGrant>, Error> {
        let doing = "take a grant";
        let mut tx = self.write().await?;
        let parameters = with(token_hash(state)).and(now.micros());
        let found: Option<(i64, Vec<u8>)> = maybe(&mut *tx, doing, OPEN, parameters).await?;
        let Some((id, sealed)) = found else { return Ok(None) };
        run(&mut *tx, doing, TAKE, with(id).and(now.micros())).await?;
        commit(tx).await?;
        taken_grant(&self.key, id, &sealed).map(Some)
    }

    pub(crate) async fn end_grant(&self, id: i64, end: &GrantEnd) -> Result<(), Error> {
        let (task, failure) = grant_end(end);
        run(&self.pool, "end a grant", END, with(id).and(task).and(failure)).await?;
        Ok(())
    }

    pub(crate) async fn grant(&self, id: i64) -> Result<Option<Grant>, Error> {
        let row: Option<GrantColumns> = maybe(&self.pool, "read a grant", READ, with(id)).await?;
        Ok(row.map(grant))
    }
}
