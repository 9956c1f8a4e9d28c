//! What a snapshot of an order changes: per line the difference to what is held, never the event that caused it.

use std::collections::{BTreeMap, BTreeSet};

use values::{HolderId, ListingId, OrderId, Quantity, ReadNumber, ShopId, Sku, Timestamp};

use crate::allocation::{Routing, Target, rearrange, supersede};
use crate::book::{Book, Cause};
use crate::order::{Applied, Line, Order, Origin};
use crate::snapshot::{Digest, OrderLine, Seen, Snapshot};
use crate::status::{StatusMap, StatusRule};
use crate::version::{Decision, decide};

/// What the shop's registry says of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// The stock it is sold from; `None` if the shop does not manage it.
    pub stock: Option<HolderId>,
    /// The SKU that stock is mapped to.
    pub sku: Option<Sku>,
}

/// The registry's knowledge of one shop's listings.
pub trait Listings {
    /// What is known of `listing`; `None` if it was never seen.
    fn resolve(&self, listing: ListingId) -> Option<Resolved>;

    /// Whether the hub keeps stock of this SKU.
    fn knows(&self, sku: &Sku) -> bool;
}

/// Whose order is applied, and when.
#[derive(Debug, Clone, Copy)]
pub struct Applying<'a> {
    /// The shop.
    pub shop: ShopId,
    /// Where it sells from.
    pub routing: &'a Routing,
    /// What its statuses mean.
    pub statuses: &'a StatusMap,
    /// Highest number of an order when its baseline was read; `None` before that. Shops number their orders upwards, and
    /// unlike their clocks that never goes back.
    pub baseline_last: Option<OrderId>,
}

/// Why an order is to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// Its version cannot be ordered against the one applied.
    Unordered,
}

/// What changed for one stock of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockChange {
    /// The stock.
    pub holder: HolderId,
    /// Change of all that the shop's orders have taken from it.
    pub taken_delta: Quantity,
    /// Change of what the shop's own orders have yet to take from it.
    pub untaken_delta: Quantity,
    /// The shop's date of the snapshot that was applied.
    pub order_date: Option<Timestamp>,
}

/// What applying a snapshot came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What the version rule said.
    pub decision: Decision,
    /// The order is to be read again.
    pub reread: Option<Reread>,
    /// The stocks of the shop it concerns.
    pub stocks: Vec<StockChange>,
    /// A line has no SKU.
    pub parked: bool,
    /// The order is older than the connection and was not in the baseline: what it has taken was missing from the shop's
    /// stock before that was ever compared, so the base of its stocks must be proven anew.
    pub predates: bool,
}

type Contributions = BTreeMap<HolderId, (Quantity, Quantity)>;

/// Applies a snapshot. Afterwards the SKUs to recompute are those of the movements posted to `book`, and the stocks are
/// those of the verdict.
pub fn apply(
    order: &mut Order,
    snapshot: &Snapshot,
    applying: Applying<'_>,
    listings: &impl Listings,
    book: &mut Book,
) -> Verdict {
    let digest = snapshot.digest();
    let decision = decide(order, snapshot, digest);
    let before = contributions(order, applying.statuses);
    let predates = order.applied.is_none() && predates_connection(snapshot, applying);
    match decision {
        Decision::Apply { confirmed } => match snapshot.modified_at {
            Some(modified_at) => {
                let falls = take_over(order, snapshot, applying, listings);
                record_version(order, snapshot, modified_at, digest, confirmed);
                let baseline = matches!(snapshot.seen, Seen::Read { baseline: true, .. });
                order.predates |= predates;
                if predates || baseline {
                    close_superseded(order, &falls.new, applying, book);
                }
                hold_lines(order, &falls, applying, book);
            }
            None => record_gone(order, snapshot),
        },
        Decision::Confirm => {
            record_read(order, snapshot, true);
            hold_lines(order, &Falls::default(), applying, book);
        }
        Decision::Duplicate => record_read(order, snapshot, false),
        Decision::Older => {}
        Decision::Reread => record_unordered(order, snapshot, digest),
    }
    let dated = matches!(decision, Decision::Apply { .. }).then_some(snapshot.modified_at).flatten();
    let stocks = stock_changes(&before, &contributions(order, applying.statuses), dated);
    drop_removed(order);
    Verdict {
        decision,
        reread: (decision == Decision::Reread).then_some(Reread::Unordered),
        stocks,
        parked: is_parked(order),
        predates: predates && matches!(decision, Decision::Apply { .. }),
    }
}

