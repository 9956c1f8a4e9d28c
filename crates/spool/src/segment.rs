//! How the records of one commit are packed into one blob, and how damage is confined to the record it hit.
//!
//! ```text
//! crc of the index  u32 │ count u32 │ count × (length u32, crc of the payload u32, key u64) │ payloads
//! ```
//! All numbers are little endian.

use bytes::Bytes;

const HEAD_BYTES: usize = 8;
const ENTRY_BYTES: usize = 16;

/// One record of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: u64,
    /// What is there, which is not what was stored unless it is sound.
    pub(crate) payload: Bytes,
    pub(crate) sound: bool,
}

/// The index is damaged, so no record of the segment can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenIndex;

/// How many bytes `payload_bytes` of `count` records take as a segment.
pub(crate) fn packed_bytes(count: usize, payload_bytes: usize) -> usize {
    HEAD_BYTES + count * ENTRY_BYTES + payload_bytes
}

/// Packs records of at most `u32::MAX` bytes, which the limit of a payload sees to.
pub(crate) fn pack(records: &[(u64, Bytes)]) -> Vec<u8> {
    let u32_of =
        |length: usize| u32::try_from(length).expect("payloads and their number are bounded far below 4 GiB");
    let payload_bytes: usize = records.iter().map(|(_, payload)| payload.len()).sum();
    let mut blob = Vec::with_capacity(packed_bytes(records.len(), payload_bytes));
    blob.extend([0; 4]);
    blob.extend(u32_of(records.len()).to_le_bytes());
    for (key, payload) in records {
        blob.extend(u32_of(payload.len()).to_le_bytes());
        blob.extend(crc32fast::hash(payload).to_le_bytes());
        blob.extend(key.to_le_bytes());
    }
    let index_crc = crc32fast::hash(&blob[4..]);
    blob[..4].copy_from_slice(&index_crc.to_le_bytes());
    for (_, payload) in records {
        blob.extend_from_slice(payload);
    }
    blob
}

/// Takes a segment apart without copying.
pub(crate) fn unpack(blob: &Bytes) -> Result<Vec<Entry>, BrokenIndex> {
    let count = usize::try_from(u32_at(blob, 4).ok_or(BrokenIndex)?).map_err(|_| BrokenIndex)?;
    let index_end = count.checked_mul(ENTRY_BYTES).and_then(|bytes| bytes.checked_add(HEAD_BYTES));
    let index_end = index_end.ok_or(BrokenIndex)?;
    let index = blob.get(4..index_end).ok_or(BrokenIndex)?;
    if u32_at(blob, 0) != Some(crc32fast::hash(index)) {
        return Err(BrokenIndex);
    }
    let mut entries = Vec::with_capacity(count);
    let mut start = index_end;
    for number in 0..count {
        let at = HEAD_BYTES + number * ENTRY_BYTES;
        let length = u32_at(blob, at).and_then(|length| usize::try_from(length).ok()).ok_or(BrokenIndex)?;
        let end = start.checked_add(length).ok_or(BrokenIndex)?;
        let payload = blob.slice(start.min(blob.len())..end.min(blob.len()));
        let sound = payload.len() == length && u32_at(blob, at + 4) == Some(crc32fast::hash(&payload));
        entries.push(Entry { key: u64_at(blob, at + 8).ok_or(BrokenIndex)?, payload, sound });
        start = end;
    }
    Ok(entries)
}

fn u32_at(blob: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(blob.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(blob: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(blob.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Vec<(u64, Vec<u8>)>> {
        prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..60)), 1..20)
    }

    fn packed(records: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let records: Vec<_> =
            records.iter().map(|(key, payload)| (*key, Bytes::from(payload.clone()))).collect();
        pack(&records)
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out(records in records()) {
            let entries = unpack(&packed(&records).into()).unwrap();
            let out: Vec<_> =
                entries.iter().map(|entry| (entry.key, entry.payload.to_vec())).collect();
            prop_assert_eq!(out, records);
            prop_assert!(entries.iter().all(|entry| entry.sound));
        }

        /// One flipped bit is always noticed, and hurts one record or is seen in the index.
        #[test]
        fn a_flipped_bit_is_noticed(records in records(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut blob = packed(&records);
            let at = at.index(blob.len());
            blob[at] ^= 1 << bit;
            if let Ok(entries) = unpack(&blob.into()) {
                for (entry, (key, payload)) in entries.iter().zip(&records) {
                    prop_assert_eq!(entry.key, *key);
                    prop_assert_eq!(entry.sound, entry.payload == payload);
                }
                prop_assert_eq!(entries.iter().filter(|entry| !entry.sound).count(), 1);
            }
        }

        #[test]
        fn a_torn_blob_never_panics(records in records(), keep in any::<prop::sample::Index>()) {
            let mut blob = packed(&records);
            blob.truncate(keep.index(blob.len()));
            if let Ok(entries) = unpack(&blob.into()) {
                prop_assert!(entries.iter().any(|entry| !entry.sound));
            }
        }

        #[test]
        fn noise_never_panics(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            let _entries = unpack(&blob.into());
        }
    }
}
