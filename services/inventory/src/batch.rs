//! One transaction for many messages: every shop's in their order, like with like. Entries of catalogues come before all
//! others, in a transaction of their own: they change what SKU a listing leads to, and so what the others have to lock.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;

use bus::{DeadLetter, Delivery};
use futures_util::FutureExt;
use ledger::{Decision, Verdict};
use proto::{
    Envelope, ListingObserved, Message, Properties, ShardKey, ShopConnected, StockEdited, StockShown,
};
use store::{Changes, InventoryTx, ListingOutcome, ListingSeen, NewDead, ShopState, Store, Unpublished};
use values::{OrderId, ShopId, Timestamp};

use crate::error::panic_text;
use crate::orders::Told;
use crate::trace::{Trace, trace_id};
use crate::work::{Occasion, Saved, Scope, Work};
use crate::{catalogue, connect, edited, orders, shown};

/// Kind of what is not even an envelope.
const UNREADABLE_KIND: &str = "unreadable";

/// A message with the trace it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced<'a, T> {
    pub(crate) what: &'a T,
    pub(crate) trace: &'a Trace,
}

/// Why a batch was not applied. Nothing of it was.
#[derive(Debug)]
pub(crate) enum Failure {
    Store(store::Error),
    /// A rule of the ledger or of the database's contract was broken.
    Panicked(String),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// A delivered message, opened.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    delivery: &'a Delivery,
    content: Result<Content, String>,
    trace: Trace,
    /// Where it was delivered from, if that is known.
    queue: Option<&'a str>,
}

#[derive(Debug)]
enum Content {
    Listing(ListingObserved),
    Connected(ShopConnected),
    Order(Told),
    Shown(StockShown),
    Edited(StockEdited),
}

/// What a batch came to, for logs and metrics.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) applied_count: u64,
    pub(crate) confirmed_count: u64,
    pub(crate) duplicate_count: u64,
    pub(crate) older_count: u64,
    pub(crate) unordered_count: u64,
    pub(crate) unreadable_count: u64,
    pub(crate) quiet_count: u64,
    pub(crate) unquiet_count: u64,
    pub(crate) opened_count: u64,
    pub(crate) left_alone_count: u64,
    /// Edits in shops that the ledger took over, and those that it did not.
    pub(crate) adopted_count: u64,
    pub(crate) refused_count: u64,
    pub(crate) listing_count: u64,
    /// Of these, the listings that are not as they were: lines may wait for them.
    pub(crate) changed_listing_count: u64,
    pub(crate) told_mappings: Vec<(ListingSeen, ListingOutcome)>,
    pub(crate) dead: Vec<NewDead>,
    pub(crate) movement_count: u64,
    pub(crate) reread_wanted: bool,
    pub(crate) wished: bool,
    /// Levels to be published once it is committed; of a stock that was saved twice, the later.
    pub(crate) unpublished: Vec<Unpublished>,
}

impl Summary {
    pub(crate) fn count(&mut self, verdict: &Verdict) {
        let count = match verdict.decision {
            Decision::Apply { .. } => &mut self.applied_count,
            Decision::Confirm => &mut self.confirmed_count,
            Decision::Duplicate => &mut self.duplicate_count,
            Decision::Older => &mut self.older_count,
            Decision::Reread => &mut self.unordered_count,
        };
        *count += 1;
    }

    pub(crate) fn proof(&mut self, quiet: bool) {
        *(if quiet { &mut self.quiet_count } else { &mut self.unquiet_count }) += 1;
    }

    pub(crate) fn listing(&mut self, seen: &ListingSeen, outcome: &ListingOutcome) {
        self.listing_count += 1;
        // A shop tells of a product again with every sale of it.
        if !matches!(outcome, ListingOutcome::Unchanged | ListingOutcome::Older | ListingOutcome::Hinted) {
            self.changed_listing_count += 1;
        }
        if matches!(
            outcome,
            ListingOutcome::SkuTaken { .. }
                | ListingOutcome::Renamed { .. }
                | ListingOutcome::Displaced { .. }
        ) {
            self.told_mappings.push((seen.clone(), outcome.clone()));
        }
    }

    pub(crate) fn saved(&mut self, saved: Saved) {
        self.movement_count += u64::try_from(saved.movement_count).unwrap_or(u64::MAX);
        self.reread_wanted |= saved.reread_wanted;
        self.wished |= saved.wished;
        self.unpublished.extend(saved.unpublished);
    }
}

