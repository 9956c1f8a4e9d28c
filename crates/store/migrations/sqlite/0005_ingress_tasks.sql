-- Ingress: jobs that people ask for, orders to be read again, and how the reading of each shop goes.

CREATE TABLE ingress_tasks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    shop       INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('connect', 'test', 'sync', 'catalogue', 'audit')),
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    done       INTEGER NOT NULL,
    -- NULL: not known.
    total      INTEGER,
    phase      TEXT    NOT NULL,
    -- JSON; empty until it ends.
    report     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX ingress_tasks_open ON ingress_tasks (shop, id) WHERE state IN ('waiting', 'running');
CREATE INDEX ingress_tasks_ended ON ingress_tasks (updated_at) WHERE state IN ('done', 'failed');

-- One row an order, so the queue is never longer than there are orders.
CREATE TABLE ingress_rereads (
    shop      INTEGER NOT NULL,
    order_id  INTEGER NOT NULL,
    wanted_at INTEGER NOT NULL,
    -- Counts the times it was asked for: one that was asked for while it was read is read again.
    wanted    INTEGER NOT NULL,
    PRIMARY KEY (shop, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX ingress_rereads_oldest ON ingress_rereads (shop, wanted_at);

CREATE TABLE ingress_readings (
    shop           INTEGER PRIMARY KEY,
    -- When changed orders were last read to the end.
    polled_at      INTEGER,
    -- Since when every call fails; NULL: the last one went well.
    failing_since  INTEGER,
    -- The last failure in plain words, empty if there was none; it stays after the shop is well again.
    failure        TEXT    NOT NULL,
    failed_at      INTEGER,
    breaker        TEXT    NOT NULL CHECK (breaker IN ('closed', 'open', 'half_open')),
    -- No call before this.
    resting_until  INTEGER,
    -- When a webhook last said that its owner may no longer see orders.
    blind_at       INTEGER,
    audited_at     INTEGER,
    catalogued_at  INTEGER
) STRICT;
