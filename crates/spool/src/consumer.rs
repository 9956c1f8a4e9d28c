//! The one who takes records out of a queue: oldest first, again and again until each is settled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::TryStreamExt as _;

use crate::dead::Burial;
use crate::error::SpoolError;
use crate::group::Settlement;
use crate::queue::{Queue, Seq, time};
use crate::segment::{self, Entry};
use crate::spool::Pending;
use crate::writer::{Command, bit};

/// Most segments loaded by one read. A segment holds one record at least.
const READ_SEGMENTS_MAX: usize = 1_000;

/// How much to claim at once.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Most records.
    pub records: usize,
    /// Payload bytes after which no further record is added; the first is always given.
    pub bytes: usize,
    /// Most records that one which was given out so often before is given out with, itself among them: so that few suffer from
    /// a neighbour. The first is always given.
    pub together: fn(attempts: u32) -> usize,
}

/// A record given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its number in the queue.
    pub seq: Seq,
    /// The key it was appended with.
    pub key: u64,
    /// How often it was given out before without being settled.
    pub attempts: u32,
    /// When it was appended.
    pub appended_at: SystemTime,
    /// The bytes.
    pub payload: Bytes,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Handled: it is deleted.
    Ack,
    /// Not handled: it stays where it is, with one more attempt.
    Retry,
    /// It cannot be handled: it is put with the dead.
    Dead {
        /// Why, for the operator.
        reason: String,
    },
}

#[derive(Debug)]
struct Loaded {
    records: Vec<Entry>,
    appended_at: i64,
    /// One bit a record; a set bit is settled.
    done: Vec<u8>,
    /// Records not settled.
    left: usize,
    /// `done` was stored.
    stored: bool,
}

/// The consumer of a queue. Dropping it leaves what it did not settle to the next.
#[derive(Debug)]
pub struct Consumer {
    queue: Queue,
    /// Segments that are not wholly settled, by the number of their first record.
    loaded: BTreeMap<i64, Loaded>,
    /// First number that was not loaded.
    next: i64,
    /// As found at the beginning; taken when the segment is loaded.
    partial: BTreeMap<i64, Vec<u8>>,
    attempts: BTreeMap<i64, u32>,
    claimed_to: i64,
    /// Damage found while loading, to be stored with the next settlement.
    found: Settlement,
    pending: Option<Pending<()>>,
    /// Records that were put with the dead.
    buried: u64,
}

impl Consumer {
    pub(crate) async fn open(queue: Queue) -> Result<Self, SpoolError> {
        if queue.state.consumed.swap(true, Ordering::AcqRel) {
            return Err(SpoolError::Consumed(queue.state.name.clone()));
        }
        let mut consumer = Self {
            queue,
            loaded: BTreeMap::new(),
            next: 0,
            partial: BTreeMap::new(),
            attempts: BTreeMap::new(),
            claimed_to: 0,
            found: Settlement::default(),
            pending: None,
            buried: 0,
        };
        let state = Arc::clone(&consumer.queue.state);
        let recovered = consumer.queue.shared.ask(|answer| Command::Recover { queue: state, answer }).await?;
        consumer.partial = recovered.partial;
        consumer.attempts = recovered.attempts;
        Ok(consumer)
    }

    /// The queue it consumes.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Records that wait, those given out and not settled among them.
    pub fn backlog(&self) -> u64 {
        self.queue.state.waiting.load(Ordering::Relaxed)
    }

    /// Waits until at least `records` wait.
    pub async fn backlog_of(&self, records: u64) {
        while self.backlog() < records {
            self.queue.state.appended.notified().await;
        }
    }

    /// The oldest records that are not settled. Claiming again without settling gives the same ones again. Before
    /// they are given out, it is stored that they were. Errors leave the consumer unusable: drop it.
    pub async fn claim(&mut self, limit: Limit) -> Result<Vec<Claimed>, SpoolError> {
        self.load(limit).await?;
        let batch = self.batch(limit);
        let to = batch.last().map_or(0, |claimed| claimed.seq.0);
        if to > self.claimed_to {
            let queue = Arc::clone(&self.queue.state);
            let claim = self.queue.shared.send(|answer| Command::Claim { queue, to, answer }).await?;
            self.flush().await?;
            claim.answer(&self.queue.shared.health).await?;
            self.claimed_to = to;
        } else {
            self.flush().await?;
        }
        Ok(batch)
    }

