-- Registry: shops that are asked to grant keys of their REST API by themselves.

CREATE TABLE registry_grants (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of what the shop has to repeat.
    state_hash BLOB    NOT NULL UNIQUE,
    -- Name the shop is to have.
    name       TEXT    NOT NULL,
    -- What else was said of it, sealed; empty once it was taken.
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- When the shop repeated it; it can do so once.
    taken_at   INTEGER,
    -- The task that connects the shop.
    task       INTEGER,
    -- Why it could not be connected.
    failure    TEXT
) STRICT;
