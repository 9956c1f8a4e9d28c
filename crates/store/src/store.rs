//! The one entry to persistence: the same calls on every backend.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use secrecy::SecretString;
use values::{
    Epoch, HolderId, LineId, ListingId, OrderId, ProductId, ReadNumber, Revision, ShopId, Sku, StockId,
    Timestamp,
};

use crate::alerts::{Alert, AlertChanges, AlertFilter, AlertKind, Channel, Notice, ShopWaiting};
use crate::batch::InventoryTx;
use crate::check::Broken;
use crate::decisions::DecisionRow;
use crate::egress::{
    DriftKey, DriftRow, DueShop, DueStock, EgressTx, PushCounts, PushNotes, PushRow, SeenPush, ShopLane,
    save_seen,
};
use crate::error::Error;
use crate::grant::{Grant, GrantEnd, TakenGrant};
use crate::ingress::{Cursor, CursorKind, Fenced, Lease, ReadNumbers, SettleHold, SettleJob, SettleWanted};
use crate::inventory::{
    Approval, DeadMessage, MapOutcome, OrderRow, Outbox, Posted, ShopFilter, StockRow, Wish,
};
use crate::postgres::{Postgres, PostgresOptions};
use crate::reading::{ListingReread, Reading, Reread, Task, TaskKind, TaskProgress};
use crate::reconcile::{
    DayCount, HubCount, NewRun, Run, RunAdded, RunAnswer, RunJob, RunLeft, RunRead, RunState, RunStock,
    RunVerdict, Schedule, Scheduled,
};
use crate::registry::{
    ApiToken, Changed, EpochBegun, NewShop, OpenOrders, Scope, Shop, ShopAdded, ShopRemoved, ShopSecrets,
    ShopSettings, TokenRevoked, Warehouse, WarehouseAdded, WarehouseKind, WebhookDoor,
};
use crate::report::{
    Explanation, ListingRow, MovementPlace, Openings, Orphan, ParkedLine, SkuStock, UnmappedStock, Waiting,
};
use crate::secret::SecretKey;
use crate::shards::{ShardLease, Shards, Share};
use crate::shipments::{ReportRow, ReportWanted, Shipment, ShipmentId};
use crate::sqlite::{Sqlite, SqliteOptions};
use crate::webhooks::{Condition, ConditionKind, KeptWebhook};

/// An open database, or one that will be.
#[derive(Debug)]
pub struct Store {
    backend: OnceLock<Backend>,
}

#[derive(Debug)]
enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Declares calls that are the same on every backend.
macro_rules! on_every_backend {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $answer:ty;)*) => {
        impl Store {
            $($(#[$doc])*
            pub async fn $name(&self, $($argument: $kind),*) -> Result<$answer, Error> {
                match self.backend()? {
                    Backend::Sqlite(sqlite) => sqlite.$name($($argument),*).await,
                    Backend::Postgres(postgres) => postgres.$name($($argument),*).await,
                }
            })*
        }
    };
}

impl Store {
    /// Opens a SQLite database, makes it if it is not there, and brings its schema up to date. Secrets are sealed under
    /// `key`.
    pub async fn open_sqlite(options: &SqliteOptions, key: SecretKey) -> Result<Self, Error> {
        Ok(Self::of(Backend::Sqlite(Sqlite::open(options, key).await?)))
    }

    /// Opens a PostgreSQL database whose schema [`migrate_postgres`](crate::migrate_postgres) brought up to date, or a newer
    /// version of it. Secrets are sealed under `key`.
    pub async fn open_postgres(options: &PostgresOptions, key: SecretKey) -> Result<Self, Error> {
        Ok(Self::of(Backend::Postgres(Postgres::open(options, key).await?)))
    }

    /// A store whose database is away: every call is [`Error::Busy`] until [`Store::becomes`].
    pub fn away() -> Self {
        Self { backend: OnceLock::new() }
    }

    /// Is `opened` from now on. One that is open already stays what it is.
    pub fn becomes(&self, opened: Self) {
        if let Some(backend) = opened.backend.into_inner() {
            drop(self.backend.set(backend));
        }
    }

