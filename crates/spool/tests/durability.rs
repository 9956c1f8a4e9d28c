//! What the spool promises: nothing acknowledged is lost, order holds, attempts are counted, damage is confined.
#![expect(clippy::unwrap_used, reason = "test code")]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use onhand_spool::{
    Claimed, Consumer, DeadId, Limit, OpenError, Options, Outcome, Queue, Record, Spool, SpoolError, open,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::task::JoinHandle;

#[path = "durability/model.rs"]
mod model;

const ALL: Limit = Limit { records: 1_000, bytes: usize::MAX, together: |_| usize::MAX };

/// A spool whose process may die at any time: the next one starts from what the files held at that moment.
struct Process {
    folder: TempDir,
    spool: Spool,
    running: JoinHandle<Result<(), SpoolError>>,
}

impl Process {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Self {
        let (spool, running) = run(Options::at(folder.path().join("spool.db"))).await;
        Self { folder, spool, running }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("spool.db")
    }

    /// What `kill -9` leaves: the files as they are now, with nobody having closed them.
    async fn killed(self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["spool.db", "spool.db-wal"] {
            std::fs::copy(self.folder.path().join(name), folder.path().join(name)).unwrap();
        }
        Self::start_in(folder).await
    }

    /// An orderly end and a new start.
    async fn restarted(self) -> Self {
        drop(self.spool);
        self.running.await.unwrap().unwrap();
        Self::start_in(self.folder).await
    }

    async fn queue(&self) -> Queue {
        self.spool.queue("orders").await.unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "test code")]
async fn run(options: Options) -> (Spool, JoinHandle<Result<(), SpoolError>>) {
    let (spool, writer) = open(options).await.unwrap();
    (spool, tokio::spawn(writer.run()))
}

async fn append(queue: &Queue, keys: impl IntoIterator<Item = u64>) {
    let record = |key: u64| Record { key, payload: key.to_le_bytes().to_vec().into() };
    queue.append_all(keys.into_iter().map(record).collect()).await.unwrap();
}

fn keys(batch: &[Claimed]) -> Vec<u64> {
    batch.iter().map(|claimed| claimed.key).collect()
}

async fn settle(consumer: &mut Consumer, batch: &[Claimed], outcome: &Outcome) {
    let outcomes = batch.iter().map(|claimed| (claimed.seq, outcome.clone())).collect();
    consumer.settle(outcomes).await.unwrap();
    consumer.flush().await.unwrap();
}

