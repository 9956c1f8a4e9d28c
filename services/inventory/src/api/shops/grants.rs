//! Keys that a shop grants by itself: its owner is sent to a page of WooCommerce, agrees there, and the shop posts the keys to
//! us. What it posts is believed because it repeats a state that nobody else knows, once and in time.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use process::clock;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{GrantEnd, TakenGrant};
use utoipa::ToSchema;

use super::super::extract::Path;
use super::super::observe;
use super::super::problem::{Kind, Problem};
use super::super::wire::Time;
use super::super::{PREFIX, Served, Shared};
use super::body::{AddShop, WebhooksWord};
use super::{Keys, connect, settings};

/// How long a shop's owner has to log in and to agree.
const GRANT_LASTS: Duration = Duration::from_mins(30);
/// How long what came of a grant can be asked for.
const GRANT_KEPT: Duration = Duration::from_hours(24);
/// What WooCommerce shows as the name of who asks.
const APP_NAME: &str = "onhand";
/// Reading and writing: stocks are written.
const SCOPE: &str = "read_write";
/// Where keys are posted, below the API.
pub(in super::super) const CALLBACK: &str = "/grants/keys";
/// Where the owner's browser ends, below the API.
pub(in super::super) const RETURN: &str = "/grants/done";

/// Where to go to have a shop grant its keys.
#[derive(Debug, Serialize, ToSchema)]
pub(in super::super) struct AskedGrant {
    /// Its number, to follow it.
    #[schema(example = 1)]
    grant: i64,
    /// Page of the shop on which its owner, logged in as administrator or shop manager, agrees. Whoever knows it can connect
    /// the shop.
    #[schema(example = "https://shop.example/wc-auth/v1/authorize?app_name=onhand&scope=read_write&…")]
    authorize_url: String,
    /// The owner has to agree before this.
    expires_at: Time,
    /// What webhooks are signed with; not shown again.
    webhook_secret: String,
    /// Who makes its webhooks.
    webhooks: WebhooksWord,
}

/// How far a grant has come.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub(in super::super) struct GrantBody {
    /// Its number.
    #[schema(example = 1)]
    grant: i64,
    /// Name the shop is to have.
    #[schema(example = "berlin")]
    name: String,
    /// `waiting`, `connected`, `failed` or `expired`.
    #[schema(example = "waiting")]
    state: &'static str,
    /// The owner has to agree before this.
    expires_at: Time,
    /// The task that connects the shop, once the keys are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<i64>,
    /// Why it could not be connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// What WooCommerce posts. Its key number is of no use.
#[derive(Deserialize)]
struct Posted {
    user_id: SecretString,
    consumer_key: SecretString,
    consumer_secret: SecretString,
    key_permissions: String,
}

/// Asks for a grant instead of adding the shop at once.
pub(super) async fn ask(parts: &Served, new: AddShop) -> Result<Response, Problem> {
    let public_url = parts.public_url.as_deref().map(|url| url.trim_end_matches('/'));
    let Some(public_url) = public_url.filter(|url| url.starts_with("https://")) else {
        return Err(Problem::new(
            Kind::NotNow,
            "a shop can grant keys by itself only to an onhand that it reaches by https: set ONHAND_PUBLIC_URL to such an \
             address (port 443), or give consumer_key and consumer_secret",
        ));
    };
    let (name, url) = (new.name.clone(), new.url.clone());
    let webhook_secret = new.webhook_secret.clone().unwrap_or_else(super::random_secret);
    settings::webhook_secret(&webhook_secret)?;
    let content = AddShop { webhook_secret: Some(webhook_secret.clone()), ..new }.to_text();
    let (now, forget_before) = (clock::now(), clock::now() - GRANT_KEPT);
    let expires_at = now + GRANT_LASTS;
    let (grant, state) = parts.store.create_grant(&name, &content, now, expires_at, forget_before).await?;
    let asked = AskedGrant {
        grant,
        authorize_url: authorize_url(&url, public_url, &state),
        expires_at: expires_at.into(),
        webhook_secret: webhook_secret.expose_secret().to_owned(),
        webhooks: WebhooksWord::of(parts),
    };
    Ok((StatusCode::ACCEPTED, Json(asked)).into_response())
}

