//! Everything together on virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use ledger::{CONFIRM_MARGIN, Operation, Routing, Seen, Snapshot, StatusMap, StatusRule};
use values::{HolderId, ListingId, OrderId, Quantity, ShopId, Sku, Timestamp, VariationId};

use crate::agenda::Agenda;
use crate::bug::Bug;
use crate::dice::Dice;
use crate::egress::{Answer, Egress, Wish};
use crate::inventory::{Effects, Inventory, ShopTerms, warehouse};
use crate::listings::Registry;
use crate::oracle::Oracle;
use crate::reader::{Reader, SettleJob, Which, snapshot};
use testkit::shop::{
    Change, Delivery, Manage, NewProduct, Payload, ProductFilter, Progress, Shop, ShopOptions, Topic, Writing,
};

/// How often a shop's queue of deliveries runs.
const QUEUE_PERIOD: Duration = Duration::from_mins(1);
const POLL_PERIOD: Duration = Duration::from_mins(1);
const TRASH_PERIOD: Duration = Duration::from_mins(10);
/// How often egress looks for something to push.
const FLUSH_PERIOD: Duration = Duration::from_secs(2);
/// How long egress waits for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How soon after it was asked for a settle begins: time for others to join it.
const SETTLE_DELAY: Duration = Duration::from_secs(20);
/// A settle waits this long between reading the stocks and reading the orders.
const SETTLE_WAIT: Duration = Duration::from_secs(CONFIRM_MARGIN.as_secs() + 2);
const SETTLE_PERIOD: Duration = Duration::from_hours(6);
const CHECK_PERIOD: Duration = Duration::from_secs(10);
/// Events a run may have; more means that something repeats for ever.
const EVENTS_MAX: u64 = 3_000_000;

/// What a run is like.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) bug: Option<Bug>,
    /// Deliveries that never arrive, in percent.
    pub(crate) lost: u64,
    /// Deliveries that arrive twice.
    pub(crate) doubled: u64,
    /// Deliveries that are late by minutes.
    pub(crate) late: u64,
    /// Pushes whose answer is lost; half of them were never done.
    pub(crate) unanswered: u64,
    /// Pushes that are refused for now.
    pub(crate) refused: u64,
    /// Pushes during which egress crashes.
    pub(crate) crashes: u64,
    /// Polls that fail.
    pub(crate) poll_fails: u64,
    /// Whether the regular polls are made at all.
    pub(crate) polls: bool,
    /// How long a shop may offer too much before that is a fault.
    pub(crate) lag: Duration,
    pub(crate) webhooks: bool,
    /// Write down what happens.
    pub(crate) trace: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bug: None,
            lost: 0,
            doubled: 0,
            late: 0,
            unanswered: 0,
            refused: 0,
            crashes: 0,
            poll_fails: 0,
            polls: true,
            lag: Duration::from_mins(6),
            webhooks: true,
            trace: false,
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What did not agree; empty is a pass.
    pub failures: Vec<String>,
    /// Orders made in the shops.
    pub order_count: u64,
    /// Calls that changed a shop's stock.
    pub push_count: u64,
    /// Faults of every kind that happened.
    pub fault_count: u64,
    /// Events of the run.
    pub event_count: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// Units the shops' own writes lost inside pushes.
    pub lost_inside_push: i64,
    /// What happened, line by line, if that was asked for.
    pub trace: Vec<String>,
}

type Script = Box<dyn FnOnce(&mut World)>;

enum Event {
    Script(Script),
    Step { shop: usize, writing: u64 },
    Queue(usize),
    Hear { shop: usize, delivery: Box<Delivery> },
    Apply { shop: usize, message: Message },
    Poll { shop: usize, which: Which },
    Reread(usize),
    SettleRead(usize),
    SettleOrders(usize),
    SettleAll(usize),
    Publish(usize),
    Flush(usize),
    Call { shop: usize, holder: HolderId, call: u64, delta: Quantity, fate: Fate },
    Answer { shop: usize, holder: HolderId, call: u64, answer: Answer, sent: Timestamp },
    ReadBack { shop: usize, holder: HolderId },
    Restart(usize),
    Check,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event")
    }
}

/// What ingress tells inventory; in order per shop.
#[derive(Debug)]
enum Message {
    Snapshots(Vec<Snapshot>),
    Hint(OrderId),
    Audit,
    Shown(SettleJob),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Refused,
    /// Never reaches the shop, and nobody says so.
    LostBefore,
    /// Done, but nobody hears of it.
    LostAfter,
    /// Done much later than anybody waited.
    DoneLate,
    /// Egress crashes before the call is made.
    CrashBefore,
    /// Egress crashes after the call is made.
    CrashAfter,
}

/// Why something is written in a shop.
#[derive(Debug, Clone, Copy)]
enum Writer {
    Person { gap: (i64, i64) },
    Push { holder: HolderId, call: u64, delta: i64, fate: Fate, sent: Timestamp },
}

