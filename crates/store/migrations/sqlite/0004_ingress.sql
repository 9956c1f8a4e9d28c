-- Ingress: who reads a shop, how far it has read, and which stocks are to be compared with proof.

CREATE TABLE ingress_readers (
    shop        INTEGER PRIMARY KEY,
    -- The one who may read until `lease_until`; each new one has a higher fence.
    owner       TEXT    NOT NULL,
    fence       INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    -- The number handed out last.
    read_number INTEGER NOT NULL
) STRICT;

CREATE TABLE ingress_cursors (
    shop      INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    shop_time INTEGER NOT NULL,
    hub_time  INTEGER NOT NULL,
    page      INTEGER NOT NULL,
    PRIMARY KEY (shop, kind)
) STRICT, WITHOUT ROWID;

-- One row a stock, so the queue is never longer than there are stocks.
CREATE TABLE ingress_settles (
    shop   INTEGER NOT NULL,
    holder INTEGER NOT NULL,
    why    TEXT    NOT NULL,
    due_at INTEGER NOT NULL,
    -- Counts the times it was asked for: one that was asked for while it ran is due again.
    wanted INTEGER NOT NULL,
    PRIMARY KEY (shop, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX ingress_settles_due ON ingress_settles (shop, due_at);
