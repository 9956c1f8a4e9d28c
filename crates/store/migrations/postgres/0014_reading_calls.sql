-- Calls that were made to read the shop, by kind, in this hour and in the one before; JSON, empty: none.
ALTER TABLE ingress.readings ADD COLUMN calls TEXT NOT NULL DEFAULT '';
-- From one poll of orders to the next, in milliseconds.
ALTER TABLE ingress.readings ADD COLUMN poll_ms BIGINT;
