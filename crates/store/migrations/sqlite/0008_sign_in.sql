-- Registry: how a shop is told who calls it. Some hosts drop the Authorization header.

ALTER TABLE registry_shops ADD COLUMN sign_in TEXT NOT NULL DEFAULT 'header' CHECK (sign_in IN ('header', 'query'));
