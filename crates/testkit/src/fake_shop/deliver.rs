//! Deliveries as WordPress sends them: one connection each, headers in its order, redirects not followed.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Inner;
use super::auth::hmac_sha256;
use super::counts::DELIVERY_TIMES_MAX;
use crate::shop::{Delivery, Payload, WebhookId};

/// How long the creation of a webhook waits for the answer to its ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Redirects a ping follows.
const PING_REDIRECTS_MAX: usize = 5;
/// Most of an answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// Most deliveries in a run of the queue; the rest waits for the next.
const RUN_MAX: usize = 10_000;
const USER_AGENT: &str = "WooCommerce/10.5.0 Hookshot (WordPress/6.9.1)";

/// What is wrong with the way to the receiver, on purpose.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    /// This many deliveries are lost: the shop takes them for failed, the receiver never hears.
    pub(super) lose: u64,
    /// This many deliveries arrive twice.
    pub(super) repeat: u64,
    /// Nothing is sent at all until it is switched on again; what is due waits.
    pub(super) off: bool,
    /// What is sent is held up on the way; the shop takes it for delivered.
    pub(super) hold: bool,
    /// What is held up, oldest first.
    pub(super) held: Vec<HeldUp>,
}

/// A delivery as the shop sent it, which has yet to arrive.
#[derive(Debug, Clone)]
pub(super) struct HeldUp {
    url: String,
    head: Vec<(&'static str, String)>,
    body: String,
}

/// What was held up arrives, the newest first if `reversed`; how many deliveries that were.
pub(super) async fn send_held(inner: &Inner, reversed: bool) -> usize {
    let mut held = std::mem::take(&mut inner.way().held);
    if reversed {
        held.reverse();
    }
    for HeldUp { url, head, body } in &held {
        post(url, head, body, inner.options.delivery_timeout).await;
    }
    held.len()
}

/// Runs the queue once: everything due, one after the other. How many were sent.
pub(super) async fn run_queue(inner: &Inner) -> usize {
    let _alone = inner.queue_run.lock().await;
    let mut sent = 0;
    while sent < RUN_MAX && !inner.way().off {
        let now = inner.now();
        let Some(delivery) = inner.model().run_queue(now, 1).pop() else { break };
        deliver(inner, &delivery).await;
        sent += 1;
    }
    sent
}

/// The body of a webhook, as it is signed.
pub(super) fn text(inner: &Inner, payload: &Payload) -> String {
    inner.options.dialect.body(inner.renderer.payload(payload).to_text())
}

async fn deliver(inner: &Inner, delivery: &Delivery) {
    let body = text(inner, &delivery.payload);
    let head = delivery_head(inner, delivery, &body);
    let (lost, repeated) = {
        let mut way = inner.way();
        if way.hold {
            way.held.push(HeldUp { url: delivery.delivery_url.to_string(), head, body });
            drop(way);
            inner.model().answered(delivery.webhook, true);
            return;
        }
        let now = (way.lose > 0, way.repeat > 0);
        way.lose = way.lose.saturating_sub(1);
        way.repeat = way.repeat.saturating_sub(1);
        now
    };
    let (mut answer, mut took) = (None, Duration::ZERO);
    if !lost && may_call(inner, &delivery.delivery_url) {
        for _ in 0..=u64::from(repeated) {
            let began = Instant::now();
            answer = post(&delivery.delivery_url, &head, &body, inner.options.delivery_timeout).await;
            took = began.elapsed();
        }
    }
    let ok = answer.as_ref().is_some_and(|answer| (200..=302).contains(&answer.status));
    {
        let mut counts = inner.counts();
        counts.deliveries += 1;
        counts.deliveries_failed += u64::from(!ok);
        if answer.is_some() && counts.deliveries_took.len() < DELIVERY_TIMES_MAX {
            counts.deliveries_took.push(took);
        }
    }
    let pings = {
        let mut model = inner.model();
        model.answered(delivery.webhook, ok);
        model.webhook(delivery.webhook).is_some_and(|webhook| webhook.pending_delivery)
    };
    if pings {
        ping(inner, delivery.webhook).await;
    }
}

fn delivery_head(inner: &Inner, delivery: &Delivery, body: &str) -> Vec<(&'static str, String)> {
    let topic = delivery.topic;
    vec![
        ("Content-Type", "application/json".to_owned()),
        ("X-WC-Webhook-Source", format!("{}/", inner.renderer.home)),
        ("X-WC-Webhook-Topic", topic.as_str().to_owned()),
        ("X-WC-Webhook-Resource", topic.resource().to_owned()),
        ("X-WC-Webhook-Event", topic.event().to_owned()),
        ("X-WC-Webhook-Signature", signature(&delivery.secret, body)),
        ("X-WC-Webhook-ID", delivery.webhook.0.to_string()),
        ("X-WC-Webhook-Delivery-ID", format!("{:032x}", delivery.delivery_id)),
    ]
}

/// Unsigned, as a form; only exactly 200 satisfies it.
pub(super) async fn ping(inner: &Inner, webhook: WebhookId) {
    let Some(mut url) = inner.model().webhook(webhook).map(|webhook| webhook.delivery_url.to_string()) else {
        return;
    };
    let head = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    let body = format!("webhook_id={}", webhook.0);
    inner.counts().pings += 1;
    for _ in 0..=PING_REDIRECTS_MAX {
        if !may_call(inner, &url) {
            return;
        }
        let Some(answer) = post(&url, &head, &body, PING_TIMEOUT).await else { return };
        match answer.location {
            Some(location) if (300..400).contains(&answer.status) => url = location,
            _ => {
                inner.model().pinged(webhook, answer.status == 200);
                return;
            }
        }
    }
}

/// Whether WordPress lets a request go there (`wp_http_validate_url`). Names are taken for public ones.
fn may_call(inner: &Inner, url: &str) -> bool {
    if !inner.options.safe_deliveries {
        return true;
    }
    let place = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        (host.to_ascii_lowercase(), port.parse::<u16>().ok())
    };
    let ((host, port), (own_host, own_port)) = (place(url), place(&inner.renderer.home));
    let is_own = host == own_host;
    let is_private = host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| {
        matches!(address.octets(), [0 | 10 | 127, ..] | [172, 16..=31, ..] | [192, 168, ..])
    });
    let port_allowed =
        port.is_none_or(|port| matches!(port, 80 | 443 | 8080) || (is_own && own_port == Some(port)));
    (is_own || !is_private) && port_allowed
}