    /// Whether one transaction at a time writes, and all others wait for it, whatever they are about.
    pub fn has_one_writer(&self) -> bool {
        matches!(self.backend.get(), Some(Backend::Sqlite(_)))
    }

    fn of(backend: Backend) -> Self {
        Self { backend: OnceLock::from(backend) }
    }

    fn backend(&self) -> Result<&Backend, Error> {
        self.backend.get().ok_or_else(Error::away)
    }

    /// Starts a batch of inventory. What it loads nobody else writes until it ends; a batch that is dropped leaves nothing.
    pub async fn begin_inventory(&self) -> Result<InventoryTx, Error> {
        match self.backend()? {
            Backend::Sqlite(sqlite) => Ok(InventoryTx::sqlite(sqlite.begin_inventory().await?)),
            Backend::Postgres(postgres) => Ok(InventoryTx::postgres(postgres.begin_inventory().await?)),
        }
    }

    /// Starts a transaction of egress. What it loads nobody else writes until it ends; one that is dropped leaves nothing.
    pub async fn begin_egress(&self) -> Result<EgressTx, Error> {
        match self.backend()? {
            Backend::Sqlite(sqlite) => Ok(EgressTx::sqlite(sqlite.begin_egress().await?)),
            Backend::Postgres(postgres) => Ok(EgressTx::postgres(postgres.begin_egress().await?)),
        }
    }

    /// These stocks as they are, each asked for once, in the order asked for, without holding anybody up; one never seen is an unknown one.
    pub async fn see_pushes(&self, stocks: &[StockId]) -> Result<Vec<SeenPush>, Error> {
        match self.backend()? {
            Backend::Sqlite(sqlite) => sqlite.see_pushes(stocks).await,
            Backend::Postgres(postgres) => postgres.see_pushes(stocks).await,
        }
    }

    /// The same as this process saved them last, where it remembers that. Only for what is saved by [`Store::save_seen`] and harmless
    /// where nothing is to be saved.
    pub async fn recall_pushes(&self, stocks: &[StockId]) -> Result<Vec<SeenPush>, Error> {
        match self.backend()? {
            Backend::Sqlite(sqlite) => sqlite.see_pushes(stocks).await,
            Backend::Postgres(postgres) => postgres.recall_pushes(stocks).await,
        }
    }

    /// Saves what became of stocks, each of them once, and gives them back as they are seen now. If somebody else changed one of
    /// those since it was seen, or it was never seen at all, nothing is saved (`None`): they are to be decided on again, in a
    /// transaction. One that stays as it was seen is not looked at.
    pub async fn save_seen(
        &self,
        seen: &[SeenPush],
        now: Vec<(PushRow, PushNotes)>,
    ) -> Result<Option<Vec<SeenPush>>, Error> {
        match self.backend()? {
            Backend::Sqlite(_) => save_seen(self, seen, now).await,
            Backend::Postgres(postgres) => postgres.save_seen(seen, now).await,
        }
    }

    /// Whether it can be used now: a row can be read, and the one writer is free within its time. Changes nothing.
    pub async fn ping(&self) -> Result<(), Error> {
        match self.backend()? {
            Backend::Sqlite(sqlite) => sqlite.ping().await,
            Backend::Postgres(postgres) => postgres.ping().await,
        }
    }

    /// Ends all connections, once what they do is done.
    pub async fn close(&self) {
        match self.backend.get() {
            None => {}
            Some(Backend::Sqlite(sqlite)) => sqlite.close().await,
            Some(Backend::Postgres(postgres)) => postgres.close().await,
        }
    }
}

