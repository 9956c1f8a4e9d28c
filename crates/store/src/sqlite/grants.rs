//! Grants on SQLite: of a state only the hash is stored, and what waits under it is sealed.

use secrecy::{ExposeSecret, SecretString};
use values::Timestamp;

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::grant::{Grant, GrantEnd, TakenGrant};
use crate::rows::registry::{GRANT, GrantColumns, grant, grant_end, taken_grant};
use crate::secret::{NO_SHOP, random_token, token_hash};

const ADD: &str = "
INSERT INTO registry_grants (state_hash, name, sealed, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
RETURNING id";

const FORGET: &str = "DELETE FROM registry_grants WHERE expires_at < ?1";

const OPEN: &str = "
SELECT id, sealed FROM registry_grants WHERE state_hash = ?1 AND taken_at IS NULL AND expires_at > ?2";

const TAKE: &str = "UPDATE registry_grants SET taken_at = ?2, sealed = x'' WHERE id = ?1";

const END: &str = "UPDATE registry_grants SET task = ?2, failure = ?3 WHERE id = ?1";

const READ: &str = "SELECT id, name, expires_at, taken_at, task, failure FROM registry_grants WHERE id = ?1";

impl Sqlite {
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
        let mut tx = self.write().await?;
        sqlx::query(FORGET).bind(forget_before.micros()).execute(&mut *tx).await.map_err(failed(doing))?;
        let id: i64 = sqlx::query_scalar(ADD)
            .bind(token_hash(state.expose_secret()))
            .bind(name)
            .bind(self.key.seal(NO_SHOP, GRANT, content))
            .bind(now.micros())
            .bind(expires_at.micros())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed(doing))?;
        commit(tx).await?;
        Ok((id, state))
    }

    pub(crate) async fn take_grant(&self, state: &str, now: Timestamp) -> Result<Option<TakenGrant>, Error> {
        let doing = "take a grant";
        let mut tx = self.write().await?;
        let found: Option<(i64, Vec<u8>)> = sqlx::query_as(OPEN)
            .bind(token_hash(state))
            .bind(now.micros())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed(doing))?;
        let Some((id, sealed)) = found else { return Ok(None) };
        sqlx::query(TAKE).bind(id).bind(now.micros()).execute(&mut *tx).await.map_err(failed(doing))?;
        commit(tx).await?;
        taken_grant(&self.key, id, &sealed).map(Some)
    }

    pub(crate) async fn end_grant(&self, id: i64, end: &GrantEnd) -> Result<(), Error> {
        let (task, failure) = grant_end(end);
        let mut tx = self.write().await?;
        sqlx::query(END)
            .bind(id)
            .bind(task)
            .bind(failure)
            .execute(&mut *tx)
            .await
            .map_err(failed("end a grant"))?;
        commit(tx).await
    }

    pub(crate) async fn grant(&self, id: i64) -> Result<Option<Grant>, Error> {
        let row: Option<GrantColumns> = sqlx::query_as(READ)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed("read a grant"))?;
        Ok(row.map(grant))
    }
}
