-- In how many shards every flow is divided: what the services are told has to be the same. At most one row.

CREATE TABLE shards.division (
    one         BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    shard_count BIGINT  NOT NULL CHECK (shard_count > 0)
);