// The registry.
on_every_backend! {
    /// Adds a warehouse.
    fn add_warehouse(name: &str, kind: WarehouseKind, now: Timestamp) -> WarehouseAdded;
    /// All warehouses.
    fn warehouses() -> Vec<Warehouse>;
    /// Adds a shop, connecting, with its secrets and a webhook token. A removed one with the same address comes back in its
    /// place, with the settings it had: they are to be changed next.
    fn add_shop(new: NewShop, now: Timestamp) -> ShopAdded;
    /// Those of the shops that there are, removed ones too; `None`: all.
    fn shops(wanted: Option<&[ShopId]>) -> Vec<Shop>;
    /// The shop whose webhook address holds the token, unless it was removed.
    fn shop_of_webhook(token: &str) -> Option<ShopId>;
    /// Changes a shop's settings; its SKUs are marked to recompute.
    fn change_shop(shop: ShopId, settings: &ShopSettings) -> Changed;
    /// The shop's catalogue and baseline are read: it is in service.
    fn activate_shop(shop: ShopId) -> Changed;
    /// Takes a shop out of service: its stocks are published as removed, its secrets forgotten.
    fn remove_shop(shop: ShopId, orders: OpenOrders, now: Timestamp) -> ShopRemoved;
    /// What the shop is called with; `None` if it has none any more.
    fn shop_secrets(shop: ShopId) -> Option<ShopSecrets>;
    /// Replaces what the shop is called with.
    fn set_shop_secrets(shop: ShopId, secrets: &ShopSecrets) -> Changed;
    /// What is needed to take the webhooks of every shop that was not removed.
    fn webhook_doors() -> Vec<WebhookDoor>;
    /// The part of the shop's webhook address that cannot be guessed.
    fn webhook_token(shop: ShopId) -> Option<SecretString>;
    /// Makes a token of the API; its text is not stored and cannot be shown again.
    fn create_token(name: &str, scope: Scope, now: Timestamp) -> (ApiToken, SecretString);
    /// All tokens, revoked ones too.
    fn tokens() -> Vec<ApiToken>;
    /// The unrevoked token with this text; its use is noted.
    fn use_token(text: &str, now: Timestamp) -> Option<ApiToken>;
    /// Revokes a token for good; the only one that administers only if `even_the_last`.
    fn revoke_token(id: i64, even_the_last: bool, now: Timestamp) -> TokenRevoked;
    /// Asks a shop of this name to grant keys: its number, and the state that the shop has to repeat before it expires. Those
    /// that expired before `forget_before` are forgotten.
    fn create_grant(
        name: &str,
        content: &SecretString,
        now: Timestamp,
        expires_at: Timestamp,
        forget_before: Timestamp,
    ) -> (i64, SecretString);
    /// What waits under a state, once; `None` if it is unknown, was taken, or has expired.
    fn take_grant(state: &str, now: Timestamp) -> Option<TakenGrant>;
    /// Notes what came of a grant that was taken.
    fn end_grant(id: i64, end: &GrantEnd) -> ();
    /// A grant.
    fn grant(id: i64) -> Option<Grant>;
    /// Maps a stock to a SKU by hand; a SKU never heard of is made.
    fn map_stock(stock: StockId, sku: &Sku, now: Timestamp) -> MapOutcome;
    /// Whether listings of a shop without a code are the SKU of their name, where there is but one of each.
    fn matches_names(shop: ShopId) -> bool;
    /// Has them matched so from the next time they are read, or not any more.
    fn set_matches_names(shop: ShopId, on: bool) -> Changed;
    /// Gives SKUs that are known their names, for people and for listings without a code.
    fn name_skus(names: &[(Sku, String)]) -> ();
    /// Stocks of a shop without SKU, by holder, and why.
    fn unmapped(shop: ShopId, after: Option<StockId>, limit: u32) -> Vec<UnmappedStock>;
}

// After a restore.
on_every_backend! {
    /// This database is a copy from earlier: begins a new epoch, so that nothing is pushed before it is proven, and has
    /// everything read again that `read_again` before its cursors and later happened. Pushes it does not know of may take
    /// effect until `in_flight` from now.
    fn begin_epoch(now: Timestamp, read_again: Duration, in_flight: Duration) -> EpochBegun;
}

