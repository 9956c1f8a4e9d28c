//! The lane of one shop: the only place that calls it for pushes. It gathers what is due, journals, calls, stores.

mod call;
mod finish;
mod page;
mod reporting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use connector::{StockBatch, StockRef};
use connector_woocommerce::{Client, ITEMS_MAX};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use process::backoff;
use store::{DueStock, Error, SeenPush, Shop, ShopLane};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use values::{HolderId, OrderId, ShopId, StockId, Timestamp};

use crate::asks::{ask, ask_to_adopt};
use crate::gate::{Gate, GateState, Permit};
use crate::shared::{Shared, TOLD_STOCKS_MAX, Wake};
use crate::stock::Stock;
use crate::trace;
use crate::work::{Hold, Work, Written};
use call::{Begun, Call, Done, Running};
use finish::Stored;
use page::{Page, Sorted, read_back, sort};
use reporting::Reporting;

/// Journaling may take this long. After that a call could outlast the time in which its effect is expected.
const JOURNAL_TIME_MAX: Duration = Duration::from_secs(5);
/// Before a settle is asked for again that could not be.
const ASK_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Open intents looked for in one go.
pub(crate) const INTENTS_PAGE: u32 = 500;

/// A lane and what it knows in memory; all that matters is in the database.
pub(crate) struct Lane {
    shared: Arc<Shared>,
    shop: Shop,
    /// Names this life of the lane in the journal.
    owner: String,
    gate: Gate,
    client: Option<Client>,
    /// Most stocks of one call; the shop may take fewer than usual.
    batch_max: usize,
    /// The last stock that was pushed: the next page starts behind it.
    after: Option<DueStock>,
    wake: Arc<Wake>,
    /// Nothing of the shop is due before, as far as the database said when it was asked, and what changed since. `None`: it
    /// has to be asked.
    due_from: Option<Timestamp>,
    /// When the first is due of those that the database is to be asked for since it was asked last: they go along with what is
    /// pushed shortly before.
    aside: Option<Timestamp>,
    /// When it is asked all the same.
    look_at: Instant,
    /// Stocks that are due soon, as they are stored: the database need not be asked for them. At most [`TOLD_STOCKS_MAX`].
    known: BTreeMap<StockId, SeenPush>,
    stop: CancellationToken,
    /// What was told of its state last.
    told: Option<GateState>,
    /// Orders whose shop is being told of a shipment.
    reporting: BTreeSet<OrderId>,
    /// When to look for shipments to tell of, unless some were taken in meanwhile.
    reports_at: Option<Instant>,
    /// They wait for a permit.
    reports_held: bool,
    /// The next call is theirs, if there are any: pushes and reports take turns.
    report_turn: bool,
    /// How the next page is journaled: locked after somebody else changed one of its stocks meanwhile.
    hold: Hold,
}

/// What was made ready in one go.
struct Ready {
    calls: Vec<Call>,
    left: Left,
}

/// What is left to do that was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Nothing that was looked at.
    Nothing,
    /// Something that may start when a call under way has ended.
    UntilCallEnds,
    /// Something that may start then.
    Until(Instant),
}

impl Ready {
    /// These are the stocks as they were journaled.
    fn saw(&mut self, seen: &[SeenPush]) {
        let seen: BTreeMap<StockId, &SeenPush> = seen.iter().map(|seen| (seen.row.id, seen)).collect();
        for call in &mut self.calls {
            if let Call::Push { begun, .. } = call {
                for begun in begun {
                    begun.seen = seen.get(&begun.id).map(|seen| (*seen).clone());
                }
            }
        }
    }
}

impl Lane {
    pub(crate) fn new(shared: Arc<Shared>, shop: Shop, stop: CancellationToken) -> Self {
        let gate = Gate::new(&shared.settings);
        let wake = shared.wakes.of(shop.id);
        Self {
            shared,
            shop,
            owner: Uuid::now_v7().to_string(),
            gate,
            client: None,
            batch_max: ITEMS_MAX,
            after: None,
            wake,
            due_from: None,
            aside: None,
            look_at: Instant::now(),
            known: BTreeMap::new(),
            stop,
            told: None,
            reporting: BTreeSet::new(),
            reports_at: Some(Instant::now()),
            reports_held: false,
            report_turn: true,
            hold: Hold::Free,
        }
    }

