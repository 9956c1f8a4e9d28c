-- Registry: owned by inventory. Quantities are thousandths, times microseconds since 1970.

CREATE TABLE registry_warehouses (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL CHECK (kind IN ('hub_owned', 'mirrored')),
    created_at INTEGER NOT NULL
) STRICT;

-- Ids are never given twice (AUTOINCREMENT): what is stored beside them outlives a removed shop.
CREATE TABLE registry_shops (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT    NOT NULL,
    connector           TEXT    NOT NULL,
    url                 TEXT    NOT NULL,
    -- SHA-256 of the token in the webhook address; the token itself is among the sealed secrets.
    webhook_token_hash  BLOB    NOT NULL UNIQUE,
    buffer              INTEGER NOT NULL,
    pending_hold_ms     INTEGER NOT NULL,
    orders_poll_ms      INTEGER NOT NULL,
    trash_poll_ms       INTEGER NOT NULL,
    private_allowed     INTEGER NOT NULL,
    -- {"status": "rule"}
    statuses            TEXT    NOT NULL,
    -- Highest number of an order when the shop was connected.
    baseline_last       INTEGER,
    state               TEXT    NOT NULL CHECK (state IN ('connecting', 'active', 'removed')),
    created_at          INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX registry_shops_by_name ON registry_shops (name) WHERE state <> 'removed';

CREATE TABLE registry_routes (
    shop      INTEGER NOT NULL REFERENCES registry_shops (id),
    position  INTEGER NOT NULL,
    warehouse INTEGER NOT NULL REFERENCES registry_warehouses (id),
    PRIMARY KEY (shop, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_routes_by_warehouse ON registry_routes (warehouse);

CREATE TABLE registry_shop_secrets (
    shop   INTEGER NOT NULL REFERENCES registry_shops (id),
    field  TEXT    NOT NULL,
    sealed BLOB    NOT NULL,
    PRIMARY KEY (shop, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE registry_tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    scope      TEXT    NOT NULL CHECK (scope IN ('read', 'operate', 'admin')),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    used_at    INTEGER
) STRICT;

-- What a shop sells. `variation` 0: none. `holder` NULL: the shop keeps no quantity for it.
CREATE TABLE registry_listings (
    shop      INTEGER NOT NULL,
    product   INTEGER NOT NULL,
    variation INTEGER NOT NULL,
    holder    INTEGER,
    sku       TEXT,
    name      TEXT    NOT NULL,
    status    TEXT    NOT NULL,
    -- Number of the read that showed it last.
    seen      INTEGER NOT NULL,
    PRIMARY KEY (shop, product, variation)
) STRICT, WITHOUT ROWID;
CREATE INDEX registry_listings_by_holder ON registry_listings (shop, holder) WHERE holder IS NOT NULL;
