//! The limit: rows like those of movements, inserted as fast as may be, a thousand a statement, sent as arrays by the same
//! client library.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::task::JoinSet;

/// How long it inserts.
const LASTS: Duration = Duration::from_secs(3);
/// Rows of one statement.
const ROWS: i64 = 1_000;
/// SKUs that they are of: a statement has a row of one in a hundred.
const SPREAD: i64 = 100;

pub(crate) const TABLE: &str = "
CREATE TABLE bench.raw (LIKE inventory.movements);
ALTER TABLE bench.raw ADD PRIMARY KEY (sku_id, number);";

const INSERT: &str = "
INSERT INTO bench.raw
SELECT w.sku_id, w.number, w.warehouse, w.kind, w.on_hand_delta, w.reserved_delta, w.on_hand, w.reserved, w.shop,
       w.order_id, w.line, w.at, w.actor, w.reason, w.operation, decode(w.trace, 'hex')
  FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[],
              $15::text[], $16::text[])
       AS w (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, shop, order_id, line,
             at, actor, reason, operation, trace)";

/// Rows a second over so many connections; `run` is another number each time.
pub(crate) async fn raw_rows(url: &str, run: u32, connections: u32) -> anyhow::Result<f64> {
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let mut opened = PgConnection::connect(url).await?;
        let first = (i64::from(run) * 100 + i64::from(connection)) * 1_000_000;
        tasks.spawn(async move {
            let (began, mut statements) = (Instant::now(), 0_u32);
            while began.elapsed() < LASTS {
                statements += 1;
                insert(&mut opened, first + i64::from(statements)).await?;
            }
            anyhow::Ok(f64::from(statements) * 1_000.0 / began.elapsed().as_secs_f64())
        });
    }
    let mut rate = 0.0;
    while let Some(done) = tasks.join_next().await {
        rate += done??;
    }
    Ok(rate)
}

async fn insert(connection: &mut PgConnection, number: i64) -> anyhow::Result<()> {
    let all = |value: i64| vec![value; 1_000];
    let none: Vec<Option<String>> = vec![None; 1_000];
    // Spread over the SKUs, others each time, in their order.
    let skus: Vec<i64> = (0..ROWS).map(|row| row * SPREAD + (number * 37 + row * row) % SPREAD + 1).collect();
    let lines: Vec<i64> = skus.iter().map(|sku| sku * 2).collect();
    sqlx::query(INSERT)
        .bind(&skus)
        .bind(all(number))
        .bind(all(1))
        .bind(vec!["reserve"; 1_000])
        .bind(all(0))
        .bind(all(1_000))
        .bind(all(1_000_000_000))
        .bind(all(1_000))
        .bind(all(1))
        .bind(&skus)
        .bind(lines)
        .bind(all(1_700_000_000_000_000))
        .bind(none.clone())
        .bind(none.clone())
        .bind(none.clone())
        .bind(none)
        .execute(connection)
        .await?;
    Ok(())
}
