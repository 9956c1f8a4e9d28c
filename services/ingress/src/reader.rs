//! The one reader of a shop: what is to be done next, and how long it rests.
//!
//! All it does it does one after the other, so that what it publishes has one order: a shown stock stays behind every
//! order that was read for it.

mod calls;
mod catalogue;
mod connection_test;
mod counting;
mod cursor;
mod farewell;
mod gate;
pub(crate) mod guard;
mod job;
mod listings;
mod orders;
mod period;
mod reconcile;
mod report;
mod settling;
mod singling;
mod stocks;

use std::sync::Arc;
use std::time::{Duration, Instant};

use connector::{OrderSet, ReadCatalogue, ReadListings, ReadOrders};
use process::backoff::random;
use store::{CursorKind, Fenced, Lease, ReadNumbers, Reading, Shop};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use values::{HolderId, OrderId, ReadNumber, ShopId, Timestamp};

use crate::connect::ConnectError;
use crate::observe::Observe;
use crate::outbound::Stopped;
use crate::{Connect, Shared};
use counting::Counting;
use cursor::Position;
use gate::Gate;
use guard::Guard;
use job::Job;
use reconcile::Runs;
use settling::Settling;
use singling::Singling;

/// Read numbers taken from the store at once; what is left of them at the end is never used.
const NUMBERS_TOGETHER: u32 = 64;
/// Longest rest: nothing is missed for longer, should a wake-up ever be.
const REST_MAX: Duration = Duration::from_secs(5);
/// Rest after the database failed.
const STORE_REST: Duration = Duration::from_secs(1);

