//! The limit: the rows a batch wrote, written again as fast as rows can be, into tables of the same shape.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, TypeInfo, ValueRef};

/// Rows of one statement.
const STATEMENT_ROWS: usize = 200;

/// What a batch writes, by table; `?1` is the list of its orders, `?2` the last movement before it.
const TABLES: [(&str, &str); 6] = [
    (
        "orders",
        "SELECT * FROM inventory_orders WHERE order_id IN (SELECT value FROM json_each(?1)) AND ?2 = ?2",
    ),
    (
        "lines",
        "SELECT * FROM inventory_lines WHERE order_id IN (SELECT value FROM json_each(?1)) AND ?2 = ?2
          ORDER BY shop, order_id, position",
    ),
    ("movements", "SELECT * FROM inventory_movements WHERE rowid > ?2 AND ?1 = ?1 ORDER BY rowid"),
    (
        "skus",
        "SELECT * FROM inventory_skus
          WHERE id IN (SELECT sku_id FROM inventory_movements WHERE rowid > ?2) AND ?1 = ?1 ORDER BY id",
    ),
    (
        "stocks",
        "SELECT * FROM inventory_stocks
          WHERE sku_id IN (SELECT sku_id FROM inventory_movements WHERE rowid > ?2) AND ?1 = ?1
          ORDER BY shop, holder",
    ),
    (
        "outbox",
        "SELECT * FROM inventory_outbox
          WHERE (shop, holder) IN (SELECT shop, holder FROM inventory_stocks WHERE sku_id IN
                (SELECT sku_id FROM inventory_movements WHERE rowid > ?2)) AND ?1 = ?1 ORDER BY shop, holder",
    ),
];

/// Rows of one table.
#[derive(Debug)]
pub(crate) struct TableRows {
    name: &'static str,
    /// Each as long as the others.
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// One value.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// A file of its own beside the store's: in one file each would make the other's cache stale.
#[derive(Debug)]
pub(crate) struct Raw {
    /// Writes the raw file as the store's writer does its own.
    writer: SqliteConnection,
    /// Reads the store's file.
    reader: SqliteConnection,
    last_movement: i64,
}

impl Raw {
    /// Makes the tables, as full as the store's are.
    pub(crate) async fn open(path: &Path) -> anyhow::Result<Self> {
        let mut writer = SqliteConnectOptions::new()
            .filename(path.with_extension("raw"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", "16384")
            .pragma("cache_size", "-32768")
            .connect()
            .await?;
        let mut reader = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
        let made: Vec<String> = sqlx::query_scalar(
            "SELECT sql FROM sqlite_master WHERE tbl_name LIKE 'inventory\\_%' ESCAPE '\\' AND sql IS NOT NULL
                AND type IN ('table', 'index') ORDER BY type DESC",
        )
        .fetch_all(&mut reader)
        .await?;
        for sql in made {
            sqlx::query(AssertSqlSafe(sql.replace("inventory_", "raw_"))).execute(&mut writer).await?;
        }
        sqlx::query("ATTACH ?1 AS store").bind(path.to_str()).execute(&mut writer).await?;
        for table in ["skus", "stocks", "movements"] {
            let copy = format!("INSERT INTO raw_{table} SELECT * FROM store.inventory_{table}");
            sqlx::query(AssertSqlSafe(copy)).execute(&mut writer).await?;
        }
        sqlx::query("DETACH store").execute(&mut writer).await?;
        let last_movement = last_movement(&mut reader).await?;
        Ok(Self { writer, reader, last_movement })
    }

    /// The rows that the batch of these orders wrote.
    pub(crate) async fn rows_of(&mut self, orders: Vec<i64>) -> anyhow::Result<Vec<TableRows>> {
        let orders = serde_json::to_string(&orders)?;
        let mut tables = Vec::new();
        for (name, query) in TABLES {
            let rows =
                sqlx::query(query).bind(&orders).bind(self.last_movement).fetch_all(&mut self.reader).await?;
            tables.push(TableRows { name, rows: rows.iter().map(cells).collect::<anyhow::Result<_>>()? });
        }
        self.last_movement = last_movement(&mut self.reader).await?;
        Ok(tables)
    }

    /// Many rows a statement, bound, in the order of their keys, all tables in one transaction.
    pub(crate) async fn insert(&mut self, tables: &[TableRows]) -> anyhow::Result<()> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for table in tables {
            for rows in table.rows.chunks(STATEMENT_ROWS) {
                let row = format!("({})", vec!["?"; rows.first().map_or(0, Vec::len)].join(", "));
                let values = vec![row; rows.len()].join(", ");
                let insert = format!("REPLACE INTO raw_{} VALUES {values}", table.name);
                let mut query = sqlx::query(AssertSqlSafe(insert));
                for cell in rows.iter().flatten() {
                    query = match cell {
                        Cell::Null => query.bind(None::<i64>),
                        Cell::Integer(value) => query.bind(*value),
                        Cell::Text(value) => query.bind(value.as_str()),
                        Cell::Blob(value) => query.bind(value.as_slice()),
                    };
                }
                query.execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn last_movement(connection: &mut SqliteConnection) -> anyhow::Result<i64> {
    let last = sqlx::query_scalar("SELECT coalesce(max(rowid), 0) FROM inventory_movements");
    Ok(last.fetch_one(connection).await?)
}

fn cells(row: &SqliteRow) -> anyhow::Result<Vec<Cell>> {
    (0..row.len())
        .map(|column| {
            let value = row.try_get_raw(column)?;
            let kind = value.type_info().name().to_owned();
            Ok(match (value.is_null(), kind.as_str()) {
                (true, _) => Cell::Null,
                (false, "TEXT") => Cell::Text(row.try_get(column)?),
                (false, "BLOB") => Cell::Blob(row.try_get(column)?),
                (false, _) => Cell::Integer(row.try_get(column)?),
            })
        })
        .collect()
}
