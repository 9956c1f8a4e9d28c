-- One schema for each owner. The registry is inventory's. Quantities are thousandths, times microseconds since 1970;
-- JSON is text, since it is read and written whole.

CREATE SCHEMA inventory;

-- The oldest program that can work with this schema, by the last migration it knows. A migration that takes away what
-- older programs need raises it.
CREATE TABLE onhand.contract (
    one_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (one_row),
    oldest  BIGINT  NOT NULL
);
INSERT INTO onhand.contract (oldest) VALUES (1);

CREATE TABLE inventory.warehouses (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    kind       TEXT   NOT NULL CHECK (kind IN ('hub_owned', 'mirrored')),
    created_at BIGINT NOT NULL
);

-- Ids are never given twice: what is stored beside them outlives a removed shop.
CREATE TABLE inventory.shops (
    id                  BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                TEXT    NOT NULL,
    connector           TEXT    NOT NULL,
    url                 TEXT    NOT NULL,
    -- SHA-256 of the token in the webhook address; the token itself is among the sealed secrets.
    webhook_token_hash  BYTEA   NOT NULL UNIQUE,
    buffer              BIGINT  NOT NULL,
    pending_hold_ms     BIGINT  NOT NULL,
    orders_poll_ms      BIGINT  NOT NULL,
    trash_poll_ms       BIGINT  NOT NULL,
    private_allowed     BOOLEAN NOT NULL,
    -- {"status": "rule"}
    statuses            TEXT    NOT NULL,
    -- Highest number of an order when the shop was connected.
    baseline_last       BIGINT,
    state               TEXT    NOT NULL CHECK (state IN ('connecting', 'active', 'removed')),
    created_at          BIGINT  NOT NULL,
    -- The first trusted reading of a stock opens its SKU.
    opening             BOOLEAN NOT NULL,
    sign_in             TEXT    NOT NULL CHECK (sign_in IN ('header', 'query')),
    -- Of a removed shop: what its open orders hold is let go, in bounded chunks; else it stays held until somebody
    -- releases it, or the shop comes back.
    releases            BOOLEAN NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX shops_by_name ON inventory.shops (name) WHERE state <> 'removed';

CREATE TABLE inventory.routes (
    shop      BIGINT NOT NULL REFERENCES inventory.shops (id),
    position  BIGINT NOT NULL,
    warehouse BIGINT NOT NULL REFERENCES inventory.warehouses (id),
    PRIMARY KEY (shop, position)
);
CREATE INDEX routes_by_warehouse ON inventory.routes (warehouse);

CREATE TABLE inventory.shop_secrets (
    shop   BIGINT NOT NULL REFERENCES inventory.shops (id),
    field  TEXT   NOT NULL,
    sealed BYTEA  NOT NULL,
    PRIMARY KEY (shop, field)
);

CREATE TABLE inventory.tokens (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT   NOT NULL,
    hash       BYTEA  NOT NULL UNIQUE,
    scope      TEXT   NOT NULL CHECK (scope IN ('read', 'operate', 'admin')),
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    used_at    BIGINT
);

-- What a shop sells. `variation` 0: none. `holder` NULL: the shop keeps no quantity for it.
CREATE TABLE inventory.listings (
    shop      BIGINT NOT NULL,
    product   BIGINT NOT NULL,
    variation BIGINT NOT NULL,
    holder    BIGINT,
    sku       TEXT,
    name      TEXT   NOT NULL,
    status    TEXT   NOT NULL,
    -- Number of the read that showed it last.
    seen      BIGINT NOT NULL,
    PRIMARY KEY (shop, product, variation)
);
CREATE INDEX listings_by_holder ON inventory.listings (shop, holder) WHERE holder IS NOT NULL;