    /// Settles records that were claimed. It is on its way to the disk when this returns, and on it when the next
    /// [`Consumer::claim`] or [`Consumer::flush`] returns.
    pub async fn settle(&mut self, outcomes: Vec<(Seq, Outcome)>) -> Result<(), SpoolError> {
        let mut settlement = self.found.take();
        let mut touched = Vec::new();
        for (Seq(seq), outcome) in outcomes {
            let Some((first, segment)) = self.loaded.range_mut(..=seq).next_back() else { continue };
            let Ok(index) = usize::try_from(seq - first) else { continue };
            if index >= segment.records.len() || segment.is_done(index) {
                continue;
            }
            if outcome == Outcome::Retry {
                let count = self.attempts.entry(seq).or_default();
                *count = count.saturating_add(1);
                settlement.attempts.push((seq, *count));
                continue;
            }
            let attempts = self.attempts.remove(&seq);
            if attempts.is_some() {
                settlement.attempts_over.push(seq);
            }
            if let Outcome::Dead { reason } = outcome {
                settlement.burials.extend(segment.burial(index, attempts.unwrap_or(0), reason));
            }
            segment.done(index);
            settlement.records += 1;
            if touched.last() != Some(first) {
                touched.push(*first);
            }
        }
        self.close_segments(touched, &mut settlement);
        self.send(settlement).await
    }

    /// How many records this consumer has put with the dead, damaged ones too. They are on disk after the next
    /// [`Consumer::flush`].
    pub fn buried(&self) -> u64 {
        self.buried
    }

    /// Waits until everything settled so far is on disk.
    pub async fn flush(&mut self) -> Result<(), SpoolError> {
        match self.pending.take() {
            Some(pending) => pending.answer(&self.queue.shared.health).await,
            None => Ok(()),
        }
    }

    /// An orderly end: what is out and not settled is left to the next consumer without counting as an attempt.
    pub async fn release(mut self) -> Result<(), SpoolError> {
        self.flush().await?;
        let queue = Arc::clone(&self.queue.state);
        self.queue.shared.ask(|answer| Command::Claim { queue, to: 0, answer }).await
    }

    async fn send(&mut self, settlement: Settlement) -> Result<(), SpoolError> {
        if settlement.is_empty() {
            return Ok(());
        }
        self.buried += u64::try_from(settlement.burials.len()).unwrap_or(u64::MAX);
        self.flush().await?;
        let queue = Arc::clone(&self.queue.state);
        let sent = self.queue.shared.send(|answer| Command::Settle { queue, settlement, answer }).await?;
        self.pending = Some(sent);
        Ok(())
    }

    fn close_segments(&mut self, mut touched: Vec<i64>, settlement: &mut Settlement) {
        touched.sort_unstable();
        touched.dedup();
        for first in touched {
            let Some(segment) = self.loaded.get_mut(&first) else { continue };
            if segment.left > 0 {
                segment.stored = true;
                settlement.partial.push((first, segment.done.clone()));
                continue;
            }
            if segment.stored {
                settlement.partial_over.push(first);
            }
            settlement.settle_segment(first, first + segment.len());
            self.loaded.remove(&first);
        }
    }

    /// Loads until there is enough for one batch, or all there is.
    async fn load(&mut self, limit: Limit) -> Result<(), SpoolError> {
        let mut records: usize = self.loaded.values().map(|segment| segment.left).sum();
        let mut bytes: usize = self.loaded.values().map(Loaded::bytes).sum();
        let end = self.queue.state.end.load(Ordering::Acquire);
        if self.next >= end || records >= limit.records || bytes >= limit.bytes {
            return Ok(());
        }
        let mut damage = Vec::new();
        let mut rows = sqlx::query_as::<_, (i64, i64, i64, Vec<u8>)>(self.queue.state.sql.read())
            .bind(self.next)
            .bind(i64::try_from((limit.records - records).min(READ_SEGMENTS_MAX)).unwrap_or(1))
            .fetch(&self.queue.shared.reader);
        while records < limit.records && bytes < limit.bytes {
            let row = rows.try_next().await.map_err(|error| self.queue.shared.health.judge(error))?;
            let Some((first, count, appended_at, blob)) = row else { break };
            self.next = first + count;
            let blob = Bytes::from(blob);
            let entries =
                segment::unpack(&blob).ok().filter(|entries| i64::try_from(entries.len()) == Ok(count));
            let Some(entries) = entries else {
                damage.push((first, count, appended_at, blob));
                continue;
            };
            let segment = Loaded::new(entries, appended_at, self.partial.remove(&first));
            records += segment.left;
            bytes += segment.bytes();
            self.loaded.insert(first, segment);
        }
        drop(rows);
        self.set_aside(damage).await
    }

