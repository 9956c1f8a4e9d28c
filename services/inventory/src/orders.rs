//! Applies what was seen of orders.

use std::collections::BTreeSet;

use ledger::{Decision, OrderLine, Seen, Snapshot};
use proto::{OrderObserved, OrderState, OrderUnreadable, Source};
use store::{Changes, Incomplete, InventoryTx, Wanted, Wish};
use values::{OrderId, ShopId};

use crate::batch::{Summary, Traced};
use crate::work::{Occasion, Scope, Work};

/// Why a shop is incomplete: a webhook could not be used.
const UNREADABLE: &str = "unreadable";

/// What is told of an order.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    Observed(OrderObserved),
    Unreadable(OrderUnreadable),
}

impl Told {
    pub(crate) const fn shop(&self) -> ShopId {
        match self {
            Self::Observed(observed) => observed.shop,
            Self::Unreadable(unreadable) => unreadable.shop,
        }
    }

    pub(crate) const fn order(&self) -> Option<OrderId> {
        match self {
            Self::Observed(observed) => Some(observed.order),
            Self::Unreadable(unreadable) => unreadable.order,
        }
    }
}

pub(crate) async fn apply(
    tx: &mut InventoryTx,
    work: &mut Work,
    told: &[Traced<'_, Told>],
    occasion: &Occasion,
    summary: &mut Summary,
) -> Result<(), store::Error> {
    let mut read: BTreeSet<(ShopId, OrderId)> = BTreeSet::new();
    let mut incomplete = Vec::new();
    for Traced { what, trace } in told {
        let occasion = Occasion { trace: trace.context.clone(), ..occasion.clone() };
        match what {
            Told::Observed(observed) => {
                let snapshot = snapshot(observed);
                if matches!(snapshot.seen, Seen::Read { .. }) {
                    read.insert((observed.shop, observed.order));
                }
                if let Some(verdict) = work.observe(observed.shop, &snapshot, &occasion) {
                    summary.count(&verdict);
                    trace.span.record("decision", decision_word(verdict.decision));
                }
            }
            Told::Unreadable(unreadable) => {
                let shop = unreadable.shop;
                let what = unreadable.order.map_or(Wanted::Audit, Wanted::Order);
                work.wishes.insert(Wish { shop, what });
                // A read that comes later in the same batch was made without knowing of it.
                read.retain(|(owner, order)| *owner != shop || Some(*order) != unreadable.order);
                let reason = UNREADABLE.to_owned();
                incomplete.push(Incomplete { shop, order: unreadable.order, reason, at: occasion.now });
                summary.unreadable_count += 1;
            }
        }
    }
    complete(tx, &read).await?;
    if !incomplete.is_empty() {
        tx.save(&Changes { incomplete: &incomplete, now: occasion.now, ..Changes::default() }).await?;
    }
    Ok(())
}

/// What was unreadable of these orders has been read now.
async fn complete(tx: &mut InventoryTx, read: &BTreeSet<(ShopId, OrderId)>) -> Result<(), store::Error> {
    let shops: BTreeSet<ShopId> = read.iter().map(|(shop, _)| *shop).collect();
    let shops: Vec<ShopId> = shops.into_iter().collect();
    if shops.is_empty() {
        return Ok(());
    }
    let mut marks = tx.incomplete_marks(&shops).await?;
    marks.retain(|mark| mark.order.is_some_and(|order| read.contains(&(mark.shop, order))));
    tx.clear_marks(&marks).await
}

/// All that what was told may touch.
pub(crate) fn widen(scope: &mut Scope, told: &Told) {
    let Told::Observed(observed) = told else { return };
    let shop = observed.shop;
    scope.orders.insert((shop, observed.order));
    if let OrderState::Present { lines, .. } = &observed.state {
        for line in lines {
            scope.listings.extend(line.listing.map(|listing| (shop, listing)));
            scope.texts.extend(line.sku.clone());
        }
    }
}

/// What was decided, as spans say it.
const fn decision_word(decision: Decision) -> &'static str {
    match decision {
        Decision::Apply { .. } => "applied",
        Decision::Confirm => "confirmed",
        Decision::Duplicate => "duplicate",
        Decision::Older => "older",
        Decision::Reread => "unordered",
    }
}

/// In the ledger's words.
pub(crate) fn snapshot(observed: &OrderObserved) -> Snapshot {
    let seen = match observed.source {
        Source::Webhook => Seen::Webhook,
        Source::Read { number, read_at, baseline } => Seen::Read { number, read_at, baseline },
    };
    let (status, lines) = match &observed.state {
        OrderState::Present { status, lines } => (status.as_str().to_owned(), lines.as_slice()),
        OrderState::Gone => (String::new(), [].as_slice()),
    };
    let lines = lines
        .iter()
        .map(|line| OrderLine {
            id: line.line,
            listing: line.listing,
            sku: line.sku.clone(),
            quantity: line.quantity,
            taken: line.taken,
            restocked: line.restocked,
            fault: line.fault,
        })
        .collect();
    let gone = matches!(observed.state, OrderState::Gone);
    let modified_at = observed.modified_at.filter(|_| !gone);
    Snapshot { order: observed.order, seen, modified_at, status, lines }
}
