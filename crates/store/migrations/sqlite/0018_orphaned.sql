-- What becomes of what an order holds whose shop no longer knows it.

-- 1: it is let go, in bounded chunks; 0: it stays held until somebody releases it.
ALTER TABLE registry_shops ADD COLUMN releases_orphans INTEGER NOT NULL DEFAULT 0;
