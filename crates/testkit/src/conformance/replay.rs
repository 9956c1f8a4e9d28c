//! Sending recorded requests and judging the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::caller::{Answer, Caller, ReplayError, Target};
use super::compare::{Compare, Difference};
use super::ids::{Ids, Numbering};
use super::stage::{self, Made};
use super::transcript::{Key, Origin, Transcript};

/// Longest that a replay takes away what it made. About a hundred things, each a call.
pub const TAKE_AWAY_MAX: Duration = Duration::from_mins(5);

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

/// The same where the recorded history was not lived: what people did there by hand between two recordings.
const BEFORE_ELSEWHERE: [(&str, &str, &str); 1] =
    [("product-create", "products/40", r#"{"status":"publish"}"#)];

const AUTH: &str = "is about keys over https, which this shop does not take for its connection";

/// Numbers of nothing in the recorded shop; elsewhere they may be somebody's.
const NOBODY: [(i64, i64); 2] = [(999, 2_147_480_000), (999_999, 2_147_480_001)];

/// What an order says of itself to people who look at it in the shop.
const NOTE: &str = "onhand conformance test, to be deleted";

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

/// What became of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The answer agrees.
    Agrees,
    /// It does not, in these places.
    Differs(Vec<Difference>),
    /// Not replayed, and why.
    Skipped(String),
}

/// What became of all of them.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// By name, in the order replayed.
    pub outcomes: Vec<(String, Outcome)>,
    /// It was stopped before its end.
    pub stopped: bool,
    /// What was made in the shop and could not be taken away again, as paths.
    pub left: Vec<String>,
    /// Lists of the shop in which one more may have been made: a call got no answer.
    pub doubtful: Vec<String>,
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
    pub fn differing(&self) -> impl Iterator<Item = (&str, &[Difference])> {
        self.outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Differs(places) => Some((name.as_str(), places.as_slice())),
            _ => None,
        })
    }
}

/// Replays transcripts in the order given at a shop that began as the recorded one. `before` is called ahead of each, to let
/// the shop live what was not recorded.
pub async fn replay(
    target: &Target,
    transcripts: &[Transcript],
    before: &mut (dyn FnMut(&Transcript) + Send),
) -> Result<Report, ReplayError> {
    let (mut report, mut replayer) = (Report::default(), Replayer::new(target)?);
    for transcript in transcripts {
        before(transcript);
        replayer.next(transcript, &mut report).await?;
    }
    Ok(report)
}

/// Replays transcripts at any shop: makes the recorded goods there as far as they are missing, and takes away afterwards all
/// that was made, whatever became of the replay. Nothing is asked about numbers that are not those of the goods, or of what
/// the replay itself has made: they would be somebody else's.
///
/// `stop` ends it early: the call under way is waited for, since it may make something. `give_up` ends the taking away, which
/// ends after [`TAKE_AWAY_MAX`] by itself. What was found until then, and what is left in the shop, is reported with the
/// failure too.
pub async fn replay_anywhere(
    target: &Target,
    transcripts: &[Transcript],
    stop: impl Future<Output = ()>,
    give_up: impl Future<Output = ()>,
) -> (Report, Result<(), ReplayError>) {
    let mut report = Report::default();
    let mut replayer = match Replayer::new(target) {
        Ok(replayer) => replayer,
        Err(error) => return (report, Err(error)),
    };
    let stopped = AtomicBool::new(false);
    let replayed = {
        let replay = replayer.anywhere(transcripts, &stopped, &mut report);
        let (mut replay, mut stop) = (std::pin::pin!(replay), std::pin::pin!(stop));
        tokio::select! {
            replayed = replay.as_mut() => replayed,
            () = stop.as_mut() => {
                stopped.store(true, Ordering::Relaxed);
                replay.await
            }
        }
    };
    report.stopped = stopped.into_inner();
    let left = replayer.made.take_away(&replayer.caller, TAKE_AWAY_MAX, give_up).await;
    (report.left, report.doubtful) = (left.things, left.doubtful);
    (report, replayed)
}

struct Replayer<'a> {
    caller: Caller<'a>,
    ids: Ids,
    made: Made,
}

impl<'a> Replayer<'a> {
    fn new(target: &'a Target) -> Result<Self, ReplayError> {
        let mut ids = Ids::default();
        if !target.same_history {
            for (recorded, elsewhere) in NOBODY {
                ids.learn(Numbering::Thing, recorded, elsewhere);
            }
        }
        Ok(Self { caller: Caller::new(target)?, ids, made: Made::default() })
    }

