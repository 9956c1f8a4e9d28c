-- Comparing whole shops with the ledger: runs, what each found, and what a comparison without consequences came to.

CREATE TABLE ingress.reconciliations (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop       BIGINT NOT NULL,
    -- It compares and changes nothing.
    dry_run    BOOLEAN NOT NULL,
    cause      TEXT    NOT NULL CHECK (cause IN ('asked', 'scheduled')),
    -- Only stocks that were named; false: every stock of the shop.
    chosen     BOOLEAN NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    -- What is not decided by then is left unsettled.
    deadline   BIGINT NOT NULL,
    -- Reads of stocks, and the calls that they took.
    reads      BIGINT NOT NULL DEFAULT 0,
    calls      BIGINT NOT NULL DEFAULT 0,
    -- [[class, action, stocks], …] once it ended; empty before.
    totals     TEXT    NOT NULL DEFAULT '',
    failure    TEXT    NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at   BIGINT
);
CREATE UNIQUE INDEX reconciliations_open ON ingress.reconciliations (shop) WHERE state IN ('waiting', 'running');
CREATE INDEX reconciliations_of_shop ON ingress.reconciliations (shop, id);
CREATE INDEX reconciliations_ended ON ingress.reconciliations (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE ingress.reconciled (
    run          BIGINT NOT NULL,
    holder       BIGINT NOT NULL,
    -- The product, if the holder is a variation.
    parent       BIGINT,
    sku          TEXT,
    -- 'open': to be read; 'read': to be judged; 'judged': it has a class.
    state        TEXT    NOT NULL CHECK (state IN ('open', 'read', 'judged')),
    -- Not read before this.
    due_at       BIGINT NOT NULL,
    tries        BIGINT NOT NULL DEFAULT 0,
    -- Numbers of its first and its last read.
    first_number BIGINT,
    number       BIGINT,
    read_at      BIGINT,
    shown        BIGINT,
    class        TEXT,
    action       TEXT,
    expected     BIGINT,
    difference   BIGINT,
    PRIMARY KEY (run, holder)
);
CREATE INDEX reconciled_undecided ON ingress.reconciled (run, state, holder) WHERE state <> 'judged';

-- What a stock came to when it was last compared without consequences: one row a stock.
CREATE TABLE inventory.comparisons (
    shop       BIGINT NOT NULL,
    holder     BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    -- NULL: it proved nothing.
    class      TEXT,
    -- What would have been done.
    action     TEXT    NOT NULL,
    difference BIGINT NOT NULL,
    PRIMARY KEY (shop, holder)
);

-- When a shop is compared as a whole by itself; no row: never.
CREATE TABLE ingress.schedules (
    shop      BIGINT PRIMARY KEY,
    -- 'every Nh' or 'daily@HH:MM', UTC.
    reconcile TEXT NOT NULL,
    -- When it was set so.
    since     BIGINT NOT NULL,
    -- When a run was last begun by it.
    last_at   BIGINT
);

-- What there was in a shop and in onhand, once a day.
CREATE TABLE ingress.counts (
    shop         BIGINT NOT NULL,
    -- Days since 1970, UTC.
    day          BIGINT NOT NULL,
    at           BIGINT NOT NULL,
    -- {status: orders}, in the shop and in onhand.
    shop_orders  TEXT    NOT NULL,
    hub_orders   TEXT    NOT NULL,
    -- Stocks with a quantity in the shop's catalogue and the sum of these, when it was last read; NULL: it was not.
    shop_stocks  BIGINT,
    shop_sum     BIGINT,
    -- Stocks that are mapped, the sum of what they should show, and of what is left to sell.
    hub_stocks   BIGINT NOT NULL,
    hub_expected BIGINT NOT NULL,
    hub_level    BIGINT NOT NULL,
    PRIMARY KEY (shop, day)
);