async fn look(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

#[tokio::test]
async fn what_was_appended_survives_and_keeps_its_order() {
    let process = Process::start().await;
    let queue = process.queue().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..20_u64 {
        let queue = queue.clone();
        tasks.spawn(async move {
            for number in 0..20 {
                append(&queue, [task * 100 + number]).await;
            }
        });
    }
    tasks.join_all().await;
    let process = process.killed().await;
    let queue = process.queue().await;
    assert_eq!(queue.depth().await.unwrap().records, 400);
    let batch = queue.consumer().await.unwrap().claim(ALL).await.unwrap();
    assert_eq!(batch.len(), 400);
    for task in 0..20 {
        let of_task: Vec<u64> = keys(&batch).into_iter().filter(|key| key / 100 == task).collect();
        assert_eq!(of_task, (task * 100..task * 100 + 20).collect::<Vec<_>>());
    }
    assert!(batch.iter().all(|claimed| claimed.payload == claimed.key.to_le_bytes().as_slice()));
}

#[tokio::test]
async fn an_append_returns_after_its_commit_and_not_before() {
    let process = Process::start().await;
    let queue = process.queue().await;
    let mut other = look(&process.path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut appending = Box::pin(append(&queue, [1]));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut appending).await;
    assert!(early.is_err(), "nobody can commit while another holds the lock");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    appending.await;
    let stored: i64 =
        sqlx::query_scalar("SELECT sum(records) FROM queue_1").fetch_one(&mut other).await.unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn queues_do_not_see_each_other() {
    let process = Process::start().await;
    let (orders, levels) = (process.queue().await, process.spool.queue("levels").await.unwrap());
    append(&orders, [1, 2]).await;
    append(&levels, [3]).await;
    let batch = levels.consumer().await.unwrap().claim(ALL).await.unwrap();
    assert_eq!(keys(&batch), [3]);
    assert_eq!(process.spool.queues().await.unwrap(), ["levels", "orders"]);
}

#[tokio::test]
async fn settled_records_are_gone_and_the_rest_is_given_out_again() {
    let process = Process::start().await;
    let queue = process.queue().await;
    append(&queue, 0..10).await;
    append(&queue, 10..20).await;
    let mut consumer = queue.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    assert_eq!(keys(&batch), (0..20).collect::<Vec<_>>());
    settle(&mut consumer, &batch[..3], &Outcome::Ack).await;
    settle(&mut consumer, &batch[5..12], &Outcome::Ack).await;
    let expected: Vec<u64> = [3, 4].into_iter().chain(12..20).collect();
    assert_eq!(keys(&consumer.claim(ALL).await.unwrap()), expected);
    drop((queue, consumer));

    let process = process.restarted().await;
    let queue = process.queue().await;
    assert_eq!(queue.depth().await.unwrap().records, 10);
    let mut consumer = queue.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    assert_eq!(keys(&batch), expected);
    settle(&mut consumer, &batch, &Outcome::Ack).await;
    drop((queue, consumer));

    let process = process.restarted().await;
    let queue = process.queue().await;
    assert_eq!(queue.depth().await.unwrap().records, 0);
    assert_eq!(queue.depth().await.unwrap().oldest, None);
    append(&queue, [77]).await;
    let batch = queue.consumer().await.unwrap().claim(ALL).await.unwrap();
    assert_eq!((keys(&batch), batch[0].attempts), (vec![77], 0));
}

#[tokio::test]
async fn a_crash_counts_as_an_attempt_of_what_was_given_out() {
    let mut process = Process::start().await;
    append(&process.queue().await, 0..10).await;
    for crash in 0..3_u32 {
        let mut consumer = process.queue().await.consumer().await.unwrap();
        let batch = consumer.claim(Limit { records: 4, ..ALL }).await.unwrap();
        assert_eq!(batch.iter().map(|claimed| claimed.attempts).collect::<Vec<_>>(), [crash; 4]);
        process = process.killed().await;
    }
    let mut consumer = process.queue().await.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    let attempts: Vec<u32> = batch.iter().map(|claimed| claimed.attempts).collect();
    assert_eq!(attempts, [3, 3, 3, 3, 0, 0, 0, 0, 0, 0]);
    settle(&mut consumer, &batch[..1], &Outcome::Retry).await;
    assert_eq!(consumer.claim(ALL).await.unwrap()[0].attempts, 4);
}

#[tokio::test]
async fn an_orderly_end_is_no_attempt() {
    let process = Process::start().await;
    let queue = process.queue().await;
    append(&queue, 0..3).await;
    let mut consumer = queue.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    consumer.settle(vec![(batch[0].seq, Outcome::Ack)]).await.unwrap();
    consumer.release().await.unwrap();
    drop(queue);
    let process = process.killed().await;
    let batch = process.queue().await.consumer().await.unwrap().claim(ALL).await.unwrap();
    assert_eq!(
        batch.iter().map(|claimed| (claimed.key, claimed.attempts)).collect::<Vec<_>>(),
        [(1, 0), (2, 0)]
    );
}

#[tokio::test]
async fn what_failed_before_is_given_out_alone() {
    let process = Process::start().await;
    let queue = process.queue().await;
    append(&queue, 0..5).await;
    let mut consumer = queue.consumer().await.unwrap();
    let limit = Limit { together: |attempts| if attempts < 2 { usize::MAX } else { 1 }, ..ALL };
    for _ in 0..2 {
        let batch = consumer.claim(limit).await.unwrap();
        let third = batch.iter().find(|claimed| claimed.key == 2).unwrap();
        settle(&mut consumer, std::slice::from_ref(third), &Outcome::Retry).await;
    }
    let mut batches = Vec::new();
    loop {
        let batch = consumer.claim(limit).await.unwrap();
        if batch.is_empty() {
            break;
        }
        batches.push(keys(&batch));
        settle(&mut consumer, &batch, &Outcome::Ack).await;
    }
    assert_eq!(batches, [vec![0, 1], vec![2], vec![3, 4]]);
}

#[tokio::test]
async fn batches_are_bounded_in_records_and_bytes() {
    let process = Process::start().await;
    let queue = process.queue().await;
    for key in 0..6 {
        queue.append(key, vec![0; 1_000]).await.unwrap();
    }
    let mut consumer = queue.consumer().await.unwrap();
    assert_eq!(consumer.claim(Limit { records: 2, ..ALL }).await.unwrap().len(), 2);
    assert_eq!(consumer.claim(Limit { bytes: 2_500, ..ALL }).await.unwrap().len(), 3);
    assert_eq!(consumer.claim(Limit { bytes: 1, ..ALL }).await.unwrap().len(), 1, "one record always");
}

#[tokio::test]
async fn the_dead_are_kept_replayed_and_discarded() {
    let process = Process::start().await;
    let queue = process.queue().await;
    append(&queue, 0..4).await;
    let mut consumer = queue.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    settle(&mut consumer, &batch[..1], &Outcome::Retry).await;
    settle(&mut consumer, &batch[..2], &Outcome::Dead { reason: "no such thing".to_owned() }).await;
    drop((queue, consumer));

    let process = process.killed().await;
    let queue = process.queue().await;
    assert_eq!(queue.dead_count().await.unwrap(), 2);
    let dead = queue.dead(None, 10).await.unwrap();
    assert_eq!(dead.iter().map(|dead| (dead.key, dead.attempts)).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
    assert_eq!(
        (dead[0].reason.as_str(), dead[0].payload.as_ref()),
        ("no such thing", 0_u64.to_le_bytes().as_slice())
    );
    assert_eq!(queue.dead(Some(dead[0].id), 10).await.unwrap(), dead[1..]);
    assert_eq!(queue.discard(vec![dead[1].id, DeadId::new(999)]).await.unwrap(), 1);
    assert_eq!(queue.replay(vec![dead[0].id]).await.unwrap(), 1);
    assert_eq!(queue.replay(vec![dead[0].id]).await.unwrap(), 0, "it cannot be replayed twice");
    assert_eq!(queue.dead_count().await.unwrap(), 0);
    let batch = queue.consumer().await.unwrap().claim(ALL).await.unwrap();
    assert_eq!(
        batch.iter().map(|claimed| (claimed.key, claimed.attempts)).collect::<Vec<_>>(),
        [(2, 1), (3, 1), (0, 0)]
    );
}

#[tokio::test]
async fn a_full_spool_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { bytes_max: 2 << 20, ..Options::at(folder.path().join("spool.db")) };
    let (spool, _running) = run(options).await;
    let queue = spool.queue("orders").await.unwrap();
    let mut stored = 0;
    let error = loop {
        match queue.append(stored, vec![1; 100_000]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Full { max: 2_097_152, .. }), "{error}");
    assert!((10..=21).contains(&stored), "{stored}");
    assert!(spool.bytes() <= spool.bytes_max());
    assert!(matches!(spool.probe().await, Err(SpoolError::Full { .. })));
    let mut consumer = queue.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    settle(&mut consumer, &batch, &Outcome::Ack).await;
    queue.append(0, vec![1; 100_000]).await.unwrap();
    spool.probe().await.unwrap();
}

#[tokio::test]
async fn a_damaged_record_is_set_aside_and_its_neighbours_go_on() {
    let process = Process::start().await;
    let queue = process.queue().await;
    append(&queue, 0..3).await;
    append(&queue, 3..6).await;
    append(&queue, 6..9).await;
    let mut file = look(&process.path()).await;
    let blobs: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT first, blob FROM queue_1 ORDER BY first").fetch_all(&mut file).await.unwrap();
    assert_eq!(blobs.len(), 3);
    // The last payload of the first segment, and the index of the second.
    for (number, at) in [(0, blobs[0].1.len() - 1), (1, 9)] {
        let (first, mut blob) = blobs[number].clone();
        blob[at] ^= 1;
        let update = sqlx::query("UPDATE queue_1 SET blob = ?2 WHERE first = ?1").bind(first).bind(blob);
        update.execute(&mut file).await.unwrap();
    }
    file.close().await.unwrap();

    let mut consumer = queue.consumer().await.unwrap();
    let mut seen = Vec::new();
    while consumer.backlog() > 0 {
        let batch = consumer.claim(Limit { records: 2, ..ALL }).await.unwrap();
        seen.extend(keys(&batch));
        settle(&mut consumer, &batch, &Outcome::Ack).await;
    }
    assert_eq!(seen, [0, 1, 6, 7, 8]);
    let reasons: Vec<String> =
        queue.dead(None, 10).await.unwrap().into_iter().map(|dead| dead.reason).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.iter().any(|reason| reason.contains("checksum")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason.contains("3 records")), "{reasons:?}");
}

#[tokio::test]
async fn after_an_io_error_the_file_is_not_touched_again() {
    let process = Process::start().await;
    let queue = process.queue().await;
    append(&queue, [1]).await;
    let mut file = look(&process.path()).await;
    sqlx::query("DROP TABLE queue_1").execute(&mut file).await.unwrap();
    let append = || queue.append(2, vec![2]);
    assert!(matches!(append().await, Err(SpoolError::Abandoned { .. })));
    assert!(matches!(process.running.await.unwrap(), Err(SpoolError::Abandoned { .. })));
    sqlx::query("CREATE TABLE queue_1 (first INTEGER PRIMARY KEY, records, appended_at, blob)")
        .execute(&mut file)
        .await
        .unwrap();
    assert!(matches!(append().await, Err(SpoolError::Abandoned { .. })), "even though it would work again");
    assert!(process.spool.check().is_err());
    assert!(matches!(process.spool.probe().await, Err(SpoolError::Abandoned { .. })));
}

#[tokio::test]
async fn one_process_and_one_consumer_at_a_time() {
    let process = Process::start().await;
    assert!(matches!(open(Options::at(process.path())).await, Err(OpenError::Locked { .. })));
    let queue = process.queue().await;
    let consumer = queue.consumer().await.unwrap();
    assert!(matches!(queue.consumer().await, Err(SpoolError::Consumed(name)) if name == "orders"));
    drop(consumer);
    queue.consumer().await.unwrap();
}

#[tokio::test]
async fn nonsense_is_refused() {
    let process = Process::start().await;
    let queue = process.queue().await;
    let large = queue.append(1, vec![0; (16 << 20) + 1]).await;
    assert!(matches!(large, Err(SpoolError::TooLarge { .. })));
    for name in ["", &"x".repeat(101)] {
        assert!(matches!(process.spool.queue(name).await, Err(SpoolError::QueueRefused { .. })), "{name}");
    }
}

#[tokio::test]
async fn the_oldest_record_tells_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool.db");
    let hour_ago: fn() -> SystemTime = || SystemTime::now() - Duration::from_hours(1);
    let (spool, running) = run(Options { clock: hour_ago, ..Options::at(path.clone()) }).await;
    append(&spool.queue("orders").await.unwrap(), [1]).await;
    drop(spool);
    running.await.unwrap().unwrap();
    let (spool, _running) = run(Options::at(path)).await;
    let depth = spool.queue("orders").await.unwrap().depth().await.unwrap();
    assert!(depth.oldest.unwrap() >= Duration::from_hours(1));
}
