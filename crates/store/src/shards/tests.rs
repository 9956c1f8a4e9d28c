//! Fair shares among members that come, die, stop and have clocks of their own.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

const LASTS: Duration = Duration::from_secs(15);
const SHARDS: u32 = 8;
const MEMBERS: u64 = 5;
const STEPS: u64 = 4_000;

/// A member as it knows itself.
#[derive(Debug, Default, Clone)]
struct Member {
    /// What its clock is ahead by, in milliseconds.
    ahead_ms: u64,
    held: Vec<ShardLease>,
}

impl Member {
    fn now(&self, real_ms: u64) -> Timestamp {
        Timestamp::from_seconds(1_000) + Duration::from_millis(real_ms + self.ahead_ms)
    }

    /// What it works on: it stops as soon as its lease has ended by its clock.
    fn works_on(&self, real_ms: u64) -> impl Iterator<Item = u32> {
        let now = self.now(real_ms);
        self.held.iter().filter(move |lease| lease.until > now).map(|lease| lease.index)
    }
}

/// Whatever members do, and though their clocks differ by as much as they may, no shard is worked on by two.
#[test]
fn no_shard_is_worked_on_by_two() {
    for seed in 0..20 {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut below = |limit: u64| random.next_u64() % limit;
        let clocks = CLOCKS_DIFFER_MAX.as_millis().try_into().unwrap_or(u64::MAX);
        let mut members = vec![Member::default(); usize::try_from(MEMBERS).unwrap()];
        for member in &mut members {
            member.ahead_ms = below(clocks + 1);
        }
        let mut shards = Shards::default();
        let mut fences: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut real_ms = 0;
        for step in 0..STEPS {
            real_ms += below(2_000);
            let who = below(MEMBERS);
            let name = format!("member {who}");
            let member = &mut members[usize::try_from(who).unwrap()];
            let now = member.now(real_ms);
            match below(10) {
                // It is silent: dead, or cut off.
                0..4 => {}
                4 => {
                    let all: Vec<u32> = member.held.iter().map(|lease| lease.index).collect();
                    member.held.clear();
                    shards.release(&name, &all);
                }
                _ => {
                    let share = shards.share(SHARDS, &name, now, LASTS);
                    member.held = share.held;
                    for lease in &member.held {
                        let (fence, holder) = fences.entry(lease.index).or_insert((lease.fence, who));
                        assert!(
                            lease.fence > *fence || (lease.fence, who) == (*fence, *holder),
                            "seed {seed}, step {step}"
                        );
                        (*fence, *holder) = (lease.fence, who);
                    }
                    member.held.retain(|lease| !share.surplus.contains(&lease.index));
                    shards.release(&name, &share.surplus);
                }
            }
            let mut worked: Vec<u32> = members.iter().flat_map(|member| member.works_on(real_ms)).collect();
            let count = worked.len();
            worked.sort_unstable();
            worked.dedup();
            assert_eq!(worked.len(), count, "seed {seed}, step {step}: two work on one shard");
        }
    }
}

/// However many there are, after two rounds every shard has somebody, and nobody more than a fair part.
#[test]
fn shares_become_fair() {
    for count in 1..=20_u32 {
        for members in 1..=7_usize {
            let mut shards = Shards::default();
            let mut now = Timestamp::from_seconds(1_000);
            let names: Vec<String> = (0..members).map(|number| format!("member {number}")).collect();
            let mut held = BTreeMap::new();
            for _ in 0..3 {
                for name in &names {
                    now = now + Duration::from_millis(100);
                    let share = shards.share(count, name, now, LASTS);
                    shards.release(name, &share.surplus);
                    held.insert(name, share.held.len() - share.surplus.len());
                }
            }
            let all: usize = held.values().sum();
            assert_eq!(all, usize::try_from(count).unwrap(), "{members} share {count}: {held:?}");
            let most = held.values().copied().max().unwrap_or_default();
            assert!(
                most <= usize::try_from(count).unwrap().div_ceil(members),
                "{members} share {count}: {held:?}"
            );
        }
    }
}
