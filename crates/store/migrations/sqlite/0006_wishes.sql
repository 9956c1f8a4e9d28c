-- Where a shop's SKUs start from, what is to be read again, and the traces that changes belong to.

-- 1: the first trusted reading of a stock opens its SKU.
ALTER TABLE registry_shops ADD COLUMN opening INTEGER NOT NULL DEFAULT 0;

-- Trace context of the change that is to be published, for the spans of those who take it further.
ALTER TABLE inventory_outbox ADD COLUMN trace TEXT;

-- What inventory wants ingress to read; gone once it was asked.
CREATE TABLE inventory_wishes (
    shop      INTEGER NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('order', 'stock', 'audit', 'catalogue')),
    -- An order or a stock; 0 for the kinds that are about the whole shop.
    id        INTEGER NOT NULL,
    wanted_at INTEGER NOT NULL,
    PRIMARY KEY (shop, kind, id)
) STRICT, WITHOUT ROWID;
