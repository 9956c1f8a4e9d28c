//! The running service, and the handle by which people and their programs change stock and registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bus, ConsumeError, Flow};
use notices::{Channels, SendError};
use process::clock;
use process::health::Health;
use process::metrics::Metrics;
use process::tasks::{Stage, Tasks};
use shards::{Held, Member};
use store::{
    Broken, Changed, Channel, DecisionRow, DriftAction, Explanation, MapOutcome, NewShop, OpenOrders,
    ShipmentId, ShopAdded, ShopRemoved, ShopSettings, Store, TableEntry, TableOutcome, WarehouseAdded,
    WarehouseKind, Wish,
};
use tokio::sync::Notify;
use values::{OrderId, Quantity, ShopId, Sku, StockId};

use crate::batch::Summary;
use crate::consumer::{Consumer, limits};
use crate::deciding::{DecisionOutcome, DecisionRequest, decide};
use crate::error::{Error, patiently, patiently_once};
use crate::fresh::Fresh;
use crate::observe::Observer;
use crate::operations::{Operated, OperationRequest, Requester, operate};
use crate::settings::Settings;
use crate::shipping::{ShipmentRequest, Shipped, ship};
use crate::work::{Occasion, Scope, Work};
use crate::{alerts, catalogue, letters, registry, relay, upkeep};

/// Sender of the messages of this service.
pub(crate) const APP_ID: &str = "inventory";

/// Facts that wait for longer make the process not ready: what the shops show is older than that.
const FACTS_WAIT_MAX: Duration = Duration::from_mins(5);
/// So long after all changes were published last, it is not ready.
const RELAY_PATIENCE: Duration = Duration::from_mins(2);

/// What inventory is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Arc<Store>,
    /// Where facts come from and changes go.
    pub bus: Bus,
    /// Names this process among the replicas. The same name after a restart has its shards back at once, so two processes
    /// that run at the same time must not share one.
    pub member: String,
    /// Where it says whether it keeps up.
    pub health: Health,
    /// What can be set.
    pub settings: Settings,
    /// How people are told of alerts.
    pub channels: Channels,
}

/// Starts to apply the facts of the shards that this process holds, to publish what changes and to look after the rest, until
/// the tasks are told to stop. Publishing and looking after is done by every replica: they take different rows, or do the
/// same twice without effect.
pub fn start(parts: Parts, tasks: &Tasks, metrics: &Metrics) -> Inventory {
    let shared = Arc::new(Shared {
        store: parts.store,
        bus: parts.bus,
        settings: parts.settings,
        channels: Arc::new(parts.channels),
        observer: Observer::new(metrics),
        wake_relay: Notify::new(),
        fresh: Fresh::default(),
        wake_upkeep: Notify::new(),
        rereads: AtomicBool::new(true),
        resolve: AtomicBool::new(true),
    });
    let shard_count = shared.bus.topology().shards(Flow::InventoryOrders);
    let member = Member {
        store: Arc::clone(&shared.store),
        service: APP_ID,
        shard_count,
        name: parts.member.clone(),
        lasts: shards::LEASE,
        clock: clock::now,
    };
    let work = {
        let shared = Arc::clone(&shared);
        move |held: Held| consume(Arc::clone(&shared), held)
    };
    let stop = tasks.stopping(Stage::Intake);
    tasks.spawn_in(Stage::Intake, "inventory shards", shards::run(member, work, stop));
    let (bus, stop) = (shared.bus.clone(), tasks.stopping(Stage::Intake));
    let keeps_up = parts.health.check("inventory.orders").watch(stop, move || {
        let bus = bus.clone();
        async move {
            let kept_up = bus.keeps_up(Flow::InventoryOrders, FACTS_WAIT_MAX).await;
            kept_up.map_err(|lag| lag.to_string())
        }
    });
    tasks.spawn_in(Stage::Intake, "inventory check", keeps_up);
    let stop = tasks.stopping(Stage::Work);
    tasks.spawn_in(Stage::Work, "inventory upkeep", upkeep::run(Arc::clone(&shared), stop));
    let settings = &shared.settings.alerts;
    alerts::start(&shared.store, parts.member, &shared.channels, settings, (tasks, metrics));
    let stop = tasks.stopping(Stage::Relay);
    let pulse = parts.health.check("inventory.relay").pulse(RELAY_PATIENCE);
    tasks.spawn_in(Stage::Relay, "inventory relay", relay::run(Arc::clone(&shared), pulse, stop));
    Inventory { shared }
}