/// Read a grant
///
/// How far a shop has come that was asked to grant its keys. It can be read for a day.
#[utoipa::path(get, path = "/grants/{id}", tag = "registry", operation_id = "read_grant",
    params(("id" = i64, Path, description = "Its number")), responses((status = 200, body = GrantBody)))]
pub(in super::super) async fn read(
    State(parts): State<Shared>,
    Path(id): Path<i64>,
) -> Result<Json<GrantBody>, Problem> {
    let found = parts.store.grant(id).await?;
    let found = found.ok_or_else(|| Problem::not_found(format_args!("grant {id}")))?;
    let (state, task, failure) = match found.ended {
        Some(GrantEnd::Connected { task }) => ("connected", Some(task), None),
        Some(GrantEnd::Failed { why }) => ("failed", None, Some(why)),
        None if found.taken_at.is_none() && clock::now() >= found.expires_at => ("expired", None, None),
        None => ("waiting", None, None),
    };
    let expires_at = found.expires_at.into();
    Ok(Json(GrantBody { grant: found.id, name: found.name, state, expires_at, task, failure }))
}

/// The shop posts its keys. Unless it is answered exactly 200 it deletes them again, so that is said only once the shop is
/// added.
pub(in super::super) async fn granted(State(parts): State<Shared>, body: Bytes) -> Result<Response, Problem> {
    let Ok(posted) = serde_json::from_slice::<Posted>(&body) else {
        return Err(Problem::new(Kind::BadRequest, "these are not the keys that WooCommerce grants"));
    };
    let state = posted.user_id.expose_secret();
    let Some(taken) = parts.store.take_grant(state, clock::now()).await? else {
        return Err(Problem::not_found("grant that waits for this; it was used or has expired"));
    };
    let id = taken.id;
    match accept(&parts, taken, posted).await {
        Ok(task) => {
            parts.store.end_grant(id, &GrantEnd::Connected { task }).await?;
            Ok(StatusCode::OK.into_response())
        }
        Err(problem) => {
            let why = problem.detail().to_owned();
            parts.store.end_grant(id, &GrantEnd::Failed { why }).await?;
            Err(problem)
        }
    }
}

/// Where the browser of the shop's owner ends.
pub(in super::super) async fn done() -> &'static str {
    "Done. You can close this page: onhand goes on by itself if you agreed, and does nothing if you did not.\n"
}

async fn accept(parts: &Served, taken: TakenGrant, posted: Posted) -> Result<i64, Problem> {
    if posted.key_permissions != SCOPE {
        return Err(Problem::invalid("the shop granted a key that may not both read and write"));
    }
    let new: AddShop = serde_json::from_str(taken.content.expose_secret())
        .map_err(|_| Problem::internal("what waited for a grant cannot be read"))?;
    let keys = Keys { consumer_key: posted.consumer_key, consumer_secret: posted.consumer_secret };
    let connected = connect(parts, &new, &keys).await?;
    observe::granted(&new.name);
    Ok(connected.task)
}

/// The page of WooCommerce that asks its owner. All five parameters have to be there, and both addresses whole.
fn authorize_url(shop: &str, public_url: &str, state: &SecretString) -> String {
    let shop = shop.trim().trim_end_matches('/');
    let here = |path: &str| encoded(&format!("{public_url}{PREFIX}{path}"));
    format!(
        "{shop}/wc-auth/v1/authorize?app_name={APP_NAME}&scope={SCOPE}&user_id={}&return_url={}&callback_url={}",
        encoded(state.expose_secret()),
        here(RETURN),
        here(CALLBACK)
    )
}

/// Percent-encoded, all but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").ok();
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_shop_is_told_everything_it_asks_for() {
        let url = authorize_url("https://shop.example/pl/", "https://hub.example", &"st8".into());
        assert_eq!(
            url,
            "https://shop.example/pl/wc-auth/v1/authorize?app_name=onhand&scope=read_write&user_id=st8\
             &return_url=https%3A%2F%2Fhub.example%2Fapi%2Fv1%2Fgrants%2Fdone\
             &callback_url=https%3A%2F%2Fhub.example%2Fapi%2Fv1%2Fgrants%2Fkeys"
        );
    }
}