// The outbox.
on_every_backend! {
    /// Stocks whose level is not published, by key from after `after`. One that is damaged keeps no other from being read.
    fn levels_to_publish(filter: ShopFilter, after: Option<StockId>, limit: u32) -> Outbox;
    /// These were published; one that has changed since stays to be published.
    fn mark_published(levels: &[(StockId, Epoch, Revision)]) -> ();
    /// Every level of the shop is to be published, also those that were; how many more are.
    fn publish_again(shop: ShopId, now: Timestamp) -> u64;
    /// What is to be read and was not asked for yet, with when it was wanted.
    fn wishes(limit: u32) -> Vec<(Wish, Timestamp)>;
    /// These were asked for; one that was wanted again meanwhile stays.
    fn wishes_done(wishes: &[(Wish, Timestamp)]) -> ();
}

// Egress.
on_every_backend! {
    /// Those of the stocks that egress knows, in no particular order.
    fn pushes(stocks: &[StockId]) -> Vec<PushRow>;
    /// Shops that have stocks due by `now`, with the oldest.
    fn shops_due(filter: ShopFilter, now: Timestamp) -> Vec<DueShop>;
    /// Stocks whose push was journaled and not finished, by key: at start-up those of an earlier life.
    fn open_intents(after: Option<StockId>, limit: u32) -> Vec<PushRow>;
    /// What is noted of those of the stocks that egress knows, in no particular order.
    fn push_notes(stocks: &[StockId]) -> Vec<PushNotes>;
    /// Differences that comparisons found, the newest first, from after `after`: of one shop or of all, since `since`.
    fn drifts(shop: Option<ShopId>, since: Timestamp, after: Option<DriftKey>, limit: u32) -> Vec<DriftRow>;
    /// All differences remembered of those stocks, at most [`crate::DRIFTS_KEPT`] each; of a stock the newest first.
    fn drifts_of(stocks: &[StockId]) -> Vec<DriftRow>;
    /// What people decided about these stocks, the oldest of each first.
    fn decisions_of(stocks: &[StockId]) -> Vec<DecisionRow>;
    /// The newest difference of each stock that people should know of, that nobody decided on, and that was found since, at most so many of a shop: the
    /// newest. Differences of our own that were put right are nobody's concern.
    fn drifts_to_tell(since: Timestamp, of_shop_max: u32, limit: u32) -> Vec<DriftRow>;
    /// The newest such difference of each of these stocks, if there is one.
    fn drifts_to_tell_of(stocks: &[StockId], since: Timestamp) -> Vec<DriftRow>;
    /// Stocks of a shop that are due by `by`: products, then variations by product, from after `after`. Who knows that none is
    /// due before `from` says so: PostgreSQL then need not walk past all that was due before, of which an index keeps traces
    /// until it is vacuumed.
    fn stocks_due(
        shop: ShopId,
        from: Option<Timestamp>,
        by: Timestamp,
        after: Option<DueStock>,
        limit: u32,
    ) -> Vec<DueStock>;
    /// When the next stock of a shop is due; none is before `from`.
    fn next_due(shop: ShopId, from: Option<Timestamp>) -> Option<Timestamp>;
    /// How many stocks are in a state that somebody should know of.
    fn push_counts() -> PushCounts;
    /// Notes how a shop takes pushes, for people to see.
    fn save_lane(lane: &ShopLane) -> ();
    /// How a shop takes pushes.
    fn lane(shop: ShopId) -> Option<ShopLane>;
}

// Shipments, and what shops are told of them.
on_every_backend! {
    /// The shipments of an order.
    fn shipments(shop: ShopId, order: OrderId) -> Vec<Shipment>;
    /// Shipments that shops are to be told of and egress was not yet, by key from after `after`.
    fn shipments_to_publish(after: Option<ShipmentId>, limit: u32) -> Vec<Shipment>;
    /// These were published up to that revision.
    fn shipments_published(published: &[(ShipmentId, u64)]) -> ();
    /// The shop is to be told once more of a shipment; `false` if there is none, or nothing to tell of it.
    fn report_shipment_again(id: ShipmentId) -> bool;
    /// Takes in what shops are to be told; of a shipment the newest revision.
    fn take_reports(wanted: &[ReportWanted], now: Timestamp) -> ();
    /// What a shop is to be told by `now`, the longest due first.
    fn reports_due(shop: ShopId, now: Timestamp, limit: u32) -> Vec<ReportRow>;
    /// When a shop is to be told something next.
    fn next_report(shop: ShopId) -> Option<Timestamp>;
    /// What a shop was told, or is to be, of the shipments of an order.
    fn reports(shop: ShopId, order: OrderId) -> Vec<ReportRow>;
    /// What shops could not be told, by key from after `after`.
    fn reports_given_up(after: Option<ShipmentId>, limit: u32) -> Vec<ReportRow>;
    /// Saves what came of it, unless somebody changed it since it was read: then `false`, and nothing is written.
    fn save_report(row: &ReportRow) -> bool;
    /// Forgets what shops were told of shipments since before `before` and are told no more; how many. What was given up stays.
    fn prune_reports(before: Timestamp, limit: u32) -> u64;
}

