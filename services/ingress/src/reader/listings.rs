//! Entries of the catalogue that somebody told of, or that a read of all of it missed: read by themselves, so that a deletion
//! or a change is known soon. And those that are to keep a quantity from now on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use connector::{CallError, ListingSet, ListingShown, Managed, ReadListings};
use proto::{ListingObserved, Message, NameText, StatusText};
use store::{KnownListing, ListingReread, ListingRow, PAGE_ROWS_MAX, STATUS_GONE};
use values::{HolderId, ListingId, ProductId, ReadNumber, ShopId};

use super::report::Report;
use super::{ReadError, Reader};
use crate::observe::{Observe, Read};
use crate::{Connect, facts};

/// Entries that a read of the whole catalogue missed and that are looked for by themselves: more at once are rather a mistake
/// of that read, and wait for the next.
const MISSED_MAX: usize = 10_000;

impl<C: Connect> Reader<C> {
    /// Reads entries of the catalogue again, those of one parent in a step; `false` if there are none to be read now.
    pub(super) async fn read_listings(&mut self, now: Instant) -> Result<bool, ReadError> {
        let limit = u32::try_from(self.listings_apart.lookup()).unwrap_or(u32::MAX);
        let wanted = self.shared.store.listings_wanted(self.id, limit).await?;
        self.listings_apart.found(|id| wanted.iter().any(|wanted| wanted.id == id), now);
        // The ids of pages, coupons and orders are told of as if they were products.
        let (known, strange): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|wanted| wanted.known.is_some());
        if !strange.is_empty() {
            self.done_with(&strange).await?;
        }
        let mut due =
            known.into_iter().filter(|wanted| self.listings_apart.may_be_read(wanted.id, now)).peekable();
        let Some(parent) = due.peek().map(parent_of_wanted) else {
            self.looks.listings = false;
            return Ok(!strange.is_empty());
        };
        let group: Vec<ListingReread> = due
            .filter(|wanted| parent_of_wanted(wanted) == parent)
            .take(self.listings_apart.together())
            .collect();
        let ids: Vec<HolderId> = group.iter().map(|wanted| wanted.id).collect();
        match self.read_group(parent, &group, &ids).await {
            Ok(()) => self.listings_apart.succeeded(&ids),
            Err(ReadError::Call(error)) => {
                let rest = self.listings_apart.failed(&ids, &error, Instant::now());
                if let (Some(rest), [id]) = (rest, ids.as_slice()) {
                    Observe::set_aside(self.id, Read::Listings, id.get(), rest, &error);
                }
                return Err(ReadError::Call(error));
            }
            Err(error) => return Err(error),
        }
        self.done_with(&group).await?;
        Ok(true)
    }

    /// Reads what has one parent, where it is on sale or not yet, then in the trash, and publishes it.
    async fn read_group(
        &mut self,
        parent: Option<ProductId>,
        group: &[ListingReread],
        ids: &[HolderId],
    ) -> Result<(), ReadError> {
        let number = self.number().await?;
        let live = self.listings(parent, ids, ListingSet::Live).await?.value;
        let mut shown: BTreeMap<HolderId, ListingShown> = ids.iter().copied().zip(live).collect();
        let missing: Vec<HolderId> =
            shown.iter().filter(|(_, shown)| **shown == ListingShown::Missing).map(|(id, _)| *id).collect();
        if !missing.is_empty() {
            let trashed = self.listings(parent, &missing, ListingSet::Trash).await?.value;
            shown.extend(missing.into_iter().zip(trashed));
        }
        let mut messages = Vec::with_capacity(shown.len());
        for known in group.iter().filter_map(|wanted| wanted.known.as_ref()) {
            match shown.remove(&own(known.listing)).unwrap_or(ListingShown::Gone) {
                ListingShown::There(fact) => messages.push(facts::listing(self.id, &fact, number)),
                ListingShown::Missing | ListingShown::Gone => messages.push(gone(self.id, known, number)),
                ListingShown::Unusable(reason) => {
                    self.shared.observe.unusable(self.id, Some(own(known.listing).get()), &reason);
                }
            }
        }
        self.shared.outbound.publish(&messages, &self.stop).await?;
        Ok(())
    }

    async fn done_with(&mut self, done: &[ListingReread]) -> Result<(), ReadError> {
        Ok(self.shared.store.listings_done(self.id, done).await?)
    }

    /// Has those entries read by themselves that are known and that a read of the whole catalogue did not show.
    pub(super) async fn want_missed(&mut self, seen: &BTreeSet<ListingId>) -> Result<(), ReadError> {
        let mut after = None;
        let mut missed = Vec::new();
        loop {
            let there = self.shared.store.listings_there(self.id, after, PAGE_ROWS_MAX).await?;
            let Some(last) = there.last() else { break };
            after = Some(*last);
            missed.extend(there.into_iter().filter(|listing| !seen.contains(listing)));
            if missed.len() >= MISSED_MAX {
                missed.truncate(MISSED_MAX);
                break;
            }
        }
        if !missed.is_empty() {
            let wants: Vec<_> = missed.into_iter().map(|listing| (self.id, own(listing))).collect();
            self.shared.store.want_listings(&wants).await?;
            self.looks.listings = true;
        }
        Ok(())
    }

    /// Switches stock management on for the next entries that can have it, those of one parent in a step; where to go on, or
    /// `None` at the end.
    pub(super) async fn manage_some(
        &mut self,
        at: ManageAt,
        report: &mut Report,
    ) -> Result<Option<ManageAt>, ReadError> {
        let rows = self.shared.store.listings_of_shop(self.id, at.after, PAGE_ROWS_MAX).await?;
        let Some(last) = rows.last().map(|row| row.listing) else { return Ok(at.next_kind()) };
        let kind = rows.into_iter().filter(|row| row.listing.variation.is_some() == at.variations);
        let mut wanted = kind.filter(ListingRow::can_be_managed).peekable();
        let Some(parent) = wanted.peek().map(|row| parent_of(row.listing)) else {
            return Ok(Some(ManageAt { after: Some(last), ..at }));
        };
        let group: Vec<ListingRow> = wanted
            .take_while(|row| parent_of(row.listing) == parent)
            .take(C::Connection::LISTINGS_MAX)
            .collect();
        let goes_on = group.last().map(|row| row.listing);
        self.manage(parent, &group, report).await?;
        Ok(Some(ManageAt { after: goes_on, ..at }))
    }

    /// They are read first, and what is to be changed is changed at once.
    async fn manage(
        &mut self,
        parent: Option<ProductId>,
        group: &[ListingRow],
        report: &mut Report,
    ) -> Result<(), ReadError> {
        let ids: Vec<HolderId> = group.iter().map(|row| own(row.listing)).collect();
        let number = self.number().await?;
        let shown = self.listings(parent, &ids, ListingSet::Live).await?.value;
        let is_open = |shown: &ListingShown| matches!(shown, ListingShown::There(fact) if fact.holder.is_none() && fact.status != store::STATUS_TRASH);
        let (open, others): (Vec<_>, Vec<_>) =
            ids.into_iter().zip(shown).partition(|(_, shown)| is_open(shown));
        let open: Vec<HolderId> = open.into_iter().map(|(id, _)| id).collect();
        // The catalogue has changed since; these are read again.
        let mut read_again: Vec<HolderId> = others.into_iter().map(|(id, _)| id).collect();
        if !open.is_empty() {
            if !self.hold_lease().await? {
                return Err(ReadError::Stale);
            }
            let row = |id| group.iter().find(|row| own(row.listing) == id);
            match self.manage_stock(parent, &open).await {
                Ok(reply) => {
                    let mut messages = Vec::new();
                    for (id, outcome) in open.iter().zip(reply.value) {
                        match outcome {
                            Managed::Done(fact) => {
                                messages.push(facts::listing(self.id, &fact, number));
                                report.note_fixed();
                            }
                            Managed::Refused(why) => report.note_not_fixed(row(*id), *id, &why),
                            Managed::Unclear => {
                                report.note_not_fixed(row(*id), *id, "its answer makes no sense");
                            }
                        }
                    }
                    self.shared.outbound.publish(&messages, &self.stop).await?;
                }
                // Not tried again: the shop may still be at it.
                Err(ReadError::Call(error)) => {
                    let Some(why) = why_not_fixed(&error) else { return Err(ReadError::Call(error)) };
                    for id in &open {
                        report.note_not_fixed(row(*id), *id, &why);
                    }
                    read_again.extend(open);
                }
                Err(error) => return Err(error),
            }
        }
        if !read_again.is_empty() {
            let wants: Vec<_> = read_again.into_iter().map(|id| (self.id, id)).collect();
            self.shared.store.want_listings(&wants).await?;
            self.looks.listings = true;
        }
        Ok(())
    }
}

