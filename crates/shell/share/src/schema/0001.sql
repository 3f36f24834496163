-- What several replicas share. Times are microseconds since 1970 in UTC; amounts are the account's own: nano-units of the fleet's
-- currency, or millionths of provisioned units.

-- A state directory that takes part, and the process that runs on it now.
CREATE TABLE baseload.replica (
    id          text   PRIMARY KEY,
    number      bigint NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    incarnation bigint NOT NULL,
    seen        bigint NOT NULL
);
-- Whose entries are those of all: billing periods that were closed.
INSERT INTO baseload.replica (id, number, incarnation, seen) OVERRIDING SYSTEM VALUE VALUES ('all', 0, 0, 0);

-- What each replica may take of each account in each period, and has taken as far as it said.
CREATE TABLE baseload.lease (
    account text   NOT NULL,
    period  bigint NOT NULL,
    replica text   NOT NULL REFERENCES baseload.replica (id),
    granted bigint NOT NULL,
    taken   bigint NOT NULL,
    pace    bigint NOT NULL,
    asked   bigint NOT NULL,
    returns bigint NOT NULL,
    PRIMARY KEY (account, period, replica)
);

-- Which replica posts held time: from `since` up to `until`, by its own clock, unless it says so again before `returns`. There is one row.
CREATE TABLE baseload.keeper (
    one     boolean PRIMARY KEY DEFAULT true CHECK (one),
    replica text    NOT NULL REFERENCES baseload.replica (id),
    since   bigint  NOT NULL,
    until   bigint  NOT NULL,
    returns bigint  NOT NULL
);

-- The entries of every replica's chain, word for word: `hash` is SHA-256 over the hash before it and `text`. `place` is the order in
-- which they came here.
CREATE TABLE baseload.entry (
    replica text     NOT NULL REFERENCES baseload.replica (id),
    number  bigint   NOT NULL CHECK (number > 0),
    kind    text     NOT NULL,
    row     bigint,
    text    bytea    NOT NULL,
    hash    bytea    NOT NULL,
    place   bigint   NOT NULL UNIQUE,
    PRIMARY KEY (replica, number)
);

-- Fleet files, by the version that entries name.
CREATE TABLE baseload.fleet (
    version bytea PRIMARY KEY,
    text    text  NOT NULL
);

-- Keys, by their public part; a change takes the next number.
CREATE SEQUENCE baseload.api_key_change;
CREATE TABLE baseload.api_key (
    public         text   PRIMARY KEY,
    change         bigint NOT NULL,
    name           text   NOT NULL,
    hash           bytea  NOT NULL,
    previous       bytea,
    previous_until bigint,
    scopes         text[] NOT NULL,
    models         text[] NOT NULL,
    team           text,
    requests       bigint,
    tokens         bigint,
    budget         text,
    created        bigint NOT NULL,
    expires        bigint,
    revoked        bigint
);
CREATE INDEX api_key_changed ON baseload.api_key (change);

-- What a replica's attempts call a key.
CREATE TABLE baseload.api_key_number (
    replica text   NOT NULL REFERENCES baseload.replica (id),
    number  bigint NOT NULL,
    public  text   NOT NULL,
    PRIMARY KEY (replica, number)
);

-- Booked is booked, here too.
CREATE FUNCTION baseload.stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'entries are never changed and never deleted';
END $$;
CREATE TRIGGER entry_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON baseload.entry EXECUTE FUNCTION baseload.stays();
