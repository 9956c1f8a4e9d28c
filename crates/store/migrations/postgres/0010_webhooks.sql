-- Ingress: the webhooks that are kept in each shop, and what is wrong with a shop that people should know of.

CREATE TABLE ingress.webhooks (
    shop         BIGINT NOT NULL,
    topic        TEXT   NOT NULL,
    -- The shop's number of the one we made or found; NULL: none yet.
    webhook      BIGINT,
    -- Which address and secret it was made with, as a hash nothing can be learnt from; NULL: it was found, not made.
    mark         TEXT,
    made_at      BIGINT,
    -- When a delivery of the topic last came, to the minute.
    delivered_at BIGINT,
    PRIMARY KEY (shop, topic)
);

-- One row for each kind of trouble a shop has or had last.
CREATE TABLE ingress.conditions (
    shop       BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    -- In plain words, with what to do.
    what       TEXT   NOT NULL,
    since      BIGINT NOT NULL,
    -- When it was last found to be so.
    seen_at    BIGINT NOT NULL,
    -- NULL: it is so.
    cleared_at BIGINT,
    PRIMARY KEY (shop, kind)
);

-- When the shop last tried whether somebody listens.
ALTER TABLE ingress.readings ADD COLUMN pinged_at BIGINT;
