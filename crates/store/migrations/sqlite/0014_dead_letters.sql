-- Messages given up: those of every service.

-- Where it was given up; NULL: in a queue of facts, from before it was kept.
ALTER TABLE inventory_dead ADD COLUMN queue TEXT;
ALTER TABLE inventory_dead ADD COLUMN trace BLOB;
-- It may have been about an order: while it is here, nothing that its shop shows proves anything.
ALTER TABLE inventory_dead ADD COLUMN leaves_incomplete INTEGER NOT NULL DEFAULT 1;