/// Lets an unpaid order's reservation go; what has left stays gone. Posts nothing if it cannot expire or has already.
pub fn expire(order: &mut Order, applying: Applying<'_>, book: &mut Book) -> Vec<StockChange> {
    if order.expired || !may_expire(applying.statuses.rule(&order.status)) {
        return Vec::new();
    }
    let before = contributions(order, applying.statuses);
    order.expired = true;
    // Nothing is half written here: it is our own decision, not the shop's.
    hold_with(order, |line| Some(kept_expired(line).min(line.held())), applying, book);
    drop_removed(order);
    stock_changes(&before, &contributions(order, applying.statuses), None)
}

/// A reservation the shop never took expires while its order is pending, and also once it only follows the shop (failed,
/// trashed): nothing else would ever end it.
fn may_expire(rule: StatusRule) -> bool {
    match rule {
        StatusRule::ReservePending | StatusRule::Follow => true,
        StatusRule::Reserve | StatusRule::Deduct | StatusRule::Release | StatusRule::Ignore => false,
    }
}

/// The shop was taken out of service: nobody asks it about the order any more. What the order holds stays held until that is
/// released, or until a read shows the order again.
pub fn disown(order: &mut Order, applying: Applying<'_>) -> Vec<StockChange> {
    let before = contributions(order, applying.statuses);
    order.gone = true;
    stock_changes(&before, &contributions(order, applying.statuses), None)
}

/// Lets go what an order still reserves although its shop no longer knows it.
pub fn release_orphan(order: &mut Order, applying: Applying<'_>, book: &mut Book) -> Vec<StockChange> {
    if !order.gone {
        return Vec::new();
    }
    let before = contributions(order, applying.statuses);
    hold_with(order, |line| Some(line.shipped()), applying, book);
    drop_removed(order);
    stock_changes(&before, &contributions(order, applying.statuses), None)
}

/// Resolves what could not be resolved when the order was applied: a stock or SKU known since. Lines that get their SKU are
/// held from nothing; those that were final before the SKU was last counted are closed as superseded. An order that is gone
/// is held no further.
pub fn resolve_lines(
    order: &mut Order,
    applying: Applying<'_>,
    listings: &impl Listings,
    book: &mut Book,
) -> Vec<StockChange> {
    let before = contributions(order, applying.statuses);
    let mut parked: BTreeSet<usize> = BTreeSet::new();
    for (index, line) in order.lines.iter_mut().enumerate() {
        let was_parked = line.sku.is_none();
        resolve(line, None, listings);
        if was_parked && line.sku.is_some() {
            parked.insert(index);
        }
    }
    if !order.gone {
        close_superseded(order, &parked, applying, book);
        let confirmed = order.applied.is_some_and(|applied| applied.confirmed);
        let rule = applying.statuses.rule(&order.status);
        let expired = order.expired;
        hold_with(order, |line| aim(line, rule, expired, confirmed, Quantity::ZERO), applying, book);
    }
    let dated = order.applied.map(|applied| applied.modified_at);
    stock_changes(&before, &contributions(order, applying.statuses), dated)
}

/// What a snapshot did to the lines, by their position.
#[derive(Debug, Default)]
struct Falls {
    /// By how much the shop's own taken quantity fell.
    by_line: BTreeMap<usize, Quantity>,
    /// Lines it showed for the first time.
    new: BTreeSet<usize>,
    /// Lines that were parked and have found their SKU.
    unparked: BTreeSet<usize>,
}

