-- Egress: what each stock of a shop should show, what is known of what it shows, and the push under way.

CREATE TABLE egress_stocks (
    shop           INTEGER NOT NULL,
    holder         INTEGER NOT NULL,
    sku            TEXT,
    -- [epoch, revision, level, untaken, taken total, step]: the newest there is.
    target         TEXT,
    -- [epoch, quantity, slack, withheld]
    base           TEXT,
    -- [difference, started at], journaled before the call.
    intent         TEXT,
    -- Who makes the call.
    intent_owner   TEXT,
    doubtful_until INTEGER,
    -- [[started, ended, hub started, hub ended, difference], …]
    log            TEXT    NOT NULL,
    log_floor      INTEGER,
    pushed         INTEGER NOT NULL,
    settled        INTEGER NOT NULL,
    -- When it is to be looked at next; NULL: when something changes.
    due_at         INTEGER,
    -- Why nothing can be pushed, until somebody has changed something in the shop.
    blocked        TEXT,
    -- [at, difference, answer]: the last push.
    told           TEXT,
    removed        INTEGER NOT NULL,
    PRIMARY KEY (shop, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX egress_stocks_due ON egress_stocks (shop, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX egress_stocks_intended ON egress_stocks (shop, holder) WHERE intent IS NOT NULL;
CREATE INDEX egress_stocks_blocked ON egress_stocks (shop, holder) WHERE blocked IS NOT NULL;

-- How a shop takes pushes, for people to see.
CREATE TABLE egress_shops (
    shop             INTEGER PRIMARY KEY,
    breaker          TEXT    NOT NULL,
    cause            TEXT,
    until            INTEGER,
    calls_per_minute INTEGER NOT NULL,
    at               INTEGER NOT NULL
) STRICT;