/// Applies the facts of one shard, and keeps what other services gave up of it.
async fn consume(shared: Arc<Shared>, held: Held) -> Result<(), ConsumeError> {
    let queue = shared.bus.topology().queues(Flow::InventoryOrders).nth(usize::from(held.index));
    let queue = queue.expect("as many shards are shared as there are queues");
    let queue_count = shared.bus.topology().shards(Flow::InventoryOrders);
    let (bus, limits) = (shared.bus.clone(), limits(&shared.settings, queue_count));
    // Ends with the consumer, whatever ends that; and that with it, should it fail.
    let keeping = held.stop.child_token();
    let consuming = async {
        let mut consumer = Consumer::new(Arc::clone(&shared), queue);
        let ended = bus.consume(queue, limits, &mut consumer, &held.stop).await;
        keeping.cancel();
        ended
    };
    tokio::try_join!(consuming, letters::keep_of_others(&shared, held.index, &keeping)).map(|_| ())
}

/// What the tasks and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) bus: Bus,
    pub(crate) settings: Settings,
    pub(crate) channels: Arc<Channels>,
    pub(crate) observer: Observer,
    pub(crate) wake_relay: Notify,
    pub(crate) fresh: Fresh,
    pub(crate) wake_upkeep: Notify,
    /// Some order may wait to be asked for.
    rereads: AtomicBool,
    /// Some line may have found its SKU.
    resolve: AtomicBool,
}

impl Shared {
    /// Something was committed: what it left behind goes out.
    pub(crate) fn committed(&self, summary: &mut Summary) {
        if summary.reread_wanted {
            self.hint_rereads();
        }
        if summary.changed_listing_count > 0 {
            self.hint_resolve();
            self.wake_upkeep.notify_one();
        }
        if summary.wished || summary.changed_listing_count > 0 {
            // It left more behind than its levels.
            self.fresh.look();
        }
        let unpublished = std::mem::take(&mut summary.unpublished);
        self.fresh.add(unpublished.into_iter().map(|level| (level.stock.id, level)));
        self.wake_relay.notify_one();
    }

    /// There is something in the database that the relay has not been given.
    pub(crate) fn wake_relay(&self) {
        self.fresh.look();
        self.wake_relay.notify_one();
    }

    pub(crate) fn hint_rereads(&self) {
        self.rereads.store(true, Ordering::Release);
        self.wake_relay.notify_one();
    }

    pub(crate) fn take_reread_hint(&self) -> bool {
        self.rereads.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn hint_resolve(&self) {
        self.resolve.store(true, Ordering::Release);
    }

    pub(crate) fn take_resolve_hint(&self) -> bool {
        self.resolve.swap(false, Ordering::AcqRel)
    }
}

/// What releasing an order came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// It holds nothing any more; so much was let go.
    Released(Quantity),
    /// Its shop is in service and still knows it.
    NotOrphaned,
    /// There is no such order.
    Unknown,
}

/// The running service. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Inventory {
    pub(crate) shared: Arc<Shared>,
}

