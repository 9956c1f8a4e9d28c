//! Everything together on virtual time.

mod acting;
mod checking;
mod ingress;
mod pushing;
mod setting_up;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use ledger::{CONFIRM_MARGIN, Operation, Routing, Seen, Snapshot, StatusMap, StatusRule};
use push::Adopting;
use values::{
    Epoch, HolderId, ListingId, OrderId, Quantity, ReadNumber, ShopId, Sku, Timestamp, VariationId,
};

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
/// Inventory is asked again about an edit that it has not answered for so long.
const ADOPT_PATIENCE: Duration = Duration::from_secs(30);
/// A settle waits this long between reading the stocks and reading the orders.
const SETTLE_WAIT: Duration = Duration::from_secs(CONFIRM_MARGIN.as_secs() + 2);
/// A stock is not read for a settle until its newest order is so old: the settle could prove nothing.
const QUIET_WAIT: Duration = Duration::from_secs(CONFIRM_MARGIN.as_secs() + 2);
/// But a settle is not held back for longer than this.
const SETTLE_HOLD_MAX: Duration = Duration::from_mins(2);
/// How often settles that are held back are looked at.
const SETTLE_LOOK: Duration = Duration::from_secs(2);
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
    Edited { shop: usize, holder: HolderId, epoch: Epoch, edit: Adopting },
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
    Person { gap: (i64, i64), order: Option<OrderId> },
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
    /// A shop's clock was moved.
    pub(crate) clock_moved: bool,
    /// Edits that became the ledger's: none may twice.
    adopted: BTreeSet<(usize, HolderId, ReadNumber)>,
    /// The script tells the oracle of what people set; else whatever the ledger took over is believed to be that.
    pub(crate) edits_are_known: bool,
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
            clock_moved: false,
            adopted: BTreeSet::new(),
            edits_are_known: true,
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
            Event::Edited { shop, holder, epoch, edit } => self.edited(shop, holder, epoch, edit),
            Event::Call { shop, holder, call, delta, fate } => self.call(shop, holder, call, delta, fate),
            Event::Answer { shop, holder, call, answer, sent } => {
                self.answer(shop, holder, call, answer, sent);
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
}

fn first_holder() -> HolderId {
    HolderId::new(1).expect("1 is an id")
}

/// The listing of a variation.
pub(crate) fn variation_listing(product: values::ProductId, variation: VariationId) -> ListingId {
    ListingId { product, variation: Some(variation) }
}
