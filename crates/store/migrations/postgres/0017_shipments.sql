-- Shipments of our own, what shops are told of them, and what shops are tagged with.

-- A record of what left, kept for good; its movements are in the ledger.
CREATE TABLE inventory.shipments (
    shop         BIGINT  NOT NULL,
    order_id     BIGINT  NOT NULL,
    -- Counts the shipments of the order from 1.
    number       BIGINT  NOT NULL,
    at           BIGINT  NOT NULL,
    actor        TEXT    NOT NULL,
    carrier      TEXT,
    tracking     TEXT,
    tracking_url TEXT,
    -- [[line, SKU, quantity], …]
    lines        TEXT    NOT NULL,
    -- Nothing was left to be shipped after it.
    complete     BOOLEAN NOT NULL,
    -- What the shop is to be told: the order's status, a note to the customer; NULL: nothing.
    status       TEXT,
    note         TEXT,
    -- Grows with every time the shop is to be told; 0: it is not. What is above `published` is to be published.
    revision     BIGINT  NOT NULL,
    published    BIGINT  NOT NULL DEFAULT 0,
    trace        TEXT,
    PRIMARY KEY (shop, order_id, number)
);
CREATE INDEX shipments_unpublished ON inventory.shipments (shop, order_id, number) WHERE published < revision;

-- What a shop is told of a shipment, and how far that has come.
CREATE TABLE egress.reports (
    shop         BIGINT NOT NULL,
    order_id     BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    -- As published: the newest wins.
    revision     BIGINT NOT NULL,
    -- Grows with every change: who decided on an older one writes nothing.
    version      BIGINT NOT NULL,
    status       TEXT,
    status_state TEXT   NOT NULL CHECK (status_state IN ('waiting', 'done', 'given_up')),
    note         TEXT,
    note_state   TEXT   NOT NULL CHECK (note_state IN ('waiting', 'done', 'given_up')),
    -- The shop's number of the note.
    note_id      BIGINT,
    -- When a call began that writes the note, journaled before it, and who makes it.
    intent_at    BIGINT,
    intent_owner TEXT,
    -- Why it is not done.
    problem      TEXT,
    -- Tries in a row that came to nothing.
    tries        BIGINT NOT NULL,
    since        BIGINT NOT NULL,
    -- NULL: nothing is left to do.
    due_at       BIGINT,
    PRIMARY KEY (shop, order_id, number)
) WITH (fillfactor = 80);
CREATE INDEX reports_due ON egress.reports (shop, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX reports_given_up ON egress.reports (shop, order_id, number)
    WHERE status_state = 'given_up' OR note_state = 'given_up';

-- [status once all is shipped, status once part of it is, whether customers get a note]; null: the status is left alone.
ALTER TABLE inventory.shops ADD COLUMN shipping TEXT NOT NULL DEFAULT '["completed",null,true]';

-- Every set of tags that a shop ever had: movements keep that of their time by its number.
CREATE TABLE inventory.tag_sets (
    id   BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- {"key": "value"}, sorted by key.
    tags TEXT COLLATE "C" NOT NULL UNIQUE
);
ALTER TABLE inventory.shops ADD COLUMN tag_set BIGINT;
ALTER TABLE inventory.movements ADD COLUMN tag_set BIGINT;
