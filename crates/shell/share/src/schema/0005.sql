-- What a replica used of held time that another posts, until that one takes it up: how long it was busy at the endpoint in each of some
-- seconds, and what its attempts worked there, by who pays for it.
CREATE TABLE baseload.used (
    told      bigint   NOT NULL,
    endpoint  text     NOT NULL,
    seconds   bigint[] NOT NULL,
    busy      bigint[] NOT NULL,
    requests  bytea[]  NOT NULL,
    attempts  bigint[] NOT NULL,
    contracts text[]   NOT NULL,
    work      bigint[] NOT NULL
);
