-- Who of a service works on which of its shards. Belongs to all services alike.

CREATE TABLE shards_members (
    service     TEXT    NOT NULL,
    shard_count INTEGER NOT NULL,
    member      TEXT    NOT NULL,
    until       INTEGER NOT NULL,
    PRIMARY KEY (service, shard_count, member)
) STRICT, WITHOUT ROWID;

CREATE TABLE shards_leases (
    service     TEXT    NOT NULL,
    shard_count INTEGER NOT NULL,
    shard       INTEGER NOT NULL,
    -- Empty: nobody.
    member      TEXT    NOT NULL,
    -- Each new holder has a higher one.
    fence       INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    PRIMARY KEY (service, shard_count, shard)
) STRICT, WITHOUT ROWID;
