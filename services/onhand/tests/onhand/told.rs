//! Somebody who is told of alerts, and may be hard of hearing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::harness::Bench;

pub(crate) const SECRET: &str = "a secret that is long enough";

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    Takes,
    /// As many are refused first.
    Refuses(u32),
    /// It is read and never answered.
    Hangs,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) taken: bool,
    pub(crate) digest: Value,
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    hearing: Arc<Mutex<Hearing>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Receiver {
    #[expect(clippy::disallowed_methods, reason = "test code")]
    pub(crate) async fn start(hearing: Hearing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, hearing: Arc::new(Mutex::new(hearing)), heard: Arc::default() };
        let router = Router::new().route("/hook", axum::routing::post(hear)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    /// onhand tells it from its next start on.
    pub(crate) fn is_told_by(&self, bench: &mut Bench) {
        bench.set("ONHAND_ALERT_WEBHOOK_URL", &self.url);
        bench.set("ONHAND_ALERT_WEBHOOK_SECRET", SECRET);
        bench.set("ONHAND_ALERT_WEBHOOK_PRIVATE_ADDRESSES", "true");
        bench.set("ONHAND_ALERT_DIGEST_SECONDS", "1");
    }

    pub(crate) fn hears(&self, hearing: Hearing) {
        *self.hearing.lock().unwrap() = hearing;
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// How often each alert was told of, by its number, how often it had begun, and whether it was over. What was sent twice
    /// under one id counts once.
    pub(crate) fn told(&self) -> BTreeMap<(i64, i64, bool), usize> {
        let taken: BTreeMap<String, Value> = self
            .heard()
            .into_iter()
            .filter(|heard| heard.taken)
            .map(|heard| (heard.id, heard.digest))
            .collect();
        let mut told = BTreeMap::new();
        for digest in taken.values() {
            for (list, over) in [("raised", false), ("resolved", true)] {
                for alert in digest[list].as_array().unwrap() {
                    let key = (alert["id"].as_i64().unwrap(), alert["count"].as_i64().unwrap(), over);
                    *told.entry(key).or_default() += 1;
                }
            }
        }
        told
    }
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    let signed = format!("{}.{body}", header("x-onhand-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let mut tag = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(tag, "{byte:02x}").unwrap();
    }
    assert_eq!(header("x-onhand-signature"), tag);
    let hearing = {
        let mut hearing = receiver.hearing.lock().unwrap();
        let now = *hearing;
        *hearing = match now {
            Hearing::Refuses(0 | 1) => Hearing::Takes,
            Hearing::Refuses(times) => Hearing::Refuses(times - 1),
            other => other,
        };
        now
    };
    let id = header("x-onhand-id").to_owned();
    let digest: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(digest["id"], id.as_str());
    receiver.heard.lock().unwrap().push(Heard { id, taken: hearing == Hearing::Takes, digest });
    match hearing {
        Hearing::Takes => StatusCode::OK,
        Hearing::Refuses(_) => StatusCode::SERVICE_UNAVAILABLE,
        Hearing::Hangs => std::future::pending().await,
    }
}
