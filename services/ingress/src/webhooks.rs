//! The address that shops call. A request is answered 200 only when what it says is safe with the bus, and otherwise
//! than 2xx only if it is not the shop's, cannot be read, or the bus cannot take it.

mod listings;
mod meaning;
mod shops;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use connector_woocommerce::{Incoming, SIGNATURE_HEADER, TOPICS, classify};
use process::telemetry::TRACES;
use store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::Instrument as _;
use tracing::field::Empty;
use values::{ShopId, Timestamp};

use crate::Shared;
use crate::observe::{Heard, Observe};
use crate::outbound::Outbound;
use listings::ToldListings;
use shops::{KnownShop, KnownShops, NotLookedUp};

/// Before the part of a webhook's address that cannot be guessed.
pub(crate) const PATH: &str = "/webhooks/";
/// That deliveries of a topic come is written down this often at most.
pub(crate) const DELIVERIES_NOTED_EVERY: Duration = Duration::from_mins(1);
/// That a shop pings is written down this often at most.
const PINGS_NOTED_EVERY: Duration = Duration::from_secs(1);
/// How long an answer waits for such a note: a database that is away must not hold up webhooks.
const NOTE_WAIT_MAX: Duration = Duration::from_secs(1);
/// The header with the topic. It is not signed, so nothing but notes for people and for the guardian hangs on it.
const TOPIC_HEADER: &str = "x-wc-webhook-topic";
/// Largest body of a webhook, in bytes.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Bodies in memory at once, in KiB; more wait for their turn.
const BODIES_KIB_MAX: u32 = 64 << 10;
/// How long a body waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// When a shop may call again if the bus takes nothing, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");
/// That a shop's webhooks are blind is written down this often at most.
const BLIND_NOTED_EVERY: Duration = Duration::from_mins(1);

/// Takes webhooks in.
#[derive(Debug, Clone)]
pub(crate) struct Webhooks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    outbound: Outbound,
    observe: Observe,
    clock: fn() -> Timestamp,
    shops: KnownShops,
    told: ToldListings,
    away: Arc<AtomicBool>,
    bodies: Arc<Semaphore>,
    body_read_timeout: Duration,
}

/// Boxed, for it is rare, and each webhook would have to have room for it.
type Noting<'a> = Pin<Box<dyn Future<Output = Result<(), store::Error>> + Send + 'a>>;

/// What became of a request; it says how to answer.
struct Outcome {
    shop: Option<ShopId>,
    heard: Heard,
}

impl Webhooks {
    pub(crate) fn new<C>(shared: &Shared<C>) -> Self {
        let inner = Inner {
            store: Arc::clone(&shared.store),
            outbound: shared.hints.clone(),
            observe: shared.observe.clone(),
            clock: shared.clock,
            shops: KnownShops::new(
                Arc::clone(&shared.store),
                shared.settings.shop_cache,
                Arc::clone(&shared.away),
                shared.snapshot.clone(),
            ),
            told: ToldListings::new(),
            away: Arc::clone(&shared.away),
            bodies: Arc::new(Semaphore::new(usize::try_from(BODIES_KIB_MAX).unwrap_or(usize::MAX))),
            body_read_timeout: shared.settings.body_read_timeout,
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn router(self) -> Router {
        Router::new().route("/webhooks/{token}", post(receive)).with_state(self)
    }
}

async fn receive(State(webhooks): State<Webhooks>, Path(token): Path<String>, request: Request) -> Response {
    let started = Instant::now();
    let (Parts { headers, .. }, body) = request.into_parts();
    // What the request says of a trace is nothing to us: shops are in none.
    let span = tracing::info_span!(
        target: TRACES, parent: None, "webhook", otel.kind = "server", shop.id = Empty, outcome = Empty,
        http.response.status_code = Empty
    );
    let taking = webhooks.inner.take(&token, &headers, body).instrument(span.clone());
    let Outcome { shop, heard } = taking.await;
    webhooks.inner.observe.heard(shop, heard, started.elapsed());
    let answer = answer(heard);
    span.record("shop.id", shop.map(ShopId::get)).record("outcome", heard.as_str());
    span.record("http.response.status_code", answer.status().as_u16());
    answer
}

fn answer(heard: Heard) -> Response {
    let status = match heard {
        Heard::Order
        | Heard::Listing
        | Heard::Told
        | Heard::Reread
        | Heard::Audit
        | Heard::Blind
        | Heard::Early
        | Heard::Ping => StatusCode::OK,
        Heard::Forged => StatusCode::UNAUTHORIZED,
        Heard::Unknown => StatusCode::NOT_FOUND,
        Heard::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Heard::Slow => StatusCode::REQUEST_TIMEOUT,
        Heard::Broken => StatusCode::BAD_REQUEST,
        Heard::Refused => {
            return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER)]).into_response();
        }
    };
    status.into_response()
}

