-- Another number whenever listings or stocks of the shop are mapped otherwise: what was remembered of them is good for
-- as long as it is the same.
ALTER TABLE inventory.shops ADD COLUMN mapping BIGINT NOT NULL DEFAULT 0;
