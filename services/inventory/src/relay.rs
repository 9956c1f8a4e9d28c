//! Publishes what transactions left behind: levels for egress, wanted reads for ingress. Rows stay until the bus has
//! confirmed; several relays may race, and whatever is told twice is told alike. Levels of a batch that this process has just
//! committed are published from memory, all others from the outbox.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{PublishError, Publisher};
use futures_util::future::BoxFuture;
use process::backoff::{Backoff, random};
use process::clock;
use process::health::Pulse;
use process::telemetry::{TRACES, goes_on, set_traceparent, traceparent_of};
use proto::{
    Adoption, Envelope, Kind, LEVELS_MAX, LevelChanged, LevelsChanged, Message, NoteText, READ_IDS_MAX,
    ReadWanted, Settled, ShipmentMade, StatusText, TracedLevel, Wanted, Word,
};
use store::{Shipment, ShipmentId, ShopFilter, StockRow, Unpublished, Wish};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use uuid::Uuid;
use values::{HolderId, OrderId, Revision, ShopId, StockId, Timestamp};

use crate::handle::{APP_ID, Shared};

/// Rows published at a time.
const PAGE: usize = 1_000;
/// How long at most after its commit something is found that nobody woke the relay for.
const FALLBACK_POLL: Duration = Duration::from_secs(1);
/// Orders to be read again are asked for once in this time, until they were read.
const ASK_AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Stocks that cannot be read and are told by name; others are once these can be.
const DAMAGED_MAX: usize = 100;
/// Waits while bus or database cannot be used.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(10) };

/// For people who ask whether the process is ready.
const NOT_PUBLISHED: &str = "cannot publish what has changed; the log says why";

