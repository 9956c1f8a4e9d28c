//! Sending recorded requests and judging the answers.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::compare::Compare;
use super::ids::{Ids, Numbering};
use super::transcript::{Key, Origin, Transcript};

/// How long an answer may take; creating a webhook waits 5 s for its ping.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most pages of the catalogue that are read to map ids.
const CATALOGUE_PAGES_MAX: usize = 50;
/// Where deliveries of replayed webhooks go: nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:9/";

const STORE: &str = "the Store API needs a browser's session; the model does the same by Change::OpenCheckout and Change::Checkout";
const LEGACY: &str = "recorded at a second shop with the legacy plugin, which a new shop has not";

/// Transcripts that are not replayed, each with its reason.
pub const SKIPPED: [(&str, &str); 23] = [
    ("store-block-abandon-add", STORE),
    ("store-block-abandon-draft", STORE),
    ("store-block-bacs-add", STORE),
    ("store-block-bacs-checkout", STORE),
    ("store-block-bacs-draft", STORE),
    ("store-block-cod-add", STORE),
    ("store-block-cod-checkout", STORE),
    ("store-block-cod-draft", STORE),
    ("store-block-variation-add", STORE),
    ("store-block-variation-checkout", STORE),
    ("store-block-variation-draft", STORE),
    ("legacy-badauth", LEGACY),
    ("legacy-bulk", LEGACY),
    ("legacy-index", LEGACY),
    ("legacy-order-put", LEGACY),
    ("legacy-orders-list", LEGACY),
    ("legacy-orders-updated", LEGACY),
    ("legacy-product-get", LEGACY),
    ("legacy-product-put", LEGACY),
    ("legacy-product-put2", LEGACY),
    ("legacy-product-sku", LEGACY),
    ("legacy-products-filter-sku", LEGACY),
    ("legacy-webhooks", LEGACY),
];

/// Transcripts whose set of fields is not compared, each with its reason.
const ANY_SHAPE: [(&str, &str); 1] =
    [("product-inventory-delta-v2", "v2 bodies have other fields; the effect is what matters")];

