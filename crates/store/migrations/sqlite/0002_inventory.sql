-- Inventory: orders, ledger, levels. A batch touches random SKUs and stocks, and every touched page is written whole, so
-- what changes together is kept in one row: a SKU with its balances, a stock with its level, a line with its holds.

CREATE TABLE inventory_skus (
    id             INTEGER PRIMARY KEY,
    sku            TEXT    NOT NULL UNIQUE,
    movement_count INTEGER NOT NULL,
    counted_at     INTEGER,
    -- [[warehouse, on hand, reserved, 1 if something else than orders said what is there], …]
    balances       TEXT    NOT NULL
) STRICT;

-- Append-only, also on disk: only the key's index is written in random places.
CREATE TABLE inventory_movements (
    sku_id         INTEGER NOT NULL,
    number         INTEGER NOT NULL,
    warehouse      INTEGER NOT NULL,
    kind           TEXT    NOT NULL,
    on_hand_delta  INTEGER NOT NULL,
    reserved_delta INTEGER NOT NULL,
    on_hand        INTEGER NOT NULL,
    reserved       INTEGER NOT NULL,
    -- The order line that caused it; NULL for operations.
    shop           INTEGER,
    order_id       INTEGER,
    line           INTEGER,
    at             INTEGER NOT NULL,
    -- Who, for operations; NULL is the shop.
    actor          TEXT,
    reason         TEXT,
    operation      TEXT,
    trace          BLOB,
    PRIMARY KEY (sku_id, number)
) STRICT;
CREATE TRIGGER inventory_movements_stay BEFORE UPDATE ON inventory_movements
BEGIN SELECT raise(ABORT, 'movements are append-only'); END;
CREATE TRIGGER inventory_movements_are_kept BEFORE DELETE ON inventory_movements
BEGIN SELECT raise(ABORT, 'movements are append-only'); END;