/// Makes the order's lines those of the snapshot.
fn take_over(
    order: &mut Order,
    snapshot: &Snapshot,
    applying: Applying<'_>,
    listings: &impl Listings,
) -> Falls {
    let mut falls = Falls::default();
    let mut shown: BTreeSet<usize> = BTreeSet::new();
    for incoming in &snapshot.lines {
        let index = find_line(order, incoming, &shown).unwrap_or_else(|| {
            order.lines.push(new_line(incoming));
            let index = order.lines.len().saturating_sub(1);
            falls.new.insert(index);
            index
        });
        shown.insert(index);
        let line = order.lines.get_mut(index).expect("the index was just found or made");
        falls.by_line.insert(index, line.taken_or_zero() - incoming.taken.unwrap_or_default());
        let was_parked = line.fault.is_some() || line.sku.is_none();
        line.removed = false;
        line.fault = incoming.fault;
        if incoming.fault.is_none() {
            line.quantity = incoming.quantity;
        }
        line.taken = incoming.taken;
        line.restocked = incoming.restocked;
        // Even if all of it was given back since: the shop only writes it once it took something.
        line.ever_taken |= incoming.taken.is_some();
        line.unmanaged &= incoming.taken.is_none();
        line.listing = line.listing.or(incoming.listing);
        resolve(line, incoming.sku.as_ref(), listings);
        let is_counted = line.fault.is_none() && line.sku.is_some();
        if was_parked && is_counted && !falls.new.contains(&index) {
            falls.unparked.insert(index);
        }
    }
    for (index, line) in order.lines.iter_mut().enumerate() {
        if !shown.contains(&index) {
            falls.by_line.insert(index, line.taken_or_zero());
            line.removed = true;
            line.taken = None;
        }
    }
    if !may_expire(applying.statuses.rule(&snapshot.status)) {
        order.expired = false;
    }
    order.status.clone_from(&snapshot.status);
    order.gone = false;
    falls
}

/// The line of the order that `incoming` is a later state of. Another product on the same line id is another line; a
/// product that was deleted (no listing) is the same one.
fn find_line(order: &Order, incoming: &OrderLine, taken: &BTreeSet<usize>) -> Option<usize> {
    let same = |line: &Line| line.id == incoming.id;
    // A deleted product shows as none, a deleted variation as its product alone.
    let fits = |line: &Line| match (line.listing, incoming.listing) {
        (Some(known), Some(shown)) => {
            known == shown || known.product == shown.product && shown.variation.is_none()
        }
        (None, _) | (_, None) => true,
    };
    let find = |wanted: &dyn Fn(&Line) -> bool| {
        order.lines.iter().enumerate().position(|(index, line)| !taken.contains(&index) && wanted(line))
    };
    find(&|line| same(line) && line.listing == incoming.listing && !line.removed)
        .or_else(|| find(&|line| same(line) && fits(line) && !line.removed))
        .or_else(|| find(&|line| same(line) && line.listing == incoming.listing))
}

fn new_line(incoming: &OrderLine) -> Line {
    Line {
        id: incoming.id,
        listing: incoming.listing,
        stock: None,
        sku: None,
        code: None,
        quantity: incoming.quantity,
        taken: None,
        restocked: incoming.restocked,
        ever_taken: false,
        removed: false,
        unmanaged: false,
        fault: incoming.fault,
        holds: Vec::new(),
    }
}

/// Stock and SKU are found once, by listing; by the code's text only where the listing was never seen.
fn resolve(line: &mut Line, text: Option<&Sku>, listings: &impl Listings) {
    if line.stock.is_some() && line.sku.is_some() {
        return;
    }
    match line.listing.and_then(|listing| listings.resolve(listing)) {
        Some(resolved) => {
            line.code = None;
            line.stock = line.stock.or(resolved.stock);
            if line.sku.is_none() {
                line.sku = resolved.sku;
            }
            line.unmanaged |= line.stock.is_none() && line.sku.is_none() && !line.ever_taken;
        }
        None if line.sku.is_none() => {
            let code = text.cloned().or_else(|| line.code.take());
            let known = code.as_ref().is_some_and(|code| listings.knows(code));
            (line.sku, line.code) = if known { (code, None) } else { (None, code) };
        }
        None => {}
    }
}

