-- How a listing finds its SKU where codes are not the same: a person's table, case and blanks aside, by name.

-- simple, parent, variation, other; NULL: not read since this is kept.
ALTER TABLE inventory.listings ADD COLUMN kind TEXT;
-- The SKU that a person said it is.
ALTER TABLE inventory.listings ADD COLUMN mapped TEXT COLLATE "C";
-- Case and blanks aside.
CREATE INDEX listings_by_folded ON inventory.listings (shop, lower(replace(sku, ' ', '') COLLATE "C"))
 WHERE sku IS NOT NULL;
-- What is told of a variation names only itself.
CREATE INDEX listings_by_variation ON inventory.listings (shop, variation) WHERE variation > 0;
CREATE INDEX listings_by_name ON inventory.listings (shop, lower(btrim(name) COLLATE "C")) WHERE sku IS NULL;

-- For people, and for listings without a code.
ALTER TABLE inventory.skus ADD COLUMN name TEXT;
CREATE INDEX skus_by_folded ON inventory.skus (lower(replace(sku, ' ', '') COLLATE "C"));
CREATE INDEX skus_by_name ON inventory.skus (lower(btrim(name) COLLATE "C")) WHERE name IS NOT NULL;

-- A listing without a code is the SKU of its name, if there is but one of each.
ALTER TABLE inventory.shops ADD COLUMN matches_names BOOLEAN NOT NULL DEFAULT false;

-- What was mapped by hand before there was a table: stocks of listings without a code.
UPDATE inventory.listings AS l SET mapped = k.sku
  FROM inventory.stocks AS s JOIN inventory.skus AS k ON k.id = s.sku_id
 WHERE s.shop = l.shop AND s.holder = l.holder AND NOT s.removed
   AND l.sku IS NULL AND l.holder = CASE WHEN l.variation = 0 THEN l.product ELSE l.variation END;

-- Products and variations to be read again.
CREATE TABLE ingress.listing_rereads (
    shop   BIGINT NOT NULL,
    -- Of the product or the variation.
    id     BIGINT NOT NULL,
    -- How often it was asked for.
    wanted BIGINT NOT NULL,
    PRIMARY KEY (shop, id)
);

-- Words of kinds are checked by who reads them.
ALTER TABLE ingress.tasks DROP CONSTRAINT IF EXISTS tasks_kind_check;
ALTER TABLE inventory.wishes DROP CONSTRAINT IF EXISTS wishes_kind_check;
