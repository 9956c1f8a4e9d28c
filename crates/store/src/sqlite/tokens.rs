//! Tokens of the API on SQLite: only their hashes are stored.

use secrecy::{ExposeSecret, SecretString};
use values::{MICROS_PER_SECOND, Timestamp};

use super::registry::done_if;
use super::rows::timestamp;
use super::{Sqlite, commit};
use crate::error::{Error, failed};
use crate::registry::{ApiToken, Changed, Scope};
use crate::secret::{random_token, token_hash};

/// A use is written down at most this often, so that reading through the API does not write each time.
const USED_EVERY_MICROS: i64 = 60 * MICROS_PER_SECOND;
/// Says what it is when it turns up where it should not.
const TOKEN_PREFIX: &str = "onhand_";

type TokenColumns = (i64, String, String, i64, Option<i64>, Option<i64>);

impl Sqlite {
    pub(crate) async fn create_token(
        &self,
        name: &str,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(ApiToken, SecretString), Error> {
        let token: SecretString = format!("{TOKEN_PREFIX}{}", random_token().expose_secret()).into();
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
        let stale = found
            .used_at
            .is_none_or(|used_at| now.micros().saturating_sub(used_at.micros()) >= USED_EVERY_MICROS);
        if stale {
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

    pub(crate) async fn revoke_token(&self, id: i64, now: Timestamp) -> Result<Changed, Error> {
        let mut tx = self.write().await?;
        let changed =
            sqlx::query("UPDATE registry_tokens SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")
                .bind(id)
                .bind(now.micros())
                .execute(&mut *tx)
                .await
                .map_err(failed("revoke a token"))?;
        commit(tx).await?;
        Ok(done_if(changed.rows_affected()))
    }
}

fn token(row: TokenColumns) -> Result<ApiToken, Error> {
    let (id, name, scope, created_at, revoked_at, used_at) = row;
    Ok(ApiToken {
        id,
        name,
        scope: Scope::from_word(&scope).ok_or_else(|| Error::damaged("scope", scope))?,
        created_at: timestamp(created_at),
        revoked_at: revoked_at.map(timestamp),
        used_at: used_at.map(timestamp),
    })
}