    fn target(&self) -> &'a Target {
        self.caller.target
    }

    async fn anywhere(
        &mut self,
        transcripts: &[Transcript],
        stopped: &AtomicBool,
        report: &mut Report,
    ) -> Result<(), ReplayError> {
        stage::set_up(&self.caller, &mut self.ids, &mut self.made, stopped).await?;
        for transcript in transcripts.iter().take_while(|_| !stopped.load(Ordering::Relaxed)) {
            self.next(transcript, report).await?;
        }
        Ok(())
    }

    async fn next(&mut self, transcript: &Transcript, report: &mut Report) -> Result<(), ReplayError> {
        let outcome = self.one(transcript).await?;
        report.outcomes.push((transcript.name.clone(), outcome));
        Ok(())
    }

    async fn one(&mut self, transcript: &Transcript) -> Result<Outcome, ReplayError> {
        if let Some(reason) = self.skip(transcript) {
            return Ok(Outcome::Skipped(reason));
        }
        let elsewhere = BEFORE_ELSEWHERE.iter().filter(|_| !self.target().same_history);
        for (_, path, body) in BEFORE.iter().chain(elsewhere).filter(|(name, ..)| *name == transcript.name) {
            let path = self.ids.path(&format!("/wp-json/wc/v3/{path}"));
            let body = Some((*body).to_owned());
            self.caller.send(&transcript.name, "PUT", &path, &Key::Full, body, Origin::Secure).await?;
        }
        let path = self.ids.path(&transcript.path);
        let body = transcript.body.as_ref().map(|body| self.body(transcript, body));
        let answer = self
            .caller
            .send(&transcript.name, &transcript.method, &path, &transcript.key, body, transcript.origin)
            .await;
        if transcript.method == "POST" && answer.as_ref().map_or(true, |answer| answer.status >= 500) {
            self.made.doubt(&path);
        }
        let answer = answer?;
        if transcript.method == "POST" && answer.status == 201 {
            self.made.note(&path, &answer);
        }
        Ok(self.judge(transcript, &answer))
    }

    fn skip(&self, transcript: &Transcript) -> Option<String> {
        let name = transcript.name.as_str();
        if let Some((_, reason)) = SKIPPED.iter().find(|(skipped, _)| *skipped == name) {
            return Some((*reason).to_owned());
        }
        let target = self.target();
        let lacks = match (&transcript.key, transcript.origin) {
            (Key::ReadOnly, _) if target.read_only.is_none() => Some("a read-only key"),
            (Key::WriteOnly, _) if target.write_only.is_none() => Some("a write-only key"),
            (_, Origin::Plain) if target.plain_url.is_none() => Some("an address over plain http"),
            _ => None,
        };
        if let Some(lacks) = lacks {
            return Some(format!("needs {lacks}"));
        }
        if target.oauth && transcript.origin == Origin::Secure && name.starts_with("auth-") {
            return Some(AUTH.to_owned());
        }
        if target.same_history {
            return None;
        }
        let body: Option<Value> = transcript.body.as_ref().and_then(|body| serde_json::from_str(body).ok());
        let stranger = self.ids.strangers(&transcript.path, body.as_ref()).into_iter().next();
        stranger.map(|id| format!("is about number {id}, which was made without a recording"))
    }

    /// With ids at hand, and receivers replaced by nowhere; an order says what it is. What is not JSON stays as it is.
    fn body(&self, transcript: &Transcript, body: &str) -> String {
        let Ok(mut value) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
        self.ids.body(&mut value);
        nowhere(&mut value);
        let is_order = transcript.method == "POST" && transcript.path.ends_with("/orders");
        if let Some(order) = value.as_object_mut().filter(|_| is_order && !self.target().same_history) {
            order.entry("customer_note").or_insert_with(|| NOTE.into());
        }
        value.to_string()
    }

    fn judge(&mut self, transcript: &Transcript, answer: &Answer) -> Outcome {
        let mut differences = Vec::new();
        if answer.status != transcript.status {
            differences.push(Difference::new("status", &transcript.status, &answer.status));
        }
        for name in ["x-wp-total", "x-wp-totalpages", "content-type"] {
            let found = answer.headers.get(name).and_then(|value| value.to_str().ok());
            let wanted = transcript.headers.get(name).map(String::as_str);
            let counts = name.starts_with("x-wp") && !self.target().same_history;
            if (counts && wanted.is_some() != found.is_some()) || (!counts && wanted != found) {
                const NONE: &str = "no such header";
                differences.push(Difference::new(name, wanted.unwrap_or(NONE), found.unwrap_or(NONE)));
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
                    let compare = Compare { ids: &self.ids, same_history: self.target().same_history, shape };
                    differences.extend(compare.answers(&recorded, &actual));
                }
                Err(error) => differences.push(Difference::new("body", "JSON", &format!("none: {error}"))),
            }
        }
        if differences.is_empty() { Outcome::Agrees } else { Outcome::Differs(differences) }
    }
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