/// Where switching stock management on goes on: products first, then variations, so that many products go into one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ManageAt {
    variations: bool,
    after: Option<ListingId>,
}

impl ManageAt {
    fn next_kind(self) -> Option<Self> {
        (!self.variations).then_some(Self { variations: true, after: None })
    }
}

/// Why a call that failed is not made again; `None`: it may be, since nothing was done and it may go better, or since somebody
/// has to put something right for all of them.
fn why_not_fixed(error: &CallError) -> Option<String> {
    match error {
        CallError::Refused { status, code } => {
            Some(format!("the shop refused it with status {status}: {code}"))
        }
        // It may still be at it.
        CallError::Uncertain { cause, .. } => Some(format!("{cause}: whether it was done is looked up")),
        _ => None,
    }
}

fn parent_of(listing: ListingId) -> Option<ProductId> {
    listing.variation.map(|_| listing.product)
}

fn parent_of_wanted(wanted: &ListingReread) -> Option<ProductId> {
    wanted.known.as_ref().and_then(|known| parent_of(known.listing))
}

fn own(listing: ListingId) -> HolderId {
    listing.variation.map_or_else(|| listing.product.into(), HolderId::from)
}

/// What the shop knows no longer, as it was known last.
fn gone(shop: ShopId, known: &KnownListing, number: ReadNumber) -> Message {
    ListingObserved {
        shop,
        listing: known.listing,
        holder: None,
        sku: known.sku.clone(),
        name: NameText::clipped(&known.name),
        status: StatusText::clipped(STATUS_GONE),
        kind: None,
        number,
    }
    .into()
}
