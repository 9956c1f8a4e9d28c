//! The life of a member: asks for its share, renews it, starts and stops the work on its shards, gives them back.

use std::sync::Arc;
use std::time::Duration;

use store::{Share, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use values::Timestamp;

use crate::error::EndedEarly;
use crate::work::{Held, Works};

/// How long a lease lasts. Others wait for as long, and for what clocks may differ, when a process dies.
pub const LEASE: Duration = Duration::from_secs(15);
/// Leases are renewed so many times in their length; what is not renewed stops when as much of it is left.
const RENEWALS: u32 = 3;
/// Work is cut off when this part of its lease is left: cutting off takes a moment, too.
const CUT_PART: u32 = 15;
/// Pause after the database could not be asked, as a part of a lease.
const RETRY_PART: u32 = 15;

/// One process among the replicas of a service.
#[derive(Debug, Clone)]
pub struct Member {
    /// Where the leases are.
    pub store: Arc<Store>,
    /// The service.
    pub service: &'static str,
    /// How many shards it has.
    pub shard_count: u16,
    /// Names this process. The same name after a restart has its shards back at once, so two processes that run at the same
    /// time must not share one.
    pub name: String,
    /// How long a lease lasts: [`LEASE`], unless a test cannot wait for it.
    pub lasts: Duration,
    /// Tells the time that leases are written down in.
    pub clock: fn() -> Timestamp,
}

/// Works on the member's share until `stop`; then waits for the work to end and gives the shards back. `start` makes the
/// work on a shard, which ends soon after [`Held::stop`] is cancelled and not before; if it does end before, everything is
/// stopped and this returns the reason.
pub async fn run<E, F>(
    member: Member,
    mut start: impl FnMut(Held) -> F,
    stop: CancellationToken,
) -> Result<(), EndedEarly<E>>
where
    E: std::error::Error + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
{
    let works = Works::new(member.service, member.lasts / RENEWALS, member.lasts / CUT_PART);
    let mut life = Life { member, works, ask_at: Instant::now() };
    let mut outcome = Ok(());
    while outcome.is_ok() && !stop.is_cancelled() {
        outcome = life.step(&mut start, &stop).await;
    }
    life.works.stop_all();
    life.leave().await;
    while !life.works.is_empty() {
        let ended = life.next_end().await;
        outcome = outcome.and(ended);
    }
    outcome
}

struct Life<E> {
    member: Member,
    works: Works<E>,
    ask_at: Instant,
}

impl<E: std::error::Error + Send + 'static> Life<E> {
    /// Waits for the next thing to happen, and deals with it.
    async fn step<F>(
        &mut self,
        start: &mut impl FnMut(Held) -> F,
        stop: &CancellationToken,
    ) -> Result<(), EndedEarly<E>>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let deadline = self.works.next_deadline();
        let ask_at = self.ask_at;
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some((index, ended)) = self.works.ended() => {
                self.give_back(index).await;
                return ended;
            }
            () = until(deadline) => self.stop_overdue(),
            () = tokio::time::sleep_until(ask_at) => self.ask(start).await,
        }
        Ok(())
    }

    /// Like a step, when nothing new is begun any more.
    async fn next_end(&mut self) -> Result<(), EndedEarly<E>> {
        let deadline = self.works.next_deadline();
        tokio::select! {
            biased;
            Some((index, ended)) = self.works.ended() => {
                self.give_back(index).await;
                return ended;
            }
            () = until(deadline) => self.stop_overdue(),
            () = tokio::time::sleep_until(self.ask_at) => self.leave().await,
        }
        Ok(())
    }

    fn stop_overdue(&mut self) {
        for index in self.works.stop_overdue(Instant::now()) {
            tracing::warn!(
                service = self.member.service,
                shard = index,
                "the lease of a shard could not be renewed: work on it stops, another replica may go on with it"
            );
        }
    }

    /// Asks for the share. Bounded, so that work whose lease ends is stopped in time whatever the database does.
    async fn ask<F>(&mut self, start: &mut impl FnMut(Held) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let Member { store, service, shard_count, name, lasts, clock } = &self.member;
        // From before it was asked for: the lease ends no later than that.
        let asked = Instant::now();
        let asking = store.share_shards(service, u32::from(*shard_count), name, clock(), *lasts);
        // Until the first work has to be stopped, or as long as a renewal may take.
        let patience = (asked + *lasts / RENEWALS).min(self.works.next_deadline().unwrap_or(asked + *lasts));
        match tokio::time::timeout_at(patience, asking).await {
            Ok(Ok(share)) => {
                self.ask_at = asked + *lasts / RENEWALS;
                let until = asked + *lasts;
                self.take(&share, until, start);
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    service,
                    error = process::error_chain(&error),
                    "cannot ask which shards to work on"
                );
                self.ask_at = Instant::now() + *lasts / RETRY_PART;
            }
            Err(_elapsed) => {
                tracing::warn!(service, "the database does not say in time which shards to work on");
                self.ask_at = Instant::now() + *lasts / RETRY_PART;
            }
        }
    }

    fn take<F>(&mut self, share: &Share, until: Instant, start: &mut impl FnMut(Held) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let count = self.member.shard_count;
        let indexed = share.held.iter().filter_map(|lease| {
            let index = u16::try_from(lease.index).ok().filter(|index| *index < count)?;
            Some((index, lease))
        });
        for (index, lease) in indexed {
            if share.surplus.contains(&lease.index) {
                self.works.stop(index);
                continue;
            }
            match self.works.fence(index) {
                Some(fence) if fence == lease.fence => self.works.renewed(index, until),
                // It was away in between, and another may have had it: what runs ends first, the next asking starts anew.
                Some(_) => self.works.stop(index),
                None => {
                    let held = Held { index, fence: lease.fence, stop: CancellationToken::new() };
                    tracing::info!(service = self.member.service, shard = index, "works on a shard");
                    self.works.start(held.clone(), until, start(held));
                }
            }
        }
        let lost =
            (0..count).filter(|index| !share.held.iter().any(|lease| lease.index == u32::from(*index)));
        lost.for_each(|index| self.works.stop(index));
    }

    /// Says that this member counts no longer, and renews the leases of what has yet to end.
    async fn leave(&mut self) {
        let Member { store, service, shard_count, name, lasts, clock } = &self.member;
        let asked = Instant::now();
        let leaving = store.leave_shards(service, u32::from(*shard_count), name, clock(), *lasts);
        let patience = asked + *lasts / RETRY_PART;
        let patience = self.works.next_deadline().map_or(patience, |deadline| patience.min(deadline));
        match tokio::time::timeout_at(patience, leaving).await {
            Ok(Ok(kept)) => {
                for lease in &kept {
                    let index = u16::try_from(lease.index).ok();
                    if let Some(index) = index.filter(|index| self.works.fence(*index) == Some(lease.fence)) {
                        self.works.renewed(index, asked + *lasts);
                    }
                }
                self.ask_at = asked + *lasts / RENEWALS;
                return;
            }
            Ok(Err(error)) => tracing::warn!(
                service,
                error = process::error_chain(&error),
                "cannot say that this process stops working on shards"
            ),
            Err(_elapsed) => {
                tracing::warn!(service, "cannot say in time that this process stops working on shards");
            }
        }
        self.ask_at = Instant::now() + *lasts / RETRY_PART;
    }

    /// The work on it has ended. If that cannot be said the lease ends by itself.
    async fn give_back(&mut self, index: u16) {
        let Member { store, service, shard_count, name, lasts, .. } = &self.member;
        tracing::info!(service, shard = index, "works on a shard no more");
        let indexes = [u32::from(index)];
        let releasing = store.release_shards(service, u32::from(*shard_count), name, &indexes);
        let patience = Instant::now() + *lasts / RETRY_PART;
        let patience = self.works.next_deadline().map_or(patience, |deadline| patience.min(deadline));
        match tokio::time::timeout_at(patience, releasing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    service,
                    shard = index,
                    error = process::error_chain(&error),
                    "cannot give a shard back"
                );
            }
            Err(_elapsed) => tracing::warn!(service, shard = index, "cannot give a shard back in time"),
        }
    }
}

/// Never, if there is no deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