    fn id(&self) -> ShopId {
        self.shop.id
    }

    /// Its name in the journal.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Runs until it is told to stop; what is under way then is finished first.
    pub(crate) async fn run(mut self) {
        // Not a part of the lane, which would then not be shared between threads.
        let mut running = FuturesUnordered::new();
        let mut failures = 0;
        while let Err(error) = self.recover().await {
            failures += 1;
            self.shared.observe.database_failed("look for pushes under way", &error);
            if self.pause_after(failures).await {
                return;
            }
        }
        failures = 0;
        while !self.stop.is_cancelled() {
            let wait = match self.cycle(&mut running).await {
                Ok(wait) => {
                    failures = 0;
                    wait
                }
                Err(error) => {
                    failures += 1;
                    self.due_from = None;
                    self.shared.observe.database_failed("push levels", &error);
                    Instant::now() + self.shared.settings.database.delay(failures, backoff::random())
                }
            };
            self.tell().await;
            let (stop, wake) = (self.stop.clone(), Arc::clone(&self.wake));
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                Some(done) = running.next(), if !running.is_empty() => self.finish(done).await,
                () = wake.woken() => {}
                () = tokio::time::sleep_until(wait.into()) => {}
            }
        }
        while let Some(done) = running.next().await {
            self.finish(done).await;
        }
        self.shared.observe.lane(self.id(), self.told.map(|told| told.word), None);
    }

    /// Waits before the database is tried again; `true` if it was told to stop.
    async fn pause_after(&self, failures: u32) -> bool {
        let pause = self.shared.settings.database.delay(failures, backoff::random());
        tokio::select! {
            () = self.stop.cancelled() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }

    /// Pushes that were journaled in an earlier life and not finished: nobody knows whether they arrived. What the shop
    /// asked for then still holds.
    async fn recover(&mut self) -> Result<(), Error> {
        let before = ShopId::new(self.id().get() - 1);
        let last = HolderId::new(i64::MAX).expect("it is positive");
        let mut after = before.map(|shop| StockId { shop, holder: last });
        let mut count = 0;
        loop {
            let open = self.shared.store.open_intents(after, INTENTS_PAGE).await?;
            let ids: Vec<StockId> =
                open.iter().map(|row| row.id).filter(|stock| stock.shop == self.id()).collect();
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            count += doubt(&self.shared, &self.owner, &ids).await?;
        }
        if count > 0 {
            self.shared.observe.recovered(self.id(), count);
        }
        // Where a person was needed, one may have acted meanwhile.
        let lane = self.shared.store.lane(self.id()).await?.filter(|lane| lane.breaker != "refused");
        if let Some((until, cause)) = lane.and_then(|lane| Some((lane.until?, lane.cause))) {
            let left = until.since(self.shared.now()).min(self.shared.settings.pace.pause_max);
            if !left.is_zero() {
                self.gate.keep_pause(Instant::now() + left, cause.as_deref());
            }
        }
        Ok(())
    }

    /// Does what is due and may be done, and says when to look again.
    async fn cycle(&mut self, running: &mut FuturesUnordered<Running>) -> Result<Instant, Error> {
        let start = Instant::now();
        let look_again = start + self.shared.settings.look_again;
        let now = self.shared.now();
        let news = self.wake.take();
        self.due_at(news.due);
        self.remember(news.stocks, now);
        if let Some(until) = self.gate.closed_until(start) {
            self.forget();
            return Ok(until.min(look_again));
        }
        let reports = self.due_reports(now).await?;
        let looks = self.is_to_look(start, now);
        if reports.is_empty() && !looks && self.first_known().is_none_or(|due| due > now) {
            return Ok(self.next_look(now));
        }
        let page = if looks { self.look(now).await? } else { self.known_page(now) };
        if !page.is_due && reports.is_empty() {
            return Ok(self.next_look(now));
        }
        if !self.has_client(start).await? {
            return Ok(self.gate.closed_until(start).unwrap_or(look_again).min(look_again));
        }
        if self.report_turn || !page.is_due {
            let until = match self.report(reports).await? {
                Reporting::Call(call) => {
                    self.make(vec![call], running);
                    look_again
                }
                Reporting::Until(until) => until.min(look_again),
                Reporting::Nothing => look_again,
            };
            if !page.is_due {
                return Ok(self.next_look(now).min(until));
            }
        }
        self.push(page, looks, (start, now), running).await
    }

    /// Journals what is due, makes its calls as far as they may start, and says when to look again.
    async fn push(
        &mut self,
        mut page: Page,
        looks: bool,
        clock: (Instant, Timestamp),
        running: &mut FuturesUnordered<Running>,
    ) -> Result<Instant, Error> {
        let (start, now) = clock;
        let Some((ready, sorted)) = self.journal_page(&mut page, looks, clock).await? else {
            return Ok(start);
        };
        if start.elapsed() <= JOURNAL_TIME_MAX {
            self.make(ready.calls, running);
            // They leave now: what follows asks the database.
            if let Some(Some(done)) = running.next().now_or_never() {
                self.finish(done).await;
            }
        } else {
            for _ in &ready.calls {
                self.gate.unused(start);
            }
            self.unmade(ready.calls).await?;
        }
        if !self.ask_for(&sorted).await? {
            return Ok(start + ASK_RETRY_AFTER);
        }
        let look_again = start + self.shared.settings.look_again;
        Ok(match ready.left {
            Left::Nothing if page.full => start,
            Left::Nothing => self.next_look(now),
            Left::Until(until) => until.min(look_again),
            Left::UntilCallEnds => look_again,
        })
    }

    /// What is to be done for a page, and the calls that may start, journaled. `None`: somebody else changed one of its stocks
    /// meanwhile, and it is to be begun again.
    async fn journal_page(
        &mut self,
        page: &mut Page,
        looks: bool,
        clock: (Instant, Timestamp),
    ) -> Result<Option<(Ready, Sorted)>, Error> {
        let now = clock.1;
        let shared = Arc::clone(&self.shared);
        let mut work = if let Some(seen) = page.seen.take() {
            Work::seen(&shared.store, seen)
        } else {
            let ids: Vec<StockId> = page.due.iter().map(|due| due.id).collect();
            Work::on(&shared.store, &ids, self.hold).await?
        };
        let sorted = sort(&mut work.stocks, now, page.horizon);
        let mut ready = self.prepare(page, &mut work.stocks, &sorted, clock);
        // A push that waits for its permit keeps its turn.
        if !ready.calls.is_empty() || ready.left == Left::Nothing {
            self.report_turn = true;
        }
        let due = work.due().remove(&self.id());
        let written = work.commit().await;
        if !matches!(written, Ok(Written::All(_))) {
            for _ in &ready.calls {
                self.gate.unused(clock.0);
            }
        }
        let Written::All(seen) = written? else {
            self.hold = Hold::Locked;
            self.due_from = None;
            return Ok(None);
        };
        self.hold = Hold::Free;
        if looks {
            self.due_from = (!page.full).then_some(page.horizon);
        }
        match seen {
            Some(seen) => {
                ready.saw(&seen);
                self.remember(seen, now);
            }
            None => self.due_at(due),
        }
        Ok(Some((ready, sorted)))
    }

    /// Asks for settles, and for edits to be taken over; `false` if that could not be done now.
    async fn ask_for(&mut self, sorted: &Sorted) -> Result<bool, Error> {
        if sorted.edits.is_empty() && sorted.asks.is_empty() {
            return Ok(true);
        }
        // When these are due next follows from that.
        self.due_from = None;
        let (shared, shop) = (&self.shared, self.id());
        Ok((sorted.edits.is_empty() || ask_to_adopt(shared, shop, &sorted.edits).await?)
            && (sorted.asks.is_empty() || ask(shared, shop, &sorted.asks).await?))
    }

    /// Whether the database is to be asked for what is due: something is, or may be.
    fn is_to_look(&self, start: Instant, now: Timestamp) -> bool {
        let goes_along = || {
            self.first_known().is_some_and(|due| due <= now)
                && self.aside.is_some_and(|due| due <= self.horizon(now))
        };
        self.due_from.is_none_or(|due| due <= now) || self.look_at <= start || goes_along()
    }

    /// Stocks as they were stored: those that are due soon need not be asked for.
    fn remember(&mut self, stocks: Vec<SeenPush>, now: Timestamp) {
        let soon = self.horizon(now);
        for seen in stocks {
            match seen.row.due_at {
                Some(due) if due <= soon && self.known.len() < TOLD_STOCKS_MAX => {
                    self.known.insert(seen.row.id, seen);
                }
                due => {
                    self.known.remove(&seen.row.id);
                    self.due_at(due);
                }
            }
        }
    }

    /// The database will be asked for what is known: it may be a long time until then.
    fn forget(&mut self) {
        self.due_at(self.first_known());
        self.known.clear();
    }

    /// When the first of the stocks is due that need not be asked for.
    fn first_known(&self) -> Option<Timestamp> {
        self.known.values().filter_map(|seen| seen.row.due_at).min()
    }

    /// Something is due then, if anything.
    fn due_at(&mut self, due: Option<Timestamp>) {
        if let Some(due) = due {
            self.due_from = self.due_from.map(|known| known.min(due));
            self.aside = self.aside.into_iter().chain([due]).min();
        }
    }

    /// Asks the database what is due. If nothing is, it is known from then on when something will be.
    async fn look(&mut self, now: Timestamp) -> Result<Page, Error> {
        let start = Instant::now();
        // What is known is among what is found.
        self.forget();
        self.aside = None;
        if self.look_at <= start {
            // Whatever was missed is found now.
            self.due_from = None;
        }
        self.look_at = start + self.shared.settings.look_again;
        let page = self.page(now).await?;
        if !page.is_due {
            let soon = page.due.iter().map(|due| due.at).min();
            let next = match soon {
                Some(soon) => Some(soon),
                None => self.shared.store.next_due(self.id(), self.due_from).await?,
            };
            self.due_from = Some(next.unwrap_or(now + self.shared.settings.look_again));
        }
        Ok(page)
    }

    /// When to look again if all that was due has been dealt with.
    fn next_look(&self, now: Timestamp) -> Instant {
        let start = Instant::now();
        let due = self.due_from.map_or(start, |due| {
            let due = self.first_known().map_or(due, |known| known.min(due));
            start.checked_add(due.since(now)).map_or(self.look_at, |due| due.min(self.look_at))
        });
        self.next_reports().map_or(due, |at| at.min(due))
    }

    /// Makes the calls ready that may start now: permits taken, intents begun.
    fn prepare(
        &mut self,
        page: &Page,
        stocks: &mut [Stock],
        sorted: &Sorted,
        clock: (Instant, Timestamp),
    ) -> Ready {
        let now = clock.1;
        let mut ready = Ready { calls: Vec::new(), left: Left::Nothing };
        if !sorted.reads.is_empty() {
            match self.gate.permit(Instant::now()) {
                Permit::Go | Permit::Probe => ready.calls.push(read_back(stocks, &sorted.reads, now)),
                Permit::Full => ready.left = Left::UntilCallEnds,
                Permit::Wait(until) => ready.left = Left::Until(until),
            }
        }
        let mut batches = StockBatch::plan(&sorted.pushes, self.batch_max);
        let others = batches.len() > 1 || sorted.pushes.len() < page.due.len();
        if page.full && others {
            // More for the last batch may follow on the next page, once the others are done with.
            let cut = page.due.last().and_then(|due| due.parent);
            let batch_max = self.batch_max;
            batches.retain(|batch| batch.parent != cut || batch.changes.len() == batch_max);
        }
        for batch in batches {
            match self.gate.permit(Instant::now()) {
                Permit::Go => {
                    let last = batch.changes.last().map(|change| change.holder);
                    self.after = page.due.iter().find(|due| Some(due.id.holder) == last).copied();
                    ready.calls.push(self.begin(stocks, batch, clock));
                }
                Permit::Probe => {
                    let parent = batch.parent;
                    let first =
                        batch.changes.first().map(|change| StockRef { holder: change.holder, parent });
                    ready.calls.push(Call::Probe { stock: first.expect("no batch is empty") });
                    ready.left = Left::UntilCallEnds;
                    break;
                }
                Permit::Full => {
                    ready.left = Left::UntilCallEnds;
                    break;
                }
                Permit::Wait(until) => {
                    ready.left = Left::Until(until);
                    break;
                }
            }
        }
        ready
    }

    fn begin(&self, stocks: &mut [Stock], batch: StockBatch, (at, now): (Instant, Timestamp)) -> Call {
        let mut begun = Vec::with_capacity(batch.changes.len());
        for change in &batch.changes {
            let id = StockId { shop: self.id(), holder: change.holder };
            let stock =
                stocks.iter_mut().find(|stock| stock.row.id == id).expect("it was planned from these");
            let (causes, span) = (stock.notes.traces.len(), trace::pushing(stock, change.delta));
            stock.begin(change.delta, &self.owner, now);
            begun.push(Begun { id, started_at: now, causes, span, seen: None });
        }
        Call::Push { batch, begun, at }
    }

    /// Starts the calls; what they need is stored.
    fn make(&self, calls: Vec<Call>, running: &FuturesUnordered<Running>) {
        let Some(client) = &self.client else { return };
        for call in calls {
            running.push(call.make(client.clone()));
        }
    }

    /// Takes back what was journaled, for calls that were not made.
    async fn unmade(&mut self, calls: Vec<Call>) -> Result<(), Error> {
        for call in calls {
            let done = Done::unmade(call);
            if let Stored::Yes { stocks, due } = self.store_answer(&done, Hold::Locked).await? {
                self.remember(stocks, self.shared.now());
                self.due_at(due);
            }
        }
        Ok(())
    }

    /// Makes the client if there is none; after a refusal that only a person can end, from what is registered now.
    async fn has_client(&mut self, now: Instant) -> Result<bool, Error> {
        if self.client.is_some() && !self.gate.needs_a_person() {
            return Ok(true);
        }
        let secrets = self.shared.store.shop_secrets(self.id()).await?;
        let made = secrets.and_then(|secrets| (self.shared.connect)(&self.shop, &secrets).ok());
        self.client = made;
        if self.client.is_none() {
            self.gate.unusable(now, &self.shared.settings, backoff::random());
        }
        Ok(self.client.is_some())
    }

    /// Stores the lane's state for people, if it is another than they were told.
    async fn tell(&mut self) {
        let now = Instant::now();
        let state = self.gate.state(now);
        if self.told.is_some_and(|told| state.is_much_like(&told)) {
            return;
        }
        let lane = ShopLane {
            shop: self.id(),
            breaker: state.word.to_owned(),
            cause: state.cause.map(str::to_owned),
            until: state.until.map(|until| self.shared.now() + until.saturating_duration_since(now)),
            calls_per_minute: state.calls_per_minute,
            at: self.shared.now(),
        };
        if let Err(error) = self.shared.store.save_lane(&lane).await {
            self.shared.observe.database_failed("store the state of a lane", &error);
            return;
        }
        if self.told.map(|told| told.word) != Some(state.word) {
            self.shared.observe.lane(self.id(), self.told.map(|told| told.word), Some(state));
        }
        self.told = Some(state);
    }
}

/// Nobody knows what became of pushes of these stocks whose answer `owner` does not wait for; how many there are. Should the other live all the same, what it is answered is not stored any more.
pub(crate) async fn doubt(shared: &Shared, owner: &str, stocks: &[StockId]) -> Result<usize, Error> {
    let now = shared.now();
    let mut work = Work::on(&shared.store, stocks, Hold::Locked).await?;
    let mut count = 0;
    for stock in work.stocks.iter_mut().filter(|stock| Stock::is_stray(&stock.row, owner, now)) {
        stock.uncertain("unknown", now);
        count += 1;
    }
    work.commit().await?;
    Ok(count)
}