CREATE TABLE inventory_orders (
    shop         INTEGER NOT NULL,
    order_id     INTEGER NOT NULL,
    -- The version applied last; NULL before the first.
    modified_at  INTEGER,
    digest       BLOB,
    origin       TEXT,
    last_read    INTEGER,
    confirmed    INTEGER NOT NULL,
    older_at     INTEGER,
    older_digest BLOB,
    status       TEXT    NOT NULL,
    gone         INTEGER NOT NULL,
    reread       INTEGER NOT NULL,
    expired      INTEGER NOT NULL,
    predates     INTEGER NOT NULL,
    expires_at   INTEGER,
    -- Since when a read has yet to confirm it.
    unconfirmed_since INTEGER,
    -- It is to be read again, or a read has yet to confirm it.
    doubtful     INTEGER NOT NULL,
    -- Some line reserves something.
    open         INTEGER NOT NULL,
    PRIMARY KEY (shop, order_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX inventory_orders_open ON inventory_orders (shop, order_id) WHERE open = 1;
CREATE INDEX inventory_orders_doubtful ON inventory_orders (shop, order_id) WHERE doubtful = 1;
CREATE INDEX inventory_orders_gone ON inventory_orders (shop, order_id) WHERE gone = 1;
CREATE INDEX inventory_orders_expiring ON inventory_orders (expires_at) WHERE expires_at IS NOT NULL;

-- By position, not by the shop's line id: a line whose product was changed is two lines of one id.
CREATE TABLE inventory_lines (
    shop       INTEGER NOT NULL,
    order_id   INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    line       INTEGER NOT NULL,
    product    INTEGER,
    variation  INTEGER,
    holder     INTEGER,
    sku_id     INTEGER,
    quantity   INTEGER NOT NULL,
    taken      INTEGER,
    restocked  INTEGER NOT NULL,
    ever_taken INTEGER NOT NULL,
    removed    INTEGER NOT NULL,
    -- Sum over `holds`.
    reserved   INTEGER NOT NULL,
    -- Held though the shop has not taken it.
    not_taken  INTEGER NOT NULL,
    -- [[warehouse, reserved, shipped], …]
    holds      TEXT    NOT NULL,
    PRIMARY KEY (shop, order_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX inventory_lines_holding ON inventory_lines (sku_id) WHERE reserved <> 0;
CREATE INDEX inventory_lines_not_taken ON inventory_lines (shop, holder) WHERE not_taken <> 0;
CREATE INDEX inventory_lines_parked ON inventory_lines (shop, order_id) WHERE sku_id IS NULL AND removed = 0;
CREATE INDEX inventory_lines_unresolved ON inventory_lines (shop, product, variation)
    WHERE (sku_id IS NULL OR holder IS NULL) AND product IS NOT NULL AND removed = 0;

-- One quantity of one shop: its mapping and its level.
CREATE TABLE inventory_stocks (
    shop            INTEGER NOT NULL,
    holder          INTEGER NOT NULL,
    sku_id          INTEGER,
    -- The product, if the holder is a variation.
    parent          INTEGER,
    step            INTEGER NOT NULL,
    -- NULL: the shop's.
    buffer          INTEGER,
    level           INTEGER NOT NULL DEFAULT 0,
    untaken         INTEGER NOT NULL DEFAULT 0,
    taken_total     INTEGER NOT NULL DEFAULT 0,
    last_order_date INTEGER,
    -- When an order was applied on it last, by the hub's clock.
    last_applied_at INTEGER,
    -- Its first trusted proof opens its SKU.
    opening         INTEGER NOT NULL DEFAULT 0,
    epoch           INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    -- No longer ours.
    removed         INTEGER NOT NULL DEFAULT 0,
    -- [number, shown, asked by shop and hub time, answered by shop and hub time, taken total, quiet]: the last proof.
    settle          TEXT,
    PRIMARY KEY (shop, holder)
) STRICT, WITHOUT ROWID;
-- A SKU has at most one stock in a shop.
CREATE UNIQUE INDEX inventory_stocks_by_sku ON inventory_stocks (sku_id, shop)
    WHERE sku_id IS NOT NULL AND removed = 0;

-- The stocks whose (epoch, revision) has not been published yet. Beside the level, not a column of it: publishing would
-- write every level's page a second time.
CREATE TABLE inventory_outbox (
    shop   INTEGER NOT NULL,
    holder INTEGER NOT NULL,
    -- When the oldest unpublished change was made.
    since  INTEGER NOT NULL,
    -- Shop dates of the orders applied meanwhile, first and last.
    order_first INTEGER,
    order_last  INTEGER,
    PRIMARY KEY (shop, holder)
) STRICT, WITHOUT ROWID;

CREATE TABLE inventory_rereads (
    shop      INTEGER NOT NULL,
    order_id  INTEGER NOT NULL,
    wanted_at INTEGER NOT NULL,
    -- When ingress was asked last.
    asked_at  INTEGER,
    PRIMARY KEY (shop, order_id)
) STRICT, WITHOUT ROWID;

-- What makes a shop's picture incomplete: a settle proves nothing while there is any.
CREATE TABLE inventory_incomplete (
    shop     INTEGER NOT NULL,
    -- 0: it is not known which order.
    order_id INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (shop, order_id, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE inventory_operations (
    actor   TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    digest  BLOB    NOT NULL,
    outcome TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX inventory_operations_by_age ON inventory_operations (at);

-- Work that a registry change left behind, done in bounded chunks.
CREATE TABLE inventory_recompute_skus (sku_id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE inventory_recompute_listings (
    shop      INTEGER NOT NULL,
    product   INTEGER NOT NULL,
    variation INTEGER NOT NULL,
    -- Its orders are done up to this one.
    after     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (shop, product, variation)
) STRICT, WITHOUT ROWID;

CREATE TABLE inventory_dead (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    shop     INTEGER,
    kind     TEXT    NOT NULL,
    payload  BLOB    NOT NULL,
    reason   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX inventory_dead_by_shop ON inventory_dead (shop);

CREATE TABLE inventory_approvals (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    summary    TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    at         INTEGER NOT NULL,
    decided_at INTEGER,
    approved   INTEGER,
    actor      TEXT
) STRICT;
