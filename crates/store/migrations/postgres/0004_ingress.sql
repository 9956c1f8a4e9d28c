-- Ingress: who reads a shop, how far it has read, which stocks are to be compared with proof, jobs that people ask for.

CREATE SCHEMA ingress;

CREATE TABLE ingress.readers (
    shop        BIGINT PRIMARY KEY,
    -- The one who may read until `lease_until`; each new one has a higher fence.
    owner       TEXT   NOT NULL,
    fence       BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    -- The number handed out last.
    read_number BIGINT NOT NULL
);

CREATE TABLE ingress.cursors (
    shop      BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    shop_time BIGINT NOT NULL,
    hub_time  BIGINT NOT NULL,
    page      BIGINT NOT NULL,
    PRIMARY KEY (shop, kind)
);

-- One row a stock, so the queue is never longer than there are stocks.
CREATE TABLE ingress.settles (
    shop   BIGINT NOT NULL,
    holder BIGINT NOT NULL,
    why    TEXT   NOT NULL,
    due_at BIGINT NOT NULL,
    -- Counts the times it was asked for: one that was asked for while it ran is due again.
    wanted BIGINT NOT NULL,
    PRIMARY KEY (shop, holder)
);
CREATE INDEX settles_due ON ingress.settles (shop, due_at);

-- One row an order, so the queue is never longer than there are orders.
CREATE TABLE ingress.rereads (
    shop      BIGINT NOT NULL,
    order_id  BIGINT NOT NULL,
    wanted_at BIGINT NOT NULL,
    -- Counts the times it was asked for: one that was asked for while it was read is read again.
    wanted    BIGINT NOT NULL,
    PRIMARY KEY (shop, order_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX rereads_oldest ON ingress.rereads (shop, wanted_at);

CREATE TABLE ingress.tasks (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop       BIGINT NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('connect', 'test', 'sync', 'catalogue', 'audit')),
    state      TEXT   NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    done       BIGINT NOT NULL,
    -- NULL: not known.
    total      BIGINT,
    phase      TEXT   NOT NULL,
    -- JSON; empty until it ends.
    report     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tasks_open ON ingress.tasks (shop, id) WHERE state IN ('waiting', 'running');
CREATE INDEX tasks_ended ON ingress.tasks (updated_at) WHERE state IN ('done', 'failed');

CREATE TABLE ingress.readings (
    shop           BIGINT PRIMARY KEY,
    -- When changed orders were last read to the end.
    polled_at      BIGINT,
    -- Since when every call fails; NULL: the last one went well.
    failing_since  BIGINT,
    -- The last failure in plain words, empty if there was none; it stays after the shop is well again.
    failure        TEXT   NOT NULL,
    failed_at      BIGINT,
    breaker        TEXT   NOT NULL CHECK (breaker IN ('closed', 'open', 'half_open')),
    -- No call before this.
    resting_until  BIGINT,
    -- When a webhook last said that its owner may no longer see orders.
    blind_at       BIGINT,
    audited_at     BIGINT,
    catalogued_at  BIGINT
);
