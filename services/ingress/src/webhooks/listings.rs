//! Which listings webhooks have told of lately: a shop tells of a product again with every unit it sells and every quantity
//! it is given, and nothing of that is news.
//!
//! What a webhook says of a listing is news only if it is something else than what is known, and then it is read. So what was
//! said a moment ago in the same words is left out, unless something else was heard of it in between.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;
use proto::{ListingObserved, Message, ReadWanted, Wanted};
use values::{HolderId, ShopId};

/// Most listings remembered, some 100 bytes each.
const LISTINGS_MAX: usize = 1 << 16;
/// After this it is told again: another replica may have heard something else of it meanwhile, or a read have shown it.
const TOLD_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// A product or variation of a shop.
type Key = (ShopId, HolderId);

/// Listings that were told and confirmed.
#[derive(Debug)]
pub(super) struct ToldListings {
    /// Cannot be foreseen, so nobody can make two listings look like one.
    hasher: RandomState,
    told: Mutex<LruCache<Key, (u64, Instant)>>,
}

impl ToldListings {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::new(), told: Mutex::new(LruCache::new(LISTINGS_MAX)) }
    }

    /// Whether just this was told a short while before `now`.
    pub(super) fn contains(&self, message: &Message, now: Instant) -> bool {
        let Message::ListingObserved(listing) = message else { return false };
        self.lock().get(&key(listing)).is_some_and(|(what, at)| {
            *what == self.digest(listing) && now.saturating_duration_since(*at) < TOLD_AGAIN_AFTER
        })
    }

    /// It was told, and is safe. What asks for listings to be read makes news of whatever is said of them next.
    pub(super) fn add(&self, message: &Message, now: Instant) {
        match message {
            Message::ListingObserved(listing) => {
                let told = (self.digest(listing), now);
                self.lock().insert(key(listing), told);
            }
            // What is read of them now may be something else.
            Message::ReadWanted(ReadWanted { shop, what: Wanted::Listings(holders) }) => {
                let mut told = self.lock();
                for holder in holders {
                    told.remove(&(*shop, *holder));
                }
            }
            _ => {}
        }
    }

    fn digest(&self, listing: &ListingObserved) -> u64 {
        let ListingObserved { shop: _, listing: _, holder, sku, name, status, kind, number: _ } = listing;
        self.hasher.hash_one((holder, sku, name.as_str(), status.as_str(), kind))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Key, (u64, Instant)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(listing: &ListingObserved) -> Key {
    let own = listing.listing.variation.map_or(listing.listing.product.into(), HolderId::from);
    (listing.shop, own)
}

#[cfg(test)]
mod tests {
    use values::{ListingId, ProductId, ReadNumber};

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
        assert!(told.contains(&listing(1, "B"), start));
        let what = Wanted::Listings(vec![HolderId::new(1).unwrap()]);
        told.add(&ReadWanted { shop: ShopId::new(1).unwrap(), what }.into(), start);
        assert!(!told.contains(&listing(1, "B"), start), "it was to be read in between");
    }
}
