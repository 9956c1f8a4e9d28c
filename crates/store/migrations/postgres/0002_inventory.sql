-- Inventory: orders, ledger, levels. What changes together is kept in one row: a SKU with its balances, a stock with its
-- level, a line with its holds. Rows that are rewritten again and again leave room in their pages, so that the new version
-- finds place beside the old one and no index is touched.

-- Codes are compared byte by byte, whatever the database's locale.
CREATE TABLE inventory.skus (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku            TEXT   COLLATE "C" NOT NULL UNIQUE,
    movement_count BIGINT NOT NULL,
    counted_at     BIGINT,
    -- [[warehouse, on hand, reserved, 1 if something else than orders said what is there], …]
    balances       TEXT   NOT NULL
) WITH (fillfactor = 70);

-- Append-only. By hash of the SKU, so that the numbers of a SKU stay unique; each part is vacuumed, frozen and indexed anew
-- on its own.
CREATE TABLE inventory.movements (
    sku_id         BIGINT NOT NULL,
    number         BIGINT NOT NULL,
    warehouse      BIGINT NOT NULL,
    kind           TEXT   NOT NULL,
    on_hand_delta  BIGINT NOT NULL,
    reserved_delta BIGINT NOT NULL,
    on_hand        BIGINT NOT NULL,
    reserved       BIGINT NOT NULL,
    -- The order line that caused it; NULL for operations.
    shop           BIGINT,
    order_id       BIGINT,
    line           BIGINT,
    at             BIGINT NOT NULL,
    -- Who, for operations; NULL is the shop.
    actor          TEXT,
    reason         TEXT,
    operation      TEXT,
    trace          BYTEA,
    PRIMARY KEY (sku_id, number)
) PARTITION BY HASH (sku_id);

CREATE FUNCTION inventory.movements_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'movements are append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER movements_stay BEFORE UPDATE ON inventory.movements
    FOR EACH ROW EXECUTE FUNCTION inventory.movements_are_append_only();
CREATE TRIGGER movements_are_kept BEFORE DELETE ON inventory.movements
    FOR EACH ROW EXECUTE FUNCTION inventory.movements_are_append_only();