pub(crate) struct ShopSide {
    pub(crate) model: Shop,
    clock_ahead_micros: i64,
    writings: BTreeMap<u64, (Writing, Writer)>,
    pub(crate) reader: Reader,
    pub(crate) egress: Egress,
    inbox_ready: Timestamp,
    publish_planned: bool,
    flush_planned: bool,
    connected: bool,
    /// Orders in the order in which they were made.
    pub(crate) placed: Vec<OrderId>,
    over_since: BTreeMap<HolderId, Timestamp>,
    /// Stocks that somebody else wrote to: only the end is checked.
    pub(crate) disturbed: BTreeSet<HolderId>,
    pub(crate) forced_fates: Vec<Fate>,
    /// How long a push takes between reading the quantity and writing it.
    pub(crate) push_gap: (i64, i64),
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    agenda: Agenda<Event>,
    pub(crate) dice: Dice,
    pub(crate) options: Options,
    pub(crate) shops: Vec<ShopSide>,
    pub(crate) inventory: Inventory,
    pub(crate) oracle: Oracle,
    pub(crate) report: Report,
    next_writing: u64,
    next_call: u64,
    quiet: bool,
}

impl World {
    pub(crate) fn new(seed: u64, options: Options) -> Self {
        let inventory = Inventory::new(options.bug);
        Self {
            now: Timestamp::from_seconds(1_795_000_000),
            agenda: Agenda::new(),
            dice: Dice::new(seed),
            options,
            shops: Vec::new(),
            inventory,
            oracle: Oracle::default(),
            report: Report::default(),
            next_writing: 0,
            next_call: 0,
            quiet: false,
        }
    }

    pub(crate) fn fail(&mut self, what: String) {
        const FAILURES_MAX: usize = 20;
        if self.report.failures.len() < FAILURES_MAX {
            self.report.failures.push(what);
        }
    }

    /// Writes down what happens, if that is wanted.
    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.options.trace {
            self.report.trace.push(format!("{} {}", self.now, what()));
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.options.bug == Some(bug)
    }

    pub(crate) fn shop_now(&self, shop: usize) -> Timestamp {
        let ahead = self.shops.get(shop).map_or(0, |side| side.clock_ahead_micros);
        Timestamp::from_micros(self.now.micros().saturating_add(ahead))
    }

    // Setting up.

    /// A shop that sells from the one warehouse.
    pub(crate) fn add_shop(&mut self, buffer: i64) -> usize {
        let index = self.shops.len();
        let mut model = Shop::new(ShopOptions::default());
        model.skip_ids_to(10);
        for topic in Topic::ALL {
            model.create_webhook(topic, "http://127.0.0.1/", "secret", self.now);
        }
        let id = ShopId::new(i64::try_from(index).unwrap_or(0) + 1).expect("counted from 1");
        let mut statuses = StatusMap::default();
        if self.has(Bug::RefundReleases) {
            statuses = statuses.with("refunded", StatusRule::Release);
        }
        if self.has(Bug::TrashReleases) {
            statuses = statuses.with("trash", StatusRule::Release);
        }
        self.inventory.shops.push(ShopTerms {
            id,
            routing: Routing::new([warehouse()]).expect("there is one"),
            statuses,
            buffer: Quantity::from_units(buffer),
            registry: Registry::default(),
            opening: BTreeSet::new(),
        });
        self.shops.push(ShopSide {
            model,
            clock_ahead_micros: 0,
            writings: BTreeMap::new(),
            reader: Reader::new(self.now, self.now),
            egress: Egress::default(),
            inbox_ready: self.now,
            publish_planned: false,
            flush_planned: false,
            connected: false,
            placed: Vec::new(),
            over_since: BTreeMap::new(),
            disturbed: BTreeSet::new(),
            forced_fates: Vec::new(),
            push_gap: (30, 120),
        });
        index
    }

    /// A simple product with managed stock, known to the oracle.
    pub(crate) fn add_product(&mut self, shop: usize, sku: &str, stock: i64) -> HolderId {
        let sku: Sku = sku.parse().expect("a test's SKU is one");
        let now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        let product = side.model.add_product(NewProduct::simple(Some(sku.clone()), stock), now);
        let holder = HolderId::from(product);
        self.oracle.map(shop, Some(ListingId { product, variation: None }), holder, Some(sku));
        holder
    }

    /// Reads the catalogue: new stocks are known from then on.
    pub(crate) fn read_catalogue(&mut self, shop: usize) {
        let all = ProductFilter { per_page: 10_000, ..ProductFilter::default() };
        let model = &self.shops[shop].model;
        let mut views = model.list_products(&all).items;
        views.extend(model.list_variations(&all).items);
        let per_variation = self.has(Bug::StockPerVariation);
        let mut holders = BTreeSet::new();
        for view in &views {
            let registry = &mut self.inventory.shops[shop].registry;
            registry.observe(view, per_variation);
            if view.manage == Manage::Yes || per_variation && view.manage == Manage::Parent {
                holders.insert(view.id);
            }
        }
        for holder in holders {
            if !self.inventory.rows.contains_key(&(shop, holder)) {
                let effects = self.inventory.map(shop, holder);
                self.take_effects(shop, effects);
            }
        }
    }

