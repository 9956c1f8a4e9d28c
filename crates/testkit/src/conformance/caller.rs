//! Calls of a shop's REST interface, signed in as the recorded requests were.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use values::Timestamp;

use super::transcript::{Key, Origin};
use crate::fake_shop::oauth;

/// How long an answer may take; creating a webhook waits 5 s for its ping, a batch of a hundred takes as long.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// A consumer key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `ck_…`
    pub key: String,
    /// `cs_…`
    pub secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// The shop that is asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address without a trailing slash, over which Basic works.
    pub base_url: String,
    /// Its address over plain http, if there is one.
    pub plain_url: Option<String>,
    /// It believes keys only in OAuth signatures, as shops over plain http do. Its `home` has to be `base_url` then.
    pub oauth: bool,
    /// A key that may do everything.
    pub full: Credentials,
    /// A key that may only read, if there is one.
    pub read_only: Option<Credentials>,
    /// A key that may only write, if there is one.
    pub write_only: Option<Credentials>,
    /// It has lived the recorded history up to each transcript: then quantities, dates and lists have to agree too.
    pub same_history: bool,
}

/// The shop cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The HTTP client cannot be built.
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    /// A call got no answer.
    #[error("no answer to {what}; check the address and that the shop is up")]
    Call {
        /// Name of the transcript, or what else was asked.
        what: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The shop does not let itself be prepared.
    #[error("{what} was answered {status}{code}; check the key, and that it may read and write")]
    Refused {
        /// What was asked.
        what: String,
        /// How it was answered.
        status: u16,
        /// The shop's word for it, after a blank; empty if there is none.
        code: String,
    },
    /// A SKU of the recorded goods is a product of the shop's own.
    #[error(
        "the shop has a product {name:?} under the SKU {sku}, which the recorded goods need; use another shop"
    )]
    Taken {
        /// The SKU.
        sku: String,
        /// What has it.
        name: String,
    },
}

/// Asks a target.
pub(super) struct Caller<'a> {
    pub(super) target: &'a Target,
    http: reqwest::Client,
    calls: AtomicU64,
}

/// What it said.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    /// What it says as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// An answer with a success, or why it is none.
    pub(super) fn good(self, what: &str) -> Result<Self, ReplayError> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let code = self.json()["code"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
        Err(ReplayError::Refused { what: what.to_owned(), status: self.status, code })
    }
}

impl<'a> Caller<'a> {
    pub(super) fn new(target: &'a Target) -> Result<Self, ReplayError> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(ReplayError::Client)?;
        Ok(Self { target, http, calls: AtomicU64::new(0) })
    }

    /// A call of the API's own, with the key that may do everything; anything but success is an error.
    pub(super) async fn call(
        &self,
        what: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ReplayError> {
        let path = format!("/wp-json/wc/v3/{path}");
        let body = body.map(Value::to_string);
        self.send(what, method, &path, &Key::Full, body, Origin::Secure).await?.good(what)
    }

    /// Sends a request as it was recorded, but for the keys.
    pub(super) async fn send(
        &self,
        what: &str,
        method: &str,
        path: &str,
        key: &Key,
        body: Option<String>,
        origin: Origin,
    ) -> Result<Answer, ReplayError> {
        let failed = |source: reqwest::Error| ReplayError::Call {
            what: what.to_owned(),
            source: source.without_url(),
        };
        let base = match (origin, &self.target.plain_url) {
            (Origin::Plain, Some(plain)) => plain,
            _ => &self.target.base_url,
        };
        let full = &self.target.full;
        let path = path
            .replace("ck_1111111111111111111111111111111111111111", &full.key)
            .replace("cs_2222222222222222222222222222222222222222", &full.secret);
        let in_query = path.contains("consumer_key=");
        let credentials = match key {
            Key::Full if !in_query => Some(full),
            Key::ReadOnly => self.target.read_only.as_ref(),
            Key::WriteOnly => self.target.write_only.as_ref(),
            _ => None,
        };
        // What was recorded over plain http is about how it was signed in there.
        let signs = self.target.oauth && origin != Origin::Plain;
        let signed = credentials.filter(|_| signs);
        let url = match signed {
            Some(credentials) => self.signed(method, base, &path, credentials),
            None => format!("{base}{path}"),
        };
        let verb = method.parse().unwrap_or(reqwest::Method::GET);
        let mut request = self.http.request(verb, url);
        if let Some(credentials) = credentials.filter(|_| !signs) {
            request = request.basic_auth(&credentials.key, Some(&credentials.secret));
        }
        if let Key::Other(authorization) = key {
            request = request.header("Authorization", authorization);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.map_err(failed)?;
        Ok(Answer { status, headers, text })
    }

    fn signed(&self, method: &str, base: &str, path: &str, credentials: &Credentials) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let nonce = format!("{}x{}", since.as_nanos(), self.calls.fetch_add(1, Ordering::Relaxed));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let address = format!("{base}{path}");
        let pair = (credentials.key.as_str(), credentials.secret.as_str());
        let added = oauth(method, &address, query, pair, (now, &nonce));
        let between = if query.is_empty() { "" } else { "&" };
        format!("{address}?{query}{between}{added}")
    }
}
