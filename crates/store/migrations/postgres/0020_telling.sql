-- What people are told, and what is kept of comparisons and pushes.

-- [how much there is of it, when people were last told of it since it began or null, how much there was then]; NULL: 1, and
-- nobody was told since it was counted.
ALTER TABLE inventory.alerts ADD COLUMN told TEXT;

-- What a notice that is yet to be taken tells of: of one alert, what is newer waits for what is older.
CREATE TABLE inventory.notice_alerts (
    channel TEXT   NOT NULL,
    alert   BIGINT NOT NULL,
    -- Ids grow with time.
    notice  TEXT   NOT NULL COLLATE "C",
    PRIMARY KEY (channel, alert, notice)
);
CREATE INDEX notice_alerts_of ON inventory.notice_alerts (notice);
DROP INDEX inventory.notices_due;
CREATE INDEX notices_due ON inventory.notices (channel, due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;

-- True: the shop answered, and did not let us in.
ALTER TABLE ingress.readings ADD COLUMN refused BOOLEAN NOT NULL DEFAULT false;

-- Differences that people should know of: not those of our own that were put right.
CREATE INDEX drifts_telling ON egress.drifts (at, shop, holder, number)
    WHERE class NOT IN ('lost_update', 'doubtful_call') OR action = 'alerted';

-- Products that no run can compare: the newest run of a shop lists them.
CREATE INDEX reconciled_incomparable ON ingress.reconciled (run, holder) WHERE class IN ('unmanaged', 'unmapped');

-- What shops were told of shipments, and are told no more.
CREATE INDEX reports_done ON egress.reports (since) WHERE due_at IS NULL;

-- All that people have let go, over all time, of what was kept out of the shop; below zero: of what was left in it. Target and
-- base of a stock of egress have it as another element, where there is any.
ALTER TABLE inventory.stocks ADD COLUMN released BIGINT NOT NULL DEFAULT 0;

-- What people decided about differences, the newest few of each stock.
CREATE TABLE inventory.decisions (
    shop      BIGINT NOT NULL,
    holder    BIGINT NOT NULL,
    number    BIGINT NOT NULL,
    -- Differences that were found by this read, and by those before it, are decided on.
    upto      BIGINT NOT NULL,
    -- 'correct', 'adopt', 'leave'
    decision  TEXT NOT NULL,
    -- What was kept out of the shop then; below zero: left in it.
    quantity  BIGINT NOT NULL,
    -- Where the ledger took it over.
    warehouse BIGINT,
    actor     TEXT NOT NULL,
    reason    TEXT,
    at        BIGINT NOT NULL,
    PRIMARY KEY (shop, holder, number)
);

-- Nobody looks for the last difference in the notes of a stock; its column is not written any more.
DROP INDEX egress.notes_drifted;
