//! Who of a service works on which of its shards: fair shares by lease, alike for every backend.

use std::collections::BTreeMap;
use std::time::Duration;

use values::Timestamp;

use crate::error::Error;
use crate::rows::{signed, timestamp, unsigned};

/// The clocks of members may differ by this much: what one has let expire, another takes only so much later.
pub const CLOCKS_DIFFER_MAX: Duration = Duration::from_secs(5);

/// The right to work on a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardLease {
    /// Which.
    pub index: u32,
    /// Higher than that of every holder before.
    pub fence: u64,
    /// It ends then, by the clock of who asked: work has to have stopped by then.
    pub until: Timestamp,
}

/// What a member has of the shards of its service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Share {
    /// All it holds, by index, those to be given up among them.
    pub held: Vec<ShardLease>,
    /// Those of them that others should have: their leases were not renewed. Work on them is to be stopped, then they are to be
    /// released.
    pub surplus: Vec<u32>,
}

/// A number of shards as it is stored.
pub(crate) fn shard_count(stored: i64) -> Result<u32, Error> {
    u32::try_from(stored).map_err(|_| Error::damaged("shard_count", stored))
}

/// Member, until.
pub(crate) type MemberColumns = (String, i64);
/// Shard, member, fence, until.
pub(crate) type LeaseColumns = (i64, String, i64, i64);

/// All that is stored of the shards of a service.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    members: BTreeMap<String, Timestamp>,
    leases: BTreeMap<u32, Lease>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Lease {
    member: String,
    fence: u64,
    until: Timestamp,
}

impl Shards {
    pub(crate) fn load(members: Vec<MemberColumns>, leases: Vec<LeaseColumns>) -> Result<Self, Error> {
        let members = members.into_iter().map(|(member, until)| (member, timestamp(until))).collect();
        let leases = leases
            .into_iter()
            .map(|(shard, member, fence, until)| {
                let index = u32::try_from(shard).map_err(|_| Error::damaged("shard", shard))?;
                let fence = unsigned("fence", fence)?;
                Ok((index, Lease { member, fence, until: timestamp(until) }))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { members, leases })
    }

    pub(crate) fn member_columns(&self) -> Vec<MemberColumns> {
        self.members.iter().map(|(member, until)| (member.clone(), until.micros())).collect()
    }

    pub(crate) fn lease_columns(&self) -> Vec<LeaseColumns> {
        let columns = |(index, lease): (&u32, &Lease)| {
            (i64::from(*index), lease.member.clone(), signed(lease.fence), lease.until.micros())
        };
        self.leases.iter().map(columns).collect()
    }

    /// The member is there, and is given what it should have: its own as far as they are not too many, then what is free.
    pub(crate) fn share(&mut self, count: u32, member: &str, now: Timestamp, lasts: Duration) -> Share {
        let until = now + lasts;
        self.members.retain(|_, until| *until + CLOCKS_DIFFER_MAX > now);
        self.members.insert(member.to_owned(), until);
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        let fair = count.div_ceil(members);
        let mut share = Share::default();
        let mut wanted = fair;
        for index in 0..count {
            let Some(lease) = self.leases.get_mut(&index).filter(|lease| lease.is_of(member, now)) else {
                continue;
            };
            if wanted > 0 {
                wanted -= 1;
                // A clock that was set back ends no lease before its time.
                lease.until = lease.until.max(until);
            } else {
                share.surplus.push(index);
            }
            share.held.push(ShardLease { index, fence: lease.fence, until: lease.until });
        }
        let free = (0..count)
            .filter(|index| self.leases.get(index).is_none_or(|lease| lease.is_free_for(member, now)));
        for index in free.take(usize::try_from(wanted).unwrap_or(usize::MAX)).collect::<Vec<_>>() {
            let fence = self.leases.get(&index).map_or(0, |lease| lease.fence) + 1;
            self.leases.insert(index, Lease { member: member.to_owned(), fence, until });
            share.held.push(ShardLease { index, fence, until });
        }
        share.held.sort_unstable_by_key(|lease| lease.index);
        share
    }

    /// The member is about to go: it counts no longer, and is given nothing. What it holds it keeps until it has released it.
    pub(crate) fn leave(&mut self, member: &str, now: Timestamp, lasts: Duration) -> Vec<ShardLease> {
        self.members.remove(member);
        let own = self.leases.iter_mut().filter(|(_, lease)| lease.is_of(member, now));
        let kept = own.map(|(index, lease)| {
            lease.until = lease.until.max(now + lasts);
            ShardLease { index: *index, fence: lease.fence, until: lease.until }
        });
        kept.collect()
    }

    /// The member holds these no longer. One that gives up its last is gone, until it asks for its share again.
    pub(crate) fn release(&mut self, member: &str, indexes: &[u32]) {
        let mut released = false;
        for index in indexes {
            if let Some(lease) = self.leases.get_mut(index).filter(|lease| lease.member == member) {
                lease.member.clear();
                lease.until = Timestamp::from_micros(0);
                released = true;
            }
        }
        if released && self.leases.values().all(|lease| lease.member != member) {
            self.members.remove(member);
        }
    }
}

impl Lease {
    fn is_of(&self, member: &str, now: Timestamp) -> bool {
        self.member == member && self.until > now
    }

    /// Its holder knows that it has stopped; another waits until the holder's clock must have come that far.
    fn is_free_for(&self, member: &str, now: Timestamp) -> bool {
        let differ = if self.member == member { Duration::ZERO } else { CLOCKS_DIFFER_MAX };
        self.member.is_empty() || self.until + differ <= now
    }
}

#[cfg(test)]
mod tests;
