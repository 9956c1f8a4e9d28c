-- Ingress: the webhooks that are kept in each shop, and what is wrong with a shop that people should know of.

CREATE TABLE ingress_webhooks (
    shop         INTEGER NOT NULL,
    topic        TEXT    NOT NULL,
    -- The shop's number of the one we made or found; NULL: none yet.
    webhook      INTEGER,
    -- Which address and secret it was made with, as a hash nothing can be learnt from; NULL: it was found, not made.
    mark         TEXT,
    made_at      INTEGER,
    -- When a delivery of the topic last came, to the minute.
    delivered_at INTEGER,
    PRIMARY KEY (shop, topic)
) STRICT, WITHOUT ROWID;

-- One row for each kind of trouble a shop has or had last.
CREATE TABLE ingress_conditions (
    shop       INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    -- In plain words, with what to do.
    what       TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    -- When it was last found to be so.
    seen_at    INTEGER NOT NULL,
    -- NULL: it is so.
    cleared_at INTEGER,
    PRIMARY KEY (shop, kind)
) STRICT, WITHOUT ROWID;

-- When the shop last tried whether somebody listens.
ALTER TABLE ingress_readings ADD COLUMN pinged_at INTEGER;