// Ingress.
on_every_backend! {
    /// The right to read a shop, or its renewal; `None` while another has it, and [`crate::CLOCKS_DIFFER_MAX`] longer if
    /// that did not give it back.
    fn lease_reader(shop: ShopId, owner: &str, now: Timestamp, lasts: Duration) -> Option<Lease>;
    /// Gives the right to read a shop back; nothing if another has it.
    fn end_lease(shop: ShopId, fence: u64) -> ();
    /// The next numbers of reads of a shop.
    fn next_read_numbers(shop: ShopId, count: u32, fence: u64) -> Fenced<ReadNumbers>;
    /// How far a shop was read.
    fn cursor(shop: ShopId, kind: CursorKind) -> Option<Cursor>;
    /// Notes how far a shop was read; after what was read is confirmed or on disk.
    fn save_cursor(shop: ShopId, kind: CursorKind, cursor: Cursor, fence: u64) -> Fenced<()>;
    /// Asks for settles: one job a stock, the earliest date wins.
    fn want_settles(wants: &[SettleWanted]) -> ();
    /// Settles of a shop due by `now`, the longest due first; without those to be left for later.
    fn settles_due(shop: ShopId, now: Timestamp, hold: Option<SettleHold>, limit: u32) -> Vec<SettleJob>;
    /// These are done and due again at `again_at`, unless they were asked for again meanwhile.
    fn settles_done(done: &[SettleJob], again_at: Timestamp, why: &str) -> ();
    /// Asks for orders to be read again: one row an order.
    fn want_rereads(orders: &[(ShopId, OrderId)], now: Timestamp) -> ();
    /// Orders of a shop to be read again, the longest wanted first.
    fn rereads_due(shop: ShopId, limit: u32) -> Vec<Reread>;
    /// These were read again, unless they were asked for again meanwhile.
    fn rereads_done(shop: ShopId, done: &[Reread]) -> ();
    /// Asks for products or variations to be read again, by their ids: one row an id.
    fn want_listings(ids: &[(ShopId, HolderId)]) -> ();
    /// What of a shop's catalogue is to be read again, by id, with what is known of it.
    fn listings_wanted(shop: ShopId, limit: u32) -> Vec<ListingReread>;
    /// These were read again, unless they were asked for again meanwhile.
    fn listings_done(shop: ShopId, done: &[ListingReread]) -> ();
    /// What a shop is known to sell, without what is in the trash or gone.
    fn listings_there(shop: ShopId, after: Option<ListingId>, limit: u32) -> Vec<ListingId>;
    /// Asks for a job of a shop's reader; its number, or that of the one of its kind that waits already.
    fn add_task(shop: ShopId, kind: TaskKind, now: Timestamp) -> i64;
    /// Tasks of a shop that did not end, the oldest first; those running may be of an earlier process.
    fn waiting_tasks(shop: ShopId) -> Vec<Task>;
    /// Notes how far a task has come.
    fn report_task(id: i64, progress: &TaskProgress, now: Timestamp) -> ();
    /// A task.
    fn task(id: i64) -> Option<Task>;
    /// Forgets tasks that ended before `before`; how many.
    fn prune_tasks(before: Timestamp, limit: u32) -> u64;
    /// Shops that have settles due by `now`, orders to read again, or tasks.
    fn shops_to_read(now: Timestamp) -> Vec<ShopId>;
    /// Notes how the reading of a shop goes; all but [`Reading::blind_at`] and [`Reading::pinged_at`].
    fn save_reading(reading: &Reading) -> ();
    /// Notes that a webhook said that its owner may no longer see orders.
    fn note_blind(shop: ShopId, now: Timestamp) -> ();
    /// How the reading of a shop goes; `None` before the first.
    fn reading(shop: ShopId) -> Option<Reading>;
}