/// The key is what WordPress stores, its HTML entities resolved.
pub(super) fn signature(secret: &str, body: &str) -> String {
    BASE64.encode(hmac_sha256(without_entities(secret).as_bytes(), body.as_bytes()))
}

/// `wp_specialchars_decode` with both kinds of quotes.
fn without_entities(text: &str) -> String {
    const ENTITIES: [(&str, char); 13] = [
        ("&lt;", '<'),
        ("&#060;", '<'),
        ("&#x3C;", '<'),
        ("&gt;", '>'),
        ("&#062;", '>'),
        ("&#x3E;", '>'),
        ("&quot;", '"'),
        ("&#034;", '"'),
        ("&#x22;", '"'),
        ("&#039;", '\''),
        ("&#x27;", '\''),
        ("&amp;", '&'),
        ("&#038;", '&'),
    ];
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        let entity = ENTITIES.iter().find_map(|(entity, plain)| Some((rest.strip_prefix(entity)?, *plain)));
        let (after, plain) = entity.unwrap_or_else(|| (rest.strip_prefix(char).unwrap_or_default(), char));
        decoded.push(plain);
        rest = after;
    }
    decoded
}

struct Answer {
    status: u16,
    location: Option<String>,
}

/// `None`: refused, cut, not HTTP, or too late.
async fn post(url: &str, head: &[(&'static str, String)], body: &str, timeout: Duration) -> Option<Answer> {
    tokio::time::timeout(timeout, exchange(url, head, body)).await.ok()?
}

async fn exchange(url: &str, head: &[(&'static str, String)], body: &str) -> Option<Answer> {
    let (authority, path) = split_url(url)?;
    let address = if authority.contains(':') { authority.clone() } else { format!("{authority}:80") };
    let mut stream = TcpStream::connect(address).await.ok()?;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip, br, zstd\r\n"
    );
    for (name, value) in head {
        for part in [*name, ": ", value, "\r\n"] {
            request.push_str(part);
        }
    }
    let end = format!("Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    request.push_str(&end);
    request.push_str(body);
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while answer.len() < ANSWER_MAX {
        match stream.read(&mut part).await {
            Ok(0) => break,
            Ok(count) => answer.extend(part.iter().take(count)),
            // Some receivers reset once they have answered.
            Err(_) if !answer.is_empty() => break,
            Err(_) => return None,
        }
    }
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let location = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    Some(Answer { status, location })
}

fn split_url(url: &str) -> Option<(String, String)> {
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((authority.to_owned(), format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_with_entities() {
        for (secret, key) in [
            ("&amp;x", "&x"),
            ("a&lt;b", "a<b"),
            ("&amp;lt;", "&lt;"),
            ("a&b <\"'", "a&b <\"'"),
            ("żółć &#039;", "żółć '"),
        ] {
            assert_eq!(without_entities(secret), key);
        }
    }

    #[test]
    fn signatures_are_those_of_the_recorded_deliveries() {
        let mut checked = 0;
        for label in ["t2-A1-pending", "t4-gone", "t3-R2-trash-REST"] {
            let file = crate::conformance::fixtures("webhooks").join(format!("{label}.jsonl"));
            for line in std::fs::read_to_string(file).unwrap().lines() {
                let delivery: serde_json::Value = serde_json::from_str(line).unwrap();
                let body = delivery["body"].as_str().unwrap();
                assert_eq!(signature("woo-test-secret", body), delivery["headers"]["X-WC-Webhook-Signature"]);
                checked += 1;
            }
        }
        assert_eq!(checked, 6);
    }
}