fn record_version(
    order: &mut Order,
    snapshot: &Snapshot,
    modified_at: Timestamp,
    digest: Digest,
    confirmed: bool,
) {
    let known = order.applied.map_or(ReadNumber::ZERO, |applied| applied.last_read);
    let (origin, last_read) = match snapshot.seen {
        Seen::Webhook => (Origin::Webhook, known),
        Seen::Read { number, .. } => (Origin::Read, number),
    };
    // A webhook body newer than what was applied may still be older than the read that was asked for.
    if origin == Origin::Read {
        order.reread = false;
    }
    order.applied = Some(Applied { modified_at, digest, origin, last_read, confirmed, older: None });
}

fn record_gone(order: &mut Order, snapshot: &Snapshot) {
    order.gone = true;
    record_read(order, snapshot, true);
}

/// The state stands; a read that shows it makes it a fact.
fn record_read(order: &mut Order, snapshot: &Snapshot, confirmed: bool) {
    let Seen::Read { number, .. } = snapshot.seen else {
        return;
    };
    order.reread = false;
    if let Some(applied) = order.applied.as_mut() {
        applied.last_read = number;
        applied.origin = Origin::Read;
        applied.older = None;
        applied.confirmed |= confirmed;
    }
}

fn record_unordered(order: &mut Order, snapshot: &Snapshot, digest: Digest) {
    order.reread = true;
    if let (Seen::Read { number, .. }, Some(applied), Some(modified_at)) =
        (snapshot.seen, order.applied.as_mut(), snapshot.modified_at)
    {
        applied.last_read = number;
        applied.older = Some((modified_at, digest));
    }
}

fn hold_lines(order: &mut Order, falls: &Falls, applying: Applying<'_>, book: &mut Book) {
    close_superseded(order, &falls.unparked, applying, book);
    let confirmed = order.applied.is_some_and(|applied| applied.confirmed);
    let rule = applying.statuses.rule(&order.status);
    let expired = order.expired;
    let wanted: Vec<Option<Quantity>> = order
        .lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let fall = falls.by_line.get(&index).copied().unwrap_or_default().or_zero();
            aim(line, rule, expired, confirmed, fall)
        })
        .collect();
    hold_by_index(order, &wanted, applying, book);
}

/// How much a line should hold; `None` leaves it as it is.
fn aim(line: &Line, rule: StatusRule, expired: bool, confirmed: bool, fall: Quantity) -> Option<Quantity> {
    let wanted = if line.removed {
        Quantity::ZERO
    } else {
        match rule {
            // What cannot be read changes nothing but what it is, until the order holds nothing at all.
            StatusRule::ReservePending | StatusRule::Reserve | StatusRule::Deduct | StatusRule::Follow
                if line.fault.is_some() =>
            {
                line.held()
            }
            StatusRule::ReservePending | StatusRule::Reserve | StatusRule::Deduct if line.unmanaged => {
                line.taken_or_zero().or_zero()
            }
            StatusRule::ReservePending if expired => line.taken_or_zero().max(line.sent()),
            StatusRule::ReservePending | StatusRule::Reserve | StatusRule::Deduct => {
                line.taken.unwrap_or(line.quantity - line.restocked).or_zero()
            }
            StatusRule::Release if confirmed => Quantity::ZERO,
            // The shop is about to give back what it still keeps: nobody is to do so in its place.
            StatusRule::Release => line.taken_or_zero(),
            StatusRule::Follow if line.ever_taken => line.taken_or_zero(),
            StatusRule::Follow if expired => kept_expired(line),
            StatusRule::Follow | StatusRule::Ignore => return None,
        }
    };
    // Until a read confirms it the snapshot may be half written: give back no more than the shop itself gave back.
    let least = if confirmed { Quantity::ZERO } else { line.held() - fall };
    Some(wanted.max(least).or_zero())
}

/// What a line keeps when its order's reservation has expired: what the shop took, and what has left.
fn kept_expired(line: &Line) -> Quantity {
    line.taken_or_zero().max(line.shipped())
}

fn hold_with(
    order: &mut Order,
    wanted: impl Fn(&Line) -> Option<Quantity>,
    applying: Applying<'_>,
    book: &mut Book,
) {
    let wanted: Vec<Option<Quantity>> = order.lines.iter().map(wanted).collect();
    hold_by_index(order, &wanted, applying, book);
}

