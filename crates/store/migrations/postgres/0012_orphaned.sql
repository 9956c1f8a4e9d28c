-- What becomes of what an order holds whose shop no longer knows it.

-- It is let go, in bounded chunks; else it stays held until somebody releases it.
ALTER TABLE inventory.shops ADD COLUMN releases_orphans BOOLEAN NOT NULL DEFAULT false;
