-- In how many shards every flow is divided: what the services are told has to be the same. At most one row.

CREATE TABLE shards_division (
    one         INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    shard_count INTEGER NOT NULL CHECK (shard_count > 0)
) STRICT;