-- Each part could be emptied by its own name.
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE inventory.movements_%s PARTITION OF inventory.movements
                            FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
        EXECUTE format('CREATE TRIGGER movements_are_not_emptied BEFORE TRUNCATE ON inventory.movements_%s
                            FOR EACH STATEMENT EXECUTE FUNCTION inventory.movements_are_append_only()', part);
    END LOOP;
END $$;

CREATE TABLE inventory.orders (
    shop         BIGINT  NOT NULL,
    order_id     BIGINT  NOT NULL,
    -- The version applied last; NULL before the first.
    modified_at  BIGINT,
    digest       BYTEA,
    origin       TEXT,
    last_read    BIGINT,
    confirmed    BOOLEAN NOT NULL,
    older_at     BIGINT,
    older_digest BYTEA,
    status       TEXT    NOT NULL,
    gone         BOOLEAN NOT NULL,
    reread       BOOLEAN NOT NULL,
    expired      BOOLEAN NOT NULL,
    predates     BOOLEAN NOT NULL,
    expires_at   BIGINT,
    -- Since when a read has yet to confirm it.
    unconfirmed_since BIGINT,
    -- It is to be read again, or a read has yet to confirm it.
    doubtful     BOOLEAN NOT NULL,
    -- Some line reserves something.
    open         BOOLEAN NOT NULL,
    PRIMARY KEY (shop, order_id)
) WITH (fillfactor = 80);
CREATE INDEX orders_open ON inventory.orders (shop, order_id) WHERE open;
CREATE INDEX orders_doubtful ON inventory.orders (shop, order_id) WHERE doubtful;
CREATE INDEX orders_gone ON inventory.orders (shop, order_id) WHERE gone;
CREATE INDEX orders_expiring ON inventory.orders (expires_at) WHERE expires_at IS NOT NULL;

-- By position, not by the shop's line id: a line whose product was changed is two lines of one id.
CREATE TABLE inventory.lines (
    shop       BIGINT  NOT NULL,
    order_id   BIGINT  NOT NULL,
    position   BIGINT  NOT NULL,
    line       BIGINT  NOT NULL,
    product    BIGINT,
    variation  BIGINT,
    holder     BIGINT,
    sku_id     BIGINT,
    quantity   BIGINT  NOT NULL,
    taken      BIGINT,
    restocked  BIGINT  NOT NULL,
    ever_taken BOOLEAN NOT NULL,
    removed    BOOLEAN NOT NULL,
    -- Sum over `holds`.
    reserved   BIGINT  NOT NULL,
    -- Held though the shop has not taken it.
    not_taken  BIGINT  NOT NULL,
    -- [[warehouse, reserved, shipped], …]
    holds      TEXT    NOT NULL,
    PRIMARY KEY (shop, order_id, position)
) WITH (fillfactor = 80);
CREATE INDEX lines_holding ON inventory.lines (sku_id) WHERE reserved <> 0;
CREATE INDEX lines_not_taken ON inventory.lines (shop, holder) WHERE not_taken <> 0;
CREATE INDEX lines_parked ON inventory.lines (shop, order_id) WHERE sku_id IS NULL AND NOT removed;
CREATE INDEX lines_unresolved ON inventory.lines (shop, product, variation)
    WHERE (sku_id IS NULL OR holder IS NULL) AND product IS NOT NULL AND NOT removed;

-- One quantity of one shop: its mapping and its level.
CREATE TABLE inventory.stocks (
    shop            BIGINT  NOT NULL,
    holder          BIGINT  NOT NULL,
    sku_id          BIGINT,
    -- The product, if the holder is a variation.
    parent          BIGINT,
    step            BIGINT  NOT NULL,
    -- NULL: the shop's.
    buffer          BIGINT,
    level           BIGINT  NOT NULL DEFAULT 0,
    untaken         BIGINT  NOT NULL DEFAULT 0,
    taken_total     BIGINT  NOT NULL DEFAULT 0,
    last_order_date BIGINT,
    -- When an order was applied on it last, by the hub's clock.
    last_applied_at BIGINT,
    -- Its first trusted proof opens its SKU.
    opening         BIGINT  NOT NULL DEFAULT 0,
    epoch           BIGINT  NOT NULL,
    revision        BIGINT  NOT NULL,
    -- No longer ours.
    removed         BOOLEAN NOT NULL DEFAULT false,
    -- [number, shown, asked by shop and hub time, answered by shop and hub time, taken total, quiet]: the last proof.
    settle          TEXT,
    PRIMARY KEY (shop, holder)
) WITH (fillfactor = 70);
-- A SKU has at most one stock in a shop.
CREATE UNIQUE INDEX stocks_by_sku ON inventory.stocks (sku_id, shop) WHERE sku_id IS NOT NULL AND NOT removed;

-- The stocks whose (epoch, revision) has not been published yet, with the newest one: a relay takes away what it published
-- by that alone, and never what changed meanwhile.
CREATE TABLE inventory.outbox (
    shop        BIGINT NOT NULL,
    holder      BIGINT NOT NULL,
    epoch       BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    -- When the oldest unpublished change was made.
    since       BIGINT NOT NULL,
    -- Shop dates of the orders applied meanwhile, first and last.
    order_first BIGINT,
    order_last  BIGINT,
    -- Trace context of the latest change, for the spans of those who take it further.
    trace       TEXT,
    PRIMARY KEY (shop, holder)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

CREATE TABLE inventory.rereads (
    shop      BIGINT NOT NULL,
    order_id  BIGINT NOT NULL,
    wanted_at BIGINT NOT NULL,
    -- When ingress was asked last.
    asked_at  BIGINT,
    PRIMARY KEY (shop, order_id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- What inventory wants ingress to read; gone once it was asked.
CREATE TABLE inventory.wishes (
    shop      BIGINT NOT NULL,
    kind      TEXT   NOT NULL CHECK (kind IN ('order', 'stock', 'audit', 'catalogue')),
    -- An order or a stock; 0 for the kinds that are about the whole shop.
    id        BIGINT NOT NULL,
    wanted_at BIGINT NOT NULL,
    PRIMARY KEY (shop, kind, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);

-- What makes a shop's picture incomplete: a settle proves nothing while there is any.
CREATE TABLE inventory.incomplete (
    shop     BIGINT NOT NULL,
    -- 0: it is not known which order.
    order_id BIGINT NOT NULL,
    reason   TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (shop, order_id, reason)
);

-- Forgotten after a while.
CREATE TABLE inventory.operations (
    actor   TEXT   NOT NULL,
    key     TEXT   NOT NULL,
    digest  BYTEA  NOT NULL,
    outcome TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX operations_by_age ON inventory.operations (at);

-- Work that a registry change left behind, done in bounded chunks. Nobody waits for a mark: one that another transaction
-- has locked is made a second time, so a SKU may have more than one. `wanted` counts: one that was wanted again while it
-- was worked off stays.
CREATE TABLE inventory.recompute_skus (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku_id BIGINT NOT NULL,
    wanted BIGINT NOT NULL DEFAULT 1
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX recompute_skus_by_sku ON inventory.recompute_skus (sku_id);
CREATE TABLE inventory.recompute_listings (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop      BIGINT NOT NULL,
    product   BIGINT NOT NULL,
    variation BIGINT NOT NULL,
    -- Its orders are done up to this one.
    after     BIGINT NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX recompute_listings_by_listing ON inventory.recompute_listings (shop, product, variation);

CREATE TABLE inventory.dead (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shop     BIGINT,
    kind     TEXT   NOT NULL,
    payload  BYTEA  NOT NULL,
    reason   TEXT   NOT NULL,
    attempts BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    -- It is kept once for each: of the message, or what the transport gave it.
    identity TEXT   UNIQUE
);
CREATE INDEX dead_by_shop ON inventory.dead (shop);

CREATE TABLE inventory.approvals (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       TEXT   NOT NULL,
    summary    TEXT   NOT NULL,
    payload    BYTEA  NOT NULL,
    at         BIGINT NOT NULL,
    decided_at BIGINT,
    approved   BOOLEAN,
    actor      TEXT
);
