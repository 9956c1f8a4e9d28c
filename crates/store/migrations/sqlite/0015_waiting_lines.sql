-- Lines of orders that are not counted: why, and what they may be found by.

-- Sold while nobody kept stock of it: there was nothing to hold.
ALTER TABLE inventory_lines ADD COLUMN unmanaged INTEGER NOT NULL DEFAULT 0;
-- Why it cannot be read; NULL: it can.
ALTER TABLE inventory_lines ADD COLUMN fault TEXT;
-- The code it was shown with, while its listing was never seen.
ALTER TABLE inventory_lines ADD COLUMN code TEXT;

UPDATE inventory_lines SET unmanaged = 1
 WHERE sku_id IS NULL AND holder IS NULL AND ever_taken = 0 AND removed = 0 AND product IS NOT NULL
   AND EXISTS (SELECT 1 FROM registry_listings AS l
                WHERE l.shop = inventory_lines.shop AND l.product = inventory_lines.product
                  AND l.variation = coalesce(inventory_lines.variation, 0) AND l.holder IS NULL);

DROP INDEX inventory_lines_parked;
CREATE INDEX inventory_lines_waiting ON inventory_lines (shop, order_id)
    WHERE removed = 0 AND (fault IS NOT NULL OR sku_id IS NULL AND unmanaged = 0);
CREATE INDEX inventory_lines_by_code ON inventory_lines (code) WHERE code IS NOT NULL;
