-- Shipments of our own, what shops are told of them, and what shops are tagged with.

-- A record of what left, kept for good; its movements are in the ledger.
CREATE TABLE inventory_shipments (
    shop         INTEGER NOT NULL,
    order_id     INTEGER NOT NULL,
    -- Counts the shipments of the order from 1.
    number       INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    actor        TEXT    NOT NULL,
    carrier      TEXT,
    tracking     TEXT,
    tracking_url TEXT,
    -- [[line, SKU, quantity], …]
    lines        TEXT    NOT NULL,
    -- Nothing was left to be shipped after it.
    complete     INTEGER NOT NULL,
    -- What the shop is to be told: the order's status, a note to the customer; NULL: nothing.
    status       TEXT,
    note         TEXT,
    -- Grows with every time the shop is to be told; 0: it is not. What is above `published` is to be published.
    revision     INTEGER NOT NULL,
    published    INTEGER NOT NULL DEFAULT 0,
    trace        TEXT,
    PRIMARY KEY (shop, order_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX inventory_shipments_unpublished ON inventory_shipments (shop, order_id, number)
    WHERE published < revision;

-- What a shop is told of a shipment, and how far that has come.
CREATE TABLE egress_reports (
    shop         INTEGER NOT NULL,
    order_id     INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    -- As published: the newest wins.
    revision     INTEGER NOT NULL,
    -- Grows with every change: who decided on an older one writes nothing.
    version      INTEGER NOT NULL,
    status       TEXT,
    status_state TEXT    NOT NULL CHECK (status_state IN ('waiting', 'done', 'given_up')),
    note         TEXT,
    note_state   TEXT    NOT NULL CHECK (note_state IN ('waiting', 'done', 'given_up')),
    -- The shop's number of the note.
    note_id      INTEGER,
    -- When a call began that writes the note, journaled before it, and who makes it.
    intent_at    INTEGER,
    intent_owner TEXT,
    -- Why it is not done.
    problem      TEXT,
    -- Tries in a row that came to nothing.
    tries        INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    -- NULL: nothing is left to do.
    due_at       INTEGER,
    PRIMARY KEY (shop, order_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX egress_reports_due ON egress_reports (shop, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX egress_reports_given_up ON egress_reports (shop, order_id, number)
    WHERE status_state = 'given_up' OR note_state = 'given_up';

-- [status once all is shipped, status once part of it is, whether customers get a note]; null: the status is left alone.
ALTER TABLE registry_shops ADD COLUMN shipping TEXT NOT NULL DEFAULT '["completed",null,true]';

-- Every set of tags that a shop ever had: movements keep that of their time by its number.
CREATE TABLE registry_tag_sets (
    id   INTEGER PRIMARY KEY,
    -- {"key": "value"}, sorted by key.
    tags TEXT NOT NULL UNIQUE
) STRICT;
ALTER TABLE registry_shops ADD COLUMN tag_set INTEGER;
ALTER TABLE inventory_movements ADD COLUMN tag_set INTEGER;
