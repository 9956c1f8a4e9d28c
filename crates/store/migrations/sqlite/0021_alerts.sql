-- Inventory: what people should know of and do something about, and telling them.

-- One open row for each (kind, shop, subject). `shop` 0 and `subject` empty: it is about none.
CREATE TABLE inventory_alerts (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL,
    shop            INTEGER NOT NULL,
    subject         TEXT    NOT NULL,
    sku             TEXT,
    -- In plain words, with what to do.
    what            TEXT    NOT NULL,
    first_seen      INTEGER NOT NULL,
    last_seen       INTEGER NOT NULL,
    -- How often it began.
    count           INTEGER NOT NULL,
    -- NULL: it has not lasted long enough to be an alert yet.
    raised_at       INTEGER,
    -- Since when it is not found any more; it is over once that has lasted.
    missing_since   INTEGER,
    resolved_at     INTEGER,
    -- What people have yet to be told of it, and since when.
    news            TEXT CHECK (news IN ('raised', 'resolved')),
    news_at         INTEGER,
    acknowledged_at INTEGER,
    acknowledged_by TEXT
) STRICT;
CREATE UNIQUE INDEX inventory_alerts_open ON inventory_alerts (kind, shop, subject) WHERE resolved_at IS NULL;
CREATE INDEX inventory_alerts_resolved ON inventory_alerts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX inventory_alerts_news ON inventory_alerts (news_at) WHERE news IS NOT NULL;

-- Whose turn it is to look and to tell. At most one row.
CREATE TABLE inventory_alert_turns (
    one_row INTEGER PRIMARY KEY DEFAULT 1 CHECK (one_row = 1),
    owner   TEXT    NOT NULL,
    until   INTEGER NOT NULL
) STRICT;

-- What people are told: one row for each message and way.
CREATE TABLE inventory_notices (
    -- The receiver knows a message that comes twice by it.
    id          TEXT    NOT NULL PRIMARY KEY,
    channel     TEXT    NOT NULL,
    -- JSON
    body        TEXT    NOT NULL,
    made_at     INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    -- Why the last attempt failed; empty: none did.
    failure     TEXT    NOT NULL,
    sent_at     INTEGER,
    given_up_at INTEGER
) STRICT;
CREATE INDEX inventory_notices_due ON inventory_notices (due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
CREATE INDEX inventory_notices_by_age ON inventory_notices (made_at);

-- SKUs of which more is reserved in some warehouse than there is. Beside the balances: an index of those would be written
-- with every sale.
CREATE TABLE inventory_shortfalls (
    sku_id INTEGER PRIMARY KEY,
    since  INTEGER NOT NULL
) STRICT;
INSERT INTO inventory_shortfalls (sku_id, since)
SELECT k.id, unixepoch() * 1000000 FROM inventory_skus AS k
 WHERE EXISTS (SELECT 1 FROM json_each(k.balances) AS b WHERE b.value ->> 1 < b.value ->> 2);

CREATE INDEX ingress_conditions_open ON ingress_conditions (shop, kind) WHERE cleared_at IS NULL;
