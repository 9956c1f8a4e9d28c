//! Reading the catalogue, page by page.

use std::collections::BTreeSet;

use connector::CataloguePage;
use proto::Message;
use values::ListingId;

use super::report::Report;
use super::{CursorOf, ReadError, Reader};
use crate::{Connect, facts};

impl<C: Connect> Reader<C> {
    /// Reads and publishes one page; where to go on, and how many entries this stretch has.
    pub(super) async fn read_catalogue(
        &mut self,
        cursor: CursorOf<C>,
        seen: &mut BTreeSet<ListingId>,
        report: &mut Report,
    ) -> Result<(Option<CursorOf<C>>, u64, Option<u64>), ReadError> {
        let number = self.number().await?;
        let CataloguePage { listings, unusable, total, next } = self.catalogue_page(cursor).await?.value;
        seen.extend(listings.iter().map(|fact| fact.listing));
        for item in &unusable {
            self.shared.observe.unusable(self.id, item.id, &item.reason);
            report.note_unusable_listing();
        }
        let messages: Vec<Message> =
            listings.iter().map(|listing| facts::listing(self.id, listing, number)).collect();
        self.shared.outbound.publish(&messages, &self.stop).await?;
        for listing in &listings {
            report.note_listing(listing);
        }
        Ok((next, u64::try_from(listings.len()).unwrap_or(u64::MAX), total))
    }
}
