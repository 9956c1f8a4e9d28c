//! Entries of the catalogue that somebody told of, or that a read of all of it missed: read by themselves, so that a deletion
//! or a change is known soon. And those that are to keep a quantity from now on.

use std::collections::{BTreeMap, BTreeSet};

use connector::{ListingShown, Managed, ReadListings};
use proto::{ListingObserved, Message, NameText, StatusText};
use store::{KnownListing, ListingReread, ListingRow, PAGE_ROWS_MAX, STATUS_GONE};
use values::{HolderId, ListingId, ProductId, ReadNumber, ShopId};

use super::report::Report;
use super::{ReadError, Reader};
use crate::{Connect, facts};

/// Entries that a read of the whole catalogue missed and that are looked for by themselves: more at once are rather a mistake
/// of that read, and wait for the next.
const MISSED_MAX: usize = 10_000;

impl<C: Connect> Reader<C> {
    /// Reads entries of the catalogue again; `false` if there are none to be read.
    pub(super) async fn read_listings(&mut self) -> Result<bool, ReadError> {
        let limit = u32::try_from(C::Connection::LISTINGS_MAX).unwrap_or(u32::MAX);
        let wanted = self.shared.store.listings_wanted(self.id, limit).await?;
        if wanted.is_empty() {
            self.looks.listings = false;
            return Ok(false);
        }
        // The ids of pages, coupons and orders are told of as if they were products.
        let known: Vec<&KnownListing> = wanted.iter().filter_map(|wanted| wanted.known.as_ref()).collect();
        if !known.is_empty() {
            let number = self.number().await?;
            let listings: Vec<ListingId> = known.iter().map(|known| known.listing).collect();
            let shown = self.listings(&listings).await?.value;
            let mut messages = Vec::with_capacity(shown.len());
            for (known, shown) in known.into_iter().zip(shown) {
                match shown {
                    ListingShown::There(fact) => messages.push(facts::listing(self.id, &fact, number)),
                    ListingShown::Gone => messages.push(gone(self.id, known, number)),
                    ListingShown::Unusable(reason) => {
                        self.shared.observe.unusable(self.id, Some(own(known.listing).get()), &reason);
                    }
                }
            }
            self.shared.outbound.publish(&messages, &self.stop).await?;
        }
        self.done_with(&wanted).await?;
        Ok(true)
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

    /// Switches stock management on for the next entries that can have it; where to go on, or `None` at the end.
    pub(super) async fn manage_some(
        &mut self,
        after: Option<ListingId>,
        report: &mut Report,
    ) -> Result<Option<ListingId>, ReadError> {
        let rows = self.shared.store.listings_of_shop(self.id, after, PAGE_ROWS_MAX).await?;
        let Some(last) = rows.last().map(|row| row.listing) else { return Ok(None) };
        let mut wanted: Vec<ListingId> =
            rows.iter().filter(|row| row.can_be_managed()).map(|row| row.listing).collect();
        let mut goes_on = last;
        // The others of this page come next.
        if wanted.len() > C::Connection::LISTINGS_MAX {
            wanted.truncate(C::Connection::LISTINGS_MAX);
            goes_on = wanted.last().copied().unwrap_or(last);
        }
        if !wanted.is_empty() {
            self.manage(&rows, &wanted, report).await?;
        }
        Ok(Some(goes_on))
    }

    /// They are read first: what keeps a quantity by now would lose it.
    async fn manage(
        &mut self,
        rows: &[ListingRow],
        wanted: &[ListingId],
        report: &mut Report,
    ) -> Result<(), ReadError> {
        let shown = self.listings(wanted).await?.value;
        let mut by_parent = BTreeMap::<Option<ProductId>, Vec<HolderId>>::new();
        for (listing, shown) in wanted.iter().zip(shown) {
            match shown {
                ListingShown::There(fact) if fact.holder.is_none() && fact.status != store::STATUS_TRASH => {
                    let parent = listing.variation.map(|_| listing.product);
                    by_parent.entry(parent).or_default().push(own(*listing));
                }
                // The catalogue has changed since; it is read again anyway.
                _ => {
                    self.shared.store.want_listings(&[(self.id, own(*listing))]).await?;
                    self.looks.listings = true;
                }
            }
        }
        for (parent, ids) in by_parent {
            let number = self.number().await?;
            let outcomes = self.manage_stock(parent, &ids).await?.value;
            let mut messages = Vec::new();
            for (id, outcome) in ids.iter().zip(outcomes) {
                let row = rows.iter().find(|row| own(row.listing) == *id);
                match outcome {
                    Managed::Done(fact) => {
                        messages.push(facts::listing(self.id, &fact, number));
                        report.note_fixed();
                    }
                    Managed::Refused(why) => report.note_not_fixed(row, *id, &why),
                    Managed::Unclear => report.note_not_fixed(row, *id, "its answer makes no sense"),
                }
            }
            self.shared.outbound.publish(&messages, &self.stop).await?;
        }
        Ok(())
    }
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
