//! A signed request to an address that an operator gave: to the very addresses its name leads to that may be called, never
//! to where a redirect points, and for no longer than its time.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// By this the receiver knows a digest that comes twice.
pub const ID_HEADER: &str = "X-Onhand-Id";
/// When the request was made, in seconds since 1970: a receiver refuses what is old.
pub const TIMESTAMP_HEADER: &str = "X-Onhand-Timestamp";
/// [`signature`] of the request.
pub const SIGNATURE_HEADER: &str = "X-Onhand-Signature";

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Where requests go.
#[derive(Clone)]
pub struct Target {
    url: Url,
    secret: SecretString,
    private_allowed: bool,
    /// How long a request may take.
    pub(crate) time_max: Duration,
}

impl std::fmt::Debug for Target {
    /// The address may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("private_allowed", &self.private_allowed).finish_non_exhaustive()
    }
}

/// A way to people: an address that is told.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    target: Target,
}

/// The receiver did not take it. No text holds the address.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The client cannot be made.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// The address is one that may not be called.
    #[error(
        "the receiver is in a private or reserved network; allow it with ONHAND_ALERT_WEBHOOK_PRIVATE_ADDRESSES=true"
    )]
    Address,
    /// Nobody answered, or not in time.
    #[error("the receiver did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// It pointed elsewhere.
    #[error("the receiver redirects (status {0}), which is not followed; give its final address")]
    Redirected(u16),
    /// It answered something else than success.
    #[error("the receiver answered with status {0}")]
    Status(u16),
}

/// The text is no address of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an address that starts with https:// or http://")]
pub(crate) struct NoTarget;

impl Target {
    pub(crate) fn new(
        url: &SecretString,
        secret: SecretString,
        private_allowed: bool,
        time_max: Duration,
    ) -> Result<Self, NoTarget> {
        let url = Url::parse(url.expose_secret()).map_err(|_| NoTarget)?;
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        if !matches!(url.scheme(), "https" | "http") || !has_host {
            return Err(NoTarget);
        }
        Ok(Self { url, secret, private_allowed, time_max })
    }
}

impl Webhook {
    /// A way to the target.
    pub fn new(target: Target) -> Result<Self, WebhookError> {
        let resolver = Guarded { private_allowed: target.private_allowed };
        let mut client = Client::builder()
            .user_agent(concat!("onhand/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(resolver))
            .connect_timeout(CONNECT_TIME_MAX.min(target.time_max))
            .timeout(target.time_max)
            .pool_max_idle_per_host(0);
        if target.url.scheme() == "http" {
            // No certificates are needed, so their absence is no reason to fail.
            client = client.tls_certs_only([]);
        }
        Ok(Self { client: client.build().map_err(WebhookError::Client)?, target })
    }

    /// Sends what was written of a digest; `at` is now, in seconds since 1970.
    pub async fn send(&self, id: &str, body: &str, at: i64) -> Result<(), WebhookError> {
        let Target { url, secret, private_allowed, .. } = &self.target;
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !connector::may_call(address, *private_allowed)) {
            return Err(WebhookError::Address);
        }
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, at)
            .header(SIGNATURE_HEADER, signature(secret, at, body))
            .body(body.to_owned());
        let answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        match status.as_u16() {
            200..=299 => Ok(()),
            300..=399 => Err(WebhookError::Redirected(status.as_u16())),
            other => Err(WebhookError::Status(other)),
        }
    }
}

fn no_answer(error: reqwest::Error) -> WebhookError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if inner.is::<Refused>() {
            return WebhookError::Address;
        }
        cause = inner.source();
    }
    WebhookError::NoAnswer(error.without_url())
}

/// HMAC-SHA256, in hexadecimal, over the time of the request in seconds, a full stop, and its body.
pub fn signature(secret: &SecretString, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(format!("{at}.").as_bytes());
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[derive(Debug, thiserror::Error)]
#[error("the host is in a private or reserved network")]
struct Refused;

/// Resolves names and leaves out what may not be called.
#[derive(Debug, Clone, Copy)]
struct Guarded {
    private_allowed: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let private_allowed = self.private_allowed;
        Box::pin(async move {
            // Port 0 is replaced by the one of the address that was asked for.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let any = !found.is_empty();
            let may = |address: &SocketAddr| connector::may_call(address.ip(), private_allowed);
            let allowed: Vec<SocketAddr> = found.into_iter().filter(may).collect();
            if any && allowed.is_empty() {
                return Err(Refused.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As anybody can compute it: `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn the_signature_is_the_documented_one() {
        let signed = signature(&"secret".into(), 1_700_000_000, r#"{"a":1}"#);
        assert_eq!(signed, "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686");
        assert_ne!(signed, signature(&"secret".into(), 1_700_000_001, r#"{"a":1}"#));
        assert_ne!(signed, signature(&"other".into(), 1_700_000_000, r#"{"a":1}"#));
    }

    #[test]
    fn what_is_no_address_is_refused_and_none_is_printed() {
        let target = |url: &str| Target::new(&url.into(), "s".into(), false, Duration::from_secs(1));
        for wrong in ["", "hub.example", "ftp://hub.example/", "https://", "mailto:a@b.example"] {
            assert_eq!(target(wrong).err(), Some(NoTarget), "{wrong}");
        }
        let shown = format!("{:?}", target("https://hub.example/token-in-it").unwrap());
        assert!(!shown.contains("token-in-it"), "{shown}");
    }
}
