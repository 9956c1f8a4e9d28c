-- Messages given up: one row each, however often they are handed over.

-- Of the message, or what the transport gave it; NULL: from before it was kept.
ALTER TABLE inventory_dead ADD COLUMN identity TEXT;
CREATE UNIQUE INDEX inventory_dead_by_identity ON inventory_dead (identity) WHERE identity IS NOT NULL;
