-- Egress: beside the state of a stock's pushes, how it is reached, when it is to be proven, and what people want to know.

CREATE TABLE egress_notes (
    shop         INTEGER NOT NULL,
    holder       INTEGER NOT NULL,
    -- The product, if the holder is a variation.
    parent       INTEGER,
    -- Since when the shop shows something else than it should; NULL: it shows what it should.
    wanted_since INTEGER,
    -- [why, due at, tries, asked]: a settle that is wished for.
    wish         TEXT,
    -- Number of the proof that was looked at last.
    proof_seen   INTEGER NOT NULL,
    -- Refusals and useless answers in a row.
    refusals     INTEGER NOT NULL,
    -- Until then the push that was refused is not tried again.
    held_until   INTEGER,
    -- [[at, difference, answer], …]: the last pushes, oldest first.
    attempts     TEXT    NOT NULL,
    -- [at, kind, quantity]: the last drift.
    drift        TEXT,
    PRIMARY KEY (shop, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX egress_notes_wished ON egress_notes (shop, holder) WHERE wish IS NOT NULL;
CREATE INDEX egress_notes_drifted ON egress_notes (shop, holder) WHERE drift IS NOT NULL;
CREATE INDEX egress_stocks_doubtful ON egress_stocks (shop, holder) WHERE doubtful_until IS NOT NULL;
