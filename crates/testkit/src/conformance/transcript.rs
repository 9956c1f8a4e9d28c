//! A recorded request with its answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use values::Timestamp;

/// Transcripts recorded in one second whose order is not that of their names.
const SAME_SECOND: [&str; 25] = [
    "webhook-create-order.created",
    "webhook-create-order.updated",
    "webhook-create-order.deleted",
    "webhook-create-order.restored",
    "webhook-create-product.created",
    "webhook-create-product.updated",
    "webhook-create-product.deleted",
    "webhook-create-product.restored",
    "variations-list",
    "variations-all",
    "product-put-both",
    "product-inventory-delta",
    "product-inventory-delta-v2",
    "variation-inventory-delta",
    "variation-batch-inventory-delta",
    "product-nomanage-qty",
    "product-nomanage-both",
    "product-nomanage-off",
    "product-nomanage-status",
    "product-stock-status-instock",
    "product-stock-50",
    "refund-K-order-after",
    "refund-K-list",
    "trash-R2-get",
    "trash-R3",
];

/// Which of the recorded shop's addresses was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Taken for encrypted: Basic works.
    Secure,
    /// Plain http: only OAuth works.
    Plain,
    /// The second shop, with the legacy plugin.
    Legacy,
}

/// Which of the recorded keys the request carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// None at all.
    None,
    /// The one that may do everything.
    Full,
    /// The one that may only read.
    ReadOnly,
    /// The one that may only write.
    WriteOnly,
    /// Anything else, to be sent as it is.
    Other(String),
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// Its file's name without the ending.
    pub name: String,
    /// GET, POST …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Which address.
    pub origin: Origin,
    /// Which key.
    pub key: Key,
    /// What was sent, if anything.
    pub body: Option<String>,
    /// Status of the answer.
    pub status: u16,
    /// Headers of the answer, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body of the answer.
    pub answer: String,
    /// `Date` of the answer.
    pub recorded_at: Timestamp,
    /// How long the answer took.
    pub took: Duration,
}

/// A transcript cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder or a file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a transcript.
    #[error("{path} is not a transcript: {missing} is missing or of the wrong form")]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        missing: &'static str,
    },
}

/// The recorded traffic of this crate: `rest` or `webhooks`.
pub fn fixtures(kind: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures", "woocommerce-10.5", kind].iter().collect()
}

/// All transcripts of a folder in the order in which they were recorded.
pub fn load(folder: &Path) -> Result<Vec<Transcript>, LoadError> {
    let read = |source| LoadError::Read { path: folder.to_owned(), source };
    let mut transcripts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        transcripts.push(load_one(&entry.map_err(read)?.path())?);
    }
    transcripts.sort_by_key(|transcript| {
        let rank = SAME_SECOND.iter().position(|name| *name == transcript.name);
        (transcript.recorded_at, rank, transcript.name.clone())
    });
    Ok(transcripts)
}

fn load_one(path: &Path) -> Result<Transcript, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let file: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let missing = |missing| LoadError::Form { path: path.to_owned(), missing };
    let field = |name: &'static str| file.get(name).and_then(Value::as_str).ok_or_else(|| missing(name));
    let url = field("url")?;
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, target) = after_scheme.split_once('/').ok_or_else(|| missing("url"))?;
    let headers: BTreeMap<String, String> = file
        .get("response_headers")
        .and_then(Value::as_object)
        .ok_or_else(|| missing("response_headers"))?
        .iter()
        .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
        .collect();
    let date = headers.get("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let authorization =
        file.get("request_headers").and_then(|headers| headers.get("Authorization")).and_then(Value::as_str);
    Ok(Transcript {
        name: field("name")?.to_owned(),
        method: field("method")?.to_owned(),
        path: format!("/{target}"),
        origin: match authority.rsplit(':').next() {
            Some("8089") => Origin::Plain,
            Some("8090") => Origin::Legacy,
            _ => Origin::Secure,
        },
        key: key_of(authorization, target),
        body: match file.get("request_body") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(body) => Some(body.to_string()),
        },
        status: file
            .get("status")
            .and_then(Value::as_u64)
            .and_then(|status| status.try_into().ok())
            .ok_or_else(|| missing("status"))?,
        headers,
        answer: field("response_body")?.to_owned(),
        took: file
            .get("seconds")
            .and_then(Value::as_f64)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .unwrap_or_default(),
        recorded_at: date
            .map(|date| Timestamp::from_seconds(date.timestamp().as_second()))
            .ok_or_else(|| missing("Date"))?,
    })
}

/// `Basic` of `ck_1…:cs_2…`, `ck_3…:cs_4…`, `ck_5…:cs_6…`.
fn key_of(authorization: Option<&str>, target: &str) -> Key {
    use base64::Engine as _;
    let Some(authorization) = authorization else {
        return if target.contains("consumer_key=ck_1111") { Key::Full } else { Key::None };
    };
    let encoded = authorization.strip_prefix("Basic ").unwrap_or_default();
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap_or_default();
    let pair = String::from_utf8_lossy(&decoded);
    match pair.split_once(':') {
        Some((key, secret)) if key.starts_with("ck_1111") && secret.starts_with("cs_2222") => Key::Full,
        Some((key, _)) if key.starts_with("ck_3333") => Key::ReadOnly,
        Some((key, _)) if key.starts_with("ck_5555") => Key::WriteOnly,
        _ => Key::Other(authorization.to_owned()),
    }
}