    /// Connects a shop: catalogue, baseline, and from then on webhooks, polls and settles. With `opening` what it shows is
    /// where its SKUs start from.
    pub(crate) fn connect(&mut self, shop: usize, opening: bool) {
        let (now, shop_now) = (self.now, self.shop_now(shop));
        self.read_catalogue(shop);
        let since = shop_now - Duration::from_hours(90 * 24);
        let side = &mut self.shops[shop];
        side.connected = true;
        side.reader = Reader::new(shop_now, now);
        let baseline = side.reader.baseline(&side.model, shop_now, since);
        self.publish(shop, Message::Snapshots(baseline));
        let holders: Vec<HolderId> = self
            .inventory
            .rows
            .keys()
            .filter(|(owner, _)| *owner == shop)
            .map(|(_, holder)| *holder)
            .collect();
        if opening {
            self.inventory.shops[shop].opening = holders.iter().copied().collect();
        }
        self.want_settle(shop, holders, Duration::from_secs(2));
        let spread = self.dice.millis(0, 60_000);
        self.plan(spread, Event::Queue(shop));
        let spread = self.dice.millis(1_000, 60_000);
        self.plan(spread, Event::Poll { shop, which: Which::Any });
        self.plan(spread * 3, Event::Poll { shop, which: Which::Trash });
        if !self.has(Bug::NeverSettle) {
            self.plan(SETTLE_PERIOD, Event::SettleAll(shop));
        }
        if shop == 0 {
            self.plan(CHECK_PERIOD, Event::Check);
        }
    }

    /// What a shop's stock would be available had nobody ordered: what it shows and what its orders took.
    pub(crate) fn supply_from(&mut self, shop: usize, holder: HolderId, sku: &str) {
        let sku: Sku = sku.parse().expect("a test's SKU is one");
        let model = &self.shops[shop].model;
        let shown = model.product(holder).and_then(|product| product.stock).unwrap_or(0);
        let taken: i64 = model
            .order_ids()
            .filter_map(|id| model.order(id))
            .flat_map(|order| order.lines)
            .filter(|line| line.sku.as_ref() == Some(&sku))
            .filter_map(|line| line.reduced)
            .sum();
        self.oracle.supply(&sku, shown + taken);
    }

    // Acting.

    pub(crate) fn plan_script(&mut self, after: Duration, script: impl FnOnce(&mut World) + 'static) {
        self.plan(after, Event::Script(Box::new(script)));
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.agenda.at(self.now + after, event);
    }

    /// Somebody does something in a shop, at the pace of a request.
    pub(crate) fn act(&mut self, shop: usize, change: Change) {
        self.act_slowly(shop, change, (1, 40));
    }

    /// The same with pauses, in milliseconds, between the steps.
    pub(crate) fn act_slowly(&mut self, shop: usize, change: Change, gap: (i64, i64)) {
        match &change {
            Change::SetStock { holder, .. } | Change::SetStockSilently { holder, .. } => {
                self.shops[shop].disturbed.insert(*holder);
            }
            Change::DeleteForever(order) => self.forget(shop, *order),
            _ => {}
        }
        self.begin(shop, change, Writer::Person { gap });
    }

    /// Whether a request is writing this order now.
    pub(crate) fn is_being_written(&self, shop: usize, order: OrderId) -> bool {
        let mut writings = self.shops[shop].writings.values();
        writings.any(|(writing, _)| writing.outcome().order == Some(order))
    }

    /// An order is about to be deleted: nobody can know before an audit.
    fn forget(&mut self, shop: usize, order: OrderId) {
        self.oracle.blur(shop, order);
        if let Some(known) = self.inventory.orders.get(&(shop, order)) {
            let holders = known.lines.iter().filter_map(|line| line.stock);
            self.shops[shop].disturbed.extend(holders);
        }
    }

    /// Does something within one moment, so that nobody sees it half done; `None` if the shop refuses.
    pub(crate) fn act_at_once(&mut self, shop: usize, change: Change) -> Option<OrderId> {
        let now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        let order = side.model.run(change, now).ok()?.order?;
        if !side.placed.contains(&order) {
            side.placed.push(order);
            self.report.order_count += 1;
        }
        self.oracle.observe(shop, &side.model, order);
        Some(order)
    }

    /// Somebody says that an order changed: it is read again.
    pub(crate) fn hint(&mut self, shop: usize, order: OrderId) {
        self.publish(shop, Message::Hint(order));
    }

    /// Every known order is read again.
    pub(crate) fn audit(&mut self, shop: usize) {
        self.publish(shop, Message::Audit);
    }

    /// Settles now, whatever else is about.
    pub(crate) fn settle_now(&mut self, shop: usize) {
        self.settle_all(shop);
    }

    /// Polls now.
    pub(crate) fn poll_any(&mut self, shop: usize) {
        self.poll_now(shop, Which::Any);
    }

    /// The shop must show what it should already now.
    pub(crate) fn expect_settled(&mut self, shop: usize) {
        self.check_stocks(shop);
    }

    /// The order made last.
    pub(crate) fn last_order(&self, shop: usize) -> OrderId {
        self.shops[shop].placed.last().copied().expect("an order was made")
    }

    fn begin(&mut self, shop: usize, change: Change, writer: Writer) {
        let now = self.shop_now(shop);
        // What the shop refuses (a sale of what it does not have) does not happen.
        self.note(|| format!("shop {shop}: {change:?}"));
        if let Ok(writing) = self.shops[shop].model.begin(change, now) {
            let number = self.next_writing;
            self.next_writing += 1;
            self.shops[shop].writings.insert(number, (writing, writer));
            self.step(shop, number);
        }
    }

