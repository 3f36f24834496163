-- The bucket of each rate that is shared: when it is full, in nanoseconds since 1970, and until when somebody waits for what others hold.
CREATE TABLE baseload.rate (
    account     text   PRIMARY KEY,
    full_at     bigint NOT NULL,
    short_until bigint NOT NULL
);
