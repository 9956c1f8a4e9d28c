//! Marks of what is to be computed or resolved anew.
//!
//! Making one never waits for another transaction, which may itself wait for what this one has locked. A mark that nobody has
//! locked is counted up; one that somebody has locked is made once more. So none is lost: who works marks off takes away
//! those that still have the count he saw, and leaves locked ones.

/// What follows after `wanted`.
macro_rules! mark_wanted_skus {
    () => {
        ", free AS MATERIALIZED
       (SELECT m.id FROM inventory.recompute_skus AS m JOIN wanted AS w USING (sku_id)
         ORDER BY m.id FOR UPDATE OF m SKIP LOCKED),
     kept AS
       (UPDATE inventory.recompute_skus AS m SET wanted = m.wanted + 1 FROM free WHERE m.id = free.id
        RETURNING m.sku_id)
INSERT INTO inventory.recompute_skus (sku_id)
SELECT sku_id FROM wanted EXCEPT SELECT sku_id FROM kept ORDER BY sku_id"
    };
}

/// Of every SKU that shop `$1` sells.
pub(super) const SKUS_OF_SHOP: &str = concat!(
    "WITH wanted AS MATERIALIZED
       (SELECT DISTINCT sku_id FROM inventory.stocks WHERE shop = $1 AND sku_id IS NOT NULL AND NOT removed)",
    mark_wanted_skus!()
);

/// Of the SKUs with these codes.
pub(super) const SKUS: &str = concat!(
    "WITH wanted AS MATERIALIZED
       (SELECT id AS sku_id FROM inventory.skus WHERE sku = ANY ($1))",
    mark_wanted_skus!()
);

/// What follows after `wanted` and a condition on its listings `l`.
macro_rules! mark_wanted_listings {
    () => {
        "EXISTS (SELECT 1 FROM inventory.lines AS x
                        WHERE x.shop = l.shop AND x.product = l.product AND x.variation = l.variation
                          AND (x.sku_id IS NULL OR x.holder IS NULL) AND x.product IS NOT NULL AND NOT x.removed)),
     free AS MATERIALIZED
       (SELECT m.id FROM inventory.recompute_listings AS m JOIN wanted AS w USING (shop, product, variation)
         ORDER BY m.id FOR UPDATE OF m SKIP LOCKED),
     kept AS
       (UPDATE inventory.recompute_listings AS m SET after = 0 FROM free WHERE m.id = free.id
        RETURNING m.shop, m.product, m.variation)
INSERT INTO inventory.recompute_listings (shop, product, variation)
SELECT shop, product, variation FROM wanted EXCEPT SELECT shop, product, variation FROM kept"
    };
}

/// Of the listings of these stocks that a line waits for: later lines find them by themselves.
pub(super) const LISTINGS: &str = concat!(
    "WITH wanted AS MATERIALIZED
       (SELECT DISTINCT l.shop, l.product, l.variation
          FROM unnest($1::bigint[], $2::bigint[]) AS w (shop, holder)
          JOIN inventory.listings AS l ON l.shop = w.shop AND l.holder = w.holder
         WHERE ",
    mark_wanted_listings!()
);

/// The same of listings that have no stock.
pub(super) const UNMANAGED: &str = concat!(
    "WITH wanted AS MATERIALIZED
       (SELECT l.shop, l.product, l.variation
          FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS l (shop, product, variation)
         WHERE ",
    mark_wanted_listings!()
);
