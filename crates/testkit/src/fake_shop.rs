//! A WooCommerce shop over HTTP on loopback: the model of [`crate::shop`] behind the REST interface, with real webhook
//! deliveries and with faults on demand.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use onhand_testkit::fake_shop::{Fault, FaultKind, FakeShop, FakeShopOptions};
//! use onhand_testkit::shop::NewProduct;
//!
//! let shop = FakeShop::start(FakeShopOptions::default()).await?;
//! shop.with_model(|model, now| model.add_product(NewProduct::simple(None, 25), now));
//! shop.fault(Fault::next("POST products/batch", FaultKind::CutAfter));
//! println!("{}/wp-json/wc/v3/products", shop.url());
//! shop.stop().await;
//! # Ok(())
//! # }
//! ```

mod auth;
mod body;
mod counts;
mod dates;
mod deliver;
mod dialect;
mod faults;
mod json;
mod notes;
mod orders;
mod products;
mod query;
mod render;
mod reply;
mod routes;
mod server;
#[cfg(test)]
mod tests;
mod webhooks;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use values::{OrderId, Timestamp};

pub(crate) use auth::oauth;
pub use auth::{ApiKey, Permissions};
pub use counts::Counts;
pub use dialect::Dialect;
pub use faults::{Fault, FaultKind, RetryAfter};

use crate::shop::{Change, Outcome, Payload, Refusal, Shop, ShopOptions};

/// How long a stopping shop waits for what is under way.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How a fake shop is set up.
#[derive(Debug, Clone)]
pub struct FakeShopOptions {
    /// The model's own.
    pub shop: ShopOptions,
    /// Keys that may call.
    pub keys: Vec<ApiKey>,
    /// The shop takes its connections for encrypted (a proxy in front does TLS): then Basic and keys in the query
    /// work, and OAuth is not asked for.
    pub https: bool,
    /// Where the shop believes it is; `None`: where it listens. OAuth signatures are made over it.
    pub home: Option<String>,
    /// Seconds its local time is ahead of UTC.
    pub utc_offset_seconds: i64,
    /// Its clock is this much ahead of the machine's, in microseconds; may be negative.
    pub clock_offset_micros: i64,
    /// How often the queue of deliveries runs; `None`: only by [`FakeShop::run_queue`]. A real shop takes 60 s.
    pub delivery_period: Option<Duration>,
    /// The queue only runs if somebody called since it last ran, as WP-Cron does.
    pub delivery_needs_visit: bool,
    /// How long a receiver may take.
    pub delivery_timeout: Duration,
    /// Deliveries go where WordPress lets them (`wp_safe_remote_post`): to ports 80, 443 and 8080 and to no private network,
    /// except to the shop's own host and port. What is refused is not said anywhere. Off: a filter lets everything through.
    pub safe_deliveries: bool,
    /// Added to every call.
    pub latency: Duration,
    /// Added for every item of a batch.
    pub item_latency: Duration,
    /// Between the steps of every write.
    pub step_pause: Duration,
    /// Requests worked on at once; others wait.
    pub workers: usize,
    /// How plugins and hosts change what it says.
    pub dialect: Dialect,
}

impl FakeShopOptions {
    /// The key every default shop knows.
    pub const KEY: &'static str = "ck_1111111111111111111111111111111111111111";
    /// And its secret.
    pub const SECRET: &'static str = "cs_2222222222222222222222222222222222222222";
}

impl Default for FakeShopOptions {
    fn default() -> Self {
        let key = ApiKey {
            key: Self::KEY.to_owned(),
            secret: Self::SECRET.to_owned(),
            permissions: Permissions::ReadWrite,
        };
        Self {
            shop: ShopOptions::default(),
            keys: vec![key],
            https: false,
            home: None,
            utc_offset_seconds: 3_600,
            clock_offset_micros: 0,
            delivery_period: Some(Duration::from_millis(20)),
            delivery_needs_visit: false,
            delivery_timeout: Duration::from_mins(1),
            safe_deliveries: false,
            latency: Duration::ZERO,
            item_latency: Duration::ZERO,
            step_pause: Duration::ZERO,
            workers: 10,
            dialect: Dialect::default(),
        }
    }
}

/// A shop that listens. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct FakeShop {
    inner: Arc<Inner>,
    address: SocketAddr,
}

struct Inner {
    options: FakeShopOptions,
    renderer: render::Renderer,
    model: Mutex<Shop>,
    clock_offset_micros: AtomicI64,
    script: Mutex<faults::Script>,
    counts: Mutex<Counts>,
    nonces: Mutex<auth::Nonces>,
    notes: Mutex<notes::Notes>,
    way: Mutex<deliver::Way>,
    visited: AtomicBool,
    queue_run: tokio::sync::Mutex<()>,
    workers: Semaphore,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("home", &self.renderer.home).finish_non_exhaustive()
    }
}

/// A panicked test must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn now(&self) -> Timestamp {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(real.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(micros.saturating_add(self.clock_offset_micros.load(Ordering::Relaxed)))
    }

    fn model(&self) -> MutexGuard<'_, Shop> {
        lock(&self.model)
    }

    fn script(&self) -> MutexGuard<'_, faults::Script> {
        lock(&self.script)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }

    fn nonces(&self) -> MutexGuard<'_, auth::Nonces> {
        lock(&self.nonces)
    }

    fn way(&self) -> MutexGuard<'_, deliver::Way> {
        lock(&self.way)
    }

    fn visited(&self) {
        self.visited.store(true, Ordering::Relaxed);
    }
}