/// Lines that give back go first, so that what they free covers the lines that grow.
fn hold_by_index(order: &mut Order, wanted: &[Option<Quantity>], applying: Applying<'_>, book: &mut Book) {
    let rule = applying.statuses.rule(&order.status);
    let shipped = match rule {
        StatusRule::Deduct => Some(true),
        StatusRule::Reserve | StatusRule::ReservePending => Some(false),
        StatusRule::Release | StatusRule::Ignore | StatusRule::Follow => None,
    };
    for grows in [false, true] {
        for (line, wanted) in order.lines.iter_mut().zip(wanted) {
            let (Some(sku), Some(held)) = (line.sku.clone(), *wanted) else {
                continue;
            };
            if (held > line.held()) == grows {
                let cause = Cause::Order { shop: applying.shop, order: order.id, line: line.id };
                let shipped = if line.removed { None } else { shipped };
                rearrange(&mut line.holds, Target { held, shipped }, &sku, applying.routing, book, cause);
            }
        }
    }
}

/// An order nobody knew, made before the shop was connected. The baseline holds all open ones, so it was closed then, and
/// what it took is long gone; if it is open now, it is taken for a new one, which never offers too much.
fn predates_connection(snapshot: &Snapshot, applying: Applying<'_>) -> bool {
    let baseline = matches!(snapshot.seen, Seen::Read { baseline: true, .. });
    let before = applying.baseline_last.is_some_and(|last| snapshot.order <= last);
    before && !baseline
}

/// Lines of an order that was final before their SKU was last counted, or before the shop was connected, left before that: they hold what they hold
/// without a movement, and only a return moves stock.
fn close_superseded(order: &mut Order, concerned: &BTreeSet<usize>, applying: Applying<'_>, book: &Book) {
    let rule = applying.statuses.rule(&order.status);
    if !matches!(rule, StatusRule::Deduct | StatusRule::Follow) {
        return;
    }
    let modified_at = order.applied.map(|applied| applied.modified_at);
    let predates = order.predates;
    for (index, line) in order.lines.iter_mut().enumerate() {
        if !concerned.contains(&index) || line.removed || !line.holds.is_empty() {
            continue;
        }
        let Some(sku) = &line.sku else { continue };
        let counted_since = match (book.counted_at(sku), modified_at) {
            (Some(counted_at), Some(modified_at)) => modified_at <= counted_at,
            (None, _) | (_, None) => true,
        };
        if counted_since || predates {
            let held = aim(line, rule, false, true, Quantity::ZERO).unwrap_or_default();
            supersede(&mut line.holds, held, applying.routing);
        }
    }
}

fn contributions(order: &Order, statuses: &StatusMap) -> Contributions {
    let rule = statuses.rule(&order.status);
    let confirmed = order.applied.is_none_or(|applied| applied.confirmed);
    let mut sums = Contributions::new();
    for line in &order.lines {
        if let Some(holder) = line.stock {
            let (taken, untaken) = sums.entry(holder).or_default();
            *taken += line.taken_or_zero();
            // A shop that no longer knows the order will never take anything for it.
            if !order.gone {
                *untaken += line.untaken(rule, confirmed);
            }
        }
    }
    sums
}

fn stock_changes(
    before: &Contributions,
    after: &Contributions,
    dated: Option<Timestamp>,
) -> Vec<StockChange> {
    let holders: BTreeSet<HolderId> = before.keys().chain(after.keys()).copied().collect();
    holders
        .into_iter()
        .map(|holder| {
            let (taken_before, untaken_before) = before.get(&holder).copied().unwrap_or_default();
            let (taken_after, untaken_after) = after.get(&holder).copied().unwrap_or_default();
            StockChange {
                holder,
                taken_delta: taken_after - taken_before,
                untaken_delta: untaken_after - untaken_before,
                order_date: dated,
            }
        })
        .filter(|change| {
            !change.taken_delta.is_zero() || !change.untaken_delta.is_zero() || change.order_date.is_some()
        })
        .collect()
}

/// Lines that are no longer part of the order are kept only while they hold something.
fn drop_removed(order: &mut Order) {
    order.lines.retain(|line| !line.removed || line.held().is_positive());
}

fn is_parked(order: &Order) -> bool {
    order.lines.iter().any(Line::is_parked)
}

#[cfg(test)]
mod tests;