    fn step(&mut self, shop: usize, number: u64) {
        let now = self.shop_now(shop);
        let Some((mut writing, writer)) = self.shops[shop].writings.remove(&number) else { return };
        let progress = self.shops[shop].model.step(&mut writing, now);
        let outcome = writing.outcome().clone();
        if let Some(order) = outcome.order {
            if !self.shops[shop].placed.contains(&order) {
                self.shops[shop].placed.push(order);
                self.report.order_count += 1;
            }
            self.oracle.observe(shop, &self.shops[shop].model, order);
        }
        if progress == Progress::More {
            let (low, high) = match writer {
                Writer::Person { gap } => gap,
                Writer::Push { .. } => self.shops[shop].push_gap,
            };
            let gap = self.dice.millis(low, high);
            self.shops[shop].writings.insert(number, (writing, writer));
            self.plan(gap, Event::Step { shop, writing: number });
            return;
        }
        if let Writer::Push { holder, call, delta, fate, sent } = writer {
            // Read, then written: what was sold in between is lost.
            let lost = outcome.stock.map_or(0, |(was, is)| is - was - delta);
            if lost != 0 {
                self.report.lost_inside_push += lost;
                self.shops[shop].disturbed.insert(holder);
            }
            if fate == Fate::Done {
                let date = Timestamp::from_seconds(now.seconds());
                let latency = self.dice.millis(1, 60);
                self.plan(latency, Event::Answer { shop, holder, call, answer: Answer::Done(date), sent });
            }
        }
        self.check_offers(shop);
    }

    pub(crate) fn operate(&mut self, operation: &Operation) -> ledger::OperationOutcome {
        let outcome = self.inventory.operate(operation, self.now);
        self.note(|| format!("{operation:?} {outcome:?}"));
        if outcome == ledger::OperationOutcome::Applied {
            match operation {
                Operation::Receive { sku, quantity, .. } => {
                    self.oracle.supply(sku, quantity.whole_units().unwrap_or(0));
                }
                Operation::Adjust { sku, delta, .. } => {
                    self.oracle.supply(sku, delta.whole_units().unwrap_or(0));
                }
                // A stocktake finds what is there; it does not change it.
                Operation::Count { .. } | Operation::Transfer { .. } | Operation::Opening { .. } => {}
            }
        }
        if self.has(Bug::PushReceipts)
            && let Operation::Receive { sku, quantity, .. } = operation
        {
            self.push_blindly(sku, *quantity);
        }
        self.plan_publish();
        outcome
    }

    fn push_blindly(&mut self, sku: &Sku, quantity: Quantity) {
        let keys: Vec<_> = self
            .inventory
            .rows
            .iter()
            .filter(|(_, row)| row.sku.as_ref() == Some(sku))
            .map(|(key, _)| *key)
            .collect();
        for (shop, holder) in keys {
            let delta = quantity.whole_units().unwrap_or(0);
            self.begin(shop, Change::DeltaStock { holder, delta }, Writer::Person { gap: (1, 2) });
        }
    }

    /// The shop's clock is moved.
    pub(crate) fn move_clock(&mut self, shop: usize, seconds: i64) {
        self.shops[shop].clock_ahead_micros += seconds * values::MICROS_PER_SECOND;
        self.report.fault_count += 1;
    }

    pub(crate) fn remap(&mut self, shop: usize, holder: HolderId, sku: &str) {
        let sku: Sku = sku.parse().expect("a test's SKU is one");
        self.inventory.shops[shop].registry.remap(holder, sku.clone());
        self.oracle.map(shop, None, holder, Some(sku));
        let effects = self.inventory.map(shop, holder);
        self.take_effects(shop, effects);
    }

    /// A body that was sent long ago arrives once more.
    pub(crate) fn replay(&mut self, shop: usize, snapshot: Snapshot) {
        self.publish(shop, Message::Snapshots(vec![Snapshot { seen: Seen::Webhook, ..snapshot }]));
    }

    /// What a webhook would carry of an order now.
    pub(crate) fn body(&self, shop: usize, order: OrderId) -> Option<Snapshot> {
        self.shops[shop].model.order(order).map(|view| snapshot(&view, Seen::Webhook))
    }