// Comparing whole shops, and counting them.
on_every_backend! {
    /// Asks for a run.
    fn add_run(new: &NewRun, now: Timestamp) -> RunAdded;
    /// The run of a shop that has not ended.
    fn open_run(shop: ShopId) -> Option<Run>;
    /// Lists some more of the stocks of a run that waits; how many. With the last of them it runs.
    fn fill_run(run: i64, limit: u32, now: Timestamp) -> u64;
    /// Stocks of a run that are to be read, products or variations, by holder: none that `hold` leaves for later.
    fn run_to_read(run: i64, variations: bool, now: Timestamp, hold: Option<SettleHold>, limit: u32) -> Vec<RunJob>;
    /// How much of a run is not decided.
    fn run_left(run: i64) -> RunLeft;
    /// Notes that stocks were read, in so many calls.
    fn note_run_read(run: i64, reads: &[RunRead], number: ReadNumber, calls: u32, now: Timestamp) -> ();
    /// What is known of stocks that were read: those that somebody has looked at by now, and those read before `overdue`.
    fn run_answers(run: &Run, overdue: Timestamp, limit: u32) -> Vec<RunAnswer>;
    /// Decides.
    fn judge_run(run: i64, verdicts: &[RunVerdict]) -> ();
    /// What was read and not judged is to be read again: whoever read it is gone.
    fn reopen_run(run: i64, now: Timestamp) -> ();
    /// Ends a run, unless it has ended: what is not decided is `unsettled`; of a whole shop, what agreed is only counted
    /// from then on.
    fn end_run(run: i64, state: RunState, failure: &str, now: Timestamp) -> ();
    /// Runs that have not ended though they were to by `before`.
    fn overdue_runs(before: Timestamp, limit: u32) -> Vec<i64>;
    /// A run.
    fn run(run: i64) -> Option<Run>;
    /// Runs of a shop, the latest first, from before `before`.
    fn runs(shop: ShopId, before: Option<i64>, limit: u32) -> Vec<Run>;
    /// What a run found, by holder from after `after`.
    fn run_stocks(run: i64, after: Option<HolderId>, limit: u32) -> Vec<RunStock>;
    /// Forgets some runs that ended before `before`.
    fn prune_runs(before: Timestamp, limit: u32) -> u64;
    /// When a shop is compared by itself.
    fn schedule(shop: ShopId) -> Option<Scheduled>;
    /// Sets that; `None`: never.
    fn set_schedule(shop: ShopId, schedule: Option<Schedule>, now: Timestamp) -> ();
    /// Notes that a run was begun by the schedule, or was to be while another was under way.
    fn note_scheduled(shop: ShopId, now: Timestamp) -> ();
    /// What onhand knows of a shop, counted now.
    fn hub_count(shop: ShopId) -> HubCount;
    /// Keeps what was counted, one row a shop and day; a sum of its catalogue stays if there is no new one.
    fn save_count(count: &DayCount) -> ();
    /// What was counted of a shop since a day, the latest first.
    fn day_counts(shop: ShopId, since: i64, limit: u32) -> Vec<DayCount>;
    /// Forgets some of what was counted before a day.
    fn prune_counts(before: i64, limit: u32) -> u64;
}

