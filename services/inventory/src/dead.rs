//! Messages that were given up: applied again, handed once more to the service that gave them up, or thrown away.

use bus::{Delivery, Flow};
use process::clock;
use proto::{Envelope, Message};
use store::{DeadMessage, ShopState, Wanted, Wish};
use uuid::Uuid;
use values::ShopId;

use crate::batch::{Item, Summary, apply_within};
use crate::error::{Error, patiently, patiently_once};
use crate::handle::Inventory;
use crate::observe::Observer;

/// Why a message of another service stays: the bus did not take it.
const NOT_PUBLISHED: &str = "not-published: the transport takes nothing now; replay it again once it does";

/// What became of a message that had been set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadOutcome {
    /// It was applied now, is with its service again, or was thrown away as asked.
    Done,
    /// It still cannot be applied, or not be published, and stays.
    Still {
        /// Why.
        reason: String,
    },
    /// There is none of that number.
    Unknown,
}

impl Inventory {
    /// Tries a message again that had been set aside: applies a fact; what another service gave up goes to its queue again.
    pub async fn replay_dead(&self, number: i64) -> Result<DeadOutcome, Error> {
        let Some(dead) = self.dead(number).await? else { return Ok(DeadOutcome::Unknown) };
        match Envelope::from_bytes(&dead.message.payload) {
            Ok(envelope) if is_of_another(&envelope) => self.hand_back(number, envelope).await,
            Ok(envelope) => self.apply_dead(number, envelope).await,
            Err(error) => Ok(DeadOutcome::Still { reason: format!("undecodable: {error}") }),
        }
    }

    async fn dead(&self, number: i64) -> Result<Option<DeadMessage>, store::Error> {
        let next = self.shared.store.dead_messages(number.saturating_sub(1), 1).await?;
        Ok(next.into_iter().find(|dead| dead.id == number))
    }

    /// Published before it is forgotten: a crash between the two publishes a state twice, which does no harm.
    async fn hand_back(&self, number: i64, mut envelope: Envelope) -> Result<DeadOutcome, Error> {
        // Should it be given up again, it is another letter.
        envelope.properties.message_id = Uuid::now_v7();
        for answer in self.shared.bus.publisher().publish(&[envelope]).await {
            if let Err(error) = answer {
                Observer::not_handed_back(&error);
                return Ok(DeadOutcome::Still { reason: NOT_PUBLISHED.to_owned() });
            }
        }
        let forgotten = patiently(|| async {
            let mut tx = self.shared.store.begin_inventory().await?;
            tx.take_dead(number).await?;
            tx.commit().await
        });
        forgotten.await?;
        Ok(DeadOutcome::Done)
    }

    async fn apply_dead(&self, number: i64, envelope: Envelope) -> Result<DeadOutcome, Error> {
        let replayed = patiently_once(|| async {
            let mut summary = Summary::default();
            let mut tx = self.shared.store.begin_inventory().await?;
            let Some(dead) = tx.take_dead(number).await? else { return Ok((DeadOutcome::Unknown, summary)) };
            let delivery = Delivery { envelope: envelope.clone(), delivery_count: dead.message.attempts };
            let item = Item::open(&delivery, dead.message.queue.as_deref());
            apply_within(&mut tx, &[&item], clock::now(), &mut summary).await?;
            if let Some(again) = summary.dead.pop() {
                return Ok((DeadOutcome::Still { reason: again.reason }, summary));
            }
            tx.commit().await?;
            Ok((DeadOutcome::Done, summary))
        });
        let (outcome, mut summary) = match replayed.await {
            Err(Error::Broken { text }) => {
                return Ok(DeadOutcome::Still { reason: format!("broken-rule: {text}") });
            }
            replayed => replayed?,
        };
        if outcome == DeadOutcome::Done {
            self.shared.observer.took_in(&summary);
            self.changed(&mut summary);
        }
        Ok(outcome)
    }

    /// Throws a message away that had been set aside. What a fact was about is read again; what another service was to do is
    /// not done.
    pub async fn discard_dead(&self, number: i64) -> Result<DeadOutcome, Error> {
        let outcome = patiently_once(|| self.forget_dead(number)).await?;
        if outcome == DeadOutcome::Done {
            self.shared.wake_relay();
        }
        Ok(outcome)
    }

    async fn forget_dead(&self, number: i64) -> Result<DeadOutcome, store::Error> {
        let mut tx = self.shared.store.begin_inventory().await?;
        let Some(dead) = tx.take_dead(number).await? else { return Ok(DeadOutcome::Unknown) };
        let shops = match dead.message.shop {
            _ if !dead.message.leaves_incomplete => Vec::new(),
            Some(shop) => vec![shop],
            // It may have been about any.
            None => self.shops_in_service().await?,
        };
        let what = what_to_read(&dead.message.payload);
        let wishes: Vec<Wish> = shops.into_iter().map(|shop| Wish { shop, what }).collect();
        tx.wish(&wishes, clock::now()).await?;
        tx.commit().await?;
        Ok(DeadOutcome::Done)
    }

    async fn shops_in_service(&self) -> Result<Vec<ShopId>, store::Error> {
        let shops = self.shared.store.shops(None).await?;
        Ok(shops.into_iter().filter(|shop| shop.state != ShopState::Removed).map(|shop| shop.id).collect())
    }
}

/// Whether it is no fact; what this build does not know is taken for one.
fn is_of_another(envelope: &Envelope) -> bool {
    envelope.properties.kind().is_ok_and(|kind| Flow::of(kind) != Flow::InventoryOrders)
}

fn what_to_read(payload: &[u8]) -> Wanted {
    match Envelope::from_bytes(payload).ok().and_then(|envelope| envelope.open().ok()) {
        Some(Message::OrderObserved(observed)) => Wanted::Order(observed.order),
        Some(Message::StockShown(shown)) => Wanted::Stock(shown.holder),
        Some(Message::ListingObserved(_)) => Wanted::Catalogue,
        _ => Wanted::Audit,
    }
}