/// Why a reader stopped what it did.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    /// The call failed; noted already. The gate knows how long to rest.
    #[error("a call to the shop failed")]
    Call(#[source] connector::CallError),
    /// No call is let through before this.
    #[error("the shop is left alone for a while")]
    Resting,
    /// Another has the shop.
    #[error("another reader has the shop")]
    Stale,
    #[error("the shop cannot be called")]
    Connect(#[source] ConnectError),
    #[error("the database failed")]
    Store(#[from] store::Error),
    /// It was removed a moment ago.
    #[error("the shop has no key any more")]
    NoSecrets,
    #[error("told to stop")]
    Stopped,
}

impl From<Stopped> for ReadError {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Something was done; there may be more.
    Worked,
    /// Nothing to do before this, unless woken.
    Idle(Instant),
}

/// What there is to do for a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Orders to be read again.
    Rereads,
    /// Stocks that were read a while ago.
    Prove,
    /// The poll of changed orders.
    Orders,
    /// The poll of the trash.
    Trash,
    /// The webhooks in the shop.
    Webhooks,
    /// Entries of the catalogue to be read again.
    Listings,
    /// Stocks to be read.
    Stocks,
    /// A comparison of the whole shop.
    Reconcile,
    /// A step of a long job.
    Job,
}

impl Work {
    const ALL: [Self; 9] = [
        Self::Rereads,
        Self::Prove,
        Self::Orders,
        Self::Trash,
        Self::Webhooks,
        Self::Listings,
        Self::Stocks,
        Self::Reconcile,
        Self::Job,
    ];
}

/// What may have to be looked for in the store.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a queue of its own")]
struct Looks {
    rereads: bool,
    listings: bool,
    settles: bool,
    tasks: bool,
}

impl Looks {
    const ALL: Self = Self { rereads: true, listings: true, settles: true, tasks: true };
}

type CursorOf<C> = <<C as Connect>::Connection as ReadCatalogue>::Cursor;

/// Reads one shop.
pub(crate) struct Reader<C: Connect> {
    shared: Arc<Shared<C>>,
    shop: watch::Receiver<Shop>,
    id: ShopId,
    wake: Arc<Notify>,
    stop: CancellationToken,
    connection: Option<Arc<C::Connection>>,
    gate: Gate,
    lease: Option<Lease>,
    numbers: Option<ReadNumbers>,
    live: Option<Position>,
    trash: Option<Position>,
    orders_due: Instant,
    trash_due: Instant,
    looks: Looks,
    /// Since when wishes are gathered.
    gathering: Option<Instant>,
    /// What failed last.
    failed: Option<Work>,
    /// Orders that are read again.
    orders_apart: Singling<OrderId>,
    /// Entries of the catalogue that are read again.
    listings_apart: Singling<HolderId>,
    settling: Settling,
    runs: Runs,
    counting: Counting,
    guard: Guard,
    job: Option<Job<CursorOf<C>>>,
    /// The shop's orders were read for the first time: it is polled and settled from then on.
    connected: bool,
    catalogue_wanted: bool,
    /// Routine jobs rest until then after one failed.
    routine_after: Instant,
    reading: Reading,
    reading_known: bool,
}

impl<C: Connect> Reader<C> {
    pub(crate) fn new(
        shared: Arc<Shared<C>>,
        shop: watch::Receiver<Shop>,
        wake: Arc<Notify>,
        stop: CancellationToken,
    ) -> Self {
        let id = shop.borrow().id;
        let settings = &shared.settings;
        let gate = Gate::new(settings.calls, settings.breaker, settings.retry);
        let guard = Guard::new((shared.clock)());
        let orders_apart = Singling::new(C::Connection::ORDERS_BY_ID_MAX, settings.retry);
        let listings_apart = Singling::new(C::Connection::LISTINGS_MAX, settings.retry);
        let now = Instant::now();
        Self {
            shared,
            shop,
            id,
            wake,
            stop,
            connection: None,
            gate,
            lease: None,
            numbers: None,
            live: None,
            trash: None,
            orders_due: now,
            trash_due: now,
            looks: Looks::ALL,
            gathering: None,
            failed: None,
            orders_apart,
            listings_apart,
            settling: Settling::default(),
            runs: Runs::new(),
            counting: Counting::default(),
            guard,
            job: None,
            connected: false,
            catalogue_wanted: false,
            routine_after: now,
            reading: Reading::none(id),
            reading_known: false,
        }
    }

    /// Until it is told to stop.
    pub(crate) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let span = tracing::info_span!("read shop", shop.id = self.id.get());
            let idle_until = match self.turn().instrument(span).await {
                Ok(Turn::Worked) => continue,
                Ok(Turn::Idle(until)) => until.min(Instant::now() + REST_MAX),
                Err(error) => self.rest_after(&error),
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.wake.notified() => {
                    self.looks = Looks::ALL;
                    self.runs.asked = true;
                }
                Ok(()) = self.shop.changed() => self.shop_changed(),
                () = tokio::time::sleep_until(idle_until.into()) => {}
            }
        }
        if self.reading.failing_since.is_some() {
            self.shared.observe.shop_fails(false);
        }
        if let Some(lease) = self.lease
            && let Err(error) = self.shared.store.end_lease(self.id, lease.fence).await
        {
            Observe::store_failed("give a lease back", &error);
        }
    }

    fn shop_changed(&mut self) {
        self.connection = None;
        self.looks = Looks::ALL;
        // What was changed may concern its webhooks.
        self.guard.due = Instant::now();
    }

    fn rest_after(&mut self, error: &ReadError) -> Instant {
        let now = Instant::now();
        match error {
            ReadError::Call(_) | ReadError::Resting => self.gate.rests_until(now).unwrap_or(now),
            ReadError::Stale => {
                self.lease = None;
                self.forget_position();
                now + self.shared.settings.lease / 2
            }
            ReadError::Connect(_) | ReadError::NoSecrets => now + REST_MAX,
            ReadError::Store(error) => {
                Observe::store_failed("read a shop", error);
                now + STORE_REST
            }
            ReadError::Stopped => now,
        }
    }

    /// What was known as the shop's reader is no longer certain.
    fn forget_position(&mut self) {
        self.numbers = None;
        self.live = None;
        self.trash = None;
        self.settling = Settling::default();
        self.runs = Runs::new();
        self.counting = Counting::default();
        self.guard.forget();
        self.job = None;
        self.reading_known = false;
    }

    /// Does the most urgent thing there is to do.
    async fn turn(&mut self) -> Result<Turn, ReadError> {
        if !self.hold_lease().await? {
            return Ok(Turn::Idle(Instant::now() + self.shared.settings.lease / 2));
        }
        if !self.reading_known {
            self.reading = self.shared.store.reading(self.id).await?.unwrap_or(Reading::none(self.id));
            self.reading.failing_since = None;
            self.connected = self.shared.store.cursor(self.id, CursorKind::Orders).await?.is_some();
            self.reading_known = true;
        }
        if self.urgent_if_wanted().await? {
            return Ok(Turn::Worked);
        }
        let now = Instant::now();
        if let Some(until) = self.gate.rests_until(now) {
            self.give_up_job_if_hopeless().await?;
            self.give_up_run_if_hopeless().await?;
            return Ok(Turn::Idle(until));
        }
        for work in self.order_of_work() {
            match self.work(work, now).await {
                Ok(false) => {}
                Ok(true) => {
                    self.failed.take_if(|failed| *failed == work);
                    return Ok(Turn::Worked);
                }
                Err(error) => {
                    self.failed = Some(work);
                    self.end_run_if_refused(work, &error).await?;
                    return Err(error);
                }
            }
        }
        self.gathering.take_if(|until| *until <= now);
        Ok(Turn::Idle(self.next_due(now)))
    }

    /// The most urgent first, but what failed last comes last: one thing that always fails must not keep the others from
    /// being done.
    fn order_of_work(&self) -> impl Iterator<Item = Work> + use<C> {
        let failed = self.failed;
        Work::ALL.into_iter().filter(move |work| failed != Some(*work)).chain(failed)
    }

    /// `false`: there is nothing of that kind to do.
    async fn work(&mut self, work: Work, now: Instant) -> Result<bool, ReadError> {
        if work == Work::Job {
            self.plan_routine();
            return self.job_turn().await;
        }
        if !self.connected {
            return Ok(false);
        }
        match work {
            Work::Rereads => {
                self.looks.rereads |= self.orders_apart.again_at().is_some_and(|at| at <= now);
                Ok(self.looks.rereads && self.gathered(now) && self.read_again(now).await?)
            }
            Work::Prove => {
                let ready = self.proof_due().is_some_and(|due| due <= now);
                if ready {
                    self.prove().await?;
                }
                Ok(ready)
            }
            Work::Orders => self.poll_if_due(OrderSet::Live, self.orders_due <= now).await,
            Work::Trash => self.poll_if_due(OrderSet::Trash, self.trash_due <= now).await,
            Work::Webhooks => self.guard_if_due(now).await,
            Work::Listings => {
                self.looks.listings |= self.listings_apart.again_at().is_some_and(|at| at <= now);
                Ok(self.looks.listings && self.gathered(now) && self.read_listings(now).await?)
            }
            Work::Stocks => {
                let looks = self.looks.settles && self.settling.has_room();
                Ok(looks && self.gathered(now) && self.read_stocks().await?)
            }
            Work::Reconcile => self.reconcile(now).await,
            Work::Job => Ok(false),
        }
    }

    /// When orders are to be read that prove what stocks showed. While many stocks are being read one after the other, their
    /// proofs wait for each other.
    fn proof_due(&self) -> Option<Instant> {
        let reading = self.runs.is_reading() || self.looks.settles;
        self.settling.proof_due(reading, self.shared.settings.settle_wait / 2)
    }

    async fn poll_if_due(&mut self, set: OrderSet, is_due: bool) -> Result<bool, ReadError> {
        if is_due {
            self.poll(set).await?;
        }
        Ok(is_due)
    }

    /// Wishes come one by one and are done together: whether they were gathered for long enough.
    fn gathered(&mut self, now: Instant) -> bool {
        now >= *self.gathering.get_or_insert(now + self.shared.settings.gather)
    }

    fn next_due(&self, now: Instant) -> Instant {
        let renewal = now + self.shared.settings.lease / 2;
        if !self.connected {
            return renewal;
        }
        let all = [
            Some(self.orders_due),
            Some(self.trash_due),
            self.guard_due(),
            self.proof_due(),
            self.gathering,
            Some(self.runs.look_at()),
            self.orders_apart.again_at(),
            self.listings_apart.again_at(),
        ];
        all.into_iter().flatten().fold(renewal, Instant::min)
    }

    /// Has the right to read the shop, or gets it. `false` while another has it.
    async fn hold_lease(&mut self) -> Result<bool, ReadError> {
        let (now, lasts) = ((self.shared.clock)(), self.shared.settings.lease);
        // A clock that was set back must not make a lease look long.
        let fresh = self.lease.is_some_and(|lease| {
            let left = lease.until.since(now);
            left > lasts / 2 && left <= lasts
        });
        if fresh {
            return Ok(true);
        }
        let lease = self.shared.store.lease_reader(self.id, &self.shared.owner, now, lasts).await?;
        if lease.map(|lease| lease.fence) != self.lease.map(|lease| lease.fence) {
            self.forget_position();
        }
        self.lease = lease;
        Ok(lease.is_some())
    }

    fn fence(&self) -> Result<u64, ReadError> {
        self.lease.map(|lease| lease.fence).ok_or(ReadError::Stale)
    }

    /// The number of the next read: to be taken before the call, so that numbers are in the order of reading.
    async fn number(&mut self) -> Result<ReadNumber, ReadError> {
        let numbers = match self.numbers.take() {
            Some(numbers) if numbers.count > 0 => numbers,
            _ => {
                let fence = self.fence()?;
                done(self.shared.store.next_read_numbers(self.id, NUMBERS_TOGETHER, fence).await?)?
            }
        };
        self.numbers =
            Some(ReadNumbers { first: numbers.first.next(), count: numbers.count.saturating_sub(1) });
        Ok(numbers.first)
    }

    fn now(&self) -> Timestamp {
        (self.shared.clock)()
    }

    /// A period made up to a tenth longer or shorter by chance, so that many things do not fall due at once for ever.
    fn spread(period: Duration) -> Duration {
        const PARTS: u64 = 1_000;
        let part = u32::try_from(random() % PARTS).unwrap_or(0);
        period.mul_f64(0.9) + period / 5 * part / u32::try_from(PARTS).unwrap_or(1)
    }
}

/// Stops a reader whose lease has gone to another.
fn done<T>(fenced: Fenced<T>) -> Result<T, ReadError> {
    match fenced {
        Fenced::Done(value) => Ok(value),
        Fenced::Stale => Err(ReadError::Stale),
    }
}
