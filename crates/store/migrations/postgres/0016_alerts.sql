-- Inventory: what people should know of and do something about, and telling them.

-- One open row for each (kind, shop, subject). `shop` 0 and `subject` empty: it is about none.
CREATE TABLE inventory.alerts (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            TEXT   NOT NULL,
    shop            BIGINT NOT NULL,
    subject         TEXT   NOT NULL,
    sku             TEXT,
    -- In plain words, with what to do.
    what            TEXT   NOT NULL,
    first_seen      BIGINT NOT NULL,
    last_seen       BIGINT NOT NULL,
    -- How often it began.
    count           BIGINT NOT NULL,
    -- NULL: it has not lasted long enough to be an alert yet.
    raised_at       BIGINT,
    -- Since when it is not found any more; it is over once that has lasted.
    missing_since   BIGINT,
    resolved_at     BIGINT,
    -- What people have yet to be told of it, and since when.
    news            TEXT CHECK (news IN ('raised', 'resolved')),
    news_at         BIGINT,
    acknowledged_at BIGINT,
    acknowledged_by TEXT
);
CREATE UNIQUE INDEX alerts_open ON inventory.alerts (kind, shop, subject) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON inventory.alerts (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX alerts_news ON inventory.alerts (news_at) WHERE news IS NOT NULL;

-- Whose turn it is to look and to tell. At most one row.
CREATE TABLE inventory.alert_turns (
    one_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (one_row),
    owner   TEXT    NOT NULL,
    until   BIGINT  NOT NULL
);

-- What people are told: one row for each message and way.
CREATE TABLE inventory.notices (
    -- The receiver knows a message that comes twice by it.
    id          TEXT   PRIMARY KEY,
    channel     TEXT   NOT NULL,
    -- JSON
    body        TEXT   NOT NULL,
    made_at     BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    -- Why the last attempt failed; empty: none did.
    failure     TEXT   NOT NULL,
    sent_at     BIGINT,
    given_up_at BIGINT
);
CREATE INDEX notices_due ON inventory.notices (due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
CREATE INDEX notices_by_age ON inventory.notices (made_at);

-- SKUs of which more is reserved in some warehouse than there is. Beside the balances: an index of those would be written
-- with every sale.
CREATE TABLE inventory.shortfalls (
    sku_id BIGINT PRIMARY KEY,
    since  BIGINT NOT NULL
);
INSERT INTO inventory.shortfalls (sku_id, since)
SELECT k.id, (extract(epoch FROM now()) * 1000000)::bigint FROM inventory.skus AS k
 WHERE EXISTS (SELECT 1 FROM json_array_elements(k.balances::json) AS b
                WHERE (b ->> 1)::bigint < (b ->> 2)::bigint);

CREATE INDEX conditions_open ON ingress.conditions (shop, kind) WHERE cleared_at IS NULL;
