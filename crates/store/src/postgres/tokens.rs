//! Tokens of the API on PostgreSQL: only their hashes are stored.

use secrecy::{ExposeSecret, SecretString};
use values::Timestamp;

use super::parameters::{all, maybe, none, one, run, with};
use super::{Postgres, commit};
use crate::error::Error;
use crate::registry::{ApiToken, Scope, TokenRevoked};
use crate::rows::registry::{TokenColumns, is_use_stale, may_be_revoked, new_token, token};
use crate::secret::token_hash;

const CREATE: &str = "
INSERT INTO inventory.tokens (name, hash, scope, created_at) VALUES ($1, $2, $3, $4) RETURNING id";

const TOKENS: &str =
    "SELECT id, name, scope, created_at, revoked_at, used_at FROM inventory.tokens ORDER BY id";

const BY_HASH: &str = "
SELECT id, name, scope, created_at, revoked_at, used_at FROM inventory.tokens WHERE hash = $1 AND revoked_at IS NULL";

const NOTE_USE: &str = "UPDATE inventory.tokens SET used_at = $2 WHERE id = $1";

/// Two that would each leave the other as the last wait here.
const VALID: &str = "
SELECT id, scope FROM inventory.tokens WHERE revoked_at IS NULL AND (id = $1 OR scope = $2) ORDER BY id FOR UPDATE";

const REVOKE: &str = "UPDATE inventory.tokens SET revoked_at = $2 WHERE id = $1";

impl Postgres {
    pub(crate) async fn create_token(
        &self,
        name: &str,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(ApiToken, SecretString), Error> {
        let token = new_token();
        let hash = token_hash(token.expose_secret());
        let parameters = with(name).and(hash).and(scope.as_str()).and(now.micros());
        let (id,) = one(&self.pool, "create a token", CREATE, parameters).await?;
        let name = name.to_owned();
        Ok((ApiToken { id, name, scope, created_at: now, revoked_at: None, used_at: None }, token))
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<ApiToken>, Error> {
        let rows: Vec<TokenColumns> = all(&self.pool, "list tokens", TOKENS, none()).await?;
        rows.into_iter().map(token).collect()
    }

    /// The unrevoked token with this text; its use is written down.
    pub(crate) async fn use_token(&self, text: &str, now: Timestamp) -> Result<Option<ApiToken>, Error> {
        let row: Option<TokenColumns> =
            maybe(&self.pool, "look up a token", BY_HASH, with(token_hash(text))).await?;
        let Some(mut found) = row.map(token).transpose()? else { return Ok(None) };
        if is_use_stale(&found, now) {
            run(&self.pool, "note a token's use", NOTE_USE, with(found.id).and(now.micros())).await?;
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
        let parameters = with(id).and(Scope::Admin.as_str());
        let valid: Vec<(i64, String)> = all(&mut *tx, "look at valid tokens", VALID, parameters).await?;
        let revoked = may_be_revoked(&valid, id, even_the_last);
        if revoked == TokenRevoked::Done {
            run(&mut *tx, "revoke a token", REVOKE, with(id).and(now.micros())).await?;
            commit(tx).await?;
        }
        Ok(revoked)
    }
}
