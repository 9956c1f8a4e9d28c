//! The file's layout and every statement, so that what is on disk can be read in one place.
//!
//! Each queue has a table of its own: appends go to the end of it and settled rows leave from the front, which keeps
//! its tree dense whatever the other queues do.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// Number of the layout below.
pub(crate) const LAYOUT: i64 = 1;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS queue (
    -- Names the table queue_<number>.
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- Records up to here were given out by the last consumer.
    claimed_to INTEGER NOT NULL,
    -- Records up to here were given out or settled once; beyond it the numbers have no gaps.
    touched_to INTEGER NOT NULL
) STRICT;
-- Which records of a segment are settled, while some are not. One bit a record.
CREATE TABLE IF NOT EXISTS partial (
    queue INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    done BLOB NOT NULL,
    PRIMARY KEY (queue, segment)
) STRICT, WITHOUT ROWID;
-- How often a record was given out before, if it ever was.
CREATE TABLE IF NOT EXISTS attempt (
    queue INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (queue, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    key INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reason TEXT NOT NULL,
    appended_at INTEGER NOT NULL,
    died_at INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS dead_by_queue ON dead (queue, id);
";

/// Makes the tables if they are not there yet; gives back the layout that is there.
pub(crate) async fn lay_out(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    if found == 0 {
        sqlx::raw_sql(TABLES).execute(&mut *connection).await?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *connection).await?;
        return Ok(LAYOUT);
    }
    Ok(found)
}

/// Bytes of the pages in use.
pub(crate) async fn bytes_used(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
    )
    .fetch_one(connection)
    .await
}

/// The statements of one queue's own table. The number in it is ours, so nothing foreign gets into the text.
#[derive(Debug)]
pub(crate) struct QueueSql {
    create: Arc<str>,
    end: Arc<str>,
    append: Arc<str>,
    read: Arc<str>,
    settle: Arc<str>,
    oldest: Arc<str>,
    first_after: Arc<str>,
    claimed: Arc<str>,
}

impl QueueSql {
    pub(crate) fn new(number: i64) -> Self {
        let table = format!("queue_{number}");
        Self {
            create: format!(
                "CREATE TABLE IF NOT EXISTS {table} (
                    -- Number of the first record; the others follow.
                    first INTEGER PRIMARY KEY,
                    records INTEGER NOT NULL,
                    appended_at INTEGER NOT NULL,
                    blob BLOB NOT NULL
                ) STRICT"
            )
            .into(),
            end: format!("SELECT first + records FROM {table} ORDER BY first DESC LIMIT 1").into(),
            append: format!("INSERT INTO {table} (first, records, appended_at, blob) VALUES (?1, ?2, ?3, ?4)").into(),
            read: format!(
                "SELECT first, records, appended_at, blob FROM {table} WHERE first >= ?1 ORDER BY first LIMIT ?2"
            )
            .into(),
            settle: format!("DELETE FROM {table} WHERE first >= ?1 AND first < ?2").into(),
            oldest: format!("SELECT appended_at FROM {table} ORDER BY first LIMIT 1").into(),
            first_after: format!("SELECT first FROM {table} WHERE first > ?1 ORDER BY first LIMIT 1").into(),
            claimed: format!("SELECT first, records FROM {table} WHERE first <= ?1 ORDER BY first").into(),
        }
    }

    pub(crate) fn create(&self) -> SqlStr {
        text(&self.create)
    }

    /// The number after the last record: `first + records`.
    pub(crate) fn end(&self) -> SqlStr {
        text(&self.end)
    }

    /// Binds first, records, appended at, blob.
    pub(crate) fn append(&self) -> SqlStr {
        text(&self.append)
    }

    /// Binds from, limit.
    pub(crate) fn read(&self) -> SqlStr {
        text(&self.read)
    }

    /// Binds from, before.
    pub(crate) fn settle(&self) -> SqlStr {
        text(&self.settle)
    }

    pub(crate) fn oldest(&self) -> SqlStr {
        text(&self.oldest)
    }

    /// Binds after.
    pub(crate) fn first_after(&self) -> SqlStr {
        text(&self.first_after)
    }

    /// Binds to.
    pub(crate) fn claimed(&self) -> SqlStr {
        text(&self.claimed)
    }
}

fn text(sql: &Arc<str>) -> SqlStr {
    AssertSqlSafe(Arc::clone(sql)).into_sql_str()
}