/// Why a round was given up.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the database could not be used by the relay")]
    Store(#[from] store::Error),
    #[error("the bus did not confirm")]
    Publish(#[from] PublishError),
}

pub(crate) async fn run(shared: Arc<Shared>, mut pulse: Pulse, stop: CancellationToken) {
    let relay = Relay { publisher: shared.bus.publisher(), shared };
    let mut marking = Marking::default();
    let mut unasked = Vec::new();
    let mut damaged = BTreeSet::new();
    let mut failures = 0;
    let mut looked_at = Instant::now();
    relay.shared.fresh.look();
    loop {
        // Read before the round: what a commit asks for during it is seen by the next one.
        let stopping = stop.is_cancelled();
        if stopping || looked_at.elapsed() >= FALLBACK_POLL {
            relay.shared.fresh.look();
        }
        let looks = relay.shared.fresh.take_look();
        if looks {
            looked_at = Instant::now();
        }
        let wait = match relay.round(looks, &mut marking, &mut unasked, &mut damaged).await {
            Ok(()) => {
                failures = 0;
                pulse.good();
                FALLBACK_POLL
            }
            Err(error) => {
                failures += 1;
                // What was taken out is there still.
                relay.shared.fresh.look();
                let wait = BACKOFF.delay(failures, random());
                relay.shared.observer.unpublished(&error, wait);
                pulse.failed(NOT_PUBLISHED);
                wait
            }
        };
        if stopping {
            if let Err(error) = marking.end().await {
                // They are told once more in the next life.
                relay.shared.observer.unpublished(&RelayError::from(error), Duration::ZERO);
            }
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = relay.shared.wake_relay.notified(), if failures == 0 => {}
            marked = marking.end(), if !marking.is_over() => if let Err(error) = marked {
                relay.shared.fresh.look();
                relay.shared.observer.unpublished(&RelayError::from(error), Duration::ZERO);
            },
            () = sleep(wait) => {}
        }
    }
}

struct Relay {
    shared: Arc<Shared>,
    publisher: Publisher,
}

/// The levels that were published last are being marked so, while the next are published. Once begun it goes on only while
/// somebody waits for its end, so that comes before anything else that needs the database.
#[derive(Default)]
struct Marking(Option<BoxFuture<'static, Result<(), store::Error>>>);

impl Marking {
    fn is_over(&self) -> bool {
        self.0.is_none()
    }

    /// Waits until it is over; may be given up and asked again.
    async fn end(&mut self) -> Result<(), store::Error> {
        let Some(marking) = &mut self.0 else { return Ok(()) };
        let ended = marking.await;
        self.0 = None;
        ended
    }
}

impl Relay {
    /// What was just committed, or all that waits in the database if somebody `looks` there.
    async fn round(
        &self,
        looks: bool,
        marking: &mut Marking,
        unasked: &mut Vec<ReadWanted>,
        damaged: &mut BTreeSet<StockId>,
    ) -> Result<(), RelayError> {
        if looks {
            // What is not marked yet would be found once more.
            marking.end().await?;
            // One that cannot be read keeps no other from its turn.
            let done = tokio::join!(self.levels_that_wait(marking, damaged), self.wishes(), self.shipments());
            done.0.and(done.1).and(done.2)?;
        } else {
            let (levels, are_left) = self.shared.fresh.take(PAGE);
            self.levels(&levels, marking).await?;
            if are_left {
                self.shared.wake_relay.notify_one();
            }
        }
        self.rereads(unasked).await
    }

    /// Those of `damaged` were told of before, while they waited.
    async fn levels_that_wait(
        &self,
        marking: &mut Marking,
        damaged: &mut BTreeSet<StockId>,
    ) -> Result<(), RelayError> {
        let mut after: Option<StockId> = None;
        let mut still_damaged = BTreeSet::new();
        loop {
            let page = self.shared.store.levels_to_publish(ShopFilter::All, after, page_rows()).await?;
            for (stock, error) in &page.damaged {
                if still_damaged.len() == DAMAGED_MAX {
                    break;
                }
                still_damaged.insert(*stock);
                // At once, so that it is not told again should the broker be away meanwhile.
                if damaged.insert(*stock) {
                    self.shared.observer.damaged(*stock, error);
                }
            }
            self.levels(&page.levels, marking).await?;
            after = page.last();
            if page.levels.len() + page.damaged.len() < PAGE {
                *damaged = still_damaged;
                return Ok(());
            }
        }
    }

    async fn levels(&self, page: &[Unpublished], marking: &mut Marking) -> Result<(), RelayError> {
        if page.is_empty() {
            // One that was begun may hold what others wait for.
            return Ok(marking.end().await?);
        }
        let now = clock::now();
        // They end when all is confirmed.
        let mut spans = Vec::new();
        let mut by_shop: BTreeMap<ShopId, Vec<TracedLevel>> = BTreeMap::new();
        for row in page {
            let Some(level) = level_changed(&row.stock) else { continue };
            let before = row.stock.trace.as_deref();
            let span = before.filter(|before| goes_on(before)).map(|before| publish_span(&level, before));
            let traceparent = span.as_ref().and_then(traceparent_of).or_else(|| before.map(str::to_owned));
            by_shop.entry(row.stock.id.shop).or_default().push(TracedLevel { level, traceparent });
            spans.extend(span);
        }
        let level_count: usize = by_shop.values().map(Vec::len).sum();
        let mut envelopes = Vec::with_capacity(by_shop.len());
        for (shop, levels) in by_shop {
            for (message, trace) in messages_of(shop, &levels) {
                envelopes.extend(self.seal(&message, trace, now));
            }
        }
        let (published, marked) = tokio::join!(self.publish(&envelopes), marking.end());
        published?;
        marked?;
        drop(spans);
        let done: Vec<_> =
            page.iter().map(|row| (row.stock.id, row.stock.epoch, row.stock.revision)).collect();
        let store = Arc::clone(&self.shared.store);
        *marking = Marking(Some(Box::pin(async move { store.mark_published(&done).await })));
        self.shared.observer.published("level", level_count);
        Ok(())
    }

    /// Shipments that shops are to be told of.
    async fn shipments(&self) -> Result<(), RelayError> {
        let mut after: Option<ShipmentId> = None;
        loop {
            let page = self.shared.store.shipments_to_publish(after, page_rows()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            let now = clock::now();
            let seal = |shipment: &Shipment| {
                self.seal(&Message::from(shipment_made(shipment)), shipment.trace.as_deref(), now)
            };
            let envelopes: Vec<Envelope> = page.iter().filter_map(seal).collect();
            self.publish(&envelopes).await?;
            let done: Vec<_> = page.iter().map(|shipment| (shipment.id, shipment.revision)).collect();
            self.shared.store.shipments_published(&done).await?;
            self.shared.observer.published("shipment", envelopes.len());
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    async fn wishes(&self) -> Result<(), RelayError> {
        loop {
            let wishes = self.shared.store.wishes(page_rows()).await?;
            if wishes.is_empty() {
                return Ok(());
            }
            let wanted = gather(wishes.iter().map(|(wish, _)| *wish));
            self.ask(&wanted).await?;
            self.shared.store.wishes_done(&wishes).await?;
        }
    }

    async fn rereads(&self, unasked: &mut Vec<ReadWanted>) -> Result<(), RelayError> {
        if !self.shared.take_reread_hint() {
            return Ok(());
        }
        let outcome = self.ask_rereads(unasked).await;
        if outcome.is_err() {
            self.shared.hint_rereads();
        }
        outcome
    }

    /// Noted before they are asked for: batches write the same rows, and must not wait for the broker. What could not be asked
    /// is kept for the next round; should this process end before, it is asked for after [`ASK_AGAIN_AFTER`].
    async fn ask_rereads(&self, unasked: &mut Vec<ReadWanted>) -> Result<(), RelayError> {
        loop {
            if unasked.is_empty() {
                let now = clock::now();
                let mut tx = self.shared.store.begin_inventory().await?;
                let keys = tx.rereads_to_ask(now, now - ASK_AGAIN_AFTER, page_rows()).await?;
                if keys.is_empty() {
                    return Ok(());
                }
                tx.commit().await?;
                let wish = |(shop, order)| Wish { shop, what: store::Wanted::Order(order) };
                *unasked = gather(keys.into_iter().map(wish));
            }
            self.ask(unasked).await?;
            unasked.clear();
        }
    }

    async fn ask(&self, wanted: &[ReadWanted]) -> Result<(), RelayError> {
        let now = clock::now();
        let messages = wanted.iter().map(|wanted| Message::from(wanted.clone()));
        let envelopes: Vec<Envelope> =
            messages.filter_map(|message| self.seal(&message, None, now)).collect();
        self.publish(&envelopes).await?;
        self.shared.observer.published("read", envelopes.len());
        Ok(())
    }

    /// `None`, with an error in the log, for what no transport would take; it would stop everything behind it.
    fn seal(&self, message: &Message, trace: Option<&str>, now: Timestamp) -> Option<Envelope> {
        match Envelope::seal(message, Uuid::now_v7(), now, APP_ID) {
            Ok(mut envelope) => {
                envelope.properties.traceparent = trace.map(str::to_owned);
                Some(envelope)
            }
            Err(error) => {
                self.shared.observer.unsendable(message.kind().type_name(), &error);
                None
            }
        }
    }

    async fn publish(&self, envelopes: &[Envelope]) -> Result<(), PublishError> {
        if envelopes.is_empty() {
            return Ok(());
        }
        for (envelope, answer) in envelopes.iter().zip(self.publisher.publish(envelopes).await) {
            match answer {
                Err(error @ (PublishError::TooLarge { .. } | PublishError::Unroutable { .. })) => {
                    self.shared.observer.unsendable(&envelope.properties.message_type, &error);
                }
                answer => answer?,
            }
        }
        Ok(())
    }
}

fn page_rows() -> u32 {
    u32::try_from(PAGE).unwrap_or(u32::MAX)
}

/// The span of a level that is published, in the trace of what changed it.
fn publish_span(level: &LevelChanged, before: &str) -> Span {
    let span = tracing::info_span!(
        target: TRACES, parent: None, "publish", otel.kind = "producer", kind = Kind::LevelChanged.type_name(), messages = 1,
        shop.id = level.stock.shop.get(), stock.id = level.stock.holder.get(), sku = %level.sku,
        level = %level.level, revision = level.revision.get()
    );
    set_traceparent(&span, before);
    span
}

/// Levels of a shop as few messages, each in the trace of its first.
fn messages_of(shop: ShopId, levels: &[TracedLevel]) -> impl Iterator<Item = (Message, Option<&str>)> {
    levels.chunks(LEVELS_MAX).map(move |together| {
        let trace = together.iter().find_map(|traced| traced.traceparent.as_deref());
        let message = match together {
            [alone] => alone.level.clone().into(),
            together => LevelsChanged { shop, levels: together.to_vec() }.into(),
        };
        (message, trace)
    })
}

/// The whole state of a stock; `None` while it has no SKU, for then there is nothing to push to it.
fn level_changed(row: &StockRow) -> Option<LevelChanged> {
    Some(LevelChanged {
        stock: row.id,
        epoch: row.epoch,
        revision: row.revision,
        sku: row.sku.clone()?,
        level: row.level,
        untaken: row.untaken,
        taken_total: row.taken_total,
        step: row.step,
        order_dates: row.order_dates,
        settle: row.settle.map(|settle| Settled {
            number: settle.number,
            shown: settle.shown,
            asked: settle.asked,
            answered: settle.answered,
            taken_total: settle.taken_total,
            quiet: settle.quiet,
            modified_at: settle.dated,
        }),
        removed: row.removed,
        parent: row.parent,
        adoption: row.adoption.as_ref().map(|adoption| Adoption {
            number: adoption.number,
            refused: adoption.refused.as_deref().map(Word::clipped),
        }),
        released: row.released,
    })
}

/// What a shop is to be told of a shipment. Its texts were bounded when it was made.
fn shipment_made(shipment: &Shipment) -> ShipmentMade {
    ShipmentMade {
        shop: shipment.id.shop,
        order: shipment.id.order,
        number: shipment.id.number,
        revision: Revision::new(shipment.revision),
        status: shipment.status.as_deref().map(StatusText::clipped),
        note: shipment.note.as_deref().map(NoteText::clipped),
    }
}

/// As few questions as possible, none larger than a message may be.
fn gather(wishes: impl Iterator<Item = Wish>) -> Vec<ReadWanted> {
    #[derive(Default)]
    struct OfShop {
        orders: Vec<OrderId>,
        stocks: Vec<HolderId>,
        audit: bool,
        catalogue: bool,
        listings: Vec<HolderId>,
    }
    let mut by_shop: BTreeMap<ShopId, OfShop> = BTreeMap::new();
    for wish in wishes {
        let of_shop = by_shop.entry(wish.shop).or_default();
        match wish.what {
            store::Wanted::Order(order) => of_shop.orders.push(order),
            store::Wanted::Stock(holder) => of_shop.stocks.push(holder),
            store::Wanted::Audit => of_shop.audit = true,
            store::Wanted::Catalogue => of_shop.catalogue = true,
            store::Wanted::Listing(id) => of_shop.listings.push(id),
        }
    }
    let mut wanted = Vec::new();
    for (shop, of_shop) in by_shop {
        let orders = of_shop.orders.chunks(READ_IDS_MAX).map(|ids| Wanted::Orders(ids.to_vec()));
        let stocks = of_shop.stocks.chunks(READ_IDS_MAX).map(|ids| Wanted::Stocks(ids.to_vec()));
        let audit = of_shop.audit.then_some(Wanted::OrderAudit);
        let catalogue = of_shop.catalogue.then_some(Wanted::Catalogue);
        let listings = of_shop.listings.chunks(READ_IDS_MAX).map(|ids| Wanted::Listings(ids.to_vec()));
        let all = orders.chain(stocks).chain(audit).chain(catalogue).chain(listings);
        wanted.extend(all.map(|what| ReadWanted { shop, what }));
    }
    wanted
}

#[cfg(test)]
mod tests {
    use values::{Epoch, Quantity, Step};

    use super::*;

    fn level(holder: i64) -> TracedLevel {
        let level = LevelChanged {
            stock: StockId { shop: ShopId::new(1).unwrap(), holder: HolderId::new(holder).unwrap() },
            epoch: Epoch::ZERO,
            revision: Revision::new(1),
            sku: format!("SKU-{holder}").parse().unwrap(),
            level: Quantity::ZERO,
            untaken: Quantity::ZERO,
            taken_total: Quantity::ZERO,
            step: Step::ONE,
            order_dates: None,
            settle: None,
            removed: false,
            parent: None,
            adoption: None,
            released: Quantity::ZERO,
        };
        TracedLevel { level, traceparent: (holder > 1).then(|| format!("trace {holder}")) }
    }

    #[test]
    fn levels_of_a_shop_are_few_messages_with_each_of_them_once() {
        let shop = ShopId::new(1).unwrap();
        let levels: Vec<TracedLevel> = (1..=201).map(level).collect();
        let messages: Vec<_> = messages_of(shop, &levels).collect();
        let traces: Vec<_> = messages.iter().map(|(_, trace)| *trace).collect();
        assert_eq!(traces, [Some("trace 2"), Some("trace 101"), Some("trace 201")]);
        let mut told = Vec::new();
        for (message, trace) in messages {
            message.encode().unwrap();
            match message {
                Message::LevelsChanged(together) => told.extend(together.levels),
                Message::LevelChanged(level) => {
                    told.push(TracedLevel { level, traceparent: trace.map(str::to_owned) });
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told, levels);
    }
}