/// What has to be so before a transcript is replayed, done by REST: name, path, body of a PUT.
const BEFORE: [(&str, &str, &str); 15] = [
    ("batch-inventory-delta", "products/40", r#"{"stock_quantity":10}"#),
    ("batch-value-None", "products/40", r#"{"stock_quantity":50}"#),
    ("product-inventory-delta", "products/39", r#"{"stock_quantity":10}"#),
    ("product-inventory-delta-v2", "products/39", r#"{"stock_quantity":7}"#),
    ("product-nomanage-both", "products/59", r#"{"manage_stock":false}"#),
    ("product-nomanage-off", "products/59", r#"{"manage_stock":true}"#),
    ("product-nomanage-qty", "products/59", r#"{"manage_stock":false,"stock_status":"instock"}"#),
    ("product-nomanage-status", "products/59", r#"{"manage_stock":false}"#),
    ("product-stock-status-instock", "products/39", r#"{"stock_quantity":0}"#),
    ("variation-batch-inventory-delta", "products/41/variations/45", r#"{"stock_quantity":10}"#),
    ("variation-inventory-delta", "products/41/variations/45", r#"{"stock_quantity":13}"#),
    ("variation-parentmanaged-qty", "products/56", r#"{"stock_quantity":33}"#),
    ("product-method-override", "products/39", r#"{"stock_quantity":1}"#),
    ("product-patch", "products/39", r#"{"stock_quantity":1}"#),
    ("product-post-update", "products/39", r#"{"stock_quantity":1}"#),
];

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
    /// A key that may do everything.
    pub full: Credentials,
    /// A key that may only read, if there is one.
    pub read_only: Option<Credentials>,
    /// A key that may only write, if there is one.
    pub write_only: Option<Credentials>,
    /// It has lived the recorded history up to each transcript: then quantities, dates and lists have to agree too.
    pub same_history: bool,
}

/// What became of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer agrees.
    Agrees,
    /// It does not, in these places.
    Differs(Vec<String>),
    /// Not replayed, and why.
    Skipped(String),
}

/// What became of all of them.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// By name, in the order replayed.
    pub outcomes: Vec<(String, Outcome)>,
}

impl Report {
    /// How many answers agreed.
    pub fn agreed(&self) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Agrees).count()
    }

    /// The transcripts that were not replayed.
    pub fn skipped(&self) -> impl Iterator<Item = (&str, &str)> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Skipped(reason) => Some((name.as_str(), reason.as_str())),
            _ => None,
        })
    }

    /// The transcripts whose answers differ, with the places.
    pub fn differing(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Differs(places) => Some((name.as_str(), places.as_slice())),
            _ => None,
        })
    }
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
}

/// Replays transcripts in the order given. `before` is called ahead of each, to let the shop live what was not recorded;
/// for a shop that cannot be helped it does nothing.
///
/// A TLS provider has to be installed in the process if the address is https.
pub async fn replay(
    target: &Target,
    transcripts: &[Transcript],
    before: &mut (dyn FnMut(&Transcript) + Send),
) -> Result<Report, ReplayError> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = reqwest::Client::builder()
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(ReplayError::Client)?;
    let mut replayer = Replayer { http, target, ids: Ids::default() };
    replayer.map_catalogue(transcripts).await?;
    let mut report = Report::default();
    for transcript in transcripts {
        before(transcript);
        let outcome = replayer.one(transcript).await?;
        report.outcomes.push((transcript.name.clone(), outcome));
    }
    Ok(report)
}

struct Replayer<'a> {
    http: reqwest::Client,
    target: &'a Target,
    ids: Ids,
}

struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Replayer<'_> {
    /// Products are the same if their SKU is, or their name where they have none.
    async fn map_catalogue(&mut self, transcripts: &[Transcript]) -> Result<(), ReplayError> {
        let mut actual = Vec::new();
        for list in ["products", "variations"] {
            for page in 1..=CATALOGUE_PAGES_MAX {
                let path = format!("/wp-json/wc/v3/{list}?per_page=100&page={page}&_fields=id,sku,name");
                let answer =
                    self.send("the catalogue", "GET", &path, &Key::Full, None, Origin::Secure).await?;
                let items: Vec<Value> = serde_json::from_str(&answer.text).unwrap_or_default();
                let last = items.len() < 100;
                actual.extend(items);
                if last {
                    break;
                }
            }
        }
        let known = transcripts.iter().filter(|transcript| {
            matches!(transcript.name.as_str(), "products-list" | "variations-all" | "variation-force-delete")
        });
        for transcript in known {
            let answer: Value = serde_json::from_str(&transcript.answer).unwrap_or(Value::Null);
            let one = std::slice::from_ref(&answer);
            for item in answer.as_array().map_or(one, Vec::as_slice) {
                if let Some(same) = actual.iter().find(|other| is_same(item, other)) {
                    let id = |value: &Value| value.get("id").and_then(Value::as_i64).unwrap_or(0);
                    self.ids.learn(Numbering::Thing, id(item), id(same));
                }
            }
        }
        Ok(())
    }

    async fn one(&mut self, transcript: &Transcript) -> Result<Outcome, ReplayError> {
        if let Some(reason) = self.skip(transcript) {
            return Ok(Outcome::Skipped(reason));
        }
        for (_, path, body) in BEFORE.iter().filter(|(name, ..)| *name == transcript.name) {
            let path = self.ids.path(&format!("/wp-json/wc/v3/{path}"));
            let body = Some((*body).to_owned());
            self.send(&transcript.name, "PUT", &path, &Key::Full, body, Origin::Secure).await?;
        }
        let path = self.ids.path(&transcript.path);
        let body = transcript.body.as_ref().map(|body| self.body(body));
        let answer = self
            .send(&transcript.name, &transcript.method, &path, &transcript.key, body, transcript.origin)
            .await?;
        Ok(self.judge(transcript, &answer))
    }

    fn skip(&self, transcript: &Transcript) -> Option<String> {
        if let Some((_, reason)) = SKIPPED.iter().find(|(name, _)| *name == transcript.name) {
            return Some((*reason).to_owned());
        }
        let lacks = match (&transcript.key, transcript.origin) {
            (Key::ReadOnly, _) if self.target.read_only.is_none() => "a read-only key",
            (Key::WriteOnly, _) if self.target.write_only.is_none() => "a write-only key",
            (_, Origin::Plain) if self.target.plain_url.is_none() => "an address over plain http",
            _ => return None,
        };
        Some(format!("needs {lacks}"))
    }

    /// With ids at hand, and receivers replaced by nowhere. What is not JSON stays as it is.
    fn body(&self, body: &str) -> String {
        let Ok(mut value) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
        self.ids.body(&mut value);
        nowhere(&mut value);
        value.to_string()
    }

    async fn send(
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
        let method = method.parse().unwrap_or(reqwest::Method::GET);
        let mut request = self.http.request(method, format!("{base}{path}"));
        let credentials = match key {
            Key::Full if !in_query => Some(full),
            Key::ReadOnly => self.target.read_only.as_ref(),
            Key::WriteOnly => self.target.write_only.as_ref(),
            _ => None,
        };
        if let Some(credentials) = credentials {
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

    fn judge(&mut self, transcript: &Transcript, answer: &Answer) -> Outcome {
        let mut differences = Vec::new();
        if answer.status != transcript.status {
            differences.push(format!("status: recorded {}, found {}", transcript.status, answer.status));
        }
        for name in ["x-wp-total", "x-wp-totalpages", "content-type"] {
            let found = answer.headers.get(name).and_then(|value| value.to_str().ok());
            let wanted = transcript.headers.get(name).map(String::as_str);
            let counts = name.starts_with("x-wp") && !self.target.same_history;
            if (counts && wanted.is_some() != found.is_some()) || (!counts && wanted != found) {
                differences.push(format!("{name}: recorded {wanted:?}, found {found:?}"));
            }
        }
        if transcript.method != "HEAD" {
            let parse = |text: &str| serde_json::from_str::<Value>(text);
            match parse(&transcript.answer).and_then(|recorded| Ok((recorded, parse(&answer.text)?))) {
                Ok((mut recorded, actual)) => {
                    nowhere(&mut recorded);
                    if transcript.method == "POST" && transcript.status == 201 {
                        self.ids.learn_from(&recorded, &actual);
                    }
                    if transcript.method == "PUT" {
                        // An edit may have added lines.
                        self.ids.learn_from(&recorded, &actual);
                    }
                    let shape = !ANY_SHAPE.iter().any(|(name, _)| *name == transcript.name);
                    let compare = Compare { ids: &self.ids, same_history: self.target.same_history, shape };
                    differences.extend(compare.answers(&recorded, &actual));
                }
                Err(error) => differences.push(format!("not JSON: {error}")),
            }
        }
        if differences.is_empty() { Outcome::Agrees } else { Outcome::Differs(differences) }
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let sku = text(one, "sku");
    sku == text(other, "sku") && (!sku.is_empty() || text(one, "name") == text(other, "name"))
}

/// Recorded receivers become an address at which nobody listens.
fn nowhere(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(nowhere),
        Value::Object(fields) => {
            if let Some(url) = fields.get_mut("delivery_url") {
                let path = url.as_str().and_then(|url| url.strip_prefix("http://")?.split_once('/'));
                if let Some((_, path)) = path {
                    *url = format!("{NOWHERE}{path}").into();
                }
            }
        }
        _ => {}
    }
}