impl<'a> Item<'a> {
    pub(crate) fn open(delivery: &'a Delivery, queue: Option<&'a str>) -> Self {
        let properties = &delivery.envelope.properties;
        let content =
            delivery.envelope.open().map_err(|error| format!("undecodable: {error}")).and_then(sort);
        Self { delivery, content, trace: Trace::from_message(properties.traceparent.as_deref()), queue }
    }

    /// As it is kept if it cannot be applied.
    pub(crate) fn dead(&self, reason: &str, now: Timestamp) -> NewDead {
        let envelope = &self.delivery.envelope;
        NewDead {
            identity: Some(identity(envelope)),
            queue: self.queue.map(str::to_owned),
            shop: shop_of(envelope.properties.shard_key),
            leaves_incomplete: true,
            kind: envelope.properties.message_type.clone(),
            trace: trace_of(envelope),
            payload: envelope.to_bytes(),
            reason: reason.chars().take(bus::REASON_CHARS_MAX).collect(),
            attempts: self.delivery.delivery_count.saturating_add(1),
            at: now,
        }
    }

    /// Whether no more of its shop need be locked for it than its mapping.
    fn keeps_shops(&self) -> bool {
        matches!(self.content, Err(_) | Ok(Content::Order(Told::Observed(_)) | Content::Edited(_)))
    }

    fn is_listing(&self) -> bool {
        matches!(self.content, Ok(Content::Listing(_)))
    }

    pub(crate) fn properties(&self) -> &Properties {
        &self.delivery.envelope.properties
    }

    pub(crate) const fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(crate) fn set_trace(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// The order it is about.
    pub(crate) fn order(&self) -> Option<OrderId> {
        match self.content.as_ref().ok()? {
            Content::Order(told) => told.order(),
            Content::Listing(_) | Content::Connected(_) | Content::Shown(_) | Content::Edited(_) => None,
        }
    }

    pub(crate) fn shop(&self) -> Option<ShopId> {
        match self.content.as_ref().ok()? {
            Content::Listing(listing) => Some(listing.shop),
            Content::Connected(connected) => Some(connected.shop),
            Content::Order(told) => Some(told.shop()),
            Content::Shown(shown) => Some(shown.shop),
            Content::Edited(edited) => Some(edited.stock.shop),
        }
    }
}

/// A message that was given up in `queue`, as it is kept.
pub(crate) fn given_up(letter: &DeadLetter, queue: &str, leaves_incomplete: bool, now: Timestamp) -> NewDead {
    let envelope = letter.envelope.as_ref();
    let kind = envelope.map_or(UNREADABLE_KIND, |envelope| envelope.properties.message_type.as_str());
    NewDead {
        identity: Some(envelope.map_or_else(|| letter.identity.clone(), identity)),
        queue: Some(queue.to_owned()),
        shop: letter.shard_key.and_then(shop_of),
        leaves_incomplete,
        kind: kind.to_owned(),
        trace: envelope.and_then(trace_of),
        payload: letter.payload.to_vec(),
        reason: letter.reason.clone(),
        attempts: letter.delivery_count,
        at: now,
    }
}

/// A message is the same one whether it is given up here or by the transport.
fn identity(envelope: &Envelope) -> String {
    format!("message/{}", envelope.properties.message_id)
}

fn trace_of(envelope: &Envelope) -> Option<[u8; 16]> {
    envelope.properties.traceparent.as_deref().and_then(trace_id)
}

fn shop_of(key: ShardKey) -> Option<ShopId> {
    i64::try_from(key.get()).ok().and_then(ShopId::new)
}

fn sort(message: Message) -> Result<Content, String> {
    match message {
        Message::OrderObserved(observed) => Ok(Content::Order(Told::Observed(observed))),
        Message::OrderUnreadable(unreadable) => Ok(Content::Order(Told::Unreadable(unreadable))),
        Message::ShopConnected(connected) => Ok(Content::Connected(connected)),
        Message::StockShown(shown) => Ok(Content::Shown(shown)),
        Message::StockEdited(edited) => Ok(Content::Edited(edited)),
        Message::ListingObserved(listing) => Ok(Content::Listing(listing)),
        Message::ErpStockObserved(_) => {
            Err("unsupported: no warehouse is mirrored by this version".to_owned())
        }
        Message::LevelChanged(_)
        | Message::LevelsChanged(_)
        | Message::ReadWanted(_)
        | Message::ShipmentMade(_) => Err("misrouted: not for inventory".to_owned()),
    }
}

/// Messages that can be handled together; a shop's later ones come in a later step.
#[derive(Debug, Default)]
struct Step<'a> {
    connected: Vec<Traced<'a, ShopConnected>>,
    orders: Vec<Traced<'a, Told>>,
    shown: Vec<Traced<'a, StockShown>>,
    edited: Vec<Traced<'a, StockEdited>>,
}

