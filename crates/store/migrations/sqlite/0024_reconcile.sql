-- Comparing whole shops with the ledger: runs, what each found, and what a comparison without consequences came to.

CREATE TABLE ingress_reconciliations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    shop       INTEGER NOT NULL,
    -- It compares and changes nothing.
    dry_run    INTEGER NOT NULL,
    cause      TEXT    NOT NULL CHECK (cause IN ('asked', 'scheduled')),
    -- Only stocks that were named; 0: every stock of the shop.
    chosen     INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    -- What is not decided by then is left unsettled.
    deadline   INTEGER NOT NULL,
    -- Reads of stocks, and the calls that they took.
    reads      INTEGER NOT NULL DEFAULT 0,
    calls      INTEGER NOT NULL DEFAULT 0,
    -- [[class, action, stocks], …] once it ended; empty before.
    totals     TEXT    NOT NULL DEFAULT '',
    failure    TEXT    NOT NULL DEFAULT '',
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX ingress_reconciliations_open ON ingress_reconciliations (shop) WHERE state IN ('waiting', 'running');
CREATE INDEX ingress_reconciliations_of_shop ON ingress_reconciliations (shop, id);
CREATE INDEX ingress_reconciliations_ended ON ingress_reconciliations (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE ingress_reconciled (
    run          INTEGER NOT NULL,
    holder       INTEGER NOT NULL,
    -- The product, if the holder is a variation.
    parent       INTEGER,
    sku          TEXT,
    -- 'open': to be read; 'read': to be judged; 'judged': it has a class.
    state        TEXT    NOT NULL CHECK (state IN ('open', 'read', 'judged')),
    -- Not read before this.
    due_at       INTEGER NOT NULL,
    tries        INTEGER NOT NULL DEFAULT 0,
    -- Numbers of its first and its last read.
    first_number INTEGER,
    number       INTEGER,
    read_at      INTEGER,
    shown        INTEGER,
    class        TEXT,
    action       TEXT,
    expected     INTEGER,
    difference   INTEGER,
    PRIMARY KEY (run, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX ingress_reconciled_undecided ON ingress_reconciled (run, state, holder) WHERE state <> 'judged';

-- What a stock came to when it was last compared without consequences: one row a stock.
CREATE TABLE inventory_comparisons (
    shop       INTEGER NOT NULL,
    holder     INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    -- NULL: it proved nothing.
    class      TEXT,
    -- What would have been done.
    action     TEXT    NOT NULL,
    difference INTEGER NOT NULL,
    PRIMARY KEY (shop, holder)
) STRICT, WITHOUT ROWID;

-- When a shop is compared as a whole by itself; no row: never.
CREATE TABLE ingress_schedules (
    shop      INTEGER PRIMARY KEY,
    -- 'every Nh' or 'daily@HH:MM', UTC.
    reconcile TEXT NOT NULL,
    -- When it was set so.
    since     INTEGER NOT NULL,
    -- When a run was last begun by it.
    last_at   INTEGER
) STRICT;

-- What there was in a shop and in onhand, once a day.
CREATE TABLE ingress_counts (
    shop         INTEGER NOT NULL,
    -- Days since 1970, UTC.
    day          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    -- {status: orders}, in the shop and in onhand.
    shop_orders  TEXT    NOT NULL,
    hub_orders   TEXT    NOT NULL,
    -- Stocks with a quantity in the shop's catalogue and the sum of these, when it was last read; NULL: it was not.
    shop_stocks  INTEGER,
    shop_sum     INTEGER,
    -- Stocks that are mapped, the sum of what they should show, and of what is left to sell.
    hub_stocks   INTEGER NOT NULL,
    hub_expected INTEGER NOT NULL,
    hub_level    INTEGER NOT NULL,
    PRIMARY KEY (shop, day)
) STRICT, WITHOUT ROWID;
