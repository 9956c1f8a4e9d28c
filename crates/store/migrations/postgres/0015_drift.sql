-- Differences between what shops showed and what they should have, and what shops want done about them.

-- What is found at a comparison, the newest few of each stock.
CREATE TABLE egress.drifts (
    shop       BIGINT NOT NULL,
    holder     BIGINT NOT NULL,
    -- Number of the read that found it.
    number     BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    class      TEXT   NOT NULL,
    -- NULL: not known.
    expected   BIGINT,
    -- NULL: the shop keeps no quantity there.
    shown      BIGINT,
    -- Shown less expected.
    difference BIGINT,
    action     TEXT   NOT NULL,
    -- Why an edit was not taken over, as a code.
    why        TEXT,
    sku        TEXT,
    PRIMARY KEY (shop, holder, number)
);
CREATE INDEX drifts_by_time ON egress.drifts (at, shop, holder, number);
CREATE INDEX drifts_of_shop ON egress.drifts (shop, at, holder, number);
CREATE INDEX drifts_of_read ON egress.drifts (shop, number);

-- `base` of egress.stocks is [epoch, quantity, slack, withheld, date of the product or null, 1 if a push since was doubtful,
-- null or the read, the difference and the next asking of an edit that the ledger is to take over] from now on; what was
-- written before is the first four of these. Older programs cannot read that.
UPDATE onhand.contract SET oldest = 15;

-- What the shop wants done about differences.
ALTER TABLE inventory.shops ADD COLUMN drift TEXT NOT NULL DEFAULT 'correct';

-- The shop's own date of the product at the last proof.
ALTER TABLE inventory.stocks ADD COLUMN dated BIGINT;
-- [read, outcome]: the last edit in the shop that the ledger was asked to take over.
ALTER TABLE inventory.stocks ADD COLUMN adoption TEXT;
