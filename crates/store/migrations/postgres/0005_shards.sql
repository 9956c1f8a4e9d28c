-- Who of a service works on which of its shards. Belongs to all services alike.

CREATE SCHEMA shards;

-- One row for each service and number of shards: locked by whoever is given his share.
CREATE TABLE shards.services (
    service     TEXT   NOT NULL,
    shard_count BIGINT NOT NULL,
    PRIMARY KEY (service, shard_count)
);

CREATE TABLE shards.members (
    service     TEXT   NOT NULL,
    shard_count BIGINT NOT NULL,
    member      TEXT   NOT NULL,
    until       BIGINT NOT NULL,
    PRIMARY KEY (service, shard_count, member)
);

CREATE TABLE shards.leases (
    service     TEXT   NOT NULL,
    shard_count BIGINT NOT NULL,
    shard       BIGINT NOT NULL,
    -- Empty: nobody.
    member      TEXT   NOT NULL,
    -- Each new holder has a higher one.
    fence       BIGINT NOT NULL,
    until       BIGINT NOT NULL,
    PRIMARY KEY (service, shard_count, shard)
);