    /// Puts damaged records and whole damaged segments with the dead.
    async fn set_aside(&mut self, damage: Vec<(i64, i64, i64, Bytes)>) -> Result<(), SpoolError> {
        for (first, count, appended_at, payload) in damage {
            let reason = format!("damaged on disk: a segment of {count} records whose index cannot be read");
            self.found.burials.push(Burial { key: 0, attempts: 0, reason, appended_at, payload });
            self.found.settle_segment(first, first + count);
            self.found.touched_to = first + count - 1;
            self.found.records += count.unsigned_abs();
            if self.partial.remove(&first).is_some() {
                self.found.partial_over.push(first);
            }
        }
        let unsound = |(first, segment): (&i64, &Loaded)| {
            let first = *first;
            let indexes = 0_i64..;
            let records = indexes.zip(&segment.records).filter(|(_, record)| !record.sound);
            let seqs =
                records.filter(|(index, _)| !bit(&segment.done, *index)).map(|(index, _)| Seq(first + index));
            seqs.collect::<Vec<_>>()
        };
        let unsound: Vec<Seq> = self.loaded.iter().flat_map(unsound).collect();
        if unsound.is_empty() && self.found.is_empty() {
            return Ok(());
        }
        let dead =
            |seq| (seq, Outcome::Dead { reason: "damaged on disk: the checksum does not match".to_owned() });
        self.settle(unsound.into_iter().map(dead).collect()).await
    }

    fn batch(&self, limit: Limit) -> Vec<Claimed> {
        let mut batch: Vec<Claimed> = Vec::new();
        let (mut bytes, mut most) = (0, limit.records);
        for (first, segment) in &self.loaded {
            for (index, record) in (0_i64..).zip(&segment.records) {
                if bit(&segment.done, index) {
                    continue;
                }
                let seq = first + index;
                let attempts = self.attempts.get(&seq).copied().unwrap_or(0);
                most = most.min((limit.together)(attempts));
                if !batch.is_empty() && (batch.len() >= most || bytes >= limit.bytes) {
                    return batch;
                }
                bytes += record.payload.len();
                batch.push(Claimed {
                    seq: Seq(seq),
                    key: record.key,
                    attempts,
                    appended_at: time(segment.appended_at),
                    payload: record.payload.clone(),
                });
            }
        }
        batch
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.queue.state.consumed.store(false, Ordering::Release);
    }
}

impl Loaded {
    fn new(records: Vec<Entry>, appended_at: i64, partial: Option<Vec<u8>>) -> Self {
        let stored = partial.is_some();
        let mut done = partial.unwrap_or_default();
        done.resize(records.len().div_ceil(8), 0);
        let settled = (0_i64..).take(records.len()).filter(|index| bit(&done, *index)).count();
        let left = records.len() - settled;
        Self { records, appended_at, done, left, stored }
    }

    fn len(&self) -> i64 {
        i64::try_from(self.records.len()).expect("bounded by the size of a commit")
    }

    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.payload.len()).sum()
    }

    fn is_done(&self, index: usize) -> bool {
        self.done.get(index / 8).is_none_or(|byte| byte & (1 << (index % 8)) != 0)
    }

    fn done(&mut self, index: usize) {
        if let Some(byte) = self.done.get_mut(index / 8) {
            *byte |= 1 << (index % 8);
            self.left -= 1;
        }
    }

    fn burial(&self, index: usize, attempts: u32, reason: String) -> Option<Burial> {
        let record = self.records.get(index)?;
        let payload = record.payload.clone();
        Some(Burial { key: record.key, attempts, reason, appended_at: self.appended_at, payload })
    }
}