impl FakeShop {
    /// Listens on a free port of loopback.
    pub async fn start(options: FakeShopOptions) -> std::io::Result<Self> {
        Self::start_with(Shop::new(options.shop.clone()), options, 0).await
    }

    /// Listens with a model that exists already, on `port` (0: a free one): a shop that comes back.
    pub async fn start_with(model: Shop, options: FakeShopOptions, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let home = options.home.clone().unwrap_or_else(|| format!("http://{address}"));
        let inner = Arc::new(Inner {
            renderer: render::Renderer { home, utc_offset_seconds: options.utc_offset_seconds },
            model: Mutex::new(model),
            clock_offset_micros: AtomicI64::new(options.clock_offset_micros),
            script: Mutex::default(),
            counts: Mutex::default(),
            nonces: Mutex::default(),
            notes: Mutex::default(),
            way: Mutex::default(),
            visited: AtomicBool::new(false),
            queue_run: tokio::sync::Mutex::new(()),
            workers: Semaphore::new(options.workers.max(1)),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            options,
        });
        inner.tasks.spawn(server::accept(inner.clone(), listener));
        if let Some(period) = inner.options.delivery_period {
            inner.tasks.spawn(run_queue_every(inner.clone(), period));
        }
        Ok(Self { inner, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The shop's own clock.
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// Moves the shop's clock: this many microseconds ahead of the machine's from now on.
    pub fn set_clock_offset_micros(&self, offset: i64) {
        self.inner.clock_offset_micros.store(offset, Ordering::Relaxed);
    }

    /// Sets the shop's clock; it runs on from there.
    pub fn set_clock(&self, now: Timestamp) {
        let ahead = now.micros().saturating_sub(self.inner.now().micros());
        self.inner.clock_offset_micros.fetch_add(ahead, Ordering::Relaxed);
    }

    /// Looks into the model or acts on it at once, with the shop's time. It is locked meanwhile.
    pub fn with_model<T>(&self, act: impl FnOnce(&mut Shop, Timestamp) -> T) -> T {
        let now = self.inner.now();
        act(&mut self.inner.model(), now)
    }

    /// A buyer or an admin acts, step by step with the configured pause, while others call.
    pub async fn act(&self, change: Change) -> Result<Outcome, Refusal> {
        self.inner.visited();
        server::write(&self.inner, change, self.inner.options.step_pause).await
    }

    /// Something will go wrong.
    pub fn fault(&self, fault: Fault) {
        self.inner.script().push(fault);
    }

    /// Nothing more will go wrong.
    pub fn clear_faults(&self) {
        self.inner.script().clear();
    }

    /// What was called so far.
    pub fn counts(&self) -> Counts {
        self.inner.counts().clone()
    }

    /// What was called since the last time.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.inner.counts())
    }

    /// What a webhook says of an order as it is now, and its signature under a secret. `None`: there is no such order.
    pub fn webhook_of(&self, order: OrderId, secret: &str) -> Option<(String, String)> {
        let view = self.with_model(|model, _| model.order(order))?;
        let body = deliver::text(&self.inner, &Payload::Order(Box::new(view)));
        let signature = deliver::signature(secret, &body);
        Some((body, signature))
    }

    /// The notes to the customer of an order, oldest first.
    pub fn customer_notes(&self, order: OrderId) -> Vec<String> {
        lock(&self.inner.notes).to_customer(order)
    }

    /// Runs the queue of deliveries now; how many were sent.
    pub async fn run_queue(&self) -> usize {
        deliver::run_queue(&self.inner).await
    }

    /// Switches deliveries off and on; what is due waits meanwhile.
    pub fn set_deliveries(&self, on: bool) {
        self.inner.way().off = !on;
    }

    /// The next `count` deliveries get lost on the way; the shop counts them as failed.
    pub fn lose_deliveries(&self, count: u64) {
        self.inner.way().lose = count;
    }

    /// The next `count` deliveries arrive twice.
    pub fn repeat_deliveries(&self, count: u64) {
        self.inner.way().repeat = count;
    }

    /// Holds up what is sent from now on, or no longer; the shop takes it for delivered. It stays held up until
    /// [`FakeShop::send_held`].
    pub fn hold_deliveries(&self, hold: bool) {
        self.inner.way().hold = hold;
    }

    /// What was held up arrives as it was sent, the newest first if `reversed`; how many deliveries that were.
    pub async fn send_held(&self, reversed: bool) -> usize {
        deliver::send_held(&self.inner, reversed).await
    }

    /// Stops listening, waits for what is under way, and gives the model back.
    pub async fn stop(self) -> Shop {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        drop(tokio::time::timeout(STOP_PATIENCE, self.inner.tasks.wait()).await);
        self.inner.model().clone()
    }
}

impl Drop for FakeShop {
    fn drop(&mut self) {
        self.inner.stop.cancel();
    }
}

async fn run_queue_every(inner: Arc<Inner>, period: Duration) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = inner.stop.cancelled() => return,
        }
        let visited = inner.visited.swap(false, Ordering::Relaxed);
        if !inner.options.delivery_needs_visit || visited {
            tokio::select! {
                _ = deliver::run_queue(&inner) => {}
                () = inner.stop.cancelled() => return,
            }
        }
    }
}