/// The kinds of a step, in the order in which it handles them.
const KINDS: usize = 4;

#[derive(Debug, Default)]
struct Plan<'a> {
    /// All of them come first: what they make known, an order may need.
    listings: Vec<Traced<'a, ListingObserved>>,
    steps: Vec<Step<'a>>,
    dead: Vec<NewDead>,
}

/// Applies the messages: all of them, or nothing but entries of catalogues, which may come twice.
pub(crate) async fn apply(store: &Store, items: &[Item<'_>], now: Timestamp) -> Result<Summary, Failure> {
    match AssertUnwindSafe(apply_all(store, items, now)).catch_unwind().await {
        Ok(done) => Ok(done?),
        Err(payload) => Err(Failure::Panicked(panic_text(payload.as_ref()))),
    }
}

async fn apply_all(store: &Store, items: &[Item<'_>], now: Timestamp) -> Result<Summary, store::Error> {
    let mut summary = Summary::default();
    let (listings, others): (Vec<&Item<'_>>, Vec<&Item<'_>>) =
        items.iter().partition(|item| item.is_listing());
    for items in [&listings, &others].into_iter().filter(|items| !items.is_empty()) {
        let mut tx = store.begin_inventory().await?;
        apply_within(&mut tx, items, now, &mut summary).await?;
        tx.commit().await?;
        if items.first().is_some_and(|item| item.is_listing()) && summary.changed_listing_count > 0 {
            catalogue::resolve_some(store, &Occasion { now, ..Occasion::default() }, &mut summary).await;
        }
    }
    Ok(summary)
}

/// The same within a transaction that does more: entries of catalogues, or others.
pub(crate) async fn apply_within(
    tx: &mut InventoryTx,
    items: &[&Item<'_>],
    now: Timestamp,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let occasion = Occasion { now, ..Occasion::default() };
    let plan = plan(tx, items, now).await?;
    if !plan.listings.is_empty() {
        catalogue::apply(tx, &plan.listings, &occasion, summary).await?;
    }
    if !plan.steps.is_empty() {
        take_steps(tx, &plan.steps, &occasion, summary).await?;
    }
    if !plan.dead.is_empty() {
        tx.save(&Changes { dead: &plan.dead, now, ..Changes::default() }).await?;
        summary.dead.extend(plan.dead);
    }
    Ok(())
}

/// All that any of the steps may touch is locked before the first.
async fn take_steps(
    tx: &mut InventoryTx,
    steps: &[Step<'_>],
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let changed: BTreeSet<ShopId> = steps.iter().flat_map(Step::changed_shops).collect();
    if !changed.is_empty() {
        // Some would be locked after others that are only kept as they are.
        let shops: BTreeSet<ShopId> = steps.iter().flat_map(Step::shops).collect();
        tx.lock_shops(&shops.into_iter().collect::<Vec<_>>()).await?;
    }
    let mut scope = Scope::default();
    for step in steps {
        step.widen(&mut scope);
    }
    let mut work = Work::load(tx, scope).await?;
    let mut is_stored = true;
    for step in steps {
        if !step.connected.is_empty() {
            connect::apply(tx, &mut work, &step.connected).await?;
        }
        if !step.orders.is_empty() {
            orders::apply(tx, &mut work, &step.orders, occasion, summary).await?;
            is_stored = false;
        }
        if !step.shown.is_empty() {
            if !is_stored {
                summary.saved(work.flush(tx, occasion.now).await?);
            }
            shown::apply(tx, &mut work, &step.shown, occasion, summary).await?;
            is_stored = false;
        }
        if !step.edited.is_empty() {
            edited::apply(tx, &mut work, &step.edited, occasion, summary).await?;
            is_stored = false;
        }
    }
    summary.saved(work.save(tx, &[], occasion.now).await?);
    Ok(())
}

/// Sorts the messages into steps. What a removed shop still says is of no interest; what nobody is known to have said is
/// set aside.
async fn plan<'a>(
    tx: &mut InventoryTx,
    items: &[&'a Item<'_>],
    now: Timestamp,
) -> Result<Plan<'a>, store::Error> {
    let mut states: BTreeMap<ShopId, Option<ShopState>> = BTreeMap::new();
    for item in items {
        states.extend(item.shop().map(|shop| (shop, None)));
    }
    let shops: Vec<ShopId> = states.keys().copied().collect();
    let is_locked_otherwise = |item: &&Item<'_>| !item.keeps_shops();
    let found = if items.iter().any(is_locked_otherwise) {
        let shops = tx.load_shops(&shops).await?;
        shops.into_iter().map(|shop| (shop.id, shop.state)).collect()
    } else {
        // What is loaded next would do so anyway.
        tx.keep_shops(&shops).await?
    };
    states.extend(found.into_iter().map(|(shop, state)| (shop, Some(state))));
    let mut plan = Plan::default();
    let mut slots: BTreeMap<ShopId, usize> = BTreeMap::new();
    for item in items {
        let (content, shop) = match (&item.content, item.shop()) {
            (Ok(content), Some(shop)) => (content, shop),
            (Ok(_), None) => continue,
            (Err(reason), _) => {
                plan.dead.push(item.dead(reason, now));
                continue;
            }
        };
        match states.get(&shop) {
            Some(Some(ShopState::Removed)) => {}
            Some(Some(_)) => plan.add(content, &item.trace, slots.entry(shop).or_default()),
            _ => plan.dead.push(item.dead("unknown-shop: there never was such a shop", now)),
        }
    }
    Ok(plan)
}

impl Step<'_> {
    fn shops(&self) -> impl Iterator<Item = ShopId> {
        let connected = self.connected.iter().map(|traced| traced.what.shop);
        let orders = self.orders.iter().map(|traced| traced.what.shop());
        let edited = self.edited.iter().map(|traced| traced.what.stock.shop);
        connected.chain(orders).chain(self.shown.iter().map(|traced| traced.what.shop)).chain(edited)
    }

    /// Those whose own rows change, or whose marks are changed without the lock of an order.
    fn changed_shops(&self) -> impl Iterator<Item = ShopId> {
        let connected = self.connected.iter().map(|traced| traced.what.shop);
        let unreadable = self.orders.iter().filter(|traced| matches!(traced.what, Told::Unreadable(_)));
        let shown = self.shown.iter().map(|traced| traced.what.shop);
        connected.chain(unreadable.map(|traced| traced.what.shop())).chain(shown)
    }

    fn widen(&self, scope: &mut Scope) {
        for traced in &self.orders {
            orders::widen(scope, traced.what);
        }
        scope.stocks.extend(self.shown.iter().map(|traced| shown::id(traced.what)));
        scope.stocks.extend(self.edited.iter().map(|traced| traced.what.stock));
    }
}

impl<'a> Plan<'a> {
    /// `slot` is where its shop's last message went: the step times the kinds, plus the kind.
    fn add(&mut self, content: &'a Content, trace: &'a Trace, slot: &mut usize) {
        let kind = match content {
            Content::Listing(what) => {
                self.listings.push(Traced { what, trace });
                return;
            }
            Content::Connected(_) => 0,
            Content::Order(_) => 1,
            Content::Shown(_) => 2,
            Content::Edited(_) => 3,
        };
        *slot += (KINDS + kind - *slot % KINDS) % KINDS;
        let number = *slot / KINDS;
        if self.steps.len() <= number {
            self.steps.resize_with(number + 1, Step::default);
        }
        let Some(step) = self.steps.get_mut(number) else { return };
        match content {
            Content::Connected(what) => step.connected.push(Traced { what, trace }),
            Content::Order(what) => step.orders.push(Traced { what, trace }),
            Content::Shown(what) => step.shown.push(Traced { what, trace }),
            Content::Edited(what) => step.edited.push(Traced { what, trace }),
            Content::Listing(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use store::{ListingOutcome, ListingSeen};
    use values::{ListingId, ProductId, ReadNumber, ShopId};

    use super::Summary;

    #[test]
    fn only_a_listing_that_is_not_as_it_was_counts_as_changed() {
        let product = ProductId::new(1).unwrap();
        let seen = ListingSeen {
            shop: ShopId::new(1).unwrap(),
            listing: ListingId { product, variation: None },
            holder: None,
            sku: None,
            name: String::new(),
            status: "publish".to_owned(),
            kind: None,
            number: ReadNumber::new(1),
        };
        let mut summary = Summary::default();
        for (outcome, changed) in [
            (ListingOutcome::Unchanged, 0),
            (ListingOutcome::Older, 0),
            (ListingOutcome::Hinted, 0),
            (ListingOutcome::Seen, 1),
            (ListingOutcome::Mapped, 2),
        ] {
            summary.listing(&seen, &outcome);
            assert_eq!(summary.changed_listing_count, changed, "{outcome:?}");
        }
        assert_eq!(summary.listing_count, 5, "all of them were listings");
    }
}
