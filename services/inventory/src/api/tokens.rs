//! Tokens of the API: made, listed, revoked. A token's text is told once.

#![expect(unused_qualifications, reason = "what `utoipa::path` makes of the query names it in full")]

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use process::clock;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use store::{ApiToken, Scope, TokenRevoked};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery};
use super::problem::{Kind, Problem};
use super::wire::Time;
use super::{Shared, created, names};

/// What a token allows; each scope holds those before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Scope)]
enum ScopeWord {
    /// Look at things.
    Read,
    /// Move stock.
    Operate,
    /// Change shops, warehouses and tokens.
    Admin,
}

/// A token, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenBody {
    /// Its number.
    #[schema(example = 1)]
    id: i64,
    /// Whose or what for; the actor of what is done with it.
    #[schema(example = "warehouse scanner")]
    name: String,
    /// What it allows.
    scope: ScopeWord,
    /// When it was made.
    created_at: Time,
    /// When it was used last, to the minute.
    used_at: Option<Time>,
    /// When it was revoked.
    revoked_at: Option<Time>,
}

/// A token to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// Whose or what for: 1 to 63 characters; no two valid tokens have the same.
    #[schema(example = "warehouse scanner")]
    name: String,
    /// What it allows.
    scope: ScopeWord,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedToken {
    #[serde(flatten)]
    about: TokenBody,
    /// Its text; not shown again.
    #[schema(example = "onhand_…")]
    token: String,
}

impl From<ApiToken> for TokenBody {
    fn from(token: ApiToken) -> Self {
        let scope = match token.scope {
            Scope::Read => ScopeWord::Read,
            Scope::Operate => ScopeWord::Operate,
            Scope::Admin => ScopeWord::Admin,
        };
        Self {
            id: token.id,
            name: token.name,
            scope,
            created_at: token.created_at.into(),
            used_at: token.used_at.map(Into::into),
            revoked_at: token.revoked_at.map(Into::into),
        }
    }
}

/// List tokens
///
/// Revoked ones too.
#[utoipa::path(get, path = "/tokens", tag = "tokens", operation_id = "list_tokens", params(PageQuery),
    responses((status = 200, body = Page<TokenBody>)))]
pub(super) async fn list(
    State(parts): State<Shared>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TokenBody>>, Problem> {
    let asked = query.of("tokens")?;
    let after: Option<i64> = asked.after(|key| key.parse().ok())?;
    let mut tokens = parts.store.tokens().await?;
    tokens.sort_unstable_by_key(|token| token.id);
    tokens.retain(|token| after.is_none_or(|after| token.id > after));
    tokens.truncate(asked.rows());
    Ok(Json(asked.page(tokens, |token| token.id.to_string(), TokenBody::from)))
}

/// Make a token
#[utoipa::path(post, path = "/tokens", tag = "tokens", operation_id = "create_token", request_body = NewToken,
    responses((status = 201, body = CreatedToken)))]
pub(super) async fn create(
    State(parts): State<Shared>,
    Body(new): Body<NewToken>,
) -> Result<Response, Problem> {
    names::check_name("token", &new.name)?;
    let known = parts.store.tokens().await?;
    if known.iter().any(|token| token.name == new.name && token.revoked_at.is_none()) {
        let detail = format!("there already is a valid token {:?}; revoke it first", new.name);
        return Err(Problem::new(Kind::NameTaken, detail));
    }
    let scope = match new.scope {
        ScopeWord::Read => Scope::Read,
        ScopeWord::Operate => Scope::Operate,
        ScopeWord::Admin => Scope::Admin,
    };
    let (token, text) = parts.store.create_token(&new.name, scope, clock::now()).await?;
    Ok(created(CreatedToken { about: token.into(), token: text.expose_secret().to_owned() }))
}

/// How to revoke a token.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RevokeQuery {
    /// Also if it is the only one with the scope `admin`; `false` if left out.
    #[serde(default)]
    #[param(example = false)]
    force: bool,
}

/// Revoke a token
///
/// The only token with the scope `admin` is kept unless `force` is set: without it nobody can change shops, warehouses or
/// tokens.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", operation_id = "revoke_token",
    params(("id" = i64, Path, description = "Its number"), RevokeQuery), responses((status = 204)))]
pub(super) async fn revoke(
    State(parts): State<Shared>,
    Path(id): Path<i64>,
    Query(query): Query<RevokeQuery>,
) -> Result<StatusCode, Problem> {
    match parts.store.revoke_token(id, query.force, clock::now()).await? {
        TokenRevoked::Done => Ok(StatusCode::NO_CONTENT),
        TokenRevoked::Unknown => Err(Problem::not_found(format_args!("valid token {id}"))),
        TokenRevoked::LastAdministrator => Err(Problem::new(
            Kind::NotNow,
            format!(
                "token {id} is the only one with the scope admin: without it nobody can change shops, warehouses or \
                 tokens. Make another first, or revoke it all the same with force=true (--force)"
            ),
        )),
    }
}
