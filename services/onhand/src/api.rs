//! The REST API as the commands use it: one call each, answers as JSON, refusals as failures with onhand's own words.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use secrecy::ExposeSecret;
use serde_json::Value;
use uuid::Uuid;

use crate::connection::Connection;
use crate::failure::{Failure, RefusedRow};
use crate::screen::{as_text, rows};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two pieces of an answer. A check reads the whole ledger before it says anything.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// Rows asked for at a time.
pub(crate) const PAGE_ROWS: usize = 500;
/// Rows of an answer that is shown as a whole; more are asked for with --after.
const LIST_ROWS_MAX: usize = 100_000;

/// An operation without an answer is sent this often, always with the same key, so that it is done once.
const OPERATION_ATTEMPTS_MAX: u32 = 5;
const OPERATION_PAUSE: Duration = Duration::from_millis(500);

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A caller of one onhand.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    base: Url,
    authorization: HeaderValue,
    /// As given, for messages.
    url: String,
    public_url: Option<String>,
}

impl Api {
    pub(crate) fn new(connection: &Connection) -> Result<Self, Failure> {
        let address = || Failure::Address { url: connection.url.clone() };
        let base = Url::parse(&connection.url).map_err(|_| address())?;
        if base.cannot_be_a_base() {
            return Err(address());
        }
        let bearer = format!("Bearer {}", connection.token.expose_secret());
        let mut authorization = HeaderValue::from_str(&bearer).map_err(|_| Failure::TokenText)?;
        authorization.set_sensitive(true);
        // A redirect would take the token elsewhere; a proxy has no business between here and this machine.
        let mut client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if base.host_str().is_some_and(is_this_machine) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|source| Failure::Client { source })?;
        let public_url = connection.public_url.clone();
        Ok(Self { client, base, authorization, url: connection.url.clone(), public_url })
    }

    /// Where shops send webhooks: the path onhand gave, under the address by which shops reach it.
    pub(crate) fn webhook_address(&self, given: &str) -> String {
        let base = self.public_url.as_deref().unwrap_or(&self.url).trim_end_matches('/');
        if given.starts_with('/') { format!("{base}{given}") } else { given.to_owned() }
    }

    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.call(self.request(Method::GET, path).query(query)).await
    }

    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.call(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn patch(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.call(self.request(Method::PATCH, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.call(self.request(Method::DELETE, path).query(query)).await
    }

    /// Moves stock; once, whatever happens to answers.
    pub(crate) async fn operate(&self, body: &Value, key: Option<&str>) -> Result<Value, Failure> {
        self.once(key, || Ok(self.request(Method::POST, &["operations"]).json(body))).await
    }

    /// Asks again with the same key until there is an answer, so that a lost one does no harm.
    pub(crate) async fn once(
        &self,
        key: Option<&str>,
        make: impl Fn() -> Result<RequestBuilder, Failure>,
    ) -> Result<Value, Failure> {
        let key = key.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let mut unanswered = false;
        for attempt in 1..=OPERATION_ATTEMPTS_MAX {
            match self.call(make()?.header(IDEMPOTENCY_KEY, &key)).await {
                Err(Failure::NoAnswer { .. }) => unanswered = true,
                // It may have been done by an attempt before, so that this is no reason to start over.
                Err(Failure::Unreachable { .. }) if unanswered => {}
                answer => return answer,
            }
            tokio::time::sleep(OPERATION_PAUSE * attempt).await;
        }
        Err(Failure::Unsure { url: self.url.clone(), key })
    }

    /// All rows of a list, page by page, up to `limit`.
    pub(crate) async fn list(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        limit: Option<usize>,
    ) -> Result<Vec<Value>, Failure> {
        let limit = limit.unwrap_or(LIST_ROWS_MAX);
        let mut items = Vec::new();
        let mut after = None;
        while items.len() < limit {
            let (rows, next, _) = self.page(path, query, after, PAGE_ROWS.min(limit - items.len())).await?;
            items.extend(rows);
            after = next;
            if after.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// A page of a list: its rows, where the next begins, and what else it says.
    pub(crate) async fn page(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Value>, Option<String>, Value), Failure> {
        let mut query = query.to_vec();
        query.push(("limit", limit.min(PAGE_ROWS).to_string()));
        query.extend(after.map(|after| ("after", after)));
        let mut page = self.get(path, &query).await?;
        let rows = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
        let rows = rows.ok_or_else(|| self.strange(200))?;
        let next = match page.get("next") {
            Some(Value::String(next)) => Some(next.clone()),
            Some(Value::Number(next)) => Some(next.to_string()),
            _ => None,
        };
        Ok((rows, next, page))
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("checked when it was parsed")
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        self.client.request(method, url).header(AUTHORIZATION, self.authorization.clone())
    }

    pub(crate) async fn call(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.send(request).await?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(|source| self.not_answered(source))?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|_| self.strange(status))
    }

    /// The answer, if it is a good one.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().await.map_err(|source| self.not_answered(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.map_err(|source| self.not_answered(source))?;
        let problem: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let text = |name| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (title, detail) = (text("title"), text("detail"));
        if title.is_empty() {
            return Err(self.strange(status.as_u16()));
        }
        let rows = rows(&problem, "rows").iter().map(|row| RefusedRow {
            row: row.get("row").and_then(Value::as_u64).unwrap_or(0),
            problem: as_text(row.get("problem")),
        });
        Err(Failure::Answered { status: status.as_u16(), title, detail, rows: rows.collect() })
    }

    /// A piece of an answer that is read while it comes.
    pub(crate) fn not_answered(&self, source: reqwest::Error) -> Failure {
        let url = self.url.clone();
        if source.is_connect() {
            Failure::Unreachable { url, source: source.without_url() }
        } else {
            Failure::NoAnswer { url, source: source.without_url() }
        }
    }

    pub(crate) fn strange(&self, status: u16) -> Failure {
        Failure::Strange { url: self.url.clone(), status }
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