impl Inventory {
    /// The database, for everything that is only read.
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// Moves stock: all of the request or nothing of it, once for each key of its actor.
    pub async fn operate(&self, request: &OperationRequest) -> Result<Operated, Error> {
        let warehouses = self.shared.store.warehouses().await?;
        let done = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            let operated = operate(&mut tx, request, &warehouses, clock::now()).await?;
            if matches!(operated, Operated::Applied(_)) && !request.dry_run {
                tx.commit().await?;
            }
            Ok(operated)
        });
        let operated = done.await?;
        self.shared.wake_relay();
        // A line may have waited for a SKU that it made known.
        self.shared.hint_resolve();
        self.shared.wake_upkeep.notify_one();
        Ok(operated)
    }

    /// Maps a stock of a shop to a SKU by hand. What is sold from now on counts for that SKU, lines that waited for one
    /// are resolved, and nothing is pushed to it until the shop has shown it once more.
    pub async fn map(&self, stock: StockId, sku: &Sku, requester: &Requester) -> Result<MapOutcome, Error> {
        let occasion = occasion(requester);
        let done = patiently(|| async {
            let mut summary = Summary::default();
            let mut tx = self.shared.store.begin_inventory().await?;
            let outcome = catalogue::map(&mut tx, stock, sku, &occasion, &mut summary).await?;
            tx.commit().await?;
            Ok((outcome, summary))
        });
        let (outcome, mut summary) = done.await?;
        if matches!(outcome, MapOutcome::Mapped { .. }) {
            catalogue::resolve_some(&self.shared.store, &occasion, &mut summary).await;
        }
        self.changed(&mut summary);
        Ok(outcome)
    }

    /// Takes in what a person says that listings of a shop are, all or nothing, each listing once and at most
    /// [`crate::MAPPINGS_MAX`]; what each came to. Orders that came before keep the SKU they were counted as. A dry run only says
    /// what it would come to.
    pub async fn map_table(
        &self,
        shop: ShopId,
        entries: &[TableEntry],
        dry_run: bool,
        requester: &Requester,
    ) -> Result<Vec<TableOutcome>, Error> {
        let occasion = occasion(requester);
        let done = patiently(|| async {
            let mut summary = Summary::default();
            let mut tx = self.shared.store.begin_inventory().await?;
            let outcomes = catalogue::map_table(&mut tx, shop, entries, &occasion, &mut summary).await?;
            let is_done = !dry_run && !outcomes.iter().any(TableOutcome::is_refused);
            if is_done {
                tx.commit().await?;
            }
            Ok((outcomes, is_done.then_some(summary)))
        });
        let (outcomes, summary) = done.await?;
        if let Some(mut summary) = summary {
            catalogue::resolve_some(&self.shared.store, &occasion, &mut summary).await;
            self.changed(&mut summary);
        }
        Ok(outcomes)
    }

    /// Lets go what an order holds that its shop no longer knows, or whose shop is out of service.
    pub async fn release(
        &self,
        shop: ShopId,
        order: OrderId,
        requester: &Requester,
    ) -> Result<Released, Error> {
        let occasion = occasion(requester);
        let done = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            let key = (shop, order);
            let mut work = Work::load(&mut tx, Scope { orders: [key].into(), ..Scope::default() }).await?;
            let Some(row) = work.orders.get(&key).filter(|row| row.order.applied.is_some()) else {
                return Ok(Released::Unknown);
            };
            let reserved: Quantity = row.order.lines.iter().map(ledger::Line::reserved).sum();
            if !work.release(key, &occasion) {
                return Ok(Released::NotOrphaned);
            }
            work.save(&mut tx, &[], occasion.now).await?;
            tx.commit().await?;
            Ok(Released::Released(reserved))
        });
        let released = done.await?;
        self.shared.wake_relay();
        Ok(released)
    }

    /// Ships what an order reserves, all of the parcel or nothing of it, once for each key of its actor. Its shop is told.
    pub async fn ship(&self, request: &ShipmentRequest) -> Result<Shipped, Error> {
        let done = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            let shipped = ship(&mut tx, request, clock::now()).await?;
            if matches!(shipped, Shipped::Done(_)) {
                tx.commit().await?;
            }
            Ok(shipped)
        });
        let shipped = done.await?;
        self.shared.wake_relay();
        Ok(shipped)
    }

    /// Decides what becomes of a difference in a shop that was left as it was set, once for each key of its actor.
    pub async fn decide(&self, request: &DecisionRequest) -> Result<DecisionOutcome, Error> {
        let store = &self.shared.store;
        let (warehouses, stock) = (store.warehouses().await?, [request.stock]);
        let decisions = store.decisions_of(&stock).await?;
        let is_open = store.drifts_of(&stock).await?.iter().any(|drift| {
            let is_left = matches!(drift.action, DriftAction::Withheld | DriftAction::Alerted);
            is_left && DecisionRow::about(&decisions, drift).is_none()
        });
        let done = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            let outcome = decide(&mut tx, request, &warehouses, is_open, clock::now()).await?;
            if matches!(outcome, DecisionOutcome::Done(_)) {
                tx.commit().await?;
            }
            Ok(outcome)
        });
        let outcome = done.await?;
        self.shared.wake_relay();
        Ok(outcome)
    }

    /// Has a shop told once more of a shipment; `false` if there is none, or nothing to tell of it.
    pub async fn report_again(&self, shipment: ShipmentId) -> Result<bool, Error> {
        let again = self.shared.store.report_shipment_again(shipment).await?;
        self.shared.wake_relay();
        Ok(again)
    }

    /// Adds a warehouse.
    pub async fn add_warehouse(&self, name: &str, kind: WarehouseKind) -> Result<WarehouseAdded, Error> {
        Ok(self.shared.store.add_warehouse(name, kind, clock::now()).await?)
    }

    /// Adds a shop, to be connected by ingress. One that was removed comes back as itself: what its orders hold is not held
    /// a second time, and what became of them meanwhile is read.
    pub async fn add_shop(&self, new: NewShop) -> Result<ShopAdded, Error> {
        let settings = new.settings.clone();
        let store = &self.shared.store;
        let mut added = patiently_once(|| store.add_shop(new.clone(), clock::now())).await?;
        if let ShopAdded::Added { shop, returned: true, .. } = &mut added {
            self.change_shop(shop.id, &settings).await?;
            shop.settings = settings;
        }
        Ok(added)
    }

    /// Changes a shop; the levels of what it sells are computed anew. Another meaning of its statuses counts for an order
    /// from its next change.
    pub async fn change_shop(&self, shop: ShopId, settings: &ShopSettings) -> Result<Changed, Error> {
        let changed = self.change_shop_if(shop, None, settings).await?;
        Ok(changed.unwrap_or(Changed::Unknown))
    }

    /// The same, if its settings are still `before`; `None` if somebody else has changed them.
    pub async fn change_shop_from(
        &self,
        shop: ShopId,
        before: &ShopSettings,
        settings: &ShopSettings,
    ) -> Result<Option<Changed>, Error> {
        self.change_shop_if(shop, Some(before), settings).await
    }

    async fn change_shop_if(
        &self,
        shop: ShopId,
        expected: Option<&ShopSettings>,
        settings: &ShopSettings,
    ) -> Result<Option<Changed>, Error> {
        let now = clock::now();
        let done = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            let changed = registry::change_shop(&mut tx, shop, expected, settings, now).await?;
            if changed == Some(Changed::Done) {
                tx.commit().await?;
            }
            Ok(changed)
        });
        let changed = done.await?;
        self.shared.wake_upkeep.notify_one();
        self.shared.wake_relay();
        Ok(changed)
    }

    /// Takes a shop out of service; what it sold stays in the ledger. What its open orders hold is kept, or let go: what of
    /// that is not done when this returns is done by the upkeep.
    pub async fn remove_shop(&self, shop: ShopId, orders: OpenOrders) -> Result<ShopRemoved, Error> {
        let store = &self.shared.store;
        let removed = patiently_once(|| store.remove_shop(shop, orders, clock::now())).await?;
        self.shared.wake_relay();
        if orders == OpenOrders::Release && removed != ShopRemoved::Unknown {
            upkeep::report(&self.shared, upkeep::LETTING_GO, upkeep::let_go(&self.shared)).await;
        }
        Ok(removed)
    }

    /// Publishes every level of a shop again, whether that was done or not: a transport lost them. How many are.
    pub async fn republish(&self, shop: ShopId) -> Result<u64, Error> {
        let again = patiently_once(|| self.shared.store.publish_again(shop, clock::now())).await?;
        self.shared.wake_relay();
        Ok(again)
    }

    /// Asks ingress to read something of a shop again.
    pub async fn wish(&self, wishes: &[Wish]) -> Result<(), Error> {
        let wished = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            tx.wish(wishes, clock::now()).await?;
            tx.commit().await
        });
        wished.await?;
        self.shared.wake_relay();
        Ok(())
    }

    /// Checks the ledger against itself; empty if it is sound.
    pub async fn check(&self) -> Result<Vec<Broken>, Error> {
        Ok(self.shared.store.check().await?)
    }

    /// Tells people by each way that is set up that this is a test; what came of it.
    pub async fn test_alerts(&self) -> Vec<(Channel, Result<(), SendError>)> {
        alerts::send_test(&self.shared.channels).await
    }

    /// All that makes a SKU's numbers what they are; `None` if it was never heard of.
    pub async fn explain(&self, sku: &Sku) -> Result<Option<Explanation>, Error> {
        Ok(self.shared.store.explain(sku).await?)
    }

    pub(crate) fn changed(&self, summary: &mut Summary) {
        self.shared.hint_resolve();
        self.shared.committed(summary);
        self.shared.wake_relay();
        self.shared.wake_upkeep.notify_one();
    }
}

fn occasion(requester: &Requester) -> Occasion {
    Occasion {
        now: clock::now(),
        trace: requester.traceparent.as_deref().map(Arc::from),
        actor: Some(requester.actor.as_str().into()),
        ..Occasion::default()
    }
}