// Webhooks that ingress keeps in shops, and what is wrong with shops.
on_every_backend! {
    /// What is known of our webhooks in a shop, by topic.
    fn kept_webhooks(shop: ShopId) -> Vec<KeptWebhook>;
    /// Notes the webhook of a topic that was made, with the mark of how, or found.
    fn keep_webhook(shop: ShopId, topic: &str, webhook: i64, mark: Option<&str>, now: Timestamp) -> ();
    /// Notes that a delivery of the topic came.
    fn note_delivery(shop: ShopId, topic: &str, now: Timestamp) -> ();
    /// Notes that the shop tried whether somebody listens.
    fn note_ping(shop: ShopId, now: Timestamp) -> ();
    /// Something is wrong with a shop; `true`: it was not so before.
    fn raise_condition(shop: ShopId, kind: ConditionKind, what: &str, now: Timestamp) -> bool;
    /// That is not so any more; `true`: it was so before.
    fn clear_condition(shop: ShopId, kind: ConditionKind, now: Timestamp) -> bool;
    /// What is wrong with a shop, and what was last.
    fn conditions(shop: ShopId) -> Vec<Condition>;
}

// Alerts, and what people are told of them.
on_every_backend! {
    /// The turn to look for alerts and to tell of them, or its renewal; `false` while it is another's.
    fn take_alert_turn(owner: &str, now: Timestamp, lasts: Duration) -> bool;
    /// Gives the turn back; nothing if it is another's.
    fn end_alert_turn(owner: &str) -> ();
    /// Alerts that are open, that ended after `resolved_since`, or of which there is news, in no particular order.
    fn alerts_at_work(resolved_since: Timestamp) -> Vec<Alert>;
    /// Writes what was found, and what is to be sent for it; `false`, and nothing was written, if it is not the owner's turn.
    fn save_alerts(owner: &str, now: Timestamp, changes: &AlertChanges<'_>) -> bool;
    /// Alerts by number from below `before`, the newest first.
    fn alerts_page(filter: AlertFilter, before: Option<i64>, limit: u32) -> Vec<Alert>;
    /// Somebody took note of an alert; as it is now, `None` if there is none.
    fn acknowledge_alert(id: i64, by: &str, now: Timestamp) -> Option<Alert>;
    /// How many alerts of each kind are open; kinds without one are left out.
    fn alert_counts() -> Vec<(AlertKind, u64)>;
    /// Notices to be sent one way by `now`, the longest due first. What tells of an alert waits for older ones that tell of it.
    fn notices_due(channel: Channel, now: Timestamp, limit: u32) -> Vec<Notice>;
    /// A notice was sent.
    fn notice_sent(id: &str, now: Timestamp) -> ();
    /// A notice could not be sent; it is tried again at `again_at`, or given up.
    fn notice_failed(id: &str, why: &str, again_at: Option<Timestamp>, now: Timestamp) -> ();
    /// Forgets alerts that ended and notices that were made before `before`; how many.
    fn prune_alerts(before: Timestamp, limit: u32) -> u64;
    /// What is wrong with shops, by shop.
    fn conditions_open(limit: u32) -> Vec<Condition>;
    /// How those shops are read that fail, or of whose webhooks one once said that it sees no orders.
    fn readings_in_trouble(limit: u32) -> Vec<Reading>;
    /// How those shops take pushes that take none now.
    fn lanes_closed(limit: u32) -> Vec<ShopLane>;
    /// Stocks nothing can be pushed to, by key from after `after`.
    fn blocked_stocks(after: Option<StockId>, limit: u32) -> Vec<PushRow>;
    /// SKUs of which more is reserved in some warehouse than there is.
    fn short_skus(limit: u32) -> Vec<Sku>;
    /// What waits of each shop, of each kind that is counted; at most so many rows of each are looked at.
    fn waiting_by_shop(rows_max: u32) -> Vec<ShopWaiting>;
}

on_every_backend! {
    /// In how many shards every flow is divided; `None` if nobody said yet.
    fn shard_count() -> Option<u32>;
    /// Notes in how many shards every flow is divided from now on; at least one. Nobody may be at work.
    fn set_shard_count(count: u32) -> ();
}

// Shares of shards.
impl Store {
    /// The member is there until `now` + `lasts`, and has its fair share of the service's shards: what it held, unless it is
    /// too much, and what is free.
    pub async fn share_shards(
        &self,
        service: &str,
        shard_count: u32,
        member: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Share, Error> {
        self.with_shards(service, shard_count, |shards| shards.share(shard_count, member, now, lasts)).await
    }

    /// The member stops: it counts no longer, so that the others may have what it releases, and is given nothing more. What it
    /// holds is its own until `now` + `lasts`, or until it releases it.
    pub async fn leave_shards(
        &self,
        service: &str,
        shard_count: u32,
        member: &str,
        now: Timestamp,
        lasts: Duration,
    ) -> Result<Vec<ShardLease>, Error> {
        self.with_shards(service, shard_count, |shards| shards.leave(member, now, lasts)).await
    }

    /// The member has stopped working on these. One that gives up its last is gone, until it asks for its share again.
    pub async fn release_shards(
        &self,
        service: &str,
        shard_count: u32,
        member: &str,
        indexes: &[u32],
    ) -> Result<(), Error> {
        self.with_shards(service, shard_count, |shards| shards.release(member, indexes)).await
    }

    async fn with_shards<T>(
        &self,
        service: &str,
        shard_count: u32,
        decide: impl FnOnce(&mut Shards) -> T,
    ) -> Result<T, Error> {
        match self.backend()? {
            Backend::Sqlite(sqlite) => sqlite.with_shards(service, shard_count, decide).await,
            Backend::Postgres(postgres) => postgres.with_shards(service, shard_count, decide).await,
        }
    }
}

// Readers. A limit above `PAGE_ROWS_MAX` is that.
on_every_backend! {
    /// SKUs by code, from after `after`.
    fn stock_page(after: Option<&Sku>, limit: u32) -> Vec<SkuStock>;
    /// Those of the SKUs that are known.
    fn stock_of(skus: &[Sku]) -> Vec<SkuStock>;
    /// Stocks of a shop by holder.
    fn stocks_of_shop(shop: ShopId, after: Option<StockId>, limit: u32) -> Vec<StockRow>;
    /// What became of the stocks of a shop that was to open its SKUs; those no longer in service are left out.
    fn openings(shop: ShopId) -> Openings;
    /// The products of those stocks that are variations'.
    fn stock_parents(stocks: &[StockId]) -> BTreeMap<StockId, ProductId>;
    /// An order with all its lines.
    fn order(shop: ShopId, order: OrderId) -> Option<OrderRow>;
    /// Orders of a shop that reserve something, by id: those to audit.
    fn open_orders(shop: ShopId, after: Option<OrderId>, limit: u32) -> Vec<OrderId>;
    /// A SKU's movements from after a number; 0 from the first.
    fn movements(of: &Sku, after: u64, limit: u32) -> Vec<Posted>;
    /// Movements of all SKUs, from after a place: by SKU, and by number within one.
    fn movements_page(after: Option<MovementPlace>, limit: u32) -> Vec<(MovementPlace, Posted)>;
    /// Orders of all shops, by key from after `after`.
    fn orders_page(after: Option<(ShopId, OrderId)>, limit: u32) -> Vec<OrderRow>;
    /// All that makes a SKU's numbers what they are.
    fn explain(of: &Sku) -> Option<Explanation>;
    /// Lines without SKU.
    fn parked(after: Option<(ShopId, OrderId, LineId)>, limit: u32) -> Vec<ParkedLine>;
    /// The catalogue of a shop as it was read, and how each entry stands with the ledger, by listing.
    fn listings_of_shop(shop: ShopId, after: Option<ListingId>, limit: u32) -> Vec<ListingRow>;
    /// Orders that hold something although their shop no longer knows them, or is out of service.
    fn orphaned(after: Option<(ShopId, OrderId)>, limit: u32) -> Vec<Orphan>;
    /// What waits.
    fn waiting() -> Waiting;
    /// Approvals nobody has decided on.
    fn approvals_waiting(limit: u32) -> Vec<Approval>;
    /// Messages given up, by number from after `after`.
    fn dead_messages(after: i64, limit: u32) -> Vec<DeadMessage>;
    /// Checks the ledger against itself; empty if it is sound. Reads everything, in bounded memory.
    fn check() -> Vec<Broken>;
}