impl Inner {
    async fn take(&self, token: &str, headers: &HeaderMap, body: Body) -> Outcome {
        let shop = match self.shops.find(token).await {
            Ok(Some(shop)) => shop,
            Ok(None) => return Outcome { shop: None, heard: Heard::Unknown },
            // That is said where it is noticed, not for each webhook.
            Err(NotLookedUp::Away) => return Outcome { shop: None, heard: Heard::Refused },
            Err(error) => {
                Observe::shop_not_looked_up(&error);
                return Outcome { shop: None, heard: Heard::Refused };
            }
        };
        let heard = match self.read(headers, body).await {
            Ok((body, _turn)) => self.hear(&shop, headers, body).await,
            Err(heard) => heard,
        };
        Outcome { shop: Some(shop.id), heard }
    }

    /// The whole body, within its bounds, and the right to have it in memory.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<(Bytes, OwnedSemaphorePermit), Heard> {
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes: usize = announced.unwrap_or(BODY_BYTES_MAX);
        if bytes > BODY_BYTES_MAX {
            return Err(Heard::TooLarge);
        }
        let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(BODIES_KIB_MAX);
        let turn = timeout(TURN_WAIT_MAX, Arc::clone(&self.bodies).acquire_many_owned(kib)).await;
        let Ok(Ok(turn)) = turn else { return Err(Heard::Refused) };
        match timeout(self.body_read_timeout, axum::body::to_bytes(body, bytes)).await {
            Ok(Ok(body)) => Ok((body, turn)),
            Ok(Err(error)) => Err(if is_over_limit(&error) { Heard::TooLarge } else { Heard::Broken }),
            Err(_elapsed) => Err(Heard::Slow),
        }
    }

    async fn hear(&self, shop: &KnownShop, headers: &HeaderMap, body: Bytes) -> Heard {
        let signature = headers.get(SIGNATURE_HEADER).map(HeaderValue::as_bytes);
        let incoming = classify(&shop.verifier, signature, &body);
        // Its connection reads into the same memory again if nobody has a part of it while this waits.
        drop(body);
        let content = match incoming {
            Incoming::Ping { webhook } => {
                // Number 0 is our own: the guardian tries the address.
                if webhook > 0 && shop.noted.is_news("ping", PINGS_NOTED_EVERY) {
                    let noting = Box::pin(self.store.note_ping(shop.id, (self.clock)()));
                    self.note("note a ping", noting).await;
                }
                return Heard::Ping;
            }
            Incoming::Forged => return Heard::Forged,
            Incoming::Authentic(content) => content,
        };
        self.note_delivery(shop, headers).await;
        if !shop.is_connected {
            return Heard::Early;
        }
        let (heard, mut messages) = meaning::of(shop.id, content);
        if heard == Heard::Blind && shop.noted.is_news("blind", BLIND_NOTED_EVERY) {
            // Only shown to people: polls read what these webhooks do not say.
            let noting = Box::pin(self.store.note_blind(shop.id, (self.clock)()));
            self.note("note that a shop's webhooks are blind", noting).await;
        }
        if messages.is_empty() {
            return heard;
        }
        let now = Instant::now();
        messages.retain(|message| !self.told.contains(message, now));
        if messages.is_empty() {
            return Heard::Told;
        }
        match self.outbound.publish_once(&messages).await {
            Ok(()) => {
                for message in &messages {
                    self.told.add(message, now);
                }
                heard
            }
            Err(error) => {
                Observe::webhook_refused(shop.id, &error);
                Heard::Refused
            }
        }
    }
}

impl Inner {
    /// That a topic is delivered, for the guardian: it knows from when on to read again.
    async fn note_delivery(&self, shop: &KnownShop, headers: &HeaderMap) {
        let said = headers.get(TOPIC_HEADER).and_then(|topic| topic.to_str().ok());
        let Some(topic) = said.and_then(|said| TOPICS.into_iter().find(|topic| *topic == said)) else {
            return;
        };
        if shop.noted.is_news(topic, DELIVERIES_NOTED_EVERY) {
            let noting = Box::pin(self.store.note_delivery(shop.id, topic, (self.clock)()));
            self.note("note a delivery", noting).await;
        }
    }

    /// Writes something down that may also be lost.
    async fn note(&self, doing: &'static str, noting: Noting<'_>) {
        if self.away.load(Ordering::Relaxed) {
            return;
        }
        if let Ok(Err(error)) = timeout(NOTE_WAIT_MAX, noting).await {
            Observe::store_failed(doing, &error);
        }
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.to_string() == "length limit exceeded" {
            return true;
        }
        cause = error.source();
    }
    false
}
