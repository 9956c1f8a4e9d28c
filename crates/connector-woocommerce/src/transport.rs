//! Sends one request to a shop and brings back the whole answer, within bounds of time and size. It never follows a
//! redirect, never calls an address that is not allowed, and never lets credentials into an error.

use std::error::Error;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connector::error::BoxError;
use connector::{CallError, NotSentCause, UncertainCause};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, redirect};
use secrecy::{ExposeSecret, SecretString};
use values::Timestamp;

use crate::address::{AddressRefused, GuardedResolver, ShopUrl};
use crate::notices::json_in;
use crate::oauth1::{self, Stamp, encode};
use crate::reply::{Answer, Purpose, http_date, retry_after};

/// Largest answer read, in bytes after unpacking. A hundred whole orders of a hundred lines have about 10 MB.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An unused connection is kept this long. Common servers close theirs after 5 s, and a request on a connection that
/// is being closed has an unknown outcome.
const IDLE_MAX: Duration = Duration::from_secs(3);
/// Unused connections kept to one shop.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To find the host, connect, and agree on encryption; at most half of `read`, whose time runs meanwhile: if
    /// that ended first, it would not be certain that nothing was sent.
    pub connect: Duration,
    /// Between two parts of an answer.
    pub read: Duration,
    /// The whole call. A batch of 100 takes a slow shop about 6 s.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(30),
            call: Duration::from_secs(45),
        }
    }
}

/// How we say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignIn {
    /// In the `Authorization` header; https only.
    Header,
    /// In the query, for shops whose server drops that header; https only.
    Query,
    /// By signing each request (OAuth 1.0a): the only way on plain http.
    Signature,
}

/// How to reach a shop and what to say there.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where it is.
    pub url: ShopUrl,
    /// The key, `ck_…`.
    pub consumer_key: SecretString,
    /// The secret, `cs_…`.
    pub consumer_secret: SecretString,
    /// How to send them. On plain http it is always [`SignIn::Signature`].
    pub sign_in: SignIn,
    /// This shop may be in a private network, or on this machine.
    pub private_addresses_allowed: bool,
    /// A certificate authority of the owner's own, in PEM, trusted for this shop beside the system's.
    pub root_certificate: Option<String>,
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is one that may not be called.
    #[error(
        "{url} is in a private or reserved network; allow private addresses for this shop if it is yours"
    )]
    AddressRefused {
        /// The address.
        url: ShopUrl,
    },
    /// The key or secret cannot be sent.
    #[error("the consumer key or secret is empty or holds characters that none has")]
    Credentials,
    /// The owner's own certificate cannot be read.
    #[error("the root certificate for this shop is not in PEM form")]
    RootCertificate(#[source] reqwest::Error),
    /// The system's certificates cannot be loaded.
    #[error("encryption cannot be set up: are the system's CA certificates installed?")]
    Tls(#[source] reqwest::Error),
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// From the shop's address on, without a query.
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<String>,
    pub(crate) purpose: Purpose,
}

impl<'a> Request<'a> {
    pub(crate) fn read(path: &'a str, query: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::GET, path, query, body: None, purpose: Purpose::Read }
    }

    pub(crate) fn write(method: Method, path: &'a str, body: Option<String>) -> Self {
        Self { method, path, query: Vec::new(), body, purpose: Purpose::Write }
    }
}

/// Calls one shop.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    access: Access,
}

