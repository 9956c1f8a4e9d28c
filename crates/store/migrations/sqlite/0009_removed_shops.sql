-- Removed shops: what becomes of what their open orders hold.

-- 1: it is let go, in bounded chunks; 0: it stays held until somebody releases it, or the shop comes back.
ALTER TABLE registry_shops ADD COLUMN releases INTEGER NOT NULL DEFAULT 0;
