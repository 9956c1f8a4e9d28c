-- How a listing finds its SKU where codes are not the same: a person's table, case and blanks aside, by name.

-- simple, parent, variation, other; NULL: not read since this is kept.
ALTER TABLE registry_listings ADD COLUMN kind TEXT;
-- The SKU that a person said it is.
ALTER TABLE registry_listings ADD COLUMN mapped TEXT;
-- Case and blanks aside.
CREATE INDEX registry_listings_by_folded ON registry_listings (shop, lower(replace(sku, ' ', ''))) WHERE sku IS NOT NULL;
-- What is told of a variation names only itself.
CREATE INDEX registry_listings_by_variation ON registry_listings (shop, variation) WHERE variation > 0;
CREATE INDEX registry_listings_by_name ON registry_listings (shop, lower(trim(name))) WHERE sku IS NULL;

-- For people, and for listings without a code.
ALTER TABLE inventory_skus ADD COLUMN name TEXT;
CREATE INDEX inventory_skus_by_folded ON inventory_skus (lower(replace(sku, ' ', '')));
CREATE INDEX inventory_skus_by_name ON inventory_skus (lower(trim(name))) WHERE name IS NOT NULL;

-- 1: a listing without a code is the SKU of its name, if there is but one of each.
ALTER TABLE registry_shops ADD COLUMN matches_names INTEGER NOT NULL DEFAULT 0;

-- What was mapped by hand before there was a table: stocks of listings without a code.
UPDATE registry_listings SET mapped = (
  SELECT k.sku FROM inventory_stocks AS s JOIN inventory_skus AS k ON k.id = s.sku_id
   WHERE s.shop = registry_listings.shop AND s.holder = registry_listings.holder AND s.removed = 0)
 WHERE sku IS NULL AND holder = iif(variation = 0, product, variation);

-- Products and variations to be read again.
CREATE TABLE ingress_listing_rereads (
    shop   INTEGER NOT NULL,
    -- Of the product or the variation.
    id     INTEGER NOT NULL,
    -- How often it was asked for.
    wanted INTEGER NOT NULL,
    PRIMARY KEY (shop, id)
) STRICT, WITHOUT ROWID;

-- Words of kinds are checked by who reads them: a new kind needs no new table.
CREATE TABLE ingress_tasks_next (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    shop       INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    done       INTEGER NOT NULL,
    -- NULL: not known.
    total      INTEGER,
    phase      TEXT    NOT NULL,
    -- JSON; empty until it ends.
    report     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
INSERT INTO ingress_tasks_next (id, shop, kind, state, done, total, phase, report, created_at, updated_at)
SELECT id, shop, kind, state, done, total, phase, report, created_at, updated_at FROM ingress_tasks;
-- Numbers that were given are not given again.
DELETE FROM sqlite_sequence WHERE name = 'ingress_tasks_next';
INSERT INTO sqlite_sequence (name, seq) SELECT 'ingress_tasks_next', seq FROM sqlite_sequence WHERE name = 'ingress_tasks';
DROP TABLE ingress_tasks;
ALTER TABLE ingress_tasks_next RENAME TO ingress_tasks;
CREATE INDEX ingress_tasks_open ON ingress_tasks (shop, id) WHERE state IN ('waiting', 'running');
CREATE INDEX ingress_tasks_ended ON ingress_tasks (updated_at) WHERE state IN ('done', 'failed');

-- The same of what is to be read: products and variations too.
CREATE TABLE inventory_wishes_next (
    shop      INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    -- An order, a stock or a listing; 0 for the kinds that are about the whole shop.
    id        INTEGER NOT NULL,
    wanted_at INTEGER NOT NULL,
    PRIMARY KEY (shop, kind, id)
) STRICT, WITHOUT ROWID;
INSERT INTO inventory_wishes_next (shop, kind, id, wanted_at) SELECT shop, kind, id, wanted_at FROM inventory_wishes;
DROP TABLE inventory_wishes;
ALTER TABLE inventory_wishes_next RENAME TO inventory_wishes;
