//! Tokens of the API on SQLite: only their hashes are stored.

use secrecy::{ExposeSecret, SecretString};
use values::Timestamp;

use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::registry::{ApiToken, Scope, TokenRevoked};
use crate::rows::registry::{TokenColumns, is_use_stale, may_be_revoked, new_token, token};
use crate::secret::token_hash;

impl Sqlite {
    pub(crate) async fn create_token(
        &self,
        name: &str,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(ApiToken, SecretString), Error> {
        let token = new_token();
        let mut tx = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO registry_tokens (name, hash, scope, created_at) VALUES (?1, ?2, ?3, ?4) RETURNING id",
        )
        .bind(name)
        .bind(token_hash(token.expose_secret()))
        .bind(scope.as_str())
        .bind(now.micros())
        .fetch_one(&mut *tx)
        .await
        .map_err(failed("create a token"))?;
        commit(tx).await?;
        let name = name.to_owned();
        Ok((ApiToken { id, name, scope, created_at: now, revoked_at: None, used_at: None }, token))
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<ApiToken>, Error> {
        let rows: Vec<TokenColumns> = sqlx::query_as(
            "SELECT id, name, scope, created_at, revoked_at, used_at FROM registry_tokens ORDER BY id",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed("list tokens"))?;
        rows.into_iter().map(token).collect()
    }

    /// The unrevoked token with this text; its use is written down.
    pub(crate) async fn use_token(&self, text: &str, now: Timestamp) -> Result<Option<ApiToken>, Error> {
        let row: Option<TokenColumns> = sqlx::query_as(
            "SELECT id, name, scope, created_at, revoked_at, used_at FROM registry_tokens
              WHERE hash = ?1 AND revoked_at IS NULL",
        )
        .bind(token_hash(text))
        .fetch_optional(&self.readers)
        .await
        .map_err(failed("look up a token"))?;
        let Some(mut found) = row.map(token).transpose()? else {
            return Ok(None);
        };
        if is_use_stale(&found, now) {
            let mut tx = self.write().await?;
            sqlx::query("UPDATE registry_tokens SET used_at = ?2 WHERE id = ?1")
                .bind(found.id)
                .bind(now.micros())
                .execute(&mut *tx)
                .await
                .map_err(failed("note a token's use"))?;
            commit(tx).await?;
            found.used_at = Some(now);
        }
        Ok(Some(found))
    }

    pub(crate) async fn revoke_token(
        &self,
        id: i64,
        even_the_last: bool,
        now: Timestamp,
    ) -> Result<TokenRevoked, Error> {
        let mut tx = self.write().await?;
        let valid: Vec<(i64, String)> = sqlx::query_as(
            "SELECT id, scope FROM registry_tokens WHERE revoked_at IS NULL AND (id = ?1 OR scope = ?2)",
        )
        .bind(id)
        .bind(Scope::Admin.as_str())
        .fetch_all(&mut *tx)
        .await
        .map_err(failed("look at valid tokens"))?;
        let revoked = may_be_revoked(&valid, id, even_the_last);
        if revoked == TokenRevoked::Done {
            sqlx::query("UPDATE registry_tokens SET revoked_at = ?2 WHERE id = ?1")
                .bind(id)
                .bind(now.micros())
                .execute(&mut *tx)
                .await
                .map_err(failed("revoke a token"))?;
            commit(tx).await?;
        }
        Ok(revoked)
    }
}
