//! What only the writer's own connection can bring about: a disk without room.

use crate::{Limit, Options, Outcome, SpoolError, open};

const ALL: Limit = Limit { records: 100, bytes: usize::MAX, together: |_| usize::MAX };

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "test code")]
async fn a_full_disk_changes_nothing_and_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, mut writer) = open(Options::at(folder.path().join("spool.db"))).await.unwrap();
    sqlx::query("PRAGMA max_page_count = 40").execute(&mut writer.connection).await.unwrap();
    let running = tokio::spawn(writer.run());
    let queue = spool.queue("orders").await.unwrap();
    let mut stored = 0;
    let error = loop {
        match queue.append(stored, vec![7; 100_000]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::DiskFull), "{error}");
    assert!(stored > 3, "{stored}");
    assert!(matches!(spool.probe().await, Err(SpoolError::DiskFull)));
    assert_eq!(queue.depth().await.unwrap().records, stored);

    let mut consumer = queue.consumer().await.unwrap();
    let batch = consumer.claim(ALL).await.unwrap();
    assert_eq!(batch.iter().map(|claimed| claimed.key).collect::<Vec<_>>(), (0..stored).collect::<Vec<_>>());
    consumer.settle(batch.into_iter().map(|claimed| (claimed.seq, Outcome::Ack)).collect()).await.unwrap();
    consumer.flush().await.unwrap();
    spool.probe().await.unwrap();
    queue.append(9, vec![7; 100_000]).await.unwrap();
    drop((spool, queue, consumer));
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_is_an_fsync() {
    let folder = tempfile::tempdir().unwrap();
    let (_spool, mut writer) = open(Options::at(folder.path().join("spool.db"))).await.unwrap();
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut writer.connection).await.unwrap();
    let journal: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer.connection).await.unwrap();
    assert_eq!((synchronous, journal.as_str()), (2, "wal"), "FULL: the log is synced at every commit");
}
