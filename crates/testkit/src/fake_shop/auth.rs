//! Who may call: Basic, keys in the query, and OAuth 1.0a, with WooCommerce's own answers to each failure.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;
use values::Timestamp;

use super::query::{Query, decode, encode};
use super::reply::Reply;

/// How far an OAuth timestamp may be from the shop's clock.
const TIMESTAMP_WINDOW_SECONDS: i64 = 15 * 60;
/// Most nonces remembered; older ones are forgotten first.
const NONCES_MAX: usize = 100_000;

const ERROR: &str = "woocommerce_rest_authentication_error";

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// GET and HEAD.
    Read,
    /// All but those.
    Write,
    /// Both.
    ReadWrite,
}

/// A consumer key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// `ck_…`
    pub key: String,
    /// `cs_…`
    pub secret: String,
    /// What it may do.
    pub permissions: Permissions,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("permissions", &self.permissions).finish_non_exhaustive()
    }
}

/// The parts of a request that authentication looks at.
pub(super) struct Claim<'a> {
    pub(super) method: &'a str,
    /// Address without the query, as the shop knows itself.
    pub(super) address: String,
    pub(super) query: &'a Query,
    pub(super) authorization: Option<&'a str>,
    /// The shop takes the connection for encrypted.
    pub(super) https: bool,
    pub(super) now: Timestamp,
}

/// OAuth nonces seen, oldest first.
#[derive(Debug, Default)]
pub(super) struct Nonces(BTreeSet<(i64, String)>);

/// `Ok(None)`: nobody in particular, whom the routes then refuse.
pub(super) fn authenticate<'k>(
    keys: &'k [ApiKey],
    nonces: &mut Nonces,
    claim: &Claim<'_>,
) -> Result<Option<&'k ApiKey>, Reply> {
    let found = match by_secret(keys, claim)? {
        Some(key) => Some(key),
        None => by_oauth(keys, nonces, claim)?,
    };
    if let Some(key) = found {
        let reads = matches!(claim.method, "GET" | "HEAD");
        let allowed = match key.permissions {
            Permissions::ReadWrite => true,
            Permissions::Read => reads,
            Permissions::Write => !reads,
        };
        if !allowed {
            let what = if reads { "read" } else { "write" };
            let message = format!("The API key provided does not have {what} permissions.");
            return Err(Reply::error(ERROR, &message, 401));
        }
    }
    Ok(found)
}

/// Key and secret themselves, believed only over an encrypted connection.
fn by_secret<'k>(keys: &'k [ApiKey], claim: &Claim<'_>) -> Result<Option<&'k ApiKey>, Reply> {
    if !claim.https {
        return Ok(None);
    }
    let in_query = claim.query.get("consumer_key").zip(claim.query.get("consumer_secret"));
    let given = in_query
        .map(|(key, secret)| (key.to_owned(), secret.to_owned()))
        .or_else(|| basic(claim.authorization));
    let Some((key, secret)) = given else { return Ok(None) };
    match keys.iter().find(|known| known.key == key) {
        Some(known) if known.secret == secret => Ok(Some(known)),
        Some(_) => Err(Reply::error(ERROR, "Consumer secret is invalid.", 401)),
        None => Ok(None),
    }
}

fn basic(authorization: Option<&str>) -> Option<(String, String)> {
    let encoded = authorization?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    let (key, secret) = decoded.split_once(':')?;
    Some((key.to_owned(), secret.to_owned()))
}

/// Parameters of `Authorization: OAuth a="b", …`.
fn oauth_header(authorization: Option<&str>) -> Vec<(String, String)> {
    let Some(list) = authorization.and_then(|header| header.strip_prefix("OAuth ")) else {
        return Vec::new();
    };
    let pairs = list.split(',').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        Some((decode(name), decode(value.trim_matches('"'))))
    });
    pairs.filter(|(name, _)| name != "realm").collect()
}

fn by_oauth<'k>(
    keys: &'k [ApiKey],
    nonces: &mut Nonces,
    claim: &Claim<'_>,
) -> Result<Option<&'k ApiKey>, Reply> {
    let mut params = claim.query.pairs().to_vec();
    params.extend(oauth_header(claim.authorization));
    let of = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let names =
        ["oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature", "oauth_signature_method"];
    let missing: Vec<&str> =
        names.into_iter().filter(|name| of(name).is_none_or(|value| value.is_empty())).collect();
    if missing.len() == names.len() {
        return Ok(None);
    }
    if !missing.is_empty() {
        let message = format!("Missing OAuth parameters {}", missing.join(", "));
        return Err(Reply::error("woocommerce_rest_authentication_missing_parameter", &message, 401));
    }
    let value = |name: &str| of(name).unwrap_or_default();
    let refuse = |message: &str| Err(Reply::error(ERROR, message, 401));
    let Some(known) = keys.iter().find(|known| known.key == value("oauth_consumer_key")) else {
        return refuse("Consumer key is invalid.");
    };
    let Some(expected) = signature(claim, &params, &known.secret, &value("oauth_signature_method")) else {
        return refuse("Invalid signature - signature method is invalid.");
    };
    if expected != value("oauth_signature") {
        return refuse("Invalid signature - provided signature does not match.");
    }
    let timestamp = value("oauth_timestamp").parse::<i64>().unwrap_or(0);
    if (claim.now.seconds() - timestamp).abs() > TIMESTAMP_WINDOW_SECONDS {
        return refuse("Invalid timestamp.");
    }
    if !nonces.0.insert((timestamp, value("oauth_nonce"))) {
        return refuse("Invalid nonce - nonce has already been used.");
    }
    while nonces.0.len() > NONCES_MAX {
        nonces.0.pop_first();
    }
    Ok(Some(known))
}

/// A request as somebody signs it who is believed only so: what is added to the query it has.
pub(crate) fn oauth(
    method: &str,
    address: &str,
    query: &str,
    (key, secret): (&str, &str),
    (now, nonce): (Timestamp, &str),
) -> String {
    let mut added = vec![
        ("oauth_consumer_key", key.to_owned()),
        ("oauth_nonce", nonce.to_owned()),
        ("oauth_signature_method", "HMAC-SHA256".to_owned()),
        ("oauth_timestamp", now.seconds().to_string()),
    ];
    let query = Query::parse(query);
    let mut params = query.pairs().to_vec();
    params.extend(added.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let address = address.to_owned();
    let claim = Claim { method, address, query: &query, authorization: None, https: false, now };
    added.extend(signature(&claim, &params, secret, "HMAC-SHA256").map(|made| ("oauth_signature", made)));
    let pairs: Vec<String> = added.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

/// `None` if the method is neither HMAC-SHA1 nor HMAC-SHA256.
fn signature(claim: &Claim<'_>, params: &[(String, String)], secret: &str, method: &str) -> Option<String> {
    let mut encoded: Vec<(String, String)> = params
        .iter()
        .filter(|(name, _)| name != "oauth_signature")
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    encoded.sort();
    let pairs: Vec<String> = encoded.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let base = format!("{}&{}&{}", claim.method, encode(&claim.address), encode(&pairs.join("&")));
    let key = format!("{secret}&");
    let bytes = match method {
        "HMAC-SHA256" => hmac_sha256(key.as_bytes(), base.as_bytes()),
        "HMAC-SHA1" => {
            let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).ok()?;
            mac.update(base.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        _ => return None,
    };
    Some(BASE64.encode(bytes))
}

pub(super) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}