    // Running.

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.agenda.next_time().is_some_and(|time| time <= until) {
            let Some((time, event)) = self.agenda.pop() else { break };
            self.now = self.now.max(time);
            self.report.event_count += 1;
            if self.report.event_count > EVENTS_MAX {
                self.fail(format!("more than {EVENTS_MAX} events: something repeats for ever"));
                return;
            }
            self.happen(event);
        }
        self.now = until;
        self.report.virtual_time += duration;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Script(script) => script(self),
            Event::Step { shop, writing } => self.step(shop, writing),
            Event::Queue(shop) => self.run_queue(shop),
            Event::Hear { shop, delivery } => self.hear(shop, &delivery),
            Event::Apply { shop, message } => self.apply(shop, message),
            Event::Poll { shop, which } => self.poll(shop, which),
            Event::Reread(shop) => self.reread(shop),
            Event::SettleRead(shop) => self.settle_read(shop),
            Event::SettleOrders(shop) => self.settle_orders(shop),
            Event::SettleAll(shop) => {
                self.settle_all(shop);
                self.plan(SETTLE_PERIOD, Event::SettleAll(shop));
            }
            Event::Publish(shop) => self.publish_levels(shop),
            Event::Flush(shop) => self.flush(shop),
            Event::Call { shop, holder, call, delta, fate } => self.call(shop, holder, call, delta, fate),
            Event::Answer { shop, holder, call, answer, sent } => {
                self.answer(shop, holder, call, answer, sent)
            }
            Event::ReadBack { shop, holder } => self.read_back(shop, holder),
            Event::Restart(shop) => {
                let bug = self.options.bug;
                self.shops[shop].egress.restart(bug);
                self.plan_read_backs(shop);
                self.plan_flush(shop);
            }
            Event::Check => {
                for shop in 0..self.shops.len() {
                    self.check_offers(shop);
                }
                self.plan(CHECK_PERIOD, Event::Check);
            }
        }
    }

    // Ingress.

    fn run_queue(&mut self, shop: usize) {
        const DELIVERIES_MAX: usize = 25;
        let now = self.shop_now(shop);
        let deliveries = self.shops[shop].model.run_queue(now, DELIVERIES_MAX);
        for delivery in deliveries {
            let webhook = delivery.webhook;
            let lost = !self.options.webhooks || self.faulty(self.options.lost);
            self.shops[shop].model.answered(webhook, true);
            if lost {
                continue;
            }
            let copies = if self.faulty(self.options.doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let late = self.faulty(self.options.late);
                let delay = if late { self.dice.millis(1_000, 900_000) } else { self.dice.millis(1, 900) };
                self.plan(delay, Event::Hear { shop, delivery: Box::new(delivery.clone()) });
            }
        }
        let period =
            if self.shops[shop].model.queue_len() > 0 { Duration::from_secs(2) } else { QUEUE_PERIOD };
        self.plan(period, Event::Queue(shop));
    }

    /// Whether a fault of that chance happens; none do once the dust is to settle.
    fn faulty(&mut self, percent: u64) -> bool {
        let happens = !self.quiet && self.dice.chance(percent);
        self.report.fault_count += u64::from(happens);
        happens
    }

    fn hear(&mut self, shop: usize, delivery: &Delivery) {
        match &delivery.payload {
            Payload::Order(order) => {
                self.publish(shop, Message::Snapshots(vec![snapshot(order, Seen::Webhook)]));
            }
            // Whatever the unsigned topic says, the id may be an order's: it is read.
            Payload::DeletedId(id) => {
                if let Some(order) = OrderId::new(*id) {
                    self.publish(shop, Message::Hint(order));
                }
            }
            Payload::SignedError { .. } => self.publish(shop, Message::Audit),
            Payload::Product(product) => {
                if self.has(Bug::AdoptShown)
                    && let Some(stock) = product.stock
                    && let Some(known) = self.shops[shop].egress.stocks.get_mut(&product.id)
                    && let (Some(base), Some(target)) = (known.base.as_mut(), known.target)
                {
                    base.quantity = Quantity::from_units(stock) + target.taken_total;
                    self.plan_flush(shop);
                }
            }
        }
    }

    fn publish(&mut self, shop: usize, message: Message) {
        let delay = self.dice.millis(1, 400);
        let side = &mut self.shops[shop];
        let at = side.inbox_ready.max(self.now + delay);
        side.inbox_ready = at;
        self.agenda.at(at, Event::Apply { shop, message });
    }

    fn apply(&mut self, shop: usize, message: Message) {
        match message {
            Message::Snapshots(snapshots) => {
                for snapshot in snapshots {
                    let effects = self.inventory.snapshot(shop, &snapshot, self.now);
                    self.note(|| format!("shop {shop}: apply {snapshot:?} -> {effects:?}"));
                    self.take_effects(shop, effects);
                }
            }
            Message::Hint(order) => {
                let effects = Effects { reread: vec![order], ..Effects::default() };
                self.take_effects(shop, effects);
            }
            Message::Audit => {
                let known = self.inventory.orders.keys().filter(|(owner, _)| *owner == shop);
                let effects =
                    Effects { reread: known.map(|(_, order)| *order).collect(), ..Effects::default() };
                self.take_effects(shop, effects);
            }
            Message::Shown(job) => {
                self.note(|| format!("shop {shop}: {job:?}"));
                for (holder, shown) in &job.shown {
                    let known = self.inventory.journal.len();
                    self.inventory.shown(shop, *holder, (*shown, &job), self.now);
                    let opened = self.inventory.journal.get(known..).unwrap_or_default().to_vec();
                    self.note(|| format!("shop {shop} stock {holder}: {opened:?}"));
                }
            }
        }
        self.plan_publish();
    }

    fn take_effects(&mut self, shop: usize, effects: Effects) {
        let reader = &mut self.shops[shop].reader;
        reader.reread.extend(effects.reread);
        if !reader.reread.is_empty() && !reader.reread_planned {
            reader.reread_planned = true;
            let delay = self.dice.millis(200, 3_000);
            self.plan(delay, Event::Reread(shop));
        }
        self.want_settle(shop, effects.settle, SETTLE_DELAY);
        self.plan_publish();
    }

    fn poll(&mut self, shop: usize, which: Which) {
        if (self.options.polls || self.quiet) && !self.faulty(self.options.poll_fails) {
            self.poll_now(shop, which);
            let overdue = self.inventory.overdue(shop, self.now);
            self.take_effects(shop, Effects { reread: overdue, ..Effects::default() });
        }
        let period = if which == Which::Any { POLL_PERIOD } else { TRASH_PERIOD };
        self.plan(period, Event::Poll { shop, which });
    }

    fn poll_now(&mut self, shop: usize, which: Which) {
        let (now, shop_now, bug) = (self.now, self.shop_now(shop), self.options.bug);
        let side = &mut self.shops[shop];
        let found = side.reader.poll(which, &side.model, shop_now, now, bug);
        if !found.is_empty() {
            self.publish(shop, Message::Snapshots(found));
        }
    }

    fn reread(&mut self, shop: usize) {
        let shop_now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        side.reader.reread_planned = false;
        let found = side.reader.read_again(&side.model, shop_now);
        self.publish(shop, Message::Snapshots(found));
    }

    // Settling.

    fn want_settle(&mut self, shop: usize, holders: Vec<HolderId>, delay: Duration) {
        let connected = self.shops[shop].connected;
        let reader = &mut self.shops[shop].reader;
        reader.settle.extend(holders);
        if connected && !reader.settle.is_empty() && !reader.settle_planned && reader.job.is_none() {
            reader.settle_planned = true;
            self.plan(delay, Event::SettleRead(shop));
        }
    }

    fn settle_all(&mut self, shop: usize) {
        let all = self.inventory.rows.keys().filter(|(owner, _)| *owner == shop).map(|(_, holder)| *holder);
        let all = all.collect();
        self.want_settle(shop, all, Duration::from_secs(1));
    }

    fn settle_read(&mut self, shop: usize) {
        let shop_now = self.shop_now(shop);
        let side = &mut self.shops[shop];
        side.reader.settle_planned = false;
        side.reader.begin_settle(&side.model, shop_now, self.now);
        let wait = if self.has(Bug::BaseAtFirstSight) { Duration::ZERO } else { SETTLE_WAIT };
        self.plan(wait, Event::SettleOrders(shop));
    }

    fn settle_orders(&mut self, shop: usize) {
        let Some(job) = self.shops[shop].reader.job.take() else { return };
        let shop_now = self.shop_now(shop);
        let holders = || job.shown.iter().map(|(holder, _)| *holder).collect::<Vec<_>>();
        let first_sight = self.has(Bug::BaseAtFirstSight);
        // Orders that cannot be read, or a clock that went back, prove nothing.
        if shop_now < job.t1 || self.faulty(self.options.poll_fails) {
            self.want_settle(shop, holders(), SETTLE_DELAY);
            return;
        }
        if !first_sight {
            self.poll_now(shop, Which::Any);
            self.poll_now(shop, Which::Trash);
        }
        self.publish(shop, Message::Shown(job));
        let more = std::mem::take(&mut self.shops[shop].reader.settle).into_iter().collect();
        self.want_settle(shop, more, SETTLE_DELAY);
    }

    // Levels and pushes.

    fn plan_publish(&mut self) {
        for shop in 0..self.shops.len() {
            let dirty = self
                .inventory
                .rows
                .range((shop, first_holder())..)
                .take_while(|((owner, _), _)| *owner == shop);
            if !self.shops[shop].publish_planned && dirty.into_iter().any(|(_, row)| row.dirty) {
                self.shops[shop].publish_planned = true;
                let delay = self.dice.millis(1, 800);
                self.plan(delay, Event::Publish(shop));
            }
        }
    }

    fn publish_levels(&mut self, shop: usize) {
        self.shops[shop].publish_planned = false;
        let bug = self.options.bug;
        let mut wishes = Vec::new();
        for ((_, holder), row) in
            self.inventory.rows.iter_mut().filter(|((owner, _), row)| *owner == shop && row.dirty)
        {
            row.dirty = false;
            if self.shops[shop].egress.take(*holder, row, bug) == Wish::Settle {
                wishes.push(*holder);
            }
            row.order_dates = None;
        }
        if !self.has(Bug::NeverSettle) || self.now < Timestamp::from_seconds(1_795_000_000 + 600) {
            self.want_settle(shop, wishes, SETTLE_DELAY);
        }
        self.plan_flush(shop);
    }

    fn plan_flush(&mut self, shop: usize) {
        if !self.shops[shop].flush_planned {
            self.shops[shop].flush_planned = true;
            self.plan(FLUSH_PERIOD, Event::Flush(shop));
        }
    }

    fn flush(&mut self, shop: usize) {
        self.shops[shop].flush_planned = false;
        if self.shops[shop].egress.down {
            return;
        }
        let begun = self.shops[shop].egress.begin(self.now, &mut self.next_call);
        for (holder, call, intent) in begun {
            let fate = self.fate(shop);
            self.note(|| format!("shop {shop}: push {holder} {intent:?} {fate:?}"));
            let delta = if self.has(Bug::AbsoluteWrite) { self.goal(shop, holder) } else { intent.delta };
            let latency = self.dice.millis(5, 80);
            self.plan(latency, Event::Call { shop, holder, call, delta, fate });
        }
    }

    fn goal(&self, shop: usize, holder: HolderId) -> Quantity {
        let target = self.shops[shop].egress.stocks.get(&holder).and_then(|stock| stock.target);
        target.map_or(Quantity::ZERO, |target| target.goal(Quantity::ZERO))
    }

    fn fate(&mut self, shop: usize) -> Fate {
        if let Some(fate) = self.shops[shop].forced_fates.pop() {
            self.report.fault_count += 1;
            return fate;
        }
        if self.faulty(self.options.unanswered) {
            return self
                .dice
                .pick(&[Fate::LostBefore, Fate::LostAfter, Fate::DoneLate])
                .copied()
                .unwrap_or(Fate::Done);
        }
        if self.faulty(self.options.refused) {
            return Fate::Refused;
        }
        if self.faulty(self.options.crashes) {
            return if self.dice.chance(50) { Fate::CrashBefore } else { Fate::CrashAfter };
        }
        Fate::Done
    }

    fn call(&mut self, shop: usize, holder: HolderId, call: u64, delta: Quantity, fate: Fate) {
        let sent = self.now;
        let reaches = !matches!(fate, Fate::LostBefore | Fate::Refused | Fate::CrashBefore);
        match fate {
            Fate::Done => {}
            Fate::Refused => {
                let answer = Answer::Refused;
                self.plan(Duration::from_millis(50), Event::Answer { shop, holder, call, answer, sent });
            }
            Fate::LostBefore | Fate::LostAfter | Fate::DoneLate => {
                self.plan(ANSWER_TIMEOUT, Event::Answer { shop, holder, call, answer: Answer::Lost, sent });
            }
            Fate::CrashBefore | Fate::CrashAfter => {
                self.shops[shop].egress.down = true;
                let pause = self.dice.millis(500, 90_000);
                self.plan(pause, Event::Restart(shop));
            }
        }
        if !reaches {
            return;
        }
        let units = delta.whole_units().unwrap_or(0);
        let change = if self.has(Bug::AbsoluteWrite) {
            Change::SetStock { holder, quantity: units }
        } else {
            Change::DeltaStock { holder, delta: units }
        };
        if fate == Fate::DoneLate {
            let late = self.dice.millis(1_000, 50_000);
            let script = move |world: &mut World| {
                let writer = Writer::Push { holder, call, delta: units, fate, sent };
                world.begin(shop, change, writer);
            };
            self.plan_script(late, script);
        } else {
            self.begin(shop, change, Writer::Push { holder, call, delta: units, fate, sent });
        }
    }

    fn answer(&mut self, shop: usize, holder: HolderId, call: u64, answer: Answer, sent: Timestamp) {
        let took = self.now.since(sent);
        let bug = self.options.bug;
        if self.shops[shop].egress.answered(holder, call, answer, took, bug) {
            self.plan_read_backs(shop);
            self.plan_flush(shop);
        }
    }

    fn plan_read_backs(&mut self, shop: usize) {
        let doubtful: Vec<_> = self.shops[shop]
            .egress
            .stocks
            .iter()
            .filter_map(|(holder, stock)| stock.doubtful_until.map(|until| (*holder, until)))
            .collect();
        for (holder, until) in doubtful {
            self.agenda.at(until.max(self.now), Event::ReadBack { shop, holder });
        }
    }

    fn read_back(&mut self, shop: usize, holder: HolderId) {
        let date = Timestamp::from_seconds(self.shop_now(shop).seconds());
        let side = &mut self.shops[shop];
        let shown = side.model.product(holder).and_then(|product| product.stock);
        let (Some(stock), Some(shown)) = (side.egress.stocks.get_mut(&holder), shown) else { return };
        if side.egress.down || stock.doubtful_until.is_none_or(|until| until > self.now) {
            return;
        }
        let expected = stock.expected().unwrap_or_default();
        stock.read_back(Quantity::from_units(shown), expected, date);
        self.want_settle(shop, vec![holder], SETTLE_DELAY);
        self.plan_flush(shop);
    }

    // Checking.

    /// Whether a shop offers what is not there for longer than it may.
    fn check_offers(&mut self, shop: usize) {
        if !self.shops[shop].connected || !self.shops[shop].writings.is_empty() {
            return;
        }
        let holders: Vec<_> = self
            .inventory
            .rows
            .range((shop, first_holder())..)
            .take_while(|((owner, _), _)| *owner == shop)
            .map(|((_, holder), _)| *holder)
            .collect();
        for holder in holders {
            let shown = self.shops[shop].model.product(holder).and_then(|product| product.stock).unwrap_or(0);
            let Some(most) = self.oracle.most_to_show(shop, holder) else { continue };
            let side = &mut self.shops[shop];
            if shown <= most.max(0) || side.disturbed.contains(&holder) {
                side.over_since.remove(&holder);
                continue;
            }
            let since = *side.over_since.entry(holder).or_insert(self.now);
            if self.now.since(since) > self.options.lag {
                side.disturbed.insert(holder);
                let at = self.now;
                self.fail(format!(
                    "shop {shop} stock {holder} shows {shown}, more than {most}, since {since} (now {at})"
                ));
            }
        }
    }

    /// Lets the dust settle, then compares everything.
    pub(crate) fn finish(&mut self) {
        const ROUNDS: usize = 5;
        self.quiet = true;
        self.run_for(Duration::from_mins(75));
        for _ in 0..ROUNDS {
            for shop in 0..self.shops.len() {
                if !self.has(Bug::NeverSettle) {
                    self.settle_all(shop);
                }
            }
            self.run_for(Duration::from_mins(4));
        }
        self.check_ledger();
        for shop in 0..self.shops.len() {
            self.check_orders(shop);
            self.check_stocks(shop);
        }
        self.report.push_count = self.shops.iter().map(|side| side.egress.push_count).sum();
    }

    fn check_ledger(&mut self) {
        let mut folded: BTreeMap<(Sku, values::WarehouseId), (Quantity, Quantity)> = BTreeMap::new();
        let mut numbers: BTreeMap<Sku, u64> = BTreeMap::new();
        let mut wrong = Vec::new();
        for movement in &self.inventory.journal {
            let number = numbers.entry(movement.sku.clone()).or_default();
            *number += 1;
            if movement.number != *number {
                wrong
                    .push(format!("movement {} of {} is numbered {}", number, movement.sku, movement.number));
            }
            let balance = folded.entry((movement.sku.clone(), movement.warehouse)).or_default();
            balance.0 += movement.on_hand_delta;
            balance.1 += movement.reserved_delta;
        }
        for ((sku, warehouse), (on_hand, reserved)) in &folded {
            let balance = self.inventory.book.balance(sku, *warehouse);
            let held: Quantity = self
                .inventory
                .orders
                .values()
                .flat_map(|order| &order.lines)
                .filter(|line| line.sku.as_ref() == Some(sku))
                .map(ledger::Line::reserved)
                .sum();
            if balance.on_hand != *on_hand || balance.reserved != *reserved || held != *reserved {
                wrong.push(format!("{sku}: balance {balance:?}, fold {on_hand} and {reserved}, held {held}"));
            }
            let available =
                self.inventory.book.available(sku, [*warehouse]).whole_units().unwrap_or(i64::MIN);
            let (least, most) = self.oracle.available(sku);
            if available < least || available > most {
                let unlike = self.unlike_orders(sku);
                wrong.push(format!(
                    "{sku}: the ledger has {available} available, the truth is {least} to {most}: {unlike:?}"
                ));
            }
        }
        wrong.into_iter().for_each(|what| self.fail(what));
    }

    /// Orders that hold something else than the truth.
    fn unlike_orders(&self, sku: &Sku) -> Vec<String> {
        let known = self.inventory.orders.iter().filter_map(|((shop, id), order)| {
            let lines = order.lines.iter().filter(|line| line.sku.as_ref() == Some(sku));
            let held = lines.map(ledger::Line::held).sum::<Quantity>().whole_units().unwrap_or(0);
            let (least, most) = self.oracle.demand_of(*shop, *id, sku);
            (held < least || held > most).then(|| {
                format!("order {id} of shop {shop} holds {held}, should {least} to {most}: {order:?}")
            })
        });
        known.collect()
    }

    fn check_orders(&mut self, shop: usize) {
        let mut wrong = Vec::new();
        for ((_, id), order) in self.inventory.orders.iter().filter(|((owner, _), _)| *owner == shop) {
            match self.shops[shop].model.order(*id) {
                Some(view) if order.gone || order.status != view.status.as_str() => {
                    wrong.push(format!(
                        "order {id} of shop {shop} is {}, known as {}",
                        view.status, order.status
                    ));
                }
                Some(view) => {
                    let shown: i64 = view.lines.iter().filter_map(|line| line.reduced).sum();
                    let known: Quantity = order.lines.iter().map(ledger::Line::taken_or_zero).sum();
                    if known != Quantity::from_units(shown) {
                        wrong.push(format!("order {id} of shop {shop} took {shown}, known as {known}"));
                    }
                }
                None => {}
            }
        }
        for id in self.shops[shop].placed.clone() {
            if self.shops[shop].model.order(id).is_some() && !self.inventory.orders.contains_key(&(shop, id))
            {
                wrong.push(format!("order {id} of shop {shop} was never heard of"));
            }
        }
        wrong.into_iter().for_each(|what| self.fail(what));
    }

    fn check_stocks(&mut self, shop: usize) {
        let mut wrong = Vec::new();
        for ((_, holder), row) in self.inventory.rows.iter().filter(|((owner, _), _)| *owner == shop) {
            let Some(shown) = self.shops[shop].model.product(*holder).and_then(|product| product.stock)
            else {
                continue;
            };
            if row.sku.is_none() {
                continue;
            }
            let stock = self.shops[shop].egress.stocks.get(holder);
            let withheld = stock.and_then(|stock| stock.base).map_or(Quantity::ZERO, |base| base.withheld);
            let goal = (row.level.or_zero() - withheld).or_zero() + row.untaken;
            let shown = Quantity::from_units(shown);
            let agrees = shown == goal || row.level.is_negative() && shown <= goal;
            if !agrees {
                wrong.push(format!(
                    "shop {shop} stock {holder} shows {shown}, should show {goal}: {row:?} {stock:?}"
                ));
            }
        }
        wrong.into_iter().for_each(|what| self.fail(what));
    }
}

fn first_holder() -> HolderId {
    HolderId::new(1).expect("1 is an id")
}

/// The listing of a variation.
pub(crate) fn variation_listing(product: values::ProductId, variation: VariationId) -> ListingId {
    ListingId { product, variation: Some(variation) }
}
