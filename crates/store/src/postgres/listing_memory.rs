//! Remembers which stock and SKU listings lead to, so that a batch does not look up again what hardly ever changes.
//!
//! What is remembered is good for one version of its shop's mapping. Who keeps the mapping as it is reads the version in
//! the same go, and whoever changes it gives the shop another one, so what is found here is what would be found there.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use hashlink::LruCache;
use values::{HolderId, Sku};

/// Most listings remembered by a process, some 150 bytes each. Those that were not asked for the longest are forgotten.
const LISTINGS_MAX: NonZeroUsize = NonZeroUsize::new(1 << 17).expect("it is not zero");

/// Shop, product, variation.
pub(super) type ListingKey = (i64, i64, i64);

/// Where a mapped listing leads.
#[derive(Debug, Clone)]
pub(super) struct MappedTo {
    pub(super) holder: HolderId,
    pub(super) sku_id: i64,
    pub(super) sku: Sku,
}

/// Version of the shop's mapping, and what it says of a listing.
type Remembered = (i64, MappedTo);

/// The listings of a process. Only those are here whose stock has a SKU: whether the code of another is known may change
/// without its mapping.
#[derive(Debug)]
pub(super) struct ListingMemory(Mutex<LruCache<ListingKey, Remembered>>);

impl ListingMemory {
    pub(super) fn new() -> Self {
        // Grows as it is used.
        Self(Mutex::new(LruCache::new(LISTINGS_MAX.get())))
    }

    /// Takes out of `wanted` what is remembered; `version_of` a shop is that of its mapping now.
    pub(super) fn recall(
        &self,
        wanted: &mut Vec<ListingKey>,
        version_of: impl Fn(i64) -> Option<i64>,
    ) -> Vec<(ListingKey, MappedTo)> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recalled = Vec::with_capacity(wanted.len());
        wanted.retain(|key| {
            let known = memory.get(key).filter(|(version, _)| version_of(key.0) == Some(*version));
            let Some((_, to)) = known else { return true };
            recalled.push((*key, to.clone()));
            false
        });
        recalled
    }

    /// Remembers what was looked up while the mapping was kept in this version.
    pub(super) fn remember(
        &self,
        found: impl IntoIterator<Item = (ListingKey, MappedTo)>,
        version_of: impl Fn(i64) -> Option<i64>,
    ) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, to) in found {
            if let Some(version) = version_of(key.0) {
                memory.insert(key, (version, to));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(code: &str) -> MappedTo {
        MappedTo { holder: HolderId::new(7).unwrap(), sku_id: 1, sku: code.parse().unwrap() }
    }

    fn codes(recalled: &[(ListingKey, MappedTo)]) -> Vec<&str> {
        recalled.iter().map(|(_, to)| to.sku.as_str()).collect()
    }

    #[test]
    fn what_is_remembered_is_good_for_its_version_only() {
        let memory = ListingMemory::new();
        let (first, second) = ((1, 7, 0), (2, 7, 0));
        memory.remember([(first, to("a")), (second, to("b"))], |shop| (shop == 1).then_some(4));
        let mut wanted = vec![first, second];
        assert_eq!(codes(&memory.recall(&mut wanted, |_| Some(4))), ["a"], "a shop without a version is not");
        assert_eq!(wanted, [second]);
        let mut wanted = vec![first];
        assert!(memory.recall(&mut wanted, |_| Some(5)).is_empty());
        assert!(memory.recall(&mut wanted, |_| None).is_empty());
        assert_eq!(wanted, [first]);
        memory.remember([(first, to("c"))], |_| Some(5));
        assert_eq!(codes(&memory.recall(&mut wanted, |_| Some(5))), ["c"]);
    }
}
