//! Which listings webhooks have told of lately: a shop tells of a product again with every unit it sells and every quantity
//! it is given, and nothing of that is news.
//!
//! What a webhook says of a listing only makes it known, whatever it says; a read says what it is. So what was said before
//! in the same words is left out without harm, and for a while only.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use proto::{ListingObserved, Message};
use values::{ListingId, ShopId};

/// Most listings remembered, some 100 bytes each.
const LISTINGS_MAX: usize = 1 << 16;
/// After this it is told again, should it have been lost behind us.
const TOLD_AGAIN_AFTER: Duration = Duration::from_mins(10);

/// Listings that were told and confirmed.
#[derive(Debug)]
pub(super) struct ToldListings {
    /// Cannot be foreseen, so nobody can make two listings look like one.
    hasher: RandomState,
    told: Mutex<LruCache<(ShopId, ListingId), (u64, Instant)>>,
}

impl ToldListings {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), told: Mutex::new(LruCache::new(LISTINGS_MAX)) }
    }

    /// Whether just this was told a short while before `now`.
    pub(super) fn contains(&self, message: &Message, now: Instant) -> bool {
        let Message::ListingObserved(listing) = message else { return false };
        self.lock().get(&(listing.shop, listing.listing)).is_some_and(|(what, at)| {
            *what == self.digest(listing) && now.saturating_duration_since(*at) < TOLD_AGAIN_AFTER
        })
    }

    /// It was told, and is safe.
    pub(super) fn add(&self, message: &Message, now: Instant) {
        let Message::ListingObserved(listing) = message else { return };
        let told = (self.digest(listing), now);
        self.lock().insert((listing.shop, listing.listing), told);
    }

    fn digest(&self, listing: &ListingObserved) -> u64 {
        let ListingObserved { shop: _, listing: _, holder, sku, name, status, kind, number: _ } = listing;
        self.hasher.hash_one((holder, sku, name.as_str(), status.as_str(), kind))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<(ShopId, ListingId), (u64, Instant)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use values::{ProductId, ReadNumber};

    use super::*;

    fn listing(product: i64, sku: &str) -> Message {
        let product = ProductId::new(product).unwrap();
        Message::from(ListingObserved {
            shop: ShopId::new(1).unwrap(),
            listing: ListingId { product, variation: None },
            holder: Some(product.into()),
            sku: Some(sku.parse().unwrap()),
            name: "Lamp".parse().unwrap(),
            status: "publish".parse().unwrap(),
            kind: None,
            number: ReadNumber::ZERO,
        })
    }

    #[test]
    fn a_listing_is_told_again_when_it_is_another_or_a_while_has_passed() {
        let (told, start) = (ToldListings::new(), Instant::now());
        assert!(!told.contains(&listing(1, "A"), start));
        told.add(&listing(1, "A"), start);
        let (soon, later) = (start + TOLD_AGAIN_AFTER / 2, start + TOLD_AGAIN_AFTER);
        assert!(told.contains(&listing(1, "A"), soon));
        assert!(!told.contains(&listing(1, "A"), later));
        assert!(!told.contains(&listing(1, "B"), start));
        assert!(!told.contains(&listing(2, "A"), start));
        told.add(&listing(1, "B"), start);
        assert!(!told.contains(&listing(1, "A"), start), "it was another in between");
    }
}
