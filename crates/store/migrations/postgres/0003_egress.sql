-- Egress: what each stock of a shop should show, what is known of what it shows, and the push under way.

CREATE SCHEMA egress;

CREATE TABLE egress.stocks (
    shop           BIGINT  NOT NULL,
    holder         BIGINT  NOT NULL,
    -- A row that a transaction only made to lock it is not known.
    known          BOOLEAN NOT NULL,
    sku            TEXT,
    -- [epoch, revision, level, untaken, taken total, step]: the newest there is.
    target         TEXT,
    -- [epoch, quantity, slack, withheld]
    base           TEXT,
    -- [difference, started at], journaled before the call.
    intent         TEXT,
    -- Who makes the call.
    intent_owner   TEXT,
    doubtful_until BIGINT,
    -- [[started, ended, hub started, hub ended, difference], …]
    log            TEXT    NOT NULL,
    log_floor      BIGINT,
    pushed         BOOLEAN NOT NULL,
    settled        BIGINT  NOT NULL,
    -- When it is to be looked at next; NULL: when something changes.
    due_at         BIGINT,
    -- Why nothing can be pushed, until somebody has changed something in the shop.
    blocked        TEXT,
    -- [at, difference, answer]: the last push.
    told           TEXT,
    removed        BOOLEAN NOT NULL,
    PRIMARY KEY (shop, holder)
) WITH (fillfactor = 70);
CREATE INDEX stocks_due ON egress.stocks (shop, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX stocks_intended ON egress.stocks (shop, holder) WHERE intent IS NOT NULL;
CREATE INDEX stocks_blocked ON egress.stocks (shop, holder) WHERE blocked IS NOT NULL;
CREATE INDEX stocks_doubtful ON egress.stocks (shop, holder) WHERE doubtful_until IS NOT NULL;

-- Beside the state of a stock's pushes: how it is reached, when it is to be proven, and what people want to know.
CREATE TABLE egress.notes (
    shop         BIGINT NOT NULL,
    holder       BIGINT NOT NULL,
    -- The product, if the holder is a variation.
    parent       BIGINT,
    -- Since when the shop shows something else than it should; NULL: it shows what it should.
    wanted_since BIGINT,
    -- [why, due at, tries, asked]: a settle that is wished for.
    wish         TEXT,
    -- Number of the proof that was looked at last.
    proof_seen   BIGINT NOT NULL,
    -- Refusals and useless answers in a row.
    refusals     BIGINT NOT NULL,
    -- Until then the push that was refused is not tried again.
    held_until   BIGINT,
    -- [[at, difference, answer], …]: the last pushes, oldest first.
    attempts     TEXT   NOT NULL,
    -- [at, kind, quantity]: the last drift.
    drift        TEXT,
    PRIMARY KEY (shop, holder)
) WITH (fillfactor = 70);
CREATE INDEX notes_wished ON egress.notes (shop, holder) WHERE wish IS NOT NULL;
CREATE INDEX notes_drifted ON egress.notes (shop, holder) WHERE drift IS NOT NULL;

-- How a shop takes pushes, for people to see.
CREATE TABLE egress.shops (
    shop             BIGINT PRIMARY KEY,
    breaker          TEXT   NOT NULL,
    cause            TEXT,
    until            BIGINT,
    calls_per_minute BIGINT NOT NULL,
    at               BIGINT NOT NULL
);
