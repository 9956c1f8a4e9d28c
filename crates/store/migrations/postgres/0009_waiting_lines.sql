-- Lines of orders that are not counted: why, and what they may be found by.

-- Sold while nobody kept stock of it: there was nothing to hold.
ALTER TABLE inventory.lines ADD COLUMN unmanaged BOOLEAN NOT NULL DEFAULT false;
-- Why it cannot be read; NULL: it can.
ALTER TABLE inventory.lines ADD COLUMN fault TEXT;
-- The code it was shown with, while its listing was never seen.
ALTER TABLE inventory.lines ADD COLUMN code TEXT;

UPDATE inventory.lines AS x SET unmanaged = true
  FROM inventory.listings AS l
 WHERE x.sku_id IS NULL AND x.holder IS NULL AND NOT x.ever_taken AND NOT x.removed AND x.product IS NOT NULL
   AND l.shop = x.shop AND l.product = x.product AND l.variation = coalesce(x.variation, 0) AND l.holder IS NULL;

-- The index of parked lines from before stays while processes of the version before still look by it.
CREATE INDEX lines_waiting ON inventory.lines (shop, order_id)
    WHERE NOT removed AND (fault IS NOT NULL OR sku_id IS NULL AND NOT unmanaged);
CREATE INDEX lines_by_code ON inventory.lines (code) WHERE code IS NOT NULL;