impl Transport {
    pub(crate) fn new(access: Access, timeouts: Timeouts) -> Result<Self, ClientError> {
        access
            .url
            .check(access.private_addresses_allowed)
            .map_err(|AddressRefused| ClientError::AddressRefused { url: access.url.clone() })?;
        for secret in [&access.consumer_key, &access.consumer_secret] {
            let secret = secret.expose_secret();
            if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
                return Err(ClientError::Credentials);
            }
        }
        install_provider();
        let resolver = GuardedResolver { private_allowed: access.private_addresses_allowed };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("onhand/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(std::sync::Arc::new(resolver))
            .connect_timeout(timeouts.connect.min(timeouts.read / 2))
            .read_timeout(timeouts.read)
            .timeout(timeouts.call)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        if access.url.is_plain_http() {
            // No certificates are needed, so their absence is no reason to fail.
            builder = builder.tls_certs_only([]);
        } else {
            builder = builder.https_only(true);
            if let Some(pem) = &access.root_certificate {
                let roots = reqwest::Certificate::from_pem_bundle(pem.as_bytes());
                builder = builder.tls_certs_merge(roots.map_err(ClientError::RootCertificate)?);
            }
        }
        let http = builder.build().map_err(ClientError::Tls)?;
        Ok(Self { http, access })
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The same shop with another way to say who we are.
    pub(crate) fn signing_in_by(&self, sign_in: SignIn) -> Self {
        let access = Access { sign_in, ..self.access.clone() };
        Self { http: self.http.clone(), access }
    }

    pub(crate) fn sign_in(&self) -> SignIn {
        if self.access.url.is_plain_http() { SignIn::Signature } else { self.access.sign_in }
    }

    /// Sends it, and takes anything but success for an error.
    pub(crate) async fn call(&self, request: Request<'_>) -> Result<Answer, CallError> {
        self.call_foreseeing(request, |_| false).await
    }

    /// The same, but an answer that was foreseen is brought back although it is no success.
    pub(crate) async fn call_foreseeing(
        &self,
        request: Request<'_>,
        foreseen: impl FnOnce(&Answer) -> bool + Send,
    ) -> Result<Answer, CallError> {
        let purpose = request.purpose;
        let answer = self.send(request, true).await?;
        let answer = if foreseen(&answer) { answer } else { answer.accepted(purpose)? };
        if purpose == Purpose::Read && answer.age.is_some_and(|age| age > 0) {
            return Err(bad_reply("it is an old answer, kept by a cache between us and the shop"));
        }
        Ok(answer)
    }

    /// Sends it and brings back the answer, whatever it is.
    pub(crate) async fn send(&self, request: Request<'_>, signed_in: bool) -> Result<Answer, CallError> {
        let started = Instant::now();
        let purpose = request.purpose;
        let prepared = self.prepare(request, signed_in)?;
        let mut response = match self.http.execute(prepared).await {
            Ok(response) => response,
            Err(error) => return Err(failed(error, purpose)),
        };
        let status = response.status().as_u16();
        // Of who traces the call, if that asks for it.
        tracing::Span::current().record("http.response.status_code", status);
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= RESPONSE_BYTES_MAX => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Err(unreadable("it is too large", purpose)),
                Ok(None) => break,
                // A refusal is one, however little of its text arrived.
                Err(_) if (400..=499).contains(&status) => break,
                Err(error) => return Err(failed(error, purpose)),
            }
        }
        let body = match String::from_utf8(body) {
            Ok(body) => body,
            Err(_) if (200..=299).contains(&status) => {
                return Err(unreadable("it is not UTF-8", purpose));
            }
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(answer(status, &headers, json_in(&body).to_owned(), started.elapsed()))
    }

    fn prepare(&self, request: Request<'_>, signed_in: bool) -> Result<reqwest::Request, CallError> {
        let url = format!("{}{}", self.access.url.as_str(), request.path);
        let key = self.access.consumer_key.expose_secret();
        let secret = self.access.consumer_secret.expose_secret();
        let mut query = request.query;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        match self.sign_in() {
            _ if !signed_in => {}
            SignIn::Header => {
                let credentials = STANDARD.encode(format!("{key}:{secret}"));
                let mut value = HeaderValue::try_from(format!("Basic {credentials}")).map_err(malformed)?;
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            SignIn::Query => {
                query.push(("consumer_key", key.to_owned()));
                query.push(("consumer_secret", secret.to_owned()));
            }
            SignIn::Signature => {
                let method = request.method.as_str();
                query.extend(oauth1::sign(method, &url, &query, key, secret, &stamp()));
            }
        }
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let url = if pairs.is_empty() { url } else { format!("{url}?{}", pairs.join("&")) };
        let mut builder = self.http.request(request.method, url).headers(headers);
        if let Some(body) = request.body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        builder.build().map_err(|error| malformed(error.without_url()))
    }
}

/// Chooses what encrypts, for the whole process.
pub(crate) fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else may be first in the same moment, which is as good.
        rustls::crypto::ring::default_provider().install_default().ok();
    }
}

