//! What inventory is compared with, in the same database: rows inserted as fast as may be and, driven by pgbench, a transaction
//! for each order, and one row that everybody updates.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use testkit::servers::postgres::Database;

use crate::raw::{TABLE, raw_rows};

/// How long each of them runs, in seconds.
const SECONDS: u32 = 3;
/// Who makes a transaction for each order.
const NAIVE_CLIENTS: u32 = 8;
/// Who updates the one row.
const ROW_CLIENTS: u32 = 16;

const NAIVE: &str = "
BEGIN;
SELECT on_hand, reserved FROM bench.balances WHERE sku_id IN (:a, :b) AND warehouse = :w ORDER BY sku_id FOR UPDATE;
INSERT INTO bench.orders (shop, order_id, modified_at, confirmed, status, gone, reread, expired, predates, doubtful, open)
VALUES (1, :id, 1, false, 'processing', false, false, false, false, true, true);
INSERT INTO bench.lines (shop, order_id, position, line, product, holder, variation, sku_id, quantity, taken, restocked,
                         ever_taken, removed, reserved, not_taken, holds)
VALUES (1, :id, 0, :line, :a, :a, 0, :a, 1000, 1000, 0, true, false, 1000, 0, '[[1,1000,0]]'),
       (1, :id, 1, :next, :b, :b, 0, :b, 1000, 1000, 0, true, false, 1000, 0, '[[1,1000,0]]');
INSERT INTO bench.movements (sku_id, number, warehouse, kind, on_hand_delta, reserved_delta, on_hand, reserved, shop,
                             order_id, line, at)
VALUES (:a, :line, :w, 'reserve', 0, 1000, 1, 1, 1, :id, :line, 1),
       (:b, :next, :w, 'reserve', 0, 1000, 1, 1, 1, :id, :next, 1);
UPDATE bench.balances SET reserved = reserved + 1000 WHERE sku_id IN (:a, :b) AND warehouse = :w;
UPDATE bench.stocks SET level = level - 1000, taken_total = taken_total + 1000, revision = revision + 1
 WHERE shop = 1 AND holder IN (:a, :b);
INSERT INTO bench.outbox (shop, holder, epoch, revision, since, order_first, order_last)
VALUES (1, :a, 0, 1, 1, 1, 1), (1, :b, 0, 1, 1, 1, 1)
    ON CONFLICT (shop, holder) DO UPDATE SET
       revision = excluded.revision, order_first = excluded.order_first, order_last = excluded.order_last;
COMMIT;
";

const ROW: &str = "UPDATE bench.hot SET on_hand = on_hand - 1000 WHERE id = 1;\n";

/// Tables of the same kind as inventory's.
const TABLES: &str = "
CREATE SCHEMA bench;
CREATE TABLE bench.balances (sku_id BIGINT, warehouse BIGINT, on_hand BIGINT NOT NULL, reserved BIGINT NOT NULL,
                             PRIMARY KEY (sku_id, warehouse)) WITH (fillfactor = 70);
INSERT INTO bench.balances SELECT s, w, 1000000000, 0 FROM generate_series(1, 100000) AS s, generate_series(1, 4) AS w;
CREATE TABLE bench.orders (LIKE inventory.orders INCLUDING ALL);
CREATE TABLE bench.lines (LIKE inventory.lines INCLUDING ALL);
CREATE TABLE bench.movements (LIKE inventory.movements);
ALTER TABLE bench.movements ADD PRIMARY KEY (sku_id, number);
CREATE TABLE bench.stocks (LIKE inventory.stocks INCLUDING ALL) WITH (fillfactor = 70);
INSERT INTO bench.stocks (shop, holder, sku_id, step, level, epoch, revision)
SELECT 1, s, s, 1000, 1000000000, 0, 1 FROM generate_series(1, 100000) AS s;
CREATE TABLE bench.outbox (LIKE inventory.outbox INCLUDING ALL) WITH (fillfactor = 70);
CREATE TABLE bench.hot (id BIGINT PRIMARY KEY, on_hand BIGINT NOT NULL) WITH (fillfactor = 10);
INSERT INTO bench.hot VALUES (1, 0);
";

/// The peers, in a database.
#[derive(Debug)]
pub(crate) struct Peers {
    program: PathBuf,
    url: String,
    scripts: tempfile::TempDir,
    run: u32,
}

impl Peers {
    pub(crate) fn make(database: &Database) -> anyhow::Result<Self> {
        database.run(TABLES);
        database.run(TABLE);
        database.run("VACUUM (ANALYZE)");
        Ok(Self { program: pgbench()?, url: database.url(), scripts: tempfile::tempdir()?, run: 0 })
    }

    /// Rows a second, inserted a thousand a statement into a table like that of movements.
    pub(crate) async fn raw_rows(&mut self, connections: u32) -> anyhow::Result<f64> {
        self.run += 1;
        raw_rows(&self.url, self.run, connections).await
    }

    /// Orders a second, each a transaction of its own: what is ordered is locked and looked at, then order, lines and
    /// movements are inserted, balances and levels updated and marked to be published. Nothing is taken from a broker, and
    /// nothing is published.
    pub(crate) fn naive_orders(&mut self) -> anyhow::Result<f64> {
        let script = format!(
            "\\set n :n + 1\n\\set a random(1, 100000)\n\\set b 1 + (:a + random(0, 99998)) % 100000\n\\set w random(1, 4)\n\
             \\set id :run * 1000000000 + :client_id * 1000000 + :n\n\\set line 2 * :id\n\\set next :line + 1\n{NAIVE}"
        );
        self.rate("naive", &script, NAIVE_CLIENTS)
    }

    /// Updates a second of one row by many.
    pub(crate) fn row_updates(&mut self) -> anyhow::Result<f64> {
        self.rate("row", ROW, ROW_CLIENTS)
    }

    fn rate(&mut self, name: &str, script: &str, clients: u32) -> anyhow::Result<f64> {
        self.run += 1;
        let path = self.scripts.path().join(name);
        std::fs::write(&path, script)?;
        let said = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--define=n=0"])
            .args([format!("--define=run={}", self.run), format!("--time={SECONDS}")])
            .args([format!("--client={clients}"), format!("--file={}", path.display())])
            .arg(&self.url)
            .output()?;
        let text = String::from_utf8_lossy(&said.stdout);
        ensure!(said.status.success(), "pgbench: {text} {}", String::from_utf8_lossy(&said.stderr));
        let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        rate.with_context(|| format!("pgbench says no rate: {text}"))
    }
}

/// It comes with the server, beside its other programs.
fn pgbench() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let installed = versions.map(|version| version.path().join("bin/pgbench"));
    let found = installed.chain(on_path()).find(|program| program.exists());
    found.map_or_else(|| bail!("pgbench is not installed: it comes with postgresql"), Ok)
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the environment by itself")]
fn on_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder: PathBuf| Path::new(&folder).join("pgbench")).collect()
}
