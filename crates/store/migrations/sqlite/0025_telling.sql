-- What people are told, and what is kept of comparisons and pushes.

-- [how much there is of it, when people were last told of it since it began or null, how much there was then]; NULL: 1, and
-- nobody was told since it was counted.
ALTER TABLE inventory_alerts ADD COLUMN told TEXT;

-- What a notice that is yet to be taken tells of: of one alert, what is newer waits for what is older.
CREATE TABLE inventory_notice_alerts (
    channel TEXT    NOT NULL,
    alert   INTEGER NOT NULL,
    -- Ids grow with time.
    notice  TEXT    NOT NULL,
    PRIMARY KEY (channel, alert, notice)
) STRICT, WITHOUT ROWID;
CREATE INDEX inventory_notice_alerts_of ON inventory_notice_alerts (notice);
DROP INDEX inventory_notices_due;
CREATE INDEX inventory_notices_due ON inventory_notices (channel, due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;

-- 1: the shop answered, and did not let us in.
ALTER TABLE ingress_readings ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;

-- Differences that people should know of: not those of our own that were put right.
CREATE INDEX egress_drifts_telling ON egress_drifts (at, shop, holder, number)
    WHERE class NOT IN ('lost_update', 'doubtful_call') OR action = 'alerted';

-- Products that no run can compare: the newest run of a shop lists them.
CREATE INDEX ingress_reconciled_incomparable ON ingress_reconciled (run, holder) WHERE class IN ('unmanaged', 'unmapped');

-- What shops were told of shipments, and are told no more.
CREATE INDEX egress_reports_done ON egress_reports (since) WHERE due_at IS NULL;

-- All that people have let go, over all time, of what was kept out of the shop; below zero: of what was left in it. Target and
-- base of a stock of egress have it as another element, where there is any.
ALTER TABLE inventory_stocks ADD COLUMN released INTEGER NOT NULL DEFAULT 0;

-- What people decided about differences, the newest few of each stock.
CREATE TABLE inventory_decisions (
    shop      INTEGER NOT NULL,
    holder    INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    -- Differences that were found by this read, and by those before it, are decided on.
    upto      INTEGER NOT NULL,
    -- 'correct', 'adopt', 'leave'
    decision  TEXT NOT NULL,
    -- What was kept out of the shop then; below zero: left in it.
    quantity  INTEGER NOT NULL,
    -- Where the ledger took it over.
    warehouse INTEGER,
    actor     TEXT NOT NULL,
    reason    TEXT,
    at        INTEGER NOT NULL,
    PRIMARY KEY (shop, holder, number)
) STRICT, WITHOUT ROWID;

-- Nobody looks for the last difference in the notes of a stock; its column is not written any more.
DROP INDEX egress_notes_drifted;