fn stamp() -> Stamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Stamp { timestamp: now.as_secs(), nonce: uuid::Uuid::new_v4().simple().to_string() }
}

fn malformed(error: impl Into<BoxError>) -> CallError {
    CallError::NotSent { cause: NotSentCause::Malformed, source: Some(error.into()) }
}

pub(crate) fn bad_reply(reason: &'static str) -> CallError {
    CallError::BadReply { reason, source: None }
}

/// A success whose content cannot be used.
pub(crate) fn unreadable(reason: &'static str, purpose: Purpose) -> CallError {
    match purpose {
        Purpose::Read => bad_reply(reason),
        Purpose::Write => {
            CallError::Uncertain { cause: UncertainCause::BadReply, retry_after: None, source: None }
        }
    }
}

/// What a failure below means. Only one that happened while connecting is certain to have had no effect.
fn failed(error: reqwest::Error, purpose: Purpose) -> CallError {
    let error = error.without_url();
    if error.is_builder() {
        return malformed(error);
    }
    if error.is_connect() || error.is_dns() {
        let cause = if has_source::<AddressRefused>(&error) {
            NotSentCause::AddressRefused
        } else if error.is_dns() {
            NotSentCause::Dns
        } else if error.is_timeout() {
            NotSentCause::ConnectTimeout
        } else if has_source::<rustls::Error>(&error) {
            NotSentCause::Tls
        } else {
            NotSentCause::Connect
        };
        return CallError::NotSent { cause, source: Some(error.into()) };
    }
    if error.is_decode() && !error.is_timeout() && purpose == Purpose::Read {
        return CallError::BadReply { reason: "it was cut short", source: Some(error.into()) };
    }
    let cause = if error.is_timeout() { UncertainCause::Timeout } else { UncertainCause::Cut };
    CallError::Uncertain { cause, retry_after: None, source: Some(error.into()) }
}

fn has_source<T: Error + 'static>(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if is_or_wraps::<T>(error) {
            return true;
        }
        source = error.source();
    }
    false
}

/// An I/O error hides what it wraps from `source`, which shows only what *that* is caused by.
fn is_or_wraps<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<T>() || wrapped.is_some_and(|wrapped| is_or_wraps::<T>(wrapped))
}

fn answer(status: u16, headers: &HeaderMap, body: String, took: Duration) -> Answer {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name: &str| text(name).and_then(|value| value.trim().parse::<u64>().ok());
    let date = text("date").and_then(http_date);
    let wait = text("retry-after").or_else(|| text("ratelimit-retry-after"));
    Answer {
        status,
        body,
        date,
        total: number("x-wp-total"),
        pages: number("x-wp-totalpages"),
        redirect_to: text("location").and_then(origin),
        is_to_login: text("location").is_some_and(|to| to.contains("wp-login") || to.contains("/login")),
        retry_after: wait.and_then(|wait| retry_after(wait, date.unwrap_or_else(now))),
        age: number("age"),
        took,
    }
}

pub(crate) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// Scheme, host and port: the rest of a redirect may repeat credentials.
pub(crate) fn origin(location: &str) -> Option<String> {
    let url = reqwest::Url::parse(location).ok()?;
    Some(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_named_without_what_it_repeats() {
        assert_eq!(
            origin("https://www.shop.example/wp-json/?consumer_secret=cs_1").as_deref(),
            Some("https://www.shop.example")
        );
        assert_eq!(origin("/elsewhere"), None);
    }

    #[test]
    fn nothing_printed_holds_a_secret() {
        let access = Access {
            url: "http://127.0.0.1:1".parse().unwrap(),
            consumer_key: SecretString::from("ck_hush"),
            consumer_secret: SecretString::from("cs_hush"),
            sign_in: SignIn::Header,
            private_addresses_allowed: true,
            root_certificate: None,
        };
        let transport = Transport::new(access, Timeouts::default()).unwrap();
        let printed = format!("{transport:?}");
        assert!(!printed.contains("hush"), "{printed}");
    }
}
