-- Differences between what shops showed and what they should have, and what shops want done about them.

-- What is found at a comparison, the newest few of each stock.
CREATE TABLE egress_drifts (
    shop       INTEGER NOT NULL,
    holder     INTEGER NOT NULL,
    -- Number of the read that found it.
    number     INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    class      TEXT    NOT NULL,
    -- NULL: not known.
    expected   INTEGER,
    -- NULL: the shop keeps no quantity there.
    shown      INTEGER,
    -- Shown less expected.
    difference INTEGER,
    action     TEXT    NOT NULL,
    -- Why an edit was not taken over, as a code.
    why        TEXT,
    sku        TEXT,
    PRIMARY KEY (shop, holder, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX egress_drifts_by_time ON egress_drifts (at, shop, holder, number);
CREATE INDEX egress_drifts_of_shop ON egress_drifts (shop, at, holder, number);
CREATE INDEX egress_drifts_of_read ON egress_drifts (shop, number);

-- `base` of egress_stocks is [epoch, quantity, slack, withheld, date of the product or null, 1 if a push since was doubtful,
-- null or the read, the difference and the next asking of an edit that the ledger is to take over] from now on; what was
-- written before is the first four of these.

-- What the shop wants done about differences.
ALTER TABLE registry_shops ADD COLUMN drift TEXT NOT NULL DEFAULT 'correct';

-- The shop's own date of the product at the last proof.
ALTER TABLE inventory_stocks ADD COLUMN dated INTEGER;
-- [read, outcome]: the last edit in the shop that the ledger was asked to take over.
ALTER TABLE inventory_stocks ADD COLUMN adoption TEXT;
