-- Registry: shops that are asked to grant keys of their REST API by themselves.

CREATE TABLE inventory.grants (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of what the shop has to repeat.
    state_hash BYTEA  NOT NULL UNIQUE,
    -- Name the shop is to have.
    name       TEXT   NOT NULL,
    -- What else was said of it, sealed; empty once it was taken.
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- When the shop repeated it; it can do so once.
    taken_at   BIGINT,
    -- The task that connects the shop.
    task       BIGINT,
    -- Why it could not be connected.
    failure    TEXT
);
